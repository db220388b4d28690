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
mod local;
mod pair;
mod provider;
mod public_key;

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

pub use self::error::KeyringError;
pub use self::local::{KeyEntry, LocalKeyring};
pub use self::pair::{PairFiles, PairKind, PrivateKey, read_private, write_pair};
pub use self::provider::{
    Attestation, Destroyed, KekAttestation, KekId, KeyProvider, ProviderKind,
};
pub use self::public_key::{KeyAlgorithm, PublicKey};

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
