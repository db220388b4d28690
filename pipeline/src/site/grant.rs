//! `grants/*.toml`: approvals. Each is signed beside itself, in `ID.toml.sig`.

use std::collections::BTreeMap;

use lockgate_connectors::Encoding;
use lockgate_connectors::format::write::{ArrowForm, CsvForm, LineEnd, RowFormat};
use lockgate_connectors::seal::Release;
use lockgate_transforms::{Date, TreatmentSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dataset::{Encoding as Charset, Mode};

/// An approval: which recipient may have which fields and rows of a dataset, how and when.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Id; the file is named after it.
    pub id: String,
    /// Version, raised with every change.
    pub version: u32,
    /// Id of the dataset.
    pub dataset: String,
    /// Id of the recipient.
    pub recipient: String,
    /// Purpose of use.
    pub purpose: String,
    /// Legal basis.
    pub basis: String,
    /// Scenario of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// Fields, delivered in this order.
    pub fields: Vec<String>,
    /// Predicate over the dataset's fields: only rows for which it is true are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Only rows whose division code starts with one of these; absent restricts nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divisions: Option<Vec<String>>,
    /// Ways of delivery this grant allows.
    pub modes: Vec<Mode>,
    /// Days on which the grant holds.
    pub valid: Validity,
    /// How much may be delivered in all.
    #[serde(default)]
    pub quota: Quota,
    /// How long the recipient may keep the data, such as `"180d"`; descriptive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<String>,
    /// Groups of grants across which this grant's pseudonyms may join, signed by the approver.
    #[serde(default)]
    pub joins: Vec<String>,
    /// Whether fields of level `important` may be delivered, which the approver thereby allows.
    #[serde(default)]
    pub important: bool,
    /// Treatments other than the floor, by field.
    #[serde(default)]
    pub treatments: BTreeMap<String, TreatmentSpec>,
    /// Who may turn values back, by field: `none`; `site`, with an approval of its own, which holds
    /// for fields that aren't named; or the `recipient`, by a request, where the floor lets the field be
    /// delivered clear.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reveal: BTreeMap<String, Reveal>,
    /// Treatments weaker than the floor, each with reason and approver.
    #[serde(default)]
    pub exemptions: Vec<Exemption>,
    /// How the delivery is made.
    #[serde(default)]
    pub delivery: GrantDelivery,
}

/// What a grant says about the treatment of a field.
#[derive(Debug, Clone, Copy)]
pub enum OwnTreatment<'g> {
    /// An exemption from the floor.
    Exempted(&'g Exemption),
    /// A treatment that has to meet the floor.
    Treated(&'g TreatmentSpec),
}

impl<'g> OwnTreatment<'g> {
    /// The treatment.
    pub fn spec(self) -> &'g TreatmentSpec {
        match self {
            Self::Exempted(exemption) => &exemption.treatment,
            Self::Treated(treatment) => treatment,
        }
    }
}

impl Grant {
    /// The treatment the grant gives a field: its exemption, else its treatment; `None` leaves the
    /// field to the floor.
    pub fn own_treatment(&self, field: &str) -> Option<OwnTreatment<'_>> {
        let mut exemptions = self.exemptions.iter();
        exemptions
            .find(|exemption| exemption.field == field)
            .map(OwnTreatment::Exempted)
            .or_else(|| self.treatments.get(field).map(OwnTreatment::Treated))
    }
}

/// Who may turn the values of a field back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reveal {
    /// Nobody, through this program.
    None,
    /// The site, for values that an approver signed for.
    Site,
    /// The recipient too, by a request of its own: to it the field is as good as clear.
    Recipient,
}

/// `valid = { from, until }`: both days inclusive, in the site's zone.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// First day.
    pub from: Date,
    /// Last day.
    pub until: Date,
}

/// `quota = { runs, rows }`: totals over the grant's life; absent means unlimited.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Most deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// Most rows delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// `[[exemptions]]`: a treatment below the floor, with its reason and approver.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    /// Name of the field.
    pub field: String,
    /// The treatment instead of the floor.
    pub treatment: TreatmentSpec,
    /// Why.
    pub reason: String,
    /// Approver whose signature the exemption needs.
    pub approver: String,
}

/// `[delivery]` of a grant.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantDelivery {
    /// Format of the files; `parquet` where absent.
    #[serde(default)]
    pub format: DeliveryFormat,
    /// Compression of Parquet and Arrow files; `zstd(1)` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// How `csv` is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvDelivery>,
    /// Whether the files are put into one zip archive, with a data dictionary and a page to read
    /// first; for `csv`, `xlsx` and `jsonl`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bundle: bool,
    /// Sealing; the strongest the format has, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
    /// How the recipient comes by the keys of sealed files; `offline` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ReleaseName>")]
    pub release: Option<Release>,
}

/// `csv = { … }`: how delimited text is written; every key may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvDelivery {
    /// `utf-8` (the default) or `gb18030`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Charset>,
    /// Whether the file begins with a byte order mark, by which Excel knows UTF-8; true for `utf-8`
    /// where absent, and false for `gb18030`, which has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bom: Option<bool>,
    /// Between values: `,` (the default), `;`, `|` or a tab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// What ends a line: `crlf` (the default) or `lf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newline: Option<Newline>,
    /// Whether the first line names the fields; true where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// The unquoted text that stands for null; the empty text where absent. An empty text is quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null: Option<String>,
    /// Whether texts that a spreadsheet would calculate get an apostrophe before them; true where
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formula_guard: Option<bool>,
}

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Newline {
    /// Carriage return and line feed (RFC 4180).
    Crlf,
    /// Line feed.
    Lf,
}

impl CsvDelivery {
    /// The options with every default spelled out.
    pub fn form(&self) -> CsvForm {
        let default = CsvForm::default();
        let encoding = match self.encoding {
            Some(Charset::Gb18030) => Encoding::Gb18030,
            Some(Charset::Utf8) | None => Encoding::Utf8,
        };
        CsvForm {
            encoding,
            bom: self.bom.unwrap_or(encoding == Encoding::Utf8),
            delimiter: self.delimiter.unwrap_or(default.delimiter),
            newline: match self.newline {
                Some(Newline::Crlf) => LineEnd::CrLf,
                Some(Newline::Lf) => LineEnd::Lf,
                None => default.newline,
            },
            header: self.header.unwrap_or(default.header),
            null: self.null.clone().unwrap_or(default.null),
            formula_guard: self.formula_guard.unwrap_or(default.formula_guard),
        }
    }
}

impl GrantDelivery {
    /// How files of rows are written; none for Parquet, which isn't rows.
    pub fn row_format(&self) -> Option<RowFormat> {
        match self.format {
            DeliveryFormat::Csv => {
                Some(RowFormat::Csv(self.csv.clone().unwrap_or_default().form()))
            }
            DeliveryFormat::Jsonl => Some(RowFormat::Jsonl),
            DeliveryFormat::Xlsx => Some(RowFormat::Xlsx),
            DeliveryFormat::Arrow => Some(RowFormat::Arrow(ArrowForm {
                compression: (self.compression.as_deref())
                    .and_then(|compression| compression.parse().ok())
                    .unwrap_or_default(),
            })),
            DeliveryFormat::Parquet => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Format of delivered files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryFormat {
    /// Apache Parquet.
    #[default]
    Parquet,
    /// Delimited text.
    Csv,
    /// Office Open XML spreadsheet.
    Xlsx,
    /// One JSON object a line.
    Jsonl,
    /// Arrow IPC file.
    Arrow,
}

/// How files are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seal {
    /// Parquet modular encryption.
    Parquet,
    /// Chunked envelope around each file, whatever its format.
    Envelope,
    /// Not sealed.
    None,
}

impl Seal {
    /// The name in grants and manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Envelope => "envelope",
            Self::None => "none",
        }
    }

    /// The strongest seal that a format has.
    pub fn strongest_of(format: DeliveryFormat) -> Self {
        match format {
            DeliveryFormat::Parquet => Self::Parquet,
            DeliveryFormat::Csv
            | DeliveryFormat::Xlsx
            | DeliveryFormat::Jsonl
            | DeliveryFormat::Arrow => Self::Envelope,
        }
    }
}

/// How a recipient comes by the keys of sealed files, for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
enum ReleaseName {
    /// They are delivered with the files, wrapped to the recipient's public key. What was delivered
    /// so can't be called back: disposal rests on the recipient's word.
    Offline,
    /// They stay with the site, which unwraps them when asked, until it destroys them.
    Online,
}
