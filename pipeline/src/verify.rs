//! The recipient's check of a delivery: without the site, given the provider's public key.
//!
//! The manifest must be the exact signed bytes, every file must have the size and SHA-256 it
//! states, Parquet and Arrow files must hold exactly the stated rows and fields, and files of rows the
//! stated rows. A key inside the delivery
//! is never trusted; files that the manifest does not name do not belong to the delivery.

mod rows;

use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema};
use ed25519_dalek::VerifyingKey;
use futures::StreamExt as _;
use lockgate_connectors::format::parquet::encryption;
use lockgate_connectors::seal::{KEY_FILE_BYTES_MAX, KeyFile, envelope};
use object_store::path::Path;
use object_store::{GetResult, ObjectStore, ObjectStoreExt as _};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::canonical_json;
use crate::digest::hex;
use crate::dispose::{self, DisposalRecord};
use crate::engine::held_type;
use crate::ledger::Event;
use crate::manifest::{FILE_NAME, FileStatement, KeyFileStatement, Manifest};
use crate::site::field_type::FieldType;

/// Bytes of a Parquet file's tail: length of the footer and magic.
const TAIL_BYTES: u64 = 8;

/// Largest Parquet footer that is read.
const FOOTER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most files of a folder that are looked at.
const LISTED_MAX: usize = 1_000_000;

/// Most foreign files that a note names.
const NAMED_MAX: usize = 5;

/// The store could not be read, which says nothing about the delivery.
#[derive(Debug, Error)]
#[error("`{path}` could not be read; check the address and the access rights")]
pub struct VerifyError {
    /// The file.
    pub path: String,
    /// Why.
    pub source: object_store::Error,
}

/// What kind of problem was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyProblemKind {
    /// There is no manifest, hence no delivery.
    NoDelivery,
    /// The manifest is altered, malformed or signed by another key.
    Manifest,
    /// A file the manifest names is not there.
    Missing,
    /// A file has another size.
    Size,
    /// A file has another content.
    Hash,
    /// A file is not of its format.
    Format,
    /// A file holds another number of rows.
    Rows,
    /// A file holds other fields or types.
    Schema,
    /// The ledger does not prove the release.
    Ledger,
    /// The delivery was disposed of: its files are gone on purpose.
    Disposed,
}

/// One problem of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyProblem {
    /// Of what kind.
    pub kind: VerifyProblemKind,
    /// The file, relative to the delivery.
    pub path: String,
    /// What is wrong.
    pub what: String,
}

/// What the check of a delivery found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Whether no problem was found.
    pub valid: bool,
    /// Id of the grant, once the manifest is accepted.
    pub grant: Option<String>,
    /// Id of the delivery, once the manifest is accepted.
    pub delivery: Option<String>,
    /// Files that the manifest names.
    pub files: u64,
    /// Rows that the manifest states.
    pub rows: u64,
    /// What is wrong.
    pub problems: Vec<VerifyProblem>,
    /// What should be known and is not wrong in itself.
    pub notes: Vec<String>,
}

/// Checks the delivery in `folder` of `store`.
///
/// `keys` are the provider's manifest keys. With `ledger_keys` the manifest's ledger proof is
/// checked under them; without, a note says that who signed the checkpoint was not checked. Reads
/// every file once, in memory bounded by one chunk and one Parquet footer.
///
/// # Errors
/// A store that cannot be read. Whatever is wrong with the delivery itself is in the report.
pub async fn verify_delivery(
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
    keys: &[VerifyingKey],
    ledger_keys: Option<&[VerifyingKey]>,
) -> Result<VerifyReport, VerifyError> {
    let (report, _) = verify_and_keep(store, folder, keys, ledger_keys).await?;
    Ok(report)
}

/// As [`verify_delivery`]; gives the manifest that was checked too, with its bytes, for whoever goes on
/// with it: one that is read a second time may be another. Absent where none was accepted.
///
/// # Errors
/// As [`verify_delivery`].
pub(crate) async fn verify_and_keep(
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
    keys: &[VerifyingKey],
    ledger_keys: Option<&[VerifyingKey]>,
) -> Result<(VerifyReport, Option<(Manifest, bytes::Bytes)>), VerifyError> {
    let mut check = Check {
        store,
        folder,
        listed: listing(store, folder).await,
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let Some((manifest, bytes)) = check.manifest(keys).await? else {
        return Ok((check.report(None), None));
    };
    check.ledger(&manifest, ledger_keys);
    if let Some(mark) = &manifest.mark {
        check.note(mark.note());
    }
    if check.disposed(&manifest, keys).await? {
        return Ok((check.report(Some(&manifest)), Some((manifest, bytes))));
    }
    if let Some(keys) = &manifest.seal.keys {
        check.keys(&manifest, keys).await?;
    }
    for file in &manifest.files {
        if check.content(&file.path, file.bytes, &file.sha256).await? {
            check.form(&manifest, file).await?;
        }
    }
    check.bystanders(&manifest);
    Ok((check.report(Some(&manifest)), Some((manifest, bytes))))
}

struct Check<'a> {
    store: &'a Arc<dyn ObjectStore>,
    folder: &'a Path,
    /// What stands in the folder; absent where the store does not let it be listed.
    listed: Option<BTreeSet<Path>>,
    problems: Vec<VerifyProblem>,
    notes: Vec<String>,
}

impl Check<'_> {
    fn problem(&mut self, kind: VerifyProblemKind, path: &str, what: impl Into<String>) {
        self.problems.push(VerifyProblem {
            kind,
            path: path.to_owned(),
            what: what.into(),
        });
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Location of a file of the delivery. Names were checked to need no encoding.
    fn location(&self, relative: &str) -> Path {
        self.folder
            .parts()
            .chain(Path::from(relative).parts())
            .collect()
    }

    /// Opens a file of the delivery; `None` if it is not there. A local pipe or device is not listed
    /// and is never opened: it would keep its reader waiting.
    async fn open(&self, relative: &str) -> Result<Option<GetResult>, VerifyError> {
        let location = self.location(relative);
        if self
            .listed
            .as_ref()
            .is_some_and(|listed| !listed.contains(&location))
        {
            return Ok(None);
        }
        match self.store.get(&location).await {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(relative, source)),
        }
    }

    async fn manifest(
        &mut self,
        keys: &[VerifyingKey],
    ) -> Result<Option<(Manifest, bytes::Bytes)>, VerifyError> {
        let Some(found) = self.open(FILE_NAME).await? else {
            let what = "there is no manifest here, hence no delivery";
            self.problem(VerifyProblemKind::NoDelivery, FILE_NAME, what);
            return Ok(None);
        };
        if usize::try_from(found.meta.size).map_or(true, |size| size > canonical_json::BYTES_MAX) {
            self.problem(
                VerifyProblemKind::Manifest,
                FILE_NAME,
                "larger than a manifest can be",
            );
            return Ok(None);
        }
        let bytes = found
            .bytes()
            .await
            .map_err(|source| failed(FILE_NAME, source))?;
        match Manifest::open(&bytes, keys) {
            Ok(manifest) => Ok(Some((manifest, bytes))),
            Err(error) => {
                self.problem(VerifyProblemKind::Manifest, FILE_NAME, error.to_string());
                Ok(None)
            }
        }
    }

    /// Checks that the manifest's ledger proof proves the intent of this very release.
    fn ledger(&mut self, manifest: &Manifest, keys: Option<&[VerifyingKey]>) {
        if keys.is_none() {
            self.note("no ledger key given: who signed the ledger's checkpoint was not checked");
        }
        match manifest.ledger.verify(keys) {
            Ok(entry) if is_intent_of(&entry.event, manifest) => {}
            Ok(_) => self.problem(
                VerifyProblemKind::Ledger,
                FILE_NAME,
                "the proved ledger entry is not the intent of this release",
            ),
            Err(error) => {
                self.problem(VerifyProblemKind::Ledger, FILE_NAME, error.to_string());
            }
        }
    }

    /// Whether the delivery was disposed of, by what its site signed and put beside the manifest.
    async fn disposed(
        &mut self,
        manifest: &Manifest,
        keys: &[VerifyingKey],
    ) -> Result<bool, VerifyError> {
        let Some(found) = self.open(dispose::FILE_NAME).await? else {
            return Ok(false);
        };
        let mut record = None;
        if usize::try_from(found.meta.size).is_ok_and(|size| size <= dispose::BYTES_MAX) {
            let bytes = found.bytes().await;
            let bytes = bytes.map_err(|source| failed(dispose::FILE_NAME, source))?;
            record = DisposalRecord::open(&bytes, keys).ok();
        }
        let record = record.filter(|record| {
            record.delivery == manifest.delivery && record.attempt == manifest.attempt
        });
        let Some(record) = record else {
            self.note(format!(
                "`{}` is no record of this delivery's disposal by its site: it was not looked at",
                dispose::FILE_NAME
            ));
            return Ok(false);
        };
        let what = format!(
            "the delivery was disposed of on {}: its files are gone on purpose",
            record.at
        );
        self.problem(VerifyProblemKind::Disposed, dispose::FILE_NAME, what);
        for not in &record.does_not_cover {
            self.note(format!("its disposal doesn't cover {not}"));
        }
        Ok(true)
    }

    /// Checks size and hash of a file; tells whether both are right.
    async fn content(&mut self, path: &str, bytes: u64, sha256: &str) -> Result<bool, VerifyError> {
        let Some(found) = self.open(path).await? else {
            let what = "the manifest names it, and it is not there, or is no regular file";
            self.problem(VerifyProblemKind::Missing, path, what);
            return Ok(false);
        };
        if found.meta.size != bytes {
            let what = format!(
                "{} bytes where the manifest states {bytes}",
                found.meta.size
            );
            self.problem(VerifyProblemKind::Size, path, what);
            return Ok(false);
        }
        let mut hash = Sha256::new();
        let mut stream = found.into_stream();
        while let Some(chunk) = stream.next().await {
            hash.update(chunk.map_err(|source| failed(path, source))?);
        }
        if hex(&hash.finalize()) != sha256 {
            let what = "its SHA-256 is not the one the manifest states: it was altered or replaced";
            self.problem(VerifyProblemKind::Hash, path, what);
            return Ok(false);
        }
        Ok(true)
    }

    /// Checks that a file holds the rows and fields the manifest states.
    async fn form(&mut self, manifest: &Manifest, file: &FileStatement) -> Result<(), VerifyError> {
        if manifest.seal.is_sealed() {
            self.note("files are sealed: what they hold was not checked");
            return self.seal(manifest, file).await;
        }
        if !file.path.ends_with(".parquet") {
            return self.row_form(manifest, file).await;
        }
        let Some(footer) = self.footer(file).await? else {
            return Ok(());
        };
        // Malformed metadata may make a parser panic; that is a finding, not a crash.
        let parsed = panic::catch_unwind(AssertUnwindSafe(|| read_footer(&footer)))
            .unwrap_or_else(|_| Err("its Parquet footer cannot be parsed".to_owned()));
        let Some(fields) = self.counted(file, parsed) else {
            return Ok(());
        };
        if let Err(what) = compare_fields(&fields, manifest) {
            self.problem(VerifyProblemKind::Schema, &file.path, what);
        }
        Ok(())
    }

    /// The fields of a file that could be read, its rows held to the manifest's.
    fn counted<F, W: Into<String>>(
        &mut self,
        file: &FileStatement,
        read: Result<(u64, F), W>,
    ) -> Option<F> {
        let (rows, fields) = match read {
            Ok(read) => read,
            Err(what) => {
                self.problem(VerifyProblemKind::Format, &file.path, what);
                return None;
            }
        };
        if rows != file.rows {
            let what = format!("{rows} rows where the manifest states {}", file.rows);
            self.problem(VerifyProblemKind::Rows, &file.path, what);
        }
        Some(fields)
    }

    /// Checks that a file of rows holds as many as the manifest states.
    async fn row_form(
        &mut self,
        manifest: &Manifest,
        file: &FileStatement,
    ) -> Result<(), VerifyError> {
        let Some(form) = &manifest.form else {
            self.note("the manifest does not say how files are written: rows were not counted");
            return Ok(());
        };
        if !file.path.ends_with(&format!(".{}", form.extension())) {
            let what = "it is not named as a file of the format that the manifest states";
            self.problem(VerifyProblemKind::Format, &file.path, what);
            return Ok(());
        }
        let location = self.location(&file.path);
        let looked = rows::look(self.store, location, file.bytes, &form.rows, form.bundle).await;
        let looked = looked.map_err(|source| failed(&file.path, source))?;
        let Some(fields) = self.counted(file, looked) else {
            return Ok(());
        };
        match fields {
            None => self.note(
                "fields are compared in Parquet and Arrow files only; of others, rows were counted",
            ),
            Some(found) => {
                if let Err(what) = compare_exactly(&found, manifest) {
                    self.problem(VerifyProblemKind::Schema, &file.path, what);
                }
            }
        }
        Ok(())
    }

    /// Checks the delivery's key file: the bytes that the manifest states, and the keys of this very
    /// attempt.
    async fn keys(
        &mut self,
        manifest: &Manifest,
        keys: &KeyFileStatement,
    ) -> Result<(), VerifyError> {
        let path = &keys.path;
        if !self.content(path, keys.bytes, &keys.sha256).await? {
            return Ok(());
        }
        if usize::try_from(keys.bytes).map_or(true, |bytes| bytes > KEY_FILE_BYTES_MAX) {
            let what = "larger than a key file can be";
            self.problem(VerifyProblemKind::Format, path, what);
            return Ok(());
        }
        let Some(found) = self.open(path).await? else {
            return Ok(()); // gone since, which the next look tells
        };
        let bytes = found.bytes().await.map_err(|source| failed(path, source))?;
        let file = match KeyFile::parse(&bytes) {
            Ok(file) => file,
            Err(error) => {
                self.problem(VerifyProblemKind::Format, path, error.to_string());
                return Ok(());
            }
        };
        let agrees = file.delivery == manifest.delivery
            && file.attempt == manifest.attempt
            && file.recipient == manifest.recipient
            && manifest.seal.suite.as_deref() == Some(file.suite.as_str())
            && manifest.seal.release.as_deref() == Some(file.release.as_str());
        if !agrees {
            let what = "its keys are of another delivery, recipient, suite or release than the \
                        manifest states";
            self.problem(VerifyProblemKind::Format, path, what);
        }
        Ok(())
    }

    /// Checks that a file is sealed at all: a plain one under a manifest that says sealed is what
    /// somebody would put there who has no keys.
    async fn seal(&mut self, manifest: &Manifest, file: &FileStatement) -> Result<(), VerifyError> {
        let magic: &[u8] = match manifest.seal.is_envelope() {
            true => &envelope::MAGIC,
            false => encryption::MAGIC,
        };
        let length = u64::try_from(magic.len()).unwrap_or(u64::MAX);
        let mut is_sealed = file.bytes >= length.saturating_mul(2);
        if is_sealed {
            // Parquet ends as it begins.
            let end = match manifest.seal.is_envelope() {
                true => 0,
                false => file.bytes.saturating_sub(length),
            };
            for start in [0, end] {
                let location = self.location(&file.path);
                let range = start..start.saturating_add(length);
                let found = self.store.get_range(&location, range).await;
                let found = found.map_err(|source| failed(&file.path, source))?;
                is_sealed = is_sealed && found.as_ref() == magic;
            }
        }
        if !is_sealed {
            let what = "it is not sealed, and the manifest says that it is";
            self.problem(VerifyProblemKind::Format, &file.path, what);
        }
        Ok(())
    }

    /// Reads the Parquet footer of a file, whose size is the stated one.
    async fn footer(&mut self, file: &FileStatement) -> Result<Option<bytes::Bytes>, VerifyError> {
        let location = self.location(&file.path);
        let Some(tail_start) = file.bytes.checked_sub(TAIL_BYTES) else {
            self.problem(
                VerifyProblemKind::Format,
                &file.path,
                "too short for a Parquet file",
            );
            return Ok(None);
        };
        let store = Arc::clone(self.store);
        let read = async |range: std::ops::Range<u64>| {
            store
                .get_range(&location, range)
                .await
                .map_err(|source| failed(&file.path, source))
        };
        let tail = read(tail_start..file.bytes).await?;
        let length = FooterTail::try_from(tail.as_ref())
            .ok()
            .filter(|tail| !tail.is_encrypted_footer())
            .and_then(|tail| u64::try_from(tail.metadata_length()).ok())
            .filter(|length| (1..=FOOTER_BYTES_MAX.min(tail_start)).contains(length));
        let Some(length) = length else {
            self.problem(
                VerifyProblemKind::Format,
                &file.path,
                "does not end as a Parquet file",
            );
            return Ok(None);
        };
        read(tail_start - length..tail_start).await.map(Some)
    }

    /// Notes what stands beside the delivery without belonging to it.
    fn bystanders(&mut self, manifest: &Manifest) {
        let mut named: BTreeSet<Path> = manifest
            .files
            .iter()
            .map(|file| self.location(&file.path))
            .collect();
        named.insert(self.location(FILE_NAME));
        named.extend(
            manifest
                .seal
                .keys
                .iter()
                .map(|keys| self.location(&keys.path)),
        );
        let Some(listed) = &self.listed else {
            self.note(
                "the folder could not be listed: files beside the delivery were not looked for",
            );
            return;
        };
        let foreign: Vec<&Path> = listed.difference(&named).collect();
        if foreign.is_empty() {
            return;
        }
        let shown = foreign.iter().take(NAMED_MAX).map(|location| {
            let parts: Option<Path> = location.prefix_match(self.folder).map(Iterator::collect);
            format!("`{}`", parts.as_ref().unwrap_or(location))
        });
        self.note(format!(
            "{} files that the manifest does not name do not belong to the delivery: {}",
            foreign.len(),
            shown.collect::<Vec<_>>().join(", ")
        ));
    }

    fn report(self, manifest: Option<&Manifest>) -> VerifyReport {
        VerifyReport {
            valid: self.problems.is_empty(),
            grant: manifest.map(|manifest| manifest.grant.id.clone()),
            delivery: manifest.map(|manifest| manifest.delivery.clone()),
            files: manifest.map_or(0, |manifest| {
                u64::try_from(manifest.files.len()).unwrap_or(u64::MAX)
            }),
            rows: manifest.map_or(0, |manifest| manifest.rows.delivered),
            problems: self.problems,
            notes: self.notes,
        }
    }
}

/// The bytes of the manifest in a folder, for whoever opens it; `None` if there is none.
///
/// # Errors
/// A store that cannot be read.
pub async fn read_manifest(
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
) -> Result<Option<bytes::Bytes>, VerifyError> {
    let check = Check {
        store,
        folder,
        listed: listing(store, folder).await,
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let Some(found) = check.open(FILE_NAME).await? else {
        return Ok(None);
    };
    if usize::try_from(found.meta.size).map_or(true, |size| size > canonical_json::BYTES_MAX) {
        return Ok(None); // no manifest is so large
    }
    let bytes = found.bytes().await;
    bytes.map(Some).map_err(|source| failed(FILE_NAME, source))
}

/// What stands in a folder, links followed; `None` if the store does not say, or of too much.
async fn listing(store: &Arc<dyn ObjectStore>, folder: &Path) -> Option<BTreeSet<Path>> {
    let mut listed = BTreeSet::new();
    let mut listing = store.list(Some(folder));
    while let Some(item) = listing.next().await {
        listed.insert(item.ok()?.location);
        if listed.len() > LISTED_MAX {
            return None;
        }
    }
    Some(listed)
}

fn failed(path: &str, source: object_store::Error) -> VerifyError {
    VerifyError {
        path: path.to_owned(),
        source,
    }
}

fn is_intent_of(event: &Event, manifest: &Manifest) -> bool {
    match event {
        Event::ReleaseIntended {
            run,
            delivery,
            attempt,
            grant,
            grant_version,
            plan_sha256,
            rows,
            ..
        } => {
            *run == manifest.run
                && *delivery == manifest.delivery
                && *attempt == manifest.attempt
                && *grant == manifest.grant.id
                && *grant_version == manifest.grant.version
                && *plan_sha256 == manifest.plan_sha256
                && *rows == manifest.rows.delivered
        }
        Event::GrantSigned { .. }
        | Event::MarkingBegun { .. }
        | Event::Released { .. }
        | Event::Abandoned { .. }
        | Event::Previewed { .. }
        | Event::GrantMoved { .. }
        | Event::Halted { .. }
        | Event::HaltLifted { .. }
        | Event::QuotaReserved { .. }
        | Event::QuotaReturned { .. }
        | Event::KeyringChanged { .. }
        | Event::Refused { .. }
        | Event::TokensKept { .. }
        | Event::TokensRevealed { .. }
        | Event::TraceBegun { .. }
        | Event::Traced { .. }
        | Event::ReceiptAccepted { .. }
        | Event::ReleasedKeys { .. }
        | Event::DisposalIntended { .. }
        | Event::Disposed { .. }
        | Event::Revealed { .. }
        | Event::Replayed { .. } => false,
    }
}

/// A field as a file holds it.
type FoundField = (String, DataType);

/// Rows and fields of a Parquet file, from its footer.
fn read_footer(footer: &[u8]) -> Result<(u64, Vec<FoundField>), String> {
    let unreadable = |_| "its Parquet footer cannot be read".to_owned();
    let metadata = ParquetMetaDataReader::decode_metadata(footer).map_err(unreadable)?;
    let file = metadata.file_metadata();
    let rows = file.num_rows();
    let grouped = metadata
        .row_groups()
        .iter()
        .try_fold(0i64, |sum, group| sum.checked_add(group.num_rows()));
    if grouped != Some(rows) {
        return Err("its row groups do not hold as many rows as its footer states".to_owned());
    }
    let rows = u64::try_from(rows).map_err(|_| "its footer states a negative number of rows")?;
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
        .map_err(unreadable)?;
    let fields = schema
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect();
    Ok((rows, fields))
}

/// Checks that a sealed file which was opened holds the fields that the manifest states.
pub(crate) fn check_fields(found: &Schema, manifest: &Manifest) -> Result<(), String> {
    let found: Vec<FoundField> = found
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect();
    compare_fields(&found, manifest)
}

/// As [`compare_fields`], of a file that holds every type as it is.
fn compare_exactly(found: &Schema, manifest: &Manifest) -> Result<(), String> {
    let found: Vec<FoundField> = found
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect();
    compare(&found, manifest, |stated| vec![stated.clone()])
}

/// Compares names, order and types of a Parquet file. Says which field differs, by the name the manifest
/// has for it.
fn compare_fields(found: &[FoundField], manifest: &Manifest) -> Result<(), String> {
    compare(found, manifest, |stated| {
        vec![held_type(stated), as_parquet_alone_tells(stated)]
    })
}

/// Compares with what the manifest states; `held` says in which types a file may hold one.
fn compare(
    found: &[FoundField],
    manifest: &Manifest,
    held: impl Fn(&DataType) -> Vec<DataType>,
) -> Result<(), String> {
    for (position, stated) in manifest.fields.iter().enumerate() {
        let name = &stated.name;
        let Some((found_name, found_type)) = found.get(position) else {
            return Err(format!("field \"{name}\" is missing"));
        };
        if found_name != name {
            return Err(format!(
                "another field stands where the manifest states \"{name}\""
            ));
        }
        let stated_type = FieldType::parse(&stated.data_type)
            .map_err(|_| format!("the manifest states a type for \"{name}\" that is not known"))?
            .to_arrow();
        let found_as = FieldType::of(found_type);
        let fits = held(&stated_type)
            .iter()
            .any(|expected| FieldType::of(expected) == found_as);
        if found_as.is_none() || !fits {
            return Err(format!(
                "field \"{name}\" is of type {} where the manifest states {}",
                found_as.map_or_else(|| found_type.to_string(), |found| found.to_string()),
                stated.data_type
            ));
        }
    }
    match found.len().checked_sub(manifest.fields.len()) {
        Some(0) | None => Ok(()),
        Some(more) => Err(format!("{more} fields that the manifest does not state")),
    }
}

/// The type that a reader finds in a file without Arrow's own schema: Parquet has no zones but UTC.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other types are told by Parquet itself"
)]
fn as_parquet_alone_tells(data_type: &DataType) -> DataType {
    match held_type(data_type) {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(unit, Some("UTC".into())),
        DataType::List(element) => DataType::List(within(&element)),
        DataType::Struct(members) => DataType::Struct(members.iter().map(within).collect()),
        DataType::Map(entries, sorted) => DataType::Map(within(&entries), sorted),
        other => other,
    }
}

fn within(field: &FieldRef) -> FieldRef {
    let data_type = as_parquet_alone_tells(field.data_type());
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

#[cfg(test)]
mod tests;
