//! How many different values a field has, as far as catalogue and type tell: whether they tell rows
//! apart, and how many places its marks have.

use std::collections::BTreeMap;

use lockgate_transforms::{Uniqueness, category};

use super::super::scheme::{Anchor, CarrierSpec, FieldScheme, FoundBy};
use crate::plan::PlannedField;
use crate::site::{Dataset, Field, FieldType};

/// Days that the values of a date or time are assumed to span, where nothing says how many there are.
const SPAN_DAYS: u64 = 365;

/// Bits of an identifier.
const IDENTIFIER: u32 = 30;

/// How many blocks the values of a field have at least, as far as catalogue and type tell; none
/// where nothing tells, or marks leave no blocks of them.
///
/// Declared numbers of values count, the field's or its category's. Else times are assumed to span
/// a year, and decimals to use half of their digits; of integers and floats nothing is assumed.
pub(super) fn blocks(field: &Field, field_type: &FieldType, carrier: &CarrierSpec) -> Option<u64> {
    let built = carrier.build(&field_type.to_arrow(), true).ok().flatten()?;
    if !built.has_blocks() {
        return None;
    }
    let step = carrier.clone().with_step_of(built.as_ref()).step()?;
    let units = match (domain_size(field), carrier, field_type) {
        (Some(size), _, _) => size,
        (None, CarrierSpec::Time { grain, .. }, _) => {
            (SPAN_DAYS * 86_400 * 1_000_000_000).checked_div(*grain)?
        }
        (None, CarrierSpec::Number { .. }, FieldType::Decimal { precision, .. }) => {
            10_u64.checked_pow(u32::from(precision / 2))?
        }
        (
            None,
            CarrierSpec::Number { .. }
            | CarrierSpec::Synonyms { .. }
            | CarrierSpec::Noise { .. }
            | CarrierSpec::Interval { .. }
            | CarrierSpec::Calendar { .. }
            | CarrierSpec::Tag { .. },
            _,
        ) => return None,
    };
    units.checked_div(step.checked_mul(2)?)
}

/// How many values a field can have, as declared for it or its category.
fn domain_size(field: &Field) -> Option<u64> {
    let by_category = category::find(&field.category).and_then(|category| category.domain_size);
    [by_category, field.domain_size].into_iter().flatten().min()
}

/// How many different places the cells of each field have, where the catalogue tells: the blocks of
/// its values, or the different values, or their blocks, of what its rows are found by.
pub(super) fn places(
    dataset: &Dataset,
    anchors: &[Anchor],
    marked: &[FieldScheme],
) -> BTreeMap<String, u64> {
    let values = |name: &String| values_at_most(dataset.field(name)?);
    let own = |field: &FieldScheme| -> Option<u64> {
        let Some(step) = field.carrier.step() else {
            return values(&field.name);
        };
        let units = step
            .checked_mul(2)?
            .checked_mul(field.carrier.span().into())?;
        values(&field.name)?.checked_div(units)
    };
    let blocks = |name: &String| own(marked.iter().find(|field| field.name == *name)?);
    let of_field = |field: &FieldScheme| -> Option<u64> {
        match field.found_by {
            FoundBy::Row(at) => {
                let anchor = anchors.get(at)?;
                let fields = anchor.fields.iter().map(values);
                let mut parts = fields.chain(anchor.blocks.iter().map(blocks));
                parts.try_fold(1_u64, |all, values| Some(all.saturating_mul(values?)))
            }
            FoundBy::Value => own(field),
        }
    };
    let known = marked
        .iter()
        .filter_map(|field| Some((field.name.clone(), of_field(field)?)));
    known.collect()
}

/// How many different values a field has at most, as declared or by its type; none where nothing
/// tells.
fn values_at_most(field: &Field) -> Option<u64> {
    let data_type = FieldType::parse(&field.data_type).ok()?.to_arrow();
    let bytes = data_type
        .primitive_width()
        .filter(|_| data_type.is_integer());
    let by_type = bytes.and_then(|bytes| 256_u64.checked_pow(u32::try_from(bytes).ok()?));
    [domain_size(field), by_type].into_iter().flatten().min()
}

/// How well a field of the key still tells rows apart as delivered, in bits; none where it doesn't in
/// every delivery alike. Options that give malformed values one result don't matter: their rows share
/// positions, and no more.
///
/// A field of which nothing says how many values it has is taken for an identifier: its provider
/// declared that the key identifies rows.
pub(super) fn key_bits(field: &Field, planned: &PlannedField) -> Option<u32> {
    let data_type = FieldType::parse(&planned.data_type).ok()?;
    let by_type = if matches!(data_type, FieldType::Timestamp { .. }) {
        (SPAN_DAYS * 86_400).checked_ilog2()
    } else {
        bits_of_type(&planned.data_type)
    };
    let whole = bits_of(field, IDENTIFIER).unwrap_or(0).min(by_type?);
    if planned.treatment.is_randomised() {
        return None;
    }
    match planned.treatment.treatment().uniqueness() {
        Uniqueness::Bijective => Some(whole),
        Uniqueness::Probabilistic { bits } => Some(whole.min(bits)),
        Uniqueness::Lossy | Uniqueness::Randomised => None,
    }
}

/// How well a field that could be a part of an anchor of content tells rows apart as delivered, in
/// bits; none where it doesn't.
pub(super) fn content_bits(field: &Field, planned: &PlannedField) -> Option<u32> {
    const OTHER: u32 = 10;
    let whole = bits_of(field, OTHER)?.min(bits_of_type(&planned.data_type)?);
    match planned.treatment.treatment().uniqueness() {
        Uniqueness::Bijective => Some(whole),
        Uniqueness::Probabilistic { bits } => Some(whole.min(bits)),
        Uniqueness::Lossy => Some(whole / 2),
        Uniqueness::Randomised => None,
    }
}

/// How well values of a type survive as an anchor, in bits at most; none for types that have no one
/// spelling in a leak: fractions are rounded, times cut.
fn bits_of_type(notation: &str) -> Option<u32> {
    match FieldType::parse(notation).ok()? {
        FieldType::Utf8 => Some(u32::MAX),
        FieldType::Date => Some(12),
        FieldType::Int8 | FieldType::Uint8 => Some(8),
        FieldType::Int16
        | FieldType::Int32
        | FieldType::Int64
        | FieldType::Uint16
        | FieldType::Uint32
        | FieldType::Uint64 => Some(u32::MAX),
        FieldType::Boolean
        | FieldType::Float32
        | FieldType::Float64
        | FieldType::Decimal { .. }
        | FieldType::Timestamp { .. }
        | FieldType::Binary
        | FieldType::List(_)
        | FieldType::Struct(_)
        | FieldType::Map(_) => None,
    }
}

/// How well the values of a field tell rows apart, in bits, as catalogue and category tell; none
/// where they are written anew each time, and `unknown` where neither tells.
fn bits_of(field: &Field, unknown: u32) -> Option<u32> {
    const NAME: u32 = 16;
    if let Some(size) = domain_size(field) {
        return size.checked_ilog2();
    }
    match category::find(&field.category) {
        Some(known) if known.is_identifier() => Some(IDENTIFIER),
        Some(known) if matches!(known.name, "free-text" | "geometry" | "biometric") => None,
        Some(known) if known.name == "other" => Some(unknown),
        Some(_) => Some(NAME),
        None => Some(unknown),
    }
}
