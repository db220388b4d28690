//! What holds a site's keys: files, or a hardware module behind PKCS#11.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::{KEY_BYTES, KeyEntry, KeyringError, MasterKey, PublicKey, Purpose};
use crate::error::ConnectorError;

/// The keys of a site: one master key per purpose and version, and one key-encryption key (KEK)
/// per attempt at a delivery whose keys the site keeps.
///
/// # Contract
/// A KEK never leaves the provider. What [`Self::wrap`] gives can be opened by [`Self::unwrap`] with
/// the same id and additional data until [`Self::destroy_kek`] has returned, and never after it,
/// whatever file is put back. Ids are drawn at random by whoever makes a KEK, and not given twice: the
/// provider knows which KEKs there are, and not which there were. No error and no `Debug` shows a key.
///
/// # Implementation notes
/// Methods block on files, or on a module: call them from `spawn_blocking` where many follow.
pub trait KeyProvider: fmt::Debug + Send + Sync {
    /// Reads a master key: of that version, or the newest.
    ///
    /// # Errors
    /// If there is none, or what holds it was altered or cannot be opened.
    fn get(&self, purpose: Purpose, version: Option<u32>) -> Result<MasterKey, ConnectorError>;

    /// Makes the next version of a purpose's master key and returns its number, 1 for the first.
    ///
    /// # Errors
    /// If the keyring cannot be written or opened.
    fn create(&self, purpose: Purpose) -> Result<u32, ConnectorError>;

    /// Every master key, by purpose and version. Reads no key.
    ///
    /// # Errors
    /// If the keyring exists and cannot be listed.
    fn list(&self) -> Result<Vec<KeyEntry>, ConnectorError>;

    /// The newest signing key of a purpose that signs.
    ///
    /// # Errors
    /// As [`Self::get`], and if the purpose does not sign.
    fn signing_key(&self, purpose: Purpose) -> Result<SigningKey, ConnectorError> {
        if !purpose.signs() {
            return Err(KeyringError::NotSigning { purpose }.into());
        }
        Ok(SigningKey::from_bytes(self.get(purpose, None)?.expose()))
    }

    /// The public sides of all versions of a purpose that signs, oldest first. Needs no private key.
    ///
    /// # Errors
    /// As [`Self::public_keys`].
    fn verifying_keys(&self, purpose: Purpose) -> Result<Vec<VerifyingKey>, ConnectorError> {
        Ok(self
            .public_keys(purpose)?
            .iter()
            .filter_map(PublicKey::verifying_key)
            .collect())
    }

    /// As [`Self::verifying_keys`], in the form that is written and has a fingerprint.
    ///
    /// # Errors
    /// If the purpose does not sign, or its public keys are missing or malformed.
    fn public_keys(&self, purpose: Purpose) -> Result<Vec<PublicKey>, ConnectorError>;

    /// Makes the KEK of an attempt at a delivery. It is durable when this returns.
    ///
    /// # Errors
    /// If there is one of that id, or it cannot be made.
    fn create_kek(&self, id: &KekId) -> Result<(), ConnectorError>;

    /// Wraps a data key under a KEK, with AES-256-GCM: nonce (12 bytes), ciphertext, tag (16 bytes).
    ///
    /// # Errors
    /// If there is no such KEK, or it was destroyed.
    fn wrap(
        &self,
        id: &KekId,
        key: &[u8; KEY_BYTES],
        aad: &[u8],
    ) -> Result<Vec<u8>, ConnectorError>;

    /// Opens what [`Self::wrap`] gave.
    ///
    /// # Errors
    /// If there is no such KEK, it was destroyed, or the bytes are not what was wrapped under it with
    /// this additional data.
    fn unwrap(
        &self,
        id: &KekId,
        wrapped: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, ConnectorError>;

    /// Destroys a KEK and shows that a key wrapped under it just before can no longer be opened.
    /// Asked for one that is none of the keyring's keys, it removes what lies there under its name, and
    /// answers that.
    ///
    /// # Errors
    /// If the keyring has no keys of deliveries at all, what was destroyed is still there or still opens,
    /// or a token that cannot be asked may hold a copy.
    fn destroy_kek(&self, id: &KekId) -> Result<Destroyed, ConnectorError>;

    /// Every KEK that was made and not destroyed.
    ///
    /// # Errors
    /// If the keyring cannot be listed.
    fn keks(&self) -> Result<Vec<KekId>, ConnectorError>;

    /// What the provider says of a KEK.
    ///
    /// # Errors
    /// If the keyring cannot be read.
    fn attest_kek(&self, id: &KekId) -> Result<KekAttestation, ConnectorError>;

    /// What the provider says of itself.
    ///
    /// # Errors
    /// If the keyring cannot be read.
    fn attest(&self) -> Result<Attestation, ConnectorError>;

    /// Destroys one version of a master key.
    ///
    /// # Errors
    /// If there is no such version, or it cannot be removed.
    fn destroy(&self, purpose: Purpose, version: u32) -> Result<(), ConnectorError>;

    /// Makes a new root and wraps every record anew under it; master keys, KEKs and what was wrapped
    /// under them stay as they are. Returns the root's version.
    ///
    /// # Errors
    /// If the keyring cannot be written or opened; it is then as it was.
    fn rotate(&self) -> Result<u32, ConnectorError>;
}

/// Name of a KEK: `DELIVERY.ATTEMPT`, 32 and 16 lower-case hexadecimal digits. Never a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KekId(String);

impl KekId {
    /// The KEK of an attempt at a delivery.
    ///
    /// # Errors
    /// If the two do not make an id.
    pub fn new(delivery: &str, attempt: &str) -> Result<Self, ConnectorError> {
        Ok(format!("{delivery}.{attempt}").parse::<Self>()?)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KekId {
    type Err = KeyringError;

    fn from_str(text: &str) -> Result<Self, KeyringError> {
        let is_hex = |part: &str, digits: usize| {
            let mut bytes = part.bytes();
            part.len() == digits && bytes.all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        match text.split_once('.') {
            Some((delivery, attempt)) if is_hex(delivery, 32) && is_hex(attempt, 16) => {
                Ok(Self(text.to_owned()))
            }
            Some(_) | None => Err(KeyringError::KekId),
        }
    }
}

/// Which kind of provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// Files of the site.
    Local,
    /// A module behind PKCS#11.
    Pkcs11,
}

impl ProviderKind {
    /// The name in `lockgate.toml` and in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Pkcs11 => "pkcs11",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a provider says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Which kind it is.
    pub provider: ProviderKind,
    /// How its records are protected: `none`, `passphrase`, `key-file`, `token`.
    pub protection: &'static str,
    /// How often the keyring changed; 0 for plain files that nothing was done to yet. Never falls.
    pub generation: u64,
    /// What its last change was; empty where that is not known.
    pub change: String,
    /// Version of the root that wraps the records; 0 where nothing is wrapped.
    pub root: u32,
    /// Whether master keys can be read out of it by whoever may use it: always, for this program computes
    /// with them.
    pub masters_extractable: bool,
    /// Whether KEKs that it makes can be. [`KekAttestation`] tells it of one that was made before.
    pub keks_extractable: bool,
    /// A token that may hold keys of the keyring, though they do not lie behind it: a `protect` did not
    /// come to its end.
    pub left_in: Option<String>,
}

/// What a provider says of a KEK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KekAttestation {
    /// Which kind of provider.
    pub provider: ProviderKind,
    /// The keyring's generation.
    pub generation: u64,
    /// Whether its record, or its object in a token, is there, whether or not it is the keyring's.
    pub exists: bool,
    /// Whether it is none of the keyring's keys: it was destroyed, or never made. It opens nothing then,
    /// even where it exists.
    pub destroyed: bool,
    /// Whether its bytes can be, or ever could be, read by whoever may use the provider.
    pub extractable: bool,
}

/// That a KEK was destroyed, for the record of disposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destroyed {
    /// The KEK.
    pub id: KekId,
    /// Which kind of provider.
    pub provider: ProviderKind,
    /// The keyring's generation, at or after the destruction.
    pub generation: u64,
    /// What the provider did.
    pub answer: &'static str,
    /// What it answered when asked to open a key that had been wrapped under the KEK.
    pub trial: String,
}
