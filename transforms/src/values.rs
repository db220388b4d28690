//! The driver of treatments that replace whole values of any type but text: `clear`, `constant`,
//! `null`. The result is built value by value into fresh buffers, so that nothing stands under a
//! null or beyond a slice.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BinaryBuilder, BooleanArray,
    PrimitiveArray, downcast_primitive_array, new_null_array,
};
use arrow::datatypes::{DataType, Float32Type, Float64Type};

use crate::cases::{Outcome, Rules, failed};
use crate::error::{Case, Misfit, TreatmentError};
use crate::options::Options;
use crate::spec::Column;
use crate::treatment::{Context, Treated, Treatment};
use crate::treatments::nested;

/// The type of a field, where it is one that fields have.
///
/// # Errors
/// A type that no field has.
pub(crate) fn plain_type(kind: &str, column: Column<'_>) -> Result<DataType, Misfit> {
    let data_type = column.data_type;
    let known = matches!(
        data_type,
        DataType::Utf8
            | DataType::Boolean
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal128(_, _)
            | DataType::Decimal256(_, _)
            | DataType::Date32
            | DataType::Timestamp(_, _)
            | DataType::Binary
    ) || data_type.is_integer();
    if known {
        Ok(data_type.clone())
    } else {
        Err(Misfit::of_type(
            kind,
            data_type,
            "the types a catalogue can declare",
        ))
    }
}

/// The field's type if a catalogue can declare it, in its plain form; lists, structs and maps too.
///
/// # Errors
/// It cannot.
pub(crate) fn any_type(kind: &str, column: Column<'_>) -> Result<DataType, Misfit> {
    if column.data_type.is_nested() {
        nested::plain_type(kind, column)
    } else {
        plain_type(kind, column)
    }
}

/// What stands in place of a value.
#[derive(Debug, Clone)]
pub(crate) enum Replacement {
    /// Nothing: the value stays.
    None,
    /// A null.
    Null,
    /// This value, an array of one element of the field's type.
    Constant(ArrayRef),
}

/// A treatment of whole values.
#[derive(Debug)]
pub(crate) struct ValueTreatment {
    data_type: DataType,
    replacement: Replacement,
    rules: Rules,
}

/// What one row of the result holds.
#[derive(Debug, Clone, Copy)]
enum Pick {
    Own,
    Constant,
    Null,
}

impl ValueTreatment {
    pub(crate) fn new(
        data_type: DataType,
        replacement: Replacement,
        options: &Options,
        column: Column<'_>,
    ) -> Result<Self, Misfit> {
        Ok(Self {
            data_type,
            replacement,
            rules: Rules::resolve(options, column)?,
        })
    }

    fn pick(&self) -> Pick {
        match self.replacement {
            Replacement::None => Pick::Own,
            Replacement::Null => Pick::Null,
            Replacement::Constant(_) => Pick::Constant,
        }
    }

    /// What a value wholly covered becomes: the constant, or null where there is none.
    fn covered(&self) -> Pick {
        match self.replacement {
            Replacement::Constant(_) => Pick::Constant,
            Replacement::None | Replacement::Null => Pick::Null,
        }
    }

    fn rebuild(&self, array: &dyn Array, picks: &[Pick]) -> Result<ArrayRef, TreatmentError> {
        let constant = match &self.replacement {
            Replacement::Constant(value) => Some(value),
            Replacement::None | Replacement::Null => None,
        };
        let rebuilt: ArrayRef = downcast_primitive_array! {
            array => Arc::new(primitive(array, picks, constant)),
            DataType::Boolean => {
                let constant = constant.and_then(|value| value.as_boolean_opt());
                let constant = constant.map(|value| value.value(0));
                Arc::new(booleans(array.as_boolean(), picks, constant))
            }
            DataType::Binary => {
                let constant = constant.and_then(|value| value.as_binary_opt::<i32>());
                let constant = constant.map(|value| value.value(0));
                Arc::new(binaries(array.as_binary(), picks, constant)?)
            }
            _ if picks.iter().all(|pick| matches!(pick, Pick::Null)) => {
                new_null_array(&self.data_type, picks.len())
            }
            _ => return Err(self.unexpected(array)),
        };
        Ok(rebuilt)
    }

    fn unexpected(&self, array: &dyn Array) -> TreatmentError {
        TreatmentError::UnexpectedType {
            expected: self.data_type.clone(),
            actual: array.data_type().clone(),
        }
    }
}

impl Treatment for ValueTreatment {
    fn output_type(&self) -> &DataType {
        &self.data_type
    }

    fn treat(&self, column: &ArrayRef, _: &Context<'_>) -> Result<Treated, TreatmentError> {
        let array = as_plain(column)?;
        if *array.data_type() != self.data_type {
            return Err(self.unexpected(&array));
        }
        let sentinels = self.rules.sentinel_rows(&array)?;
        let finite = finite_rows(&array);
        let mut cases = self.rules.cases(array.len());
        let mut picks = Vec::with_capacity(array.len());
        for row in 0..array.len() {
            let case = if array.is_null(row) {
                Case::Null
            } else if sentinels.as_ref().is_some_and(|rows| rows.value(row)) {
                cases.sentinel();
                picks.push(Pick::Own);
                continue;
            } else if finite.as_ref().is_some_and(|finite| !finite(row)) {
                Case::Invalid
            } else {
                picks.push(self.pick());
                continue;
            };
            picks.push(match cases.decide(row, case)? {
                Outcome::MaskAll => self.covered(),
                Outcome::Null | Outcome::Keep => Pick::Null,
            });
        }
        let array = self.rebuild(&array, &picks)?;
        Ok(cases.finish(array))
    }
}

/// The column in the plain form of its type: sources may hand over the wide and view forms.
fn as_plain(column: &ArrayRef) -> Result<ArrayRef, TreatmentError> {
    if matches!(
        column.data_type(),
        DataType::LargeBinary | DataType::BinaryView
    ) {
        return arrow::compute::cast(column, &DataType::Binary)
            .map_err(|_| failed("bringing binary values to their plain form"));
    }
    Ok(Arc::clone(column))
}

/// Whether the value of a row is finite; absent for types that always are.
fn finite_rows(array: &ArrayRef) -> Option<Box<dyn Fn(usize) -> bool + '_>> {
    if let Some(floats) = array.as_primitive_opt::<Float64Type>() {
        return Some(Box::new(|row| floats.value(row).is_finite()));
    }
    let floats = array.as_primitive_opt::<Float32Type>()?;
    Some(Box::new(|row| floats.value(row).is_finite()))
}

/// Whether every value of an array is finite.
pub(crate) fn is_finite(array: &ArrayRef) -> bool {
    finite_rows(array).is_none_or(|finite| (0..array.len()).all(finite))
}

fn primitive<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    picks: &[Pick],
    constant: Option<&ArrayRef>,
) -> PrimitiveArray<T> {
    let constant = constant.and_then(|value| value.as_primitive_opt::<T>());
    let constant = constant.map(|value| value.value(0));
    let picked = array.iter().zip(picks).map(|(own, pick)| match pick {
        Pick::Own => own,
        Pick::Constant => constant,
        Pick::Null => None,
    });
    picked
        .collect::<PrimitiveArray<T>>()
        .with_data_type(array.data_type().clone())
}

fn booleans(array: &BooleanArray, picks: &[Pick], constant: Option<bool>) -> BooleanArray {
    let picked = array.iter().zip(picks).map(|(own, pick)| match pick {
        Pick::Own => own,
        Pick::Constant => constant,
        Pick::Null => None,
    });
    picked.collect()
}

fn binaries(
    array: &BinaryArray,
    picks: &[Pick],
    constant: Option<&[u8]>,
) -> Result<BinaryArray, TreatmentError> {
    let width = constant.map_or(0, <[u8]>::len);
    let limit = usize::try_from(i32::MAX).unwrap_or(usize::MAX);
    if array
        .len()
        .saturating_mul(width)
        .saturating_add(array.value_data().len())
        > limit
    {
        return Err(TreatmentError::TooLarge);
    }
    let mut builder = BinaryBuilder::with_capacity(array.len(), array.len() * width);
    for (own, pick) in array.iter().zip(picks) {
        match pick {
            Pick::Own => builder.append_option(own),
            Pick::Constant => builder.append_option(constant),
            Pick::Null => builder.append_null(),
        }
    }
    Ok(builder.finish())
}
