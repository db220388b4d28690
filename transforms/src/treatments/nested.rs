//! `nested`: treats the values within lists, structs and maps.
//!
//! The result is built anew from the treated values alone: nothing of the original stands under a
//! null at any level, outside of a list's offsets, or in a member that isn't named.

mod apply;
mod path;
mod shape;

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cases::Rules;
use crate::error::Misfit;
use crate::key::{DerivedKey, Keys};
use crate::options::Options;
use crate::parts::PartBuilder;
use crate::spec::{Column, Definition, Strength, TreatmentSpec, Uniqueness};
use crate::treatment::Treatment;
use crate::treatments::AnyTreatment;
use crate::treatments::clear::Clear;
use shape::Shape;

/// Treats the values within lists, structs and maps, each by its place in the type.
///
/// A place is written `name` or `name.inner` for a member of a struct, with `[]` after it for the
/// elements of a list, `{key}` and `{value}` for those of a map: `tags[]`, `people[].name`,
/// `{value}.id`; a backslash before a character of a name takes it as it is. A list, struct or map
/// that is null stays null, and only values that are there are treated.
///
/// Both parts of a map must be named. A map of which a treated key is null or stands twice is
/// invalid, and null in any case. An empty list or map is an empty value. Short values and
/// sentinels within are counted beside those of the field; a row with invalid ones counts as one
/// invalid value. Lengths of lists and maps
/// stay visible. Strength is that of the weakest treatment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nested {
    /// The treatments by place: `{ "name" = {…}, "tags[]" = {…} }`; `withhold` removes a member.
    pub fields: BTreeMap<String, TreatmentSpec>,
    /// The categories of the values by place: `{ "id" = "resident-id" }`. A category decides
    /// normalisation, so that a pseudonym within is the one that a field of its own would get;
    /// absent means the field's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<String, String>,
    /// What happens to members that no place names.
    #[serde(default = "default_unknown")]
    pub unknown: Unknown,
}

/// What happens to members of a struct that no place names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// They are removed from the type.
    Drop,
    /// They stay in the type, and are null.
    Null,
}

fn default_unknown() -> Unknown {
    Unknown::Drop
}

impl Nested {
    fn shape(&self, column: Column<'_>) -> Result<Shape, Misfit> {
        let tree = path::tree(&self.fields)?;
        let mut places = self.categories.keys();
        if let Some(place) = places.find(|place| !self.fields.contains_key(*place)) {
            let what = format!("`categories` has `{place}`, which is no place of `fields`");
            return Err(Misfit::of_parameter("categories", what)
                .with_hint("write the places as `fields` has them"));
        }
        shape::shape(self, &tree, column)
    }

    /// The category of the values at a place, where `whole` is the field's.
    pub(crate) fn category<'a>(&'a self, place: &str, whole: &'a str) -> &'a str {
        self.categories.get(place).map_or(whole, String::as_str)
    }

    /// A column of values at a place, with their own category.
    fn values_at<'a>(&'a self, place: &str, column: Column<'a>) -> Column<'a> {
        Column {
            category: self.category(place, column.category),
            ..column
        }
    }
}

impl Definition for Nested {
    const KIND: &'static str = "nested";
    const SUMMARY: &'static str =
        "treats the values within lists, structs and maps by their places";
    const FITS: &'static str = "lists, structs, maps";
    const EXAMPLE: &'static str = "{ kind = \"nested\", fields = { \"[]\" = { kind = \"keep-ends\", first = 1, last = 0 } } }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const WEAKER: Option<&'static str> = Some("that of the weakest treatment within");
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn strength(&self) -> Strength {
        self.fields
            .values()
            .map(TreatmentSpec::strength)
            .min()
            .unwrap_or(Strength::CLEAR)
    }

    fn parts(&self) -> Vec<&TreatmentSpec> {
        self.fields.values().collect()
    }

    fn at_least(&self, floor: &Self) -> bool {
        self.fields.iter().all(|(place, own)| {
            let same_category = self.categories.get(place) == floor.categories.get(place);
            own.is_withhold()
                || floor
                    .fields
                    .get(place)
                    .is_some_and(|floor| same_category && own.meets(floor))
        })
    }

    fn stands_for(&self, options: &Options, floor: &TreatmentSpec) -> bool {
        let as_strong =
            floor.kind() == "clear" || floor.treatment().outdone_by(self.strength(), options);
        as_strong
            && options.keep_no_more(floor.options())
            && self
                .fields
                .values()
                .all(|part| part.under_limit_of(options).meets(floor))
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.shape(column).map(|shape| Some(shape.data_type()))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.build_with(column, options, Keys::default())
    }

    fn build_with(
        &self,
        column: Column<'_>,
        options: &Options,
        keys: Keys<'_>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        let shape = self.shape(column)?;
        let mut types = BTreeMap::new();
        shape.leaf_types(&mut types);
        let mut builder = PartBuilder::new(keys, 0);
        let mut parts = Vec::with_capacity(self.fields.len());
        for (number, (place, spec)) in self.fields.iter().enumerate() {
            let Some(data_type) = types.get(&number) else {
                builder.skip(spec);
                parts.push(None);
                continue;
            };
            let column = Column {
                data_type,
                ..column
            };
            let built = builder.build(spec, self.values_at(place, column));
            parts.push(Some(
                built.map_err(|misfit| misfit.within("fields", place))?,
            ));
        }
        Ok(Box::new(apply::Rebuild {
            from: column.data_type.clone(),
            to: shape.data_type(),
            rules: Rules::resolve(options, column)?,
            shape,
            parts,
        }))
    }
}

/// The plain type of a nested field: lists with 32-bit offsets, everything nullable but the keys of
/// maps.
///
/// # Errors
/// A value of a type that no catalogue can declare.
pub(crate) fn plain_type(kind: &str, column: Column<'_>) -> Result<DataType, Misfit> {
    shape::whole(kind, column, &mut Vec::new()).map(|shape| shape.data_type())
}

/// Leaves everything within lists, structs and maps as it is, with these options at every place.
///
/// # Errors
/// As [`Definition::build`].
pub(super) fn clear(column: Column<'_>, options: &Options) -> Result<Box<dyn Treatment>, Misfit> {
    let mut leaves = Vec::new();
    let shape = shape::whole(Clear::KIND, column, &mut leaves)?;
    let spec = TreatmentSpec::new(AnyTreatment::Clear(Clear {}), options.clone());
    let mut builder = PartBuilder::new(Keys::default(), 0);
    let parts = leaves.iter().map(|data_type| {
        let part = builder.build(
            &spec,
            Column {
                data_type,
                ..column
            },
        );
        part.map(Some)
    });
    let parts = parts.collect::<Result<_, _>>()?;
    Ok(Box::new(apply::Rebuild {
        from: column.data_type.clone(),
        to: shape.data_type(),
        rules: Rules::resolve(options, column)?,
        shape,
        parts,
    }))
}

#[cfg(test)]
mod tests;
