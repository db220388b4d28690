//! Carriers: how a symbol is put into a cell and read from it.
//!
//! A carrier knows the cells of one field and nothing of keys, positions or grants. What it can't
//! write it skips: that costs a trace some of its power, and never an innocent.

mod coding;
mod lattice;
mod numeric;
mod sentinel;
mod synonyms;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

pub use lattice::Lattice;
pub use numeric::{Limits, Numeric};
pub use sentinel::{sentinel_numbers, sentinel_times};
pub use synonyms::Synonyms;

use super::distortion::Distortion;
use super::predict::Reflection;
use crate::cases::failed;
use crate::error::TreatmentError;

/// What a cell is to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The symbol.
    pub symbol: bool,
    /// The direction of a move for which both are equal: upwards if set. Drawn with the position,
    /// so that such moves cancel out.
    pub tie: bool,
}

/// Why a cell doesn't show the symbol it was to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skip {
    /// It holds nothing that a symbol could be read from: no value of the declared scale, no member
    /// of a class.
    NoCarrier,
    /// It holds a value of special meaning, or would come to hold one.
    Sentinel,
    /// It holds zero, or its sign would change.
    Sign,
    /// It would leave the least and the greatest value of its type or declaration.
    Bounds,
}

/// Symbols in the cells of one field.
///
/// # Contract
/// - A cell that was [prepared](Self::prepared), written and not skipped reads as the symbol.
/// - Writing the same symbols once more changes nothing.
/// - Nulls stay null, and type and length stay.
/// - No cell moves beyond the field's tolerance, rounding included, and each by itself: no batch, order or other cell
///   has a part in it.
pub trait Carrier: fmt::Debug + Send + Sync {
    /// How far values move; none where they aren't numbers.
    fn reflection(&self) -> Option<Reflection>;

    /// The column as it is delivered before any mark: floats at their declared decimals, but for those
    /// that rounding would take the meaning from. Carriers of other values leave it as it is.
    ///
    /// # Errors
    /// The column isn't of the field's type.
    fn prepared(&self, column: &ArrayRef) -> Result<ArrayRef, TreatmentError> {
        Ok(Arc::clone(column))
    }

    /// The symbol each cell shows; none for null and for cells that are no carriers.
    ///
    /// # Errors
    /// The column isn't of the field's type.
    fn read(&self, column: &ArrayRef) -> Result<Vec<Option<bool>>, TreatmentError>;

    /// The column with the marks in it; cells without a mark stay as they are. What was moved, or
    /// skipped of the marks, is added to `distortion`.
    ///
    /// # Errors
    /// The column isn't of the field's type, or not as long as `marks`.
    fn write(
        &self,
        column: &ArrayRef,
        marks: &[Option<Mark>],
        distortion: &mut Distortion,
    ) -> Result<ArrayRef, TreatmentError>;

    /// What a mark leaves of each value, for fields whose cells are found by their own value; none
    /// for null and for cells that are no carriers. `None` for carriers that can't be found so.
    ///
    /// # Errors
    /// The column isn't of the field's type.
    fn blocks(&self, column: &ArrayRef) -> Result<Option<Vec<Option<i128>>>, TreatmentError>;

    /// Whether cells can be found by their own value.
    fn has_blocks(&self) -> bool {
        matches!(self.reflection(), Some(Reflection::InBlock { .. }))
    }
}

/// Refuses a column of another type than the field's.
fn check_type(column: &ArrayRef, expected: &DataType) -> Result<(), TreatmentError> {
    if column.data_type() == expected {
        return Ok(());
    }
    Err(TreatmentError::UnexpectedType {
        expected: expected.clone(),
        actual: column.data_type().clone(),
    })
}

/// Refuses a column that isn't as long as its marks.
fn check_length(column: &ArrayRef, marks: &[Option<Mark>]) -> Result<(), TreatmentError> {
    match column.len() == marks.len() {
        true => Ok(()),
        false => Err(failed("marking a column of another length")),
    }
}
