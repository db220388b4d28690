//! Labels of intervals: `[1000,2000)`, `<1000`, `>=2000`.

use std::fmt::{Display, Write};

use arrow::datatypes::i256;

use super::column::Classes;
use super::{Decimal, Exact, Float, FloatFloor, Floor, write_units};

/// Labels remembered within one column: most values fall into a few intervals.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// By the top bits of a hash of the interval's lower bound.
    labels: Vec<Option<(i128, String)>>,
    /// The label last made of an interval whose bound has more than 128 bits.
    last: String,
}

/// Labels remembered at a time.
const REMEMBERED: usize = 1 << REMEMBERED_BITS;

/// Bits of a place among them.
const REMEMBERED_BITS: u32 = 10;

impl Remembered {
    #[inline]
    #[expect(
        clippy::as_conversions,
        reason = "a hash takes any of the bits, and ten of them fit every usize"
    )]
    fn label(&mut self, lower: i128, make: impl FnOnce(&mut String)) -> Option<&str> {
        if self.labels.is_empty() {
            self.labels.resize(REMEMBERED, None);
        }
        let hash = (lower as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let slot = self
            .labels
            .get_mut((hash >> (u64::BITS - REMEMBERED_BITS)) as usize)?;
        let (remembered, label) = slot.get_or_insert_with(|| (lower, String::new()));
        if label.is_empty() || *remembered != lower {
            *remembered = lower;
            label.clear();
            make(label);
        }
        Some(label)
    }
}

/// Writes the label of a half-open interval whose bounds count units of 10^-`scale`.
fn write_interval(lower: impl Display, upper: impl Display, scale: i8, label: &mut String) {
    if scale == 0 {
        let written = write!(label, "[{lower},{upper})");
        debug_assert!(written.is_ok(), "a String takes all text");
        return;
    }
    label.push('[');
    write_units(&lower.to_string(), scale, label);
    label.push(',');
    write_units(&upper.to_string(), scale, label);
    label.push(')');
}

/// Labels of the intervals that exact numbers fall into.
#[derive(Debug)]
pub(crate) struct ExactLabels {
    /// The intervals, in units of the field.
    pub(crate) floor: Floor,
    /// Digits after the point of a unit.
    pub(crate) scale: i8,
}

impl ExactLabels {
    fn write(&self, lower: i256, upper: i256, label: &mut String) {
        match (lower.small(), upper.small()) {
            // Printing 256 bits takes ten times as long.
            (Some(lower), Some(upper)) => write_interval(lower, upper, self.scale, label),
            _ => write_interval(lower, upper, self.scale, label),
        }
    }
}

impl<N: Exact> Classes<N> for ExactLabels {
    type Memory = Remembered;

    #[inline]
    fn label<'a>(&'a self, value: N, memory: &'a mut Remembered) -> Option<&'a str> {
        if let Some(lower) = self.floor.lower_small(value) {
            return memory.label(lower.into(), |label| {
                let lower = lower.widest();
                // A width of 64 bits, or there would be no small lower bound.
                self.write(lower, lower.wrapping_add(self.floor.width()), label);
            });
        }
        let lower = self.floor.lower_widest(value)?;
        let upper = lower.checked_add(self.floor.width())?;
        memory.last.clear();
        self.write(lower, upper, &mut memory.last);
        Some(&memory.last)
    }
}

/// Labels of the intervals that floats fall into.
#[derive(Debug)]
pub(crate) struct FloatLabels(pub(crate) FloatFloor);

impl<F: Float> Classes<F> for FloatLabels {
    type Memory = Remembered;

    #[inline]
    fn label<'a>(&'a self, value: F, memory: &'a mut Remembered) -> Option<&'a str> {
        let lower = self.0.lower(value)?;
        let upper = lower.checked_add(self.0.width())?;
        memory.label(lower, |label| {
            write_interval(lower, upper, self.0.scale(), label);
        })
    }
}

/// Labels of the intervals between given edges.
#[derive(Debug)]
pub(crate) struct EdgeLabels<I> {
    labels: Vec<String>,
    index: I,
}

impl<I> EdgeLabels<I> {
    /// The given labels, one for each interval; `index` is the number of edges not above a value, or
    /// none.
    pub(crate) fn new(labels: Vec<String>, index: I) -> Self {
        Self { labels, index }
    }
}

/// Labels of the intervals between ascending edges.
pub(crate) fn edge_labels(edges: &[Decimal]) -> Vec<String> {
    let first = edges.first().map(|edge| format!("<{edge}"));
    let between = edges.windows(2).filter_map(|pair| match pair {
        [lower, upper] => Some(format!("[{lower},{upper})")),
        _ => None,
    });
    let last = edges.last().map(|edge| format!(">={edge}"));
    first.into_iter().chain(between).chain(last).collect()
}

impl<N, I: Fn(N) -> Option<usize> + Send + Sync + 'static> Classes<N> for EdgeLabels<I> {
    type Memory = ();

    #[inline]
    fn label<'a>(&'a self, value: N, (): &'a mut ()) -> Option<&'a str> {
        self.labels.get((self.index)(value)?).map(String::as_str)
    }
}
