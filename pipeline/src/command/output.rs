//! What a command answers, and how it is printed: text for people, one JSON document with `--json`.

use std::borrow::Cow;
use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use lockgate_connectors::ConnectorError;
use lockgate_transforms::TreatmentError;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{RunError, exit};
use crate::plan::Refusal;

/// What a command answers. `Debug` shows no text: it may hold originals and values of tokens.
pub struct Answer {
    text: String,
    document: Value,
    exit: u8,
}

impl Answer {
    /// Text alone, such as a completion script; its document is the text itself.
    pub(crate) fn text(text: String) -> Self {
        let document = Value::String(text.clone());
        Self {
            text,
            document,
            exit: exit::DONE,
        }
    }

    /// Text for people and a document for programs.
    pub(crate) fn new(text: String, document: &impl Serialize) -> Result<Self, RunError> {
        let document = serde_json::to_value(document)
            .map_err(|error| RunError::internal("writing the result", &error))?;
        Ok(Self {
            text,
            document,
            exit: exit::DONE,
        })
    }

    /// The same answer with another exit code.
    #[must_use]
    pub(crate) fn with_exit(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }

    /// The document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The exit code.
    pub fn exit(&self) -> u8 {
        self.exit
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, ..)", self.exit)
    }
}

/// Prints an answer on standard output, or an error on standard error (with `--json`, as a document
/// on standard output), and gives the exit code.
pub(super) fn print(result: Result<Answer, RunError>, json: bool) -> ExitCode {
    match result {
        Ok(answer) if json => say(&format!("{:#}\n", answer.document), answer.exit),
        Ok(answer) => say(&tame(&answer.text), answer.exit),
        Err(error) => {
            let (place, remedy) = place_and_remedy(&error);
            if json {
                let document = error_document(error.class(), &what(&error), &place, &remedy);
                let document = with_parts(document, &error);
                return say(&format!("{document:#}\n"), error.exit_code());
            }
            complain(&tame(&error_text(&error, &place, &remedy)));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Text whose characters only stand for themselves: names, purposes and values come from files, and
/// could otherwise steer the terminal or turn around what is read.
fn tame(text: &str) -> Cow<'_, str> {
    let steers = |character: char| match character {
        '\n' | '\t' => false,
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => true,
        other => other.is_control(),
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut tamed = String::with_capacity(text.len());
    for character in text.chars() {
        if steers(character) {
            tamed.extend(character.escape_unicode());
        } else {
            tamed.push(character);
        }
    }
    Cow::Owned(tamed)
}

/// Writes a result to standard output and gives the exit code: `code`, or failure where a result
/// that was good could not be written. A reader that has closed its end has read what it wants.
pub(super) fn say(text: &str, code: u8) -> ExitCode {
    let mut output = std::io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format!(
                "lockgate: the result could not be written: {error}\n"
            ));
            ExitCode::from(if code == exit::DONE {
                exit::FAILED
            } else {
                code
            })
        }
        Ok(()) | Err(_) => ExitCode::from(code),
    }
}

/// Writes to standard error. Where that fails too, only the exit code is left to say it.
pub(super) fn complain(text: &str) {
    let mut output = std::io::stderr().lock();
    let written = output.write_all(text.as_bytes());
    written.and_then(|()| output.flush()).unwrap_or_default();
}

/// `{"error": {"class", "what", "where", "remedy"}}`.
pub(super) fn error_document(class: &str, what: &str, place: &str, remedy: &str) -> Value {
    json!({ "error": { "class": class, "what": what, "where": place, "remedy": remedy } })
}

/// What went wrong, in one line: the first of several problems or refusals.
#[expect(clippy::wildcard_enum_match_arm, reason = "other errors are one thing")]
fn what(error: &RunError) -> String {
    match error {
        RunError::Problems(problems) => problems.first().map(ToString::to_string),
        RunError::Refused(refusals) => refusals.first().map(|refusal| refusal.reason.clone()),
        _ => None,
    }
    .unwrap_or_else(|| error.to_string())
}

/// An error that consists of several things tells them all.
#[expect(clippy::wildcard_enum_match_arm, reason = "other errors are one thing")]
fn with_parts(mut document: Value, error: &RunError) -> Value {
    let (name, parts) = match error {
        RunError::Problems(problems) => ("problems", json!(problems)),
        RunError::Refused(refusals) => ("refusals", json!(refusals)),
        _ => return document,
    };
    if let Some(error) = document.get_mut("error").and_then(Value::as_object_mut) {
        error.insert(name.to_owned(), parts);
    }
    document
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other error is one line"
)]
fn error_text(error: &RunError, place: &str, remedy: &str) -> String {
    let mut text = match error {
        RunError::Problems(problems) => problems
            .iter()
            .map(|problem| format!("{problem}\n"))
            .collect(),
        RunError::Refused(refusals) => refusals_text(refusals),
        other => format!("lockgate: {other}\n"),
    };
    if !place.is_empty() {
        text.push_str(&format!("  where: {place}\n"));
    }
    if !remedy.is_empty() {
        text.push_str(&format!("  remedy: {remedy}\n"));
    }
    text
}

/// Refusals, a line each.
pub(super) fn refusals_text(refusals: &[Refusal]) -> String {
    refusals
        .iter()
        .map(|refusal| {
            let field = refusal
                .field
                .as_ref()
                .map_or_else(String::new, |field| format!(" `{field}`"));
            let basis = refusal
                .basis
                .as_ref()
                .map_or_else(String::new, |basis| format!(" (basis: {basis})"));
            format!(
                "refused [{}]{field}: {}{basis}\n",
                refusal.code, refusal.reason
            )
        })
        .collect()
}

pub(super) fn place_and_remedy(error: &RunError) -> (String, String) {
    match error {
        RunError::Problems(problems) => (
            problems.first().map_or_else(String::new, |problem| {
                format!("{}:{}:{}", problem.file, problem.line, problem.column)
            }),
            "mend the files; `lockgate check` lists every problem".to_owned(),
        ),
        RunError::Invalid { at, remedy, .. } => (at.clone(), remedy.clone()),
        RunError::Treatment {
            field,
            source: TreatmentError::Vault(_),
            ..
        } => (format!("field {field}"), String::new()),
        RunError::Treatment { file, field, .. } => (
            format!("{file}, field {field}"),
            "correct the source, or let the treatment mask or reject such values".to_owned(),
        ),
        RunError::TooLong { file, field, .. } => (
            format!("{file}, field {field}"),
            "leave the field out of the grant, or have the provider keep such documents apart"
                .to_owned(),
        ),
        RunError::Unwritable { field, .. } => (format!("field {field}"), String::new()),
        RunError::TooManyInvalid { field, .. } => (
            format!("field {field}"),
            "correct the source, or raise `max_invalid` of the field's treatment".to_owned(),
        ),
        RunError::Predicate { .. } => (
            "the grant's `rows`".to_owned(),
            "exclude such rows in the predicate".to_owned(),
        ),
        RunError::MovedTooFar { field, .. } => (format!("field {field}"), String::new()),
        RunError::RowsNotConserved { .. } => (
            "the run".to_owned(),
            "run again; if it stays, report it as a defect".to_owned(),
        ),
        RunError::Ledger(_) => (
            "state/ledger".to_owned(),
            "run `lockgate ledger verify`".to_owned(),
        ),
        RunError::Denied { remedy, .. } => ("the site".to_owned(), remedy.clone()),
        RunError::Connector(error) => of_connector(error),
        // These say in their text what to do.
        RunError::Vault(_)
        | RunError::Tokens(_)
        | RunError::Site(_)
        | RunError::Demo(_)
        | RunError::Refused(_)
        | RunError::Unverified { .. }
        | RunError::Interrupted
        | RunError::Internal { .. } => (String::new(), String::new()),
    }
}

/// The place of a fault of stores, sources and files, and what to do about it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "errors of keys say in their text what to do, and so do faults of the program"
)]
fn of_connector(error: &ConnectorError) -> (String, String) {
    let (place, remedy) = match error {
        ConnectorError::Config { remedy, .. } => ("the site or the options", remedy.as_str()),
        ConnectorError::NotFound { place } => {
            (place.as_str(), "check the path and the store's url")
        }
        ConnectorError::NoFiles { place, .. } => (place.as_str(), "check the path and the format"),
        ConnectorError::Denied { place } => (
            place.as_str(),
            "check the credentials and permissions of its store",
        ),
        ConnectorError::Unavailable { place, .. } => {
            (place.as_str(), "check the endpoint and try again later")
        }
        ConnectorError::Io { place, .. } => {
            (place.as_str(), "check the file system, and try again")
        }
        ConnectorError::Exhausted { place, .. } => (place.as_str(), "free some and try again"),
        ConnectorError::Changed { place } => (
            place.as_str(),
            "run again once nobody writes to it any more",
        ),
        ConnectorError::Schema { differences } => {
            let first = differences.first();
            return (
                first.map_or_else(String::new, |difference| difference.file.clone()),
                "correct the files, or the catalogue and then the approval".to_owned(),
            );
        }
        ConnectorError::Damaged { place, part, .. } => {
            return (
                within(place, part.as_ref()),
                "have its provider write it again".to_owned(),
            );
        }
        ConnectorError::Malformed {
            place,
            row,
            rows_lost,
            ..
        } => {
            let remedy = match rows_lost {
                true => "correct the file",
                false => "correct the file, or set on_malformed = \"reject\"",
            };
            return (format!("{place}, data row {row}"), remedy.to_owned());
        }
        ConnectorError::Unreadable {
            place,
            part,
            remedy,
            ..
        } => return (within(place, part.as_ref()), remedy.clone()),
        ConnectorError::NoConditionalCreate { place, .. } => (
            place.as_str(),
            "use a file system with hard links, or an object store that honours If-None-Match",
        ),
        ConnectorError::Altered { place, .. } => (
            place.as_str(),
            "find out what else writes there, check the disk or store, and run again",
        ),
        ConnectorError::Unsettled { place, .. } => {
            (place.as_str(), "run again, which looks before it writes")
        }
        _ => ("", ""),
    };
    (place.to_owned(), remedy.to_owned())
}

/// A place and the part of it, where one is known.
fn within(place: &str, part: Option<&String>) -> String {
    part.map_or_else(|| place.to_owned(), |part| format!("{place}, {part}"))
}

/// A table with a header, as text.
pub(super) fn table<R: IntoIterator<Item = String>>(
    header: &[&str],
    rows: impl IntoIterator<Item = R>,
) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_preset(comfy_table::presets::NOTHING)
        .set_content_arrangement(comfy_table::ContentArrangement::Dynamic)
        .set_header(header);
    for row in rows {
        table.add_row(row.into_iter().collect::<Vec<_>>());
    }
    format!("{table}\n")
}
