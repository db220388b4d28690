//! What a receipt says, and the one form in which it is signed and read.

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::cosignature::{cosign, cosigner, verify};
use crate::canonical_json::{self, CanonicalError};
use crate::digest::is_hex;
use crate::dsse::{self, DsseError};
use crate::ledger::parse_time;
use crate::manifest::Manifest;

/// Type of the signed document.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.receipt+json";

/// The format this version writes and reads.
const FORMAT: u32 = 1;

/// Most bytes of a receipt that is read.
pub const BYTES_MAX: u64 = 1 << 20;

/// Most characters of what a recipient adds in words.
const STATEMENT_CHARACTERS_MAX: usize = 500;

/// How far the time of a cosignature may be from that of its receipt, in seconds.
const APART_MAX: u64 = 60;

/// Why a receipt is not accepted, or can't be made.
#[derive(Debug, Error)]
pub enum ReceiptError {
    /// The signed envelope is not acceptable.
    #[error("receipt: {0}")]
    Envelope(#[from] DsseError),
    /// The payload is not a receipt in canonical form.
    #[error("receipt: {0}")]
    Payload(CanonicalError),
    /// The receipt contradicts itself or the format.
    #[error("receipt: {0}")]
    Invalid(&'static str),
}

/// What a recipient acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiptKind {
    /// It has the delivery, whole and verified.
    Received,
    /// It destroyed every copy of the delivery that it held.
    Destroyed,
}

impl ReceiptKind {
    /// As written in documents and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Destroyed => "destroyed",
        }
    }
}

/// What a recipient checked before it signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// The manifest's signature, under a key that didn't come with the delivery.
    pub manifest: bool,
    /// Size and SHA-256 of every file; rows and fields where files are not sealed.
    pub files: bool,
    /// The signature of the ledger's checkpoint.
    pub ledger: bool,
    /// What the check noted.
    pub notes: Vec<String>,
}

/// A recipient's signed acknowledgement of one delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Format of this document: 1.
    pub format: u32,
    /// What is acknowledged.
    pub kind: ReceiptKind,
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
    /// SHA-256 of the manifest's bytes.
    pub manifest_sha256: String,
    /// Files of the delivery.
    pub files: u64,
    /// Rows of the delivery.
    pub rows: u64,
    /// What was checked.
    pub checked: Checked,
    /// The ledger's checkpoint that the recipient saw: that of the manifest.
    pub checkpoint: String,
    /// The recipient's own signature over that checkpoint, as a line of a signed note.
    pub cosignature: String,
    /// What the recipient adds in words; null if nothing.
    pub statement: Option<String>,
    /// When it was signed: RFC 3339, UTC, to the second.
    pub at: String,
    /// Program and version that made it.
    pub software: String,
}

impl Receipt {
    /// What a receipt of a delivery says of it, before it is cosigned.
    pub(super) fn of(manifest: &Manifest, manifest_sha256: String, kind: ReceiptKind) -> Self {
        Self {
            format: FORMAT,
            kind,
            delivery: manifest.delivery.clone(),
            attempt: manifest.attempt.clone(),
            grant: manifest.grant.id.clone(),
            dataset: manifest.dataset.clone(),
            provider: manifest.provider.clone(),
            recipient: manifest.recipient.clone(),
            manifest_sha256,
            files: u64::try_from(manifest.files.len()).unwrap_or(u64::MAX),
            rows: manifest.rows.delivered,
            checked: Checked {
                manifest: true,
                files: false,
                ledger: false,
                notes: Vec::new(),
            },
            checkpoint: manifest.ledger.checkpoint.clone(),
            cosignature: String::new(),
            statement: None,
            at: String::new(),
            software: crate::run::SOFTWARE.to_owned(),
        }
    }

    /// Cosigns the checkpoint and signs the receipt; gives the envelope.
    ///
    /// # Errors
    /// A receipt that [`open`](Self::open) would not accept.
    pub fn sign(mut self, key: &SigningKey) -> Result<Vec<u8>, ReceiptError> {
        let seconds = self.seconds()?;
        let name = cosigner(&self.recipient);
        self.cosignature = cosign(&self.checkpoint, &name, seconds, key)
            .ok_or(ReceiptError::Invalid("its checkpoint is none"))?;
        self.check(&key.verifying_key())?;
        let payload = canonical_json::to_bytes(&self).map_err(ReceiptError::Payload)?;
        Ok(dsse::sign(PAYLOAD_TYPE, &payload, key)?)
    }

    /// Opens a receipt: signed by one of `keys`, which cosigned its checkpoint too, in canonical form;
    /// gives the key.
    ///
    /// # Errors
    /// See [`ReceiptError`].
    pub fn open(bytes: &[u8], keys: &[VerifyingKey]) -> Result<(Self, VerifyingKey), ReceiptError> {
        let (payload, key) = dsse::open(bytes, PAYLOAD_TYPE, keys)?;
        let receipt: Self = canonical_json::read(&payload).map_err(ReceiptError::Payload)?;
        receipt.check(&key)?;
        Ok((receipt, key))
    }

    /// The recipient in whose name a receipt is, whoever signed it: only to look up whose keys it has
    /// to be opened with.
    pub fn claimed_recipient(bytes: &[u8]) -> Option<String> {
        let payload: serde_json::Value =
            serde_json::from_slice(&dsse::unverified_payload(bytes)?).ok()?;
        payload.get("recipient")?.as_str().map(str::to_owned)
    }

    fn seconds(&self) -> Result<u64, ReceiptError> {
        parse_time(&self.at)
            .and_then(|at| u64::try_from(at.timestamp()).ok())
            .ok_or(ReceiptError::Invalid(
                "`at` is not of the form 2026-01-31T08:00:00Z",
            ))
    }

    fn check(&self, key: &VerifyingKey) -> Result<(), ReceiptError> {
        let demand = |holds: bool, what| match holds {
            true => Ok(()),
            false => Err(ReceiptError::Invalid(what)),
        };
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
            self.kind == ReceiptKind::Destroyed || self.checked.files,
            "it acknowledges files that were not checked",
        )?;
        let words = self.statement.iter();
        demand(
            words.clone().all(|text| is_statement(text)),
            "its statement is empty, too long, or has control characters",
        )?;
        let cosigned = verify(
            &self.checkpoint,
            &self.cosignature,
            &cosigner(&self.recipient),
            key,
        )
        .ok_or(ReceiptError::Invalid(
            "its checkpoint isn't cosigned by the key that signed it",
        ))?;
        demand(
            cosigned.abs_diff(self.seconds()?) <= APART_MAX,
            "receipt and cosignature are of different times",
        )
    }
}

/// Whether a text may stand in a receipt as what a recipient adds.
pub(super) fn is_statement(text: &str) -> bool {
    !text.trim().is_empty()
        && text.chars().count() <= STATEMENT_CHARACTERS_MAX
        && !text.chars().any(char::is_control)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ledger::Checkpoint;

    pub(crate) fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    pub(crate) fn receipt() -> Receipt {
        let checkpoint = Checkpoint {
            origin: "lockgate.local/0011223344556677".to_owned(),
            size: 12,
            root: [3; 32],
        };
        Receipt {
            format: FORMAT,
            kind: ReceiptKind::Received,
            delivery: "ab".repeat(16),
            attempt: "cd".repeat(8),
            grant: "G-1".to_owned(),
            dataset: "residents".to_owned(),
            provider: "public-security".to_owned(),
            recipient: "civil-affairs".to_owned(),
            manifest_sha256: "ef".repeat(32),
            files: 1,
            rows: 3,
            checked: Checked {
                manifest: true,
                files: true,
                ledger: true,
                notes: vec!["a note".to_owned()],
            },
            checkpoint: checkpoint.sign(&key(9)),
            cosignature: String::new(),
            statement: Some("收到，核对无误".to_owned()),
            at: "2026-11-29T08:00:00Z".to_owned(),
            software: "lockgate 0.1.0".to_owned(),
        }
    }

    #[test]
    fn a_receipt_opens_with_the_key_that_signed_it() {
        let bytes = receipt().sign(&key(1)).unwrap();
        let keys = [key(2).verifying_key(), key(1).verifying_key()];
        let (opened, by) = Receipt::open(&bytes, &keys).unwrap();
        assert_eq!(by, key(1).verifying_key());
        assert_eq!(opened.rows, 3);
        assert_eq!(
            Receipt::claimed_recipient(&bytes).as_deref(),
            Some("civil-affairs")
        );
        assert!(Receipt::open(&bytes, &keys[..1]).is_err());
    }

    #[test]
    fn every_flipped_byte_is_found() {
        let bytes = receipt().sign(&key(1)).unwrap();
        let keys = [key(1).verifying_key()];
        for position in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[position] ^= 1;
            assert!(Receipt::open(&altered, &keys).is_err(), "byte {position}");
        }
    }

    #[test]
    fn a_checkpoint_cosigned_by_another_key_is_refused() {
        let mut receipt = receipt();
        receipt.cosignature = cosign(
            &receipt.checkpoint,
            &cosigner("civil-affairs"),
            receipt.seconds().unwrap(),
            &key(2),
        )
        .unwrap();
        let payload = canonical_json::to_bytes(&receipt).unwrap();
        let bytes = dsse::sign(PAYLOAD_TYPE, &payload, &key(1)).unwrap();
        assert!(Receipt::open(&bytes, &[key(1).verifying_key()]).is_err());
    }

    #[test]
    fn nothing_is_acknowledged_that_was_not_checked() {
        let mut unchecked = receipt();
        unchecked.checked.files = false;
        assert!(unchecked.clone().sign(&key(1)).is_err());
        unchecked.kind = ReceiptKind::Destroyed;
        assert!(unchecked.sign(&key(1)).is_ok());
    }

    #[test]
    fn words_are_bounded() {
        for text in ["", "  ", "a\u{7}b", &"字".repeat(501)] {
            let mut worded = receipt();
            worded.statement = Some(text.to_owned());
            assert!(worded.sign(&key(1)).is_err(), "{text}");
        }
    }
}
