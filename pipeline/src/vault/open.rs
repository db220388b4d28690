//! Which vaults a plan needs, and opening them for a run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lockgate_transforms::{Vault, VaultCipher, VaultUse};
use tokio_util::sync::CancellationToken;

use super::fault::{Trouble, VaultFault};
use super::file::VaultFile;
use super::label::VaultId;
use super::saves::{self, Known};
use crate::error::RunError;
use crate::fault::of_task;
use crate::installation::Installation;
use crate::ledger::{Event, KeptVault, Ledger};
use crate::plan::ExchangePlan;

/// Directory of the vaults, within the site.
pub(super) const DIRECTORY: &str = "state/vaults";

/// How often a run that waits for a vault looks again.
const POLL: Duration = Duration::from_millis(100);

/// Vaults as treatments take them, by their use.
pub type Vaults = Vec<(VaultUse, Arc<dyn Vault>)>;

/// A vault that a plan's treatments need: which it is, and what seals it.
pub(super) struct Needed {
    pub(super) used: VaultUse,
    pub(super) id: VaultId,
    pub(super) cipher: Arc<VaultCipher>,
}

impl Needed {
    /// Every vault that a plan needs, none twice.
    ///
    /// # Errors
    /// A key that isn't there.
    pub(super) fn of(
        installation: &Installation,
        plan: &ExchangePlan,
    ) -> Result<Vec<Self>, RunError> {
        let mut needed: Vec<Self> = Vec::new();
        for used in plan
            .fields
            .iter()
            .flat_map(|field| field.treatment.vault_uses())
        {
            if needed.iter().any(|needed| needed.used == used) {
                continue;
            }
            let scope = Installation::scope(&plan.grant, used.join.as_deref());
            let (key, key_version) = installation.sealing_key(&used.domain, &scope)?;
            let cipher = VaultCipher::new(&key, used.form).ok_or_else(|| RunError::Internal {
                what: "a derived key has a wrong length".to_owned(),
            })?;
            let id = VaultId {
                domain: used.domain.clone(),
                scope,
                form: used.form,
                key_version,
            };
            needed.push(Self {
                used,
                id,
                cipher: Arc::new(cipher),
            });
        }
        Ok(needed)
    }

    pub(super) fn path(&self, installation: &Installation) -> PathBuf {
        path_of(installation, &self.id.file_name())
    }

    pub(super) fn place(&self) -> String {
        place_of(&self.id.file_name())
    }

    /// Refuses to do without a vault that was delivered from. None is ever removed by this program.
    pub(super) fn confirm_there(
        &self,
        installation: &Installation,
        known: &Known,
    ) -> Result<(), VaultFault> {
        match known.get(&self.id.file_name()) {
            Some(kept) if !self.path(installation).exists() => Err(VaultFault::Gone {
                place: self.place(),
                kept: kept.tokens,
            }),
            Some(_) | None => Ok(()),
        }
    }
}

/// A vault's file.
pub(super) fn path_of(installation: &Installation, file_name: &str) -> PathBuf {
    installation.site.root.join(DIRECTORY).join(file_name)
}

/// A vault's file, as messages name it.
pub(super) fn place_of(file_name: &str) -> String {
    format!("{DIRECTORY}/{file_name}")
}

/// The vaults of a run, held alone until dropped.
#[derive(Debug)]
pub struct HeldVaults(Vec<Held>);

/// A vault of a run.
#[derive(Debug)]
struct Held {
    used: VaultUse,
    file_name: String,
    file: Arc<VaultFile>,
}

impl HeldVaults {
    /// Opens every vault that a plan needs, and waits for those that other processes hold. Always in
    /// the order of their files, so that no two runs wait for each other.
    ///
    /// # Errors
    /// A key that isn't there, a vault that can't be used or isn't the one that was delivered from,
    /// an interruption.
    pub async fn open(
        installation: &Installation,
        plan: &ExchangePlan,
        cancel: &CancellationToken,
    ) -> Result<Self, RunError> {
        let needed = Needed::of(installation, plan)?;
        if needed.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let by_file: BTreeMap<String, Needed> = needed
            .into_iter()
            .map(|needed| (needed.id.file_name(), needed))
            .collect();
        let known = saves::known(installation)?;
        let mut held = Vec::with_capacity(by_file.len());
        for (file_name, needed) in by_file {
            needed.confirm_there(installation, &known)?;
            let file = open_waiting(installation, &needed, &plan.provider, cancel).await?;
            held.push(Held {
                used: needed.used,
                file_name,
                file: Arc::new(file),
            });
        }
        // Who held them until now may have recorded more.
        let known = saves::known(installation)?;
        for held in &held {
            held.confirm(&known)?;
        }
        Ok(Self(held))
    }

    /// As treatments take them.
    pub fn for_treatments(&self) -> Vaults {
        let held = self.0.iter();
        held.map(|held| -> (VaultUse, Arc<dyn Vault>) {
            (held.used.clone(), Arc::<VaultFile>::clone(&held.file))
        })
        .collect()
    }

    /// Makes every token that was drawn last, and has the ledger know it, so that an older copy of a
    /// vault is never taken for it. To be called before the release of anything that holds a token is
    /// intended.
    ///
    /// # Errors
    /// A vault or ledger that can't be written.
    pub async fn keep(
        &self,
        installation: &Installation,
        ledger: &Ledger,
        grant: &str,
    ) -> Result<(), RunError> {
        let mut vaults = BTreeMap::new();
        for held in &self.0 {
            let file = Arc::clone(&held.file);
            let saved = tokio::task::spawn_blocking(move || file.save()).await;
            let kept: KeptVault = saved.map_err(|error| of_task("keeping tokens", error))??;
            vaults.insert(held.file_name.clone(), kept);
        }
        if vaults.is_empty() {
            return Ok(());
        }
        // A run that was killed may have saved what the ledger doesn't know, and what this one uses.
        let known = ledger.entries()?.kept_vaults();
        vaults.retain(|name, kept| kept.tokens > 0 && known.get(name) != Some(&*kept));
        if vaults.is_empty() {
            return Ok(());
        }
        let event = Event::TokensKept {
            grant: grant.to_owned(),
            vaults,
        };
        ledger.append(&event, installation.clock.now())?;
        Ok(())
    }
}

impl Held {
    /// Refuses a vault that isn't the one that was delivered from last.
    fn confirm(&self, known: &Known) -> Result<(), VaultFault> {
        let Some(kept) = known.get(&self.file_name) else {
            return Ok(());
        };
        let place = place_of(&self.file_name);
        let (holds, held) = self
            .file
            .holds(kept)
            .map_err(|trouble| trouble.at(&place))?;
        saves::confirm(holds, held, kept, &place)
    }
}

async fn open_waiting(
    installation: &Installation,
    needed: &Needed,
    provider: &str,
    cancel: &CancellationToken,
) -> Result<VaultFile, RunError> {
    let place = needed.place();
    let mut has_told = false;
    loop {
        let path = needed.path(installation);
        let (id, cipher) = (needed.id.clone(), Arc::clone(&needed.cipher));
        let provider = provider.to_owned();
        let open = move || VaultFile::open(&path, &id, cipher, &provider);
        let opened = tokio::select! {
            opened = tokio::task::spawn_blocking(open) => opened,
            // A large vault is read for a while. Left behind, that does no harm.
            () = cancel.cancelled() => return Err(RunError::Interrupted),
        };
        match opened.map_err(|error| of_task("opening a vault", error))? {
            Ok(file) => return Ok(file),
            Err(Trouble::InUse) => {}
            Err(trouble) => return Err(trouble.at(&place).into()),
        }
        if !has_told {
            tracing::warn!(
                vault = place,
                "Another run holds this token vault; waiting for it."
            );
            has_told = true;
        }
        tokio::select! {
            () = cancel.cancelled() => return Err(RunError::Interrupted),
            () = tokio::time::sleep(POLL) => {}
        }
    }
}
