//! `map`: another text in the place of each value, by a list.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Case, Misfit};
use crate::key::DerivedKey;
use crate::options::{Action, Options};
use crate::spec::{Column, Definition, Strength, TreatmentSpec, Uniqueness};
use crate::text::{self, TextKernel, TextTreatment, Written};
use crate::treatment::Treatment;
use crate::treatments::AnyTreatment;

/// Most entries of a list: what one configuration file can reasonably say and an approver read.
const ENTRIES_MAX: usize = 10_000;

/// Most bytes of one text of a list.
const TEXT_BYTES_MAX: usize = 1_000;

/// Puts another text in the place of each value, by a list. A value is looked up as it is written.
///
/// Strength: where every text stands for several values, part of what is there is hidden (1). It is
/// no more, because a list can name values that never occur, and only the data would tell. The list
/// stands in policy or grant and has to be taken as known to the recipient, so as soon as one text
/// stands for one value alone, that value can be read back, and the treatment counts as nothing (0).
/// The text of `other` stands for all values that aren't listed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The list: a value, and the text that takes its place.
    pub entries: BTreeMap<String, String>,
    /// What happens to a value that isn't listed: `"fail"`, `"null"`, `"mask-all"`, `"reject"`, or
    /// `{ other = "text" }`, which becomes that text. Absent: it is invalid, and `on_invalid` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_missing: Option<OnMissing>,
}

/// What happens to a value that isn't listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// The run fails.
    Fail,
    /// It becomes null.
    Null,
    /// It is covered whole.
    MaskAll,
    /// Its row is dropped and counted.
    Reject,
    /// It becomes this text.
    Other(String),
}

impl OnMissing {
    /// The action of a value that is invalid, where this is one.
    fn action(&self) -> Option<Action> {
        match self {
            Self::Fail => Some(Action::Fail),
            Self::Null => Some(Action::Null),
            Self::MaskAll => Some(Action::MaskAll),
            Self::Reject => Some(Action::Reject),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("entries", &self.entries.len())
            .field("on_missing", &self.on_missing)
            .finish()
    }
}

impl Map {
    fn other(&self) -> Option<&str> {
        if let Some(OnMissing::Other(text)) = &self.on_missing {
            return Some(text);
        }
        None
    }

    /// The options, with what `on_missing` says about invalid values.
    fn options(&self, options: &Options) -> Options {
        let missing = self.on_missing.as_ref().and_then(OnMissing::action);
        Options {
            on_invalid: missing.unwrap_or(options.on_invalid),
            ..options.clone()
        }
    }

    /// How many values each text stands for; the text of `other` for more than one.
    fn sources(&self) -> HashMap<&str, usize> {
        let mut sources: HashMap<&str, usize> = HashMap::new();
        for text in self.entries.values() {
            *sources.entry(text).or_default() += 1;
        }
        if let Some(other) = self.other() {
            *sources.entry(other).or_default() += 2;
        }
        sources
    }

    fn check(&self) -> Result<(), Misfit> {
        let refused = |what: String| Misfit::of_parameter("entries", what);
        if self.entries.is_empty() {
            return Err(refused("`entries` lists no value".to_owned())
                .with_hint("write the values and their texts, such as { \"11\" = \"1\" }"));
        }
        if self.entries.len() > ENTRIES_MAX {
            return Err(refused(format!(
                "`entries` is above its limit of {ENTRIES_MAX} values"
            )));
        }
        if self.entries.keys().any(|value| value.trim().is_empty()) {
            return Err(refused("`entries` lists an empty value".to_owned())
                .with_hint("what happens to empty values is said by `on_empty`"));
        }
        let is_long = |text: &String| text.len() > TEXT_BYTES_MAX;
        if self
            .entries
            .iter()
            .any(|(value, text)| is_long(value) || is_long(text))
        {
            let what = format!("a text in `entries` is above its limit of {TEXT_BYTES_MAX} bytes");
            return Err(refused(what));
        }
        if self.other().is_some_and(|text| text.len() > TEXT_BYTES_MAX) {
            let what = format!("`on_missing` is above its limit of {TEXT_BYTES_MAX} bytes");
            return Err(Misfit::of_parameter("on_missing", what));
        }
        Ok(())
    }
}

impl Definition for Map {
    const KIND: &'static str = "map";
    const SUMMARY: &'static str = "puts another text in the place of each value, by a list";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str = "{ kind = \"map\", entries = { \"初婚\" = \"有配偶\", \
        \"再婚\" = \"有配偶\", \"未婚\" = \"无配偶\", \"丧偶\" = \"无配偶\" }, \
        on_missing = { other = \"未说明\" } }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const WEAKER: Option<&'static str> = Some("0 where a text stands for one value alone");
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const CONCEALED: &'static [&'static str] = &["entries"];
    const WIDTH: Option<&'static str> = Some("that of the longest text listed");
    const REVERSIBLE: Option<&'static str> =
        Some("by whoever holds the list, where a text stands for one value alone");

    fn strength(&self) -> Strength {
        match self.sources().values().all(|values| *values > 1) {
            true => Self::STRENGTH,
            false => Strength::CLEAR,
        }
    }

    fn uniqueness(&self) -> Uniqueness {
        let apart = self.sources().values().all(|values| *values == 1);
        let refuses = matches!(self.on_missing, Some(OnMissing::Fail | OnMissing::Reject));
        match apart && refuses {
            true => Uniqueness::Bijective,
            false => Uniqueness::Lossy,
        }
    }

    /// `other` takes every value that isn't listed.
    fn refuses(&self, _: &DataType, case: Case) -> bool {
        case == Case::Invalid && self.other().is_none()
    }

    fn refused(&self, data_type: &DataType, options: &Options) -> Vec<Action> {
        let action = self.options(options).on_invalid;
        let refuses = self.refuses(data_type, Case::Invalid);
        refuses.then_some(action).into_iter().collect()
    }

    fn width(&self, _: &DataType) -> Option<usize> {
        let texts = self
            .entries
            .values()
            .map(String::as_str)
            .chain(self.other());
        texts.map(str::len).max()
    }

    /// The same values are listed, and values that the floor doesn't tell apart aren't told apart
    /// here either.
    fn at_least(&self, floor: &Self) -> bool {
        let mut merged: HashMap<&str, &str> = HashMap::new();
        let mut other = None;
        let coarser = self.entries.iter().all(|(value, text)| {
            let Some(theirs) = floor.entries.get(value) else {
                return false;
            };
            if Some(theirs.as_str()) == floor.other() {
                other = Some(text.as_str());
            }
            *merged.entry(theirs).or_insert(text) == text
        });
        let missing = match (self.other(), floor.other()) {
            (Some(own), Some(_)) => other.is_none_or(|text| text == own),
            _ => self.on_missing == floor.on_missing,
        };
        coarser && missing && self.entries.len() == floor.entries.len()
    }

    /// A list that can be read backwards counts as nothing hidden, and yet shows no more than the
    /// value itself.
    fn stands_for(&self, options: &Options, floor: &TreatmentSpec) -> bool {
        let is_clear = matches!(floor.treatment(), AnyTreatment::Clear(_));
        is_clear && options.keep_no_more(floor.options())
            || floor.outdone_by(self.strength(), options)
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
        self.check()?;
        let options = self.options(options);
        let entries = self
            .entries
            .iter()
            .map(|(value, text)| (value.clone(), text.clone()));
        let kernel = Kernel {
            entries: entries.collect(),
            other: self.other().map(str::to_owned),
        };
        Ok(Box::new(TextTreatment::new(kernel, &options, column)?))
    }
}

struct Kernel {
    entries: HashMap<String, String>,
    other: Option<String>,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Map(..)")
    }
}

impl TextKernel for Kernel {
    fn treat(&self, value: &str, out: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        let text = self
            .entries
            .get(value)
            .or(self.other.as_ref())
            .ok_or(Case::Invalid)?;
        out.extend_from_slice(text.as_bytes());
        Ok(Written::Text)
    }

    fn cover(&self, characters: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + characters, b'*');
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;
    use crate::TreatmentError;
    use crate::testing::{cases_of, misfit, spec, treat, treat_array, treat_one, try_spec};

    fn listed(rest: &str) -> String {
        format!(
            "{{ kind = 'map', entries = {{ 'a' = 'x', 'b' = 'x', 'c' = 'y', 'd' = 'y' }}{rest} }}"
        )
    }

    #[test]
    fn a_list_that_can_be_read_backwards_stands_where_the_value_may_pass_clear() {
        let list =
            spec("{ kind = 'map', entries = { '1' = '男', '2' = '女' }, on_missing = 'fail' }");
        assert_eq!(list.strength().0, 0);
        assert!(list.meets(&spec("{ kind = 'clear' }")));
        for floor in [
            "{ kind = 'keep-ends', first = 1, last = 0 }",
            "{ kind = 'when', condition = 'a = 1', then = { kind = 'clear' }, else = { kind = 'null' } }",
            "{ kind = 'clear', on_empty = 'null' }",
        ] {
            assert!(!list.meets(&spec(floor)), "{floor}");
        }
    }

    #[test]
    fn listed_values_get_their_texts() {
        let treated = treat(
            &listed(""),
            &[Some("a"), Some("c"), None, Some(""), Some("b")],
        );
        let texts: Vec<_> = treated.array.as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("x"), Some("y"), None, Some(""), Some("x")]);
        assert_eq!(cases_of(&treated), (1, 1, 0, 0));
    }

    #[test]
    fn a_value_that_is_not_listed_never_passes() {
        for (rest, expected) in [
            ("", Some("***")),
            (", on_invalid = 'null'", None),
            (
                ", on_missing = 'mask-all', on_invalid = 'null'",
                Some("***"),
            ),
            (", on_missing = 'null'", None),
            (", on_missing = { other = 'z' }", Some("z")),
        ] {
            assert_eq!(
                treat_one(&listed(rest), "abc").as_deref(),
                expected,
                "{rest}"
            );
        }
        assert_eq!(
            treat_one(&listed(""), "A"),
            Some("*".into()),
            "spelling counts"
        );
        let dropped = treat(
            &listed(", on_missing = 'reject'"),
            &[Some("a"), Some("abc")],
        );
        assert_eq!(
            dropped.rejected.unwrap().set_indices().collect::<Vec<_>>(),
            [1]
        );
        let array: arrow::array::ArrayRef =
            std::sync::Arc::new(arrow::array::StringArray::from(vec!["a", "abc"]));
        let refused = treat_array(&listed(", on_missing = 'fail'"), &array).unwrap_err();
        assert_eq!(
            refused,
            TreatmentError::Refused {
                row: 1,
                case: Case::Invalid
            }
        );
    }

    #[test]
    fn a_list_that_can_be_read_backwards_counts_as_clear() {
        let strength = |text: &str| spec(text).strength();
        assert_eq!(strength(&listed("")), Strength::PARTIAL);
        let renaming = "{ kind = 'map', entries = { 'a' = 'x', 'b' = 'y' } }";
        assert_eq!(strength(renaming), Strength::CLEAR);
        let one_alone = "{ kind = 'map', entries = { 'a' = 'x', 'b' = 'x', 'c' = 'y' } }";
        assert_eq!(strength(one_alone), Strength::CLEAR);
        let others = "{ kind = 'map', entries = { 'a' = 'x', 'b' = 'x', 'c' = 'y' }, on_missing = { other = 'y' } }";
        assert_eq!(strength(others), Strength::PARTIAL);
        assert!(!spec(renaming).meets(&spec("{ kind = 'keep-ends', first = 1, last = 0 }")));
    }

    #[test]
    fn a_list_padded_with_values_that_never_occur_meets_no_partial_mask() {
        let padded = spec(
            "{ kind = 'map', entries = { '男' = 'M', '男_' = 'M', '女' = 'F', '女_' = 'F' } }",
        );
        assert_eq!(padded.strength(), Strength::PARTIAL);
        for floor in [
            "{ kind = 'keep-ends', first = 0, last = 0 }",
            "{ kind = 'typed-mask', of = 'person-name' }",
            "{ kind = 'hmac', domain = 'd' }",
        ] {
            assert!(!padded.meets(&spec(floor)), "{floor}");
        }
        assert!(padded.meets(&spec("{ kind = 'clear' }")));
    }

    #[test]
    fn a_renaming_keeps_values_apart_only_if_nothing_else_is_delivered() {
        let renaming = |rest: &str| {
            spec(&format!(
                "{{ kind = 'map', entries = {{ 'a' = 'x', 'b' = 'y' }}{rest} }}"
            ))
        };
        assert_eq!(
            renaming(", on_missing = 'fail'").uniqueness(&DataType::Utf8),
            Uniqueness::Bijective
        );
        assert_eq!(renaming("").uniqueness(&DataType::Utf8), Uniqueness::Lossy);
        assert_eq!(
            renaming(", on_missing = { other = 'z' }").uniqueness(&DataType::Utf8),
            Uniqueness::Lossy
        );
        assert_eq!(
            spec(&listed(", on_missing = 'fail'")).uniqueness(&DataType::Utf8),
            Uniqueness::Lossy
        );
    }

    #[test]
    fn a_coarser_list_of_the_same_values_meets_a_finer_one() {
        let floor = spec(&listed(""));
        let merged =
            spec("{ kind = 'map', entries = { 'a' = '1', 'b' = '1', 'c' = '1', 'd' = '1' } }");
        assert!(merged.meets(&floor) && floor.meets(&floor));
        assert!(!floor.meets(&merged));
        let longer = spec(
            "{ kind = 'map', entries = { 'a' = 'x', 'b' = 'x', 'c' = 'y', 'd' = 'y', 'e' = 'y' } }",
        );
        assert!(
            !longer.meets(&floor),
            "it tells of a value that the floor covers"
        );
        let across =
            spec("{ kind = 'map', entries = { 'a' = 'x', 'b' = 'y', 'c' = 'y', 'd' = 'x' } }");
        assert!(!across.meets(&floor));
        assert!(!spec(&listed(", on_missing = { other = 'x' }")).meets(&floor));
        let other = spec(&listed(", on_missing = { other = 'x' }"));
        assert!(other.meets(&other));
        assert!(!spec(&listed(", on_missing = { other = 'y' }")).meets(&other));
    }

    #[test]
    fn a_list_is_checked() {
        let wrong = |entries: &str| misfit(&format!("{{ kind = 'map', entries = {entries} }}"));
        assert_eq!(wrong("{}").parameter, Some("entries"));
        assert_eq!(wrong("{ ' ' = 'x' }").parameter, Some("entries"));
        assert_eq!(
            wrong(&format!("{{ 'a' = '{}' }}", "x".repeat(1_001))).parameter,
            Some("entries")
        );
        let long = format!(", on_missing = {{ other = '{}' }}", "x".repeat(1_001));
        assert_eq!(misfit(&listed(&long)).parameter, Some("on_missing"));
        for text in [
            "'keep'",
            "'other'",
            "{ others = 'x' }",
            "{ other = 'x', fail = 'y' }",
            "7",
        ] {
            assert!(
                try_spec(&listed(&format!(", on_missing = {text}"))).is_err(),
                "{text}"
            );
        }
    }
}
