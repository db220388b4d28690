//! `clear`: the value as it is.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::key::DerivedKey;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{TextKernel, TextTreatment, Written};
use crate::treatment::Treatment;
use crate::treatments::nested;
use crate::values::{self, Replacement, ValueTreatment};

/// Leaves every value as it is. NaN and infinities are invalid, unless listed as sentinels. Of
/// lists, structs and maps, everything within is left, each value under the same options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clear {}

impl Definition for Clear {
    const KIND: &'static str = "clear";
    const SUMMARY: &'static str = "leaves the value as it is";
    const FITS: &'static str = "every type";
    const EXAMPLE: &'static str = "{ kind = \"clear\" }";
    const STRENGTH: Strength = Strength::CLEAR;
    const UNIQUENESS: Uniqueness = Uniqueness::Bijective;
    const KEEPS_SENTINELS_APART: bool = true;

    /// NaN and infinities, at any level.
    fn refuses(&self, data_type: &DataType, case: Case) -> bool {
        case == Case::Invalid && (data_type.is_floating() || data_type.is_nested())
    }

    /// A sentinel that is kept is one value among the others.
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
        if column.data_type.is_nested() {
            return nested::clear(column, options);
        }
        let data_type = values::plain_type(Self::KIND, column)?;
        if data_type == DataType::Utf8 {
            return Ok(Box::new(TextTreatment::new(ClearText, options, column)?));
        }
        Ok(Box::new(ValueTreatment::new(
            data_type,
            Replacement::None,
            options,
            column,
        )?))
    }
}

/// Text has no invalid or short values here, so `mask-all` is met for nulls and empty values only.
#[derive(Debug)]
struct ClearText;

impl TextKernel for ClearText {
    fn treat(&self, value: &str, out: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        out.extend_from_slice(value.as_bytes());
        Ok(Written::Text)
    }

    fn cover(&self, characters: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + characters, b'*');
    }
}
