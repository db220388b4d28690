//! `run`: an exchange, now.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::output::{Answer, refusals_text};
use super::progress;
use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::engine::Progress;
use crate::error::RunError;
use crate::installation::Installation;
use crate::run::{RunReport, RunRequest, Status, run as run_exchange};

pub(super) async fn run(
    root: &Path,
    args: &RunArgs,
    cancel: &CancellationToken,
) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    let job = installation.site.jobs.get(&args.grant);
    let output = match (&args.output, job.and_then(|job| job.output.as_ref())) {
        (Some(output), _) => Some(output.clone()),
        (None, Some(output)) => Some(root.join(output)),
        (None, None) => None,
    };
    let request = RunRequest {
        grant: job.map_or(args.grant.as_str(), |job| job.grant.as_str()),
        output: output.as_deref(),
        again: args.again,
    };
    let progress = Arc::new(Progress::default());
    let bar = progress::show(&progress);
    let report = Box::pin(run_exchange(&installation, &request, progress, cancel)).await;
    drop(bar);
    answer(&report?)
}

/// The answer to a run: its document, and what a person wants to know of it.
pub(super) fn answer(report: &RunReport) -> Result<Answer, RunError> {
    Ok(Answer::new(text(report), report)?.with_exit(report.exit_code()))
}

/// A run in words.
pub(super) fn text(report: &RunReport) -> String {
    match report.status {
        Status::Refused => refusals_text(&report.refusals),
        Status::Unchanged => format!(
            "unchanged: the same was delivered before\n  delivery  {}\n",
            report.delivery.as_deref().unwrap_or_default()
        ),
        Status::Delivered | Status::DeliveredWithRejects => {
            let rows = report.rows.unwrap_or_default();
            let pruned = rows
                .pruned
                .map_or_else(String::new, |pruned| format!(", {pruned} skipped"));
            let dropped: String = report
                .dropped
                .iter()
                .flat_map(|(field, reasons)| reasons.iter().map(move |found| (field, found)))
                .map(|(field, (reason, rows))| {
                    format!("  left out  {rows} of them for {field}: {reason}\n")
                })
                .collect();
            format!(
                "{} in {:.1} s\n  rows      {} read{pruned}, {} out of scope, {} rejected, {} \
                 delivered\n{dropped}  delivery  {}\n  manifest  {}\n",
                report.status.as_str(),
                report.seconds,
                rows.read,
                rows.filtered,
                rows.rejected,
                rows.delivered,
                report.delivery.as_deref().unwrap_or_default(),
                report.manifest.as_deref().unwrap_or_default(),
            )
        }
    }
}
