//! Patterns in which the place of each group follows from the value without trying: identity and
//! telephone numbers, dates, names, addresses of mail. The engine takes several times as long to find them.
//!
//! Such a pattern is a row of stretches, each of characters of one class. A stretch of free length goes as
//! far as there are characters of its class, where whatever can stand beside it isn't of that. One stretch of
//! the row needs no such bound: those before it are taken from the beginning of the value, those behind it
//! from the end, and it has what is left. So a row matches a value in one way at most. A pattern with a few
//! alternatives is a few such rows, and the first that matches is the one that the engine would prefer.

mod class;
mod cursor;
mod read;

use std::ops::Range;
use std::sync::Arc;

use regex_syntax::hir::Hir;

use crate::{clusters, words};
use class::Class;
use cursor::{Bytes, CodePoints, Cursor, Plain};

/// Most stretches of a row.
const STRETCHES_MAX: usize = 32;

/// A pattern whose groups have their places.
#[derive(Debug)]
pub(super) struct Placed {
    /// The alternatives, the preferred first.
    rows: Vec<Row>,
}

/// Stretches side by side, which are the whole of a value.
#[derive(Debug)]
pub(super) struct Row {
    stretches: Vec<Stretch>,
    /// Which stretch has what the others leave, where there is one.
    free: Option<usize>,
    /// Of which stretches the groups consist that it has, by their numbers; the whole is number 0.
    groups: Vec<Option<Range<usize>>>,
}

/// Characters of one class, side by side.
#[derive(Debug)]
struct Stretch {
    class: Arc<Class>,
    least: usize,
    most: usize,
}

/// Where the stretches of a row begin; and where the last ends.
type Ends = [u16; STRETCHES_MAX + 1];

/// Where a row lies in a value.
#[derive(Debug)]
pub(super) struct Places<'a> {
    row: &'a Row,
    number: usize,
    at: Ends,
    form: Form,
}

/// How a value is written, as far as it says how its characters are told apart.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Each byte is one.
    Bytes,
    /// Plain text, with a bit for each byte that begins one.
    Plain(u64),
    /// Each code point is one.
    CodePoints,
}

/// What was found out about a value.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Match(Places<'a>),
    NoMatch,
    /// The engine has to look: a character may be of several code points, or the value is too long.
    Unread,
}

impl Placed {
    /// Reads a pattern with that many groups, the whole counted; `None` for one that isn't such.
    pub(super) fn read(pattern: &Hir, groups: usize) -> Option<Self> {
        read::rows(pattern, groups).map(|rows| Self { rows })
    }

    /// The alternatives, the preferred first.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Matches the whole of a value.
    #[inline]
    pub(super) fn find(&self, value: &str) -> Found<'_> {
        if clusters::is_bytes(value) {
            return self.find_by(&Bytes::new(value), Form::Bytes);
        }
        match words::plain_beginnings(value) {
            Some(begins) => self.find_by(&Plain::new(value, begins), Form::Plain(begins)),
            None => self.find_in_other(value),
        }
    }

    #[inline(never)]
    fn find_in_other(&self, value: &str) -> Found<'_> {
        let is_plain = words::plain_count(value).is_some();
        match is_plain || clusters::are_code_points(value) {
            true => self.find_by(&CodePoints::new(value, is_plain), Form::CodePoints),
            false => Found::Unread,
        }
    }

    #[inline(always)]
    fn find_by(&self, cursor: &impl Cursor, form: Form) -> Found<'_> {
        if u16::try_from(cursor.back()).is_err() {
            return Found::Unread;
        }
        for (number, row) in self.rows.iter().enumerate() {
            if let Some(at) = row.find(cursor.clone()) {
                return Found::Match(Places {
                    row,
                    number,
                    at,
                    form,
                });
            }
        }
        Found::NoMatch
    }
}

impl Row {
    /// The stretches of a group, if the row has it.
    pub(super) fn group(&self, group: usize) -> Option<&Range<usize>> {
        self.groups.get(group)?.as_ref()
    }

    /// Whether these stretches can be of no character.
    pub(super) fn can_be_empty(&self, stretches: &Range<usize>) -> bool {
        let stretches = self.stretches.get(stretches.clone()).unwrap_or_default();
        stretches.iter().all(|stretch| stretch.least == 0)
    }

    /// Where its stretches lie in a value of at most `u16::MAX` bytes.
    #[inline(always)]
    fn find(&self, mut cursor: impl Cursor) -> Option<Ends> {
        let mut at = [0; STRETCHES_MAX + 1];
        let place = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX);
        let ahead = self.free.unwrap_or(self.stretches.len());
        for (stretch, end) in self.stretches.iter().zip(at.iter_mut().skip(1)).take(ahead) {
            if !stretch.take(&mut cursor) {
                return None;
            }
            *end = place(cursor.front());
        }
        let Some(free) = self.free else {
            return (cursor.front() == cursor.back()).then_some(at);
        };
        let behind = self.stretches.get(free + 1..).unwrap_or_default();
        let ends = at.get_mut(free + 2..=self.stretches.len());
        for (stretch, end) in behind.iter().zip(ends.unwrap_or_default()).rev() {
            *end = place(cursor.back());
            if !stretch.take_back(&mut cursor) {
                return None;
            }
        }
        *at.get_mut(free + 1)? = place(cursor.back());
        self.stretches.get(free)?.is_rest(&cursor).then_some(at)
    }
}

impl Stretch {
    fn is_fixed(&self) -> bool {
        self.least == self.most
    }

    /// Takes it from the front; whether it is there.
    #[inline(always)]
    fn take(&self, cursor: &mut impl Cursor) -> bool {
        if self.is_fixed() {
            return cursor.take(&self.class, self.least);
        }
        (self.least..=self.most).contains(&cursor.take_run(&self.class))
    }

    /// Takes it from the back; whether it is there.
    #[inline(always)]
    fn take_back(&self, cursor: &mut impl Cursor) -> bool {
        if self.is_fixed() {
            return cursor.take_back(&self.class, self.least);
        }
        (self.least..=self.most).contains(&cursor.take_run_back(&self.class))
    }

    /// Whether it is what is left.
    #[inline(always)]
    fn is_rest(&self, cursor: &impl Cursor) -> bool {
        let characters = cursor.characters_of(&self.class);
        characters.is_some_and(|characters| (self.least..=self.most).contains(&characters))
    }
}

impl Places<'_> {
    /// Which of the rows it is.
    pub(super) fn row(&self) -> usize {
        self.number
    }

    /// Where a group lies, if the row has it.
    pub(super) fn group(&self, group: usize) -> Option<Range<usize>> {
        self.row.group(group).map(|stretches| self.of(stretches))
    }

    /// Where stretches of the row lie.
    #[inline]
    pub(super) fn of(&self, stretches: &Range<usize>) -> Range<usize> {
        let at = |stretch: usize| self.at.get(stretch).copied().map_or(0, usize::from);
        at(stretches.start)..at(stretches.end)
    }

    /// How many characters lie from one place of the value to another.
    #[inline]
    pub(super) fn characters(&self, value: &str, span: &Range<usize>) -> usize {
        match self.form {
            Form::Bytes => span.len(),
            Form::Plain(begins) => {
                words::count(begins & words::lowest(span.end) & !words::lowest(span.start))
            }
            Form::CodePoints => value
                .get(span.clone())
                .map_or(0, |text| text.chars().count()),
        }
    }
}

#[cfg(test)]
mod tests;
