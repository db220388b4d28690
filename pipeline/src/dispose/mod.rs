//! Disposing of a delivery: what the site can destroy is destroyed and shown to be, what it can't is
//! said.
//!
//! Online, the delivery's KEK is destroyed: no copy of the ciphertext opens any more, and a trial
//! shows it. Offline, the KEK went to the recipient, and only the recipient's signed statement covers
//! its copies. Either way the files at the destination are removed; the manifest stays, with the
//! signed record beside it, so that whoever verifies learns that the delivery was disposed of and not
//! lost.
//!
//! The ledger knows before anything is destroyed, and afterwards. In between a draft in
//! `state/disposals/` holds what can't be found out any more once the key is gone; a disposal that was
//! killed is ended by asking for it again, and `lockgate dispose` lists none as done that isn't.

mod record;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::NaiveDate;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::durable;
use lockgate_connectors::keyring::{KekId, KeyProvider, Purpose};
use lockgate_connectors::publish::Destination;
use lockgate_connectors::store::Store;
use object_store::ObjectStoreExt as _;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use record::{
    BYTES_MAX, DestroyedKey, DisposalError, DisposalRecord, FILE_NAME, FORMAT, PAYLOAD_TYPE,
    RecipientStatement, RemovedFile,
};

use crate::delivered::{Delivered, Disposal};
use crate::digest::{from_hex_bytes, hex, sha256_hex};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History, Ledger, time_text};
use crate::manifest::Manifest;
use crate::receipt::{self, ReceiptKind};
use crate::release_keys::collect;
use crate::run::lock_grant;

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

/// What can't be found out any more once the key is gone.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    manifest_sha256: String,
    key: Option<KeyDraft>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyDraft {
    protection: String,
    extractable: bool,
    /// Each wrapped key, hex; ciphertext that stands in the files too.
    wrapped: Vec<String>,
    /// What the first of them is bound to, hex.
    aad: String,
}

/// Disposes of a delivery.
///
/// # Errors
/// A delivery that the ledger doesn't know; a destination that can't be reached; a key that still
/// unwraps; a statement that doesn't hold. What was begun is in the ledger, and is ended by another
/// call.
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
    if let Disposal::Done { record_sha256, .. } = &delivered.disposal {
        let disposed = work.done(record_sha256)?;
        // The last step of the first time may be missing.
        work.remove_files(&place).await?;
        return Ok(disposed);
    }
    let statement = work.statement(request.statement)?;
    let draft = work.draft(&place).await?;
    let entry = work.intend()?;
    let key = work.destroy(draft.key.as_ref()).await?;
    work.remove_files(&place).await?;
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
        files: work.files(),
        releases: work.releases(),
        ledger_entry: entry,
        at: time_text(installation.clock.now()),
        effective_after: request.backups_until.map(|day| day.to_string()),
        covers: Vec::new(),
        does_not_cover: Vec::new(),
        software: crate::run::SOFTWARE.to_owned(),
    }
    .stated();
    let record_sha256 = work.conclude(&record, &place).await?;
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
            return Ok(self.earlier_statement());
        };
        let accepted = receipt::accept(self.installation, bytes)?;
        if accepted.kind != ReceiptKind::Destroyed || accepted.delivery != self.delivered.delivery {
            return Err(RunError::Unverified {
                what: "the statement is not that this delivery's copies were destroyed; have the \
                       recipient make one with `lockgate receipt destroyed`"
                    .to_owned(),
            });
        }
        Ok(Some(RecipientStatement {
            receipt_sha256: accepted.receipt_sha256,
            signed_at: accepted.signed_at,
            ledger_entry: accepted.entry,
        }))
    }

    /// A statement that was accepted before.
    fn earlier_statement(&self) -> Option<RecipientStatement> {
        self.history.iter().rev().find_map(|entry| {
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
            is_it.then(|| RecipientStatement {
                receipt_sha256: receipt_sha256.clone(),
                signed_at: time_text(entry.at),
                ledger_entry: entry.index,
            })
        })
    }

    /// Notes what can't be found out once the key is gone; where a disposal was begun before, what
    /// was noted then.
    async fn draft(&self, place: &Place) -> Result<Draft, RunError> {
        let path = self.path("draft.json");
        let held = durable::read_bounded(&path, DRAFT_BYTES_MAX)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Draft>(&bytes).ok())
            .filter(|draft| draft.manifest_sha256 == self.delivered.manifest_sha256);
        if let Some(held) = held {
            return Ok(held);
        }
        let key = match self.is_online() {
            true => Some(self.key_draft(place).await?),
            false => None,
        };
        let draft = Draft {
            manifest_sha256: self.delivered.manifest_sha256.clone(),
            key,
        };
        let bytes = serde_json::to_vec(&draft)
            .map_err(|error| RunError::internal("writing the disposal's draft", &error))?;
        self.keep("draft.json", &bytes)?;
        Ok(draft)
    }

    async fn key_draft(&self, place: &Place) -> Result<KeyDraft, RunError> {
        let kek = self.kek()?;
        let attested = self.keyring.attest_kek(&kek)?;
        let keyring = Arc::clone(&self.keyring);
        // What can't be unwrapped before proves nothing by not being unwrapped afterwards.
        let found = collect(keyring, self.manifest, &place.folder).await?;
        let first = found.first().ok_or_else(|| RunError::Internal {
            what: "the delivery has no wrapped key".to_owned(),
        })?;
        Ok(KeyDraft {
            protection: self.keyring.attest()?.protection.to_owned(),
            extractable: attested.extractable,
            aad: hex(&first.aad),
            wrapped: found.iter().map(|found| hex(&found.wrapped)).collect(),
        })
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

    /// Destroys the key, and tries to unwrap what it had wrapped.
    async fn destroy(&self, draft: Option<&KeyDraft>) -> Result<Option<DestroyedKey>, RunError> {
        let Some(draft) = draft else {
            return Ok(None);
        };
        let kek = self.kek()?;
        let wrapped: Vec<Vec<u8>> = draft
            .wrapped
            .iter()
            .filter_map(|text| from_hex_bytes(text))
            .collect();
        let (first, aad) = wrapped
            .first()
            .cloned()
            .zip(from_hex_bytes(&draft.aad))
            .ok_or_else(|| RunError::Internal {
                what: "the disposal's draft holds no wrapped key".to_owned(),
            })?;
        let keyring = Arc::clone(&self.keyring);
        let destroyed = tokio::task::spawn_blocking(move || {
            let destroyed = keyring.destroy_kek(&kek)?;
            let trial = keyring.unwrap(&kek, &first, &aad).err();
            Ok::<_, ConnectorError>((destroyed, trial))
        });
        let (destroyed, trial) = destroyed
            .await
            .map_err(|error| crate::fault::of_task("destroying the key", error))??;
        let trial = trial.ok_or_else(|| RunError::Unverified {
            what: format!(
                "key {} still unwraps after it was destroyed; nothing was removed: find out what holds \
                 a copy of it, and dispose again",
                destroyed.id
            ),
        })?;
        // An older keyring, put back from a backup, is refused from here on.
        let what = format!("destroyed {}", destroyed.id);
        self.installation.record_keyring(self.ledger, &what)?;
        Ok(Some(DestroyedKey {
            kek: destroyed.id.to_string(),
            provider: destroyed.provider.to_string(),
            protection: draft.protection.clone(),
            extractable: draft.extractable,
            answer: destroyed.answer.to_owned(),
            generation: destroyed.generation,
            wrapped_sha256: wrapped.iter().map(|wrapped| sha256_hex(wrapped)).collect(),
            unwrapped_before: u64::try_from(wrapped.len()).unwrap_or(u64::MAX),
            trial: trial.to_string(),
        }))
    }

    async fn remove_files(&self, place: &Place) -> Result<(), RunError> {
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
        Ok(())
    }

    /// The files that the manifest names, with those of their keys.
    fn files(&self) -> Vec<RemovedFile> {
        let files = self.manifest.files.iter().map(|file| RemovedFile {
            path: file.path.clone(),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
        });
        let keys = self.manifest.seal.keys.iter().map(|keys| RemovedFile {
            path: keys.path.clone(),
            bytes: keys.bytes,
            sha256: keys.sha256.clone(),
        });
        files.chain(keys).collect()
    }

    /// How often the delivery's keys were released.
    fn releases(&self) -> u64 {
        let of = &self.delivered.delivery;
        let released = self.history.iter().filter(
            |entry| matches!(&entry.event, Event::ReleasedKeys { delivery, .. } if delivery == of),
        );
        u64::try_from(released.count()).unwrap_or(u64::MAX)
    }

    /// Signs the record, keeps it, puts it beside the manifest, and has the ledger know.
    async fn conclude(&self, record: &DisposalRecord, place: &Place) -> Result<String, RunError> {
        let key = self.installation.keyring().signing_key(Purpose::Manifest)?;
        let bytes = record
            .sign(&key)
            .map_err(|error| RunError::internal("signing the record of disposal", &error))?;
        let record_sha256 = sha256_hex(&bytes);
        self.keep("json", &bytes)?;
        let path = place.folder.resolve(FILE_NAME)?;
        let put = place.folder.object_store();
        let put = put.put(&path, bytes.into()).await;
        put.map_err(|error| ConnectorError::from_store(&error, place.folder.place(FILE_NAME)))?;
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

    /// The record of a disposal that was ended before.
    fn done(&self, sha256: &str) -> Result<Disposed, RunError> {
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
        Ok(Disposed {
            record,
            record_sha256: sha256.to_owned(),
            unchanged: true,
        })
    }

    fn path(&self, extension: &str) -> PathBuf {
        let name = format!("{}.{extension}", self.delivered.delivery);
        self.installation.state().join(DISPOSALS).join(name)
    }

    fn keep(&self, extension: &str, bytes: &[u8]) -> Result<(), RunError> {
        let folder = self.installation.state().join(DISPOSALS);
        fs::create_dir_all(folder)
            .and_then(|()| durable::replace(&self.path(extension), bytes))
            .map_err(|error| RunError::internal("keeping the record of disposal", &error))
    }
}
