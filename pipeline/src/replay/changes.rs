//! What changed since a delivery, so that it can't be made again.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::{FieldStatement, Manifest};
use crate::plan::{ExchangePlan, PlannedField};

/// Most files that are named one by one.
const NAMED_MAX: usize = 20;

/// What of a plan differs from what a manifest states. Never empty: where nothing that the manifest
/// states differs, it is something that only the plan's hash covers.
pub(super) fn of_plan(manifest: &Manifest, plan: &ExchangePlan) -> Vec<String> {
    let mut changes = Vec::new();
    let mut compare = |what: &str, then: &str, now: &str| {
        if then != now {
            changes.push(format!("{what} was `{then}` and is `{now}`"));
        }
    };
    compare(
        "the grant's version",
        &manifest.grant.version.to_string(),
        &plan.grant_version.to_string(),
    );
    compare(
        "the SHA-256 of the grant's file",
        &manifest.grant.sha256,
        &plan.grant_sha256,
    );
    compare("the dataset", &manifest.dataset, &plan.dataset);
    compare("the provider", &manifest.provider, &plan.provider);
    compare("the recipient", &manifest.recipient, &plan.recipient);
    compare("the seal", &manifest.seal.kind, plan.seal.as_str());
    let names = |names: Vec<&str>| names.join(", ");
    compare(
        "the list of delivered fields",
        &names(
            manifest
                .fields
                .iter()
                .map(|field| field.name.as_str())
                .collect(),
        ),
        &names(
            plan.fields
                .iter()
                .map(|field| field.name.as_str())
                .collect(),
        ),
    );
    for then in &manifest.fields {
        if let Some(now) = plan.fields.iter().find(|field| field.name == then.name) {
            of_field(then, now, &mut compare);
        }
    }
    if changes.is_empty() {
        changes.push(
            "something that the manifest doesn't state: the rows in scope, the source, the keys of the \
             recipient, how fields are marked, or literals of a treatment; `lockgate plan --diff` \
             compares with a copy of the site"
                .to_owned(),
        );
    }
    changes
}

/// What of a field differs.
fn of_field(then: &FieldStatement, now: &PlannedField, compare: &mut impl FnMut(&str, &str, &str)) {
    let of = |what: &str| format!("{what} of field `{}`", then.name);
    compare(&of("the type"), &then.data_type, &now.data_type);
    compare(
        &of("the type in the source"),
        &then.source_type,
        &now.source_type,
    );
    compare(&of("the category"), &then.category, &now.category);
    let level = serde_json::to_value(now.level).unwrap_or_default();
    compare(
        &of("the level"),
        &then.level.to_string(),
        &level.to_string(),
    );
    compare(
        &of("the treatment"),
        &then.treatment.to_string(),
        &now.treatment.disclosed().to_string(),
    );
}

/// What of a source differs from the snapshot that was read.
pub(super) fn of_source(then: &Value, now: &Value) -> Vec<String> {
    let (before, after) = (files(then), files(now));
    let mut changes = Vec::new();
    for (path, file) in &before {
        match after.get(path) {
            None => changes.push(format!("file `{path}` is gone")),
            Some(found) if found != file => {
                changes.push(format!("file `{path}` was written again"));
            }
            Some(_) => {}
        }
    }
    for path in after.keys().filter(|path| !before.contains_key(*path)) {
        changes.push(format!("file `{path}` is new"));
    }
    if changes.is_empty() {
        changes.push("the source states another snapshot than the one that was read".to_owned());
    }
    let more = changes.len().saturating_sub(NAMED_MAX);
    changes.truncate(NAMED_MAX);
    if more > 0 {
        changes.push(format!("and {more} files more"));
    }
    changes
}

/// The files of a snapshot, by their paths.
fn files(snapshot: &Value) -> BTreeMap<&str, &Value> {
    let files = snapshot.get("files").and_then(Value::as_array);
    files
        .into_iter()
        .flatten()
        .filter_map(|file| Some((file.get("path")?.as_str()?, file)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_that_are_gone_new_or_other_ones_are_named() {
        let then = json!({"files": [
            {"path": "a", "size": 1}, {"path": "b", "size": 2}, {"path": "c", "size": 3}
        ]});
        let now = json!({"files": [
            {"path": "a", "size": 1}, {"path": "b", "size": 4}, {"path": "d", "size": 5}
        ]});
        assert_eq!(
            of_source(&then, &now),
            [
                "file `b` was written again",
                "file `c` is gone",
                "file `d` is new"
            ]
        );
        assert_eq!(of_source(&then, &then).len(), 1);
    }
}
