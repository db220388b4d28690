//! Checks of `catalogue/*.toml`.

use super::Checker;
use crate::id::{check_field_name, check_path, is_category};
use crate::marks::{CarrierFault, carrier_of};
use crate::site::dataset::{Constraint, Sharing, SourceFormat};
use crate::site::{Dataset, Field, FieldType, Loaded};

pub(super) fn check(checker: &mut Checker<'_>, dataset: &Loaded<Dataset>) {
    checker.not_blank(dataset, &["provider"], &dataset.provider);
    check_source(checker, dataset);
    if dataset.sharing == Sharing::Prohibited
        && dataset
            .basis
            .as_ref()
            .is_none_or(|basis| basis.trim().is_empty())
    {
        let hint = Some("write the legal basis: basis = \"…\"".to_owned());
        checker.at(
            dataset,
            &["sharing"],
            "`basis` is missing where sharing is prohibited",
            hint,
        );
    }
    checker.no_duplicates(dataset, &["modes"], &dataset.modes);
    if dataset.fields.is_empty() {
        checker.at(
            dataset,
            &["fields"],
            "a dataset has at least one field",
            None,
        );
    }
    for (number, field) in dataset.fields.iter().enumerate() {
        check_field(checker, dataset, &number.to_string(), field);
        if dataset
            .fields
            .iter()
            .take(number)
            .any(|earlier| earlier.name == field.name)
        {
            let path = ["fields", &number.to_string(), "name"];
            let hint = Some("give every field its own name".to_owned());
            checker.at(
                dataset,
                &path,
                format!("a second field `{}`", field.name),
                hint,
            );
        }
    }
    check_roles(checker, dataset);
    check_sums(checker, dataset);
}

/// `sums` names fields, a total and its parts.
fn check_sums(checker: &mut Checker<'_>, dataset: &Loaded<Dataset>) {
    for (index, sum) in dataset.sums.iter().enumerate() {
        let index = index.to_string();
        if sum.len() < 2 {
            let what = "a sum has a total and at least one part";
            checker.at(dataset, &["sums", &index], what, None);
        }
        for (place, name) in sum.iter().enumerate() {
            let names = dataset.fields.iter().map(|field| &field.name);
            let path = ["sums", &index, &place.to_string()];
            checker.refers(dataset, &path, "field", name, names);
        }
    }
}

/// `key`, `division` and `cursor` name fields.
fn check_roles(checker: &mut Checker<'_>, dataset: &Loaded<Dataset>) {
    let names = || dataset.fields.iter().map(|field| &field.name);
    for (index, name) in dataset.key.iter().enumerate() {
        checker.refers(
            dataset,
            &["key", &index.to_string()],
            "field",
            name,
            names(),
        );
    }
    checker.no_duplicates(dataset, &["key"], &dataset.key);
    if let Some(cursor) = &dataset.cursor {
        checker.refers(dataset, &["cursor"], "field", cursor, names());
    }
    let roles = dataset.key.iter().enumerate().map(|(index, name)| {
        let path = vec!["key".to_owned(), index.to_string()];
        (path, name)
    });
    let cursor = dataset
        .cursor
        .iter()
        .map(|name| (vec!["cursor".to_owned()], name));
    for (path, name) in roles.chain(cursor) {
        if let Some(field) = dataset.field(name)
            && FieldType::parse(&field.data_type).is_ok_and(|found| found.is_nested())
        {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let what = format!("field `{name}` holds several values and has no order");
            let hint = Some("name a field of single values".to_owned());
            checker.at(dataset, &path, what, hint);
        }
    }
    if let Some(division) = &dataset.division {
        checker.refers(dataset, &["division"], "field", division, names());
        if let Some(field) = dataset.field(division)
            && FieldType::parse(&field.data_type).is_ok_and(|found| found != FieldType::Utf8)
        {
            let what = format!("field `{division}` carries the division code and is not utf8");
            let hint = Some("declare it as utf8: codes are compared as text".to_owned());
            checker.at(dataset, &["division"], what, hint);
        }
    }
}

fn check_source(checker: &mut Checker<'_>, dataset: &Loaded<Dataset>) {
    let site = checker.site;
    let source = &dataset.source;
    match (&source.store, &source.database) {
        (Some(store), None) => {
            let stores = site.file.stores.keys();
            checker.refers(dataset, &["source", "store"], "store", store, stores);
            check_files(checker, dataset);
        }
        (None, Some(database)) => {
            let databases = site.file.databases.keys();
            checker.refers(
                dataset,
                &["source", "database"],
                "database",
                database,
                databases,
            );
            let hint = Some("supported: files in a store".to_owned());
            let path = ["source", "database"];
            checker.at(
                dataset,
                &path,
                "reading databases is not supported yet",
                hint,
            );
            if source.table.is_none() {
                let hint = Some("write table = \"schema.table\"".to_owned());
                checker.at(dataset, &["source"], "`table` is missing", hint);
            }
            for key in given(dataset) {
                let what = format!("`{key}` is for files in a store only");
                checker.at_key(dataset, &["source", key], what, None);
            }
        }
        (Some(_), Some(_)) => {
            let what = "a source has either `store` or `database`, not both";
            checker.at(dataset, &["source"], what, None);
        }
        (None, None) => {
            let hint = Some(
                "write source = { store = \"NAME\", path = \"…\", format = \"parquet\" }"
                    .to_owned(),
            );
            checker.at(
                dataset,
                &["source"],
                "a source has `store` or `database`",
                hint,
            );
        }
    }
}

/// Keys of the source that speak of files, and are given.
fn given(dataset: &Dataset) -> Vec<&'static str> {
    let source = &dataset.source;
    let mut keys = Vec::new();
    if source.path.is_some() {
        keys.push("path");
    }
    if source.format.is_some() {
        keys.push("format");
    }
    keys.extend(csv_options(dataset));
    if source.decryption.is_some() {
        keys.push("decryption");
    }
    keys
}

fn csv_options(dataset: &Dataset) -> Vec<&'static str> {
    let source = &dataset.source;
    [
        ("header", source.header.is_some()),
        ("delimiter", source.delimiter.is_some()),
        ("quote", source.quote.is_some()),
        ("escape", source.escape.is_some()),
        ("encoding", source.encoding.is_some()),
        ("null", source.null.is_some()),
        ("on_malformed", source.on_malformed.is_some()),
        ("leading_zeros", source.leading_zeros.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, given)| given.then_some(key))
    .collect()
}

/// A source of files in a store.
fn check_files(checker: &mut Checker<'_>, dataset: &Loaded<Dataset>) {
    let source = &dataset.source;
    if source.table.is_some() {
        let what = "`table` is for databases only";
        checker.at_key(dataset, &["source", "table"], what, None);
    }
    if source.decryption.is_some() && source.format == Some(SourceFormat::Csv) {
        let what = "`decryption` is for Parquet only";
        checker.at_key(dataset, &["source", "decryption"], what, None);
    }
    match &source.path {
        None => {
            let hint = Some("write path = \"residents/\" or path = \"residents.csv\"".to_owned());
            checker.at(dataset, &["source"], "`path` is missing", hint);
        }
        Some(path) => {
            if let Err(what) = check_path(path) {
                let hint = Some("write a path relative to the store, such as a/b/".to_owned());
                checker.at(dataset, &["source", "path"], what, hint);
            }
        }
    }
    match source.format {
        None => {
            let hint = Some("write format = \"parquet\" or format = \"csv\"".to_owned());
            checker.at(dataset, &["source"], "`format` is missing", hint);
        }
        Some(SourceFormat::Parquet) => {
            for key in csv_options(dataset) {
                let what = format!("`{key}` is for CSV only");
                checker.at_key(dataset, &["source", key], what, None);
            }
        }
        Some(SourceFormat::Csv) => {
            check_csv(checker, dataset);
            check_csv_types(checker, dataset);
        }
    }
}

/// A field of delimited text is one value.
fn check_csv_types(checker: &mut Checker<'_>, dataset: &Loaded<Dataset>) {
    for (index, field) in dataset.fields.iter().enumerate() {
        if FieldType::parse(&field.data_type).is_ok_and(|found| found.is_nested()) {
            let path = ["fields", &index.to_string(), "type"];
            let what = "CSV has no lists, structs or maps";
            let hint = Some("declare it as utf8 and treat it by `json`".to_owned());
            checker.at(dataset, &path, what, hint);
        }
    }
}

fn check_csv(checker: &mut Checker<'_>, dataset: &Loaded<Dataset>) {
    let source = &dataset.source;
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let characters = [
        ("delimiter", source.delimiter.as_deref(), ","),
        ("quote", source.quote.as_deref(), "\""),
    ];
    for (key, text, default) in characters {
        check_character(checker, dataset, key, text);
        let text = text.unwrap_or(default);
        if let Some((other, _)) = seen.iter().find(|(_, other)| *other == text) {
            let what = format!("`{key}` and `{other}` are the same character");
            checker.at(dataset, &["source", key], what, None);
        }
        seen.push((key, text));
    }
    check_character(checker, dataset, "escape", source.escape.as_deref());
}

fn check_character(
    checker: &mut Checker<'_>,
    dataset: &Loaded<Dataset>,
    key: &str,
    text: Option<&str>,
) {
    let good = text.is_none_or(|text| {
        text.len() == 1 && text.is_ascii() && !text.contains(['\n', '\r', '\0'])
    });
    if !good {
        let hint = Some("write one ASCII character, such as \",\" or \"\\t\"".to_owned());
        checker.at(
            dataset,
            &["source", key],
            format!("`{key}` is not one character"),
            hint,
        );
    }
}

fn check_field(checker: &mut Checker<'_>, dataset: &Loaded<Dataset>, number: &str, field: &Field) {
    let at = |key: &'static str| ["fields", number, key];
    if let Err(what) = check_field_name(&field.name) {
        checker.at(dataset, &at("name"), what, None);
    }
    if !is_category(&field.category) {
        let hint =
            Some("a category is lower-case letters, digits and -, such as resident-id".to_owned());
        checker.at(dataset, &at("category"), "not a category", hint);
    }
    if field.domain_size == Some(0) {
        checker.at(
            dataset,
            &at("domain_size"),
            "a field has at least one value",
            None,
        );
    }
    match FieldType::read(&field.data_type) {
        Err(error) => checker.at(dataset, &at("type"), error.what, error.hint),
        Ok(field_type) => check_carrier(checker, dataset, number, field, &field_type),
    }
}

/// `tolerance`, `decimals` and `synonyms`: what a mark may do to the field.
fn check_carrier(
    checker: &mut Checker<'_>,
    dataset: &Loaded<Dataset>,
    number: &str,
    field: &Field,
    field_type: &FieldType,
) {
    if let Some(synonyms) = &field.synonyms {
        let small = synonyms.iter().enumerate();
        let small: Vec<_> = small.filter(|(_, group)| group.len() < 2).collect();
        for (index, _) in &small {
            let path = ["fields", number, "synonyms", &index.to_string()];
            checker.at(dataset, &path, "a group of synonyms has at least two", None);
        }
        if !small.is_empty() {
            return;
        }
    }
    match carrier_of(field, field_type) {
        Err(CarrierFault { key, what, hint }) => {
            checker.at(dataset, &["fields", number, key], what, hint);
        }
        Ok(None) => {}
        Ok(Some(_)) => {
            let key = if field.synonyms.is_some() {
                "synonyms"
            } else {
                "tolerance"
            };
            let name = &field.name;
            let mut refuse = |role: &str, hint: &str| {
                let what = format!("field `{name}` {role}, which no mark may move");
                let hint = Some(hint.to_owned());
                checker.at(dataset, &["fields", number, key], what, hint);
            };
            if dataset.key.contains(name) {
                refuse("is part of the key", "take it out, here or of the key");
            }
            if dataset.division.as_ref() == Some(name) {
                let hint = "take it out: by the code rows are found, and grants limited";
                refuse("carries the division code", hint);
            }
            if dataset.sums.iter().flatten().any(|of| of == name) {
                refuse("is part of a sum", "take it out, here or of `sums`");
            }
            if let Some(constraint) = field.constraint {
                let role = match constraint {
                    Constraint::Unique => "is unique",
                    Constraint::ForeignKey => "refers to another table",
                    Constraint::CheckDigit => "has a check digit",
                };
                refuse(role, "take it out, or `constraint`");
            }
        }
    }
}
