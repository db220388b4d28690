//! `json`: treats the values within a JSON document, each by its path.
//!
//! What no path names is dropped unless said otherwise, so that a key that appears in the source
//! tomorrow doesn't leave. A document that isn't strict JSON is invalid as a whole. Order of keys
//! and the text of kept numbers stay; white space doesn't.

mod apply;
mod leaves;

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cases::Rules;
use crate::error::Misfit;
use crate::json::Paths;
use crate::key::{DerivedKey, Keys};
use crate::options::Options;
use crate::parts::PartBuilder;
use crate::spec::{Column, Definition, Strength, TreatmentSpec, Uniqueness};
use crate::text;
use crate::treatment::Treatment;

/// Most paths of one `json`.
const PATHS_MAX: usize = 256;

/// Treats the values within JSON documents (objects and arrays, RFC 8259) by their paths; null
/// stays null in a document, too, unless the path's treatment says otherwise.
///
/// A document that isn't JSON, has a key twice in one object, is deeper than 64 levels or longer
/// than 16 MiB is invalid. Short values and sentinels within count beside those of the documents; a
/// document with invalid ones counts as one invalid value. Strength is that of the weakest treatment of a path, and 0 where keys or values that
/// no path names can stay (`.*`, `unknown`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Json {
    /// Paths and the treatments of the values they lead to, 1 to 256; the first that fits counts.
    pub paths: Vec<JsonPath>,
    /// What happens to the values that no path leads to.
    #[serde(default = "default_unknown")]
    pub unknown: Unknown,
}

/// A path and the treatment of the values it leads to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonPath {
    /// The path: `$.a.b` a member, `$['any name']` one with an unusual name, `$.a[*].b` a member
    /// of every element, `$.*.c` a member of every member.
    pub path: String,
    /// What the values are taken as: a value of another type is invalid, and so are objects and
    /// arrays.
    #[serde(default = "default_leaf", rename = "as")]
    pub leaf: Leaf,
    /// The category of the values, which decides normalisation; absent means the field's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The treatment of the values; `withhold` removes them with their keys.
    pub treatment: TreatmentSpec,
}

/// What a value within a document is taken as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Leaf {
    /// Text; numbers and booleans as they are written, and written so again where unchanged.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A number, as the nearest one of 64 bits floating point.
    Number,
    /// True or false.
    Boolean,
    /// Text that is a date, `2026-01-31`.
    Date,
}

impl Leaf {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
        }
    }
}

/// What happens to the values that no path leads to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// They stay as they are.
    Keep,
    /// Keys stay, text is covered with `*`, numbers and booleans become null.
    Mask,
    /// They are removed with their keys.
    Drop,
}

fn default_unknown() -> Unknown {
    Unknown::Drop
}

fn default_leaf() -> Leaf {
    Leaf::Text
}

fn place(path: usize) -> String {
    format!("paths[{path}].treatment")
}

impl JsonPath {
    /// The values it leads to, as a column.
    fn column<'a>(&'a self, whole: Column<'a>, data_type: &'a DataType) -> Column<'a> {
        let category = self.category.as_deref().unwrap_or(whole.category);
        Column {
            data_type,
            category,
            ..whole
        }
    }

    fn check(&self, whole: Column<'_>, number: usize) -> Result<(), Misfit> {
        let data_type = self.leaf.data_type();
        let output = self.treatment.output_type(self.column(whole, &data_type));
        match output.map_err(|misfit| misfit.within("paths", &place(number)))? {
            None
            | Some(
                DataType::Utf8
                | DataType::Int64
                | DataType::Float64
                | DataType::Boolean
                | DataType::Date32,
            ) => Ok(()),
            Some(other) => {
                let what = format!("`{}` gives {other}, which JSON doesn't have", place(number));
                Err(Misfit::of_parameter("paths", what)
                    .with_hint("choose a treatment that gives text, numbers, booleans or dates"))
            }
        }
    }
}

impl Json {
    fn compile(&self) -> Result<Paths, Misfit> {
        if self.paths.is_empty() || self.paths.len() > PATHS_MAX {
            let what = format!("`paths` has {} entries", self.paths.len());
            return Err(Misfit::of_parameter("paths", what).with_hint("write 1 to 256 of them"));
        }
        let paths: Vec<&str> = self.paths.iter().map(|path| path.path.as_str()).collect();
        Paths::parse(&paths).map_err(|(number, what)| {
            Misfit::of_parameter("paths", format!("in `paths[{number}].path`: {what}"))
                .with_hint("write paths such as $.a.b, $.a[*].b, $.*.c or $['any name']")
        })
    }
}

impl Definition for Json {
    const KIND: &'static str = "json";
    const SUMMARY: &'static str = "treats the values within JSON documents by their paths";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str = "{ kind = \"json\", paths = [\
         { path = \"$.person.id\", treatment = { kind = \"hmac\", domain = \"person.id\" } }, \
         { path = \"$.tags[*]\", treatment = { kind = \"keep-ends\", first = 1, last = 0 } }] }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const WEAKER: Option<&'static str> = Some(
        "that of the weakest treatment within, and 0 where keys or values that no path names can stay",
    );
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;

    fn strength(&self) -> Strength {
        let names_stay = self.compile().map_or(true, |paths| paths.has_any_member());
        if names_stay || self.unknown != Unknown::Drop {
            return Strength::CLEAR;
        }
        let weakest = self
            .paths
            .iter()
            .map(|path| path.treatment.strength())
            .min();
        weakest.unwrap_or(Strength::CLEAR)
    }

    fn parts(&self) -> Vec<&TreatmentSpec> {
        self.paths.iter().map(|path| &path.treatment).collect()
    }

    fn at_least(&self, floor: &Self) -> bool {
        self.unknown >= floor.unknown
            && self.paths.len() == floor.paths.len()
            && self.paths.iter().zip(&floor.paths).all(|(own, floor)| {
                (&own.path, own.leaf, &own.category) == (&floor.path, floor.leaf, &floor.category)
                    && own.treatment.meets(&floor.treatment)
            })
    }

    fn stands_for(&self, options: &Options, floor: &TreatmentSpec) -> bool {
        let as_strong =
            floor.kind() == "clear" || floor.treatment().outdone_by(self.strength(), options);
        as_strong
            && options.keep_no_more(floor.options())
            && self
                .parts()
                .iter()
                .all(|part| part.under_limit_of(options).meets(floor))
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        text::only(Self::KIND, column)?;
        self.compile()?;
        for (number, path) in self.paths.iter().enumerate() {
            path.check(column, number)?;
        }
        Ok(Some(DataType::Utf8))
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
        self.output_type(column)?;
        let mut builder = PartBuilder::new(keys, 0);
        let mut rules = Vec::with_capacity(self.paths.len());
        for (number, path) in self.paths.iter().enumerate() {
            let data_type = path.leaf.data_type();
            let leaf_column = path.column(column, &data_type);
            let part = if path.treatment.is_withhold() {
                builder.skip(&path.treatment);
                None
            } else {
                let built = builder.build(&path.treatment, leaf_column);
                Some(built.map_err(|misfit| misfit.within("paths", &place(number)))?)
            };
            let cases = Rules::resolve(path.treatment.options(), leaf_column);
            let cases = cases.map_err(|misfit| misfit.within("paths", &place(number)))?;
            rules.push(leaves::LeafRule {
                leaf: path.leaf,
                part,
                cases,
            });
        }
        Ok(Box::new(apply::Documents {
            rules: Rules::resolve(options, column)?,
            paths: self.compile()?,
            leaves: rules,
            unknown: self.unknown,
        }))
    }
}

#[cfg(test)]
mod tests;
