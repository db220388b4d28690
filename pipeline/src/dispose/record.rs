//! The record of a disposal: what was destroyed and removed, what it covers, and what it can't.

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::canonical_json::{self, CanonicalError};
use crate::digest::is_hex;
use crate::dsse::{self, DsseError};
use crate::ledger::parse_time;

/// Type of the signed document.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.disposal+json";

/// Name of the record beside the manifest of what was disposed of.
pub const FILE_NAME: &str = "disposal.json";

/// The format this version writes and reads.
pub const FORMAT: u32 = 1;

/// Most bytes of a record that is read.
pub const BYTES_MAX: usize = 64 << 20;

/// Why a record is not accepted, or can't be made.
#[derive(Debug, Error)]
pub enum DisposalError {
    /// The signed envelope is not acceptable.
    #[error("disposal record: {0}")]
    Envelope(#[from] DsseError),
    /// The payload is not a record in canonical form.
    #[error("disposal record: {0}")]
    Payload(CanonicalError),
    /// The record contradicts itself or the format.
    #[error("disposal record: {0}")]
    Invalid(&'static str),
}

/// The destruction of a delivery's key that only the site held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestroyedKey {
    /// Id of the key: `DELIVERY.ATTEMPT`.
    pub kek: String,
    /// What held it: `local` or `pkcs11`.
    pub provider: String,
    /// How its records are protected.
    pub protection: String,
    /// Whether whoever could use the provider could have read the key out of it before.
    pub extractable: bool,
    /// What the provider answered to its destruction.
    pub answer: String,
    /// The keyring's generation after it.
    pub generation: u64,
    /// SHA-256 of each wrapped data key of the delivery: what nothing unwraps any more.
    pub wrapped_sha256: Vec<String>,
    /// How many of them were unwrapped as a control right before; the same number where all were.
    pub unwrapped_before: u64,
    /// What the provider answered when asked to unwrap one of them afterwards.
    pub trial: String,
}

/// A recipient's statement that it destroyed its copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientStatement {
    /// SHA-256 of the statement's envelope.
    pub receipt_sha256: String,
    /// When it was signed.
    pub signed_at: String,
    /// Where the ledger records it.
    pub ledger_entry: u64,
}

/// A file that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovedFile {
    /// Path relative to the manifest.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// What became of a delivery in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisposalRecord {
    /// Format of this document: 1.
    pub format: u32,
    /// Id of the delivery.
    pub delivery: String,
    /// Id of the attempt that made its files.
    pub attempt: String,
    /// Id of the grant.
    pub grant: String,
    /// Id of the dataset.
    pub dataset: String,
    /// Department that holds the data.
    pub provider: String,
    /// Id of the recipient.
    pub recipient: String,
    /// SHA-256 of the manifest, which stays.
    pub manifest_sha256: String,
    /// How the recipient came by the keys: `online`, `offline`, or `none` where nothing was sealed.
    pub release: String,
    /// The key that was destroyed; null where the site held none.
    pub key: Option<DestroyedKey>,
    /// What the recipient stated; null if nothing.
    pub statement: Option<RecipientStatement>,
    /// Where the delivery lay.
    pub destination: String,
    /// What was removed there.
    pub files: Vec<RemovedFile>,
    /// How often the keys were released to the recipient before.
    pub releases: u64,
    /// The ledger's entry before anything was destroyed.
    pub ledger_entry: u64,
    /// When it was done: RFC 3339, UTC, to the second.
    pub at: String,
    /// The day from which no backup of the keyring holds the key any more, as whoever answers for
    /// backups named it; null where nobody did.
    pub effective_after: Option<String>,
    /// What is covered.
    pub covers: Vec<String>,
    /// What is not.
    pub does_not_cover: Vec<String>,
    /// Program and version that made it.
    pub software: String,
}

impl DisposalRecord {
    /// Says what is covered and what isn't, as follows from the rest.
    pub(super) fn stated(mut self) -> Self {
        let (mut covers, mut not) = (Vec::new(), Vec::new());
        covers.push("the files of the delivery at its destination were removed".to_owned());
        match (self.release.as_str(), &self.key) {
            ("online", Some(_)) => covers.push(
                "ciphertext of the delivery, wherever a copy of it is: its key was destroyed".to_owned(),
            ),
            ("offline", _) => not.push(
                "the recipient's copies: their key went to the recipient with the delivery, so that \
                 nothing done here destroys it"
                    .to_owned(),
            ),
            _ => not.push("copies made of the files before: they were not sealed".to_owned()),
        }
        if let Some(key) = &self.key {
            not.push(match &self.effective_after {
                Some(day) => format!(
                    "backups of the keyring made before: until they expire on {day} they can bring the \
                     key back"
                ),
                None => "backups of the keyring made before: as long as one is kept, it can bring the key \
                         back; no day was named on which they expire"
                    .to_owned(),
            });
            if key.extractable {
                not.push(
                    "copies of the key that whoever could read the keyring may have made: this provider \
                     doesn't keep keys from being read"
                        .to_owned(),
                );
            }
            if self.releases > 0 {
                not.push(format!(
                    "data keys that were released to the recipient before ({} times): who kept them opens \
                     a copy of the files",
                    self.releases
                ));
            }
        }
        match &self.statement {
            Some(_) => covers.push(
                "the recipient's copies, as far as its signed statement that it destroyed them is true"
                    .to_owned(),
            ),
            None => not.push(
                "what the recipient holds: it has stated nothing about its copies".to_owned(),
            ),
        }
        not.push(
            "plaintext that was exported from the delivery: no key and no deletion here reaches it"
                .to_owned(),
        );
        not.push(
            "backups and earlier versions of the files that the destination's store keeps"
                .to_owned(),
        );
        self.covers = covers;
        self.does_not_cover = not;
        self
    }

    /// Signs the record; gives the envelope.
    ///
    /// # Errors
    /// A record that [`open`](Self::open) would not accept.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, DisposalError> {
        self.check()?;
        let payload = canonical_json::to_bytes(self).map_err(DisposalError::Payload)?;
        Ok(dsse::sign(PAYLOAD_TYPE, &payload, key)?)
    }

    /// Opens a record: signed by one of the site's manifest keys, in canonical form.
    ///
    /// # Errors
    /// See [`DisposalError`].
    pub fn open(bytes: &[u8], keys: &[VerifyingKey]) -> Result<Self, DisposalError> {
        let (payload, _) = dsse::open(bytes, PAYLOAD_TYPE, keys)?;
        let record: Self = canonical_json::read(&payload).map_err(DisposalError::Payload)?;
        record.check()?;
        Ok(record)
    }

    fn check(&self) -> Result<(), DisposalError> {
        let demand = |holds: bool, what| match holds {
            true => Ok(()),
            false => Err(DisposalError::Invalid(what)),
        };
        demand(
            self.format == FORMAT,
            "its format is not known to this version",
        )?;
        demand(
            is_hex(&self.delivery, 32)
                && is_hex(&self.attempt, 16)
                && is_hex(&self.manifest_sha256, 64),
            "an id or hash of the delivery is none",
        )?;
        demand(
            parse_time(&self.at).is_some(),
            "`at` is not of the form 2026-01-31T08:00:00Z",
        )?;
        demand(
            matches!(self.release.as_str(), "online" | "offline" | "none"),
            "`release` is none that is known",
        )?;
        demand(
            (self.release == "online") == self.key.is_some(),
            "a key was destroyed where the site held none, or the other way round",
        )?;
        // A record that keeps quiet about what it doesn't cover would be no honest one.
        let stated = self.clone().stated();
        demand(
            stated.covers == self.covers && stated.does_not_cover == self.does_not_cover,
            "it doesn't say what it covers and what not, as follows from the rest",
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    pub(crate) fn record(release: &str) -> DisposalRecord {
        DisposalRecord {
            format: FORMAT,
            delivery: "ab".repeat(16),
            attempt: "cd".repeat(8),
            grant: "G-1".to_owned(),
            dataset: "residents".to_owned(),
            provider: "public-security".to_owned(),
            recipient: "civil-affairs".to_owned(),
            manifest_sha256: "ef".repeat(32),
            release: release.to_owned(),
            key: (release == "online").then(|| DestroyedKey {
                kek: "d.a".to_owned(),
                provider: "local".to_owned(),
                protection: "none".to_owned(),
                extractable: true,
                answer: "removed".to_owned(),
                generation: 7,
                wrapped_sha256: vec!["00".repeat(32)],
                unwrapped_before: 1,
                trial: "there is no such key".to_owned(),
            }),
            statement: None,
            destination: "file:///outbox".to_owned(),
            files: Vec::new(),
            releases: 1,
            ledger_entry: 9,
            at: "2026-11-29T08:00:00Z".to_owned(),
            effective_after: None,
            covers: Vec::new(),
            does_not_cover: Vec::new(),
            software: "lockgate 0.1.0".to_owned(),
        }
        .stated()
    }

    #[test]
    fn a_record_opens_with_its_key_and_no_byte_of_it_is_free() {
        let bytes = record("online").sign(&key(1)).unwrap();
        let keys = [key(1).verifying_key()];
        assert_eq!(
            DisposalRecord::open(&bytes, &keys).unwrap(),
            record("online")
        );
        assert!(DisposalRecord::open(&bytes, &[key(2).verifying_key()]).is_err());
        for position in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[position] ^= 1;
            assert!(DisposalRecord::open(&altered, &keys).is_err(), "{position}");
        }
    }

    #[test]
    fn a_record_never_claims_more_than_was_done() {
        let said = |record: &DisposalRecord| record.does_not_cover.join("; ");
        assert!(said(&record("online")).contains("backups of the keyring"));
        assert!(said(&record("online")).contains("released to the recipient before (1 times)"));
        assert!(said(&record("offline")).contains("the recipient's copies"));
        assert!(said(&record("none")).contains("they were not sealed"));
        for release in ["online", "offline", "none"] {
            assert!(said(&record(release)).contains("plaintext"), "{release}");
            let mut quiet = record(release);
            quiet.does_not_cover.pop();
            assert!(quiet.sign(&key(1)).is_err());
        }
    }
}
