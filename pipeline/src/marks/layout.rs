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
//!   key, then to their own value if it has blocks enough.
//! - **Where nothing but carriers is delivered**, neither key nor content, those whose own values have too few
//!   blocks are found by the blocks of up to three carriers together, those with most blocks, if these tell
//!   rows apart: what marks leave of them is the same for all grants. A field with none of these carries no
//!   mark.
//!
//! Of the cells of a field, a half carries a mark, which the key draws: whoever marks a copy anew, every cell
//! of it, with steps of the same length, so leaves half of the marks. What a treatment leaves to the mark takes
//! nothing from a value, and is in all of them.
//!
//! Only what is delivered clear carries: a mark never restores precision that a treatment removed. But a
//! treatment may leave something of its results to the mark, whatever the catalogue says of the field:
//! - **The last characters** carry *tags*. Such a field may be of the key. Where it is part of an anchor, its
//!   rows are found by what stands before the tags, which marks leave alone.
//! - **The choice between two draws of noise**, and that of the value which stands for an interval or a unit
//!   of the calendar, carry symbols as numbers do. The rows are found by content, or where that isn't
//!   delivered by the key; such a field finds no other rows.

mod values;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use lockgate_transforms::Misfit;
use lockgate_transforms::marks::key::PrfSuite;
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

/// How many blocks may be one place of the code, for cells found by their own value. Whoever moves values
/// by just a block then leaves most of them where they are found.
const SPANS: [u32; 3] = [8, 4, 2];

/// Fewest places that are left where several blocks are one.
const PLACES_MIN: u64 = 4 * BLOCKS_MIN;

/// Bits by which content tells rows apart: where so many come together, no more fields are taken.
const CONTENT_BITS: u32 = 24;

/// Fewest bits of an anchor: some 16,000 different rows. Rows of one anchor share their positions.
const ANCHOR_BITS_MIN: u32 = 14;

/// Most fields of an anchor of content.
const CONTENT_FIELDS_MAX: usize = 3;

/// Fewest fields of an anchor of blocks: of one alone it would be that field's own value.
const BLOCK_FIELDS_MIN: usize = 2;

/// Which fields of a delivery carry marks, and how: a [`Scheme`] but for the key it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// The epoch of the dataset's marks.
    pub epoch: u32,
    /// What they are made by.
    #[serde(skip_serializing_if = "PrfSuite::is_default")]
    pub suite: PrfSuite,
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
            suite: self.suite,
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

impl Unmarked {
    fn why(planned: &PlannedField, reason: String) -> Self {
        Self {
            field: planned.name.clone(),
            reason,
        }
    }

    fn lost(planned: &PlannedField) -> Self {
        let reason = "nothing that would find its rows again is delivered";
        Self::why(planned, reason.to_owned())
    }
}

/// How a dataset's deliveries are marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laid {
    /// Which fields carry marks; none if no field does.
    pub layout: Option<Layout>,
    /// The fields that could and don't.
    pub unmarked: Vec<Unmarked>,
}

impl Laid {
    /// The same, made by that function.
    #[must_use]
    pub fn of_suite(self, suite: PrfSuite) -> Self {
        let layout = self.layout.map(|layout| Layout { suite, ..layout });
        Self { layout, ..self }
    }
}

/// What the catalogue says of a field that offers a carrier.
#[derive(Debug)]
struct Candidate<'a> {
    field: &'a Field,
    field_type: FieldType,
    carrier: CarrierSpec,
    /// Blocks that its values have at least; none where marks leave none, or nothing tells how many.
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

/// A planned field with the carrier it has as planned.
type Carrying<'a> = (&'a PlannedField, CarrierSpec);

/// Lays out the marks of a delivery of these fields.
pub fn lay_out(dataset: &Dataset, fields: &[PlannedField]) -> Laid {
    let candidates = candidates(dataset);
    let mut unmarked = Vec::new();
    let carrying = carrying(&candidates, fields, &mut unmarked);
    let lent = lent(dataset, fields, &mut unmarked);
    let is_carrying = |name: &str| {
        let mut carrying = carrying.iter();
        carrying.any(|(candidate, _)| candidate.field.name == name)
            || lent.iter().any(|(planned, _)| planned.name == name)
    };
    let carriers = carrying.iter().map(|(candidate, _)| *candidate);
    let anchors = Anchors::of(dataset, fields, &is_carrying).or_blocks(carriers);
    let mut used = Used::default();
    let mut found = Vec::new();
    for (candidate, (planned, carrier)) in carrying {
        match anchors.find(candidate, &mut used) {
            Some(found_by) => found.push((candidate, carrier, found_by)),
            None => unmarked.push(Unmarked::lost(planned)),
        }
    }
    let marks = found
        .into_iter()
        .filter_map(|(candidate, carrier, found_by)| candidate.mark(carrier, found_by, &used));
    let mut marked: Vec<FieldScheme> = marks.collect();
    for (planned, carrier) in lent {
        match anchors.find_rows(&mut used) {
            Some(found_by) => marked.push(FieldScheme {
                name: planned.name.clone(),
                data_type: planned.data_type.clone(),
                carrier,
                density: Density::ALL,
                found_by,
                keeps_block: false,
            }),
            None => unmarked.push(Unmarked::lost(planned)),
        }
    }
    marked.extend(dataset.fields.iter().filter_map(|field| {
        let planned = fields.iter().find(|planned| planned.name == field.name)?;
        tagged(planned)
    }));
    let layout = (!marked.is_empty()).then(|| Layout {
        places: values::places(dataset, &used.anchors, &marked),
        epoch: EPOCH,
        suite: PrfSuite::default(),
        anchors: used.anchors,
        fields: marked,
    });
    Laid { layout, unmarked }
}

/// The candidates that are delivered clear; the others, but for those whose treatment leaves the mark
/// something else, are unmarked.
fn carrying<'a>(
    candidates: &'a [Candidate<'a>],
    fields: &'a [PlannedField],
    unmarked: &mut Vec<Unmarked>,
) -> Vec<(&'a Candidate<'a>, Carrying<'a>)> {
    let mut carrying = Vec::new();
    for candidate in candidates {
        let name = &candidate.field.name;
        let Some(planned) = fields.iter().find(|field| field.name == *name) else {
            continue;
        };
        if is_clear(&planned.treatment) {
            match candidate.keeping(planned) {
                Ok(carrier) => carrying.push((candidate, (planned, carrier))),
                Err(misfit) => unmarked.push(Unmarked::why(planned, misfit.what)),
            }
        } else if planned.treatment.lends().is_none() {
            let treatment = planned.treatment.summary();
            let reason =
                format!("{treatment} leaves a mark no room: only what is delivered clear carries");
            unmarked.push(Unmarked::why(planned, reason));
        }
    }
    carrying
}

/// The fields of which a treatment leaves something but tags to the mark, in the catalogue's order.
fn lent<'a>(
    dataset: &Dataset,
    fields: &'a [PlannedField],
    unmarked: &mut Vec<Unmarked>,
) -> Vec<Carrying<'a>> {
    let mut lent = Vec::new();
    for field in &dataset.fields {
        let planned = fields.iter().find(|planned| planned.name == field.name);
        match planned.and_then(|planned| Some((planned, freedom_of(planned)?))) {
            Some((planned, Ok(carrier))) => lent.push((planned, carrier)),
            Some((planned, Err(misfit))) => unmarked.push(Unmarked::why(planned, misfit.what)),
            None => {}
        }
    }
    lent
}

/// The carrier of what else the treatment of a field leaves to the mark, if anything.
fn freedom_of(planned: &PlannedField) -> Option<Result<CarrierSpec, Misfit>> {
    let data_type = FieldType::parse(&planned.data_type).ok()?.to_arrow();
    let source = FieldType::parse(&planned.source_type).ok()?.to_arrow();
    let carrier = CarrierSpec::of_freedom(planned.treatment.freedom(&source)?);
    let sentinels = &planned.treatment.options().sentinels;
    Some(carrier.keeping(sentinels, &data_type))
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
        keeps_block: false,
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
        .filter_map(|(at, candidate)| Some((candidate.blocks_enough()?, Reverse(at))))
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
    /// Its blocks, where they are enough that its cells can be found by their own value.
    fn blocks_enough(&self) -> Option<u64> {
        self.blocks.filter(|blocks| *blocks >= BLOCKS_MIN)
    }

    /// Its carrier, leaving the values alone that its treatment gives a special meaning.
    fn keeping(&self, planned: &PlannedField) -> Result<CarrierSpec, Misfit> {
        let sentinels = &planned.treatment.options().sentinels;
        let data_type = self.field_type.to_arrow();
        self.carrier.clone().keeping(sentinels, &data_type)
    }

    /// Its mark, whose rows are found by that.
    fn mark(&self, carrier: CarrierSpec, found_by: FoundBy, used: &Used) -> Option<FieldScheme> {
        let keeps_block = found_by != FoundBy::Value && used.is_by_blocks_of(self);
        let is_in_block = found_by == FoundBy::Value || keeps_block;
        Some(FieldScheme {
            name: self.field.name.clone(),
            data_type: self.field_type.to_string(),
            carrier: self.built(carrier, is_in_block)?,
            density: Density::HALF,
            found_by,
            keeps_block,
        })
    }

    /// The carrier with the step and the span it has, for values that stay in their block or others.
    fn built(&self, carrier: CarrierSpec, is_in_block: bool) -> Option<CarrierSpec> {
        let data_type = self.field_type.to_arrow();
        let built = carrier.build(&data_type, is_in_block).ok().flatten()?;
        let carrier = carrier.with_step_of(built.as_ref());
        let blocks = self.blocks.filter(|_| is_in_block);
        Some(carrier.with_span(span_of(blocks.unwrap_or_default())))
    }
}

/// How many of so many blocks are one place: as many as leave places enough.
fn span_of(blocks: u64) -> u32 {
    let mut spans = SPANS.into_iter();
    let fits = |span: &u32| blocks / u64::from(*span) >= PLACES_MIN;
    spans.find(fits).unwrap_or(1)
}

/// The anchors a delivery offers.
#[derive(Debug)]
struct Anchors {
    key: Option<Anchor>,
    content: Option<Anchor>,
    /// Of content, too, where there is neither of them.
    blocks: Option<Anchor>,
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

    /// Whether rows are found by the blocks of a field.
    fn is_by_blocks_of(&self, candidate: &Candidate<'_>) -> bool {
        let name = &candidate.field.name;
        self.anchors
            .iter()
            .any(|anchor| anchor.blocks.contains(name))
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
                blocks: Vec::new(),
            }),
            key: key.map(|fields| Anchor {
                family: AnchorFamily::Key,
                fields,
                blocks: Vec::new(),
            }),
            blocks: None,
        }
    }

    /// The same, and where there is neither key nor content, what marks leave of the values of those that
    /// carry: of as many as tell rows apart together.
    fn or_blocks<'c>(self, carrying: impl Iterator<Item = &'c Candidate<'c>>) -> Self {
        if self.key.is_some() || self.content.is_some() {
            return self;
        }
        let offered = carrying.enumerate().filter_map(|(at, candidate)| {
            let blocks = candidate.blocks?;
            let bits = (blocks / u64::from(span_of(blocks))).checked_ilog2()?;
            Some((Reverse(bits), at, &candidate.field.name))
        });
        let mut offered: Vec<_> = offered.collect();
        offered.sort_unstable();
        let mut bits = 0;
        let mut taken = Vec::new();
        for (Reverse(more), at, name) in offered {
            if bits >= CONTENT_BITS || taken.len() == CONTENT_FIELDS_MAX {
                break;
            }
            bits += more;
            taken.push((at, name));
        }
        taken.sort_unstable();
        let is_anchor = bits >= ANCHOR_BITS_MIN && taken.len() >= BLOCK_FIELDS_MIN;
        let names = taken.into_iter().map(|(_, name)| name.clone());
        Self {
            blocks: is_anchor.then(|| Anchor {
                family: AnchorFamily::Content,
                fields: Vec::new(),
                blocks: names.collect(),
            }),
            ..self
        }
    }

    /// How the rows of a field are found that a treatment leaves to the mark: by content, or by the key.
    fn find_rows(&self, used: &mut Used) -> Option<FoundBy> {
        let anchor = self.content.as_ref().or(self.key.as_ref());
        anchor.map(|anchor| used.place(anchor))
    }

    /// How the cells of a field are found: as it prefers, or by what there is.
    fn find(&self, candidate: &Candidate<'_>, used: &mut Used) -> Option<FoundBy> {
        let order = match candidate.preferred {
            Family::Own => [Family::Own, Family::Content, Family::Key],
            Family::Key => [Family::Key, Family::Content, Family::Own],
            Family::Content => [Family::Content, Family::Key, Family::Own],
        };
        let found = order.into_iter().find_map(|family| match family {
            Family::Own => candidate.blocks_enough().map(|_| FoundBy::Value),
            Family::Key => self.key.as_ref().map(|anchor| used.place(anchor)),
            Family::Content => self.content.as_ref().map(|anchor| used.place(anchor)),
        });
        found.or_else(|| self.blocks.as_ref().map(|anchor| used.place(anchor)))
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
