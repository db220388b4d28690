//! The options every treatment has: what happens to the values that need a decision.
//!
//! A value that is null, empty, too short or malformed has no obvious treatment, and a treatment
//! that let it through unchanged would publish it. So every treatment carries the same four
//! answers, and `keep` is one of them only where nothing but an absence is kept.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Case;

/// What a treatment does with a value that needs a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Leaves the value as it is; for nulls and empty values only.
    Keep,
    /// Makes it null.
    Null,
    /// Covers the whole value with fills; null where the type isn't text.
    MaskAll,
    /// Fails the run.
    Fail,
    /// Drops the row, and counts it.
    Reject,
}

impl Action {
    /// The word as configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Null => "null",
            Self::MaskAll => "mask-all",
            Self::Fail => "fail",
            Self::Reject => "reject",
        }
    }
}

/// The options of a treatment. `Debug` shows how many sentinels there are, and none of them.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Options {
    /// What happens to a null.
    pub on_null: Action,
    /// What happens to a value that is empty or white space only (Unicode White_Space).
    pub on_empty: Action,
    /// What happens to a value too short for the pattern.
    pub on_short: Action,
    /// What happens to a value that doesn't parse, or whose result doesn't fit.
    pub on_invalid: Action,
    /// Values kept as given, such as `"1900-01-01"` for an unknown date.
    pub sentinels: Vec<Scalar>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("on_null", &self.on_null)
            .field("on_empty", &self.on_empty)
            .field("on_short", &self.on_short)
            .field("on_invalid", &self.on_invalid)
            .field("sentinels", &self.sentinels.len())
            .finish()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            on_null: Action::Keep,
            on_empty: Action::Keep,
            on_short: Action::MaskAll,
            on_invalid: Action::MaskAll,
            sentinels: Vec::new(),
        }
    }
}

impl Options {
    /// The keys of the options, as configuration writes them.
    pub const KEYS: [&'static str; 5] =
        ["on_null", "on_empty", "on_short", "on_invalid", "sentinels"];

    /// The action for a case.
    pub fn action(&self, case: Case) -> Action {
        match case {
            Case::Null => self.on_null,
            Case::Empty => self.on_empty,
            Case::Short => self.on_short,
            Case::Invalid => self.on_invalid,
        }
    }

    /// Whether these options reveal no more than `floor` for nulls and empty values, and list no
    /// sentinel that `floor` doesn't.
    pub(crate) fn keep_no_more(&self, floor: &Self) -> bool {
        rank_null(self.on_null) >= rank_null(floor.on_null)
            && rank(self.on_empty) >= rank(floor.on_empty)
            && self.sentinels_within(floor)
    }

    /// Whether every option reveals no more than `floor`'s.
    pub(crate) fn at_least(&self, floor: &Self) -> bool {
        self.keep_no_more(floor)
            && rank(self.on_short) >= rank(floor.on_short)
            && rank(self.on_invalid) >= rank(floor.on_invalid)
    }

    /// These options within a treatment that has `outer`: of each pair the stricter holds, and the
    /// sentinels of both are kept.
    pub(crate) fn within(&self, outer: &Self) -> Self {
        let stricter = |own, outer, rank: fn(Action) -> u8| match rank(outer) > rank(own) {
            true => outer,
            false => own,
        };
        let mut sentinels = self.sentinels.clone();
        for sentinel in &outer.sentinels {
            if !sentinels.iter().any(|own| own.same_as(sentinel)) {
                sentinels.push(sentinel.clone());
            }
        }
        Self {
            on_null: stricter(self.on_null, outer.on_null, rank_null),
            on_empty: stricter(self.on_empty, outer.on_empty, rank),
            on_short: stricter(self.on_short, outer.on_short, rank),
            on_invalid: stricter(self.on_invalid, outer.on_invalid, rank),
            sentinels,
        }
    }

    /// The options of a field of which nothing leaves: stricter than any.
    pub(crate) fn withheld() -> Self {
        Self {
            on_null: Action::Fail,
            on_empty: Action::Fail,
            on_short: Action::Fail,
            on_invalid: Action::Fail,
            sentinels: Vec::new(),
        }
    }

    /// Whether every sentinel is also one of `floor`.
    pub(crate) fn sentinels_within(&self, floor: &Self) -> bool {
        self.sentinels
            .iter()
            .all(|own| floor.sentinels.iter().any(|theirs| own.same_as(theirs)))
    }
}

/// How little an action reveals of a value that is there.
fn rank(action: Action) -> u8 {
    match action {
        Action::Keep => 0,
        Action::MaskAll => 1,
        Action::Null => 2,
        Action::Reject => 3,
        Action::Fail => 4,
    }
}

/// How little an action reveals of an absence: a null kept and a null made are the same.
fn rank_null(action: Action) -> u8 {
    match action {
        Action::Keep | Action::Null => 0,
        Action::MaskAll => 1,
        Action::Reject => 2,
        Action::Fail => 3,
    }
}

/// The actions allowed for short and invalid values: every one but `keep`.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StrictAction {
    /// Makes the value null.
    Null,
    /// Covers the whole value with fills; null where the type isn't text.
    MaskAll,
    /// Fails the run.
    Fail,
    /// Drops the row, and counts it.
    Reject,
}

impl From<StrictAction> for Action {
    fn from(action: StrictAction) -> Self {
        match action {
            StrictAction::Null => Self::Null,
            StrictAction::MaskAll => Self::MaskAll,
            StrictAction::Fail => Self::Fail,
            StrictAction::Reject => Self::Reject,
        }
    }
}

/// A single value as configuration writes it: text, a number, true or false, a date.
///
/// Fractions and dates are held as text, so that a spec read back from its canonical form equals
/// the one that was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Text, and everything else as text.
    Text(String),
}

impl Scalar {
    /// The value as text.
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Boolean(value) => value.to_string().into(),
            Self::Integer(value) => value.to_string().into(),
            Self::Text(text) => text.as_str().into(),
        }
    }

    /// Whether both write the same value: `7` and `"7"` do.
    pub fn same_as(&self, other: &Self) -> bool {
        self.as_text() == other.as_text()
    }
}

/// The key under which the `toml` crate hands over a date through serde.
const TOML_DATETIME: &str = "$__toml_private_datetime";

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number, true, false or a date")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Boolean(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(i64::try_from(value)
                    .map_or_else(|_| Scalar::Text(value.to_string()), Scalar::Integer))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_string()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                match map.next_entry::<Cow<'de, str>, String>()? {
                    Some((key, text)) if key == TOML_DATETIME => Ok(Scalar::Text(text)),
                    _ => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
                }
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}
