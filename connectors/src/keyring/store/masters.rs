//! Master keys: plain files, or records under the root.

use std::fs;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{State, Store, file_name, master_id, names, read_plain, remove};
use crate::keyring::guard::Unlock;
use crate::keyring::head::master_mark;
use crate::keyring::pair::{encode_line, random_secret, write_secret};
use crate::keyring::{
    Attestation, KEY_BYTES, KeyEntry, KeyringError, MasterKey, ProviderKind, Purpose, durable_error,
};

impl Store {
    /// What the keyring says of itself.
    pub(in crate::keyring) fn attest(
        &self,
        provider: ProviderKind,
    ) -> Result<Attestation, KeyringError> {
        self.reading(|state| {
            let head = state.head();
            Ok(Attestation {
                provider,
                protection: head.map_or("none", |head| head.guard.as_str()),
                generation: head.map_or(0, |head| head.generation),
                root: head.map_or(0, |head| head.root),
                extractable: provider == ProviderKind::Local,
            })
        })
    }

    /// Every master key that is there and was not destroyed.
    pub(in crate::keyring) fn list(&self, state: &State) -> Result<Vec<KeyEntry>, KeyringError> {
        let directory = self.masters_directory(state);
        let mut entries = Vec::new();
        for &purpose in Purpose::all() {
            for version in self.versions(state, purpose)? {
                entries.push(KeyEntry {
                    purpose,
                    version,
                    path: directory.join(file_name(purpose, version)),
                });
            }
        }
        Ok(entries)
    }

    /// Reads a master key: of that version, or the newest.
    pub(in crate::keyring) fn master(
        &self,
        state: &State,
        purpose: Purpose,
        version: Option<u32>,
    ) -> Result<MasterKey, KeyringError> {
        let versions = self.versions(state, purpose)?;
        let missing = |version| KeyringError::MissingVersion {
            purpose,
            version,
            directory: self.directory.clone(),
        };
        let version = match version {
            Some(version) => version,
            None => {
                // Or an older key would be used where the newest was taken away.
                let made = state.head().and_then(|head| head.newest(purpose));
                let gone = made.filter(|made| {
                    !versions.contains(made)
                        && !state
                            .head()
                            .is_some_and(|head| head.has_destroyed(purpose, *made))
                });
                if let Some(gone) = gone {
                    return Err(missing(gone));
                }
                *versions.last().ok_or_else(|| KeyringError::Missing {
                    purpose,
                    directory: self.directory.clone(),
                })?
            }
        };
        if state
            .head()
            .is_some_and(|head| head.has_destroyed(purpose, version))
        {
            return Err(KeyringError::Destroyed { purpose, version });
        }
        if !versions.contains(&version) {
            return Err(if versions.is_empty() {
                KeyringError::Missing {
                    purpose,
                    directory: self.directory.clone(),
                }
            } else {
                missing(version)
            });
        }
        let path = self
            .masters_directory(state)
            .join(file_name(purpose, version));
        let secret = match state.sealing() {
            Some(headed) => self.read_record(headed, &path, &master_id(purpose, version))?,
            None => read_plain(&path, purpose)?,
        };
        Ok(MasterKey {
            purpose,
            version,
            secret,
        })
    }

    /// Makes the next version of a purpose's key.
    pub(in crate::keyring) fn create(
        &self,
        state: State,
        purpose: Purpose,
    ) -> Result<u32, KeyringError> {
        // What a site asks to be protected has no plain file, not even the first.
        let state = match state {
            State::Plain if !matches!(self.unlock, Unlock::Plain) => {
                State::Headed(self.headed(State::Plain)?)
            }
            state @ (State::Plain | State::Headed(_)) => state,
        };
        let known = state.head().and_then(|head| head.newest(purpose));
        let newest = match state.sealing() {
            // A later record is one that a killed process left; it was never in use.
            Some(_) => known,
            None => known.max(self.files_of(&self.directory, purpose)?.last().copied()),
        };
        let version = newest
            .unwrap_or(0)
            .checked_add(1)
            .ok_or(KeyringError::Versions { purpose })?;
        let secret = random_secret()?;
        match state.sealing() {
            Some(headed) => {
                let path = self
                    .masters_directory(&state)
                    .join(file_name(purpose, version));
                self.publish_public(purpose, version, &secret)?;
                self.write_record(headed, &path, &master_id(purpose, version), &secret)?;
            }
            None => self.create_plain(purpose, version, &secret)?,
        }
        if let State::Headed(mut headed) = state {
            self.advance(&mut headed, |head| {
                head.masters.insert(purpose.as_str().to_owned(), version);
            })?;
        }
        Ok(version)
    }

    fn create_plain(
        &self,
        purpose: Purpose,
        version: u32,
        secret: &Zeroizing<[u8; KEY_BYTES]>,
    ) -> Result<(), KeyringError> {
        let line = encode_line(purpose.as_str(), secret);
        let path = self.directory.join(file_name(purpose, version));
        // The key appears under its name last: nothing signs before the public side is there.
        let unnamed = self
            .directory
            .join(format!(".{purpose}.v{version}.key.new"));
        remove(&unnamed)?;
        write_secret(&unnamed, &line)?;
        let named = self
            .publish_public(purpose, version, secret)
            .and_then(|()| {
                fs::hard_link(&unnamed, &path).map_err(durable_error("create key file", &path))
            });
        let removed = remove(&unnamed);
        named?;
        removed?;
        self.sync(&self.directory)
    }

    /// Destroys one version of a key, for good.
    pub(in crate::keyring) fn destroy(
        &self,
        state: State,
        purpose: Purpose,
        version: u32,
    ) -> Result<(), KeyringError> {
        let mut headed = self.headed(state)?;
        let state = State::Headed(headed.clone());
        let path = self
            .masters_directory(&state)
            .join(file_name(purpose, version));
        if !headed.head.has_destroyed(purpose, version) {
            if !self.versions(&state, purpose)?.contains(&version) {
                return Err(KeyringError::MissingVersion {
                    purpose,
                    version,
                    directory: self.directory.clone(),
                });
            }
            self.advance(&mut headed, |head| {
                head.destroyed.insert(master_mark(purpose, version));
            })?;
        }
        self.delete(&path)
    }

    /// Versions of a purpose that are there, were not destroyed and are in use, ascending.
    fn versions(&self, state: &State, purpose: Purpose) -> Result<Vec<u32>, KeyringError> {
        let mut versions = self.files_of(&self.masters_directory(state), purpose)?;
        if let Some(head) = state.head() {
            let newest = head.newest(purpose).unwrap_or(0);
            versions.retain(|version| {
                !head.has_destroyed(purpose, *version)
                    && (!head.guard.seals() || *version <= newest)
            });
        }
        Ok(versions)
    }

    fn masters_directory(&self, state: &State) -> PathBuf {
        match state.sealing() {
            Some(headed) => self.root_directory(headed.head.root),
            None => self.directory.clone(),
        }
    }

    /// Versions of a purpose that have a file, ascending.
    pub(super) fn files_of(
        &self,
        directory: &Path,
        purpose: Purpose,
    ) -> Result<Vec<u32>, KeyringError> {
        let mut versions = Vec::new();
        for name in names(directory)? {
            let version = name
                .strip_prefix(purpose.as_str())
                .and_then(|rest| rest.strip_prefix(".v"))
                .and_then(|rest| rest.strip_suffix(".key"))
                .and_then(|digits| {
                    digits
                        .parse::<u32>()
                        .ok()
                        .filter(|n| n.to_string() == digits)
                });
            versions.extend(version.filter(|version| *version > 0));
        }
        versions.sort_unstable();
        Ok(versions)
    }
}
