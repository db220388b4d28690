//! The characters that `fpe` permutes, and how a value is read as numerals of them.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use crate::clusters;
use crate::error::Misfit;
use crate::ff1::DOMAIN_MIN;

/// Most characters of a value: the time of the general path grows with their square.
pub(super) const LENGTH_MAX: usize = 256;

/// No character of the alphabet.
const NONE: u16 = u16::MAX;

/// The characters of an alphabet, in the order of their numerals.
#[derive(Debug)]
pub(super) struct Alphabet {
    characters: Vec<char>,
    /// The numerals of ASCII characters.
    ascii: [u16; 128],
    /// The numerals of the others, by character.
    others: Vec<(char, u16)>,
    /// Whether other spellings of a value are folded into one.
    folds: bool,
    stays: Stays,
}

/// What stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stays {
    Nothing,
    Separators,
    /// Everything that isn't of the alphabet.
    Others,
}

/// What a character of a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Numeral(u16),
    /// Left out, or kept where it is.
    Separator,
    /// Kept where it is, though it is no separator.
    Other,
    Foreign,
}

/// The characters that configuration calls by a name, or as written.
fn characters(written: &str) -> Cow<'_, str> {
    const DIGITS: &str = "0123456789";
    const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
    match written {
        "digits" => DIGITS.into(),
        "lower" => LOWER.into(),
        "upper" => UPPER.into(),
        "alphanumeric" => [DIGITS, UPPER, LOWER].concat().into(),
        other => other.into(),
    }
}

impl Alphabet {
    /// Reads an alphabet. `folds` says that the field's category has one spelling of a value.
    ///
    /// # Errors
    /// Fewer than two characters; one that stands twice, or in two forms; one that doesn't stand
    /// alone; so many that numerals of 16 bits don't do.
    pub(super) fn new(written: &str, folds: bool, stays: Stays) -> Result<Self, Misfit> {
        let characters: Vec<char> = characters(written).chars().collect();
        let misfit = |what: &str| {
            Misfit::of_parameter("alphabet", format!("`alphabet` {what}")).with_hint(
                "write \"digits\", \"lower\", \"upper\", \"alphanumeric\", or each character once",
            )
        };
        let mut sorted = characters.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() < characters.len() {
            return Err(misfit("holds a character twice"));
        }
        let mut forms: Vec<String> = characters.iter().map(|own| plain_form(*own)).collect();
        forms.sort_unstable();
        forms.dedup();
        if forms.len() < characters.len() {
            return Err(misfit(
                "holds one character in two forms, such as full-width and half-width",
            ));
        }
        if characters.len() < 2 || characters.len() >= usize::from(NONE) {
            return Err(misfit(
                "must hold at least two characters, and at most 65,534",
            ));
        }
        if characters.iter().any(|character| !stands_alone(*character)) {
            return Err(misfit(
                "holds a character that is white space, invisible, or joins its neighbour",
            ));
        }
        let mut ascii = [NONE; 128];
        let mut others = Vec::new();
        for (numeral, character) in (0_u16..).zip(&characters) {
            match ascii.get_mut(usize::try_from(u32::from(*character)).unwrap_or(usize::MAX)) {
                Some(place) => *place = numeral,
                None => others.push((*character, numeral)),
            }
        }
        others.sort_unstable();
        Ok(Self {
            characters,
            ascii,
            others,
            folds,
            stays,
        })
    }

    /// How many characters there are: 2 to 65,534.
    pub(super) fn radix(&self) -> u32 {
        u32::try_from(self.characters.len()).unwrap_or(u32::MAX)
    }

    /// Every character as a byte, where each is one.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        let bytes = self.characters.iter().map(|character| {
            let byte = u8::try_from(*character).ok()?;
            byte.is_ascii().then_some(byte)
        });
        bytes.collect()
    }

    /// Whether anything stays where it is.
    pub(super) fn keeps_any(&self) -> bool {
        self.stays != Stays::Nothing
    }

    /// The character of a numeral.
    pub(super) fn character(&self, numeral: u16) -> Option<char> {
        self.characters.get(usize::from(numeral)).copied()
    }

    /// The numeral of a byte that is a character by itself.
    #[inline]
    pub(super) fn of_byte(&self, byte: u8) -> Option<u16> {
        let numeral = self.ascii.get(usize::from(byte)).copied()?;
        (numeral != NONE).then_some(numeral)
    }

    fn numeral(&self, character: char) -> Option<u16> {
        if let Ok(byte) = u8::try_from(character)
            && byte.is_ascii()
        {
            return self.of_byte(byte);
        }
        let found = self
            .others
            .binary_search_by_key(&character, |(other, _)| *other);
        self.others.get(found.ok()?).map(|(_, numeral)| *numeral)
    }

    /// What a character of a value is.
    ///
    /// The alphabet comes first, so that what it holds is never folded or left out.
    pub(super) fn role(&self, character: char) -> Role {
        if let Some(numeral) = self.numeral(character) {
            return Role::Numeral(numeral);
        }
        if !self.folds && !self.keeps_any() {
            return Role::Foreign;
        }
        let plain = half_width(character);
        if let Some(numeral) = self.numeral(plain) {
            return Role::Numeral(numeral);
        }
        if is_spacing(plain) || self.keeps_any() && is_separator(plain) {
            return Role::Separator;
        }
        let other_case = if plain.is_ascii_lowercase() {
            plain.to_ascii_uppercase()
        } else {
            plain.to_ascii_lowercase()
        };
        match (self.numeral(other_case), self.stays) {
            (Some(numeral), _) => Role::Numeral(numeral),
            (None, Stays::Others) => Role::Other,
            (None, Stays::Nothing | Stays::Separators) => Role::Foreign,
        }
    }
}

/// Whether a character stays a character of its own beside others: no control, no white space,
/// nothing that combines.
fn stands_alone(character: char) -> bool {
    let between = format!("a{character}{character}a");
    !character.is_control() && !character.is_whitespace() && clusters::count(&between) == 4
}

/// A character as its compatibility form (NFKC) writes it.
fn plain_form(character: char) -> String {
    std::iter::once(character).nfkc().collect()
}

/// The half-width form of a full-width ASCII character.
fn half_width(character: char) -> char {
    match character {
        '\u{FF01}'..='\u{FF5E}' => {
            char::from_u32(u32::from(character) - 0xFEE0).unwrap_or(character)
        }
        other => other,
    }
}

/// Whether normalisation counts a character: everything but white space and hyphens.
pub(super) fn is_counted(character: char) -> bool {
    !is_spacing(half_width(character))
}

/// White space and hyphens: what normalisation leaves out of an identifier.
fn is_spacing(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// What else separates the parts of a number.
fn is_separator(character: char) -> bool {
    matches!(character, '.' | ',' | '/' | ':' | '_' | '(' | ')' | '·')
}

/// The fewest characters of a value over an alphabet of that many.
pub(super) fn length_min(radix: u32) -> usize {
    let mut length = 0;
    let mut size = 1;
    while size < DOMAIN_MIN {
        size *= u64::from(radix.max(2));
        length += 1;
    }
    length.max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_their_characters() {
        let radix = |written| {
            Alphabet::new(written, false, Stays::Nothing)
                .unwrap()
                .radix()
        };
        assert_eq!((radix("digits"), radix("lower")), (10, 26));
        assert_eq!((radix("upper"), radix("alphanumeric")), (26, 62));
        assert_eq!((radix("01"), radix("赵钱孙李𠮷")), (2, 5));
    }

    #[test]
    fn characters_that_do_not_stand_alone_are_refused() {
        for wrong in [
            "",
            "0",
            "00",
            "0 1",
            "0\u{301}1",
            "🇨🇳",
            "a\r",
            "ᄀ각",
            "0\u{200D}",
            "0１1",
            "01０",
            "ＡA",
            "ｱア",
        ] {
            let misfit = Alphabet::new(wrong, false, Stays::Nothing).unwrap_err();
            assert_eq!(misfit.parameter, Some("alphabet"), "{wrong:?}");
        }
    }

    #[test]
    fn folding_never_touches_what_the_alphabet_holds() {
        let plain = Alphabet::new("0123456789X-", true, Stays::Separators).unwrap();
        assert_eq!(plain.role('-'), Role::Numeral(11));
        assert_eq!(plain.role('x'), Role::Numeral(10));
        assert_eq!(plain.role('ｘ'), Role::Numeral(10));
        assert_eq!(plain.role('９'), Role::Numeral(9));
        assert_eq!(plain.role('\u{3000}'), Role::Separator);
        assert_eq!(plain.role('/'), Role::Separator);
        assert_eq!(plain.role('A'), Role::Foreign);
        let strict = Alphabet::new("digits", false, Stays::Nothing).unwrap();
        assert_eq!(strict.role('９'), Role::Foreign);
        assert_eq!(strict.role(' '), Role::Foreign);
        let both = Alphabet::new("Xx", true, Stays::Nothing).unwrap();
        assert_eq!(
            (both.role('X'), both.role('x')),
            (Role::Numeral(0), Role::Numeral(1))
        );
    }

    #[test]
    fn the_shortest_value_has_a_million_others() {
        assert_eq!((length_min(10), length_min(2), length_min(26)), (6, 20, 5));
        assert_eq!(
            (length_min(1_000), length_min(62), length_min(60_000)),
            (2, 4, 2)
        );
    }
}
