//! Patterns of fixed length, each of whose characters is of one class: identity numbers, telephone numbers,
//! dates. Of ASCII text, where each character is a byte, such a pattern is compared byte by byte, and
//! its groups stand where they always stand. The engine takes several times as long to find them.

use std::ops::Range;

use regex_syntax::hir::{Capture, Class, Hir, HirKind, Look, Repetition};

/// Most characters that are compared.
const CHARACTERS_MAX: usize = 64;

/// A pattern of fixed length.
#[derive(Debug, Default)]
pub(super) struct Fixed {
    /// Which ASCII characters can stand in each place.
    places: Vec<Ascii>,
    /// Where the groups stand, by their numbers; the whole is number 0.
    groups: Vec<Range<usize>>,
    /// Whether the pattern says that nothing follows.
    is_ended: bool,
}

/// Some of the ASCII characters, as bits.
#[derive(Debug, Clone, Copy, Default)]
struct Ascii([u64; 2]);

impl Ascii {
    fn add(&mut self, from: u8, to: u8) {
        for byte in from..=to.min(0x7F) {
            if let Some(bits) = self.0.get_mut(usize::from(byte / 64)) {
                *bits |= 1 << (byte % 64);
            }
        }
    }

    #[inline(always)]
    fn has(&self, byte: u8) -> bool {
        let bits = self.0.get(usize::from(byte / 64));
        bits.is_some_and(|bits| bits >> (byte % 64) & 1 == 1)
    }
}

impl Fixed {
    /// Reads a pattern with that many groups, the whole counted; `None` for one that isn't such.
    pub(super) fn read(pattern: &Hir, groups: usize) -> Option<Self> {
        let mut fixed = Self::default();
        fixed.groups.push(0..0);
        fixed.append(pattern)?;
        if let Some(whole) = fixed.groups.first_mut() {
            whole.end = fixed.places.len();
        }
        (fixed.groups.len() == groups).then_some(fixed)
    }

    fn append(&mut self, pattern: &Hir) -> Option<()> {
        match pattern.kind() {
            HirKind::Empty => Some(()),
            HirKind::Literal(text) => text.0.iter().try_for_each(|byte| {
                let mut only = Ascii::default();
                only.add(*byte, *byte);
                byte.is_ascii().then_some(())?;
                self.place(only)
            }),
            HirKind::Class(class) => self.place(ascii_of(class)),
            HirKind::Look(Look::Start) if self.places.is_empty() => Some(()),
            HirKind::Look(Look::End) => {
                self.is_ended = true;
                Some(())
            }
            HirKind::Repetition(Repetition { min, max, sub, .. }) => {
                // Which of its matches a repeated group keeps is left to the engine.
                let is_known = *max == Some(*min) && sub.properties().explicit_captures_len() == 0;
                is_known.then_some(())?;
                (0..*min).try_for_each(|_| self.append(sub))
            }
            HirKind::Capture(Capture { index, sub, .. }) => {
                // Groups are numbered as they begin.
                let group = self.groups.len();
                (usize::try_from(*index) == Ok(group)).then_some(())?;
                let start = self.places.len();
                self.groups.push(start..start);
                self.append(sub)?;
                self.groups.get_mut(group)?.end = self.places.len();
                Some(())
            }
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.append(part)),
            HirKind::Look(_) | HirKind::Alternation(_) => None,
        }
    }

    fn place(&mut self, ascii: Ascii) -> Option<()> {
        let has_room = self.places.len() < CHARACTERS_MAX && !self.is_ended;
        has_room.then(|| self.places.push(ascii))
    }

    /// Whether it matches the whole of a value in ASCII.
    #[inline]
    pub(super) fn matches(&self, value: &str) -> bool {
        let pairs = self.places.iter().zip(value.bytes());
        value.len() == self.places.len()
            && pairs.fold(true, |all, (place, byte)| all & place.has(byte))
    }

    /// Where a group stands.
    pub(super) fn group(&self, group: usize) -> Option<(usize, usize)> {
        self.groups.get(group).map(|range| (range.start, range.end))
    }
}

/// The ASCII characters of a class.
fn ascii_of(class: &Class) -> Ascii {
    let mut ascii = Ascii::default();
    match class {
        Class::Unicode(class) => {
            for range in class.ranges() {
                if let Ok(from) = u8::try_from(range.start()) {
                    ascii.add(from, u8::try_from(range.end()).unwrap_or(0x7F));
                }
            }
        }
        Class::Bytes(class) => {
            for range in class.ranges() {
                ascii.add(range.start(), range.end());
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use ::regex::Regex;
    use proptest::prelude::*;
    use regex_syntax::Parser;

    use super::*;

    fn read(pattern: &str) -> Option<Fixed> {
        let groups = Regex::new(pattern).unwrap().captures_len();
        Fixed::read(&Parser::new().parse(pattern).unwrap(), groups)
    }

    proptest! {
        #[test]
        fn groups_stand_where_the_engine_finds_them(
            other in "[0-9aAbk \\nX-]{0,9}",
            likely in "[0-9]{3}-?[0-9]{3,4}[0-9Xk]?",
        ) {
            for pattern in [
                r"(\d{3})(\d{4})",
                r"((\d)\d{2})-(\d{4})",
                r"^(\d{3})(-)()\d{3}[\dX]$",
                r"(?i)\d{3}(?P<mark>-)\d{4}(K)",
                r"(.{3}).{4}",
                r"(?s).(.)[^a](?-u:[0-9])",
                "",
            ] {
                let engine = Regex::new(&format!(r"\A(?:{pattern})\z")).unwrap();
                let fixed = read(pattern).unwrap();
                for value in [&other, &likely] {
                    let found = engine.captures(value);
                    prop_assert_eq!(fixed.matches(value), found.is_some(), "{} {:?}", pattern, value);
                    for (number, group) in found.iter().flat_map(|found| found.iter().enumerate()) {
                        let expected = group.map(|group| (group.start(), group.end()));
                        prop_assert_eq!(fixed.group(number), expected, "{} {:?}", pattern, value);
                    }
                }
            }
        }
    }

    #[test]
    fn what_takes_an_engine_is_left_to_it() {
        for pattern in [
            "a*",
            "a?",
            "a{1,2}",
            "a|bc",
            "(a){2}",
            "(a){0}(b)",
            r"\bab",
            "a^b",
            "a$b",
            "张a",
            "a{65}",
        ] {
            assert!(read(pattern).is_none(), "{pattern}");
        }
    }
}
