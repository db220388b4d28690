//! Finding every fault of a tree: read it, trace the error to an entry, take the entry out, again.
//!
//! - A key that is missing is reported once and stood in for by a made-up value, tried in several
//!   types, so that the faults behind it show as well. Made-up values carry positions beyond every
//!   file, which is how an error about one is told from an error of the file.
//! - Where an error names a whole table (serde reads some tables ahead of knowing their type), the
//!   entry at fault is the one without which the error is another.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer, Error};

use super::PROBLEMS_MAX;
use super::explain::{Complaint, explain};
use super::tree::{self, Path, Place, Step};
use crate::site::nearest;

/// Positions from here on belong to made-up values.
const MADE_UP: usize = usize::MAX / 2;

/// Most entries of a table or array that are tried one by one.
const TRIED_MAX: usize = 64;

/// Most readings of one file.
const READINGS_MAX: usize = 3_000;

/// Most bytes read in all readings of one file.
const READ_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Key that decides which keys its table may have besides.
const TAG: &str = "kind";

/// A fault and the byte of the text where it stands.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

/// The value, if the tree has no fault, and the faults.
pub(super) fn read<T: DeserializeOwned>(
    root: Spanned<DeTable<'_>>,
    bytes: usize,
) -> (Option<T>, Vec<Fault>) {
    let mut error = match parse::<T>(&root) {
        Ok(value) => return (Some(value), Vec::new()),
        Err(error) => error,
    };
    let readings = READINGS_MAX.min(READ_BYTES_MAX / bytes.max(1));
    let mut repair = Repair {
        root,
        faults: Vec::new(),
        excused: BTreeSet::new(),
        made_up: 0,
        readings,
        probe: error_of::<T>,
    };
    while repair.faults.len() < PROBLEMS_MAX && repair.mend(&error) {
        match repair.probe() {
            Some(next) => error = next,
            None => break,
        }
    }
    if repair.faults.is_empty() {
        // No entry could be blamed: say what serde says, at the start.
        let (what, hint) = explain(&Complaint::of(error.message()), error.message(), None);
        repair.faults.push(Fault {
            offset: error.span().map_or(0, |span| span.start),
            what,
            hint,
        });
    }
    (None, repair.faults)
}

fn parse<T: DeserializeOwned>(root: &Spanned<DeTable<'_>>) -> Result<T, Error> {
    T::deserialize(Deserializer::from(root.clone()))
}

fn error_of<T: DeserializeOwned>(root: &Spanned<DeTable<'_>>) -> Option<Error> {
    parse::<T>(root).err()
}

struct Repair<'i> {
    root: Spanned<DeTable<'i>>,
    faults: Vec<Fault>,
    /// Keys, by the position of their table, that are known to be at fault already.
    excused: BTreeSet<(usize, String)>,
    /// How many made-up values there are.
    made_up: usize,
    /// How many readings are left.
    readings: usize,
    /// Reads the tree for the error alone.
    probe: fn(&Spanned<DeTable<'_>>) -> Option<Error>,
}

impl Repair<'_> {
    fn probe(&mut self) -> Option<Error> {
        self.readings = self.readings.checked_sub(1)?;
        (self.probe)(&self.root)
    }

    /// Records the fault an error speaks of and takes its cause out; false where that cannot be.
    fn mend(&mut self, error: &Error) -> bool {
        let complaint = Complaint::of(error.message());
        let root_span = self.root.span();
        let span = error.span().unwrap_or_else(|| root_span.clone());
        let place = tree::find(self.root.get_ref(), &span).or_else(|| {
            (span == root_span || error.span().is_none()).then(|| Place::Value(Path::new()))
        });
        match (place, &complaint) {
            (None, _) => false,
            (Some(Place::Value(table)), Complaint::Missing { key }) => self.stand_in(&table, key),
            (Some(Place::Key(entry)), _) => self.blame(entry, error, &complaint),
            (Some(Place::Value(entry)), Complaint::UnknownKey { key, .. })
                if self.holds(&entry, key) =>
            {
                let mut entry = entry;
                entry.push(Step::Key(key.clone()));
                self.blame(entry, error, &complaint)
            }
            (Some(Place::Value(entry)), _) => {
                let entry = self.narrow(entry, error);
                self.blame(entry, error, &complaint)
            }
        }
    }

    fn holds(&self, table: &[Step], key: &str) -> bool {
        tree::table(self.root.get_ref(), table).is_some_and(|table| table.contains_key(key))
    }

    /// Follows an error that names a whole table or array down to the entry that causes it: the
    /// one whose absence, after those before it, makes the error another.
    fn narrow(&mut self, mut entry: Path, error: &Error) -> Path {
        loop {
            let mut children = tree::children(self.root.get_ref(), &entry);
            if children.len() > TRIED_MAX {
                return entry;
            }
            // From the back, so that indices stay; the tag last, as it changes every error.
            children.reverse();
            children.sort_by_key(|step| matches!(step, Step::Key(key) if key == TAG));
            let whole = self.root.clone();
            let mut cause = None;
            for child in children {
                let mut deeper = entry.clone();
                deeper.push(child);
                tree::remove(self.root.get_mut(), &deeper);
                let same = match self.probe() {
                    Some(other) => {
                        other.span() == error.span() && other.message() == error.message()
                    }
                    None => false,
                };
                if !same {
                    cause = Some(deeper);
                    break;
                }
            }
            self.root = whole;
            match cause {
                Some(deeper) if self.readings > 0 => entry = deeper,
                _ => return entry,
            }
        }
    }

    /// Reports a missing key, once, and puts a made-up value in its place.
    fn stand_in(&mut self, table: &[Step], key: &str) -> bool {
        let span = match table {
            [] => self.root.span(),
            path => match tree::at(self.root.get_ref(), path) {
                Some((_, value)) => value.span(),
                None => return false,
            },
        };
        let start = if table.is_empty() { 0 } else { span.start };
        let known = span.start >= MADE_UP || self.excused.contains(&(span.start, key.to_owned()));
        if !known {
            let what = format!("`{key}` is missing");
            self.faults.push(Fault {
                offset: start,
                what,
                hint: None,
            });
        }
        if key == TAG {
            // Without its tag nothing can be said about the rest of the table.
            return self.take_out(table);
        }
        if self.holds(table, key) {
            return false;
        }
        let position = self.position();
        let Some(value) = candidate(0, &position) else {
            return false;
        };
        let value = Spanned::new(position.clone(), value);
        match tree::table_mut(self.root.get_mut(), table) {
            Some(entries) => {
                entries.insert(Spanned::new(position, Cow::Owned(key.to_owned())), value);
                true
            }
            None => false,
        }
    }

    /// Reports an entry and takes it out; a made-up one is tried as another type instead.
    fn blame(&mut self, entry: Path, error: &Error, complaint: &Complaint) -> bool {
        let Some((key_span, value)) = tree::at(self.root.get_ref(), &entry) else {
            return false;
        };
        let value_span = value.span();
        if value_span.start >= MADE_UP {
            return self.try_another(entry, complaint);
        }
        let about_key = matches!(complaint, Complaint::UnknownKey { .. });
        let offset = match key_span {
            Some(key) if about_key => key.start,
            _ => value_span.start,
        };
        let (what, hint) = explain(complaint, error.message(), Some(value.get_ref()));
        self.faults.push(Fault { offset, what, hint });
        if let Complaint::UnknownKey { key, known } = complaint
            && let Some(meant) = nearest(key, known.iter().map(String::as_str))
        {
            let meant = meant.to_owned();
            self.excuse(&entry, meant);
        }
        self.take_out(&entry)
    }

    fn take_out(&mut self, entry: &[Step]) -> bool {
        let mut entry = entry.to_vec();
        if let Some(Step::Key(key)) = entry.last()
            && key == TAG
        {
            entry.pop();
        }
        match entry.last() {
            None => false,
            Some(Step::Key(key)) => {
                let key = key.clone();
                self.excuse(&entry, key);
                tree::remove(self.root.get_mut(), &entry)
            }
            Some(Step::Index(_)) => tree::remove(self.root.get_mut(), &entry),
        }
    }

    /// Remembers that a key of the table that holds `entry` needs no report of being missing.
    fn excuse(&mut self, entry: &[Step], key: String) {
        let table = entry.split_last().map_or(&[][..], |(_, table)| table);
        let start = match table {
            [] => self.root.span().start,
            path => match tree::at(self.root.get_ref(), path) {
                Some((_, value)) => value.span().start,
                None => return,
            },
        };
        self.excused.insert((start, key));
    }

    /// Gives the made-up value that an error speaks of another type.
    fn try_another(&mut self, mut entry: Path, complaint: &Complaint) -> bool {
        if matches!(complaint, Complaint::UnknownKey { .. }) {
            // It is the made-up table around the key that does not fit.
            entry.pop();
        }
        let position = self.position();
        let Some(value) = tree::at_mut(self.root.get_mut(), &entry) else {
            return false;
        };
        if let Complaint::UnknownWord { known, .. } = complaint
            && let Some(word) = known.first()
            && value.get_ref().as_str() != Some(word)
        {
            let word = DeValue::String(Cow::Owned(word.clone()));
            *value = Spanned::new(value.span(), word);
            return true;
        }
        let next = value.span().len() + 1;
        match candidate(next, &position) {
            Some(candidate) => {
                *value = Spanned::new(position.start..position.start + next, candidate);
                true
            }
            None => self.take_out_enclosing(entry),
        }
    }

    /// Takes out the nearest table or element of the file's own around a made-up value.
    fn take_out_enclosing(&mut self, mut entry: Path) -> bool {
        while entry.pop().is_some() && !entry.is_empty() {
            let own = tree::at(self.root.get_ref(), &entry)
                .is_some_and(|(_, value)| value.span().start < MADE_UP);
            if own {
                return self.take_out(&entry);
            }
        }
        false
    }

    /// A position that no entry has. Its length says which type was tried.
    fn position(&mut self) -> Range<usize> {
        self.made_up += 1;
        let start = MADE_UP + 64 * self.made_up;
        start..start
    }
}

/// The made-up values, by number: text that is a date as well, a number, tables, an array, a bool.
fn candidate<'i>(number: usize, position: &Range<usize>) -> Option<DeValue<'i>> {
    match number {
        0 => Some(DeValue::String(Cow::Borrowed("2000-01-01"))),
        1 => DeValue::parse("1").ok().map(Spanned::into_inner),
        2 => {
            let mut table = DeTable::new();
            table.insert(
                Spanned::new(position.clone(), Cow::Borrowed(TAG)),
                Spanned::new(position.clone(), DeValue::String(Cow::Borrowed("null"))),
            );
            Some(DeValue::Table(table))
        }
        3 => Some(DeValue::Array(DeArray::default())),
        4 => Some(DeValue::Table(DeTable::new())),
        5 => Some(DeValue::Boolean(false)),
        _ => None,
    }
}
