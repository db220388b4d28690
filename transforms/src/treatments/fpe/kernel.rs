//! Values of text as numerals, permuted together.

use std::borrow::Cow;
use std::fmt;

use super::alphabet::{Alphabet, LENGTH_MAX, Role, is_counted, length_min};
use crate::error::{Case, TreatmentError};
use crate::ff1::{Direction, Ff1, Lanes};
use crate::number::Divider;
use crate::text::{TextKernel, TreatTogether, Written};

/// Values read, permuted and written in one go: what they need stays in the nearest caches.
const CHUNK: usize = 960;

/// The longest values, in characters, that the lanes take.
const LANES_LENGTH_MAX: usize = 128;

/// FF1 over text.
pub(super) struct Kernel {
    ff1: Ff1,
    direction: Direction,
    alphabet: Alphabet,
    /// By length; absent where the domain is too small or a half is wider than 64 bits.
    lanes: Vec<Option<Lanes>>,
    radix: Divider,
    length_min: usize,
    tweak: Vec<u8>,
    /// The characters as bytes, where each is one.
    bytes: Option<Vec<u8>>,
    mobile: Option<Normalise>,
}

/// How mobile numbers are brought to one spelling, which has no country code.
pub(super) type Normalise = fn(&str) -> Cow<'_, str>;

/// Digits of a mobile number without a country code.
const MOBILE_DIGITS: usize = 11;

/// A value as it was read.
enum Parsed {
    Case(Case),
    /// Halves of a value of that length.
    Halves(usize, u64, u64),
    /// A value too long for two halves of 64 bits.
    Long(Vec<u16>),
}

impl Kernel {
    /// None for an alphabet of a size that FF1 doesn't take.
    pub(super) fn new(
        ff1: Ff1,
        direction: Direction,
        alphabet: Alphabet,
        tweak: Vec<u8>,
        mobile: Option<Normalise>,
    ) -> Option<Self> {
        let radix = alphabet.radix();
        let lanes = (0..=LANES_LENGTH_MAX)
            .map(|length| Lanes::new(&ff1, radix, length, &tweak))
            .collect();
        Some(Self {
            lanes,
            radix: Divider::new(u64::from(radix))?,
            length_min: length_min(radix),
            bytes: alphabet.bytes(),
            ff1,
            direction,
            alphabet,
            tweak,
            mobile,
        })
    }

    fn lanes(&self, length: usize) -> Option<&Lanes> {
        self.lanes.get(length)?.as_ref()
    }

    fn read(&self, value: &str, scratch: &mut Vec<u16>) -> Parsed {
        if let Some(parsed) = self.read_plain(value) {
            return parsed;
        }
        scratch.clear();
        let mut skip = self.skipped(value);
        let mut others = false;
        for character in value.chars() {
            match self.alphabet.role(character) {
                _ if skip > 0 => skip -= usize::from(is_counted(character)),
                Role::Numeral(_) if scratch.len() == LENGTH_MAX => {
                    return Parsed::Case(Case::Invalid);
                }
                Role::Numeral(numeral) => scratch.push(numeral),
                Role::Separator => {}
                Role::Other => others = true,
                Role::Foreign => return Parsed::Case(Case::Invalid),
            }
        }
        // A value of nothing but what stays isn't empty: it would be kept whole.
        if scratch.is_empty() && !others {
            return Parsed::Case(Case::Empty);
        }
        if scratch.len() < self.length_min {
            return Parsed::Case(Case::Short);
        }
        if self.lanes(scratch.len()).is_none() {
            return Parsed::Long(scratch.clone());
        }
        let (left, right) = scratch.split_at(scratch.len() / 2);
        let number = |half: &[u16]| {
            let next = |sum: u64, one: &u16| sum * self.radix.divisor() + u64::from(*one);
            half.iter().fold(0, next)
        };
        Parsed::Halves(scratch.len(), number(left), number(right))
    }

    /// Reads a value that is nothing but ASCII characters of the alphabet.
    fn read_plain(&self, value: &str) -> Option<Parsed> {
        let bytes = value.as_bytes();
        self.lanes(bytes.len())?;
        if self.mobile.is_some() && bytes.len() > MOBILE_DIGITS {
            return None;
        }
        let (left, right) = bytes.split_at_checked(bytes.len() / 2)?;
        let number = |half: &[u8]| {
            half.iter().try_fold(0_u64, |sum, byte| {
                Some(sum * self.radix.divisor() + u64::from(self.alphabet.of_byte(*byte)?))
            })
        };
        Some(Parsed::Halves(bytes.len(), number(left)?, number(right)?))
    }

    /// How many characters at the beginning, separators not counted, normalisation leaves out.
    fn skipped(&self, value: &str) -> usize {
        let Some(normalise) = self.mobile.filter(|_| value.len() > MOBILE_DIGITS) else {
            return 0;
        };
        let number = normalise(value);
        if number.len() != MOBILE_DIGITS || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return 0;
        }
        let counted = value.chars().filter(|character| is_counted(*character));
        counted.count().saturating_sub(MOBILE_DIGITS)
    }

    /// Permutes the values of a chunk, those of one length together.
    fn permute(&self, parsed: &mut [Parsed]) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let mut lengths: Vec<usize> = parsed.iter().filter_map(Parsed::lanes_length).collect();
        lengths.dedup();
        lengths.sort_unstable();
        lengths.dedup();
        for length in lengths {
            let of_length = |one: &Parsed| one.lanes_length() == Some(length);
            left.clear();
            right.clear();
            for one in parsed.iter().filter(|one| of_length(one)) {
                if let Parsed::Halves(_, high, low) = one {
                    left.push(*high);
                    right.push(*low);
                }
            }
            if let Some(lanes) = self.lanes(length) {
                lanes.permute(&self.ff1, self.direction, (&mut left, &mut right), &[]);
            }
            let permuted = left.iter().zip(&right);
            let places = parsed.iter_mut().filter(|one| of_length(one));
            for (place, (high, low)) in places.zip(permuted) {
                *place = Parsed::Halves(length, *high, *low);
            }
        }
        for one in parsed {
            if let Parsed::Long(numerals) = one {
                let permuted =
                    self.ff1
                        .permute(self.direction, self.alphabet.radix(), &self.tweak, numerals);
                *one = permuted.map_or(Parsed::Case(Case::Invalid), Parsed::Long);
            }
        }
    }

    /// Writes halves of characters of one byte each.
    fn write_plain(&self, bytes: &[u8], (length, high, low): (usize, u64, u64), out: &mut Vec<u8>) {
        let begin = out.len();
        out.resize(begin + length, 0);
        let places = out.get_mut(begin..).unwrap_or_default();
        let (left, right) = places.split_at_mut(length / 2);
        for (half, mut number) in [(left, high), (right, low)] {
            for place in half.iter_mut().rev() {
                let (rest, numeral) = self.radix.divide(number);
                let byte = usize::try_from(numeral).ok().and_then(|at| bytes.get(at));
                *place = byte.copied().unwrap_or_default();
                number = rest;
            }
        }
    }

    /// Writes a permuted value, what stays of the original in its place.
    fn write(
        &self,
        value: &str,
        parsed: &Parsed,
        scratch: &mut Vec<u16>,
        out: &mut Vec<u8>,
    ) -> Result<(), Case> {
        let keeps_any = self.alphabet.keeps_any();
        if let (Some(bytes), Parsed::Halves(length, high, low)) = (&self.bytes, parsed)
            && !(keeps_any && value.len() != *length)
        {
            self.write_plain(bytes, (*length, *high, *low), out);
            return Ok(());
        }
        scratch.clear();
        match parsed {
            Parsed::Case(case) => return Err(*case),
            Parsed::Halves(length, high, low) => {
                scratch.resize(*length, 0);
                let (left, right) = scratch.split_at_mut(length / 2);
                for (half, mut number) in [(left, *high), (right, *low)] {
                    for place in half.iter_mut().rev() {
                        let (rest, numeral) = self.radix.divide(number);
                        *place = u16::try_from(numeral).unwrap_or_default();
                        number = rest;
                    }
                }
            }
            Parsed::Long(numerals) => scratch.extend(numerals),
        }
        if keeps_any {
            self.write_laid_out(value, scratch, out);
        } else {
            for numeral in scratch {
                push(self.alphabet.character(*numeral).unwrap_or_default(), out);
            }
        }
        Ok(())
    }

    fn write_laid_out(&self, value: &str, numerals: &[u16], out: &mut Vec<u8>) {
        let mut skip = self.skipped(value);
        let skipped = skip > 0;
        let mut numerals = numerals.iter();
        let begin = out.len();
        for character in value.chars() {
            match self.alphabet.role(character) {
                _ if skip > 0 => skip -= usize::from(is_counted(character)),
                Role::Separator if skipped && out.len() == begin => {}
                Role::Separator | Role::Other => push(character, out),
                Role::Numeral(_) | Role::Foreign => {
                    let next = numerals.next().copied();
                    let next = next.and_then(|numeral| self.alphabet.character(numeral));
                    push(next.unwrap_or_default(), out);
                }
            }
        }
    }
}

fn push(character: char, out: &mut Vec<u8>) {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() => out.push(byte),
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

impl Parsed {
    /// The length of a value for the lanes.
    fn lanes_length(&self) -> Option<usize> {
        match self {
            Self::Halves(length, _, _) => Some(*length),
            Self::Case(_) | Self::Long(_) => None,
        }
    }
}

impl TreatTogether for Kernel {
    fn treat_together(
        &self,
        values: &[&str],
        out: &mut Vec<u8>,
        ends: &mut Vec<Result<usize, Case>>,
    ) -> Result<(), TreatmentError> {
        let mut scratch = Vec::new();
        let mut parsed = Vec::with_capacity(values.len().min(CHUNK));
        for values in values.chunks(CHUNK) {
            parsed.clear();
            parsed.extend(values.iter().map(|value| self.read(value, &mut scratch)));
            self.permute(&mut parsed);
            for (value, parsed) in values.iter().zip(&parsed) {
                let written = self.write(value, parsed, &mut scratch, out);
                ends.push(written.map(|()| out.len()));
            }
        }
        Ok(())
    }
}

impl TextKernel for Kernel {
    fn treat(&self, value: &str, out: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        self.treat_alone(value, out)
    }

    fn cover(&self, characters: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + characters, b'*');
    }

    fn together(&self) -> Option<&dyn TreatTogether> {
        Some(self)
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fpe(..)")
    }
}
