//! Carriers: how a symbol is put into a cell and read from it.
//!
//! A carrier knows the cells of one field and nothing of keys, positions or grants. What it can't
//! write it skips: that costs a trace some of its power, and never an innocent.

mod band;
mod coding;
mod lattice;
mod numeric;
mod sampled;
mod sentinel;
mod synonyms;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

pub use band::Representative;
pub use lattice::Lattice;
pub use numeric::{Limits, Numeric};
pub use sampled::{NoiseRoom, Sampled};
pub use sentinel::{sentinel_numbers, sentinel_times};
pub use synonyms::Synonyms;

use super::cmac::LANES;
use super::distortion::Distortion;
use super::predict::Reflection;
use crate::error::TreatmentError;
use crate::number::Decimal;
use crate::treatment::Choice;
use crate::treatments::date_trunc::Unit;

/// Cells that are marked together: they stay in the fastest cache while they go through the ciphers
/// and the arithmetic.
pub(super) const CELLS: usize = LANES;

/// What a cell is to show, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark(u8);

impl Mark {
    /// No mark.
    pub const NONE: Self = Self(0);

    const IS_SOME: u8 = 1;
    const SYMBOL: u8 = 2;
    const TIE: u8 = 4;

    /// The mark of that symbol. `tie` is the direction of a move for which both are equal, upwards if
    /// set: drawn with the position, so that such moves cancel out.
    #[inline]
    pub fn new(symbol: bool, tie: bool) -> Self {
        Self(Self::IS_SOME | (u8::from(symbol) * Self::SYMBOL) | (u8::from(tie) * Self::TIE))
    }

    /// The mark, or none: without a branch, for there are two a cell that are as good as drawn.
    #[inline]
    #[must_use]
    pub fn only_if(self, is_marked: bool) -> Self {
        Self(self.0 * u8::from(is_marked))
    }

    /// Whether there is one.
    #[inline]
    pub fn is_some(self) -> bool {
        self.0 & Self::IS_SOME != 0
    }

    /// The symbol.
    #[inline]
    pub fn symbol(self) -> bool {
        self.0 & Self::SYMBOL != 0
    }

    /// The direction of ties.
    #[inline]
    pub fn tie(self) -> bool {
        self.0 & Self::TIE != 0
    }
}

/// What a mark leaves of some cells, for fields whose cells are found by their own value; empty for
/// others.
#[derive(Debug, Clone, Copy, Default)]
pub struct Left<'a> {
    /// Of each cell.
    pub blocks: &'a [i128],
    /// Whether there is anything: null and cells that are no carriers have nothing.
    pub is_some: &'a [bool],
}

/// Where a carrier gets the marks of its cells from, some at a time and in their order.
pub trait Marks {
    /// Puts the marks of the cells that follow into `marks`, of which none are more than a carrier
    /// works on together. `left` is what marks leave of these cells.
    fn next(&mut self, left: Left<'_>, marks: &mut [Mark]);

    /// Puts what the grant draws for the cells that got their marks last into `draws`, as many and in their
    /// order: numbers that are the cells' and the grant's own, and look random. Of cells that are found by
    /// their row.
    fn draws(&mut self, draws: &mut [u64]);
}

/// What a treatment leaves to the mark, of results that are no more or less true either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freedom {
    /// The choice between two draws of noise.
    Noise(NoiseRoom),
    /// Any value of the interval that a number stands for; one of them begins at `origin`.
    Interval {
        /// How long intervals are, in the field's unit.
        width: Decimal,
        /// Where one begins.
        origin: Decimal,
    },
    /// Any day, or of timestamps any second, of the unit that a time stands for.
    Calendar(Unit),
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
/// - Writing the same symbols once more changes nothing. What is [chosen](Self::choose) is chosen once.
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

    /// The column, [prepared](Self::prepared) if it wasn't, with the marks in it; cells without a mark
    /// stay as they are. What was moved, or skipped of the marks, is added to `distortion`.
    ///
    /// # Errors
    /// The column isn't of the field's type.
    fn write(
        &self,
        column: &ArrayRef,
        marks: &mut dyn Marks,
        distortion: &mut Distortion,
    ) -> Result<ArrayRef, TreatmentError>;

    /// The same, where the treatment that made the column leaves the mark a choice: what carriers need that
    /// move nothing, and others don't ask for.
    ///
    /// # Errors
    /// As [`write`](Self::write); no choice where one is needed, or one of another type or length.
    fn choose(
        &self,
        column: &ArrayRef,
        _choice: Option<&Choice>,
        marks: &mut dyn Marks,
        distortion: &mut Distortion,
    ) -> Result<ArrayRef, TreatmentError> {
        self.write(column, marks, distortion)
    }

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
