//! Landline telephone numbers of the mainland, in the spellings that people write.

use unicode_normalization::UnicodeNormalization;

/// A landline telephone number, or one of 400 or 800, without its extension.
#[derive(Debug)]
pub(crate) struct Landline {
    text: Spelling,
    area_bytes: usize,
    number: [u8; 8],
    number_bytes: usize,
}

impl Landline {
    /// Reads a number in any of its spellings; none for what is no landline.
    pub(crate) fn read(value: &str) -> Option<Self> {
        let text = spelling(value)?;
        let (area, rest) = area_code(text.bytes())?;
        let mut number = [0_u8; 8];
        let mut length = 0;
        let mut parts = rest
            .split(|byte| !byte.is_ascii_digit())
            .filter(|part| !part.is_empty());
        while length < 7 {
            for digit in parts.next()? {
                *number.get_mut(length)? = *digit;
                length += 1;
            }
        }
        let extension = parts.next().unwrap_or_default();
        let first = number.first().copied().unwrap_or_default();
        let plausible = area.len() == 3 && area.starts_with(b"400")
            || area.starts_with(b"800")
            || (b'2'..=b'9').contains(&first);
        if !plausible || extension.len() > 6 || parts.next().is_some() {
            return None;
        }
        let area_bytes = area.len();
        Some(Self {
            text,
            area_bytes,
            number,
            number_bytes: length,
        })
    }

    /// The area code, such as `010` or `0571`; or `400`, `800`.
    pub(crate) fn area(&self) -> &[u8] {
        self.text.bytes().get(..self.area_bytes).unwrap_or_default()
    }

    /// Whether the area code names a place.
    pub(crate) fn has_region(&self) -> bool {
        self.area().starts_with(b"0")
    }

    /// The seven or eight digits after the area code.
    pub(crate) fn number(&self) -> &[u8] {
        self.number.get(..self.number_bytes).unwrap_or_default()
    }
}

/// A number in its one spelling, without an allocation.
#[derive(Debug, Default)]
struct Spelling {
    buffer: [u8; SPELLING_BYTES_MAX],
    length: usize,
}

/// Longer than every landline number with its country code, extension and hyphens.
const SPELLING_BYTES_MAX: usize = 32;

impl Spelling {
    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// `None` where it becomes longer than any number is.
    fn push(&mut self, byte: u8) -> Option<()> {
        *self.buffer.get_mut(self.length)? = byte;
        self.length += 1;
        Some(())
    }
}

/// Half-width, hyphens only between digits, an extension's word as a hyphen, without `+86`; `None`
/// for what is too long to be a number.
fn spelling(value: &str) -> Option<Spelling> {
    let mut text = Spelling::default();
    let mut push = |character: char| match character {
        '0'..='9' | '+' => text.push(u8::try_from(character).ok()?),
        '(' | ')' | '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '转' | '轉' => {
            // Those at the beginning stand between nothing.
            match text.length {
                0 => Some(()),
                _ => text.push(b'-'),
            }
        }
        white if white.is_whitespace() => Some(()),
        _ => text.push(b'?'),
    };
    match value.is_ascii() {
        true => value.chars().try_for_each(&mut push)?,
        false => value.nfkc().try_for_each(&mut push)?,
    }
    for code in [b"+86".as_slice(), b"0086"] {
        if let Some(rest) = text.bytes().strip_prefix(code) {
            let rest = rest.strip_prefix(b"-").unwrap_or(rest);
            let mut national = Spelling::default();
            if !matches!(rest, [b'0', ..] | [b'4' | b'8', b'0', b'0', ..]) {
                national.push(b'0')?;
            }
            rest.iter().try_for_each(|byte| national.push(*byte))?;
            return Some(national);
        }
    }
    Some(text)
}

/// The area code, and what follows: 010 and 02x, otherwise 0 and three digits; or 400, 800.
fn area_code(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text
        .iter()
        .any(|byte| !byte.is_ascii_digit() && *byte != b'-')
    {
        return None;
    }
    let length = match text {
        [b'0', b'1', b'0', ..] | [b'0', b'2', ..] | [b'4' | b'8', b'0', b'0', ..] => 3,
        [b'0', b'3'..=b'9', ..] => 4,
        _ => return None,
    };
    text.split_at_checked(length)
        .filter(|(area, _)| area.iter().all(u8::is_ascii_digit))
}
