//! Master keys: plain files, or records under the root.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::public::public_of;
use super::{Headed, State, Store, file_name, master_id, names, read_plain};
use crate::keyring::guard::Unlock;
use crate::keyring::head::{Head, master_mark, put};
use crate::keyring::pair::{encode_line, random_secret};
use crate::keyring::{
    Attestation, KEY_BYTES, KeyEntry, KeyringError, MasterKey, ProviderKind, Purpose,
};

/// What the ledger is told where the first change makes the keyring's head.
const FIRST: &str = "began to count its changes";

impl Store {
    /// What the keyring says of itself.
    pub(in crate::keyring) fn attest(&self) -> Result<Attestation, KeyringError> {
        self.reading(|state| {
            let (provider, head) = (self.provider(), state.head());
            let is_behind_token = state
                .headed()
                .is_some_and(|headed| headed.root.token().is_some());
            Ok(Attestation {
                provider,
                protection: head.map_or("none", |head| head.guard.as_str()),
                generation: head.map_or(0, |head| head.generation),
                change: head.map_or_else(String::new, |head| head.change.clone()),
                root: head.map_or(0, |head| head.root),
                masters_extractable: true,
                keks_extractable: provider == ProviderKind::Local,
                left_in: head
                    .and_then(|head| head.leaving.clone())
                    .filter(|_| !is_behind_token),
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
        if state.headed().is_none() {
            self.check_line(purpose, version, &secret)?;
        }
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
                State::Headed(self.headed(State::Plain, FIRST)?)
            }
            state @ (State::Plain | State::Headed(_)) => state,
        };
        let newest = match state.head() {
            // A later file is one that a killed process left; it was never in use.
            Some(head) => head.newest(purpose),
            None => self.files_of(&self.directory, purpose)?.last().copied(),
        };
        let version = newest
            .unwrap_or(0)
            .checked_add(1)
            .ok_or(KeyringError::Versions { purpose })?;
        let secret = random_secret()?;
        match state {
            State::Headed(headed) => self.create_headed(headed, purpose, version, &secret)?,
            State::Plain => self.create_plain(purpose, version, &secret)?,
        }
        Ok(version)
    }

    /// The key is in use once the head knows it, its public side among what the head knows.
    fn create_headed(
        &self,
        mut headed: Headed,
        purpose: Purpose,
        version: u32,
        secret: &Zeroizing<[u8; KEY_BYTES]>,
    ) -> Result<(), KeyringError> {
        let name = file_name(purpose, version);
        match headed.head.guard.seals() {
            true => {
                let path = self.root_directory(headed.head.root).join(name);
                self.write_record(&headed, &path, &master_id(purpose, version), secret)?;
            }
            false => write_plain(&self.directory.join(name), purpose, secret)?,
        }
        let public = purpose.signs().then(|| public_of(secret));
        self.advance(
            &mut headed,
            format!("made {purpose} v{version}"),
            |head: &mut Head| {
                head.masters.insert(purpose.as_str().to_owned(), version);
                if let Some(public) = public {
                    let list = head.public.entry(purpose.as_str().to_owned());
                    list.or_default().push(public);
                }
            },
        )?;
        self.publish(&headed.head.public)
    }

    /// The key appears under its name last: nothing signs before the public side is there.
    fn create_plain(
        &self,
        purpose: Purpose,
        version: u32,
        secret: &Zeroizing<[u8; KEY_BYTES]>,
    ) -> Result<(), KeyringError> {
        if purpose.signs() {
            // Lines beyond are of a process that was killed before its key appeared.
            let mut list = self.public_list(&State::Plain, purpose)?;
            list.push(public_of(secret));
            self.publish_list(purpose, &list)?;
        }
        write_plain(
            &self.directory.join(file_name(purpose, version)),
            purpose,
            secret,
        )
    }

    /// Destroys one version of a key, for good.
    pub(in crate::keyring) fn destroy(
        &self,
        state: State,
        purpose: Purpose,
        version: u32,
    ) -> Result<(), KeyringError> {
        if state.headed().is_none() && !self.versions(&state, purpose)?.contains(&version) {
            return Err(KeyringError::MissingVersion {
                purpose,
                version,
                directory: self.directory.clone(),
            });
        }
        let mut headed = self.headed(state, FIRST)?;
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
            self.advance(
                &mut headed,
                format!("destroyed {purpose}.v{version}"),
                |head| {
                    head.destroyed.insert(master_mark(purpose, version));
                },
            )?;
        }
        self.delete(&path)
    }

    /// Removes key files and records of destroyed versions: a process was killed before it did, or they
    /// were put back.
    pub(super) fn remove_barred(&self, head: &Head) -> Result<(), KeyringError> {
        for directory in [self.directory.clone(), self.root_directory(head.root)] {
            for &purpose in Purpose::all() {
                for version in self.files_of(&directory, purpose)? {
                    if head.has_destroyed(purpose, version) {
                        self.delete(&directory.join(file_name(purpose, version)))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Versions of a purpose that are there, were not destroyed and are in use, ascending.
    pub(super) fn versions(
        &self,
        state: &State,
        purpose: Purpose,
    ) -> Result<Vec<u32>, KeyringError> {
        let mut versions = self.files_of(&self.masters_directory(state), purpose)?;
        if let Some(head) = state.head() {
            let newest = head.newest(purpose).unwrap_or(0);
            versions.retain(|version| {
                let is_known = *version <= newest;
                // A head of the former format did not know every plain file.
                let was_used = head.former.is_some() && !head.guard.seals();
                !head.has_destroyed(purpose, *version) && (is_known || was_used)
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

/// Writes a plain key file whole.
fn write_plain(
    path: &Path,
    purpose: Purpose,
    secret: &[u8; KEY_BYTES],
) -> Result<(), KeyringError> {
    put(path, encode_line(purpose.as_str(), secret).as_bytes())
}
