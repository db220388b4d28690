//! The record of a disposal: what was destroyed and removed, what it covers, and what it can't.

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::digest::is_hex;
use crate::dsse::{self, Document, DocumentError, demand};
use crate::ledger::parse_time;

/// Type of the signed document.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.disposal+json";

/// Name of the record beside the manifest of what was disposed of.
pub const FILE_NAME: &str = "disposal.json";

/// The format this version writes and reads.
pub const FORMAT: u32 = 1;

/// Most bytes of a record that is read.
pub const BYTES_MAX: usize = 64 << 20;

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
    /// SHA-256 of each wrapped data key that was found in the delivery's files: what nothing unwraps
    /// any more.
    pub wrapped_sha256: Vec<String>,
    /// How many of them were unwrapped as a control right before: all, or none where the key was gone or
    /// the control is lost.
    pub unwrapped_before: u64,
    /// Whether the key had been destroyed before the disposal was asked for, so that no control could
    /// be made.
    pub gone_before: bool,
    /// Whether this very disposal destroyed the key in an earlier call, and what that had noted of the
    /// control is lost.
    pub control_lost: bool,
    /// Files whose wrapped keys could not be read: they were gone or damaged.
    pub not_controlled: Vec<String>,
    /// What the provider answered when asked to use the key afterwards.
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

/// A file of the delivery: that it isn't there any more was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovedFile {
    /// Path relative to the manifest.
    pub path: String,
    /// Its size, as the manifest states it.
    pub bytes: u64,
    /// SHA-256 of its bytes, as the manifest states it.
    pub sha256: String,
    /// Whether it was there when the disposal began; where not, somebody else had removed it.
    pub was_there: bool,
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
    /// The manifest's files, none of which is there any more.
    pub files: Vec<RemovedFile>,
    /// Whether the manifest was gone from the destination, so that nothing was found there to remove.
    pub destination_gone: bool,
    /// Attempts at the delivery that came to nothing and were removed with it.
    pub other_attempts: u64,
    /// A copy that was named when the disposal was asked for and was not removed; null if none was.
    pub copy_left: Option<String>,
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
        if self.destination_gone {
            not.push(
                "what lay at the destination: the delivery was not there any more, and whoever moved or \
                 removed it did so without a record"
                    .to_owned(),
            );
        } else if self.files.iter().all(|file| file.was_there) {
            covers.push("the files of the delivery at its destination were removed".to_owned());
        } else {
            covers.push(
                "the files of the delivery at its destination were removed, or were gone before as \
                 `files` says"
                    .to_owned(),
            );
        }
        if let Some(copy) = &self.copy_left {
            not.push(format!(
                "the copy at {copy}, which was named when this was asked for: its files are still there"
            ));
        }
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
            self.limits_of(key, &mut not);
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

    /// What the destruction of the key doesn't cover.
    fn limits_of(&self, key: &DestroyedKey, not: &mut Vec<String>) {
        not.push(match &self.effective_after {
            Some(day) => format!(
                "backups of the keyring made before: until they expire on {day} they can bring the \
                 key back"
            ),
            None => {
                "backups of the keyring made before: as long as one is kept, it can bring the key \
                     back; no day was named on which they expire"
                    .to_owned()
            }
        });
        if key.gone_before {
            not.push(
                "whether the key opened the files: it had been destroyed before this was asked for, so \
                 that no control could be made"
                    .to_owned(),
            );
        } else if key.control_lost {
            not.push(
                "whether the key opened the files: what was noted of the control is lost"
                    .to_owned(),
            );
        } else if !key.not_controlled.is_empty() {
            not.push(format!(
                "whether the key opened {} files that could not be read as a control",
                key.not_controlled.len()
            ));
        }
        if key.extractable {
            not.push(
                "copies of the key that whoever could use the keyring may have made: nothing shows that \
                 keys could not be read out of it"
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

    /// Signs the record; gives the envelope.
    ///
    /// # Errors
    /// A record that [`open`](Self::open) would not accept.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, DocumentError> {
        dsse::sign_document(self, key)
    }

    /// Opens a record: signed by one of the site's manifest keys, in canonical form.
    ///
    /// # Errors
    /// See [`DocumentError`].
    pub fn open(bytes: &[u8], keys: &[VerifyingKey]) -> Result<Self, DocumentError> {
        let (record, _) = dsse::open_document(bytes, keys)?;
        Ok(record)
    }
}

impl Document for DisposalRecord {
    const PAYLOAD_TYPE: &'static str = PAYLOAD_TYPE;
    const NAME: &'static str = "disposal record";

    fn check(&self, _: &VerifyingKey) -> Result<(), &'static str> {
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
        let controlled = self.key.iter().all(|key| {
            let wrapped = u64::try_from(key.wrapped_sha256.len());
            let is_uncontrolled = key.gone_before || key.control_lost;
            wrapped == Ok(key.unwrapped_before)
                && !(is_uncontrolled && key.unwrapped_before > 0)
                && !(key.gone_before && key.control_lost)
        });
        demand(
            controlled,
            "not every wrapped key that it names was unwrapped as a control",
        )?;
        demand(
            !self.destination_gone || self.files.iter().all(|file| !file.was_there),
            "files were removed at a destination that was gone",
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
                gone_before: false,
                control_lost: false,
                not_controlled: Vec::new(),
                trial: "there is no such key".to_owned(),
            }),
            statement: None,
            destination: "file:///outbox".to_owned(),
            files: vec![RemovedFile {
                path: "part-00000.parquet".to_owned(),
                bytes: 12,
                sha256: "12".repeat(32),
                was_there: true,
            }],
            destination_gone: false,
            other_attempts: 0,
            copy_left: None,
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
    fn a_control_that_is_lost_is_not_said_to_have_been_impossible() {
        let mut lost = record("online");
        let key_of = lost.key.as_mut().unwrap();
        key_of.control_lost = true;
        key_of.wrapped_sha256.clear();
        key_of.unwrapped_before = 0;
        let mut lost = lost.stated();
        let not = lost.does_not_cover.join("\n");
        assert!(not.contains("is lost"), "{not}");
        assert!(!not.contains("before this was asked for"), "{not}");
        lost.sign(&key(1)).unwrap();
        lost.key.as_mut().unwrap().gone_before = true;
        assert!(lost.stated().sign(&key(1)).is_err());
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

    #[test]
    fn a_record_says_what_was_not_there_and_what_was_not_controlled() {
        let resigned = |change: &dyn Fn(&mut DisposalRecord)| {
            let mut changed = record("online");
            change(&mut changed);
            changed.stated()
        };
        let said = |record: &DisposalRecord| record.does_not_cover.join("; ");
        let gone = resigned(&|record| {
            record.destination_gone = true;
            record.files[0].was_there = false;
        });
        assert!(gone.sign(&key(1)).is_ok());
        assert!(!gone.covers.join("; ").contains("files of the delivery"));
        assert!(said(&gone).contains("was not there any more"));
        let partly = resigned(&|record| record.files[0].was_there = false);
        assert!(partly.covers[0].contains("or were gone before"));
        let copy = resigned(&|record| record.copy_left = Some("file:///copy".to_owned()));
        assert!(said(&copy).contains("the copy at file:///copy"));
        let unread = resigned(&|record| {
            let key = record.key.as_mut().unwrap();
            key.not_controlled = vec!["part-00001.parquet".to_owned()];
        });
        assert!(said(&unread).contains("opened 1 files that could not be read"));
        let bare = |record: &mut DisposalRecord| {
            let key = record.key.as_mut().unwrap();
            key.gone_before = true;
            key.wrapped_sha256.clear();
            key.unwrapped_before = 0;
        };
        let before = resigned(&bare);
        assert!(before.sign(&key(1)).is_ok());
        assert!(said(&before).contains("no control could be made"));
        // Nobody unwraps with a key that is gone, or leaves out what wasn't unwrapped.
        let claimed = resigned(&|record| record.key.as_mut().unwrap().gone_before = true);
        assert!(claimed.sign(&key(1)).is_err());
        let claimed = resigned(&|record| record.key.as_mut().unwrap().unwrapped_before = 0);
        assert!(claimed.sign(&key(1)).is_err());
        let claimed = resigned(&|record| record.destination_gone = true);
        assert!(claimed.sign(&key(1)).is_err());
    }
}
