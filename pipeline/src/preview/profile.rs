//! What the values of a previewed field look like as a whole: how many different ones there are and
//! how they are distributed, before and after treatment.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Texts;
use crate::error::RunError;

/// Bars of a histogram.
const BARS: usize = 8;

/// Longest label of a bar, in characters.
const LABEL_CHARACTERS: usize = 24;

/// One bar: some values, and in how many rows they stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bar {
    /// The value, or the range of values.
    pub label: String,
    /// Rows.
    pub rows: u64,
}

/// The values of a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// Different values, null aside.
    pub distinct: u64,
    /// At most eight bars: ranges of equal width for numbers and dates, the most frequent values
    /// and all others for the rest. Nulls are left out.
    pub histogram: Vec<Bar>,
}

/// A profile under way. Of a value it keeps the digest and the beginning, and the number where it is
/// one, so that its size follows the rows and not their values.
#[derive(Debug, Default)]
pub(super) struct Profiler {
    frequencies: HashMap<Digest, Frequency>,
    /// Absent until a column is added, and for columns of other types.
    numbers: Option<(DataType, Vec<f64>)>,
}

/// Half a SHA-256: enough to tell ten thousand values apart.
type Digest = [u8; 16];

#[derive(Debug, Default)]
struct Frequency {
    label: String,
    rows: u64,
}

impl Profiler {
    /// Adds the values of a column, which has the type of those before.
    ///
    /// # Errors
    /// A type that has no text.
    pub(super) fn add(&mut self, column: &ArrayRef) -> Result<(), RunError> {
        let texts = Texts::of(column)?;
        for text in (0..column.len()).filter_map(|row| texts.get(row)) {
            let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
            let digest = digest.first_chunk().copied().unwrap_or_default();
            let frequency = self.frequencies.entry(digest).or_default();
            if frequency.rows == 0 {
                frequency.label = text.chars().take(LABEL_CHARACTERS).collect();
            }
            frequency.rows += 1;
        }
        if let Some(numbers) = numbers(column) {
            let data_type = column.data_type().clone();
            let (_, all) = self.numbers.get_or_insert((data_type, Vec::new()));
            all.extend(numbers.into_iter().filter(|value| value.is_finite()));
        }
        Ok(())
    }

    /// The profile of all that was added.
    pub(super) fn finish(self) -> Profile {
        let distinct = u64::try_from(self.frequencies.len()).unwrap_or(u64::MAX);
        let is_many = self.frequencies.len() > BARS;
        let numbers = self.numbers.filter(|_| is_many);
        let ranges = numbers.and_then(|(data_type, values)| ranges(&data_type, values));
        let frequencies = self.frequencies.into_values().collect();
        Profile {
            distinct,
            histogram: ranges.unwrap_or_else(|| most_frequent(frequencies)),
        }
    }
}

fn most_frequent(mut sorted: Vec<Frequency>) -> Vec<Bar> {
    sorted.sort_by(|one, other| other.rows.cmp(&one.rows).then(one.label.cmp(&other.label)));
    let shown = if sorted.len() > BARS { BARS - 1 } else { BARS };
    let rest = sorted.split_off(sorted.len().min(shown));
    let mut bars: Vec<Bar> = sorted
        .into_iter()
        .map(|Frequency { label, rows }| Bar { label, rows })
        .collect();
    if !rest.is_empty() {
        bars.push(Bar {
            label: format!("{} others", rest.len()),
            rows: rest.iter().map(|value| value.rows).sum(),
        });
    }
    bars
}

/// Ranges of equal width over numbers and dates; `None` if there is no such width.
fn ranges(data_type: &DataType, values: Vec<f64>) -> Option<Vec<Bar>> {
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    let bars = f64::from(u32::try_from(BARS).ok()?);
    let width = (high - low) / bars;
    if !width.is_finite() || width <= 0.0 {
        return None;
    }
    let mut rows = [0_u64; BARS];
    let edges: Vec<f64> = (1..BARS)
        .filter_map(|bar| Some(low + width * f64::from(u32::try_from(bar).ok()?)))
        .collect();
    for value in values {
        // The highest value belongs to the last bar.
        let bar = edges.iter().filter(|edge| value >= **edge).count();
        if let Some(rows) = rows.get_mut(bar) {
            *rows += 1;
        }
    }
    let edge = |bar: usize| -> Option<String> {
        let value = low + width * f64::from(u32::try_from(bar).ok()?);
        Some(label(data_type, value))
    };
    rows.iter()
        .enumerate()
        .map(|(bar, rows)| {
            Some(Bar {
                label: format!("{} to {}", edge(bar)?, edge(bar + 1)?),
                rows: *rows,
            })
        })
        .collect()
}

/// The values as numbers, nulls left out; days for dates, the unit for timestamps.
fn numbers(column: &ArrayRef) -> Option<Vec<f64>> {
    let data_type = column.data_type();
    if matches!(data_type, DataType::Date32 | DataType::Timestamp(_, _)) {
        let whole = cast(column, &DataType::Int64).ok()?;
        let floats = cast(&whole, &DataType::Float64).ok()?;
        return Some(
            floats
                .as_primitive_opt::<Float64Type>()?
                .iter()
                .flatten()
                .collect(),
        );
    }
    if !data_type.is_numeric() {
        return None;
    }
    let floats = cast(column, &DataType::Float64).ok()?;
    Some(
        floats
            .as_primitive_opt::<Float64Type>()?
            .iter()
            .flatten()
            .collect(),
    )
}

fn label(data_type: &DataType, value: f64) -> String {
    let whole = format!("{:.0}", value.round());
    if matches!(data_type, DataType::Date32 | DataType::Timestamp(_, _)) {
        return day_or_time(data_type, &whole).unwrap_or(whole);
    }
    if data_type.is_floating() || matches!(data_type, DataType::Decimal128(_, _)) {
        return format!("{value:.2}");
    }
    whole
}

/// A count of days, or of a timestamp's unit, as a date or time.
fn day_or_time(data_type: &DataType, count: &str) -> Option<String> {
    let exact: ArrayRef = Arc::new(Int64Array::from(vec![count.parse::<i64>().ok()?]));
    let narrow = if *data_type == DataType::Date32 {
        cast(&exact, &DataType::Int32).ok()?
    } else {
        exact
    };
    let date = cast(&narrow, data_type).ok()?;
    arrow::util::display::array_value_to_string(&date, 0).ok()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Date32Array, StringArray};

    use super::*;

    fn profile_of(column: impl Array + 'static) -> Profile {
        let column: ArrayRef = Arc::new(column);
        profile(&column)
    }

    fn profile(column: &ArrayRef) -> Profile {
        let mut profiler = Profiler::default();
        let half = column.len() / 2;
        profiler.add(&column.slice(0, half)).unwrap();
        profiler
            .add(&column.slice(half, column.len() - half))
            .unwrap();
        profiler.finish()
    }

    #[test]
    fn few_values_have_a_bar_each_the_most_frequent_first() {
        let found = profile_of(StringArray::from(vec![
            Some("b"),
            Some("a"),
            None,
            Some("b"),
        ]));
        assert_eq!(found.distinct, 2);
        let bars: Vec<_> = found
            .histogram
            .iter()
            .map(|bar| (&*bar.label, bar.rows))
            .collect();
        assert_eq!(bars, [("b", 2), ("a", 1)]);
    }

    #[test]
    fn many_texts_end_in_a_bar_of_all_others() {
        let texts: Vec<String> = (0..20).map(|index| format!("{index:02}")).collect();
        let found = profile_of(StringArray::from(texts));
        assert_eq!(found.distinct, 20);
        assert_eq!(found.histogram.len(), BARS);
        let last = found.histogram.last().unwrap();
        assert_eq!((&*last.label, last.rows), ("13 others", 13));
    }

    #[test]
    fn numbers_and_dates_are_counted_in_ranges_that_cover_every_row() {
        let numbers = profile_of(Int64Array::from_iter_values(0..100));
        assert_eq!(numbers.histogram.len(), BARS);
        assert_eq!(
            numbers.histogram.iter().map(|bar| bar.rows).sum::<u64>(),
            100
        );
        let dates = profile_of(Date32Array::from_iter_values(0..100));
        assert!(
            dates.histogram[0].label.starts_with("1970-01-01 to "),
            "{dates:?}"
        );
    }

    #[test]
    fn long_values_leave_no_more_than_their_beginning() {
        let long = "a".repeat(1 << 20);
        let texts = vec![format!("{long}1"), format!("{long}2"), format!("{long}1")];
        let column: ArrayRef = Arc::new(StringArray::from(texts));
        let mut profiler = Profiler::default();
        profiler.add(&column).unwrap();
        let kept = profiler.frequencies.values().map(|value| value.label.len());
        assert_eq!(kept.sum::<usize>(), 2 * LABEL_CHARACTERS);
        let found = profiler.finish();
        assert_eq!(found.distinct, 2);
        assert_eq!(found.histogram[0].rows, 2);
    }

    #[test]
    fn extreme_and_equal_numbers_make_no_fault() {
        let extremes = [i64::MIN, i64::MAX, 0, 1, 2, 3, 4, 5, 6, 7];
        let found = profile_of(Int64Array::from_iter_values(extremes));
        assert_eq!(found.histogram.iter().map(|bar| bar.rows).sum::<u64>(), 10);
        let nothing = profile_of(Int64Array::from(vec![None, None]));
        assert_eq!((nothing.distinct, nothing.histogram.len()), (0, 0));
    }
}
