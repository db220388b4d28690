//! Rows into batches of text columns, and the first row into the names of the columns.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::unreadable;
use crate::error::ConnectorError;
use crate::format::write::unguarded;

/// The most rows of a batch.
pub(super) const BATCH_ROWS: usize = 8_192;
/// A batch ends at so much text.
pub(super) const BATCH_TEXT_BYTES: usize = 16 << 20;
/// The most cells of a batch, so that a wide table does not fill memory with nulls.
const BATCH_CELLS: usize = 1 << 20;
/// The most columns, which is what a sheet can have.
pub(super) const COLUMNS_MAX: usize = 16_384;

/// The columns of a table.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) names: Vec<String>,
    pub(super) has_header: bool,
}

impl Columns {
    /// Names given by the file.
    ///
    /// # Errors
    /// A table without columns, or with more than [`COLUMNS_MAX`].
    pub(super) fn named(names: Vec<String>, place: &str) -> Result<Self, ConnectorError> {
        let remedy = "check that it is a table, and name its delimiter if it has an unusual one";
        match names.len() {
            0 => Err(unreadable(place, None, "it has no columns", remedy)),
            1..=COLUMNS_MAX => Ok(Self {
                names,
                has_header: true,
            }),
            _ => Err(unreadable(
                place,
                None,
                "it has more than 16,384 columns",
                remedy,
            )),
        }
    }

    /// Names from the first row, if `header` says so or, without it, if the row looks like one. There
    /// are `width` columns, or as many as the first row has cells.
    pub(super) fn from_first_row(
        first: &[String],
        width: usize,
        header: Option<bool>,
        place: &str,
    ) -> Result<Self, ConnectorError> {
        let has_header = header.unwrap_or_else(|| looks_like_header(first));
        let width = width.max(first.len()).min(COLUMNS_MAX + 1);
        let name = |index: usize| {
            let found = first.get(index).map(|cell| cell.trim());
            match found.filter(|name| has_header && !name.is_empty()) {
                Some(name) => unguarded(name).to_owned(),
                None => format!("column {}", index.saturating_add(1)),
            }
        };
        let names = (0..width).map(name).collect();
        Ok(Self {
            has_header,
            ..Self::named(names, place)?
        })
    }
}

/// Whether the cells of a row are names: texts, none of them a number or a date, most of which differ.
/// Some may be there twice: tables that were joined have columns of one name.
fn looks_like_header(cells: &[String]) -> bool {
    let is_name = |cell: &String| {
        let cell = cell.trim();
        !cell.is_empty() && !looks_like_value(cell)
    };
    let different = cells.iter().map(|cell| cell.trim()).collect::<HashSet<_>>();
    cells.iter().all(is_name) && 2 * different.len() > cells.len()
}

/// Whether a text looks like a number, a date, a time or an identifier: all digits and what is
/// written among them, or digits for the most part.
fn looks_like_value(cell: &str) -> bool {
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    let among = |character: char| {
        character.is_ascii_digit() || " +-.,/:%TZeE年月日时分秒¥￥$".contains(character)
    };
    digits > 0 && (digits * 2 > cell.chars().count() || cell.chars().all(among))
}

/// The schema of the batches: nullable text, one column per name.
pub(super) fn schema(names: &[String]) -> SchemaRef {
    let field = |name: &String| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
}

/// A batch being built.
#[derive(Debug)]
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<StringBuilder>,
    rows: usize,
    rows_max: usize,
    text_bytes: usize,
}

impl BatchBuilder {
    pub(super) fn new(columns: &Columns) -> Self {
        let width = columns.names.len();
        Self {
            schema: schema(&columns.names),
            columns: (0..width)
                .map(|_| StringBuilder::with_capacity(0, 0))
                .collect(),
            rows: 0,
            rows_max: BATCH_CELLS
                .checked_div(width)
                .unwrap_or(1)
                .clamp(1, BATCH_ROWS),
            text_bytes: 0,
        }
    }

    /// Adds a row. Cells beyond the columns are dropped; missing ones are null. A cell to which the formula
    /// guard gave an apostrophe is as it was before: marks are looked for in what was delivered, whatever
    /// the file went through since.
    pub(super) fn push<'a>(&mut self, cells: impl IntoIterator<Item = Option<&'a str>>) {
        let mut cells = cells.into_iter();
        for column in &mut self.columns {
            let cell = cells.next().flatten().map(unguarded);
            column.append_option(cell);
            self.text_bytes = self.text_bytes.saturating_add(cell.map_or(0, str::len));
        }
        self.rows = self.rows.saturating_add(1);
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= self.rows_max || self.text_bytes >= BATCH_TEXT_BYTES
    }

    /// The rows so far as a batch; none if there are none.
    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>, ConnectorError> {
        if self.rows == 0 {
            return Ok(None);
        }
        (self.rows, self.text_bytes) = (0, 0);
        let array = |column: &mut StringBuilder| -> ArrayRef { Arc::new(column.finish()) };
        let columns = self.columns.iter_mut().map(array).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map(Some)
            .map_err(|_| ConnectorError::bug("columns of a found table do not fit together"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_header(cells: &[&str]) -> bool {
        looks_like_header(
            &cells
                .iter()
                .map(|&cell| cell.to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn names_are_texts_that_differ() {
        assert!(is_header(&["姓名", "mobile", "Q1", "income_2024"]));
        assert!(is_header(&["id"]));
        assert!(is_header(&["id", "name", "phone", "id"]));
        assert!(!is_header(&["name", "name"]));
        assert!(!is_header(&["男", "男", "女", "女"]));
        assert!(!is_header(&["name", " "]));
    }

    #[test]
    fn a_number_or_date_is_no_name() {
        for value in [
            "1",
            "-1.5",
            "1,234.50",
            "12%",
            "1e5",
            "2024-01-31",
            "2024/1/31 10:20",
            "2024年1月31日",
            "2024-01-31T10:20:30Z",
            "11010119900307123X",
            "¥12.00",
        ] {
            assert!(!is_header(&["name", value]), "{value}");
        }
    }

    #[test]
    fn a_wide_table_has_batches_of_few_rows() {
        let names = (0..COLUMNS_MAX).map(|index| index.to_string()).collect();
        let columns = Columns::named(names, "x").unwrap();
        let mut builder = BatchBuilder::new(&columns);
        for _ in 0..63 {
            builder.push([Some("a")]);
            assert!(!builder.is_full());
        }
        builder.push([]);
        assert!(builder.is_full());
        assert_eq!(builder.finish().unwrap().unwrap().num_rows(), 64);
        assert!(builder.finish().unwrap().is_none());
    }

    #[test]
    fn too_many_columns_are_refused() {
        let error = Columns::from_first_row(&[], 1 << 40, None, "x").unwrap_err();
        assert!(error.to_string().contains("16,384"), "{error}");
    }
}
