//! The site's keyring: how `[keys]` opens it, and how the ledger remembers its generation, so that an
//! older keyring is not taken for the site's.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::{
    Attestation, KeyProvider, KeyringError, LocalKeyring, Pkcs11Keyring, SecretSource, TokenSource,
    Unlock,
};

use super::Installation;
use crate::error::RunError;
use crate::ledger::{Event, Ledger};
use crate::site::lockgate_toml::{KeyProvider as Configured, SecretRef};

impl Installation {
    /// The site's keyring. Reads nothing yet: what cannot be opened is said when a key is asked for.
    pub fn keyring(&self) -> Arc<dyn KeyProvider> {
        let keyring = self
            .keyring
            .get_or_init(|| provider(self.keyring_dir(), self.unlock()));
        Arc::clone(keyring)
    }

    /// The same site with its keyring opened otherwise than `[keys]` says.
    pub(crate) fn opened_by(&self, unlock: &Unlock) -> Result<Self, RunError> {
        let opened = Self::open(&self.site.root, self.clock)?;
        let keyring = provider(self.keyring_dir(), unlock.clone());
        Ok(Self {
            keyring: OnceLock::from(keyring),
            ..opened
        })
    }

    /// Directory of the keyring's files.
    pub fn keyring_dir(&self) -> PathBuf {
        self.site.root.join(&self.site.file.keys.path)
    }

    /// What opens the keyring, as `[keys]` says.
    pub(crate) fn unlock(&self) -> Unlock {
        let keys = &self.site.file.keys;
        match (keys.provider, &keys.passphrase, &keys.key_file) {
            (Configured::Pkcs11, ..) => Unlock::Token(self.token()),
            (Configured::Local, Some(passphrase), _) => {
                Unlock::Passphrase(self.secret(Some(passphrase), "passphrase"))
            }
            (Configured::Local, None, Some(SecretRef::File(path))) => {
                Unlock::KeyFile(self.site.root.join(path))
            }
            (Configured::Local, None, Some(SecretRef::Env(_)) | None) => Unlock::Plain,
        }
    }

    /// The token that `[keys]` names; using it says what is missing.
    pub(crate) fn token(&self) -> TokenSource {
        let keys = &self.site.file.keys;
        let module = keys.module.clone().unwrap_or_default();
        TokenSource {
            module: self.site.root.join(module),
            label: keys.token.clone().unwrap_or_default(),
            pin: self.secret(keys.pin.as_ref(), "pin"),
        }
    }

    fn secret(&self, reference: Option<&SecretRef>, key: &'static str) -> SecretSource {
        let root = self.site.root.clone();
        match reference {
            // Read where its mode is looked at.
            Some(SecretRef::File(path)) => SecretSource::of_file(root.join(path)),
            Some(SecretRef::Env(name)) => {
                let reference = SecretRef::Env(name.clone());
                SecretSource::new(move || {
                    reference
                        .resolve(&root)
                        .map_err(|error| KeyringError::Secret {
                            what: error.to_string(),
                        })
                })
            }
            None => SecretSource::new(move || {
                Err(KeyringError::Secret {
                    what: format!(
                        "[keys] of lockgate.toml names no {key}; add {key} = {{ file = \"…\" }}"
                    ),
                })
            }),
        }
    }

    /// What the keyring says of itself, held to the ledger: an older one is refused.
    ///
    /// # Errors
    /// A keyring that cannot be opened or is older than the ledger knows; a ledger that cannot be read.
    pub fn check_keyring(&self) -> Result<Attestation, RunError> {
        // In this order: keyrings change before it is recorded.
        let recorded = Ledger::reader(&self.ledger_dir())?
            .entries()?
            .keyring_generation();
        self.held_to(recorded)
    }

    fn held_to(&self, recorded: u64) -> Result<Attestation, RunError> {
        let told = self.keyring().attest()?;
        if told.generation < recorded {
            return Err(ConnectorError::from(KeyringError::RolledBack {
                found: told.generation,
                recorded,
                directory: self.keyring_dir(),
            })
            .into());
        }
        Ok(told)
    }

    /// Records the keyring's generation, unless the ledger knows it.
    ///
    /// # Errors
    /// As [`Self::check_keyring`], and a ledger that cannot be appended to.
    pub fn record_keyring(&self, ledger: &Ledger, what: &str) -> Result<(), RunError> {
        let recorded = ledger.entries()?.keyring_generation();
        let told = self.held_to(recorded)?;
        if told.generation > recorded {
            let event = Event::KeyringChanged {
                generation: told.generation,
                what: what.to_owned(),
            };
            ledger.append(&event, self.clock.now())?;
        }
        Ok(())
    }
}

/// The keyring in a directory, by what opens it.
fn provider(directory: PathBuf, unlock: Unlock) -> Arc<dyn KeyProvider> {
    match unlock {
        Unlock::Token(token) => Arc::new(Pkcs11Keyring::open(directory, token)),
        local @ (Unlock::Plain | Unlock::Passphrase(_) | Unlock::KeyFile(_)) => {
            Arc::new(LocalKeyring::protected(directory, local))
        }
    }
}
