//! Which files a run reads, in which state. A run is tied to its snapshot: the snapshot goes into
//! the run key, and a file that is no longer as listed fails the run instead of mixing two states.
//!
//! A file in an object store is pinned by its ETag, which every request carries as If-Match; a
//! local file by size and modification time, compared at every opening and once more at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, coalesce_ranges,
};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::error::ConnectorError;
use crate::store::{Store, leads_out};

/// Files looked at, opened or confirmed at once.
pub(crate) const CONCURRENT_FILES: usize = 8;
/// The most bytes asked of an object store at once: a request has a time limit, and a long one over
/// a slow line would meet it.
const PIECE_BYTES: usize = 8 * 1024 * 1024;
/// Pieces of one range fetched at once.
const CONCURRENT_PIECES: usize = 4;

/// One file as it was when the snapshot was taken.
///
/// Serialises as its path, size and what pins it: the ETag, or else the modification time in
/// nanoseconds as text, because JSON readers round large numbers. This form goes into run keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path relative to the store, `/`-separated.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// The object store's entity tag; none for local files.
    pub etag: Option<String>,
    /// When it was last written, in nanoseconds since 1970-01-01T00:00:00Z.
    pub modified_ns: i128,
}

impl Serialize for SourceFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut file = serializer.serialize_struct("SourceFile", 3)?;
        file.serialize_field("path", &self.path)?;
        file.serialize_field("size", &self.size)?;
        match &self.etag {
            Some(etag) => file.serialize_field("etag", etag)?,
            None => file.serialize_field("modified_ns", &self.modified_ns.to_string())?,
        }
        file.end()
    }
}

/// The files of a source, sorted by the bytes of their paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The files.
    pub files: Vec<SourceFile>,
}

/// Lists what a source's path stands for: one file, or, where it ends in `/`, every file below it
/// whose name ends in `.extension`. Hidden files and directories, and those whose name begins with
/// `_`, are skipped: writers keep unfinished work there.
///
/// # Errors
/// [`ConnectorError::NotFound`] or [`ConnectorError::NoFiles`] if nothing is there,
/// [`ConnectorError::Config`] for a path or a link that leaves the store, and the store's own
/// failures.
pub async fn list_files(
    store: &Store,
    path: &str,
    extension: &'static str,
) -> Result<Snapshot, ConnectorError> {
    let location = store.resolve(path)?;
    let mut files = match (path.strip_suffix('/'), store.local_root()) {
        (None, Some(root)) => vec![local_file(store, root, path)?],
        (None, None) => vec![object_file(store, &location, path).await?],
        (Some(directory), Some(root)) => {
            let (store, root) = (store.clone(), root.to_owned());
            let directory = directory.to_owned();
            let walk = move || local_files(&store, &root, directory, extension);
            tokio::task::spawn_blocking(walk)
                .await
                .map_err(|_| ConnectorError::bug("listing files was cut off"))??
        }
        (Some(_), None) => object_files(store, &location, path, extension).await?,
    };
    if files.is_empty() {
        return Err(ConnectorError::NoFiles {
            place: store.place(path),
            extension,
        });
    }
    files.sort_unstable_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    Ok(Snapshot { files })
}

/// Looks at every file of a snapshot once more.
///
/// # Errors
/// [`ConnectorError::Changed`] for a file that is no longer as listed, or is gone.
pub async fn confirm_unchanged(store: &Store, snapshot: &Snapshot) -> Result<(), ConnectorError> {
    let checks = snapshot.files.iter().map(|file| async move {
        let changed = || ConnectorError::Changed {
            place: store.place(&file.path),
        };
        let now = match store.local_root() {
            Some(root) => local_file(store, root, &file.path),
            None => object_file(store, &store.resolve(&file.path)?, &file.path).await,
        };
        let now = now.map_err(|error| {
            if matches!(error, ConnectorError::NotFound { .. }) {
                changed()
            } else {
                error
            }
        })?;
        if same(file, now.size, now.etag.as_deref(), now.modified_ns) {
            Ok(())
        } else {
            Err(changed())
        }
    });
    let checks: Vec<_> = checks.collect();
    stream::iter(checks)
        .buffered(CONCURRENT_FILES)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

/// Whether a file is still as listed: by its tag where it has one, else by size and time.
fn same(file: &SourceFile, size: u64, etag: Option<&str>, modified_ns: i128) -> bool {
    file.size == size
        && match &file.etag {
            Some(listed) => etag == Some(listed.as_str()),
            None => file.modified_ns == modified_ns,
        }
}

fn is_skipped(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

fn has_extension(name: &str, extension: &str) -> bool {
    name.strip_suffix(extension)
        .is_some_and(|stem| stem.len() > 1 && stem.ends_with('.'))
}

fn local_file(store: &Store, root: &FilePath, path: &str) -> Result<SourceFile, ConnectorError> {
    let place = || store.place(path);
    let metadata = std::fs::metadata(root.join(path))
        .map_err(|error| ConnectorError::from_io(&error, place()))?;
    if metadata.is_dir() {
        return Err(ConnectorError::config(
            format!("{} is a directory", place()),
            "end the path in `/` to read every file in it",
        ));
    }
    if !metadata.is_file() {
        return Err(ConnectorError::config(
            format!("{} is not a regular file", place()),
            "point the dataset at a file or a directory of files",
        ));
    }
    let modified = metadata
        .modified()
        .map_err(|error| ConnectorError::from_io(&error, place()))?;
    Ok(SourceFile {
        path: path.to_owned(),
        size: metadata.len(),
        etag: None,
        modified_ns: nanoseconds(modified),
    })
}

fn nanoseconds(time: std::time::SystemTime) -> i128 {
    let signed = |duration: std::time::Duration| i128::try_from(duration.as_nanos());
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => signed(after).unwrap_or(i128::MAX),
        Err(before) => signed(before.duration()).map_or(i128::MIN, |before| -before),
    }
}

/// The files below a directory; links are followed only as long as they stay in the store.
fn local_files(
    store: &Store,
    root: &FilePath,
    directory: String,
    extension: &str,
) -> Result<Vec<SourceFile>, ConnectorError> {
    let mut files = Vec::new();
    let mut pending = vec![(directory, 0_usize)];
    while let Some((directory, depth)) = pending.pop() {
        let place = || store.place(&directory);
        if depth > 64 {
            return Err(ConnectorError::config(
                format!("{} lies more than 64 directories deep", place()),
                "check for a link that leads back to its own directory",
            ));
        }
        let entries = std::fs::read_dir(root.join(&directory))
            .map_err(|error| ConnectorError::from_io(&error, place()))?;
        for entry in entries {
            let entry = entry.map_err(|error| ConnectorError::from_io(&error, place()))?;
            let Ok(name) = entry.file_name().into_string() else {
                return Err(ConnectorError::config(
                    format!("{} holds a file whose name is not UTF-8", place()),
                    "rename it",
                ));
            };
            if is_skipped(&name) {
                continue;
            }
            let path = format!("{directory}/{name}");
            let kind = entry
                .file_type()
                .map_err(|error| ConnectorError::from_io(&error, place()))?;
            if kind.is_symlink() && leads_out(root, &path) {
                return Err(ConnectorError::config(
                    format!("{} is a link that leaves the store", store.place(&path)),
                    "put the file itself into the store, or make the store's root include it",
                ));
            }
            let metadata = std::fs::metadata(entry.path())
                .map_err(|error| ConnectorError::from_io(&error, store.place(&path)))?;
            if metadata.is_dir() {
                pending.push((path, depth.saturating_add(1)));
            } else if metadata.is_file() && has_extension(&name, extension) {
                store.resolve(&path)?;
                files.push(local_file(store, root, &path)?);
            }
        }
    }
    Ok(files)
}

async fn object_file(
    store: &Store,
    location: &Path,
    path: &str,
) -> Result<SourceFile, ConnectorError> {
    let meta = store
        .object_store()
        .head(location)
        .await
        .map_err(|error| ConnectorError::from_store(&error, store.place(path)))?;
    Ok(source_file(path.to_owned(), meta))
}

async fn object_files(
    store: &Store,
    location: &Path,
    path: &str,
    extension: &str,
) -> Result<Vec<SourceFile>, ConnectorError> {
    let place = || store.place(path);
    let objects = store.object_store();
    let mut listing = objects.list(Some(location));
    let mut listed = Vec::new();
    while let Some(meta) = listing.next().await {
        let meta = meta.map_err(|error| ConnectorError::from_store(&error, place()))?;
        let Some(parts) = meta.location.prefix_match(location) else {
            continue;
        };
        let parts: Vec<_> = parts.collect();
        let skipped = parts.iter().any(|part| is_skipped(part.as_ref()));
        let fits = parts
            .last()
            .is_some_and(|name| has_extension(name.as_ref(), extension));
        if skipped || !fits {
            continue;
        }
        let Some(relative) = relative(&meta.location, store.prefix()) else {
            continue;
        };
        store.resolve(&relative)?;
        listed.push((relative, meta));
    }
    // A listing without tags has times of another precision than the file's own answer.
    let looks = listed.into_iter().map(|(path, meta)| async move {
        match meta.e_tag {
            Some(_) => Ok(source_file(path, meta)),
            None => object_file(store, &meta.location, &path).await,
        }
    });
    let looks: Vec<_> = looks.collect();
    stream::iter(looks)
        .buffered(CONCURRENT_FILES)
        .try_collect()
        .await
}

fn relative(location: &Path, prefix: &Path) -> Option<String> {
    let rest = location.as_ref().strip_prefix(prefix.as_ref())?;
    Some(rest.trim_start_matches('/').to_owned())
}

fn source_file(path: String, meta: ObjectMeta) -> SourceFile {
    SourceFile {
        path,
        size: meta.size,
        etag: meta.e_tag,
        modified_ns: modified_ns(&meta.last_modified),
    }
}

fn modified_ns(time: &chrono::DateTime<chrono::Utc>) -> i128 {
    i128::from(time.timestamp()) * 1_000_000_000 + i128::from(time.timestamp_subsec_nanos())
}

/// A store that reads the files of one snapshot and nothing else, each only as it was listed.
///
/// A request for a file that has changed since fails with object_store's precondition error;
/// writing, listing and unlisted paths are refused, so that no reader built on it can stray.
pub struct PinnedStore {
    inner: Arc<dyn ObjectStore>,
    files: BTreeMap<Path, SourceFile>,
    local: bool,
}

impl PinnedStore {
    /// Pins the files of a snapshot of `store`.
    ///
    /// # Errors
    /// [`ConnectorError::Config`] if a listed path does not resolve (any more).
    pub fn new(store: &Store, snapshot: &Snapshot) -> Result<Self, ConnectorError> {
        let mut files = BTreeMap::new();
        for file in &snapshot.files {
            files.insert(store.resolve(&file.path)?, file.clone());
        }
        let local = store.local_root().is_some();
        Ok(Self {
            inner: store.object_store(),
            files,
            local,
        })
    }

    /// Reads a range; a long one of an object store in pieces.
    async fn read(&self, location: &Path, range: Range<u64>) -> object_store::Result<Bytes> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        if self.local || length <= PIECE_BYTES {
            return self.get_range(location, range).await;
        }
        let piece = |start: u64| {
            let length = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
            self.get_range(location, start..start.saturating_add(length).min(range.end))
        };
        let pieces: Vec<_> = range.clone().step_by(PIECE_BYTES).map(piece).collect();
        let mut pieces = stream::iter(pieces).buffered(CONCURRENT_PIECES);
        let mut whole = BytesMut::with_capacity(length);
        while let Some(piece) = pieces.try_next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

/// Shows how many files are pinned; the inner store's `Debug` could show keys.
impl fmt::Debug for PinnedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedStore")
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for PinnedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PinnedStore of {} files", self.files.len())
    }
}

fn refused(operation: &str) -> object_store::Error {
    object_store::Error::NotSupported {
        source: format!("a pinned source does not {operation}").into(),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for PinnedStore {
    async fn put_opts(
        &self,
        _location: &Path,
        _payload: PutPayload,
        _options: PutOptions,
    ) -> object_store::Result<PutResult> {
        Err(refused("write"))
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        Err(refused("write"))
    }

    async fn get_opts(
        &self,
        location: &Path,
        mut options: GetOptions,
    ) -> object_store::Result<GetResult> {
        let file = self
            .files
            .get(location)
            .ok_or_else(|| refused("read unlisted files"))?;
        if let Some(etag) = &file.etag {
            options.if_match = Some(etag.clone());
        }
        let found = self.inner.get_opts(location, options).await;
        let found = found.map_err(|error| {
            if let object_store::Error::NotFound { path, source } = error {
                // It was listed, so it went since.
                object_store::Error::Precondition { path, source }
            } else {
                error
            }
        })?;
        let meta = &found.meta;
        if same(
            file,
            meta.size,
            meta.e_tag.as_deref(),
            modified_ns(&meta.last_modified),
        ) {
            Ok(found)
        } else {
            Err(object_store::Error::Precondition {
                path: location.to_string(),
                source: "the file is not as listed".into(),
            })
        }
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        coalesce_ranges(
            ranges,
            |range| self.read(location, range),
            OBJECT_STORE_COALESCE_DEFAULT,
        )
        .await
    }

    fn delete_stream(
        &self,
        _locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        stream::iter([Err(refused("delete"))]).boxed()
    }

    fn list(&self, _prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        stream::iter([Err(refused("list"))]).boxed()
    }

    fn list_with_offset(
        &self,
        _prefix: Option<&Path>,
        _offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        stream::iter([Err(refused("list"))]).boxed()
    }

    async fn list_with_delimiter(
        &self,
        _prefix: Option<&Path>,
    ) -> object_store::Result<ListResult> {
        Err(refused("list"))
    }

    async fn copy_opts(
        &self,
        _from: &Path,
        _to: &Path,
        _options: CopyOptions,
    ) -> object_store::Result<()> {
        Err(refused("write"))
    }

    async fn rename_opts(
        &self,
        _from: &Path,
        _to: &Path,
        _options: RenameOptions,
    ) -> object_store::Result<()> {
        Err(refused("write"))
    }
}

#[cfg(test)]
mod tests;
