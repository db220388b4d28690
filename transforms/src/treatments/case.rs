//! `case`: the first treatment whose condition a row meets.
//!
//! Conditions see the original row, as those of `when` do.

use std::fmt;

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Misfit;
use crate::key::{DerivedKey, Keys};
use crate::options::Options;
use crate::parts::{Arms, PartBuilder, check_condition, part_type, strength_of_choice};
use crate::spec::{Column, Definition, Read, Strength, TreatmentSpec, Uniqueness, Width, reads_of};
use crate::treatment::Treatment;

/// Most arms of one `case`.
const ARMS_MAX: usize = 64;

/// Chooses among several treatments: the first arm whose condition is true over the original row,
/// else the last resort. All must give one type; which arm a value got may show what the
/// conditions say about its row. An option written here holds in every arm where it is stricter
/// than the arm's, and sentinels listed here in every arm.
///
/// Strength is that of the weakest treatment, and at most 2 where they differ, because the choice
/// among them is told. It stands for a floor of another kind where every treatment does, and for
/// another `case` only with the same conditions in the same order. In a grant, every field that a
/// condition reads must be one that its own floor lets pass clear: constants chosen by a field
/// deliver that field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Conditions with their treatments, tried in this order: 1 to 64 of them.
    pub arms: Vec<Arm>,
    /// The treatment of the rows that meet no condition.
    #[serde(rename = "else")]
    pub otherwise: Box<TreatmentSpec>,
}

/// A condition and the treatment of the rows that meet it first.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// A condition in the predicate language over the fields of the original row; null counts as
    /// false.
    pub when: String,
    /// The treatment of these rows.
    pub then: TreatmentSpec,
}

impl fmt::Debug for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arm")
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}

impl Case {
    /// The treatments in their order, each with the parameter that holds it and its place there.
    fn treatments(&self) -> impl Iterator<Item = (&'static str, String, &TreatmentSpec)> {
        let arms = self.arms.iter().enumerate();
        let arms = arms.map(|(at, arm)| ("arms", format!("arms[{at}].then"), &arm.then));
        arms.chain([("else", "else".to_owned(), self.otherwise.as_ref())])
    }
}

impl Definition for Case {
    const KIND: &'static str = "case";
    const SUMMARY: &'static str = "treats each row by the first condition that it meets";
    const FITS: &'static str = "the types that all its treatments fit";
    const EXAMPLE: &'static str = "{ kind = \"case\", arms = [\
         { when = \"grade = 'public'\", then = { kind = \"keep-ends\", first = 1, last = 1 } }, \
         { when = \"grade = 'internal'\", then = { kind = \"keep-ends\", first = 1, last = 0 } }], \
         else = { kind = \"constant\", value = \"-\" } }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const WEAKER: Option<&'static str> =
        Some("that of the weakest treatment, and at most 2 where they differ");
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const CONCEALED: &'static [&'static str] = &["when"];
    const WIDTH: Option<&'static str> = Some("that of the widest treatment");

    fn strength(&self) -> Strength {
        strength_of_choice(&self.parts())
    }

    fn width_with(&self, data_type: &DataType, options: &Options) -> Option<Width> {
        let widths = self
            .treatments()
            .map(|(_, _, spec)| spec.within(options).part_width(data_type));
        let widths = widths.collect::<Option<Vec<_>>>()?;
        widths.into_iter().reduce(Width::or)
    }

    fn parts(&self) -> Vec<&TreatmentSpec> {
        self.treatments().map(|(_, _, spec)| spec).collect()
    }

    fn reads(&self) -> Vec<Read> {
        let conditions = self
            .arms
            .iter()
            .map(|arm| Read::Condition(arm.when.clone()));
        conditions.chain(reads_of(&self.parts())).collect()
    }

    fn at_least(&self, floor: &Self) -> bool {
        self.arms.len() == floor.arms.len()
            && self.otherwise.meets(&floor.otherwise)
            && self
                .arms
                .iter()
                .zip(&floor.arms)
                .all(|(own, floor)| own.when == floor.when && own.then.meets(&floor.then))
    }

    /// For another kind, where each treatment does. Not for a choice by other conditions: that
    /// would tell something else of the row.
    fn stands_for(&self, options: &Options, floor: &TreatmentSpec) -> bool {
        let meets = |arm: &TreatmentSpec| arm.within(options).meets(floor);
        floor.kind() != Self::KIND && self.treatments().all(|(_, _, spec)| meets(spec))
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        if self.arms.is_empty() || self.arms.len() > ARMS_MAX {
            let what = format!("`arms` has {} entries", self.arms.len());
            return Err(Misfit::of_parameter("arms", what).with_hint("write 1 to 64 of them"));
        }
        for arm in &self.arms {
            check_condition("arms", &arm.when)?;
        }
        let otherwise = part_type(&self.otherwise, column, "else", "else")?;
        for (parameter, place, spec) in self.treatments() {
            let given = part_type(spec, column, parameter, &place)?;
            if given != otherwise {
                let what = format!("`{place}` gives {given}, `else` gives {otherwise}");
                return Err(Misfit::of_parameter(parameter, what)
                    .with_hint("choose treatments that give one type"));
            }
        }
        Ok(Some(otherwise))
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
        let mut builder = PartBuilder::new(keys, self.arms.len());
        let arms = self.treatments().map(|(parameter, place, spec)| {
            let built = builder.build(&spec.within(options), column);
            built.map_err(|misfit| misfit.within(parameter, &place))
        });
        Ok(Box::new(Arms::new(arms.collect::<Result<_, _>>()?)))
    }
}

#[cfg(test)]
mod tests;
