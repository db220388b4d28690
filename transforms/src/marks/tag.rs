//! Tags: the last characters of a pseudonym, which name the grant it was made for.
//!
//! A keyed pseudonym has more characters than it takes to tell values apart, and nobody reads them.
//! A treatment that declares the [room](TagRoom) gives some of them to the mark: what stands before
//! them tells values apart, and the tag is another function of it for every grant. No value loses
//! anything, and a handful of pseudonyms names a grant.
//!
//! With LP a 4-byte big-endian length followed by the bytes, and the *part* all of the pseudonym but
//! its tag:
//!
//! `anchor = CMAC(anchor key, 3 ‖ LP(part))`,
//! `position = CMAC(position key, 3 ‖ LP(domain) ‖ zeros to whole blocks ‖ anchor)`,
//! `number = CMAC(tag key, identity of the position ‖ index of the grant)`
//!
//! where CMAC is over the block cipher of the key's suite. The tag is the first bits of the number, written with the characters of the pseudonym: each has a
//! whole number of bits, so a tag of r bits matches one that knows nothing of it with probability
//! 2^-r, exact. In [identifiers](identifier) a tag is decimal digits, and 10^d are no power of two: it is the place of
//! the first half of the number among 10^d equal parts of its range, and what a match is by chance is
//! reckoned from [above](TagSpace). Equal pseudonyms of one domain have equal tags in every field, so a delivery joins with
//! itself as before, and a trace counts them once. As with
//! the other marks, positions are common to all grants and only the tags are a grant's own.
//!
//! A value that isn't a pseudonym of the declared length and characters (covered, kept, null) has no
//! room, and stays as it is.

pub mod identifier;
mod space;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::DataType;

use self::identifier::{DIGITS_MAX, IdKind};
pub use self::space::TagSpace;
use super::canonical;
use super::carrier::Skip;
use super::cmac::{Cmac, LANES};
use super::distortion::Distortion;
use super::key::{GrantIndex, MarkKey, SubKey};
use crate::cases::count;
use crate::error::{Misfit, TreatmentError};
use crate::treatments::hmac::Encoding;

/// Most characters of a tag: 32 to 48 bits, more than all the grants there can be.
pub const CHARACTERS_MAX: u32 = 8;

/// What a treatment gives to the mark: some characters of its results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRoom {
    /// Of fields that share it, equal results have equal tags.
    pub domain: String,
    /// How many.
    pub characters: u32,
    /// What results are like, and where the characters stand in them.
    pub form: TagForm,
}

/// What results with tags are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagForm {
    /// Pseudonyms, which end in their tags.
    End {
        /// Characters of a whole one.
        length: u32,
        /// Which characters there are.
        encoding: Encoding,
    },
    /// Identifiers, with decimal digits of a tag within.
    Id(IdKind),
}

/// Tags in the pseudonyms of one field.
#[derive(Clone)]
pub struct Tag {
    domain: String,
    form: Form,
    space: TagSpace,
    /// Values of special meaning, which no tag is written into.
    sentinels: Vec<String>,
}

#[derive(Clone)]
enum Form {
    End(Box<End>),
    Id { kind: IdKind, digits: u32 },
}

/// Pseudonyms that end in their tags.
#[derive(Clone)]
struct End {
    length: usize,
    /// Characters before the tag.
    part: usize,
    /// Those of the tag.
    characters: u32,
    encoding: Encoding,
    /// What each character stands for.
    digits: [Option<u8>; 256],
}

/// What a text of a column shows: the part that its tag follows from, and the tag's number.
pub(super) type TagCell<'a> = (Cow<'a, str>, u64);

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag(1 of {})", self.space.tags())
    }
}

impl Tag {
    /// Tags in that room, but for values of special meaning.
    ///
    /// # Errors
    /// No tag, one longer than [`CHARACTERS_MAX`], or one that leaves nothing of the pseudonym; in
    /// identifiers, one longer than [`DIGITS_MAX`].
    pub fn new(room: &TagRoom, sentinels: &[String]) -> Result<Self, Misfit> {
        let characters = room.characters;
        let (form, space) = match room.form {
            TagForm::End { length, encoding } => {
                let bits = characters.saturating_mul(encoding.bits_per_character());
                let end = End::new(characters, length, encoding)?;
                (Form::End(Box::new(end)), TagSpace::of_bits(bits))
            }
            TagForm::Id(_) if !(1..=DIGITS_MAX).contains(&characters) => {
                let what = format!("a tag in an identifier has 1 to {DIGITS_MAX} digits");
                return Err(Misfit::of_parameter("tag", what));
            }
            TagForm::Id(kind) => {
                let digits = characters;
                (Form::Id { kind, digits }, TagSpace::of_digits(digits))
            }
        };
        Ok(Self {
            domain: room.domain.clone(),
            form,
            space,
            sentinels: sentinels.to_vec(),
        })
    }

    /// What positions are made of in the place of a field's name.
    pub(super) fn domain(&self) -> &str {
        &self.domain
    }

    /// How many tags there are.
    pub fn space(&self) -> TagSpace {
        self.space
    }

    /// The part of a pseudonym that its tag follows from, and the number its tag shows; none for any other
    /// text.
    fn split<'a>(&self, text: &'a str) -> Option<TagCell<'a>> {
        if self.sentinels.iter().any(|kept| kept == text) {
            return None;
        }
        match &self.form {
            Form::End(end) => end.split(text),
            Form::Id { kind, digits } => kind.split(text, *digits),
        }
    }

    /// What each text of a column shows.
    pub(super) fn cells<'a>(&self, texts: &'a StringArray) -> Vec<Option<TagCell<'a>>> {
        let texts = texts.iter();
        texts.map(|text| self.split(text?)).collect()
    }

    /// The texts of a leak in the spelling of pseudonyms: without what other hands did to width, case
    /// and space. Those that are no pseudonyms stay as they are.
    ///
    /// # Errors
    /// The column isn't text.
    pub(super) fn spelled(&self, column: &ArrayRef) -> Result<StringArray, TreatmentError> {
        let texts = texts(column)?;
        let mut spelled = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        let mut form = String::new();
        for text in texts {
            let Some(text) = text else {
                spelled.append_null();
                continue;
            };
            if self.split(text).is_none() {
                canonical::write_visible(text, &mut form);
                self.respell(&mut form);
                if self.split(&form).is_some() {
                    spelled.append_value(&form);
                    continue;
                }
            }
            spelled.append_value(text);
        }
        Ok(spelled.finish())
    }

    /// Brings what can be seen of a text to the spelling of pseudonyms.
    fn respell(&self, form: &mut String) {
        match &self.form {
            Form::End(end) => end.encoding.fold_case(form),
            Form::Id { kind, .. } => {
                let normalised = kind.normalised(form).into_owned();
                *form = normalised;
            }
        }
    }

    /// A column without its tags: what rows can be found by. Texts that are no pseudonyms stay whole.
    ///
    /// # Errors
    /// The column isn't text.
    pub(super) fn parts(&self, column: &ArrayRef) -> Result<ArrayRef, TreatmentError> {
        let spelled = self.spelled(column)?;
        let parts = spelled.iter().map(|text| {
            let text = text?;
            Some(
                self.split(text)
                    .map_or(Cow::Borrowed(text), |(part, _)| part),
            )
        });
        Ok(Arc::new(parts.collect::<StringArray>()))
    }

    /// The texts with these numbers in their tags, one for each of their [cells](Self::cells) that has
    /// room.
    pub(super) fn write(
        &self,
        texts: &StringArray,
        cells: &[Option<TagCell<'_>>],
        numbers: &[u64],
    ) -> (ArrayRef, Distortion) {
        let mut numbers = numbers.iter();
        let mut distortion = Distortion {
            rows: count(texts.len()),
            ..Distortion::default()
        };
        distortion.skipped.null = count(texts.null_count());
        let mut tagged = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        let mut written = String::new();
        for (text, cell) in texts.iter().zip(cells) {
            if let (Some(text), Some((part, shown))) = (text, cell)
                && let Some(number) = numbers.next()
            {
                self.put(text, part, *number, &mut written);
                tagged.append_value(&written);
                distortion.selected += 1;
                distortion.changed += u64::from(number != shown);
                continue;
            }
            if let Some(text) = text {
                distortion.skipped.add(self.skip(text));
            }
            tagged.append_option(text);
        }
        (Arc::new(tagged.finish()), distortion)
    }

    /// Why a text has no tag.
    fn skip(&self, text: &str) -> Skip {
        match self.sentinels.iter().any(|kept| kept == text) {
            true => Skip::Sentinel,
            false => Skip::NoCarrier,
        }
    }

    /// Puts a pseudonym with another number in its tag into `out`, in place of what was there.
    fn put(&self, text: &str, part: &str, number: u64, out: &mut String) {
        match &self.form {
            Form::End(end) => end.put(part, number, out),
            Form::Id { kind, digits } => kind.put(text, *digits, number, out),
        }
    }
}

impl End {
    fn new(characters: u32, length: u32, encoding: Encoding) -> Result<Self, Misfit> {
        let is_tag = (1..=CHARACTERS_MAX).contains(&characters);
        if !is_tag || length <= characters {
            let what = format!(
                "a tag has 1 to {CHARACTERS_MAX} characters, and leaves some of the pseudonym"
            );
            return Err(Misfit::of_parameter("tag", what));
        }
        let mut digits = [None; 256];
        for (digit, symbol) in (0..).zip(encoding.symbols()) {
            if let Some(slot) = digits.get_mut(usize::from(*symbol)) {
                *slot = Some(digit);
            }
        }
        let size = |characters: u32| usize::try_from(characters).unwrap_or(usize::MAX);
        Ok(Self {
            length: size(length),
            part: size(length - characters),
            characters,
            encoding,
            digits,
        })
    }

    fn split<'a>(&self, text: &'a str) -> Option<TagCell<'a>> {
        if text.len() != self.length {
            return None;
        }
        let digit = |byte: u8| self.digits.get(usize::from(byte)).copied().flatten();
        let (part, tag) = text.split_at_checked(self.part)?;
        if !part.bytes().all(|byte| digit(byte).is_some()) {
            return None;
        }
        let bits = self.encoding.bits_per_character();
        let number = tag.bytes().try_fold(0, |number: u64, byte| {
            Some(number << bits | u64::from(digit(byte)?))
        });
        number.map(|number| (Cow::Borrowed(part), number))
    }

    fn put(&self, part: &str, number: u64, out: &mut String) {
        out.clear();
        out.push_str(part);
        let bits = self.encoding.bits_per_character();
        let symbols = self.encoding.symbols();
        let places = (0..self.characters).rev();
        out.extend(places.filter_map(|place| {
            let digit = number >> (bits * place) & ((1 << bits) - 1);
            let symbol = symbols.get(usize::try_from(digit).ok()?)?;
            Some(char::from(*symbol))
        }));
    }
}

/// A column of pseudonyms.
pub(super) fn texts(column: &ArrayRef) -> Result<&StringArray, TreatmentError> {
    column
        .as_string_opt()
        .ok_or_else(|| TreatmentError::UnexpectedType {
            expected: DataType::Utf8,
            actual: column.data_type().clone(),
        })
}

/// The numbers of all grants at positions, under a dataset's key: tags, or draws.
#[derive(Debug)]
pub(super) struct TagCode(Cmac);

impl TagCode {
    pub(super) fn new(key: &MarkKey, of: SubKey) -> Self {
        Self(Cmac::new(key.suite(), &key.sub_key(of)))
    }

    /// A grant's numbers, of so many tags, at these positions.
    pub(super) fn numbers(
        &self,
        grant: GrantIndex,
        space: TagSpace,
        ids: impl IntoIterator<Item = u128>,
    ) -> Vec<u64> {
        let codes = self.codes(grant, ids).into_iter();
        codes.map(|code| space.first(code)).collect()
    }

    /// A grant's numbers of 64 bits at these positions.
    pub(super) fn words(&self, grant: GrantIndex, ids: impl IntoIterator<Item = u128>) -> Vec<u64> {
        let codes = self.codes(grant, ids).into_iter();
        let first = codes.map(|code| u64::try_from(code.swap_bytes() >> u64::BITS));
        first.map(Result::unwrap_or_default).collect()
    }

    /// The images of a grant's codes at these positions.
    fn codes(&self, grant: GrantIndex, ids: impl IntoIterator<Item = u128>) -> Vec<u128> {
        let messages = ids.into_iter().map(|id| message(id, grant));
        let mut codes: Vec<u128> = messages.collect();
        self.0.finish(0, &mut codes);
        codes
    }

    /// At how many of these positions a grant's number, of so many tags, is the one shown.
    pub(super) fn matches(&self, grant: GrantIndex, space: TagSpace, shown: &[(u128, u64)]) -> u32 {
        let mut codes = [0; LANES];
        let mut matched = 0;
        for shown in shown.chunks(LANES) {
            let (codes, _) = codes.split_at_mut(shown.len());
            for (code, (id, _)) in codes.iter_mut().zip(shown) {
                *code = message(*id, grant);
            }
            self.0.finish(0, codes);
            let both = codes.iter().zip(shown);
            matched += both
                .map(|(code, (_, number))| u32::from(space.first(*code) == *number))
                .sum::<u32>();
        }
        matched
    }
}

/// The image of the one block of which a grant's number is the code.
fn message(id: u128, grant: GrantIndex) -> u128 {
    (id << 32 | u128::from(grant.0)).swap_bytes()
}

#[cfg(test)]
mod tests;
