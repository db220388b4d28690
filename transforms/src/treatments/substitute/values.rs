//! The values that stand in for others: listed in place, or in a file of the site.
//!
//! This crate reads no file. Whoever loads the configuration asks a spec for its
//! [files](crate::TreatmentSpec::value_files) and hands over what they hold; until then the treatment
//! fits no field. What is approved, compared and delivered in manifests is the SHA-256 of the content,
//! so that another content is another treatment.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Values as configuration gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Each in its place.
    Listed(Vec<String>),
    /// Those of a file.
    File(ValueFile),
}

/// A file of values: UTF-8, one a line.
#[derive(Clone)]
pub struct ValueFile {
    /// The path below the site, `/`-separated.
    path: String,
    /// The SHA-256 that the content must have, where it is written.
    pinned: Option<String>,
    read: OnceLock<Result<ValueLines, String>>,
}

/// What a file of values holds; a clone shares it, so that a file many treatments name is held once.
#[derive(Debug, Clone)]
pub struct ValueLines {
    /// Lower-case hex.
    sha256: String,
    lines: Arc<[String]>,
}

impl ValueLines {
    /// The content of a file; none where it isn't UTF-8. A byte order mark is no part of it.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let sha256 = Sha256::digest(bytes);
        Some(Self {
            sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            lines: text.lines().map(str::to_owned).collect(),
        })
    }
}

impl Values {
    /// The values, or why there are none.
    pub(super) fn list(&self) -> Result<&[String], String> {
        match self {
            Self::Listed(values) => Ok(values),
            Self::File(file) => match file.read.get() {
                Some(Ok(content)) => Ok(&content.lines),
                Some(Err(why)) => Err(why.clone()),
                None => Err(format!("file `{}` was not read", file.path)),
            },
        }
    }

    /// The file they come from.
    pub(crate) fn file(&self) -> Option<&ValueFile> {
        match self {
            Self::Listed(_) => None,
            Self::File(file) => Some(file),
        }
    }
}

impl ValueFile {
    /// The path below the site, `/`-separated.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Takes the file's content, or why it can't be had; only the first time counts.
    pub fn set(&self, content: Result<ValueLines, String>) {
        let content = content.and_then(|content| {
            let is_other = |pinned: &String| *pinned != content.sha256;
            if self.pinned.as_ref().is_some_and(is_other) {
                let path = &self.path;
                return Err(format!(
                    "file `{path}` has another SHA-256 than `sha256` says"
                ));
            }
            Ok(content)
        });
        self.read.get_or_init(|| content);
    }

    /// The SHA-256 of the content as far as it is known: as read, else as written.
    fn sha256(&self) -> Option<&str> {
        match self.read.get() {
            Some(Ok(content)) => Some(&content.sha256),
            Some(Err(_)) | None => self.pinned.as_deref(),
        }
    }
}

/// By content, where it is known of both: a file may be renamed.
impl PartialEq for ValueFile {
    fn eq(&self, other: &Self) -> bool {
        match (self.sha256(), other.sha256()) {
            (Some(own), Some(other)) => own == other,
            (own, theirs) => own == theirs && self.path == other.path,
        }
    }
}

impl Eq for ValueFile {}

impl fmt::Debug for ValueFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueFile")
            .field("path", &self.path)
            .field("sha256", &self.sha256())
            .finish_non_exhaustive()
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Listed(values) => values.serialize(serializer),
            Self::File(file) => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("file", &file.path)?;
                if let Some(sha256) = file.sha256() {
                    map.serialize_entry("sha256", sha256)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts, or { file = \"lists/NAME.txt\" }")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Values, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element()? {
            values.push(value);
        }
        Ok(Values::Listed(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        let (mut path, mut pinned) = (None, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match key.as_ref() {
                "file" if path.is_none() => path = Some(map.next_value()?),
                "sha256" if pinned.is_none() => pinned = Some(map.next_value()?),
                "file" | "sha256" => {
                    return Err(de::Error::custom(format_args!("duplicate field `{key}`")));
                }
                other => return Err(de::Error::unknown_field(other, &["file", "sha256"])),
            }
        }
        Ok(Values::File(ValueFile {
            path: path.ok_or_else(|| de::Error::missing_field("file"))?,
            pinned,
            read: OnceLock::new(),
        }))
    }
}

impl JsonSchema for Values {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "array", "items": { "type": "string" }, "minItems": 2 },
            {
                "type": "object",
                "properties": {
                    "file": { "type": "string", "pattern": "^lists/" },
                    "sha256": { "type": "string", "pattern": "^[0-9a-f]{64}$" }
                },
                "required": ["file"],
                "additionalProperties": false
            }
        ] })
    }
}
