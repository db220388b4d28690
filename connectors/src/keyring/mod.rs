//! Keys: where they lie, how they are read, and what a public key looks like.
//!
//! A key is a reference everywhere else: configuration names a purpose, never a value. The bytes
//! leave this module only through [`MasterKey::expose`], [`LocalKeyring::signing_key`] and
//! [`PrivateKey::expose`]; they are zeroized on drop, and no `Debug` or error shows them.
//!
//! One purpose has one key, so that breaking one use never breaks another. The local provider
//! keeps plain files of mode 0600; whoever can read them can undo every keyed treatment, so the
//! directory belongs to the account that runs exchanges and to nobody else.

mod cipher;
mod error;
mod guard;
mod head;
mod local;
mod pair;
mod pkcs11;
mod provider;
mod public_key;
mod secret;
mod store;
mod token;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;

use self::store::Store;
use crate::error::ConnectorError;

pub use self::error::KeyringError;
pub use self::guard::{Unlock, is_within, write_key_file};
pub use self::local::{KeyEntry, LocalKeyring};
pub use self::pair::{PairFiles, PairKind, PrivateKey, read_private, write_pair};
pub use self::pkcs11::Pkcs11Keyring;
pub use self::provider::{
    Attestation, Destroyed, KekAttestation, KekId, KeyProvider, ProviderKind,
};
pub use self::public_key::{KeyAlgorithm, PublicKey};
pub use self::secret::SecretSource;
pub use self::token::TokenSource;

/// Bytes of every key, secret or public.
pub const KEY_BYTES: usize = 32;

/// What a master key is for. One purpose per key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Keyed pseudonyms (HMAC).
    Pseudonym,
    /// Sealing of deliveries and encryption of cells.
    Encryption,
    /// Format-preserving encryption.
    Fpe,
    /// Marks that trace a leak.
    Mark,
    /// Ed25519 seed that signs manifests.
    Manifest,
    /// Ed25519 seed that signs the ledger's checkpoints.
    Ledger,
}

impl Purpose {
    /// Every purpose, in the order they are listed.
    pub const fn all() -> &'static [Self] {
        &[
            Self::Pseudonym,
            Self::Encryption,
            Self::Fpe,
            Self::Mark,
            Self::Manifest,
            Self::Ledger,
        ]
    }

    /// The name in key files and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pseudonym => "pseudonym",
            Self::Encryption => "encryption",
            Self::Fpe => "fpe",
            Self::Mark => "mark",
            Self::Manifest => "manifest",
            Self::Ledger => "ledger",
        }
    }

    /// Whether the key is an Ed25519 seed with a public side.
    pub const fn signs(self) -> bool {
        matches!(self, Self::Manifest | Self::Ledger)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Purpose {
    type Err = KeyringError;

    fn from_str(text: &str) -> Result<Self, KeyringError> {
        Self::all()
            .iter()
            .copied()
            .find(|purpose| purpose.as_str() == text)
            .ok_or(KeyringError::Purpose)
    }
}

/// Protects the keyring in `directory` by `to`, or by nothing where it is [`Unlock::Plain`]; `from`
/// opens it as it is now. Keys stay what they are, so that outputs do not change: they are sealed under
/// a new root, read back, brought into use in one step, and only then are the earlier files removed.
/// A process killed at any point leaves a keyring that opens by `from` or by `to`; doing it again
/// finishes it.
///
/// # Errors
/// If the keyring cannot be opened or written, or a token holds keys that would have to leave it.
pub fn protect(
    directory: &Path,
    from: &Unlock,
    to: &Unlock,
) -> Result<Attestation, ConnectorError> {
    let store = Store::new(directory.to_owned(), from.clone());
    store.changing(|state| store.rewrap(state, to, "protected"))?;
    Ok(Store::new(directory.to_owned(), to.clone()).attest()?)
}

/// Destroys what `token` may still hold of a keyring that lies elsewhere now, which
/// [`Attestation::left_in`] names; nothing where it names another, or none. `unlock` opens the keyring.
///
/// # Errors
/// If the keyring or the token cannot be opened, or the token refuses.
pub fn leave_token(
    directory: &Path,
    unlock: &Unlock,
    token: &TokenSource,
) -> Result<(), ConnectorError> {
    Ok(Store::new(directory.to_owned(), unlock.clone()).leave(token)?)
}

/// Whether a keyring has a head: whether it was ever protected, rotated, or given a key of a delivery.
pub fn has_head(directory: &Path) -> bool {
    directory.join(head::HEAD).exists()
}

/// Plain key files in the directory of a keyring, roots that are plain or not in use, and files that
/// were not completed. Beside a protected keyring they are what a killed process left, or what somebody
/// put there; nothing uses them.
///
/// # Errors
/// If the directory cannot be listed, or its head is none.
pub fn plain_key_files(directory: &Path) -> Result<Vec<PathBuf>, ConnectorError> {
    Ok(Store::new(directory.to_owned(), Unlock::Plain).leftovers()?)
}

/// What the operating system said to something that was tried.
fn durable_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyringError {
    let path = path.to_owned();
    move |source| KeyringError::Io {
        action,
        path,
        source: source.into(),
    }
}

/// A master key: zeroized on drop, neither `Clone` nor `Serialize`.
pub struct MasterKey {
    /// What the key is for.
    pub purpose: Purpose,
    /// Its version, from 1.
    pub version: u32,
    secret: Zeroizing<[u8; KEY_BYTES]>,
}

impl MasterKey {
    /// The key's bytes, for the one derivation or signature that is about to be made with them.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.secret
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({} v{}, ..)", self.purpose, self.version)
    }
}
