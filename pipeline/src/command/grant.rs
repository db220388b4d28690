//! `grant`: signs, lists and shows grants.

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::output::{Answer, refusals_text, table};
use crate::approval_record::sign_and_record;
use crate::cli::GrantCommand;
use crate::clock::Clock;
use crate::error::RunError;
use crate::installation::Installation;
use crate::site::dataset::Mode;

pub(super) fn grant(root: &Path, command: &GrantCommand) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    match command {
        GrantCommand::Sign { grant, key } => sign(&installation, grant, key),
        GrantCommand::List => list(&installation),
        GrantCommand::Show { grant } => show(&installation, grant),
    }
}

fn sign(installation: &Installation, grant: &str, key: &Path) -> Result<Answer, RunError> {
    let signed = sign_and_record(installation, grant, key)?;
    let text = format!(
        "signed {} version {} as {}\n  {}\n",
        signed.grant,
        signed.version,
        signed.approver,
        signed.path.display()
    );
    let document = json!({
        "grant": signed.grant,
        "version": signed.version,
        "approver": signed.approver,
        "approval_sha256": signed.approval_sha256,
    });
    Answer::new(text, &document)
}

/// A grant and what state it is in.
#[derive(Debug, Serialize)]
struct Listed {
    grant: String,
    version: u32,
    dataset: String,
    recipient: String,
    until: String,
    state: String,
    runs: u64,
    rows: u64,
}

fn list(installation: &Installation) -> Result<Answer, RunError> {
    let mut listed = Vec::new();
    for (id, grant) in &installation.site.grants {
        let used = installation.quota_use(id)?;
        let state = match installation.compile(id, installation.mode_to_show(id)) {
            Ok(compiled) if compiled.refusals().is_empty() => "ready".to_owned(),
            Ok(compiled) => {
                let codes: Vec<String> = compiled
                    .refusals()
                    .iter()
                    .map(|refusal| refusal.code.to_string())
                    .collect();
                codes.join(", ")
            }
            Err(RunError::Problems(_)) => "unusable".to_owned(),
            Err(error) => return Err(error),
        };
        listed.push(Listed {
            grant: id.clone(),
            version: grant.version,
            dataset: grant.dataset.clone(),
            recipient: grant.recipient.clone(),
            until: grant.valid.until.to_string(),
            state,
            runs: used.runs,
            rows: used.rows,
        });
    }
    let text = table(
        &[
            "grant",
            "version",
            "dataset",
            "recipient",
            "until",
            "state",
            "runs",
            "rows",
        ],
        listed.iter().map(|grant| {
            [
                grant.grant.clone(),
                grant.version.to_string(),
                grant.dataset.clone(),
                grant.recipient.clone(),
                grant.until.clone(),
                grant.state.clone(),
                grant.runs.to_string(),
                grant.rows.to_string(),
            ]
        }),
    );
    Answer::new(text, &json!({ "grants": listed }))
}

fn show(installation: &Installation, id: &str) -> Result<Answer, RunError> {
    let Some(grant) = installation.site.grants.get(id) else {
        // Compiling says why: the grant is not there, or its file cannot be used.
        return Err(match installation.compile(id, Mode::Batch) {
            Err(error) => error,
            Ok(_) => RunError::Internal {
                what: format!("grant {id} is there and is not"),
            },
        });
    };
    let compiled = installation.compile(id, installation.mode_to_show(id))?;
    let (plan, used) = (compiled.plan(), installation.quota_use(id)?);
    let limit =
        |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    let mut text = format!(
        "grant {id} version {}\n  dataset    {} of {}\n  recipient  {}\n  purpose    {}\n  basis      \
         {}\n  valid      {} to {}\n  runs       {} of {}\n  rows       {} of {}\n  approver   {}\n",
        grant.version,
        plan.dataset,
        plan.provider,
        plan.recipient,
        grant.purpose,
        grant.basis,
        grant.valid.from,
        grant.valid.until,
        used.runs,
        limit(grant.quota.runs),
        used.rows,
        limit(grant.quota.rows),
        compiled.approver().unwrap_or("none"),
    );
    text.push_str(&refusals_text(compiled.refusals()));
    for field in &plan.fields {
        text.push_str(&format!(
            "  {:<20} {}\n",
            field.name,
            field
                .treatment
                .in_full()
                .unwrap_or_else(|| field.treatment.summary())
        ));
    }
    let document = json!({
        "grant": grant.value,
        "approver": compiled.approver(),
        "refusals": compiled.refusals(),
        "fields": plan.fields,
        "used": { "runs": used.runs, "rows": used.rows },
    });
    Answer::new(text, &document)
}
