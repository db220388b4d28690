//! FF1, format-preserving encryption (NIST SP 800-38G, second draft of revision 1, February 2025).
//!
//! FF1 permutes the strings of one length over an alphabet: a number of 18 digits becomes another
//! number of 18 digits, and back, under a key and a *tweak* that need not be secret. It is the one
//! format-preserving mode left in the draft: FF3 was broken and is gone. The draft refuses domains
//! of fewer than a million values, where the permutation could be written down by counting, and so
//! does everything here. FF1 hides nothing about equality, has no integrity, and is for values
//! whose shape a recipient's systems insist on.
//!
//! - [`general`]: every radix from 2 to 65,536 and every length, in limbs of 32 bits
//! - [`lanes`]: many values at once where each half fits 64 bits, one cipher block a round
//! - [`permutation`]: the numbers below a bound, on top of the lanes, by cycle-walking
//! - [`keyed`]: what the treatments on top of FF1 share: key, names, tweak

mod general;
pub(crate) mod keyed;
mod lanes;
mod permutation;
#[cfg(test)]
mod tests;

use std::fmt;

use aes::Aes256Enc;
use aes::cipher::consts::U16;
use aes::cipher::{Array, BlockCipherEncrypt, BlockSizeUser, KeyInit};

use crate::key::DerivedKey;

pub(crate) use lanes::Lanes;
pub(crate) use permutation::Permutation;

/// The fewest values a domain may have.
pub(crate) const DOMAIN_MIN: u64 = 1_000_000;

/// Rounds of the Feistel network.
const ROUNDS: u8 = 10;

/// Which way the permutation is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the value to what stands for it.
    Encrypt,
    /// Back.
    Decrypt,
}

impl Direction {
    /// The rounds, in their order.
    fn rounds(self) -> impl Iterator<Item = u8> {
        (0..ROUNDS).map(move |round| match self {
            Self::Encrypt => round,
            Self::Decrypt => ROUNDS - 1 - round,
        })
    }
}

/// Why numerals are not permuted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A radix outside 2 to 65,536, or a length beyond 32 bits.
    Parameters,
    /// A numeral that isn't below the radix.
    Numeral,
    /// Fewer than [`DOMAIN_MIN`] strings of that length.
    SmallDomain,
}

/// FF1 under one key. The cipher is AES-256 but for the standard's own samples.
pub(crate) struct Ff1<C = Aes256Enc> {
    cipher: C,
}

impl Ff1 {
    /// FF1 under a derived key. The cipher zeroizes its round keys when dropped.
    pub(crate) fn new(key: &DerivedKey) -> Self {
        Self {
            cipher: Aes256Enc::new(key.expose().into()),
        }
    }
}

impl<C> fmt::Debug for Ff1<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ff1(..)")
    }
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Ff1<C> {
    /// One block of the cipher.
    fn block(&self, block: u128) -> u128 {
        let mut block = Array::from(block.to_be_bytes());
        self.cipher.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }

    /// CBC-MAC without padding, going on from `state`, over whole blocks (algorithm 6, `PRF`).
    fn mac(&self, state: u128, blocks: &[u8]) -> u128 {
        let (blocks, rest) = blocks.as_chunks::<16>();
        debug_assert!(rest.is_empty(), "the input is padded to whole blocks");
        blocks.iter().fold(state, |state, block| {
            self.block(state ^ u128::from_be_bytes(*block))
        })
    }
}

/// The block `P`, fixed for a radix, a length and a tweak's length.
fn first_block(radix: u32, length: usize, tweak: usize) -> Result<u128, Refused> {
    let wide = |count: usize| {
        u32::try_from(count)
            .map(u128::from)
            .map_err(|_| Refused::Parameters)
    };
    let left = wide(length / 2)? & 0xFF;
    Ok(0x01_02_01_u128 << 104
        | u128::from(radix) << 80
        | u128::from(ROUNDS) << 72
        | left << 64
        | wide(length)? << 32
        | wide(tweak)?)
}

/// The tweak with the zeros that bring it, a round number and `bytes` bytes to whole blocks.
fn padded_tweak(tweak: &[u8], bytes: usize) -> Vec<u8> {
    let whole = (tweak.len() + bytes + 1).next_multiple_of(16);
    let mut padded = tweak.to_vec();
    padded.resize(whole - bytes - 1, 0);
    padded
}

/// Whether there are at least [`DOMAIN_MIN`] strings of `length` numerals.
pub(crate) fn is_large_enough(radix: u32, length: usize) -> bool {
    let mut size = 1;
    for _ in 0..length {
        size *= u64::from(radix);
        if size >= DOMAIN_MIN {
            return true;
        }
    }
    false
}
