//! `ledger`: lists what happened, and proves that nobody changed it.

use std::path::Path;

use serde_json::{Value, json};

use super::output::{Answer, table};
use super::verify::{read_keys, site_keys};
use crate::cli::LedgerCommand;
use crate::clock::Clock;
use crate::error::{RunError, exit};
use crate::installation::Installation;
use crate::ledger::{self, Ledger};
use lockgate_connectors::keyring::Purpose;

pub(super) fn ledger(root: &Path, command: &LedgerCommand) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    match command {
        LedgerCommand::List => list(&installation),
        LedgerCommand::Verify { key } => verify(&installation, key.as_deref()),
    }
}

fn list(installation: &Installation) -> Result<Answer, RunError> {
    let entries = Ledger::reader(&installation.ledger_dir())?.entries()?;
    let documents = entries
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<Value>, _>>()
        .map_err(|error| RunError::internal("listing entries", &error))?;
    let text = table(
        &["entry", "at", "event", "details"],
        documents.iter().map(|entry| {
            let field = |name: &str| entry.get(name).map_or_else(String::new, plain);
            let details = entry
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| {
                    [
                        "grant",
                        "delivery",
                        "attempt",
                        "rows",
                        "reason",
                        "codes",
                        "approver",
                        "tokens",
                        "found",
                        "dataset",
                        "investigation",
                        "accused",
                    ]
                    .contains(&name.as_str())
                })
                .map(|(name, value)| format!("{name}={}", plain(value)))
                .collect::<Vec<_>>()
                .join(" ");
            [field("index"), field("at"), field("event"), details]
        }),
    );
    Answer::new(text, &json!({ "entries": documents }))
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn verify(installation: &Installation, key: Option<&str>) -> Result<Answer, RunError> {
    let keys = match key {
        Some(key) => read_keys(key)?,
        None => site_keys(installation, Purpose::Ledger)?,
    };
    let report = ledger::verify(&installation.ledger_dir(), Some(&keys));
    let mut text = if report.valid {
        format!("valid: {} entries\n", report.size)
    } else {
        "INVALID\n".to_owned()
    };
    for problem in &report.problems {
        text.push_str(&format!("  {}: {}\n", problem.path, problem.what));
    }
    let exit = if report.valid {
        exit::DONE
    } else {
        exit::UNVERIFIED
    };
    Ok(Answer::new(text, &report)?.with_exit(exit))
}
