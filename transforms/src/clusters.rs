//! Characters as a reader sees them: extended grapheme clusters (Unicode UAX #29).
//!
//! Full segmentation costs about a hundred nanoseconds a value. Most values of registers are ASCII
//! or Han, where every code point is a cluster of its own, so those are told apart first.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// Where the characters of a value begin.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clusters<'a> {
    /// One byte each.
    Bytes(&'a str),
    /// One code point each; the number of them.
    CodePoints(&'a str, usize),
    /// Byte offsets of their beginnings, and the value's length.
    Offsets(&'a [usize], usize),
}

impl<'a> Clusters<'a> {
    /// Finds the characters of `value`, using `scratch` where they need segmentation.
    pub(crate) fn of(value: &'a str, scratch: &'a mut Vec<usize>) -> Self {
        if is_bytes(value) {
            return Self::Bytes(value);
        }
        if let Some(count) = simple_count(value) {
            return Self::CodePoints(value, count);
        }
        scratch.clear();
        scratch.extend(value.grapheme_indices(true).map(|(offset, _)| offset));
        Self::Offsets(scratch, value.len())
    }

    /// How many characters there are.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Bytes(value) => value.len(),
            Self::CodePoints(_, count) => *count,
            Self::Offsets(offsets, _) => offsets.len(),
        }
    }

    /// The byte offset where character `index` begins; the value's length from the last on.
    pub(crate) fn offset(&self, index: usize) -> usize {
        match self {
            Self::Bytes(value) => index.min(value.len()),
            Self::CodePoints(value, count) => {
                if index >= *count {
                    value.len()
                } else if index <= count / 2 {
                    value.chars().take(index).map(char::len_utf8).sum()
                } else {
                    let after: usize = value
                        .chars()
                        .rev()
                        .take(count - index)
                        .map(char::len_utf8)
                        .sum();
                    value.len() - after
                }
            }
            Self::Offsets(offsets, length) => offsets.get(index).copied().unwrap_or(*length),
        }
    }
}

/// The number of characters of a value.
pub(crate) fn count(value: &str) -> usize {
    if is_bytes(value) {
        return value.len();
    }
    simple_count(value).unwrap_or_else(|| value.graphemes(true).count())
}

/// The byte offset where character `index` begins, where that and that there is one shows without
/// looking at what follows; else `None`.
pub(crate) fn head(value: &str, index: usize) -> Option<usize> {
    let mut characters = value.char_indices();
    for _ in 0..index {
        let (_, character) = characters.next()?;
        if !is_alone(character) {
            return None;
        }
    }
    let (offset, character) = characters.next()?;
    is_alone(character).then_some(offset)
}

/// Whether a character begins or the value ends at a byte offset between two code points.
pub(crate) fn is_boundary(value: &str, offset: usize) -> bool {
    let byte = |at: Option<usize>| value.as_bytes().get(at?).copied();
    if let (Some(before), Some(after)) = (byte(offset.checked_sub(1)), byte(Some(offset)))
        && before.is_ascii()
        && after.is_ascii()
        && before != b'\r'
    {
        return true;
    }
    let before = value
        .get(..offset)
        .and_then(|text| text.chars().next_back());
    let after = value.get(offset..).and_then(|text| text.chars().next());
    match (before, after) {
        (Some(before), Some(after)) if is_alone(before) && is_alone(after) => true,
        (Some(_), Some(_)) => GraphemeCursor::new(offset, value.len(), true)
            .is_boundary(value, 0)
            .unwrap_or(false),
        _ => true,
    }
}

/// Whether every byte is a character: ASCII without CR, which may be one with the LF after it.
#[inline]
fn is_bytes(value: &str) -> bool {
    // Most text that isn't ASCII says so with its first byte; else no early exit, so that the
    // compiler looks at many bytes at once.
    if !value.as_bytes().first().is_none_or(u8::is_ascii) {
        return false;
    }
    let other = |byte: &u8| !byte.is_ascii() | (*byte == b'\r');
    !value
        .as_bytes()
        .iter()
        .fold(false, |found, byte| found | other(byte))
}

/// The number of characters, where every code point is known to be one.
fn simple_count(value: &str) -> Option<usize> {
    let bytes = value.as_bytes();
    let mut count = 0;
    let mut at = 0;
    while let Some(lead) = bytes.get(at) {
        at += match lead {
            // U+4000 to U+9FFF: nearly all Han text, told by its first byte alone.
            0xE4..=0xE9 => 3,
            b' '..=b'~' => 1,
            _ => {
                let character = value.get(at..)?.chars().next()?;
                if !is_alone(character) {
                    return None;
                }
                character.len_utf8()
            }
        };
        count += 1;
    }
    Some(count)
}

/// Whether a code point never joins another of these into one cluster. True for a subset of the
/// code points of which that holds; CR is out because CR LF is one cluster.
fn is_alone(character: char) -> bool {
    matches!(character,
        '\u{4000}'..='\u{9FFF}'          // end of extension A, hexagrams, CJK ideographs
        | ' '..='~'
        | '\u{A0}'..='\u{2FF}'           // Latin, IPA, modifier letters
        | '\u{2010}'..='\u{2027}'        // dashes and quotation marks
        | '\u{3000}'..='\u{3029}'        // CJK punctuation
        | '\u{3041}'..='\u{3096}'        // Hiragana
        | '\u{30A0}'..='\u{30FF}'        // Katakana
        | '\u{3400}'..='\u{3FFF}'        // extension A, but for its end
        | '\u{FF01}'..='\u{FF9D}'        // full-width and half-width forms
        | '\u{20000}'..='\u{2FA1D}'      // extensions B to F and I, compatibility supplement
        | '\u{30000}'..='\u{323AF}'      // extensions G and H
        | '\0'..='\u{0C}' | '\u{0E}'..='\u{1F}' | '\u{7F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_taken_as_alone_are() {
        let alone: Vec<char> = ('\0'..=char::MAX).filter(|c| is_alone(*c)).collect();
        let text: String = alone.iter().collect();
        assert_eq!(text.graphemes(true).count(), alone.len());
        let backwards: String = alone.iter().rev().collect();
        assert_eq!(backwards.graphemes(true).count(), alone.len());
        for pair in ["\u{A9}\u{A9}", "々々", "ーー", "\n\n", "é\u{2019}"] {
            assert_eq!(pair.graphemes(true).count(), count(pair), "{pair:?}");
        }
    }

    #[test]
    fn the_head_of_common_text_is_found_without_its_rest() {
        assert_eq!(head("浙江省杭州市", 3), Some(9));
        assert_eq!(head("a1c", 2), Some(2));
        assert_eq!(head("a1", 2), None);
        assert_eq!(head("张e\u{301}x", 2), None);
        assert_eq!(head("", 0), None);
    }

    #[test]
    fn offsets_agree_with_segmentation() {
        let values = [
            "110105194912310021",
            "欧阳娜娜",
            "𠮷野家a",
            "👨‍👩‍👧张e\u{301}",
            "a\r\nb",
            "🇨🇳🇨🇳",
            "각ᄀ",
            "",
        ];
        for value in values {
            let mut scratch = Vec::new();
            let clusters = Clusters::of(value, &mut scratch);
            let expected: Vec<usize> = value.grapheme_indices(true).map(|(at, _)| at).collect();
            assert_eq!(clusters.count(), expected.len(), "{value}");
            assert_eq!(count(value), expected.len(), "{value}");
            for (index, at) in expected.iter().enumerate() {
                assert_eq!(clusters.offset(index), *at, "{value}");
            }
            for index in 0..=expected.len() + 1 {
                let found = head(value, index);
                assert!(
                    found.is_none() || found == expected.get(index).copied(),
                    "{value}"
                );
            }
            assert_eq!(clusters.offset(expected.len()), value.len());
            assert_eq!(clusters.offset(usize::MAX), value.len());
        }
    }
}
