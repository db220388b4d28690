//! A field that carries marks: how many of its cells do, and how they are found again.

use arrow::datatypes::DataType;
use lockgate_transforms::marks::carrier::Carrier;
use lockgate_transforms::marks::code;
use lockgate_transforms::marks::predict::{Reflection, tag_worth};
use lockgate_transforms::marks::score::Standard;
use lockgate_transforms::marks::tag::Tag;
use serde::{Deserialize, Serialize};

use super::carrier::{CarrierSpec, step_of};
use super::error::SchemeError;
use crate::marks::forecast::GRANTS_RECKONED;
use crate::site::FieldType;

/// A field that carries marks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldScheme {
    /// The dataset's name for it.
    pub name: String,
    /// Its type as delivered, in the catalogue's notation.
    #[serde(rename = "type")]
    pub data_type: String,
    /// How its cells show a symbol.
    pub carrier: CarrierSpec,
    /// The share of its cells that are marked.
    pub density: Density,
    /// How its cells are found again.
    pub found_by: FoundBy,
    /// Of a field that is found by its row: whether its values stay in their block all the same, since rows are
    /// found by it.
    #[serde(default, skip_serializing_if = "is_not")]
    pub keeps_block: bool,
}

impl FieldScheme {
    /// The Arrow type it is delivered in.
    ///
    /// # Errors
    /// A type that can't be read.
    pub fn arrow_type(&self) -> Result<DataType, SchemeError> {
        FieldType::parse(&self.data_type)
            .map(|data_type| data_type.to_arrow())
            .map_err(|what| SchemeError::Type {
                field: self.name.clone(),
                what,
            })
    }

    /// How its values move; none where they aren't numbers.
    pub fn reflection(&self) -> Option<Reflection> {
        let step = self.carrier.step()?;
        Some(match self.is_in_block() {
            false => Reflection::AtBorder { step },
            true => Reflection::InBlock { step },
        })
    }

    /// Whether its values stay in their block: cells are found by it, or rows are.
    pub(super) fn is_in_block(&self) -> bool {
        self.found_by == FoundBy::Value || self.keeps_block
    }

    pub(super) fn foreign(&self) -> SchemeError {
        SchemeError::Foreign {
            field: self.name.clone(),
        }
    }

    /// Its tags, if it carries tags.
    ///
    /// # Errors
    /// No tags that this version writes.
    pub(super) fn tag(&self) -> Result<Option<Tag>, SchemeError> {
        let Some(tag) = self.carrier.tag() else {
            return Ok(None);
        };
        if self.found_by != FoundBy::Value
            || self.density != Density::ALL
            || self.keeps_block
            || self.arrow_type()? != DataType::Utf8
        {
            return Err(self.foreign());
        }
        let misfit = |misfit| SchemeError::Carrier {
            field: self.name.clone(),
            misfit,
        };
        tag.map(Some).map_err(misfit)
    }

    /// Its carrier; where cells or rows are found by what marks leave, cells are mirrored within blocks.
    pub(super) fn carrier(&self, is_in_block: bool) -> Result<Box<dyn Carrier>, SchemeError> {
        let data_type = self.arrow_type()?;
        let misfit = |misfit| SchemeError::Carrier {
            field: self.name.clone(),
            misfit,
        };
        let carrier = self.carrier.build(&data_type, is_in_block);
        let carrier = carrier
            .map_err(misfit)?
            .ok_or_else(|| SchemeError::TooSmall {
                field: self.name.clone(),
            })?;
        let span = self.carrier.span();
        let is_span = span == 1 || is_in_block && span.is_power_of_two();
        // What a treatment leaves to the mark is in every cell, and found by its row.
        let is_placed = !self.carrier.is_lent() || !is_in_block && self.density == Density::ALL;
        if step_of(carrier.as_ref()) != self.carrier.step() || !is_span || !is_placed {
            return Err(self.foreign());
        }
        Ok(carrier)
    }
}

/// A share, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Density {
    /// So many …
    pub part: u32,
    /// … of so many.
    pub whole: u32,
}

impl Density {
    /// Every cell.
    pub const ALL: Self = Self { part: 1, whole: 1 };

    /// Half of the cells.
    pub const HALF: Self = Self { part: 1, whole: 2 };

    /// The share, from 0 to 1; 0 where it is none.
    pub fn share(self) -> f64 {
        code::Density::of(self.part, self.whole).map_or(0.0, code::Density::share)
    }
}

/// How the cells of a field are found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoundBy {
    /// By their row: the place of an anchor in the scheme, from 0.
    Row(usize),
    /// By their own value, but for what a mark changes of it.
    Value,
}

/// Carriers that a row with these fields has: the sum of the densities, where a tag counts as so many
/// carriers as name a leaker in its place.
pub(in crate::marks) fn carriers_per_row(fields: &[FieldScheme]) -> f64 {
    let standard = Standard::new(GRANTS_RECKONED);
    let carriers = fields.iter().map(|field| {
        let worth = field.carrier.tag_space();
        field.density.share() * worth.map_or(1.0, |space| tag_worth(space, &standard))
    });
    carriers.sum()
}

fn is_not(said: &bool) -> bool {
    !*said
}
