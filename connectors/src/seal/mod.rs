//! Sealing of deliveries: suites, the keys of a delivery, and who can unwrap them.
//!
//! Every attempt at a delivery has one KEK; every file (and, in Parquet, every column that is to
//! have its own) has a random DEK, wrapped under the KEK and stored with the file. Offline, the KEK
//! is drawn here and wrapped to the recipient's X25519 keys by HPKE, in the delivery's `keys.json`
//! ([`KeyFile`]); online it never leaves the site's keyring. Whoever opens asks a [`DekSource`].
//!
//! All that is wrapped is bound to suite, delivery, attempt and recipient ([`Binding`]), so that
//! nothing sealed for one delivery opens as part of another. Nothing here chooses a suite, and no
//! suite stands in for another.

pub mod envelope;
mod error;
mod kek;
mod key_file;
mod recipient;
mod released;
mod suite;

use crate::durable::is_id;
use crate::error::ConnectorError;
use crate::keyring::PublicKey;

pub use self::error::SealError;
pub use self::kek::{Dek, DekSource, DekUse, Kek, UnwrappedKek, WRAPPED_BYTES};
pub use self::key_file::{KEY_FILE_BYTES_MAX, KEY_FILE_NAME, KeyFile, RecipientEntry, Release};
pub use self::released::ReleasedDeks;
pub use self::suite::Suite;

/// What all keys and sealed bytes of one attempt at a delivery are bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    suite: Suite,
    delivery: String,
    attempt: String,
    recipient: String,
}

impl Binding {
    /// Binds to an attempt at a delivery for a recipient.
    ///
    /// # Errors
    /// If one of the three is not an id.
    pub fn new(
        suite: Suite,
        delivery: &str,
        attempt: &str,
        recipient: &str,
    ) -> Result<Self, ConnectorError> {
        for (id, what) in [
            (delivery, "the delivery's id is malformed"),
            (attempt, "the attempt's id is malformed"),
            (recipient, "the recipient's id is malformed"),
        ] {
            if !is_id(id) {
                return Err(SealError::malformed(what).into());
            }
        }
        Ok(Self {
            suite,
            delivery: delivery.to_owned(),
            attempt: attempt.to_owned(),
            recipient: recipient.to_owned(),
        })
    }

    /// Cipher and hash.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Id of the delivery.
    pub fn delivery(&self) -> &str {
        &self.delivery
    }

    /// Id of the attempt.
    pub fn attempt(&self) -> &str {
        &self.attempt
    }

    /// Id of the recipient.
    pub fn recipient(&self) -> &str {
        &self.recipient
    }

    /// Id of the attempt's KEK: `DELIVERY.ATTEMPT`.
    pub fn kek_id(&self) -> String {
        format!("{}.{}", self.delivery, self.attempt)
    }

    /// Associated data of a wrapped DEK: LP(suite) ‖ LP(delivery) ‖ LP(attempt) ‖ LP(recipient) ‖
    /// LP(file name) ‖ LP(use); LP = 4-byte big-endian length, then UTF-8.
    pub fn wrap_aad(&self, file_name: &str, dek_use: DekUse<'_>) -> Vec<u8> {
        length_prefixed(&[
            self.suite.as_str(),
            &self.delivery,
            &self.attempt,
            &self.recipient,
            file_name,
            &dek_use.to_string(),
        ])
    }

    /// What HPKE binds a wrapped key to: LP("lockgate/v1") ‖ LP(what) ‖ LP(suite) ‖ LP(delivery) ‖
    /// LP(attempt) ‖ LP(recipient).
    fn hpke_info(&self, what: &str) -> Vec<u8> {
        length_prefixed(&[
            "lockgate/v1",
            what,
            self.suite.as_str(),
            &self.delivery,
            &self.attempt,
            &self.recipient,
        ])
    }
}

/// What a run seals with: one for an attempt, shared by all its files.
#[derive(Debug)]
pub struct SealContext {
    binding: Binding,
    kek: Kek,
}

impl SealContext {
    /// Seals under that KEK.
    ///
    /// # Errors
    /// If a keyring holds it and the suite isn't AES: keyrings wrap with AES-256-GCM, and no suite
    /// stands in for another.
    pub fn new(binding: Binding, kek: Kek) -> Result<Self, ConnectorError> {
        match (&kek, binding.suite) {
            (Kek::Held(..), Suite::Sm4GcmSm3) => Err(SealError::Unsupported {
                suite: binding.suite,
                what: "be kept where keys are released online, because keyrings wrap with AES-256-GCM",
                remedy: "release the keys offline",
            }
            .into()),
            (Kek::Held(..), Suite::Aes256GcmSha256) | (Kek::Drawn(_), _) => {
                Ok(Self { binding, kek })
            }
        }
    }

    /// What everything sealed is bound to.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Cipher and hash.
    pub fn suite(&self) -> Suite {
        self.binding.suite
    }

    /// A fresh key for one file, footer or column.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub fn new_dek(&self) -> Result<Dek, ConnectorError> {
        Dek::draw()
    }

    /// Wraps a key for one use in one file, of which `file_name` is the last part of its path.
    ///
    /// # Errors
    /// If the keyring can't wrap, or there is no randomness.
    pub fn wrap(
        &self,
        dek: &Dek,
        file_name: &str,
        dek_use: DekUse<'_>,
    ) -> Result<Vec<u8>, ConnectorError> {
        let aad = self.binding.wrap_aad(file_name, dek_use);
        self.kek.wrap(self.binding.suite, dek, &aad)
    }

    /// The delivery's key file: offline, the KEK wrapped to every X25519 key of `keys` (others are
    /// passed over); online, none.
    ///
    /// # Errors
    /// Offline, if there is no X25519 key, or no randomness.
    pub fn key_file(&self, keys: &[PublicKey]) -> Result<KeyFile, ConnectorError> {
        match &self.kek {
            Kek::Drawn(kek) => KeyFile::offline(&self.binding, kek, keys),
            Kek::Held(..) => Ok(KeyFile::online(&self.binding)),
        }
    }
}

/// LP(part) ‖ …: 4-byte big-endian length, then the bytes.
fn length_prefixed(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
