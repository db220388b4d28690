//! The options every treatment has: what happens to the values that need a decision.
//!
//! A value that is null, empty, too short or malformed has no obvious treatment, and a treatment
//! that let it through unchanged would publish it. So every treatment carries the same four
//! answers, and `keep` is one of them only where nothing but an absence is kept.

mod scalar;
mod share;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Case;

pub use scalar::Scalar;
pub use share::Share;

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
    /// Puts a surrogate in its place; for nulls only, and only where surrogates are drawn from the
    /// key of a person (`by`).
    Synthesize,
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
            Self::Synthesize => "synthesize",
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
    /// The share of invalid values above which the run fails; absent means no limit.
    pub max_invalid: Option<Share>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("on_null", &self.on_null)
            .field("on_empty", &self.on_empty)
            .field("on_short", &self.on_short)
            .field("on_invalid", &self.on_invalid)
            .field("sentinels", &self.sentinels.len())
            .field("max_invalid", &self.max_invalid)
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
            max_invalid: None,
        }
    }
}

impl Options {
    /// The keys of the options, as configuration writes them.
    pub const KEYS: [&'static str; 6] = [
        "on_null",
        "on_empty",
        "on_short",
        "on_invalid",
        "sentinels",
        "max_invalid",
    ];

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

    /// Whether every option reveals no more than `floor`'s, and no more invalid values are borne.
    /// What is invalid to another kind is another matter, so that limit counts here alone.
    pub(crate) fn at_least(&self, floor: &Self) -> bool {
        let stops_no_later = floor
            .max_invalid
            .is_none_or(|limit| self.max_invalid.is_some_and(|own| own <= limit));
        self.keep_no_more(floor)
            && rank(self.on_short) >= rank(floor.on_short)
            && rank(self.on_invalid) >= rank(floor.on_invalid)
            && stops_no_later
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
            ..self.under_limit_of(outer)
        }
    }

    /// These options under the limit of invalid values of a treatment that has `outer`: counts are
    /// taken once a field, so the limit that is written there holds for what stands within, too.
    pub(crate) fn under_limit_of(&self, outer: &Self) -> Self {
        let limits = [self.max_invalid, outer.max_invalid].into_iter().flatten();
        Self {
            max_invalid: limits.min(),
            ..self.clone()
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
            max_invalid: Some(Share::ZERO),
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
        Action::Keep | Action::Synthesize => 0,
        Action::MaskAll => 1,
        Action::Null => 2,
        Action::Reject => 3,
        Action::Fail => 4,
    }
}

/// How little an action reveals of an absence: a null kept and a null made are the same, and behind
/// a surrogate nothing tells that there was none.
fn rank_null(action: Action) -> u8 {
    match action {
        Action::Keep | Action::Null => 0,
        Action::MaskAll => 1,
        Action::Synthesize => 2,
        Action::Reject => 3,
        Action::Fail => 4,
    }
}

/// The actions allowed for empty values: every one but `synthesize`.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EmptyAction {
    /// Leaves the value as it is.
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

impl From<EmptyAction> for Action {
    fn from(action: EmptyAction) -> Self {
        match action {
            EmptyAction::Keep => Self::Keep,
            EmptyAction::Null => Self::Null,
            EmptyAction::MaskAll => Self::MaskAll,
            EmptyAction::Fail => Self::Fail,
            EmptyAction::Reject => Self::Reject,
        }
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

#[cfg(test)]
mod tests {
    use schemars::SchemaGenerator;

    use super::*;
    use crate::testing::{spec, try_spec};

    fn written(limit: &str) -> Option<Share> {
        let text = format!("{{ kind = 'keep-ends', first = 1, last = 0, max_invalid = {limit} }}");
        try_spec(&text).ok()?.options().max_invalid
    }

    #[test]
    fn a_share_is_read_from_text_and_numbers_and_written_in_one_way() {
        for (text, shown) in [
            ("'0.01'", "0.01"),
            ("0.01", "0.01"),
            ("'0.010'", "0.01"),
            ("0", "0"),
            ("'1'", "1"),
            ("1.0", "1"),
            ("'0.000000001'", "0.000000001"),
        ] {
            assert_eq!(written(text).unwrap().to_string(), shown, "{text}");
        }
        for text in [
            "'1.01'",
            "1.5",
            "-0.1",
            "-1",
            "2",
            "''",
            "'.'",
            "'.5'",
            "'1.'",
            "'1 %'",
            "'+0.1'",
            "'0.0000000001'",
            "nan",
            "inf",
            "true",
            "'99999999999'",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
    }

    #[test]
    fn a_share_is_compared_exactly() {
        let share = |text| Share::parse(text).unwrap();
        assert!(!share("0.01").is_exceeded(1, 100));
        assert!(share("0.01").is_exceeded(2, 100));
        assert!(share("0.01").is_exceeded(1, 99));
        assert!(share("0").is_exceeded(1, u64::MAX));
        assert!(!share("0").is_exceeded(0, 0));
        assert!(!share("1").is_exceeded(7, 7));
    }

    #[test]
    fn a_floors_limit_may_be_narrowed_and_not_dropped() {
        let of = |limit: &str| {
            spec(&format!(
                "{{ kind = 'keep-ends', first = 1, last = 0{limit} }}"
            ))
        };
        let floor = of(", max_invalid = '0.01'");
        assert!(floor.meets(&floor) && floor.meets(&of("")));
        assert!(of(", max_invalid = 0").meets(&floor));
        assert!(!of(", max_invalid = '0.02'").meets(&floor));
        assert!(!of("").meets(&floor));
        // Another kind has other invalid values.
        assert!(spec("{ kind = 'hmac', domain = 'd' }").meets(&floor));
        assert!(spec("{ kind = 'withhold' }").meets(&floor));
    }

    #[test]
    fn a_floors_limit_may_be_met_by_a_treatment_around_others() {
        let floor = "{ kind = 'keep-ends', first = 1, last = 0, max_invalid = '0.01' }";
        let ends = "{ kind = 'keep-ends', first = 1, last = 0 }";
        let wrappers = [
            "{ kind = 'drop-row', when = 'a = 1', then = ENDS LIMIT }",
            "{ kind = 'when', condition = 'a = 1', then = ENDS, else = { kind = 'null' } LIMIT }",
            "{ kind = 'case', arms = [{ when = 'a = 1', then = ENDS }], else = ENDS LIMIT }",
            "{ kind = 'sample', rate = '0.5', by = 'id', domain = 'd', then = ENDS LIMIT }",
            "{ kind = 'pipeline', steps = [ENDS, { kind = 'clear' }] LIMIT }",
            "{ kind = 'json', paths = [{ path = '$.a', treatment = ENDS }] LIMIT }",
            "{ kind = 'nested', fields = { '[]' = ENDS } LIMIT }",
        ];
        let clear = "{ kind = 'clear', max_invalid = '0.01' }";
        for wrapper in wrappers {
            // What treats values within values stands for a whole value only where that may be
            // shown.
            let inner = wrapper.contains("'json'") || wrapper.contains("'nested'");
            let (floor, part) = match inner {
                true => (clear, "{ kind = 'clear' }"),
                false => (floor, ends),
            };
            let floor = spec(floor);
            let meets = |limit: &str| {
                let text = wrapper.replace("ENDS", part).replace("LIMIT", limit);
                spec(&text).meets(&floor)
            };
            assert!(meets(", max_invalid = 0"), "{wrapper}");
            assert!(meets(", max_invalid = '0.01'"), "{wrapper}");
            assert!(!meets(", max_invalid = '0.02'"), "{wrapper}");
            assert!(!meets(""), "{wrapper}");
        }
    }

    #[test]
    fn the_schema_of_a_share_takes_the_texts_that_are_read() {
        let schema = Share::json_schema(&mut SchemaGenerator::default());
        let pattern = schema.get("pattern").and_then(|own| own.as_str()).unwrap();
        let pattern = regex::Regex::new(pattern).unwrap();
        for text in [
            "0",
            "1",
            "00",
            "01",
            "0.01",
            "0.000000001",
            "0.0000000010",
            "0.0000000000",
            "1.0",
            "1.000000000000",
            "1.01",
            "2",
            "10",
            "",
            ".",
            ".5",
            "1.",
            "1 %",
            "+0.1",
            "-0.1",
            "a",
            "0.0000000001",
            "1.000000000001",
            "99999999999",
        ] {
            assert_eq!(
                pattern.is_match(text),
                Share::parse(text).is_some(),
                "{text}"
            );
        }
    }

    #[test]
    fn options_that_mean_nothing_beside_withhold_are_refused() {
        for (option, parameter) in [
            ("max_invalid = 0", "max_invalid"),
            ("on_null = 'synthesize'", "on_null"),
        ] {
            let misfit = crate::testing::misfit(&format!("{{ kind = 'withhold', {option} }}"));
            assert_eq!(misfit.parameter, Some(parameter));
        }
    }

    #[test]
    fn the_limit_stands_in_the_canonical_form_only_where_it_is_written() {
        let canonical = |text: &str| serde_json::to_string(&spec(text)).unwrap();
        let limited = canonical("{ kind = 'null', max_invalid = 0.5 }");
        assert!(
            limited.ends_with(r#""sentinels":[],"max_invalid":"0.5"}"#),
            "{limited}"
        );
        let read: crate::TreatmentSpec = serde_json::from_str(&limited).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), limited);
        assert!(!canonical("{ kind = 'null' }").contains("max_invalid"));
        assert_eq!(read.summary(), "null(max_invalid=0.5)");
        assert_eq!(spec("{ kind = 'null' }").summary(), "null");
    }

    #[test]
    fn a_limit_of_a_treatment_within_another_is_refused() {
        let misfit = crate::testing::misfit(
            "{ kind = 'when', condition = 'a = 1', then = { kind = 'null', max_invalid = 0 }, \
             else = { kind = 'clear' } }",
        );
        assert_eq!(misfit.parameter, Some("max_invalid"));
    }

    #[test]
    fn only_nulls_are_synthesized_and_only_by_surrogates_of_a_person() {
        let hidden = |on_null: &str| {
            let text = "{ kind = 'fake-name', domain = 'd', by = 'id', on_null = ";
            spec(&format!("{text}'{on_null}' }}"))
        };
        assert!(hidden("synthesize").meets(&hidden("keep")));
        assert!(hidden("synthesize").meets(&hidden("mask-all")));
        assert!(!hidden("keep").meets(&hidden("synthesize")));
        assert!(hidden("reject").meets(&hidden("synthesize")));
        for option in ["on_empty", "on_short", "on_invalid"] {
            let text = format!(
                "{{ kind = 'fake-name', domain = 'd', by = 'id', {option} = 'synthesize' }}"
            );
            assert!(try_spec(&text).is_err(), "{option}");
        }
        for text in [
            "{ kind = 'keep-ends', first = 1, last = 0, on_null = 'synthesize' }",
            "{ kind = 'fake-name', domain = 'd', on_null = 'synthesize' }",
            "{ kind = 'fake-card', domain = 'd', on_null = 'synthesize' }",
        ] {
            let misfit = crate::testing::misfit(text);
            assert_eq!(misfit.parameter, Some("on_null"), "{text}");
        }
    }
}
