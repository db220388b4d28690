//! `bucket`: numbers to the interval they fall into.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type, i256};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Misfit;
use crate::key::DerivedKey;
use crate::marks::carrier::Freedom;
use crate::number::column::{labelled, mapped};
use crate::number::{
    Decimal, EdgeLabels, Exact, ExactLabels, Float, FloatFloor, FloatLabels, Floor, ForExact,
    Unscalable, check_places, edge_labels, scale_of, with_exact,
};
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::treatment::Treatment;

/// Most bytes of a label that is written out.
const LABEL_BYTES_MAX: usize = 200;

/// Most edges of one `bucket`: what an approver can read, and more intervals than blur anything.
const EDGES_MAX: usize = 1_000;

/// Puts a number into a half-open interval and delivers the interval's label, its lower bound, or where
/// marks are any value of it.
///
/// Lower bounds (`as = "lower"`) keep the order: that of a smaller number is never the larger one,
/// though both may be equal. Labels are text, which sorts otherwise: `[1000,2000)` holds both bounds
/// in their shortest form; `labels` are other words for the intervals between `edges`. Values of which any
/// may be delivered (`as = "any"`) stand for the interval alone: equal ones may come from different values,
/// and different ones from one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Width of every interval, as decimal text greater than zero. Either this or `edges`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<Decimal>,
    /// Where an interval of that width begins, as decimal text.
    #[serde(default = "zero")]
    pub origin: Decimal,
    /// The bounds between intervals, ascending, as decimal text: below the first and from the last
    /// on are one interval each. 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<Vec<Decimal>>,
    /// The labels of the intervals that `edges` make, from the lowest, each 1 to 200 bytes and none
    /// twice: one more than there are edges, such as `["low", "normal", "high"]` for two. Absent means
    /// that the bounds are the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// What is delivered of the interval.
    #[serde(default, rename = "as")]
    pub shown: Shown,
}

/// What is delivered of an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// Its label, as text: `[1000,2000)`, `<1000`, `>=2000`.
    #[default]
    Label,
    /// Its lower bound, of the field's type. A value below the first edge has none and is invalid.
    Lower,
    /// Any value of it, of the field's type: where marks are, the one that the mark has, elsewhere the
    /// lower bound. Of intervals of one `width`, over whole numbers and decimals.
    Any,
}

fn zero() -> Decimal {
    Decimal::ZERO
}

/// The intervals as one of the two ways to write them.
enum Intervals<'a> {
    Width(Decimal, Decimal),
    Edges(&'a [Decimal]),
}

impl Bucket {
    fn intervals(&self) -> Result<Intervals<'_>, Misfit> {
        match (self.width, &self.edges) {
            (Some(_), Some(_)) => Err(Misfit::of_parameter(
                "edges",
                "`width` and `edges` are both given; write one of them",
            )),
            (None, None) => Err(Misfit::of_parameter(
                "width",
                "`width` or `edges` is required",
            )),
            (Some(width), None) if width.is_positive() => Ok(Intervals::Width(width, self.origin)),
            (Some(_), None) => Err(Misfit::of_parameter(
                "width",
                "`width` must be greater than zero",
            )),
            (None, Some(edges)) => self.edges(edges).map(Intervals::Edges),
        }
    }

    fn edges<'a>(&self, edges: &'a [Decimal]) -> Result<&'a [Decimal], Misfit> {
        if self.origin != Decimal::ZERO {
            return Err(Misfit::of_parameter(
                "origin",
                "`origin` belongs to `width`, not `edges`",
            ));
        }
        if edges.len() > EDGES_MAX {
            let what = format!("`edges` lists {}, and {EDGES_MAX} at most are", edges.len());
            return Err(Misfit::of_parameter("edges", what + " allowed")
                .with_hint("list fewer, or write one `width`"));
        }
        if edges.is_empty() {
            return Err(Misfit::of_parameter(
                "edges",
                "`edges` needs at least one edge",
            ));
        }
        if !edges.is_sorted_by(|lower, upper| lower < upper) {
            return Err(Misfit::of_parameter(
                "edges",
                "`edges` must ascend, each edge once",
            ));
        }
        Ok(edges)
    }

    /// Refuses labels that don't say which interval is meant, or that nothing delivers.
    fn check_labels(&self) -> Result<(), Misfit> {
        let Some(labels) = &self.labels else {
            return Ok(());
        };
        let refused = |what: String| Err(Misfit::of_parameter("labels", what));
        let intervals = self.edges.as_ref().map(|edges| edges.len() + 1);
        let Some(intervals) = intervals.filter(|_| self.shown == Shown::Label) else {
            return refused("`labels` belong to `edges`, where labels are delivered".to_owned());
        };
        if labels.len() != intervals {
            let listed = labels.len();
            return refused(format!(
                "`labels` lists {listed}, and the edges make {intervals} intervals"
            ));
        }
        let is_label = |label: &String| !label.trim().is_empty() && label.len() <= LABEL_BYTES_MAX;
        if !labels.iter().all(is_label) {
            return refused(format!(
                "a label has 1 to {LABEL_BYTES_MAX} bytes, not of white space alone"
            ));
        }
        let mut sorted: Vec<&String> = labels.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() < labels.len() {
            return refused("`labels` lists one twice; leave out the edge between them".to_owned());
        }
        Ok(())
    }

    /// The labels between edges: those given, or their bounds.
    fn labels_of(&self, edges: &[Decimal]) -> Vec<String> {
        self.labels.clone().unwrap_or_else(|| edge_labels(edges))
    }

    /// The intervals in units of 10^-`scale`.
    fn exact(&self, scale: i8) -> Result<ExactIntervals, Misfit> {
        let units = |parameter: &'static str, number: Decimal| {
            number.scaled(scale).map_err(|error| {
                let what = match error {
                    Unscalable::Finer => format!("finer than the field's {scale} decimal places"),
                    Unscalable::TooLarge => "larger than any value of the field".to_owned(),
                };
                Misfit::of_parameter(parameter, format!("a number in `{parameter}` is {what}"))
            })
        };
        match self.intervals()? {
            Intervals::Width(width, origin) => {
                let width = units("width", width)?;
                let floor = Floor::new(width, units("origin", origin)?).ok_or_else(|| {
                    let what = "`width` is the field's last digit, so that intervals hide nothing";
                    Misfit::of_parameter("width", what).with_hint("choose a larger width")
                })?;
                Ok(ExactIntervals::Width(floor))
            }
            Intervals::Edges(edges) => {
                let edges = edges.iter().map(|edge| units("edges", *edge));
                Ok(ExactIntervals::Edges(ExactEdges::new(
                    edges.collect::<Result<_, _>>()?,
                )))
            }
        }
    }

    fn float_floor(width: Decimal, origin: Decimal) -> Result<FloatFloor, Misfit> {
        FloatFloor::new(width, origin).map_err(|_| {
            Misfit::of_parameter(
                "width",
                "`width` and `origin` together have too many digits",
            )
        })
    }

    fn build_float<T>(
        &self,
        column: Column<'_>,
        options: &Options,
    ) -> Result<Box<dyn Treatment>, Misfit>
    where
        T: ArrowPrimitiveType,
        T::Native: Float,
    {
        match (self.intervals()?, self.shown) {
            (Intervals::Width(width, origin), shown) => {
                let floor = Self::float_floor(width, origin)?;
                match shown {
                    Shown::Label => labelled::<T, _>(column, options, FloatLabels(floor)),
                    Shown::Lower | Shown::Any => mapped::<T, _>(column, options, move |value| {
                        let lower = floor.bound::<T::Native>(floor.lower(value)?);
                        Some(T::Native::narrow(lower))
                    }),
                }
            }
            (Intervals::Edges(edges), shown) => {
                let bounds: Vec<f64> = edges
                    .iter()
                    .map(|edge| T::Native::narrow(edge.to_f64()).widen())
                    .collect();
                let index = {
                    let bounds = bounds.clone();
                    move |value: T::Native| {
                        let value = value.widen();
                        value
                            .is_finite()
                            .then(|| bounds.partition_point(|bound| *bound <= value))
                    }
                };
                match shown {
                    Shown::Label => labelled::<T, _>(
                        column,
                        options,
                        EdgeLabels::new(self.labels_of(edges), index),
                    ),
                    Shown::Lower | Shown::Any => mapped::<T, _>(column, options, move |value| {
                        let lower = bounds.get(index(value)?.checked_sub(1)?)?;
                        Some(T::Native::narrow(*lower))
                    }),
                }
            }
        }
    }
}

impl Definition for Bucket {
    const KIND: &'static str = "bucket";
    const SUMMARY: &'static str = "replaces a number by the interval it falls into";
    const FITS: &'static str = "integers, decimals and floats";
    const EXAMPLE: &'static str = r#"{ kind = "bucket", width = "1000" }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: Option<&'static str> =
        Some("that of the longest label where there are `edges`; otherwise it follows the value");

    /// True if every bound of these intervals is one of the floor's: each interval then is a union
    /// of some of the floor's. Labels are names for them, whatever they say.
    fn at_least(&self, floor: &Self) -> bool {
        match (self.intervals(), floor.intervals()) {
            (Ok(Intervals::Edges(own)), Ok(Intervals::Edges(floor))) => {
                own.iter().all(|edge| floor.contains(edge))
            }
            (Ok(Intervals::Edges(own)), Ok(Intervals::Width(width, origin))) => own
                .iter()
                .all(|edge| edge.minus(origin).is_multiple_of(width)),
            (Ok(Intervals::Width(own, from)), Ok(Intervals::Width(width, origin))) => {
                own.is_multiple_of(width) && from.minus(origin).is_multiple_of(width)
            }
            _ => false,
        }
    }

    fn width(&self, _: &DataType) -> Option<usize> {
        let edges = self.edges.as_ref().filter(|_| self.shown == Shown::Label)?;
        self.labels_of(edges).iter().map(String::len).max()
    }

    fn freedom(&self, data_type: &DataType) -> Option<Freedom> {
        let width = self.width.filter(|_| self.shown == Shown::Any)?;
        scale_of(data_type).map(|_| Freedom::Interval {
            width,
            origin: self.origin,
        })
    }

    fn lends(&self) -> Option<&'static str> {
        (self.shown == Shown::Any).then_some("as")
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check_labels()?;
        let is_even = self.edges.is_none() && scale_of(column.data_type).is_some();
        if self.shown == Shown::Any && !is_even {
            let what =
                "`as = \"any\"` is for intervals of one `width`, of whole numbers and decimals";
            return Err(Misfit::of_parameter("as", what)
                .with_hint("write as = \"lower\" or as = \"label\""));
        }
        match (scale_of(column.data_type), column.data_type) {
            (Some(scale), _) => self.exact(scale).map(drop)?,
            (None, DataType::Float32 | DataType::Float64) => {
                if let Intervals::Width(width, origin) = self.intervals()? {
                    Self::float_floor(width, origin)?;
                    check_places("width", width, column.data_type)?;
                }
            }
            (None, other) => return Err(Misfit::of_type(Self::KIND, other, Self::FITS)),
        }
        Ok(Some(match self.shown {
            Shown::Label => DataType::Utf8,
            Shown::Lower | Shown::Any => column.data_type.clone(),
        }))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.output_type(column)?;
        let unfit = || Misfit::of_type(Self::KIND, column.data_type, Self::FITS);
        if let Some(scale) = scale_of(column.data_type) {
            let intervals = self.exact(scale)?;
            let builder = ExactBuilder {
                bucket: self,
                column,
                options,
                scale,
                intervals,
            };
            return with_exact(column.data_type, builder).ok_or_else(unfit)?;
        }
        match column.data_type {
            DataType::Float32 => self.build_float::<Float32Type>(column, options),
            DataType::Float64 => self.build_float::<Float64Type>(column, options),
            _ => Err(unfit()),
        }
    }
}

/// Intervals over exact numbers, in units of the field.
enum ExactIntervals {
    Width(Floor),
    Edges(ExactEdges),
}

/// Ascending edges in units of the field.
#[derive(Debug, Clone)]
struct ExactEdges {
    /// The edges, if 64 bits hold each of them.
    small: Option<Vec<i64>>,
    widest: Vec<i256>,
}

impl ExactEdges {
    fn new(widest: Vec<i256>) -> Self {
        Self {
            small: widest.iter().map(|edge| edge.small()).collect(),
            widest,
        }
    }

    /// How many edges are not above the value.
    #[inline]
    fn index<N: Exact>(&self, value: N) -> usize {
        if let (Some(edges), Some(value)) = (&self.small, value.small()) {
            return edges.partition_point(|edge| *edge <= value);
        }
        let value = value.widest();
        self.widest.partition_point(|edge| *edge <= value)
    }
}

struct ExactBuilder<'a> {
    bucket: &'a Bucket,
    column: Column<'a>,
    options: &'a Options,
    scale: i8,
    intervals: ExactIntervals,
}

impl ForExact for ExactBuilder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self, least: T::Native, greatest: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let Self {
            bucket,
            column,
            options,
            scale,
            intervals,
        } = self;
        let fits = move |lower: &T::Native| *lower >= least && *lower <= greatest;
        match (intervals, bucket.shown) {
            (ExactIntervals::Width(floor), Shown::Label) => {
                labelled::<T, _>(column, options, ExactLabels { floor, scale })
            }
            (ExactIntervals::Width(floor), Shown::Lower | Shown::Any) => {
                mapped::<T, _>(column, options, move |value| {
                    floor.lower(value).filter(fits)
                })
            }
            (ExactIntervals::Edges(edges), Shown::Label) => {
                let index = move |value| Some(edges.index::<T::Native>(value));
                let decimals = bucket.edges.as_deref().unwrap_or_default();
                let labels = bucket.labels_of(decimals);
                labelled::<T, _>(column, options, EdgeLabels::new(labels, index))
            }
            (ExactIntervals::Edges(edges), Shown::Lower | Shown::Any) => {
                mapped::<T, _>(column, options, move |value| {
                    let lower = edges.widest.get(edges.index(value).checked_sub(1)?)?;
                    T::Native::from_widest(*lower).filter(fits)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
