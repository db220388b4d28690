//! Which fields of a delivery carry marks, and how each of their cells is found again.
//!
//! Positions are common to all grants of a dataset: a cell has one position, whoever gets it, and
//! only its symbol is the grant's. A coalition that compares copies then sees the symbols that
//! differ, and not the places where others are marked. A position is made of the field's name, its
//! family, and the released values of the anchor's fields, so all three have to be the same for
//! every grant, as far as grants let them:
//!
//! - **The family of a field follows from the catalogue alone.** Of the fields that offer a carrier,
//!   the one with the most blocks is found by its own value, if it has at least [`BLOCKS_MIN`] of
//!   them; the others are found by the key and by content in turn, the key first where a field is
//!   found by its own value, and content first where none is. So marks never all hang on the key,
//!   unless the dataset holds nothing else to find a row by.
//! - **The key** is found by where a grant delivers all its fields, each clear or under a pseudonym, and
//!   they have as many different values together as rows need to be told apart: a sex does not.
//!   Under pseudonyms of the grant's own, another grant's copy has other positions: a single leaker
//!   is found as before, and members of a coalition who put one's key beside the other's cells are
//!   found by the fields of the other families alone.
//! - **Content** is up to three other fields that no mark moves. Those that every grant with the same
//!   treatment releases alike come before those under a grant's own pseudonym, then those with more
//!   different values, then those earlier in the catalogue; no more are taken than tell rows apart,
//!   since each one that a leak has lost costs the anchor. Grants that treat these fields alike have
//!   the same.
//! - **Where an anchor isn't delivered**, its fields fall back: from key to content, from content to
//!   key, then to their own value if it has blocks enough. A field with none of these carries no mark.
//!
//! Only what is delivered clear carries: a mark never restores precision that a treatment removed. But a
//! treatment may give the last characters of its results to the mark: such a field carries *tags*,
//! whatever the catalogue says of it, and may be of the key. Where a tagged field is part of an anchor,
//! its rows are found by what stands before the tags, which marks leave alone.

mod values;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use lockgate_transforms::Misfit;
use serde::Serialize;

use self::values::{blocks, content_bits, key_bits};
use super::carrier::{carrier_of, is_clear};
use super::scheme::{
    Anchor, AnchorFamily, CarrierSpec, Density, FORMAT, FieldScheme, FoundBy, Scheme,
    carriers_per_row,
};
use crate::plan::PlannedField;
use crate::site::{Dataset, Field, FieldType};

/// The epoch of a dataset's marks. Another begins where positions must not be those of earlier
/// deliveries any more.
pub const EPOCH: u32 = 1;

/// Fewest blocks of a field whose cells are found by their own value. Cells of one block share a
/// position, and with few positions nobody can be named.
pub const BLOCKS_MIN: u64 = 1_000;

/// Bits by which content tells rows apart: where so many come together, no more fields are taken.
const CONTENT_BITS: u32 = 24;

/// Fewest bits of an anchor: some 16,000 different rows. Rows of one anchor share their positions.
const ANCHOR_BITS_MIN: u32 = 14;

/// Most fields of an anchor of content.
const CONTENT_FIELDS_MAX: usize = 3;

/// Which fields of a delivery carry marks, and how: a [`Scheme`] but for the key it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// The epoch of the dataset's marks.
    pub epoch: u32,
    /// What rows are found by.
    pub anchors: Vec<Anchor>,
    /// The fields that carry marks, in the order of the catalogue, those that carry tags last.
    pub fields: Vec<FieldScheme>,
    /// How many different places the cells of a field have, where the catalogue tells; by field. A
    /// forecast needs it, and deliveries are the same whatever it says, so a plan's hash leaves it out.
    #[serde(skip)]
    pub places: BTreeMap<String, u64>,
}

impl Layout {
    /// The scheme of deliveries under the key of that version.
    pub fn scheme(&self, dataset: &str, key_version: u32) -> Scheme {
        Scheme {
            format: FORMAT,
            dataset: dataset.to_owned(),
            epoch: self.epoch,
            key_version,
            anchors: self.anchors.clone(),
            fields: self.fields.clone(),
        }
    }

    /// The mark of a field, by its name.
    pub fn of(&self, name: &str) -> Option<&FieldScheme> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The anchor by which a field's rows are found; none for one that is found by its own value.
    pub fn anchor_of(&self, field: &FieldScheme) -> Option<&Anchor> {
        match field.found_by {
            FoundBy::Row(at) => self.anchors.get(at),
            FoundBy::Value => None,
        }
    }

    /// How many different places the cells of a marked field have; none where nothing tells.
    pub fn places_of(&self, field: &FieldScheme) -> Option<u64> {
        self.places.get(&field.name).copied()
    }

    /// Carriers that a row of the delivery has.
    pub fn carriers_per_row(&self) -> f64 {
        carriers_per_row(&self.fields)
    }
}

/// A delivered field that could carry marks and carries none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unmarked {
    /// The field.
    pub field: String,
    /// Why.
    pub reason: String,
}

/// How a dataset's deliveries are marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laid {
    /// Which fields carry marks; none if no field does.
    pub layout: Option<Layout>,
    /// The fields that could and don't.
    pub unmarked: Vec<Unmarked>,
}

/// What the catalogue says of a field that offers a carrier.
#[derive(Debug)]
struct Candidate<'a> {
    field: &'a Field,
    field_type: FieldType,
    carrier: CarrierSpec,
    /// Blocks that its cells have at least, where they can be found by their own value.
    blocks: Option<u64>,
    preferred: Family,
}

/// How the cells of a field are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Key,
    Content,
    Own,
}

/// Lays out the marks of a delivery of these fields.
pub fn lay_out(dataset: &Dataset, fields: &[PlannedField]) -> Laid {
    let candidates = candidates(dataset);
    let mut carrying = Vec::new();
    let mut unmarked = Vec::new();
    for candidate in &candidates {
        let name = &candidate.field.name;
        let Some(planned) = fields.iter().find(|field| field.name == *name) else {
            continue;
        };
        if is_clear(&planned.treatment) {
            match candidate.keeping(planned) {
                Ok(carrier) => carrying.push((candidate, planned, carrier)),
                Err(misfit) => unmarked.push(Unmarked {
                    field: name.clone(),
                    reason: misfit.what,
                }),
            }
        } else if planned.treatment.tag().is_none() {
            unmarked.push(Unmarked {
                field: name.clone(),
                reason: format!(
                    "{} leaves a mark no room: only what is delivered clear carries",
                    planned.treatment.summary()
                ),
            });
        }
    }
    let is_carrying = |name: &str| {
        carrying
            .iter()
            .any(|(candidate, _, _)| candidate.field.name == name)
    };
    let anchors = Anchors::of(dataset, fields, &is_carrying);
    let mut used = Used::default();
    let mut marked = Vec::new();
    for (candidate, planned, carrier) in carrying {
        let Some(found_by) = anchors.find(candidate, &mut used) else {
            unmarked.push(Unmarked {
                field: planned.name.clone(),
                reason: "nothing that would find its rows again is delivered".to_owned(),
            });
            continue;
        };
        let Some(carrier) = candidate.built(carrier, found_by == FoundBy::Value) else {
            continue;
        };
        marked.push(FieldScheme {
            name: planned.name.clone(),
            data_type: candidate.field_type.to_string(),
            carrier,
            density: Density::ALL,
            found_by,
        });
    }
    marked.extend(dataset.fields.iter().filter_map(|field| {
        let planned = fields.iter().find(|planned| planned.name == field.name)?;
        tagged(planned)
    }));
    let layout = (!marked.is_empty()).then(|| Layout {
        places: values::places(dataset, &used.anchors, &marked),
        epoch: EPOCH,
        anchors: used.anchors,
        fields: marked,
    });
    Laid { layout, unmarked }
}

/// The tags of a field, if its treatment gives them room.
fn tagged(planned: &PlannedField) -> Option<FieldScheme> {
    let carrier = CarrierSpec::of_room(planned.treatment.tag()?);
    let sentinels = &planned.treatment.options().sentinels;
    Some(FieldScheme {
        name: planned.name.clone(),
        data_type: planned.data_type.clone(),
        carrier: carrier.keeping(sentinels, &DataType::Utf8).ok()?,
        density: Density::ALL,
        found_by: FoundBy::Value,
    })
}

/// The fields of a dataset that offer carriers, in the catalogue's order, each with its family.
fn candidates(dataset: &Dataset) -> Vec<Candidate<'_>> {
    let offered = dataset.fields.iter().filter_map(|field| {
        let field_type = FieldType::parse(&field.data_type).ok()?;
        // What can't be meant is a problem of the catalogue, with which nothing is planned.
        let carrier = carrier_of(field, &field_type).ok().flatten()?;
        (!dataset.key.contains(&field.name)).then(|| Candidate {
            blocks: blocks(field, &field_type, &carrier),
            field,
            field_type,
            carrier,
            preferred: Family::Key,
        })
    });
    let mut candidates: Vec<Candidate<'_>> = offered.collect();
    let own = candidates
        .iter()
        .enumerate()
        .filter_map(|(at, candidate)| Some((candidate.blocks?, Reverse(at))))
        .max();
    let own = own.map(|(_, Reverse(at))| at);
    let mut next = match own {
        Some(_) => Family::Key,
        None => Family::Content,
    };
    for (at, candidate) in candidates.iter_mut().enumerate() {
        if Some(at) == own {
            candidate.preferred = Family::Own;
            continue;
        }
        candidate.preferred = next;
        next = match next {
            Family::Key => Family::Content,
            Family::Content | Family::Own => Family::Key,
        };
    }
    candidates
}

impl Candidate<'_> {
    /// Its carrier, leaving the values alone that its treatment gives a special meaning.
    fn keeping(&self, planned: &PlannedField) -> Result<CarrierSpec, Misfit> {
        let sentinels = &planned.treatment.options().sentinels;
        let data_type = self.field_type.to_arrow();
        self.carrier.clone().keeping(sentinels, &data_type)
    }

    /// The carrier with the step it has, for cells found by their own value or otherwise.
    fn built(&self, carrier: CarrierSpec, is_in_block: bool) -> Option<CarrierSpec> {
        let data_type = self.field_type.to_arrow();
        let built = carrier.build(&data_type, is_in_block).ok().flatten()?;
        Some(carrier.with_step_of(built.as_ref()))
    }
}

/// The anchors a delivery offers.
#[derive(Debug)]
struct Anchors {
    key: Option<Anchor>,
    content: Option<Anchor>,
}

/// The anchors that fields are found by, in the order in which they came up.
#[derive(Debug, Default)]
struct Used {
    anchors: Vec<Anchor>,
}

impl Used {
    fn place(&mut self, anchor: &Anchor) -> FoundBy {
        let known = self.anchors.iter().position(|used| used == anchor);
        FoundBy::Row(known.unwrap_or_else(|| {
            self.anchors.push(anchor.clone());
            self.anchors.len() - 1
        }))
    }
}

impl Anchors {
    fn of(dataset: &Dataset, fields: &[PlannedField], is_carrying: &dyn Fn(&str) -> bool) -> Self {
        let delivered = |name: &String| fields.iter().find(|field| field.name == *name);
        let of_key = |name: &String| key_bits(dataset.field(name)?, delivered(name)?);
        let key_bits: Option<u32> = dataset.key.iter().map(of_key).sum();
        let is_key = key_bits.is_some_and(|bits| bits >= ANCHOR_BITS_MIN);
        let key = is_key.then(|| dataset.key.clone());
        let in_key = |name: &String| key.as_ref().is_some_and(|key| key.contains(name));
        let mut found: Vec<Shown<'_>> = dataset
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| !in_key(&field.name) && !is_carrying(&field.name))
            .filter_map(|(at, field)| Shown::of(at, field, delivered(&field.name)?))
            .collect();
        found.sort_by_key(|shown| (shown.is_grants_own, Reverse(shown.bits), shown.at));
        let mut bits = 0;
        let mut content = Vec::new();
        for shown in found {
            if bits >= CONTENT_BITS || content.len() == CONTENT_FIELDS_MAX {
                break;
            }
            bits += shown.bits;
            content.push(shown);
        }
        content.sort_by_key(|shown| shown.at);
        let names = content.iter().map(|shown| shown.name.to_owned());
        Self {
            content: (bits >= ANCHOR_BITS_MIN).then(|| Anchor {
                family: AnchorFamily::Content,
                fields: names.collect(),
            }),
            key: key.map(|fields| Anchor {
                family: AnchorFamily::Key,
                fields,
            }),
        }
    }

    /// How the cells of a field are found: as it prefers, or by what there is.
    fn find(&self, candidate: &Candidate<'_>, used: &mut Used) -> Option<FoundBy> {
        let order = match candidate.preferred {
            Family::Own => [Family::Own, Family::Content, Family::Key],
            Family::Key => [Family::Key, Family::Content, Family::Own],
            Family::Content => [Family::Content, Family::Key, Family::Own],
        };
        order.into_iter().find_map(|family| match family {
            Family::Own => candidate.blocks.map(|_| FoundBy::Value),
            Family::Key => self.key.as_ref().map(|anchor| used.place(anchor)),
            Family::Content => self.content.as_ref().map(|anchor| used.place(anchor)),
        })
    }
}

/// A delivered field that could be a part of an anchor of content.
#[derive(Debug)]
struct Shown<'a> {
    name: &'a str,
    /// Its place in the catalogue.
    at: usize,
    /// How well it tells rows apart, in bits.
    bits: u32,
    /// Whether it is under a pseudonym of the grant's own.
    is_grants_own: bool,
}

impl<'a> Shown<'a> {
    fn of(at: usize, field: &'a Field, planned: &PlannedField) -> Option<Self> {
        const NOTHING_LEFT: u8 = 5;
        let treatment = &planned.treatment;
        let is_steady = !treatment.is_randomised() && !treatment.is_always_null();
        if !is_steady || planned.strength >= NOTHING_LEFT {
            return None;
        }
        let bits = content_bits(field, planned)?;
        let uses = treatment.key_uses();
        (bits > 0).then(|| Self {
            name: &field.name,
            at,
            bits,
            is_grants_own: uses.iter().any(|used| used.join.is_none()),
        })
    }
}

#[cfg(test)]
mod tests;
