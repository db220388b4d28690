//! Which column of a leak holds which field: by header, by what the values look like, by trial.
//!
//! A leak has been through other hands: columns are gone, renamed or in another order, dates are
//! numbers of days, amounts have thousands separators. So every column is a candidate for a field if
//! its values can be read as the field's type, in any of the spellings that its values have, and a
//! trial on a sample decides: with the right column, spelling and anchor, the code's biases show
//! ([`ln_presence`]); with any other they don't. Where a leak is too small to show them, headers
//! decide.
//!
//! A trial looks at the biases of positions and at what cells show, and never at the symbols of a
//! grant. For a grant that had no part in the leak, these are independent of all that was looked
//! at, so however many trials there were, they cost the trace nothing. They do cost the statement
//! that the leak is ours, whose threshold counts them.
//!
//! Here stands the order of the search: which columns a field may be at all (`source`, held to what is
//! `given`), what trials say of them (`trial`), which one is taken (`placed`), and what comes of it
//! (`matching`).

mod given;
mod matching;
mod placed;
mod reading;
mod source;
mod trial;

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{RecordBatch, StringArray};
use lockgate_connectors::format::found::FoundTable;
use lockgate_transforms::marks::key::MarkKey;
use lockgate_transforms::marks::score::{Cells, ln_presence};

use self::given::place_of;
pub use self::matching::Matched;
pub(super) use self::matching::Matching;
use self::placed::{Placed, kept};
pub use self::reading::Reading;
use self::source::Source;
use self::trial::{FoundRows, Place, Rows};
use super::finding::real;
use super::pass;
use super::tracer::{Catalogued, Hypothesis};
use crate::error::RunError;
use crate::marks::{CarrierSpec, FieldScheme, FoundBy};

/// From which presence a field's column is certain, however many were tried.
const SURE: f64 = 40.0;

/// Most columns of a leak that are looked at.
const COLUMNS_MAX: usize = 1_000;

/// Rows of a sample in which combinations of columns are tried, as a part of it.
const SMALL_SAMPLE: usize = 2_048;

/// The search for columns in one leak.
pub(super) struct Search<'a> {
    catalogued: &'a BTreeMap<String, Catalogued>,
    names: &'a [String],
    has_header: bool,
    given: BTreeMap<&'a str, usize>,
    whole: Vec<&'a StringArray>,
    small: RecordBatch,
    /// The share of different values in each column.
    variety: Vec<f64>,
    /// Plausible readings, by type in the catalogue's notation.
    typed: HashMap<String, Vec<Source>>,
    /// Columns of anchors that are certain, by field.
    certain: HashMap<String, Source>,
    /// Whether any hypothesis has shown marks beyond doubt.
    is_sure: bool,
    /// Trials of combinations that may still be made.
    tries_left: usize,
    /// The logarithm of how many columns there were to choose between, by field and anchor.
    choices: BTreeMap<String, f64>,
}

impl<'a> Search<'a> {
    /// The search in a leak of which `sample` are some rows; `given` are columns that the operator
    /// names, by field.
    ///
    /// # Errors
    /// A given column that isn't there.
    pub(super) fn new(
        catalogued: &'a BTreeMap<String, Catalogued>,
        table: &'a FoundTable,
        sample: &'a RecordBatch,
        given: &'a BTreeMap<String, String>,
    ) -> Result<Self, RunError> {
        let names = table.names();
        if names.len() > COLUMNS_MAX {
            return Err(RunError::Invalid {
                what: format!("the file has more than {COLUMNS_MAX} columns"),
                at: "the leak".to_owned(),
                remedy:
                    "see that --delimiter and --encoding fit it, or leave out columns that can't \
                         be the dataset's"
                        .to_owned(),
            });
        }
        let mut places = BTreeMap::new();
        for (field, column) in given {
            places.insert(field.as_str(), place_of(column, names)?);
        }
        let whole = (0..sample.num_columns()).map(|column| pass::text(sample, column));
        let whole = whole.collect::<Result<Vec<_>, _>>()?;
        let stride = sample.num_rows().div_ceil(SMALL_SAMPLE);
        Ok(Self {
            catalogued,
            names,
            has_header: table.has_header(),
            given: places,
            variety: whole.iter().map(|column| variety(column)).collect(),
            whole,
            small: pass::every(sample, 0, stride)?,
            typed: HashMap::new(),
            certain: HashMap::new(),
            is_sure: false,
            tries_left: trial::TRIES_MAX,
            choices: BTreeMap::new(),
        })
    }

    /// The logarithm of how many matchings a hypothesis may have been given.
    pub(super) fn ln_tried(&self) -> f64 {
        self.choices.values().sum()
    }

    /// The columns for a hypothesis; none where no column can be any of its marked fields.
    ///
    /// # Errors
    /// A scheme that can't be used.
    pub(super) fn matching(
        &mut self,
        at: usize,
        hypothesis: &Hypothesis,
        key: &MarkKey,
    ) -> Result<Option<Matching>, RunError> {
        let scheme = &hypothesis.scheme;
        let tags: Vec<FieldScheme> = scheme
            .fields
            .iter()
            .filter(|of| is_tag(of))
            .cloned()
            .collect();
        let (mut placed, mut tagged) = (Vec::new(), Vec::new());
        for field in scheme
            .fields
            .iter()
            .filter(|of| of.found_by == FoundBy::Value)
        {
            match is_tag(field) {
                true => tagged.extend(self.place_tag(key, field)?),
                false => placed.extend(self.place(key, None, field)?),
            }
        }
        for (number, anchor) in scheme.anchors.iter().enumerate() {
            let of_anchor = |field: &&FieldScheme| field.found_by == FoundBy::Row(number);
            let fields: Vec<&FieldScheme> = scheme.fields.iter().filter(of_anchor).collect();
            let rows = Rows {
                anchor,
                tags: &tags,
                marked: &scheme.fields,
            };
            let Some(sources) = self.anchor(key, rows, &fields)? else {
                continue;
            };
            let found = FoundRows::new(key, rows, &sources, Place::Whole)?;
            for field in fields {
                placed.extend(self.place(key, Some(&found), field)?);
            }
        }
        let mut kept = kept(placed);
        let mut counts = Cells::default();
        for placed in &kept {
            for (sum, count) in counts.iter_mut().zip(placed.counts) {
                *sum += count;
            }
        }
        let has_tags = !tagged.is_empty();
        kept.append(&mut tagged);
        if kept.is_empty() {
            return Ok(None);
        }
        let presence = ln_presence(&counts);
        self.is_sure |= presence >= SURE;
        Ok(Some(Matching {
            hypothesis: at,
            columns: self.columns(&kept),
            sees: kept.iter().map(Placed::sight).collect(),
            has_tags,
            ln_presence: presence,
            likelihood: presence + kept.iter().map(Placed::prior).sum::<f64>(),
        }))
    }

    fn chose_between(&mut self, what: &str, count: usize) {
        let count = real(u64::try_from(count.max(1)).unwrap_or(u64::MAX));
        let known = self.choices.entry(what.to_owned()).or_default();
        *known = known.max(count.ln());
    }
}

fn is_tag(field: &FieldScheme) -> bool {
    matches!(field.carrier, CarrierSpec::Tag { .. })
}

/// The share of different values, from 0 to 1.
fn variety(column: &StringArray) -> f64 {
    let different: HashSet<&str> = column.iter().flatten().collect();
    let [different, all] = [different.len(), column.iter().len()]
        .map(|count| real(u64::try_from(count).unwrap_or_default()));
    different / all.max(1.0)
}
