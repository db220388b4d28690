//! `when`: one treatment for the rows that meet a condition, another for the rest.
//!
//! The condition sees the original row, never what other treatments made of it, so that the order
//! of fields can't change a result. One that is null counts as false: give the rows it is unsure
//! of the stronger treatment, as `else`.

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

/// Chooses between two treatments by a condition over the original row. Both must give one type;
/// which of the two a value got may show what the condition says about its row. An option written
/// here holds in both where it is stricter than theirs, and sentinels listed here in both.
///
/// Strength is that of the weaker treatment, and at most 2 where the two differ, because the choice
/// between them is told. It stands for a floor of another kind where both treatments do, and for
/// another `when` only with the same condition. In a grant, every field that the condition reads
/// must be one that its own floor lets pass clear: constants chosen by a field deliver that field.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// A condition in the predicate language over the fields of the original row
    /// (`"consent = true"`); null counts as false.
    pub condition: String,
    /// The treatment of the rows for which the condition is true.
    pub then: Box<TreatmentSpec>,
    /// The treatment of all other rows.
    #[serde(rename = "else")]
    pub otherwise: Box<TreatmentSpec>,
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When")
            .field("then", &self.then)
            .field("otherwise", &self.otherwise)
            .finish_non_exhaustive()
    }
}

impl When {
    fn arms(&self) -> [(&'static str, &TreatmentSpec); 2] {
        [("then", &self.then), ("else", &self.otherwise)]
    }
}

impl Definition for When {
    const KIND: &'static str = "when";
    const SUMMARY: &'static str =
        "treats the rows that meet a condition one way and the rest another";
    const FITS: &'static str = "the types that both its treatments fit";
    const EXAMPLE: &'static str = "{ kind = \"when\", condition = \"consent = true\", \
         then = { kind = \"hmac\", domain = \"person.id\" }, \
         else = { kind = \"constant\", value = \"-\" } }";
    const STRENGTH: Strength = Strength::COARSER;
    const WEAKER: Option<&'static str> =
        Some("that of the weaker treatment, and at most 2 where the two differ");
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const CONCEALED: &'static [&'static str] = &["condition"];
    const WIDTH: Option<&'static str> = Some("that of the wider treatment");

    fn strength(&self) -> Strength {
        strength_of_choice(&self.parts())
    }

    fn width_with(&self, data_type: &DataType, options: &Options) -> Option<Width> {
        let of = |arm: &TreatmentSpec| arm.within(options).part_width(data_type);
        Some(of(&self.then)?.or(of(&self.otherwise)?))
    }

    fn parts(&self) -> Vec<&TreatmentSpec> {
        vec![&self.then, &self.otherwise]
    }

    fn reads(&self) -> Vec<Read> {
        let mut reads = vec![Read::Condition(self.condition.clone())];
        reads.extend(reads_of(&self.parts()));
        reads
    }

    fn at_least(&self, floor: &Self) -> bool {
        self.condition == floor.condition
            && self.then.meets(&floor.then)
            && self.otherwise.meets(&floor.otherwise)
    }

    /// For another kind, where each treatment does. Not for a choice by another condition: that
    /// would tell something else of the row.
    fn stands_for(&self, options: &Options, floor: &TreatmentSpec) -> bool {
        let meets = |arm: &TreatmentSpec| arm.within(options).meets(floor);
        floor.kind() != Self::KIND && self.arms().iter().all(|(_, arm)| meets(arm))
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        check_condition("condition", &self.condition)?;
        let then = part_type(&self.then, column, "then", "then")?;
        let otherwise = part_type(&self.otherwise, column, "else", "else")?;
        if then == otherwise {
            return Ok(Some(then));
        }
        Err(Misfit::of_parameter(
            "else",
            format!("`then` gives {then}, `else` gives {otherwise}"),
        )
        .with_hint("choose treatments that give one type"))
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
        let mut builder = PartBuilder::new(keys, 1);
        let arms = self.arms().map(|(place, arm)| {
            let built = builder.build(&arm.within(options), column);
            built.map_err(|misfit| misfit.within(place, place))
        });
        Ok(Box::new(Arms::new(
            arms.into_iter().collect::<Result<_, _>>()?,
        )))
    }
}

#[cfg(test)]
mod tests;
