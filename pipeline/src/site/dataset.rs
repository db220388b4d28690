//! `catalogue/*.toml`: the datasets that exist.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use lockgate_transforms::RowField;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FieldType;
use super::lockgate_toml::SecretRef;

/// A dataset: what a provider holds and under which terms it may be shared.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Id; the file is named after it.
    pub id: String,
    /// Title for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Department that holds the data.
    pub provider: String,
    /// Where the data is.
    pub source: Source,
    /// Sharing attribute.
    pub sharing: Sharing,
    /// Legal basis; required where sharing is prohibited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// Ways in which the dataset may be delivered.
    pub modes: Vec<Mode>,
    /// How often the provider updates it; descriptive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<String>,
    /// Fields that identify a row; declared, not enforced on rows.
    #[serde(default)]
    pub key: Vec<String>,
    /// The field that carries the administrative division code (GB/T 2260).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub division: Option<String>,
    /// The field that orders changes, for incremental runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Totals, each with what it is the sum of, such as `["total", "base", "bonus"]`: no mark moves any of
    /// them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sums: Vec<Vec<String>>,
    /// The fields.
    pub fields: Vec<Field>,
}

impl Dataset {
    /// The field of a name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Every field in catalogue order as plain, nullable Arrow fields; `None` if the type of one
    /// cannot be read, which `check` reports.
    pub fn schema(&self) -> Option<SchemaRef> {
        let fields = self.fields.iter().map(|field| {
            let data_type = FieldType::parse(&field.data_type).ok()?.to_arrow();
            Some(arrow::datatypes::Field::new(&field.name, data_type, true))
        });
        Some(Arc::new(Schema::new(fields.collect::<Option<Vec<_>>>()?)))
    }
}

/// The fields of a dataset whose types can be read, as treatments see them.
#[derive(Debug)]
pub struct DatasetRow<'a>(Vec<(&'a Field, DataType)>);

impl Dataset {
    /// The fields as treatments see them.
    pub fn row(&self) -> DatasetRow<'_> {
        let fields = self.fields.iter().filter_map(|field| {
            let data_type = FieldType::parse(&field.data_type).ok()?.to_arrow();
            Some((field, data_type))
        });
        DatasetRow(fields.collect())
    }
}

impl DatasetRow<'_> {
    /// Name, type and category of each.
    pub fn fields(&self) -> Vec<RowField<'_>> {
        let fields = self.0.iter();
        fields
            .map(|(field, data_type)| RowField {
                name: &field.name,
                data_type,
                category: &field.category,
            })
            .collect()
    }
}

/// Sharing attribute (Regulations on Government Data Sharing).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// Shared with every department.
    Unconditional,
    /// Shared with some departments, or in part.
    Conditional,
    /// Not shared; the legal basis is listed.
    Prohibited,
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unconditional => "unconditional",
            Self::Conditional => "conditional",
            Self::Prohibited => "prohibited",
        })
    }
}

/// A way of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Bulk delivery to a store.
    Batch,
    /// Files on demand.
    Download,
}

/// Where a dataset's data is: files in a store, or a table of a database.
///
/// Exactly one of `store` and `database` is given; `check` says so.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of a store of `lockgate.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// A file, or a directory ending in `/`, within the store; relative, `/`-separated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Format of the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<SourceFormat>,
    /// Name of a database of `lockgate.toml`. Read in a later version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Table, as `schema.table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// CSV: whether the first line names the columns; true where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// CSV: one character between values; `,` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// CSV: one character around values; `"` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// CSV: one character that escapes a quote; where absent, a quote is doubled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escape: Option<String>,
    /// CSV: `utf-8` (the default) or `gb18030`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// CSV: the unquoted text that stands for null; the empty text where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null: Option<String>,
    /// CSV: what a line that does not parse does; `fail` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_malformed: Option<OnMalformed>,
    /// CSV: what zeros before a whole number are, such as `007`; `malformed` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leading_zeros: Option<LeadingZeros>,
    /// Parquet: the keys of files that their provider encrypts; with them, plain files are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decryption: Option<SourceDecryption>,
}

/// Keys of encrypted Parquet, each a reference to 16 or 32 bytes in base64.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceDecryption {
    /// The footer's key, and that of every column without one of its own.
    pub footer_key: SecretRef,
    /// Keys of columns, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, SecretRef>,
    /// What the writer bound its files to, where it did, whether it stored it in them or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aad_prefix: Option<String>,
}

/// Format of a source's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SourceFormat {
    /// Apache Parquet.
    Parquet,
    /// Delimited text (RFC 4180).
    Csv,
}

/// Character encoding of delimited text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[serde(rename = "utf-8")]
    Utf8,
    /// GB 18030, which contains GBK and GB 2312.
    Gb18030,
}

/// What a malformed line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnMalformed {
    /// The run fails, naming file and row.
    Fail,
    /// The row is dropped and counted as rejected.
    Reject,
}

/// What zeros before a whole number are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LeadingZeros {
    /// The line is malformed: a number that is written so is most often an identifier, and belongs
    /// into a field of type utf8.
    Malformed,
    /// They mean nothing.
    Drop,
}

/// A field of a dataset.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name, as in the source.
    pub name: String,
    /// Type: `utf8`, `int64`, `decimal(12,2)`, `date`, `timestamp(us)`, `list(utf8)`,
    /// `struct(name: utf8, age: int32)`, `map(utf8, int64)`, …
    #[serde(rename = "type")]
    pub data_type: String,
    /// Title for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the field is: `resident-id`, `person-name`, …; any `[a-z][a-z0-9-]*`.
    pub category: String,
    /// Level of classification.
    pub level: Level,
    /// How far the provider lets a mark move a value, in the field's unit; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<String>,
    /// Decimal digits at which a float is delivered and marked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// Groups of values that mean the same, which a mark may exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synonyms: Option<Vec<Vec<String>>>,
    /// The least and the greatest value that the field can have: no mark moves one beyond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// What holds of the field's values beside their type: no mark moves one of which it would no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<Constraint>,
    /// How many different values the field can have, where the category does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_size: Option<u64>,
}

/// What holds of a field's values, and would not if they were moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Constraint {
    /// None comes twice.
    Unique,
    /// Each is in another table.
    ForeignKey,
    /// A digit follows from the others.
    CheckDigit,
}

/// `bounds = { least, greatest }`: values of the field, as text; either may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// No value is below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<String>,
    /// No value is above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greatest: Option<String>,
}

/// Level of classification: 1 to 4 (grading of general data per GB/T 43697), `important`, `core`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// General data, graded 1 to 4.
    General(u8),
    /// Important data: leaves only with an explicit approval in the grant.
    Important,
    /// Core data: never leaves.
    Core,
}
