//! Treatments of the text forms of values other than text.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

use super::kernel::TextKernel;
use super::rows::TextTreatment;
use crate::cases::{Rules, to_text};
use crate::error::{Misfit, TreatmentError};
use crate::treatment::{Context, Treated, Treatment};

/// A treatment of the text forms of values other than text.
#[derive(Debug)]
pub(crate) struct TextsOf<K> {
    data_type: DataType,
    text: TextTreatment<K>,
}

impl<K: TextKernel> TextsOf<K> {
    /// Treats values of that type with a kernel for their texts; `rules` are those of the values.
    ///
    /// # Errors
    /// A sentinel that has no text form.
    pub(crate) fn new(data_type: &DataType, kernel: K, rules: &Rules) -> Result<Self, Misfit> {
        Ok(Self {
            data_type: data_type.clone(),
            text: TextTreatment::with_rules(kernel, rules.as_text()?),
        })
    }
}

impl<K: TextKernel> Treatment for TextsOf<K> {
    fn output_type(&self) -> &DataType {
        &DataType::Utf8
    }

    fn treat(&self, column: &ArrayRef, _: &Context<'_>) -> Result<Treated, TreatmentError> {
        if *column.data_type() != self.data_type {
            return Err(TreatmentError::UnexpectedType {
                expected: self.data_type.clone(),
                actual: column.data_type().clone(),
            });
        }
        self.text.treat_texts_of(column, &to_text(column)?)
    }
}
