//! A delivered table as an outsider holds it: columns of values as they are shown, free of any
//! file format, and the files that a leak can be written to.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float64Type, Schema, TimeUnit,
    TimestampMillisecondType,
};
use chrono::DateTime;
use rust_xlsxwriter::{Format, Workbook};
use serde_json::{Map, Value};

use crate::site::write_parquet;

/// Days from 1899-12-30, where spreadsheets begin to count, to 1970.
const SPREADSHEET_EPOCH_DAYS: f64 = 25_569.0;

/// Most decimals that a column of floats is looked at for.
const DECIMALS_MAX: u32 = 6;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// Nothing.
    Null,
    /// Text, shared with whatever the value was copied from.
    Text(Arc<str>),
    /// A number of the column's smallest unit.
    Number(i128),
}

/// What a column's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There are none.
    Text,
    /// With so many decimals.
    Decimal(u32),
    /// Ticks since 1970, so many digits to the second.
    Time(u32),
    /// Days since 1970.
    Date,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its header.
    pub name: String,
    /// What its numbers are.
    pub kind: Kind,
    /// Its values.
    pub cells: Vec<Cell>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Its columns, all of one length.
    pub columns: Vec<Column>,
}

/// The file a leak is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated, UTF-8.
    Csv,
    /// Comma-separated, GB 18030.
    Gb18030,
    /// A spreadsheet: numbers as numbers, times as its own.
    Xlsx,
    /// One JSON object a line.
    Jsonl,
    /// Parquet with the types of the delivery.
    Parquet,
}

impl Column {
    /// The value of a row as text; none for null.
    #[must_use]
    pub fn shown(&self, row: usize) -> Option<String> {
        match (&self.cells[row], self.kind) {
            (Cell::Null, _) => None,
            (Cell::Text(text), _) => Some(text.to_string()),
            (Cell::Number(number), Kind::Decimal(scale)) => Some(decimal_text(*number, scale)),
            (Cell::Number(number), Kind::Time(digits)) => {
                let second = 10_i128.pow(digits);
                let text = clock_text(number.div_euclid(second), "%Y-%m-%d %H:%M:%S");
                Some(match digits {
                    0 => text,
                    _ => format!(
                        "{text}.{:0width$}",
                        number.rem_euclid(second),
                        width = digits as usize
                    ),
                })
            }
            (Cell::Number(number), Kind::Date | Kind::Text) => {
                Some(clock_text(number * 86_400, "%Y-%m-%d"))
            }
        }
    }

    /// The number of a row in the column's whole unit: days for dates and times.
    #[must_use]
    pub fn real(&self, row: usize) -> Option<f64> {
        let Cell::Number(number) = self.cells[row] else {
            return None;
        };
        Some(match self.kind {
            // Digits as written, so that no rounding is added.
            Kind::Decimal(scale) => decimal_text(number, scale).parse().expect("a number"),
            Kind::Time(digits) => number as f64 / 10_f64.powi(digits as i32) / 86_400.0,
            Kind::Date | Kind::Text => number as f64,
        })
    }

    /// The same as text, each value as `shown` gives it.
    pub fn into_text(&mut self, shown: impl Fn(&Self, usize) -> Option<String>) {
        let texts = (0..self.cells.len()).map(|row| shown(self, row));
        self.cells = texts
            .map(|text| text.map_or(Cell::Null, |text| Cell::Text(text.into())))
            .collect();
        self.kind = Kind::Text;
    }

    fn array(&self) -> ArrayRef {
        let numbers = self.cells.iter().map(|cell| match cell {
            Cell::Number(number) => Some(*number),
            Cell::Null | Cell::Text(_) => None,
        });
        let narrow = |number: Option<i128>| number.map(|number| number as i64);
        match self.kind {
            Kind::Text => Arc::new(StringArray::from_iter(
                (0..self.cells.len()).map(|row| self.shown(row)),
            )),
            Kind::Decimal(scale) => {
                let of_type = DataType::Decimal128(38, scale as i8);
                Arc::new(Decimal128Array::from_iter(numbers).with_data_type(of_type))
            }
            Kind::Time(_) => Arc::new(TimestampMillisecondArray::from_iter(numbers.map(narrow))),
            Kind::Date => Arc::new(Date32Array::from_iter(
                numbers.map(|number| number.map(|number| number as i32)),
            )),
        }
    }
}

impl Sheet {
    /// Some rows of a delivery, in that order.
    #[must_use]
    pub fn of(batch: &RecordBatch, rows: &[usize]) -> Self {
        let rows = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
        let taken = take_record_batch(batch, &rows).expect("rows of the delivery");
        let schema = taken.schema();
        let columns = schema.fields().iter().zip(taken.columns());
        Self {
            columns: columns
                .map(|(field, array)| {
                    let (kind, cells) = cells(array);
                    let name = field.name().clone();
                    Column { name, kind, cells }
                })
                .collect(),
        }
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.cells.len())
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of that name, to change.
    pub fn column_mut(&mut self, name: &str) -> Option<&mut Column> {
        self.columns.iter_mut().find(|column| column.name == name)
    }

    /// These rows, in that order; a row may come more than once.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter().map(|column| Column {
            name: column.name.clone(),
            kind: column.kind,
            cells: rows.iter().map(|row| column.cells[*row].clone()).collect(),
        });
        Self {
            columns: columns.collect(),
        }
    }

    /// Only the columns that are wanted.
    #[must_use]
    pub fn keeping(mut self, is_wanted: impl Fn(&str) -> bool) -> Self {
        self.columns.retain(|column| is_wanted(&column.name));
        self
    }

    /// The rows of another table of the same columns after these.
    pub fn append(&mut self, other: Self) {
        for (column, more) in self.columns.iter_mut().zip(other.columns) {
            column.cells.extend(more.cells);
        }
    }

    /// Writes the table to a file.
    pub fn write(&self, path: &Path, form: Form) {
        match form {
            Form::Csv => fs::write(path, self.csv()).expect("a leak"),
            Form::Gb18030 => {
                let text = self.csv();
                let (bytes, _, _) = encoding_rs::GB18030.encode(&text);
                fs::write(path, bytes).expect("a leak");
            }
            Form::Xlsx => self.write_xlsx(path),
            Form::Jsonl => fs::write(path, self.jsonl()).expect("a leak"),
            Form::Parquet => write_parquet(path, &self.batch(), 50_000),
        }
    }

    /// The table in Arrow.
    #[must_use]
    pub fn batch(&self) -> RecordBatch {
        let arrays: Vec<ArrayRef> = self.columns.iter().map(Column::array).collect();
        let fields = self.columns.iter().zip(&arrays);
        let fields: Vec<Field> = fields
            .map(|(column, array)| Field::new(&column.name, array.data_type().clone(), true))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one length")
    }

    fn csv(&self) -> String {
        let mut out = String::new();
        let mut line = |values: &mut dyn Iterator<Item = Option<String>>| {
            for (at, value) in values.enumerate() {
                if at > 0 {
                    out.push(',');
                }
                let value = value.unwrap_or_default();
                if value.contains([',', '"', '\n', '\r']) {
                    write!(out, "\"{}\"", value.replace('"', "\"\"")).expect("text");
                } else {
                    out.push_str(&value);
                }
            }
            out.push('\n');
        };
        line(&mut self.columns.iter().map(|column| Some(column.name.clone())));
        for row in 0..self.rows() {
            line(&mut self.columns.iter().map(|column| column.shown(row)));
        }
        out
    }

    fn jsonl(&self) -> String {
        let mut out = String::new();
        for row in 0..self.rows() {
            let values = self.columns.iter().map(|column| {
                let value = match (column.shown(row), column.kind) {
                    (None, _) => Value::Null,
                    (Some(text), Kind::Decimal(_)) => {
                        serde_json::from_str(&text).expect("a number in JSON")
                    }
                    (Some(text), Kind::Text | Kind::Time(_) | Kind::Date) => Value::from(text),
                };
                (column.name.clone(), value)
            });
            let object: Map<String, Value> = values.collect();
            writeln!(out, "{}", Value::from(object)).expect("text");
        }
        out
    }

    fn write_xlsx(&self, path: &Path) {
        let mut book = Workbook::new();
        let (date, time) = (
            Format::new().set_num_format("yyyy/m/d"),
            Format::new().set_num_format("yyyy/m/d h:mm:ss"),
        );
        let sheet = book.add_worksheet();
        for (at, column) in (0_u16..).zip(&self.columns) {
            sheet.write_string(0, at, &column.name).expect("a header");
            for row in 0..self.rows() {
                let line = row as u32 + 1;
                let written = match (column.real(row), column.kind) {
                    (Some(number), Kind::Decimal(_)) => sheet.write_number(line, at, number),
                    (Some(days), Kind::Time(_)) => {
                        let serial = days + SPREADSHEET_EPOCH_DAYS;
                        sheet.write_number_with_format(line, at, serial, &time)
                    }
                    (Some(days), Kind::Date | Kind::Text) => {
                        let serial = days + SPREADSHEET_EPOCH_DAYS;
                        sheet.write_number_with_format(line, at, serial, &date)
                    }
                    (None, _) => match column.shown(row) {
                        Some(text) => sheet.write_string(line, at, text),
                        None => continue,
                    },
                };
                written.expect("a cell of a spreadsheet");
            }
        }
        book.save(path).expect("a spreadsheet");
    }
}

/// The day as spreadsheets count it.
#[must_use]
pub fn serial(days: f64) -> f64 {
    days + SPREADSHEET_EPOCH_DAYS
}

/// Seconds since 1970 as text.
#[must_use]
pub fn clock_text(seconds: i128, pattern: &str) -> String {
    let seconds = i64::try_from(seconds).expect("a time of our age");
    let time = DateTime::from_timestamp(seconds, 0).expect("a time of our age");
    time.format(pattern).to_string()
}

/// A number of so many decimals, all of them written.
#[must_use]
pub fn decimal_text(number: i128, scale: u32) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let digits = number.unsigned_abs();
    match scale {
        0 => format!("{sign}{digits}"),
        _ => {
            let one = 10_u128.pow(scale);
            let width = scale as usize;
            format!("{sign}{}.{:0width$}", digits / one, digits % one)
        }
    }
}

/// The values of a delivered column, and what its numbers are.
fn cells(array: &ArrayRef) -> (Kind, Vec<Cell>) {
    let of = |get: &dyn Fn(usize) -> Cell| {
        let cell = |row| match array.is_null(row) {
            true => Cell::Null,
            false => get(row),
        };
        (0..array.len()).map(cell).collect::<Vec<_>>()
    };
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let cells = of(&|row| Cell::Text(texts.value(row).into()));
            (Kind::Text, cells)
        }
        DataType::Decimal128(_, scale) => {
            let numbers = array.as_primitive::<Decimal128Type>();
            let cells = of(&|row| Cell::Number(numbers.value(row)));
            (Kind::Decimal(*scale as u32), cells)
        }
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>();
            let is_whole = |value: f64, decimals: u32| {
                let scaled = value * 10_f64.powi(decimals as i32);
                (scaled - scaled.round()).abs() < 1e-6
            };
            let decimals = (0..DECIMALS_MAX)
                .find(|decimals| {
                    numbers
                        .iter()
                        .flatten()
                        .all(|value| is_whole(value, *decimals))
                })
                .unwrap_or(DECIMALS_MAX);
            let unit = 10_f64.powi(decimals as i32);
            let cells = of(&|row| Cell::Number((numbers.value(row) * unit).round() as i128));
            (Kind::Decimal(decimals), cells)
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            (Kind::Date, of(&|row| Cell::Number(days.value(row).into())))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let ticks = array.as_primitive::<TimestampMillisecondType>();
            (
                Kind::Time(3),
                of(&|row| Cell::Number(ticks.value(row).into())),
            )
        }
        other => panic!("no table of the suite has type {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: Kind, number: i128) -> Column {
        Column {
            name: "value".to_owned(),
            kind,
            cells: vec![Cell::Number(number), Cell::Null],
        }
    }

    #[test]
    fn values_are_shown_as_spreadsheets_and_people_write_them() {
        for (kind, number, text, real) in [
            (Kind::Decimal(2), -5, "-0.05", -0.05),
            (Kind::Decimal(0), 7, "7", 7.0),
            (Kind::Date, 1, "1970-01-02", 1.0),
            (Kind::Time(0), 43_200, "1970-01-01 12:00:00", 0.5),
            (Kind::Time(3), 43_200_007, "1970-01-01 12:00:00.007", 0.5),
        ] {
            let column = column(kind, number);
            assert_eq!(column.shown(0).as_deref(), Some(text));
            assert_eq!(column.shown(1), None);
            assert!((column.real(0).expect("a number") - real).abs() < 1e-6);
        }
    }

    #[test]
    fn text_with_commas_is_quoted() {
        let mut one = column(Kind::Date, 0);
        one.cells = vec![Cell::Text("a,\"b".into()), Cell::Null];
        let sheet = Sheet { columns: vec![one] };
        assert_eq!(sheet.csv(), "value\n\"a,\"\"b\"\n\n");
    }
}
