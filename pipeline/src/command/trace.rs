//! `trace`: names the grants behind a leaked copy; `verify-trace`: checks the evidence of that.

use std::collections::BTreeMap;
use std::path::Path;

use lockgate_connectors::keyring::Purpose;
use lockgate_transforms::marks::score::Verdict;
use serde_json::{Value, json};

use super::output::{Answer, error_document, place_and_remedy, table};
use super::verify::{find_site, manifest_keys, read_keys, site_keys};
use crate::cli::{TraceArgs, VerifyTraceArgs};
use crate::clock::Clock;
use crate::digest::hex;
use crate::error::{RunError, exit};
use crate::fault;
use crate::installation::Installation;
use crate::trace::evidence::{self, Checked, Given, Keys, LeakOptions, check, verdict_text};
use crate::trace::{Finding, Matched, NamedVerdict, Order, Outcome, Reading, investigate};

/// Traces a leak, on threads of its own: it is work for the processor.
pub(super) async fn trace(root: &Path, args: TraceArgs) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    let order = order(args)?;
    let traced = tokio::task::spawn_blocking(move || {
        let outcome = investigate(&installation, &order)?;
        let answer = Answer::new(text(&order, &outcome), &document(&order, &outcome))?;
        Ok(match &outcome.failure {
            Some(error) => answer.with_exit(error.exit_code()),
            None => answer,
        })
    });
    traced
        .await
        .map_err(|error| fault::of_task("tracing", error))?
}

fn order(args: TraceArgs) -> Result<Order, RunError> {
    let mut columns = BTreeMap::new();
    for pair in &args.column {
        let invalid = |what: &str| RunError::Invalid {
            what: format!("`{pair}` {what}"),
            at: "--column".to_owned(),
            remedy: "write FIELD=COLUMN, each field once".to_owned(),
        };
        let both = pair.split_once('=');
        let (field, column) = both.ok_or_else(|| invalid("names no column"))?;
        let known = columns.insert(field.to_owned(), column.to_owned());
        if known.is_some() {
            return Err(invalid("names a field twice"));
        }
    }
    let keys = match args.open_key {
        true => Keys::Opened,
        false => Keys::Closed,
    };
    Ok(Order {
        options: LeakOptions {
            encoding: args.encoding.map(Into::into),
            delimiter: args.delimiter.as_deref().map(delimiter).transpose()?,
            sheet: args.sheet,
            header: args.no_header.then_some(false),
        },
        file: args.file,
        dataset: args.dataset,
        error: args.error,
        columns,
        evidence: args.evidence.map(|folder| (folder, keys)),
    })
}

/// An ASCII character, or `tab`.
fn delimiter(text: &str) -> Result<u8, RunError> {
    let character = match text.as_bytes() {
        b"tab" | b"\\t" => Some(b'\t'),
        [one] if one.is_ascii() && !one.is_ascii_alphanumeric() => Some(*one),
        _ => None,
    };
    character.ok_or_else(|| RunError::Invalid {
        what: "a delimiter is one ASCII character that is no letter or digit".to_owned(),
        at: "--delimiter".to_owned(),
        remedy: "write it as it stands in the file, or `tab`".to_owned(),
    })
}

fn document(order: &Order, outcome: &Outcome) -> Value {
    let finding = &outcome.finding;
    let traced = finding.traced.iter().map(|traced| {
        json!({
            "key_version": traced.key.key_version,
            "epoch": traced.key.epoch,
            "key_commitment": hex(&traced.key.commitment),
            "scheme_sha256": traced.scheme_sha256,
            "issued": traced.issued,
            "carriers": traced.counts.iter().sum::<u64>(),
            "counts": traced.counts,
            "ties": traced.ties,
            "tags": traced.tags,
            "ln_presence": traced.presence.ln_e,
            "accused_from": traced.accused_from,
            "columns": columns(&traced.matched),
        })
    });
    json!({
        "dataset": order.dataset,
        "leak": {
            "sha256": outcome.leak.sha256,
            "bytes": outcome.leak.bytes,
            "form": outcome.form,
        },
        "verdicts": finding.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        "presence": {
            "ours": finding.presence.is_ours,
            "ln_e": finding.presence.ln_e,
            "threshold": finding.presence.threshold,
        },
        "carriers": finding.carriers,
        "tags": finding.tags,
        "counts": finding.counts,
        "ties": finding.ties,
        "rows": finding.rows,
        "irregular": finding.irregular,
        "candidates": finding.candidates,
        "accused_from": finding.accused_from,
        "error": order.error,
        "largest_error": outcome.largest_error,
        "investigation": outcome.investigation,
        "hypotheses": finding.traced.len(),
        "looked_at": finding.looked_at,
        "columns": columns(&finding.matched),
        "traced": traced.collect::<Vec<_>>(),
        "more_rows": finding.more_rows,
        "evidence_sha256": outcome.evidence_sha256,
        "failure": outcome.failure.as_ref().map(failure),
        "notes": finding.notes,
    })
}

/// What failed once the verdicts were there, as the `error` of a document that has nothing else.
fn failure(error: &RunError) -> Value {
    let (place, remedy) = place_and_remedy(error);
    let mut document = error_document(error.class(), &error.to_string(), &place, &remedy);
    document
        .get_mut("error")
        .map(Value::take)
        .unwrap_or_default()
}

fn verdict(verdict: &NamedVerdict) -> Value {
    json!({
        "grant": verdict.grant,
        "recipient": verdict.recipient,
        "index": verdict.index,
        "verdict": verdict_text(verdict.verdict),
        "ln_e": verdict.ln_e,
        "bound": verdict.bound,
        "p_value": verdict.p_value,
        "hypothesis": verdict.hypothesis,
        "ones": verdict.ones,
        "tags": verdict.tags,
    })
}

fn columns(matched: &[Matched]) -> Vec<Value> {
    let column = |of: &Matched| {
        json!({
            "field": of.field,
            "column": of.header,
            "position": of.column,
            "read": read(&of.reading),
        })
    };
    matched.iter().map(column).collect()
}

/// How a column was read, in words.
fn read(reading: &Reading) -> String {
    match reading {
        Reading::Text => "text".to_owned(),
        Reading::Typed {
            data_type,
            spelling,
        } => format!("{data_type}, {spelling}"),
    }
}

fn text(order: &Order, outcome: &Outcome) -> String {
    let finding = &outcome.finding;
    let mut text = conclusion(order, finding);
    if !finding.verdicts.is_empty() {
        let rows = finding.verdicts.iter().map(|verdict| {
            [
                verdict.grant.clone(),
                verdict.recipient.clone().unwrap_or_default(),
                verdict_text(verdict.verdict).to_owned(),
                format!("{:.1}", verdict.ln_e),
                probability(verdict.bound),
                verdict.p_value.map_or_else(String::new, probability),
            ]
        });
        let header = ["grant", "recipient", "verdict", "ln E", "bound", "exact p"];
        text.push_str(&table(&header, rows));
    }
    let under = match finding.traced.len() {
        0 | 1 => "",
        _ => " under the key that shows most marks",
    };
    text.push_str(&format!(
        "accused from ln E {:.1}{under}: {} candidates, {} hypotheses traced of {}, trace {} of this \
         dataset, error {:e}\n",
        finding.accused_from,
        finding.candidates,
        finding.traced.len(),
        finding.looked_at,
        outcome.investigation,
        order.error,
    ));
    text.push_str(&format!(
        "read {} rows ({}): {} carriers, {} tags, {} ties; presence {:.1}, ours from {:.1}\n",
        finding.rows,
        outcome.form,
        finding.carriers,
        finding.tags,
        finding.ties,
        finding.presence.ln_e,
        finding.presence.threshold,
    ));
    let has_any = finding.carriers + finding.tags > 0;
    for of in finding.matched.iter().filter(|_| has_any) {
        let Matched { field, header, .. } = of;
        text.push_str(&format!(
            "  {field}: column `{header}`, {}\n",
            read(&of.reading)
        ));
    }
    if finding.irregular > 0 {
        let count = finding.irregular;
        text.push_str(&format!(
            "  note: {count} rows aren't of the form of the others\n"
        ));
    }
    for note in &finding.notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    if outcome.largest_error > order.error {
        text.push_str(&format!(
            "  note: the largest error of a trace of this dataset was {:e}: over all traces it is \
             that, not {:e}, which bounds the chance that an innocent was accused\n",
            outcome.largest_error, order.error,
        ));
    }
    text.push_str(&evidence_text(order, outcome));
    text
}

/// A probability, as far as anybody wants to know it.
fn probability(probability: f64) -> String {
    const LEAST: f64 = 1e-300;
    match probability < LEAST {
        true => "<1e-300".to_owned(),
        false => format!("{probability:.1e}"),
    }
}

/// What came of the trace, in a sentence or two.
fn conclusion(order: &Order, finding: &Finding) -> String {
    let is = |wanted: Verdict| {
        let verdicts = finding.verdicts.iter();
        verdicts
            .filter(move |verdict| verdict.verdict == wanted)
            .count()
    };
    let dataset = &order.dataset;
    let whose = match finding.presence.is_ours {
        true => format!("ours: the file holds marks of dataset `{dataset}`"),
        false => format!("not ours: the file shows no marks of dataset `{dataset}`"),
    };
    let who = match (is(Verdict::Accused), is(Verdict::Suspect)) {
        (0, 0) => "nobody is accused".to_owned(),
        (0, suspects) => format!("nobody is accused; {suspects} to be looked into"),
        (accused, _) => format!("{accused} accused"),
    };
    let condition = match finding.presence.is_ours {
        true => "",
        false => "if it is ours, ",
    };
    let more = match finding.more_rows {
        Some(more) => format!("{condition}about {more} more such rows would decide\n"),
        None => String::new(),
    };
    format!("{whose}; {who}\n{more}")
}

fn evidence_text(order: &Order, outcome: &Outcome) -> String {
    let mut text = match &outcome.failure {
        Some(error) => format!("FAILED after the trace, whose result stands: {error}\n"),
        None => String::new(),
    };
    let Some((folder, keys)) = &order.evidence else {
        return text;
    };
    match &outcome.evidence_sha256 {
        Some(sha256) => {
            text.push_str(&format!(
                "evidence in {}, record {sha256}\n",
                folder.display()
            ));
        }
        None => text.push_str("no evidence was written that could be checked\n"),
    }
    if *keys == Keys::Opened {
        text.push_str(
            "  WARNING: it holds the key of the dataset's marks; whoever has it can forge marks from \
             now on: give it to whoever must check it alone, and make a new key by `lockgate keys new \
             mark` before the next delivery\n",
        );
    }
    text
}

/// Checks the evidence of a trace, with or without a site.
pub(super) async fn verify_trace(root: &Path, args: VerifyTraceArgs) -> Result<Answer, RunError> {
    let site = find_site(root)?;
    let signers = manifest_keys(site.as_ref(), &args.key)?;
    let ledger = match (&args.ledger_key, &site) {
        (Some(key), _) => Some(read_keys(key)?),
        (None, Some(installation)) => Some(site_keys(installation, Purpose::Ledger)?),
        (None, None) => None,
    };
    let checked = tokio::task::spawn_blocking(move || {
        let keys = match &site {
            Some(installation) => evidence::site_mark_keys(installation, &args.folder, &signers),
            None => Vec::new(),
        };
        let given = Given {
            signers,
            ledger,
            leak: args.leak,
            key_files: args.mark_key,
            keys,
        };
        check(&args.folder, given)
    });
    let checked = checked
        .await
        .map_err(|error| fault::of_task("checking evidence", error))??;
    let exit = match checked.valid {
        true => exit::DONE,
        false => exit::UNVERIFIED,
    };
    Ok(Answer::new(checked_text(&checked), &checked)?.with_exit(exit))
}

fn checked_text(checked: &Checked) -> String {
    let how = match checked.recounted {
        true => "recounted from the leak",
        false => "recomputed from the stated counts",
    };
    let mut text = match (checked.valid, checked.accused.len()) {
        (false, _) => "INVALID\n".to_owned(),
        (true, 0) => format!("valid, {how}; nobody is accused\n"),
        (true, accused) => format!("valid, {how}; {accused} accused\n"),
    };
    if !checked.accused.is_empty() {
        let rows = checked.accused.iter().map(|of| {
            [
                of.grant.clone(),
                of.recipient.clone().unwrap_or_default(),
                format!("{:.1}", of.ln_e),
                format!("{:.1}", of.accused_from),
                of.issued.to_string(),
                probability(of.bound),
            ]
        });
        let header = ["grant", "recipient", "ln E", "accused from", "N", "bound"];
        text.push_str(&table(&header, rows));
    }
    if let (Some(dataset), Some(investigation), Some(hypotheses), Some(error)) = (
        &checked.dataset,
        checked.investigation,
        checked.hypotheses,
        &checked.error,
    ) {
        text.push_str(&format!(
            "trace {investigation} of dataset `{dataset}`, error {error}, hypotheses traced (H) \
             {hypotheses}\n"
        ));
    }
    for problem in &checked.problems {
        text.push_str(&format!("  {problem}\n"));
    }
    for note in &checked.notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    text
}
