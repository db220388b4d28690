//! The recipient's opening of a delivery: checked first, unwrapped with the recipient's key, written as
//! plain files.
//!
//! Nothing is opened of a delivery that does not verify. Every file is read again under the hash its
//! manifest states, opened into a file without a name of its own meaning, and synced; the names appear
//! when the last chunk of the last file was verified, and none of them ever over a file that is there.
//! Whatever fails, nothing that was opened stays.
//!
//! What the manifest says of the seal is what must be found: a plain file under a manifest that says
//! sealed is refused, and so is a sealed one under a manifest that says none.

mod input;
mod output;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path as FilePath;
use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::error::ErrorClass;
use lockgate_connectors::format::parquet::encryption::{self, SealedReader, decryption_properties};
use lockgate_connectors::keyring::PrivateKey;
use lockgate_connectors::seal::envelope::{self, EnvelopeReader};
use lockgate_connectors::seal::{Binding, DekSource, KeyFile, Release, SealError, Suite};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use serde::Serialize;

use self::input::{Hashed, Input, SharedFile};
use self::output::{Output, Staged};
use crate::digest::hex;
use crate::error::RunError;
use crate::fault;
use crate::manifest::{FileStatement, Manifest};
use crate::release_keys::ReleaseDocument;
use crate::verify::{
    VerifyProblem, VerifyProblemKind, VerifyReport, check_fields, verify_and_keep,
};

/// Bytes that are moved at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Noted on files that were in envelopes, which hold any format and are authentic byte for byte.
const UNCOUNTED: &str = "files came in envelopes: their rows and fields are those that the manifest \
                         states, and were not counted";

/// A delivery, and what opens it.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Where the delivery lies.
    pub store: &'a Arc<dyn ObjectStore>,
    /// Its folder in the store.
    pub folder: &'a Path,
    /// The provider's manifest keys, obtained apart from the delivery.
    pub manifest_keys: &'a [VerifyingKey],
    /// The ledger's keys, where they are known.
    pub ledger_keys: Option<&'a [VerifyingKey]>,
    /// The recipient's private key; a delivery that isn't sealed needs none.
    pub identity: Option<&'a PrivateKey>,
    /// The site's release document, for keys that are released online.
    pub release: Option<&'a [u8]>,
    /// Directory to write the files to; made if it isn't there.
    pub to: &'a FilePath,
}

/// What came of opening.
#[derive(Debug)]
pub enum Opened {
    /// All files are there.
    Files(OpenReport),
    /// The delivery does not verify, or a file of it does not open; nothing was written.
    Unverified(VerifyReport),
}

/// What was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenReport {
    /// Id of the grant.
    pub grant: String,
    /// Id of the delivery.
    pub delivery: String,
    /// Whether the delivery was sealed, and how: `none`, `parquet`, `envelope`.
    pub seal: String,
    /// The files written, in the order of their rows.
    pub files: Vec<OpenedFile>,
    /// Rows of all of them.
    pub rows: u64,
    /// What should be known and is not wrong in itself.
    pub notes: Vec<String>,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenedFile {
    /// Its name in the directory.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows, as the manifest states them.
    pub rows: u64,
}

/// Why a file was not opened.
enum Failure {
    /// The delivery is at fault.
    Problem(VerifyProblemKind, String),
    /// Something else is.
    Run(RunError),
}

impl From<ConnectorError> for Failure {
    fn from(error: ConnectorError) -> Self {
        if matches!(error.class(), ErrorClass::Integrity | ErrorClass::Data) {
            Self::Problem(VerifyProblemKind::Format, error.to_string())
        } else {
            Self::Run(error.into())
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

/// How the files of a delivery are opened.
#[derive(Debug, Clone)]
enum Method {
    /// They are plain.
    Copy,
    /// Each is in an envelope.
    Envelope(Binding, Arc<dyn DekSource>),
    /// They are Parquet with modular encryption.
    Parquet(Binding, Arc<dyn DekSource>),
}

/// Opens a delivery.
///
/// Reads every file twice, in memory bounded by a chunk, or by a row group where Parquet is sealed.
///
/// # Errors
/// A store that can't be read, an identity that nothing is wrapped to, a release document that is
/// missing or not acceptable, a file that is in the way. What is wrong with the delivery itself is in
/// the report.
pub async fn open_delivery(opening: &Opening<'_>) -> Result<Opened, RunError> {
    let Opening {
        store,
        folder,
        manifest_keys,
        ..
    } = opening;
    let verified = Box::pin(verify_and_keep(
        store,
        folder,
        manifest_keys,
        opening.ledger_keys,
    ));
    // What was verified is what is opened: the manifest is not read a second time.
    let (mut report, kept) = verified.await?;
    let Some((manifest, bytes)) = kept.filter(|_| report.valid) else {
        return Ok(Opened::Unverified(report));
    };
    match opening.files(&Arc::new(manifest), &bytes, &report).await {
        Ok(opened) => Ok(Opened::Files(opened)),
        Err((_, Failure::Run(error))) => Err(error),
        Err((path, Failure::Problem(kind, what))) => {
            report.valid = false;
            report.problems.push(VerifyProblem { kind, path, what });
            Ok(Opened::Unverified(report))
        }
    }
}

impl Opening<'_> {
    async fn files(
        &self,
        manifest: &Arc<Manifest>,
        bytes: &[u8],
        report: &VerifyReport,
    ) -> Result<OpenReport, (String, Failure)> {
        let keys_path = manifest.seal.keys.as_ref().map(|keys| keys.path.clone());
        let method = self.method(manifest, bytes).await;
        let method = method.map_err(|failure| (keys_path.unwrap_or_default(), failure))?;
        let mut output = Output::new(self.to).map_err(|error| (String::new(), error.into()))?;
        let mut files = Vec::new();
        for file in &manifest.files {
            let opened = Box::pin(self.file(&method, manifest, file, &mut output)).await;
            files.push(opened.map_err(|failure| (file.path.clone(), failure))?);
        }
        output
            .publish()
            .map_err(|error| (String::new(), error.into()))?;
        // What was noted on the sealed files no longer holds: they were opened, and verified by it.
        let notes = report.notes.iter();
        let notes = notes
            .filter(|note| !note.starts_with("files are sealed"))
            .cloned();
        let uncounted = manifest.seal.is_envelope().then(|| UNCOUNTED.to_owned());
        Ok(OpenReport {
            grant: manifest.grant.id.clone(),
            delivery: manifest.delivery.clone(),
            seal: manifest.seal.kind.clone(),
            files,
            rows: manifest.rows.delivered,
            notes: notes.chain(uncounted).collect(),
        })
    }

    /// Finds out how the files open, and unwraps the keys.
    async fn method(&self, manifest: &Manifest, bytes: &[u8]) -> Result<Method, Failure> {
        let Some(keys) = &manifest.seal.keys else {
            return Ok(Method::Copy);
        };
        let stated = |text: Option<&str>| text.and_then(|text| text.parse::<Suite>().ok());
        let suite = stated(manifest.seal.suite.as_deref()).ok_or_else(|| {
            Failure::Problem(VerifyProblemKind::Manifest, "no suite is stated".to_owned())
        })?;
        let binding = Binding::new(
            suite,
            &manifest.delivery,
            &manifest.attempt,
            &manifest.recipient,
        )?;
        let mut input = self.input(&keys.path).await?;
        let size = keys.bytes;
        let sha256 = keys.sha256.clone();
        let content = blocking(move || {
            let mut content = Vec::new();
            let mut hashed = Hashed::new(&mut input);
            hashed
                .by_ref()
                .take(size.saturating_add(1))
                .read_to_end(&mut content)
                .map_err(|error| unreadable(&error))?;
            confirm(hashed, size, &sha256)?;
            Ok(content)
        })
        .await?;
        let key_file = KeyFile::parse(&content)?;
        let release = manifest.seal.release.as_deref();
        if key_file.binding()? != binding || release != Some(key_file.release.as_str()) {
            let what = "its keys are those of another delivery than the manifest's".to_owned();
            return Err(Failure::Problem(VerifyProblemKind::Format, what));
        }
        let keys = self.deks(&binding, &key_file, bytes)?;
        Ok(if manifest.seal.is_envelope() {
            Method::Envelope(binding, keys)
        } else {
            Method::Parquet(binding, keys)
        })
    }

    /// The delivery's keys: its own, or those that the site released.
    fn deks(
        &self,
        binding: &Binding,
        key_file: &KeyFile,
        manifest: &[u8],
    ) -> Result<Arc<dyn DekSource>, Failure> {
        let identity = self.identity.ok_or_else(|| RunError::Invalid {
            what: "the delivery is sealed".to_owned(),
            at: "command line".to_owned(),
            remedy: "give the recipient's private key with --identity".to_owned(),
        })?;
        match (key_file.release, self.release) {
            (Release::Offline, _) => Ok(Arc::new(key_file.unwrap(identity)?)),
            (Release::Online, None) => Err(ConnectorError::from(SealError::NeedsRelease).into()),
            (Release::Online, Some(document)) => {
                let invalid = |what: String| RunError::Invalid {
                    what,
                    at: "--release".to_owned(),
                    remedy: "ask the site for a release document of this delivery".to_owned(),
                };
                let document = ReleaseDocument::open(document, self.manifest_keys)
                    .map_err(|error| invalid(error.to_string()))?;
                let bound = document
                    .binding()
                    .map_err(|error| invalid(error.to_string()))?;
                if bound != *binding || document.manifest_sha256 != Manifest::sha256(manifest) {
                    let what = "the release document is for another delivery".to_owned();
                    return Err(invalid(what).into());
                }
                let keys = document
                    .keys(identity)
                    .map_err(|error| invalid(error.to_string()))?;
                Ok(Arc::new(keys))
            }
        }
    }

    /// Opens one file into a staged one.
    async fn file(
        &self,
        method: &Method,
        manifest: &Arc<Manifest>,
        file: &FileStatement,
        output: &mut Output,
    ) -> Result<OpenedFile, Failure> {
        let (_, sealed_name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let name = match method {
            Method::Envelope(..) => sealed_name.strip_suffix(envelope::EXTENSION),
            Method::Copy | Method::Parquet(..) => Some(sealed_name),
        };
        let name = name.filter(|name| !name.is_empty()).ok_or_else(|| {
            let what = "its name is not that of a file in an envelope".to_owned();
            Failure::Problem(VerifyProblemKind::Format, what)
        })?;
        let staged = output.stage(name)?;
        let work = Work {
            method: method.clone(),
            input: self.input(&file.path).await?,
            scratch: match method {
                Method::Parquet(..) => Some(output.scratch()?),
                Method::Copy | Method::Envelope(..) => None,
            },
            output: staged.try_clone()?,
            manifest: Arc::clone(manifest),
            file: file.clone(),
            name: sealed_name.to_owned(),
        };
        let bytes = blocking(move || work.open()).await?;
        Ok(OpenedFile {
            name: name.to_owned(),
            bytes,
            rows: file.rows,
        })
    }

    async fn input(&self, path: &str) -> Result<Input, Failure> {
        let relative = Path::from(path);
        let location: Path = self.folder.parts().chain(relative.parts()).collect();
        match self.store.get(&location).await {
            Ok(found) => Ok(Input::of(found)),
            Err(object_store::Error::NotFound { .. }) => Err(Failure::Problem(
                VerifyProblemKind::Missing,
                "it is gone since it was verified".to_owned(),
            )),
            Err(error) => Err(ConnectorError::from_store(&error, path).into()),
        }
    }
}

/// One file to be opened, on a thread that may block.
struct Work {
    method: Method,
    input: Input,
    /// Where sealed Parquet is kept, which is not read from its beginning to its end.
    scratch: Option<File>,
    output: Staged,
    manifest: Arc<Manifest>,
    file: FileStatement,
    /// The file's name in its delivery.
    name: String,
}

impl Work {
    /// Opens the file and syncs it; gives its size.
    fn open(mut self) -> Result<u64, Failure> {
        let bytes = match &self.method {
            Method::Copy => self.copy()?,
            Method::Envelope(binding, keys) => {
                let (binding, keys) = (binding.clone(), Arc::clone(keys));
                self.envelope(&binding, keys.as_ref())?
            }
            Method::Parquet(binding, keys) => {
                let (binding, keys) = (binding.clone(), Arc::clone(keys));
                self.parquet(&binding, keys)?
            }
        };
        self.output.sync()?;
        Ok(bytes)
    }

    fn copy(&mut self) -> Result<u64, Failure> {
        let mut hashed = Hashed::new(&mut self.input);
        let mut head = Vec::new();
        let length = u64::try_from(envelope::MAGIC.len()).unwrap_or(u64::MAX);
        (&mut hashed)
            .take(length)
            .read_to_end(&mut head)
            .map_err(|error| unreadable(&error))?;
        let is_sealed = head == envelope::MAGIC || head.starts_with(encryption::MAGIC);
        if is_sealed || self.name.ends_with(envelope::EXTENSION) {
            let what = "it is sealed, and the manifest says that it is not".to_owned();
            return Err(Failure::Problem(VerifyProblemKind::Format, what));
        }
        self.output.write_all(&head)?;
        let copied = pass(&mut hashed, &mut self.output)?;
        confirm(hashed, self.file.bytes, &self.file.sha256)?;
        Ok(copied.saturating_add(u64::try_from(head.len()).unwrap_or(u64::MAX)))
    }

    fn envelope(&mut self, binding: &Binding, keys: &dyn DekSource) -> Result<u64, Failure> {
        let mut hashed = Hashed::new(&mut self.input);
        let mut reader = EnvelopeReader::open(&mut hashed, binding, &self.name, keys)?;
        let bytes = pass(&mut reader, &mut self.output)?;
        drop(reader);
        confirm(hashed, self.file.bytes, &self.file.sha256)?;
        Ok(bytes)
    }

    fn parquet(&mut self, binding: &Binding, keys: Arc<dyn DekSource>) -> Result<u64, Failure> {
        let fault = || RunError::Internal {
            what: "no place for sealed Parquet was made".to_owned(),
        };
        let mut scratch = self.scratch.take().ok_or_else(fault)?;
        let mut hashed = Hashed::new(&mut self.input);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let read = read_some(&mut hashed, &mut buffer).map_err(|error| unreadable(&error))?;
            if read.is_empty() {
                break;
            }
            scratch
                .write_all(read)
                .map_err(|error| self.output.failed(&error))?;
        }
        confirm(hashed, self.file.bytes, &self.file.sha256)?;
        let properties = decryption_properties(keys, binding, &self.name)?;
        let input = SharedFile::new(scratch, self.file.bytes);
        let reader = SealedReader::open(input, &properties, &self.name)?;
        let rows = reader.group_rows().into_iter().fold(0, u64::saturating_add);
        if rows != self.file.rows {
            let what = format!("{rows} rows where the manifest states {}", self.file.rows);
            return Err(Failure::Problem(VerifyProblemKind::Rows, what));
        }
        check_fields(reader.schema(), &self.manifest)
            .map_err(|what| Failure::Problem(VerifyProblemKind::Schema, what))?;
        reader.write_plain(self.output.writer()?)?;
        self.output.length().map_err(Into::into)
    }
}

/// Moves everything that can be read; gives how much it was. An error of the envelope is the delivery's.
fn pass(from: &mut impl Read, to: &mut Staged) -> Result<u64, Failure> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut passed = 0u64;
    loop {
        let read = read_some(from, &mut buffer).map_err(|error| unreadable(&error))?;
        if read.is_empty() {
            return Ok(passed);
        }
        to.write_all(read)?;
        passed = passed.saturating_add(u64::try_from(read.len()).unwrap_or(u64::MAX));
    }
}

fn read_some<'a>(from: &mut impl Read, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    loop {
        match from.read(buffer) {
            Ok(read) => return Ok(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Checks that what was read, to its end, is what the manifest states.
fn confirm(hashed: Hashed<'_>, bytes: u64, sha256: &str) -> Result<(), Failure> {
    let (read, hash) = hashed.finish().map_err(|error| unreadable(&error))?;
    if read == bytes && hex(&hash) == sha256 {
        Ok(())
    } else {
        let what = "it changed since it was verified".to_owned();
        Err(Failure::Problem(VerifyProblemKind::Hash, what))
    }
}

fn unreadable(error: &io::Error) -> Failure {
    match SealError::of_io(error) {
        Some(error) => ConnectorError::from(error.clone()).into(),
        None => ConnectorError::from_io(error, "the delivery").into(),
    }
}

/// Does work that blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| fault::of_task("opening a delivery", error))?
}

#[cfg(test)]
mod tests;
