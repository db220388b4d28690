//! The keyring whose root and whose keys of deliveries are objects of a token, and never leave it.
//!
//! Master keys, which this program has to compute with, are records of the site's directory that only
//! the token opens.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::guard::Unlock;
use super::store::{Headed, State, Store, is_kek, kek_id};
use super::token::{Token, TokenSource};
use super::{
    Attestation, Destroyed, KEY_BYTES, KekAttestation, KekId, KeyEntry, KeyProvider, KeyringError,
    MasterKey, ProviderKind, PublicKey, Purpose, cipher,
};
use crate::error::ConnectorError;

/// What the key that is wrapped to try a destruction is bound to.
const PROBE: &[u8] = b"lockgate/v1 trial of a destruction";

/// A keyring behind a token.
#[derive(Debug)]
pub struct Pkcs11Keyring {
    store: Store,
}

impl Pkcs11Keyring {
    /// The keyring whose records are in `directory`. Reads nothing, and does not log in before
    /// something is asked of it.
    pub fn open(directory: impl Into<PathBuf>, token: TokenSource) -> Self {
        Self {
            store: Store::new(directory.into(), Unlock::Token(token)),
        }
    }

    fn missing(&self, id: &KekId) -> KeyringError {
        KeyringError::NoKek {
            id: id.clone(),
            directory: self.store.directory().to_owned(),
        }
    }

    /// The token, for a key that was not destroyed.
    fn holder<'h>(
        &self,
        headed: Option<&'h Headed>,
        id: &KekId,
    ) -> Result<(&'h Token, &'h [u8]), KeyringError> {
        let headed = headed.ok_or_else(|| self.missing(id))?;
        // Before the token is asked: an object that was put back opens nothing.
        self.store.check_new(headed, id)?;
        let (token, keyring) = token_of(headed)?;
        if !token.holds(id.as_str(), keyring)? {
            return Err(self.missing(id));
        }
        Ok((token, keyring))
    }

    fn open_wrapped(
        &self,
        headed: Option<&Headed>,
        id: &KekId,
        wrapped: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyringError> {
        let (token, keyring) = self.holder(headed, id)?;
        token
            .open_sealed(id.as_str(), keyring, wrapped, aad)?
            .and_then(|opened| cipher::key_of(&opened))
            .ok_or_else(|| KeyringError::Unwrap { id: id.clone() })
    }

    fn destroy_held(&self, state: State, id: &KekId) -> Result<Destroyed, KeyringError> {
        let State::Headed(mut headed) = state else {
            return Err(self.missing(id));
        };
        let mut probe = None;
        if !headed.head.destroyed.contains(&kek_id(id)) {
            let (token, keyring) = self.holder(Some(&headed), id)?;
            probe = Some(token.seal(id.as_str(), keyring, &[0; KEY_BYTES], PROBE)?);
            self.store.advance(&mut headed, |head| {
                head.destroyed.insert(kek_id(id));
            })?;
        }
        let (token, keyring) = token_of(&headed)?;
        token.destroy(id.as_str(), keyring)?;
        let trial = match &probe {
            // The token itself is asked, and not only the list of what was destroyed.
            Some(probe) => match token.open_sealed(id.as_str(), keyring, probe, PROBE) {
                Ok(None) => "the token does not open it".to_owned(),
                Ok(Some(_)) => {
                    return Err(KeyringError::Fault {
                        what: "a key that was destroyed still opens",
                    });
                }
                Err(error) => error.to_string(),
            },
            None => KeyringError::KekDestroyed { id: id.clone() }.to_string(),
        };
        if token.holds(id.as_str(), keyring)? {
            return Err(KeyringError::Fault {
                what: "a key that was destroyed is still in the token",
            });
        }
        Ok(Destroyed {
            id: id.clone(),
            provider: ProviderKind::Pkcs11,
            generation: headed.head.generation,
            answer: "object destroyed, id barred",
            trial,
        })
    }
}

fn token_of(headed: &Headed) -> Result<(&Token, &[u8]), KeyringError> {
    headed.root.token().ok_or(KeyringError::Fault {
        what: "a keyring behind a token has another root",
    })
}

impl KeyProvider for Pkcs11Keyring {
    fn get(&self, purpose: Purpose, version: Option<u32>) -> Result<MasterKey, ConnectorError> {
        Ok(self
            .store
            .reading(|state| self.store.master(state, purpose, version))?)
    }

    fn create(&self, purpose: Purpose) -> Result<u32, ConnectorError> {
        Ok(self
            .store
            .changing(|state| self.store.create(state, purpose))?)
    }

    fn list(&self) -> Result<Vec<KeyEntry>, ConnectorError> {
        Ok(self.store.reading(|state| self.store.list(state))?)
    }

    fn public_keys(&self, purpose: Purpose) -> Result<Vec<PublicKey>, ConnectorError> {
        Ok(self.store.public_keys(purpose)?)
    }

    fn create_kek(&self, id: &KekId) -> Result<(), ConnectorError> {
        Ok(self.store.changing(|state| {
            let headed = self.store.headed(state)?;
            self.store.check_new(&headed, id)?;
            let (token, keyring) = token_of(&headed)?;
            if !is_kek(id.as_str()) || token.holds(id.as_str(), keyring)? {
                return Err(KeyringError::KekExists { id: id.clone() });
            }
            token.generate(id.as_str(), keyring)
        })?)
    }

    fn wrap(
        &self,
        id: &KekId,
        key: &[u8; KEY_BYTES],
        aad: &[u8],
    ) -> Result<Vec<u8>, ConnectorError> {
        Ok(self.store.reading(|state| {
            let (token, keyring) = self.holder(state.headed(), id)?;
            token.seal(id.as_str(), keyring, key, aad)
        })?)
    }

    fn unwrap(
        &self,
        id: &KekId,
        wrapped: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, ConnectorError> {
        Ok(self
            .store
            .reading(|state| self.open_wrapped(state.headed(), id, wrapped, aad))?)
    }

    fn destroy_kek(&self, id: &KekId) -> Result<Destroyed, ConnectorError> {
        Ok(self.store.changing(|state| self.destroy_held(state, id))?)
    }

    fn keks(&self) -> Result<Vec<KekId>, ConnectorError> {
        Ok(self.store.reading(|state| {
            let Some(headed) = state.headed() else {
                return Ok(Vec::new());
            };
            let (token, keyring) = token_of(headed)?;
            let labels = token.labels(keyring)?;
            let keks = labels.iter().filter(|label| is_kek(label));
            let mut ids: Vec<KekId> = keks.filter_map(|label| label.parse().ok()).collect();
            ids.sort_unstable();
            Ok(ids)
        })?)
    }

    fn attest_kek(&self, id: &KekId) -> Result<KekAttestation, ConnectorError> {
        Ok(self.store.reading(|state| {
            let mut told = KekAttestation {
                provider: ProviderKind::Pkcs11,
                generation: 0,
                exists: false,
                destroyed: false,
                extractable: false,
            };
            let Some(headed) = state.headed() else {
                return Ok(told);
            };
            told.generation = headed.head.generation;
            told.destroyed = headed.head.destroyed.contains(&kek_id(id));
            let (token, keyring) = token_of(headed)?;
            // What the token holds, whatever the list says: the two together tell a key that was put
            // back.
            told.exists = token.holds(id.as_str(), keyring)?;
            told.extractable = told.exists && token.is_extractable(id.as_str(), keyring)?;
            Ok(told)
        })?)
    }

    fn attest(&self) -> Result<Attestation, ConnectorError> {
        Ok(self.store.attest(ProviderKind::Pkcs11)?)
    }

    fn destroy(&self, purpose: Purpose, version: u32) -> Result<(), ConnectorError> {
        Ok(self
            .store
            .changing(|state| self.store.destroy(state, purpose, version))?)
    }

    fn rotate(&self) -> Result<u32, ConnectorError> {
        Ok(self.store.rotate()?)
    }
}
