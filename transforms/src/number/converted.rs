//! A rule that makes a whole number of a value of another type.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Builder, PrimitiveArray};

use arrow::datatypes::{ArrowPrimitiveType, DataType};

use super::column::expect_type;
use crate::cases::Rules;
use crate::error::{Case, Misfit, TreatmentError};
use crate::options::Options;
use crate::spec::Column;
use crate::treatment::{Context, Treated, Treatment};

/// A treatment that makes an `int32` of a value.
struct Converted<T, F> {
    data_type: DataType,
    rules: Rules,
    map: F,
    array: PhantomData<fn() -> T>,
}

/// Makes a treatment of a function from a value to a whole number, or to none if the value does not
/// fit. A sentinel has no form in the result: it becomes null, so that it is not taken for a value,
/// and is counted as a sentinel.
///
/// # Errors
/// A sentinel that is not a value of the field's type.
pub(crate) fn converted<T, F>(
    column: Column<'_>,
    options: &Options,
    map: F,
) -> Result<Box<dyn Treatment>, Misfit>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Option<i32> + Send + Sync + 'static,
{
    Ok(Box::new(Converted::<T, F> {
        data_type: column.data_type.clone(),
        rules: Rules::resolve(options, column)?,
        map,
        array: PhantomData,
    }))
}

impl<T, F> fmt::Debug for Converted<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Converted")
            .field("data_type", &self.data_type)
            .finish_non_exhaustive()
    }
}

impl<T, F> Treatment for Converted<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Option<i32> + Send + Sync,
{
    fn output_type(&self) -> &DataType {
        &DataType::Int32
    }

    fn treat(&self, column: &ArrayRef, _: &Context<'_>) -> Result<Treated, TreatmentError> {
        let array: &PrimitiveArray<T> = expect_type(column, &self.data_type)?;
        let sentinels = self.rules.sentinel_rows(array)?;
        let mut cases = self.rules.cases(array.len());
        let mut numbers = Int32Builder::with_capacity(array.len());
        for (row, value) in array.iter().enumerate() {
            let case = match value {
                None => Case::Null,
                Some(_) if sentinels.as_ref().is_some_and(|rows| rows.value(row)) => {
                    cases.sentinel();
                    numbers.append_null();
                    continue;
                }
                Some(value) => match (self.map)(value) {
                    Some(number) => {
                        numbers.append_value(number);
                        continue;
                    }
                    None => Case::Invalid,
                },
            };
            cases.decide(row, case)?;
            numbers.append_null();
        }
        Ok(cases.finish(Arc::new(numbers.finish())))
    }
}
