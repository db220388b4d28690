//! `halt`: stops exchanges at once, and says what had left.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::output::{Answer, table};
use crate::cli::{HaltArgs, HaltScopeArgs};
use crate::clock::Clock;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, HaltScope, History};
use crate::life::{self, Delivered, HaltReport, Lifted};
use crate::site::nearest;

pub(super) async fn halt(root: &Path, args: &HaltArgs) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    let scope = scope(&args.scope);
    if let Some(key) = args.key.as_deref().filter(|_| args.lift) {
        return lift(&installation, &scope, &args.reason, key);
    }
    check_known(&installation, &scope)?;
    let report = Box::pin(life::halt(&installation, scope, &args.reason)).await?;
    Answer::new(text(&report), &report)
}

fn scope(args: &HaltScopeArgs) -> HaltScope {
    match (&args.provider, &args.recipient) {
        (Some(provider), _) => HaltScope::Provider(provider.clone()),
        (None, Some(recipient)) => HaltScope::Recipient(recipient.clone()),
        (None, None) => HaltScope::All,
    }
}

fn lift(
    installation: &Installation,
    scope: &HaltScope,
    reason: &str,
    key: &Path,
) -> Result<Answer, RunError> {
    let Lifted { approver, lasting } = life::lift(installation, scope, reason, key)?;
    let mut text = format!("{scope} are no longer halted, by {approver}\n");
    for halt in &lasting {
        text.push_str(&format!("still halted: {}: {}\n", halt.scope, halt.reason));
    }
    let lasting: Vec<&HaltScope> = lasting.iter().map(|halt| &halt.scope).collect();
    let document = json!({ "lifted": scope, "by": approver, "lasting": lasting });
    Answer::new(text, &document)
}

/// A halt of a name that nobody has would stop nothing, and nobody would notice.
fn check_known(installation: &Installation, scope: &HaltScope) -> Result<(), RunError> {
    let site = &installation.site;
    let recorded = Recorded::of(&installation.history()?);
    let (id, option, known) = match scope {
        HaltScope::All => return Ok(()),
        HaltScope::Provider(id) => {
            let mut known = recorded.providers;
            known.extend(site.datasets.values().map(|it| it.provider.clone()));
            let approvers = site.file.approvers.values();
            known.extend(approvers.flat_map(|it| it.providers.iter().cloned()));
            (id, "--provider", known)
        }
        HaltScope::Recipient(id) => {
            let mut known = recorded.recipients;
            known.extend(site.recipients.keys().cloned());
            known.extend(site.grants.values().map(|it| it.recipient.clone()));
            (id, "--recipient", known)
        }
    };
    if known.contains(id) {
        return Ok(());
    }
    let near = nearest(id, known.iter().map(String::as_str));
    let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
    Err(RunError::Invalid {
        what: format!("nothing is known of `{id}`, so that nothing would be halted"),
        at: option.to_owned(),
        remedy: format!("{near}--all halts everything"),
    })
}

/// Names that the ledger knows.
struct Recorded {
    providers: BTreeSet<String>,
    recipients: BTreeSet<String>,
}

impl Recorded {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "three kinds of entry say what a grant is about"
    )]
    fn of(history: &History) -> Self {
        let mut recorded = Self {
            providers: BTreeSet::new(),
            recipients: BTreeSet::new(),
        };
        for entry in history.iter() {
            let about = match &entry.event {
                Event::GrantSigned {
                    recipient, about, ..
                } => {
                    recorded.recipients.insert(recipient.clone());
                    about
                }
                Event::GrantMoved { about, .. } | Event::ReleaseIntended { about, .. } => about,
                _ => continue,
            };
            if let Some(about) = about {
                recorded.providers.insert(about.provider.clone());
                recorded.recipients.insert(about.recipient.clone());
            }
        }
        recorded
    }
}

/// A halt in words.
fn text(report: &HaltReport) -> String {
    let mut text = format!(
        "halted {} since {}: {}\n",
        report.scope, report.since, report.reason
    );
    if report.stopped.is_empty() && report.running.is_empty() && report.delivered.is_empty() {
        text.push_str("  under way    no run\n");
    }
    if !report.stopped.is_empty() {
        text.push_str(&format!(
            "  stopped      {} within {:.1} s\n",
            report.stopped.join(", "),
            report.seconds
        ));
    }
    if !report.delivered.is_empty() {
        text.push_str(&format!(
            "  delivered    {}: begun to be released before the halt\n",
            report.delivered.join(", ")
        ));
    }
    let (publishing, ending): (Vec<&str>, Vec<&str>) = report
        .running
        .iter()
        .map(String::as_str)
        .partition(|grant| report.publishing.iter().any(|other| other == grant));
    if !ending.is_empty() {
        text.push_str(&format!(
            "  still ending {} (they publish nothing)\n",
            ending.join(", ")
        ));
    }
    if !publishing.is_empty() {
        text.push_str(&format!(
            "  still ending {} (what they had sent may still become visible)\n",
            publishing.join(", ")
        ));
    }
    let left = &report.left;
    text.push_str(&format!(
        "  had left     {} deliveries, {} rows, {} fields\n",
        left.deliveries,
        left.rows,
        left.fields.len()
    ));
    for delivery in &left.unsettled {
        text.push_str(&format!(
            "  unsettled    {delivery}: the next run finds out whether it became visible\n"
        ));
    }
    if left.released.is_empty() {
        return text;
    }
    text.push_str(&table(
        &["at", "grant", "delivery", "recipient", "rows", "fields"],
        left.released.iter().map(row),
    ));
    text
}

/// A delivery that had left, as a row of a table.
fn row(delivered: &Delivered) -> [String; 6] {
    let disposed = if delivered.disposed {
        " (disposed)"
    } else {
        ""
    };
    [
        delivered.at.clone(),
        delivered.grant.clone(),
        format!("{}{disposed}", delivered.delivery),
        delivered.recipient.clone().unwrap_or_default(),
        delivered.rows.to_string(),
        delivered.fields.join(", "),
    ]
}
