//! One trace as the site makes it: recorded before it is made and after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lockgate_connectors::ConnectorError;
use lockgate_connectors::format::found::FoundTable;
use lockgate_transforms::marks::score::Verdict;

use super::evidence::{self, Keys, Leak, LeakOptions};
use super::{Finding, Request, Tracer};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History, Ledger};

/// Grants that the ledger's entry of a trace names at most.
const ACCUSED_MAX: usize = 500;

/// What is to be traced.
#[derive(Debug)]
pub struct Order {
    /// The leaked file.
    pub file: PathBuf,
    /// How it is to be read.
    pub options: LeakOptions,
    /// Id of the dataset.
    pub dataset: String,
    /// The probability ε that all traces of the dataset together accuse any innocent, if none of them
    /// had a larger one.
    pub error: f64,
    /// Columns that the operator names, by field.
    pub columns: BTreeMap<String, String>,
    /// A folder for the evidence, and whether the key is to be opened in it.
    pub evidence: Option<(PathBuf, Keys)>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What the trace says.
    pub finding: Finding,
    /// The leak.
    pub leak: Leak,
    /// The form that the leak turned out to have.
    pub form: String,
    /// The how-manieth trace of the dataset it was.
    pub investigation: u64,
    /// The largest error of any trace of the dataset so far: what all of them together hold to.
    pub largest_error: f64,
    /// SHA-256 of the evidence's envelope.
    pub evidence_sha256: Option<String>,
    /// What failed once the finding was there: to write the evidence, or to record the end.
    pub failure: Option<RunError>,
}

/// The traces of a dataset that a history of the ledger tells of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Earlier {
    /// Entries of the history, of whatever kind.
    entries: u64,
    /// How many traces were begun.
    traces: u64,
    /// The largest error of any of them; 0 where there was none.
    error: f64,
}

impl Earlier {
    pub(super) fn of(history: &History, dataset: &str) -> Self {
        let mut earlier = Self {
            entries: u64::try_from(history.len()).unwrap_or(u64::MAX),
            traces: 0,
            error: 0.0,
        };
        for entry in history.iter() {
            if let Event::TraceBegun {
                dataset: of, error, ..
            } = &entry.event
                && of == dataset
            {
                earlier.traces = earlier.traces.saturating_add(1);
                earlier.error = error
                    .parse()
                    .map_or(earlier.error, |of| earlier.error.max(of));
            }
        }
        earlier
    }
}

/// Traces a leak. That it is about to be traced is in the ledger before anything is known of the
/// result, so that nobody can trace until somebody is named and show that trace alone; so is its
/// end, whatever that was.
///
/// # Errors
/// A leak that can't be read, a dataset that can't be traced, a ledger that can't be written; a leak
/// that changed meanwhile. What fails once the result is there is told with it, by
/// [`Outcome::failure`].
pub fn investigate(installation: &Installation, order: &Order) -> Result<Outcome, RunError> {
    if !Request::is_error(order.error) {
        return Err(RunError::Invalid {
            what: "the error is a probability: above 0 and below 1".to_owned(),
            at: "--error".to_owned(),
            remedy: "write a small one, such as 1e-9".to_owned(),
        });
    }
    let leak = evidence::leak_at(&order.file, &order.options)?;
    let table = FoundTable::open(&order.file, &order.options.to_found())?;
    let tracer = Tracer::open(installation, &order.dataset)?;
    // A file that can't be read, or an option that doesn't fit it, is no trace.
    tracer.check(&table, &order.columns)?;
    if let Some((folder, keys)) = &order.evidence {
        evidence::prepare(folder, *keys)?;
    }
    let ledger = installation.ledger()?;
    let (investigation, largest_error) = begin(installation, &ledger, &tracer, (&leak, order))?;
    let request = Request {
        error: order.error,
        investigation,
        columns: order.columns.clone(),
        exact: true,
    };
    let record_end = |finding: Option<&Finding>, evidence_sha256, failure: Option<&RunError>| {
        let event = ended(
            (&leak, order, investigation),
            finding,
            evidence_sha256,
            failure,
        );
        ledger.append(&event, installation.clock.now())
    };
    let finding = match found(order, &tracer, (&table, &leak), &request) {
        Ok(finding) => finding,
        Err(error) => {
            // The first error is the one to report.
            drop(record_end(None, None, Some(&error)));
            return Err(error);
        }
    };
    let written = order.evidence.as_ref().map(|(folder, keys)| {
        let results = (&leak, &request, &finding);
        evidence::write(installation, folder, results, &order.dataset, *keys)
    });
    let (evidence_sha256, unwritten) = match written.transpose() {
        Ok(sha256) => (sha256, None),
        Err(error) => (None, Some(error)),
    };
    let recorded = record_end(Some(&finding), evidence_sha256.clone(), unwritten.as_ref());
    Ok(Outcome {
        finding,
        form: table.format().to_string(),
        leak,
        investigation,
        largest_error,
        evidence_sha256,
        failure: unwritten.or_else(|| recorded.err().map(RunError::from)),
    })
}

/// What the leak says, if it is still the one that was to be traced.
fn found(
    order: &Order,
    tracer: &Tracer,
    (table, leak): (&FoundTable, &Leak),
    request: &Request,
) -> Result<Finding, RunError> {
    let finding = tracer.examine(table, request)?;
    match evidence::leak_at(&order.file, &order.options)? == *leak {
        true => Ok(finding),
        false => Err(changed(&order.file)),
    }
}

/// Records that a trace begins: its number, and the largest error of all traces so far. Should
/// anything have been recorded since the traces were counted, they are counted again: two traces
/// never share a number.
fn begin(
    installation: &Installation,
    ledger: &Ledger,
    tracer: &Tracer,
    (leak, order): (&Leak, &Order),
) -> Result<(u64, f64), RunError> {
    let mut earlier = tracer.earlier();
    loop {
        let investigation = earlier.traces.saturating_add(1);
        let event = Event::TraceBegun {
            dataset: order.dataset.clone(),
            leak_sha256: leak.sha256.clone(),
            investigation,
            error: order.error.to_string(),
        };
        let appended = ledger.append_if(earlier.entries, &event, installation.clock.now())?;
        if appended.is_some() {
            return Ok((investigation, earlier.error.max(order.error)));
        }
        earlier = Earlier::of(&ledger.entries()?, &order.dataset);
    }
}

/// The end of a trace: whom it accuses, where it came so far, and by what it failed, if it did.
fn ended(
    (leak, order, investigation): (&Leak, &Order, u64),
    finding: Option<&Finding>,
    evidence_sha256: Option<String>,
    failure: Option<&RunError>,
) -> Event {
    let verdicts = finding.into_iter().flat_map(|finding| &finding.verdicts);
    let accused: Vec<String> = verdicts
        .filter(|verdict| verdict.verdict == Verdict::Accused)
        .map(|verdict| verdict.grant.clone())
        .collect();
    Event::Traced {
        dataset: order.dataset.clone(),
        leak_sha256: leak.sha256.clone(),
        investigation,
        accused_total: u64::try_from(accused.len()).unwrap_or(u64::MAX),
        accused: accused.into_iter().take(ACCUSED_MAX).collect(),
        evidence_sha256,
        failed: failure.map(|error| error.class().to_owned()),
    }
}

fn changed(file: &Path) -> RunError {
    RunError::Connector(ConnectorError::Changed {
        place: file.display().to_string(),
    })
}
