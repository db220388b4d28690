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
use lockgate_connectors::format::parquet::encryption;
use lockgate_connectors::keyring::{KekId, KeyProvider, PublicKey};
use lockgate_connectors::publish::{Attempt, StagedFile};
use lockgate_connectors::seal::{Binding, Kek, Release as KeyRelease, SealContext};

use crate::digest::hex;
use crate::engine::{FileSeal, SealKind};
use crate::error::RunError;
use crate::fault;
use crate::installation::Installation;
use crate::ledger::{Event, Ledger};
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
        plan: &ExchangePlan,
        delivery: &str,
        attempt: &str,
    ) -> Result<Option<Self>, RunError> {
        let Some(sealing) = plan.sealing.clone() else {
            return Ok(None);
        };
        let binding = Binding::new(sealing.suite, delivery, attempt, &plan.recipient)?;
        let (kek, held) = match sealing.release {
            KeyRelease::Offline => (Kek::draw()?, None),
            KeyRelease::Online => {
                let held = HeldKek::create(installation, &plan.grant, delivery, attempt)?;
                let kek = Kek::Held(Arc::clone(&held.keyring), held.id.clone());
                (kek, Some(held))
            }
        };
        Ok(Some(Self {
            context: Arc::new(SealContext::new(binding, kek)?),
            kind: plan.seal,
            sealing,
            keys: recipient_keys(installation, plan)?,
            held,
        }))
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
    pub(super) fn forget(self) {
        let Some(held) = self.held else {
            return; // drawn, and zeroized with the last context
        };
        match held.keyring.destroy_kek(&held.id) {
            Ok(_) => unnote(&held.note),
            Err(error) => {
                tracing::warn!(kek = %held.id, "A key that is of no use was not destroyed: {error}.");
            }
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
        grant: &str,
        delivery: &str,
        attempt: &str,
    ) -> Result<Self, RunError> {
        let id = KekId::new(delivery, attempt)?;
        let folder = notes(installation, grant);
        let note = folder.join(id.as_str());
        let written = || -> io::Result<()> {
            fs::create_dir_all(&folder)?;
            File::create_new(&note)?.sync_all()?;
            File::open(&folder)?.sync_all()
        };
        written().map_err(|error| RunError::internal("noting a key in state/seals", &error))?;
        let keyring = installation.keyring();
        keyring.create_kek(&id)?;
        Ok(Self { keyring, id, note })
    }
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
        if !history
            .iter()
            .any(|entry| is_of(&entry.event, &id) && matches!(entry.event, Event::Released { .. }))
        {
            let attested = keyring.attest_kek(&id)?;
            if attested.exists {
                keyring.destroy_kek(&id)?;
                tracing::info!(kek = %id, "Destroyed the key of an attempt that was left behind.");
            }
        }
        unnote(&folder.join(id.as_str()));
    }
    Ok(())
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
