//! `demo`: makes a complete site with generated data, runs an exchange in it, says what happened.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::output::{Answer, refusals_text};
use super::progress;
use crate::approval_record::sign_and_record;
use crate::cli::DemoArgs;
use crate::clock::Clock;
use crate::demo;
use crate::engine::Progress;
use crate::error::RunError;
use crate::fault;
use crate::installation::Installation;
use crate::run::{RunRequest, run};

/// Seed of the demo's data, so that everyone sees the same.
const SEED: u64 = 42;

/// Makes the site, signs its grants, runs the first.
pub(super) async fn demo(args: &DemoArgs, cancel: &CancellationToken) -> Result<Answer, RunError> {
    let (dir, rows) = (args.dir.clone(), args.rows);
    let started = Instant::now();
    let prepared = tokio::task::spawn_blocking(move || demo::prepare(&dir, rows, SEED))
        .await
        .map_err(|error| fault::of_task("making the demo", error))??;
    let made = started.elapsed();
    let installation = Installation::open(&prepared.root, Clock::System)?;
    let mut text = format!(
        "made a site in {} with {} generated residents ({:.1} s)\n",
        args.dir.display(),
        args.rows,
        made.as_secs_f64()
    );
    let mut refused = Vec::new();
    for grant in demo::GRANTS {
        match sign_and_record(&installation, grant.id, &prepared.keys.approver) {
            Ok(_) => text.push_str(&format!("signed    {:<15} {}\n", grant.id, grant.shows)),
            Err(RunError::Refused(refusals)) if !grant.runs => {
                text.push_str(&format!(
                    "{:<10}{:<15} {}\n",
                    "refused", grant.id, grant.shows
                ));
                text.push_str(&format!("          {}", refusals_text(&refusals)));
                refused.extend(refusals);
            }
            Err(error) => return Err(error),
        }
    }
    let [first, ..] = demo::GRANTS;
    let progress = Arc::new(Progress::default());
    let bar = progress::show(&progress);
    let request = RunRequest {
        grant: first.id,
        output: None,
        again: false,
    };
    let report = Box::pin(run(&installation, &request, progress, cancel)).await;
    drop(bar);
    let report = report?;
    text.push_str(&format!("\n{}: {}", first.id, super::run::text(&report)));
    text.push_str(&next_steps(
        &args.dir.display().to_string(),
        first.id,
        report.delivery.as_deref(),
    ));
    let exit = report.exit_code();
    let document = json!({ "site": args.dir, "refusals": refused, "run": report });
    Ok(Answer::new(text, &document)?.with_exit(match exit {
        crate::error::exit::REJECTS => crate::error::exit::DONE, // dirty rows are part of the demo
        other => other,
    }))
}

fn next_steps(dir: &str, grant: &str, delivery: Option<&str>) -> String {
    let delivery = delivery.unwrap_or_default();
    format!(
        "\nnext:\n  lockgate --site {dir} plan {grant}\n  lockgate --site {dir} preview {grant} \
         --before\n  lockgate --site {dir} run {grant}            # unchanged: delivered \
         before\n  lockgate --site {dir} run G-exempted\n  lockgate verify {delivery} --key \
         {dir}/keys/manifest.pub\n  lockgate --site {dir} trace {dir}/outbox/{grant}/*/*/part-00000.parquet \
         --dataset residents\n  lockgate --site {dir} ledger list\n"
    )
}
