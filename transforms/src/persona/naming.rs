//! Names of persons, put together from the tables.

use super::draw::{Draw, another, share};
use super::names::{FEMALE, FREQUENT, MALE, SINGLE, SURNAMES, SYLLABLES};
use super::person::Sex;
use crate::error::Case;

/// Words of the draw; see [`super`].
const SURNAME: usize = 0;
const GIVEN: usize = 1;
const LENGTH: usize = 2;

/// Bytes of the longest reading of a surname: shangguan, 上官.
pub(crate) const READING_BYTES_MAX: usize = 9;

/// Given names of one character, of 65,536.
const SHORT_GIVEN: u32 = 9_830;

/// Characters between the parts of a name: the middle dot and those taken for it.
const DOTS: [char; 5] = ['·', '•', '・', '．', '.'];

/// A surname.
#[derive(Debug)]
struct Surname {
    text: &'static str,
    reading: &'static str,
    /// Share of this surname and those before it.
    end: u32,
}

/// What is kept of a name.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeptOfName {
    /// The number of characters, in every part.
    pub(crate) length: bool,
    /// Whether the surname is among the ten most frequent, the next ninety, or rarer.
    pub(crate) frequency: bool,
}

/// The tables, ready to be drawn from.
#[derive(Debug)]
pub(crate) struct Naming {
    surnames: Vec<Surname>,
    male: Vec<&'static str>,
    female: Vec<&'static str>,
    syllables: Vec<&'static str>,
}

impl Naming {
    pub(crate) fn new() -> Self {
        let mut end = 0;
        let surnames = SURNAMES.split_ascii_whitespace().map(|word| {
            let text = word.trim_end_matches(|character: char| character.is_ascii());
            let rest = word.strip_prefix(text).unwrap_or_default();
            let reading = rest.trim_end_matches(|character: char| character.is_ascii_digit());
            let share = rest
                .strip_prefix(reading)
                .and_then(|share| share.parse::<u32>().ok());
            end += share.unwrap_or(0);
            Surname { text, reading, end }
        });
        Self {
            surnames: surnames.collect(),
            male: characters(MALE),
            female: characters(FEMALE),
            syllables: characters(SYLLABLES),
        }
    }

    /// How the surname of a draw is read, in Latin letters.
    pub(crate) fn reading(&self, draw: &Draw) -> &'static str {
        self.surname(draw, 0, self.surnames.len())
            .map_or("", |surname| surname.reading)
    }

    /// Appends a name other than `original`.
    ///
    /// # Errors
    /// Short, where the length is kept and is one.
    pub(crate) fn write(
        &self,
        draw: &Draw,
        sex: Sex,
        original: &str,
        kept: KeptOfName,
        out: &mut Vec<u8>,
    ) -> Result<(), Case> {
        let length = kept.length.then(|| characters_in(original));
        if let Some(length) = length {
            if length < 2 {
                return Err(Case::Short);
            }
            if length > 4 || original.contains(DOTS) {
                self.write_syllables(draw, original, out);
                return Ok(());
            }
        }
        let (first, last) = self.class(original, length, kept.frequency);
        let surname = self
            .surname(draw, first, last)
            .map_or("", |surname| surname.text);
        let given = match length {
            Some(4) => 2,
            Some(length) => length - 1,
            None if draw.word(LENGTH) & 0xFFFF < SHORT_GIVEN => 1,
            None => 2,
        };
        let characters = match sex {
            Sex::Male => &self.male,
            Sex::Female => &self.female,
        };
        let start = out.len();
        out.extend_from_slice(surname.as_bytes());
        let pick = |half: u32| share(half << 16, characters.len());
        let mut place = pick(draw.word(GIVEN) >> 16);
        if given == 2 {
            out.extend_from_slice(at(characters, place));
            place = pick(draw.word(GIVEN) & 0xFFFF);
        }
        finish(draw, characters, place, original, start, out);
        Ok(())
    }

    /// Whether a character is one of given names of that sex.
    #[cfg(test)]
    pub(crate) fn is_given(&self, character: char, sex: Sex) -> bool {
        let characters = match sex {
            Sex::Male => &self.male,
            Sex::Female => &self.female,
        };
        characters.iter().any(|own| own.starts_with(character))
    }

    /// How the surname a name begins with is read.
    #[cfg(test)]
    pub(crate) fn reading_of(&self, name: &str) -> Option<&'static str> {
        let begins = self
            .surnames
            .iter()
            .filter(|own| name.starts_with(own.text));
        let longest = begins.max_by_key(|own| own.text.len());
        longest.map(|surname| surname.reading)
    }

    /// The surname of a draw, among those from `first` to before `last`, by their shares.
    fn surname(&self, draw: &Draw, first: usize, last: usize) -> Option<&Surname> {
        let within = self.surnames.get(first..last)?;
        let before = first
            .checked_sub(1)
            .and_then(|place| self.surnames.get(place));
        let before = before.map_or(0, |surname| surname.end);
        let total = within.last()?.end - before;
        let chosen = share(draw.word(SURNAME), usize::try_from(total).ok()?);
        let chosen = before + u32::try_from(chosen).ok()?;
        within.get(within.partition_point(|surname| surname.end <= chosen))
    }

    /// The surnames to choose from, by their places.
    fn class(&self, original: &str, length: Option<usize>, frequency: bool) -> (usize, usize) {
        let all = self.surnames.len();
        if length == Some(4) {
            return (SINGLE, all);
        }
        let end = if length.is_some() { SINGLE } else { all };
        if !frequency {
            return (0, end);
        }
        let original = original.trim_start();
        let place = self
            .surnames
            .iter()
            .position(|own| original.starts_with(own.text));
        match place {
            Some(0..FREQUENT) => (0, FREQUENT),
            Some(FREQUENT..SINGLE) => (FREQUENT, SINGLE),
            // Rarer than all that are listed: among the least frequent of the list.
            _ => (SINGLE - 10, end),
        }
    }

    /// A name of syllables, as long as the original in every part.
    fn write_syllables(&self, draw: &Draw, original: &str, out: &mut Vec<u8>) {
        let start = out.len();
        let mut written = 0_u8;
        let mut part = *draw;
        let mut place = 0;
        let mut pending = false;
        for character in original
            .chars()
            .filter(|character| !character.is_whitespace())
        {
            if pending {
                out.extend_from_slice(at(&self.syllables, place));
            }
            pending = !DOTS.contains(&character);
            if !pending {
                out.extend_from_slice("·".as_bytes());
                continue;
            }
            if written.is_multiple_of(8) {
                part = draw.more(b'n').more(written);
            }
            place = part.below(usize::from(written % 8), self.syllables.len());
            written = written.wrapping_add(1);
        }
        if pending {
            finish(draw, &self.syllables, place, original, start, out);
        }
    }
}

/// Appends the last character, and another in its place if the whole would be the original.
fn finish(
    draw: &Draw,
    characters: &[&str],
    place: usize,
    original: &str,
    start: usize,
    out: &mut Vec<u8>,
) {
    let end = out.len();
    out.extend_from_slice(at(characters, place));
    if out.get(start..) == Some(original.trim().as_bytes()) {
        out.truncate(end);
        let count = u64::try_from(characters.len()).unwrap_or(1);
        let other = another(u64::try_from(place).unwrap_or(0), count, draw);
        out.extend_from_slice(at(characters, usize::try_from(other).unwrap_or(0)));
    }
}

fn at<'a>(characters: &[&'a str], place: usize) -> &'a [u8] {
    characters
        .get(place)
        .map_or(&[], |character| character.as_bytes())
}

/// The characters of a table, one by one.
fn characters(table: &'static str) -> Vec<&'static str> {
    table.split_inclusive(|_: char| true).collect()
}

/// Characters of a name, without white space and dots.
fn characters_in(name: &str) -> usize {
    let counts = |character: &char| !character.is_whitespace() && !DOTS.contains(character);
    name.chars().filter(counts).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn name(seed: u32, original: &str, kept: KeptOfName) -> String {
        let mut out = Vec::new();
        let naming = Naming::new();
        naming
            .write(&Draw::of_seed(seed), Sex::Male, original, kept, &mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_tables_hold_what_they_say() {
        let naming = Naming::new();
        assert_eq!(naming.surnames.len(), SINGLE + 8);
        for (place, surname) in naming.surnames.iter().enumerate() {
            let characters = surname.text.chars().count();
            assert_eq!(
                characters,
                if place < SINGLE { 1 } else { 2 },
                "{}",
                surname.text
            );
            assert!(
                surname
                    .reading
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase())
            );
            assert!(!surname.reading.is_empty());
        }
        let surnames: BTreeSet<&str> = naming.surnames.iter().map(|own| own.text).collect();
        assert_eq!(surnames.len(), naming.surnames.len());
        for table in [&naming.male, &naming.female, &naming.syllables] {
            let distinct: BTreeSet<&&str> = table.iter().collect();
            assert_eq!(distinct.len(), table.len());
        }
        assert!(naming.male.len() > 80 && naming.female.len() > 80);
    }

    #[test]
    fn a_kept_length_is_kept_in_every_part() {
        let kept = KeptOfName {
            length: true,
            frequency: false,
        };
        for seed in 0..300 {
            for original in [
                "张三",
                "张三丰",
                "欧阳娜娜",
                "阿卜杜拉·买买提",
                "扎西多吉次仁",
                "𠮷野家",
            ] {
                let name = name(seed, original, kept);
                let parts = |name: &str| -> Vec<usize> {
                    name.split('·').map(|part| part.chars().count()).collect()
                };
                assert_eq!(parts(&name), parts(original), "{original} {name}");
            }
        }
        let mut out = Vec::new();
        let short = Naming::new().write(&Draw::of_seed(1), Sex::Male, "张", kept, &mut out);
        assert_eq!((short, out.len()), (Err(Case::Short), 0));
    }

    #[test]
    fn a_kept_frequency_keeps_the_class_of_the_surname() {
        let kept = KeptOfName {
            length: false,
            frequency: true,
        };
        let naming = Naming::new();
        for seed in 0..300 {
            let frequent = name(seed, "王小明", kept);
            assert!(
                naming.surnames[..10]
                    .iter()
                    .any(|own| frequent.starts_with(own.text))
            );
            let common = name(seed, "孔小明", kept);
            assert!(
                naming.surnames[10..100]
                    .iter()
                    .any(|own| common.starts_with(own.text))
            );
        }
    }

    #[test]
    fn a_name_never_becomes_itself() {
        for seed in 0..500 {
            for original in ["张三", "买买提·艾力"] {
                let kept = KeptOfName {
                    length: original.contains('·'),
                    frequency: false,
                };
                let first = name(seed, original, kept);
                assert_ne!(name(seed, &first, kept), first);
            }
        }
    }

    #[test]
    fn surnames_come_as_often_as_their_share() {
        let wang =
            (0..4_000).filter(|seed| name(*seed, "", KeptOfName::default()).starts_with('王'));
        let share = wang.count();
        // 725 of about 7,000 listed parts.
        assert!((330..500).contains(&share), "{share}");
    }

    #[test]
    fn no_surname_is_longer_than_two_characters_and_nine_letters() {
        let naming = Naming::new();
        let reading = naming.surnames.iter().map(|own| own.reading.len());
        assert_eq!(reading.max(), Some(READING_BYTES_MAX));
        assert_eq!(
            naming.surnames.iter().map(|own| own.text.len()).max(),
            Some(6)
        );
        assert!(
            naming
                .male
                .iter()
                .chain(&naming.female)
                .all(|own| own.len() == 3)
        );
    }
}
