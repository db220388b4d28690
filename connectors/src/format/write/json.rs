//! Values as JSON, exact for every reader: a number only where a double holds it.
//!
//! What a value becomes follows from its type, so that a column is of one kind throughout. Integers of
//! up to 32 bits, floats, and decimals of up to 15 digits are numbers; integers of 64 bits and wider
//! decimals are texts of all their digits, as in ProtoJSON; `NaN`, `Infinity` and `-Infinity` are
//! texts. Dates and timestamps are the texts of delimited files, binary is base64. A list is an array, a
//! struct an object, a map an array of `{"key": …, "value": …}`, which keeps order and any kind of key.

use std::io::Write as _;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::Unwritable;
use super::text::{Plain, number, plain};

/// Most digits of a decimal that a double gives back as they were.
const DOUBLE_DIGITS: u8 = 15;

/// A column, written row by row.
pub(super) struct Value<'a> {
    array: &'a dyn Array,
    write: Plain<'a>,
}

impl<'a> Value<'a> {
    /// The values of a column; none if no catalogue has its type.
    pub(super) fn of(array: &'a dyn Array) -> Option<Self> {
        Some(Self {
            array,
            write: writer(array)?,
        })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    /// Writes a value, or `null`.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        (self.write)(row, out)
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest is written as it is in delimited text"
)]
fn writer(array: &dyn Array) -> Option<Plain<'_>> {
    match array.data_type() {
        DataType::Utf8 => {
            let array = array.as_string_opt::<i32>()?;
            Some(Box::new(move |row, out| string(out, array.value(row))))
        }
        DataType::Binary => {
            let array = array.as_binary_opt::<i32>()?;
            Some(Box::new(move |row, out| {
                out.push(b'"');
                base64(array.value(row), out);
                out.push(b'"');
                Ok(())
            }))
        }
        DataType::Float32 => {
            let array = array.as_primitive_opt::<Float32Type>()?;
            Some(Box::new(move |row, out| match array.value(row) {
                value if value.is_finite() => number(out, value),
                value => not_finite(out, f64::from(value)),
            }))
        }
        DataType::Float64 => {
            let array = array.as_primitive_opt::<Float64Type>()?;
            Some(Box::new(move |row, out| match array.value(row) {
                value if value.is_finite() => number(out, value),
                value => not_finite(out, value),
            }))
        }
        DataType::List(_) => list(array),
        DataType::Struct(_) => structure(array),
        DataType::Map(..) => map(array),
        data_type if is_bare(data_type) => plain(array),
        _ => plain(array).map(quoted),
    }
}

/// Whether a value of a type stands as a number, `true` or `false`.
#[expect(clippy::wildcard_enum_match_arm, reason = "all else is quoted")]
fn is_bare(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => true,
        DataType::Decimal128(precision, _) | DataType::Decimal256(precision, _) => {
            *precision <= DOUBLE_DIGITS
        }
        _ => false,
    }
}

/// A text that needs no escapes, in quotes.
fn quoted(plain: Plain<'_>) -> Plain<'_> {
    Box::new(move |row, out| {
        out.push(b'"');
        plain(row, out)?;
        out.push(b'"');
        Ok(())
    })
}

fn not_finite(out: &mut Vec<u8>, value: f64) -> Result<(), Unwritable> {
    let name = match value {
        value if value.is_nan() => "NaN",
        value if value > 0.0 => "Infinity",
        _ => "-Infinity",
    };
    write!(out, "\"{name}\"").map_err(|_| Unwritable::Unformatted)
}

fn list(array: &dyn Array) -> Option<Plain<'_>> {
    let array = array.as_list_opt::<i32>()?;
    let elements = Value::of(array.values().as_ref())?;
    let offsets = array.value_offsets();
    Some(Box::new(move |row, out| {
        sequence(out, offsets, row, |element, out| {
            elements.write(element, out)
        })
    }))
}

fn structure(array: &dyn Array) -> Option<Plain<'_>> {
    let array = array.as_struct_opt()?;
    let mut members = Vec::new();
    for (field, column) in array.fields().iter().zip(array.columns()) {
        members.push((key(field.name())?, Value::of(column.as_ref())?));
    }
    Some(Box::new(move |row, out| {
        object(out, &members, |member, out| member.write(row, out))
    }))
}

fn map(array: &dyn Array) -> Option<Plain<'_>> {
    let array = array.as_map_opt()?;
    let keys = Value::of(array.keys().as_ref())?;
    let values = Value::of(array.values().as_ref())?;
    let offsets = array.value_offsets();
    Some(Box::new(move |row, out| {
        sequence(out, offsets, row, |entry, out| {
            out.extend_from_slice(b"{\"key\":");
            keys.write(entry, out)?;
            out.extend_from_slice(b",\"value\":");
            values.write(entry, out)?;
            out.push(b'}');
            Ok(())
        })
    }))
}

/// `[…]` of the entries between a row's offsets.
fn sequence(
    out: &mut Vec<u8>,
    offsets: &[i32],
    row: usize,
    write: impl Fn(usize, &mut Vec<u8>) -> Result<(), Unwritable>,
) -> Result<(), Unwritable> {
    let at = |row: usize| offsets.get(row).and_then(|at| usize::try_from(*at).ok());
    let (Some(start), Some(end)) = (at(row), at(row + 1)) else {
        return Err(Unwritable::Unformatted);
    };
    out.push(b'[');
    for entry in start..end {
        if entry > start {
            out.push(b',');
        }
        write(entry, out)?;
    }
    out.push(b']');
    Ok(())
}

/// `{…}` of members, each with its key as written.
fn object<M>(
    out: &mut Vec<u8>,
    members: &[(Vec<u8>, M)],
    write: impl Fn(&M, &mut Vec<u8>) -> Result<(), Unwritable>,
) -> Result<(), Unwritable> {
    out.push(b'{');
    for (position, (key, member)) in members.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        out.extend_from_slice(key);
        write(member, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// A name as the key of an object, with its colon.
pub(super) fn key(name: &str) -> Option<Vec<u8>> {
    let mut key = serde_json::to_vec(name).ok()?;
    key.push(b':');
    Some(key)
}

fn string(out: &mut Vec<u8>, text: &str) -> Result<(), Unwritable> {
    serde_json::to_writer(out, text).map_err(|_| Unwritable::Unformatted)
}

/// Base64 with padding.
pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
}
