//! JSON lines: one object a line with every field in its order, null where there is no value, lines
//! ended by LF, UTF-8 without a byte order mark. Values as in [`super::json`].

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;

use super::json::{self, Value};
use super::{CellError, Encoded, cells, rows_of};
use crate::error::ConnectorError;

/// The fields' names as keys.
pub(super) type Keys = Vec<Vec<u8>>;

pub(super) fn keys(schema: &Schema) -> Result<Keys, ConnectorError> {
    schema
        .fields()
        .iter()
        .map(|field| {
            json::key(field.name())
                .ok_or_else(|| ConnectorError::bug("a field's name could not be written as JSON"))
        })
        .collect()
}

pub(super) fn encode(keys: &Keys, columns: &[ArrayRef]) -> Result<Encoded, CellError> {
    let cells = cells(columns, Value::of)?;
    let members: Vec<(usize, (&[u8], Value<'_>))> = keys
        .iter()
        .map(Vec::as_slice)
        .zip(cells)
        .enumerate()
        .collect();
    let mut bytes = Vec::new();
    for row in 0..rows_of(columns) {
        bytes.push(b'{');
        for (column, (key, value)) in &members {
            if *column > 0 {
                bytes.push(b',');
            }
            bytes.extend_from_slice(key);
            value.write(row, &mut bytes).map_err(|why| CellError {
                column: *column,
                row,
                why,
            })?;
        }
        bytes.extend_from_slice(b"}\n");
    }
    Ok(Encoded {
        bytes,
        ..Encoded::default()
    })
}
