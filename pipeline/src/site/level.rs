//! Levels as written: the numbers 1 to 4, `"important"`, `"core"`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::dataset::Level;

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::General(level) => write!(f, "{level}"),
            Self::Important => f.write_str("important"),
            Self::Core => f.write_str("core"),
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::General(level) => serializer.serialize_u8(*level),
            Self::Important => serializer.serialize_str("important"),
            Self::Core => serializer.serialize_str("core"),
        }
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LevelVisitor;

        impl Visitor<'_> for LevelVisitor {
            type Value = Level;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a level: 1 to 4, \"important\" or \"core\"")
            }

            fn visit_i64<E: de::Error>(self, level: i64) -> Result<Level, E> {
                match u8::try_from(level) {
                    Ok(level @ 1..=4) => Ok(Level::General(level)),
                    _ => Err(E::invalid_value(de::Unexpected::Signed(level), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, level: u64) -> Result<Level, E> {
                match u8::try_from(level) {
                    Ok(level @ 1..=4) => Ok(Level::General(level)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(level), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, level: &str) -> Result<Level, E> {
                match level {
                    "important" => Ok(Level::Important),
                    "core" => Ok(Level::Core),
                    _ => Err(E::unknown_variant(level, &["important", "core"])),
                }
            }
        }

        deserializer.deserialize_any(LevelVisitor)
    }
}

impl JsonSchema for Level {
    fn schema_name() -> Cow<'static, str> {
        "Level".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Level of classification: 1 to 4 (grading of general data per GB/T \
                            43697), \"important\", \"core\".",
            "enum": [1, 2, 3, 4, "important", "core"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        level: Level,
    }

    #[test]
    fn levels_round_trip_and_order() {
        let mut before = None;
        for text in ["1", "2", "3", "4", "\"important\"", "\"core\""] {
            let read: Holder = toml::from_str(&format!("level = {text}")).unwrap();
            assert_eq!(
                toml::to_string(&read).unwrap().trim_end(),
                format!("level = {text}")
            );
            assert!(before < Some(read.level));
            before = Some(read.level);
        }
    }

    #[test]
    fn other_levels_are_refused() {
        for text in [
            "0",
            "5",
            "-1",
            "\"3\"",
            "1.0",
            "true",
            "99999999999999999999",
        ] {
            assert!(
                toml::from_str::<Holder>(&format!("level = {text}")).is_err(),
                "{text}"
            );
        }
    }
}
