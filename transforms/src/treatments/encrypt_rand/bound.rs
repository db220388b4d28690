//! The values of rows that cells are bound to.

use arrow::array::{Array, ArrayRef, AsArray as _, StringArray};
use arrow::datatypes::{DataType, Date32Type};
use arrow::temporal_conversions::date32_to_datetime;

use crate::cases::{failed, to_text};
use crate::cell::Beside;
use crate::error::TreatmentError;

/// Whether values of a type have one text each, in every format of delivery: whoever has the row has to
/// come to the very bytes that were authenticated.
pub(super) fn fits(data_type: &DataType) -> bool {
    let others = [DataType::Utf8, DataType::Date32, DataType::Boolean];
    data_type.is_integer() || others.contains(data_type)
}

/// The text of each value; a null has none, and nothing else.
fn texts_of(column: &ArrayRef) -> Result<StringArray, TreatmentError> {
    let texts = to_text(column)?;
    let Some(dates) = column.as_primitive_opt::<Date32Type>() else {
        return Ok(texts);
    };
    if texts.null_count() == dates.null_count() {
        return Ok(texts);
    }
    // Dates outside the years 0 to 9999 have no text elsewhere, and would pass for nulls.
    let all = texts.iter().zip(dates).map(|(text, days)| match text {
        Some(text) => Some(text.to_owned()),
        None => days.map(signed),
    });
    Ok(all.collect())
}

/// A date as deliveries write one outside the years 0 to 9999; beyond what a calendar reckons, its days
/// since 1970.
fn signed(days: i32) -> String {
    match date32_to_datetime(days) {
        Some(moment) => moment.date().to_string(),
        None => format!("{days} days"),
    }
}

/// What of each row its cell is bound to.
pub(super) struct Bound<'a> {
    /// Texts of the fields, each with its name.
    fields: Vec<(&'a str, StringArray)>,
    /// One row; reused.
    beside: Beside,
}

impl<'a> Bound<'a> {
    /// Rows that no cell is bound to.
    pub(super) fn none() -> Self {
        Self {
            fields: Vec::new(),
            beside: Beside::default(),
        }
    }

    /// Reads the fields of these names, which are in their order, one column each, of so many rows.
    ///
    /// # Errors
    /// A column that isn't there, is of another length, or has no texts.
    pub(super) fn read(
        names: &'a [String],
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<Self, TreatmentError> {
        let mut columns = columns.iter();
        let fields = names.iter().map(|name| {
            let column = columns.next().filter(|column| column.len() == rows);
            let column = column.ok_or_else(|| failed("reading the fields of `beside`"))?;
            Ok((name.as_str(), texts_of(column)?))
        });
        Ok(Self {
            fields: fields.collect::<Result<_, TreatmentError>>()?,
            beside: Beside::default(),
        })
    }

    /// What the cell of a row is bound to.
    pub(super) fn row(&mut self, row: usize) -> &Beside {
        self.beside.clear();
        for (name, texts) in &self.fields {
            let text = texts.is_valid(row).then(|| texts.value(row));
            self.beside.push(name, text);
        }
        &self.beside
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Date32Array;

    use super::*;

    #[test]
    fn every_date_has_a_text_of_its_own_and_a_null_has_none() {
        let days = [
            Some(0),
            None,
            Some(2_932_897),
            Some(-719_562),
            Some(i32::MAX),
            Some(i32::MIN),
        ];
        let dates: ArrayRef = Arc::new(Date32Array::from(days.to_vec()));
        let texts = texts_of(&dates).unwrap();
        let expected = [
            Some("1970-01-01"),
            None,
            Some("+10000-01-01"),
            Some("-0001-11-28"),
        ];
        assert_eq!(texts.iter().take(4).collect::<Vec<_>>(), expected);
        assert!(texts.is_valid(4) && texts.is_valid(5) && texts.value(4) != texts.value(5));
    }
}
