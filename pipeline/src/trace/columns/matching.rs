//! What the search comes to for a hypothesis: a column for each of its fields, and the marks that are
//! seen there.

use serde::{Deserialize, Serialize};

use super::placed::{NAMED, Placed};
use super::source::Source;
use super::{Reading, Search};
use crate::marks::{Anchor, FieldScheme};

/// A field and the column that was taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matched {
    /// The dataset's name of the field.
    pub field: String,
    /// The column, from 0.
    pub column: usize,
    /// Its header where that is the field's name, else its place.
    pub header: String,
    /// How its values are read.
    pub reading: Reading,
}

/// A hypothesis with columns for its fields.
#[derive(Debug)]
pub(in crate::trace) struct Matching {
    /// Its place among the tracer's.
    pub(in crate::trace) hypothesis: usize,
    /// The columns of the marked fields that are there and of what finds them.
    pub(in crate::trace) columns: Vec<Matched>,
    /// The marks that it sees.
    pub(in crate::trace) sees: Vec<Sight>,
    /// Whether some of them are tags, which presence says nothing of.
    pub(in crate::trace) has_tags: bool,
    /// The presence of marks in the sample.
    pub(in crate::trace) ln_presence: f64,
    /// The same, and what headers are worth.
    pub(in crate::trace) likelihood: f64,
}

/// A marked field and where it is looked for: two hypotheses of one key that have it in common see the
/// same marks there.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::trace) struct Sight {
    pub(super) field: FieldScheme,
    pub(super) place: (usize, Reading),
    pub(super) anchor: Option<(Anchor, Vec<(usize, Reading)>)>,
}

impl Search<'_> {
    /// Each field with its column, those that rows are found by first, none twice.
    pub(super) fn columns(&self, kept: &[Placed<'_>]) -> Vec<Matched> {
        let anchors = kept.iter().filter_map(|placed| placed.anchor.as_ref());
        let anchors = anchors.flat_map(|(anchor, sources)| anchor.parts().zip(sources));
        let fields = kept
            .iter()
            .map(|placed| (&placed.field.name, &placed.source));
        let mut columns: Vec<Matched> = Vec::new();
        for (field, source) in anchors.chain(fields) {
            if columns.iter().all(|known| known.field != *field) {
                columns.push(Matched {
                    field: field.clone(),
                    column: source.column,
                    header: self.header(source),
                    reading: source.reading.clone(),
                });
            }
        }
        columns
    }

    /// What a column is called in results and evidence: by its header where that is the field's name,
    /// else by its place. What was taken for a header may be a row of the leak.
    fn header(&self, source: &Source) -> String {
        match self.names.get(source.column) {
            Some(name) if source.likeness >= NAMED => name.escape_debug().to_string(),
            Some(_) | None => format!("column {}", source.column + 1),
        }
    }
}
