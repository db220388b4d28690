//! Residual candidates: how many originals fit a masked value.
//!
//! A mask is as strong as the number of values it leaves open. `110105********002X` looks hidden,
//! and fits 3,315 birth dates of a century, because the check digit rules out ten in eleven; beside
//! a delivered birth date it fits one. So the count knows the shape of the identifier, its check
//! digit, and what the other released fields give away.
//!
//! The count is made at plan time, on an example of the category and never on data: the treatment is
//! applied to the example, and what of it survives is what a recipient sees. It is an expectation
//! for an ordinary value, rounded down, not a bound for every single one.

mod shape;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;

use crate::key::DerivedKey;
use crate::spec::{Column, Strength, TreatmentSpec};
use crate::treatments::AnyTreatment;
use crate::treatments::date_trunc::Unit;

/// A field that a delivery holds, as far as the count needs it.
#[derive(Debug, Clone, Copy)]
pub struct Released<'a> {
    /// Its category.
    pub category: &'a str,
    /// What is done to it.
    pub treatment: &'a TreatmentSpec,
}

/// How many originals fit a treated value of a field, on average and rounded down; at least 1.
///
/// `others` are the other fields of the delivery. `None` where the count means nothing: fields
/// delivered clear or wholly hidden, keyed pseudonyms, and categories whose values have no shape to
/// count by.
pub fn candidates(
    category: &str,
    treatment: &TreatmentSpec,
    data_type: &DataType,
    others: &[Released<'_>],
) -> Option<u64> {
    let known = Known::of(others);
    if category == "birth-date" {
        return days_left(treatment).map(|days| days.min(known.dates).max(1));
    }
    if treatment.strength() != Strength::PARTIAL || *data_type != DataType::Utf8 {
        return None;
    }
    let shape = shape::of(category)?;
    let visible = visible(treatment, category, shape.example())?;
    Some(shape.count(&visible, &known).max(1))
}

/// What other released fields give away about one person.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Birth dates that are left; [`shape::DATES`] where nothing is known.
    dates: u64,
    /// Whether the sex is known.
    sex: bool,
    /// Whether the division of the number is as good as known.
    region: bool,
}

impl Known {
    fn of(others: &[Released<'_>]) -> Self {
        let mut known = Self {
            dates: shape::DATES,
            sex: false,
            region: false,
        };
        for other in others {
            let clear = other.treatment.strength() == Strength::CLEAR;
            match other.category {
                "birth-date" => {
                    if let Some(days) = days_left(other.treatment) {
                        known.dates = known.dates.min(days);
                    } else if clear {
                        known.dates = 1;
                    }
                }
                "birth-year" | "age" if clear => known.dates = known.dates.min(DAYS_OF_YEAR),
                "gender" if clear => known.sex = true,
                "division-code" if clear => known.region = true,
                _ => {}
            }
        }
        known
    }
}

/// Days of a year, as the count takes them.
const DAYS_OF_YEAR: u64 = 365;

/// How many birth dates fit a coarsened one; `None` where the treatment is no coarsening of dates.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other treatments of dates are not counted"
)]
fn days_left(treatment: &TreatmentSpec) -> Option<u64> {
    match treatment.treatment() {
        AnyTreatment::DateTrunc(trunc) => Some(match trunc.unit {
            Unit::Year => DAYS_OF_YEAR,
            Unit::Quarter => 91,
            Unit::Month => 30,
            Unit::Week => 7,
            Unit::Day | Unit::Hour | Unit::Minute => 1,
        }),
        AnyTreatment::AgeBand(band) => {
            let years = match (&band.width, &band.edges) {
                (Some(width), _) => u64::from(*width),
                (None, Some(edges)) => edges
                    .windows(2)
                    .filter_map(|pair| pair.last()?.checked_sub(*pair.first()?))
                    .map(u64::from)
                    .min()
                    .unwrap_or(1),
                (None, None) => 1,
            };
            Some(years.saturating_mul(DAYS_OF_YEAR))
        }
        _ => None,
    }
}

/// Which characters of the example survive the treatment, by position; `None` if it does not fit.
fn visible(treatment: &TreatmentSpec, category: &str, example: &str) -> Option<Vec<bool>> {
    let column = Column::alone("example", &DataType::Utf8, category);
    let key = DerivedKey::derive(
        &[0; crate::key::KEY_BYTES],
        "example",
        "example",
        "example",
        1,
    );
    let built = treatment.build(column, Some(&key)).ok()?;
    let array: ArrayRef = Arc::new(StringArray::from(vec![example]));
    let treated = built.apply(&array).ok()?.array;
    let text = treated.as_string_opt::<i32>()?;
    let text = if text.is_valid(0) { text.value(0) } else { "" };
    Some(surviving(example, text))
}

/// Compares character by character where the length is kept, from both ends where it is not.
fn surviving(example: &str, treated: &str) -> Vec<bool> {
    let (before, after): (Vec<char>, Vec<char>) =
        (example.chars().collect(), treated.chars().collect());
    if before.len() == after.len() {
        return before
            .iter()
            .zip(&after)
            .map(|(one, other)| one == other)
            .collect();
    }
    let head = before
        .iter()
        .zip(&after)
        .take_while(|(one, other)| one == other)
        .count();
    let tail = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take_while(|(one, other)| one == other)
        .count();
    (0..before.len())
        .map(|position| position < head || position >= before.len().saturating_sub(tail))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::spec;

    fn count(category: &str, treatment: &str, others: &[(&str, &str)]) -> Option<u64> {
        let specs: Vec<_> = others
            .iter()
            .map(|(category, text)| (*category, spec(text)))
            .collect();
        let released: Vec<_> = specs
            .iter()
            .map(|(category, treatment)| Released {
                category,
                treatment,
            })
            .collect();
        candidates(category, &spec(treatment), &DataType::Utf8, &released)
    }

    const SIX_AND_FOUR: &str = "{ kind = 'keep-ends', first = 6, last = 4 }";
    const CLEAR: &str = "{ kind = 'clear' }";

    #[test]
    fn an_identity_number_with_six_and_four_kept_fits_a_few_thousand_birth_dates() {
        // masking.md 2.3 counts 3,315 for one number; the expectation is 36,525 / 11.
        assert_eq!(count("resident-id", SIX_AND_FOUR, &[]), Some(3_320));
    }

    #[test]
    fn a_released_birth_date_leaves_one_candidate() {
        let birth = [("birth-date", CLEAR)];
        assert_eq!(count("resident-id", SIX_AND_FOUR, &birth), Some(1));
        let month = [("birth-date", "{ kind = 'date-trunc', unit = 'month' }")];
        assert_eq!(count("resident-id", SIX_AND_FOUR, &month), Some(2));
    }

    #[test]
    fn hiding_the_last_four_leaves_a_thousand_or_half_of_them_when_the_sex_is_known() {
        let last = "{ kind = 'mask-range', from = -4, to = -1 }";
        assert_eq!(count("resident-id", last, &[]), Some(1_000));
        assert_eq!(count("resident-id", last, &[("gender", CLEAR)]), Some(500));
    }

    #[test]
    fn hiding_month_and_day_leaves_thirty_three() {
        let days = "{ kind = 'mask-range', from = 10, to = 13 }";
        assert_eq!(count("resident-id", days, &[]), Some(33));
    }

    #[test]
    fn a_mobile_number_with_three_and_four_kept_fits_ten_thousand() {
        let kept = "{ kind = 'keep-ends', first = 3, last = 4 }";
        assert_eq!(count("mobile", kept, &[]), Some(10_000));
    }

    #[test]
    fn a_card_with_its_check_digit_shown_loses_a_tenth() {
        assert_eq!(count("bank-card", SIX_AND_FOUR, &[]), Some(100_000_000));
    }

    #[test]
    fn a_fixed_number_of_fills_hides_as_much_as_is_not_shown() {
        let fixed = "{ kind = 'keep-ends', first = 3, last = 4, length = 4 }";
        assert_eq!(count("mobile", fixed, &[]), Some(10_000));
    }

    #[test]
    fn a_coarser_birth_date_fits_the_days_of_its_unit() {
        let of = |text| candidates("birth-date", &spec(text), &DataType::Date32, &[]);
        assert_eq!(of("{ kind = 'date-trunc', unit = 'year' }"), Some(365));
        assert_eq!(of("{ kind = 'date-trunc', unit = 'day' }"), Some(1));
        assert_eq!(
            of("{ kind = 'age-band', as_of = 2026-01-01, width = 10 }"),
            Some(3_650)
        );
    }

    #[test]
    fn what_has_no_shape_or_no_mask_is_not_counted() {
        assert_eq!(count("free-text", SIX_AND_FOUR, &[]), None);
        assert_eq!(count("resident-id", CLEAR, &[]), None);
        assert_eq!(
            count(
                "resident-id",
                "{ kind = 'hmac', domain = 'person.id' }",
                &[]
            ),
            None
        );
    }
}
