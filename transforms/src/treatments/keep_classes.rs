//! `keep-classes`: characters of some classes stay, the others go.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::classes::CharacterClass;
use crate::clusters::{self, Clusters};
use crate::error::{Case, Misfit};
use crate::fill::{Filler, Length, default_fill};
use crate::key::DerivedKey;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{self, MaskTreatment, Output, TextKernel, Written};
use crate::treatment::Treatment;
use crate::words;

/// Keeps the characters of some classes, so that the shape of a value stays, and hides the others.
///
/// A value in which nothing would be hidden is short. A character of several code points, such as a
/// letter and its accent, goes by the first. A result has as many characters as its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepClasses {
    /// The classes that stay. `"digit"`: 0-9 and full-width. `"latin"`: ASCII, accented (U+00C0-24F,
    /// 1E00-1EFF) and full-width letters. `"han"`: CJK ideographs, 々, 〇. `"separator"`: spaces,
    /// ASCII, CJK and full-width punctuation, dashes and quotation marks. Everything else, such as
    /// kana, emoji and private-use characters, is always hidden.
    pub keep: Vec<CharacterClass>,
    /// The character written over hidden ones.
    #[serde(default = "default_fill")]
    pub fill: String,
}

impl Definition for KeepClasses {
    const KIND: &'static str = "keep-classes";
    const SUMMARY: &'static str = "keeps the characters of some classes, hides the rest";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str = "{ kind = \"keep-classes\", keep = [\"separator\"] }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn at_least(&self, floor: &Self) -> bool {
        self.keep.iter().all(|class| floor.keep.contains(class))
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        text::only(Self::KIND, column)?;
        Kernel::new(&self.keep, &self.fill)?;
        Ok(Some(DataType::Utf8))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        text::only(Self::KIND, column)?;
        let kernel = Kernel::new(&self.keep, &self.fill)?;
        Ok(Box::new(MaskTreatment::new(kernel, options, column)?))
    }
}

#[derive(Debug)]
struct Kernel {
    keep: Vec<CharacterClass>,
    /// Whether each ASCII character stays.
    ascii: Box<[bool; 128]>,
    /// Whether Han characters stay.
    han: bool,
    filler: Filler,
}

impl Kernel {
    fn new(keep: &[CharacterClass], fill: &str) -> Result<Self, Misfit> {
        let mut rest = keep;
        while let Some((class, others)) = rest.split_first() {
            if others.contains(class) {
                return Err(Misfit::of_parameter("keep", "`keep` lists a class twice")
                    .with_hint("list each once"));
            }
            rest = others;
        }
        let keeps = |character| kept(keep, character);
        let mut ascii = Box::new([false; 128]);
        for (stays, code) in ascii.iter_mut().zip(0_u8..) {
            *stays = keeps(char::from(code));
        }
        Ok(Self {
            ascii,
            han: keep.contains(&CharacterClass::Han),
            filler: Filler::new(fill, Length::Same)?,
            keep: keep.to_vec(),
        })
    }

    /// The bytes of the character that begins there, and whether it stays. Every code point is a
    /// character here.
    #[inline]
    fn next(&self, value: &str, at: usize) -> Option<(usize, bool)> {
        let lead = *value.as_bytes().get(at)?;
        if let Some(stays) = self.ascii.get(usize::from(lead)) {
            return Some((1, *stays));
        }
        if matches!(lead, 0xE5..=0xE9) {
            // U+5000 to U+9FFF, all of them Han: told by the first byte alone.
            return Some((3, self.han));
        }
        let character = value.get(at..)?.chars().next()?;
        Some((character.len_utf8(), kept(&self.keep, character)))
    }

    /// Writes runs of characters that stay, and fills for runs of others.
    #[inline]
    fn write_runs(
        &self,
        value: &str,
        mut next: impl FnMut(usize) -> Option<(usize, bool)>,
        out: &mut impl Output,
    ) {
        let (mut at, mut run, mut hidden) = (0, 0, 0);
        while let Some((bytes, stays)) = next(at) {
            if stays {
                if hidden > 0 {
                    self.filler.write(hidden, out);
                    (run, hidden) = (at, 0);
                }
            } else {
                if hidden == 0 {
                    out.push(value.get(run..at).unwrap_or_default());
                }
                hidden += 1;
            }
            at += bytes;
        }
        match hidden {
            0 => out.push(value.get(run..at).unwrap_or_default()),
            _ => self.filler.write(hidden, out),
        }
    }

    /// Writes ASCII characters where the fill is one, too, and the output takes them byte by byte.
    #[inline]
    fn write_ascii(&self, value: &str, out: &mut impl Output) -> bool {
        let Some(fill) = self.filler.byte() else {
            return false;
        };
        out.push_mapped(value, |byte| match self.ascii.get(usize::from(byte)) {
            Some(true) => byte,
            _ => fill,
        })
    }

    /// Writes text of nothing but printable ASCII and Han characters, where none of those stays and
    /// the fill is ASCII: the way of nearly all Han text. Something is hidden then, and looks like
    /// something else. False, having appended nothing, for other values.
    #[inline]
    fn write_plain(&self, value: &str, out: &mut impl Output) -> bool {
        let may_be = !self.han && self.filler.byte().is_some() && !clusters::is_bytes(value);
        if !may_be || words::plain_count(value).is_none() {
            return false;
        }
        let stays = |byte: u8| {
            let stays = self.ascii.get(usize::from(byte));
            stays.copied().unwrap_or(false)
        };
        let bytes = value.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let (end, hidden) = words::until_ascii(bytes, at, stays);
            if hidden > 0 {
                self.filler.write_final(hidden, out);
            }
            let rest = bytes.get(end..).unwrap_or_default();
            let kept = rest.iter().take_while(|byte| stays(**byte)).count();
            if kept > 0 {
                out.push_final(value.get(end..end + kept).unwrap_or_default());
            }
            at = end + kept;
        }
        true
    }

    fn write_all(&self, value: &str, out: &mut impl Output, scratch: &mut Vec<usize>) {
        match Clusters::of(value, scratch) {
            Clusters::Bytes(_) if self.write_ascii(value, out) => {}
            Clusters::Bytes(_)
            | Clusters::CodePoints(..)
            | Clusters::Beginnings(..)
            | Clusters::Wide(..) => {
                self.write_runs(value, |at| self.next(value, at), out);
            }
            Clusters::Offsets(offsets, length) => {
                let mut bounds = offsets.iter().skip(1).copied().chain([length]);
                let next = |from: usize| {
                    let to = bounds.next()?;
                    let first = value.get(from..to)?.chars().next()?;
                    Some((to - from, kept(&self.keep, first)))
                };
                self.write_runs(value, next, out);
            }
        }
    }
}

/// Whether a character is in one of the classes.
fn kept(keep: &[CharacterClass], character: char) -> bool {
    CharacterClass::of(character).is_some_and(|class| keep.contains(&class))
}

impl<O: Output> TextKernel<O> for Kernel {
    fn treat(&self, value: &str, out: &mut O, scratch: &mut Vec<usize>) -> Result<Written, Case> {
        if self.write_plain(value, out) {
            return Ok(Written::Text);
        }
        let start = out.length();
        self.write_all(value, out, scratch);
        if out.ends_with(start, value) {
            out.truncate(start);
            return Err(Case::Short);
        }
        Ok(Written::Text)
    }

    fn cover(&self, characters: usize, out: &mut O) {
        self.filler.write(characters, out);
    }

    fn output_bytes(&self, rows: usize, bytes: usize) -> usize {
        self.filler.output_bytes(rows, bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    use crate::classes::CharacterClass;
    use crate::testing::{cases_of, misfit, spec, treat, treat_one, try_spec};

    fn keeping(classes: &str) -> String {
        format!("{{ kind = 'keep-classes', keep = [{classes}] }}")
    }

    fn masked(classes: &str, value: &str) -> String {
        treat_one(&keeping(classes), value).unwrap()
    }

    #[test]
    fn a_class_listed_twice_is_refused() {
        let twice = "{ kind = 'keep-classes', keep = ['digit', 'han', 'digit'] }";
        let misfit = misfit(twice);
        assert_eq!(misfit.parameter, Some("keep"));
        assert!(misfit.what.contains("twice") && misfit.hint.is_some());
    }

    #[test]
    fn classes_stay_and_the_rest_goes() {
        assert_eq!(masked("'separator'", "0571-8888 6666"), "****-**** ****");
        assert_eq!(masked("'digit'", "浙A·12345"), "***12345");
        assert_eq!(
            masked("'han', 'separator'", "文三路1号（A座）"),
            "文三路*号（*座）"
        );
        assert_eq!(masked("'latin'", "Ａbé-1"), "Ａbé**");
        assert_eq!(masked("'han'", "𠮷野家ー〇々"), "𠮷野家*〇々");
        assert_eq!(masked("", "张3-"), "***");
        assert_eq!(masked("'digit'", "文三路12号-3"), "***12**3");
        assert_eq!(
            masked("'separator'", "浙江省杭州市西湖区文三路1-2号"),
            "*************-**"
        );
        // U+4DC0 is a hexagram: plain, and in no class.
        assert_eq!(masked("'latin'", "\u{4DC0}a张"), "*a*");
        assert_eq!(masked("'han'", "\u{4DC0}a张"), "**张");
    }

    #[test]
    fn a_character_goes_by_its_first_code_point() {
        assert_eq!(masked("'latin'", "e\u{301}1👨‍👩‍👧"), "e\u{301}**");
        assert_eq!(masked("'han'", "葛\u{E0100}城1"), "葛\u{E0100}城*");
        assert_eq!(masked("'separator'", "a\r\nb"), "***");
        assert_eq!(masked("'digit'", "\u{E000}🇨🇳7"), "**7");
    }

    #[test]
    fn a_value_with_nothing_to_hide_is_short() {
        let digits = keeping("'digit'");
        let treated = treat(
            &digits,
            &[Some("13800138000"), Some("1-2"), Some("１"), None],
        );
        assert_eq!(cases_of(&treated), (1, 0, 2, 0));
        assert_eq!(
            treat_one(&digits, "13800138000"),
            Some("***********".into())
        );
        assert_eq!(masked("'han'", "张三"), "**");
    }

    #[test]
    fn a_wide_fill_covers_ascii_too() {
        let wide = "{ kind = 'keep-classes', keep = ['digit'], fill = '＊' }";
        assert_eq!(treat_one(wide, "a1b2"), Some("＊1＊2".into()));
    }

    #[test]
    fn an_unknown_class_is_refused() {
        assert!(try_spec(&keeping("'greek'")).is_err());
        let fill = "{ kind = 'keep-classes', keep = ['digit'], fill = '**' }";
        assert_eq!(misfit(fill).parameter, Some("fill"));
    }

    #[test]
    fn fewer_classes_meet_more() {
        let floor = spec(&keeping("'digit', 'separator'"));
        assert!(spec(&keeping("'separator'")).meets(&floor));
        assert!(spec(&keeping("")).meets(&floor));
        assert!(spec(&keeping("'separator', 'digit'")).meets(&floor));
        assert!(!spec(&keeping("'digit', 'latin'")).meets(&floor));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn only_kept_classes_are_left_and_characters_keep_their_places(value in "[\\PC0-9a-z张-]{1,12}") {
            prop_assume!(!value.trim().is_empty());
            let spec = "{ kind = 'keep-classes', keep = ['digit', 'han'], fill = '█' }";
            let written = treat_one(spec, &value).unwrap();
            prop_assert!(written != value || value.contains('█'));
            let before: Vec<&str> = value.graphemes(true).collect();
            let hidden = before.iter().filter(|cluster| {
                let class = CharacterClass::of(cluster.chars().next().unwrap());
                !matches!(class, Some(CharacterClass::Digit | CharacterClass::Han))
            });
            let fills = if hidden.clone().count() == 0 { before.len() } else { hidden.count() };
            prop_assert_eq!(written.matches('█').count(), fills);
        }
    }
}
