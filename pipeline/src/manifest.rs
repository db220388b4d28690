//! The manifest: the signed statement about a delivery.
//!
//! A delivery exists because its manifest does. It says what was delivered to whom, under which
//! grant, from which state of the source, how each field was treated, and which files with which
//! hashes make it up; it carries the proof that the release was in the ledger first. It is accepted
//! only as the exact bytes that were signed, and only if it adds up.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{SigningKey, VerifyingKey};
use lockgate_transforms::Counts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::canonical_json::{self, CanonicalError};
use crate::digest::{is_hex, sha256_hex};
use crate::dsse::{self, DsseError};
use crate::ledger::{InclusionProof, parse_time};

/// Type of the signed document.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.manifest+json";

/// File name of a manifest within its delivery.
pub const FILE_NAME: &str = "manifest.json";

/// The format this version writes and reads.
pub const FORMAT: u32 = 1;

/// Longest field name, in bytes.
const FIELD_NAME_MAX: usize = 128;

/// Why a manifest is not accepted, or cannot be made.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The signed envelope is not acceptable.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// The payload is not a manifest in canonical form.
    #[error("manifest: {0}")]
    Payload(CanonicalError),
    /// The manifest contradicts itself or the format.
    #[error("manifest: {0}")]
    Invalid(String),
}

/// The statement about a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of this document: 1.
    pub format: u32,
    /// Id of the delivery: the first 32 digits of the run key.
    pub delivery: String,
    /// Run key: 64 hexadecimal digits.
    pub run: String,
    /// Id of the attempt that made the files: 16 hexadecimal digits.
    pub attempt: String,
    /// The grant delivered under.
    pub grant: GrantReference,
    /// Hash of the plan that was executed.
    pub plan_sha256: String,
    /// Id of the dataset.
    pub dataset: String,
    /// Department that holds the data.
    pub provider: String,
    /// Id of the recipient.
    pub recipient: String,
    /// When it was made: RFC 3339, UTC, to the second.
    pub created: String,
    /// Program and version that made it.
    pub software: String,
    /// What was read.
    pub source: SourceStatement,
    /// Window of an incremental run; null for a whole one.
    pub window: Option<Value>,
    /// Fields delivered, in order.
    pub fields: Vec<FieldStatement>,
    /// Granted fields that are not delivered.
    pub withheld: Vec<WithheldStatement>,
    /// Files delivered, in the order of their rows.
    pub files: Vec<FileStatement>,
    /// What became of the rows.
    pub rows: Rows,
    /// Per field, how many values fell into which case.
    pub treatment_counts: BTreeMap<String, Counts>,
    /// How the data is marked; null where it is not.
    pub mark: Option<Value>,
    /// How files are sealed.
    pub seal: SealStatement,
    /// Proof that the release was in the ledger before the delivery was published.
    pub ledger: InclusionProof,
    /// SHA-256 of the previous manifest of this grant; null for its first.
    pub previous: Option<String>,
}

/// The grant delivered under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantReference {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// SHA-256 of its file.
    pub sha256: String,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceStatement {
    /// The state of the source: its files, its version, its nominal time.
    pub snapshot: Value,
    /// How that state was held to while reading.
    pub consistency: String,
}

/// A field delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldStatement {
    /// Its name.
    pub name: String,
    /// Its type as delivered, in catalogue notation.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Its type in the source.
    pub source_type: String,
    /// Its category.
    pub category: String,
    /// Its level: 1 to 4, or `"important"`.
    pub level: Value,
    /// Its treatment, every default spelled out.
    pub treatment: Value,
    /// Strength of the treatment, 0 to 5.
    pub strength: u8,
}

/// A granted field that is not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithheldStatement {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A file delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileStatement {
    /// Path relative to the manifest: `ATTEMPT/part-00000.parquet`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// What became of the rows: read = filtered + rejected + delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// Reached the engine.
    pub read: u64,
    /// Dropped by the grant's rows and divisions.
    pub filtered: u64,
    /// Skipped at the source; null if unknown.
    pub pruned: Option<u64>,
    /// Dropped for their values.
    pub rejected: u64,
    /// Delivered.
    pub delivered: u64,
}

impl Rows {
    /// Whether no row was lost or doubled.
    pub fn are_conserved(&self) -> bool {
        self.filtered
            .checked_add(self.rejected)
            .and_then(|sum| sum.checked_add(self.delivered))
            .is_some_and(|sum| sum == self.read)
    }
}

/// How files are sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealStatement {
    /// `none`, or the kind of seal.
    pub kind: String,
}

impl SealStatement {
    /// Files are not sealed.
    pub fn none() -> Self {
        Self {
            kind: "none".to_owned(),
        }
    }

    /// Whether files are sealed.
    pub fn is_sealed(&self) -> bool {
        self.kind != "none"
    }
}

impl Manifest {
    /// Signs the manifest; returns the bytes of `manifest.json`.
    ///
    /// # Errors
    /// A manifest that [`open`](Self::open) would not accept.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let payload = canonical_json::to_bytes(self).map_err(ManifestError::Payload)?;
        Ok(dsse::sign(PAYLOAD_TYPE, &payload, key)?)
    }

    /// Opens a manifest: signed by one of `keys`, in canonical form, and adding up.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn open(bytes: &[u8], keys: &[VerifyingKey]) -> Result<Self, ManifestError> {
        let (payload, _) = dsse::open(bytes, PAYLOAD_TYPE, keys)?;
        let manifest: Self = canonical_json::read(&payload).map_err(ManifestError::Payload)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// SHA-256 of a manifest's bytes, as the next manifest's `previous` and the ledger name it.
    pub fn sha256(bytes: &[u8]) -> String {
        sha256_hex(bytes)
    }

    fn check(&self) -> Result<(), ManifestError> {
        demand(self.format == FORMAT, || {
            format!(
                "format {} is not known to this version, which reads {FORMAT}",
                self.format
            )
        })?;
        self.check_ids()?;
        self.check_fields()?;
        self.check_files()?;
        demand(self.rows.are_conserved(), || {
            "rows read are not the sum of rows filtered, rejected and delivered".to_owned()
        })?;
        demand(self.ledger.index < self.ledger.size, || {
            "the ledger proof is for an entry beyond its size".to_owned()
        })
    }

    fn check_ids(&self) -> Result<(), ManifestError> {
        let hashes = [
            ("run", &self.run, 64),
            ("delivery", &self.delivery, 32),
            ("attempt", &self.attempt, 16),
            ("grant.sha256", &self.grant.sha256, 64),
            ("plan_sha256", &self.plan_sha256, 64),
        ];
        let previous = self
            .previous
            .iter()
            .map(|previous| ("previous", previous, 64));
        for (name, text, digits) in hashes.into_iter().chain(previous) {
            demand(is_hex(text, digits), || {
                format!("`{name}` is not {digits} lower-case hexadecimal digits")
            })?;
        }
        demand(self.run.starts_with(&self.delivery), || {
            "`delivery` is not the beginning of `run`".to_owned()
        })?;
        demand(parse_time(&self.created).is_some(), || {
            "`created` is not of the form 2026-01-31T08:00:00Z".to_owned()
        })
    }

    fn check_fields(&self) -> Result<(), ManifestError> {
        let mut names = BTreeSet::new();
        let withheld = self.withheld.iter().map(|field| &field.name);
        for name in self.fields.iter().map(|field| &field.name).chain(withheld) {
            demand(
                !name.is_empty()
                    && name.len() <= FIELD_NAME_MAX
                    && !name.chars().any(char::is_control),
                || "a field has a name that no field can have".to_owned(),
            )?;
            demand(names.insert(name), || {
                format!("field \"{name}\" is named twice")
            })?;
        }
        demand(!self.fields.is_empty(), || {
            "no field is delivered".to_owned()
        })?;
        for name in self.treatment_counts.keys() {
            demand(self.fields.iter().any(|field| field.name == *name), || {
                "`treatment_counts` names a field that is not delivered".to_owned()
            })?;
        }
        Ok(())
    }

    fn check_files(&self) -> Result<(), ManifestError> {
        let mut paths = BTreeSet::new();
        let mut rows = Some(0u64);
        for (position, file) in self.files.iter().enumerate() {
            demand(is_file_path(&file.path, &self.attempt), || {
                format!("path of file {position} is not `ATTEMPT/NAME` with its own attempt")
            })?;
            demand(paths.insert(&file.path), || {
                format!("file `{}` is named twice", file.path)
            })?;
            demand(is_hex(&file.sha256, 64), || {
                format!(
                    "file `{}`: `sha256` is not 64 lower-case hexadecimal digits",
                    file.path
                )
            })?;
            rows = rows.and_then(|sum| sum.checked_add(file.rows));
        }
        demand(rows == Some(self.rows.delivered), || {
            "rows delivered are not the sum of the files' rows".to_owned()
        })
    }
}

/// The attempt that a manifest names, whoever signed it and whatever its format: enough to tell which
/// files must not be swept and whose release stands, and nothing to trust. Absent if the bytes are no
/// manifest.
pub fn attempt_named(bytes: &[u8]) -> Option<String> {
    let payload: Value = serde_json::from_slice(&dsse::unverified_payload(bytes)?).ok()?;
    payload.get("attempt")?.as_str().map(str::to_owned)
}

/// `ATTEMPT/NAME`: one folder, then a name of letters, digits, `.`, `_` and `-` that does not begin
/// with a point. Nothing else can leave the delivery's folder or mean a device or a drive.
fn is_file_path(path: &str, attempt: &str) -> bool {
    path.split_once('/').is_some_and(|(folder, name)| {
        folder == attempt
            && !name.is_empty()
            && !name.starts_with('.')
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    })
}

fn demand(holds: bool, what: impl FnOnce() -> String) -> Result<(), ManifestError> {
    if holds {
        Ok(())
    } else {
        Err(ManifestError::Invalid(what()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::ledger::{Checkpoint, tree};

    pub(crate) const ATTEMPT: &str = "00112233445566aa";

    pub(crate) fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// A small, valid manifest of fixed content.
    pub(crate) fn manifest() -> Manifest {
        let run = "0123456789abcdef".repeat(4);
        let entry = format!(
            "{{\"at\":\"2026-03-01T00:00:00Z\",\"attempt\":\"{ATTEMPT}\",\"config\":{{}},\"delivery\":\"0123456789abcdef0123456789abcdef\",\"destination\":\"file:///outbox\",\"event\":\"release-intended\",\"grant\":\"G-2026-0117\",\"grant_version\":1,\"join_groups\":[],\"plan_sha256\":\"{}\",\"rows\":7,\"run\":\"{run}\",\"salt\":\"{}\"}}",
            "22".repeat(32),
            "07".repeat(16)
        );
        let checkpoint = Checkpoint {
            origin: "lockgate.local/0011223344556677".to_owned(),
            size: 1,
            root: tree::leaf_hash(entry.as_bytes()),
        };
        Manifest {
            format: 1,
            delivery: "0123456789abcdef".repeat(2),
            run,
            attempt: ATTEMPT.to_owned(),
            grant: GrantReference {
                id: "G-2026-0117".to_owned(),
                version: 1,
                sha256: "11".repeat(32),
            },
            plan_sha256: "22".repeat(32),
            dataset: "residents".to_owned(),
            provider: "public-security".to_owned(),
            recipient: "civil-affairs".to_owned(),
            created: "2026-03-01T00:00:01Z".to_owned(),
            software: "lockgate 0.1.0".to_owned(),
            source: SourceStatement {
                snapshot: json!([{"path": "residents/a.parquet", "size": 4711}]),
                consistency: "files unchanged while read".to_owned(),
            },
            window: None,
            fields: vec![FieldStatement {
                name: "姓名".to_owned(),
                data_type: "utf8".to_owned(),
                source_type: "utf8".to_owned(),
                category: "person-name".to_owned(),
                level: json!(3),
                treatment: json!({"kind": "keep-ends", "first": 1, "last": 0, "fill": "*"}),
                strength: 1,
            }],
            withheld: vec![WithheldStatement {
                name: "mobile".to_owned(),
                reason: "no rule of the policy matches".to_owned(),
            }],
            files: vec![FileStatement {
                path: format!("{ATTEMPT}/part-00000.parquet"),
                bytes: 1234,
                rows: 7,
                sha256: "33".repeat(32),
            }],
            rows: Rows {
                read: 10,
                filtered: 2,
                pruned: None,
                rejected: 1,
                delivered: 7,
            },
            treatment_counts: BTreeMap::from([(
                "姓名".to_owned(),
                Counts {
                    rows: 8,
                    short: 1,
                    ..Counts::default()
                },
            )]),
            mark: None,
            seal: SealStatement::none(),
            ledger: InclusionProof {
                checkpoint: checkpoint.sign(&key(2)),
                entry,
                hashes: Vec::new(),
                index: 0,
                size: 1,
            },
            previous: None,
        }
    }

    #[test]
    fn a_signed_manifest_opens_with_its_key_only() {
        let bytes = manifest().sign(&key(1)).unwrap();
        assert_eq!(
            Manifest::open(&bytes, &[key(1).verifying_key()]).unwrap(),
            manifest()
        );
        assert!(Manifest::open(&bytes, &[key(2).verifying_key()]).is_err());
        assert!(Manifest::open(&bytes, &[]).is_err());
    }

    #[test]
    fn the_attempt_is_told_whoever_signed_and_whatever_the_format() {
        let bytes = manifest().sign(&key(9)).unwrap();
        assert_eq!(attempt_named(&bytes).as_deref(), Some(ATTEMPT));
        let later = dsse::sign(PAYLOAD_TYPE, br#"{"attempt":"a","format":7}"#, &key(9)).unwrap();
        assert_eq!(attempt_named(&later).as_deref(), Some("a"));
        assert_eq!(attempt_named(b"{}"), None);
    }

    #[test]
    fn an_approval_is_not_a_manifest() {
        let payload = canonical_json::to_bytes(&manifest()).unwrap();
        let approval =
            dsse::sign("application/vnd.lockgate.approval+json", &payload, &key(1)).unwrap();
        assert!(Manifest::open(&approval, &[key(1).verifying_key()]).is_err());
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_found() {
        let bytes = manifest().sign(&key(1)).unwrap();
        let keys = [key(1).verifying_key()];
        for position in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[position] ^= 1 << (position % 8);
            assert!(Manifest::open(&altered, &keys).is_err(), "byte {position}");
            assert!(Manifest::open(&bytes[..position], &keys).is_err());
        }
    }

    #[test]
    fn a_signed_payload_of_another_form_is_refused() {
        let payload = String::from_utf8(canonical_json::to_bytes(&manifest()).unwrap()).unwrap();
        for altered in [
            payload.replacen(':', ": ", 1),
            payload.replacen("\"attempt\"", "\"an\":1,\"attempt\"", 1),
            payload.replacen("\"window\":null", "\"zz\":null", 1),
            payload.replacen(",\"window\":null", "", 1),
            payload.replacen("\"pruned\":null,", "", 1),
            payload.replacen("\"strength\":1", "\"strength\":1.0", 1),
            payload.replacen("\"rows\":7,", "\"rows\":7,\"rows\":7,", 1),
        ] {
            assert_ne!(altered, payload);
            let bytes = dsse::sign(PAYLOAD_TYPE, altered.as_bytes(), &key(1)).unwrap();
            assert!(
                Manifest::open(&bytes, &[key(1).verifying_key()]).is_err(),
                "{altered}"
            );
        }
    }

    #[test]
    fn contradictions_are_neither_signed_nor_opened() {
        type Change = fn(&mut Manifest);
        let changes: [(&str, Change); 22] = [
            ("format", |m| m.format = 2),
            ("rows", |m| m.rows.read = 11),
            ("overflow", |m| m.rows.rejected = u64::MAX),
            ("file rows", |m| m.files[0].rows = 6),
            ("file rows overflow", |m| {
                m.files.push(FileStatement {
                    path: format!("{ATTEMPT}/x"),
                    bytes: 0,
                    rows: u64::MAX,
                    sha256: "00".repeat(32),
                })
            }),
            ("absolute", |m| m.files[0].path = "/etc/passwd".to_owned()),
            ("parent", |m| m.files[0].path = format!("{ATTEMPT}/..")),
            ("deeper", |m| {
                m.files[0].path = format!("{ATTEMPT}/a/../../b")
            }),
            ("other attempt", |m| {
                m.files[0].path = "ffffffffffffffff/part".to_owned()
            }),
            ("backslash", |m| m.files[0].path = format!("{ATTEMPT}/a\\b")),
            ("drive", |m| m.files[0].path = format!("{ATTEMPT}/c:")),
            ("empty", |m| m.files[0].path = format!("{ATTEMPT}/")),
            ("twice", |m| {
                let file = FileStatement {
                    rows: 0,
                    ..m.files[0].clone()
                };
                m.files.push(file);
            }),
            ("hash", |m| m.files[0].sha256 = "33".repeat(31)),
            ("upper case", |m| m.plan_sha256 = "AA".repeat(32)),
            ("delivery", |m| m.delivery = "f".repeat(32)),
            ("attempt", |m| m.attempt = String::new()),
            ("created", |m| m.created = "2026-03-01 00:00:00".to_owned()),
            ("field twice", |m| m.withheld[0].name = "姓名".to_owned()),
            ("control", |m| m.fields[0].name = "a\u{0}".to_owned()),
            ("no field", |m| m.fields.clear()),
            ("counts", |m| {
                m.treatment_counts = BTreeMap::from([("x".to_owned(), Counts::default())])
            }),
        ];
        for (name, change) in changes {
            let mut altered = manifest();
            change(&mut altered);
            assert!(
                matches!(altered.sign(&key(1)), Err(ManifestError::Invalid(_))),
                "{name}"
            );
            let payload = canonical_json::to_bytes(&altered).unwrap();
            let bytes = dsse::sign(PAYLOAD_TYPE, &payload, &key(1)).unwrap();
            assert!(
                Manifest::open(&bytes, &[key(1).verifying_key()]).is_err(),
                "{name}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Manifest::open(&bytes, &[key(1).verifying_key()]).is_err());
            let signed = dsse::sign(PAYLOAD_TYPE, &bytes, &key(1)).unwrap();
            prop_assert!(Manifest::open(&signed, &[key(1).verifying_key()]).is_err());
        }
    }
}
