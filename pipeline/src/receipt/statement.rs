//! What a receipt says, and the one form in which it is signed and read.

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::cosignature::{cosign, cosigner, verify};
use crate::digest::is_hex;
use crate::dsse::{self, Document, DocumentError, demand};
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

/// What a recipient acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiptKind {
    /// It has the delivery, whole and verified.
    Received,
    /// It used the delivery: how, what came of it and where the data is kept.
    Used,
    /// It destroyed every copy of the delivery that it held.
    Destroyed,
}

impl ReceiptKind {
    /// As written in documents and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Used => "used",
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

/// What a recipient says of its use of a delivery, beside `statement`, which says what was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Use {
    /// Where the data is kept.
    pub storage: String,
    /// What came of it.
    pub outcome: String,
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
    /// What the recipient adds in words; null if nothing. Of a use, what was done.
    pub statement: Option<String>,
    /// How the data was used; only where that is what is acknowledged.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub used: Option<Use>,
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
            used: None,
            at: String::new(),
            software: crate::run::SOFTWARE.to_owned(),
        }
    }

    /// Cosigns the checkpoint and signs the receipt; gives the envelope.
    ///
    /// # Errors
    /// A receipt that [`open`](Self::open) would not accept.
    pub fn sign(mut self, key: &SigningKey) -> Result<Vec<u8>, DocumentError> {
        let invalid = |what| DocumentError::Invalid(Self::NAME, what);
        let seconds = self.seconds().map_err(invalid)?;
        let name = cosigner(&self.recipient);
        self.cosignature = cosign(&self.checkpoint, &name, seconds, key)
            .ok_or_else(|| invalid("its checkpoint is none"))?;
        dsse::sign_document(&self, key)
    }

    /// Opens a receipt: signed by one of `keys`, which cosigned its checkpoint too, in canonical form;
    /// gives the key.
    ///
    /// # Errors
    /// See [`DocumentError`].
    pub fn open(
        bytes: &[u8],
        keys: &[VerifyingKey],
    ) -> Result<(Self, VerifyingKey), DocumentError> {
        dsse::open_document(bytes, keys)
    }

    /// The recipient in whose name a receipt is, whoever signed it: only to look up whose keys it has
    /// to be opened with.
    pub fn claimed_recipient(bytes: &[u8]) -> Option<String> {
        /// All else that it says is passed over, however much that is.
        #[derive(Deserialize)]
        struct Claimed {
            recipient: String,
        }

        let payload = dsse::unverified_payload(bytes)?;
        let claimed: Claimed = serde_json::from_slice(&payload).ok()?;
        Some(claimed.recipient)
    }

    fn seconds(&self) -> Result<u64, &'static str> {
        parse_time(&self.at)
            .and_then(|at| u64::try_from(at.timestamp()).ok())
            .ok_or("`at` is not of the form 2026-01-31T08:00:00Z")
    }
}

impl Document for Receipt {
    const PAYLOAD_TYPE: &'static str = PAYLOAD_TYPE;
    const NAME: &'static str = "receipt";

    fn check(&self, key: &VerifyingKey) -> Result<(), &'static str> {
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
            self.checked.manifest && self.checked.ledger,
            "it acknowledges a delivery whose manifest or checkpoint was not checked",
        )?;
        demand(
            self.kind != ReceiptKind::Received || self.checked.files,
            "it acknowledges files that were not checked",
        )?;
        let used = self.used.iter();
        let mut words = used
            .flat_map(|used| [&used.storage, &used.outcome])
            .chain(&self.statement);
        demand(
            words.all(|text| is_statement(text)),
            "what it says in words is empty, too long, or has control characters",
        )?;
        let tells = self.used.is_some() && self.statement.is_some();
        demand(
            match self.kind {
                ReceiptKind::Used => tells,
                ReceiptKind::Received | ReceiptKind::Destroyed => self.used.is_none(),
            },
            "it doesn't say how the data was used, or says so where it acknowledges something else",
        )?;
        let cosigned = verify(
            &self.checkpoint,
            &self.cosignature,
            &cosigner(&self.recipient),
            key,
        )
        .ok_or("its checkpoint isn't cosigned by the key that signed it")?;
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
    use crate::canonical_json;
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
            used: None,
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
        assert!(unchecked.clone().sign(&key(1)).is_ok());
        unchecked.checked.ledger = false;
        assert!(unchecked.clone().sign(&key(1)).is_err());
        unchecked.checked.ledger = true;
        unchecked.checked.manifest = false;
        assert!(unchecked.sign(&key(1)).is_err());
    }

    #[test]
    fn a_use_is_told_whole_and_nothing_else_tells_one() {
        let told = || Use {
            storage: "政务云，加密卷".to_owned(),
            outcome: "复核 3 户".to_owned(),
        };
        let mut used = receipt();
        used.kind = ReceiptKind::Used;
        assert!(used.clone().sign(&key(1)).is_err());
        used.used = Some(told());
        let bytes = used.clone().sign(&key(1)).unwrap();
        let (opened, _) = Receipt::open(&bytes, &[key(1).verifying_key()]).unwrap();
        assert_eq!(opened.used, Some(told()));
        used.statement = None;
        assert!(used.sign(&key(1)).is_err());
        let mut received = receipt();
        received.used = Some(told());
        assert!(received.sign(&key(1)).is_err());
    }

    #[test]
    fn words_are_bounded() {
        for text in ["", "  ", "a\u{7}b", &"字".repeat(501)] {
            let mut worded = receipt();
            worded.statement = Some(text.to_owned());
            assert!(worded.clone().sign(&key(1)).is_err(), "{text}");
            worded.kind = ReceiptKind::Used;
            worded.statement = Some("what was done".to_owned());
            worded.used = Some(Use {
                storage: "here".to_owned(),
                outcome: text.to_owned(),
            });
            assert!(worded.sign(&key(1)).is_err(), "{text}");
        }
    }
}
