//! Permutations of the numbers below a bound.
//!
//! A rank, such as "the 31,415,926th valid number", is written with two or four numerals of the
//! smallest radix that has room for every rank, and FF1 permutes those. The radix fits the bound
//! closely, so that hardly any result is beyond it; one that is, or that the caller doesn't take
//! for a value, is permuted again until it is (cycle-walking). That is a permutation of the
//! accepted ranks, whatever the rule, as long as it was kept by the rank walked from.

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser};

use super::{DOMAIN_MIN, Direction, Ff1, Lanes};
use crate::number::Divider;

/// A permutation of the numbers from 0 to a bound.
#[derive(Debug)]
pub(crate) struct Permutation {
    size: u128,
    /// The number of halves.
    half: Divider,
    lanes: Lanes,
}

impl Permutation {
    /// A permutation of `size` numbers, for a tweak of `context` and what is kept of each value
    /// (see [`Lanes::with_kept`]). None for a size below [`DOMAIN_MIN`] or above 2^64.
    pub(crate) fn new<C>(ff1: &Ff1<C>, size: u128, context: &[u8]) -> Option<Self>
    where
        C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
    {
        if size < u128::from(DOMAIN_MIN) || size > 1 << 64 {
            return None;
        }
        let length = if size <= 1 << 32 { 2 } else { 4 };
        let radix = root(size, length);
        Some(Self {
            size,
            half: Divider::new(u64::from(radix).checked_pow(length / 2)?)?,
            lanes: Lanes::with_kept(ff1, radix, usize::try_from(length).ok()?, context)?,
        })
    }

    /// Permutes ranks, each below the size and accepted itself, to ranks that are.
    ///
    /// `accepts` is asked with the index of a rank and where it came to; `kept` is as for
    /// [`Lanes::permute`].
    pub(crate) fn permute<C>(
        &self,
        ff1: &Ff1<C>,
        direction: Direction,
        ranks: &mut [u64],
        kept: &[u64],
        accepts: impl Fn(usize, u64) -> bool,
    ) where
        C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
    {
        debug_assert!(ranks.iter().all(|rank| u128::from(*rank) < self.size));
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let mut walk = |ranks: &mut [u64], kept: &[u64]| {
            left.clear();
            right.clear();
            for rank in &*ranks {
                let (high, low) = self.half.divide(*rank);
                left.push(high);
                right.push(low);
            }
            self.lanes
                .permute(ff1, direction, (&mut left, &mut right), kept);
            for ((rank, high), low) in ranks.iter_mut().zip(&left).zip(&right) {
                *rank = high * self.half.divisor() + low;
            }
        };
        walk(ranks, kept);
        let stays = |index: usize, rank: u64| u128::from(rank) < self.size && accepts(index, rank);
        let mut beyond: Vec<(usize, u64)> = (0..)
            .zip(&*ranks)
            .filter(|(index, rank)| !stays(*index, **rank))
            .map(|(index, rank)| (index, *rank))
            .collect();
        let (mut again, mut again_kept): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        while !beyond.is_empty() {
            again.clear();
            again.extend(beyond.iter().map(|(_, rank)| *rank));
            again_kept.clear();
            again_kept.extend(
                beyond
                    .iter()
                    .filter_map(|(index, _)| kept.get(*index).copied()),
            );
            walk(&mut again, &again_kept);
            for ((_, place), rank) in beyond.iter_mut().zip(&again) {
                *place = *rank;
            }
            beyond.retain(|(index, rank)| {
                let done = stays(*index, *rank);
                if let (true, Some(place)) = (done, ranks.get_mut(*index)) {
                    *place = *rank;
                }
                !done
            });
        }
    }
}

/// The smallest radix whose strings of that length number at least `size`.
fn root(size: u128, length: u32) -> u32 {
    let (mut below, mut enough) = (1_u32, 65_536);
    while enough - below > 1 {
        let middle = below.midpoint(enough);
        if u128::from(middle).pow(length) >= size {
            enough = middle;
        } else {
            below = middle;
        }
    }
    enough
}
