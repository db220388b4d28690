//! One trace as the site makes it: recorded before it is made and after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lockgate_connectors::ConnectorError;
use lockgate_connectors::format::found::FoundTable;
use lockgate_transforms::marks::score::Verdict;

use super::evidence::{self, Keys, Leak, LeakOptions};
use super::tracer::traces;
use super::{Finding, Request, Tracer};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, Ledger};

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
    /// The probability ε that all traces of the dataset together accuse any innocent.
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
    /// SHA-256 of the evidence's envelope.
    pub evidence_sha256: Option<String>,
}

/// Traces a leak. That it is about to be traced is in the ledger before anything is known of the
/// result, so that nobody can trace until somebody is named and show that trace alone.
///
/// # Errors
/// A leak that can't be read, a dataset that can't be traced, a ledger that can't be written; a leak
/// that changed meanwhile.
pub fn investigate(installation: &Installation, order: &Order) -> Result<Outcome, RunError> {
    if !(order.error > 0.0 && order.error < 1.0) {
        return Err(RunError::Invalid {
            what: "the error is a probability: above 0 and below 1".to_owned(),
            at: "--error".to_owned(),
            remedy: "write a small one, such as 1e-9".to_owned(),
        });
    }
    let leak = evidence::leak_at(&order.file, &order.options)?;
    let table = FoundTable::open(&order.file, &order.options.to_found())?;
    let tracer = Tracer::open(installation, &order.dataset)?;
    if let Some((folder, _)) = &order.evidence {
        evidence::prepare(folder)?;
    }
    let ledger = installation.ledger()?;
    let request = Request {
        error: order.error,
        investigation: begin(installation, &ledger, &tracer, (&leak, order.error))?,
        columns: order.columns.clone(),
    };
    let finding = tracer.examine(&table, &request)?;
    if evidence::leak_at(&order.file, &order.options)? != leak {
        return Err(changed(&order.file));
    }
    let evidence_sha256 = match &order.evidence {
        Some((folder, keys)) => {
            let results = (&leak, &request, &finding);
            let written = evidence::write(installation, folder, results, &order.dataset, *keys)?;
            Some(written)
        }
        None => None,
    };
    let event = ended(&order.dataset, &leak, &request, &finding, &evidence_sha256);
    ledger.append(&event, installation.clock.now())?;
    Ok(Outcome {
        finding,
        form: table.format().to_string(),
        leak,
        investigation: request.investigation,
        evidence_sha256,
    })
}

/// Records that a trace begins; its number. Should another have begun since the tracer read the
/// ledger, the number is counted again: two traces never share one.
fn begin(
    installation: &Installation,
    ledger: &Ledger,
    tracer: &Tracer,
    (leak, error): (&Leak, f64),
) -> Result<u64, RunError> {
    let investigation = tracer.traces().saturating_add(1);
    let event = Event::TraceBegun {
        dataset: tracer.dataset().to_owned(),
        leak_sha256: leak.sha256.clone(),
        investigation,
        error: error.to_string(),
    };
    let appended = ledger.append(&event, installation.clock.now())?;
    if appended.index == tracer.ledger_size() {
        return Ok(investigation);
    }
    let until = |index: u64| index <= appended.index;
    let entries = ledger.entries()?.into_iter();
    let history = entries.filter(|entry| until(entry.index)).collect();
    Ok(traces(&history, tracer.dataset()))
}

fn ended(
    dataset: &str,
    leak: &Leak,
    request: &Request,
    finding: &Finding,
    evidence_sha256: &Option<String>,
) -> Event {
    let verdicts = finding.verdicts.iter();
    let accused: Vec<String> = verdicts
        .filter(|verdict| verdict.verdict == Verdict::Accused)
        .map(|verdict| verdict.grant.clone())
        .collect();
    Event::Traced {
        dataset: dataset.to_owned(),
        leak_sha256: leak.sha256.clone(),
        investigation: request.investigation,
        accused_total: u64::try_from(accused.len()).unwrap_or(u64::MAX),
        accused: accused.into_iter().take(ACCUSED_MAX).collect(),
        evidence_sha256: evidence_sha256.clone(),
    }
}

fn changed(file: &Path) -> RunError {
    RunError::Connector(ConnectorError::Changed {
        place: file.display().to_string(),
    })
}
