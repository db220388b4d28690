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
use crate::ledger::{Event, History, Ledger};
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

    /// The same site with that keyring, whatever `[keys]` says.
    #[cfg(test)]
    pub(crate) fn with_keyring(self, keyring: Arc<dyn KeyProvider>) -> Self {
        Self {
            keyring: OnceLock::from(keyring),
            ..self
        }
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
            (Configured::Local, Some(passphrase), None) => {
                Unlock::Passphrase(self.secret(Some(passphrase), "passphrase"))
            }
            (Configured::Local, None, Some(SecretRef::File(path))) => {
                Unlock::KeyFile(self.site.root.join(path))
            }
            (Configured::Local, None, None) => Unlock::Plain,
            // A site that asks for protection gets no plain keys for not saying it well.
            (Configured::Local, Some(_), Some(_)) => unusable(
                "[keys] of lockgate.toml names a passphrase and a key file: name the one that protects the keyring",
            ),
            (Configured::Local, None, Some(SecretRef::Env(_))) => unusable(
                "key_file in [keys] of lockgate.toml is a file: write key_file = { file = \"path\" }",
            ),
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
        self.record_changed(ledger, Some(what))
    }

    /// As [`Self::record_keyring`], of a change that whoever made it did not record: as `found`, with what
    /// the keyring itself says that its last change was.
    pub(super) fn record_found(&self, ledger: &Ledger) -> Result<(), RunError> {
        self.record_changed(ledger, None)
    }

    fn record_changed(&self, ledger: &Ledger, what: Option<&str>) -> Result<(), RunError> {
        let history = ledger.entries()?;
        let recorded = history.keyring_generation();
        let told = self.held_to(recorded)?;
        // What was destroyed is said, whoever was the first to record the generation.
        let is_unsaid = what.is_some_and(|what| is_unsaid_destruction(&history, what));
        if told.generation > recorded || is_unsaid {
            let what = match (what, told.change.as_str()) {
                (Some(what), _) => what.to_owned(),
                (None, "") => "found".to_owned(),
                (None, change) => format!("found: {change}"),
            };
            let event = Event::KeyringChanged {
                generation: told.generation,
                what,
            };
            ledger.append(&event, self.clock.now())?;
        }
        Ok(())
    }
}

/// Whether this is that a key was destroyed, and no entry says so.
fn is_unsaid_destruction(history: &History, what: &str) -> bool {
    what.starts_with("destroyed ")
        && !history.iter().any(|entry| {
            matches!(&entry.event, Event::KeyringChanged { what: said, .. } if said.contains(what))
        })
}

/// What opens a keyring of which `[keys]` does not say well what does: nothing.
fn unusable(what: &'static str) -> Unlock {
    Unlock::Passphrase(SecretSource::new(move || {
        Err(KeyringError::Secret {
            what: what.to_owned(),
        })
    }))
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

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::ledger::Entry;

    #[test]
    fn a_destruction_whose_generation_another_change_recorded_is_said_all_the_same() {
        let history = |what: &str| -> History {
            let event = Event::KeyringChanged {
                generation: 6,
                what: what.to_owned(),
            };
            let entry = Entry {
                index: 0,
                at: DateTime::UNIX_EPOCH,
                event,
            };
            std::iter::once(entry).collect()
        };
        let began = history("began to keep keys of deliveries");
        assert!(is_unsaid_destruction(&began, "destroyed d.a"));
        assert!(!is_unsaid_destruction(&began, "rotated"));
        for said in ["destroyed d.a", "found: destroyed d.a"] {
            assert!(!is_unsaid_destruction(&history(said), "destroyed d.a"));
        }
    }
}
