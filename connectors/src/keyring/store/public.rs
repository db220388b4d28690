//! Public sides of the purposes that sign, which lie open beside the keyring. The head holds them too:
//! where it can be opened, they are what it says.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::PoisonError;

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::{State, Store};
use crate::durable;
use crate::keyring::head::{Head, put_as};
use crate::keyring::{KEY_BYTES, KeyringError, PublicKey, Purpose, durable_error};

impl Store {
    /// The public keys of a purpose's versions, oldest first. Asks for nothing that opens the keyring,
    /// and takes the head's word where it is open.
    pub(in crate::keyring) fn public_keys(
        &self,
        purpose: Purpose,
    ) -> Result<Vec<PublicKey>, KeyringError> {
        if !purpose.signs() {
            return Err(KeyringError::NotSigning { purpose });
        }
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = opened.is_some();
        drop(opened);
        let keys = match is_open {
            true => self.reading(|state| match state.listed() {
                Some(head) => Ok(head.public_keys(purpose).to_vec()),
                None => self.read_public(purpose),
            })?,
            false => self.read_public(purpose)?,
        };
        if keys.is_empty() {
            return Err(KeyringError::Missing {
                purpose,
                directory: self.directory.clone(),
            });
        }
        Ok(keys)
    }

    /// The keys in a purpose's file; none where there is no file.
    fn read_public(&self, purpose: Purpose) -> Result<Vec<PublicKey>, KeyringError> {
        let path = self.public_path(purpose);
        let text = match durable::read_small(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(durable_error("read", &path)(source)),
        };
        let malformed = || KeyringError::Malformed {
            path: path.clone(),
            what: "expected lines of `ed25519:BASE64`: remove the file, and `lockgate keys rotate` writes it again",
        };
        let text = std::str::from_utf8(&text).map_err(|_| malformed())?;
        let mut keys = Vec::new();
        for line in text.lines() {
            let key = PublicKey::checked_parse(line)
                .ok()
                .filter(|key| key.verifying_key().is_some())
                .ok_or_else(malformed)?;
            keys.push(key);
        }
        Ok(keys)
    }

    /// Refuses `.pub` files that hold anything but what the head says, where it says it. A line that is
    /// still missing at the end is one that a process was killed before; the next change writes it.
    pub(super) fn check_public(&self, head: &Head) -> Result<(), KeyringError> {
        if head.former.is_some() {
            return Ok(());
        }
        for &purpose in Purpose::all() {
            if purpose.signs()
                && !head
                    .public_keys(purpose)
                    .starts_with(&self.read_public(purpose)?)
            {
                return Err(self.altered(purpose));
            }
        }
        Ok(())
    }

    /// The public keys of every version of the purposes that sign, for a head that does not hold them
    /// yet: from the private keys, with which the files must agree, and from the files of those that
    /// were destroyed.
    pub(super) fn public_lists(
        &self,
        state: &State,
    ) -> Result<BTreeMap<String, Vec<PublicKey>>, KeyringError> {
        let mut lists = BTreeMap::new();
        for &purpose in Purpose::all() {
            if purpose.signs() {
                let list = self.public_list(state, purpose)?;
                if !list.is_empty() {
                    lists.insert(purpose.as_str().to_owned(), list);
                }
            }
        }
        Ok(lists)
    }

    /// As [`Self::public_lists`], of one purpose.
    pub(super) fn public_list(
        &self,
        state: &State,
        purpose: Purpose,
    ) -> Result<Vec<PublicKey>, KeyringError> {
        let written = self.read_public(purpose)?;
        let versions = self.versions(state, purpose)?;
        let known = state.head().and_then(|head| head.newest(purpose));
        let newest = known.max(versions.last().copied()).unwrap_or(0);
        let mut lines = written.into_iter();
        let mut list = Vec::new();
        for version in 1..=newest {
            let line = lines.next();
            let own = match versions.contains(&version) {
                true => Some(public_of(
                    self.master(state, purpose, Some(version))?.expose(),
                )),
                false => None,
            };
            let key = match (own, line) {
                (Some(own), Some(line)) if own != line => None,
                (own, line) => own.or(line),
            };
            list.push(key.ok_or_else(|| self.altered(purpose))?);
        }
        Ok(list)
    }

    /// Where there is no head, refuses a private key whose line in the `.pub` file is another's.
    pub(super) fn check_line(
        &self,
        purpose: Purpose,
        version: u32,
        secret: &Zeroizing<[u8; KEY_BYTES]>,
    ) -> Result<(), KeyringError> {
        if !purpose.signs() {
            return Ok(());
        }
        let index = usize::try_from(version.saturating_sub(1)).unwrap_or(usize::MAX);
        match self.read_public(purpose)?.get(index) {
            Some(line) if *line != public_of(secret) => Err(self.altered(purpose)),
            Some(_) | None => Ok(()),
        }
    }

    /// Makes the `.pub` files hold these keys.
    pub(super) fn publish(
        &self,
        lists: &BTreeMap<String, Vec<PublicKey>>,
    ) -> Result<(), KeyringError> {
        for &purpose in Purpose::all() {
            if purpose.signs() {
                let list = lists.get(purpose.as_str());
                self.publish_list(purpose, list.map_or(&[][..], Vec::as_slice))?;
            }
        }
        Ok(())
    }

    /// As [`Self::publish`], of one purpose.
    pub(super) fn publish_list(
        &self,
        purpose: Purpose,
        list: &[PublicKey],
    ) -> Result<(), KeyringError> {
        let path = self.public_path(purpose);
        let text: String = list.iter().map(|key| format!("{key}\n")).collect();
        let is_so = match durable::read_small(&path) {
            Ok(held) => held == text.as_bytes(),
            Err(error) => error.kind() == io::ErrorKind::NotFound && list.is_empty(),
        };
        match is_so {
            true => Ok(()),
            false => put_as(&path, text.as_bytes(), 0o644),
        }
    }

    fn altered(&self, purpose: Purpose) -> KeyringError {
        KeyringError::Altered {
            path: self.public_path(purpose),
        }
    }

    fn public_path(&self, purpose: Purpose) -> PathBuf {
        self.directory.join(format!("{purpose}.pub"))
    }
}

/// The public side of a key that signs.
pub(super) fn public_of(secret: &[u8; KEY_BYTES]) -> PublicKey {
    PublicKey::from(&SigningKey::from_bytes(secret))
}
