//! A share between nothing and the whole, exactly.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A share between 0 and 1, to nine decimals. Written as decimal text (`"0.01"`) or as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    billionths: u32,
}

impl Share {
    /// Nothing at all.
    pub const ZERO: Self = Self { billionths: 0 };

    /// The whole, in billionths.
    const WHOLE: u32 = 1_000_000_000;

    /// Decimals that are read.
    const DECIMALS: usize = 9;

    /// What [`parse`](Self::parse) reads, as a regular expression.
    const PATTERN: &'static str = "^(0+(\\.[0-9]{1,9}0*)?|0*1(\\.0+)?)$";

    /// Reads decimal text from 0 to 1; none for everything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let written = fraction.trim_end_matches('0');
        if !digits(whole) || !digits(fraction) || written.len() > Self::DECIMALS {
            return None;
        }
        let padded = format!("{written:0<width$}", width = Self::DECIMALS);
        let fraction: u32 = padded.parse().ok()?;
        let whole: u32 = whole.parse().ok()?;
        let billionths = whole.checked_mul(Self::WHOLE)?.checked_add(fraction)?;
        (billionths <= Self::WHOLE).then_some(Self { billionths })
    }

    /// Whether `part` of `whole` is more than this share, exactly.
    pub fn is_exceeded(self, part: u64, whole: u64) -> bool {
        let scaled = u128::from(part) * u128::from(Self::WHOLE);
        scaled > u128::from(whole) * u128::from(self.billionths)
    }
}

impl fmt::Display for Share {
    /// Without zeros at the end: `0.01`, `0`, `1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.billionths / Self::WHOLE, self.billionths % Self::WHOLE);
        let fraction = format!("{rest:0width$}", width = Self::DECIMALS);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            fraction => write!(f, "{whole}.{fraction}"),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShareVisitor;

        impl Visitor<'_> for ShareVisitor {
            type Value = Share;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share from 0 to 1 with at most nine decimals, such as \"0.01\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
                Share::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Share, E> {
                // The shortest text that reads back as the number: what was written.
                Share::parse(&value.to_string())
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Float(value), &self))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Share, E> {
                Share::parse(&value.to_string())
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(value), &self))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Share, E> {
                Share::parse(&value.to_string())
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(value), &self))
            }
        }

        deserializer.deserialize_any(ShareVisitor)
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number"],
            "minimum": 0,
            "maximum": 1,
            "pattern": Self::PATTERN
        })
    }
}
