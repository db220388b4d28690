//! The texts that divide a value, and where they stand in one.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Occurrence;
use crate::clusters;
use crate::error::Misfit;
use crate::words;

/// Most delimiters of one treatment.
const DELIMITERS_MAX: usize = 16;

/// One delimiter or several. One is written as text, so that a list of one is the same treatment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delimiters(Vec<String>);

impl Default for Delimiters {
    fn default() -> Self {
        Self(vec!["@".to_owned()])
    }
}

impl Delimiters {
    /// Refuses lists that divide nothing or say a thing twice.
    ///
    /// # Errors
    /// There is none, or too many; one is empty, or stands twice.
    pub(super) fn check(&self) -> Result<(), Misfit> {
        let refused = |what: &str| {
            Err(Misfit::of_parameter("delimiter", what)
                .with_hint("write the text that divides the value, such as \"@\", or several"))
        };
        if self.0.is_empty() || self.0.iter().any(String::is_empty) {
            return refused("`delimiter` is empty");
        }
        if self.0.len() > DELIMITERS_MAX {
            return refused("`delimiter` lists more than 16 texts");
        }
        if self.0.iter().any(|text| joins(text)) {
            return refused("`delimiter` has a text that joins what stands beside it");
        }
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() < self.0.len() {
            return refused("`delimiter` lists a text twice");
        }
        Ok(())
    }

    /// Whether both are the same texts, in whatever order.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|own| other.0.contains(own))
    }
}

impl Serialize for Delimiters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => only.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Delimiters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DelimitersVisitor;

        impl<'de> Visitor<'de> for DelimitersVisitor {
            type Value = Delimiters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Delimiters, E> {
                Ok(Delimiters(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Delimiters, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = items.next_element()? {
                    texts.push(text);
                }
                Ok(Delimiters(texts))
            }
        }

        deserializer.deserialize_any(DelimitersVisitor)
    }
}

impl JsonSchema for Delimiters {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Delimiters".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string", "minLength": 1 },
            {
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
                "minItems": 1,
                "maxItems": DELIMITERS_MAX,
                "uniqueItems": true
            }
        ] })
    }
}

/// A delimiter in a value.
#[derive(Debug)]
pub(super) struct One {
    /// Its bytes.
    pub(super) at: Range<usize>,
    /// Characters before it.
    pub(super) before: usize,
}

/// Finds delimiters in values.
#[derive(Debug)]
pub(super) struct Search {
    /// The longest first.
    texts: Vec<String>,
    /// The only delimiter where it is one code point, which is searched faster.
    single: Option<char>,
}

impl Search {
    pub(super) fn new(delimiters: &Delimiters) -> Self {
        let mut texts = delimiters.0.clone();
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let single = match texts.as_slice() {
            [only] => {
                let mut characters = only.chars();
                characters.next().filter(|_| characters.next().is_none())
            }
            _ => None,
        };
        Self { texts, single }
    }

    /// Where the first or last delimiter stands, if any does, in a value of `count` characters that
    /// is nothing but printable ASCII and characters of three bytes. `None` where several count, or
    /// the delimiter isn't one ASCII or Han character.
    #[inline]
    pub(super) fn one_in(
        &self,
        value: &str,
        count: usize,
        occurrence: Occurrence,
    ) -> Option<Option<One>> {
        if occurrence == Occurrence::All {
            return None;
        }
        let is_last = occurrence == Occurrence::Last;
        let bytes = value.as_bytes();
        let one = self.single.and_then(|_| self.texts.first())?;
        let found = match *one.as_bytes() {
            [one] => {
                let is_it = |found: &u8| *found == one;
                let at = match is_last {
                    true => bytes.iter().rposition(is_it),
                    false => bytes.iter().position(is_it),
                };
                let before = |at: usize| match count == bytes.len() {
                    true => Some(at),
                    false => words::plain_count(value.get(..at)?),
                };
                at.and_then(|at| Some((at, before(at)?)))
            }
            [lead @ 0xE4..=0xE9, second, third] if is_last => {
                let found = last_of(bytes, [lead, second, third]);
                found.map(|(at, after)| (at, count.saturating_sub(after + 1)))
            }
            [lead @ 0xE4..=0xE9, second, third] => first_of(bytes, [lead, second, third]),
            _ => return None,
        };
        Some(found.map(|(at, before)| One {
            at: at..at + one.len(),
            before,
        }))
    }

    /// The delimiter that begins first.
    pub(super) fn first(&self, value: &str) -> Option<Range<usize>> {
        // Most values are short and their first delimiter is one: no searcher need be set up.
        if let ([text], Some(_)) = (self.texts.as_slice(), self.single)
            && let [byte] = text.as_bytes()
            && let Some(at) = value.bytes().position(|found| found == *byte)
            && let Some(found) = whole(value, (at, text))
        {
            return Some(found);
        }
        let first = |text: &String| match self.single {
            Some(single) => value
                .match_indices(single)
                .find_map(|found| whole(value, found)),
            None => value
                .match_indices(text.as_str())
                .find_map(|found| whole(value, found)),
        };
        // Of equals the first is taken, which is the longest.
        self.texts
            .iter()
            .filter_map(first)
            .min_by_key(|found| found.start)
    }

    /// The delimiter that ends last.
    pub(super) fn last(&self, value: &str) -> Option<Range<usize>> {
        let last = |text: &String| match self.single {
            Some(single) => value
                .rmatch_indices(single)
                .find_map(|found| whole(value, found)),
            None => value
                .rmatch_indices(text.as_str())
                .find_map(|found| whole(value, found)),
        };
        let found = self.texts.iter().filter_map(last);
        found.max_by_key(|found| (found.end, found.len()))
    }

    /// Every delimiter, from the beginning, none over another.
    pub(super) fn all<'a>(&'a self, value: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        let only = match self.texts.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        let of_one = only
            .into_iter()
            .flat_map(|text| value.match_indices(text.as_str()));
        let of_one = of_one.filter_map(|found| whole(value, found));
        let several = only.is_none().then(|| self.several(value));
        of_one.chain(several.into_iter().flatten())
    }

    /// The same of more than one text. Where each stands next is remembered, so that a text that is
    /// rare isn't sought again from every other one on.
    fn several<'a>(&'a self, value: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        let next_of = |text: &str, at: usize| {
            let rest = value.get(at..)?;
            let mut found = rest.match_indices(text);
            found.find_map(|(offset, found)| whole(value, (at + offset, found)))
        };
        let mut next: Vec<_> = self.texts.iter().map(|text| next_of(text, 0)).collect();
        std::iter::from_fn(move || {
            let found = next
                .iter()
                .flatten()
                .min_by_key(|found| found.start)?
                .clone();
            for (text, next) in self.texts.iter().zip(&mut next) {
                if next.as_ref().is_some_and(|next| next.start < found.end) {
                    *next = next_of(text, found.end);
                }
            }
            Some(found)
        })
    }
}

/// Whether a text may become part of what stands beside it: then what divides a value depends on all
/// that stands before it, as with the halves of flags.
fn joins(text: &str) -> bool {
    let is_half_a_flag = |character: char| matches!(character, '\u{1F1E6}'..='\u{1F1FF}');
    text.starts_with(is_half_a_flag)
        || text.ends_with(is_half_a_flag)
        || clusters::count(&text.repeat(2)) != 2 * clusters::count(text)
}

/// Where a character of three bytes stands first in text of one or three bytes a character, and how
/// many characters stand before it.
#[inline]
fn first_of(bytes: &[u8], one: [u8; 3]) -> Option<(usize, usize)> {
    let (mut at, mut before) = (0, 0);
    while let Some(lead) = bytes.get(at) {
        if lead.is_ascii() {
            at += 1;
        } else if bytes.get(at..)?.first_chunk() == Some(&one) {
            return Some((at, before));
        } else {
            at += 3;
        }
        before += 1;
    }
    None
}

/// The same of the last one, and how many stand after it.
#[inline]
fn last_of(bytes: &[u8], one: [u8; 3]) -> Option<(usize, usize)> {
    let (mut end, mut after) = (bytes.len(), 0);
    while let Some(last) = end.checked_sub(1).and_then(|at| bytes.get(at)) {
        if last.is_ascii() {
            end -= 1;
        } else if bytes.get(..end)?.last_chunk() == Some(&one) {
            return Some((end.checked_sub(3)?, after));
        } else {
            end = end.checked_sub(3)?;
        }
        after += 1;
    }
    None
}

/// Where a delimiter stands that was found; nowhere if it is only part of a character.
fn whole(value: &str, (at, found): (usize, &str)) -> Option<Range<usize>> {
    let end = at + found.len();
    let apart = clusters::is_boundary(value, at) && clusters::is_boundary(value, end);
    apart.then_some(at..end)
}
