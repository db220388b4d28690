//! The keyring whose root and whose keys of deliveries are objects of a token, and never leave it.
//!
//! Master keys, which this program has to compute with, are records of the site's directory that only
//! the token opens.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::guard::Unlock;
use super::store::Store;
use super::token::TokenSource;
use super::{
    Attestation, Destroyed, KEY_BYTES, KekAttestation, KekId, KeyEntry, KeyProvider, MasterKey,
    PublicKey, Purpose,
};
use crate::error::ConnectorError;

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
        Ok(self.store.create_kek(id)?)
    }

    fn wrap(
        &self,
        id: &KekId,
        key: &[u8; KEY_BYTES],
        aad: &[u8],
    ) -> Result<Vec<u8>, ConnectorError> {
        Ok(self.store.wrap(id, key, aad)?)
    }

    fn unwrap(
        &self,
        id: &KekId,
        wrapped: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, ConnectorError> {
        Ok(self.store.unwrap(id, wrapped, aad)?)
    }

    fn destroy_kek(&self, id: &KekId) -> Result<Destroyed, ConnectorError> {
        Ok(self.store.destroy_kek(id)?)
    }

    fn keks(&self) -> Result<Vec<KekId>, ConnectorError> {
        Ok(self.store.keks()?)
    }

    fn attest_kek(&self, id: &KekId) -> Result<KekAttestation, ConnectorError> {
        Ok(self.store.attest_kek(id)?)
    }

    fn attest(&self) -> Result<Attestation, ConnectorError> {
        Ok(self.store.attest()?)
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
