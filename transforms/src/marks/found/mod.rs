//! The text columns of a leaked copy as values of the fields that marks are read from.
//!
//! A leak has been through spreadsheets and other hands: amounts are in 万, dates are numbers of
//! days, clocks are eight hours behind. A [`Spelling`] says how one column writes the values of one
//! field, [`spellings`] finds the plausible ones, and [`read`] undoes it exactly: marks are in the
//! last digits, so no number goes through a binary float on its way to a decimal. Each spelling that
//! is tried is one more hypothesis of a trace, so they are few.
//!
//! [`Profile`] and [`name_likeness`] tell which column may be which field before anything is read.

mod number;
mod profile;
mod spelling;
#[cfg(test)]
mod tests;
mod time;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, PrimitiveArray, StringArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type};

use self::number::Number;
pub use self::profile::{Profile, name_likeness, profile};
pub use self::spelling::{Spelling, TimeSpelling, spellings};
use super::canonical;
use crate::calendar::{ForTime, with_time};
use crate::error::TreatmentError;
use crate::number::{Exact, Float, ForExact, scale_of, with_exact};

/// A column of a leak as values of a field.
#[derive(Debug, Clone)]
pub struct Found {
    /// Values of the field's type, null where there is none or none that can be read.
    pub values: ArrayRef,
    /// Cells that hold something, but no value of the field.
    pub unreadable: u64,
}

/// Reads a column as values of a field of type `target`: whole numbers, decimals, floats, dates,
/// timestamps, text or truth values. A number is rounded to the field's scale, half away from zero;
/// one that the type doesn't hold is unreadable. Blank cells, and in other columns than text the
/// words for a missing value, are null.
///
/// # Errors
/// A target of another type.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named can't be read"
)]
pub fn read(
    column: &StringArray,
    target: &DataType,
    spelling: Spelling,
) -> Result<Found, TreatmentError> {
    let typed = Typed {
        column,
        target,
        spelling,
    };
    let found = match target {
        DataType::Utf8 => Some(texts(column)),
        DataType::Boolean => {
            let (values, unreadable) = cells(column, truth);
            Some(found(BooleanArray::from(values), unreadable))
        }
        DataType::Float32 => Some(typed.floats::<Float32Type>()),
        DataType::Float64 => Some(typed.floats::<Float64Type>()),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => with_time(target, typed),
        _ => with_exact(target, typed),
    };
    found.ok_or_else(|| TreatmentError::UnexpectedType {
        expected: DataType::Utf8,
        actual: target.clone(),
    })
}

fn found(values: impl Array + 'static, unreadable: u64) -> Found {
    Found {
        values: Arc::new(values),
        unreadable,
    }
}

/// What is made of every cell, and how many hold something of which nothing can be made.
fn cells<V>(
    column: &StringArray,
    mut value: impl FnMut(&str) -> Option<V>,
) -> (Vec<Option<V>>, u64) {
    let (mut scratch, mut unreadable) = (String::new(), 0);
    let values = column.iter().map(|cell| {
        let text = seen(cell?, &mut scratch);
        let value = value(text);
        unreadable += u64::from(value.is_none() && !is_missing(text));
        value
    });
    (values.collect(), unreadable)
}

/// What can be seen of a cell, without white space around it.
#[inline]
fn seen<'a>(cell: &'a str, scratch: &'a mut String) -> &'a str {
    if cell.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return cell.trim_matches(' ');
    }
    canonical::write_visible(cell, scratch);
    scratch
}

/// Whether a cell says that there is no value: nothing, or what databases and programs write for it.
fn is_missing(text: &str) -> bool {
    const WORDS: [&str; 9] = [
        "null", "(null)", "\\n", "none", "nan", "nat", "na", "n/a", "#n/a",
    ];
    text.bytes().all(|byte| byte == b'-')
        || WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn texts(column: &StringArray) -> Found {
    let mut scratch = String::new();
    let texts = column.iter().map(|cell| {
        let text = seen(cell?, &mut scratch);
        (!text.is_empty()).then(|| text.to_owned())
    });
    found(texts.collect::<StringArray>(), 0)
}

fn truth(text: &str) -> Option<bool> {
    const WORDS: [(&str, &str); 6] = [
        ("true", "false"),
        ("1", "0"),
        ("是", "否"),
        ("yes", "no"),
        ("t", "f"),
        ("y", "n"),
    ];
    let text = text.strip_suffix(".0").unwrap_or(text);
    WORDS.iter().find_map(|(yes, no)| {
        let is_yes = text.eq_ignore_ascii_case(yes);
        (is_yes || text.eq_ignore_ascii_case(no)).then_some(is_yes)
    })
}

/// A column to be read as numbers or times of a type.
struct Typed<'a> {
    column: &'a StringArray,
    target: &'a DataType,
    spelling: Spelling,
}

impl Typed<'_> {
    fn of<T: ArrowPrimitiveType>(&self, value: impl FnMut(&str) -> Option<T::Native>) -> Found {
        let (values, unreadable) = cells(self.column, value);
        let values: PrimitiveArray<T> = values.into_iter().collect();
        found(values.with_data_type(self.target.clone()), unreadable)
    }

    fn floats<T>(&self) -> Found
    where
        T: ArrowPrimitiveType,
        T::Native: Float + std::str::FromStr,
    {
        let (mut number, mut digits) = (Number::default(), String::new());
        let shift = i32::from(self.spelling.power);
        self.of::<T>(|text| {
            if !number.read(text) {
                return None;
            }
            number.write(shift, &mut digits);
            let float: T::Native = digits.parse().ok()?;
            float.widen().is_finite().then_some(float)
        })
    }
}

impl ForExact for Typed<'_> {
    type Output = Found;

    fn call<T>(self, least: T::Native, greatest: T::Native) -> Found
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let mut number = Number::default();
        let scale = scale_of(self.target).unwrap_or_default();
        let shift = i32::from(scale) + i32::from(self.spelling.power);
        self.of::<T>(|text| {
            let units: T::Native = number.read(text).then(|| number.units(shift))??;
            (least <= units && units <= greatest).then_some(units)
        })
    }
}

impl ForTime for Typed<'_> {
    type Output = Found;

    fn call<T>(self) -> Found
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        let mut reader = time::Reader::new(self.spelling.time);
        self.of::<T>(|text| {
            let moment = reader.moment(text)?;
            let value = moment.in_type(self.target, self.spelling.shift_minutes)?;
            value.try_into().ok()
        })
    }
}
