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

    /// Where the first or last delimiter stands, if any does, in a value of which each code point is
    /// a character. `None` where several count, or the delimiter isn't one ASCII or Han character.
    #[inline]
    pub(super) fn one_in(
        &self,
        value: &str,
        occurrence: Occurrence,
    ) -> Option<Option<Range<usize>>> {
        let bytes = value.as_bytes();
        let one = self.single.and_then(|_| self.texts.first())?;
        let at = match *one.as_bytes() {
            [one] => {
                let is_it = |found: &u8| *found == one;
                match occurrence {
                    Occurrence::First => bytes.iter().position(is_it),
                    Occurrence::Last => bytes.iter().rposition(is_it),
                    Occurrence::All => return None,
                }
            }
            [lead @ 0xE4..=0xE9, second, third] => {
                let mut found = bytes.windows(3);
                let is_it = |found: &[u8]| *found == [lead, second, third];
                match occurrence {
                    Occurrence::First => found.position(is_it),
                    Occurrence::Last => found.rposition(is_it),
                    Occurrence::All => return None,
                }
            }
            _ => return None,
        };
        Some(at.map(|at| at..at + one.len()))
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

/// Where a delimiter stands that was found; nowhere if it is only part of a character.
fn whole(value: &str, (at, found): (usize, &str)) -> Option<Range<usize>> {
    let end = at + found.len();
    let apart = clusters::is_boundary(value, at) && clusters::is_boundary(value, end);
    apart.then_some(at..end)
}
