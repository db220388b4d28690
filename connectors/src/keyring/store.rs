//! The files of a keyring, whatever guards its root.
//!
//! A keyring that nothing was done to has plain files, `PURPOSE.vN.key`, and no head. Once a head
//! (`keyring.json`) says so, master keys are records below `root-N/`, sealed under root N; keys of
//! deliveries are records below `root-N/keks/`, or objects of a token, and `root-N/keks-H.json` lists
//! them. Records are never rewritten: a new root gets a directory of its own, and replacing the head is
//! the one step that brings a change into use, so that a process killed before or after it leaves a
//! keyring that works. What a killed process left is removed by the next that changes something.

mod keks;
mod masters;
mod public;
mod records;
mod rewrap;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::guard::{self, Guard, Root, Unlock};
use super::head::{self, Head};
use super::pair::read_line;
use super::{KEY_BYTES, KekId, KeyringError, ProviderKind, Purpose, durable_error};
use crate::durable;

/// Directory of the records of deliveries' keys, below that of their root.
const KEKS: &str = "keks";

/// A keyring's directory, and what opens it.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    unlock: Unlock,
    /// The root that was opened last: Argon2 takes its time.
    opened: Mutex<Option<(Guard, u32, Arc<Root>)>>,
    /// What was refused last, and for which guard. A token locks itself after a few wrong pins: the same
    /// one is not tried again.
    refused: Mutex<Option<(Guard, KeyringError)>>,
    /// The list of deliveries' keys that was read last, by its hash.
    listed: Mutex<Option<(String, Arc<BTreeSet<KekId>>)>>,
}

/// A keyring as it was found.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and hardly ever the small one"
)]
pub(super) enum State {
    /// Without a head: plain files, or none.
    Plain,
    /// With a head.
    Headed(Headed),
}

/// A head and its root.
#[derive(Debug, Clone)]
pub(super) struct Headed {
    pub(super) head: Head,
    pub(super) root: Arc<Root>,
}

impl State {
    fn head(&self) -> Option<&Head> {
        self.headed().map(|headed| &headed.head)
    }

    /// The head, if it lists what there is: one of the former format does not.
    fn listed(&self) -> Option<&Head> {
        self.head().filter(|head| head.former.is_none())
    }

    /// The head and its root, if there is one.
    pub(super) fn headed(&self) -> Option<&Headed> {
        match self {
            Self::Plain => None,
            Self::Headed(headed) => Some(headed),
        }
    }

    /// Where master keys are records, the root that seals them.
    fn sealing(&self) -> Option<&Headed> {
        match self {
            Self::Headed(headed) if headed.head.guard.seals() => Some(headed),
            Self::Plain | Self::Headed(_) => None,
        }
    }
}

impl Store {
    pub(super) fn new(directory: PathBuf, unlock: Unlock) -> Self {
        Self {
            directory,
            unlock,
            opened: Mutex::new(None),
            refused: Mutex::new(None),
            listed: Mutex::new(None),
        }
    }

    /// Which kind of provider this is.
    fn provider(&self) -> ProviderKind {
        match self.unlock {
            Unlock::Token(_) => ProviderKind::Pkcs11,
            Unlock::Plain | Unlock::Passphrase(_) | Unlock::KeyFile(_) => ProviderKind::Local,
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Reads, while nobody changes the keyring.
    pub(super) fn reading<T>(
        &self,
        read: impl FnOnce(&State) -> Result<T, KeyringError>,
    ) -> Result<T, KeyringError> {
        let lock = match File::open(&self.directory) {
            Ok(directory) => directory.lock_shared().map(|()| Some(directory)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let _lock = lock.map_err(durable_error("lock", &self.directory))?;
        read(&self.state()?)
    }

    /// Changes the keyring; one process at a time.
    pub(super) fn changing<T>(
        &self,
        change: impl FnOnce(State) -> Result<T, KeyringError>,
    ) -> Result<T, KeyringError> {
        durable::make_directories(&self.directory, 0o700)
            .map_err(durable_error("make directory", &self.directory))?;
        let _lock = File::open(&self.directory)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(durable_error("lock", &self.directory))?;
        let mut state = self.state()?;
        self.tidy(&mut state)?;
        change(state)
    }

    /// Ends what killed processes began, before anything else is changed.
    fn tidy(&self, state: &mut State) -> Result<(), KeyringError> {
        self.remove_unnamed()?;
        let State::Headed(headed) = state else {
            return Ok(());
        };
        self.sweep(&headed.head)?;
        self.take_over(headed)?;
        self.remove_barred(&headed.head)?;
        self.finish(headed)?;
        self.sweep_keks(headed)?;
        self.publish(&headed.head.public)
    }

    /// Removes files that were not given their names yet: a key among them would outlive its own
    /// destruction.
    fn remove_unnamed(&self) -> Result<(), KeyringError> {
        let mut directories = vec![self.directory.clone()];
        for name in names(&self.directory)? {
            if root_of(&name).is_some() {
                let root = self.directory.join(name);
                directories.extend([root.join(KEKS), root]);
            }
        }
        for directory in directories {
            for name in names(&directory)? {
                if head::is_unnamed(&name) {
                    self.delete(&directory.join(name))?;
                }
            }
        }
        Ok(())
    }

    /// Writes a head of the former format anew: lists the keys of deliveries that there are, and takes
    /// the public keys in, which it did not hold.
    fn take_over(&self, headed: &mut Headed) -> Result<(), KeyringError> {
        if headed.head.former.is_none() {
            return Ok(());
        }
        let state = State::Headed(headed.clone());
        let mut head = headed.head.clone();
        for &purpose in Purpose::all() {
            if let Some(newest) = self.versions(&state, purpose)?.last().copied() {
                let known = head.masters.entry(purpose.as_str().to_owned()).or_insert(0);
                *known = newest.max(*known);
            }
        }
        head.public = self.public_lists(&state)?;
        head.keks = self.write_list(head.root, &*self.living(headed)?)?;
        if head.id.is_empty() {
            head.id = head::new_id()?;
        }
        head.former = None;
        self.publish(&head.public)?;
        head::write(&self.directory, &head, &headed.root)?;
        headed.head = head;
        Ok(())
    }

    /// Destroys what the head says was about to go.
    fn finish(&self, headed: &mut Headed) -> Result<(), KeyringError> {
        if let Some(id) = &headed.head.going {
            let id: KekId = id.parse()?;
            keks::Keks::of(self, headed).remove(&id)?;
        }
        headed.head.going = None;
        if let Some((token, keyring)) = headed.root.token()
            && headed.head.leaving.is_some()
        {
            guard::clear_token(token, keyring, &headed.root, guard::is_root)?;
            headed.head.leaving = None;
        }
        Ok(())
    }

    fn state(&self) -> Result<State, KeyringError> {
        let Some(written) = head::read(&self.directory)? else {
            if !matches!(self.unlock, Unlock::Plain) && self.has_plain_keys()? {
                return Err(KeyringError::Protection {
                    found: "nothing",
                    said: self.unlock.named(),
                    directory: self.directory.clone(),
                });
            }
            return Ok(State::Plain);
        };
        let root = self.root(written.claimed())?;
        let head = written.verify(&root, &self.directory)?;
        self.check_public(&head)?;
        Ok(State::Headed(Headed { head, root }))
    }

    /// The root of a head, which was opened before or is opened now.
    fn root(&self, head: &Head) -> Result<Arc<Root>, KeyringError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((guard, version, root)) = opened.as_ref()
            && (guard, *version) == (&head.guard, head.root)
            && head.guard.seals()
        {
            return Ok(Arc::clone(root));
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((guard, error)) = refused.as_ref()
            && *guard == head.guard
        {
            return Err(error.clone());
        }
        let root = guard::open(&head.guard, &self.unlock, &self.directory, head.root);
        if let Err(error @ (KeyringError::Pin { .. } | KeyringError::Locked { .. })) = &root {
            *refused = Some((head.guard.clone(), error.clone()));
        }
        let root = Arc::new(root?);
        *opened = Some((head.guard.clone(), head.root, Arc::clone(&root)));
        Ok(root)
    }

    fn has_plain_keys(&self) -> Result<bool, KeyringError> {
        for &purpose in Purpose::all() {
            if !self.files_of(&self.directory, purpose)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The head, made first if there is none yet; what the ledger will say of that.
    pub(super) fn headed(&self, state: State, change: &str) -> Result<Headed, KeyringError> {
        if let State::Headed(headed) = state {
            return Ok(headed);
        }
        self.check_whole()?;
        // Before anything is made: whether the public keys are those of the private ones.
        let public = self.public_lists(&State::Plain)?;
        let id = head::new_id()?;
        let (guard, root) = guard::make(&self.unlock, &self.directory, 1, &id)?;
        let root = Arc::new(root);
        let mut head = Head::first(id, (guard, 1), change);
        head.public = public;
        for &purpose in Purpose::all() {
            if let Some(newest) = self.files_of(&self.directory, purpose)?.last() {
                head.masters.insert(purpose.as_str().to_owned(), *newest);
            }
        }
        self.clear(&self.root_directory(1))?;
        self.make_root_directory(1)?;
        self.publish(&head.public)?;
        head::write(&self.directory, &head, &root)?;
        Ok(Headed { head, root })
    }

    /// Refuses to begin anew where the head was lost: that would remove what it spoke of. No killed
    /// process leaves keys of deliveries, or records without their plain files, and no head.
    fn check_whole(&self) -> Result<(), KeyringError> {
        for name in names(&self.directory)? {
            if root_of(&name).is_none() {
                continue;
            }
            let root = self.directory.join(&name);
            let keks = names(&root.join(KEKS))?;
            let mut is_lost = keks.iter().any(|name| name.ends_with(".key"));
            for &purpose in Purpose::all() {
                let plain = self.files_of(&self.directory, purpose)?;
                let records = self.files_of(&root, purpose)?;
                is_lost |= records.iter().any(|version| !plain.contains(version));
            }
            if is_lost {
                return Err(KeyringError::Altered {
                    path: self.directory.join(head::HEAD),
                });
            }
        }
        Ok(())
    }

    /// Changes the head in one step, by one generation. `what` changed is told to the ledger, by another
    /// process if this one is killed before: an id or a version, and no more.
    pub(super) fn advance(
        &self,
        headed: &mut Headed,
        what: String,
        change: impl FnOnce(&mut Head),
    ) -> Result<(), KeyringError> {
        self.rewrite(headed, |head| {
            head.generation = head.generation.saturating_add(1);
            head.change = what;
            change(head);
        })
    }

    /// Changes the head in one step, in what does not count as a change of the keyring.
    fn rewrite(
        &self,
        headed: &mut Headed,
        change: impl FnOnce(&mut Head),
    ) -> Result<(), KeyringError> {
        let mut head = headed.head.clone();
        change(&mut head);
        head::write(&self.directory, &head, &headed.root)?;
        headed.head = head;
        Ok(())
    }

    fn root_directory(&self, version: u32) -> PathBuf {
        self.directory.join(format!("root-{version}"))
    }

    fn make_root_directory(&self, version: u32) -> Result<(), KeyringError> {
        let path = self.root_directory(version).join(KEKS);
        durable::make_directories(&path, 0o700).map_err(durable_error("make directory", &path))
    }

    /// Removes the records of a root that is not, or no longer, in use.
    fn clear(&self, path: &Path) -> Result<(), KeyringError> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(durable_error("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    fn sync(&self, directory: &Path) -> Result<(), KeyringError> {
        durable::sync_directory(directory).map_err(durable_error("sync", directory))
    }
}

/// Reads a plain key file.
fn read_plain(path: &Path, purpose: Purpose) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyringError> {
    let (label, secret) = read_line(path)?;
    if label == purpose.as_str() {
        return Ok(secret);
    }
    Err(KeyringError::Malformed {
        path: path.to_owned(),
        what: "the key is for another purpose than the file's name says: restore the right file",
    })
}

/// Names of a directory's files; none where it isn't there.
fn names(directory: &Path) -> Result<Vec<String>, KeyringError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(durable_error("list", directory)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(durable_error("list", directory))?.file_name();
        names.extend(name.into_string().ok());
    }
    Ok(names)
}

fn file_name(purpose: Purpose, version: u32) -> String {
    format!("{purpose}.v{version}.key")
}

fn master_id(purpose: Purpose, version: u32) -> String {
    format!("{purpose}.v{version}")
}

/// How records and the list of what was destroyed name a delivery's key.
pub(super) fn kek_id(id: &KekId) -> String {
    format!("kek:{id}")
}

/// The version of a root, from the name of the directory of its records.
fn root_of(name: &str) -> Option<u32> {
    name.strip_prefix("root-")?.parse().ok()
}

/// Removes a file, which may be what a process left when it was killed.
fn remove(path: &Path) -> Result<(), KeyringError> {
    durable::remove_if_there(path).map_err(durable_error("remove", path))
}
