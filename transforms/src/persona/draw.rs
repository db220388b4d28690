//! The draw: what a key and an entity's key field decide, and all that a surrogate is made of.
//!
//! ```text
//! surrogate key = HKDF-SHA-256(derived key; no salt; info = LP("lockgate/surrogate/v1") ‖ LP(label))
//! draw          = HMAC-SHA-256(surrogate key, UTF-8 of the normalised entity key)
//! more          = SHA-256(draw ‖ one byte)
//! ```
//!
//! with LP(part) = 4-byte big-endian length ‖ part. The pseudonyms of `hmac` are published, and are
//! HMACs under the same derived key: a surrogate key that were one as well would be the pseudonym
//! of some text, and whoever got that text into a source would be handed the key. In HKDF's first
//! step the derived key is the message, so that no pseudonym of any text is a key. The label
//! separates persons from cards, organisations and addresses.
//!
//! The 32 bytes of a draw are eight big-endian words; a choice among n takes one word w and is
//! ⌊w·n / 2³²⌋, which favours no choice by more than n / 2³². Parts of a draw that shows in one
//! facet says nothing of the entity key: the draw is a pseudorandom function of it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::Misfit;
use crate::key::{DerivedKey, KEY_BYTES};

/// A key for the surrogates of one label.
pub(crate) struct SurrogateKey {
    mac: Hmac<Sha256>,
}

impl SurrogateKey {
    /// Derives the key of a label.
    ///
    /// # Errors
    /// None that occurs: HMAC takes keys of any length.
    pub(crate) fn new(key: &DerivedKey, label: &str) -> Result<Self, Misfit> {
        let mac = Hmac::new_from_slice(subkey(key, label).as_ref())
            .map_err(|_| Misfit::of_parameter("domain", "the key has a length HMAC refuses"))?;
        Ok(Self { mac })
    }

    /// The draw of an entity.
    pub(crate) fn draw(&self, entity: &str) -> Draw {
        let mut mac = self.mac.clone();
        mac.update(entity.as_bytes());
        Draw(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for SurrogateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SurrogateKey(..)")
    }
}

/// The bytes of the key of a label.
pub(crate) fn subkey(key: &DerivedKey, label: &str) -> Zeroizing<[u8; KEY_BYTES]> {
    key.expand(&[b"lockgate/surrogate/v1", label.as_bytes()])
}

/// What was drawn for one entity: eight words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draw([u8; 32]);

impl Draw {
    /// One word, from 0 to 7.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> u32 {
        let (words, _) = self.0.as_chunks::<4>();
        words.get(index).map_or(0, |word| u32::from_be_bytes(*word))
    }

    /// A choice among `count`, by one word; 0 where there is none.
    #[inline]
    pub(crate) fn below(&self, index: usize, count: usize) -> usize {
        share(self.word(index), count)
    }

    /// A choice among `count` by two words, `index` and the next.
    #[inline]
    pub(crate) fn below_wide(&self, index: usize, count: u64) -> u64 {
        let word = u64::from(self.word(index)) << 32 | u64::from(self.word(index + 1));
        let product = u128::from(word) * u128::from(count);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A second draw, for long facets and for drawing anew.
    pub(crate) fn more(&self, label: u8) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update([label]);
        Self(hash.finalize().into())
    }

    /// A draw for tests.
    #[cfg(test)]
    pub(crate) fn of_seed(seed: u32) -> Self {
        Self(Sha256::digest(seed.to_be_bytes()).into())
    }
}

impl fmt::Debug for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draw(..)")
    }
}

/// The share of `count` that a word falls into.
#[inline]
pub(crate) fn share(word: u32, count: usize) -> usize {
    let count = u64::try_from(count).unwrap_or(0) & 0xFFFF_FFFF;
    usize::try_from((u64::from(word) * count) >> 32).unwrap_or(0)
}

/// Another of `count` choices than `chosen`: for a surrogate that met its original. The same where
/// there is only one.
#[inline]
pub(crate) fn another(chosen: u64, count: u64, draw: &Draw) -> u64 {
    if count < 2 {
        return chosen;
    }
    let step = 1 + draw.more(b'!').below_wide(0, count - 1);
    (chosen + step) % count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_cover_their_range_evenly() {
        let mut counts = [0_u32; 7];
        for seed in 0..7_000 {
            counts[Draw::of_seed(seed).below(3, 7)] += 1;
        }
        assert!(
            counts.iter().all(|count| (850..1_150).contains(count)),
            "{counts:?}"
        );
        assert_eq!(share(u32::MAX, 10), 9);
        assert_eq!(share(0, 10), 0);
        assert_eq!(Draw::of_seed(1).below(0, 0), 0);
    }

    #[test]
    fn another_choice_is_never_the_same() {
        for seed in 0..500 {
            let draw = Draw::of_seed(seed);
            for count in [2, 3, 10, 100_000_000] {
                let chosen = draw.below_wide(0, count);
                let other = another(chosen, count, &draw);
                assert!(other != chosen && other < count);
            }
        }
        assert_eq!(another(0, 1, &Draw::of_seed(1)), 0);
    }

    #[test]
    fn a_pseudonym_of_any_label_is_no_key() {
        let derived = DerivedKey::derive(&[7; 32], "pseudonym", "person.id", "grant:G", 1);
        for label in ["person", "card", "organisation", "plate", "ipv4", "ipv6"] {
            let own = subkey(&derived, label);
            crate::testing::no_pseudonym_is(&derived, own.as_ref(), "lockgate/surrogate/v1", label);
        }
    }

    #[test]
    fn labels_keys_and_entities_separate_draws() {
        let key = |byte| DerivedKey::derive(&[byte; 32], "pseudonym", "d", "grant:G", 1);
        let draw = |byte, label, entity| SurrogateKey::new(&key(byte), label).unwrap().draw(entity);
        let one = draw(1, "person", "a");
        assert_eq!(one, draw(1, "person", "a"));
        for other in [
            draw(2, "person", "a"),
            draw(1, "card", "a"),
            draw(1, "person", "b"),
        ] {
            assert_ne!(one, other);
        }
        assert_ne!(one.more(1), one.more(2));
        assert_eq!(format!("{one:?}"), "Draw(..)");
    }
}
