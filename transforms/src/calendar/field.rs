//! Another field of the row that holds a day.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType};

use super::{ForTime, Local, check_time, with_time};
use crate::cases::failed;
use crate::error::{Case, Misfit, TreatmentError};
use crate::spec::Column;
use crate::treatment::Context;

/// A field of dates or timestamps, named by a parameter.
#[derive(Debug, Clone)]
pub(crate) struct DayField {
    data_type: DataType,
    local: Local,
    /// Its place among what is read of the row.
    input: usize,
}

impl DayField {
    /// Finds the field in the dataset of `column`.
    ///
    /// # Errors
    /// There is no such field, or it holds no days.
    pub(crate) fn resolve(
        parameter: &'static str,
        name: &str,
        column: Column<'_>,
        input: usize,
    ) -> Result<Self, Misfit> {
        let data_type = column.row.find(parameter, name)?.data_type;
        check_time(parameter, data_type).map_err(|_| {
            let what = format!("`{parameter}` names a field of type {data_type}, which is no day");
            Misfit::of_parameter(parameter, what).with_hint("name a field of dates or timestamps")
        })?;
        Ok(Self {
            data_type: data_type.clone(),
            local: Local::new(data_type)?,
            input,
        })
    }

    /// The days that the field holds in a chunk's rows, in its own zone; none for a null, and
    /// [`Case::Invalid`] for a time that is on no day that can be told.
    ///
    /// # Errors
    /// The context has no such input, or one of another length or type.
    pub(crate) fn read(
        &self,
        context: &Context<'_>,
        rows: usize,
    ) -> Result<Vec<Result<Option<i64>, Case>>, TreatmentError> {
        let input = context.inputs.get(self.input);
        let input = input.filter(|input| input.len() == rows);
        let array = input.ok_or_else(|| failed("reading a day of the row"))?;
        let unexpected = || TreatmentError::UnexpectedType {
            expected: self.data_type.clone(),
            actual: array.data_type().clone(),
        };
        if *array.data_type() != self.data_type {
            return Err(unexpected());
        }
        let local = &self.local;
        with_time(&self.data_type, Days { array, local })
            .flatten()
            .ok_or_else(unexpected)
    }
}

struct Days<'a> {
    array: &'a ArrayRef,
    local: &'a Local,
}

impl ForTime for Days<'_> {
    type Output = Option<Vec<Result<Option<i64>, Case>>>;

    fn call<T>(self) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + TryFrom<i64>,
    {
        let values = self.array.as_primitive_opt::<T>()?.iter();
        let day = |value: T::Native| {
            let moment = self.local.moment(value.into()).ok_or(Case::Invalid)?;
            Ok(moment.day)
        };
        Some(values.map(|value| value.map(day).transpose()).collect())
    }
}
