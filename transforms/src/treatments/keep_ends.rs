//! `keep-ends`: the first and last characters, fills between them.

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

/// Keeps the first and last characters and hides what is between them.
///
/// A value of not more than `first + last` characters is short: it has nothing to hide behind. A
/// result has as many characters as its value, or `first + length + last` where `length` is a
/// number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepEnds {
    /// Characters kept at the beginning.
    pub first: usize,
    /// Characters kept at the end.
    pub last: usize,
    /// The character written over hidden ones.
    #[serde(default = "default_fill")]
    pub fill: String,
    /// Number of fills: `"same"` as was hidden, or a number, which hides the length too.
    #[serde(default = "default_length")]
    pub length: Length,
}

impl Definition for KeepEnds {
    const KIND: &'static str = "keep-ends";
    const SUMMARY: &'static str = "keeps the first and last characters, hides the rest";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str = "{ kind = \"keep-ends\", first = 3, last = 4 }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn at_least(&self, floor: &Self) -> bool {
        self.first <= floor.first && self.last <= floor.last && self.length.at_least(floor.length)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        text::only(Self::KIND, column)?;
        Filler::new(&self.fill, self.length)?;
        Ok(Some(DataType::Utf8))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        text::only(Self::KIND, column)?;
        let filler = Filler::new(&self.fill, self.length)?;
        let kernel = Kernel {
            first: self.first,
            last: self.last,
            filler,
        };
        Ok(Box::new(MaskTreatment::new(kernel, options, column)?))
    }
}

#[derive(Debug)]
struct Kernel {
    first: usize,
    last: usize,
    filler: Filler,
}

impl<O: Output> TextKernel<O> for Kernel {
    fn treat(&self, value: &str, out: &mut O, scratch: &mut Vec<usize>) -> Result<Written, Case> {
        // Neither what follows nor how much of it has a part in the result.
        if self.last == 0
            && self.filler.length().fixed().is_some()
            && let Some(head) = clusters::head(value, self.first)
        {
            let hidden = value.len() - head;
            self.filler
                .write_over(value, head, value.len(), hidden, out)?;
            return Ok(Written::Text);
        }
        let clusters = Clusters::of(value, scratch);
        let count = clusters.count();
        let hidden = count
            .checked_sub(self.first.saturating_add(self.last))
            .filter(|hidden| *hidden > 0)
            .ok_or(Case::Short)?;
        let head = clusters.offset(self.first);
        let tail = clusters.offset(count - self.last);
        self.filler.write_over(value, head, tail, hidden, out)?;
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
    use crate::testing::{cases_of, treat, treat_one};

    #[test]
    fn ends_stay_and_the_middle_goes() {
        let spec = "{ kind = 'keep-ends', first = 3, last = 4 }";
        assert_eq!(treat_one(spec, "13800138000"), Some("138****8000".into()));
        let name = "{ kind = 'keep-ends', first = 1, last = 0 }";
        assert_eq!(treat_one(name, "欧阳娜娜"), Some("欧***".into()));
        assert_eq!(treat_one(name, "𠮷野家"), Some("𠮷**".into()));
        let end = "{ kind = 'keep-ends', first = 0, last = 1 }";
        assert_eq!(treat_one(end, "张三"), Some("*三".into()));
        let none = "{ kind = 'keep-ends', first = 0, last = 0 }";
        assert_eq!(treat_one(none, "张"), Some("*".into()));
    }

    #[test]
    fn characters_are_what_a_reader_sees() {
        let spec = "{ kind = 'keep-ends', first = 1, last = 1 }";
        assert_eq!(treat_one(spec, "👨‍👩‍👧e\u{301}张"), Some("👨‍👩‍👧*张".into()));
        assert_eq!(
            treat_one(spec, "e\u{301}a\u{30A}o"),
            Some("e\u{301}*o".into())
        );
        assert_eq!(treat_one(spec, "🇨🇳🇫🇷🇩🇪"), Some("🇨🇳*🇩🇪".into()));
        assert_eq!(treat_one(spec, "a\r\nb"), Some("a*b".into()));
    }

    #[test]
    fn short_includes_equality_and_is_covered() {
        let spec = "{ kind = 'keep-ends', first = 3, last = 4 }";
        assert_eq!(treat_one(spec, "1234567"), Some("*******".into()));
        assert_eq!(treat_one(spec, "张三"), Some("**".into()));
        assert_eq!(treat_one(spec, "12345678"), Some("123*5678".into()));
        let treated = treat(spec, &[Some("1234567"), Some("12345678"), None, Some("")]);
        assert_eq!(cases_of(&treated), (1, 1, 1, 0));
        let huge = format!("{{ kind = 'keep-ends', first = {}, last = 9 }}", i64::MAX);
        assert_eq!(treat_one(&huge, "123"), Some("***".into()));
    }

    #[test]
    fn a_fixed_length_hides_the_length() {
        let spec = "{ kind = 'keep-ends', first = 1, last = 0, fill = '＊', length = 2 }";
        assert_eq!(treat_one(spec, "张三"), Some("张＊＊".into()));
        assert_eq!(treat_one(spec, "欧阳娜娜"), Some("欧＊＊".into()));
        assert_eq!(treat_one(spec, "张"), Some("＊＊".into()));
    }
}
