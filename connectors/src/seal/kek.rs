//! Keys of a delivery: the KEK of an attempt, the DEKs of its files, and how one wraps the other.
//!
//! A wrapped key is `nonce12 ‖ ciphertext ‖ tag16` under the suite's cipher, with the associated
//! data of [`Binding::wrap_aad`](super::Binding::wrap_aad): it unwraps for its own delivery,
//! attempt, recipient, file and use, and for nothing else.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::suite::{NONCE_BYTES, TAG_BYTES};
use super::{SealError, Suite};
use crate::error::ConnectorError;
use crate::keyring::{KEY_BYTES, KekId, KeyProvider};

/// Bytes of a wrapped key.
pub const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// The key that one file, one Parquet footer or one column is sealed with: 32 random bytes,
/// zeroized on drop.
pub struct Dek(Zeroizing<[u8; KEY_BYTES]>);

impl Dek {
    /// Draws a key from the operating system's randomness.
    ///
    /// # Errors
    /// If there is none.
    pub fn draw() -> Result<Self, ConnectorError> {
        Ok(Self(random_key()?))
    }

    /// A key that was unwrapped.
    pub fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// The key's bytes, for the cipher that is about to be made with them.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Dek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dek(..)")
    }
}

/// What a DEK is for; part of what its wrapping is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DekUse<'a> {
    /// A whole file in an envelope.
    File,
    /// A Parquet footer, and the columns without a key of their own.
    Footer,
    /// One Parquet column, by its path.
    Column(&'a str),
}

impl fmt::Display for DekUse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Footer => f.write_str("footer"),
            Self::Column(path) => write!(f, "column:{path}"),
        }
    }
}

/// Where the keys of a delivery being opened come from: a KEK that was unwrapped, or the site's
/// release document.
///
/// # Contract
/// Gives the one key that was wrapped as `wrapped` with this very associated data, or an error;
/// never another key. Nothing is remembered between calls.
pub trait DekSource: fmt::Debug + Send + Sync {
    /// The key that was wrapped.
    ///
    /// # Errors
    /// If the wrapped key, or what it is bound to, is not as it was made.
    fn dek(&self, wrapped: &[u8], aad: &[u8]) -> Result<Dek, ConnectorError>;
}

/// The KEK of one attempt at a delivery.
pub enum Kek {
    /// Drawn here, for a delivery whose keys go to the recipient with it; the site keeps no copy.
    Drawn(Zeroizing<[u8; KEY_BYTES]>),
    /// Held by the site's keyring and never outside it.
    Held(Arc<dyn KeyProvider>, KekId),
}

impl Kek {
    /// Draws a KEK from the operating system's randomness.
    ///
    /// # Errors
    /// If there is none.
    pub fn draw() -> Result<Self, ConnectorError> {
        Ok(Self::Drawn(random_key()?))
    }

    pub(super) fn wrap(
        &self,
        suite: Suite,
        dek: &Dek,
        aad: &[u8],
    ) -> Result<Vec<u8>, ConnectorError> {
        match self {
            Self::Drawn(kek) => Ok(wrap(suite, kek, dek, aad)?),
            Self::Held(keyring, id) => keyring.wrap(id, dek.expose(), aad),
        }
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drawn(_) => f.write_str("Drawn(..)"),
            Self::Held(_, id) => write!(f, "Held({id})"),
        }
    }
}

/// A KEK that was unwrapped by its recipient.
pub struct UnwrappedKek {
    suite: Suite,
    kek: Zeroizing<[u8; KEY_BYTES]>,
}

impl UnwrappedKek {
    pub(super) fn new(suite: Suite, kek: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self { suite, kek }
    }
}

impl DekSource for UnwrappedKek {
    fn dek(&self, wrapped: &[u8], aad: &[u8]) -> Result<Dek, ConnectorError> {
        Ok(unwrap(self.suite, &self.kek, wrapped, aad)?)
    }
}

impl fmt::Debug for UnwrappedKek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnwrappedKek({}, ..)", self.suite)
    }
}

/// 32 bytes of the operating system's randomness.
pub(super) fn random_key() -> Result<Zeroizing<[u8; KEY_BYTES]>, SealError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(key.as_mut()).map_err(|_| SealError::Random)?;
    Ok(key)
}

fn wrap(suite: Suite, kek: &[u8; KEY_BYTES], dek: &Dek, aad: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
    let mut bytes = Zeroizing::new(*dek.expose());
    let cipher = suite.cipher(&suite.wrapping_key(kek)?)?;
    let tag = cipher.seal(&nonce, aad, bytes.as_mut())?;
    Ok([nonce.as_slice(), bytes.as_slice(), &tag].concat())
}

fn unwrap(
    suite: Suite,
    kek: &[u8; KEY_BYTES],
    wrapped: &[u8],
    aad: &[u8],
) -> Result<Dek, SealError> {
    let (nonce, rest) = wrapped
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(SealError::WrappedKey)?;
    let (bytes, tag) = rest
        .split_last_chunk::<TAG_BYTES>()
        .ok_or(SealError::WrappedKey)?;
    let bytes: &[u8; KEY_BYTES] = bytes.try_into().map_err(|_| SealError::WrappedKey)?;
    let mut key = Zeroizing::new(*bytes);
    let cipher = suite.cipher(&suite.wrapping_key(kek)?)?;
    cipher
        .open(nonce, aad, key.as_mut(), tag)
        .ok_or(SealError::WrappedKey)?;
    Ok(Dek::new(key))
}
