//! `replay`: makes a delivery again into the void, and compares.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::output::Answer;
use super::progress;
use super::verify::delivery_store;
use crate::clock::Clock;
use crate::engine::Progress;
use crate::error::RunError;
use crate::installation::Installation;
use crate::replay::{self, ReplayOutcome, ReplayReport};

pub(super) async fn replay(
    root: &Path,
    delivery: &str,
    cancel: &CancellationToken,
) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    let folder = delivery_store(Some(&installation), delivery)?;
    let progress = Arc::new(Progress::default());
    let bar = progress::show(&progress);
    let replayed = replay::replay(&installation, &folder, progress, cancel);
    let report = Box::pin(replayed).await;
    drop(bar);
    let report = report?;
    Ok(Answer::new(text(&report), &report)?.with_exit(report.exit_code()))
}

fn text(report: &ReplayReport) -> String {
    let mut text = match report.outcome {
        ReplayOutcome::Same => format!(
            "same: {} rows made again have the digest that was recorded at release\n",
            report.rows.unwrap_or_default()
        ),
        ReplayOutcome::Different => "DIFFERENT from what was released\n".to_owned(),
        ReplayOutcome::PlanChanged => {
            "not compared: the grant no longer resolves to the plan that was executed\n".to_owned()
        }
        ReplayOutcome::SourceChanged => {
            "not compared: the source is no longer the one that was read\n".to_owned()
        }
        ReplayOutcome::NotRecorded => "not compared: no digest was recorded\n".to_owned(),
    };
    for change in &report.changes {
        text.push_str(&format!("  {change}\n"));
    }
    for note in &report.notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    text
}
