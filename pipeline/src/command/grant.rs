//! `grant`: leads grants through their life, lists and shows them.

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::output::{Answer, refusals_text, table};
use crate::approval_record::sign_and_record;
use crate::cli::{GrantCommand, GrantStepArgs};
use crate::clock::Clock;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{GrantState, History, time_text};
use crate::life::{Act, Due, Life, Step, Taken, act};
use crate::site::dataset::Mode;

pub(super) fn grant(root: &Path, command: &GrantCommand) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    match command {
        GrantCommand::Sign { grant, key } => sign(&installation, grant, key),
        GrantCommand::Request { grant, reason } => step(
            &installation,
            &Act {
                grant,
                step: Step::Request,
                reason: reason.as_deref(),
                key: None,
            },
        ),
        GrantCommand::Refuse {
            grant,
            basis,
            reason,
            key,
        } => step(
            &installation,
            &Act {
                grant,
                step: Step::Refuse { basis },
                reason: Some(reason),
                key: key.as_deref(),
            },
        ),
        GrantCommand::Resume { grant, reason, key } => step(
            &installation,
            &Act {
                grant,
                step: Step::Resume,
                reason: Some(reason),
                key: Some(key),
            },
        ),
        GrantCommand::Suspend(args) => step(&installation, &stopping(args, Step::Suspend)),
        GrantCommand::Terminate(args) => step(&installation, &stopping(args, Step::Terminate)),
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

fn stopping<'a>(args: &'a GrantStepArgs, step: Step<'a>) -> Act<'a> {
    Act {
        grant: &args.grant,
        step,
        reason: Some(&args.reason),
        key: args.key.as_deref(),
    }
}

fn step(installation: &Installation, taken: &Act<'_>) -> Result<Answer, RunError> {
    let Taken {
        index,
        version,
        state,
        approver,
        answer_by,
    } = act(installation, taken)?;
    let by = approver.as_deref().unwrap_or("operator");
    let mut text = format!(
        "grant {} version {version} is {state}, by {by} (entry {index})\n",
        taken.grant
    );
    if let Some(day) = answer_by {
        text.push_str(&format!("  the provider's answer is due by {day}\n"));
    }
    let document = json!({
        "grant": taken.grant,
        "version": version,
        "state": state,
        "by": by,
        "entry": index,
        "answer_by": answer_by.map(|day| day.to_string()),
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
    #[serde(flatten)]
    standing: Shown,
    /// Whether a run would be let through.
    ready: bool,
    refusals: Vec<String>,
    runs: u64,
    rows: u64,
}

/// How a grant stands, as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    state: GrantState,
    /// When it came into it, where the ledger says.
    since: Option<String>,
    /// Who led it there: an approver, or `operator`.
    by: Option<String>,
    reason: Option<String>,
    /// The legal basis of a refusal.
    basis: Option<String>,
    /// The last day for an answer to a request.
    answer_by: Option<String>,
    /// Working days left for it.
    days_left: Option<u32>,
    overdue: Option<bool>,
}

impl Shown {
    fn of(installation: &Installation, history: &History, id: &str) -> Result<Self, RunError> {
        let life = Life::of(history, id);
        let today = installation.today()?;
        let grant = installation.site.grants.get(id);
        let until = grant.map(|grant| grant.valid.until.0);
        let state = life.state(today, until);
        let last = life.last();
        // A last day is nobody's step.
        let by_calendar = (state == GrantState::Expired).then_some(until).flatten();
        let answer_by = life.request().and_then(|(_, answer_by)| answer_by);
        let due = answer_by.map(|last| Due::on(today, last));
        Ok(Self {
            state,
            since: match by_calendar {
                Some(until) => Some(until.to_string()),
                None => last.map(|step| time_text(step.at)),
            },
            by: match by_calendar {
                Some(_) => None,
                None => last.map(|step| {
                    let approver = step.approver.as_deref();
                    approver.unwrap_or("operator").to_owned()
                }),
            },
            reason: last.and_then(|step| step.reason.clone()),
            basis: last.and_then(|step| step.basis.clone()),
            answer_by: answer_by.map(|day| day.to_string()),
            days_left: due.map(|due| due.days_left),
            overdue: due.map(|due| due.overdue),
        })
    }

    /// What is left of the time for an answer, in words.
    fn answer(&self) -> String {
        match (&self.answer_by, self.overdue) {
            (Some(day), Some(true)) => format!("OVERDUE since {day}"),
            (Some(day), _) => {
                let left = self.days_left.unwrap_or_default();
                format!("{left} working days, by {day}")
            }
            (None, _) => String::new(),
        }
    }
}

fn list(installation: &Installation) -> Result<Answer, RunError> {
    let history = installation.history()?;
    let mut listed = Vec::new();
    for (id, grant) in &installation.site.grants {
        let used = installation.quota_use(id)?;
        let refusals = match installation.compile(id, installation.mode_to_show(id)) {
            Ok(compiled) => {
                let codes = compiled.refusals().iter();
                codes.map(|refusal| refusal.code.to_string()).collect()
            }
            Err(RunError::Problems(_)) => vec!["unusable".to_owned()],
            Err(error) => return Err(error),
        };
        listed.push(Listed {
            grant: id.clone(),
            version: grant.version,
            dataset: grant.dataset.clone(),
            recipient: grant.recipient.clone(),
            until: grant.valid.until.to_string(),
            standing: Shown::of(installation, &history, id)?,
            ready: refusals.is_empty(),
            refusals,
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
            "since",
            "by",
            "answer",
            "run",
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
                grant.standing.state.to_string(),
                grant.standing.since.clone().unwrap_or_default(),
                grant.standing.by.clone().unwrap_or_default(),
                grant.standing.answer(),
                match grant.ready {
                    true => "ready".to_owned(),
                    false => grant.refusals.join(", "),
                },
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
    let standing = Shown::of(installation, &installation.history()?, id)?;
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
    text.push_str(&standing_text(&standing));
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
        "standing": standing,
    });
    Answer::new(text, &document)
}

/// How a grant stands, in words.
fn standing_text(standing: &Shown) -> String {
    let mut text = format!("  state      {}", standing.state);
    if let Some(since) = &standing.since {
        text.push_str(&format!(" since {since}"));
    }
    if let Some(by) = &standing.by {
        text.push_str(&format!(" by {by}"));
    }
    if let Some(reason) = &standing.reason {
        text.push_str(&format!(": {reason}"));
    }
    if let Some(basis) = &standing.basis {
        text.push_str(&format!(" (basis: {basis})"));
    }
    text.push('\n');
    if standing.answer_by.is_some() {
        text.push_str(&format!("  answer     {}\n", standing.answer()));
    }
    text
}
