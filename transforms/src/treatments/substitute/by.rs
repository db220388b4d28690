//! The fields that decide: one, or several together.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Misfit;

/// The fields that decide, in their order. One of them is written as its name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By(Vec<String>);

impl By {
    /// Their names.
    pub(super) fn fields(&self) -> &[String] {
        &self.0
    }

    /// Checks that there is one, and none twice.
    ///
    /// # Errors
    /// There is none, or one twice.
    pub(super) fn check(&self) -> Result<(), Misfit> {
        let mut sorted: Vec<&String> = self.0.iter().collect();
        sorted.sort_unstable();
        let is_twice = sorted.windows(2).any(|pair| pair.first() == pair.last());
        match (sorted.is_empty(), is_twice) {
            (true, _) => Err(Misfit::of_parameter("by", "`by` lists no field")
                .with_hint("name the field that decides, or leave it out")),
            (false, true) => {
                Err(Misfit::of_parameter("by", "`by` lists a field twice")
                    .with_hint("list each once"))
            }
            (false, false) => Ok(()),
        }
    }
}

impl Serialize for By {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for By {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ByVisitor)
    }
}

struct ByVisitor;

impl<'de> Visitor<'de> for ByVisitor {
    type Value = By;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field, or a list of names")
    }

    fn visit_str<E>(self, name: &str) -> Result<By, E> {
        Ok(By(vec![name.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<By, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = items.next_element()? {
            names.push(name);
        }
        Ok(By(names))
    }
}

impl JsonSchema for By {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "By".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1, "uniqueItems": true }
        ] })
    }
}
