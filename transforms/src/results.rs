//! What a reader of results can rely on: how different values stay apart, and how wide they get.
//!
//! A kind of treatment says both for the values it was made for. What the options do with the others
//! counts too: a bijection that covers malformed values alike isn't one, and a value that is covered
//! character by character is as wide as it was. So both are asked of a whole spec, options included.

use arrow::datatypes::DataType;
use serde::Serialize;

use crate::options::{Action, Options};

/// What is left of the difference between values: what joins, keys and counts of distinct values
/// over the treated field can rely on. Nulls and empty values are absences, not values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Uniqueness {
    /// Different values stay different, equal ones equal.
    Bijective,
    /// Equal values stay equal; two different ones meet with a probability of 2 to the minus
    /// `bits`.
    Probabilistic {
        /// Bits of the result: among n values, about n² / 2^(bits+1) pairs are expected to meet.
        bits: u32,
    },
    /// Different values may become equal; nothing follows from the number of different results.
    Lossy,
    /// Equal values become different ones (random encryption): no join, no grouping.
    Randomised,
}

impl Uniqueness {
    /// What these options leave of it, where `refused` is what they do with values that are short or
    /// invalid: those that are nulled or covered alike meet, and a sentinel that is kept may equal
    /// the result of another value.
    pub(crate) fn under(self, options: &Options, refused: &[Action]) -> Self {
        let merges = |action: &Action| !matches!(action, Action::Reject | Action::Fail);
        let merged = refused.iter().any(merges);
        match self {
            Self::Bijective if merged || !options.sentinels.is_empty() => Self::Lossy,
            Self::Probabilistic { .. } if merged => Self::Lossy,
            Self::Bijective | Self::Probabilistic { .. } | Self::Lossy | Self::Randomised => self,
        }
    }
}

/// How wide the results of a field of text or binary get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Width {
    /// The most bytes of a treated value or a sentinel.
    pub bytes: usize,
    /// Whether this holds for every value. Otherwise an empty, short or malformed value may be as
    /// wide as it was, because an option keeps it or covers it character by character.
    pub strict: bool,
}

impl Width {
    /// The width of results that have `bytes` at most, together with what these options write for
    /// the values of a type that they decide about; `cover` is the most bytes of `mask-all`, absent
    /// where it follows the value, and `refused` what is done with short and invalid values.
    pub(crate) fn with(
        bytes: usize,
        cover: Option<usize>,
        data_type: &DataType,
        options: &Options,
        refused: &[Action],
    ) -> Self {
        let sentinels = options.sentinels.iter();
        let longest = sentinels.map(|sentinel| sentinel.as_text().len()).max();
        let mut width = Self {
            bytes: bytes.max(longest.unwrap_or(0)),
            strict: true,
        };
        // Of other types nothing is empty, and what is covered is null.
        if *data_type != DataType::Utf8 {
            return width;
        }
        let absences = [options.on_null, options.on_empty];
        for action in refused.iter().copied().chain(absences) {
            match (action, cover) {
                (Action::MaskAll, Some(cover)) => width.bytes = width.bytes.max(cover),
                (Action::MaskAll, None) => width.strict = false,
                (
                    Action::Keep
                    | Action::Null
                    | Action::Fail
                    | Action::Reject
                    | Action::Synthesize,
                    _,
                ) => {}
            }
        }
        width.strict &= options.on_empty != Action::Keep;
        width
    }

    /// The wider of the two.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.max(other.bytes),
            strict: self.strict && other.strict,
        }
    }
}

/// The most bytes of the text of a value of that type: `-9223372036854775808`, `2026-01-31`; absent
/// for types whose text follows the value.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only these types are written as text"
)]
pub(crate) fn text_bytes(data_type: &DataType) -> Option<usize> {
    // A sign, a point and a zero before it.
    let decimal = |digits: u8| usize::from(digits) + 3;
    Some(match data_type {
        DataType::Int8 => 4,
        DataType::UInt8 => 3,
        DataType::Int16 => 6,
        DataType::UInt16 => 5,
        DataType::Int32 => 11,
        DataType::UInt32 | DataType::Date32 => 10,
        DataType::Int64 | DataType::UInt64 => 20,
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => {
            // A negative scale adds zeros.
            decimal(*digits) + usize::try_from(-i32::from(*scale)).unwrap_or(0)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::spec;

    fn width(text: &str) -> Option<(usize, bool)> {
        let width = spec(text).width(&DataType::Utf8, &DataType::Utf8)?;
        Some((width.bytes, width.strict))
    }

    fn uniqueness(text: &str, data_type: &DataType) -> Uniqueness {
        spec(text).uniqueness(data_type)
    }

    #[test]
    fn an_option_that_masks_malformed_values_alike_ends_a_bijection() {
        let card = |rest: &str| {
            let text =
                format!("{{ kind = 'structured-id', of = 'bank-card', domain = 'd'{rest} }}");
            uniqueness(&text, &DataType::Utf8)
        };
        assert_eq!(card(""), Uniqueness::Lossy);
        assert_eq!(card(", on_short = 'reject'"), Uniqueness::Lossy);
        let rejects = ", on_invalid = 'reject'";
        assert_eq!(card(rejects), Uniqueness::Bijective);
        let listed = format!("{rejects}, sentinels = ['0']");
        assert_eq!(card(&listed), Uniqueness::Lossy);
    }

    #[test]
    fn what_has_no_malformed_values_keeps_its_class_whatever_the_options() {
        let clear = "{ kind = 'clear' }";
        assert_eq!(uniqueness(clear, &DataType::Utf8), Uniqueness::Bijective);
        assert_eq!(uniqueness(clear, &DataType::Float64), Uniqueness::Lossy);
        let listed = "{ kind = 'clear', sentinels = ['a'] }";
        assert_eq!(uniqueness(listed, &DataType::Utf8), Uniqueness::Bijective);
        let hmac = "{ kind = 'hmac', domain = 'd' }";
        let bits = |data_type| uniqueness(hmac, &data_type);
        assert_eq!(
            bits(DataType::Utf8),
            Uniqueness::Probabilistic { bits: 256 }
        );
        assert_eq!(
            bits(DataType::Int64),
            Uniqueness::Probabilistic { bits: 256 }
        );
        assert_eq!(bits(DataType::Date32), Uniqueness::Lossy);
        let dropped = "{ kind = 'drop-row', when = 'a = 1', on_invalid = 'reject', \
             then = { kind = 'hmac', domain = 'd' } }";
        assert_eq!(
            uniqueness(dropped, &DataType::Date32),
            Uniqueness::Probabilistic { bits: 256 }
        );
    }

    #[test]
    fn width_follows_encoding_length_and_options() {
        assert_eq!(width("{ kind = 'hmac', domain = 'd' }"), Some((64, false)));
        let strict = "{ kind = 'hmac', domain = 'd', encoding = 'base32', on_empty = 'null' }";
        assert_eq!(width(strict), Some((52, true)));
        let short = "{ kind = 'hmac', domain = 'd', length = 20, on_empty = 'null', \
             sentinels = ['an identity that is not known'] }";
        assert_eq!(width(short), Some((29, true)));
        let constant = "{ kind = 'constant', value = '某', on_empty = 'mask-all' }";
        assert_eq!(width(constant), Some((3, true)));
        assert_eq!(width("{ kind = 'keep-ends', first = 1, last = 0 }"), None);
        let when = "{ kind = 'when', condition = 'a = 1', on_empty = 'reject', \
             then = { kind = 'constant', value = 'abc' }, else = { kind = 'hmac', domain = 'd' } }";
        assert_eq!(width(when), Some((64, true)));
    }

    #[test]
    fn cells_of_one_type_have_one_width() {
        let cell = |text: &str, data_type, output| {
            let width = spec(text).width(&data_type, &output);
            width.map(|width| (width.bytes, width.strict))
        };
        let plain = "{ kind = 'encrypt-rand', domain = 'd' }";
        let of_long = cell(plain, DataType::Int64, DataType::Binary);
        let overhead = crate::cell::OVERHEAD_BYTES;
        assert_eq!(of_long, Some((overhead + 9, true)));
        assert_eq!(cell(plain, DataType::Utf8, DataType::Binary), None);
        let clear = cell("{ kind = 'clear' }", DataType::Int64, DataType::Int64);
        assert_eq!(clear, None);
    }

    #[test]
    fn texts_of_numbers_are_no_longer_than_said() {
        for (data_type, longest) in [
            (DataType::Int8, "-128"),
            (DataType::Int64, "-9223372036854775808"),
            (DataType::UInt64, "18446744073709551615"),
            (DataType::Date32, "9999-12-31"),
            (DataType::Decimal128(2, 2), "-0.99"),
            (DataType::Decimal128(2, -2), "-9900"),
        ] {
            let most = text_bytes(&data_type).unwrap();
            assert!(
                longest.len() <= most && most <= longest.len() + 2,
                "{data_type}"
            );
        }
        assert_eq!(text_bytes(&DataType::Utf8), None);
    }
}
