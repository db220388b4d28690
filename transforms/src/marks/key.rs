//! The key of a dataset's marks, and who is marked.
//!
//! One key serves every grant of a dataset: whoever compares the copies of two recipients sees
//! where their symbols differ, and nothing of where the others lie. Only the symbols depend on the
//! grant. A grant is known to the mark by an index that is drawn at random once and never reused;
//! it doesn't depend on the delivery, so that a row delivered twice is the same row, and nothing
//! can be averaged away by collecting deliveries.
//!
//! Before the first delivery the owner writes down a commitment to the key. Otherwise a key could
//! be looked for afterwards until it names whoever is to be blamed.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::{DerivedKey, KEY_BYTES};

/// Purpose of the master key of marks.
pub const PURPOSE: &str = "mark";

/// Bytes of a commitment and of its salt.
pub const COMMITMENT_BYTES: usize = 32;

/// Bytes of a sub-key: AES-128 (FIPS 197).
pub const SUB_KEY_BYTES: usize = 16;

/// What a sub-key is for. None serves two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubKey {
    /// From the values that identify a row to its anchor.
    Anchor,
    /// From anchor and field to the position of a cell in the code.
    Position,
    /// From position and grant to the symbol.
    Bit,
    /// From grant and pseudonym to the tag within the pseudonym.
    Tag,
}

impl SubKey {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Anchor => b"lockgate/mark-anchor/v1",
            Self::Position => b"lockgate/mark-position/v1",
            Self::Bit => b"lockgate/mark-bit/v1",
            Self::Tag => b"lockgate/mark-tag/v1",
        }
    }
}

/// The key of a dataset's marks, common to all its grants. Zeroized on drop; `Debug` shows nothing.
pub struct MarkKey(DerivedKey);

impl MarkKey {
    /// Derives the key of a dataset from the master key of purpose `mark`, as
    /// [`DerivedKey::derive`] does: domain is the dataset's id, scope `epoch:N`. A new epoch begins
    /// where positions must not be those of earlier deliveries any more.
    pub fn derive(master: &[u8; KEY_BYTES], dataset: &str, epoch: u32, version: u32) -> Self {
        let scope = format!("epoch:{epoch}");
        Self(DerivedKey::derive(
            master, PURPOSE, dataset, &scope, version,
        ))
    }

    /// The key that was [disclosed](Self::dangerously_disclosed) as these bytes; to be held against
    /// its commitment.
    pub fn of_disclosed(bytes: [u8; KEY_BYTES]) -> Self {
        Self(DerivedKey::disclosed(bytes))
    }

    /// The key itself, for opening its commitment to a third party. Whoever has it can forge the
    /// marks of every grant of the dataset.
    pub fn dangerously_disclosed(&self) -> &[u8; KEY_BYTES] {
        self.0.expose()
    }

    /// The commitment to the key: SHA-256(key ‖ salt). It says nothing of the key, and no other
    /// key opens it.
    pub fn commitment(&self, salt: &[u8; COMMITMENT_BYTES]) -> [u8; COMMITMENT_BYTES] {
        let hash = Sha256::new().chain_update(self.0.expose());
        hash.chain_update(salt).finalize().into()
    }

    /// Whether this key, with that salt, is the one that was committed to.
    pub fn opens(
        &self,
        commitment: &[u8; COMMITMENT_BYTES],
        salt: &[u8; COMMITMENT_BYTES],
    ) -> bool {
        self.commitment(salt) == *commitment
    }

    /// HKDF-SHA256 (input: the key; no salt; info: LP(label); 16 bytes).
    pub fn sub_key(&self, of: SubKey) -> Zeroizing<[u8; SUB_KEY_BYTES]> {
        self.0.expand(&[of.label()])
    }
}

impl fmt::Debug for MarkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MarkKey(..)")
    }
}

/// A grant as the mark knows it: drawn at random when the grant is first signed, never reused
/// under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantIndex(pub u32);

impl GrantIndex {
    /// The block of the cipher in which its symbols lie, together with those of seven others.
    pub(super) fn octet(self) -> u32 {
        self.0 >> 3
    }

    /// Its place in the octet, from 0 to 7.
    pub(super) fn lane(self) -> usize {
        usize::try_from(self.0 & 7).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SALT: [u8; 32] = [3; 32];

    fn key(dataset: &str, epoch: u32) -> MarkKey {
        MarkKey::derive(&[7; 32], dataset, epoch, 1)
    }

    #[test]
    fn a_key_belongs_to_a_dataset_an_epoch_and_a_version() {
        let one = key("residents", 1).commitment(&SALT);
        assert_eq!(one, key("residents", 1).commitment(&SALT));
        assert_ne!(one, key("companies", 1).commitment(&SALT));
        assert_ne!(one, key("residents", 2).commitment(&SALT));
        let later = MarkKey::derive(&[7; 32], "residents", 1, 2);
        assert_ne!(one, later.commitment(&SALT));
    }

    #[test]
    fn a_commitment_opens_with_its_key_and_salt_alone() {
        let commitment = key("residents", 1).commitment(&SALT);
        assert!(key("residents", 1).opens(&commitment, &SALT));
        assert!(!key("residents", 2).opens(&commitment, &SALT));
        assert!(!key("residents", 1).opens(&commitment, &[4; 32]));
    }

    #[test]
    fn the_commitment_is_the_hash_of_key_and_salt() {
        let key = key("residents", 1);
        let both = [key.0.expose().as_slice(), &SALT].concat();
        assert_eq!(
            key.commitment(&SALT),
            <[u8; 32]>::from(Sha256::digest(both))
        );
    }

    #[test]
    fn sub_keys_differ() {
        let key = key("residents", 1);
        let uses = [SubKey::Anchor, SubKey::Position, SubKey::Bit, SubKey::Tag];
        let all: HashSet<[u8; SUB_KEY_BYTES]> =
            uses.into_iter().map(|of| *key.sub_key(of)).collect();
        assert_eq!(all.len(), uses.len());
    }

    #[test]
    fn the_key_shows_nothing() {
        assert_eq!(format!("{:?}", key("residents", 1)), "MarkKey(..)");
    }
}
