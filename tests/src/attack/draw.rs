//! Seeded randomness of the suite: the same case, table and seed make the same leak.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

/// A stream of numbers that look random (SplitMix64).
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// The stream of that name.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        let digest = Sha256::digest(parts.join("\u{1F}"));
        Self(u64::from_be_bytes(digest[..8].try_into().expect("8 bytes")))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, by the high half of a product: no bias that counts here.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// A whole number from `least` to `most`, both included.
    pub fn between(&mut self, least: i128, most: i128) -> i128 {
        least + self.below((most - least + 1) as usize) as i128
    }

    /// A number from 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in that share of the cases.
    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// One of those.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// `count` different numbers below `of`, in random order.
    pub fn choose(&mut self, count: usize, of: usize) -> Vec<usize> {
        if count * 3 > of {
            let mut all: Vec<usize> = (0..of).collect();
            self.shuffle(&mut all);
            all.truncate(count);
            return all;
        }
        let mut seen = BTreeSet::new();
        let mut chosen = Vec::with_capacity(count);
        while chosen.len() < count {
            let number = self.below(of);
            if seen.insert(number) {
                chosen.push(number);
            }
        }
        chosen
    }

    /// Puts a list into random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}
