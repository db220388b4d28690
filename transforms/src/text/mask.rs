//! Treatments by masks.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

use super::kernel::TextKernel;
use super::line::Line;
use super::read::text_getter;
use super::rows::TextTreatment;
use crate::error::{Misfit, TreatmentError};
use crate::options::Options;
use crate::spec::Column;
use crate::treatment::{Context, Treated, Treatment};

/// A treatment by a mask, whose results are the same whatever they are appended to: bytes, which
/// are written over, where the first values are ASCII, else text, which isn't checked.
#[derive(Debug)]
pub(crate) struct MaskTreatment<K>(TextTreatment<K>);

impl<K> MaskTreatment<K> {
    pub(crate) fn new(kernel: K, options: &Options, column: Column<'_>) -> Result<Self, Misfit> {
        Ok(Self(TextTreatment::new(kernel, options, column)?))
    }
}

impl<K: TextKernel + TextKernel<Line>> Treatment for MaskTreatment<K> {
    fn output_type(&self) -> &DataType {
        &DataType::Utf8
    }

    fn treat(&self, column: &ArrayRef, _: &Context<'_>) -> Result<Treated, TreatmentError> {
        let is_ascii = text_getter(column).is_some_and(|value_of| {
            let rows = 0..column.len().min(LOOKED_AT);
            rows.filter_map(value_of).all(str::is_ascii)
        });
        match is_ascii {
            true => self.0.treat_column::<Vec<u8>>(column),
            false => self.0.treat_column::<Line>(column),
        }
    }
}

/// Values by which a mask tells what its column holds.
const LOOKED_AT: usize = 16;
