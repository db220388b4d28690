//! Symbols in noise: which of two draws is delivered.
//!
//! A treatment that draws noise has more than one draw to give, and to whoever receives the result one
//! is as good as the other. So the mark moves nothing: the treatment hands over a second result, which
//! shows the other symbol, and the mark takes whichever shows its own ([`Choice`]). A symbol is the
//! parity of the cell that a result lies in, and a leak is read without the original.

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::DataType;

use super::coding::decimal_units;
use super::{CELLS, Carrier, Left, Mark, Marks, Numeric, Skip, check_type};
use crate::cases::{count, failed};
use crate::error::{Misfit, TreatmentError};
use crate::marks::distortion::Distortion;
use crate::marks::predict::Reflection;
use crate::number::{Decimal, Float};
use crate::treatment::Choice;

/// How results of noise show symbols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoiseRoom {
    /// Units of a cell: the field's last digit, or of a float that of its decimals.
    pub step: u64,
    /// Of a float: the decimals that its results have.
    pub decimals: Option<u8>,
    /// Results in which others end that would lie beyond: they show nothing.
    pub bounds: Vec<Decimal>,
}

impl NoiseRoom {
    /// The symbol that a result of so many units shows.
    #[inline]
    pub(crate) fn symbol(&self, units: i128) -> bool {
        let step = i128::from(self.step.max(1));
        units.div_euclid(step) & 1 == 1
    }

    /// The symbol that a float shows; none where it isn't the nearest to a decimal.
    #[inline]
    pub(crate) fn symbol_of_float<F: Float>(&self, float: F) -> Option<bool> {
        let power = 10_f64.powi(self.decimals.unwrap_or_default().into());
        decimal_units(float, power).map(|units| self.symbol(units))
    }
}

/// Symbols in the noise of one field.
#[derive(Debug, Clone)]
pub struct Sampled {
    cells: Numeric,
}

impl Sampled {
    /// Of a field of numbers, whose results show symbols as the room says; `sentinels` show nothing. None
    /// where the room has no cells.
    ///
    /// # Errors
    /// The field is of another type, or has decimals and no floats, or the other way round.
    pub fn new(
        data_type: &DataType,
        step: u64,
        decimals: Option<u8>,
        sentinels: &[Decimal],
    ) -> Result<Option<Self>, Misfit> {
        let cells = Numeric::of_step(data_type, step, decimals, sentinels)?;
        Ok(cells.map(|cells| Self { cells }))
    }
}

impl Carrier for Sampled {
    fn reflection(&self) -> Option<Reflection> {
        None
    }

    fn read(&self, column: &ArrayRef) -> Result<Vec<Option<bool>>, TreatmentError> {
        self.cells.read(column)
    }

    fn write(
        &self,
        _: &ArrayRef,
        _: &mut dyn Marks,
        _: &mut Distortion,
    ) -> Result<ArrayRef, TreatmentError> {
        Err(failed("marking noise without a second draw"))
    }

    fn choose(
        &self,
        column: &ArrayRef,
        choice: Option<&Choice>,
        marks: &mut dyn Marks,
        distortion: &mut Distortion,
    ) -> Result<ArrayRef, TreatmentError> {
        let Some(Choice { other, shows }) = choice else {
            return Err(failed("marking noise without a second draw"));
        };
        check_type(other, column.data_type())?;
        if other.len() != column.len() || shows.len() != column.len() {
            return Err(failed("choosing among draws of different lengths"));
        }
        let mut wanted = Vec::with_capacity(column.len());
        let mut some = [Mark::NONE; CELLS];
        while wanted.len() < column.len() {
            let (some, _) = some.split_at_mut((column.len() - wanted.len()).min(CELLS));
            marks.next(Left::default(), some);
            wanted.extend_from_slice(some);
        }
        let cells = wanted.iter().zip(shows).enumerate();
        let is_taken = cells.map(|(row, (mark, shows))| {
            let is_wrong = shows.is_some_and(|shows| shows != mark.symbol());
            mark.is_some() && is_wrong && other.is_valid(row)
        });
        let taken = BooleanArray::from(is_taken.collect::<BooleanBuffer>());
        distortion.changed += count(taken.true_count());
        let chosen = zip(&taken, other, column).map_err(|_| failed("choosing among draws"))?;
        let shown = self.read(&chosen)?;
        for (row, (mark, shown)) in wanted.iter().zip(shown).enumerate() {
            if mark.is_some() && chosen.is_valid(row) && shown != Some(mark.symbol()) {
                distortion.skipped.add(Skip::NoCarrier);
            }
        }
        Ok(chosen)
    }

    fn blocks(&self, _: &ArrayRef) -> Result<Option<Vec<Option<i128>>>, TreatmentError> {
        Ok(None)
    }
}
