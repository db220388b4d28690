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

mod trial;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use lockgate_connectors::format::found::FoundTable;
use lockgate_transforms::marks::found::{self, Spelling, name_likeness, spellings};
use lockgate_transforms::marks::key::MarkKey;
use lockgate_transforms::marks::score::{Cells, ln_presence};
use serde::{Deserialize, Serialize};

use super::finding::real;
use super::pass;
use super::tracer::{Catalogued, Hypothesis};
use crate::error::RunError;
use crate::marks::{Anchor, CarrierSpec, FieldScheme, FoundBy, Scheme};
use crate::site::FieldType;
use trial::{FoundRows, Place, Rows, Trial};

/// From which likeness a header names a field.
const NAMED: f64 = 0.85;

/// What a header that equals the field's name is worth, in nats of presence.
const NAME_WORTH: f64 = 12.0;

/// From which presence a field's column is certain, however many were tried.
const SURE: f64 = 40.0;

/// From which presence a field is taken though nothing names its column.
const SHOWN: f64 = 8.0;

/// Below which presence a column shows that it holds no marks any more.
const SPOILT: f64 = -3.0;

/// Of a column of pseudonyms with tags, the least share of values that have their form.
const TAGGED: f64 = 0.25;

/// Most columns of a leak that are looked at.
const COLUMNS_MAX: usize = 1_000;

/// Most columns, each spelling counted, that are held as values of one type: some 150 MB at worst.
const READINGS_MAX: usize = 1_024;

/// Rows of a sample in which combinations of columns are tried, as a part of it.
const SMALL_SAMPLE: usize = 2_048;

/// How a column's text is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// As it stands.
    Text,
    /// As values of a type, which were spelled in that way.
    Typed {
        /// The type, in the catalogue's notation.
        data_type: String,
        /// The spelling.
        spelling: Spelling,
    },
}

impl Reading {
    /// The values of a column; null where they can't be read so.
    pub(super) fn read(&self, column: &StringArray) -> Result<ArrayRef, RunError> {
        match self {
            Self::Text => Ok(Arc::new(column.clone())),
            Self::Typed {
                data_type,
                spelling,
            } => {
                let data_type = arrow_type(data_type)?;
                let found = found::read(column, &data_type, *spelling);
                Ok(found.map_err(pass::reading)?.values)
            }
        }
    }
}

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
pub(super) struct Matching {
    /// Its place among the tracer's.
    pub(super) hypothesis: usize,
    /// The columns of the marked fields that are there and of what finds them.
    pub(super) columns: Vec<Matched>,
    /// The marks that it sees.
    pub(super) sees: Vec<Sight>,
    /// Whether some of them are tags, which presence says nothing of.
    pub(super) has_tags: bool,
    /// The presence of marks in the sample.
    pub(super) ln_presence: f64,
    /// The same, and what headers are worth.
    pub(super) likelihood: f64,
}

/// A marked field and where it is looked for: two hypotheses of one key that have it in common see the
/// same marks there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sight {
    field: FieldScheme,
    place: (usize, Reading),
    anchor: Option<(Anchor, Vec<(usize, Reading)>)>,
}

/// A column, read in one way, in the sample.
#[derive(Debug, Clone)]
struct Source {
    column: usize,
    reading: Reading,
    /// In the whole sample.
    whole: ArrayRef,
    /// In a part of it.
    small: ArrayRef,
    /// How well its header fits.
    likeness: f64,
    /// What speaks for it before any trial, in nats.
    prior: f64,
}

impl Source {
    fn place(&self) -> (usize, Reading) {
        (self.column, self.reading.clone())
    }
}

/// A field with the column that fits it best.
struct Placed<'a> {
    field: &'a FieldScheme,
    source: Source,
    anchor: Option<(&'a Anchor, Vec<Source>)>,
    counts: Cells<u64>,
    presence: f64,
}

impl Placed<'_> {
    fn prior(&self) -> f64 {
        let anchor = self.anchor.iter().flat_map(|(_, sources)| sources);
        self.source.prior + anchor.map(|source| source.prior).sum::<f64>()
    }

    fn is_named(&self) -> bool {
        let anchor = self.anchor.iter().flat_map(|(_, sources)| sources);
        let mut sources = anchor.chain([&self.source]);
        sources.all(|source| source.likeness >= NAMED)
    }

    fn sight(&self) -> Sight {
        let anchor = self.anchor.as_ref().map(|(anchor, sources)| {
            let places = sources.iter().map(Source::place);
            ((*anchor).clone(), places.collect())
        });
        // Where an anchor stands in its scheme is of no account.
        let found_by = match self.field.found_by {
            FoundBy::Row(_) => FoundBy::Row(0),
            FoundBy::Value => FoundBy::Value,
        };
        Sight {
            field: FieldScheme {
                found_by,
                ..self.field.clone()
            },
            place: self.source.place(),
            anchor,
        }
    }
}

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

    /// Refuses given columns for fields that no scheme has.
    ///
    /// # Errors
    /// There is one.
    pub(super) fn check_fields<'s>(
        &self,
        schemes: impl Iterator<Item = &'s Scheme>,
    ) -> Result<(), RunError> {
        let mut fields = BTreeSet::new();
        for scheme in schemes {
            fields.extend(scheme.fields.iter().map(|field| field.name.as_str()));
            let anchors = scheme.anchors.iter().flat_map(|anchor| &anchor.fields);
            fields.extend(anchors.map(String::as_str));
        }
        match self.given.keys().find(|field| !fields.contains(**field)) {
            None => Ok(()),
            Some(field) => Err(RunError::Invalid {
                what: format!("field `{field}` neither carries marks nor finds them"),
                at: "--column".to_owned(),
                remedy: format!("name one of {}", some_of(&Vec::from_iter(fields))),
            }),
        }
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

    /// The column of a field of pseudonyms with tags: presence says nothing of them, so the one of
    /// whose values most have the form, and the header that is most like.
    fn place_tag<'s>(
        &self,
        key: &MarkKey,
        field: &'s FieldScheme,
    ) -> Result<Option<Placed<'s>>, RunError> {
        let mut sources = Vec::new();
        for column in 0..self.whole.len() {
            sources.push(self.source(column, Reading::Text, 0.0)?);
        }
        self.rate(&field.name, &mut sources, |_| 0.0);
        let mut best: Option<(f64, Source)> = None;
        for source in sources {
            let share = trial::share_of_tags(key, field, &source)?;
            let rating = share + source.prior;
            if share >= TAGGED && best.as_ref().is_none_or(|(other, _)| rating > *other) {
                best = Some((rating, source));
            }
        }
        Ok(best.map(|(_, source)| Placed {
            field,
            source,
            anchor: None,
            counts: Cells::default(),
            presence: 0.0,
        }))
    }

    /// Each field with its column, those that rows are found by first, none twice.
    fn columns(&self, kept: &[Placed<'_>]) -> Vec<Matched> {
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

    /// The column of a field that fits best: by the marks that it shows, and by its header.
    fn place<'s>(
        &mut self,
        key: &MarkKey,
        rows: Option<&FoundRows<'s, '_>>,
        field: &'s FieldScheme,
    ) -> Result<Option<Placed<'s>>, RunError> {
        let sources = self.sources_of(field)?;
        // Whether the field is read at all is a choice as well: see `kept`.
        self.chose_between(&field.name, 2 * sources.len());
        let trials = sources.iter().map(|source| Trial {
            rows,
            field,
            source,
        });
        let counted = trial::counts(key, trials.collect(), Place::Whole)?;
        let rated = sources.into_iter().zip(counted).map(|(source, counts)| {
            let presence = ln_presence(&counts);
            (presence + source.prior, source, counts, presence)
        });
        let best = rated.max_by(|one, other| one.0.total_cmp(&other.0));
        Ok(best.map(|(_, source, counts, presence)| Placed {
            field,
            source,
            anchor: rows.map(|rows| (rows.anchor, rows.sources.to_vec())),
            counts,
            presence,
        }))
    }

    fn chose_between(&mut self, what: &str, count: usize) {
        let count = real(u64::try_from(count.max(1)).unwrap_or(u64::MAX));
        let known = self.choices.entry(what.to_owned()).or_default();
        *known = known.max(count.ln());
    }

    /// The columns that a marked field may be, the likeliest first.
    fn sources_of(&mut self, field: &FieldScheme) -> Result<Vec<Source>, RunError> {
        let mut sources = self.readable(&field.data_type)?;
        self.rate(&field.name, &mut sources, |_| 0.0);
        Ok(sources)
    }

    /// The columns that a field of an anchor may be, the likeliest first: any text, and values of
    /// its type where they are spelled otherwise. The more different values, the better.
    fn sources_of_anchor(&mut self, field: &str) -> Result<Vec<Source>, RunError> {
        if let Some(certain) = self.certain.get(field) {
            return Ok(vec![certain.clone()]);
        }
        let mut sources = Vec::new();
        for column in 0..self.whole.len() {
            sources.push(self.source(column, Reading::Text, 0.0)?);
        }
        let catalogued = self.catalogued.get(field);
        let of_type = catalogued.and_then(|field| Some((field, field.arrow_type()?)));
        if let Some((catalogued, data_type)) = of_type
            && (data_type.is_numeric() || data_type.is_temporal())
        {
            let typed = self.readable(&catalogued.data_type)?;
            sources.extend(typed.into_iter().map(|source| Source {
                prior: source.prior - 1.0,
                ..source
            }));
        }
        self.rate(field, &mut sources, |column| {
            self.variety.get(column).copied().unwrap_or_default()
        });
        Ok(sources)
    }

    /// The columns that a marked field may be by whose blocks rows are found, the likeliest first.
    fn sources_of_blocks(&mut self, field: &FieldScheme) -> Result<Vec<Source>, RunError> {
        let is_of_type = |certain: &&Source| match &certain.reading {
            Reading::Text => false,
            Reading::Typed { data_type, .. } => *data_type == field.data_type,
        };
        match self.certain.get(&field.name).filter(is_of_type) {
            Some(certain) => Ok(vec![certain.clone()]),
            None => self.sources_of(field),
        }
    }

    /// Adds what headers say of a field, and keeps the given column alone where there is one.
    fn rate(&self, field: &str, sources: &mut Vec<Source>, more: impl Fn(usize) -> f64) {
        if let Some(given) = self.given.get(field) {
            sources.retain(|source| source.column == *given);
        }
        for source in &mut *sources {
            source.likeness = self.likeness(field, source.column);
            source.prior += NAME_WORTH * source.likeness + more(source.column);
        }
        sources.sort_by(|one, other| other.prior.total_cmp(&one.prior));
    }

    fn likeness(&self, field: &str, column: usize) -> f64 {
        if self.given.get(field) == Some(&column) {
            return 1.0;
        }
        let Some(header) = self.names.get(column).filter(|_| self.has_header) else {
            return 0.0;
        };
        let title = self.catalogued.get(field).and_then(|of| of.title.as_ref());
        let of_title = title.map_or(0.0, |title| name_likeness(header, title));
        name_likeness(header, field).max(of_title)
    }

    /// Every column whose values can be read as that type, in each way they may be spelled.
    fn readable(&mut self, notation: &str) -> Result<Vec<Source>, RunError> {
        if let Some(known) = self.typed.get(notation) {
            return Ok(known.clone());
        }
        let data_type = arrow_type(notation)?;
        let mut plausible = Vec::new();
        for column in 0..self.whole.len() {
            let spellings = spellings(pass::text(&self.small, column)?, &data_type);
            plausible.extend((0_u32..).zip(spellings).map(|(at, of)| (at, column, of)));
        }
        // The usual spelling of every column comes before a second one of any.
        plausible.sort_by_key(|(at, _, _)| *at);
        plausible.truncate(READINGS_MAX);
        let sources = plausible.into_iter().map(|(at, column, spelling)| {
            let reading = Reading::Typed {
                data_type: notation.to_owned(),
                spelling,
            };
            self.source(column, reading, -f64::from(at))
        });
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        self.typed.insert(notation.to_owned(), sources.clone());
        Ok(sources)
    }

    fn source(&self, column: usize, reading: Reading, prior: f64) -> Result<Source, RunError> {
        let whole = self.whole.get(column).ok_or_else(|| RunError::Internal {
            what: "a column of the sample is not there".to_owned(),
        })?;
        Ok(Source {
            column,
            whole: reading.read(whole)?,
            small: reading.read(pass::text(&self.small, column)?)?,
            reading,
            likeness: 0.0,
            prior,
        })
    }
}

/// The place of a column that the operator names: by its header, or where no header says so as `column
/// 3`.
///
/// # Errors
/// There is none, or there are several.
fn place_of(column: &str, names: &[String]) -> Result<usize, RunError> {
    // What was taken for headers may be a row of the leak, so that none is shown.
    let refused = |what: String, remedy: &str| RunError::Invalid {
        what,
        at: "--column".to_owned(),
        remedy: remedy.to_owned(),
    };
    let mut named = (0..).zip(names).filter(|(_, name)| *name == column);
    match (named.next(), named.count()) {
        (Some((place, _)), 0) => return Ok(place),
        (Some(_), others) => {
            return Err(refused(
                format!("the file has {} columns `{column}`", others + 1),
                "say which by its place, counted from 1, such as `column 3`",
            ));
        }
        (None, _) => {}
    }
    let place = column.strip_prefix("column ");
    let place = place.and_then(|number| number.parse::<usize>().ok());
    let place = place.and_then(|number| number.checked_sub(1));
    place.filter(|place| *place < names.len()).ok_or_else(|| {
        refused(
            format!("the file has no column `{column}`"),
            "write the header as it stands in the file, or `column 3` for the third",
        )
    })
}

/// The fields to read of those that have a column: which show marks, and which are named and don't
/// show that they have lost theirs. Where there is none, the likeliest. No column is two fields.
fn kept(mut placed: Vec<Placed<'_>>) -> Vec<Placed<'_>> {
    let rating = |placed: &Placed<'_>| placed.presence + placed.prior();
    placed.sort_by(|one, other| rating(other).total_cmp(&rating(one)));
    let mut taken = BTreeSet::new();
    placed.retain(|placed| taken.insert(placed.source.column));
    let is_sure = placed.iter().any(|placed| placed.presence >= SURE);
    let is_kept = |placed: &Placed<'_>| {
        let is_spoilt = is_sure && placed.presence < SPOILT;
        placed.presence >= SHOWN || placed.is_named() && !is_spoilt
    };
    match placed.iter().any(is_kept) {
        true => placed.retain(is_kept),
        false => placed.truncate(1),
    }
    placed
}

fn is_tag(field: &FieldScheme) -> bool {
    matches!(field.carrier, CarrierSpec::Tag { .. })
}

/// The share of different values, from 0 to 1.
fn variety(column: &StringArray) -> f64 {
    let different: BTreeSet<&str> = column.iter().flatten().collect();
    let [different, all] = [different.len(), column.iter().len()]
        .map(|count| real(u64::try_from(count).unwrap_or_default()));
    different / all.max(1.0)
}

fn arrow_type(notation: &str) -> Result<DataType, RunError> {
    let parsed = FieldType::parse(notation).map_err(|what| RunError::Internal {
        what: format!("the type of a marked field: {what}"),
    })?;
    Ok(parsed.to_arrow())
}

/// Some names, for a message.
fn some_of<N: AsRef<str>>(names: &[N]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{}`", name.as_ref().escape_debug()))
        .collect();
    let rest = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{rest}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lockgate_connectors::format::found::FoundOptions;

    use super::*;
    use crate::marks::Density;

    #[test]
    fn a_given_column_is_found_by_its_header_or_its_place() {
        let names = ["id", "名", "id", "column 1"].map(str::to_owned);
        let place = |column: &str| place_of(column, &names);
        assert_eq!(place("名").unwrap(), 1);
        assert_eq!(place("column 3").unwrap(), 2);
        // A header that says so comes first.
        assert_eq!(place("column 1").unwrap(), 3);
        for (column, remedy) in [
            ("id", "by its place"),
            ("name", "as it stands"),
            ("column 0", "as it stands"),
            ("column 5", "as it stands"),
        ] {
            let Err(RunError::Invalid { remedy: told, .. }) = place(column) else {
                panic!("{column} is there");
            };
            assert!(told.contains(remedy), "{column}: {told}");
        }
    }

    #[test]
    fn the_threshold_of_presence_counts_that_a_field_may_be_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("leak.csv");
        fs::write(&path, "area,town\n121,a\n57,b\n88,c\n").unwrap();
        let table = FoundTable::open(&path, &FoundOptions::default()).unwrap();
        let sample = pass::sample(&table).unwrap();
        let given = BTreeMap::from([("area".to_owned(), "area".to_owned())]);
        let catalogued = BTreeMap::new();
        let mut search = Search::new(&catalogued, &table, &sample, &given).unwrap();
        let field = FieldScheme {
            name: "area".to_owned(),
            data_type: "int64".to_owned(),
            carrier: CarrierSpec::Number {
                tolerance: "3".parse().unwrap(),
                decimals: None,
                step: 2,
                span: 1,
                least: None,
                greatest: None,
                sentinels: Vec::new(),
            },
            density: Density::ALL,
            found_by: FoundBy::Value,
            keeps_block: false,
        };
        let readings = search.sources_of(&field).unwrap().len();
        let key = MarkKey::of_disclosed([7; 32]);
        assert!(search.place(&key, None, &field).unwrap().is_some());
        // Each of its readings, taken or not.
        let choices = 2.0 * real(u64::try_from(readings).unwrap());
        assert!(
            (search.ln_tried() - choices.ln()).abs() < 1e-12,
            "{readings}"
        );
    }
}
