//! Which edition of the division table a treatment means.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The edition of GB/T 2260 that a treatment goes by: the year of the last list taken in.
///
/// There is one, so a parameter of this type chooses nothing; it says in what is approved and
/// delivered which table was used, and keeps a later table from taking its place unnoticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Edition;

impl Edition {
    /// The year.
    pub const YEAR: u16 = 2023;
}

impl Serialize for Edition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::YEAR.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Edition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EditionVisitor;

        impl Visitor<'_> for EditionVisitor {
            type Value = Edition;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "{}, the only edition of the table there is",
                    Edition::YEAR
                )
            }

            fn visit_u64<E: de::Error>(self, year: u64) -> Result<Edition, E> {
                match year == u64::from(Edition::YEAR) {
                    true => Ok(Edition),
                    false => Err(E::invalid_value(de::Unexpected::Unsigned(year), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, year: i64) -> Result<Edition, E> {
                match year == i64::from(Edition::YEAR) {
                    true => Ok(Edition),
                    false => Err(E::invalid_value(de::Unexpected::Signed(year), &self)),
                }
            }
        }

        deserializer.deserialize_any(EditionVisitor)
    }
}

impl JsonSchema for Edition {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Edition".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": Self::YEAR })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{spec, try_spec};

    #[test]
    fn the_edition_is_written_out_and_another_is_refused() {
        for kind in [
            "{ kind = 'fake-id', domain = 'd'",
            "{ kind = 'fake-birth-date', domain = 'd', by = 'who'",
            "{ kind = 'fake-age', domain = 'd', by = 'who', as_of = 2026-01-01",
            "{ kind = 'fake-region', domain = 'd'",
            "{ kind = 'fake-address', domain = 'd'",
            "{ kind = 'fake-org', domain = 'd'",
            "{ kind = 'fake-uscc', domain = 'd'",
            "{ kind = 'structured-id', of = 'resident-id', domain = 'd'",
            "{ kind = 'admin-level', level = 'province'",
        ] {
            let plain = spec(&format!("{kind} }}"));
            assert_eq!(plain, spec(&format!("{kind}, gb2260_version = 2023 }}")));
            let written = serde_json::to_value(&plain).unwrap();
            assert_eq!(written["gb2260_version"], 2023, "{kind}");
            assert_eq!(plain.disclosed()["gb2260_version"], 2023, "{kind}");
            for wrong in ["2020", "-1", "'2023'"] {
                let error = try_spec(&format!("{kind}, gb2260_version = {wrong} }}")).unwrap_err();
                assert!(error.to_string().contains("2023"), "{error}");
            }
        }
    }
}
