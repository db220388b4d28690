//! `admin-level`: division codes to the province, city or district they lie in.
//!
//! Codes of GB/T 2260 nest: two digits name the province, four the city, six the district; the
//! statistical codes go on with three digits of the street and three of the village.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named are refused"
)]

use arrow::datatypes::{ArrowPrimitiveType, DataType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::divisions::{self, Edition};
use crate::error::{Case, Misfit};
use crate::key::DerivedKey;
use crate::number::column::mapped_unless_short;
use crate::number::{Exact, ForExact, with_exact};
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{TextKernel, TextTreatment, Written};
use crate::treatment::Treatment;

/// Keeps of a division code what names the province, the city or the district.
///
/// Codes have 6 digits (GB/T 2260), 9 (with the street) or 12 (with the village), as text or as a
/// whole number; anything else and an unknown province is invalid. A code of no more digits than
/// the level keeps is short, because nothing of it would be hidden, and so is one of fewer than 6.
///
/// It does not stand for a floor that hides part of a text: the digits that it keeps may be those
/// that the floor hides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminLevel {
    /// The level that is delivered: `province` keeps 2 digits, `city` 4, `district` 6.
    pub level: Level,
    /// What becomes of the digits below the level: `zeros`, so that the code keeps its length, or
    /// `cut`.
    #[serde(default)]
    pub rest: Rest,
    /// The edition of the division table (GB/T 2260), by its last list: 2023, the only one there is.
    #[serde(default)]
    pub gb2260_version: Edition,
}

/// A level of administration.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Province, autonomous region, municipality: 2 digits.
    Province,
    /// City, prefecture, league: 4 digits.
    City,
    /// District, county, banner: 6 digits.
    District,
}

/// What becomes of the digits below the level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    /// They become zeros.
    #[default]
    Zeros,
    /// They are cut off.
    Cut,
}

impl Level {
    fn digits(self) -> u8 {
        match self {
            Self::Province => 2,
            Self::City => 4,
            Self::District => 6,
        }
    }
}

/// The digits that codes have.
const LENGTHS: [u8; 3] = [6, 9, 12];

impl Definition for AdminLevel {
    const KIND: &'static str = "admin-level";
    const SUMMARY: &'static str = "keeps the province, city or district of a division code";
    const FITS: &'static str = "utf8, and whole numbers of 32 or 64 bits";
    const EXAMPLE: &'static str = r#"{ kind = "admin-level", level = "city" }"#;
    const STRENGTH: Strength = Strength::COARSER;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: Option<&'static str> =
        Some("12 bytes, or the digits of the level where the rest is cut");

    fn width(&self, _: &DataType) -> Option<usize> {
        Some(match self.rest {
            Rest::Zeros => LENGTHS.iter().copied().max().unwrap_or_default().into(),
            Rest::Cut => self.level.digits().into(),
        })
    }

    /// True for the same or a higher level that shows no more of the code's length.
    fn at_least(&self, floor: &Self) -> bool {
        self.level <= floor.level && (self.rest == floor.rest || self.rest == Rest::Cut)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        match column.data_type {
            DataType::Utf8
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt32
            | DataType::UInt64 => Ok(Some(column.data_type.clone())),
            other => Err(Misfit::of_type(Self::KIND, other, Self::FITS)),
        }
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.output_type(column)?;
        let kept = Kept {
            digits: self.level.digits(),
            rest: self.rest,
            provinces: divisions::provinces(),
        };
        if *column.data_type == DataType::Utf8 {
            return Ok(Box::new(TextTreatment::new(kept, options, column)?));
        }
        with_exact(
            column.data_type,
            Builder {
                column,
                options,
                kept,
            },
        )
        .ok_or_else(|| Misfit::of_type(Self::KIND, column.data_type, Self::FITS))?
    }
}

/// How much of a code is kept.
#[derive(Debug, Clone, Copy)]
struct Kept {
    digits: u8,
    rest: Rest,
    /// Which two digits name a province: a bit for each.
    provinces: u128,
}

impl Kept {
    /// Whether a number names a province.
    #[inline]
    fn is_province(self, digits: u64) -> bool {
        digits < 100 && self.provinces >> digits & 1 == 1
    }

    /// Whether a number has too few digits for a code, or is a code without one below the level.
    fn is_short(self, code: u64) -> bool {
        let has_at_most = |digits: u8| {
            let bound = 10_u64.checked_pow(u32::from(digits));
            bound.is_some_and(|bound| code < bound)
        };
        has_at_most(LENGTHS[0] - 1) || has_at_most(self.digits) && self.is_province(code / 10_000)
    }

    /// What is kept of a code as a number.
    #[inline]
    fn of_number(self, code: u64) -> Option<u64> {
        let length = u8::try_from(code.checked_ilog10()? + 1).ok()?;
        let power = |digits: u8| 10_u64.checked_pow(u32::from(length.checked_sub(digits)?));
        if !LENGTHS.contains(&length) || !self.is_province(code.checked_div(power(2)?)?) {
            return None;
        }
        if self.is_short(code) {
            return None;
        }
        let below = power(self.digits)?;
        let kept = code.checked_div(below)?;
        match self.rest {
            Rest::Zeros => kept.checked_mul(below),
            Rest::Cut => Some(kept),
        }
    }
}

impl TextKernel for Kept {
    fn treat(&self, value: &str, out: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        let code = value.as_bytes();
        if !code.iter().all(u8::is_ascii_digit) {
            return Err(Case::Invalid);
        }
        if code.len() < usize::from(LENGTHS[0]) {
            return Err(Case::Short);
        }
        let is_code = LENGTHS
            .iter()
            .any(|length| code.len() == usize::from(*length));
        let digits = usize::from(self.digits);
        let province = match code {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => (tens - b'0') * 10 + (ones - b'0'),
            _ => 0,
        };
        if !is_code || !self.is_province(province.into()) {
            return Err(Case::Invalid);
        }
        if code.len() <= digits {
            return Err(Case::Short);
        }
        let kept = code.get(..digits).ok_or(Case::Invalid)?;
        out.extend_from_slice(kept);
        if self.rest == Rest::Zeros {
            out.resize(out.len() + code.len() - kept.len(), b'0');
        }
        Ok(Written::Text)
    }

    fn cover(&self, characters: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + characters, b'*');
    }
}

struct Builder<'a> {
    column: Column<'a>,
    options: &'a Options,
    kept: Kept,
}

impl ForExact for Builder<'_> {
    type Output = Result<Box<dyn Treatment>, Misfit>;

    fn call<T>(self, _: T::Native, _: T::Native) -> Self::Output
    where
        T: ArrowPrimitiveType,
        T::Native: Exact,
    {
        let kept = self.kept;
        let read = |code: T::Native| u64::try_from(code.small()?).ok();
        let map =
            move |code| T::Native::from_small(i64::try_from(kept.of_number(read(code)?)?).ok()?);
        let is_short = move |code| read(code).is_some_and(|code| kept.is_short(code));
        mapped_unless_short::<T, _>(self.column, self.options, map, is_short)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, Int32Array, Int64Array, StringArray, UInt64Array};
    use arrow::datatypes::{Int32Type, Int64Type, UInt64Type};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::number::column::testing::{apply, misfit, texts, treat, written};
    use crate::testing::spec;

    fn coded(table: Value, values: &[&str]) -> Vec<String> {
        let treated = treat::<AdminLevel>(table, StringArray::from(values.to_vec()));
        texts(&treated)
            .into_iter()
            .map(|text| text.unwrap().to_owned())
            .collect()
    }

    #[test]
    fn codes_are_kept_to_the_level() {
        let codes = ["330106", "330106001", "330106001002", "110000"];
        let whole = "******";
        for (level, rest, expected) in [
            (
                "province",
                "zeros",
                ["330000", "330000000", "330000000000", "110000"],
            ),
            (
                "city",
                "zeros",
                ["330100", "330100000", "330100000000", "110000"],
            ),
            (
                "district",
                "zeros",
                [whole, "330106000", "330106000000", whole],
            ),
            ("province", "cut", ["33", "33", "33", "11"]),
            ("city", "cut", ["3301", "3301", "3301", "1100"]),
            ("district", "cut", [whole, "330106", "330106", whole]),
        ] {
            let table = json!({ "level": level, "rest": rest });
            assert_eq!(coded(table, &codes), expected, "{level} {rest}");
        }
    }

    #[test]
    fn numbers_agree_with_text() {
        let codes = [33_010_600, 330_106_001, 330_106_001_002, 820_000, 33_010];
        for level in ["province", "city", "district"] {
            for rest in ["zeros", "cut"] {
                let table = json!({ "level": level, "rest": rest });
                let numbers = treat::<AdminLevel>(table.clone(), Int64Array::from(codes.to_vec()));
                let text: Vec<String> = codes.iter().map(ToString::to_string).collect();
                let text: Vec<&str> = text.iter().map(String::as_str).collect();
                let numbers = numbers.as_primitive::<Int64Type>().iter();
                let numbers: Vec<Option<String>> = numbers
                    .map(|code| code.map(|code| code.to_string()))
                    .collect();
                let text = coded(table, &text).into_iter();
                let text: Vec<Option<String>> = text
                    .map(|code| (!code.starts_with('*')).then_some(code))
                    .collect();
                assert_eq!(numbers, text);
            }
        }
    }

    #[test]
    fn what_is_no_code_never_passes() {
        let values = [
            "3301060",
            "99",
            "990106",
            "010106",
            "33010a",
            "３３０１０６",
            "330106-1",
            "0",
        ];
        for covered in coded(json!({ "level": "district" }), &values) {
            assert!(covered.bytes().all(|byte| byte == b'*'), "{covered}");
        }
        let level: AdminLevel = written(json!({ "level": "city" }));
        let array = StringArray::from(vec!["3301", "33", "990101"]);
        let counts = apply(&level, &Options::default(), array).unwrap().counts;
        assert_eq!((counts.short, counts.invalid), (2, 1));
        let table = json!({ "level": "district" });
        let numbers = vec![0, -330_106, 3_301, 990_106, 3_301_060, i64::MIN, i64::MAX];
        assert_eq!(
            treat::<AdminLevel>(table.clone(), Int64Array::from(numbers)).null_count(),
            7
        );
        let unsigned = UInt64Array::from(vec![u64::MAX, 330_106_001]);
        let treated = treat::<AdminLevel>(table.clone(), unsigned);
        let treated = treated.as_primitive::<UInt64Type>();
        assert!(treated.is_null(0) && treated.value(1) == 330_106_000);
        let narrow = treat::<AdminLevel>(table, Int32Array::from(vec![i32::MAX, 330_106_001]));
        let narrow = narrow.as_primitive::<Int32Type>();
        assert!(narrow.is_null(0) && narrow.value(1) == 330_106_000);
    }

    #[test]
    fn a_code_no_finer_than_the_level_is_short() {
        let level: AdminLevel = written(json!({ "level": "district" }));
        let options = Options {
            on_short: crate::options::Action::Reject,
            ..Options::default()
        };
        let texts = StringArray::from(vec!["330106", "33010", "330106001", "3301060"]);
        let treated = apply(&level, &options, texts).unwrap();
        let flagged = |treated: &crate::Treated| {
            let rows = treated.rejected.as_ref().unwrap();
            rows.set_indices().collect::<Vec<_>>()
        };
        assert_eq!((treated.counts.short, treated.counts.invalid), (2, 1));
        assert_eq!(flagged(&treated), [0, 1]);
        let numbers = vec![330_106, 33_010, 330_106_001, 3_301_060, -330_106, 990_106];
        let treated = apply(&level, &options, Int64Array::from(numbers)).unwrap();
        assert_eq!((treated.counts.short, treated.counts.invalid), (2, 3));
        assert_eq!(flagged(&treated), [0, 1]);
    }

    #[test]
    fn it_does_not_stand_for_a_partial_mask() {
        let own = spec("{ kind = 'admin-level', level = 'province' }");
        assert_eq!(own.strength(), Strength::COARSER);
        assert!(!own.meets(&spec("{ kind = 'keep-ends', first = 2, last = 0 }")));
        assert!(own.meets(&spec("{ kind = 'clear' }")));
        let some = "{ kind = 'when', condition = 'c', then = { kind = 'clear' }, \
            else = { kind = 'keep-ends', first = 0, last = 0 } }";
        assert!(!own.meets(&spec(some)), "not for a part of a floor either");
        let pseudonym = spec("{ kind = 'hmac', domain = 'd' }");
        assert!(pseudonym.meets(&own));
    }

    #[test]
    fn other_types_do_not_fit() {
        for data_type in [
            DataType::Int16,
            DataType::Float64,
            DataType::Decimal128(12, 0),
        ] {
            let misfit = misfit::<AdminLevel>(json!({ "level": "city" }), &data_type);
            assert_eq!(misfit.parameter, None);
        }
        assert!(serde_json::from_value::<AdminLevel>(json!({ "level": "village" })).is_err());
    }

    #[test]
    fn a_higher_level_reveals_no_more() {
        let level = |level: &str, rest: &str| {
            written::<AdminLevel>(json!({ "level": level, "rest": rest }))
        };
        let floor = level("city", "zeros");
        assert!(level("city", "zeros").at_least(&floor));
        assert!(level("province", "zeros").at_least(&floor));
        assert!(level("province", "cut").at_least(&floor));
        assert!(!level("district", "cut").at_least(&floor));
        assert!(!floor.at_least(&level("city", "cut")));
    }

    proptest! {
        #[test]
        fn what_is_delivered_begins_the_code_or_hides_it(text in "[0-9]{0,14}|\\PC{0,8}") {
            let level: AdminLevel = written(json!({ "level": "city", "rest": "cut" }));
            let treated = apply(&level, &Options::default(), StringArray::from(vec![text.clone()])).unwrap();
            let delivered = texts(&treated.array)[0].unwrap_or_default().to_owned();
            let counts = treated.counts;
            if counts.short + counts.invalid > 0 {
                prop_assert!(delivered.bytes().all(|byte| byte == b'*'));
            } else if counts.empty == 0 {
                prop_assert!(delivered.len() == 4 && text.starts_with(&delivered));
            }
        }
    }
}
