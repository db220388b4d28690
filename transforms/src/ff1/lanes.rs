//! FF1 of many values at once, where each half of a value fits 64 bits.
//!
//! The first block and all of the tweak but its end are the same for every value of a domain, so
//! the cipher runs over them once. What is left is one block a round and value, and the blocks of
//! independent values keep the cipher's pipeline full, where those of one value wait for each
//! other.

#![expect(
    clippy::as_conversions,
    reason = "kernel: the upper half of a block, and the remainder of a 64-bit divisor"
)]

use aes::cipher::consts::U16;
use aes::cipher::{Array, BlockCipherEncrypt, BlockSizeUser};

use super::general::half_bytes;
use super::{Direction, Ff1, ROUNDS, first_block, is_large_enough, padded_tweak};
use crate::number::Divider;

/// Values worked on together: a multiple of what AES-NI and VAES take at once (8 and 30 blocks).
pub(crate) const LANES: usize = 120;

/// Bytes of a tweak that may differ from value to value.
const KEPT_BYTES: usize = 7;

/// FF1 over the strings of one radix and length, with a tweak.
pub(crate) struct Lanes {
    /// The state into which a round's half is mixed, round by round.
    rounds: [u128; ROUNDS as usize],
    left: Divider,
    right: Divider,
    /// Whether a round's output has twelve bytes, not eight.
    wide: bool,
}

impl Lanes {
    /// None for a domain that is too small, or whose halves don't fit 64 bits.
    pub(crate) fn new<C>(ff1: &Ff1<C>, radix: u32, length: usize, tweak: &[u8]) -> Option<Self>
    where
        C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
    {
        let power = |length: usize| u64::from(radix).checked_pow(u32::try_from(length).ok()?);
        let right_length = length.div_ceil(2);
        let (left, right) = (power(length / 2)?, power(right_length)?);
        if !is_large_enough(radix, length) {
            return None;
        }
        let bytes = half_bytes(radix, right_length);
        let mut message = padded_tweak(tweak, bytes);
        message.resize(message.len() + 1 + bytes, 0);
        let (before, last) = message.split_last_chunk::<16>()?;
        let state = ff1.block(first_block(radix, length, tweak.len()).ok()?);
        let state = ff1.mac(state, before) ^ u128::from_be_bytes(*last);
        let mut rounds = [state; ROUNDS as usize];
        for (round, state) in (0_u8..).zip(&mut rounds) {
            *state ^= u128::from(round) << (8 * bytes);
        }
        Some(Self {
            rounds,
            left: Divider::new(left)?,
            right: Divider::new(right)?,
            wide: bytes > 4,
        })
    }

    /// As [`new`](Self::new), with a tweak whose last seven bytes are given with each value:
    /// `context`, zeros to whole blocks, then those bytes.
    pub(crate) fn with_kept<C>(
        ff1: &Ff1<C>,
        radix: u32,
        length: usize,
        context: &[u8],
    ) -> Option<Self>
    where
        C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
    {
        let mut tweak = context.to_vec();
        tweak.resize(context.len().next_multiple_of(16) + KEPT_BYTES, 0);
        Self::new(ff1, radix, length, &tweak)
    }

    /// Permutes values given as halves, each below the number of strings of its length.
    ///
    /// `kept` holds the last bytes of each value's tweak as a number below 2^56, for
    /// [`with_kept`](Self::with_kept); empty where the tweak is the same for all.
    pub(crate) fn permute<C>(
        &self,
        ff1: &Ff1<C>,
        direction: Direction,
        (left, right): (&mut [u64], &mut [u64]),
        kept: &[u64],
    ) where
        C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
    {
        debug_assert!(left.len() == right.len() && (kept.is_empty() || kept.len() == left.len()));
        let mut blocks = [Array::<u8, U16>::default(); LANES];
        let mut kept = kept.chunks(LANES);
        for (left, right) in left.chunks_mut(LANES).zip(right.chunks_mut(LANES)) {
            let kept = kept.next().unwrap_or_default();
            let (mut source, mut target) = match direction {
                Direction::Encrypt => (right, left),
                Direction::Decrypt => (left, right),
            };
            for round in direction.rounds() {
                self.round(ff1, (direction, round), source, target, (kept, &mut blocks));
                std::mem::swap(&mut source, &mut target);
            }
        }
    }

    /// One round: `target` plus, or minus, what the round makes of `source`.
    #[inline]
    fn round<C>(
        &self,
        ff1: &Ff1<C>,
        (direction, round): (Direction, u8),
        source: &[u64],
        target: &mut [u64],
        (kept, blocks): (&[u64], &mut [Array<u8, U16>; LANES]),
    ) where
        C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
    {
        let state = self.rounds.get(usize::from(round)).copied();
        let state = state.unwrap_or_default();
        let (blocks, _) = blocks.split_at_mut(source.len().min(LANES));
        if kept.is_empty() {
            for (block, source) in blocks.iter_mut().zip(source) {
                *block = Array::from((state ^ u128::from(*source)).to_be_bytes());
            }
        } else {
            for ((block, source), kept) in blocks.iter_mut().zip(source).zip(kept) {
                let mixed = state ^ u128::from(*source) ^ u128::from(*kept) << 72;
                *block = Array::from(mixed.to_be_bytes());
            }
        }
        ff1.cipher.encrypt_blocks(blocks);
        let modulus = if round % 2 == 0 {
            self.left
        } else {
            self.right
        };
        match (self.wide, direction) {
            (false, Direction::Encrypt) => mix(target, blocks, |target, block| {
                add(target, modulus.remainder((block >> 64) as u64), modulus)
            }),
            (false, Direction::Decrypt) => mix(target, blocks, |target, block| {
                subtract(target, modulus.remainder((block >> 64) as u64), modulus)
            }),
            (true, Direction::Encrypt) => mix(target, blocks, |target, block| {
                add(target, wide_remainder(block >> 32, modulus), modulus)
            }),
            (true, Direction::Decrypt) => mix(target, blocks, |target, block| {
                subtract(target, wide_remainder(block >> 32, modulus), modulus)
            }),
        }
    }
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lanes(..)")
    }
}

#[inline]
fn mix(targets: &mut [u64], blocks: &[Array<u8, U16>], then: impl Fn(u64, u128) -> u64) {
    for (target, block) in targets.iter_mut().zip(blocks) {
        *target = then(*target, u128::from_be_bytes((*block).into()));
    }
}

/// The remainder of a number of 96 bits.
#[inline]
fn wide_remainder(number: u128, modulus: Divider) -> u64 {
    number
        .checked_rem(u128::from(modulus.divisor()))
        .unwrap_or_default() as u64
}

/// The sum of two numbers below the modulus, modulo it.
#[inline]
fn add(one: u64, other: u64, modulus: Divider) -> u64 {
    let gap = modulus.divisor() - one;
    if other >= gap {
        other - gap
    } else {
        one + other
    }
}

/// The difference of two numbers below the modulus, modulo it.
#[inline]
fn subtract(one: u64, other: u64, modulus: Divider) -> u64 {
    if one >= other {
        one - other
    } else {
        one + (modulus.divisor() - other)
    }
}
