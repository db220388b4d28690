//! What is left of a value while stretches are taken from its two ends, for each way in which its
//! characters are told apart.

use super::class::Class;
use crate::words;

/// What is left of a value.
pub(super) trait Cursor: Clone {
    /// Where it begins, in bytes of the value.
    fn front(&self) -> usize;

    /// Where it ends.
    fn back(&self) -> usize;

    /// Takes so many characters of a class from the front; whether they are there. What is left after
    /// `false` says nothing.
    fn take(&mut self, class: &Class, characters: usize) -> bool;

    /// The same from the back.
    fn take_back(&mut self, class: &Class, characters: usize) -> bool;

    /// Takes all characters from the front up to one that isn't of a class; how many.
    fn take_run(&mut self, class: &Class) -> usize;

    /// The same from the back.
    fn take_run_back(&mut self, class: &Class) -> usize;

    /// How many characters there are, where all are of a class.
    fn characters_of(&self, class: &Class) -> Option<usize>;
}

/// Text of which every byte is a character.
#[derive(Clone)]
pub(super) struct Bytes<'a> {
    value: &'a [u8],
    front: usize,
    back: usize,
}

impl<'a> Bytes<'a> {
    #[inline(always)]
    pub(super) fn new(value: &'a str) -> Self {
        Self {
            value: value.as_bytes(),
            front: 0,
            back: value.len(),
        }
    }

    #[inline(always)]
    fn left(&self) -> &'a [u8] {
        self.value.get(self.front..self.back).unwrap_or_default()
    }
}

/// Whether all are of a class. Each is looked at, whatever the others are: to leave early costs more than it
/// saves.
#[inline(always)]
fn are_all(bytes: &[u8], class: &Class) -> bool {
    bytes
        .iter()
        .fold(true, |all, byte| all & class.has_byte(*byte))
}

impl Cursor for Bytes<'_> {
    #[inline(always)]
    fn front(&self) -> usize {
        self.front
    }

    #[inline(always)]
    fn back(&self) -> usize {
        self.back
    }

    #[inline(always)]
    fn take(&mut self, class: &Class, characters: usize) -> bool {
        let taken = self.left().get(..characters);
        self.front = self.front.saturating_add(characters);
        taken.is_some_and(|taken| are_all(taken, class))
    }

    #[inline(always)]
    fn take_back(&mut self, class: &Class, characters: usize) -> bool {
        let left = self.left();
        let Some(from) = left.len().checked_sub(characters) else {
            return false;
        };
        self.back -= characters;
        are_all(left.get(from..).unwrap_or_default(), class)
    }

    #[inline(always)]
    fn take_run(&mut self, class: &Class) -> usize {
        let run = self.left().iter().take_while(|byte| class.has_byte(**byte));
        let run = run.count();
        self.front += run;
        run
    }

    #[inline(always)]
    fn take_run_back(&mut self, class: &Class) -> usize {
        let run = self.left().iter().rev();
        let run = run.take_while(|byte| class.has_byte(**byte)).count();
        self.back -= run;
        run
    }

    #[inline(always)]
    fn characters_of(&self, class: &Class) -> Option<usize> {
        let left = self.left();
        are_all(left, class).then_some(left.len())
    }
}

/// Plain text: nothing but printable ASCII and [characters of three bytes](words::PLAIN).
#[derive(Clone)]
pub(super) struct Plain<'a> {
    value: &'a [u8],
    /// A bit for each byte that begins a character which is left.
    begins: u64,
    back: usize,
}

impl<'a> Plain<'a> {
    /// With a bit for each byte that begins a character, the first lowest.
    #[inline(always)]
    pub(super) fn new(value: &'a str, begins: u64) -> Self {
        Self {
            value: value.as_bytes(),
            begins,
            back: value.len(),
        }
    }

    /// Whether the character that begins with a byte is of a class.
    #[inline(always)]
    fn is_of(&self, class: &Class, at: usize) -> bool {
        match self.value.get(at..) {
            Some([byte, ..]) if byte.is_ascii() => class.has_byte(*byte),
            Some([one, two, three, ..]) => {
                let [one, two, three] = [one, two, three].map(|byte| u32::from(*byte));
                let code = (one & 0xF) << 12 | (two & 0x3F) << 6 | (three & 0x3F);
                char::from_u32(code).is_some_and(|character| class.has(character))
            }
            _ => false,
        }
    }
}

impl Cursor for Plain<'_> {
    #[inline(always)]
    fn front(&self) -> usize {
        words::first(self.begins).min(self.back)
    }

    #[inline(always)]
    fn back(&self) -> usize {
        self.back
    }

    #[inline(always)]
    fn take(&mut self, class: &Class, characters: usize) -> bool {
        let mut is_there = true;
        // There are fewer than 64 bytes, and so characters.
        for _ in 0..characters.min(64) {
            is_there &= class.has_plain() || self.is_of(class, words::first(self.begins));
            is_there &= self.begins != 0;
            self.begins &= self.begins.wrapping_sub(1);
        }
        is_there && characters < 64
    }

    #[inline(always)]
    fn take_back(&mut self, class: &Class, characters: usize) -> bool {
        for _ in 0..characters {
            let Some(at) = words::highest(self.begins) else {
                return false;
            };
            if !class.has_plain() && !self.is_of(class, at) {
                return false;
            }
            self.begins ^= 1 << (at % 64);
            self.back = at;
        }
        true
    }

    #[inline(always)]
    fn take_run(&mut self, class: &Class) -> usize {
        let mut run = 0;
        while self.begins != 0 && self.is_of(class, words::first(self.begins)) {
            self.begins &= self.begins.wrapping_sub(1);
            run += 1;
        }
        run
    }

    #[inline(always)]
    fn take_run_back(&mut self, class: &Class) -> usize {
        let mut run = 0;
        while let Some(at) = words::highest(self.begins)
            && self.is_of(class, at)
        {
            self.begins ^= 1 << (at % 64);
            self.back = at;
            run += 1;
        }
        run
    }

    #[inline(always)]
    fn characters_of(&self, class: &Class) -> Option<usize> {
        let mut left = self.begins;
        if !class.has_plain() {
            while left != 0 {
                if !self.is_of(class, words::first(left)) {
                    return None;
                }
                left &= left.wrapping_sub(1);
            }
        }
        Some(words::count(self.begins))
    }
}

/// Text of which every code point is a character.
#[derive(Clone)]
pub(super) struct CodePoints<'a> {
    left: &'a str,
    front: usize,
    /// Whether it is plain.
    is_plain: bool,
}

impl<'a> CodePoints<'a> {
    pub(super) fn new(value: &'a str, is_plain: bool) -> Self {
        Self {
            left: value,
            front: 0,
            is_plain,
        }
    }

    fn take_first(&mut self, class: &Class) -> bool {
        let mut characters = self.left.chars();
        let is_there = characters.next().is_some_and(|own| class.has(own));
        if is_there {
            self.front += self.left.len() - characters.as_str().len();
            self.left = characters.as_str();
        }
        is_there
    }

    fn take_last(&mut self, class: &Class) -> bool {
        let mut characters = self.left.chars();
        let is_there = characters.next_back().is_some_and(|own| class.has(own));
        if is_there {
            self.left = characters.as_str();
        }
        is_there
    }
}

impl Cursor for CodePoints<'_> {
    fn front(&self) -> usize {
        self.front
    }

    fn back(&self) -> usize {
        self.front + self.left.len()
    }

    fn take(&mut self, class: &Class, characters: usize) -> bool {
        (0..characters).all(|_| self.take_first(class))
    }

    fn take_back(&mut self, class: &Class, characters: usize) -> bool {
        (0..characters).all(|_| self.take_last(class))
    }

    fn take_run(&mut self, class: &Class) -> usize {
        let mut run = 0;
        while self.take_first(class) {
            run += 1;
        }
        run
    }

    fn take_run_back(&mut self, class: &Class) -> usize {
        let mut run = 0;
        while self.take_last(class) {
            run += 1;
        }
        run
    }

    fn characters_of(&self, class: &Class) -> Option<usize> {
        if self.is_plain && class.has_plain() {
            return words::plain_count(self.left);
        }
        let is_it = self.left.chars().all(|own| class.has(own));
        is_it.then(|| self.left.chars().count())
    }
}
