//! How the cells of a field show a symbol, as a scheme writes it down, and the carrier that it stands for.

use std::time::Duration;

use arrow::datatypes::DataType;
use lockgate_transforms::Misfit;
use lockgate_transforms::marks::carrier::{
    Carrier, Freedom, Limits, Numeric, Representative, Sampled, Synonyms,
};
use lockgate_transforms::marks::predict::Reflection;
use lockgate_transforms::marks::tag::identifier::IdKind;
use lockgate_transforms::number::Decimal;
use lockgate_transforms::treatments::date_trunc::Unit;
use lockgate_transforms::treatments::hmac::Encoding;
use serde::{Deserialize, Serialize};

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
    pub(super) fn is_lent(&self) -> bool {
        match self {
            Self::Noise { .. } | Self::Interval { .. } | Self::Calendar { .. } => true,
            Self::Number { .. } | Self::Time { .. } | Self::Synonyms { .. } | Self::Tag { .. } => {
                false
            }
        }
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

/// One block a place: what schemes have that don't say.
fn one() -> u32 {
    1
}

fn is_one(span: &u32) -> bool {
    *span == 1
}

/// Limits as a carrier's specification writes them.
fn limits<T: Copy>(least: &Option<T>, greatest: &Option<T>, sentinels: &[T]) -> Limits<T> {
    Limits {
        least: *least,
        greatest: *greatest,
        sentinels: sentinels.to_vec(),
    }
}

fn boxed<C: Carrier + 'static>(carrier: C) -> Box<dyn Carrier> {
    Box::new(carrier)
}

/// Units of a carrier's cell.
pub(super) fn step_of(carrier: &dyn Carrier) -> Option<u64> {
    carrier.reflection().map(|reflection| match reflection {
        Reflection::AtBorder { step } | Reflection::InBlock { step } => step,
    })
}
