//! The keys of an attempt: made before its files, named by its manifest, given up with it.
//!
//! Offline, the KEK is drawn here and wrapped to the recipient's keys; it is gone when the attempt
//! ends. Online, the site's keyring makes it and holds it. A KEK of an attempt that came to nothing is
//! destroyed, also after the process died: a note in `state/seals/GRANT/` says so beforehand, and the
//! next run of the grant, which holds its lock, looks at the notes that are left.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockgate_connectors::ConnectorError;
use lockgate_connectors::durable;
use lockgate_connectors::format::parquet::encryption;
use lockgate_connectors::keyring::{KekId, KeyProvider, PublicKey};
use lockgate_connectors::publish::{Attempt, StagedFile};
use lockgate_connectors::seal::{Binding, Kek, Release as KeyRelease, SealContext};

use crate::digest::hex;
use crate::engine::{FileSeal, SealKind};
use crate::error::RunError;
use crate::fault;
use crate::installation::Installation;
use crate::ledger::{Event, History, Ledger};
use crate::manifest::{KeyFileStatement, SealStatement};
use crate::plan::{ExchangePlan, Sealing};
use crate::site::grant::Seal;

/// Folder of the notes, in `state/`.
const NOTES: &str = "seals";

/// What stands for a file's name in a manifest.
const FILE: &str = "{file}";

/// What an attempt is sealed with.
pub(super) struct AttemptSeal {
    context: Arc<SealContext>,
    kind: Seal,
    sealing: Sealing,
    keys: Vec<PublicKey>,
    held: Option<HeldKek>,
}

/// A KEK that the site's keyring holds, and the note of it.
struct HeldKek {
    keyring: Arc<dyn KeyProvider>,
    id: KekId,
    note: PathBuf,
}

impl AttemptSeal {
    /// Makes the KEK of an attempt; nothing where the plan's files aren't sealed.
    pub(super) fn begin(
        installation: &Installation,
        ledger: &Ledger,
        plan: &ExchangePlan,
        delivery: &str,
        attempt: &str,
    ) -> Result<Option<Self>, RunError> {
        let sealing = match (plan.seal, plan.sealing.clone()) {
            (Seal::None, None) => return Ok(None),
            (Seal::Parquet | Seal::Envelope, Some(sealing)) => sealing,
            // Never plain files because something was left out.
            (Seal::None, Some(_)) | (Seal::Parquet | Seal::Envelope, None) => {
                return Err(RunError::Internal {
                    what: "a plan's seal and its sealing contradict each other".to_owned(),
                });
            }
        };
        let binding = Binding::new(sealing.suite, delivery, attempt, &plan.recipient)?;
        let keys = recipient_keys(installation, plan)?;
        let (kek, held) = match sealing.release {
            KeyRelease::Offline => (Kek::draw()?, None),
            KeyRelease::Online => {
                let held = HeldKek::create(installation, ledger, &plan.grant, delivery, attempt)?;
                let kek = Kek::Held(Arc::clone(&held.keyring), held.id.clone());
                (kek, Some(held))
            }
        };
        match SealContext::new(binding, kek) {
            Ok(context) => Ok(Some(Self {
                context: Arc::new(context),
                kind: plan.seal,
                sealing,
                keys,
                held,
            })),
            Err(error) => {
                if let Some(held) = held {
                    held.forget(installation, ledger);
                }
                Err(error.into())
            }
        }
    }

    /// What the engine seals parts with.
    pub(super) fn files(&self) -> FileSeal {
        let kind = match self.kind {
            Seal::Parquet => SealKind::Parquet {
                keyed_fields: self.sealing.keyed_fields.clone(),
            },
            Seal::Envelope | Seal::None => SealKind::Envelope,
        };
        FileSeal::new(Arc::clone(&self.context), kind)
    }

    /// Stages the attempt's key file.
    pub(super) async fn stage_keys(&self, attempt: &Arc<Attempt>) -> Result<StagedFile, RunError> {
        let bytes = self.context.key_file(&self.keys)?.to_bytes()?;
        let attempt = Arc::clone(attempt);
        let staged = tokio::task::spawn_blocking(move || {
            let mut file = attempt.key_file()?;
            file.write_all(&bytes)
                .map_err(|error| ConnectorError::from_io(&error, file.name()))?;
            file.finish()
        });
        let staged = staged.await;
        Ok(staged.map_err(|error| fault::of_task("writing the key file", error))??)
    }

    /// What the manifest says of the seal.
    pub(super) fn statement(&self, keys: &StagedFile) -> SealStatement {
        let prefix = encryption::aad_prefix(self.context.binding(), FILE);
        SealStatement {
            kind: self.kind.as_str().to_owned(),
            suite: Some(self.sealing.suite.to_string()),
            release: Some(self.sealing.release.as_str().to_owned()),
            keys: Some(KeyFileStatement {
                path: keys.path.clone(),
                bytes: keys.bytes,
                sha256: hex(&keys.sha256),
            }),
            aad_prefix: (self.kind == Seal::Parquet).then_some(prefix),
        }
    }

    /// Gives up the keys of an attempt that came to nothing. What can't be destroyed now, is when the
    /// grant runs next.
    pub(super) fn forget(self, installation: &Installation, ledger: &Ledger) {
        // A drawn one is zeroized with the last context.
        if let Some(held) = self.held {
            held.forget(installation, ledger);
        }
    }

    /// Keeps the KEK of an attempt that was published.
    pub(super) fn keep(self) {
        if let Some(held) = self.held {
            unnote(&held.note);
        }
    }
}

impl HeldKek {
    fn create(
        installation: &Installation,
        ledger: &Ledger,
        grant: &str,
        delivery: &str,
        attempt: &str,
    ) -> Result<Self, RunError> {
        let id = KekId::new(delivery, attempt)?;
        let folder = notes(installation, grant);
        let note = folder.join(id.as_str());
        let written = || -> io::Result<()> {
            // Folders that are new are synced, too: a KEK outlives a note that is lost.
            durable::make_directories(&folder, 0o777)?;
            File::create_new(&note)?.sync_all()?;
            File::open(&folder)?.sync_all()
        };
        written().map_err(|error| RunError::internal("noting a key in state/seals", &error))?;
        let keyring = installation.keyring();
        keyring.create_kek(&id)?;
        let held = Self { keyring, id, note };
        // The first of a site makes the keyring count its changes.
        let what = "began to keep keys of deliveries";
        if let Err(error) = installation.record_keyring(ledger, what) {
            held.forget(installation, ledger);
            return Err(error);
        }
        Ok(held)
    }

    fn forget(self, installation: &Installation, ledger: &Ledger) {
        match self.destroy_unreleased(installation, ledger) {
            Ok(()) => unnote(&self.note),
            Err(error) => {
                tracing::warn!(kek = %self.id, "A key that is of no use was not destroyed: {error}.");
            }
        }
    }

    /// Destroys it, unless the ledger says that its attempt was published after all.
    fn destroy_unreleased(
        &self,
        installation: &Installation,
        ledger: &Ledger,
    ) -> Result<(), RunError> {
        if was_released(&ledger.entries()?, &self.id) {
            return Ok(());
        }
        destroy(installation, ledger, self.keyring.as_ref(), &self.id)
    }
}

/// Destroys the KEK of an attempt that published nothing, and has the ledger know.
fn destroy(
    installation: &Installation,
    ledger: &Ledger,
    keyring: &dyn KeyProvider,
    id: &KekId,
) -> Result<(), RunError> {
    keyring.destroy_kek(id)?;
    let what = format!("destroyed {id}, of an attempt that published nothing");
    installation.record_keyring(ledger, &what)
}

/// Destroys what earlier attempts of a grant made and did not publish. The grant's lock is held, so none
/// of them is under way at this site.
pub(super) fn reconcile(
    installation: &Installation,
    ledger: &Ledger,
    grant: &str,
) -> Result<(), RunError> {
    let folder = notes(installation, grant);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(RunError::internal("reading state/seals", &error)),
    };
    let ids: Vec<KekId> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let history = ledger.entries()?;
    let open = history.unsettled();
    let keyring = installation.keyring();
    for id in ids {
        if open.iter().any(|entry| is_of(&entry.event, &id)) {
            continue; // whether it was published, nobody can tell yet
        }
        if !was_released(&history, &id) {
            let attested = keyring.attest_kek(&id)?;
            // Also one that is off the list, which a killed process was about to remove.
            if attested.exists || !attested.destroyed {
                destroy(installation, ledger, keyring.as_ref(), &id)?;
                tracing::info!(kek = %id, "Destroyed the key of an attempt that was left behind.");
            }
        }
        unnote(&folder.join(id.as_str()));
    }
    Ok(())
}

/// Whether the attempt whose KEK this is was published.
fn was_released(history: &History, id: &KekId) -> bool {
    let is_it = |event: &Event| matches!(event, Event::Released { .. }) && is_of(event, id);
    history.iter().any(|entry| is_it(&entry.event))
}

/// Whether an event is about the attempt whose KEK this is.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all events, two are about an attempt's release"
)]
fn is_of(event: &Event, id: &KekId) -> bool {
    match event {
        Event::ReleaseIntended {
            delivery, attempt, ..
        }
        | Event::Released {
            delivery, attempt, ..
        } => KekId::new(delivery, attempt).is_ok_and(|of| of == *id),
        _ => false,
    }
}

/// Whether earlier attempts of a grant left notes of keys.
pub(super) fn has_notes(installation: &Installation, grant: &str) -> bool {
    fs::read_dir(notes(installation, grant)).is_ok_and(|mut notes| notes.next().is_some())
}

fn notes(installation: &Installation, grant: &str) -> PathBuf {
    installation.state().join(NOTES).join(grant)
}

/// A note that stays is looked at again, and does no harm.
fn unnote(note: &Path) {
    if let Err(error) = fs::remove_file(note)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("A note in state/seals could not be removed: {error}.");
    }
}

/// The recipient's keys, which the plan has the fingerprints of.
fn recipient_keys(
    installation: &Installation,
    plan: &ExchangePlan,
) -> Result<Vec<PublicKey>, RunError> {
    let recipient = installation.site.recipients.get(&plan.recipient);
    let texts = recipient.map_or(&[][..], |recipient| &recipient.public_keys);
    let mut keys = Vec::new();
    for text in texts {
        let key = PublicKey::parse(text)?;
        if plan.recipient_keys.contains(&key.fingerprint()) {
            keys.push(key);
        }
    }
    Ok(keys)
}
