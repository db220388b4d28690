//! FF1 of any radix and length, as the standard writes it.
//!
//! The standard's `y mod radix^m` is the last `m` numerals of `y`, so that no large number has to
//! be divided by another: numerals are split off by short division, added with a carry.

#![expect(
    clippy::as_conversions,
    reason = "kernel: the halves of a 64-bit product or quotient"
)]

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser};

use super::{Direction, Ff1, Refused, first_block, is_large_enough, padded_tweak};

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Ff1<C> {
    /// Permutes a string of numerals below `radix`, the most significant first.
    ///
    /// The time grows with the square of the length.
    ///
    /// # Errors
    /// A radix out of range, a numeral that isn't below it, a domain that is too small.
    pub(crate) fn permute(
        &self,
        direction: Direction,
        radix: u32,
        tweak: &[u8],
        numerals: &[u16],
    ) -> Result<Vec<u16>, Refused> {
        if !(2..=65_536).contains(&radix) {
            return Err(Refused::Parameters);
        }
        if numerals.iter().any(|numeral| u32::from(*numeral) >= radix) {
            return Err(Refused::Numeral);
        }
        if numerals.len() < 2 || !is_large_enough(radix, numerals.len()) {
            return Err(Refused::SmallDomain);
        }
        let rounds = Rounds::new(self, radix, tweak, numerals.len())?;
        let (left, right) = numerals.split_at(numerals.len() / 2);
        let (mut left, mut right) = (left.to_vec(), right.to_vec());
        for round in direction.rounds() {
            match direction {
                Direction::Encrypt => {
                    let sum = rounds.output(round, &right, left.len());
                    add(&mut left, &sum, radix);
                }
                Direction::Decrypt => {
                    let sum = rounds.output(round, &left, right.len());
                    subtract(&mut right, &sum, radix);
                }
            }
            std::mem::swap(&mut left, &mut right);
        }
        left.append(&mut right);
        Ok(left)
    }
}

/// The round function for one radix, tweak and length.
struct Rounds<'a, C> {
    ff1: &'a Ff1<C>,
    radix: u32,
    /// Bytes of a half (the standard's `b`).
    half_bytes: usize,
    /// Bytes of the round's output (`d`), a multiple of four.
    output_bytes: usize,
    padded_tweak: Vec<u8>,
    /// The state after the first block.
    state: u128,
}

impl<'a, C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Rounds<'a, C> {
    fn new(ff1: &'a Ff1<C>, radix: u32, tweak: &[u8], length: usize) -> Result<Self, Refused> {
        let half_bytes = half_bytes(radix, length.div_ceil(2));
        Ok(Self {
            ff1,
            radix,
            half_bytes,
            output_bytes: half_bytes.div_ceil(4) * 4 + 4,
            padded_tweak: padded_tweak(tweak, half_bytes),
            state: ff1.block(first_block(radix, length, tweak.len())?),
        })
    }

    /// The last `count` numerals of the round's output for a half.
    fn output(&self, round: u8, half: &[u16], count: usize) -> Vec<u16> {
        let mut message = self.padded_tweak.clone();
        message.push(round);
        message.extend(number_bytes(half, self.radix, self.half_bytes));
        let state = self.ff1.mac(self.state, &message);
        let mut bytes = state.to_be_bytes().to_vec();
        let mut counter = 0;
        while bytes.len() < self.output_bytes {
            counter += 1;
            bytes.extend(self.ff1.block(state ^ counter).to_be_bytes());
        }
        bytes.truncate(self.output_bytes);
        let (words, _) = bytes.as_chunks::<4>();
        let mut limbs: Vec<u32> = words.iter().map(|word| u32::from_be_bytes(*word)).collect();
        last_numerals(&mut limbs, self.radix, count)
    }
}

/// Bytes of the largest number of `length` numerals: the exact form of the standard's logarithm.
pub(super) fn half_bytes(radix: u32, length: usize) -> usize {
    let largest = vec![u16::try_from(radix - 1).unwrap_or(u16::MAX); length];
    let limbs = number_limbs(&largest, radix);
    let bytes = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes());
    let leading = bytes.take_while(|byte| *byte == 0).count();
    limbs.len() * 4 - leading
}

/// The number of a string of numerals, in limbs of 32 bits, the least significant first.
fn number_limbs(numerals: &[u16], radix: u32) -> Vec<u32> {
    let mut limbs = vec![0_u32; numerals.len() / 2 + 1];
    for numeral in numerals {
        let mut carry = u64::from(*numeral);
        for limb in &mut limbs {
            let product = u64::from(*limb) * u64::from(radix) + carry;
            *limb = product as u32;
            carry = product >> 32;
        }
    }
    limbs
}

/// The number of a string of numerals, in that many bytes, the most significant first.
fn number_bytes(numerals: &[u16], radix: u32, bytes: usize) -> impl Iterator<Item = u8> {
    let limbs = number_limbs(numerals, radix);
    let missing = bytes.saturating_sub(limbs.len() * 4);
    let surplus = (limbs.len() * 4).saturating_sub(bytes);
    let all = limbs.into_iter().rev().flat_map(u32::to_be_bytes);
    std::iter::repeat_n(0, missing).chain(all.skip(surplus))
}

/// The last `count` numerals of a number in limbs, the most significant first; uses up the limbs.
fn last_numerals(limbs: &mut [u32], radix: u32, count: usize) -> Vec<u16> {
    let radix = u64::from(radix);
    let mut numerals = vec![0; count];
    for numeral in numerals.iter_mut().rev() {
        let mut rest = 0;
        for limb in limbs.iter_mut() {
            let value = rest << 32 | u64::from(*limb);
            *limb = (value / radix) as u32;
            rest = value % radix;
        }
        *numeral = rest as u16;
    }
    numerals
}

/// Adds numerals, modulo the number of such strings.
fn add(numerals: &mut [u16], other: &[u16], radix: u32) {
    let mut carry = 0;
    for (numeral, other) in numerals.iter_mut().zip(other).rev() {
        let sum = u32::from(*numeral) + u32::from(*other) + carry;
        carry = u32::from(sum >= radix);
        *numeral = (sum - carry * radix) as u16;
    }
}

/// Subtracts numerals, modulo the number of such strings.
fn subtract(numerals: &mut [u16], other: &[u16], radix: u32) {
    let mut borrow = 0;
    for (numeral, other) in numerals.iter_mut().zip(other).rev() {
        let less = u32::from(*other) + borrow;
        borrow = u32::from(u32::from(*numeral) < less);
        *numeral = (u32::from(*numeral) + borrow * radix - less) as u16;
    }
}
