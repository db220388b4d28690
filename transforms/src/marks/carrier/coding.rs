//! Numbers, dates and times of every Arrow type as counts of units, and back.

#![expect(
    clippy::as_conversions,
    reason = "kernel: conversions between floats and whole counts below 2^53"
)]

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowPrimitiveType, Float32Type, Float64Type};

use super::lattice::{Cells, NARROW, Narrow};
use super::{CELLS, Lattice, Left, Mark, Marks, Skip};
use crate::calendar::{ForTime, with_time};
use crate::marks::distortion::{Counting, Distortion};
use crate::number::{Exact, Float, ForExact, with_exact};

/// What a unit is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Coding {
    /// One of the type's own.
    Exact,
    /// So many values of the type.
    Grain(i64),
    /// One divided by this power of ten.
    Decimals(f64),
}

/// How a field's numbers are delivered, and moved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moving<'a> {
    pub(super) coding: Coding,
    pub(super) lattice: &'a Lattice,
    /// The same for numbers of few digits, where there is one.
    pub(super) narrow: Option<&'a Narrow>,
    /// Of floats: the values of special meaning, whether the scale has them or not.
    pub(super) sentinels: &'a [f64],
}

impl Coding {
    /// The units of every cell; none for null and for values that are no whole number of units.
    /// None for another type.
    pub(super) fn units(self, column: &ArrayRef) -> Option<Vec<Option<i128>>> {
        match self {
            Self::Exact => with_exact(column.data_type(), UnitsOfExact(column)),
            Self::Grain(per_grain) => {
                with_time(column.data_type(), UnitsOfTime { column, per_grain })
            }
            Self::Decimals(power) => float_units::<Float32Type>(column, power)
                .or_else(|| float_units::<Float64Type>(column, power)),
        }
    }
}

impl Moving<'_> {
    /// The column with every value at a whole number of units, where the coding says which, the
    /// value has few enough digits and may become it: floats to the nearest decimal, halves away from
    /// zero. Others stay as they are. None for another type.
    pub(super) fn rounded(self, column: &ArrayRef) -> Option<ArrayRef> {
        match self.coding {
            Coding::Exact | Coding::Grain(_) => Some(Arc::clone(column)),
            Coding::Decimals(power) => self
                .rounded_floats::<Float32Type>(column, power)
                .or_else(|| self.rounded_floats::<Float64Type>(column, power)),
        }
    }

    fn rounded_floats<T>(self, column: &ArrayRef, power: f64) -> Option<ArrayRef>
    where
        T: ArrowPrimitiveType,
        T::Native: Float,
    {
        let floats = column.as_primitive_opt::<T>()?;
        let coded = FloatCells::<T::Native>::new(self, power);
        let bits = |float: T::Native| float.widen().to_bits();
        let is_rounded = |float: &T::Native| bits(coded.few(*float).value) == bits(*float);
        if floats.values().iter().all(is_rounded) {
            return Some(Arc::clone(column));
        }
        let rounded = floats.unary::<_, T>(|float| coded.few(float).value);
        Some(Arc::new(rounded))
    }

    /// The column, rounded, with the marks in it, and what that did. None for another type, and for
    /// units the type doesn't hold.
    pub(super) fn written(
        self,
        column: &ArrayRef,
        marks: &mut dyn Marks,
        distortion: &mut Distortion,
    ) -> Option<ArrayRef> {
        let mut writing = Writing {
            moving: self,
            column,
            marks,
            distortion,
        };
        match self.coding {
            Coding::Exact => with_exact(column.data_type(), WrittenExact(writing)).flatten(),
            Coding::Grain(per_grain) => {
                let written = WrittenTime { writing, per_grain };
                with_time(column.data_type(), written).flatten()
            }
            Coding::Decimals(power) => {
                if let Some(floats) = column.as_primitive_opt::<Float32Type>() {
                    return writing.all(floats, &FloatCells::new(self, power));
                }
                let floats = column.as_primitive_opt::<Float64Type>()?;
                writing.all(floats, &FloatCells::new(self, power))
            }
        }
    }
}

/// A value as it is delivered before any mark, and its units.
struct Read<V> {
    value: V,
    /// Zero if it has none, or many.
    units: i64,
    size: Size,
}

/// How large a count of units is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    /// There is none.
    None,
    /// At most [`NARROW`].
    Few,
    Many,
}

impl Size {
    #[inline]
    fn of(units: Option<i64>, is_number: bool) -> Self {
        match units {
            _ if !is_number => Self::None,
            Some(units) if units.unsigned_abs() <= NARROW => Self::Few,
            Some(_) | None => Self::Many,
        }
    }
}

/// The cells of a type: values as units, and moved.
trait Coded {
    type Value: Copy;

    /// The value as it is delivered, and its units if they are few.
    fn few(&self, value: Self::Value) -> Read<Self::Value>;

    /// The units of a value as it is delivered.
    fn many(&self, value: Self::Value) -> Option<i128>;

    /// A value as it is delivered, of so many units, with so many; none if the type doesn't hold it.
    fn moved(&self, value: Self::Value, before: i64, after: i64) -> Option<Self::Value>;

    /// The same, of many units.
    fn moved_far(&self, value: Self::Value, after: i128) -> Option<Self::Value>;
}

/// A column on its way through its marks.
struct Writing<'a> {
    moving: Moving<'a>,
    column: &'a ArrayRef,
    marks: &'a mut dyn Marks,
    distortion: &'a mut Distortion,
}

impl Writing<'_> {
    fn all<T, C>(&mut self, own: &PrimitiveArray<T>, coded: &C) -> Option<ArrayRef>
    where
        T: ArrowPrimitiveType,
        C: Coded<Value = T::Native>,
    {
        let nulls = own.nulls();
        let mut values: Vec<T::Native> = Vec::with_capacity(own.len());
        let mut cells = Cells::default();
        let mut counting = Counting::default();
        for (at, before) in own.values().chunks(CELLS).enumerate() {
            fill_valid(nulls, at * CELLS, before.len(), &mut cells.is_valid);
            let mut is_many = false;
            let kinds = cells.is_number.iter_mut().zip(&cells.is_valid);
            let slots = cells.numbers.iter_mut().zip(kinds);
            let start = values.len();
            values.extend(before.iter().zip(slots).map(
                |(value, (number, (is_number, is_valid)))| {
                    let read = coded.few(*value);
                    *is_number = *is_valid & (read.size != Size::None);
                    *number = if *is_number { read.units } else { 0 };
                    is_many |= *is_valid & (read.size == Size::Many);
                    read.value
                },
            ));
            let (_, values) = values.split_at_mut(start);
            match self.moving.narrow.filter(|_| !is_many) {
                Some(narrow) => self.few(narrow, coded, &mut cells, values, &mut counting)?,
                None => self.many(coded, &cells, values, &mut counting)?,
            }
        }
        counting.add_to(self.distortion);
        let marked = PrimitiveArray::<T>::new(values.into(), nulls.cloned());
        Some(Arc::new(marked.with_data_type(own.data_type().clone())))
    }

    /// Marks the first cells, as many as there are values, all of few units.
    fn few<C: Coded>(
        &mut self,
        narrow: &Narrow,
        coded: &C,
        cells: &mut Cells,
        values: &mut [C::Value],
        counting: &mut Counting,
    ) -> Option<()> {
        let mut marks = [Mark::NONE; CELLS];
        let (marks, _) = marks.split_at_mut(values.len().min(CELLS));
        let mut blocks = [0; CELLS];
        let mut left = Left::default();
        if self.moving.lattice.is_in_block() {
            let (blocks, _) = blocks.split_at_mut(marks.len());
            for (block, number) in blocks.iter_mut().zip(&cells.numbers) {
                *block = narrow.block(*number).into();
            }
            let (is_some, _) = cells.is_number.split_at(marks.len());
            left = Left { blocks, is_some };
        }
        self.marks.next(left, marks);
        let few = narrow.write(cells, marks, &mut self.distortion.skipped);
        counting.add_few(&few);
        let moves = cells.numbers.iter().zip(&cells.marked);
        for (value, ((before, after), is_number)) in
            values.iter_mut().zip(moves.zip(&cells.is_number))
        {
            let moved = coded.moved(*value, *before, *after)?;
            *value = if *is_number { moved } else { *value };
        }
        Some(())
    }

    /// Marks the same cells one by one, whatever their units.
    fn many<C: Coded>(
        &mut self,
        coded: &C,
        cells: &Cells,
        values: &mut [C::Value],
        counting: &mut Counting,
    ) -> Option<()> {
        let mut marks = [Mark::NONE; CELLS];
        let (marks, _) = marks.split_at_mut(values.len().min(CELLS));
        let numbers = values.iter().zip(&cells.is_valid);
        let numbers: Vec<Option<i128>> = numbers
            .map(|(value, is_valid)| is_valid.then(|| coded.many(*value)).flatten())
            .collect();
        let lattice = self.moving.lattice;
        let (mut blocks, mut is_some) = (Vec::new(), Vec::new());
        if lattice.is_in_block() {
            let left = numbers.iter().map(|number| {
                let block = number.map(|number| lattice.block(number));
                (block.unwrap_or_default(), number.is_some())
            });
            (blocks, is_some) = left.unzip();
        }
        let left = Left {
            blocks: &blocks,
            is_some: &is_some,
        };
        self.marks.next(left, marks);
        let kinds = numbers.into_iter().zip(&cells.is_valid);
        for ((value, (number, is_valid)), mark) in values.iter_mut().zip(kinds).zip(&*marks) {
            let Some(before) = number else {
                if mark.is_some() & is_valid {
                    self.distortion.skipped.add(Skip::NoCarrier);
                }
                continue;
            };
            let written = match mark.is_some() {
                true => lattice.write(before, *mark),
                false => Ok(before),
            };
            let after = self.distortion.skipped.written_or(written, before);
            counting.add(before, after);
            if after != before {
                *value = coded.moved_far(*value, after)?;
            }
        }
        Some(())
    }
}

/// Which of `count` cells from `start` on aren't null.
fn fill_valid(nulls: Option<&NullBuffer>, start: usize, count: usize, is_valid: &mut [bool]) {
    let (is_valid, _) = is_valid.split_at_mut(count.min(CELLS));
    match nulls {
        None => is_valid.fill(true),
        Some(nulls) => {
            let valid = nulls.slice(start, count);
            for (is_valid, valid) in is_valid.iter_mut().zip(valid.iter()) {
                *is_valid = valid;
            }
        }
    }
}

struct WrittenExact<'a>(Writing<'a>);

impl ForExact for WrittenExact<'_> {
    type Output = Option<ArrayRef>;

    fn call<T>(mut self, _: T::Native, _: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let column = self.0.column;
        let numbers = column.as_primitive_opt::<T>()?;
        self.0.all(numbers, &ExactCells(PhantomData))
    }
}

/// Integers and decimals.
struct ExactCells<V>(PhantomData<V>);

impl<V: Exact> Coded for ExactCells<V> {
    type Value = V;

    #[inline]
    fn few(&self, value: V) -> Read<V> {
        let units = value.small();
        let size = Size::of(units, units.is_some() || value.wide().is_some());
        Read {
            value,
            units: units.unwrap_or_default(),
            size,
        }
    }

    #[inline]
    fn many(&self, value: V) -> Option<i128> {
        value.wide()
    }

    #[inline]
    fn moved(&self, _: V, _: i64, after: i64) -> Option<V> {
        V::from_small(after)
    }

    #[inline]
    fn moved_far(&self, _: V, after: i128) -> Option<V> {
        V::from_wide(after)
    }
}

struct WrittenTime<'a> {
    writing: Writing<'a>,
    per_grain: i64,
}

impl ForTime for WrittenTime<'_> {
    type Output = Option<ArrayRef>;

    fn call<T>(mut self) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        let column = self.writing.column;
        let times = column.as_primitive_opt::<T>()?;
        let coded = TimeCells {
            per_grain: self.per_grain,
            of: PhantomData,
        };
        self.writing.all(times, &coded)
    }
}

/// Dates and timestamps.
struct TimeCells<V> {
    per_grain: i64,
    of: PhantomData<V>,
}

impl<V: Copy + Into<i64> + TryFrom<i64>> Coded for TimeCells<V> {
    type Value = V;

    #[inline]
    fn few(&self, value: V) -> Read<V> {
        let units = grains(value.into(), self.per_grain);
        Read {
            value,
            units,
            size: Size::of(Some(units), true),
        }
    }

    #[inline]
    fn many(&self, value: V) -> Option<i128> {
        Some(grains(value.into(), self.per_grain).into())
    }

    #[inline]
    fn moved(&self, value: V, before: i64, after: i64) -> Option<V> {
        let by = (after - before).checked_mul(self.per_grain)?;
        value.into().checked_add(by)?.try_into().ok()
    }

    #[inline]
    fn moved_far(&self, value: V, after: i128) -> Option<V> {
        let time: i64 = value.into();
        let grains = i64::try_from(after).ok()?.checked_mul(self.per_grain)?;
        let moved = grains.checked_add(time.rem_euclid(self.per_grain))?;
        moved.try_into().ok()
    }
}

/// Floats of a declared number of decimals.
struct FloatCells<'a, V> {
    moving: Moving<'a>,
    power: f64,
    of: PhantomData<V>,
}

impl<'a, V: Float> FloatCells<'a, V> {
    fn new(moving: Moving<'a>, power: f64) -> Self {
        Self {
            moving,
            power,
            of: PhantomData,
        }
    }

    /// Whether a float is rounded to its nearest units: unless that is, or would become, a value of
    /// special meaning.
    #[inline]
    fn is_rounded(&self, float: f64, units: i64) -> bool {
        let may_become = match self.moving.narrow {
            Some(narrow) => narrow.may_become(units),
            None => self.moving.lattice.may_become(units.into()),
        };
        let mut sentinels = self.moving.sentinels.iter();
        may_become && !sentinels.any(|sentinel| sentinel.to_bits() == float.to_bits())
    }
}

impl<V: Float> Coded for FloatCells<'_, V> {
    type Value = V;

    #[inline]
    fn few(&self, value: V) -> Read<V> {
        let Some(units) = nearest_units(value, self.power) else {
            return Read {
                value,
                units: 0,
                size: Size::None,
            };
        };
        let float = value.widen();
        let nearest = nearest::<V>(units, self.power);
        let is_rounded = self.is_rounded(float, units);
        // Minus zero is the zero of another sign.
        let is_zero = units == 0 && float.abs() <= 0.0;
        let is_exact = nearest.widen().to_bits() == float.to_bits() || is_zero;
        let size = Size::of(Some(units), is_rounded || is_exact);
        Read {
            value: if is_rounded { nearest } else { value },
            units: if size == Size::None { 0 } else { units },
            size,
        }
    }

    #[inline]
    fn many(&self, value: V) -> Option<i128> {
        decimal_units(value, self.power)
    }

    #[inline]
    fn moved(&self, value: V, before: i64, after: i64) -> Option<V> {
        let moved = nearest(after, self.power);
        Some(if before == after { value } else { moved })
    }

    #[inline]
    fn moved_far(&self, _: V, after: i128) -> Option<V> {
        i64::try_from(after)
            .ok()
            .map(|after| nearest(after, self.power))
    }
}

struct UnitsOfExact<'a>(&'a ArrayRef);

impl ForExact for UnitsOfExact<'_> {
    type Output = Vec<Option<i128>>;

    fn call<T>(self, _: T::Native, _: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let numbers = self.0.as_primitive_opt::<T>().into_iter().flatten();
        numbers.map(|number| number.and_then(Exact::wide)).collect()
    }
}

struct UnitsOfTime<'a> {
    column: &'a ArrayRef,
    per_grain: i64,
}

impl ForTime for UnitsOfTime<'_> {
    type Output = Vec<Option<i128>>;

    fn call<T>(self) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        let times = self.column.as_primitive_opt::<T>().into_iter().flatten();
        let units = |time: T::Native| i128::from(grains(time.into(), self.per_grain));
        times.map(|time| time.map(units)).collect()
    }
}

/// The whole number of grains before a time.
#[inline]
fn grains(time: i64, per_grain: i64) -> i64 {
    if per_grain == 1 {
        return time;
    }
    time.div_euclid(per_grain)
}

/// The units of floats; none for another type.
fn float_units<T>(column: &ArrayRef, power: f64) -> Option<Vec<Option<i128>>>
where
    T: ArrowPrimitiveType,
    T::Native: Float,
{
    let floats = column.as_primitive_opt::<T>()?;
    Some(
        floats
            .iter()
            .map(|float| decimal_units(float?, power))
            .collect(),
    )
}

/// The whole number of units nearest to a float, halves away from zero; none where that has more than
/// 15 digits.
#[inline]
fn nearest_units<F: Float>(float: F, power: f64) -> Option<i64> {
    const DIGITS: u64 = 1_000_000_000_000_000;
    /// The largest double below one half: added to a half it gives one, and to what is less it doesn't.
    const HALF: f64 = 0.5 - f64::EPSILON / 4.0;
    let units = float.widen() * power;
    // What `round` does, without a call. The cast cuts off what is left of a unit.
    let nearest = (units + HALF.copysign(units)) as i64;
    (nearest.unsigned_abs() < DIGITS && !units.is_nan()).then_some(nearest)
}

/// The units of a float that is the nearest to a decimal.
#[inline]
pub(super) fn decimal_units<F: Float>(float: F, power: f64) -> Option<i128> {
    let units = nearest_units(float, power)?;
    let is_nearest = nearest::<F>(units, power).widen().to_bits() == float.widen().to_bits();
    // Minus zero is the zero of another sign.
    (is_nearest || units == 0 && float.widen().abs() <= 0.0).then(|| units.into())
}

/// The float nearest to a decimal of at most 15 digits.
#[inline]
fn nearest<F: Float>(units: i64, power: f64) -> F {
    F::narrow(units as f64 / power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4_096, ..ProptestConfig::default() })]

        #[test]
        fn the_nearest_units_are_those_that_rounding_has(
            float in prop_oneof![
                any::<f64>(),
                -1e16..1e16,
                -4.0..4.0,
                (-4_000_i32..4_000).prop_map(|halves| f64::from(halves) / 2.0),
                Just(0.499_999_999_999_999_94),
                Just(-0.499_999_999_999_999_94),
                Just(999_999_999_999_999.5),
                Just(999_999_999_999_999.4),
            ],
            power in prop_oneof![Just(1.0), Just(100.0), Just(1e15)],
        ) {
            let rounded = (float * power).round();
            let expected = (rounded.abs() < 1e15).then_some(rounded as i64);
            prop_assert_eq!(nearest_units(float, power), expected);
        }
    }
}
