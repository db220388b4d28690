//! Symbols in whole numbers: which of two interleaved sets of cells a number lies in.
//!
//! The line is cut into cells of `step` units, and the symbol is the parity of the cell (quantisation
//! index modulation: Chen and Wornell, IEEE Trans. Inf. Theory 47(4), 2001). A number in a cell of
//! the wrong parity is *reflected*, not rounded, so that the low digits keep their distribution and
//! no trace of the cells:
//! - [at the nearer border](Reflection::AtBorder) of its cell: by at most `step` units, or one less
//!   where the step is even. A larger step survives coarser rounding of the leak
//! - [within its block](Reflection::InBlock) of two cells: by at most `2·step - 1` units. The block
//!   stays, so that the cell is found again by its own value alone. Several blocks may be one place, so
//!   that whoever moves values by a block leaves most of them where they are found

use super::{CELLS, Mark, Skip};
use crate::marks::distortion::{Few, Skipped};
use crate::marks::predict::Reflection;
use crate::number::Divider;

/// Longest step: cells and their sums stay far within 128 bits.
const STEP_MAX: u64 = 1 << 60;

/// Cells on the line of whole numbers, and what a number must not become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lattice {
    /// Units of a cell, from 1 to [`STEP_MAX`].
    step: u64,
    is_in_block: bool,
    /// Of how many blocks a place is made, as a power of two.
    span_bits: u32,
    least: i128,
    greatest: i128,
    keeps_sign: bool,
    sentinels: Vec<i128>,
}

impl Lattice {
    /// The lattice of that reflection; none for a step of 0, or beyond 2^60.
    pub fn new(reflection: Reflection) -> Option<Self> {
        let (step, is_in_block) = match reflection {
            Reflection::AtBorder { step } => (step, false),
            Reflection::InBlock { step } => (step, true),
        };
        (1..=STEP_MAX).contains(&step).then_some(Self {
            step,
            is_in_block,
            span_bits: 0,
            least: i128::MIN,
            greatest: i128::MAX,
            keeps_sign: false,
            sentinels: Vec::new(),
        })
    }

    /// The lattice of the largest step that moves no number by more than `tolerance` units; none
    /// where that is below one unit.
    pub fn within(tolerance: i128, is_in_block: bool) -> Option<Self> {
        let tolerance = u64::try_from(tolerance.min(STEP_MAX.into())).ok()?;
        if tolerance == 0 {
            return None;
        }
        Self::new(if is_in_block {
            let step = tolerance.div_ceil(2);
            Reflection::InBlock { step }
        } else {
            // Even steps move by one unit less than their length, odd ones by all of it.
            let step = (tolerance + tolerance % 2).min(STEP_MAX);
            Reflection::AtBorder { step }
        })
    }

    /// Numbers stay between these, both included.
    #[must_use]
    pub fn with_bounds(self, least: i128, greatest: i128) -> Self {
        Self {
            least: self.least.max(least),
            greatest: self.greatest.min(greatest),
            ..self
        }
    }

    /// Zero stays zero, and the sign of everything else stays.
    #[must_use]
    pub fn with_sign(self) -> Self {
        Self {
            keeps_sign: true,
            ..self
        }
    }

    /// These numbers have a meaning of their own, and nothing becomes one of them.
    #[must_use]
    pub fn with_sentinels(self, sentinels: Vec<i128>) -> Self {
        Self { sentinels, ..self }
    }

    /// So many blocks that follow on each other are one [place](Self::block): the next power of two below,
    /// from 1 on.
    #[must_use]
    pub fn with_span(self, span: u32) -> Self {
        Self {
            span_bits: span.max(1).ilog2(),
            ..self
        }
    }

    /// How numbers are moved.
    pub fn reflection(&self) -> Reflection {
        let step = self.step;
        if self.is_in_block {
            Reflection::InBlock { step }
        } else {
            Reflection::AtBorder { step }
        }
    }

    /// Whether numbers stay in their block.
    pub(super) fn is_in_block(&self) -> bool {
        self.is_in_block
    }

    /// The symbol a number shows.
    ///
    /// # Errors
    /// The number is a sentinel, or zero where that stays.
    #[inline]
    pub fn read(&self, number: i128) -> Result<bool, Skip> {
        self.check(number)?;
        Ok(self.cell(number).0 & 1 == 1)
    }

    /// The number that shows the symbol of `mark`.
    ///
    /// # Errors
    /// Why it can't be made to.
    #[inline]
    pub fn write(&self, number: i128, mark: Mark) -> Result<i128, Skip> {
        self.check(number)?;
        let (cell, rest) = self.cell(number);
        let shows = cell & 1 == 1;
        if shows == mark.symbol() {
            return Ok(number);
        }
        let (step, rest) = (i128::from(self.step), i128::from(rest));
        // To the mirror images at the lower and at the upper border of the cell.
        let (down, up) = (-(2 * rest + 1), 2 * (step - 1 - rest) + 1);
        let is_up = if self.is_in_block {
            // The border to the block's other cell.
            !shows
        } else {
            up < -down || (up == -down && mark.tie())
        };
        let moved = number.checked_add(if is_up { up } else { down });
        let moved = moved.ok_or(Skip::Bounds)?;
        if !(self.least..=self.greatest).contains(&moved) {
            return Err(Skip::Bounds);
        }
        if self.keeps_sign && moved.signum() != number.signum() {
            return Err(Skip::Sign);
        }
        if self.sentinels.contains(&moved) {
            return Err(Skip::Sentinel);
        }
        Ok(moved)
    }

    /// What reflection within blocks leaves of a number: its place, of one block or several.
    #[inline]
    pub fn block(&self, number: i128) -> i128 {
        self.cell(number).0 >> (1 + self.span_bits)
    }

    /// The same for numbers of few digits; none where the step is too long for them.
    pub(super) fn narrow(&self) -> Option<Narrow> {
        let step = i64::try_from(self.step).ok();
        let step = step.filter(|step| *step <= STEP_NARROW)?;
        let bound = |number: i128| {
            let least = i128::from(i64::MIN);
            let number = number.clamp(least, i64::MAX.into());
            i64::try_from(number).unwrap_or_default()
        };
        let sentinels = self.sentinels.iter();
        Some(Narrow {
            step,
            divider: Divider::new(self.step),
            is_in_block: self.is_in_block,
            span_bits: self.span_bits,
            least: bound(self.least),
            greatest: bound(self.greatest),
            keeps_sign: self.keeps_sign,
            sentinels: sentinels
                .filter_map(|number| i64::try_from(*number).ok())
                .collect(),
        })
    }

    /// Whether a value that is another now may become this number.
    pub(super) fn may_become(&self, number: i128) -> bool {
        (self.least..=self.greatest).contains(&number) && self.check(number).is_ok()
    }

    fn check(&self, number: i128) -> Result<(), Skip> {
        if self.sentinels.contains(&number) {
            return Err(Skip::Sentinel);
        }
        if self.keeps_sign && number == 0 {
            return Err(Skip::Sign);
        }
        Ok(())
    }

    /// The cell of a number, and its distance from the cell's beginning.
    #[inline]
    fn cell(&self, number: i128) -> (i128, u64) {
        // The division of 128 bits takes several times as long.
        if let (Ok(number), Ok(step)) = (i64::try_from(number), i64::try_from(self.step)) {
            // One division where `div_euclid` and `rem_euclid` take two.
            let (cell, rest) = (number / step, number % step);
            let below = i64::from(rest < 0);
            return ((cell - below).into(), (rest + below * step).unsigned_abs());
        }
        let step = i128::from(self.step);
        let rest = u64::try_from(number.rem_euclid(step)).unwrap_or_default();
        (number.div_euclid(step), rest)
    }
}

/// Greatest magnitude of a number of few digits: sums of such numbers, and of their squares, are
/// small enough to be added up in words of the machine.
pub(super) const NARROW: u64 = 1 << 47;

/// Longest step by which they are moved: they stay below 2^48.
const STEP_NARROW: i64 = 1 << 45;

/// A [`Lattice`] for numbers of few digits: the same, in 64 bits and without a branch that depends on
/// a mark, half of which would be guessed wrong.
#[derive(Debug, Clone)]
pub(super) struct Narrow {
    step: i64,
    /// None for a step of 1.
    divider: Option<Divider>,
    is_in_block: bool,
    span_bits: u32,
    least: i64,
    greatest: i64,
    keeps_sign: bool,
    sentinels: Vec<i64>,
}

/// Some cells of a column.
#[derive(Debug)]
pub(super) struct Cells {
    /// Their numbers; zero for those without one.
    pub(super) numbers: [i64; CELLS],
    /// Whether they aren't null.
    pub(super) is_valid: [bool; CELLS],
    /// Whether they have a number.
    pub(super) is_number: [bool; CELLS],
    /// The numbers with their marks.
    pub(super) marked: [i64; CELLS],
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            numbers: [0; CELLS],
            is_valid: [false; CELLS],
            is_number: [false; CELLS],
            marked: [0; CELLS],
        }
    }
}

impl Narrow {
    /// Writes marks into the first cells, as many as there are marks, and counts what that did.
    pub(super) fn write(&self, cells: &mut Cells, marks: &[Mark], skipped: &mut Skipped) -> Few {
        let is_all = cells.is_number.iter().take(marks.len()).all(|is_so| *is_so);
        let (few, is_any_skipped) = match (is_all, self.sentinels.is_empty()) {
            (true, true) => self.write_as::<true, false>(cells, marks),
            (true, false) => self.write_as::<true, true>(cells, marks),
            (false, true) => self.write_as::<false, false>(cells, marks),
            (false, false) => self.write_as::<false, true>(cells, marks),
        };
        if is_any_skipped {
            self.count_skips(cells, marks, skipped);
        }
        few
    }

    /// The same where all cells have a number, or not, and where there are values of special meaning, or
    /// not. Tells whether any mark was skipped.
    fn write_as<const ALL: bool, const SENTINELS: bool>(
        &self,
        cells: &mut Cells,
        marks: &[Mark],
    ) -> (Few, bool) {
        let mut few = Few::default();
        let mut is_any_skipped = false;
        let numbers = cells.numbers.iter().zip(&cells.is_number);
        let slots = numbers.zip(&mut cells.marked);
        for (mark, ((number, is_number), slot)) in marks.iter().zip(slots) {
            let (number, is_number) = (*number, ALL | *is_number);
            let (shows, moved) = self.mirrored(number, *mark);
            let is_open = !(self.keeps_sign & (number == 0));
            let is_free = !SENTINELS || !(self.is_sentinel(number) | self.is_sentinel(moved));
            let is_fit = self.is_within(moved) & self.is_alike(number, moved);
            let is_marked = is_number & mark.is_some();
            let is_wrong = shows != mark.symbol();
            let is_moved = is_marked & is_wrong & is_open & is_fit & is_free;
            // One of special meaning is skipped whatever it shows.
            let is_shown = !is_wrong & is_open & (!SENTINELS || !self.is_sentinel(number));
            is_any_skipped |= mark.is_some() & !(is_moved | is_number & is_shown);
            let by = (moved - number) * i64::from(is_moved);
            few.add(number, by, is_number);
            *slot = number + by;
        }
        (few, is_any_skipped)
    }

    /// Counts why marks were skipped, cell by cell: in few places there are any.
    #[cold]
    fn count_skips(&self, cells: &Cells, marks: &[Mark], skipped: &mut Skipped) {
        let kinds = cells.is_number.iter().zip(&cells.is_valid);
        let marked = marks.iter().zip(cells.numbers.iter().zip(kinds));
        for (mark, (number, (is_number, is_valid))) in marked.filter(|(mark, _)| mark.is_some()) {
            if !is_number {
                if *is_valid {
                    skipped.add(Skip::NoCarrier);
                }
                continue;
            }
            let (shows, moved) = self.mirrored(*number, *mark);
            if self.is_sentinel(*number) {
                skipped.add(Skip::Sentinel);
            } else if self.keeps_sign && *number == 0 {
                skipped.add(Skip::Sign);
            } else if shows == mark.symbol() {
                // Shown as it is.
            } else if !self.is_within(moved) {
                skipped.add(Skip::Bounds);
            } else if !self.is_alike(*number, moved) {
                skipped.add(Skip::Sign);
            } else if self.is_sentinel(moved) {
                skipped.add(Skip::Sentinel);
            }
        }
    }

    /// The symbol that a number shows, and its mirror image, which shows the other one.
    #[inline]
    fn mirrored(&self, number: i64, mark: Mark) -> (bool, i64) {
        let (cell, rest) = self.cell(number);
        let shows = cell & 1 == 1;
        // The border to the block's other cell, or the nearer one.
        let is_nearer = 2 * rest + i64::from(mark.tie()) > self.step - 1;
        let is_up = if self.is_in_block { !shows } else { is_nearer };
        // To the mirror image at the lower border, and from there to that at the upper.
        let moved = number - (2 * rest + 1) + 2 * self.step * i64::from(is_up);
        (shows, moved)
    }

    #[inline]
    fn is_sentinel(&self, number: i64) -> bool {
        let is_it = |is_one, sentinel: &i64| is_one | (*sentinel == number);
        self.sentinels.iter().fold(false, is_it)
    }

    #[inline]
    fn is_within(&self, number: i64) -> bool {
        (number >= self.least) & (number <= self.greatest)
    }

    /// Whether two numbers, of which the first isn't zero, have one sign, if that is to stay.
    #[inline]
    fn is_alike(&self, number: i64, moved: i64) -> bool {
        !self.keeps_sign | ((moved != 0) & ((moved ^ number) >= 0))
    }

    /// What reflection within blocks leaves of a number: its place.
    #[inline]
    pub(super) fn block(&self, number: i64) -> i64 {
        self.cell(number).0 >> (1 + self.span_bits)
    }

    /// Whether a value that is another now may become this number.
    #[inline]
    pub(super) fn may_become(&self, number: i64) -> bool {
        let is_zero = self.keeps_sign & (number == 0);
        self.is_within(number) & !is_zero && !self.is_sentinel(number)
    }

    /// The cell of a number, and its distance from the cell's beginning.
    #[inline]
    fn cell(&self, number: i64) -> (i64, i64) {
        // Of a negative number, that of its complement is the complement of its cell.
        let sign = number >> 63;
        let magnitude = (number ^ sign).unsigned_abs();
        let cell = match self.divider {
            Some(divider) => divider.divide(magnitude).0,
            None => magnitude,
        };
        let cell = cell.cast_signed() ^ sign;
        (cell, number - cell * self.step)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::marks::distortion::{Counting, Distortion};

    fn mark(symbol: bool, tie: bool) -> Mark {
        Mark::new(symbol, tie)
    }

    fn lattice(step: u64, is_in_block: bool) -> Lattice {
        Lattice::new(if is_in_block {
            Reflection::InBlock { step }
        } else {
            Reflection::AtBorder { step }
        })
        .unwrap()
    }

    #[test]
    fn numbers_are_mirrored_at_the_nearer_border() {
        let five = lattice(5, false);
        let moved = |number, symbol| five.write(number, mark(symbol, true)).unwrap();
        // Cell 4 holds 20 to 24.
        assert_eq!(
            [20, 21, 22, 23, 24].map(|number| moved(number, true)),
            [19, 18, 27, 26, 25]
        );
        assert_eq!(
            [20, 22, 24].map(|number| moved(number, false)),
            [20, 22, 24]
        );
        assert_eq!(five.write(22, mark(true, false)), Ok(17));
        assert_eq!(moved(-1, false), 0);
    }

    #[test]
    fn numbers_are_mirrored_within_their_block() {
        let two = lattice(2, true);
        // The block of 8 to 11.
        let moved = |number, symbol| two.write(number, mark(symbol, true)).unwrap();
        assert_eq!(
            [8, 9, 10, 11].map(|number| moved(number, true)),
            [11, 10, 10, 11]
        );
        assert_eq!(
            [8, 9, 10, 11].map(|number| moved(number, false)),
            [8, 9, 9, 8]
        );
        assert_eq!(
            [-4, -3, -2, -1].map(|number| moved(number, true)),
            [-1, -2, -2, -1]
        );
        assert_eq!(two.block(11), two.block(8));
        assert_ne!(two.block(-1), two.block(0));
    }

    #[test]
    fn a_span_holds_its_blocks() {
        let one = lattice(2, true);
        let four = one.clone().with_span(4);
        // Blocks of four units, places of sixteen.
        let places = [-17, -16, -1, 0, 15, 16].map(|number| four.block(number));
        assert_eq!(places, [-2, -1, -1, 0, 0, 1]);
        for number in -100..100 {
            assert_eq!(four.block(number), one.block(number).div_euclid(4));
            for symbol in [false, true] {
                let moved = four.write(number, mark(symbol, true));
                assert_eq!(moved, one.write(number, mark(symbol, true)));
                assert_eq!(four.block(moved.unwrap()), four.block(number));
            }
        }
        assert_eq!(one.clone().with_span(0), one);
        assert_eq!(one.with_span(7), four);
    }

    #[test]
    fn the_largest_step_is_taken() {
        let steps = |is_in_block| {
            [1, 2, 3, 4, 5, 100].map(|units| Lattice::within(units, is_in_block).unwrap().step)
        };
        assert_eq!(steps(false), [2, 2, 4, 4, 6, 100]);
        assert_eq!(steps(true), [1, 1, 2, 2, 3, 50]);
        assert_eq!(Lattice::within(0, false), None);
        assert_eq!(Lattice::within(-1, true), None);
        assert!(Lattice::within(i128::MAX, false).is_some());
        assert!(Lattice::new(Reflection::AtBorder { step: 0 }).is_none());
    }

    #[test]
    fn bounds_signs_and_sentinels_stand() {
        let guarded = lattice(4, false)
            .with_bounds(-100, 99)
            .with_sign()
            .with_sentinels(vec![42]);
        // Cell 24 holds 96 to 99, and is left at either border.
        assert_eq!(guarded.write(99, mark(true, true)), Err(Skip::Bounds));
        assert_eq!(guarded.write(96, mark(true, true)), Ok(95));
        assert_eq!(guarded.write(0, mark(true, true)), Err(Skip::Sign));
        assert_eq!(guarded.read(0), Err(Skip::Sign));
        assert_eq!(guarded.write(1, mark(true, true)), Err(Skip::Sign));
        assert_eq!(guarded.write(-1, mark(false, true)), Err(Skip::Sign));
        assert_eq!(guarded.read(42), Err(Skip::Sentinel));
        assert_eq!(guarded.write(42, mark(true, true)), Err(Skip::Sentinel));
        // Cell 11 holds 44 to 47; 45 would become 42.
        assert_eq!(guarded.write(45, mark(false, true)), Err(Skip::Sentinel));
        assert_eq!(guarded.write(45, mark(true, true)), Ok(45));
    }

    proptest! {
        #[test]
        fn few_digits_are_moved_as_many_are(
            cells in prop::collection::vec(
                (
                    prop_oneof![
                        -60..60_i64,
                        -(1_i64 << 47)..=1 << 47,
                        Just(1 << 47),
                        Just(-(1 << 47)),
                    ],
                    0_u8..8,
                    any::<(bool, bool)>(),
                ),
                1..=CELLS,
            ),
            step in prop_oneof![1_u64..20, 1_u64..=1 << 45, Just(1 << 45)],
            is_in_block: bool,
            is_bounded: bool,
            keeps_sign: bool,
            span in 1_u32..10,
            sentinels in prop::collection::vec(-60..60_i128, 0..10),
        ) {
            let mut lattice = lattice(step, is_in_block).with_span(span).with_sentinels(sentinels);
            if is_bounded {
                lattice = lattice.with_bounds(-50, 1 << 46);
            }
            if keeps_sign {
                lattice = lattice.with_sign();
            }
            let narrow = lattice.narrow().unwrap();
            let (mut few, mut skipped) = (Cells::default(), Skipped::default());
            let (mut counted, mut counting) = (Distortion::default(), Distortion::default());
            let mut marks = Vec::new();
            for (at, (number, kind, (symbol, tie))) in cells.iter().enumerate() {
                let (is_valid, is_number) = (*kind > 0, *kind > 1);
                few.is_valid[at] = is_valid;
                few.is_number[at] = is_number;
                few.numbers[at] = if is_number { *number } else { 0 };
                marks.push(Mark::new(*symbol, *tie).only_if(*kind > 2));
            }
            let all = narrow.write(&mut few, &marks, &mut skipped);
            for (at, (number, ..)) in cells.iter().enumerate() {
                let wide = i128::from(*number);
                prop_assert_eq!(i128::from(narrow.block(*number)), lattice.block(wide));
                prop_assert_eq!(narrow.may_become(*number), lattice.may_become(wide));
                let mark = marks[at];
                if !few.is_number[at] {
                    prop_assert_eq!(few.marked[at], 0);
                    if few.is_valid[at] && mark.is_some() {
                        counted.skipped.add(Skip::NoCarrier);
                    }
                    continue;
                }
                let written = match mark.is_some() {
                    true => lattice.write(wide, mark),
                    false => Ok(wide),
                };
                let after = counted.skipped.written_or(written, wide);
                prop_assert_eq!(i128::from(few.marked[at]), after);
                counted.add(wide, after);
            }
            let mut total = Counting::default();
            total.add_few(&all);
            total.add_to(&mut counting);
            counting.skipped = skipped;
            prop_assert_eq!(counting, counted);
        }

        #[test]
        fn a_number_moves_within_the_tolerance_and_shows_the_symbol(
            number in prop_oneof![any::<i128>(), any::<i64>().prop_map(i128::from), -1_000..1_000_i128],
            tolerance in prop_oneof![1_i128..200, 1_i128..1 << 62],
            is_in_block: bool,
            symbol: bool,
            tie: bool,
        ) {
            let lattice = Lattice::within(tolerance, is_in_block).unwrap();
            let mark = mark(symbol, tie);
            match lattice.write(number, mark) {
                Ok(moved) => {
                    prop_assert!(moved.abs_diff(number) <= tolerance.unsigned_abs());
                    prop_assert_eq!(lattice.read(moved), Ok(symbol));
                    prop_assert_eq!(lattice.write(moved, mark), Ok(moved));
                    if is_in_block {
                        prop_assert_eq!(lattice.block(moved), lattice.block(number));
                    }
                }
                Err(skip) => {
                    prop_assert_eq!(skip, Skip::Bounds);
                    prop_assert!(number.unsigned_abs() > 1 << 126);
                }
            }
        }

        #[test]
        fn nothing_leaves_bounds_changes_sign_or_becomes_a_sentinel(
            number in -60..60_i128,
            step in 1_u64..20,
            is_in_block: bool,
            symbol: bool,
            tie: bool,
            sentinels in prop::collection::vec(-60..60_i128, 0..10),
        ) {
            let lattice = lattice(step, is_in_block)
                .with_bounds(-60, 59)
                .with_sign()
                .with_sentinels(sentinels.clone());
            if let Ok(moved) = lattice.write(number, mark(symbol, tie)) {
                prop_assert!((-60..60).contains(&moved));
                prop_assert_eq!(moved.signum(), number.signum());
                prop_assert!(number != 0 && !sentinels.contains(&moved) && !sentinels.contains(&number));
                prop_assert_eq!(lattice.read(moved), Ok(symbol));
            }
        }
    }
}
