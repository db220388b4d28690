//! `mask-around`: fills on one side of a delimiter.

mod delimiter;

use std::ops::Range;

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clusters::{self, Clusters};
use crate::error::{Case, Misfit};
use crate::fill::{Filler, Length, default_fill, default_length};
use crate::key::DerivedKey;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{self, MaskTreatment, Output, TextKernel, Written};
use crate::treatment::Treatment;
use crate::words;

pub use delimiter::Delimiters;

use delimiter::{One, Search};

/// Hides one side of a delimiter; the delimiter and the other side stay.
///
/// Of several delimiters each counts, whichever comes first or last; of two that begin at one place
/// the longer. A value without a delimiter is invalid; a side of not more than `keep` characters is short, and
/// with `occurrence = "all"` so is a value with any such part. A result has as many characters as
/// its value, unless `length` is a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskAround {
    /// The text that divides the value, or a list of up to 16 such texts: `["@", "#"]`.
    #[serde(default)]
    pub delimiter: Delimiters,
    /// The side that is hidden.
    #[serde(default = "default_side")]
    pub side: Side,
    /// Which delimiter counts where there are several.
    #[serde(default = "default_occurrence")]
    pub occurrence: Occurrence,
    /// Characters kept at the outer edge of the hidden side.
    #[serde(default)]
    pub keep: usize,
    /// The character written over hidden ones.
    #[serde(default = "default_fill")]
    pub fill: String,
    /// Number of fills: `"same"` as was hidden, or a number, which hides the length too.
    #[serde(default = "default_length")]
    pub length: Length,
}

/// A side of the delimiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// From the beginning to the delimiter.
    Before,
    /// From the delimiter to the end.
    After,
}

/// One of several delimiters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Occurrence {
    /// The first from the beginning.
    First,
    /// The last.
    Last,
    /// Every one: with `before` all that stands before the last is hidden but the delimiters, with
    /// `after` all that stands after the first; `keep` counts in each part.
    All,
}

fn default_side() -> Side {
    Side::Before
}

fn default_occurrence() -> Occurrence {
    Occurrence::First
}

impl MaskAround {
    fn check(&self) -> Result<Filler, Misfit> {
        self.delimiter.check()?;
        Filler::new(&self.fill, self.length)
    }
}

impl Definition for MaskAround {
    const KIND: &'static str = "mask-around";
    const SUMMARY: &'static str = "hides one side of a delimiter";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str = "{ kind = \"mask-around\", delimiter = \"@\", keep = 1 }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn at_least(&self, floor: &Self) -> bool {
        self.delimiter.same_as(&floor.delimiter)
            && self.side == floor.side
            && self.occurrence == floor.occurrence
            && self.keep <= floor.keep
            && self.length.at_least(floor.length)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        text::only(Self::KIND, column)?;
        self.check()?;
        Ok(Some(DataType::Utf8))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        text::only(Self::KIND, column)?;
        let filler = self.check()?;
        let kernel = Kernel {
            spec: self.clone(),
            search: Search::new(&self.delimiter),
            filler,
        };
        Ok(Box::new(MaskTreatment::new(kernel, options, column)?))
    }
}

#[derive(Debug)]
struct Kernel {
    spec: MaskAround,
    search: Search,
    filler: Filler,
}

impl Kernel {
    /// Appends a value, the parts on that side of the delimiters hidden.
    fn write(
        &self,
        value: &str,
        delimiters: impl Iterator<Item = Range<usize>>,
        out: &mut impl Output,
        scratch: &mut Vec<usize>,
    ) -> Result<(), Case> {
        let text = |part: Range<usize>| value.get(part).unwrap_or_default();
        let mut at = 0;
        for delimiter in delimiters {
            let part = text(at..delimiter.start);
            // Only before the first delimiter nothing has been passed yet.
            if self.spec.side == Side::Before || at > 0 {
                self.hide(part, out, scratch)?;
            } else {
                out.push(part);
            }
            at = delimiter.end;
            out.push(text(delimiter));
        }
        let rest = text(at..value.len());
        match self.spec.side {
            _ if at == 0 => Err(Case::Invalid),
            Side::After => self.hide(rest, out, scratch),
            Side::Before => {
                out.push(rest);
                Ok(())
            }
        }
    }

    /// Appends a value of which each code point is known to be a character, as the delimiter is:
    /// the way of nearly all ASCII and Han text. `None` for other values.
    #[inline]
    fn write_plain(&self, value: &str, out: &mut impl Output) -> Option<Result<Written, Case>> {
        let is_bytes = clusters::is_bytes(value);
        let count = match is_bytes {
            true => value.len(),
            false => words::plain_count(value)?,
        };
        let found = self.search.one_in(value, count, self.spec.occurrence)?;
        let Some(One { at, before }) = found else {
            return Some(Err(Case::Invalid));
        };
        let (keep, bytes) = (self.spec.keep, value.as_bytes());
        let (part, characters) = match self.spec.side {
            Side::Before => (0..at.start, before),
            Side::After => (at.end..value.len(), count.checked_sub(before + 1)?),
        };
        let Some(hidden) = characters.checked_sub(keep).filter(|hidden| *hidden > 0) else {
            return Some(Err(Case::Short));
        };
        let (head, tail) = match self.spec.side {
            Side::Before => (clusters::ahead(bytes, keep), part.end),
            Side::After => (part.start, clusters::back(bytes, keep)),
        };
        let written = self.filler.write_over(value, head, tail, hidden, out);
        Some(written.map(|()| Written::Text))
    }

    /// Appends a part, hidden but for what is kept at its outer edge.
    fn hide(
        &self,
        part: &str,
        out: &mut impl Output,
        scratch: &mut Vec<usize>,
    ) -> Result<(), Case> {
        let clusters = Clusters::of(part, scratch);
        let hidden = clusters.count().checked_sub(self.spec.keep);
        let hidden = hidden.filter(|hidden| *hidden > 0).ok_or(Case::Short)?;
        match self.spec.side {
            Side::Before => {
                let kept = part.get(..clusters.offset(self.spec.keep));
                out.push(kept.unwrap_or_default());
                self.filler.write(hidden, out);
            }
            Side::After => {
                self.filler.write(hidden, out);
                let kept = part.get(clusters.offset(hidden)..);
                out.push(kept.unwrap_or_default());
            }
        }
        Ok(())
    }
}

impl<O: Output> TextKernel<O> for Kernel {
    fn treat(&self, value: &str, out: &mut O, scratch: &mut Vec<usize>) -> Result<Written, Case> {
        if let Some(written) = self.write_plain(value, out) {
            return written;
        }
        let before = out.length();
        let written = match self.spec.occurrence {
            Occurrence::First => {
                self.write(value, self.search.first(value).into_iter(), out, scratch)
            }
            Occurrence::Last => {
                self.write(value, self.search.last(value).into_iter(), out, scratch)
            }
            Occurrence::All => self.write(value, self.search.all(value), out, scratch),
        };
        match written {
            Ok(()) if !out.ends_with(before, value) => Ok(Written::Text),
            // With a fill that stands there already, nothing was hidden.
            Ok(()) => {
                out.truncate(before);
                Err(Case::Short)
            }
            Err(case) => {
                out.truncate(before);
                Err(case)
            }
        }
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
    use crate::testing::{cases_of, misfit, spec, treat, treat_one, try_spec};

    #[test]
    fn the_side_goes_and_the_rest_stays() {
        let before = "{ kind = 'mask-around' }";
        assert_eq!(
            treat_one(before, "zhang@example.cn"),
            Some("*****@example.cn".into())
        );
        let after = "{ kind = 'mask-around', side = 'after' }";
        assert_eq!(treat_one(after, "zhang@a.cn"), Some("zhang@****".into()));
        let road = "{ kind = 'mask-around', delimiter = '区', side = 'after', length = 3 }";
        assert_eq!(
            treat_one(road, "杭州市西湖区文三路1号"),
            Some("杭州市西湖区***".into())
        );
    }

    #[test]
    fn keep_counts_from_the_outer_edge() {
        let before = "{ kind = 'mask-around', keep = 1 }";
        assert_eq!(
            treat_one(before, "张三丰@example.cn"),
            Some("张**@example.cn".into())
        );
        let after = "{ kind = 'mask-around', side = 'after', delimiter = '-', keep = 2 }";
        assert_eq!(
            treat_one(after, "0571-88886666"),
            Some("0571-******66".into())
        );
        assert_eq!(
            treat_one(after, "0571-👨‍👩‍👧e\u{301}𠮷"),
            Some("0571-*e\u{301}𠮷".into())
        );
    }

    #[test]
    fn the_chosen_delimiter_counts() {
        let first = "{ kind = 'mask-around', delimiter = '::' }";
        assert_eq!(treat_one(first, "a::b::c"), Some("*::b::c".into()));
        let last = "{ kind = 'mask-around', delimiter = '::', occurrence = 'last' }";
        assert_eq!(treat_one(last, "a::b::c"), Some("****::c".into()));
        let single = "{ kind = 'mask-around', occurrence = 'last' }";
        assert_eq!(treat_one(single, "a@b@c"), Some("***@c".into()));
    }

    #[test]
    fn every_delimiter_counts_where_all_do() {
        let before = "{ kind = 'mask-around', delimiter = '.', occurrence = 'all' }";
        assert_eq!(treat_one(before, "10.20.30.7"), Some("**.**.**.7".into()));
        let after = "{ kind = 'mask-around', delimiter = '::', occurrence = 'all', \
                     side = 'after', keep = 1 }";
        assert_eq!(
            treat_one(after, "ab::bc::张三丰"),
            Some("ab::*c::**丰".into())
        );
        assert_eq!(treat_one(after, "ab::b::张三丰"), Some("*".repeat(10)));
        assert_eq!(treat_one(after, "none"), Some("****".into()));
        assert_eq!(treat_one(before, "a..b"), Some("****".into()));
        let letter = "{ kind = 'mask-around', delimiter = 'e', occurrence = 'all' }";
        assert_eq!(treat_one(letter, "ae\u{301}beced"), Some("***e*ed".into()));
    }

    #[test]
    fn a_delimiter_in_plain_text_is_found_as_in_any_other() {
        let of = |delimiter: &str, rest: &str| {
            format!("{{ kind = 'mask-around', delimiter = '{delimiter}', {rest} }}")
        };
        for (value, delimiter) in [
            ("杭州市西湖区a文三路1号区2", "区"),
            ("区文三路", "区"),
            ("a1区", "区"),
            ("张三丰@a.cn@b", "@"),
            ("none", "区"),
            ("文三路", "区"),
        ] {
            for side in ["before", "after"] {
                for occurrence in ["first", "last"] {
                    let spec = of(
                        delimiter,
                        &format!("side = '{side}', occurrence = '{occurrence}', keep = 1"),
                    );
                    let written = treat_one(&spec, value).unwrap();
                    let covered = "*".repeat(value.chars().count());
                    let divided = match occurrence {
                        "first" => value.split_once(delimiter),
                        _ => value.rsplit_once(delimiter),
                    };
                    let Some((before, after)) = divided else {
                        assert_eq!(written, covered, "{spec} {value}");
                        continue;
                    };
                    let fills = |text: &str| "*".repeat(text.chars().count().saturating_sub(1));
                    let (first, last) = (before.chars().next(), after.chars().next_back());
                    let expected = match (side, first, last) {
                        ("before", Some(first), _) if before.chars().count() > 1 => {
                            Some(format!("{first}{}{delimiter}{after}", fills(before)))
                        }
                        ("after", _, Some(last)) if after.chars().count() > 1 => {
                            Some(format!("{before}{delimiter}{}{last}", fills(after)))
                        }
                        _ => None,
                    };
                    assert_eq!(written, expected.unwrap_or(covered), "{spec} {value}");
                }
            }
        }
    }

    #[test]
    fn a_delimiter_that_joins_what_stands_beside_it_is_refused() {
        // To tell whether a flag's half is one, every flag before it is looked at.
        for joining in ["🇨", "🇨🇳", "\u{301}", "a🇨"] {
            let misfit = misfit(&format!(
                "{{ kind = 'mask-around', delimiter = '{joining}' }}"
            ));
            assert_eq!(misfit.parameter, Some("delimiter"), "{joining}");
            assert!(misfit.hint.is_some());
        }
        for apart in ["👨", "::", "\\r\\n", "e"] {
            let text = format!("{{ kind = 'mask-around', delimiter = \"{apart}\" }}");
            assert!(treat_one(&text, "none").is_some(), "{apart}");
        }
    }

    #[test]
    fn part_of_a_character_is_no_delimiter() {
        let letter = "{ kind = 'mask-around', delimiter = 'e' }";
        assert_eq!(treat_one(letter, "ae\u{301}bec"), Some("***ec".into()));
        assert_eq!(treat_one(letter, "ae\u{301}b"), Some("***".into()));
    }

    #[test]
    fn a_missing_delimiter_is_invalid_and_a_short_side_is_short() {
        let spec = "{ kind = 'mask-around', keep = 2 }";
        let treated = treat(
            spec,
            &[Some("none"), Some("ab@c"), Some("@c"), Some("abc@d")],
        );
        assert_eq!(cases_of(&treated), (0, 0, 2, 1));
        assert_eq!(treat_one(spec, "none"), Some("****".into()));
        assert_eq!(treat_one(spec, "ab@c"), Some("****".into()));
        assert_eq!(
            treat_one("{ kind = 'mask-around' }", "@c"),
            Some("**".into())
        );
    }

    #[test]
    fn delimiters_that_divide_nothing_are_refused() {
        let many: Vec<String> = (0..17).map(|number| format!("'<{number}>'")).collect();
        for delimiter in [
            "''",
            "[]",
            "['@', '']",
            "['@', '#', '@']",
            &format!("[{}]", many.join(", ")),
        ] {
            let misfit = misfit(&format!(
                "{{ kind = 'mask-around', delimiter = {delimiter} }}"
            ));
            assert_eq!(misfit.parameter, Some("delimiter"), "{delimiter}");
            assert!(misfit.hint.is_some());
        }
        for wrong in ["7", "true", "[7]", "{ a = '@' }"] {
            let text = format!("{{ kind = 'mask-around', delimiter = {wrong} }}");
            assert!(try_spec(&text).is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_several_delimiters_each_counts() {
        let first = "{ kind = 'mask-around', delimiter = ['@', '#'] }";
        assert_eq!(treat_one(first, "zhang@a#b"), Some("*****@a#b".into()));
        assert_eq!(treat_one(first, "li#a@b"), Some("**#a@b".into()));
        assert_eq!(treat_one(first, "none"), Some("****".into()));
        let last =
            "{ kind = 'mask-around', delimiter = ['@', '#'], occurrence = 'last', side = 'after' }";
        assert_eq!(treat_one(last, "li@a#bc"), Some("li@a#**".into()));
        assert_eq!(treat_one(last, "li#a@bc"), Some("li#a@**".into()));
        let all = "{ kind = 'mask-around', delimiter = ['-', '/', '区'], occurrence = 'all', side = 'after' }";
        assert_eq!(
            treat_one(all, "西湖区文三路-1/2"),
            Some("西湖区***-*/*".into())
        );
    }

    #[test]
    fn of_two_delimiters_at_one_place_the_longer_counts() {
        for order in ["'::', ':'", "':', '::'"] {
            let of =
                |rest: &str| format!("{{ kind = 'mask-around', delimiter = [{order}]{rest} }}");
            assert_eq!(treat_one(&of(""), "ab::c"), Some("**::c".into()));
            let last = of(", occurrence = 'last', side = 'after'");
            assert_eq!(treat_one(&last, "a:b::cd"), Some("a:b::**".into()));
            let all = of(", occurrence = 'all'");
            assert_eq!(treat_one(&all, "ab::c:d"), Some("**::*:d".into()));
        }
        // A letter that is part of a character is none, and what stands behind it is found.
        let letter = "{ kind = 'mask-around', delimiter = ['e', '@'], occurrence = 'last' }";
        assert_eq!(
            treat_one(letter, "a@be\u{301}c"),
            Some("*@be\u{301}c".into())
        );
        let first = "{ kind = 'mask-around', delimiter = ['e', '@'] }";
        assert_eq!(treat_one(first, "ae\u{301}b@c"), Some("***@c".into()));
    }

    #[test]
    fn one_delimiter_is_one_treatment_however_it_is_written() {
        let text = spec("{ kind = 'mask-around', delimiter = '#' }");
        let list = spec("{ kind = 'mask-around', delimiter = ['#'] }");
        assert_eq!(text, list);
        assert_eq!(
            serde_json::to_string(&text).unwrap(),
            serde_json::to_string(&list).unwrap()
        );
        let two = spec("{ kind = 'mask-around', delimiter = ['#', '@'] }");
        let turned = spec("{ kind = 'mask-around', delimiter = ['@', '#'] }");
        assert!(two.meets(&turned) && turned.meets(&two));
        assert!(!two.meets(&text) && !text.meets(&two));
    }

    #[test]
    fn another_side_is_not_comparable() {
        let floor = spec("{ kind = 'mask-around', keep = 1 }");
        assert!(spec("{ kind = 'mask-around' }").meets(&floor));
        assert!(!spec("{ kind = 'mask-around', keep = 2 }").meets(&floor));
        assert!(!spec("{ kind = 'mask-around', side = 'after' }").meets(&floor));
        assert!(!spec("{ kind = 'mask-around', occurrence = 'last' }").meets(&floor));
    }
}
