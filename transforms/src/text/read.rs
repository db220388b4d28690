//! Text as columns hold it: its physical forms, and what its values look like.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;

use crate::error::{Misfit, TreatmentError};
use crate::spec::Column;
use crate::words;

/// Refuses a field that isn't text.
///
/// # Errors
/// The field is of another type.
pub(crate) fn only(kind: &str, column: Column<'_>) -> Result<(), Misfit> {
    if *column.data_type == DataType::Utf8 {
        return Ok(());
    }
    Err(Misfit::of_type(kind, column.data_type, "utf8"))
}

pub(super) fn unexpected(actual: &DataType) -> TreatmentError {
    TreatmentError::UnexpectedType {
        expected: DataType::Utf8,
        actual: actual.clone(),
    }
}

/// The bytes that a slice of text covers.
pub(super) fn text_bytes<O: Copy + TryInto<usize>>(offsets: &[O]) -> usize {
    let at = |offset: Option<&O>| {
        offset
            .and_then(|offset| (*offset).try_into().ok())
            .unwrap_or(0)
    };
    at(offsets.last()).saturating_sub(at(offsets.first()))
}

/// Reads the value of a row; `None` for a null.
pub(crate) type TextGetter<'a> = Box<dyn Fn(usize) -> Option<&'a str> + 'a>;

/// Reads values of any physical form of text; `None` for other arrays.
pub(crate) fn text_getter(array: &ArrayRef) -> Option<TextGetter<'_>> {
    if let Some(array) = array.as_string_opt::<i32>() {
        return Some(Box::new(|row| {
            array.is_valid(row).then(|| array.value(row))
        }));
    }
    if let Some(array) = array.as_string_opt::<i64>() {
        return Some(Box::new(|row| {
            array.is_valid(row).then(|| array.value(row))
        }));
    }
    let array = array.as_string_view_opt()?;
    Some(Box::new(|row| {
        array.is_valid(row).then(|| array.value(row))
    }))
}

/// Whether a value is empty or white space only.
#[inline(always)]
pub(crate) fn is_blank(value: &str) -> bool {
    // Nearly every value begins with what is no white space by its first byte alone.
    match value.as_bytes().first() {
        Some(b'!'..=b'~' | 0xE4..=0xE9) => false,
        _ => is_white(value),
    }
}

#[cold]
fn is_white(value: &str) -> bool {
    value.chars().all(char::is_whitespace)
}

/// Whether there is white space (Unicode White_Space) in a value.
pub(crate) fn has_white_space(value: &str) -> bool {
    !words::is_dense(value) && value.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_white_space_is_seen_and_nothing_else() {
        for character in '\0'..=char::MAX {
            let text = format!("张{character}三");
            assert_eq!(
                has_white_space(&text),
                character.is_whitespace(),
                "{character:?}"
            );
        }
    }
}
