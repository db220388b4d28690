//! The values of rows that cells are bound to.

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::datatypes::DataType;

use crate::cases::{failed, to_text};
use crate::cell::Beside;
use crate::error::TreatmentError;

/// Whether values of a type have one text each, in every format of delivery: whoever has the row has to
/// come to the very bytes that were authenticated.
pub(super) fn fits(data_type: &DataType) -> bool {
    let others = [DataType::Utf8, DataType::Date32, DataType::Boolean];
    data_type.is_integer() || others.contains(data_type)
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
            Ok((name.as_str(), to_text(column)?))
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
