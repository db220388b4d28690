//! The scheme: everything a trace needs beside the key.
//!
//! A delivery's scheme says which of its fields carry marks, how far each may move, and how each
//! cell is found again. It is one canonical document: the ledger holds its hash before the first
//! delivery, a trace reads it years later, when catalogue and policy say something else, and both
//! come to the same positions.
//!
//! Fields and anchors are named, not numbered, so that one scheme fits a batch, a file with its
//! columns in another order, and a leak that has lost some of them: see [`Scheme::marker`].

use std::time::Duration;

use arrow::datatypes::DataType;
use lockgate_transforms::Misfit;
use lockgate_transforms::marks::anchor::Family;
use lockgate_transforms::marks::carrier::{
    Carrier, Freedom, Limits, Numeric, Representative, Sampled, Synonyms,
};
use lockgate_transforms::marks::code;
use lockgate_transforms::marks::embed::{
    self, MarkPlan, MarkedField, Marker, RowAnchor, TaggedField,
};
use lockgate_transforms::marks::key::{MarkKey, PrfSuite};
use lockgate_transforms::marks::predict::{Reflection, tag_worth};
use lockgate_transforms::marks::score::Standard;
use lockgate_transforms::marks::tag::identifier::IdKind;
use lockgate_transforms::marks::tag::{Tag, TagForm, TagRoom, TagSpace};
use lockgate_transforms::number::Decimal;
use lockgate_transforms::treatments::date_trunc::Unit;
use lockgate_transforms::treatments::hmac::Encoding;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::forecast::GRANTS_RECKONED;
use crate::canonical_json::{self, CanonicalError};
use crate::digest::sha256_hex;
use crate::site::FieldType;

/// The form this version writes and reads.
pub const FORMAT: u32 = 1;

/// What a scheme says of the characters of identifiers, whose kind says which they are.
const OF_IDENTIFIERS: Encoding = Encoding::Hex;

/// Which fields of a dataset's deliveries carry marks, and how. A scheme holds no key, and none of
/// the grants it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// Version of this form: 1.
    pub format: u32,
    /// Id of the dataset: with `epoch` and `key_version` it names the key.
    pub dataset: String,
    /// The epoch of the dataset's marks.
    pub epoch: u32,
    /// Version of the master key of purpose `mark`.
    pub key_version: u32,
    /// What anchors, positions, symbols and tags are made by; AES where it isn't said.
    #[serde(default, skip_serializing_if = "PrfSuite::is_default")]
    pub suite: PrfSuite,
    /// What rows are found by.
    pub anchors: Vec<Anchor>,
    /// The fields that carry marks.
    pub fields: Vec<FieldScheme>,
}

/// What identifies the rows of a dataset, in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Of which kind.
    pub family: AnchorFamily,
    /// The dataset's names of the fields it is made of, as released, in an order that stays.
    pub fields: Vec<String>,
    /// Marked fields of which it is made, too: of what marks leave of their values. After the others, in an
    /// order that stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<String>,
}

impl Anchor {
    /// All fields it is made of, in their order.
    pub fn parts(&self) -> impl Iterator<Item = &String> {
        self.fields.iter().chain(&self.blocks)
    }
}

/// Of which kind an anchor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnchorFamily {
    /// The dataset's key.
    Key,
    /// Other fields, which marks leave alone, or what they leave of the values of some.
    Content,
}

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

/// How the cells of a field show a symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CarrierSpec {
    /// Whole numbers, decimals and floats, by the parity of their cell.
    Number {
        /// How far a value may move, in the field's unit.
        tolerance: Decimal,
        /// Of a float: the decimals it is delivered with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decimals: Option<u8>,
        /// Units of a cell; follows from the tolerance and is held to it.
        step: u64,
        /// Of cells found by their own value: how many blocks are one place of the code, a power of two;
        /// one where it isn't said.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        span: u32,
        /// No value falls below.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        least: Option<Decimal>,
        /// No value rises above.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        greatest: Option<Decimal>,
        /// Values of special meaning: none is moved, and none comes about.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sentinels: Vec<Decimal>,
    },
    /// Dates and timestamps, by the parity of their cell.
    Time {
        /// Nanoseconds of a unit: values move by whole units and keep what is finer.
        grain: u64,
        /// How far a value may move, in nanoseconds.
        tolerance: u64,
        /// Units of a cell; follows from the tolerance and is held to it.
        step: u64,
        /// Of cells found by their own value: how many blocks are one place of the code, a power of two;
        /// one where it isn't said.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        span: u32,
        /// No value falls below; a value of the type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        least: Option<i64>,
        /// No value rises above; a value of the type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        greatest: Option<i64>,
        /// Values of special meaning, of the type: none is moved, and none comes about.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sentinels: Vec<i64>,
    },
    /// Words, by their place among those that mean the same.
    Synonyms {
        /// Groups of words that mean the same.
        classes: Vec<Vec<String>>,
    },
    /// Noise, of which the mark chooses between two draws, by the parity of their cell.
    Noise {
        /// Units of a cell.
        step: u64,
        /// Of a float: the decimals that its noise has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decimals: Option<u8>,
        /// Values that show nothing: those of special meaning, and those in which noise ends.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sentinels: Vec<Decimal>,
    },
    /// Numbers that stand for an interval, by the half of it in which they lie.
    Interval {
        /// How long intervals are, in the field's unit.
        width: Decimal,
        /// Where one begins.
        origin: Decimal,
        /// Values of special meaning: none is changed, and none comes about.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sentinels: Vec<Decimal>,
    },
    /// Dates and times that stand for a unit of the calendar, by the half of it in which they lie.
    Calendar {
        /// Which.
        unit: Unit,
        /// Values of special meaning, of the type: none is changed, and none comes about.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sentinels: Vec<i64>,
    },
    /// Pseudonyms, by some of their characters, which are the grant's own: the last, or digits of an
    /// identifier.
    Tag {
        /// Of fields that share it, equal pseudonyms have equal tags.
        domain: String,
        /// How many.
        characters: u32,
        /// Characters of a whole pseudonym.
        length: u32,
        /// Which characters there are; of identifiers it says nothing.
        encoding: Encoding,
        /// The kind of identifier, where pseudonyms are identifiers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<IdKind>,
        /// Values of special meaning: none is changed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sentinels: Vec<String>,
    },
}

/// Why a scheme can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// A field's type can't be read.
    #[error("marks of field `{field}`: {what}")]
    Type {
        /// The field.
        field: String,
        /// What is wrong.
        what: String,
    },
    /// A carrier doesn't fit its field.
    #[error("marks of field `{field}`: {misfit}")]
    Carrier {
        /// The field.
        field: String,
        /// Why.
        misfit: Misfit,
    },
    /// The tolerance has no room for the smallest move.
    #[error("marks of field `{field}`: its tolerance is less than the smallest step of its type")]
    TooSmall {
        /// The field.
        field: String,
    },
    /// The step, the span or the density isn't what this version makes of the tolerance.
    #[error("marks of field `{field}`: the scheme is not one that this version writes")]
    Foreign {
        /// The field.
        field: String,
    },
    /// Anchors and fields don't fit each other.
    #[error("marks: {0}")]
    Plan(Misfit),
    /// The document isn't a scheme in canonical form, or of another format.
    #[error("the scheme of marks: {0}")]
    Document(CanonicalError),
    /// The document has a form that this version doesn't know.
    #[error("the scheme of marks has form {0}, and this version reads {FORMAT}")]
    Format(u32),
}

impl Scheme {
    /// The canonical bytes.
    ///
    /// # Errors
    /// A scheme beyond the limits of a canonical document.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SchemeError> {
        canonical_json::to_bytes(self).map_err(SchemeError::Document)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes, and nothing else.
    ///
    /// # Errors
    /// Other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SchemeError> {
        let scheme: Self = canonical_json::read(bytes).map_err(SchemeError::Document)?;
        if scheme.format != FORMAT {
            return Err(SchemeError::Format(scheme.format));
        }
        Ok(scheme)
    }

    /// Lower-case hex SHA-256 of the canonical bytes: the scheme's name.
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes).
    pub fn sha256(&self) -> Result<String, SchemeError> {
        Ok(sha256_hex(&self.to_bytes()?))
    }

    /// The marker for a table with these columns, by the dataset's names and in the table's order.
    ///
    /// Marked fields that the table lacks are left out. So are anchors of which a column is missing,
    /// and the fields that are found by those. What is left may be nothing: see
    /// [`MarkPlan::fields`]. A run, whose table lacks nothing, marks every field of the scheme.
    ///
    /// # Errors
    /// A scheme that contradicts itself.
    pub fn marker<N: AsRef<str>>(
        &self,
        key: &MarkKey,
        columns: &[N],
    ) -> Result<Marker, SchemeError> {
        Ok(Marker::new(
            &key.of_suite(self.suite),
            self.plan_for(columns)?,
        ))
    }

    /// The plan of [`marker`](Self::marker), without a key.
    ///
    /// # Errors
    /// A scheme that contradicts itself.
    pub fn plan_for<N: AsRef<str>>(&self, columns: &[N]) -> Result<MarkPlan, SchemeError> {
        let place = |name: &String| columns.iter().position(|column| column.as_ref() == name);
        let kept = self.anchors_kept(&place);
        let (mut fields, mut tags) = (Vec::new(), Vec::new());
        for field in &self.fields {
            if let Some(tag) = field.tag()? {
                tags.extend(place(&field.name).map(|column| TaggedField {
                    column,
                    name: field.name.clone(),
                    tag,
                }));
                continue;
            }
            let found_by = match field.found_by {
                FoundBy::Value => Some(embed::FoundBy::Value),
                // A place beyond the anchors is a contradiction that the plan refuses.
                FoundBy::Row(at) => match kept.get(at) {
                    Some(is_kept) => is_kept.then(|| {
                        let earlier = kept.iter().take(at).filter(|is_kept| **is_kept);
                        embed::FoundBy::Row(earlier.count())
                    }),
                    None => Some(embed::FoundBy::Row(usize::MAX)),
                },
            };
            let (Some(column), Some(found_by)) = (place(&field.name), found_by) else {
                continue;
            };
            let density = code::Density::of(field.density.part, field.density.whole);
            fields.push(MarkedField {
                column,
                name: field.name.clone(),
                density: density.ok_or_else(|| field.foreign())?,
                found_by,
                carrier: field.carrier(field.is_in_block())?,
            });
        }
        let anchors = self.anchors.iter().zip(&kept);
        let anchors = anchors.filter(|(_, is_kept)| **is_kept);
        let anchors = anchors.map(|(anchor, _)| RowAnchor {
            family: anchor.family.family(),
            columns: anchor.fields.iter().filter_map(place).collect(),
            blocks: places_in(&fields, &anchor.blocks),
        });
        let anchors = anchors.collect();
        let plan = MarkPlan::new(anchors, fields).and_then(|plan| plan.with_tags(tags));
        plan.map_err(SchemeError::Plan)
    }

    /// Which anchors can be made of a table's columns: those of which no column is missing, nor a marked
    /// field by whose blocks they find rows, which may itself be found by an anchor.
    fn anchors_kept(&self, place: &dyn Fn(&String) -> Option<usize>) -> Vec<bool> {
        let is_there = |anchor: &Anchor| anchor.parts().all(|name| place(name).is_some());
        let mut kept: Vec<bool> = self.anchors.iter().map(is_there).collect();
        loop {
            let is_found = |name: &String| {
                let field = self.fields.iter().find(|field| field.name == *name);
                field.is_none_or(|field| match field.found_by {
                    FoundBy::Row(at) => kept.get(at).copied().unwrap_or(true),
                    FoundBy::Value => true,
                })
            };
            let anchors = self.anchors.iter().zip(&kept);
            let left =
                anchors.map(|(anchor, is_kept)| *is_kept && anchor.blocks.iter().all(is_found));
            let left: Vec<bool> = left.collect();
            if left == kept {
                return kept;
            }
            kept = left;
        }
    }

    /// Carriers a row has: the sum of the densities, and what its tags are worth.
    pub fn carriers_per_row(&self) -> f64 {
        carriers_per_row(&self.fields)
    }
}

/// The places of fields in a plan, by their names; one that isn't there is beyond all, which the plan
/// refuses.
fn places_in(fields: &[MarkedField], names: &[String]) -> Vec<usize> {
    let place = |name: &String| fields.iter().position(|field| field.name == *name);
    let places = names.iter().map(|name| place(name).unwrap_or(usize::MAX));
    places.collect()
}

/// Carriers that a row with these fields has: the sum of the densities, where a tag counts as so many
/// carriers as name a leaker in its place.
pub(super) fn carriers_per_row(fields: &[FieldScheme]) -> f64 {
    let standard = Standard::new(GRANTS_RECKONED);
    let carriers = fields.iter().map(|field| {
        let worth = field.carrier.tag_space();
        field.density.share() * worth.map_or(1.0, |space| tag_worth(space, &standard))
    });
    carriers.sum()
}

/// One block a place: what schemes have that don't say.
fn one() -> u32 {
    1
}

fn is_one(span: &u32) -> bool {
    *span == 1
}

fn is_not(said: &bool) -> bool {
    !*said
}

/// Limits as a carrier's specification writes them.
fn limits<T: Copy>(least: &Option<T>, greatest: &Option<T>, sentinels: &[T]) -> Limits<T> {
    Limits {
        least: *least,
        greatest: *greatest,
        sentinels: sentinels.to_vec(),
    }
}

impl AnchorFamily {
    fn family(self) -> Family {
        match self {
            Self::Key => Family::Key,
            Self::Content => Family::Content,
        }
    }
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
    fn is_in_block(&self) -> bool {
        self.found_by == FoundBy::Value || self.keeps_block
    }

    fn foreign(&self) -> SchemeError {
        SchemeError::Foreign {
            field: self.name.clone(),
        }
    }

    /// Its tags, if it carries tags.
    ///
    /// # Errors
    /// No tags that this version writes.
    fn tag(&self) -> Result<Option<Tag>, SchemeError> {
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
    fn carrier(&self, is_in_block: bool) -> Result<Box<dyn Carrier>, SchemeError> {
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

impl CarrierSpec {
    /// The carrier for a field of that type; none where its tolerance is below the smallest step, or
    /// it is of tags, which show more than a symbol.
    ///
    /// # Errors
    /// It is for other types.
    pub(crate) fn build(
        &self,
        data_type: &DataType,
        is_in_block: bool,
    ) -> Result<Option<Box<dyn Carrier>>, Misfit> {
        let span = self.span();
        let of_numeric =
            |numeric: Option<Numeric>| numeric.map(|numeric| boxed(numeric.with_span(span)));
        match self {
            Self::Number {
                tolerance,
                decimals,
                least,
                greatest,
                sentinels,
                ..
            } => {
                let limits = limits(least, greatest, sentinels);
                match decimals {
                    Some(decimals) => {
                        Numeric::float(data_type, *decimals, *tolerance, is_in_block, &limits)
                    }
                    None => Numeric::exact(data_type, *tolerance, is_in_block, &limits),
                }
                .map(of_numeric)
            }
            Self::Time {
                grain,
                tolerance,
                least,
                greatest,
                sentinels,
                ..
            } => {
                let limits = limits(least, greatest, sentinels);
                let (grain, tolerance) = (
                    Duration::from_nanos(*grain),
                    Duration::from_nanos(*tolerance),
                );
                Numeric::time(data_type, grain, tolerance, is_in_block, &limits).map(of_numeric)
            }
            Self::Synonyms { classes } => {
                Synonyms::new(classes).map(|synonyms| Some(boxed(synonyms)))
            }
            Self::Noise {
                step,
                decimals,
                sentinels,
            } => Sampled::new(data_type, *step, *decimals, sentinels)
                .map(|sampled| sampled.map(boxed)),
            Self::Interval {
                width,
                origin,
                sentinels,
            } => Representative::of_width(data_type, *width, *origin, sentinels)
                .map(|representative| Some(boxed(representative))),
            Self::Calendar { unit, sentinels } => {
                Representative::of_calendar(data_type, *unit, sentinels)
                    .map(|representative| Some(boxed(representative)))
            }
            Self::Tag { .. } => Ok(None),
        }
    }

    /// A carrier of what a treatment leaves to the mark, beside tags.
    pub(crate) fn of_freedom(freedom: Freedom) -> Self {
        match freedom {
            Freedom::Noise(room) => Self::Noise {
                step: room.step,
                decimals: room.decimals,
                sentinels: room.bounds,
            },
            Freedom::Interval { width, origin } => Self::Interval {
                width,
                origin,
                sentinels: Vec::new(),
            },
            Freedom::Calendar(unit) => Self::Calendar {
                unit,
                sentinels: Vec::new(),
            },
        }
    }

    /// Whether it takes nothing from a value, because a treatment leaves it to the mark.
    fn is_lent(&self) -> bool {
        match self {
            Self::Noise { .. } | Self::Interval { .. } | Self::Calendar { .. } => true,
            Self::Number { .. } | Self::Time { .. } | Self::Synonyms { .. } | Self::Tag { .. } => {
                false
            }
        }
    }

    /// A carrier of tags in what a treatment gives to the mark.
    pub(crate) fn of_room(room: TagRoom) -> Self {
        let (length, encoding, id) = match room.form {
            TagForm::End { length, encoding } => (length, encoding, None),
            TagForm::Id(kind) => (kind.length(), OF_IDENTIFIERS, Some(kind)),
        };
        Self::Tag {
            domain: room.domain,
            characters: room.characters,
            length,
            encoding,
            id,
            sentinels: Vec::new(),
        }
    }

    /// The tags, if it is a carrier of tags.
    fn tag(&self) -> Option<Result<Tag, Misfit>> {
        let Self::Tag {
            domain,
            characters,
            length,
            encoding,
            id,
            sentinels,
        } = self
        else {
            return None;
        };
        let form = match id {
            None => TagForm::End {
                length: *length,
                encoding: *encoding,
            },
            Some(kind) if *length == kind.length() && *encoding == OF_IDENTIFIERS => {
                TagForm::Id(*kind)
            }
            Some(_) => {
                let what = "tags of identifiers have another length or other characters";
                return Some(Err(Misfit::of_parameter("tag", what)));
            }
        };
        let room = TagRoom {
            domain: domain.clone(),
            characters: *characters,
            form,
        };
        Some(Tag::new(&room, sentinels))
    }

    /// How many tags there are, if it is a carrier of tags.
    pub(crate) fn tag_space(&self) -> Option<TagSpace> {
        Some(self.tag()?.ok()?.space())
    }

    /// Units of a cell; none where values aren't numbers.
    pub fn step(&self) -> Option<u64> {
        match self {
            Self::Number { step, .. } | Self::Time { step, .. } => Some(*step),
            Self::Synonyms { .. }
            | Self::Noise { .. }
            | Self::Interval { .. }
            | Self::Calendar { .. }
            | Self::Tag { .. } => None,
        }
    }

    /// How many blocks are one place of the code, of cells found by their own value.
    pub fn span(&self) -> u32 {
        match self {
            Self::Number { span, .. } | Self::Time { span, .. } => *span,
            Self::Synonyms { .. }
            | Self::Noise { .. }
            | Self::Interval { .. }
            | Self::Calendar { .. }
            | Self::Tag { .. } => 1,
        }
    }

    /// The same with so many blocks for one place.
    #[must_use]
    pub(crate) fn with_span(mut self, blocks: u32) -> Self {
        match &mut self {
            Self::Number { span, .. } | Self::Time { span, .. } => *span = blocks,
            Self::Synonyms { .. }
            | Self::Noise { .. }
            | Self::Interval { .. }
            | Self::Calendar { .. }
            | Self::Tag { .. } => {}
        }
        self
    }

    /// The same with the step that a carrier of it has.
    #[must_use]
    pub(crate) fn with_step_of(mut self, carrier: &dyn Carrier) -> Self {
        match &mut self {
            Self::Number { step, .. } | Self::Time { step, .. } => {
                *step = step_of(carrier).unwrap_or_default();
            }
            Self::Synonyms { .. }
            | Self::Noise { .. }
            | Self::Interval { .. }
            | Self::Calendar { .. }
            | Self::Tag { .. } => {}
        }
        self
    }
}

fn boxed<C: Carrier + 'static>(carrier: C) -> Box<dyn Carrier> {
    Box::new(carrier)
}

/// Units of a carrier's cell.
fn step_of(carrier: &dyn Carrier) -> Option<u64> {
    carrier.reflection().map(|reflection| match reflection {
        Reflection::AtBorder { step } | Reflection::InBlock { step } => step,
    })
}

#[cfg(test)]
mod tests;
