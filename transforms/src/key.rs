//! Keys of treatments: derived, borrowed, never shown.
//!
//! HKDF-SHA256 (RFC 5869) binds a key to its purpose, domain, scope and version, so that the
//! pseudonyms of two grants cannot be joined unless a join group was approved.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of every key, master or derived.
pub const KEY_BYTES: usize = 32;

/// A key derived for one purpose, domain, scope and version.
///
/// Zeroized on drop; neither `Clone` nor `Serialize`, and `Debug` shows nothing.
pub struct DerivedKey(Zeroizing<[u8; KEY_BYTES]>);

impl DerivedKey {
    /// Derives a key: HKDF-SHA256 over `master`, without salt, with
    /// info = LP("lockgate/v1") ‖ LP(purpose) ‖ LP(domain) ‖ LP(scope) ‖ LP(version in decimal),
    /// where LP is a 4-byte big-endian length followed by the UTF-8 bytes.
    ///
    /// `scope` is `grant:ID`, or `join:NAME` for an approved join group.
    pub fn derive(
        master: &[u8; KEY_BYTES],
        purpose: &str,
        domain: &str,
        scope: &str,
        version: u32,
    ) -> Self {
        let version = version.to_string();
        let parts = ["lockgate/v1", purpose, domain, scope, &version];
        let lengths = parts.map(|part| u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        let mut info: Vec<&[u8]> = Vec::with_capacity(2 * parts.len());
        for (length, part) in lengths.iter().zip(&parts) {
            info.push(length);
            info.push(part.as_bytes());
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        // 32 bytes is far below HKDF's limit of 255 * 32, the only error expand knows.
        let expanded = Hkdf::<Sha256>::new(None, master).expand_multi_info(&info, key.as_mut());
        debug_assert!(expanded.is_ok(), "32 bytes are within HKDF's limit");
        Self(key)
    }

    /// The key's bytes, for the one cipher or MAC that is about to be made of them.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey(..)")
    }
}

/// Which key a treatment needs: what the pipeline looks up in the keyring and derives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// Purpose of the master key (`pseudonym`).
    pub purpose: &'static str,
    /// Consistency domain, as the policy names it (`person.id`).
    pub domain: String,
    /// Approved join group, where the treatment names one.
    pub join: Option<String>,
}

/// The keys at hand for a treatment and the treatments within it, each with the use it was derived
/// for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keys<'a>(&'a [(KeyUse, &'a DerivedKey)]);

impl<'a> Keys<'a> {
    /// These keys.
    pub fn new(keys: &'a [(KeyUse, &'a DerivedKey)]) -> Self {
        Self(keys)
    }

    /// The key derived for that use, and for no other.
    pub fn get(self, wanted: &KeyUse) -> Option<&'a DerivedKey> {
        self.0
            .iter()
            .find(|(held, _)| held == wanted)
            .map(|(_, key)| *key)
    }
}
