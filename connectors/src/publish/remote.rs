//! Publication into an object store: the manifest appears by `If-None-Match: *`.
//!
//! A part's writer hands chunks to a task of the runtime, which uploads them. A small part is one
//! request; a larger one is a multipart upload that is aborted if its writer goes away. Uploads
//! that a killed process leaves open are invisible and cost space until the bucket's lifecycle
//! rule for incomplete uploads removes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, WriteMultipart};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::part::ReadBack;
use super::sweep::Found;
use super::{
    Folder, MANIFEST, MANIFEST_BYTES_MAX, PROBE, PROBES, Publication, StagedFile, blocking,
    is_attempt, is_delivery,
};
use crate::error::{ConnectorError, brief};

/// Bytes of one request of a multipart upload; at most 10,000 requests make a part.
const CHUNK_BYTES: usize = 8 << 20;

/// Requests of one upload at a time. Memory of a part: these, one waiting, one being filled.
const IN_FLIGHT: usize = 2;

/// Creates tried while it stays unknown whether one succeeded, with the store's own tries inside.
const CREATES_MAX: u32 = 4;

const BACKOFF: Duration = Duration::from_millis(200);

/// No further create after this long, so that a store that has gone silent is reported within a
/// minute. What stays unknown is settled at the next start.
const CREATE_PATIENCE: Duration = Duration::from_secs(20);

/// Longest that one create, or the look at what came of it, may take, the store's own tries inside:
/// nobody is asked in between, and a halt counts within five seconds.
const CREATE_ROUND: Duration = Duration::from_secs(3);

/// How long a part that comes to nothing tries to take its upload back. Nobody waits for it but the
/// attempt's discard.
const ABORT_PATIENCE: Duration = Duration::from_secs(1);

/// What is said of a request that was given up.
const NO_ANSWER: &str = "it did not answer in time";

/// An object store and a prefix as a destination.
#[derive(Clone)]
pub(super) struct Remote {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    url: String,
}

impl Remote {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, prefix: Path, url: &str) -> Self {
        Self {
            objects,
            prefix,
            url: url.to_owned(),
        }
    }

    fn delivery(&self, folder: &Folder) -> Path {
        self.prefix
            .clone()
            .join(folder.grant.as_str())
            .join(folder.delivery.as_str())
    }

    pub(super) fn part_path(&self, folder: &Folder, id: &str, name: &str) -> Path {
        self.delivery(folder).join(id).join(name)
    }

    /// The object as messages show it.
    fn place(&self, object: &Path) -> String {
        let inner = object
            .as_ref()
            .strip_prefix(self.prefix.as_ref())
            .unwrap_or_else(|| object.as_ref());
        format!("{}/{}", self.url, inner.trim_start_matches('/'))
    }

    fn failed(&self, error: &Error, object: &Path) -> ConnectorError {
        ConnectorError::from_store(error, self.place(object))
    }

    pub(super) async fn probe(&self, name: &str) -> Result<(), ConnectorError> {
        let object = self.prefix.clone().join(PROBES).join(name);
        let first = self.create(&object, Bytes::from_static(b"1")).await;
        let second = match &first {
            Ok(()) => self.create(&object, Bytes::from_static(b"2")).await,
            Err(_) => Ok(()),
        };
        let removed = self.objects.delete(&object).await;
        let refused = |what: &str| {
            let place = self.url.clone();
            Err(ConnectorError::NoConditionalCreate {
                place,
                what: what.to_owned(),
            })
        };
        match (first, second) {
            (Err(Error::NotImplemented { .. } | Error::NotSupported { .. }), _) => {
                refused("it has no conditional create")
            }
            (Err(error), _) => Err(self.failed(&error, &object)),
            (Ok(()), Ok(())) => refused("of two creates of one object both succeed"),
            (Ok(()), Err(Error::AlreadyExists { .. })) => {
                removed.map_err(|error| self.failed(&error, &object))
            }
            (Ok(()), Err(error)) => Err(self.failed(&error, &object)),
        }
    }

    /// Removes probes last changed before a time; returns how many.
    pub(super) async fn sweep_probes(&self, before: DateTime<Utc>) -> Result<u64, ConnectorError> {
        let probes = self.prefix.clone().join(PROBES);
        let listed = self.objects.list_with_delimiter(Some(&probes)).await;
        let listed = listed.map_err(|error| self.failed(&error, &probes))?;
        let mut swept = 0_u64;
        for meta in listed.objects {
            let name = meta.location.filename();
            if meta.last_modified < before && name.is_some_and(|name| name.starts_with(PROBE)) {
                match self.objects.delete(&meta.location).await {
                    Ok(()) | Err(Error::NotFound { .. }) => swept = swept.saturating_add(1),
                    Err(error) => return Err(self.failed(&error, &meta.location)),
                }
            }
        }
        Ok(swept)
    }

    async fn create(&self, object: &Path, content: Bytes) -> Result<(), Error> {
        let payload = PutPayload::from_bytes(content);
        self.objects
            .put_opts(object, payload, PutMode::Create.into())
            .await
            .map(|_| ())
    }

    /// Looks for every staged file once more.
    pub(super) async fn confirm(
        &self,
        folder: &Folder,
        staged: &[StagedFile],
    ) -> Result<(), ConnectorError> {
        for file in staged {
            let mut object = self.delivery(folder);
            object.extend(file.path.split('/'));
            let place = self.place(&object);
            match self.objects.head(&object).await {
                Ok(meta) if meta.size == file.bytes => {}
                Ok(_) => {
                    let what = format!("{} bytes were written and it has changed", file.bytes);
                    return Err(ConnectorError::Altered { place, what });
                }
                Err(error) => return Err(vanished_or(&error, place)),
            }
        }
        Ok(())
    }

    /// The one conditional create. Whatever its answer, what can be read back decides: a create
    /// whose answer was lost has made the manifest, a conflict (409) may have made none. `may` is
    /// asked before each try; once one was sent, its refusal can only keep further ones back.
    pub(super) async fn create_manifest(
        &self,
        folder: &Folder,
        manifest: Bytes,
        may: &Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Result<Publication, ConnectorError> {
        let object = self.delivery(folder).join(MANIFEST);
        let place = self.place(&object);
        let mut what = String::new();
        let started = Instant::now();
        for round in 0..CREATES_MAX {
            if round > 0 {
                if started.elapsed() > CREATE_PATIENCE {
                    break;
                }
                tokio::time::sleep(BACKOFF * (1 << round)).await;
            }
            let asked = Arc::clone(may);
            // Nobody to ask is nobody who allows it.
            if !blocking(move || Ok(asked())).await.unwrap_or(false) {
                if round == 0 {
                    return Ok(Publication::Withdrawn);
                }
                break;
            }
            let created = self.create(&object, manifest.clone());
            match in_time(created).await {
                Ok(()) => return Ok(Publication::Published),
                Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                    let what = "it has no conditional create".to_owned();
                    return Err(ConnectorError::NoConditionalCreate { place, what });
                }
                // Refused before anything could have been made.
                Err(error @ (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }))
                    if round == 0 =>
                {
                    return Err(self.failed(&error, &object));
                }
                Err(error) => what = brief(&error),
            }
            match tokio::time::timeout(CREATE_ROUND, self.read_manifest(folder)).await {
                Ok(Ok(Some(found))) if found == manifest => return Ok(Publication::Published),
                Ok(Ok(Some(found))) => return Ok(Publication::AlreadyPublished(found)),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => what = error.to_string(),
                Err(_) => NO_ANSWER.clone_into(&mut what),
            }
        }
        Err(ConnectorError::Unsettled { place, what })
    }

    pub(super) async fn read_manifest(
        &self,
        folder: &Folder,
    ) -> Result<Option<Bytes>, ConnectorError> {
        let object = self.delivery(folder).join(MANIFEST);
        let found = match self.objects.get(&object).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(|error| self.failed(&error, &object))?,
        };
        if found.meta.size > MANIFEST_BYTES_MAX {
            return Err(super::too_large(self.place(&object)));
        }
        found
            .bytes()
            .await
            .map(Some)
            .map_err(|error| self.failed(&error, &object))
    }

    /// Deliveries of a grant.
    pub(super) async fn deliveries(&self, grant: &str) -> Result<Vec<String>, ConnectorError> {
        let folders = self.subfolders(&self.prefix.clone().join(grant)).await?;
        Ok(folders
            .into_iter()
            .filter(|name| is_delivery(name))
            .collect())
    }

    /// Attempts at a delivery.
    pub(super) async fn attempts(&self, folder: &Folder) -> Result<Vec<Found>, ConnectorError> {
        let delivery = self.delivery(folder);
        let mut found = Vec::new();
        for id in self
            .subfolders(&delivery)
            .await?
            .into_iter()
            .filter(|name| is_attempt(name))
        {
            let attempt = delivery.clone().join(id.as_str());
            let newest = self
                .objects
                .list(Some(&attempt))
                .try_fold(None::<DateTime<Utc>>, async |newest, meta| {
                    Ok(newest.max(Some(meta.last_modified)))
                })
                .await
                .map_err(|error| self.failed(&error, &attempt))?;
            found.extend(newest.map(|newest| Found { id, newest }));
        }
        Ok(found)
    }

    async fn subfolders(&self, prefix: &Path) -> Result<Vec<String>, ConnectorError> {
        let listed = self
            .objects
            .list_with_delimiter(Some(prefix))
            .await
            .map_err(|error| self.failed(&error, prefix))?;
        let names = listed
            .common_prefixes
            .iter()
            .filter_map(|path| path.filename());
        Ok(names.map(ToOwned::to_owned).collect())
    }

    /// Removes the objects directly under an attempt's prefix; returns how many and their bytes.
    pub(super) async fn remove_attempt(
        &self,
        folder: &Folder,
        id: &str,
    ) -> Result<(u64, u64), ConnectorError> {
        let attempt = self.delivery(folder).join(id);
        let mut listed = self.objects.list(Some(&attempt));
        let (mut files, mut bytes) = (0_u64, 0_u64);
        while let Some(meta) = listed.next().await {
            let meta = meta.map_err(|error| self.failed(&error, &attempt))?;
            let Some(name) = meta.location.filename() else {
                continue;
            };
            // Rebuilt from the ids: an object deeper down isn't an attempt's.
            let object = attempt.clone().join(name);
            if object != meta.location {
                continue;
            }
            match self.objects.delete(&object).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed(&error, &object)),
            }
            files = files.saturating_add(1);
            bytes = bytes.saturating_add(meta.size);
        }
        Ok((files, bytes))
    }

    /// The writing end of an upload and the task that is its other end.
    pub(super) fn upload(
        &self,
        object: Path,
        stop: CancellationToken,
    ) -> (RemotePart, impl Future<Output = ()> + Send + 'static) {
        let (chunks, received) = mpsc::channel(1);
        let (answer, result) = oneshot::channel();
        let place = self.place(&object);
        let upload = Upload {
            objects: Arc::clone(&self.objects),
            object,
            place: place.clone(),
        };
        let task = async move {
            let mut multipart = None;
            let mut received = received;
            let uploaded = tokio::select! {
                uploaded = upload.run(&mut received, &mut multipart) => uploaded,
                () = stop.cancelled() => Err(stopped(&upload.place)),
            };
            let came_to_nothing = uploaded.is_err();
            // Whoever writes is told before the store is: one that does not answer would keep it.
            drop(received);
            // The writer may be gone, and then nobody wants to know.
            drop(answer.send(uploaded));
            if let Some(multipart) = multipart.filter(|_| came_to_nothing) {
                abort(multipart, &upload.place).await;
            }
        };
        (
            RemotePart {
                place,
                chunk: Vec::new(),
                chunks,
                result: Some(result),
            },
            task,
        )
    }
}

/// What a writer sends. The channel closing without an end is an abort.
enum Message {
    Chunk(Bytes),
    End { bytes: u64, sha256: [u8; 32] },
}

/// A part being uploaded, as its writer sees it.
pub(super) struct RemotePart {
    place: String,
    chunk: Vec<u8>,
    chunks: mpsc::Sender<Message>,
    result: Option<oneshot::Receiver<Result<(), ConnectorError>>>,
}

impl RemotePart {
    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), ConnectorError> {
        while !bytes.is_empty() {
            let room = CHUNK_BYTES
                .saturating_sub(self.chunk.len())
                .min(bytes.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.chunk.extend_from_slice(now);
            bytes = later;
            if self.chunk.len() >= CHUNK_BYTES {
                let next = Vec::with_capacity(CHUNK_BYTES);
                let chunk = std::mem::replace(&mut self.chunk, next);
                self.send(Message::Chunk(chunk.into()))?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self, bytes: u64, sha256: &[u8; 32]) -> Result<(), ConnectorError> {
        if !self.chunk.is_empty() {
            let chunk = std::mem::take(&mut self.chunk);
            self.send(Message::Chunk(chunk.into()))?;
        }
        self.send(Message::End {
            bytes,
            sha256: *sha256,
        })?;
        self.outcome()
    }

    fn send(&mut self, message: Message) -> Result<(), ConnectorError> {
        if self.chunks.blocking_send(message).is_ok() {
            return Ok(());
        }
        // The task has ended early, and its result says why.
        self.outcome().and_then(|()| Err(self.stopped()))
    }

    fn outcome(&mut self) -> Result<(), ConnectorError> {
        match self.result.take().map(oneshot::Receiver::blocking_recv) {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => Err(self.stopped()),
        }
    }

    fn stopped(&self) -> ConnectorError {
        stopped(&self.place)
    }
}

fn stopped(place: &str) -> ConnectorError {
    ConnectorError::Unavailable {
        place: place.to_owned(),
        what: "its upload was stopped".to_owned(),
    }
}

/// The task's side of an upload.
struct Upload {
    objects: Arc<dyn ObjectStore>,
    object: Path,
    place: String,
}

impl Upload {
    /// Uploads what is received and reads it back. What stays in `multipart` is to be aborted if this
    /// fails, or is dropped.
    async fn run(
        &self,
        received: &mut mpsc::Receiver<Message>,
        multipart: &mut Option<WriteMultipart>,
    ) -> Result<(), ConnectorError> {
        let (bytes, sha256) = self.transfer(received, multipart).await?;
        if let Some(multipart) = multipart {
            // Here, where the upload can still be aborted, and not in `finish`, which takes it.
            let sent = multipart.wait_for_capacity(0).await;
            sent.map_err(|error| self.failed(&error))?;
        }
        let completed = match multipart.take() {
            Some(multipart) => multipart.finish().await.map(|_| ()),
            None => Ok(()),
        };
        match (self.read_back(bytes, &sha256).await, completed) {
            // A completion whose answer was lost has still made the object.
            (Ok(()), _) => Ok(()),
            (Err(_), Err(error)) => Err(self.failed(&error)),
            (Err(error), Ok(())) => Err(error),
        }
    }

    /// Takes chunks until the end: one of them alone is put, more become a multipart upload.
    async fn transfer(
        &self,
        received: &mut mpsc::Receiver<Message>,
        multipart: &mut Option<WriteMultipart>,
    ) -> Result<(u64, [u8; 32]), ConnectorError> {
        let mut first = None;
        loop {
            if let Some(multipart) = multipart {
                let capacity = multipart.wait_for_capacity(IN_FLIGHT).await;
                capacity.map_err(|error| self.failed(&error))?;
            }
            match received.recv().await {
                Some(Message::Chunk(chunk)) => match (&mut *multipart, first.take()) {
                    (Some(multipart), _) => multipart.put(chunk),
                    (None, None) => first = Some(chunk),
                    (None, Some(held)) => {
                        let begun = self.objects.put_multipart(&self.object).await;
                        let begun = begun.map_err(|error| self.failed(&error))?;
                        let begun = multipart
                            .insert(WriteMultipart::new_with_chunk_size(begun, CHUNK_BYTES));
                        begun.put(held);
                        begun.put(chunk);
                    }
                },
                Some(Message::End { bytes, sha256 }) => {
                    if multipart.is_none() {
                        let only = PutPayload::from_bytes(first.unwrap_or_default());
                        let put = self.objects.put(&self.object, only).await;
                        put.map_err(|error| self.failed(&error))?;
                    }
                    return Ok((bytes, sha256));
                }
                None => return Err(stopped(&self.place)),
            }
        }
    }

    async fn read_back(&self, bytes: u64, sha256: &[u8; 32]) -> Result<(), ConnectorError> {
        let vanished = |error: Error| vanished_or(&error, self.place.clone());
        let mut content = self
            .objects
            .get(&self.object)
            .await
            .map_err(vanished)?
            .into_stream();
        let mut read_back = ReadBack::default();
        while let Some(chunk) = content.next().await {
            read_back.update(&chunk.map_err(vanished)?);
        }
        read_back.confirm(self.place.clone(), bytes, sha256)
    }

    fn failed(&self, error: &Error) -> ConnectorError {
        ConnectorError::from_store(error, self.place.clone())
    }
}

async fn abort(mut multipart: WriteMultipart, place: &str) {
    // A request under way may arrive after the abort, and leave a part of an upload that is none any more.
    drop(tokio::time::timeout(ABORT_PATIENCE, multipart.wait_for_capacity(0)).await);
    let error = match tokio::time::timeout(ABORT_PATIENCE, multipart.abort()).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => brief(&error),
        Err(_) => NO_ANSWER.to_owned(),
    };
    tracing::warn!(
        place,
        error,
        "Upload not aborted: the bucket's lifecycle rule will do it."
    );
}

/// A request that is given up where it takes longer than a round may.
async fn in_time(created: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    match tokio::time::timeout(CREATE_ROUND, created).await {
        Ok(created) => created,
        Err(elapsed) => Err(Error::Generic {
            store: "S3",
            source: Box::new(elapsed),
        }),
    }
}

/// Something this attempt made is gone: that is no configuration to check, somebody removed it.
fn vanished_or(error: &Error, place: String) -> ConnectorError {
    if matches!(error, Error::NotFound { .. }) {
        return ConnectorError::Altered {
            place,
            what: "it has been removed".to_owned(),
        };
    }
    ConnectorError::from_store(error, place)
}
