use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Decimal256Array, Int32Array,
    Int64Array, UInt64Array,
};
use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type, UInt64Type, i256};
use proptest::prelude::*;

use super::*;
use crate::testing::{misfit, misfit_of, spec, treat_array, treat_with, try_spec};

const INCOME: &str = "{ kind = 'rank-preserving', domain = 'income', lower = 0, upper = 99999, \
     width = '100', reveals_order = true }";

fn integers(text: &str, values: impl IntoIterator<Item = i64>) -> Vec<Option<i64>> {
    let array: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    let treated = treat_array(text, &array).unwrap().array;
    treated.as_primitive::<Int64Type>().iter().collect()
}

#[test]
fn steps_keep_their_order_and_nothing_else_of_a_value_shows() {
    let results = integers(INCOME, 0..=99_999);
    let results: Vec<i64> = results.into_iter().flatten().collect();
    assert_eq!(results.len(), 100_000);
    assert!(results.is_sorted());
    for step in results.chunks(100) {
        assert!(step.iter().all(|result| Some(result) == step.first()));
    }
    let different: BTreeSet<i64> = results.iter().copied().collect();
    assert_eq!(different.len(), 1_000, "a step has a place of its own");
    assert!(results.iter().all(|result| (0..=99_999).contains(result)));
    // No step tells its own place: few are where they were.
    let stayed = different.iter().zip((0..).step_by(100));
    let stayed = stayed.filter(|(place, lower)| (lower..&(lower + 100)).contains(place));
    assert!(stayed.count() < 100);
}

/// Neighbouring steps are at very different distances from each other, and far ones too: what the
/// ideal of order-preserving encryption would show.
#[test]
fn distances_are_blurred_at_every_scale() {
    let places = integers(INCOME, (0..100_000).step_by(100));
    let places: Vec<i64> = places.into_iter().flatten().collect();
    let quarters: Vec<i64> = places.chunks(250).map(|part| part[249] - part[0]).collect();
    let (least, most) = (quarters.iter().min(), quarters.iter().max());
    assert!(most.unwrap() > &(2 * least.unwrap()), "{quarters:?}");
    let gaps = places.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.clone().any(|gap| gap == 1) && gaps.clone().any(|gap| gap > 1_000));
}

#[test]
fn another_key_domain_range_or_width_is_another_map() {
    let base = integers(INCOME, (0..100_000).step_by(400));
    for (from, to) in [
        ("'income'", "'wealth'"),
        ("upper = 99999", "upper = 99899"),
        ("'100'", "'200'"),
    ] {
        let other = integers(&INCOME.replace(from, to), (0..100_000).step_by(400));
        let alike = base.iter().zip(&other).filter(|(one, two)| one == two);
        // The domain makes the key, which the test hands over: only its name is another.
        let same_key = from == "'income'";
        assert_eq!(alike.count() == base.len(), same_key, "{from}");
    }
    let array: ArrayRef = Arc::new(Int64Array::from_iter_values((0..100_000).step_by(400)));
    let key = DerivedKey::derive(&[8; 32], "pseudonym", "income", "grant:G-1", 1);
    let other = treat_with(INCOME, &array, "other", &key).unwrap().array;
    let own = treat_array(INCOME, &array).unwrap().array;
    assert_ne!(&other, &own);
}

#[test]
fn a_value_beyond_the_range_is_invalid_or_the_nearest_of_it() {
    let values = [-1, 0, 99_999, 100_000, i64::MIN, i64::MAX];
    let results = integers(INCOME, values);
    assert!(results[1].is_some() && results[2].is_some());
    assert_eq!(results.iter().flatten().count(), 2);
    let clamps = INCOME.replace(" }", ", beyond = 'clamp' }");
    let clamped = integers(&clamps, values);
    assert_eq!(clamped[1..3], results[1..3]);
    for (value, nearest) in [(0, 1), (3, 2), (4, 1), (5, 2)] {
        assert_eq!(clamped[value], clamped[nearest]);
    }
    let wide = Decimal256Array::from(vec![i256::MIN, i256::MAX, i256::from_i128(50)]);
    let wide: ArrayRef = Arc::new(wide.with_precision_and_scale(76, 0).unwrap());
    let clamped = treat_array(&clamps, &wide).unwrap().array;
    assert_eq!(clamped.null_count(), 0);
    assert_eq!(treat_array(INCOME, &wide).unwrap().array.null_count(), 2);
}

#[test]
fn decimals_and_dates_keep_their_type_and_order() {
    let cents = Decimal128Array::from(vec![Some(0), Some(99_999), Some(100_000), None]);
    let cents: ArrayRef = Arc::new(cents.with_precision_and_scale(12, 2).unwrap());
    let text = "{ kind = 'rank-preserving', domain = 'd', lower = '0', upper = '9999.99', \
         width = '1000', reveals_order = true }";
    let treated = treat_array(text, &cents).unwrap().array;
    let results = treated.as_primitive::<Decimal128Type>();
    assert!(results.value(0) == results.value(1) && results.value(1) < results.value(2));
    assert!(results.is_null(3));
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values(-25_567..=22_000));
    let births = "{ kind = 'rank-preserving', domain = 'd', lower = 1900-01-01, \
         upper = 2029-12-31, width = '30', reveals_order = true }";
    let treated = treat_array(births, &days).unwrap().array;
    let results = treated.as_primitive::<Date32Type>();
    assert_eq!(results.null_count(), days.len() - 47_482);
    let results: Vec<i32> = results.iter().flatten().collect();
    assert!(results.is_sorted());
    let different: BTreeSet<i32> = results.iter().copied().collect();
    assert_eq!(different.len(), 47_482 / 30);
    assert!(different.iter().all(|day| (-25_567..21_915).contains(day)));
}

#[test]
fn no_step_is_narrower_than_its_width() {
    let text = INCOME.replace("99999", "100000");
    let results = integers(&text, [99_899, 99_900, 99_999, 100_000]);
    assert!(results[0] < results[1]);
    assert!(results[1] == results[2] && results[2] == results[3]);
}

#[test]
fn the_largest_ranges_and_types_are_no_trouble() {
    let text = "{ kind = 'rank-preserving', domain = 'd', lower = '0', \
         upper = '18446744073709551615', width = '281474976710656', reveals_order = true }";
    let array: ArrayRef = Arc::new(UInt64Array::from(vec![0, 1, 1 << 63, u64::MAX]));
    let treated = treat_array(text, &array).unwrap().array;
    let results = treated.as_primitive::<UInt64Type>().values();
    assert!(results[0] == results[1] && results[1] < results[2] && results[2] < results[3]);
    let narrow = "{ kind = 'rank-preserving', domain = 'd', lower = -2147483648, \
         upper = 2147483647, width = '2147483648', reveals_order = true }";
    let array: ArrayRef = Arc::new(Int32Array::from(vec![i32::MIN, -1, 0, i32::MAX]));
    let treated = treat_array(narrow, &array).unwrap().array;
    let results = treated.as_primitive::<Int32Type>().values();
    assert!(results[0] == results[1] && results[1] < results[2] && results[2] == results[3]);
}

#[test]
fn the_order_shows_only_where_it_is_said_that_it_may() {
    let unsaid = INCOME.replace(", reveals_order = true", "");
    let error = try_spec(&unsaid).unwrap_err().to_string();
    assert!(error.contains("reveals_order"), "{error}");
    let denied = misfit_of(
        &INCOME.replace("order = true", "order = false"),
        &DataType::Int64,
    );
    assert_eq!(denied.parameter, Some("reveals_order"));
}

#[test]
fn ranges_that_hide_nothing_or_have_no_steps_are_refused() {
    let of = |from: &str, to: &str| misfit_of(&INCOME.replace(from, to), &DataType::Int64);
    assert_eq!(of("'100'", "'1'").parameter, Some("width"));
    assert_eq!(of("'100'", "'0.5'").parameter, Some("width"));
    assert_eq!(of("'100'", "'0'").parameter, Some("width"));
    assert_eq!(of("'100'", "'100000'").parameter, Some("width"));
    assert_eq!(of("lower = 0", "lower = 99999").parameter, Some("lower"));
    assert_eq!(of("lower = 0", "lower = '0.5'").parameter, Some("lower"));
    assert_eq!(of("lower = 0", "lower = true").parameter, Some("lower"));
    let many = of("upper = 99999", "upper = 9999999");
    assert!(many.what.contains("100000 steps"), "{}", many.what);
    assert_eq!(
        misfit_of(INCOME, &DataType::Int16).parameter,
        Some("upper"),
        "no value of the type"
    );
    let wide = "{ kind = 'rank-preserving', domain = 'd', lower = '0', \
         upper = '18446744073709551616', width = '1000000000000000000', reveals_order = true }";
    assert_eq!(
        misfit_of(wide, &DataType::Decimal128(38, 0)).parameter,
        Some("upper")
    );
    assert_eq!(misfit(INCOME).parameter, None);
    assert_eq!(misfit_of(INCOME, &DataType::Float64).parameter, None);
    assert_eq!(
        misfit_of(INCOME, &DataType::Date32).parameter,
        Some("lower")
    );
}

#[test]
fn a_floor_is_met_by_wider_steps_of_the_same_range() {
    let floor = spec(INCOME);
    let other = |from: &str, to: &str| spec(&INCOME.replace(from, to));
    assert!(floor.meets(&floor));
    assert!(other("'100'", "'300'").meets(&floor));
    assert!(other("lower = 0", "lower = '0.00'").meets(&floor));
    assert!(!other("'100'", "'150'").meets(&floor));
    assert!(!other("'100'", "'50'").meets(&floor));
    assert!(!other("lower = 0", "lower = 100").meets(&floor));
    assert!(!other(" }", ", beyond = 'clamp' }").meets(&floor));
    assert!(!other(" }", ", join = 'j' }").meets(&floor));
    // The order of values is more than an interval's label shows, and less than nothing hidden.
    let bucket = spec("{ kind = 'bucket', width = '100' }");
    assert!(!floor.meets(&bucket) && !bucket.meets(&floor));
    assert!(floor.meets(&spec("{ kind = 'clear' }")));
    assert!(!floor.meets(&spec("{ kind = 'keep-ends', first = 1, last = 0 }")));
    assert!(!floor.is_keyed_equality());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_map_is_increasing_within_its_range(
        lower in -1_000_000_000_i64..1_000_000_000,
        width in 2_i64..10_000,
        steps in 2_i64..400,
        short in 0_i64..10_000,
        seeds in proptest::collection::vec(any::<u32>(), 1..60),
    ) {
        let last = width * steps - 1 - short % width;
        let steps = (last + 1) / width;
        prop_assume!(steps >= 2);
        let text = format!(
            "{{ kind = 'rank-preserving', domain = 'd', lower = {lower}, upper = {}, \
             width = '{width}', reveals_order = true }}",
            lower + last
        );
        let values = seeds.iter().map(|seed| lower + i64::from(*seed) % (last + 1));
        let mut values: Vec<i64> = values.collect();
        values.sort_unstable();
        let results = integers(&text, values.clone());
        let results: Vec<i64> = results.into_iter().flatten().collect();
        prop_assert_eq!(results.len(), values.len());
        for (values, results) in values.windows(2).zip(results.windows(2)) {
            let step = |value: i64| ((value - lower) / width).min(steps - 1);
            prop_assert_eq!(
                step(values[0]).cmp(&step(values[1])),
                results[0].cmp(&results[1])
            );
        }
        prop_assert!(results.iter().all(|result| (lower..=lower + last).contains(result)));
    }
}
