//! Finding every key of a sealed delivery: each file's wrapped DEKs, unwrapped by the site's keyring.
//!
//! Files are read as their recipient reads them, footer or header only, with a source of keys that
//! unwraps and remembers: whatever a reader will ask for is so found, and nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::error::ErrorClass;
use lockgate_connectors::format::parquet::encryption::decryption_properties;
use lockgate_connectors::keyring::{KEY_BYTES, KekId, KeyProvider};
use lockgate_connectors::seal::envelope::{EnvelopeReader, HEADER_BYTES_MAX};
use lockgate_connectors::seal::{Binding, Dek, DekSource, Suite};
use lockgate_connectors::store::Store;
use object_store::ObjectStoreExt as _;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader};
use zeroize::Zeroizing;

use crate::error::RunError;
use crate::fault;
use crate::manifest::{FileStatement, Manifest};

/// Bytes of a Parquet file's tail: length of the footer and magic.
const TAIL_BYTES: u64 = 8;

/// Largest Parquet footer that is read.
const FOOTER_BYTES_MAX: u64 = 64 << 20;

/// A key of a delivery, as it was found.
pub(crate) struct Found {
    pub(crate) wrapped: Vec<u8>,
    pub(crate) aad: Vec<u8>,
    pub(crate) dek: Dek,
}

/// Finds the keys of a delivery in `folder`.
///
/// # Errors
/// Files that are gone or altered; a keyring that doesn't unwrap.
pub(crate) async fn collect(
    keyring: Arc<dyn KeyProvider>,
    manifest: &Manifest,
    folder: &Store,
) -> Result<Vec<Found>, RunError> {
    let finder = Finder::new(keyring, manifest, folder)?;
    for file in &manifest.files {
        finder.look_into(file).await?;
    }
    Ok(finder.found())
}

/// As [`collect`], passing over files that are gone or altered: gives the paths of these too.
///
/// # Errors
/// A store that can't be read now, though a file may well be there.
pub(crate) async fn collect_readable(
    keyring: Arc<dyn KeyProvider>,
    manifest: &Manifest,
    folder: &Store,
) -> Result<(Vec<Found>, Vec<String>), RunError> {
    let finder = Finder::new(keyring, manifest, folder)?;
    let mut unread = Vec::new();
    for file in &manifest.files {
        match finder.look_into(file).await {
            Ok(()) => {}
            Err(error) if is_of_the_file(&error) => {
                tracing::warn!(file = file.path, "Keys of a file were not read: {error}.");
                unread.push(file.path.clone());
            }
            Err(error) => return Err(error),
        }
    }
    Ok((finder.found(), unread))
}

/// Whether what went wrong is a file's own, so that looking again finds the same.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else goes wrong may be another matter the next time"
)]
fn is_of_the_file(error: &RunError) -> bool {
    match error {
        // A parser that panicked over a file is an error of the file.
        RunError::Unverified { .. } | RunError::Internal { .. } => true,
        RunError::Connector(error) => {
            matches!(error.class(), ErrorClass::Integrity | ErrorClass::Data)
        }
        _ => false,
    }
}

/// Looks into the files of a delivery for their keys.
struct Finder<'a> {
    manifest: &'a Manifest,
    folder: &'a Store,
    binding: Binding,
    recorder: Arc<Recorder>,
}

impl<'a> Finder<'a> {
    fn new(
        keyring: Arc<dyn KeyProvider>,
        manifest: &'a Manifest,
        folder: &'a Store,
    ) -> Result<Self, RunError> {
        let recorder = Recorder {
            keyring,
            kek: KekId::new(&manifest.delivery, &manifest.attempt)?,
            found: Mutex::default(),
        };
        Ok(Self {
            manifest,
            folder,
            binding: binding_of(manifest)?,
            recorder: Arc::new(recorder),
        })
    }

    async fn look_into(&self, file: &FileStatement) -> Result<(), RunError> {
        let is_envelope = self.manifest.seal.is_envelope();
        let part = read_keyed_part(self.folder, file, is_envelope).await?;
        let (recorder, binding) = (Arc::clone(&self.recorder), self.binding.clone());
        let file = file.clone();
        let asked = tokio::task::spawn_blocking(move || {
            // Malformed metadata may make a parser panic; that is a finding, not a crash.
            fault::contain(|| ask(&recorder, &binding, &file, &part, is_envelope))
        });
        let asked = asked.await;
        asked.map_err(|error| fault::of_task("finding a file's keys", error))??
    }

    fn found(self) -> Vec<Found> {
        let found = self.recorder.found.lock();
        let mut found = found.unwrap_or_else(PoisonError::into_inner);
        let found = std::mem::take(&mut *found).into_iter();
        found
            .map(|((wrapped, aad), key)| Found {
                wrapped,
                aad,
                dek: Dek::new(key),
            })
            .collect()
    }
}

/// What the keys of a delivery are bound to.
pub(crate) fn binding_of(manifest: &Manifest) -> Result<Binding, RunError> {
    let suite: Suite = manifest
        .seal
        .suite
        .as_deref()
        .unwrap_or_default()
        .parse()
        .map_err(ConnectorError::from)?;
    let binding = Binding::new(
        suite,
        &manifest.delivery,
        &manifest.attempt,
        &manifest.recipient,
    );
    Ok(binding?)
}

/// The part of a file that holds its wrapped keys: the header of an envelope, a Parquet footer with
/// its tail.
async fn read_keyed_part(
    folder: &Store,
    file: &FileStatement,
    is_envelope: bool,
) -> Result<Bytes, RunError> {
    let path = folder.resolve(&file.path)?;
    let objects = folder.object_store();
    let read = async |range: std::ops::Range<u64>| {
        let place = || folder.place(&file.path);
        let read = objects.get_range(&path, range).await;
        read.map_err(|error| RunError::from(ConnectorError::from_store(&error, place())))
    };
    if is_envelope {
        let header = u64::try_from(HEADER_BYTES_MAX).unwrap_or(u64::MAX);
        // Salt and commitment follow the header, and are looked at too.
        return read(0..file.bytes.min(header.saturating_add(1 << 15))).await;
    }
    let altered = || RunError::Unverified {
        what: format!("file `{}` does not end as a sealed Parquet file", file.path),
    };
    let tail_start = file.bytes.checked_sub(TAIL_BYTES).ok_or_else(altered)?;
    let tail = read(tail_start..file.bytes).await?;
    let length = FooterTail::try_from(tail.as_ref())
        .ok()
        .filter(FooterTail::is_encrypted_footer)
        .and_then(|tail| u64::try_from(tail.metadata_length()).ok())
        .filter(|length| (1..=FOOTER_BYTES_MAX.min(tail_start)).contains(length))
        .ok_or_else(altered)?;
    read(tail_start.saturating_sub(length)..file.bytes).await
}

/// Opens the part with the recorder as its source of keys.
fn ask(
    recorder: &Arc<Recorder>,
    binding: &Binding,
    file: &FileStatement,
    part: &Bytes,
    is_envelope: bool,
) -> Result<(), RunError> {
    let name = file
        .path
        .rsplit_once('/')
        .map_or(file.path.as_str(), |(_, name)| name);
    if is_envelope {
        EnvelopeReader::open(part.as_ref(), binding, name, recorder.as_ref())?;
        return Ok(());
    }
    let source: Arc<dyn DekSource> = Arc::<Recorder>::clone(recorder);
    let properties = decryption_properties(source, binding, name)?;
    let parsed = ParquetMetaDataReader::new()
        .with_decryption_properties(Some(properties))
        .try_parse_sized(part, file.bytes);
    parsed.map(|_| ()).map_err(|_| RunError::Unverified {
        what: format!(
            "the footer of file `{}` does not open: it was altered, or the key that opens it is gone",
            file.path
        ),
    })
}

/// What a key was wrapped as, and for.
type WrappedFor = (Vec<u8>, Vec<u8>);

/// Unwraps keys, each once, and remembers them.
struct Recorder {
    keyring: Arc<dyn KeyProvider>,
    kek: KekId,
    found: Mutex<BTreeMap<WrappedFor, Zeroizing<[u8; KEY_BYTES]>>>,
}

impl DekSource for Recorder {
    fn dek(&self, wrapped: &[u8], aad: &[u8]) -> Result<Dek, ConnectorError> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        // A footer names the key of a column once for each row group, and a keyring may be a machine
        // far away.
        let wrapped_for = (wrapped.to_vec(), aad.to_vec());
        if let Some(known) = found.get(&wrapped_for) {
            return Ok(Dek::new(known.clone()));
        }
        let bytes = self.keyring.unwrap(&self.kek, wrapped, aad)?;
        found.insert(wrapped_for, bytes.clone());
        Ok(Dek::new(bytes))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({})", self.kek)
    }
}

#[cfg(test)]
mod tests {
    use lockgate_connectors::keyring::LocalKeyring;

    use super::*;

    #[test]
    fn a_keyring_is_asked_once_for_each_key() {
        let directory = tempfile::tempdir().unwrap();
        let keyring: Arc<dyn KeyProvider> =
            Arc::new(LocalKeyring::open(directory.path().join("keys")));
        let kek = KekId::new("0123456789abcdef0123456789abcdef", "00112233445566aa").unwrap();
        keyring.create_kek(&kek).unwrap();
        let wrapped = keyring.wrap(&kek, &[7; KEY_BYTES], b"footer").unwrap();
        let recorder = Recorder {
            keyring: Arc::clone(&keyring),
            kek: kek.clone(),
            found: Mutex::default(),
        };
        assert_eq!(
            recorder.dek(&wrapped, b"footer").unwrap().expose(),
            &[7; KEY_BYTES]
        );
        keyring.destroy_kek(&kek).unwrap();
        assert_eq!(
            recorder.dek(&wrapped, b"footer").unwrap().expose(),
            &[7; KEY_BYTES]
        );
        assert!(recorder.dek(&wrapped, b"another").is_err());
        assert_eq!(recorder.found.lock().unwrap().len(), 1);
    }
}
