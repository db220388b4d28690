//! `permute-int`: whole numbers of a range, permuted.
//!
//! Surrogate keys are small integers that tables join by. A permutation gives every row another
//! key of the same type, without two rows meeting, in every table alike.
//!
//! With LP(part) = 4-byte big-endian length ‖ part, as everywhere:
//!
//! - rank = number - `from`, as 2 numerals, or 4 where the range has more than 2^32 numbers, the
//!   most significant first, of the smallest radix r for which r^2, or r^4, is at least the size of
//!   the range;
//! - tweak = LP("permute-int") ‖ LP(`from`) ‖ LP(`to`) ‖ LP(domain), numbers in decimal, zero bytes
//!   up to a multiple of 16, and 7 more;
//! - result = `from` + the rank that FF1 makes of the rank under the derived key and that tweak,
//!   again and again until it is below the size of the range (cycle-walking).

mod whole;

use arrow::datatypes::{ArrowPrimitiveType, DataType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cases::{scalar_array, to_text};
use crate::error::{Case, Misfit};
use crate::ff1::{DOMAIN_MIN, Direction, Ff1, Permutation, keyed};
use crate::key::{DerivedKey, KeyUse};
use crate::number::column::mapped_together;
use crate::number::{Exact, ForExact, scale_of, with_exact};
use crate::options::{Options, Scalar};
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::treatment::Treatment;

pub use whole::Whole;

/// Permutes the whole numbers from `from` to `to`; the type stays. A number outside is invalid.
///
/// FF1 with AES-256, over two or four numerals of the smallest radix that has room for the range,
/// with cycle-walking. No number becomes one of the sentinels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PermuteInt {
    /// Consistency domain: fields of one domain and range share results within a grant
    /// (`"order.id"`).
    pub domain: String,
    /// Approved join group, whose grants share results; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The least number that is permuted; a number, or text where it has more than 18 digits.
    pub from: Whole,
    /// The greatest number that is permuted. With `from` it spans a million to 2^64 numbers.
    pub to: Whole,
}

impl PermuteInt {
    /// How many numbers are permuted.
    fn size(&self) -> Result<u128, Misfit> {
        let least = i128::from(DOMAIN_MIN) - 1;
        let distance = self.to.0.checked_sub(self.from.0);
        match distance {
            Some(distance) if distance < least => Err(Misfit::of_parameter(
                "to",
                "`from` to `to` spans fewer than a million numbers, which counting would undo",
            )
            .with_hint("span at least 1000000 numbers")),
            Some(distance) if distance < 1 << 64 => {
                Ok(u128::try_from(distance).unwrap_or_default() + 1)
            }
            _ => Err(Misfit::of_parameter(
                "to",
                "`from` to `to` spans more than 2^64 numbers",
            )),
        }
    }

    fn check(&self, column: Column<'_>) -> Result<u128, Misfit> {
        let unfit = || Misfit::of_type(Self::KIND, column.data_type, Self::FITS);
        if scale_of(column.data_type) != Some(0) {
            return Err(unfit());
        }
        keyed::check(&self.domain, self.join.as_ref())?;
        let size = self.size()?;
        let holds = Holds(self.from.0, self.to.0);
        let (from, to) = with_exact(column.data_type, holds).ok_or_else(unfit)?;
        for (parameter, holds) in [("from", from), ("to", to)] {
            if !holds {
                let what = format!("`{parameter}` is no value of type {}", column.data_type);
                return Err(Misfit::of_parameter(parameter, what));
            }
        }
        Ok(size)
    }

    fn make(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
        direction: Direction,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        let size = self.check(column)?;
        let ff1 = keyed::cipher(Self::KIND, column, key)?;
        let (from, to) = (self.from.0.to_string(), self.to.0.to_string());
        let context = keyed::context(&[Self::KIND, &from, &to, &self.domain]);
        let permutation = Permutation::new(&ff1, size, &context)
            .ok_or_else(|| Misfit::of_parameter("to", "the range can't be permuted"))?;
        let rank = |sentinel: &Scalar| {
            let value = to_text(&scalar_array(sentinel, column.data_type).ok()?).ok()?;
            let value = value.iter().next()??.parse().ok()?;
            rank_of(value, self.from.0, size)
        };
        let mut kept: Vec<u64> = options.sentinels.iter().filter_map(rank).collect();
        kept.sort_unstable();
        let range = Range {
            from: self.from.0,
            size,
            kept,
            permutation,
            ff1,
            direction,
        };
        let builder = Builder {
            column,
            options,
            range,
        };
        with_exact(column.data_type, builder)
            .ok_or_else(|| Misfit::of_type(Self::KIND, column.data_type, Self::FITS))?
    }

    /// Makes the treatment that restores what this one permuted, for the holder of the key.
    ///
    /// # Errors
    /// As [`Definition::build`].
    pub fn restore(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.make(column, options, key, Direction::Decrypt)
    }
}

impl Definition for PermuteInt {
    const KIND: &'static str = "permute-int";
    const SUMMARY: &'static str = "permutes the whole numbers of a range";
    const FITS: &'static str = "whole numbers, decimals of scale 0";
    const EXAMPLE: &'static str =
        r#"{ kind = "permute-int", domain = "order.id", from = 0, to = 999999999 }"#;
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const UNIQUENESS: Uniqueness = Uniqueness::Bijective;
    const KEEPS_SENTINELS_APART: bool = true;
    const REVERSIBLE: Option<&'static str> = Some(keyed::REVERSIBLE);

    fn refuses(&self, _: &DataType, case: Case) -> bool {
        case == Case::Invalid
    }

    fn room(&self) -> Option<u128> {
        self.size().ok()
    }

    fn at_least(&self, floor: &Self) -> bool {
        let narrower = self.join.is_none() || self.join == floor.join;
        let same = self.domain == floor.domain && self.from == floor.from && self.to == floor.to;
        same && narrower
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(column.data_type.clone()))
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(keyed::key_use(&self.domain, self.join.as_ref()))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.make(column, options, key, Direction::Encrypt)
    }
}

/// Whether a type holds two numbers.
struct Holds(i128, i128);

impl ForExact for Holds {
    type Output = (bool, bool);

    fn call<T>(self, least: T::Native, greatest: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let holds = |count| {
            T::Native::from_wide(count).is_some_and(|value| value >= least && value <= greatest)
        };
        (holds(self.0), holds(self.1))
    }
}

/// The place of a number in a range of `size` numbers; absent beyond it.
fn rank_of(value: i128, from: i128, size: u128) -> Option<u64> {
    let rank = u128::try_from(value.checked_sub(from)?).ok()?;
    u64::try_from(rank).ok().filter(|_| rank < size)
}

/// A range and its permutation.
struct Range {
    from: i128,
    size: u128,
    /// Ranks of sentinels, ascending: they stay as they are, and nothing else becomes one.
    kept: Vec<u64>,
    permutation: Permutation,
    ff1: Ff1,
    direction: Direction,
}

impl Range {
    fn rank<N: Exact>(&self, value: N) -> Option<u64> {
        let rank = rank_of(value.wide()?, self.from, self.size)?;
        self.is_free(rank).then_some(rank)
    }

    fn is_free(&self, rank: u64) -> bool {
        self.kept.binary_search(&rank).is_err()
    }

    fn value<N: Exact>(&self, rank: u64) -> Option<N> {
        N::from_wide(self.from.checked_add(i128::from(rank))?)
    }

    /// Permutes the numbers of the range that aren't sentinels; none for the others.
    fn permute<N: Exact>(&self, values: &[N], out: &mut Vec<Option<N>>) {
        let mut ranks: Vec<u64> = values
            .iter()
            .filter_map(|value| self.rank(*value))
            .collect();
        self.permutation
            .permute(&self.ff1, self.direction, &mut ranks, &[], |_, rank| {
                self.is_free(rank)
            });
        let mut ranks = ranks.into_iter();
        out.extend(values.iter().map(|value| {
            self.rank(*value)?;
            self.value(ranks.next()?)
        }));
    }
}

struct Builder<'a> {
    column: Column<'a>,
    options: &'a Options,
    range: Range,
}

impl ForExact for Builder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self, _: T::Native, _: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let range = self.range;
        mapped_together::<T, _>(self.column, self.options, move |values, out| {
            range.permute(values, out);
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use arrow::array::{
        Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, Int32Array, Int64Array,
        UInt64Array,
    };
    use arrow::datatypes::{Decimal256Type, Int32Type, Int64Type, UInt64Type, i256};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{key, misfit, misfit_of, spec, treat_array};
    use crate::treatments::AnyTreatment;

    const SPEC: &str = "{ kind = 'permute-int', domain = 'order.id', from = 1, to = 1000000 }";

    #[test]
    fn no_number_becomes_a_sentinel() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=5_000));
        let before = treat_array(SPEC, &numbers).unwrap().array;
        let before = before.as_primitive::<Int64Type>();
        // What some of the numbers become without sentinels, and two of the numbers themselves.
        let kept = [
            1,
            2_500,
            before.value(1),
            before.value(2),
            before.value(4_999),
        ];
        let text = SPEC.replace(" }", &format!(", sentinels = {kept:?} }}"));
        let after = treat_array(&text, &numbers).unwrap().array;
        let results = after.as_primitive::<Int64Type>().values();
        let mut seen = HashSet::new();
        for (number, result) in (1..).zip(results) {
            assert_eq!(kept.contains(&number), kept.contains(result), "{number}");
            assert!(!kept.contains(&number) || number == *result, "{number}");
            assert!(seen.insert(*result), "{number}");
        }
        assert_eq!(&restored(&text, &after), &numbers);
    }

    fn restored(text: &str, array: &ArrayRef) -> ArrayRef {
        let spec = spec(text);
        let AnyTreatment::PermuteInt(permute) = spec.treatment() else {
            panic!("not a permutation");
        };
        let column = Column::alone("field", array.data_type(), "other");
        let restore = permute
            .restore(column, spec.options(), Some(&key()))
            .unwrap();
        restore.apply(array).unwrap().array
    }

    #[test]
    fn a_whole_range_is_permuted_and_restored() {
        let array: ArrayRef = Arc::new(Int32Array::from_iter_values(1..=1_000_000));
        let treated = treat_array(SPEC, &array).unwrap();
        let mut values: Vec<i32> = treated.array.as_primitive::<Int32Type>().values().to_vec();
        values.sort_unstable();
        assert!(values.into_iter().eq(1..=1_000_000));
        assert_eq!(&restored(SPEC, &treated.array), &array);
    }

    #[test]
    fn a_number_outside_is_invalid_and_null() {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![
            Some(0),
            Some(1),
            None,
            Some(1_000_001),
            Some(-1),
            Some(i64::MIN),
            Some(i64::MAX),
        ]));
        let treated = treat_array(SPEC, &array).unwrap();
        assert_eq!((treated.counts.nulls, treated.counts.invalid), (1, 5));
        assert!(treated.array.is_valid(1));
        assert_eq!(treated.array.null_count(), 6);
    }

    #[test]
    fn types_agree_on_one_domain() {
        let narrow: ArrayRef = Arc::new(Int32Array::from(vec![1, 77, 1_000_000]));
        let wide: ArrayRef = Arc::new(UInt64Array::from(vec![1, 77, 1_000_000]));
        let narrow = treat_array(SPEC, &narrow).unwrap().array;
        let wide = treat_array(SPEC, &wide).unwrap().array;
        let narrow = narrow.as_primitive::<Int32Type>().values().iter();
        let narrow = narrow.map(|value| u64::try_from(*value).unwrap());
        assert!(narrow.eq(wide.as_primitive::<UInt64Type>().values().iter().copied()));
    }

    #[test]
    fn every_value_of_64_bits_can_be_permuted() {
        let all = "{ kind = 'permute-int', domain = 'd', from = -9223372036854775808, to = 9223372036854775807 }";
        let array: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN, -1, 0, 1, i64::MAX]));
        let out = treat_array(all, &array).unwrap().array;
        assert_eq!(out.null_count(), 0);
        assert_ne!(&out, &array);
        assert_eq!(&restored(all, &out), &array);
        let unsigned =
            "{ kind = 'permute-int', domain = 'd', from = 0, to = '18446744073709551615' }";
        let array: ArrayRef = Arc::new(UInt64Array::from(vec![0, 1, u64::MAX]));
        let out = treat_array(unsigned, &array).unwrap().array;
        assert_eq!(&restored(unsigned, &out), &array);
    }

    #[test]
    fn decimals_without_places_are_whole_numbers() {
        let array = Decimal128Array::from(vec![Some(5), None, Some(10_i128.pow(12))]);
        let array: ArrayRef = Arc::new(array.with_precision_and_scale(20, 0).unwrap());
        let spec = "{ kind = 'permute-int', domain = 'd', from = 0, to = 1000000000000 }";
        let out = treat_array(spec, &array).unwrap();
        assert_eq!((out.counts.invalid, out.counts.nulls), (0, 1));
        assert_eq!(&restored(spec, &out.array), &array);
        let array = Decimal256Array::from(vec![i256::from_i128(5), i256::MAX]);
        let array: ArrayRef = Arc::new(array.with_precision_and_scale(60, 0).unwrap());
        let out = treat_array(spec, &array).unwrap();
        assert!(out.array.is_null(1) && out.array.is_valid(0));
        assert_eq!(out.array.as_primitive::<Decimal256Type>().len(), 2);
    }

    #[test]
    fn ranges_that_hide_nothing_or_do_not_fit_are_refused() {
        let range = |from: &str, to: &str| {
            format!("{{ kind = 'permute-int', domain = 'd', from = {from}, to = {to} }}")
        };
        let misfit_in = |from, to, data_type| misfit_of(&range(from, to), &data_type).parameter;
        assert_eq!(misfit_in("0", "999998", DataType::Int64), Some("to"));
        assert_eq!(misfit_in("5", "1", DataType::Int64), Some("to"));
        assert_eq!(
            misfit_in("0", "'18446744073709551616'", DataType::Decimal128(38, 0)),
            Some("to")
        );
        assert_eq!(misfit_in("-1", "2000000", DataType::UInt32), Some("from"));
        assert_eq!(misfit_in("0", "2000000", DataType::Int16), Some("to"));
        assert_eq!(
            misfit_in("0", "2000000", DataType::Decimal128(6, 0)),
            Some("to")
        );
        assert_eq!(misfit_in("0", "2000000", DataType::Decimal128(20, 2)), None);
        assert_eq!(misfit(&range("0", "2000000")).parameter, None);
        for wrong in ["1.5", "'1.5'", "'x'", "true"] {
            assert!(
                crate::testing::try_spec(&range("0", wrong)).is_err(),
                "{wrong}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_range_comes_back(from: i64, more in 999_999_u64..=u64::MAX, seeds in proptest::collection::vec(any::<u64>(), 1..50)) {
            let span = i128::from(more).min(i128::from(i64::MAX) - i128::from(from));
            prop_assume!(span >= 999_999);
            let to = i128::from(from) + span;
            let spec = format!("{{ kind = 'permute-int', domain = 'd', from = {from}, to = {to} }}");
            let values = seeds.iter().map(|seed| {
                i64::try_from(i128::from(from) + i128::from(*seed) % (span + 1)).unwrap()
            });
            let array: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
            let out = treat_array(&spec, &array).unwrap();
            prop_assert_eq!(out.counts.invalid, 0);
            let inside = out.array.as_primitive::<Int64Type>().values().iter();
            prop_assert!(inside.copied().all(|value| value >= from && i128::from(value) <= to));
            prop_assert_eq!(&restored(&spec, &out.array), &array);
        }
    }
}
