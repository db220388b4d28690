//! Vaults as a preview has them: read, never written. Values without a token get a provisional one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lockgate_transforms::{DerivedKey, Provisional, Vault, VaultCipher, VaultError, VaultUse};

use super::check::confirm;
use super::fault::Trouble;
use super::open::{Needed, Vaults};
use super::reader::VaultReader;
use super::saves::{self, Known};
use crate::error::RunError;
use crate::installation::Installation;
use crate::plan::ExchangePlan;

/// The vaults of a preview.
#[derive(Debug)]
pub struct PreviewVaults(Vec<(VaultUse, Arc<PreviewVault>)>);

impl PreviewVaults {
    /// Opens every vault that a plan needs and that is there to be read.
    ///
    /// # Errors
    /// A key that isn't there, a vault that can't be read or isn't the one that was delivered from.
    pub fn open(installation: &Installation, plan: &ExchangePlan) -> Result<Self, RunError> {
        let needed = Needed::of(installation, plan)?;
        if needed.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let known = saves::known(installation)?;
        let vaults = needed.into_iter().map(|needed| {
            let vault = PreviewVault::open(installation, &needed, &known)?;
            Ok((needed.used, Arc::new(vault)))
        });
        Ok(Self(vaults.collect::<Result<_, RunError>>()?))
    }

    /// As treatments take them.
    pub fn for_treatments(&self) -> Vaults {
        let vaults = self.0.iter();
        vaults
            .map(|(used, vault)| -> (VaultUse, Arc<dyn Vault>) {
                (used.clone(), Arc::<PreviewVault>::clone(vault))
            })
            .collect()
    }

    /// What has to be said of the tokens that were shown.
    pub fn notes(&self) -> Vec<String> {
        let vaults = self.0.iter();
        vaults.filter_map(|(_, vault)| vault.note()).collect()
    }
}

/// One vault of a preview.
struct PreviewVault {
    domain: String,
    held: Held,
    cipher: Arc<VaultCipher>,
    provisional: Provisional,
    /// How often a provisional token was given.
    made: AtomicU64,
}

/// What there is to read.
enum Held {
    /// No run has made it yet.
    Nothing,
    /// A run has it open.
    InUse,
    Vault(Box<VaultReader>),
}

impl PreviewVault {
    fn open(installation: &Installation, needed: &Needed, known: &Known) -> Result<Self, RunError> {
        needed.confirm_there(installation, known)?;
        let path = needed.path(installation);
        let trouble = |trouble: Trouble| trouble.at(&needed.place());
        let held = match path.exists() {
            false => Held::Nothing,
            true => match VaultReader::open(&path) {
                Ok(reader) => Held::Vault(Box::new(reader)),
                Err(Trouble::InUse) => Held::InUse,
                Err(other) => return Err(trouble(other).into()),
            },
        };
        if let Held::Vault(reader) = &held {
            if reader.id != needed.id {
                return Err(trouble(Trouble::Damaged("it is another vault's file")).into());
            }
            reader.accept(&needed.cipher).map_err(trouble)?;
            confirm(reader, known.get(&needed.id.file_name()), &needed.place())?;
        }
        // A key of this preview alone: nobody shall take a provisional token for a lasting one.
        let mut random = [0; 32];
        getrandom::fill(&mut random)
            .map_err(|error| RunError::internal("drawing provisional tokens", &error))?;
        let key = DerivedKey::derive(&random, "encryption", &needed.id.domain, "preview", 1);
        Ok(Self {
            domain: needed.id.domain.clone(),
            held,
            cipher: Arc::clone(&needed.cipher),
            provisional: Provisional::new(&key, needed.used.clone()),
            made: AtomicU64::new(0),
        })
    }

    fn note(&self) -> Option<String> {
        let made = self.made.load(Ordering::Relaxed);
        let domain = &self.domain;
        let why = match self.held {
            Held::InUse => "a run has the vault open, so existing tokens can't be looked up",
            Held::Nothing | Held::Vault(_) => "no run has met these values yet",
        };
        (made > 0).then(|| {
            format!(
                "{made} tokens of domain `{domain}` are provisional: {why}; a run delivers others"
            )
        })
    }
}

impl Vault for PreviewVault {
    fn tokens(&self, values: &[&str], out: &mut Vec<u8>) -> Result<(), VaultError> {
        let Held::Vault(reader) = &self.held else {
            self.made.fetch_add(count(values.len()), Ordering::Relaxed);
            return self.provisional.tokens(values, out);
        };
        let start = out.len();
        let missing = reader
            .look_up(&self.cipher, values, out)
            .map_err(|trouble| trouble.of_domain(&self.domain))?;
        let width = self.cipher.form().characters();
        let mut made = Vec::with_capacity(width);
        for place in &missing {
            made.clear();
            let value = values.get(*place).copied().unwrap_or_default();
            self.provisional.tokens(&[value], &mut made)?;
            let room = out.iter_mut().skip(start + place * width);
            for (to, from) in room.zip(&made) {
                *to = *from;
            }
        }
        self.made.fetch_add(count(missing.len()), Ordering::Relaxed);
        Ok(())
    }
}

impl std::fmt::Debug for PreviewVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PreviewVault({:?}, ..)", self.cipher)
    }
}

fn count(values: usize) -> u64 {
    u64::try_from(values).unwrap_or(u64::MAX)
}
