//! JSON Schemas (draft 2020-12) of a site's files, for editors, and the known categories.
//!
//! Made from the very structures that read the files, so they cannot disagree.

use lockgate_transforms::category::{self, Category};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::suggest::did_you_mean;
use super::{Dataset, Grant, Job, Policy, Recipient, SiteFile};

/// The kinds of files, as `lockgate schema KIND` takes them, each with where such files are.
pub const KINDS: [(&str, &str); 6] = [
    ("site", "lockgate.toml"),
    ("dataset", "catalogue/ID.toml"),
    ("policy", "policy.toml"),
    ("grant", "grants/ID.toml"),
    ("recipient", "recipients/ID.toml"),
    ("job", "jobs/ID.toml"),
];

/// The JSON Schema of a kind of file. Keywords of it that begin with `x-` are notes of ours: where
/// such files are, and for datasets and policies the known categories.
///
/// # Errors
/// The kind is not known; the text names the nearest, or all.
pub fn schema(kind: &str) -> Result<Value, String> {
    let mut document = match kind {
        "site" => of::<SiteFile>(),
        "dataset" => of::<Dataset>(),
        "policy" => of::<Policy>(),
        "grant" => of::<Grant>(),
        "recipient" => of::<Recipient>(),
        "job" => of::<Job>(),
        _ => {
            let known = KINDS.iter().map(|(kind, _)| *kind);
            let hint = did_you_mean(kind, "known kinds", known).unwrap_or_default();
            return Err(format!("unknown kind of file; {hint}"));
        }
    };
    if let Some(entries) = document.as_object_mut() {
        let place = KINDS
            .iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, place)| *place);
        entries.insert("x-file".to_owned(), json!(place));
        if matches!(kind, "dataset" | "policy") {
            entries.insert("x-categories".to_owned(), json!(categories()));
        }
    }
    Ok(document)
}

fn of<T: JsonSchema>() -> Value {
    let settings: SchemaSettings = SchemaSettings::draft2020_12();
    SchemaGenerator::new(settings)
        .into_root_schema_for::<T>()
        .to_value()
}

/// The known categories: name, what it is in English and Chinese, and how many values there can be
/// where that is bounded.
pub fn categories() -> &'static [Category] {
    category::all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether every object of a schema that names properties forbids others.
    fn is_closed(value: &Value) -> bool {
        match value {
            Value::Object(entries) => {
                let closed = !entries.contains_key("properties")
                    || entries.get("additionalProperties") == Some(&json!(false));
                closed && entries.values().all(is_closed)
            }
            Value::Array(elements) => elements.iter().all(is_closed),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }

    #[test]
    fn every_kind_has_a_described_and_closed_schema() {
        for (kind, place) in KINDS {
            let document = schema(kind).unwrap();
            assert_eq!(
                document["$schema"],
                "https://json-schema.org/draft/2020-12/schema"
            );
            assert_eq!(document["x-file"], place);
            let properties = document["properties"].as_object().unwrap();
            for (name, property) in properties {
                assert!(property["description"].is_string(), "{kind}: {name}");
            }
            assert!(is_closed(&document["properties"]), "{kind}");
            assert_eq!(document["additionalProperties"], json!(false), "{kind}");
        }
    }

    #[test]
    fn required_keys_are_those_of_the_contract() {
        let required = |kind: &str| {
            let document = schema(kind).unwrap();
            let keys = document["required"].as_array().unwrap().iter();
            keys.map(|key| key.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(required("site"), ["site"]);
        assert_eq!(
            required("dataset"),
            ["id", "provider", "source", "sharing", "modes", "fields"]
        );
        assert_eq!(
            required("grant"),
            [
                "id",
                "version",
                "dataset",
                "recipient",
                "purpose",
                "basis",
                "fields",
                "modes",
                "valid"
            ]
        );
        assert_eq!(required("recipient"), ["id", "name", "public_keys"]);
        assert_eq!(required("job"), ["id", "grant"]);
    }

    #[test]
    fn an_unknown_kind_names_the_nearest() {
        assert!(
            schema("datasets")
                .unwrap_err()
                .contains("did you mean `dataset`?")
        );
        assert!(schema("xyz").unwrap_err().contains("`recipient`"));
    }

    #[test]
    fn known_categories_are_listed() {
        assert!(
            schema("dataset").unwrap()["x-categories"]
                .as_array()
                .unwrap()
                .len()
                > 10
        );
    }
}
