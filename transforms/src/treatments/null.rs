//! `null`: nothing of the value, the field stays.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::key::DerivedKey;
use crate::options::{Action, Options};
use crate::spec::{Column, Definition, Strength, Uniqueness, Width};
use crate::text::{TextKernel, TextTreatment, Written};
use crate::treatment::Treatment;
use crate::values::{self, Replacement, ValueTreatment};

/// Makes every value null, empty ones too: `keep` keeps nothing here but sentinels that are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Null {}

impl Definition for Null {
    const KIND: &'static str = "null";
    const SUMMARY: &'static str = "makes every value null; the field stays in the delivery";
    const FITS: &'static str = "every type";
    const EXAMPLE: &'static str = "{ kind = \"null\" }";
    const STRENGTH: Strength = Strength::NOTHING_LEFT;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: Option<&'static str> = Some("no bytes, for every value is null");

    fn width(&self, _: &DataType) -> Option<usize> {
        Some(0)
    }

    /// Empty values are null too, whatever the options keep.
    fn width_with(&self, data_type: &DataType, options: &Options) -> Option<Width> {
        let options = Options {
            on_empty: Action::Null,
            ..options.clone()
        };
        Some(Width::with(0, Some(0), data_type, &options, &[]))
    }

    /// Other options keep, count or refuse some values.
    fn is_always_null(&self, options: &Options) -> bool {
        *options == Options::default()
    }

    fn at_least(&self, _: &Self) -> bool {
        true
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        values::any_type(Self::KIND, column).map(Some)
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        let data_type = values::any_type(Self::KIND, column)?;
        if data_type == DataType::Utf8 {
            return Ok(Box::new(TextTreatment::new(NullText, options, column)?));
        }
        Ok(Box::new(ValueTreatment::new(
            data_type,
            Replacement::Null,
            options,
            column,
        )?))
    }
}

#[derive(Debug)]
struct NullText;

impl TextKernel for NullText {
    fn treat(&self, _: &str, _: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        Ok(Written::Null)
    }

    fn cover(&self, _: usize, _: &mut Vec<u8>) {}

    fn covers_with_null(&self) -> bool {
        true
    }

    fn keeps_empty(&self) -> bool {
        false
    }

    fn output_bytes(&self, _: usize, _: usize) -> usize {
        0
    }
}
