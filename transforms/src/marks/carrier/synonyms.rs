//! Symbols in the choice between words that mean the same: 北京 or 北京市, 男 or 男性.
//!
//! The owner of the data declares which words are interchangeable. A word's symbol is the parity of
//! its place in its class, and writing takes a neighbour in the class. No word outside a class is
//! touched, and no meaning changes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::DataType;

use super::{CELLS, Carrier, Left, Mark, Marks, Skip, check_type};
use crate::cases::failed;
use crate::error::{Misfit, TreatmentError};
use crate::marks::canonical;
use crate::marks::distortion::Distortion;
use crate::marks::predict::Reflection;

/// Symbols in the words of a text field.
#[derive(Debug, Clone)]
pub struct Synonyms {
    /// What each word shows, and the neighbour that shows the other symbol.
    words: HashMap<String, Word, BuildHasherDefault<ShortWords>>,
    /// What each word shows, by its canonical form: how a leak may spell it.
    forms: HashMap<String, bool>,
}

/// FNV-1a, which is quick for words of a few bytes. Only the owner's words are kept under it, so
/// nobody who sends values can make the table slow.
#[derive(Debug, Clone, Copy)]
struct ShortWords(u64);

impl Default for ShortWords {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for ShortWords {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Debug, Clone)]
struct Word {
    symbol: bool,
    neighbour: String,
}

impl Synonyms {
    /// Of classes of words that mean the same.
    ///
    /// # Errors
    /// A class of fewer than two words, or two words that have one canonical form: a leak would
    /// not tell them apart.
    pub fn new(classes: &[Vec<String>]) -> Result<Self, Misfit> {
        let refused = |what: &str| Err(Misfit::of_parameter("synonyms", what));
        let (mut words, mut forms) = (HashMap::default(), HashMap::new());
        for class in classes {
            if class.len() < 2 {
                return refused("a group of synonyms has at least two");
            }
            let mut before: Option<&String> = None;
            for (at, word) in class.iter().enumerate() {
                let symbol = at % 2 == 1;
                // Pairs exchange with each other, the last of an odd number with the one before.
                let after = class.get(at + 1).filter(|_| !symbol);
                let neighbour = after.or(before).cloned().unwrap_or_default();
                let mut form = String::new();
                canonical::write(word, &mut form);
                if forms.insert(form, symbol).is_some() {
                    return refused("two synonyms are spelled alike but for width, zeros or space");
                }
                words.insert(word.clone(), Word { symbol, neighbour });
                before = Some(word);
            }
        }
        Ok(Self { words, forms })
    }

    /// The symbol a word shows.
    fn shows(&self, word: &str, form: &mut String) -> Option<bool> {
        if let Some(word) = self.words.get(word) {
            return Some(word.symbol);
        }
        canonical::write(word, form);
        self.forms.get(form.as_str()).copied()
    }

    /// The word that shows the symbol, in the place of `word`.
    fn written<'a>(&'a self, word: &'a str, symbol: bool) -> Result<&'a str, Skip> {
        match self.words.get(word) {
            Some(known) if known.symbol == symbol => Ok(word),
            Some(known) => Ok(&known.neighbour),
            None => Err(Skip::NoCarrier),
        }
    }
}

/// The column as text.
fn texts(column: &ArrayRef) -> Result<&StringArray, TreatmentError> {
    check_type(column, &DataType::Utf8)?;
    let texts = column.as_string_opt::<i32>();
    texts.ok_or_else(|| failed("reading words to be marked"))
}

impl Carrier for Synonyms {
    fn reflection(&self) -> Option<Reflection> {
        None
    }

    fn read(&self, column: &ArrayRef) -> Result<Vec<Option<bool>>, TreatmentError> {
        let mut form = String::new();
        let shown = texts(column)?.iter();
        Ok(shown
            .map(|word| word.and_then(|word| self.shows(word, &mut form)))
            .collect())
    }

    fn write(
        &self,
        column: &ArrayRef,
        marks: &mut dyn Marks,
        distortion: &mut Distortion,
    ) -> Result<ArrayRef, TreatmentError> {
        let texts = texts(column)?;
        let mut marked = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        let mut some = [Mark::NONE; CELLS];
        let mut words = texts.iter();
        while words.len() > 0 {
            let (some, _) = some.split_at_mut(words.len().min(CELLS));
            marks.next(Left::default(), some);
            // Marks first: a word taken beyond the last of them would be lost.
            for (mark, word) in some.iter().zip(words.by_ref()) {
                let Some(before) = word.filter(|_| mark.is_some()) else {
                    marked.append_option(word);
                    continue;
                };
                let written = self.written(before, mark.symbol());
                let after = distortion.skipped.written_or(written, before);
                distortion.changed += u64::from(after != before);
                let bytes = marked.values_slice().len().saturating_add(after.len());
                i32::try_from(bytes).map_err(|_| TreatmentError::TooLarge)?;
                marked.append_value(after);
            }
        }
        Ok(Arc::new(marked.finish()))
    }

    fn blocks(&self, _: &ArrayRef) -> Result<Option<Vec<Option<i128>>>, TreatmentError> {
        Ok(None)
    }
}
