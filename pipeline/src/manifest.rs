//! The manifest: the signed statement about a delivery.
//!
//! A delivery exists because its manifest does. It says what was delivered to whom, under which
//! grant, from which state of the source, how each field was treated, and which files with which
//! hashes make it up; it carries the proof that the release was in the ledger first. It is accepted
//! only as the exact bytes that were signed, and only if it adds up.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{SigningKey, VerifyingKey};
use lockgate_connectors::format::write::RowFormat;
use lockgate_connectors::seal::Suite;
use lockgate_transforms::Counts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::canonical_json::{self, CanonicalError};
use crate::digest::{is_hex, sha256_hex};
use crate::dsse::{self, DsseError};
use crate::ledger::{InclusionProof, parse_time};
use crate::marks::MarkStatement;

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
    /// The attempt as cells of `encrypt-rand` carry it: 32 hexadecimal digits. Cells of a treatment within
    /// another carry an id that [follows from it](lockgate_transforms::ChunkId::part); one with neither is of
    /// another delivery. Left out where no field has such cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell_attempt: Option<String>,
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
    /// How files of rows are written; left out for Parquet, which describes itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<FormStatement>,
    /// What became of the rows.
    pub rows: Rows,
    /// Per field, how many values fell into which case, and how many rows its treatment rejected or
    /// left out on purpose, by reason. Rows left out are among `rows.filtered`.
    pub treatment_counts: BTreeMap<String, Counts>,
    /// How the data is marked; null where it is not.
    pub mark: Option<MarkStatement>,
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
    /// Its treatment, every default spelled out; of what may quote values of rows, only that it is
    /// there (`"…"` for a condition) or how many (entries of a list, sentinels).
    pub treatment: Value,
    /// Strength of the treatment, 0 to 5.
    pub strength: u8,
    /// Versions of the keys that it was treated with, by purpose (`pseudonym`, `encryption`, `fpe`);
    /// left out where no key was needed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub key_versions: BTreeMap<String, u32>,
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

/// How files of rows are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormStatement {
    /// Their format, with every option spelled out.
    pub rows: RowFormat,
    /// Whether they are members of one zip archive.
    pub bundle: bool,
    /// Cells of delimited text that were given an apostrophe, so that no spreadsheet calculates them;
    /// null where texts are written as they are.
    pub guarded_cells: Option<u64>,
}

impl FormStatement {
    /// What is said of a delivery of which so many cells were guarded.
    pub fn new(rows: RowFormat, bundle: bool, guarded_cells: u64) -> Self {
        let is_guarded = matches!(&rows, RowFormat::Csv(form) if form.formula_guard);
        Self {
            rows,
            bundle,
            guarded_cells: is_guarded.then_some(guarded_cells),
        }
    }

    /// What the names of the files end with, unless they are sealed.
    pub fn extension(&self) -> &'static str {
        if self.bundle {
            "zip"
        } else {
            self.rows.extension()
        }
    }
}

/// What became of the rows: read = filtered + rejected + delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// Reached the engine.
    pub read: u64,
    /// Dropped by the grant's rows and divisions, or left out on purpose by a treatment.
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
    /// `none`, `parquet` (modular encryption) or `envelope`.
    pub kind: String,
    /// Cipher and hash: `AES256GCM-SHA256` or `SM4GCM-SM3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// `offline`: the keys are wrapped to the recipient. `online`: the site unwraps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The delivery's key file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyFileStatement>,
    /// What each Parquet file's authenticated data begins with, where `{file}` stands for its name:
    /// a reader supplies it and doesn't take it from the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aad_prefix: Option<String>,
}

/// The file that holds a delivery's keys, or says where they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFileStatement {
    /// Path relative to the manifest: `ATTEMPT/keys.json`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// Name of the key file within an attempt.
pub const KEYS_NAME: &str = "keys.json";

/// What the name of a file in an envelope ends with.
pub const ENVELOPE_EXTENSION: &str = ".gdx";

impl SealStatement {
    /// Files are not sealed.
    pub fn none() -> Self {
        Self {
            kind: "none".to_owned(),
            suite: None,
            release: None,
            keys: None,
            aad_prefix: None,
        }
    }

    /// Whether files are sealed.
    pub fn is_sealed(&self) -> bool {
        self.kind != "none"
    }

    /// Whether files are sealed in envelopes.
    pub fn is_envelope(&self) -> bool {
        self.kind == "envelope"
    }

    /// What contradicts itself, of a delivery of that id and attempt.
    fn fault(&self, delivery: &str, attempt: &str, files: &[FileStatement]) -> Option<String> {
        if !self.is_sealed() {
            let bare = *self == Self::none();
            return (!bare).then(|| "`seal` says none, and how".to_owned());
        }
        let prefix = self
            .aad_prefix
            .as_deref()
            .map(|prefix| prefix == format!("lockgate/{delivery}/{attempt}/{{file}}"));
        let extension = match (self.kind.as_str(), prefix) {
            ("parquet", Some(true)) => ".parquet",
            ("envelope", None) => ENVELOPE_EXTENSION,
            _ => return Some("`seal` is of no kind that is known, or with other data".to_owned()),
        };
        if !self.suite.as_deref().is_some_and(is_suite) {
            return Some("`seal.suite` is not one that is known".to_owned());
        }
        if !matches!(self.release.as_deref(), Some("offline" | "online")) {
            return Some("`seal.release` is neither offline nor online".to_owned());
        }
        let named = self.keys.as_ref().is_some_and(|keys| {
            keys.path == format!("{attempt}/{KEYS_NAME}") && is_hex(&keys.sha256, 64)
        });
        if !named {
            return Some(format!(
                "`seal.keys` does not name `{KEYS_NAME}` of its own attempt"
            ));
        }
        let sealed = |file: &FileStatement| file.path.ends_with(extension);
        files
            .iter()
            .find(|file| !sealed(file))
            .map(|file| format!("file `{}` is not named as a sealed one", file.path))
    }
}

fn is_suite(name: &str) -> bool {
    name.parse::<Suite>().is_ok()
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
        let cell_attempt = self
            .cell_attempt
            .iter()
            .map(|attempt| ("cell_attempt", attempt, 32));
        for (name, text, digits) in hashes.into_iter().chain(previous).chain(cell_attempt) {
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
        let is_delivered = |name: &str| self.fields.iter().any(|field| field.name == name);
        let fault = self.mark.as_ref().and_then(|mark| mark.fault(is_delivered));
        fault.map_or(Ok(()), |what| Err(ManifestError::Invalid(what)))
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
        let fault = self.seal.fault(&self.delivery, &self.attempt, &self.files);
        if let Some(what) = fault {
            return Err(ManifestError::Invalid(what));
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
    // The one member and no tree: nobody has verified how much there is.
    #[derive(Deserialize)]
    struct Claimed {
        attempt: String,
    }
    let payload = dsse::unverified_payload(bytes)?;
    let claimed = serde_json::from_slice::<Claimed>(&payload).ok()?;
    Some(claimed.attempt)
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
pub(crate) mod tests;
