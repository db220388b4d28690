//! `pipeline`: treatments one after the other.
//!
//! The output of one step is the input of the next, and only the last one's leaves. Conditions and
//! fields that a step reads are those of the original row all the same.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Misfit, TreatmentError};
use crate::key::{DerivedKey, Keys};
use crate::options::Options;
use crate::parts::{Part, PartBuilder, Report, part_type};
use crate::spec::{Column, Definition, Strength, TreatmentSpec, Uniqueness, Width};
use crate::treatment::{Context, Counts, Treated, Treatment};

/// Most steps of one `pipeline`.
const STEPS_MAX: usize = 16;

/// Treats a value by several treatments in turn: what one gives is what the next one treats.
///
/// Strength is that of the strongest step: no later step can undo it, because each sees nothing
/// but what the step before left. Where a step reads the row, by a field or a condition, it could
/// bring something back, so only that step and those after it count. For a floor that leaves
/// nothing but keyed equality, a step of that strength stands only as the first: after a step that
/// makes values equal, it tells who shares what that step left. Nulls, empty values and sentinels
/// are counted by the first step, short ones by each, and invalid ones once, whichever step found
/// them so. `on_null` and `on_empty` written
/// here hold in the first step where they are stricter; the other options in every step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// The treatments, in the order they are applied: 1 to 16 of them.
    pub steps: Vec<TreatmentSpec>,
}

impl Pipeline {
    /// The steps with the options of the whole.
    fn effective(&self, options: &Options) -> Vec<TreatmentSpec> {
        let later = Options {
            on_null: Options::default().on_null,
            on_empty: Options::default().on_empty,
            ..options.clone()
        };
        let steps = self.steps.iter().enumerate();
        steps
            .map(|(at, step)| step.within(if at == 0 { options } else { &later }))
            .collect()
    }

    /// The first step whose result no later one could undo.
    fn first_that_counts(&self) -> usize {
        let reads = |step: &TreatmentSpec| !step.reads().is_empty();
        self.steps.iter().rposition(reads).unwrap_or(0)
    }

    fn column_after<'a>(column: Column<'a>, data_type: &'a DataType) -> Column<'a> {
        Column {
            data_type,
            ..column
        }
    }
}

fn place(step: usize) -> String {
    format!("steps[{step}]")
}

impl Definition for Pipeline {
    const KIND: &'static str = "pipeline";
    const SUMMARY: &'static str = "applies several treatments one after the other";
    const FITS: &'static str = "the types that its first treatment fits";
    const EXAMPLE: &'static str = "{ kind = \"pipeline\", steps = [\
         { kind = \"keep-ends\", first = 2, last = 0, length = 1 }, \
         { kind = \"hmac\", domain = \"person.prefix\" }] }";
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const WEAKER: Option<&'static str> = Some("that of the strongest treatment that counts");
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: Option<&'static str> = Some("that of the last step");

    fn strength(&self) -> Strength {
        let counting = self.steps.iter().skip(self.first_that_counts());
        counting
            .map(TreatmentSpec::strength)
            .max()
            .unwrap_or(Strength::CLEAR)
    }

    /// That of the last step; absent where one reads other fields of the row, without which the
    /// types of the steps aren't known.
    fn width_with(&self, data_type: &DataType, options: &Options) -> Option<Width> {
        let steps = self.effective(options);
        let (last, before) = steps.split_last()?;
        let mut input = data_type.clone();
        for step in before {
            let column = Column::alone("", &input, "");
            input = step.output_type(column).ok()??;
        }
        last.part_width(&input)
    }

    fn parts(&self) -> Vec<&TreatmentSpec> {
        self.steps.iter().collect()
    }

    /// The most that any step is worth.
    fn strength_as_floor(&self) -> Strength {
        let steps = self.steps.iter().map(TreatmentSpec::strength_as_floor);
        steps.max().unwrap_or(Strength::CLEAR)
    }

    /// Step by step. Before a keyed equality, a stronger step of another kind is none that reveals
    /// less: it decides which values are told to be equal.
    fn at_least(&self, floor: &Self) -> bool {
        let keyed = self
            .steps
            .iter()
            .rposition(TreatmentSpec::is_keyed_equality);
        let mut steps = self.steps.iter().zip(&floor.steps).enumerate();
        self.steps.len() == floor.steps.len()
            && steps.all(|(at, (own, floor))| {
                let decides = keyed.is_some_and(|keyed| at < keyed);
                let alike = own.kind() == floor.kind() || own.strength() >= Strength::UNLINKABLE;
                own.meets(floor) && (alike || !decides)
            })
    }

    fn stands_for(&self, options: &Options, floor: &TreatmentSpec) -> bool {
        let steps = self.effective(options);
        let mut steps = steps.iter().enumerate().skip(self.first_that_counts());
        let equality = floor.is_keyed_equality();
        steps.any(|(at, step)| {
            let counts = !equality || at == 0 || step.strength() >= Strength::UNLINKABLE;
            counts && step.meets(floor)
        })
    }

    /// It need not outdo every step: the strongest is what the whole is worth.
    fn outdone_by(&self, strength: Strength, options: &Options) -> bool {
        let keeps_rows = |step: &TreatmentSpec| step.outdone_by(Strength(u8::MAX), options);
        strength > self.strength_as_floor() && self.steps.iter().all(keeps_rows)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            let what = format!("`steps` has {} entries", self.steps.len());
            return Err(Misfit::of_parameter("steps", what).with_hint("write 1 to 16 of them"));
        }
        let mut data_type = column.data_type.clone();
        for (at, step) in self.steps.iter().enumerate() {
            let input = Self::column_after(column, &data_type);
            data_type = part_type(step, input, "steps", &place(at))?;
        }
        Ok(Some(data_type))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.build_with(column, options, Keys::default())
    }

    fn build_with(
        &self,
        column: Column<'_>,
        options: &Options,
        keys: Keys<'_>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.output_type(column)?;
        let mut builder = PartBuilder::new(keys, 0);
        let mut steps: Vec<Part> = Vec::with_capacity(self.steps.len());
        for (at, step) in self.effective(options).iter().enumerate() {
            let before = steps.last().map_or(column.data_type, Part::output_type);
            let built = builder.build(step, Self::column_after(column, before));
            steps.push(built.map_err(|misfit| misfit.within("steps", &place(at)))?);
        }
        Ok(Box::new(Steps { steps }))
    }
}

#[derive(Debug)]
struct Steps {
    /// At least one.
    steps: Vec<Part>,
}

impl Treatment for Steps {
    fn output_type(&self) -> &DataType {
        self.steps.last().map_or(&DataType::Null, Part::output_type)
    }

    fn treat(&self, column: &ArrayRef, context: &Context<'_>) -> Result<Treated, TreatmentError> {
        let mut report = Report::new(column.len());
        let mut array = Arc::clone(column);
        for (at, step) in self.steps.iter().enumerate() {
            let treated = step.treat(&array, context)?;
            report.flag(&treated, None);
            let Counts { short, .. } = treated.counts;
            report.count(match at {
                0 => treated.counts,
                _ => Counts {
                    short,
                    ..Counts::default()
                },
            });
            array = treated.array;
        }
        Ok(report.finish(array))
    }
}

#[cfg(test)]
mod tests;
