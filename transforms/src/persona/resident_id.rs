//! Resident identity numbers (GB 11643-1999): six digits of division, eight of birth date, three of
//! sequence with the sex in the last, a check character; and the older form of fifteen digits.

use std::borrow::Cow;

use super::person::Sex;
use crate::calendar::Civil;
use crate::check_digit;

/// What a valid number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResidentId {
    /// Six digits of division.
    pub(crate) region: u32,
    /// Birth date.
    pub(crate) birth: Civil,
    /// Three digits of sequence.
    pub(crate) sequence: u32,
}

impl ResidentId {
    /// Reads 18 characters with the right check character, or 15 digits; none where it is neither,
    /// or the birth date isn't a day from 1850 to 2149.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        match bytes.len() {
            18 => {
                let (check, digits) = bytes.split_last()?;
                if check_digit::resident_id::check(digits)? != check.to_ascii_uppercase() {
                    return None;
                }
                Self::of_digits(digits)
            }
            15 => Self::of_digits(&widened(bytes)?),
            _ => None,
        }
    }

    fn of_digits(digits: &[u8]) -> Option<Self> {
        let birth = day(
            number(digits.get(6..10)?)?,
            number(digits.get(10..12)?)?,
            number(digits.get(12..14)?)?,
        )?;
        Some(Self {
            region: number(digits.get(..6)?)?,
            birth,
            sequence: number(digits.get(14..17)?)?,
        })
    }

    /// The sex: odd sequences are men's.
    pub(crate) fn sex(self) -> Sex {
        if self.sequence % 2 == 1 {
            Sex::Male
        } else {
            Sex::Female
        }
    }

    /// The number as it is written, 18 characters.
    pub(crate) fn written(self) -> [u8; 18] {
        let mut text = [b'0'; 18];
        let date = self.birth.year * 10_000 + self.birth.month * 100 + self.birth.day;
        if let Some((check, digits)) = text.split_last_mut() {
            let parts = [
                (0, 6, u64::from(self.region)),
                (6, 14, u64::try_from(date).unwrap_or(0)),
                (14, 17, u64::from(self.sequence)),
            ];
            for (start, end, part) in parts {
                write_digits(digits.get_mut(start..end).unwrap_or_default(), part);
            }
            *check = check_digit::resident_id::check(digits).unwrap_or(b'0');
        }
        text
    }
}

/// One spelling of both forms: fifteen digits become eighteen, as they did in 1999.
pub(crate) fn unified(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() != 15 {
        return text;
    }
    match ResidentId::read(&text) {
        Some(id) => Cow::Owned(String::from_utf8_lossy(&id.written()).into_owned()),
        None => text,
    }
}

/// The 17 digits of a number of fifteen: the century put in.
fn widened(bytes: &[u8]) -> Option<[u8; 17]> {
    let mut digits = [b'0'; 17];
    digits.get_mut(..6)?.copy_from_slice(bytes.get(..6)?);
    digits.get_mut(6..8)?.copy_from_slice(b"19");
    digits.get_mut(8..)?.copy_from_slice(bytes.get(6..)?);
    digits.iter().all(u8::is_ascii_digit).then_some(digits)
}

/// The number that ASCII digits write; none for other characters, or more than nine.
pub(crate) fn number(digits: &[u8]) -> Option<u32> {
    let fits = !digits.is_empty() && digits.len() < 10 && digits.iter().all(u8::is_ascii_digit);
    fits.then(|| {
        digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    })
}

/// Writes a number's last digits over `slots`.
pub(crate) fn write_digits(slots: &mut [u8], mut number: u64) {
    for slot in slots.iter_mut().rev() {
        *slot = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// The day, where the calendar has it, from 1850 to 2149.
pub(crate) fn day(year: u32, month: u32, day: u32) -> Option<Civil> {
    let date = Civil {
        year: i64::from(year),
        month: i64::from(month),
        day: i64::from(day),
    };
    let within = (1_850..2_150).contains(&year) && (1..=12).contains(&month) && day >= 1;
    (within && Civil::of_days(date.to_days()) == date).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_written_back() {
        for text in ["11010519491231002X", "360426199101010071"] {
            let id = ResidentId::read(text).unwrap();
            assert_eq!(id.written(), text.as_bytes());
        }
        let id = ResidentId::read("11010519491231002X").unwrap();
        assert_eq!(
            (id.region, id.sequence, id.sex()),
            (110_105, 2, Sex::Female)
        );
        assert_eq!(
            (id.birth.year, id.birth.month, id.birth.day),
            (1949, 12, 31)
        );
        assert_eq!(ResidentId::read("11010519491231002x"), Some(id));
    }

    #[test]
    fn both_forms_are_one_number() {
        let short = ResidentId::read("110105491231002").unwrap();
        assert_eq!(short.written(), *b"11010519491231002X");
        assert_eq!(unified("110105491231002".into()), "11010519491231002X");
        assert_eq!(unified("11010549123100X".into()), "11010549123100X");
        assert_eq!(unified("11010519491231002X".into()), "11010519491231002X");
    }

    #[test]
    fn slips_and_days_that_never_were_are_not_numbers() {
        for text in [
            "110105194912310021",
            "11010519490231002X",
            "1101051949123100",
            "110105491331002",
            "11010519491231００",
            "",
        ] {
            assert_eq!(ResidentId::read(text), None, "{text}");
        }
    }
}
