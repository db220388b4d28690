//! Publication: a delivery exists once its manifest exists, and not before.
//!
//! ```text
//! DESTINATION/GRANT/DELIVERY/manifest.json            created last, by one conditional create
//! DESTINATION/GRANT/DELIVERY/ATTEMPT/part-00000.parquet
//! DESTINATION/GRANT/DELIVERY/ATTEMPT/keys.json        where the delivery is sealed
//! ```
//!
//! Attempts at one delivery race for one manifest. Each writes into a folder of its own, named by
//! a fresh random id, so that neither can touch the other's files; each file is closed, synced and
//! read back against the hash of what was written before a manifest may name it. The create either
//! makes the manifest or finds the winner's. When its outcome is unknown (a timeout, a lost
//! answer), the manifest is read back and compared; what stays unknown is reported as
//! [`ConnectorError::Unsettled`], never as "not published". Whoever may take a publication back is
//! asked right before each create, and each create is given up after seconds.
//!
//! A crash leaves at most a folder that no manifest names, which [`Destination::sweep`] removes.
//! Every path that is written or removed is built from ids of known form, never from a listing or
//! by going up from another path.

#[doc(hidden)]
pub mod conformance;
mod local;
mod part;
mod remote;
mod sweep;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::local::Local;
pub use self::part::{PartWriter, StagedFile};
use self::remote::Remote;
pub use self::sweep::{Sweep, SweptAttempt};
use crate::durable;
use crate::error::ConnectorError;
use crate::seal::KEY_FILE_NAME;
use crate::store::Store;

/// Name of the manifest within a delivery.
pub const MANIFEST: &str = "manifest.json";

/// The folder in which a destination is probed.
const PROBES: &str = ".lockgate";

/// What a probe's name begins with.
const PROBE: &str = "probe-";

/// Most bytes of a manifest that are read; far above what any delivery's has.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// Folder names drawn before giving up; a second draw is already all but impossible.
const ID_DRAWS_MAX: u32 = 4;

/// A store that deliveries are published to.
#[derive(Clone)]
pub struct Destination {
    url: String,
    place: Place,
}

/// What a destination is made of: files are handled with the operating system's own calls, since
/// object_store's local store never syncs.
#[derive(Clone)]
enum Place {
    Local(Local),
    Remote(Remote),
}

impl Destination {
    /// The destination that `store` is. Touches nothing.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the store becomes the destination"
    )]
    pub fn new(store: Store) -> Self {
        let url = store.url().to_owned();
        let place = match store.local_root() {
            Some(root) => Place::Local(Local::new(root)),
            None => Place::Remote(Remote::new(
                store.object_store(),
                store.prefix().clone(),
                &url,
            )),
        };
        Self { url, place }
    }

    /// The URL that everything published here begins with, without credentials.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Checks that of two creates of one name the second fails, which all of publication rests on.
    ///
    /// Makes and removes an object `.lockgate/probe-…`. A local directory that doesn't exist yet
    /// isn't made for it: [`Self::begin`] repeats the check in the folder of each local attempt.
    ///
    /// # Errors
    /// [`ConnectorError::NoConditionalCreate`] if both creates succeed or the store can't do one;
    /// else whatever kept the probe from being made or removed.
    pub async fn probe_conditional_create(&self) -> Result<(), ConnectorError> {
        let name = format!("{PROBE}{}", random_id()?);
        match &self.place {
            Place::Local(local) => {
                let local = local.clone();
                blocking(move || local.probe(&name)).await
            }
            Place::Remote(remote) => remote.probe(&name).await,
        }
    }

    /// The manifest of a delivery, where it was published.
    ///
    /// # Errors
    /// If an id isn't one, or the store can't be read.
    pub async fn existing_manifest(
        &self,
        grant: &str,
        delivery: &str,
    ) -> Result<Option<Bytes>, ConnectorError> {
        self.read_manifest(&Folder::new(grant, delivery)?).await
    }

    /// The URL of a delivery: the folder that holds its manifest.
    ///
    /// # Errors
    /// If an id isn't one.
    pub fn delivery_url(&self, grant: &str, delivery: &str) -> Result<String, ConnectorError> {
        Ok(format!(
            "{}/{}",
            self.url,
            Folder::new(grant, delivery)?.relative()
        ))
    }

    /// The URL of a delivery's manifest.
    ///
    /// # Errors
    /// If an id isn't one.
    pub fn manifest_url(&self, grant: &str, delivery: &str) -> Result<String, ConnectorError> {
        Ok(format!(
            "{}/{MANIFEST}",
            self.delivery_url(grant, delivery)?
        ))
    }

    /// Begins an attempt at a delivery: a folder with a fresh random name. A local destination is
    /// made where it doesn't exist.
    ///
    /// Must be called within a tokio runtime, which the uploads then run on.
    ///
    /// # Errors
    /// If an id isn't one, the folder can't be made, or a local file system can't make a name
    /// exclusively.
    pub async fn begin(&self, grant: &str, delivery: &str) -> Result<Attempt, ConnectorError> {
        let runtime = Handle::try_current()
            .map_err(|_| ConnectorError::bug("an attempt began outside the runtime"))?;
        let folder = Folder::new(grant, delivery)?;
        let mut draws = 0;
        let id = loop {
            let id = random_id()?;
            let made = match &self.place {
                Place::Local(local) => {
                    let (local, folder, id) = (local.clone(), folder.clone(), id.clone());
                    blocking(move || local.make_attempt(&folder, &id)).await?
                }
                Place::Remote(_) => true, // a prefix needs no making
            };
            draws += 1;
            if made {
                break id;
            }
            if draws == ID_DRAWS_MAX {
                return Err(ConnectorError::bug("no unused attempt id was drawn"));
            }
        };
        Ok(Attempt {
            destination: self.clone(),
            folder,
            id,
            runtime,
            uploads: TaskTracker::new(),
            stop: CancellationToken::new(),
            staged: Arc::default(),
            outcome: Mutex::new(Outcome::Open),
        })
    }

    async fn read_manifest(&self, folder: &Folder) -> Result<Option<Bytes>, ConnectorError> {
        match &self.place {
            Place::Local(local) => {
                let (local, folder) = (local.clone(), folder.clone());
                blocking(move || local.read_manifest(&folder)).await
            }
            Place::Remote(remote) => remote.read_manifest(folder).await,
        }
    }
}

/// Shows where it is; a store's own `Debug` could show keys.
impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// One try at a delivery.
///
/// Dropping it without [`Self::publish`] or [`Self::discard`] leaves its folder to the sweep.
pub struct Attempt {
    destination: Destination,
    folder: Folder,
    id: String,
    runtime: Handle,
    uploads: TaskTracker,
    stop: CancellationToken,
    staged: Arc<Mutex<Vec<StagedFile>>>,
    outcome: Mutex<Outcome>,
}

/// What is known of an attempt's manifest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Not tried.
    Open,
    /// It is this attempt's.
    Won,
    /// It is another attempt's.
    Lost,
    /// Tried, and perhaps done.
    Unknown,
}

/// Whose manifest a delivery has after [`Attempt::publish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publication {
    /// This attempt's: the delivery is published.
    Published,
    /// Another attempt's, given here: this one is to be discarded.
    AlreadyPublished(Bytes),
    /// Nobody's by this attempt: it was taken back before anything was sent.
    Withdrawn,
}

impl Attempt {
    /// The attempt's id: 16 random hexadecimal digits, the folder that its files lie in.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Begins a file of the attempt: `ATTEMPT/part-INDEX.EXTENSION`.
    ///
    /// May be called and written to from any thread that isn't driving the runtime.
    ///
    /// # Errors
    /// If the extension isn't of one or two parts of letters and digits, or the file can't be
    /// made, as when the index was used before.
    pub fn part(&self, index: u32, extension: &str) -> Result<PartWriter, ConnectorError> {
        if !is_extension(extension) {
            return Err(ConnectorError::bug(
                "a part's extension has other than letters and digits",
            ));
        }
        self.begin_file(&format!("part-{index:05}.{extension}"))
    }

    /// Begins the attempt's key file, `ATTEMPT/keys.json`, on the terms of [`Self::part`].
    ///
    /// # Errors
    /// If the file can't be made, as when it was begun before.
    pub fn key_file(&self) -> Result<PartWriter, ConnectorError> {
        self.begin_file(KEY_FILE_NAME)
    }

    fn begin_file(&self, name: &str) -> Result<PartWriter, ConnectorError> {
        let path = format!("{}/{name}", self.id);
        let staged = Arc::clone(&self.staged);
        match &self.destination.place {
            Place::Local(local) => {
                let sink = local.create_part(&self.folder, &self.id, name)?;
                Ok(PartWriter::new(path, sink.into(), staged))
            }
            Place::Remote(remote) => {
                let object = remote.part_path(&self.folder, &self.id, name);
                let (sink, task) = remote.upload(object, self.stop.clone());
                self.uploads.spawn_on(task, &self.runtime);
                Ok(PartWriter::new(path, sink.into(), staged))
            }
        }
    }

    /// Creates the manifest, unless the delivery has one. Nobody takes it back.
    ///
    /// # Errors
    /// As [`Self::publish_while`].
    pub async fn publish(&self, manifest: Bytes) -> Result<Publication, ConnectorError> {
        let may: Arc<dyn Fn() -> bool + Send + Sync> = Arc::new(|| true);
        self.publish_while(manifest, &may).await
    }

    /// Creates the manifest, unless the delivery has one, as long as `may` says that it may be.
    ///
    /// Every part must have been finished; each is looked for once more before the create. `may` is
    /// asked after that, right before the create and before each further one, on a thread that may
    /// block; [`Self::stop`] counts as its refusal. When `Published` is returned, the manifest is
    /// durable and is the one given.
    ///
    /// # Errors
    /// [`ConnectorError::Altered`] if a finished file is gone or of another size: nothing was
    /// published. [`ConnectorError::Unsettled`] if it isn't known whether the manifest was
    /// created, also where `may` refused a further create. Any other error: it wasn't.
    pub async fn publish_while(
        &self,
        manifest: Bytes,
        may: &Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Result<Publication, ConnectorError> {
        let staged = self
            .staged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let before = self.settle(Outcome::Unknown);
        let confirmed = tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                self.settle(before);
                return Ok(Publication::Withdrawn);
            }
            confirmed = self.confirm(staged) => confirmed,
        };
        let created = match confirmed {
            Ok(()) => self.create(manifest, self.unless_stopped(may)).await,
            // A sweep takes losers away at once, so that a file may be missing because the race
            // is over; then it is the manifest that is news.
            Err(gone) => match self.destination.read_manifest(&self.folder).await {
                Ok(Some(found)) if found == manifest => Ok(Publication::Published),
                Ok(Some(found)) => Ok(Publication::AlreadyPublished(found)),
                Ok(None) | Err(_) => Err(gone),
            },
        };
        self.settle(match &created {
            Ok(Publication::Published) => Outcome::Won,
            Ok(Publication::AlreadyPublished(_)) => Outcome::Lost,
            Ok(Publication::Withdrawn) => before,
            Err(ConnectorError::Unsettled { .. }) => Outcome::Unknown,
            // Not by this call; an earlier one may have.
            Err(_) => before,
        });
        created
    }

    /// Stops the attempt: whoever writes or finishes a part is told at once and waits for no store,
    /// and no further create of the manifest begins. What was staged stays until [`Self::discard`].
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Removes what the attempt wrote and stops its uploads. What a manifest names, or may name, is
    /// left alone.
    ///
    /// # Errors
    /// If something can't be removed; the sweep will try again.
    pub async fn discard(self) -> Result<(), ConnectorError> {
        self.stop.cancel();
        self.uploads.close();
        self.uploads.wait().await;
        let outcome = *self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Open | Outcome::Lost => self
                .destination
                .remove_attempt(&self.folder, &self.id)
                .await
                .map(|_| ()),
            Outcome::Won | Outcome::Unknown => {
                tracing::warn!(attempt = %self.id, "Attempt kept: a manifest may name it.");
                Ok(())
            }
        }
    }

    /// Looks for every staged file once more.
    async fn confirm(&self, staged: Vec<StagedFile>) -> Result<(), ConnectorError> {
        match &self.destination.place {
            Place::Local(local) => {
                let (local, folder) = (local.clone(), self.folder.clone());
                blocking(move || local.confirm(&folder, &staged)).await
            }
            Place::Remote(remote) => remote.confirm(&self.folder, &staged).await,
        }
    }

    /// `may`, until the attempt is stopped.
    fn unless_stopped(
        &self,
        may: &Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let (may, stop) = (Arc::clone(may), self.stop.clone());
        Arc::new(move || !stop.is_cancelled() && may())
    }

    async fn create(
        &self,
        manifest: Bytes,
        may: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Result<Publication, ConnectorError> {
        match &self.destination.place {
            Place::Local(local) => {
                let (local, folder, id) = (local.clone(), self.folder.clone(), self.id.clone());
                blocking(move || local.create_manifest(&folder, &id, &manifest, may.as_ref())).await
            }
            Place::Remote(remote) => remote.create_manifest(&self.folder, manifest, &may).await,
        }
    }

    /// Notes what is known now, and returns what was known before.
    fn settle(&self, outcome: Outcome) -> Outcome {
        let mut known = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *known, outcome)
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("destination", &self.destination)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A delivery's folder below the destination: two ids of known form, so never a way out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Folder {
    grant: String,
    delivery: String,
}

impl Folder {
    fn new(grant: &str, delivery: &str) -> Result<Self, ConnectorError> {
        if !durable::is_id(grant) {
            return Err(ConnectorError::config(
                "a grant's id cannot be a folder's name",
                "use 1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter or digit",
            ));
        }
        if !is_delivery(delivery) {
            return Err(ConnectorError::config(
                "a delivery's id is not 32 lower-case hexadecimal digits",
                "take it from the manifest or the ledger",
            ));
        }
        Ok(Self {
            grant: grant.to_owned(),
            delivery: delivery.to_owned(),
        })
    }

    /// `GRANT/DELIVERY`
    fn relative(&self) -> String {
        format!("{}/{}", self.grant, self.delivery)
    }
}

fn is_delivery(text: &str) -> bool {
    is_hex(text, 32)
}

fn is_attempt(text: &str) -> bool {
    is_hex(text, 16)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `parquet`, `csv.gz`
fn is_extension(text: &str) -> bool {
    let part = |part: &str| {
        (1..=16).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    text.split('.').count() <= 2 && text.split('.').all(part)
}

/// 16 hexadecimal digits of the operating system's randomness.
fn random_id() -> Result<String, ConnectorError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| ConnectorError::Unavailable {
        place: "the operating system's randomness".to_owned(),
        what: "it gave none".to_owned(),
    })?;
    Ok(durable::hex(&bytes))
}

fn too_large(place: String) -> ConnectorError {
    ConnectorError::Altered {
        place,
        what: "it is larger than a manifest can be".to_owned(),
    }
}

/// Runs file operations where they may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ConnectorError> + Send + 'static,
) -> Result<T, ConnectorError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ConnectorError::bug("a file operation panicked or the runtime stopped"))?
}
