//! `mask-range`: fills over a range of positions.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clusters::Clusters;
use crate::error::{Case, Misfit};
use crate::fill::{Filler, Length, default_fill};
use crate::key::DerivedKey;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{self, MaskTreatment, Output, TextKernel, Written};
use crate::treatment::Treatment;

/// Hides the characters from one position to another, both included, and keeps the rest.
///
/// A value in which the range would hide nothing is short. A result has as many characters as its
/// value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskRange {
    /// First hidden position: 0 is the first character, -1 the last.
    pub from: i64,
    /// Last hidden position, included: 0 is the first character, -1 the last.
    pub to: i64,
    /// The character written over hidden ones.
    #[serde(default = "default_fill")]
    pub fill: String,
}

impl MaskRange {
    fn check(&self) -> Result<Filler, Misfit> {
        if (self.from < 0) == (self.to < 0) && self.from > self.to {
            return Err(Misfit::of_parameter(
                "to",
                "`to` lies before `from`, so nothing is hidden",
            )
            .with_hint("positions are 0-based, both ends included, negative from the end"));
        }
        Filler::new(&self.fill, Length::Same)
    }
}

impl Definition for MaskRange {
    const KIND: &'static str = "mask-range";
    const SUMMARY: &'static str = "hides the characters from one position to another";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str = "{ kind = \"mask-range\", from = 6, to = 13 }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn at_least(&self, floor: &Self) -> bool {
        let same_side = |own: i64, floor: i64| (own < 0) == (floor < 0);
        let starts = self.from == 0 || same_side(self.from, floor.from) && self.from <= floor.from;
        let ends = self.to == -1 || same_side(self.to, floor.to) && self.to >= floor.to;
        starts && ends
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
        let kernel = Kernel {
            from: self.from,
            to: self.to,
            filler: self.check()?,
        };
        Ok(Box::new(MaskTreatment::new(kernel, options, column)?))
    }
}

#[derive(Debug)]
struct Kernel {
    from: i64,
    to: i64,
    filler: Filler,
}

impl Kernel {
    /// The hidden characters of a value of `count`: beginning, and end not included. `None` where
    /// none is.
    fn hidden(&self, count: usize) -> Option<(usize, usize)> {
        let length = i64::try_from(count).ok()?;
        let position = |at: i64| {
            if at < 0 {
                length.saturating_add(at)
            } else {
                at
            }
        };
        let from = position(self.from).max(0);
        let to = position(self.to).min(length - 1);
        if from > to {
            return None;
        }
        Some((usize::try_from(from).ok()?, usize::try_from(to).ok()? + 1))
    }
}

impl<O: Output> TextKernel<O> for Kernel {
    fn treat(&self, value: &str, out: &mut O, scratch: &mut Vec<usize>) -> Result<Written, Case> {
        let clusters = Clusters::of(value, scratch);
        let (from, to) = self.hidden(clusters.count()).ok_or(Case::Short)?;
        let (head, tail) = (clusters.offset(from), clusters.offset(to));
        self.filler.write_over(value, head, tail, to - from, out)?;
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
    use crate::testing::{cases_of, misfit, spec, treat, treat_one};

    #[test]
    fn both_ends_of_the_range_are_hidden() {
        let birth = "{ kind = 'mask-range', from = 6, to = 13 }";
        assert_eq!(
            treat_one(birth, "11010519491231002X"),
            Some("110105********002X".into())
        );
    }

    #[test]
    fn a_range_whose_ends_are_equal_hides_that_character() {
        // ShardingSphere returned the original (#25616).
        let one = "{ kind = 'mask-range', from = 1, to = 1, fill = '○' }";
        assert_eq!(treat_one(one, "张三丰"), Some("张○丰".into()));
        let first = "{ kind = 'mask-range', from = 0, to = 0 }";
        assert_eq!(treat_one(first, "张"), Some("*".into()));
        let last = "{ kind = 'mask-range', from = -1, to = -1 }";
        assert_eq!(treat_one(last, "13800138000"), Some("1380013800*".into()));
    }

    #[test]
    fn negative_positions_count_from_the_end() {
        let last = "{ kind = 'mask-range', from = -4, to = -1 }";
        assert_eq!(treat_one(last, "13800138000"), Some("1380013****".into()));
        assert_eq!(treat_one(last, "123"), Some("***".into()));
        let inner = "{ kind = 'mask-range', from = 1, to = -2 }";
        assert_eq!(treat_one(inner, "👨‍👩‍👧𠮷e\u{301}张"), Some("👨‍👩‍👧**张".into()));
    }

    #[test]
    fn a_range_beyond_the_value_is_short() {
        let spec = "{ kind = 'mask-range', from = 3, to = 6 }";
        assert_eq!(treat_one(spec, "123"), Some("***".into()));
        assert_eq!(treat_one(spec, "1234"), Some("123*".into()));
        let inner = "{ kind = 'mask-range', from = 1, to = -2 }";
        let treated = treat(inner, &[Some("ab"), Some("abc")]);
        assert_eq!(cases_of(&treated), (0, 0, 1, 0));
        let far = format!(
            "{{ kind = 'mask-range', from = {}, to = {} }}",
            i64::MIN,
            i64::MAX
        );
        assert_eq!(treat_one(&far, "abc"), Some("***".into()));
    }

    #[test]
    fn a_range_that_never_hides_anything_is_refused() {
        for text in ["from = 5, to = 3", "from = -1, to = -3"] {
            let misfit = misfit(&format!("{{ kind = 'mask-range', {text} }}"));
            assert_eq!(misfit.parameter, Some("to"));
        }
    }

    #[test]
    fn a_wider_range_meets_a_narrower_one() {
        let range = |from: i64, to: i64| {
            spec(&format!(
                "{{ kind = 'mask-range', from = {from}, to = {to} }}"
            ))
        };
        assert!(range(3, 8).meets(&range(4, 7)));
        assert!(range(0, -1).meets(&range(4, 7)));
        assert!(range(-9, -1).meets(&range(-4, -2)));
        assert!(!range(4, 7).meets(&range(3, 7)));
        assert!(
            !range(3, -1).meets(&range(-4, -1)),
            "which is wider depends on the value"
        );
    }
}
