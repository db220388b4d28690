//! What masks write over hidden characters: one fill per character, or a fixed number of fills so
//! that the length of what was hidden stays hidden too.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clusters;
use crate::error::{Case, Misfit};
use crate::text::Output;

/// Most fills that `length` may ask for.
const LENGTH_MAX: usize = 256;

/// Most bytes of a fill: more than any emoji has, and no more than results should grow by.
const FILL_BYTES_MAX: usize = 64;

/// How many fills stand for what is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// One per hidden character.
    Same,
    /// That many, whatever was hidden.
    Fixed(usize),
}

impl Length {
    /// The number of fills, where it is one whatever was hidden.
    pub(crate) fn fixed(self) -> Option<usize> {
        match self {
            Self::Same => None,
            Self::Fixed(fills) => Some(fills),
        }
    }

    /// Whether this length reveals no more than `floor`: a fixed one hides how long the value was.
    pub(crate) fn at_least(self, floor: Self) -> bool {
        matches!(
            (self, floor),
            (Self::Fixed(_), _) | (Self::Same, Self::Same)
        )
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Same => serializer.serialize_str("same"),
            Self::Fixed(fills) => fills.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LengthVisitor;

        impl Visitor<'_> for LengthVisitor {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"same\" or a number of fills")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Length, E> {
                if text == "same" {
                    return Ok(Length::Same);
                }
                Err(E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_u64<E: de::Error>(self, fills: u64) -> Result<Length, E> {
                usize::try_from(fills)
                    .map(Length::Fixed)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(fills), &self))
            }

            fn visit_i64<E: de::Error>(self, fills: i64) -> Result<Length, E> {
                usize::try_from(fills)
                    .map(Length::Fixed)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(fills), &self))
            }
        }

        deserializer.deserialize_any(LengthVisitor)
    }
}

impl JsonSchema for Length {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "const": "same" },
            { "type": "integer", "minimum": 0, "maximum": LENGTH_MAX }
        ] })
    }
}

/// The fill a mask writes where none is given.
pub(crate) fn default_fill() -> String {
    "*".to_owned()
}

/// The length a mask has where none is given.
pub(crate) fn default_length() -> Length {
    Length::Same
}

/// A fill and how often it is written, both checked.
#[derive(Debug, Clone)]
pub(crate) struct Filler {
    fill: String,
    length: Length,
    /// Many fills, to be written at once.
    run: String,
}

/// Fills that are written at once.
const RUN: usize = 32;

impl Filler {
    /// Checks that `fill` is one visible character that stays apart from its neighbours.
    ///
    /// # Errors
    /// It is not; or `length` is above its limit.
    pub(crate) fn new(fill: &str, length: Length) -> Result<Self, Misfit> {
        if fill.len() > FILL_BYTES_MAX {
            let what = format!("`fill` is longer than {FILL_BYTES_MAX} bytes");
            return Err(
                Misfit::of_parameter("fill", what).with_hint("write one character such as \"*\"")
            );
        }
        let between = format!("a{fill}{fill}a");
        if !fill.chars().next().is_some_and(is_visible)
            || fill
                .chars()
                .any(|character| character.is_control() || is_directional(character))
            || clusters::count(&between) != 4
        {
            return Err(
                Misfit::of_parameter("fill", "`fill` must be one visible character")
                    .with_hint("write one character such as \"*\""),
            );
        }
        if matches!(length, Length::Fixed(fills) if fills > LENGTH_MAX) {
            let what = format!("`length` is above its limit of {LENGTH_MAX} fills");
            return Err(Misfit::of_parameter("length", what));
        }
        Ok(Self {
            fill: fill.to_owned(),
            length,
            run: fill.repeat(RUN),
        })
    }

    /// How many fills stand for what is hidden.
    pub(crate) fn length(&self) -> Length {
        self.length
    }

    /// The fill, where it is one byte.
    pub(crate) fn byte(&self) -> Option<u8> {
        match self.fill.as_bytes() {
            [byte] => Some(*byte),
            _ => None,
        }
    }

    /// Appends what stands for that many hidden characters.
    #[inline(always)]
    pub(crate) fn write(&self, hidden: usize, out: &mut impl Output) {
        let mut left = self.fills(hidden);
        while left > RUN {
            out.push(&self.run);
            left -= RUN;
        }
        out.push_first(&self.run, left * self.fill.len());
    }

    /// The same, as [final](Output::push_final) text.
    #[inline(always)]
    pub(crate) fn write_final(&self, hidden: usize, out: &mut impl Output) {
        let mut left = self.fills(hidden);
        while left > RUN {
            out.push_final(&self.run);
            left -= RUN;
        }
        out.push_final(self.run.get(..left * self.fill.len()).unwrap_or_default());
    }

    /// How many fills stand for that many hidden characters.
    #[inline(always)]
    fn fills(&self, hidden: usize) -> usize {
        match self.length {
            Length::Same => hidden,
            Length::Fixed(fills) => fills,
        }
    }

    /// Whether hidden text of that many characters is just what would be written for it, so that it
    /// would show.
    #[inline(always)]
    pub(crate) fn is_as_written(&self, text: &str, hidden: usize) -> bool {
        text.as_bytes().first() == self.fill.as_bytes().first()
            && text.len() == self.fills(hidden) * self.fill.len()
            && self.is_fills(text)
    }

    #[cold]
    fn is_fills(&self, text: &str) -> bool {
        let mut fills = text.as_bytes().chunks(self.fill.len().max(1));
        fills.all(|own| own == self.fill.as_bytes())
    }

    /// Appends `value` with fills for its bytes from `head` to `tail`, which are that many
    /// characters.
    ///
    /// # Errors
    /// Nothing would be hidden by it, or nothing is there; then nothing is appended.
    #[inline(always)]
    pub(crate) fn write_over(
        &self,
        value: &str,
        head: usize,
        tail: usize,
        hidden: usize,
        out: &mut impl Output,
    ) -> Result<(), Case> {
        let (Some(first), Some(covered), Some(last)) =
            (value.get(..head), value.get(head..tail), value.get(tail..))
        else {
            return Err(Case::Invalid);
        };
        if covered.is_empty() || self.is_as_written(covered, hidden) {
            return Err(Case::Short);
        }
        // Where the result is as long as the value: one copy, then the fills over it.
        if let Some(byte) = self.byte()
            && covered.len() == self.fills(hidden)
            && out.push_filled(value, head, tail, byte)
        {
            return Ok(());
        }
        out.push_final(first);
        self.write_final(hidden, out);
        if !last.is_empty() {
            out.push_final(last);
        }
        Ok(())
    }

    /// The bytes to reserve for `rows` masked values of together `bytes` bytes.
    pub(crate) fn output_bytes(&self, rows: usize, bytes: usize) -> usize {
        match self.length {
            Length::Same => bytes.saturating_mul(self.fill.len().max(2) / 2),
            Length::Fixed(fills) => {
                bytes.saturating_add(rows.saturating_mul(fills.saturating_mul(self.fill.len())))
            }
        }
    }
}

/// Whether a character shows: no white space, and none of those that Unicode has displays ignore
/// (format characters and Default_Ignorable_Code_Point) or leave blank.
fn is_visible(character: char) -> bool {
    let hidden = matches!(character,
        '\u{AD}' | '\u{34F}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{6DD}' | '\u{70F}'
        | '\u{890}'..='\u{891}' | '\u{8E2}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{110BD}' | '\u{110CD}'
        | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}');
    !hidden && !character.is_whitespace() && !character.is_control()
}

/// Whether a character turns the direction in which what follows is shown (Unicode UAX #9).
fn is_directional(character: char) -> bool {
    matches!(character,
        '\u{61C}' | '\u{200E}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_is_one_character() {
        for fill in ["*", "＊", "■", "👨‍👩‍👧", "x"] {
            assert!(Filler::new(fill, Length::Same).is_ok(), "{fill}");
        }
        for fill in [
            "",
            "**",
            "\n",
            "\u{301}",
            "\u{200D}",
            "\t",
            " ",
            "\u{3000}",
            "\u{200B}",
            "\u{202E}",
            "*\u{202E}",
            "\u{FEFF}",
            "\u{2800}",
        ] {
            let misfit = Filler::new(fill, Length::Same).unwrap_err();
            assert_eq!(misfit.parameter, Some("fill"), "{fill:?}");
        }
        assert_eq!(
            Filler::new("*", Length::Fixed(LENGTH_MAX + 1))
                .unwrap_err()
                .parameter,
            Some("length")
        );
    }

    #[test]
    fn a_fill_of_many_bytes_is_refused() {
        // One character to a reader, and as many bytes a value as there are marks on it.
        let marked = format!("*{}", "\u{301}".repeat(1_000));
        let misfit = Filler::new(&marked, Length::Fixed(256)).unwrap_err();
        assert_eq!(misfit.parameter, Some("fill"));
        assert!(misfit.what.contains("64 bytes") && misfit.hint.is_some());
    }

    #[test]
    fn what_would_show_is_not_written() {
        let over = |fill: &str, length, value: &str, head, tail| {
            let mut out = Vec::new();
            let filler = Filler::new(fill, length).unwrap();
            let hidden = value.get(head..tail).map_or(0, clusters::count);
            let written = filler.write_over(value, head, tail, hidden, &mut out);
            written.map(|()| String::from_utf8(out).unwrap())
        };
        let same = Length::Same;
        assert_eq!(over("*", same, "13800", 1, 4), Ok("1***0".to_owned()));
        assert_eq!(over("0", same, "13800", 3, 5), Err(Case::Short));
        assert_eq!(
            over("0", Length::Fixed(3), "13800", 3, 5),
            Ok("138000".to_owned())
        );
        assert_eq!(over("三", Length::Fixed(1), "张三", 3, 6), Err(Case::Short));
        assert_eq!(
            over("三", Length::Fixed(2), "张三", 3, 6),
            Ok("张三三".to_owned())
        );
        assert_eq!(over("*", same, "张三", 3, 5), Err(Case::Invalid));
        assert_eq!(over("*", same, "张三", 6, 3), Err(Case::Invalid));
        assert_eq!(over("*", same, "张三", 3, 3), Err(Case::Short));
    }

    #[test]
    fn length_is_same_or_a_number() {
        let read = |text: &str| serde_json::from_str::<Length>(text);
        assert_eq!(read("\"same\"").unwrap(), Length::Same);
        assert_eq!(read("3").unwrap(), Length::Fixed(3));
        for wrong in ["\"sane\"", "-1", "1.5", "null"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        for length in [Length::Same, Length::Fixed(3)] {
            let text = serde_json::to_string(&length).unwrap();
            assert_eq!(read(&text).unwrap(), length);
        }
    }

    #[test]
    fn a_fixed_length_reveals_less() {
        assert!(Length::Fixed(1).at_least(Length::Same));
        assert!(Length::Fixed(9).at_least(Length::Fixed(3)));
        assert!(!Length::Same.at_least(Length::Fixed(3)));
    }
}
