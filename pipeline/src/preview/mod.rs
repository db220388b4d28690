//! A preview: the first rows a grant would deliver, treated and marked as a run would do it.
//!
//! For whoever tunes treatments. Where the site lets its operators see originals, it also works
//! before a grant is signed or signed again; elsewhere an edited policy or an exemption that nobody
//! approved would show what the approval withholds, so there only an approved grant is previewed.
//! Every other refusal holds. Nothing is written but a ledger entry that says how many rows were shown
//! and profiled; no token is drawn, and where a vault has none, a provisional one is shown.
//!
//! Rows are looked at chunk by chunk, and no more of them than hold a chunk's bytes: a preview needs
//! no more memory than a run, however long the values are.

mod profile;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lockgate_transforms::Counts;

use crate::engine::{Marking, OverLimit, Tally, Treater, first_rows};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, Ledger};
use crate::marks::index_of;
use crate::marks::record::hold;
use crate::plan::{ExchangePlan, Projection, RefusalCode};
use crate::vault::PreviewVaults;

use profile::Profiler;
pub use profile::{Bar, Profile};

/// How values are written.
const FORMAT: FormatOptions<'_> = FormatOptions::new();

/// Rows that counts and histograms are made of, where fewer are shown.
const PROFILED_ROWS: usize = 10_000;

/// Most rows a preview shows: it is for looking at, not for exporting.
pub const ROWS_MAX: usize = 1000;

/// Treated rows, and what came up while treating them. Values are shown as text; `None` is null.
#[derive(Debug)]
pub struct Preview {
    /// Names of the fields, in the order of delivery.
    pub fields: Vec<String>,
    /// Treated rows.
    pub treated: Vec<Vec<Option<String>>>,
    /// Originals of the same rows, where they were asked for and the site allows it.
    pub originals: Option<Vec<Vec<Option<String>>>>,
    /// Rows that counts and profiles are made of, shown or not: the first in scope, up to 10,000 of
    /// them or 32 MiB.
    pub profiled: usize,
    /// Counts by field.
    pub counts: Vec<Counts>,
    /// Fields with more invalid values among the profiled rows than their treatment bears: a run in
    /// which it is so of all rows fails.
    pub over_limit: Vec<OverLimit>,
    /// The treated values of each field as a whole.
    pub after: Vec<Profile>,
    /// The originals' values as a whole, where originals were asked for and the site allows it.
    pub before: Option<Vec<Profile>>,
    /// How many different originals there are, by field.
    pub distinct_before: Vec<u64>,
    /// In what a run's values will differ from those shown: tokens that no vault holds yet, marks of a
    /// grant that was never signed.
    pub notes: Vec<String>,
}

impl Preview {
    /// Of how many profiled values an option decided what becomes of them, by field: those that are
    /// empty, short or invalid.
    pub fn fallback(&self) -> Vec<u64> {
        let decided = |counts: &Counts| counts.empty + counts.short + counts.invalid;
        self.counts.iter().map(decided).collect()
    }
}

/// Previews up to `rows` rows of a grant; with `before`, their originals too.
///
/// # Errors
/// A grant refused for anything but its missing or stale signature; originals where the site does
/// not allow them; a source that cannot be read; a ledger that cannot be written.
pub async fn preview(
    installation: &Installation,
    grant: &str,
    rows: usize,
    before: bool,
) -> Result<Preview, RunError> {
    if before && !installation.site.file.preview.before {
        return Err(RunError::Denied {
            what: "this site does not show originals".to_owned(),
            remedy: "whoever answers for the site may set before = true in [preview]".to_owned(),
        });
    }
    let compiled = installation.compile(grant, installation.mode_to_show(grant))?;
    let sees_originals = installation.site.file.preview.before;
    let refusals: Vec<_> = compiled
        .refusals()
        .iter()
        .filter(|refusal| {
            let approval = matches!(
                refusal.code,
                RefusalCode::Unsigned | RefusalCode::ApprovalStale
            );
            !(approval && sees_originals)
        })
        .cloned()
        .collect();
    if !refusals.is_empty() {
        return Err(RunError::Refused(refusals));
    }
    let plan = compiled.plan();
    let filter = installation.row_filter(plan)?;
    // Even of what a run would not look at, a preview says how much is lost.
    let projection = Projection::all(plan);
    let source = installation.open_source(plan, &filter, &projection).await?;
    let rows = rows.min(ROWS_MAX);
    let vaults = PreviewVaults::open(installation, plan)?;
    let treatments = installation.treatments(plan, &projection, &vaults.for_treatments())?;
    let (marking, unmarked) = marking(installation, plan)?;
    let treater = Treater::new(treatments).marking(marking);
    let mut looker = Looker::new(treater, plan, rows, before);
    let limit = rows.max(PROFILED_ROWS);
    first_rows(source.as_ref(), &filter, limit, |chunk| looker.look(chunk)).await?;
    let mut preview = looker.finish();
    preview.notes = vaults.notes();
    preview.notes.extend(unmarked.map(str::to_owned));
    let counted = plan.fields.iter().zip(&preview.counts);
    preview.over_limit = counted
        .filter_map(|(field, counts)| OverLimit::of(field, counts))
        .collect();
    let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
    let event = Event::Previewed {
        grant: grant.to_owned(),
        rows: count(preview.treated.len()),
        profiled: Some(count(preview.profiled)),
        before,
    };
    installation
        .ledger()?
        .append(&event, installation.clock.now())?;
    Ok(preview)
}

/// The marks that a run's rows would carry, or a note why they aren't shown: a grant that was never
/// signed has no number to be marked by.
fn marking(
    installation: &Installation,
    plan: &ExchangePlan,
) -> Result<(Option<Marking>, Option<&'static str>), RunError> {
    let Some(held) = hold(installation, plan)? else {
        return Ok((None, None));
    };
    let history = Ledger::reader(&installation.ledger_dir())?.entries()?;
    Ok(match history.grant_index(&plan.grant, &plan.recipient) {
        Some(drawn) => {
            let marking = Marking::new(held.marker, index_of(drawn));
            (Some(marking), None)
        }
        None => (
            None,
            Some("marks aren't shown: they are the grant's own from its first signature on"),
        ),
    })
}

/// Looks at chunks of originals one after the other; keeps the texts of the rows to show, and of
/// the others what profiles need.
struct Looker {
    treater: Treater,
    tally: Tally,
    rows: usize,
    before: bool,
    after_profiles: Vec<Profiler>,
    before_profiles: Vec<Profiler>,
    preview: Preview,
}

impl Looker {
    fn new(treater: Treater, plan: &ExchangePlan, rows: usize, before: bool) -> Self {
        let fields: Vec<String> = plan.fields.iter().map(|field| field.name.clone()).collect();
        let profilers = || fields.iter().map(|_| Profiler::default()).collect();
        Self {
            tally: treater.tally(),
            treater,
            rows,
            before,
            after_profiles: profilers(),
            before_profiles: profilers(),
            preview: Preview {
                treated: Vec::new(),
                originals: before.then(Vec::new),
                profiled: 0,
                counts: Vec::new(),
                over_limit: Vec::new(),
                after: Vec::new(),
                before: None,
                distinct_before: Vec::new(),
                notes: Vec::new(),
                fields,
            },
        }
    }

    /// Treats a chunk of originals and takes it in.
    fn look(&mut self, originals: &RecordBatch) -> Result<(), RunError> {
        let (columns, kept) = self.treater.preview(originals, &mut self.tally)?;
        let originals = match kept {
            Some(kept) => filter_record_batch(originals, &kept)
                .map_err(|error| RunError::internal("selecting rows", &error))?,
            None => originals.clone(),
        };
        let originals = originals.columns().get(..columns.len()).unwrap_or_default();
        for (profilers, columns) in [
            (&mut self.after_profiles, columns.as_slice()),
            (&mut self.before_profiles, originals),
        ] {
            for (profiler, column) in profilers.iter_mut().zip(columns) {
                profiler.add(column)?;
            }
        }
        let missing = self.rows.saturating_sub(self.preview.treated.len());
        self.preview.treated.extend(as_text(&columns, missing)?);
        if let Some(shown) = &mut self.preview.originals {
            shown.extend(as_text(originals, missing)?);
        }
        self.preview.profiled += columns.first().map_or(0, Array::len);
        Ok(())
    }

    fn finish(self) -> Preview {
        let finished = |profilers: Vec<Profiler>| -> Vec<Profile> {
            profilers.into_iter().map(Profiler::finish).collect()
        };
        let before = finished(self.before_profiles);
        Preview {
            distinct_before: before.iter().map(|found| found.distinct).collect(),
            before: self.before.then_some(before),
            after: finished(self.after_profiles),
            counts: self.tally.counts,
            ..self.preview
        }
    }
}

/// The first `rows` rows as text.
fn as_text(columns: &[ArrayRef], rows: usize) -> Result<Vec<Vec<Option<String>>>, RunError> {
    let texts = columns
        .iter()
        .map(Texts::of)
        .collect::<Result<Vec<_>, _>>()?;
    let rows = columns.first().map_or(0, Array::len).min(rows);
    let row = |row| texts.iter().map(|texts| texts.get(row)).collect();
    Ok((0..rows).map(row).collect())
}

/// The values of a column as text, made one by one.
struct Texts<'a> {
    column: &'a ArrayRef,
    formatter: ArrayFormatter<'a>,
}

impl<'a> Texts<'a> {
    fn of(column: &'a ArrayRef) -> Result<Self, RunError> {
        let formatter = ArrayFormatter::try_new(column.as_ref(), &FORMAT)
            .map_err(|error| RunError::internal("showing rows", &error))?;
        Ok(Self { column, formatter })
    }

    /// The text of a row; `None` for a null.
    fn get(&self, row: usize) -> Option<String> {
        if self.column.is_null(row) {
            return None;
        }
        // A date beyond the calendar has no text form, and is delivered all the same.
        let text = self.formatter.value(row).try_to_string();
        Some(text.unwrap_or_else(|_| "(out of range)".to_owned()))
    }
}
