//! Kinds of characters, told by their code points: what `keep-classes` and the typed masks go by.
//!
//! The classes are lists of code points, not Unicode properties, so that what a treatment keeps
//! doesn't grow when Unicode does. A character that is in no class is never kept by class.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A class of characters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CharacterClass {
    /// Decimal digits: `0`-`9` and full-width `０`-`９` (U+FF10-FF19).
    Digit,
    /// Latin letters: `A`-`Z`, `a`-`z`, accented ones (U+00C0-024F, 1E00-1EFF), full-width ones
    /// (U+FF21-FF3A, FF41-FF5A).
    Latin,
    /// Han characters: the CJK ideographs (U+3400-4DBF, 4E00-9FFF, F900-FAFF, planes 2 and 3) and
    /// `々`, `〇`. Radicals, strokes and private-use characters aren't in it.
    Han,
    /// Spaces, punctuation and symbols that divide: printable ASCII but letters and digits, U+00A0,
    /// `·`, dashes and quotation marks (U+2010-2027), `−`, CJK (U+3000-3003, 3008-3011, 3014-301F,
    /// 30FB) and full-width ones (U+FF01-FF0F, FF1A-FF20, FF3B-FF40, FF5B-FF65).
    Separator,
}

impl CharacterClass {
    /// The class of a code point, if it is in one.
    pub(crate) fn of(character: char) -> Option<Self> {
        match character {
            '\u{4E00}'..='\u{9FFF}'
            | '\u{3400}'..='\u{4DBF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{20000}'..='\u{3FFFD}'
            | '々'
            | '〇' => Some(Self::Han),
            '0'..='9' | '\u{FF10}'..='\u{FF19}' => Some(Self::Digit),
            'A'..='Z'
            | 'a'..='z'
            | '\u{C0}'..='\u{D6}'
            | '\u{D8}'..='\u{F6}'
            | '\u{F8}'..='\u{24F}'
            | '\u{1E00}'..='\u{1EFF}'
            | '\u{FF21}'..='\u{FF3A}'
            | '\u{FF41}'..='\u{FF5A}' => Some(Self::Latin),
            ' '..='~'
            | '\u{A0}'
            | '\u{B7}'
            | '\u{2010}'..='\u{2027}'
            | '\u{2212}'
            | '\u{3000}'..='\u{3003}'
            | '\u{3008}'..='\u{3011}'
            | '\u{3014}'..='\u{301F}'
            | '\u{30FB}'
            | '\u{FF01}'..='\u{FF0F}'
            | '\u{FF1A}'..='\u{FF20}'
            | '\u{FF3B}'..='\u{FF40}'
            | '\u{FF5B}'..='\u{FF65}' => Some(Self::Separator),
            _ => None,
        }
    }
}

/// Whether a code point is a Han character.
pub(crate) fn is_han(character: char) -> bool {
    CharacterClass::of(character) == Some(CharacterClass::Han)
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn classes_hold_what_unicode_says_they_are() {
        let properties = [
            (CharacterClass::Digit, r"\A\p{Nd}\z"),
            (CharacterClass::Latin, r"\A[\p{Latin}&&\p{L}]\z"),
            (CharacterClass::Han, r"\A[\p{Han}\p{Cn}]\z"),
            (CharacterClass::Separator, r"\A[\p{P}\p{S}\p{Zs}]\z"),
        ];
        for (class, pattern) in properties {
            let pattern = Regex::new(pattern).unwrap();
            let mut buffer = [0; 4];
            for character in '\0'..='\u{3FFFF}' {
                if CharacterClass::of(character) == Some(class) {
                    let text = character.encode_utf8(&mut buffer);
                    assert!(
                        pattern.is_match(text),
                        "{class:?} {:x}",
                        u32::from(character)
                    );
                }
            }
        }
    }

    #[test]
    fn every_ideograph_is_han() {
        let ideograph = Regex::new(r"\A[\p{Unified_Ideograph}]\z").unwrap();
        let mut buffer = [0; 4];
        for character in '\u{2E80}'..='\u{3FFFF}' {
            if ideograph.is_match(character.encode_utf8(&mut buffer)) {
                assert!(is_han(character), "{:x}", u32::from(character));
            }
        }
    }
}
