//! The suites: which cipher and which hash seal a delivery. Policy chooses, nothing substitutes.

use std::fmt;
use std::num::TryFromIntError;
use std::str::FromStr;

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::U12;
use aes_gcm::{Aes256Gcm, AesGcm};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};
use sm3::Sm3;
use sm4::Sm4;
use zeroize::Zeroizing;

use super::SealError;

/// Bytes of a nonce, in both suites.
pub(crate) const NONCE_BYTES: usize = 12;

/// Bytes of an authentication tag, in both suites.
pub(crate) const TAG_BYTES: usize = 16;

/// Bytes of a hash, in both suites.
pub(crate) const HASH_BYTES: usize = 32;

/// Cipher and hash of a delivery, named in every header and key file.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Suite {
    /// AES-256-GCM (SP 800-38D) with SHA-256 (FIPS 180-4).
    #[default]
    #[serde(rename = "AES256GCM-SHA256")]
    Aes256GcmSha256,
    /// SM4-GCM (GB/T 32907, RFC 8998) with SM3 (GB/T 32905).
    #[serde(rename = "SM4GCM-SM3")]
    Sm4GcmSm3,
}

impl Suite {
    /// Every suite.
    pub const fn all() -> &'static [Self] {
        &[Self::Aes256GcmSha256, Self::Sm4GcmSm3]
    }

    /// The name in headers, policies and key files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aes256GcmSha256 => "AES256GCM-SHA256",
            Self::Sm4GcmSm3 => "SM4GCM-SM3",
        }
    }

    /// The cipher's name in IANA's registry of AEAD algorithms.
    pub(crate) const fn aead_name(self) -> &'static str {
        match self {
            Self::Aes256GcmSha256 => "AEAD_AES_256_GCM",
            Self::Sm4GcmSm3 => "AEAD_SM4_GCM",
        }
    }

    /// Bytes of a key of the cipher.
    pub(crate) const fn key_bytes(self) -> usize {
        match self {
            Self::Aes256GcmSha256 => 32,
            Self::Sm4GcmSm3 => 16,
        }
    }

    /// The suite's hash.
    pub(crate) fn hash(self, bytes: &[u8]) -> [u8; HASH_BYTES] {
        match self {
            Self::Aes256GcmSha256 => Sha256::digest(bytes).into(),
            Self::Sm4GcmSm3 => Sm3::digest(bytes).into(),
        }
    }

    /// Expands a uniformly random key for chunked encryption: over SHA-512 in the AES suite, as C2SP's
    /// Cobblestone-256 does, for which there are vectors; over SM3 in the other.
    pub(crate) fn expand(
        self,
        key: &[u8; HASH_BYTES],
        info: &[&[u8]],
        out: &mut [u8],
    ) -> Result<(), SealError> {
        match self {
            Self::Aes256GcmSha256 => expand::<Hmac<Sha512>>(key, info, out),
            Self::Sm4GcmSm3 => expand::<Hmac<Sm3>>(key, info, out),
        }
    }

    /// The cipher under a key of [`Self::key_bytes`] bytes.
    pub(crate) fn cipher(self, key: &[u8]) -> Result<Cipher, SealError> {
        let length = |_| SealError::Fault("a key is not of its cipher's length");
        Ok(match self {
            Self::Aes256GcmSha256 => {
                Cipher::Aes256(Box::new(Aes256Gcm::new_from_slice(key).map_err(length)?))
            }
            Self::Sm4GcmSm3 => Cipher::Sm4(Box::new(
                AesGcm::<Sm4, U12>::new_from_slice(key).map_err(length)?,
            )),
        })
    }

    /// The key under which a KEK wraps: the KEK itself, or 16 bytes of HKDF-SM3 of it.
    pub(crate) fn wrapping_key(
        self,
        kek: &[u8; HASH_BYTES],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        match self {
            Self::Aes256GcmSha256 => Ok(Zeroizing::new(kek.to_vec())),
            Self::Sm4GcmSm3 => {
                let mut key = Zeroizing::new(vec![0; self.key_bytes()]);
                let info = super::length_prefixed(&["lockgate/v1", "wrap", self.as_str()]);
                Hkdf::<Sm3>::new(None, kek)
                    .expand(&info, &mut key)
                    .map_err(|_| SealError::Fault("a key could not be expanded"))?;
                Ok(key)
            }
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Suite {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, SealError> {
        Self::all()
            .iter()
            .copied()
            .find(|suite| suite.as_str() == text)
            .ok_or(SealError::UnknownSuite)
    }
}

/// HKDF-Expand (RFC 5869). The crate `hkdf` refuses a key shorter than the hash, which 32 bytes are for
/// SHA-512; HMAC takes it as it is.
pub(super) fn expand<M: Mac + KeyInit>(
    key: &[u8],
    info: &[&[u8]],
    out: &mut [u8],
) -> Result<(), SealError> {
    let fault = SealError::Fault("a key could not be expanded");
    let mut previous = Zeroizing::new(Vec::new());
    for (number, block) in (1usize..).zip(out.chunks_mut(M::output_size())) {
        let number = u8::try_from(number).map_err(|_: TryFromIntError| fault.clone())?;
        let mut mac = <M as KeyInit>::new_from_slice(key).map_err(|_| fault.clone())?;
        mac.update(&previous);
        for part in info {
            mac.update(part);
        }
        mac.update(&[number]);
        previous = Zeroizing::new(mac.finalize().into_bytes().to_vec());
        for (out, derived) in block.iter_mut().zip(previous.iter()) {
            *out = *derived;
        }
    }
    Ok(())
}

/// A cipher with its key; the ciphers zeroize their key schedules on drop.
#[derive(Clone)]
pub(crate) enum Cipher {
    Aes256(Box<Aes256Gcm>),
    Sm4(Box<AesGcm<Sm4, U12>>),
}

impl Cipher {
    /// Encrypts in place and returns the tag. A nonce is used once.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        bytes: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], SealError> {
        let nonce = nonce.into();
        let sealed = match self {
            Self::Aes256(cipher) => cipher.encrypt_inout_detached(nonce, aad, bytes.into()),
            Self::Sm4(cipher) => cipher.encrypt_inout_detached(nonce, aad, bytes.into()),
        };
        sealed
            .map(Into::into)
            .map_err(|_| SealError::Fault("a message is too long for its cipher"))
    }

    /// Decrypts in place if the tag is right; leaves the bytes as they are if not.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        bytes: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Option<()> {
        let nonce = nonce.into();
        let tag = tag.into();
        match self {
            Self::Aes256(cipher) => cipher.decrypt_inout_detached(nonce, aad, bytes.into(), tag),
            Self::Sm4(cipher) => cipher.decrypt_inout_detached(nonce, aad, bytes.into(), tag),
        }
        .ok()
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}
