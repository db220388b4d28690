//! `when`: one treatment for the rows that meet a condition, another for the rest.
//!
//! The condition sees the original row, never what other treatments made of it, so that the order
//! of fields can't change a result. One that is null counts as false: give the rows it is unsure
//! of the stronger treatment, as `else`.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Misfit;
use crate::key::{DerivedKey, Keys};
use crate::options::Options;
use crate::parts::{Arms, PartBuilder, check_condition, part_type};
use crate::spec::{Column, Definition, Read, Strength, TreatmentSpec, Uniqueness, Width, reads_of};
use crate::treatment::Treatment;

/// Chooses between two treatments by a condition over the original row. Both must give one type;
/// which of the two a value got may show what the condition says about its row. An option written
/// here holds in both where it is stricter than theirs, and sentinels listed here in both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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

impl When {
    fn arms(&self) -> [(&'static str, &TreatmentSpec); 2] {
        [("then", &self.then), ("else", &self.otherwise)]
    }
}

impl Definition for When {
    const KIND: &'static str = "when";
    const SUMMARY: &'static str =
        "treats the rows that meet a condition one way and the rest another";
    const FITS: &'static str =
        "the types that both its treatments fit; strength is the weaker of the two";
    const EXAMPLE: &'static str = "{ kind = \"when\", condition = \"consent = true\", \
         then = { kind = \"hmac\", domain = \"person.id\" }, \
         else = { kind = \"constant\", value = \"-\" } }";
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: Option<&'static str> = Some("that of the wider treatment");

    fn strength(&self) -> Strength {
        self.then.strength().min(self.otherwise.strength())
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

    fn stands_for(&self, options: &Options, floor: &TreatmentSpec) -> bool {
        self.arms()
            .iter()
            .all(|(_, arm)| arm.within(options).meets(floor))
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
