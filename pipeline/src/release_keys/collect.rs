//! Finding every key of a sealed delivery: each file's wrapped DEKs, unwrapped by the site's keyring.
//!
//! Files are read as their recipient reads them, footer or header only, with a source of keys that
//! unwraps and remembers: whatever a reader will ask for is so found, and nothing else.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::format::parquet::encryption::decryption_properties;
use lockgate_connectors::keyring::{KekId, KeyProvider};
use lockgate_connectors::seal::envelope::{EnvelopeReader, HEADER_BYTES_MAX};
use lockgate_connectors::seal::{Binding, Dek, DekSource, Suite};
use lockgate_connectors::store::Store;
use object_store::ObjectStoreExt as _;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader};

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
    let binding = binding_of(manifest)?;
    let kek = KekId::new(&manifest.delivery, &manifest.attempt)?;
    let recorder = Arc::new(Recorder {
        keyring,
        kek,
        found: Mutex::default(),
    });
    for file in &manifest.files {
        let part = read_keyed_part(folder, file, manifest.seal.is_envelope()).await?;
        let (recorder, binding, file) = (Arc::clone(&recorder), binding.clone(), file.clone());
        let is_envelope = manifest.seal.is_envelope();
        let asked = tokio::task::spawn_blocking(move || {
            // Malformed metadata may make a parser panic; that is a finding, not a crash.
            fault::contain(|| ask(&recorder, &binding, &file, &part, is_envelope))
        });
        asked
            .await
            .map_err(|error| fault::of_task("finding a file's keys", error))???;
    }
    let mut found = recorder
        .found
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *found))
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

/// Unwraps keys and remembers them.
struct Recorder {
    keyring: Arc<dyn KeyProvider>,
    kek: KekId,
    found: Mutex<Vec<Found>>,
}

impl DekSource for Recorder {
    fn dek(&self, wrapped: &[u8], aad: &[u8]) -> Result<Dek, ConnectorError> {
        let bytes = self.keyring.unwrap(&self.kek, wrapped, aad)?;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        // A footer names the key of a column once for each row group.
        if !found
            .iter()
            .any(|known| known.wrapped == wrapped && known.aad == aad)
        {
            found.push(Found {
                wrapped: wrapped.to_vec(),
                aad: aad.to_vec(),
                dek: Dek::new(bytes.clone()),
            });
        }
        Ok(Dek::new(bytes))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({})", self.kek)
    }
}
