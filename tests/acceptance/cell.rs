//! Values of a table as the tests compare them, free of Arrow's physical forms.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, UInt64Type,
};

/// One value. Dates are days, timestamps are counts of their unit, decimals are unscaled.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Whole(i128),
    Float(f64),
    Bool(bool),
    Bytes(Vec<u8>),
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn whole(&self) -> Option<i128> {
        match self {
            Self::Whole(value) => Some(*value),
            _ => None,
        }
    }

    fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }
}

/// The cells of a column as it was delivered.
pub(crate) fn cells(column: &ArrayRef) -> Vec<Cell> {
    let get = |row: usize| match column.data_type() {
        DataType::Utf8 => Cell::text(column.as_string::<i32>().value(row)),
        DataType::Boolean => Cell::Bool(column.as_boolean().value(row)),
        DataType::Int16 => Cell::Whole(column.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Cell::Whole(column.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Cell::Whole(column.as_primitive::<Int64Type>().value(row).into()),
        DataType::UInt64 => Cell::Whole(column.as_primitive::<UInt64Type>().value(row).into()),
        DataType::Float32 => Cell::Float(column.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Cell::Float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => Cell::Whole(column.as_primitive::<Decimal128Type>().value(row)),
        DataType::Date32 => Cell::Whole(column.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Cell::Whole(
            column
                .as_primitive::<TimestampMicrosecondType>()
                .value(row)
                .into(),
        ),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Cell::Whole(
            column
                .as_primitive::<TimestampMillisecondType>()
                .value(row)
                .into(),
        ),
        DataType::Binary => Cell::Bytes(column.as_binary::<i32>().value(row).to_vec()),
        other => panic!("no delivery has type {other}"),
    };
    (0..column.len())
        .map(|row| {
            if column.is_null(row) {
                Cell::Null
            } else {
                get(row)
            }
        })
        .collect()
}

/// The cells of a column of that name.
#[track_caller]
pub(crate) fn column(batch: &RecordBatch, name: &str) -> Vec<Cell> {
    cells(
        batch
            .column_by_name(name)
            .unwrap_or_else(|| panic!("no column {name}")),
    )
}

/// The texts of a column; nulls are `None`.
#[track_caller]
pub(crate) fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    column(batch, name)
        .into_iter()
        .map(|cell| match cell {
            Cell::Null => None,
            Cell::Text(text) => Some(text),
            other => panic!("{name} holds {other:?}"),
        })
        .collect()
}

/// The whole numbers of a column without nulls.
#[track_caller]
pub(crate) fn wholes(batch: &RecordBatch, name: &str) -> Vec<i128> {
    column(batch, name)
        .iter()
        .map(|cell| cell.whole().expect("a whole number"))
        .collect()
}

/// A column of a type that holds those cells.
pub(crate) fn array(data_type: &DataType, cells: &[Cell]) -> ArrayRef {
    let wholes = || cells.iter().map(Cell::whole);
    match data_type {
        DataType::Utf8 => Arc::new(StringArray::from_iter(cells.iter().map(
            |cell| match cell {
                Cell::Text(text) => Some(text),
                _ => None,
            },
        ))),
        DataType::Binary => Arc::new(BinaryArray::from_iter(cells.iter().map(
            |cell| match cell {
                Cell::Bytes(bytes) => Some(bytes),
                _ => None,
            },
        ))),
        DataType::Boolean => Arc::new(BooleanArray::from_iter(cells.iter().map(
            |cell| match cell {
                Cell::Bool(value) => Some(*value),
                _ => None,
            },
        ))),
        DataType::Int16 => Arc::new(Int16Array::from_iter(narrowed(wholes()))),
        DataType::Int32 => Arc::new(Int32Array::from_iter(narrowed(wholes()))),
        DataType::Int64 => Arc::new(Int64Array::from_iter(narrowed(wholes()))),
        DataType::UInt64 => Arc::new(UInt64Array::from_iter(narrowed(wholes()))),
        DataType::Float32 => Arc::new(Float32Array::from_iter(
            cells
                .iter()
                .map(|cell| cell.float().map(|value| value as f32)),
        )),
        DataType::Float64 => Arc::new(Float64Array::from_iter(cells.iter().map(Cell::float))),
        DataType::Decimal128(..) => {
            Arc::new(Decimal128Array::from_iter(wholes()).with_data_type(data_type.clone()))
        }
        DataType::Date32 => Arc::new(Date32Array::from_iter(narrowed(wholes()))),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => Arc::new(
            TimestampMicrosecondArray::from_iter(narrowed(wholes()))
                .with_timezone_opt(zone.clone()),
        ),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => Arc::new(
            TimestampMillisecondArray::from_iter(narrowed(wholes()))
                .with_timezone_opt(zone.clone()),
        ),
        other => panic!("no test has type {other}"),
    }
}

fn narrowed<N: TryFrom<i128>>(
    values: impl Iterator<Item = Option<i128>>,
) -> impl Iterator<Item = Option<N>> {
    values.map(|value| value.map(|value| N::try_from(value).ok().expect("a value of the type")))
}
