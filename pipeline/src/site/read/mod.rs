//! Located reading of TOML: every problem of a file at once, each with line, column and hint.
//!
//! serde stops at the first error. Here the parse tree is kept beside the value: an error is traced
//! to the entry it speaks of, that entry is taken out of the tree, and the rest is read again, until
//! nothing is wrong or nothing can be taken out ([`repair`]). A value is only ever made from a tree
//! nothing was taken out of.

mod document;
mod explain;
mod repair;
mod tree;

#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use toml::de::DeTable;

pub(crate) use document::Document;

use super::Problem;

/// Largest file of a site, in bytes.
pub(crate) const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Most problems reported of one file.
const PROBLEMS_MAX: usize = 100;

/// Most syntax errors reported of one file: later ones tend to follow from earlier ones.
const SYNTAX_ERRORS_MAX: usize = 10;

/// Reads a file: what it says, if nothing is wrong with it, the tree of its parts, if it is TOML,
/// and every problem found, by line and column.
///
/// `text` is at most [`FILE_BYTES_MAX`] bytes; `file` is its name for problems.
pub(crate) fn read<T: DeserializeOwned>(
    text: &str,
    file: &str,
) -> (Option<T>, Document, Vec<Problem>) {
    let problem = |document: &Document, offset: usize, what: String, hint: Option<String>| {
        let (line, column) = document.position(offset);
        Problem {
            file: file.to_owned(),
            line,
            column,
            what,
            hint,
        }
    };
    if text.len() > FILE_BYTES_MAX {
        let what = "the file is larger than 1 MiB".to_owned();
        let hint = Some("a file holds one entity; split it".to_owned());
        let document = Document::default();
        let problems = vec![problem(&document, 0, what, hint)];
        return (None, document, problems);
    }
    if let Some(offset) = text.find('\0') {
        let document = Document::new(text, None);
        let what = "the file contains a NUL byte".to_owned();
        let hint = Some("save it as UTF-8 text".to_owned());
        let problems = vec![problem(&document, offset, what, hint)];
        return (None, document, problems);
    }

    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let document = Document::new(text, None);
        let mut problems: Vec<Problem> = Vec::new();
        for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
            let offset = error.span().map_or(text.len(), |span| span.start);
            let (what, hint) = explain::syntax(error.message());
            let found = problem(&document, offset, what, hint);
            // A second error on a line is nearly always the first one seen again.
            if problems.iter().all(|other| other.line != found.line) {
                problems.push(found);
            }
        }
        problems.sort();
        return (None, document, problems);
    }

    let document = Document::new(text, Some(&root));
    let (value, faults) = repair::read(root, text.len());
    let mut problems: Vec<Problem> = faults
        .into_iter()
        .take(PROBLEMS_MAX)
        .map(|fault| problem(&document, fault.offset, fault.what, fault.hint))
        .collect();
    problems.sort();
    problems.dedup();
    (value, document, problems)
}
