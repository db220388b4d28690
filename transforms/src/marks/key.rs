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

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::{DerivedKey, KEY_BYTES};

/// Purpose of the master key of marks.
pub const PURPOSE: &str = "mark";

/// Bytes of a commitment and of its salt.
pub const COMMITMENT_BYTES: usize = 32;

/// Bytes of a sub-key: AES-128 (FIPS 197) and SM4 (GB/T 32907) have keys of one length.
pub const SUB_KEY_BYTES: usize = 16;

/// The pseudo-random function that anchors, positions, symbols and tags are made by: the block cipher,
/// by itself or in CMAC. How a key is derived and committed to is the same for both.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum PrfSuite {
    /// AES-128 (FIPS 197).
    #[default]
    #[serde(rename = "AES-CMAC")]
    Aes,
    /// SM4 (GB/T 32907): about a hundredth of the speed, by tables whose timing depends on what is
    /// looked up.
    #[serde(rename = "SM4-CMAC")]
    Sm4,
}

impl PrfSuite {
    /// Whether it is the one where nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The name in policies and schemes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aes => "AES-CMAC",
            Self::Sm4 => "SM4-CMAC",
        }
    }
}

impl fmt::Display for PrfSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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
    /// From grant and position to which of the values that show the symbol is delivered.
    Draw,
}

impl SubKey {
    fn label(self, suite: PrfSuite) -> &'static [u8] {
        match (suite, self) {
            (PrfSuite::Aes, Self::Anchor) => b"lockgate/mark-anchor/v1",
            (PrfSuite::Aes, Self::Position) => b"lockgate/mark-position/v1",
            (PrfSuite::Aes, Self::Bit) => b"lockgate/mark-bit/v1",
            (PrfSuite::Aes, Self::Tag) => b"lockgate/mark-tag/v1",
            (PrfSuite::Aes, Self::Draw) => b"lockgate/mark-draw/v1",
            (PrfSuite::Sm4, Self::Anchor) => b"lockgate/sm4/mark-anchor/v1",
            (PrfSuite::Sm4, Self::Position) => b"lockgate/sm4/mark-position/v1",
            (PrfSuite::Sm4, Self::Bit) => b"lockgate/sm4/mark-bit/v1",
            (PrfSuite::Sm4, Self::Tag) => b"lockgate/sm4/mark-tag/v1",
            (PrfSuite::Sm4, Self::Draw) => b"lockgate/sm4/mark-draw/v1",
        }
    }
}

/// The key of a dataset's marks, common to all its grants, and what it is used with. Zeroized on drop;
/// `Debug` shows nothing.
pub struct MarkKey(DerivedKey, PrfSuite);

impl MarkKey {
    /// Derives the key of a dataset from the master key of purpose `mark`, as
    /// [`DerivedKey::derive`] does: domain is the dataset's id, scope `epoch:N`. A new epoch begins
    /// where positions must not be those of earlier deliveries any more. It is for AES: see
    /// [`of_suite`](Self::of_suite).
    pub fn derive(master: &[u8; KEY_BYTES], dataset: &str, epoch: u32, version: u32) -> Self {
        let scope = format!("epoch:{epoch}");
        let key = DerivedKey::derive(master, PURPOSE, dataset, &scope, version);
        Self(key, PrfSuite::Aes)
    }

    /// The key that was [disclosed](Self::dangerously_disclosed) as these bytes; to be held against
    /// its commitment. It is for AES: see [`of_suite`](Self::of_suite).
    pub fn of_disclosed(bytes: [u8; KEY_BYTES]) -> Self {
        Self(DerivedKey::disclosed(bytes), PrfSuite::Aes)
    }

    /// The same key, used with that function. The commitment is to the key and the same for both; no
    /// two sub-keys are.
    #[must_use]
    pub fn of_suite(&self, suite: PrfSuite) -> Self {
        Self(self.0.copy(), suite)
    }

    /// What it is used with.
    pub fn suite(&self) -> PrfSuite {
        self.1
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
        self.0.expand(&[of.label(self.1)])
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
        let uses = [
            SubKey::Anchor,
            SubKey::Position,
            SubKey::Bit,
            SubKey::Tag,
            SubKey::Draw,
        ];
        let keys = [PrfSuite::Aes, PrfSuite::Sm4].map(|suite| key("residents", 1).of_suite(suite));
        let all: HashSet<[u8; SUB_KEY_BYTES]> = keys
            .iter()
            .flat_map(|key| uses.map(|of| *key.sub_key(of)))
            .collect();
        assert_eq!(all.len(), 2 * uses.len());
    }

    #[test]
    fn one_commitment_is_to_the_key_of_both_suites() {
        let key = key("residents", 1);
        assert_eq!(key.suite(), PrfSuite::default());
        let other = key.of_suite(PrfSuite::Sm4);
        assert_eq!(other.suite(), PrfSuite::Sm4);
        assert_eq!(key.commitment(&SALT), other.commitment(&SALT));
    }

    #[test]
    fn a_suite_is_written_by_its_name() {
        for suite in [PrfSuite::Aes, PrfSuite::Sm4] {
            let written = serde_json::to_string(&suite).unwrap();
            assert_eq!(written, format!("\"{suite}\""));
        }
        assert!(PrfSuite::Aes.is_default() && !PrfSuite::Sm4.is_default());
    }

    #[test]
    fn the_key_shows_nothing() {
        assert_eq!(format!("{:?}", key("residents", 1)), "MarkKey(..)");
    }
}
