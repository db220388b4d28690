//! `grants/*.toml`: approvals. Each is signed beside itself, in `ID.toml.sig`.

use std::collections::BTreeMap;

use lockgate_transforms::{Date, TreatmentSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dataset::Mode;

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
    /// Join groups this grant may use, signed by the approver. Supported in a later version; refused
    /// until then.
    #[serde(default)]
    pub joins: Vec<String>,
    /// Whether fields of level `important` may be delivered, which the approver thereby allows.
    #[serde(default)]
    pub important: bool,
    /// Treatments other than the floor, by field.
    #[serde(default)]
    pub treatments: BTreeMap<String, TreatmentSpec>,
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
    /// Compression; `zstd(1)` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// Sealing; the strongest the format has, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// Format of delivered files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryFormat {
    /// Apache Parquet.
    #[default]
    Parquet,
    /// Delimited text. Supported in a later version.
    Csv,
    /// Office Open XML spreadsheet. Supported in a later version.
    Xlsx,
    /// One JSON document a line. Supported in a later version.
    Jsonl,
    /// Arrow IPC file. Supported in a later version.
    Arrow,
}

/// How files are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seal {
    /// Parquet modular encryption. Supported in a later version.
    Parquet,
    /// Chunked envelope. Supported in a later version.
    Envelope,
    /// Not sealed.
    None,
}
