//! C2SP chunked encryption: the keys of a message and its numbered chunks.
//!
//! `key ‖ base nonce ‖ commitment = HKDF-Expand(input key, "c2sp.org/chunked-encryption@v1+" ‖ AEAD ‖ 0 ‖
//! salt ‖ context)`; chunk N is sealed with nonce `base nonce ⊕ N` and no associated data. The AES suite is
//! Cobblestone-256: AES-256-GCM, expanded over SHA-512. The construction is specified for any hash and
//! AEAD; with SM3 and SM4-GCM it takes all 32 bytes of the DEK as its input key.

use std::fmt;

use zeroize::Zeroizing;

use super::super::suite::{Cipher, HASH_BYTES, NONCE_BYTES, TAG_BYTES};
use super::super::{SealError, Suite};
use crate::keyring::KEY_BYTES;

/// Bytes of the file in every chunk but the last, which holds fewer.
pub const CHUNK_BYTES: usize = 16 * 1024;

/// Bytes of a sealed chunk that is not the last.
pub(super) const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;

/// Bytes of the salt.
pub(super) const SALT_BYTES: usize = 24;

/// Bytes of the commitment.
pub(super) const COMMITMENT_BYTES: usize = HASH_BYTES;

/// Most chunks of a message.
const CHUNKS_MAX: u64 = 1 << 38;

const LABEL: &[u8] = b"c2sp.org/chunked-encryption@v1+";

/// The keys of one message.
#[derive(Clone)]
pub(super) struct Chunks {
    cipher: Cipher,
    base_nonce: [u8; NONCE_BYTES],
}

impl Chunks {
    /// Derives the keys of a message, and the commitment to its key.
    pub(super) fn derive(
        suite: Suite,
        input_key: &[u8; KEY_BYTES],
        salt: &[u8; SALT_BYTES],
        context: &[u8],
    ) -> Result<(Self, [u8; COMMITMENT_BYTES]), SealError> {
        let aead = suite.aead_name().as_bytes();
        let derived_bytes = suite
            .key_bytes()
            .saturating_add(NONCE_BYTES + COMMITMENT_BYTES);
        let mut derived = Zeroizing::new(vec![0; derived_bytes]);
        suite.expand(input_key, &[LABEL, aead, &[0], salt, context], &mut derived)?;
        let parts = derived
            .split_at_checked(suite.key_bytes())
            .and_then(|(key, rest)| Some((key, rest.split_first_chunk::<NONCE_BYTES>()?)));
        let (key, base_nonce, commitment) = parts
            .and_then(|(key, (nonce, rest))| Some((key, *nonce, rest.try_into().ok()?)))
            .ok_or(SealError::Fault("derived keys are of another length"))?;
        let cipher = suite.cipher(key)?;
        Ok((Self { cipher, base_nonce }, commitment))
    }

    /// Seals a chunk in place and returns its tag.
    pub(super) fn seal(&self, chunk: u64, bytes: &mut [u8]) -> Result<[u8; TAG_BYTES], SealError> {
        let nonce = self.nonce(chunk)?;
        self.cipher.seal(&nonce, &[], bytes)
    }

    /// Opens a chunk in place: `sealed` is ciphertext and tag. Returns the bytes of the file in it.
    pub(super) fn open<'a>(&self, chunk: u64, sealed: &'a mut [u8]) -> Result<&'a [u8], SealError> {
        let nonce = self.nonce(chunk)?;
        let (bytes, tag) = sealed
            .split_last_chunk_mut::<TAG_BYTES>()
            .ok_or(SealError::Truncated)?;
        self.cipher
            .open(&nonce, &[], bytes, tag)
            .ok_or(SealError::Chunk { chunk })?;
        Ok(bytes)
    }

    fn nonce(&self, chunk: u64) -> Result<[u8; NONCE_BYTES], SealError> {
        if chunk >= CHUNKS_MAX {
            return Err(SealError::TooLong);
        }
        let mut nonce = self.base_nonce;
        for (byte, counter) in nonce.iter_mut().rev().zip(chunk.to_le_bytes()) {
            *byte ^= counter;
        }
        Ok(nonce)
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chunks(..)")
    }
}

/// Whether two commitments are the same; takes as long whatever differs.
pub(super) fn is_same(left: &[u8; COMMITMENT_BYTES], right: &[u8; COMMITMENT_BYTES]) -> bool {
    let differing = left
        .iter()
        .zip(right)
        .fold(0, |differing, (left, right)| differing | (left ^ right));
    differing == 0
}
