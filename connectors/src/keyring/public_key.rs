//! Public keys as they are written everywhere: `ed25519:BASE64` or `x25519:BASE64`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x25519_dalek::StaticSecret;

use super::{KEY_BYTES, KeyringError};
use crate::error::ConnectorError;

/// What a public key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAlgorithm {
    /// Verifies signatures (RFC 8032).
    Ed25519,
    /// Is sealed to (RFC 7748).
    X25519,
}

impl KeyAlgorithm {
    /// The prefix of the written form, without the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::X25519 => "x25519",
        }
    }
}

/// A public key that was checked: canonically encoded, on the curve, not of small order.
///
/// A key of small order would verify signatures over almost any message (Ed25519) or give a
/// shared secret that everyone knows (X25519), so there is no way to hold one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    bytes: [u8; KEY_BYTES],
}

impl PublicKey {
    /// Reads `ed25519:BASE64` or `x25519:BASE64` (standard alphabet, padded, 32 bytes).
    ///
    /// # Errors
    /// If the text has another form, or the key is weak or not canonically encoded. The error
    /// doesn't repeat the text.
    pub fn parse(text: &str) -> Result<Self, ConnectorError> {
        Ok(Self::checked_parse(text)?)
    }

    pub(super) fn checked_parse(text: &str) -> Result<Self, KeyringError> {
        let (algorithm, encoded) = if let Some(encoded) = text.strip_prefix("ed25519:") {
            (KeyAlgorithm::Ed25519, encoded)
        } else if let Some(encoded) = text.strip_prefix("x25519:") {
            (KeyAlgorithm::X25519, encoded)
        } else {
            return Err(KeyringError::PublicKey {
                what: "expected `ed25519:BASE64` or `x25519:BASE64`",
            });
        };
        let bytes = STANDARD
            .decode(encoded)
            .ok()
            .and_then(|bytes| <[u8; KEY_BYTES]>::try_from(bytes).ok())
            .ok_or(KeyringError::PublicKey {
                what: "expected 32 bytes in padded standard base64 after the colon",
            })?;
        match algorithm {
            KeyAlgorithm::Ed25519 => check_ed25519(&bytes)?,
            KeyAlgorithm::X25519 => check_x25519(&bytes)?,
        }
        Ok(Self { algorithm, bytes })
    }

    /// What the key does.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The 32 bytes of the key.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// Lower-case hexadecimal SHA-256 of the 32 bytes: the `keyid` of signatures.
    pub fn fingerprint(&self) -> String {
        crate::durable::hex(&Sha256::digest(self.bytes))
    }

    /// The key for verifying signatures, where it is an Ed25519 key.
    pub fn verifying_key(&self) -> Option<VerifyingKey> {
        match self.algorithm {
            KeyAlgorithm::Ed25519 => VerifyingKey::from_bytes(&self.bytes).ok(),
            KeyAlgorithm::X25519 => None,
        }
    }

    pub(super) fn of_x25519(secret: &StaticSecret) -> Self {
        Self {
            algorithm: KeyAlgorithm::X25519,
            bytes: x25519_dalek::PublicKey::from(secret).to_bytes(),
        }
    }
}

/// Refuses encodings that are not canonical, points off the curve or outside the group of prime
/// order.
fn check_ed25519(bytes: &[u8; KEY_BYTES]) -> Result<(), KeyringError> {
    let off_curve = KeyringError::PublicKey {
        what: "no point of Ed25519 has this encoding",
    };
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| off_curve)?;
    let point = key.to_edwards();
    if point.compress().as_bytes() != bytes {
        return Err(KeyringError::PublicKey {
            what: "the encoding is not the canonical one",
        });
    }
    if key.is_weak() || !point.is_torsion_free() {
        return Err(KeyringError::PublicKey {
            what: "the point is weak (not of prime order): nothing may be verified with it",
        });
    }
    Ok(())
}

/// Refuses coordinates of 2^255 - 19 and above, and points whose shared secret would be zero.
fn check_x25519(bytes: &[u8; KEY_BYTES]) -> Result<(), KeyringError> {
    let [first, middle @ .., last] = bytes;
    let above = *last > 0x7f
        || (*last == 0x7f && middle.iter().all(|byte| *byte == 0xff) && *first >= 0xed);
    if above {
        return Err(KeyringError::PublicKey {
            what: "the encoding is not the canonical one",
        });
    }
    // Every scalar is clamped to a multiple of the cofactor, so any one finds a small order.
    let shared = StaticSecret::from([1; KEY_BYTES]).diffie_hellman(&(*bytes).into());
    if !shared.was_contributory() {
        return Err(KeyringError::PublicKey {
            what: "the point is weak (of small order): nothing may be sealed to it",
        });
    }
    Ok(())
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}",
            self.algorithm.as_str(),
            STANDARD.encode(self.bytes)
        )
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = ConnectorError;

    fn from_str(text: &str) -> Result<Self, ConnectorError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = ConnectorError;

    fn try_from(text: String) -> Result<Self, ConnectorError> {
        Self::parse(&text)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// Only for keys of which the private side is at hand: others are parsed, and so checked.
impl From<&ed25519_dalek::SigningKey> for PublicKey {
    fn from(key: &ed25519_dalek::SigningKey) -> Self {
        Self {
            algorithm: KeyAlgorithm::Ed25519,
            bytes: key.verifying_key().to_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ed25519() -> PublicKey {
        PublicKey::from(&ed25519_dalek::SigningKey::from_bytes(&[7; 32]))
    }

    fn x25519() -> PublicKey {
        PublicKey::of_x25519(&StaticSecret::from([7; 32]))
    }

    fn written(algorithm: &str, bytes: &[u8]) -> String {
        format!("{algorithm}:{}", STANDARD.encode(bytes))
    }

    #[test]
    fn what_is_displayed_is_parsed() {
        for key in [ed25519(), x25519()] {
            assert_eq!(PublicKey::parse(&key.to_string()).unwrap(), key);
            let json = serde_json_like(&key);
            assert_eq!(PublicKey::try_from(json).unwrap(), key);
        }
    }

    fn serde_json_like(key: &PublicKey) -> String {
        String::from(*key)
    }

    #[test]
    fn fingerprint_is_the_hash_of_the_raw_key() {
        let key = ed25519();
        assert_eq!(
            key.fingerprint(),
            crate::durable::hex(&Sha256::digest(key.as_bytes()))
        );
        assert_eq!(key.fingerprint().len(), 64);
    }

    #[test]
    fn rfc_8032_key_is_accepted() {
        // RFC 8032, 7.1, test 1.
        let key = PublicKey::parse("ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").unwrap();
        assert_eq!(key.algorithm(), KeyAlgorithm::Ed25519);
        assert!(key.verifying_key().is_some());
    }

    #[test]
    fn other_forms_are_refused_without_repeating_them() {
        let canary = "Q0FOQVJZ";
        for text in [
            "",
            canary,
            "rsa:Q0FOQVJZ",
            "ed25519:Q0FOQVJZ",
            " ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n",
            "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            "Ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        ] {
            let error = PublicKey::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(canary));
        }
    }

    #[test]
    fn weak_ed25519_points_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let zero = [0; 32]; // of order 4
        let mut minus_one = [0xff; 32]; // (0, -1), of order 2
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        let mut identity_not_canonical = [0xff; 32]; // y = p + 1
        identity_not_canonical[0] = 0xee;
        identity_not_canonical[31] = 0x7f;
        for point in [identity, zero, minus_one, identity_not_canonical] {
            assert!(PublicKey::parse(&written("ed25519", &point)).is_err());
        }
    }

    #[test]
    fn ed25519_point_with_a_torsion_part_is_refused() {
        // A sound key plus the point of order 2: (x, y) becomes (-x, -y).
        let point = ed25519().verifying_key().unwrap().to_edwards();
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        let order_two = VerifyingKey::from_bytes(&minus_one).unwrap().to_edwards();
        let mixed = (point + order_two).compress().to_bytes();
        assert!(VerifyingKey::from_bytes(&mixed).is_ok());
        assert!(PublicKey::parse(&written("ed25519", &mixed)).is_err());
    }

    #[test]
    fn weak_x25519_points_are_refused() {
        let mut one = [0; 32];
        one[0] = 1;
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        let mut field = [0xff; 32];
        field[0] = 0xed;
        field[31] = 0x7f;
        let mut top_bit = *x25519().as_bytes();
        top_bit[31] |= 0x80;
        for point in [[0; 32], one, minus_one, field, top_bit, [0xff; 32]] {
            assert!(PublicKey::parse(&written("x25519", &point)).is_err());
        }
    }
}
