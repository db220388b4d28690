//! The evidence of a trace: what a third party needs to come to the same result.
//!
//! A folder with
//! - `record.json`: a DSSE envelope, signed with the site's manifest key, over the [`Record`]: the
//!   leak's SHA-256, the commitment to each key, where each field was found, the counts of the
//!   votes, and of every grant named its twelve numbers and what follows from them; with proofs that
//!   the ledger held commitment, scheme, grant and index before, and the beginning of this trace
//! - `scheme-SHA256.json`: each scheme that was traced, as the ledger holds its hash
//! - `mark-key-COMMITMENT.key`, where it was asked for: the key that opens a commitment
//!
//! Without leak and key, [`check()`] recomputes every verdict from the counts; with both it counts them
//! again.

mod check;
mod claim;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use lockgate_connectors::format::found::{Encoding, FoundOptions};
use lockgate_connectors::keyring::Purpose;
use lockgate_connectors::{ConnectorError, durable};
use lockgate_transforms::marks::key::MarkKey;
use lockgate_transforms::marks::score::{Cells, Verdict};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Finding, Matched, Request, TagMatches};
use crate::digest::{hex, sha256_hex};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{InclusionProof, LedgerReader, time_text};
use crate::marks::record::SCHEME_BYTES_MAX;
use crate::marks::{KeyCommitment, Scheme, read_scheme};
use crate::run::SOFTWARE;
use crate::{canonical_json, dsse};

pub use check::{Accused, Checked, Given, check};

/// DSSE payload type of a record.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.trace+json";

/// Name of the record within its folder.
pub const RECORD: &str = "record.json";

/// The form this version writes and reads: since 2, votes are counted apart by how their cells were found.
const FORMAT: u32 = 2;

/// Most bytes of a file with an opened key that is read.
const KEY_BYTES_MAX: u64 = 4 << 10;

/// Most bytes of a record that is read.
const RECORD_BYTES_MAX: u64 = 64 << 20;

/// What a file with an opened key begins with.
const KEY_LABEL: &str = "lockgate-opened-mark-key:v1:";

/// Bytes of a file that are hashed at a time.
const HASHED_AT_A_TIME: usize = 1 << 20;

/// How a leaked file is to be read, where that isn't guessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakOptions {
    /// The encoding of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// What stands between its fields: the code of an ASCII character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<u8>,
    /// The sheet of a workbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Whether its first row names the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
}

impl LeakOptions {
    /// As the reader of tables takes them.
    pub fn to_found(&self) -> FoundOptions {
        FoundOptions {
            encoding: self.encoding,
            delimiter: self.delimiter,
            sheet: self.sheet.clone(),
            header: self.header,
        }
    }
}

/// A leaked file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// Lower-case hex SHA-256 of its bytes.
    pub sha256: String,
    /// Its bytes.
    pub bytes: u64,
    /// How it was read.
    pub options: LeakOptions,
}

/// What a trace found, in the form that is signed. Numbers that aren't whole are the shortest decimal
/// text that is the double.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this form: 2.
    pub format: u32,
    /// What wrote it.
    pub software: String,
    /// When, in UTC.
    pub created: String,
    /// Id of the dataset.
    pub dataset: String,
    /// The leak.
    pub leak: Leak,
    /// The probability ε that all traces of the dataset together accuse any innocent, if none of them
    /// had a larger one.
    pub error: String,
    /// The how-manieth trace of the dataset it was.
    pub investigation: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Hypotheses that were looked at.
    pub looked_at: u64,
    /// From which logarithm of an e-value the leak is taken for the dataset's.
    pub presence_from: String,
    /// Hypotheses that were traced side by side; H is their number.
    pub hypotheses: Vec<HypothesisRecord>,
    /// What is said of whom.
    pub verdicts: Vec<VerdictRecord>,
    /// Entries of the ledger, with the proof that it holds them: that the trace was begun, and that
    /// before it each scheme was in use under the commitment, and each grant that is accused or suspect
    /// had its index.
    pub proofs: Vec<InclusionProof>,
}

/// A key with a scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HypothesisRecord {
    /// The epoch of the dataset's marks.
    pub epoch: u32,
    /// Version of the master key.
    pub key_version: u32,
    /// Lower-case hex SHA-256 over the dataset's key and the salt.
    pub commitment: String,
    /// The salt.
    pub commitment_salt: String,
    /// SHA-256 of the scheme; it stands beside the record.
    pub scheme_sha256: String,
    /// Indices issued under the key: N.
    pub issued: u64,
    /// Where each field was found, and how it was read.
    pub columns: Vec<Matched>,
    /// The votes by how their cells were found, class and symbol.
    pub counts: Cells<u64>,
    /// Positions without a vote.
    pub ties: u64,
    /// Pseudonyms with a tag.
    pub tags: u64,
    /// The logarithm of the e-value of presence.
    pub ln_presence: String,
    /// The logarithm of the e-value from which a grant is accused.
    pub accused_from: String,
}

/// What is said of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictRecord {
    /// Id of the grant.
    pub grant: String,
    /// Who received it.
    pub recipient: Option<String>,
    /// What marks name it by.
    pub index: u32,
    /// The place of its hypothesis, from 0.
    pub hypothesis: u64,
    /// `accused`, `suspect` or `none`.
    pub verdict: String,
    /// The logarithm of the e-value.
    pub ln_e: String,
    /// Of each kind of vote, at how many its symbol is 1.
    pub ones: Cells<u32>,
    /// How many of the leak's tags are its own, by their bits.
    pub tags: Vec<TagMatches>,
    /// The probability that a given innocent has such an e-value.
    pub p_value: Option<String>,
}

/// A verdict as it is written.
pub fn verdict_text(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accused => "accused",
        Verdict::Suspect => "suspect",
        Verdict::None => "none",
    }
}

/// The leak at a path: its size, its SHA-256, and how it is to be read.
///
/// # Errors
/// It can't be read.
pub fn leak_at(path: &Path, options: &LeakOptions) -> Result<Leak, RunError> {
    let failed = |error: io::Error| {
        RunError::Connector(ConnectorError::from_io(&error, path.display().to_string()))
    };
    // Opening a pipe would wait for whoever writes to it.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(RunError::Invalid {
            what: "it is not a file".to_owned(),
            at: path.display().to_string(),
            remedy: "name one file, or copy what it gives into one".to_owned(),
        });
    }
    let mut file = File::open(path).map_err(failed)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
    let mut part = vec![0; HASHED_AT_A_TIME];
    loop {
        let read = file.read(&mut part).map_err(failed)?;
        let Some(read) = part.get(..read).filter(|read| !read.is_empty()) else {
            break;
        };
        hash.update(read);
        bytes = bytes.saturating_add(u64::try_from(read.len()).unwrap_or(u64::MAX));
    }
    Ok(Leak {
        sha256: hex(&hash.finalize()),
        bytes,
        options: options.clone(),
    })
}

/// The folder that evidence is about to be written to: made, and free of other evidence. With opened
/// keys it is its owner's alone, and no link: a key that lay elsewhere, or open to others, would be
/// spent on them.
///
/// # Errors
/// It can't be made, holds a record, or isn't fit for keys.
pub fn prepare(folder: &Path, keys: Keys) -> Result<(), RunError> {
    let refused = |what: &str, remedy: &str| RunError::Invalid {
        what: format!("{} {what}", folder.display()),
        at: "--evidence".to_owned(),
        remedy: remedy.to_owned(),
    };
    let mut making = DirBuilder::new();
    making.recursive(true);
    if keys == Keys::Opened {
        making.mode(0o700);
    }
    making
        .create(folder)
        .map_err(|error| unwritten(folder, &error))?;
    if keys == Keys::Opened {
        let found = fs::symlink_metadata(folder).map_err(|error| unwritten(folder, &error))?;
        if !found.is_dir() {
            return Err(refused(
                "is a link, and the key would lie where it leads",
                "name the folder itself",
            ));
        }
        if found.permissions().mode() & 0o077 != 0 {
            return Err(refused(
                "is open to others than its owner, and the key would be theirs",
                "run `chmod 700` on it, or name a folder that doesn't exist",
            ));
        }
    }
    if folder.join(RECORD).exists() {
        return Err(refused(
            "holds the evidence of another trace",
            "name an empty folder, or one that doesn't exist",
        ));
    }
    Ok(())
}

/// Whether evidence holds the keys that open the commitments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// It doesn't: whoever checks it has no key, or the site.
    Closed,
    /// It does: whoever has it can forge the dataset's marks from then on.
    Opened,
}

/// Writes the evidence of a trace; returns the SHA-256 of the record's envelope.
///
/// # Errors
/// A ledger, scheme or key that can't be read; a folder that can't be written.
pub fn write(
    installation: &Installation,
    folder: &Path,
    (leak, request, finding): (&Leak, &Request, &Finding),
    dataset: &str,
    keys: Keys,
) -> Result<String, RunError> {
    let mut record = record(installation, dataset, (leak, request, finding));
    record.proofs = proofs(installation, &record)?;
    let payload = canonical_json::to_bytes(&record)
        .map_err(|error| RunError::internal("the record of the trace", &error))?;
    let signer = installation.keyring().signing_key(Purpose::Manifest)?;
    let envelope = dsse::sign(PAYLOAD_TYPE, &payload, &signer)
        .map_err(|error| RunError::internal("signing the record of the trace", &error))?;
    for traced in &finding.traced {
        let scheme = read_scheme(&installation.state(), &traced.scheme_sha256)?;
        let bytes = scheme
            .to_bytes()
            .map_err(|error| RunError::internal("the scheme of marks", &error))?;
        let path = scheme_path(folder, &traced.scheme_sha256);
        keep(&path, &bytes, 0o644)?;
        if keys == Keys::Opened {
            let KeyCommitment {
                epoch, key_version, ..
            } = traced.key;
            let key = installation.mark_key_of(dataset, epoch, key_version)?;
            let path = folder.join(format!("mark-key-{}.key", hex(&traced.key.commitment)));
            keep(&path, key_line(&key).as_bytes(), 0o600)?;
        }
    }
    // Last, so that a folder with a record is whole.
    create(&folder.join(RECORD), &envelope, 0o644)?;
    Ok(sha256_hex(&envelope))
}

fn record(
    installation: &Installation,
    dataset: &str,
    (leak, request, finding): (&Leak, &Request, &Finding),
) -> Record {
    let hypotheses = finding.traced.iter().map(|traced| HypothesisRecord {
        epoch: traced.key.epoch,
        key_version: traced.key.key_version,
        commitment: hex(&traced.key.commitment),
        commitment_salt: hex(&traced.key.salt),
        scheme_sha256: traced.scheme_sha256.clone(),
        issued: traced.issued,
        columns: traced.matched.clone(),
        counts: traced.counts,
        ties: traced.ties,
        tags: traced.tags,
        ln_presence: traced.presence.ln_e.to_string(),
        accused_from: traced.accused_from.to_string(),
    });
    let verdicts = finding.verdicts.iter().map(|verdict| VerdictRecord {
        grant: verdict.grant.clone(),
        recipient: verdict.recipient.clone(),
        index: verdict.index,
        hypothesis: u64::try_from(verdict.hypothesis).unwrap_or(u64::MAX),
        verdict: verdict_text(verdict.verdict).to_owned(),
        ln_e: verdict.ln_e.to_string(),
        ones: verdict.ones,
        tags: verdict.tags.clone(),
        p_value: verdict.p_value.map(|p_value| p_value.to_string()),
    });
    Record {
        format: FORMAT,
        software: SOFTWARE.to_owned(),
        created: time_text(installation.clock.now()),
        dataset: dataset.to_owned(),
        leak: leak.clone(),
        error: request.error.to_string(),
        investigation: request.investigation,
        rows: finding.rows,
        looked_at: finding.looked_at,
        presence_from: finding.presence.threshold.to_string(),
        hypotheses: hypotheses.collect(),
        verdicts: verdicts.collect(),
        proofs: Vec::new(),
    }
}

/// Proofs of what the record says that the ledger holds: the beginning of this very trace, and from
/// before it every scheme and the index of everybody who is accused or suspect.
fn proofs(installation: &Installation, record: &Record) -> Result<Vec<InclusionProof>, RunError> {
    let signers = installation.keyring().verifying_keys(Purpose::Ledger)?;
    let reader = LedgerReader::open(&installation.ledger_dir(), Some(&signers))?;
    let history = reader.entries()?;
    let missing = || RunError::Internal {
        what: "the ledger lacks what was read from it for the trace".to_owned(),
    };
    let begun = claim::begun(record, &history).ok_or_else(missing)?.index;
    let mut wanted = BTreeSet::from([begun]);
    for claim in claim::claims(record) {
        let entry = claim.entry(record, &history, begun);
        wanted.insert(entry.ok_or_else(missing)?.index);
    }
    let mut proofs = Vec::new();
    for index in wanted {
        proofs.extend(reader.prove(index)?);
    }
    Ok(proofs)
}

/// Where a scheme stands beside a record.
fn scheme_path(folder: &Path, sha256: &str) -> PathBuf {
    folder.join(format!("scheme-{sha256}.json"))
}

/// Reads a scheme that stands beside a record; none if it isn't the one of that hash.
fn scheme_at(folder: &Path, sha256: &str) -> Option<Scheme> {
    let bytes = durable::read_bounded(&scheme_path(folder, sha256), SCHEME_BYTES_MAX).ok()?;
    // The hash first: it stands in a record that was signed, the file may be anybody's.
    if sha256_hex(&bytes) != sha256 {
        return None;
    }
    Scheme::from_bytes(&bytes).ok()
}

fn key_line(key: &MarkKey) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(key.dangerously_disclosed()));
    Zeroizing::new(format!("{KEY_LABEL}{}\n", encoded.as_str()))
}

/// Reads an opened key.
///
/// # Errors
/// The file can't be read, or holds none.
pub fn read_key(path: &Path) -> Result<MarkKey, RunError> {
    let invalid = |what: String| RunError::Invalid {
        what,
        at: path.display().to_string(),
        remedy: "name a file as `trace --evidence DIR --open-key` writes it".to_owned(),
    };
    let line = durable::read_bounded(path, KEY_BYTES_MAX).map(Zeroizing::new);
    let line = line.map_err(|error| invalid(format!("it can't be read: {}", error.kind())))?;
    let bytes = std::str::from_utf8(&line)
        .ok()
        .and_then(|line| line.trim_end().strip_prefix(KEY_LABEL))
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .map(Zeroizing::new)
        .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    let bytes = bytes.ok_or_else(|| invalid("it holds no opened key of marks".to_owned()))?;
    Ok(MarkKey::of_disclosed(bytes))
}

/// The site's own keys that a record may be checked with: of every version that it names. None where
/// none of `signers` signed it, which [`check()`] tells.
pub(crate) fn site_mark_keys(
    installation: &Installation,
    folder: &Path,
    signers: &[VerifyingKey],
) -> Vec<MarkKey> {
    /// What a record says of its keys; all else is passed over.
    #[derive(Deserialize)]
    struct Named {
        dataset: String,
        hypotheses: Vec<NamedKey>,
    }

    #[derive(Deserialize)]
    struct NamedKey {
        epoch: u32,
        key_version: u32,
    }

    let bytes = durable::read_bounded(&folder.join(RECORD), RECORD_BYTES_MAX).unwrap_or_default();
    let opened = dsse::open(&bytes, PAYLOAD_TYPE, signers).ok();
    let Some(named) =
        opened.and_then(|(payload, _)| serde_json::from_slice::<Named>(&payload).ok())
    else {
        return Vec::new();
    };
    // Which keys are asked for is no secret; each is held against its commitment afterwards.
    let keys = named
        .hypotheses
        .iter()
        .map(|of| installation.mark_key_of(&named.dataset, of.epoch, of.key_version));
    keys.filter_map(Result::ok).collect()
}

/// Writes a file, unless it is there already and the same: of two hypotheses, or of a trace whose
/// evidence could not be completed.
fn keep(path: &Path, bytes: &[u8], mode: u32) -> Result<(), RunError> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return create(path, bytes, mode);
    };
    let most = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let is_same = found.is_file()
        && found.permissions().mode() & 0o777 & !mode == 0
        && durable::read_bounded(path, most)
            .is_ok_and(|held| Zeroizing::new(held).as_slice() == bytes);
    match is_same {
        true => Ok(()),
        false => Err(RunError::Invalid {
            what: format!(
                "{} is there, and isn't what would be written",
                path.display()
            ),
            at: "--evidence".to_owned(),
            remedy: "name an empty folder, or one that doesn't exist".to_owned(),
        }),
    }
}

/// Writes a file that isn't there; removes it again if it can't be completed.
fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), RunError> {
    let mut options = OpenOptions::new();
    let created = options.write(true).create_new(true).mode(mode).open(path);
    let mut file = created.map_err(|error| unwritten(path, &error))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // The first error is the one to report.
        drop(fs::remove_file(path));
        unwritten(path, &error)
    })
}

fn unwritten(path: &Path, error: &io::Error) -> RunError {
    RunError::Connector(ConnectorError::from_io(error, path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_for_keys_is_its_owners_and_no_link() {
        let room = tempfile::tempdir().unwrap();
        let folder = room.path().join("a/b");
        prepare(&folder, Keys::Opened).unwrap();
        assert_eq!(
            (mode(&folder), mode(&room.path().join("a"))),
            (0o700, 0o700)
        );
        prepare(&folder, Keys::Opened).unwrap();
        let link = room.path().join("link");
        symlink(&folder, &link).unwrap();
        assert!(prepare(&link, Keys::Opened).is_err());
        prepare(&link, Keys::Closed).unwrap();
        let open = room.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        let error = prepare(&open, Keys::Opened).unwrap_err();
        assert!(matches!(error, RunError::Invalid { remedy, .. } if remedy.contains("chmod 700")));
        prepare(&open, Keys::Closed).unwrap();
        fs::write(open.join(RECORD), "a record").unwrap();
        assert!(prepare(&open, Keys::Closed).is_err());
    }

    #[test]
    fn no_file_is_written_through_a_link_or_over_another() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("key");
        keep(&path, b"secret", 0o600).unwrap();
        assert_eq!(mode(&path), 0o600);
        keep(&path, b"secret", 0o600).unwrap();
        assert!(keep(&path, b"secrets", 0o600).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(keep(&path, b"secret", 0o600).is_err());
        let link = room.path().join("link");
        symlink(room.path().join("elsewhere"), &link).unwrap();
        assert!(keep(&link, b"secret", 0o600).is_err());
        assert!(!room.path().join("elsewhere").exists());
        fs::remove_file(&link).unwrap();
        symlink(&path, &link).unwrap();
        assert!(keep(&link, b"secret", 0o600).is_err());
    }
}
