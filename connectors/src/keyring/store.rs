//! The files of a keyring, whatever guards its root.
//!
//! A keyring that nothing was done to has plain files, `PURPOSE.vN.key`, and no head. Once a head
//! (`keyring.json`) says so, master keys are records below `root-N/`, sealed under root N; keys of
//! deliveries are records below `root-N/keks/`, or objects of a token. Records are never rewritten: a
//! new root gets a directory of its own, and replacing the head is the one step that brings it into
//! use, so that a process killed before or after it leaves a keyring that works.

mod masters;
mod public;
mod records;
mod rewrap;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::guard::{self, Guard, Root, Unlock};
use super::head::{self, Head};
use super::pair::read_line;
use super::{KEY_BYTES, KekId, KeyringError, Purpose, durable_error};
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
}

/// A keyring as it was found.
#[derive(Debug)]
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
        let state = self.state()?;
        if let State::Headed(headed) = &state {
            self.sweep(&headed.head)?;
        }
        change(state)
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
        let root = guard::open(&head.guard, &self.unlock, &self.directory, head.root)?;
        let root = Arc::new(root);
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

    /// The head, made first if there is none yet.
    pub(super) fn headed(&self, state: State) -> Result<Headed, KeyringError> {
        if let State::Headed(headed) = state {
            return Ok(headed);
        }
        let mut masters = BTreeMap::new();
        for &purpose in Purpose::all() {
            if let Some(newest) = self.files_of(&self.directory, purpose)?.last() {
                masters.insert(purpose.as_str().to_owned(), *newest);
            }
        }
        let (guard, root) = guard::make(&self.unlock, &self.directory, 1, None)?;
        let root = Arc::new(root);
        let head = Head::first(guard, 1, masters);
        self.clear(&self.root_directory(1))?;
        self.make_root_directory(1)?;
        head::write(&self.directory, &head, &root)?;
        Ok(Headed { head, root })
    }

    /// Changes the head in one step, by one generation.
    pub(super) fn advance(
        &self,
        headed: &mut Headed,
        change: impl FnOnce(&mut Head),
    ) -> Result<(), KeyringError> {
        let mut head = headed.head.clone();
        head.generation = head.generation.saturating_add(1);
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

/// Whether a label in a token is that of a delivery's key, and not of a root.
pub(super) fn is_kek(label: &str) -> bool {
    !guard::is_root(label) && label.parse::<KekId>().is_ok()
}

/// Removes a file, which may be what a process left when it was killed.
fn remove(path: &Path) -> Result<(), KeyringError> {
    durable::remove_if_there(path).map_err(durable_error("remove", path))
}
