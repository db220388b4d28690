//! Brings lists, structs and maps to the catalogue's form: members by name and in its order, those
//! it doesn't have left out, lists with 32-bit offsets, text and bytes plain.
//!
//! The scan is asked for such columns as the file has them, because its own conversion goes by
//! other rules at every level. The file's schema was compared with the catalogue before, so that
//! only the physical form can differ.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;

/// The array with that type.
///
/// # Errors
/// A type that can't stand for the other, or more values than one array of it can hold.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other type is cast as a whole"
)]
pub(super) fn conform(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    match wanted {
        DataType::List(element) => list(array, element),
        DataType::Struct(members) => structs(array, members),
        DataType::Map(entries, sorted) => map(array, entries, *sorted),
        _ => {
            let options = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            cast_with_options(array, wanted, &options)
        }
    }
}

fn other(array: &ArrayRef) -> ArrowError {
    ArrowError::CastError(format!("a column is {}", array.data_type()))
}

fn list(array: &ArrayRef, element: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let (offsets, values) = if let Some(list) = array.as_list_opt::<i32>() {
        (list.offsets().clone(), list.values())
    } else if let Some(list) = array.as_list_opt::<i64>() {
        let offsets = list.offsets().iter().map(|offset| i32::try_from(*offset));
        let offsets: Vec<i32> = offsets.collect::<Result<_, _>>().map_err(|_| {
            ArrowError::CastError("a batch holds more list elements than 32 bits count".to_owned())
        })?;
        (
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            list.values(),
        )
    } else {
        return Err(other(array));
    };
    let values = conform(values, element.data_type())?;
    let list = ListArray::try_new(Arc::clone(element), offsets, values, array.nulls().cloned())?;
    Ok(Arc::new(list))
}

fn structs(array: &ArrayRef, members: &Fields) -> Result<ArrayRef, ArrowError> {
    let found = array.as_struct_opt().ok_or_else(|| other(array))?;
    let mut columns = Vec::with_capacity(members.len());
    for member in members {
        let column = found
            .column_by_name(member.name())
            .ok_or_else(|| other(array))?;
        columns.push(conform(column, member.data_type())?);
    }
    let structs = StructArray::try_new(members.clone(), columns, found.nulls().cloned())?;
    Ok(Arc::new(structs))
}

fn map(array: &ArrayRef, entries: &FieldRef, sorted: bool) -> Result<ArrayRef, ArrowError> {
    let found = array.as_map_opt().ok_or_else(|| other(array))?;
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(other(array));
    };
    let [key, value] = fields.as_ref() else {
        return Err(other(array));
    };
    let columns = vec![
        conform(found.keys(), key.data_type())?,
        conform(found.values(), value.data_type())?,
    ];
    let pairs = StructArray::try_new(fields.clone(), columns, None)?;
    let (offsets, nulls) = (found.offsets().clone(), found.nulls().cloned());
    let map = MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, sorted)?;
    Ok(Arc::new(map))
}
