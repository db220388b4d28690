//! A treatment as the table that configuration writes: kind, parameters and options side by side.
//!
//! Written in one canonical form, every default spelled out; read with every unknown key refused at
//! its place, in treatments within, too.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::TreatmentSpec;
use crate::options::{Action, EmptyAction, Options, Scalar, StrictAction};
use crate::treatments::{self, AnyTreatment};

/// The same value with the keys of its tables in order, whatever map `serde_json` was built with.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries: BTreeMap<String, Value> = map.into_iter().collect();
            let entries = entries.into_iter();
            Value::Object(entries.map(|(name, value)| (name, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

/// The options as keys and values, in their fixed order; without those that are absent.
pub(super) fn option_values(options: &Options) -> Vec<(&'static str, Value)> {
    let action = |action: Action| Value::from(action.as_str());
    let sentinels = options.sentinels.iter().map(|sentinel| match sentinel {
        Scalar::Boolean(value) => Value::from(*value),
        Scalar::Integer(value) => Value::from(*value),
        Scalar::Text(text) => Value::from(text.as_str()),
    });
    let mut values = vec![
        ("on_null", action(options.on_null)),
        ("on_empty", action(options.on_empty)),
        ("on_short", action(options.on_short)),
        ("on_invalid", action(options.on_invalid)),
        ("sentinels", sentinels.collect()),
    ];
    if let Some(limit) = options.max_invalid {
        values.push(("max_invalid", limit.to_string().into()));
    }
    values
}

impl Serialize for TreatmentSpec {
    /// The canonical form: `kind`, then the parameters by name, then the options; every default
    /// spelled out, and nothing for an optional parameter that is absent.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parameters: BTreeMap<String, Value> = self.treatment.parameters();
        let options = option_values(&self.options);
        let mut map = serializer.serialize_map(Some(1 + parameters.len() + options.len()))?;
        map.serialize_entry("kind", self.kind())?;
        for (name, value) in &parameters {
            map.serialize_entry(name, value)?;
        }
        for (name, value) in &options {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for TreatmentSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SpecVisitor)
    }
}

/// Reads the one table that holds kind, parameters and options side by side. serde's `flatten`
/// would accept misspelt keys here, so the keys are sorted out by hand.
struct SpecVisitor;

impl<'de> Visitor<'de> for SpecVisitor {
    type Value = TreatmentSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a treatment such as { kind = \"clear\" }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TreatmentSpec, A::Error> {
        let mut kind: Option<&'static str> = None;
        let mut options = Options::default();
        let mut parameters = Map::new();
        let mut seen: Vec<String> = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed { kind })? {
            if seen.contains(&key) {
                return Err(de::Error::custom(format_args!("duplicate field `{key}`")));
            }
            match key.as_str() {
                "kind" => kind = Some(map.next_value::<Kind>()?.0),
                "on_null" => options.on_null = map.next_value()?,
                "on_empty" => options.on_empty = map.next_value::<EmptyAction>()?.into(),
                "on_short" => options.on_short = map.next_value::<StrictAction>()?.into(),
                "on_invalid" => options.on_invalid = map.next_value::<StrictAction>()?.into(),
                "sentinels" => options.sentinels = map.next_value()?,
                "max_invalid" => options.max_invalid = Some(map.next_value()?),
                _ => {
                    parameters.insert(key.clone(), map.next_value::<Located>()?.0);
                }
            }
            seen.push(key);
        }
        let kind = kind.ok_or_else(|| de::Error::missing_field("kind"))?;
        for name in parameters.keys() {
            known_key(kind, name)?;
        }
        let treatment =
            AnyTreatment::parse(kind, Value::Object(parameters)).map_err(de::Error::custom)?;
        Ok(TreatmentSpec::new(treatment, options))
    }
}

/// A parameter's value. A table within that has a `kind` is a treatment, whose unknown keys are
/// refused at their place.
struct Located(Value);

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LocatedVisitor).map(Self)
    }
}

struct LocatedVisitor;

impl<'de> Visitor<'de> for LocatedVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Located(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut kind: Option<&'static str> = None;
        let mut entries = Map::new();
        while let Some(key) = map.next_key_seed(KeySeed { kind })? {
            let Located(value) = map.next_value()?;
            if key == "kind" {
                let text = value.as_str().unwrap_or_default();
                kind = treatments::KINDS
                    .iter()
                    .find(|kind| **kind == text)
                    .copied();
            }
            if entries.contains_key(&key) {
                return Err(de::Error::custom(format_args!("duplicate field `{key}`")));
            }
            entries.insert(key, value);
        }
        if let Some(kind) = kind {
            for key in entries.keys() {
                known_key_or_option(kind, key)?;
            }
        }
        Ok(Value::Object(entries))
    }
}

/// A key of the table, refused at its place where the kind is known already.
struct KeySeed {
    kind: Option<&'static str>,
}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let key = String::deserialize(deserializer)?;
        if let Some(kind) = self.kind {
            known_key_or_option(kind, &key)?;
        }
        Ok(key)
    }
}

/// Refuses a key that a treatment of `kind` doesn't have.
fn known_key_or_option<E: de::Error>(kind: &str, key: &str) -> Result<(), E> {
    if key == "kind" || Options::KEYS.contains(&key) {
        return Ok(());
    }
    known_key(kind, key)
}

/// Refuses a key that is neither a parameter of `kind` nor an option, in serde's words.
fn known_key<E: de::Error>(kind: &str, key: &str) -> Result<(), E> {
    let parameters = treatments::parameter_names(kind);
    if parameters.contains(&key) {
        return Ok(());
    }
    let known: Vec<String> = parameters
        .iter()
        .chain(&Options::KEYS)
        .map(|name| format!("`{name}`"))
        .collect();
    Err(E::custom(format_args!(
        "unknown field `{key}`, expected one of {}",
        known.join(", ")
    )))
}

/// The kind, checked against the list of kinds.
struct Kind(&'static str);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        treatments::KINDS
            .iter()
            .find(|kind| **kind == text)
            .map(|kind| Self(kind))
            .ok_or_else(|| de::Error::unknown_variant(&text, treatments::KINDS))
    }
}

impl JsonSchema for TreatmentSpec {
    fn schema_name() -> Cow<'static, str> {
        "Treatment".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        treatments::schema(generator)
    }
}

/// The names of the fields of a struct, taken from what its `Deserialize` asks for.
pub(crate) fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The probe answers every question with an error, once it has seen the names.
    let probed = T::deserialize(FieldProbe(&mut names));
    debug_assert!(probed.is_err(), "the probe never yields a value");
    names
}

struct FieldProbe<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldProbe<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("a probe holds no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(de::Error::custom("a probe holds no value"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
