//! How much of a treatment is shown to whom.
//!
//! Conditions, lists of values and sentinels may quote values of rows. Whoever approves has to read
//! them, and reads them in the canonical form; a recipient's manifest, a refusal, a table and a log
//! get a form that only says that they are there, or how many.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::TreatmentSpec;
use super::written::{option_values, sorted};
use crate::options::Options;

/// Stands for a text that isn't shown.
const CONCEALED: &str = "…";

/// The option that lists values.
const SENTINELS: &str = "sentinels";

impl TreatmentSpec {
    /// The form for recipients: as the canonical form, but with `"…"` for a condition, and the number
    /// of entries for a list of values and for the sentinels.
    pub fn disclosed(&self) -> Value {
        let hidden = self.treatment.concealed();
        let mut shown = Map::new();
        shown.insert("kind".to_owned(), self.kind().into());
        for (name, value) in self.treatment.parameters() {
            let value = disclosed(&name, value, hidden);
            shown.insert(name, value);
        }
        for (name, value) in option_values(&self.options) {
            let value = disclosed(name, value, &[SENTINELS]);
            shown.insert(name.to_owned(), value);
        }
        sorted(Value::Object(shown))
    }

    /// The canonical form as text, for whoever approves, where the [summary](Self::summary) leaves
    /// something out; absent where it doesn't.
    pub fn in_full(&self) -> Option<String> {
        let full = sorted(serde_json::to_value(self).ok()?);
        self.conceals().then(|| full.to_string())
    }

    /// Whether it, or a treatment within, holds what isn't shown.
    fn conceals(&self) -> bool {
        !self.treatment.concealed().is_empty()
            || !self.options.sentinels.is_empty()
            || self.treatment.parts().iter().any(|part| part.conceals())
    }

    /// The short form for tables: `keep-ends(first=1, last=0)`, without what is at its default, and
    /// without what may quote values of rows: the text of conditions, lists of values, sentinels.
    pub fn summary(&self) -> String {
        let hidden = self.treatment.concealed();
        let mut parts = Vec::new();
        for (name, value) in self.treatment.parameters() {
            if self.treatment.default_of(&name).as_ref() != Some(&value) {
                parts.push(short(&name, &value, hidden));
            }
        }
        let defaults = option_values(&Options::default());
        for (name, value) in option_values(&self.options) {
            if !defaults.contains(&(name, value.clone())) {
                parts.push(short(name, &value, &[SENTINELS]));
            }
        }
        if parts.is_empty() {
            return self.kind().to_owned();
        }
        format!("{}({})", self.kind(), parts.join(", "))
    }
}

impl fmt::Debug for TreatmentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}

/// How many values a list holds; absent where the value is no list.
fn entries(value: &Value) -> Option<usize> {
    match value {
        Value::Object(map) => Some(map.len()),
        Value::Array(items) => Some(items.len()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A parameter's value without what is hidden, here and in treatments within.
fn disclosed(name: &str, value: Value, hidden: &[&str]) -> Value {
    if hidden.contains(&name) {
        return entries(&value).map_or_else(|| CONCEALED.into(), Value::from);
    }
    match value {
        Value::Object(map) if map.contains_key("kind") => {
            TreatmentSpec::deserialize(Value::Object(map))
                .map_or_else(|_| CONCEALED.into(), |spec| spec.disclosed())
        }
        Value::Object(map) => {
            let entries = map.into_iter();
            let entries = entries.map(|(name, value)| {
                let value = disclosed(&name, value, hidden);
                (name, value)
            });
            Value::Object(entries.collect())
        }
        Value::Array(items) => {
            let items = items.into_iter();
            Value::Array(items.map(|item| disclosed("", item, hidden)).collect())
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

/// A parameter in short form: `name=value`, treatments within as their summaries.
fn short(name: &str, value: &Value, hidden: &[&str]) -> String {
    if hidden.contains(&name) {
        let written = match entries(value) {
            Some(1) => "1 value".to_owned(),
            Some(count) => format!("{count} values"),
            None => CONCEALED.to_owned(),
        };
        return format!("{name}={written}");
    }
    format!("{name}={}", short_value(value, hidden))
}

/// A parameter's value in short form.
fn short_value(value: &Value, hidden: &[&str]) -> String {
    let join = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Object(map) if map.contains_key("kind") => {
            let spec = TreatmentSpec::deserialize(value);
            spec.map_or_else(|_| "?".to_owned(), |spec| spec.summary())
        }
        Value::Object(map) => {
            let entries = map.iter().map(|(name, value)| short(name, value, hidden));
            format!("{{{}}}", join(entries.collect()))
        }
        Value::Array(items) if items.iter().any(|item| item.is_object()) => {
            let items = items.iter().map(|item| short_value(item, hidden));
            format!("[{}]", join(items.collect()))
        }
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::spec;
    use crate::treatments::catalogue;

    const CANARIES: [&str; 4] = [
        "canary-when",
        "canary-key",
        "canary-sentinel",
        "canary-inner",
    ];

    fn guarded() -> crate::TreatmentSpec {
        spec(
            "{ kind = 'case', arms = [{ when = \"id = 'canary-when'\", then = { kind = 'map', \
             entries = { canary-key = 'm', other = 'm' }, on_missing = { other = 'x' } } }], \
             else = { kind = 'when', condition = \"id = 'canary-inner'\", \
             then = { kind = 'constant', value = 'c' }, \
             else = { kind = 'keep-ends', first = 1, last = 0 } }, \
             sentinels = ['canary-sentinel'] }",
        )
    }

    #[test]
    fn a_recipient_sees_no_condition_no_listed_value_and_no_sentinel() {
        let disclosed = guarded().disclosed();
        for canary in CANARIES {
            assert!(!disclosed.to_string().contains(canary), "{disclosed}");
        }
        assert_eq!(disclosed["sentinels"], 1);
        assert_eq!(disclosed["arms"][0]["when"], "…");
        assert_eq!(disclosed["arms"][0]["then"]["entries"], 2);
        assert_eq!(disclosed["else"]["condition"], "…");
        assert_eq!(disclosed["else"]["else"]["first"], 1);
        let plain = spec("{ kind = 'keep-ends', first = 1, last = 0 }").disclosed();
        let expected = json!({ "kind": "keep-ends", "first": 1, "last": 0, "length": "same", "fill": "*",
            "on_null": "keep", "on_empty": "keep", "on_short": "mask-all",
            "on_invalid": "mask-all", "sentinels": 0 });
        assert_eq!(plain, expected);
    }

    #[test]
    fn summaries_and_debug_show_none_of_them_either() {
        let spec = guarded();
        let reads = spec.reads();
        for shown in [
            spec.summary(),
            format!("{spec:?}"),
            format!("{:?}", spec.treatment()),
            format!("{:?}", spec.options()),
            format!("{reads:?}"),
        ] {
            for canary in CANARIES {
                assert!(!shown.contains(canary), "{shown}");
            }
        }
        assert!(spec.summary().contains("sentinels=1 value"), "{spec:?}");
        assert!(spec.summary().contains("entries=2 values"), "{spec:?}");
        assert!(spec.summary().contains("condition=…"), "{spec:?}");
    }

    #[test]
    fn whoever_approves_reads_all_of_it() {
        let full = guarded().in_full().unwrap();
        for canary in CANARIES {
            assert!(full.contains(canary), "{full}");
        }
        assert_eq!(
            spec("{ kind = 'keep-ends', first = 1, last = 0 }").in_full(),
            None
        );
    }

    /// A kind that is added with a condition must conceal it.
    #[test]
    fn no_kind_discloses_the_text_of_a_condition() {
        let mut conditions = 0;
        for entry in catalogue() {
            let spec = spec(entry.example);
            for read in spec.reads() {
                if let crate::Read::Condition(text) = read {
                    conditions += 1;
                    let shown = format!("{} {} {spec:?}", spec.disclosed(), spec.summary());
                    assert!(!shown.contains(&text), "{}: {shown}", entry.kind);
                    let treatment = format!("{:?}", spec.treatment());
                    assert!(!treatment.contains(&text), "{}: {treatment}", entry.kind);
                }
            }
        }
        assert!(conditions >= 3, "{conditions}");
    }
}
