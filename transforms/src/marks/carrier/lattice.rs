//! Symbols in whole numbers: which of two interleaved sets of cells a number lies in.
//!
//! The line is cut into cells of `step` units, and the symbol is the parity of the cell (quantisation
//! index modulation: Chen and Wornell, IEEE Trans. Inf. Theory 47(4), 2001). A number in a cell of
//! the wrong parity is *reflected*, not rounded, so that the low digits keep their distribution and
//! no trace of the cells:
//! - [at the nearer border](Reflection::AtBorder) of its cell: by at most `step` units, or one less
//!   where the step is even. A larger step survives coarser rounding of the leak
//! - [within its block](Reflection::InBlock) of two cells: by at most `2·step - 1` units. The block
//!   stays, so that the cell is found again by its own value alone

use super::{Mark, Skip};
use crate::marks::predict::Reflection;

/// Longest step: cells and their sums stay far within 128 bits.
const STEP_MAX: u64 = 1 << 60;

/// Cells on the line of whole numbers, and what a number must not become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lattice {
    /// Units of a cell, from 1 to [`STEP_MAX`].
    step: u64,
    is_in_block: bool,
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

    /// How numbers are moved.
    pub fn reflection(&self) -> Reflection {
        let step = self.step;
        if self.is_in_block {
            Reflection::InBlock { step }
        } else {
            Reflection::AtBorder { step }
        }
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
        if shows == mark.symbol {
            return Ok(number);
        }
        let (step, rest) = (i128::from(self.step), i128::from(rest));
        // To the mirror images at the lower and at the upper border of the cell.
        let (down, up) = (-(2 * rest + 1), 2 * (step - 1 - rest) + 1);
        let is_up = if self.is_in_block {
            // The border to the block's other cell.
            !shows
        } else {
            up < -down || (up == -down && mark.tie)
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

    /// What reflection within blocks leaves of a number.
    #[inline]
    pub fn block(&self, number: i128) -> i128 {
        self.cell(number).0 >> 1
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(symbol: bool, tie: bool) -> Mark {
        Mark { symbol, tie }
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
