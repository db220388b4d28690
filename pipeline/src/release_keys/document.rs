//! The release document: the keys of one delivery, wrapped to its recipient, signed by the site.

use ed25519_dalek::{SigningKey, VerifyingKey};
use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::PrivateKey;
use lockgate_connectors::seal::{Binding, RecipientEntry, ReleasedDeks, Suite};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::is_hex;
use crate::dsse::{self, Document, DocumentError, demand};
use crate::ledger::parse_time;

/// Type of the signed document.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.release+json";

/// The format this version writes and reads.
pub const FORMAT: u32 = 1;

/// Most bytes of a document that is read.
pub const BYTES_MAX: u64 = 64 << 20;

/// Why a release document is not accepted, or can't be made.
#[derive(Debug, Error)]
pub enum ReleaseError {
    /// It is none, or not one of the site's.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The keys can't be wrapped or unwrapped.
    #[error(transparent)]
    Keys(#[from] ConnectorError),
}

/// The keys of one delivery for its recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseDocument {
    /// Format of this document: 1.
    pub format: u32,
    /// Id of the delivery.
    pub delivery: String,
    /// Id of the attempt that made its files.
    pub attempt: String,
    /// Id of the grant.
    pub grant: String,
    /// Id of the recipient.
    pub recipient: String,
    /// SHA-256 of the delivery's manifest.
    pub manifest_sha256: String,
    /// Cipher and hash of the delivery.
    pub suite: Suite,
    /// How many keys.
    pub keys: u64,
    /// The keys, wrapped to each of the recipient's keys, by ascending `kid`.
    pub recipients: Vec<RecipientEntry>,
    /// When they were released: RFC 3339, UTC, to the second.
    pub at: String,
    /// Program and version that made it.
    pub software: String,
}

impl ReleaseDocument {
    /// Signs the document; gives the envelope.
    ///
    /// # Errors
    /// A document that [`open`](Self::open) would not accept.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, ReleaseError> {
        Ok(dsse::sign_document(self, key)?)
    }

    /// Opens a document: signed by one of the site's manifest keys, in canonical form.
    ///
    /// # Errors
    /// See [`ReleaseError`].
    pub fn open(bytes: &[u8], keys: &[VerifyingKey]) -> Result<Self, ReleaseError> {
        let (document, _) = dsse::open_document(bytes, keys)?;
        Ok(document)
    }

    /// What the keys are bound to.
    ///
    /// # Errors
    /// An id that is none.
    pub fn binding(&self) -> Result<Binding, ReleaseError> {
        let ids = (&self.delivery, &self.attempt, &self.recipient);
        Ok(Binding::new(self.suite, ids.0, ids.1, ids.2)?)
    }

    /// The keys, for whoever holds the recipient's private key.
    ///
    /// # Errors
    /// Keys that are wrapped to others, or were altered.
    pub fn keys(&self, identity: &PrivateKey) -> Result<ReleasedDeks, ReleaseError> {
        let deks = ReleasedDeks::unwrap(&self.binding()?, &self.recipients, identity)?;
        if u64::try_from(deks.len()) != Ok(self.keys) {
            return Err(
                DocumentError::Invalid(Self::NAME, "it holds another number of keys").into(),
            );
        }
        Ok(deks)
    }
}

impl Document for ReleaseDocument {
    const PAYLOAD_TYPE: &'static str = PAYLOAD_TYPE;
    const NAME: &'static str = "release document";

    fn check(&self, _: &VerifyingKey) -> Result<(), &'static str> {
        demand(
            self.format == FORMAT,
            "its format is not known to this version",
        )?;
        demand(
            is_hex(&self.delivery, 32) && is_hex(&self.attempt, 16),
            "the delivery's or attempt's id is none",
        )?;
        demand(
            is_hex(&self.manifest_sha256, 64),
            "`manifest_sha256` is not 64 lower-case hexadecimal digits",
        )?;
        demand(
            parse_time(&self.at).is_some(),
            "`at` is not of the form 2026-01-31T08:00:00Z",
        )?;
        demand(
            !self.recipients.is_empty()
                && self.recipients.is_sorted_by(|one, next| one.kid < next.kid),
            "its recipients are none, or not in order",
        )?;
        demand(
            self.recipients.iter().all(RecipientEntry::is_of_its_form),
            "its recipients are not of their form",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn entry(kid: &str) -> RecipientEntry {
        RecipientEntry {
            alg: "HPKE-X25519-SHA256-AES256GCM".to_owned(),
            ct: vec![1; 48],
            enc: vec![2; 32],
            kid: kid.repeat(32),
        }
    }

    fn document() -> ReleaseDocument {
        ReleaseDocument {
            format: FORMAT,
            delivery: "ab".repeat(16),
            attempt: "cd".repeat(8),
            grant: "G-1".to_owned(),
            recipient: "civil-affairs".to_owned(),
            manifest_sha256: "ef".repeat(32),
            suite: Suite::Aes256GcmSha256,
            keys: 1,
            recipients: vec![entry("11"), entry("22")],
            at: "2026-11-29T08:00:00Z".to_owned(),
            software: "lockgate 0.1.0".to_owned(),
        }
    }

    #[test]
    fn a_document_opens_with_the_sites_key_and_no_byte_of_it_is_free() {
        let bytes = document().sign(&key(1)).unwrap();
        let keys = [key(1).verifying_key()];
        assert_eq!(ReleaseDocument::open(&bytes, &keys).unwrap(), document());
        assert!(ReleaseDocument::open(&bytes, &[key(2).verifying_key()]).is_err());
        for position in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[position] ^= 1;
            assert!(
                ReleaseDocument::open(&altered, &keys).is_err(),
                "byte {position}"
            );
        }
    }

    #[test]
    fn what_contradicts_the_format_is_not_signed() {
        let changes: [fn(&mut ReleaseDocument); 9] = [
            |document| document.format = 2,
            |document| document.attempt = "x".to_owned(),
            |document| document.manifest_sha256.clear(),
            |document| document.at = "today".to_owned(),
            |document| document.recipients.clear(),
            |document| document.recipients.reverse(),
            |document| document.recipients[0].alg = "HPKE".to_owned(),
            |document| document.recipients[0].enc.truncate(31),
            |document| document.recipients[1].kid = "AA".repeat(32),
        ];
        for (position, change) in changes.into_iter().enumerate() {
            let mut changed = document();
            change(&mut changed);
            assert!(changed.sign(&key(1)).is_err(), "change {position}");
        }
    }
}
