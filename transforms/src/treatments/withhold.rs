//! `withhold`: the field itself is left out.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Misfit;
use crate::key::DerivedKey;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::treatment::Treatment;

/// Removes the field from the delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Withhold {}

impl Definition for Withhold {
    const KIND: &'static str = "withhold";
    const SUMMARY: &'static str = "removes the field from the delivery";
    const FITS: &'static str = "every type";
    const EXAMPLE: &'static str = "{ kind = \"withhold\" }";
    const STRENGTH: Strength = Strength::NOTHING_LEFT;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn at_least(&self, _: &Self) -> bool {
        true
    }

    fn output_type(&self, _: Column<'_>) -> Result<Option<DataType>, Misfit> {
        Ok(None)
    }

    fn build(
        &self,
        column: Column<'_>,
        _: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        Err(Misfit {
            parameter: None,
            what: format!(
                "field `{}` is withheld, so nothing of it is treated",
                column.name
            ),
            hint: Some("leave the field out of what is read".to_owned()),
        })
    }
}
