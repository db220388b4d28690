//! The values of a column as plaintexts: what [`cell`](crate::cell) says they are, type by type.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};

use crate::cases::{Rules, failed, to_text};
use crate::error::{Case, TreatmentError};
use crate::text::{TextGetter, text_getter};

/// The values of a column, in whatever form they came.
pub(super) struct Plain<'a> {
    column: &'a ArrayRef,
    values: Values<'a>,
    /// Rows that hold a sentinel, with the text forms of the column; absent where none does.
    sentinels: Option<(BooleanBuffer, StringArray)>,
}

enum Values<'a> {
    Text(TextGetter<'a>),
    Binary(&'a BinaryArray),
    Boolean(&'a BooleanArray),
    Fixed(Fixed<'a>),
}

/// A column in a form that is read value by value: dictionaries of text are laid out, since each of
/// their rows becomes another cell, and the wide and view forms of binary become the plain one.
///
/// # Errors
/// The array isn't of the type that the treatment was built for, in any form of it.
pub(super) fn readable(
    column: &ArrayRef,
    data_type: &DataType,
) -> Result<ArrayRef, TreatmentError> {
    let laid_out = |step| cast(column, data_type).map_err(|_| failed(step));
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        let is_text = *data_type == DataType::Utf8 && text_getter(dictionary.values()).is_some();
        if !is_text {
            return Err(unexpected(column, data_type));
        }
        return laid_out("laying out a dictionary");
    }
    let is_wide = matches!(
        column.data_type(),
        DataType::LargeBinary | DataType::BinaryView
    );
    if is_wide && *data_type == DataType::Binary {
        return laid_out("bringing binary values to their plain form");
    }
    Ok(Arc::clone(column))
}

fn unexpected(column: &ArrayRef, data_type: &DataType) -> TreatmentError {
    TreatmentError::UnexpectedType {
        expected: data_type.clone(),
        actual: column.data_type().clone(),
    }
}

/// Values of one width, as Arrow has them in memory.
struct Fixed<'a> {
    bytes: Buffer,
    width: usize,
    is_finite: Option<Box<dyn Fn(usize) -> bool + 'a>>,
}

/// What a row holds.
pub(super) enum Class {
    Value,
    Sentinel,
    Case(Case),
}

impl<'a> Plain<'a> {
    /// The values of a column in [`readable`] form.
    ///
    /// # Errors
    /// The array isn't of the type that the treatment was built for.
    pub(super) fn of(
        column: &'a ArrayRef,
        data_type: &DataType,
        rules: &Rules,
    ) -> Result<Self, TreatmentError> {
        let unexpected = || unexpected(column, data_type);
        if *data_type == DataType::Utf8 {
            let values = Values::Text(text_getter(column).ok_or_else(unexpected)?);
            return Ok(Self {
                column,
                values,
                sentinels: None,
            });
        }
        if column.data_type() != data_type {
            return Err(unexpected());
        }
        let values = if let Some(values) = column.as_binary_opt() {
            Values::Binary(values)
        } else if let Some(values) = column.as_boolean_opt() {
            Values::Boolean(values)
        } else {
            Values::Fixed(Fixed::of(column).ok_or_else(unexpected)?)
        };
        let rows = rules.sentinel_rows(column)?;
        let sentinels = match rows.filter(|rows| rows.count_set_bits() > 0) {
            Some(rows) if *data_type == DataType::Binary => Some((rows, StringArray::new_null(0))),
            Some(rows) => Some((rows, to_text(column)?)),
            None => None,
        };
        Ok(Self {
            column,
            values,
            sentinels,
        })
    }

    /// About the bytes of all plaintexts.
    pub(super) fn bytes(&self) -> usize {
        match &self.values {
            Values::Text(_) => text_bytes(self.column),
            Values::Binary(values) => values.value_data().len(),
            Values::Boolean(values) => values.len(),
            Values::Fixed(fixed) => fixed.bytes.len(),
        }
    }

    pub(super) fn class(&self, row: usize, rules: &Rules) -> Class {
        if let Values::Text(text) = &self.values {
            return match text(row) {
                None => Class::Case(Case::Null),
                Some(text) if rules.is_sentinel(text) => Class::Sentinel,
                Some(text) if text.chars().all(char::is_whitespace) => Class::Case(Case::Empty),
                Some(_) => Class::Value,
            };
        }
        if self.column.is_null(row) {
            return Class::Case(Case::Null);
        }
        if self
            .sentinels
            .as_ref()
            .is_some_and(|(rows, _)| rows.value(row))
        {
            return Class::Sentinel;
        }
        match &self.values {
            Values::Fixed(fixed) if !fixed.is_finite(row) => Class::Case(Case::Invalid),
            Values::Text(_) | Values::Binary(_) | Values::Boolean(_) | Values::Fixed(_) => {
                Class::Value
            }
        }
    }

    /// Appends the plaintext of a row.
    pub(super) fn append(&self, row: usize, out: &mut Vec<u8>) {
        match &self.values {
            Values::Text(text) => out.extend_from_slice(text(row).unwrap_or_default().as_bytes()),
            Values::Binary(values) => out.extend_from_slice(values.value(row)),
            Values::Boolean(values) => out.push(u8::from(values.value(row))),
            Values::Fixed(fixed) => fixed.append(row, out),
        }
    }

    /// Appends a value that is kept as given: bytes and text as they are, others as text.
    pub(super) fn append_given(&self, row: usize, out: &mut Vec<u8>) {
        match (&self.values, &self.sentinels) {
            (Values::Boolean(_) | Values::Fixed(_), Some((_, texts))) => {
                out.extend_from_slice(texts.value(row).as_bytes());
            }
            _ => self.append(row, out),
        }
    }
}

impl<'a> Fixed<'a> {
    fn of(column: &'a ArrayRef) -> Option<Self> {
        let width = column.data_type().primitive_width()?;
        let data = column.to_data();
        let start = data.offset().checked_mul(width)?;
        let length = data.len().checked_mul(width)?;
        let bytes = data.buffers().first()?.slice_with_length(start, length);
        let is_finite: Option<Box<dyn Fn(usize) -> bool>> =
            if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
                Some(Box::new(|row| floats.value(row).is_finite()))
            } else if let Some(floats) = column.as_primitive_opt::<Float32Type>() {
                Some(Box::new(|row| floats.value(row).is_finite()))
            } else {
                None
            };
        Some(Self {
            bytes,
            width,
            is_finite,
        })
    }

    fn is_finite(&self, row: usize) -> bool {
        self.is_finite
            .as_ref()
            .is_none_or(|is_finite| is_finite(row))
    }

    fn append(&self, row: usize, out: &mut Vec<u8>) {
        let start = row * self.width;
        let value = self
            .bytes
            .get(start..start + self.width)
            .unwrap_or_default();
        if cfg!(target_endian = "big") {
            out.extend_from_slice(value);
        } else {
            out.extend(value.iter().rev());
        }
    }
}

/// The bytes of the values of a column of text; 0 where they aren't easily counted.
fn text_bytes(column: &ArrayRef) -> usize {
    let span = |first: Option<usize>, last: Option<usize>| {
        last.unwrap_or_default()
            .saturating_sub(first.unwrap_or_default())
    };
    if let Some(text) = column.as_string_opt::<i32>() {
        let at = |offset: Option<&i32>| offset.and_then(|offset| usize::try_from(*offset).ok());
        return span(
            at(text.value_offsets().first()),
            at(text.value_offsets().last()),
        );
    }
    if let Some(text) = column.as_string_opt::<i64>() {
        let at = |offset: Option<&i64>| offset.and_then(|offset| usize::try_from(*offset).ok());
        return span(
            at(text.value_offsets().first()),
            at(text.value_offsets().last()),
        );
    }
    let views = column.as_string_view_opt();
    views.map_or(0, |text| {
        text.lengths()
            .filter_map(|length| usize::try_from(length).ok())
            .sum()
    })
}
