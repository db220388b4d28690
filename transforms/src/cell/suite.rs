//! The ciphers that a cell can be made with.

use aes::Aes256;
use aes::cipher::consts::U12;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt};
use aes_gcm::aead::{self, AeadInOut};
use aes_gcm::{Aes256Gcm, AesGcm, KeyInit, Nonce, Tag};
use sm4::Sm4;

use super::PLACE_BYTES;
use crate::key::DerivedKey;

/// What a cell is encrypted with. A cell says it in its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// AES-256-GCM (FIPS 197, SP 800-38D).
    AesGcm,
    /// SM4-GCM (GB/T 32907, RFC 8998).
    Sm4Gcm,
}

impl Suite {
    /// The first byte of every cell of this suite that is bound to its row, or isn't.
    pub const fn version(self, is_bound: bool) -> u8 {
        match (self, is_bound) {
            (Self::AesGcm, false) => 1,
            (Self::Sm4Gcm, false) => 2,
            (Self::AesGcm, true) => 3,
            (Self::Sm4Gcm, true) => 4,
        }
    }

    /// The suite that a cell's first byte names, and whether the cell is bound to its row.
    pub(super) fn of_version(version: u8) -> Option<(Self, bool)> {
        let suites = [Self::AesGcm, Self::Sm4Gcm].into_iter();
        let mut forms = suites.flat_map(|suite| [(suite, false), (suite, true)]);
        forms.find(|(suite, is_bound)| suite.version(*is_bound) == version)
    }

    /// The cipher of a chunk, whose key follows from these parts.
    pub(super) fn cipher(self, key: &DerivedKey, parts: [&[u8]; 5]) -> Cipher {
        match self {
            Self::AesGcm => {
                let key = key.expand::<32>(&labelled(b"fle/v1", parts));
                Cipher::Aes(Box::new(Aes256Gcm::new((&*key).into())))
            }
            Self::Sm4Gcm => {
                let key = key.expand::<16>(&labelled(b"fle/sm4/v1", parts));
                Cipher::Sm4(Box::new(AesGcm::new((&*key).into())))
            }
        }
    }

    /// What encrypts the places of an attempt, whose key follows from these parts.
    pub(super) fn places(self, key: &DerivedKey, parts: [&[u8]; 3]) -> Places {
        match self {
            Self::AesGcm => {
                let key = key.expand::<32>(&labelled(b"fle/place/v1", parts));
                Places::Aes(Box::new(Aes256::new((&*key).into())))
            }
            Self::Sm4Gcm => {
                let key = key.expand::<16>(&labelled(b"fle/sm4/place/v1", parts));
                Places::Sm4(Box::new(Sm4::new((&*key).into())))
            }
        }
    }
}

/// The parts of a derivation, after the label that keeps its keys apart from those of any other.
fn labelled<'a, const PARTS: usize>(label: &'a [u8], parts: [&'a [u8]; PARTS]) -> Vec<&'a [u8]> {
    std::iter::once(label).chain(parts).collect()
}

/// Encrypts and authenticates the values of one chunk. `AesGcm` is GCM over any block cipher,
/// whatever its name.
pub(super) enum Cipher {
    Aes(Box<Aes256Gcm>),
    Sm4(Box<AesGcm<Sm4, U12>>),
}

impl Cipher {
    /// Encrypts in place.
    ///
    /// # Errors
    /// A value beyond GCM's 64 GiB.
    pub(super) fn encrypt(
        &self,
        nonce: &Nonce<U12>,
        associated: &[u8],
        text: &mut [u8],
    ) -> Result<Tag, aead::Error> {
        match self {
            Self::Aes(gcm) => gcm.encrypt_inout_detached(nonce, associated, text.into()),
            Self::Sm4(gcm) => gcm.encrypt_inout_detached(nonce, associated, text.into()),
        }
    }

    /// Decrypts in place.
    ///
    /// # Errors
    /// Text, associated data or tag were changed; the text is then left as it was.
    pub(super) fn decrypt(
        &self,
        nonce: &Nonce<U12>,
        associated: &[u8],
        text: &mut [u8],
        tag: &Tag,
    ) -> Result<(), aead::Error> {
        match self {
            Self::Aes(gcm) => gcm.decrypt_inout_detached(nonce, associated, text.into(), tag),
            Self::Sm4(gcm) => gcm.decrypt_inout_detached(nonce, associated, text.into(), tag),
        }
    }
}

/// Encrypts the places of one attempt, each one block.
pub(super) enum Places {
    Aes(Box<Aes256>),
    Sm4(Box<Sm4>),
}

impl Places {
    pub(super) fn encrypt(&self, place: [u8; PLACE_BYTES]) -> [u8; PLACE_BYTES] {
        let mut block = place.into();
        match self {
            Self::Aes(cipher) => cipher.encrypt_block(&mut block),
            Self::Sm4(cipher) => cipher.encrypt_block(&mut block),
        }
        block.into()
    }

    pub(super) fn decrypt(&self, place: [u8; PLACE_BYTES]) -> [u8; PLACE_BYTES] {
        let mut block = place.into();
        match self {
            Self::Aes(cipher) => cipher.decrypt_block(&mut block),
            Self::Sm4(cipher) => cipher.decrypt_block(&mut block),
        }
        block.into()
    }
}
