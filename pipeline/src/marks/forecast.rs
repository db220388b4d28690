//! What a plan can say of marks before anything is delivered: from how many rows a leak can be
//! traced, and what marks will do to the values.

use std::slice;

use lockgate_connectors::source::Source;
use lockgate_transforms::marks::predict::{Expected, Readable, rows_traced};
use lockgate_transforms::marks::score::Standard;
use serde::Serialize;

use super::layout::Layout;
use super::scheme::{AnchorFamily, CarrierSpec, FieldScheme, carriers_per_row};
use super::units::Units;
use crate::plan::ExchangePlan;
use crate::site::Site;
use crate::site::policy::{Below, Marking};

/// Grants that a forecast reckons with. Their number counts by its logarithm alone.
pub const GRANTS_RECKONED: u64 = 10_000;

/// Sizes of the coalitions that a forecast is made for.
const LEAKERS: [u8; 4] = [1, 2, 3, 5];

/// What is to be expected of the marks of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// Carriers that a row has, where a tag counts as so many as name a leaker in its place.
    pub carriers_per_row: f64,
    /// From how many rows a clean leak is traced with probability 95 %, by the number of grants it
    /// was put together from, among 10,000 grants and with an error of 1e-9.
    pub traceable: Vec<Traceable>,
    /// The fields that carry marks.
    pub fields: Vec<FieldForecast>,
}

/// From how many rows a leak by so many is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Traceable {
    /// Grants that the leak was put together from.
    pub leakers: u8,
    /// Different rows it must hold; none where no number is enough, since the marked fields have too
    /// few different places.
    pub rows: Option<u64>,
}

/// What is to be expected of the marks of a field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldForecast {
    /// The field.
    pub field: String,
    /// What its cells are found by: `key`, `content`, `blocks` or `value`.
    pub found_by: &'static str,
    /// The fields that its rows are found by; empty where that is its own value.
    pub anchor: Vec<String>,
    /// How many different places its cells have, where the catalogue tells: those of one place are
    /// one carrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<u64>,
    /// The share of the values that change.
    pub changed: f64,
    /// Characters of its tags, which are all that changes; none for other marks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<u32>,
    /// What of its treatment's results the mark chooses: `noise`, or the `value` that stands for others;
    /// none for other marks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<&'static str>,
    /// How far a value moves at most, in the field's unit or as a duration; none for synonyms, choices and tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub furthest: Option<String>,
    /// The root of the mean square of all moves, in the field's unit (seconds for times), if values lie
    /// evenly within a step; none for synonyms, choices and tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// The most that is to be expected of it, wherever values lie; the least is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation_most: Option<f64>,
}

impl Forecast {
    /// The forecast of a layout.
    pub fn of(layout: &Layout) -> Self {
        let carriers_per_row = layout.carriers_per_row();
        let standard = Standard::new(GRANTS_RECKONED);
        let readable = layout.fields.iter().map(|field| Readable {
            density: field.density.share(),
            tag: field.carrier.tag_space(),
            places: layout.places_of(field),
        });
        let readable: Vec<Readable> = readable.collect();
        let traceable = LEAKERS.map(|leakers| {
            let rows = rows_traced(leakers, 0.0, &readable, &standard);
            Traceable {
                leakers,
                rows: rows.is_finite().then(|| whole(rows)),
            }
        });
        let fields = layout.fields.iter();
        Self {
            carriers_per_row,
            traceable: traceable.to_vec(),
            fields: fields
                .map(|field| FieldForecast::of(layout, field))
                .collect(),
        }
    }
}

impl FieldForecast {
    fn of(layout: &Layout, field: &FieldScheme) -> Self {
        let anchor = layout.anchor_of(field);
        let density = field.density.share();
        let expected = field
            .reflection()
            .map(|reflection| Expected::of(reflection, density));
        let units = Units::of(field);
        Self {
            field: field.name.clone(),
            found_by: match anchor.map(|anchor| (anchor.family, anchor.blocks.is_empty())) {
                Some((AnchorFamily::Key, _)) => "key",
                Some((AnchorFamily::Content, true)) => "content",
                Some((AnchorFamily::Content, false)) => "blocks",
                None => "value",
            },
            anchor: anchor.map_or_else(Vec::new, |anchor| anchor.parts().cloned().collect()),
            places: layout.places_of(field),
            changed: match (expected, &field.carrier) {
                (Some(expected), _) => expected.changed,
                // Nearly every one: what stands for many values is seldom the least of them.
                (None, CarrierSpec::Interval { .. } | CarrierSpec::Calendar { .. }) => density,
                (None, carrier) => carrier
                    .tag_space()
                    .map_or(density / 2.0, |space| density * (1.0 - space.chance())),
            },
            tag: match &field.carrier {
                CarrierSpec::Tag { characters, .. } => Some(*characters),
                CarrierSpec::Number { .. }
                | CarrierSpec::Time { .. }
                | CarrierSpec::Synonyms { .. }
                | CarrierSpec::Noise { .. }
                | CarrierSpec::Interval { .. }
                | CarrierSpec::Calendar { .. } => None,
            },
            chosen: match &field.carrier {
                CarrierSpec::Noise { .. } => Some("noise"),
                CarrierSpec::Interval { .. } | CarrierSpec::Calendar { .. } => Some("value"),
                CarrierSpec::Number { .. }
                | CarrierSpec::Time { .. }
                | CarrierSpec::Synonyms { .. }
                | CarrierSpec::Tag { .. } => None,
            },
            furthest: expected.map(|expected| units.length(whole(expected.furthest).into())),
            deviation: expected.map(|expected| expected.mean_square.sqrt() * units.size()),
            deviation_most: expected
                .map(|expected| expected.mean_square_most.sqrt() * units.size()),
        }
    }
}

/// Too few carriers for what policy asks for, in words; none if there are enough. `rows` is how many
/// rows the delivery has at most, where that is known.
pub fn too_few(marking: &Marking, layout: Option<&Layout>, rows: Option<u64>) -> Option<String> {
    let least = marking.min_carriers;
    let Some(layout) = layout else {
        return (least > 0).then(|| {
            format!(
                "no field of the delivery carries a mark, so no leak of it can be traced, and policy \
                 asks for {least} carriers; have the provider declare a tolerance or synonyms in the \
                 catalogue, deliver a field that has one clear, or give `hmac` a `tag` or `noise-num` \
                 a `mark`"
            )
        });
    };
    let rows = rows?;
    let carriers = carriers_of(layout, rows);
    (carriers < least).then(|| {
        format!(
            "{rows} rows have at most {carriers} carriers, and policy asks for {least}: a leak of \
             the delivery may not be traced"
        )
    })
}

/// Carriers that so many rows have at most: of a field no more than it has places.
pub fn carriers_of(layout: &Layout, rows: u64) -> u64 {
    let carriers = layout.fields.iter().map(|field| {
        let places = layout.places_of(field).unwrap_or(rows).min(rows);
        carriers_per_row(slice::from_ref(field)) * real(places)
    });
    whole(carriers.sum::<f64>().floor())
}

/// Too few carriers for what policy asks for, as far as the source tells how many rows there are;
/// that no field carries at all is for compiling to say.
pub(crate) fn too_few_of(site: &Site, plan: &ExchangePlan, source: &dyn Source) -> Option<String> {
    let layout = plan.marks.as_ref()?;
    let rows = source.rows_total()?;
    let rows = rows.saturating_sub(source.rows_pruned().unwrap_or(0));
    too_few(&site.policy.marking, Some(layout), Some(rows))
}

/// Whether policy refuses what has too few carriers.
pub fn is_refused(marking: &Marking) -> bool {
    marking.below == Below::Refuse
}

/// Whether a leak that has lost the key, of these fields, is lost to a trace, though there are marks.
pub fn hangs_on_key(layout: &Layout, key: &[String]) -> bool {
    layout
        .fields
        .iter()
        .all(|field| match layout.anchor_of(field) {
            Some(anchor) => anchor.family == AnchorFamily::Key,
            None => key.contains(&field.name),
        })
}

/// What a mark may do to a field, in words: `within 5`, `within 30s`, `synonyms`, `the choice of its
/// noise`, `any value of an interval of 1000`, `any time of the month`, `tag of 4 characters`.
pub fn freedom(field: &FieldScheme) -> String {
    match &field.carrier {
        CarrierSpec::Number { tolerance, .. } => format!("within {tolerance}"),
        CarrierSpec::Time { tolerance, .. } => {
            format!("within {}", super::carrier::duration_text(*tolerance))
        }
        CarrierSpec::Synonyms { .. } => "synonyms".to_owned(),
        CarrierSpec::Noise { .. } => "the choice of its noise".to_owned(),
        CarrierSpec::Interval { width, .. } => format!("any value of an interval of {width}"),
        CarrierSpec::Calendar { unit, .. } => format!("any time of the {}", unit.as_str()),
        CarrierSpec::Tag { characters, .. } => format!("tag of {characters} characters"),
    }
}

#[expect(
    clippy::as_conversions,
    reason = "a count that is not negative; what is too large is the largest"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

#[expect(clippy::as_conversions, reason = "counts of rows are far below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}
