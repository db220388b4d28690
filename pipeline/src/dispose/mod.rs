//! Disposing of a delivery: what the site can destroy is destroyed and shown to be, what it can't is
//! said.
//!
//! Online, the delivery's KEK is destroyed: no copy of the ciphertext opens any more, and a trial
//! shows it. Offline, the KEK went to the recipient, and only the recipient's signed statement covers
//! its copies. Either way the files at the destination are removed; the manifest stays, with the
//! signed record beside it, so that whoever verifies learns that the delivery was disposed of and not
//! lost. What is removed is what lies where the ledger says it was delivered: a copy somewhere else is not
//! taken for it, and a destination that isn't there is not taken for one that was emptied.
//!
//! The ledger knows before anything is destroyed, and afterwards. In between a draft in
//! `state/disposals/` holds what can't be found out any more once the key is gone; a disposal that was
//! killed is ended by asking for it again, and `lockgate dispose` lists none as done that isn't.

mod key;
mod record;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::durable;
use lockgate_connectors::keyring::{KekId, KeyProvider, Purpose};
use lockgate_connectors::publish::{Destination, Sweep};
use lockgate_connectors::store::Store;
use object_store::ObjectStoreExt as _;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use record::{
    BYTES_MAX, DestroyedKey, DisposalRecord, FILE_NAME, FORMAT, PAYLOAD_TYPE, RecipientStatement,
    RemovedFile,
};

use crate::delivered::{Delivered, Disposal};
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History, Ledger, time_text};
use crate::manifest::{Manifest, attempt_named};
use crate::receipt::{self, ReceiptKind};
use crate::release_keys::releases;
use crate::run::lock_grant;
use key::KeyDraft;

/// Folder of the records, within the program's own directory.
const DISPOSALS: &str = "disposals";

/// Most bytes of a draft that is read.
const DRAFT_BYTES_MAX: u64 = 256 << 20;

/// What is to be disposed of.
#[derive(Debug)]
pub struct DisposeRequest<'a> {
    /// The delivery's folder at its destination.
    pub folder: &'a Store,
    /// The recipient's signed statement that it destroyed its copies.
    pub statement: Option<&'a [u8]>,
    /// The last day on which a backup of the keyring from before may still be kept.
    pub backups_until: Option<NaiveDate>,
    /// That what lay at the destination is gone for good, so that nothing is left to be removed there;
    /// `folder` is then any copy of the manifest.
    pub destination_gone: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Disposed {
    /// What was done.
    pub record: DisposalRecord,
    /// SHA-256 of the record's envelope.
    pub record_sha256: String,
    /// Whether it had been disposed of before, so that nothing was to be done.
    pub unchanged: bool,
}

/// What can't be found out any more once the key is gone and files are removed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    manifest_sha256: String,
    /// Paths of the manifest's files that were there.
    files: Vec<String>,
    key: Option<KeyDraft>,
}

/// Disposes of a delivery.
///
/// # Errors
/// A delivery that the ledger doesn't know, or that isn't at the destination that the ledger names; a
/// destination that can't be reached; a key that still unwraps, or a keyring that doesn't say; a
/// statement that doesn't hold; a day for backups that is past, or where no key is destroyed. What was
/// begun is in the ledger, and is ended by another call.
pub async fn dispose(
    installation: &Installation,
    request: &DisposeRequest<'_>,
    cancel: &CancellationToken,
) -> Result<Disposed, RunError> {
    let ledger = installation.ledger()?;
    let history = ledger.entries()?;
    let found = Delivered::of_folder(installation, &history, request.folder);
    let (delivered, manifest) = found.await?;
    let _lock = lock_grant(installation, &delivered.grant, cancel).await?;
    // Whoever held the lock may have disposed of it meanwhile.
    let history = ledger.entries()?;
    let delivered = Delivered::find(&history, &delivered.delivery).unwrap_or(delivered);
    let work = Work {
        installation,
        ledger: &ledger,
        history: &history,
        delivered: &delivered,
        manifest: &manifest,
        keyring: installation.keyring(),
    };
    let place = work.place()?;
    let is_there = work.is_at(&place).await?;
    if let Disposal::Done { record_sha256, .. } = &delivered.disposal {
        return work.done(record_sha256, &place, is_there).await;
    }
    work.check_request(request, &place, is_there)?;
    if !is_there {
        work.check_gone(&place).await?;
    }
    let statement = work.statement(request.statement)?;
    let draft = work.draft(&place).await?;
    let entry = work.intend()?;
    // Counted behind the intent: after it nobody releases keys any more.
    let releases = releases(&ledger.entries()?, &delivered.delivery);
    let key = work.destroy(draft.key.as_ref()).await?;
    let other_attempts = match is_there {
        true => work.remove_files(&place).await?,
        false => 0,
    };
    let record = DisposalRecord {
        format: FORMAT,
        delivery: delivered.delivery.clone(),
        attempt: delivered.attempt.clone(),
        grant: delivered.grant.clone(),
        dataset: manifest.dataset.clone(),
        provider: manifest.provider.clone(),
        recipient: manifest.recipient.clone(),
        manifest_sha256: delivered.manifest_sha256.clone(),
        release: work.release().to_owned(),
        key,
        statement,
        destination: delivered.destination.clone(),
        files: work.files(|path| is_there && draft.files.contains(path)),
        destination_gone: !is_there,
        other_attempts,
        copy_left: work.copy_left(request.folder, &place).await?,
        releases,
        ledger_entry: entry,
        at: time_text(installation.clock.now()),
        effective_after: request.backups_until.map(|day| day.to_string()),
        covers: Vec::new(),
        does_not_cover: Vec::new(),
        software: crate::run::SOFTWARE.to_owned(),
    }
    .stated();
    let record_sha256 = work.conclude(&record, is_there.then_some(&place)).await?;
    Ok(Disposed {
        record,
        record_sha256,
        unchanged: false,
    })
}

/// Where a delivery lies.
struct Place {
    destination: Destination,
    folder: Store,
}

impl Place {
    /// Puts the record beside the manifest, durably where that is this machine's to do.
    async fn put(&self, record: &[u8]) -> Result<(), RunError> {
        if let Some(root) = self.folder.local_root() {
            let place = || self.folder.place(FILE_NAME);
            return durable::replace(&root.join(FILE_NAME), record)
                .map_err(|error| ConnectorError::from_io(&error, place()).into());
        }
        let path = self.folder.resolve(FILE_NAME)?;
        let put = self.folder.object_store();
        let put = put.put(&path, record.to_vec().into()).await;
        put.map_err(|error| ConnectorError::from_store(&error, self.folder.place(FILE_NAME)))?;
        Ok(())
    }
}

/// Whether a file of a delivery's folder is there.
async fn is_present(folder: &Store, path: &str) -> Result<bool, RunError> {
    match folder.object_store().head(&folder.resolve(path)?).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(ConnectorError::from_store(&error, folder.place(path)).into()),
    }
}

/// A disposal under way.
struct Work<'a> {
    installation: &'a Installation,
    ledger: &'a Ledger,
    history: &'a History,
    delivered: &'a Delivered,
    manifest: &'a Manifest,
    keyring: Arc<dyn KeyProvider>,
}

impl Work<'_> {
    /// The destination, as the ledger has it: a copy somewhere else is not what the site holds.
    fn place(&self) -> Result<Place, RunError> {
        let gone = || RunError::Invalid {
            what: "the delivery's destination is none of the site's stores any more".to_owned(),
            at: self.delivered.destination.clone(),
            remedy: "put the store back into lockgate.toml".to_owned(),
        };
        let destination = self
            .delivered
            .destination(self.installation)?
            .ok_or_else(gone)?;
        let url = destination.delivery_url(&self.delivered.grant, &self.delivered.delivery)?;
        let folder = self.installation.store_of_url(&url)?.ok_or_else(gone)?;
        Ok(Place {
            destination,
            folder,
        })
    }

    /// Whether the delivery lies where the ledger says, by its manifest.
    async fn is_at(&self, place: &Place) -> Result<bool, RunError> {
        let delivered = self.delivered;
        let stands = place
            .destination
            .existing_manifest(&delivered.grant, &delivered.delivery);
        let stands = stands.await?;
        Ok(stands.is_some_and(|bytes| sha256_hex(&bytes) == delivered.manifest_sha256))
    }

    /// Refuses what would end in a record that isn't true.
    fn check_request(
        &self,
        request: &DisposeRequest<'_>,
        place: &Place,
        is_there: bool,
    ) -> Result<(), RunError> {
        let invalid = |what: String, at: &str, remedy: &str| RunError::Invalid {
            what,
            at: at.to_owned(),
            remedy: remedy.to_owned(),
        };
        let url = place.folder.url();
        if !is_there && !request.destination_gone {
            let remedy = "mount it, or move the delivery back there; if what lay there is gone for good, \
                          say so with --gone";
            let what =
                format!("the delivery isn't at {url}, where the ledger says it was delivered");
            return Err(invalid(what, "the delivery", remedy));
        }
        if is_there && request.destination_gone {
            let what = format!("the delivery is at {url}");
            return Err(invalid(what, "--gone", "leave it out"));
        }
        let Some(day) = request.backups_until else {
            return Ok(());
        };
        if !self.is_online() {
            let what = "the site holds no key of the delivery that a backup could bring back";
            return Err(invalid(what.to_owned(), "--backups-until", "leave it out"));
        }
        if day < self.installation.today()? {
            let what = "the day until which backups are kept is past".to_owned();
            return Err(invalid(
                what,
                "--backups-until",
                "name the day on which the last backup of the keyring from before today expires",
            ));
        }
        Ok(())
    }

    /// Refuses a record that nothing is at the destination while files of the delivery are, beside
    /// another manifest than its own or none.
    async fn check_gone(&self, place: &Place) -> Result<(), RunError> {
        let Some(path) = self.first_present(&place.folder).await? else {
            return Ok(());
        };
        Err(RunError::Invalid {
            what: format!(
                "{} is still there, though the manifest beside it isn't the delivery's",
                place.folder.place(&path)
            ),
            at: "--gone".to_owned(),
            remedy: "put the manifest back from a copy, and dispose without --gone".to_owned(),
        })
    }

    /// The first of the delivery's files that is in a folder; absent if none is.
    async fn first_present(&self, folder: &Store) -> Result<Option<String>, RunError> {
        for file in self.files(|_| true) {
            if is_present(folder, &file.path).await? {
                return Ok(Some(file.path));
            }
        }
        Ok(None)
    }

    fn release(&self) -> &str {
        self.manifest.seal.release.as_deref().unwrap_or("none")
    }

    fn is_online(&self) -> bool {
        self.release() == "online"
    }

    fn kek(&self) -> Result<KekId, RunError> {
        Ok(KekId::new(
            &self.delivered.delivery,
            &self.delivered.attempt,
        )?)
    }

    /// Accepts the recipient's statement, which must be about this delivery.
    fn statement(&self, bytes: Option<&[u8]>) -> Result<Option<RecipientStatement>, RunError> {
        let Some(bytes) = bytes else {
            return self.earlier_statement();
        };
        // Looked at before it is recorded as accepted.
        let opened = receipt::opened(self.installation, bytes);
        let (statement, _) = opened.map_err(of_statement)?;
        if statement.kind != ReceiptKind::Destroyed || statement.delivery != self.delivered.delivery
        {
            return Err(RunError::Unverified {
                what: "the statement is not that this delivery's copies were destroyed; have the \
                       recipient make one with `lockgate receipt destroyed`"
                    .to_owned(),
            });
        }
        let accepted = receipt::accept(self.installation, bytes)?;
        Ok(Some(RecipientStatement {
            receipt_sha256: accepted.receipt_sha256,
            signed_at: accepted.signed_at,
            ledger_entry: accepted.entry,
        }))
    }

    /// A statement that was accepted before.
    fn earlier_statement(&self) -> Result<Option<RecipientStatement>, RunError> {
        let found = self.history.iter().rev().find_map(|entry| {
            let Event::ReceiptAccepted {
                delivery,
                kind,
                receipt_sha256,
                ..
            } = &entry.event
            else {
                return None;
            };
            let is_it =
                *delivery == self.delivered.delivery && kind == ReceiptKind::Destroyed.as_str();
            is_it.then_some((receipt_sha256, entry.index))
        });
        let Some((sha256, ledger_entry)) = found else {
            return Ok(None);
        };
        let kept = receipt::kept(self.installation, sha256).ok_or_else(|| RunError::Unverified {
            what: format!(
                "the recipient's statement state/receipts/{sha256}.json, which entry {ledger_entry} of \
                 the ledger names, is gone or was altered; put it back, or give it with --statement"
            ),
        })?;
        Ok(Some(RecipientStatement {
            receipt_sha256: sha256.clone(),
            signed_at: kept.at,
            ledger_entry,
        }))
    }

    /// Notes what can't be found out afterwards. What an earlier call noted counts, unless the key is
    /// still there: then nothing was removed either, and the control is made once more.
    async fn draft(&self, place: &Place) -> Result<Draft, RunError> {
        let path = self.path("draft.json");
        let held = durable::read_bounded(&path, DRAFT_BYTES_MAX)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Draft>(&bytes).ok())
            .filter(|draft| draft.manifest_sha256 == self.delivered.manifest_sha256);
        if let Some(held) = held
            && (held.key.is_none() || !self.holds_key()?)
        {
            return Ok(held);
        }
        let mut files = Vec::new();
        for file in self.files(|_| true) {
            if is_present(&place.folder, &file.path).await? {
                files.push(file.path);
            }
        }
        let draft = Draft {
            manifest_sha256: self.delivered.manifest_sha256.clone(),
            files,
            key: match self.is_online() {
                true => Some(self.key_draft(place).await?),
                false => None,
            },
        };
        let bytes = serde_json::to_vec(&draft)
            .map_err(|error| RunError::internal("writing the disposal's draft", &error))?;
        self.keep("draft.json", &bytes)?;
        Ok(draft)
    }

    /// Has the ledger know, before anything is destroyed; gives the entry.
    fn intend(&self) -> Result<u64, RunError> {
        if let Disposal::Begun { entry, .. } = self.delivered.disposal {
            return Ok(entry);
        }
        let kek = match self.is_online() {
            true => Some(self.kek()?.to_string()),
            false => None,
        };
        let event = Event::DisposalIntended {
            grant: self.delivered.grant.clone(),
            delivery: self.delivered.delivery.clone(),
            attempt: self.delivered.attempt.clone(),
            manifest_sha256: self.delivered.manifest_sha256.clone(),
            kek,
        };
        let now = self.installation.clock.now();
        Ok(self.ledger.append(&event, now)?.index)
    }

    /// Removes the delivery's files, and attempts at it that came to nothing: in a delivery that is not
    /// sealed they hold the same rows, and no run would sweep them any more. Gives how many of these
    /// there were.
    async fn remove_files(&self, place: &Place) -> Result<u64, RunError> {
        let delivered = self.delivered;
        let removed = place.destination.remove_released(
            &delivered.grant,
            &delivered.delivery,
            &delivered.attempt,
        );
        let (files, bytes) = removed.await?;
        tracing::info!(
            delivery = delivered.delivery,
            files,
            bytes,
            "Files of a delivery were removed."
        );
        let rules = Sweep {
            older_than: Duration::MAX,
            now: self.installation.clock.now(),
            running: const { &BTreeSet::new() },
            named: &attempt_named,
        };
        let swept = place
            .destination
            .sweep_delivery(&delivered.grant, &delivered.delivery, &rules);
        let swept = swept.await?;
        if let Some(path) = self.first_present(&place.folder).await? {
            return Err(RunError::Unverified {
                what: format!(
                    "{} is still there after it was removed; find out what puts it back, and \
                     dispose again",
                    place.folder.place(&path)
                ),
            });
        }
        Ok(u64::try_from(swept.len()).unwrap_or(u64::MAX))
    }

    /// The files that the manifest names, with those of their keys; `was_there` is asked for each path.
    fn files(&self, was_there: impl Fn(&String) -> bool) -> Vec<RemovedFile> {
        let files = self.manifest.files.iter();
        let files = files.map(|file| (&file.path, file.bytes, &file.sha256));
        let keys = self.manifest.seal.keys.iter();
        let keys = keys.map(|keys| (&keys.path, keys.bytes, &keys.sha256));
        let all = files.chain(keys).map(|(path, bytes, sha256)| RemovedFile {
            path: path.clone(),
            bytes,
            sha256: sha256.clone(),
            was_there: was_there(path),
        });
        all.collect()
    }

    /// The folder that was named, if it isn't the destination's and files of the delivery are in it.
    async fn copy_left(&self, named: &Store, place: &Place) -> Result<Option<String>, RunError> {
        if named.url() == place.folder.url() {
            return Ok(None);
        }
        let left = self.first_present(named).await?;
        Ok(left.map(|_| named.url().to_owned()))
    }

    /// Signs the record, keeps it, puts it beside the manifest, and has the ledger know.
    async fn conclude(
        &self,
        record: &DisposalRecord,
        place: Option<&Place>,
    ) -> Result<String, RunError> {
        let key = self.installation.keyring().signing_key(Purpose::Manifest)?;
        let bytes = record
            .sign(&key)
            .map_err(|error| RunError::internal("signing the record of disposal", &error))?;
        let record_sha256 = sha256_hex(&bytes);
        self.keep("json", &bytes)?;
        if let Some(place) = place {
            place.put(&bytes).await?;
        }
        let event = Event::Disposed {
            grant: self.delivered.grant.clone(),
            delivery: self.delivered.delivery.clone(),
            attempt: self.delivered.attempt.clone(),
            record_sha256: record_sha256.clone(),
        };
        self.ledger.append(&event, self.installation.clock.now())?;
        // A draft that stays says nothing that the record doesn't.
        fs::remove_file(self.path("draft.json")).unwrap_or_default();
        Ok(record_sha256)
    }

    /// What was disposed of before. Files that came back to the destination are removed again, whatever
    /// manifest is beside them, and the record is put back where it is the delivery's.
    async fn done(
        &self,
        sha256: &str,
        place: &Place,
        is_there: bool,
    ) -> Result<Disposed, RunError> {
        let (record, bytes) = self.kept_record(sha256)?;
        if is_there || self.first_present(&place.folder).await?.is_some() {
            self.remove_files(place).await?;
        }
        if is_there {
            place.put(&bytes).await?;
        }
        Ok(Disposed {
            record,
            record_sha256: sha256.to_owned(),
            unchanged: true,
        })
    }

    /// The record that the ledger names, and its bytes.
    fn kept_record(&self, sha256: &str) -> Result<(DisposalRecord, Vec<u8>), RunError> {
        let spoilt = |what: &str| RunError::Unverified {
            what: format!(
                "the record of disposal state/{DISPOSALS}/{}.json {what}; put it back from a copy of \
                 the site's state",
                self.delivered.delivery
            ),
        };
        let limit = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX);
        let bytes = durable::read_bounded(&self.path("json"), limit)
            .map_err(|_| spoilt("can't be read"))?;
        if sha256_hex(&bytes) != sha256 {
            return Err(spoilt("isn't the one that the ledger names"));
        }
        let keys = self
            .installation
            .keyring()
            .verifying_keys(Purpose::Manifest)?;
        let record =
            DisposalRecord::open(&bytes, &keys).map_err(|_| spoilt("isn't signed by this site"))?;
        Ok((record, bytes))
    }

    fn path(&self, extension: &str) -> PathBuf {
        let name = format!("{}.{extension}", self.delivered.delivery);
        self.installation.state().join(DISPOSALS).join(name)
    }

    fn keep(&self, extension: &str, bytes: &[u8]) -> Result<(), RunError> {
        let folder = self.installation.state().join(DISPOSALS);
        durable::make_directories(&folder, 0o777)
            .and_then(|()| durable::replace(&self.path(extension), bytes))
            .map_err(|error| RunError::internal("keeping the record of disposal", &error))
    }
}

/// Says that it is the recipient's statement that doesn't hold, and not the delivery.
fn of_statement(mut error: RunError) -> RunError {
    if let RunError::Unverified { what } = &mut error {
        *what = format!("the recipient's statement: {what}");
    }
    error
}
