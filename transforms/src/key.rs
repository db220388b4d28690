//! Keys of treatments: derived, borrowed, never shown.
//!
//! HKDF-SHA256 (RFC 5869) binds a key to its purpose, domain, scope and version, so that the
//! pseudonyms of two grants cannot be joined unless a join group was approved.

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Misfit;
use crate::vault::{Vault, VaultUse};

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
        Self(hkdf(master, &parts.map(str::as_bytes)))
    }

    /// A key that was derived before and disclosed since, such as that of a dataset's marks whose
    /// commitment was opened.
    pub(crate) fn disclosed(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Derives key material for one algorithm: HKDF-SHA256 over this key, without salt, with
    /// info = LP(part) ‖ … for each part, the first of which names the algorithm. One derived key
    /// so serves several algorithms, and none of them sees another's key.
    pub(crate) fn expand<const BYTES: usize>(&self, parts: &[&[u8]]) -> Zeroizing<[u8; BYTES]> {
        hkdf(self.0.as_ref(), parts)
    }

    /// The same key once more, for what outlives the borrow. Not `Clone`: copies are made on
    /// purpose.
    pub(crate) fn copy(&self) -> Self {
        Self(self.0.clone())
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

/// HKDF-SHA256 without salt, with info = LP(part) ‖ ….
fn hkdf<const BYTES: usize>(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; BYTES]> {
    let length = |part: &&[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes();
    let lengths: Vec<[u8; 4]> = parts.iter().map(length).collect();
    let mut info: Vec<&[u8]> = Vec::with_capacity(2 * parts.len());
    for (length, part) in lengths.iter().zip(parts) {
        info.push(length);
        info.push(part);
    }
    let mut material = Zeroizing::new([0; BYTES]);
    // 255 * 32 bytes is HKDF's limit, and exceeding it the only error expand knows.
    const { assert!(BYTES <= 255 * 32, "HKDF-SHA256 yields no more") };
    let expanded = Hkdf::<Sha256>::new(None, key).expand_multi_info(&info, material.as_mut());
    debug_assert!(expanded.is_ok(), "the length is within HKDF's limit");
    material
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
/// for, and the vaults.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keys<'a> {
    keys: &'a [(KeyUse, &'a DerivedKey)],
    vaults: &'a [(VaultUse, Arc<dyn Vault>)],
}

impl<'a> Keys<'a> {
    /// These keys, and no vault.
    pub fn new(keys: &'a [(KeyUse, &'a DerivedKey)]) -> Self {
        Self { keys, vaults: &[] }
    }

    /// The same keys, and these vaults.
    #[must_use]
    pub fn with_vaults(self, vaults: &'a [(VaultUse, Arc<dyn Vault>)]) -> Self {
        Self { vaults, ..self }
    }

    /// The vault for that use, and for no other.
    pub(crate) fn vault(self, wanted: &VaultUse) -> Option<Arc<dyn Vault>> {
        let mut vaults = self.vaults.iter();
        let found = vaults.find(|(held, _)| held == wanted);
        found.map(|(_, vault)| Arc::clone(vault))
    }

    /// The key derived for that use, and for no other.
    pub fn get(self, wanted: &KeyUse) -> Option<&'a DerivedKey> {
        self.keys
            .iter()
            .find(|(held, _)| held == wanted)
            .map(|(_, key)| *key)
    }
}

impl KeyUse {
    /// Refuses names that name nothing.
    ///
    /// # Errors
    /// The domain or the join group is empty.
    pub(crate) fn check(&self) -> Result<(), Misfit> {
        if self.domain.trim().is_empty() {
            return Err(Misfit::of_parameter("domain", "`domain` is empty")
                .with_hint("name what is treated, such as \"person.id\""));
        }
        if self
            .join
            .as_ref()
            .is_some_and(|join| join.trim().is_empty())
        {
            return Err(Misfit::of_parameter("join", "`join` is empty")
                .with_hint("name an approved join group, or leave it out"));
        }
        Ok(())
    }

    /// What is wrong where the key isn't there.
    pub(crate) fn missing(&self, kind: &str, field: &str) -> Misfit {
        Misfit {
            parameter: None,
            what: format!("treatment `{kind}` of field `{field}` has no key"),
            hint: Some(format!(
                "make one with `lockgate keys new {}`",
                self.purpose
            )),
        }
    }
}
