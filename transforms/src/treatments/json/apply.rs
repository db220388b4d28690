//! One pass over the documents of a batch writes all that stays and leaves holes for the values
//! that are treated; the values of each path are treated as one column; a second pass fills the
//! holes.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::Unknown;
use super::leaves::{LeafRule, Leaves, Treated as TreatedLeaves};
use crate::cases::{Cases, Outcome, Rules, failed};
use crate::clusters;
use crate::error::{Case, TreatmentError};
use crate::json::{Paths, Span, Tape, Token};
use crate::parts::{Report, number};
use crate::text::{TextBuilder, is_blank};
use crate::treatment::{Context, Counts, Treated, Treatment};

/// `json`, built.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) rules: Rules,
    pub(super) paths: Paths,
    pub(super) leaves: Vec<LeafRule>,
    pub(super) unknown: Unknown,
}

impl Treatment for Documents {
    fn output_type(&self) -> &DataType {
        &DataType::Utf8
    }

    fn treat(&self, column: &ArrayRef, context: &Context<'_>) -> Result<Treated, TreatmentError> {
        let texts = as_text(column)?;
        let mut cases = self.rules.cases(texts.len());
        let mut draft = Draft::new(self, &texts);
        let mut tape = Tape::default();
        for row in 0..texts.len() {
            if texts.is_null(row) {
                draft.settle(row, "", Case::Null, &mut cases)?;
                continue;
            }
            let document = texts.value(row);
            if self.rules.is_sentinel(document) {
                cases.sentinel();
                draft.bytes.extend_from_slice(document.as_bytes());
                draft.rows.push(Some(draft.bytes.len()));
            } else if is_blank(document) {
                draft.settle(row, document, Case::Empty, &mut cases)?;
            } else if let Ok(tokens) = tape.scan(document) {
                draft.write(row, document, tokens)?;
            } else {
                draft.settle(row, document, Case::Invalid, &mut cases)?;
            }
        }
        let mut report = Report::new(texts.len());
        let array = draft.fill(context, &mut report)?;
        report.add(&cases.finish(ArrayRef::clone(&array)), None);
        Ok(report.finish(array))
    }
}

/// Any physical form of text, as plain text.
fn as_text(column: &ArrayRef) -> Result<StringArray, TreatmentError> {
    let is_text = if let DataType::Dictionary(_, values) = column.data_type() {
        values.is_string()
    } else {
        column.data_type().is_string()
    };
    if !is_text {
        return Err(TreatmentError::UnexpectedType {
            expected: DataType::Utf8,
            actual: column.data_type().clone(),
        });
    }
    let plain = cast(column, &DataType::Utf8).map_err(|_| TreatmentError::TooLarge)?;
    let plain = plain.as_string_opt::<i32>().cloned();
    plain.ok_or_else(|| failed("bringing documents to their plain form"))
}

/// What is done with one value of a document.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// It is removed, and its key with it.
    Remove,
    /// It is treated by this path's treatment.
    Treat(usize),
    /// It is a container with paths inside.
    Enter(Option<usize>),
    /// No path leads to it, and it stays or is covered.
    Unknown,
}

/// The results so far, without the treated values.
struct Draft<'a> {
    documents: &'a Documents,
    bytes: Vec<u8>,
    /// The end of each row's bytes; `None` for a null.
    rows: Vec<Option<usize>>,
    holes: Vec<Hole>,
    leaves: Vec<Leaves>,
    /// What became of values that aren't of their path's type.
    misplaced: Vec<Cases<'a>>,
}

/// A place for a treated value.
struct Hole {
    at: usize,
    path: usize,
    index: usize,
}

impl<'a> Draft<'a> {
    fn new(documents: &'a Documents, texts: &StringArray) -> Self {
        let leaves = documents.leaves.iter();
        Self {
            documents,
            bytes: Vec::with_capacity(texts.value_data().len()),
            rows: Vec::with_capacity(texts.len()),
            holes: Vec::new(),
            leaves: leaves.clone().map(|_| Leaves::default()).collect(),
            misplaced: leaves.map(|rule| rule.cases.cases(texts.len())).collect(),
        }
    }

    /// A whole document that needs a decision.
    fn settle(
        &mut self,
        row: usize,
        document: &str,
        case: Case,
        cases: &mut Cases<'_>,
    ) -> Result<(), TreatmentError> {
        match cases.decide(row, case)? {
            Outcome::Keep => self.bytes.extend_from_slice(document.as_bytes()),
            Outcome::MaskAll => self.cover(document),
            Outcome::Null => {
                self.rows.push(None);
                return Ok(());
            }
        }
        self.rows.push(Some(self.bytes.len()));
        Ok(())
    }

    fn cover(&mut self, text: &str) {
        self.bytes
            .resize(self.bytes.len() + clusters::count(text), b'*');
    }

    fn write(
        &mut self,
        row: usize,
        document: &str,
        tokens: &[Token],
    ) -> Result<(), TreatmentError> {
        let mut walk = Walk {
            row,
            document,
            tokens,
            draft: self,
        };
        let start = walk.draft.documents.paths.start();
        walk.value(0, Way::Enter(start))?;
        self.rows.push(Some(self.bytes.len()));
        Ok(())
    }

    /// Treats the values of every path, and puts them into their places.
    fn fill(self, context: &Context<'_>, report: &mut Report) -> Result<ArrayRef, TreatmentError> {
        let rules = self.documents.leaves.iter();
        let mut treated: Vec<TreatedLeaves> = Vec::with_capacity(self.leaves.len());
        for (leaves, rule) in self.leaves.into_iter().zip(rules) {
            treated.push(leaves.treat(rule, context, report)?);
        }
        for cases in self.misplaced {
            let none: ArrayRef = std::sync::Arc::new(StringArray::new_null(0));
            let finished = cases.finish(none);
            report.flag(&finished, None);
            report.count(Counts {
                rows: 0,
                ..finished.counts
            });
        }
        let lost = || failed("writing treated values into their documents");
        let mut out = TextBuilder::new(self.rows.len(), self.bytes.len());
        let mut holes = self.holes.iter().peekable();
        let mut from = 0;
        for end in self.rows {
            let Some(end) = end else {
                out.null()?;
                continue;
            };
            while let Some(hole) = holes.next_if(|hole| hole.at < end) {
                out.bytes
                    .extend_from_slice(self.bytes.get(from..hole.at).ok_or_else(lost)?);
                from = hole.at;
                treated
                    .get(hole.path)
                    .ok_or_else(lost)?
                    .write(hole.index, &mut out.bytes)?;
            }
            out.bytes
                .extend_from_slice(self.bytes.get(from..end).ok_or_else(lost)?);
            from = end;
            out.close()?;
        }
        out.finish()
    }
}

/// The way through one document.
struct Walk<'w, 'a> {
    row: usize,
    document: &'w str,
    tokens: &'w [Token],
    draft: &'w mut Draft<'a>,
}

impl Walk<'_, '_> {
    fn token(&self, at: usize) -> Token {
        self.tokens.get(at).copied().unwrap_or(Token::Null)
    }

    /// What to do with the value at `at`, at a state of the paths.
    fn way(&self, at: usize, state: Option<usize>) -> Way {
        let documents = self.draft.documents;
        let container = matches!(self.token(at), Token::Object { .. } | Token::Array { .. });
        if container && documents.paths.goes_on(state) {
            return Way::Enter(state);
        }
        if let Some(path) = documents.paths.ending(state) {
            let removed = documents
                .leaves
                .get(path)
                .is_none_or(|rule| rule.part.is_none());
            return if removed {
                Way::Remove
            } else {
                Way::Treat(path)
            };
        }
        match documents.unknown {
            Unknown::Drop => Way::Remove,
            Unknown::Keep | Unknown::Mask if container => Way::Enter(None),
            Unknown::Keep | Unknown::Mask => Way::Unknown,
        }
    }

    fn push(&mut self, byte: u8) {
        self.draft.bytes.push(byte);
    }

    /// Writes the value at `at`, which isn't removed.
    fn value(&mut self, at: usize, way: Way) -> Result<(), TreatmentError> {
        match way {
            Way::Treat(path) => self.treat(at, path),
            Way::Enter(state) => match self.token(at) {
                Token::Object { end } => self.object(at + 1, end, state),
                Token::Array { .. }
                | Token::Text(_)
                | Token::Number(_)
                | Token::True
                | Token::False
                | Token::Null => self.array(at, state),
            },
            Way::Unknown => {
                self.unknown(at);
                Ok(())
            }
            Way::Remove => Ok(()),
        }
    }

    fn object(
        &mut self,
        mut at: usize,
        end: usize,
        state: Option<usize>,
    ) -> Result<(), TreatmentError> {
        self.push(b'{');
        let mut first = true;
        while at < end {
            let Token::Text(key) = self.token(at) else {
                break;
            };
            let paths = &self.draft.documents.paths;
            let inner = match state {
                Some(_) => paths.member(state, &key.text(self.document)),
                None => None,
            };
            let way = self.way(at + 1, inner);
            if !matches!(way, Way::Remove) {
                if !std::mem::take(&mut first) {
                    self.push(b',');
                }
                self.quoted(key);
                self.push(b':');
                self.value(at + 1, way)?;
            }
            at = self.after(at + 1);
        }
        self.push(b'}');
        Ok(())
    }

    fn array(&mut self, opened: usize, state: Option<usize>) -> Result<(), TreatmentError> {
        self.push(b'[');
        let inner = self.draft.documents.paths.element(state);
        let mut first = true;
        let (mut at, end) = (opened + 1, self.after(opened));
        while at < end {
            let way = self.way(at, inner);
            if !matches!(way, Way::Remove) {
                if !std::mem::take(&mut first) {
                    self.push(b',');
                }
                self.value(at, way)?;
            }
            at = self.after(at);
        }
        self.push(b']');
        Ok(())
    }

    fn after(&self, at: usize) -> usize {
        match self.token(at) {
            Token::Object { end } | Token::Array { end } => end.max(at + 1),
            Token::Text(_) | Token::Number(_) | Token::True | Token::False | Token::Null => at + 1,
        }
    }

    fn quoted(&mut self, text: Span) {
        self.push(b'"');
        self.draft
            .bytes
            .extend_from_slice(text.raw(self.document).as_bytes());
        self.push(b'"');
    }

    /// A value that no path leads to.
    fn unknown(&mut self, at: usize) {
        let token = self.token(at);
        if self.draft.documents.unknown == Unknown::Mask {
            if let Token::Text(span) = token {
                self.push(b'"');
                self.draft.cover(&span.text(self.document));
                self.push(b'"');
            } else {
                self.draft.bytes.extend_from_slice(b"null");
            }
            return;
        }
        match token {
            Token::Text(span) => self.quoted(span),
            Token::Number(span) => {
                self.draft
                    .bytes
                    .extend_from_slice(span.raw(self.document).as_bytes());
            }
            Token::True => self.draft.bytes.extend_from_slice(b"true"),
            Token::False => self.draft.bytes.extend_from_slice(b"false"),
            Token::Null | Token::Object { .. } | Token::Array { .. } => {
                self.draft.bytes.extend_from_slice(b"null");
            }
        }
    }

    /// Leaves a hole for a value, or decides about one that isn't of the path's type.
    fn treat(&mut self, at: usize, path: usize) -> Result<(), TreatmentError> {
        let lost = || failed("finding the treatment of a path");
        let token = self.token(at);
        let draft = &mut *self.draft;
        let rule = draft.documents.leaves.get(path).ok_or_else(lost)?;
        let leaves = draft.leaves.get_mut(path).ok_or_else(lost)?;
        if let Some(index) = leaves.take(rule.leaf, token, self.document, number(self.row)?) {
            draft.holes.push(Hole {
                at: draft.bytes.len(),
                path,
                index,
            });
            return Ok(());
        }
        let misplaced = draft.misplaced.get_mut(path).ok_or_else(lost)?;
        misplaced.decide(self.row, Case::Invalid)?;
        draft.bytes.extend_from_slice(b"null");
        Ok(())
    }
}
