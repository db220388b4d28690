//! A new root, and what becomes of the records of the last one.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use zeroize::Zeroizing;

use super::keks::Keks;
use super::{Headed, KEKS, State, Store, file_name, master_id, names, read_plain, remove, root_of};
use crate::keyring::guard::{self, Unlock};
use crate::keyring::head::{self, Head, put};
use crate::keyring::pair::encode_line;
use crate::keyring::token::Token;
use crate::keyring::{KEY_BYTES, KekId, KeyringError, MasterKey};

/// The key of a delivery on its way to another root.
type HeldKek = (KekId, Zeroizing<[u8; KEY_BYTES]>);

/// What the ledger is told where moving into a token makes the keyring's head.
const FIRST: &str = "began to move into a token";

/// A root that holds everything, and is not in use yet.
struct Prepared {
    headed: Headed,
    /// The head's file.
    sealed: Vec<u8>,
    /// Plain key files that it replaces.
    replaced: Vec<PathBuf>,
}

impl Store {
    /// Makes a new root, guarded as the last one.
    pub(in crate::keyring) fn rotate(&self) -> Result<u32, KeyringError> {
        self.changing(|state| Ok(self.rewrap(state, &self.unlock, "rotated")?.root))
    }

    /// Makes a new root, guarded as `to` says, and wraps every record anew under it. What the keys
    /// are, and what was wrapped under them, stays as it is.
    pub(in crate::keyring) fn rewrap(
        &self,
        state: State,
        to: &Unlock,
        change: &str,
    ) -> Result<Head, KeyringError> {
        if state.headed().is_none() {
            self.check_whole()?;
        }
        let (mut state, token) = self.announce(state, to)?;
        match self.prepare(&state, to, change) {
            Ok(prepared) => self.bring_into_use(&state, prepared),
            Err(error) => {
                if let (Some(token), State::Headed(headed)) = (&token, &mut state) {
                    self.withdraw(headed, token);
                }
                Err(error)
            }
        }
    }

    /// Has the head say that a token may hold keys of this keyring, before it does: what a process leaves
    /// in there that is killed is found by the keyring's id and the token's label. The token is logged in
    /// to first, so that a wrong pin changes nothing.
    fn announce(&self, state: State, to: &Unlock) -> Result<(State, Option<Token>), KeyringError> {
        let Unlock::Token(source) = to else {
            return Ok((state, None));
        };
        // A keyring that lies behind its token already, or begins in it, moves nothing in.
        if matches!(self.unlock, Unlock::Token(_)) {
            return Ok((state, None));
        }
        if let Some(token) = state.head().and_then(|head| head.leaving.as_ref())
            && *token != source.label
        {
            return Err(KeyringError::Left {
                token: token.clone(),
                directory: self.directory.clone(),
            });
        }
        let token = Token::open(source)?;
        let mut headed = self.headed(state, FIRST)?;
        self.check_own(&headed, &token)?;
        self.rewrite(&mut headed, |head| {
            head.leaving = Some(source.label.clone());
        })?;
        Ok((State::Headed(headed), Some(token)))
    }

    /// Refuses where a token holds keys of this keyring that no unfinished move of this directory brought
    /// in. All copies of a directory share its id: the keys are those of another copy, or of a later state
    /// of this one, which has them nowhere else.
    pub(super) fn check_own(&self, headed: &Headed, token: &Token) -> Result<(), KeyringError> {
        let mut others = token.labels(headed.head.id.as_bytes())?;
        // What moving in says before it begins: until then, nothing in there is of this directory.
        if headed.head.leaving.is_some() {
            let living = self.living(headed)?;
            let newest = headed.head.root.saturating_add(1);
            others.retain(|label| match guard::root_version(label) {
                Some(version) => version > newest,
                None => !label.parse::<KekId>().is_ok_and(|id| living.contains(&id)),
            });
        }
        match others.first() {
            Some(first) => Err(KeyringError::Taken {
                token: token.label().to_owned(),
                count: others.len(),
                first: first.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Takes out of a token what was brought in before something failed. What cannot be taken out now, the
    /// head still speaks of.
    fn withdraw(&self, headed: &mut Headed, token: &Token) {
        let keyring = headed.head.id.as_bytes();
        let cleared = guard::clear_token(token, keyring, &headed.root, |_| true);
        // The error that led here is the one to report.
        drop(cleared.and_then(|()| self.rewrite(headed, |head| head.leaving = None)));
    }

    /// Makes the new root and puts everything under it.
    fn prepare(&self, state: &State, to: &Unlock, change: &str) -> Result<Prepared, KeyringError> {
        let former = state.headed();
        let keks = self.keks_to_move(former, to)?;
        let keys = self.list(state)?;
        let keys = keys
            .iter()
            .map(|entry| self.master(state, entry.purpose, Some(entry.version)))
            .collect::<Result<Vec<MasterKey>, KeyringError>>()?;
        let replaced = match to.seals() {
            true => self.plain_to_replace(state, &keys)?,
            false => Vec::new(),
        };
        let mut headed = self.new_root(state, &keys, to, change)?;
        for key in &keys {
            match (to.seals(), state.sealing()) {
                (true, _) => self.seal_master(&headed, key)?,
                (false, Some(_)) => self.unseal_master(key)?,
                (false, None) => {}
            }
        }
        for (id, key) in &keks {
            Keks::of(self, &headed).put(id, key)?;
        }
        if let Some(former) = former {
            headed.head.keks = self.write_list(headed.head.root, &*self.living(former)?)?;
        }
        // What opens the keyring is tried before anything that opens without it is removed.
        let opened = guard::open(&headed.head.guard, to, &self.directory, headed.head.root)?;
        let sealed = head::seal(&headed.head, &headed.root)?;
        head::parse(&sealed, &self.directory)?.verify(&opened, &self.directory)?;
        Ok(Prepared {
            headed,
            sealed,
            replaced,
        })
    }

    /// A new root with nothing under it, and the head that will speak of it.
    fn new_root(
        &self,
        state: &State,
        keys: &[MasterKey],
        to: &Unlock,
        change: &str,
    ) -> Result<Headed, KeyringError> {
        let former = state.headed();
        let version = former.map_or(0, |headed| headed.head.root);
        let version = version.saturating_add(1);
        let id = match former {
            Some(headed) => headed.head.id.clone(),
            None => head::new_id()?,
        };
        self.clear(&self.root_directory(version))?;
        let (guard, root) = guard::make(to, &self.directory, version, &id)?;
        let was_behind = former.and_then(|headed| headed.root.token());
        if let (None, Some((token, keyring))) = (was_behind, root.token()) {
            // Of a process that was killed while it moved in: no head speaks of it.
            guard::clear_token(token, keyring, &root, |_| true)?;
        }
        let mut head = match former {
            Some(headed) => headed.head.clone(),
            None => {
                let mut head = Head::first(id, (guard.clone(), version), change);
                head.public = self.public_lists(state)?;
                head
            }
        };
        if former.is_some() {
            head.generation = head.generation.saturating_add(1);
        }
        (head.guard, head.root, head.change) = (guard, version, change.to_owned());
        head.leaving = match (was_behind, to) {
            (Some((token, _)), _) => Some(token.label().to_owned()),
            (None, Unlock::Token(_)) => None,
            (None, _) => head.leaving,
        };
        for key in keys {
            let newest = head.masters.entry(key.purpose.as_str().to_owned());
            let newest = newest.or_insert(0);
            *newest = key.version.max(*newest);
        }
        self.make_root_directory(version)?;
        Ok(Headed {
            head,
            root: Arc::new(root),
        })
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
        if let Some((token, _)) = headed.root.token() {
            match to {
                Unlock::Token(source) => token.check_is(source)?,
                Unlock::Plain | Unlock::Passphrase(_) | Unlock::KeyFile(_) => {
                    self.check_empty(headed)?;
                }
            }
            return Ok(Vec::new());
        }
        let mut keks = Vec::new();
        for id in self.living(headed)?.iter() {
            // One whose record is lost stays on the list: what it wrapped is lost, too, and not destroyed.
            if let Some(key) = self.read_kek(headed, id)? {
                keks.push((id.clone(), key));
            }
        }
        Ok(keks)
    }

    /// Refuses where a token holds keys of deliveries. Also of those that are not listed: the directory
    /// may be an older copy.
    fn check_empty(&self, headed: &Headed) -> Result<(), KeyringError> {
        let held = Keks::of(self, headed).held()?;
        match held.first() {
            Some(first) => Err(KeyringError::Held {
                count: held.len(),
                first: first.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// Replaces the head, and removes what it no longer speaks of.
    fn bring_into_use(&self, state: &State, prepared: Prepared) -> Result<Head, KeyringError> {
        let mut headed = prepared.headed;
        head::write_sealed(&self.directory, &prepared.sealed)?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        *opened = None;
        drop(opened);
        self.sweep(&headed.head)?;
        for path in &prepared.replaced {
            remove(path)?;
        }
        self.publish(&headed.head.public)?;
        self.sync(&self.directory)?;
        if let State::Headed(former) = state
            && let Some((token, keyring)) = former.root.token()
        {
            guard::clear_token(token, keyring, &headed.root, guard::is_root)?;
            self.rewrite(&mut headed, |head| head.leaving = None)?;
        }
        Ok(headed.head)
    }

    /// Plain key files that are of no use once the keyring is sealed. One that holds another key than the
    /// keyring is nobody's to remove; it is told before anything is changed.
    fn plain_to_replace(
        &self,
        state: &State,
        keys: &[MasterKey],
    ) -> Result<Vec<PathBuf>, KeyringError> {
        let mut replaced = Vec::new();
        for entry in self.list(&State::Plain)? {
            let is_barred = state
                .head()
                .is_some_and(|head| head.has_destroyed(entry.purpose, entry.version));
            let key = keys
                .iter()
                .find(|key| (key.purpose, key.version) == (entry.purpose, entry.version));
            let plain = read_plain(&entry.path, entry.purpose);
            let is_held = key
                .zip(plain.ok())
                .is_some_and(|(key, plain)| *key.expose() == *plain);
            if !is_barred && !is_held {
                return Err(KeyringError::Malformed {
                    path: entry.path,
                    what: "a plain key file beside a keyring that does not hold this key: move it away, and find out where it comes from",
                });
            }
            replaced.push(entry.path);
        }
        Ok(replaced)
    }

    /// Files that hold keys in plain, or held them, beside what the head speaks of: what a killed process
    /// left, or somebody put there. All plain key files where there is no head.
    pub(in crate::keyring) fn leftovers(&self) -> Result<Vec<PathBuf>, KeyringError> {
        let plain = self.list(&State::Plain)?;
        let mut left: Vec<PathBuf> = plain.into_iter().map(|entry| entry.path).collect();
        // What the head claims is enough to name files by; nothing is removed for it.
        let Some(written) = head::read(&self.directory)? else {
            return Ok(left);
        };
        let head = written.claimed();
        for name in names(&self.directory)? {
            let path = self.directory.join(&name);
            let file = name
                .strip_prefix("root-")
                .and_then(|rest| rest.strip_suffix(".key"));
            let is_of_root = file.is_some_and(|version| version.parse::<u32>().is_ok());
            let is_former = root_of(&name).is_some_and(|version| version != head.root);
            if is_former || (is_of_root && head.guard.seals()) || head::is_unnamed(&name) {
                left.push(path);
            }
        }
        let root = self.root_directory(head.root);
        for directory in [root.join(KEKS), root] {
            let names = names(&directory)?.into_iter();
            let unnamed = names.filter(|name| head::is_unnamed(name));
            left.extend(unnamed.map(|name| directory.join(name)));
        }
        Ok(left)
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
