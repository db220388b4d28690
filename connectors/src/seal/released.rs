//! Keys that a site released: DEKs that only its keyring could unwrap, wrapped anew to the recipient.
//!
//! All of a delivery's keys are one HPKE message, `SHA-256(LP(wrapped) ‖ LP(associated data)) ‖ DEK` for
//! each, in ascending order, bound to suite, delivery, attempt and recipient like the KEK in a key file,
//! under another label. A key is found by what it was wrapped as and for: nothing wrapped otherwise
//! finds it.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::kek::{Dek, DekSource};
use super::key_file::RecipientEntry;
use super::recipient::{ALGORITHM, unwrap_with, wrap_to};
use super::{Binding, SealError};
use crate::error::ConnectorError;
use crate::keyring::{KEY_BYTES, KeyAlgorithm, PrivateKey, PublicKey};

/// Bytes of a key and of what it is found by.
const RECORD_BYTES: usize = 32 + KEY_BYTES;

/// Most keys of one delivery: files times columns with keys of their own.
const KEYS_MAX: usize = 1 << 20;

/// The label that HPKE binds the message to.
const LABEL: &str = "release";

/// The keys of a delivery, each under what it was wrapped as.
#[derive(Default)]
pub struct ReleasedDeks(BTreeMap<[u8; 32], Dek>);

impl ReleasedDeks {
    /// Adds a key that was unwrapped from `wrapped` with this associated data.
    pub fn add(&mut self, wrapped: &[u8], aad: &[u8], dek: Dek) {
        self.0.insert(found_by(wrapped, aad), dek);
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wraps the keys to every X25519 key of `keys`; others are passed over.
    ///
    /// # Errors
    /// If there is no X25519 key, there are too many keys, or there is no randomness.
    pub fn wrap(
        &self,
        binding: &Binding,
        keys: &[PublicKey],
    ) -> Result<Vec<RecipientEntry>, ConnectorError> {
        if self.0.len() > KEYS_MAX {
            return Err(
                SealError::malformed("a delivery has more keys than can be released").into(),
            );
        }
        // Reserved beforehand, so that growing leaves no copy behind.
        let mut message = Zeroizing::new(Vec::with_capacity(
            self.0.len().saturating_mul(RECORD_BYTES),
        ));
        for (found_by, dek) in &self.0 {
            message.extend_from_slice(found_by);
            message.extend_from_slice(dek.expose());
        }
        let info = binding.hpke_info(LABEL);
        let mut entries = Vec::new();
        for key in keys {
            if key.algorithm() != KeyAlgorithm::X25519 {
                continue;
            }
            let wrapped = wrap_to(key, &info, &message)?;
            entries.push(RecipientEntry {
                alg: ALGORITHM.to_owned(),
                ct: wrapped.ct,
                enc: wrapped.enc.to_vec(),
                kid: key.fingerprint(),
            });
        }
        if entries.is_empty() {
            return Err(SealError::NoRecipientKey.into());
        }
        entries.sort_by(|one, next| one.kid.cmp(&next.kid));
        Ok(entries)
    }

    /// Unwraps the keys with the recipient's private key.
    ///
    /// # Errors
    /// If nothing is wrapped to that key, or it does not unwrap for that delivery.
    pub fn unwrap(
        binding: &Binding,
        entries: &[RecipientEntry],
        identity: &PrivateKey,
    ) -> Result<Self, ConnectorError> {
        let fingerprint = identity.public_key().fingerprint();
        let entry = entries
            .iter()
            .find(|entry| entry.kid == fingerprint)
            .ok_or(SealError::NotForIdentity { fingerprint })?;
        let enc = entry.enc.as_slice().try_into();
        let enc = enc.map_err(|_| SealError::WrappedKey)?;
        let message = unwrap_with(identity, &binding.hpke_info(LABEL), enc, &entry.ct)?;
        let mut keys = BTreeMap::new();
        let mut records = message.chunks_exact(RECORD_BYTES);
        for record in &mut records {
            let (found_by, bytes) = record
                .split_first_chunk::<32>()
                .ok_or(SealError::WrappedKey)?;
            let mut dek = Zeroizing::new([0; KEY_BYTES]);
            dek.copy_from_slice(bytes);
            keys.insert(*found_by, Dek::new(dek));
        }
        if !records.remainder().is_empty() {
            return Err(SealError::WrappedKey.into());
        }
        Ok(Self(keys))
    }
}

impl DekSource for ReleasedDeks {
    fn dek(&self, wrapped: &[u8], aad: &[u8]) -> Result<Dek, ConnectorError> {
        let dek = self.0.get(&found_by(wrapped, aad));
        let dek = dek.ok_or(SealError::WrappedKey)?;
        Ok(Dek::new(Zeroizing::new(*dek.expose())))
    }
}

impl fmt::Debug for ReleasedDeks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReleasedDeks({} keys)", self.0.len())
    }
}

/// SHA-256 over LP(wrapped) ‖ LP(associated data).
fn found_by(wrapped: &[u8], aad: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [wrapped, aad] {
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::{PairKind, read_private, write_pair};
    use crate::seal::Suite;

    fn binding(delivery: &str) -> Binding {
        Binding::new(Suite::Aes256GcmSha256, delivery, "a1", "civil-affairs").unwrap()
    }

    fn identity(name: &str) -> (tempfile::TempDir, PrivateKey) {
        let directory = tempfile::tempdir().unwrap();
        let files = write_pair(directory.path(), name, PairKind::Recipient).unwrap();
        let key = read_private(&files.private).unwrap();
        (directory, key)
    }

    fn deks() -> ReleasedDeks {
        let mut deks = ReleasedDeks::default();
        for number in 0..3_u8 {
            let dek = Dek::new(Zeroizing::new([number; KEY_BYTES]));
            deks.add(&[number, 1], b"aad", dek);
        }
        deks
    }

    #[test]
    fn a_released_key_is_found_by_what_it_was_wrapped_as() {
        let (_directory, identity) = identity("r");
        let entries = deks()
            .wrap(&binding("d1"), &[identity.public_key()])
            .unwrap();
        let found = ReleasedDeks::unwrap(&binding("d1"), &entries, &identity).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(
            found.dek(&[2, 1], b"aad").unwrap().expose(),
            &[2; KEY_BYTES]
        );
        assert!(found.dek(&[2, 1], b"other").is_err());
        assert!(found.dek(&[2, 2], b"aad").is_err());
        assert!(!format!("{found:?}").contains("2, 2"));
    }

    #[test]
    fn nothing_unwraps_for_another_delivery_key_or_byte() {
        let ((_one, identity), (_other, stranger)) = (identity("r"), identity("s"));
        let entries = deks()
            .wrap(&binding("d1"), &[identity.public_key()])
            .unwrap();
        assert!(ReleasedDeks::unwrap(&binding("d2"), &entries, &identity).is_err());
        assert!(ReleasedDeks::unwrap(&binding("d1"), &entries, &stranger).is_err());
        for position in 0..entries[0].ct.len() {
            let mut altered = entries.clone();
            altered[0].ct[position] ^= 1;
            assert!(ReleasedDeks::unwrap(&binding("d1"), &altered, &identity).is_err());
        }
        assert!(deks().wrap(&binding("d1"), &[]).is_err());
    }
}
