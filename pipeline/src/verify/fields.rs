//! The fields of a file against those of the manifest: names, order and types. Formats don't hold every
//! type as it is, so each says as what it may be found.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema};

use crate::engine::held_type;
use crate::manifest::Manifest;
use crate::site::field_type::FieldType;

/// A field as a file holds it.
pub(super) type FoundField = (String, DataType);

/// Checks that a sealed file which was opened holds the fields that the manifest states.
pub(crate) fn check_fields(found: &Schema, manifest: &Manifest) -> Result<(), String> {
    let found: Vec<FoundField> = found
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect();
    compare_fields(&found, manifest)
}

/// As [`compare_fields`], of a file that holds every type as it is.
pub(super) fn compare_exactly(found: &Schema, manifest: &Manifest) -> Result<(), String> {
    let found: Vec<FoundField> = found
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect();
    compare(&found, manifest, |stated| vec![stated.clone()])
}

/// Compares names, order and types of a Parquet file. Says which field differs, by the name the manifest
/// has for it.
pub(super) fn compare_fields(found: &[FoundField], manifest: &Manifest) -> Result<(), String> {
    compare(found, manifest, |stated| {
        vec![held_type(stated), as_parquet_alone_tells(stated)]
    })
}

/// Compares with what the manifest states; `held` says in which types a file may hold one.
fn compare(
    found: &[FoundField],
    manifest: &Manifest,
    held: impl Fn(&DataType) -> Vec<DataType>,
) -> Result<(), String> {
    for (position, stated) in manifest.fields.iter().enumerate() {
        let name = &stated.name;
        let Some((found_name, found_type)) = found.get(position) else {
            return Err(format!("field \"{name}\" is missing"));
        };
        if found_name != name {
            return Err(format!(
                "another field stands where the manifest states \"{name}\""
            ));
        }
        let stated_type = FieldType::parse(&stated.data_type)
            .map_err(|_| format!("the manifest states a type for \"{name}\" that is not known"))?
            .to_arrow();
        let found_as = FieldType::of(found_type);
        let fits = held(&stated_type)
            .iter()
            .any(|expected| FieldType::of(expected) == found_as);
        if found_as.is_none() || !fits {
            return Err(format!(
                "field \"{name}\" is of type {} where the manifest states {}",
                found_as.map_or_else(|| found_type.to_string(), |found| found.to_string()),
                stated.data_type
            ));
        }
    }
    match found.len().checked_sub(manifest.fields.len()) {
        Some(0) | None => Ok(()),
        Some(more) => Err(format!("{more} fields that the manifest does not state")),
    }
}

/// The type that a reader finds in a file without Arrow's own schema: Parquet has no zones but UTC.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other types are told by Parquet itself"
)]
fn as_parquet_alone_tells(data_type: &DataType) -> DataType {
    match held_type(data_type) {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(unit, Some("UTC".into())),
        DataType::List(element) => DataType::List(within(&element)),
        DataType::Struct(members) => DataType::Struct(members.iter().map(within).collect()),
        DataType::Map(entries, sorted) => DataType::Map(within(&entries), sorted),
        other => other,
    }
}

fn within(field: &FieldRef) -> FieldRef {
    let data_type = as_parquet_alone_tells(field.data_type());
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}
