//! A preview: the first rows a grant would deliver, treated as a run would treat them.
//!
//! For whoever tunes treatments. Where the site lets its operators see originals, it also works
//! before a grant is signed or signed again; elsewhere an edited policy or an exemption that nobody
//! approved would show what the approval withholds, so there only an approved grant is previewed.
//! Every other refusal holds. Nothing is written but a ledger entry that says how much was shown.

mod profile;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::StreamExt;
use lockgate_connectors::source::Source;
use lockgate_transforms::Counts;

use crate::engine::Treater;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::Event;
use crate::plan::row_filter::RowFilter;
use crate::plan::{ExchangePlan, RefusalCode};

pub use profile::{Bar, Profile};

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
    /// Rows that counts and profiles are made of: the first in scope, shown or not.
    pub profiled: usize,
    /// Counts by field.
    pub counts: Vec<Counts>,
    /// The treated values of each field as a whole.
    pub after: Vec<Profile>,
    /// The originals' values as a whole, where originals were asked for and the site allows it.
    pub before: Option<Vec<Profile>>,
    /// How many different originals there are, by field.
    pub distinct_before: Vec<u64>,
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
    let source = installation.open_source(plan, &filter).await?;
    let rows = rows.min(ROWS_MAX);
    let originals = first_rows(source.as_ref(), &filter, rows.max(PROFILED_ROWS)).await?;
    let shown = originals
        .as_ref()
        .map_or(0, RecordBatch::num_rows)
        .min(rows);
    let event = Event::Previewed {
        grant: grant.to_owned(),
        rows: u64::try_from(shown).unwrap_or(u64::MAX),
        before,
    };
    installation
        .ledger()?
        .append(&event, installation.clock.now())?;
    treated(installation, plan, originals.as_ref(), rows, before)
}

fn treated(
    installation: &Installation,
    plan: &ExchangePlan,
    originals: Option<&RecordBatch>,
    rows: usize,
    before: bool,
) -> Result<Preview, RunError> {
    let fields: Vec<String> = plan.fields.iter().map(|field| field.name.clone()).collect();
    let mut counts = vec![Counts::default(); fields.len()];
    let Some(originals) = originals else {
        let none = before.then(Vec::new);
        let nothing = vec![Profile::default(); fields.len()];
        return Ok(Preview {
            treated: Vec::new(),
            originals: none,
            profiled: 0,
            before: before.then(|| nothing.clone()),
            after: nothing,
            distinct_before: vec![0; fields.len()],
            fields,
            counts,
        });
    };
    let treater = Treater::new(installation.treatments(plan)?);
    let (columns, kept) = treater.preview(originals, &mut counts)?;
    let originals = match kept {
        Some(kept) => filter_record_batch(originals, &kept).map_err(|_| RunError::Internal {
            what: "selecting rows".to_owned(),
        })?,
        None => originals.clone(),
    };
    let originals = originals.columns().get(..columns.len()).unwrap_or_default();
    let (treated, texts) = (as_text(&columns)?, as_text(originals)?);
    let profiles_before = profiles(originals, &texts);
    let top = |rows_of: &[Vec<Option<String>>]| rows_of.iter().take(rows).cloned().collect();
    Ok(Preview {
        profiled: treated.len(),
        after: profiles(&columns, &treated),
        distinct_before: profiles_before.iter().map(|found| found.distinct).collect(),
        before: before.then_some(profiles_before),
        treated: top(&treated),
        originals: before.then(|| top(&texts)),
        fields,
        counts,
    })
}

/// The first rows in scope, in source order, with the columns that treatments read.
async fn first_rows(
    source: &dyn Source,
    filter: &RowFilter,
    rows: usize,
) -> Result<Option<RecordBatch>, RunError> {
    let mut found: Vec<RecordBatch> = Vec::new();
    let mut missing = rows;
    for split in 0..source.splits().len() {
        let mut stream = source.open(split).await?;
        while missing > 0
            && let Some(batch) = stream.next().await
        {
            let batch = batch?.batch;
            let mask = filter
                .evaluate(&batch)
                .map_err(|error| RunError::Predicate {
                    what: error.to_string(),
                    file: "the source".to_owned(),
                    row: None,
                })?;
            let kept = filter_record_batch(&batch, &mask)
                .map_err(|error| RunError::internal("selecting rows", &error))?;
            let kept = kept.slice(0, kept.num_rows().min(missing));
            missing -= kept.num_rows();
            found.push(kept);
        }
        if missing == 0 {
            break;
        }
    }
    let Some(first) = found.first() else {
        return Ok(None);
    };
    concat_batches(&first.schema(), &found)
        .map(Some)
        .map_err(|error| RunError::internal("joining rows", &error))
}

fn profiles(columns: &[ArrayRef], rows: &[Vec<Option<String>>]) -> Vec<Profile> {
    let texts = |field: usize| -> Vec<Option<&str>> {
        rows.iter()
            .map(|row| row.get(field).and_then(Option::as_deref))
            .collect()
    };
    columns
        .iter()
        .enumerate()
        .map(|(field, column)| Profile::of(column, &texts(field)))
        .collect()
}

fn as_text(columns: &[ArrayRef]) -> Result<Vec<Vec<Option<String>>>, RunError> {
    let options = FormatOptions::default();
    let shown = |error| RunError::internal("showing rows", &error);
    let formatters = columns
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()
        .map_err(shown)?;
    let rows = columns.first().map_or(0, Array::len);
    (0..rows)
        .map(|row| {
            columns
                .iter()
                .zip(&formatters)
                .map(|(column, formatter)| {
                    if column.is_null(row) {
                        return Ok(None);
                    }
                    // A date beyond the calendar has no text form, and is delivered all the same.
                    let text = formatter.value(row).try_to_string();
                    Ok(Some(text.unwrap_or_else(|_| "(out of range)".to_owned())))
                })
                .collect()
        })
        .collect()
}
