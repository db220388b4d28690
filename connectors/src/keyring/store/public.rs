//! Public sides of the purposes that sign, which lie open beside the keyring.

use std::fs;
use std::io;
use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::{Store, remove};
use crate::durable;
use crate::keyring::{KEY_BYTES, KeyringError, PublicKey, Purpose, durable_error};

impl Store {
    /// The public keys of a purpose's versions, oldest first.
    pub(in crate::keyring) fn public_keys(
        &self,
        purpose: Purpose,
    ) -> Result<Vec<PublicKey>, KeyringError> {
        if !purpose.signs() {
            return Err(KeyringError::NotSigning { purpose });
        }
        let keys = self.read_public(purpose)?;
        if keys.is_empty() {
            return Err(KeyringError::Missing {
                purpose,
                directory: self.directory.clone(),
            });
        }
        Ok(keys)
    }

    /// As [`Self::public_keys`]; none where there is no file.
    fn read_public(&self, purpose: Purpose) -> Result<Vec<PublicKey>, KeyringError> {
        let path = self.public_path(purpose);
        let text = match durable::read_small(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(durable_error("read", &path)(source)),
        };
        let malformed = |what| KeyringError::Malformed {
            path: path.clone(),
            what,
        };
        let text = std::str::from_utf8(&text)
            .map_err(|_| malformed("expected lines of `ed25519:BASE64`"))?;
        let mut keys = Vec::new();
        for line in text.lines() {
            let key = PublicKey::checked_parse(line)
                .ok()
                .filter(|key| key.verifying_key().is_some())
                .ok_or_else(|| malformed("expected lines of `ed25519:BASE64`"))?;
            keys.push(key);
        }
        Ok(keys)
    }

    /// Writes the public side of a version into the purpose's `.pub` file, replaced atomically.
    pub(super) fn publish_public(
        &self,
        purpose: Purpose,
        version: u32,
        secret: &Zeroizing<[u8; KEY_BYTES]>,
    ) -> Result<(), KeyringError> {
        if !purpose.signs() {
            return Ok(());
        }
        let mut keys = self.read_public(purpose)?;
        // Of a process that was killed before its key appeared: nothing was signed with it.
        let earlier = usize::try_from(version.saturating_sub(1)).unwrap_or(usize::MAX);
        keys.truncate(earlier);
        keys.push(PublicKey::from(&SigningKey::from_bytes(secret)));
        let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
        let path = self.public_path(purpose);
        let unnamed = self.directory.join(format!(".{purpose}.pub.new"));
        remove(&unnamed)?;
        durable::write_new(&unnamed, text.as_bytes(), 0o644)
            .and_then(|()| fs::rename(&unnamed, &path))
            .and_then(|()| durable::sync_directory(&self.directory))
            .map_err(durable_error("write", &path))
    }

    fn public_path(&self, purpose: Purpose) -> PathBuf {
        self.directory.join(format!("{purpose}.pub"))
    }
}
