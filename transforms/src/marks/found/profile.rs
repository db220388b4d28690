//! What a column looks like, whatever it is called: which field of the dataset it may be.

use std::collections::HashSet;

use arrow::array::{Array, StringArray};
use unicode_normalization::UnicodeNormalization;

use super::number::Number;
use super::time::Reader;
use super::{TimeSpelling, is_missing, seen};
use crate::classes::CharacterClass;

/// Kinds of values: numbers, dates, times, and other text.
const KINDS: usize = 4;

/// Classes of characters: digits, Latin letters, Han, separators, and the rest.
const CLASSES: usize = 5;

/// What a column looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The share of cells without a value.
    nulls: f64,
    /// The shares of the kinds among the values.
    kinds: [f64; KINDS],
    /// The shares of the classes among the values' characters.
    classes: [f64; CLASSES],
    /// Different values, as a share of the values.
    distinct: f64,
    /// Characters of a value, on average.
    length: f64,
}

/// Takes the profile of a column, or of a sample of one. Samples to be compared should be of
/// about the same size.
pub fn profile(sample: &StringArray) -> Profile {
    let (mut number, mut reader) = (Number::default(), Reader::new(TimeSpelling::Text));
    let (mut kinds, mut classes) = ([0_u32; KINDS], [0_u32; CLASSES]);
    let (mut scratch, mut distinct) = (String::new(), HashSet::new());
    for cell in sample.iter().flatten() {
        let text = seen(cell, &mut scratch);
        if is_missing(text) {
            continue;
        }
        let kind = match reader.moment(text) {
            Some(moment) if moment.is_midnight() => 1,
            Some(_) => 2,
            None if number.read(text) => 0,
            None => 3,
        };
        add(&mut kinds, kind);
        for character in text.chars() {
            add(&mut classes, class(character));
        }
        distinct.insert(cell);
    }
    let values: f64 = kinds.iter().copied().map(f64::from).sum();
    let characters: f64 = classes.iter().copied().map(f64::from).sum();
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let real = |count: usize| u32::try_from(count).map_or(f64::INFINITY, f64::from);
    let rows = real(sample.len());
    Profile {
        nulls: share(rows - values, rows),
        kinds: kinds.map(|count| share(count.into(), values)),
        classes: classes.map(|count| share(count.into(), characters)),
        distinct: share(real(distinct.len()), values),
        length: share(characters, values),
    }
}

fn add(counts: &mut [u32], at: usize) {
    if let Some(count) = counts.get_mut(at) {
        *count = count.saturating_add(1);
    }
}

fn class(character: char) -> usize {
    match CharacterClass::of(character) {
        Some(CharacterClass::Digit) => 0,
        Some(CharacterClass::Latin) => 1,
        Some(CharacterClass::Han) => 2,
        Some(CharacterClass::Separator) => 3,
        None => 4,
    }
}

impl Profile {
    /// How much two columns look alike, from 0 to 1: what they hold counts most, then what it is
    /// written with, how long and how varied it is, and little how much is missing.
    pub fn likeness(&self, other: &Self) -> f64 {
        0.35 * common(&self.kinds, &other.kinds)
            + 0.3 * common(&self.classes, &other.classes)
            + 0.15 * ratio(self.length, other.length)
            + 0.15 * ratio(self.distinct, other.distinct)
            + 0.05 * (1.0 - (self.nulls - other.nulls).abs())
    }
}

/// What two divisions of a whole have in common.
fn common(one: &[f64], other: &[f64]) -> f64 {
    let (mut both, mut apart) = (0.0, 0.0);
    for (one, other) in one.iter().zip(other) {
        both += one.min(*other);
        apart += one.max(*other);
    }
    // Nothing is like nothing.
    if apart > 0.0 { both.min(1.0) } else { 1.0 }
}

/// The smaller of two numbers as a share of the larger.
fn ratio(one: f64, other: f64) -> f64 {
    let larger = one.max(other);
    if larger > 0.0 {
        one.min(other) / larger
    } else {
        1.0
    }
}

/// How much the name of a column is like that of a field, from 0 to 1: 1 where they are the same but
/// for case, width, spaces and punctuation, and the Jaro-Winkler similarity of what is left otherwise.
pub fn name_likeness(found: &str, field: &str) -> f64 {
    let bare = |name: &str| -> String {
        let lower = name.nfkc().flat_map(char::to_lowercase);
        lower
            .filter(|character| character.is_alphanumeric())
            .collect()
    };
    let (found, field) = (bare(found), bare(field));
    if found.is_empty() || field.is_empty() {
        return 0.0;
    }
    strsim::jaro_winkler(&found, &field)
}
