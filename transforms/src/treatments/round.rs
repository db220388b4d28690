//! `round`: numbers to the nearest multiple of a step.

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Misfit;
use crate::key::DerivedKey;
use crate::number::column::mapped;
use crate::number::{
    Decimal, Exact, FloatStep, ForExact, Step, Unscalable, check_places, scale_of, with_exact,
};
use crate::options::Options;
use crate::spec::{Column, Definition, Strength};
use crate::treatment::Treatment;

/// Rounds a number to the nearest multiple of `to`, half away from zero. The type stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// The step, as decimal text greater than zero: `"1000"`, `"0.01"`. Coarser than the field's
    /// own last digit, or nothing would be hidden.
    pub to: Decimal,
}

impl Round {
    fn check(&self) -> Result<(), Misfit> {
        if self.to.is_positive() {
            return Ok(());
        }
        Err(Misfit::of_parameter("to", "`to` must be greater than zero"))
    }

    fn exact(&self, scale: i8) -> Result<Step, Misfit> {
        let units = self.to.scaled(scale).map_err(|error| match error {
            Unscalable::Finer => finer(scale),
            Unscalable::TooLarge => {
                Misfit::of_parameter("to", "`to` is larger than any value of the field")
            }
        })?;
        Step::new(units).ok_or_else(|| finer(scale))
    }
}

/// The step of a field whose unit is 10^-`scale` is no coarser than a unit, or is none of them.
fn finer(scale: i8) -> Misfit {
    Misfit::of_parameter(
        "to",
        format!(
            "`to` must be a multiple of the field's last digit and coarser than it, or rounding \
             hides nothing: the field has {scale} decimal places"
        ),
    )
    .with_hint("choose a coarser step")
}

impl Definition for Round {
    const KIND: &'static str = "round";
    const SUMMARY: &'static str = "Rounds to the nearest multiple of a step, half away from zero";
    const FITS: &'static str = "integers, decimals and floats";
    const EXAMPLE: &'static str = r#"{ kind = "round", to = "1000" }"#;
    const STRENGTH: Strength = Strength::COARSER;

    fn at_least(&self, floor: &Self) -> bool {
        self.to.is_multiple_of(floor.to)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check()?;
        match (scale_of(column.data_type), column.data_type) {
            (Some(scale), _) => self.exact(scale).map(drop)?,
            (None, DataType::Float32 | DataType::Float64) => {
                check_places("to", self.to, column.data_type)?;
            }
            (None, other) => return Err(Misfit::of_type(Self::KIND, other, Self::FITS)),
        }
        Ok(Some(column.data_type.clone()))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.output_type(column)?;
        let unfit = || Misfit::of_type(Self::KIND, column.data_type, Self::FITS);
        if let Some(scale) = scale_of(column.data_type) {
            let builder = ExactBuilder { column, options, step: self.exact(scale)? };
            return with_exact(column.data_type, builder).ok_or_else(unfit)?;
        }
        let step = FloatStep::new(self.to);
        match column.data_type {
            DataType::Float32 => {
                mapped::<Float32Type, _>(column, options, move |value| step.round(value))
            }
            DataType::Float64 => {
                mapped::<Float64Type, _>(column, options, move |value| step.round(value))
            }
            _ => Err(unfit()),
        }
    }
}

struct ExactBuilder<'a> {
    column: Column<'a>,
    options: &'a Options,
    step: Step,
}

impl ForExact for ExactBuilder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self, least: T::Native, greatest: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let step = self.step;
        mapped::<T, _>(self.column, self.options, move |value| {
            step.round(value).filter(|rounded| *rounded >= least && *rounded <= greatest)
        })
    }
}
