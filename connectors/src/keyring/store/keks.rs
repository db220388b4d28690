//! Keys of deliveries: records under the root, or objects of the token that holds it. The list of those
//! there are, which the head names by its hash, decides: what is not on it opens nothing, and whatever
//! file or object is put back is not on it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Headed, KEKS, State, Store, kek_id, names, root_of};
use crate::durable;
use crate::keyring::head::{KekList, put};
use crate::keyring::pair::{open_private, random_secret};
use crate::keyring::token::Token;
use crate::keyring::{
    Destroyed, KEY_BYTES, KekAttestation, KekId, KeyringError, TokenSource, cipher, durable_error,
    guard,
};

/// What the key that is wrapped to try a destruction is bound to.
const PROBE: &[u8] = b"lockgate/v1 trial of a destruction";

/// Most bytes of an id as the list holds it, with quotes and comma.
const LISTED_BYTES_MAX: u64 = 64;

/// What the ledger is told where the first key of a delivery makes the keyring's head.
const FIRST: &str = "began to keep keys of deliveries";

/// Where keys of deliveries are.
pub(super) enum Keks<'a> {
    /// Records below the root's directory.
    Records {
        store: &'a Store,
        headed: &'a Headed,
    },
    /// Objects of a token, under the keyring's id.
    Objects { token: &'a Token, keyring: &'a [u8] },
}

impl<'a> Keks<'a> {
    pub(super) fn of(store: &'a Store, headed: &'a Headed) -> Self {
        match headed.root.token() {
            Some((token, keyring)) => Self::Objects { token, keyring },
            None => Self::Records { store, headed },
        }
    }

    /// Whether a key is there, listed or not.
    fn holds(&self, id: &KekId) -> Result<bool, KeyringError> {
        match self {
            Self::Records { store, headed } => {
                let path = store.kek_path(headed, id);
                path.try_exists().map_err(durable_error("read", &path))
            }
            Self::Objects { token, keyring } => token.holds(id.as_str(), keyring),
        }
    }

    /// Ids of the keys that are there, listed or not.
    pub(super) fn held(&self) -> Result<Vec<KekId>, KeyringError> {
        match self {
            Self::Records { store, headed } => store.kek_records(headed),
            Self::Objects { token, keyring } => {
                let labels = token.labels(keyring)?;
                Ok(labels
                    .iter()
                    .filter_map(|label| label.parse().ok())
                    .collect())
            }
        }
    }

    fn make(&self, id: &KekId) -> Result<(), KeyringError> {
        match self {
            Self::Records { store, headed } => store.write_kek(headed, id, &*random_secret()?),
            Self::Objects { token, keyring } => token.generate(id.as_str(), keyring),
        }
    }

    /// Puts a key there that was elsewhere, and shows that it is the same.
    pub(super) fn put(&self, id: &KekId, key: &[u8; KEY_BYTES]) -> Result<(), KeyringError> {
        match self {
            Self::Records { store, headed } => {
                store.write_kek(headed, id, key)?;
                match store.read_kek(headed, id)? {
                    Some(read) if *read == *key => Ok(()),
                    Some(_) | None => Err(KeyringError::Altered {
                        path: store.kek_path(headed, id),
                    }),
                }
            }
            Self::Objects { token, keyring } => token.import(id.as_str(), keyring, key),
        }
    }

    fn seal(&self, id: &KekId, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>, KeyringError> {
        match self {
            Self::Records { store, headed } => {
                let kek = store.read_kek(headed, id)?;
                let kek = kek.ok_or_else(|| store.no_kek(id))?;
                cipher::seal(&kek, plaintext, aad)
            }
            Self::Objects { token, keyring } => token.seal(id.as_str(), keyring, plaintext, aad),
        }
    }

    fn open(
        &self,
        id: &KekId,
        sealed: &[u8],
        aad: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringError> {
        match self {
            Self::Records { store, headed } => {
                let kek = store.read_kek(headed, id)?;
                let kek = kek.ok_or_else(|| store.no_kek(id))?;
                Ok(cipher::open(&kek, sealed, aad))
            }
            Self::Objects { token, keyring } => {
                token.open_sealed(id.as_str(), keyring, sealed, aad)
            }
        }
    }

    /// Removes a key; what was done.
    pub(super) fn remove(&self, id: &KekId) -> Result<&'static str, KeyringError> {
        match self {
            Self::Records { store, headed } => {
                store.delete(&store.kek_path(headed, id))?;
                Ok("record deleted, and taken off the list of keys")
            }
            Self::Objects { token, keyring } => {
                token.destroy(id.as_str(), keyring)?;
                Ok("object destroyed, and taken off the list of keys")
            }
        }
    }

    fn may_have_been_read(&self, id: &KekId) -> Result<bool, KeyringError> {
        match self {
            Self::Records { .. } => Ok(true),
            Self::Objects { token, keyring } => Ok(token.holds(id.as_str(), keyring)?
                && token.may_have_been_read(id.as_str(), keyring)?),
        }
    }

    /// Tries a key that was removed: asks the files or the token, whatever the list says. Gives what they
    /// answer.
    fn trial(&self, id: &KekId, probe: Option<&[u8]>) -> Result<String, KeyringError> {
        let (is_there, prefix) = match self {
            // Under another root, too: a record that lies there opens with a backup's head.
            Self::Records { store, .. } => (store.has_record(id)?, "its record is gone; "),
            Self::Objects { .. } => (self.holds(id)?, ""),
        };
        if is_there {
            return Err(KeyringError::Fault {
                what: "a key that was destroyed is still there",
            });
        }
        let answer = match self.open(id, probe.unwrap_or_default(), PROBE) {
            Ok(None) => "it does not open".to_owned(),
            Ok(Some(_)) => {
                return Err(KeyringError::Fault {
                    what: "a key that was destroyed still opens",
                });
            }
            Err(error) => error.to_string(),
        };
        Ok(format!(
            "{prefix}asked to use it, the keyring answers: {answer}"
        ))
    }
}

impl Store {
    pub(super) fn no_kek(&self, id: &KekId) -> KeyringError {
        KeyringError::NoKek {
            id: id.clone(),
            directory: self.directory.clone(),
        }
    }

    /// The keys of deliveries that were made and not destroyed.
    pub(super) fn living(&self, headed: &Headed) -> Result<Arc<BTreeSet<KekId>>, KeyringError> {
        if let Some(destroyed) = &headed.head.former {
            let held = Keks::of(self, headed).held()?.into_iter();
            let living = held.filter(|id| !destroyed.contains(&kek_id(id)));
            return Ok(Arc::new(living.collect()));
        }
        let list = &headed.head.keks;
        if list.count == 0 {
            return Ok(Arc::default());
        }
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sha256, keks)) = listed.as_ref()
            && *sha256 == list.sha256
        {
            return Ok(Arc::clone(keks));
        }
        let keks = Arc::new(self.read_list(headed.head.root, list)?);
        *listed = Some((list.sha256.clone(), Arc::clone(&keks)));
        Ok(keks)
    }

    fn list_path(&self, root: u32, sha256: &str) -> PathBuf {
        let start: String = sha256.chars().take(16).collect();
        self.root_directory(root)
            .join(format!("{KEKS}-{start}.json"))
    }

    fn read_list(&self, root: u32, list: &KekList) -> Result<BTreeSet<KekId>, KeyringError> {
        let path = self.list_path(root, &list.sha256);
        let altered = || KeyringError::Altered { path: path.clone() };
        if !path.try_exists().map_err(durable_error("read", &path))? {
            return Err(altered());
        }
        let mut bytes = Vec::new();
        open_private(&path)?
            .take(
                list.count
                    .saturating_add(1)
                    .saturating_mul(LISTED_BYTES_MAX),
            )
            .read_to_end(&mut bytes)
            .map_err(durable_error("read", &path))?;
        if durable::hex(&Sha256::digest(&bytes)) != list.sha256 {
            return Err(altered());
        }
        let ids: Vec<String> = serde_json::from_slice(&bytes).map_err(|_| altered())?;
        ids.iter().map(|id| id.parse()).collect()
    }

    /// Writes a list beside the records of a root. Nothing speaks of it before the head does.
    pub(super) fn write_list(
        &self,
        root: u32,
        keks: &BTreeSet<KekId>,
    ) -> Result<KekList, KeyringError> {
        if keks.is_empty() {
            return Ok(KekList::default());
        }
        let ids: Vec<&str> = keks.iter().map(KekId::as_str).collect();
        let bytes = serde_json::to_vec(&ids).map_err(|_| KeyringError::Fault {
            what: "the list of deliveries' keys cannot be written",
        })?;
        let list = KekList {
            sha256: durable::hex(&Sha256::digest(&bytes)),
            count: u64::try_from(keks.len()).unwrap_or(u64::MAX),
        };
        put(&self.list_path(root, &list.sha256), &bytes)?;
        Ok(list)
    }

    /// Removes records that are not listed, and lists that the head does not name. Objects of a token
    /// stay: a directory that was put back from a backup does not list what was made since, which the
    /// token alone holds. They open nothing as long as they are not listed, and what a killed process
    /// was about to destroy, the head names.
    pub(super) fn sweep_keks(&self, headed: &Headed) -> Result<(), KeyringError> {
        let list = self.list_path(headed.head.root, &headed.head.keks.sha256);
        let root = self.root_directory(headed.head.root);
        for name in names(&root)? {
            let path = root.join(&name);
            if name.starts_with("keks-") && name.ends_with(".json") && path != list {
                self.delete(&path)?;
            }
        }
        if headed.root.token().is_some() {
            return Ok(());
        }
        let living = self.living(headed)?;
        for id in self.kek_records(headed)? {
            if !living.contains(&id) {
                self.delete(&self.kek_path(headed, &id))?;
            }
        }
        Ok(())
    }

    /// Whether a key has a record under any root.
    fn has_record(&self, id: &KekId) -> Result<bool, KeyringError> {
        for name in names(&self.directory)? {
            if root_of(&name).is_some() {
                let records = self.directory.join(name).join(KEKS);
                if names(&records)?.contains(&format!("{id}.key")) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The head, of a keyring that lists this key.
    fn holder<'s>(&self, state: &'s State, id: &KekId) -> Result<&'s Headed, KeyringError> {
        let headed = state.headed().ok_or_else(|| self.no_kek(id))?;
        // Before anything is looked for: a record or an object that was put back opens nothing.
        if self.living(headed)?.contains(id) {
            return Ok(headed);
        }
        let destroyed = headed.head.former.as_ref();
        Err(
            match destroyed.is_some_and(|marks| marks.contains(&kek_id(id))) {
                true => KeyringError::KekDestroyed { id: id.clone() },
                false => self.no_kek(id),
            },
        )
    }

    /// Makes the key of an attempt at a delivery.
    pub(in crate::keyring) fn create_kek(&self, id: &KekId) -> Result<(), KeyringError> {
        self.changing(|state| {
            let mut headed = self.headed(state, FIRST)?;
            let mut living = Arc::unwrap_or_clone(self.living(&headed)?);
            let keks = Keks::of(self, &headed);
            if living.contains(id) || keks.holds(id)? {
                return Err(KeyringError::KekExists { id: id.clone() });
            }
            keks.make(id)?;
            living.insert(id.clone());
            let list = self.write_list(headed.head.root, &living)?;
            self.rewrite(&mut headed, |head| head.keks = list)
        })
    }

    /// Wraps a key under that of a delivery.
    pub(in crate::keyring) fn wrap(
        &self,
        id: &KekId,
        key: &[u8; KEY_BYTES],
        aad: &[u8],
    ) -> Result<Vec<u8>, KeyringError> {
        let aad = cipher::data(aad)?;
        self.reading(|state| {
            let headed = self.holder(state, id)?;
            Keks::of(self, headed).seal(id, key, aad)
        })
    }

    /// Opens what [`Self::wrap`] gave.
    pub(in crate::keyring) fn unwrap(
        &self,
        id: &KekId,
        wrapped: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyringError> {
        let aad = cipher::data(aad)?;
        self.reading(|state| {
            let headed = self.holder(state, id)?;
            let opened = Keks::of(self, headed).open(id, wrapped, aad)?;
            opened
                .and_then(|opened| cipher::key_of(&opened))
                .ok_or_else(|| KeyringError::Unwrap { id: id.clone() })
        })
    }

    /// Destroys the key of a delivery: off the list first, then out of the files or the token, then tried.
    pub(in crate::keyring) fn destroy_kek(&self, id: &KekId) -> Result<Destroyed, KeyringError> {
        self.changing(|state| {
            let State::Headed(mut headed) = state else {
                return Err(self.no_kek(id));
            };
            if let (None, Some(token)) = (headed.root.token(), &headed.head.leaving) {
                // A copy in there would outlive what is said to be destroyed.
                return Err(KeyringError::Left {
                    token: token.clone(),
                    directory: self.directory.clone(),
                });
            }
            let mut living = Arc::unwrap_or_clone(self.living(&headed)?);
            let is_listed = living.remove(id);
            let mut probe = None;
            if is_listed {
                let keks = Keks::of(self, &headed);
                if keks.holds(id)? {
                    probe = Some(keks.seal(id, &[0; KEY_BYTES], PROBE)?);
                }
                let list = self.write_list(headed.head.root, &living)?;
                self.advance(&mut headed, format!("destroyed {id}"), |head| {
                    head.keks = list;
                    head.going = Some(id.to_string());
                })?;
            }
            let keks = Keks::of(self, &headed);
            let done = keks.remove(id)?;
            Ok(Destroyed {
                id: id.clone(),
                provider: self.provider(),
                generation: headed.head.generation,
                answer: match is_listed {
                    true => done,
                    false => "was not among the keyring's keys",
                },
                trial: keks.trial(id, probe.as_deref())?,
            })
        })
    }

    /// The keys of deliveries, in order.
    pub(in crate::keyring) fn keks(&self) -> Result<Vec<KekId>, KeyringError> {
        self.reading(|state| match state.headed() {
            Some(headed) => Ok(self.living(headed)?.iter().cloned().collect()),
            None => Ok(Vec::new()),
        })
    }

    /// What the keyring says of a delivery's key.
    pub(in crate::keyring) fn attest_kek(
        &self,
        id: &KekId,
    ) -> Result<KekAttestation, KeyringError> {
        self.reading(|state| {
            let provider = self.provider();
            let Some(headed) = state.headed() else {
                return Ok(KekAttestation {
                    provider,
                    generation: 0,
                    exists: false,
                    destroyed: true,
                    extractable: false,
                });
            };
            let keks = Keks::of(self, headed);
            Ok(KekAttestation {
                provider,
                generation: headed.head.generation,
                exists: keks.holds(id)?,
                destroyed: !self.living(headed)?.contains(id),
                extractable: keks.may_have_been_read(id)?,
            })
        })
    }

    /// Destroys what a token may hold of a keyring that does not lie behind it any more, or never came to.
    pub(in crate::keyring) fn leave(&self, source: &TokenSource) -> Result<(), KeyringError> {
        self.changing(|state| {
            let State::Headed(mut headed) = state else {
                return Ok(());
            };
            let is_left = headed.head.leaving.as_ref() == Some(&source.label);
            if headed.root.token().is_some() || !is_left {
                return Ok(());
            }
            let token = Token::open(source)?;
            self.check_own(&headed, &token)?;
            let keyring = headed.head.id.as_bytes();
            guard::clear_token(&token, keyring, &headed.root, |_| true)?;
            self.rewrite(&mut headed, |head| head.leaving = None)
        })
    }
}
