//! The code: which cells carry a mark, and which symbol each grant's copy shows there.
//!
//! A code of fixed length would need every one of its positions back. This one is open-ended: each
//! cell that can carry a mark is a position of its own, found again from the row's anchor and the
//! field, and a leaked part of the data is judged by the positions it has. It is a Tardos code
//! ("Optimal probabilistic fingerprint codes", J. ACM 55(2), 2008): the symbols of one position are
//! not fair coins, but biased by a secret amount, and it is the bias that keeps a coalition from
//! composing a copy that points at nobody. The biases are the three of Nuida et al. ("An improvement
//! of discrete Tardos fingerprinting codes", Designs, Codes and Cryptography 52, 2009), made for
//! coalitions of up to six.
//!
//! A position is a number of 128 bits, CMAC(position key, family ‖ field ‖ anchor):
//! - bits 127 to 96 select: the cell is marked if they are below the field's [density](Density)
//! - bits 95 to 0 are the position's identity, [`Position::id`]. The class of the bias is their
//!   top 16 bits, the direction of ties the bit after
//! - a grant's symbol is one of eight lanes of 16 bits of E(bit key, identity ‖ index div 8), and
//!   is 1 if the lane is below the class's bias. So one block serves eight candidates of a trace
//!
//! E is the block cipher of the key's [suite](super::key::PrfSuite), AES-128 or SM4, and CMAC is over it. Kernels hold
//! positions and blocks as images (`cmac.rs`): the first byte is the least significant.

use std::fmt;

use aes::Block;

use super::carrier::Mark;
use super::cmac::{BlockPrf, LANES};
use super::key::{GrantIndex, MarkKey, SubKey};
use super::tag::TagCode;

/// Candidates that share a block.
pub(super) const OCTET: usize = 8;

/// Bits of a position's identity.
const ID_BITS: u32 = 96;

/// How strongly the symbols of a position are biased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A symbol is 1 with probability 7386/65536, 0.1127: Gauss and Legendre's first node.
    Low,
    /// With probability 1/2.
    Even,
    /// With probability 58150/65536, 0.8873.
    High,
}

impl Class {
    /// All classes, in their order.
    pub const ALL: [Self; 3] = [Self::Low, Self::Even, Self::High];

    /// Of 65536 lanes, how many make a 1.
    pub(super) fn ones(self) -> u16 {
        match self {
            Self::Low => 7_386,
            Self::Even => 32_768,
            Self::High => 58_150,
        }
    }

    /// The probability of a 1, exact.
    pub fn bias(self) -> f64 {
        f64::from(self.ones()) / 65_536.0
    }

    /// The share of the positions that are of this class: cut points at 0.332 and 0.668 of 2^16,
    /// symmetric, so that a 1 is as likely as a 0 over all.
    pub fn weight(self) -> f64 {
        match self {
            Self::Low | Self::High => f64::from(CUTS.0) / 65_536.0,
            Self::Even => f64::from(CUTS.1 - CUTS.0) / 65_536.0,
        }
    }
}

/// Where the classes begin and end, of 2^16.
const CUTS: (u16, u16) = (21_758, 43_778);

/// A cell's place in the code. Not a secret of its own, but of whoever holds the key: it tells that
/// two cells belong together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u128);

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Position(..)")
    }
}

impl Position {
    /// The position of that pseudo-random number.
    pub(super) fn new(number: u128) -> Self {
        Self(number)
    }

    /// Whether a field of that density is marked here.
    #[inline]
    pub(super) fn is_selected(self, density: Density) -> bool {
        self.0 >> ID_BITS < u128::from(density.0)
    }

    /// The identity: 96 bits, of which two positions of a dataset do not share the same in practice
    /// (a thousand million cells: one chance in 10^11).
    #[inline]
    pub fn id(self) -> u128 {
        self.0 & ((1 << ID_BITS) - 1)
    }

    /// The class of the bias.
    #[inline]
    pub fn class(self) -> Class {
        class_of(self.id())
    }
}

/// Of 65536 lanes, how many make a 1 at a position: [`Class::ones`] without a branch, for classes are
/// as good as drawn.
#[inline]
fn ones_at(drawn: u16) -> u16 {
    let steps = [
        (CUTS.0, Class::Even.ones() - Class::Low.ones()),
        (CUTS.1, Class::High.ones() - Class::Even.ones()),
    ];
    let [first, second] = steps.map(|(cut, step)| u16::from(drawn >= cut) * step);
    Class::Low.ones() + first + second
}

/// The class of a position, by its identity.
#[inline]
pub(super) fn class_of(id: u128) -> Class {
    let drawn = u16::try_from(id >> (ID_BITS - 16)).unwrap_or(u16::MAX);
    if drawn < CUTS.0 {
        Class::Low
    } else if drawn < CUTS.1 {
        Class::Even
    } else {
        Class::High
    }
}

/// The share of a field's carriers that are marked, in units of 2^-32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Density(u64);

impl Density {
    /// Every carrier is marked.
    pub const ALL: Self = Self(1 << 32);

    /// `part` of `whole` carriers; none where that is no share.
    pub fn of(part: u32, whole: u32) -> Option<Self> {
        let share = (u64::from(part) << 32).checked_div(u64::from(whole))?;
        (part <= whole).then_some(Self(share))
    }

    /// The share, from 0 to 1.
    pub fn share(self) -> f64 {
        // Below 2^33, and exact in a double.
        let (high, low) = (self.0 >> 32, self.0 & 0xFFFF_FFFF);
        let exact = |half: u64| u32::try_from(half).map_or(1.0, f64::from);
        exact(high) + exact(low) / 4_294_967_296.0
    }
}

/// The symbols of a dataset's positions, and the numbers of its tags, under its key.
pub struct Code {
    cipher: BlockPrf,
    tags: TagCode,
    draws: TagCode,
}

impl Code {
    /// The code under that key.
    pub fn new(key: &MarkKey) -> Self {
        let bit = key.sub_key(SubKey::Bit);
        Self {
            cipher: BlockPrf::new(key.suite(), &bit),
            tags: TagCode::new(key, SubKey::Tag),
            draws: TagCode::new(key, SubKey::Draw),
        }
    }

    /// The numbers of the grants' tags.
    pub(super) fn tags(&self) -> &TagCode {
        &self.tags
    }

    /// What grants draw among values that show one symbol.
    pub(super) fn draws(&self) -> &TagCode {
        &self.draws
    }

    /// One grant's symbols at many positions, in their order: what an embedding writes.
    pub fn symbols(&self, grant: GrantIndex, positions: &[Position]) -> Vec<bool> {
        let mut held = [Block::default(); LANES];
        let mut symbols = Vec::with_capacity(positions.len());
        for positions in positions.chunks(LANES) {
            let messages = positions.iter().map(|position| message(position.id()));
            let blocks = self.blocks(grant.octet(), messages, &mut held);
            symbols.extend(blocks.iter().zip(positions).map(|(block, position)| {
                let drawn = lane_of(block, grant.lane());
                drawn < position.class().ones()
            }));
        }
        symbols
    }

    /// Puts one grant's marks at these positions into `marks`, none where the cell has no anchor or
    /// isn't of the field's share; returns how many it put. At most [`LANES`] at once: what an
    /// embedding writes. Positions are images: their first four bytes select, the next two are the
    /// class, and the bit after is the direction of ties.
    pub(super) fn mark(
        &self,
        grant: GrantIndex,
        density: Density,
        (positions, is_anchored): (&[u128], &[bool]),
        marks: &mut [Mark],
    ) -> u64 {
        let lane = grant.lane();
        let mut held = [Block::default(); LANES];
        // Without the bytes that select, a position is the message of its identity.
        let messages = positions.iter().map(|position| position >> 32);
        let blocks = self.blocks(grant.octet(), messages, &mut held).iter();
        let mut selected = 0;
        let cells = positions.iter().zip(is_anchored).zip(marks);
        for (block, ((position, is_anchored), mark)) in blocks.zip(cells) {
            let class = low_bits(position >> 32).swap_bytes();
            let symbol = lane_of(block, lane) < ones_at(class);
            let tie = position >> 55 & 1 == 1;
            let drawn = u64::from(low_word(*position).swap_bytes());
            let is_selected = *is_anchored & (drawn < density.0);
            *mark = Mark::new(symbol, tie).only_if(is_selected);
            selected += u64::from(is_selected);
        }
        selected
    }

    /// Adds, for each of the eight candidates of an octet, at how many of the positions of these
    /// [messages](message) its symbol is 1: what a trace asks. All positions are of one class.
    pub(super) fn count_ones(
        &self,
        octet: u32,
        class: Class,
        messages: &[u128],
        counts: &mut [u32; OCTET],
    ) {
        let mut held = [Block::default(); LANES];
        for messages in messages.chunks(LANES) {
            let blocks = self.blocks(octet, messages.iter().copied(), &mut held);
            let few = count_below(blocks, class.ones());
            for (count, few) in counts.iter_mut().zip(few) {
                *count += u32::from(few);
            }
        }
    }

    /// The same for one candidate, where none of its octet beside it is asked for.
    pub(super) fn count_ones_of(&self, grant: GrantIndex, class: Class, messages: &[u128]) -> u32 {
        // Of most leaks half of the kinds of votes are empty, and this is asked for each of them, for every
        // grant.
        if messages.is_empty() {
            return 0;
        }
        let (lane, ones) = (grant.lane(), class.ones());
        let mut held = [Block::default(); LANES];
        let mut count = 0;
        for messages in messages.chunks(LANES) {
            let blocks = self.blocks(grant.octet(), messages.iter().copied(), &mut held);
            let few = blocks
                .iter()
                .map(|block| u32::from(lane_of(block, lane) < ones));
            count += few.sum::<u32>();
        }
        count
    }

    /// The block of each message, of which there are at most [`LANES`], in `held`.
    #[inline]
    fn blocks<'a>(
        &self,
        octet: u32,
        messages: impl ExactSizeIterator<Item = u128>,
        held: &'a mut [Block; LANES],
    ) -> &'a [Block] {
        // The identity's twelve bytes come first, the octet's four last.
        let octet = u128::from(octet.swap_bytes()) << ID_BITS;
        let (blocks, _) = held.split_at_mut(messages.len().min(LANES));
        for (block, message) in blocks.iter_mut().zip(messages) {
            *block = Block::from((message | octet).to_le_bytes());
        }
        self.cipher.encrypt(blocks);
        blocks
    }
}

/// What is put through the cipher for a position of that identity, but for the octet: an image.
#[inline]
pub(super) fn message(id: u128) -> u128 {
    // What the shift loses of a position is no part of its identity.
    (id << (u128::BITS - ID_BITS)).swap_bytes()
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// For each of the eight lanes, in how many of at most [`LANES`] blocks it is below `ones`: so few that
/// 16 bits hold the counts, and eight of them are added up at once.
fn count_below(blocks: &[Block], ones: u16) -> [u16; OCTET] {
    let mut counts = [0; OCTET];
    for block in blocks {
        for (count, drawn) in counts.iter_mut().zip(lanes(block)) {
            *count += u16::from(drawn < ones);
        }
    }
    counts
}

/// One of a block's eight numbers of 16 bits.
#[inline]
fn lane_of(block: &Block, lane: usize) -> u16 {
    let (pairs, _) = block.as_chunks::<2>();
    pairs.get(lane).map_or(0, |pair| u16::from_be_bytes(*pair))
}

/// A block as eight numbers of 16 bits, the first bytes first.
#[inline]
fn lanes(block: &Block) -> [u16; OCTET] {
    let (pairs, _) = block.as_chunks::<2>();
    let mut lanes = [0; OCTET];
    for (lane, pair) in lanes.iter_mut().zip(pairs) {
        *lane = u16::from_be_bytes(*pair);
    }
    lanes
}

/// The last 16 bits.
#[inline]
#[expect(
    clippy::as_conversions,
    reason = "kernel: the 16 bits of a class, cut off on purpose"
)]
fn low_bits(image: u128) -> u16 {
    image as u16
}

/// The last 32 bits.
#[inline]
#[expect(
    clippy::as_conversions,
    reason = "kernel: the 32 bits that select, cut off on purpose"
)]
fn low_word(image: u128) -> u32 {
    image as u32
}

#[cfg(test)]
#[expect(clippy::as_conversions, reason = "counts of a test as shares of one")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::marks::key::PrfSuite;

    #[test]
    fn a_position_does_not_print_its_number() {
        assert_eq!(format!("{:?}", Position::new(1234)), "Position(..)");
    }

    fn code(dataset: &str) -> Code {
        Code::new(&MarkKey::derive(&[7; 32], dataset, 1, 1))
    }

    /// The direction of a move for which both are equal.
    fn tie(position: Position) -> bool {
        position.0 >> (ID_BITS - 17) & 1 == 1
    }

    /// Positions that look random: multiples of an odd number.
    fn positions(count: u128) -> Vec<Position> {
        (1..=count)
            .map(|index| Position(index.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)))
            .collect()
    }

    #[test]
    fn the_biases_are_those_of_nuida_and_mirror_each_other() {
        assert_eq!(
            u32::from(Class::Low.ones()) + u32::from(Class::High.ones()),
            65_536
        );
        let node = |sign: f64| 0.5 + sign * (3.0_f64 / 5.0).sqrt() / 2.0;
        assert!((Class::Low.bias() - node(-1.0)).abs() < 1e-5);
        assert!((Class::High.bias() - node(1.0)).abs() < 1e-5);
        let weights: f64 = Class::ALL.iter().map(|class| class.weight()).sum();
        assert!((weights - 1.0).abs() < 1e-15);
        let ones: f64 = Class::ALL
            .iter()
            .map(|class| class.weight() * class.bias())
            .sum();
        assert!((ones - 0.5).abs() < 1e-15);
    }

    #[test]
    fn a_density_selects_its_share() {
        let positions = positions(40_000);
        for (part, whole) in [(0, 1), (1, 4), (1, 2), (9, 10), (1, 1)] {
            let density = Density::of(part, whole).unwrap();
            let selected = positions
                .iter()
                .filter(|at| at.is_selected(density))
                .count();
            let share = selected as f64 / 40_000.0;
            assert!(
                (share - density.share()).abs() < 0.01,
                "{part}/{whole}: {share}"
            );
        }
        assert_eq!(Density::of(1, 1), Some(Density::ALL));
        assert_eq!(Density::of(2, 1), None);
        assert_eq!(Density::of(0, 0), None);
        assert!((Density::of(1, 4).unwrap().share() - 0.25).abs() < 1e-9);
    }

    #[test]
    fn classes_and_symbols_have_their_shares() {
        let positions = positions(40_000);
        let symbols = code("residents").symbols(GrantIndex(12_345), &positions);
        for class in Class::ALL {
            let of_class = |at: &&(&Position, &bool)| at.0.class() == class;
            let all: Vec<_> = positions.iter().zip(&symbols).collect();
            let all: Vec<_> = all.iter().filter(of_class).collect();
            let share = all.len() as f64 / 40_000.0;
            assert!((share - class.weight()).abs() < 0.01, "{class:?} {share}");
            let ones = all.iter().filter(|(_, symbol)| **symbol).count();
            let ones = ones as f64 / all.len() as f64;
            assert!((ones - class.bias()).abs() < 0.02, "{class:?} {ones}");
        }
    }

    #[test]
    fn grants_and_keys_differ() {
        let positions = positions(1_000);
        let one = code("residents").symbols(GrantIndex(0), &positions);
        for other in [
            code("residents").symbols(GrantIndex(1), &positions),
            code("residents").symbols(GrantIndex(8), &positions),
            code("residents").symbols(GrantIndex(1 << 31), &positions),
            code("companies").symbols(GrantIndex(0), &positions),
        ] {
            let same = one.iter().zip(&other).filter(|(a, b)| a == b).count();
            // Two innocent copies agree at 0.7 of the positions.
            assert!((600..760).contains(&same), "{same}");
        }
    }

    #[test]
    fn a_symbol_is_a_lane_of_the_block_of_identity_and_octet() {
        let grant = GrantIndex(0x0102_0304 << 3 | 5);
        let at = Position(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        for suite in [PrfSuite::Aes, PrfSuite::Sm4] {
            let key = MarkKey::derive(&[7; 32], "residents", 1, 1).of_suite(suite);
            let message = 0x4455_6677_8899_aabb_ccdd_eeff_0102_0304_u128;
            let mut blocks = [Block::from(message.to_be_bytes())];
            BlockPrf::new(suite, &key.sub_key(SubKey::Bit)).encrypt(&mut blocks);
            let drawn = u16::from_be_bytes([blocks[0][10], blocks[0][11]]);
            let expected = drawn < at.class().ones();
            let symbols = Code::new(&key).symbols(grant, &[at]);
            assert_eq!(symbols, [expected], "{suite}");
        }
    }

    #[test]
    fn the_suites_have_nothing_in_common() {
        let positions = positions(1_000);
        let key = MarkKey::derive(&[7; 32], "residents", 1, 1);
        let [aes, sm4] = [PrfSuite::Aes, PrfSuite::Sm4]
            .map(|suite| Code::new(&key.of_suite(suite)).symbols(GrantIndex(0), &positions));
        let same = aes.iter().zip(&sm4).filter(|(a, b)| a == b).count();
        assert!((600..760).contains(&same), "{same}");
    }

    #[test]
    fn the_ones_of_a_position_are_those_of_its_class() {
        for drawn in 0..=u16::MAX {
            let id = u128::from(drawn) << (ID_BITS - 16);
            assert_eq!(ones_at(drawn), class_of(id).ones());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn marks_are_symbols_and_ties_of_selected_cells(
            cells in prop::collection::vec((any::<u128>(), any::<bool>()), 0..=LANES),
            grant: u32,
            part in 0_u32..=4,
        ) {
            let (code, grant) = (code("residents"), GrantIndex(grant));
            let density = Density::of(part, 4).unwrap();
            let (numbers, is_anchored): (Vec<u128>, Vec<bool>) = cells.into_iter().unzip();
            let positions: Vec<Position> = numbers.iter().copied().map(Position).collect();
            let symbols = code.symbols(grant, &positions);
            let expected: Vec<Mark> = positions
                .iter()
                .zip(symbols)
                .zip(&is_anchored)
                .map(|((at, symbol), is_anchored)| {
                    let is_selected = *is_anchored && at.is_selected(density);
                    Mark::new(symbol, tie(*at)).only_if(is_selected)
                })
                .collect();
            let mut marks = vec![Mark::NONE; numbers.len()];
            let images: Vec<u128> = numbers.iter().map(|number| number.swap_bytes()).collect();
            let selected = code.mark(grant, density, (&images, &is_anchored), &mut marks);
            prop_assert_eq!(&marks, &expected);
            let some = expected.iter().filter(|mark| mark.is_some()).count();
            prop_assert_eq!(usize::try_from(selected).unwrap(), some);
        }

        #[test]
        fn a_symbol_depends_on_key_position_and_grant_alone(
            numbers in prop::collection::vec(any::<u128>(), 1..400),
            grant: u32,
            cut in any::<prop::sample::Index>(),
        ) {
            let code = code("residents");
            let grant = GrantIndex(grant);
            let mut positions: Vec<Position> = numbers.into_iter().map(Position).collect();
            let symbols = code.symbols(grant, &positions);
            let (before, after) = positions.split_at(cut.index(positions.len()));
            let parts = [code.symbols(grant, before), code.symbols(grant, after)].concat();
            prop_assert_eq!(&symbols, &parts);
            positions.reverse();
            let mut backwards = code.symbols(grant, &positions);
            backwards.reverse();
            prop_assert_eq!(symbols, backwards);
        }

        #[test]
        fn a_trace_counts_what_an_embedding_writes(
            numbers in prop::collection::vec(any::<u128>(), 0..300),
            grant: u32,
        ) {
            let code = code("residents");
            let positions: Vec<Position> = numbers.into_iter().map(Position).collect();
            for class in Class::ALL {
                let positions: Vec<Position> =
                    positions.iter().copied().filter(|at| at.class() == class).collect();
                let messages: Vec<u128> = positions.iter().map(|at| message(at.id())).collect();
                let mut counts = [0; OCTET];
                code.count_ones(grant >> 3, class, &messages, &mut counts);
                for (lane, count) in (0_u32..).zip(counts) {
                    let grant = GrantIndex(grant & !7 | lane);
                    let symbols = code.symbols(grant, &positions);
                    let ones = symbols.iter().filter(|symbol| **symbol).count();
                    prop_assert_eq!(usize::try_from(count).unwrap(), ones);
                    prop_assert_eq!(count, code.count_ones_of(grant, class, &messages));
                }
            }
        }
    }
}
