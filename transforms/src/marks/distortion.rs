//! What marks did to the values of a field: counted, not estimated.
//!
//! Sums are exact, or unknown where 256 bits don't hold them, and merging is addition, so that batches
//! may come in any order and number: the result is that of the whole table.

use arrow::datatypes::i256;

use super::carrier::Skip;

/// What was counted of one field, in units of its carrier: the last digit of a decimal's scale, a
/// declared decimal of a float, the grain of a time. Synonyms have no units: only counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distortion {
    /// Rows seen.
    pub rows: u64,
    /// Cells that were to show a symbol.
    pub selected: u64,
    /// Cells that hold another value now.
    pub changed: u64,
    /// Rows without a mark, and why.
    pub skipped: Skipped,
    /// The sum of all moves: 256 bits hold those of 2^64 numbers of 128 bits.
    pub moves: i256,
    /// The sum of their squares.
    pub squares: Squares,
    /// The furthest that a value was moved. Above the tolerance, the delivery is to be held.
    pub furthest: u128,
    /// The numbers as they were.
    pub before: Totals,
    /// The numbers as they are.
    pub after: Totals,
}

/// How many cells have no mark, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Null.
    pub null: u64,
    /// The row has no anchor.
    pub no_anchor: u64,
    /// [`Skip::NoCarrier`], of those selected; so are the others.
    pub no_carrier: u64,
    /// [`Skip::Sentinel`].
    pub sentinel: u64,
    /// [`Skip::Sign`].
    pub sign: u64,
    /// [`Skip::Bounds`].
    pub bounds: u64,
}

impl Skipped {
    /// Counts one.
    pub(super) fn add(&mut self, skip: Skip) {
        let counter = match skip {
            Skip::NoCarrier => &mut self.no_carrier,
            Skip::Sentinel => &mut self.sentinel,
            Skip::Sign => &mut self.sign,
            Skip::Bounds => &mut self.bounds,
        };
        *counter += 1;
    }

    /// What was written in the place of a value, or the value, which is counted as skipped.
    pub(super) fn written_or<T>(&mut self, written: Result<T, Skip>, before: T) -> T {
        written.unwrap_or_else(|skip| {
            self.add(skip);
            before
        })
    }

    fn merge(&mut self, other: Self) {
        self.null += other.null;
        self.no_anchor += other.no_anchor;
        self.no_carrier += other.no_carrier;
        self.sentinel += other.sentinel;
        self.sign += other.sign;
        self.bounds += other.bounds;
    }
}

/// A sum of squares; unknown once 256 bits don't hold it. It never shrinks, so whether it is known
/// doesn't depend on the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Squares(Option<i256>);

impl Default for Squares {
    fn default() -> Self {
        Self(Some(i256::ZERO))
    }
}

impl Squares {
    #[inline]
    fn add_square_of(&mut self, number: i256) {
        self.add(Self(number.checked_mul(number)));
    }

    fn add(&mut self, other: Self) {
        self.0 = self
            .0
            .zip(other.0)
            .and_then(|(sum, other)| sum.checked_add(other));
    }
}

/// Sums over the numbers of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many there are.
    pub count: u64,
    /// Their sum, as that of the moves.
    pub sum: i256,
    /// The sum of their squares.
    pub squares: Squares,
    /// The least.
    pub least: Option<i128>,
    /// The greatest.
    pub greatest: Option<i128>,
}

impl Totals {
    #[inline]
    fn add(&mut self, number: i128) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(i256::from_i128(number));
        self.squares.add_square_of(i256::from_i128(number));
        self.least = Some(self.least.map_or(number, |least| least.min(number)));
        self.greatest = Some(self.greatest.map_or(number, |most| most.max(number)));
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.squares.add(other.squares);
        self.least = self.least.into_iter().chain(other.least).min();
        self.greatest = self.greatest.into_iter().chain(other.greatest).max();
    }

    /// The mean; none of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| real(self.sum) / real(i256::from_i128(self.count.into())))
    }

    /// The variance; none of nothing, and where sums are unknown.
    pub fn variance(&self) -> Option<f64> {
        let count = real(i256::from_i128(self.count.into()));
        let spread = self.spread()?;
        (self.count > 0).then(|| real(spread) / count / count)
    }

    /// n·Σx² - (Σx)², the variance times n²; none where 256 bits don't hold it.
    fn spread(&self) -> Option<i256> {
        let squares = self
            .squares
            .0?
            .checked_mul(i256::from_i128(self.count.into()))?;
        squares.checked_sub(self.sum.checked_mul(self.sum)?)
    }
}

impl Distortion {
    /// Adds what happened to one number.
    #[inline]
    pub(super) fn add(&mut self, before: i128, after: i128) {
        self.before.add(before);
        self.after.add(after);
        if before == after {
            return;
        }
        self.changed += 1;
        let moved = i256::from_i128(after).wrapping_sub(i256::from_i128(before));
        self.moves = self.moves.wrapping_add(moved);
        self.squares.add_square_of(moved);
        self.furthest = self.furthest.max(after.abs_diff(before));
    }

    /// Adds what was counted of other rows of the same field.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.selected += other.selected;
        self.changed += other.changed;
        self.skipped.merge(other.skipped);
        self.moves = self.moves.wrapping_add(other.moves);
        self.squares.add(other.squares);
        self.furthest = self.furthest.max(other.furthest);
        self.before.merge(other.before);
        self.after.merge(other.after);
    }

    /// The mean of all moves, of values that stayed too; none of nothing.
    pub fn mean_move(&self) -> Option<f64> {
        (self.before.count > 0)
            .then(|| real(self.moves) / real(i256::from_i128(self.before.count.into())))
    }

    /// The mean square of all moves; none of nothing, and where the sum is unknown.
    pub fn mean_square(&self) -> Option<f64> {
        let squares = self.squares.0.filter(|_| self.before.count > 0)?;
        Some(real(squares) / real(i256::from_i128(self.before.count.into())))
    }

    /// By how much the variance of the numbers grew, or shrank; none of nothing, and where sums are
    /// unknown. The difference is that of exact numbers: two doubles would agree in all digits.
    pub fn variance_change(&self) -> Option<f64> {
        let count = real(i256::from_i128(self.before.count.into()));
        let change = self.after.spread()?.checked_sub(self.before.spread()?)?;
        (self.before.count > 0).then(|| real(change) / count / count)
    }
}

/// Numbers whose squares, of a whole batch, 128 bits hold together.
const SMALL: i128 = 1 << 48;

/// Counts the numbers of one batch: as [`Distortion`] does, and several times as fast where they are
/// small, which is nearly always.
#[derive(Debug, Default)]
pub(super) struct Counting {
    before: SmallTotals,
    after: SmallTotals,
    changed: u64,
    moves: i128,
    squares: i128,
    furthest: u128,
    /// What was not small.
    rest: Distortion,
}

#[derive(Debug, Default)]
struct SmallTotals {
    count: u64,
    sum: i128,
    squares: i128,
    range: Option<(i128, i128)>,
}

impl SmallTotals {
    #[inline]
    fn add(&mut self, number: i128) {
        self.count += 1;
        self.sum += number;
        self.squares += square_of_small(number);
        self.range = Some(match self.range {
            Some((least, greatest)) => (least.min(number), greatest.max(number)),
            None => (number, number),
        });
    }

    fn add_few(&mut self, count: u64, sum: i128, squares: i128, (least, greatest): (i64, i64)) {
        self.count += count;
        self.sum += sum;
        self.squares += squares;
        let (least, greatest) = (i128::from(least), i128::from(greatest));
        self.range = Some(match self.range {
            Some(range) => (range.0.min(least), range.1.max(greatest)),
            None => (least, greatest),
        });
    }

    fn totals(&self) -> Totals {
        Totals {
            count: self.count,
            sum: i256::from_i128(self.sum),
            squares: Squares(Some(i256::from_i128(self.squares))),
            least: self.range.map(|(least, _)| least),
            greatest: self.range.map(|(_, greatest)| greatest),
        }
    }
}

/// Counts some hundred numbers below 2^48, in words of the machine.
#[derive(Debug)]
pub(super) struct Few {
    count: u64,
    sum: i64,
    squares: u128,
    changed: u64,
    moves: i64,
    move_squares: u128,
    /// The sum of the products of number and move.
    products: i128,
    furthest: u64,
    before: (i64, i64),
    after: (i64, i64),
}

impl Default for Few {
    fn default() -> Self {
        const NOTHING: (i64, i64) = (i64::MAX, i64::MIN);
        Self {
            count: 0,
            sum: 0,
            squares: 0,
            changed: 0,
            moves: 0,
            move_squares: 0,
            products: 0,
            furthest: 0,
            before: NOTHING,
            after: NOTHING,
        }
    }
}

impl Few {
    /// Adds a number that is moved by so much. What is none is zero, and stays.
    #[inline]
    pub(super) fn add(&mut self, number: i64, by: i64, is_number: bool) {
        let square = |magnitude: u64| u128::from(magnitude) * u128::from(magnitude);
        let far = by.unsigned_abs();
        self.count += u64::from(is_number);
        self.sum += number;
        self.squares += square(number.unsigned_abs());
        self.changed += u64::from(by != 0);
        self.moves += by;
        self.move_squares += square(far);
        self.products += i128::from(number) * i128::from(by);
        self.furthest = self.furthest.max(far);
        let widened = |(least, greatest): (i64, i64), number: i64| match is_number {
            true => (least.min(number), greatest.max(number)),
            false => (least, greatest),
        };
        self.before = widened(self.before, number);
        self.after = widened(self.after, number + by);
    }
}

impl Counting {
    /// Adds what was counted of some numbers.
    pub(super) fn add_few(&mut self, few: &Few) {
        if few.count == 0 {
            return;
        }
        let wide = |sum: u128| i128::try_from(sum).unwrap_or_default();
        let (squares, moved) = (wide(few.squares), wide(few.move_squares));
        self.before
            .add_few(few.count, few.sum.into(), squares, few.before);
        self.after.add_few(
            few.count,
            i128::from(few.sum) + i128::from(few.moves),
            squares + 2 * few.products + moved,
            few.after,
        );
        self.changed += few.changed;
        self.moves += i128::from(few.moves);
        self.squares += moved;
        self.furthest = self.furthest.max(few.furthest.into());
    }

    /// Adds what happened to one number.
    #[inline]
    pub(super) fn add(&mut self, before: i128, after: i128) {
        let is_small = |number: i128| (-SMALL..=SMALL).contains(&number);
        if !is_small(before) || !is_small(after) {
            self.rest.add(before, after);
            return;
        }
        self.before.add(before);
        self.after.add(after);
        if before != after {
            let moved = after - before;
            self.changed += 1;
            self.moves += moved;
            self.squares += square_of_small(moved);
            self.furthest = self.furthest.max(moved.unsigned_abs());
        }
    }

    /// Adds all of it to what was counted of other batches.
    pub(super) fn add_to(self, distortion: &mut Distortion) {
        distortion.merge(&self.rest);
        distortion.merge(&Distortion {
            changed: self.changed,
            moves: i256::from_i128(self.moves),
            squares: Squares(Some(i256::from_i128(self.squares))),
            furthest: self.furthest,
            before: self.before.totals(),
            after: self.after.totals(),
            ..Distortion::default()
        });
    }
}

/// The square of a number of at most 50 bits, by one multiplication of 64.
#[inline]
fn square_of_small(number: i128) -> i128 {
    i64::try_from(number).map_or(0, |number| i128::from(number) * i128::from(number))
}

/// The nearest double; of the few sums of a field, so its digits may be written and read.
fn real(sum: i256) -> f64 {
    sum.to_string().parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn counting_by_batches_is_counting(
            moves in prop::collection::vec(
                (
                    prop_oneof![any::<i128>(), -1_000_i128..1_000, Just(1 << 48), Just((1 << 48) + 1)],
                    prop_oneof![any::<i128>(), -1_000_i128..1_000, Just(-(1 << 48))],
                ),
                0..40,
            ),
        ) {
            let mut counting = Counting::default();
            for (before, after) in &moves {
                counting.add(*before, *after);
            }
            let mut distortion = Distortion::default();
            counting.add_to(&mut distortion);
            prop_assert_eq!(distortion, of(&moves));
        }
    }

    fn of(moves: &[(i128, i128)]) -> Distortion {
        let mut distortion = Distortion::default();
        for (before, after) in moves {
            distortion.add(*before, *after);
        }
        distortion
    }

    #[test]
    fn sums_are_those_of_the_moves() {
        let counted = of(&[(10, 11), (20, 17), (30, 30), (-5, -5)]);
        assert_eq!((counted.changed, counted.furthest), (2, 3));
        assert_eq!(counted.mean_move(), Some(-0.5));
        assert_eq!(counted.mean_square(), Some(2.5));
        assert_eq!(
            (counted.before.least, counted.before.greatest),
            (Some(-5), Some(30))
        );
        assert_eq!(counted.after.mean(), Some(13.25));
        assert_eq!(of(&[(1, 1), (3, 3)]).after.variance(), Some(1.0));
        assert_eq!(of(&[(1, 0), (3, 4)]).variance_change(), Some(3.0));
        assert_eq!(of(&[]).mean_move(), None);
        assert_eq!(of(&[]).variance_change(), None);
    }

    #[test]
    fn the_variance_of_large_values_changes_by_what_their_moves_changed() {
        // Squares of 10^34, whose doubles are 10^18 apart.
        let far = 100_000_000_000_000_000;
        let counted = of(&[(far, far - 1), (far + 2, far + 3)]);
        assert_eq!(counted.variance_change(), Some(3.0));
    }

    #[test]
    fn sums_that_do_not_fit_are_unknown_and_not_wrong() {
        // Four squares of 2^254: no more than zero in 256 bits.
        let lowest = (i128::MIN, i128::MIN + 1);
        let counted = of(&[lowest; 4]);
        assert_eq!(counted.variance_change(), None);
        assert_eq!(
            (counted.mean_move(), counted.mean_square()),
            (Some(1.0), Some(1.0))
        );
        let across = of(&[(i128::MIN, i128::MAX)]);
        assert_eq!((across.mean_square(), across.furthest), (None, u128::MAX));
        let mut merged = of(&[(1, 2)]);
        merged.merge(&across);
        assert_eq!(merged.mean_square(), None);
    }

    #[test]
    fn the_largest_numbers_are_counted() {
        let counted = of(&[(i128::MAX, i128::MAX - 1), (i128::MIN, i128::MIN + 1)]);
        assert_eq!((counted.moves, counted.furthest), (i256::ZERO, 1));
        assert_eq!(counted.before.sum, i256::MINUS_ONE);
    }

    proptest! {
        #[test]
        fn parts_add_up_in_any_order(
            moves in prop::collection::vec((any::<i128>(), any::<i128>()), 0..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let (one, other) = moves.split_at(cut.index(moves.len() + 1));
            let mut forwards = of(one);
            forwards.merge(&of(other));
            let mut backwards = of(other);
            backwards.merge(&of(one));
            prop_assert_eq!(&forwards, &of(&moves));
            prop_assert_eq!(forwards, backwards);
        }
    }
}
