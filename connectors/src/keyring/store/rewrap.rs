//! A new root, and what becomes of the records of the last one.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use zeroize::Zeroizing;

use super::{
    Headed, State, Store, file_name, is_kek, kek_id, master_id, names, read_plain, remove,
};
use crate::keyring::guard::{self, Unlock};
use crate::keyring::head::{self, Head, put};
use crate::keyring::pair::encode_line;
use crate::keyring::{KEY_BYTES, KekId, KeyEntry, KeyringError, MasterKey};

/// The key of a delivery on its way to another root.
type HeldKek = (KekId, Zeroizing<[u8; KEY_BYTES]>);

impl Store {
    /// Makes a new root, guarded as the last one.
    pub(in crate::keyring) fn rotate(&self) -> Result<u32, KeyringError> {
        self.changing(|state| Ok(self.rewrap(&state, &self.unlock)?.root))
    }

    /// Makes a new root, guarded as `to` says, and wraps every record anew under it. What the keys
    /// are, and what was wrapped under them, stays as it is.
    pub(in crate::keyring) fn rewrap(
        &self,
        state: &State,
        to: &Unlock,
    ) -> Result<Head, KeyringError> {
        let former = state.headed();
        let version = former
            .map_or(0, |headed| headed.head.root)
            .saturating_add(1);
        let keks = self.keks_to_move(former, to)?;
        self.clear(&self.root_directory(version))?;
        let former_guard = former.map(|headed| &headed.head.guard);
        let (guard, root) = guard::make(to, &self.directory, version, former_guard)?;
        let mut head = match former {
            Some(headed) => headed.head.clone(),
            None => Head::first(guard.clone(), version, BTreeMap::new()),
        };
        if former.is_some() {
            head.generation = head.generation.saturating_add(1);
        }
        (head.guard, head.root) = (guard, version);
        let mut next = Headed {
            head,
            root: Arc::new(root),
        };
        self.make_root_directory(version)?;
        for entry in self.list(state)? {
            let key = self.master(state, entry.purpose, Some(entry.version))?;
            match (next.head.guard.seals(), state.sealing()) {
                (true, _) => self.seal_master(&next, &key)?,
                (false, Some(_)) => self.unseal_master(&key)?,
                (false, None) => {}
            }
            let newest = next.head.masters.entry(entry.purpose.as_str().to_owned());
            let newest = newest.or_insert(0);
            *newest = entry.version.max(*newest);
        }
        for (id, key) in &keks {
            self.move_kek(&next, id, key)?;
        }
        self.bring_into_use(state, &next)?;
        Ok(next.head)
    }

    /// Seals a master key under a root that is not in use yet, and reads it back.
    fn seal_master(&self, next: &Headed, key: &MasterKey) -> Result<(), KeyringError> {
        let id = master_id(key.purpose, key.version);
        let path = self
            .root_directory(next.head.root)
            .join(file_name(key.purpose, key.version));
        self.write_record(next, &path, &id, key.expose())?;
        if *self.read_record(next, &path, &id)? != *key.expose() {
            return Err(KeyringError::Altered { path });
        }
        Ok(())
    }

    /// Writes a master key as a plain file, which is in use once the head says that nothing is sealed.
    fn unseal_master(&self, key: &MasterKey) -> Result<(), KeyringError> {
        let path = self.directory.join(file_name(key.purpose, key.version));
        put(
            &path,
            encode_line(key.purpose.as_str(), key.expose()).as_bytes(),
        )?;
        if *read_plain(&path, key.purpose)? != *key.expose() {
            return Err(KeyringError::Altered { path });
        }
        Ok(())
    }

    /// Keys of deliveries that a new root has to hold: those in a token stay where they are.
    fn keks_to_move(
        &self,
        former: Option<&Headed>,
        to: &Unlock,
    ) -> Result<Vec<HeldKek>, KeyringError> {
        let Some(headed) = former else {
            return Ok(Vec::new());
        };
        if let Some((token, keyring)) = headed.root.token() {
            let stays = matches!(to, Unlock::Token(_));
            let held = token.labels(keyring)?;
            let holds_keks = held.iter().any(|label| is_kek(label));
            return if holds_keks && !stays {
                Err(KeyringError::Held)
            } else {
                Ok(Vec::new())
            };
        }
        let mut keks = Vec::new();
        for id in self.kek_records(headed)? {
            if headed.head.destroyed.contains(&kek_id(&id)) {
                continue;
            }
            if let Some(key) = self.read_kek(headed, &id)? {
                keks.push((id, key));
            }
        }
        Ok(keks)
    }

    fn move_kek(
        &self,
        next: &Headed,
        id: &KekId,
        key: &Zeroizing<[u8; KEY_BYTES]>,
    ) -> Result<(), KeyringError> {
        if let Some((token, keyring)) = next.root.token() {
            token.destroy(id.as_str(), keyring)?;
            return token.import(id.as_str(), keyring, key);
        }
        self.write_kek(next, id, key)?;
        match self.read_kek(next, id)? {
            Some(read) if *read == **key => Ok(()),
            Some(_) | None => Err(KeyringError::Altered {
                path: self.kek_path(next, id),
            }),
        }
    }

    /// Replaces the head, and removes what it no longer speaks of.
    fn bring_into_use(&self, state: &State, next: &Headed) -> Result<(), KeyringError> {
        let plain = match state.sealing() {
            Some(_) => Vec::new(),
            None => self.list(state)?,
        };
        head::write(&self.directory, &next.head, &next.root)?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        *opened = None;
        drop(opened);
        self.sweep(&next.head)?;
        if let State::Headed(former) = state
            && let Some((token, keyring)) = former.root.token()
        {
            guard::remove_former(token, keyring, &next.root)?;
        }
        if next.head.guard.seals() {
            for entry in plain {
                remove(&entry.path)?;
            }
            self.remove_plain_leftovers(next)?;
        }
        self.sync(&self.directory)
    }

    /// Removes plain key files that a process left when it was killed after protecting them. One that
    /// holds another key than its record is nobody's to remove.
    fn remove_plain_leftovers(&self, headed: &Headed) -> Result<(), KeyringError> {
        let state = State::Headed(headed.clone());
        for entry in self.plain_leftovers()? {
            let sealed = self.master(&state, entry.purpose, Some(entry.version));
            let plain = read_plain(&entry.path, entry.purpose);
            match (sealed, plain) {
                (Ok(sealed), Ok(plain)) if *sealed.expose() == *plain => remove(&entry.path)?,
                _ => {
                    return Err(KeyringError::Malformed {
                        path: entry.path,
                        what: "a plain key file beside a protected keyring that does not hold this key: move it away, and find out where it comes from",
                    });
                }
            }
        }
        Ok(())
    }

    /// Plain key files, whatever the head says.
    pub(in crate::keyring) fn plain_leftovers(&self) -> Result<Vec<KeyEntry>, KeyringError> {
        self.list(&State::Plain)
    }

    /// Removes what a head does not speak of: roots that a process was killed over, before they came
    /// into use or after they had been replaced.
    pub(super) fn sweep(&self, head: &Head) -> Result<(), KeyringError> {
        for name in names(&self.directory)? {
            let Some(rest) = name.strip_prefix("root-") else {
                continue;
            };
            let file = rest.strip_suffix(".key");
            let Ok(version) = file.unwrap_or(rest).parse::<u32>() else {
                continue;
            };
            let path = self.directory.join(&name);
            match file {
                Some(_) if head.guard.seals() || version != head.root => remove(&path)?,
                None if version != head.root => self.clear(&path)?,
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}
