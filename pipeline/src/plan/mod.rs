//! The plan: what a grant compiles to.
//!
//! Pure data: hashable, serialisable, explainable. It holds no splits, no keys and no connection,
//! and making one does no I/O. `plan` prints it, `run` executes it, an approver signs what of it
//! they must be able to trust; all three come from [`compile()`], so they cannot disagree.

pub mod compile;
pub mod diff;
pub mod predicate;
pub mod projection;
pub mod refusal;
pub mod row_filter;

use std::collections::BTreeMap;
use std::fmt;

use lockgate_connectors::format::write::{ArrowForm, CsvForm, RowFormat};
use lockgate_connectors::seal::{Release, Suite};
use lockgate_transforms::{TreatmentSpec, Uniqueness, Width};
use serde::{Deserialize, Serialize};

pub use compile::{CompileError, CompileRequest, compile};
pub use projection::Projection;
pub use refusal::{Refusal, RefusalCode};

use crate::approval::Signature;
use crate::canonical_json;
use crate::digest::sha256_hex;
use crate::marks::{Layout, Unmarked};
use crate::site::dataset::{Level, Sharing, Source};
use crate::site::grant::{DeliveryFormat, Seal};

/// What a grant compiles to.
#[derive(Debug, Clone, Serialize)]
pub struct ExchangePlan {
    /// Id of the grant.
    pub grant: String,
    /// Version of the grant.
    pub grant_version: u32,
    /// Lower-case hex SHA-256 of the grant's file.
    pub grant_sha256: String,
    /// Id of the dataset.
    pub dataset: String,
    /// Department that holds the data.
    pub provider: String,
    /// Id of the recipient.
    pub recipient: String,
    /// Fingerprints of the recipient's keys, sorted.
    pub recipient_keys: Vec<String>,
    /// Sharing attribute of the dataset.
    pub sharing: Sharing,
    /// Where the data is, as the catalogue says.
    pub source: Source,
    /// URL of the source's store as configured, without credentials.
    pub source_url: String,
    /// Endpoint of the source's store, where it has one of its own, without credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_endpoint: Option<String>,
    /// Every field of the dataset with its type, in catalogue order: what the source must hold.
    pub source_fields: Vec<SourceField>,
    /// Fields delivered, in the grant's order.
    pub fields: Vec<PlannedField>,
    /// Granted fields that are not delivered, and why.
    pub withheld: Vec<WithheldField>,
    /// Fields read only to decide which rows are delivered, or how others are treated.
    pub filter_only: Vec<String>,
    /// The same fields with their grading, which the approver signs.
    pub filter_fields: Vec<FilterField>,
    /// Which rows are delivered.
    pub rows: RowScope,
    /// Format of the files.
    pub format: DeliveryFormat,
    /// Compression of Parquet pages or Arrow buffers, as written in the grant or by default; `none` for
    /// other formats.
    pub compression: String,
    /// How delimited text is written, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvForm>,
    /// What a bundle says of the data, where files are bundled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// How files are sealed.
    pub seal: Seal,
    /// Cipher, keys and their release, where files are sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealing: Option<Sealing>,
    /// Which fields carry marks, and how; absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marks: Option<Layout>,
}

/// What the dictionary and the first page of a bundle say beside the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The dataset's title for people.
    pub title: Option<String>,
    /// The recipient's name.
    pub recipient: String,
    /// What the data may be used for.
    pub purpose: String,
    /// The legal basis.
    pub basis: String,
    /// How long the recipient may keep it.
    pub retention: Option<String>,
    /// The delivered fields' titles for people, in the order of delivery.
    pub titles: Vec<Option<String>>,
}

/// How files are sealed, beside the kind of seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealing {
    /// Cipher and hash.
    pub suite: Suite,
    /// How the recipient comes by the keys.
    pub release: Release,
    /// Fields whose columns have keys of their own, in the order of delivery.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyed_fields: Vec<String>,
}

/// A field the source must hold.
#[derive(Debug, Clone, Serialize)]
pub struct SourceField {
    /// Name.
    pub name: String,
    /// Type as the catalogue writes it.
    pub data_type: String,
    /// Category: what a treatment that reads the field goes by.
    pub category: String,
}

/// A field that is read only to decide which rows are delivered, or how others are treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterField {
    /// Name.
    pub name: String,
    /// Category.
    pub category: String,
    /// Level.
    pub level: Level,
}

/// A field to be delivered.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedField {
    /// Name.
    pub name: String,
    /// Type in the source, as the catalogue writes it.
    pub source_type: String,
    /// Type as delivered, in the same notation.
    pub data_type: String,
    /// Category.
    pub category: String,
    /// Level.
    pub level: Level,
    /// The resolved treatment.
    pub treatment: TreatmentSpec,
    /// The fields of the row that the treatment reads, delivered or not, in the order of their
    /// names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// Its strength.
    pub strength: u8,
    /// Where the treatment comes from: `floor`, `grant` or `exemption`.
    pub origin: Origin,
}

/// Where a resolved treatment comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The policy's floor.
    Floor,
    /// The grant, at least as strong as the floor.
    Grant,
    /// An exemption, weaker than the floor.
    Exemption,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Floor => "floor",
            Self::Grant => "grant",
            Self::Exemption => "exemption",
        })
    }
}

/// A granted field that is not delivered.
#[derive(Debug, Clone, Serialize)]
pub struct WithheldField {
    /// Name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Which rows are delivered: the predicate and the divisions, both or neither.
///
/// `Debug` does not show the predicate, whose constants may be personal data.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct RowScope {
    /// The predicate as the grant writes it.
    pub predicate: Option<String>,
    /// The field that carries the division code, where `divisions` restrict.
    pub division_field: Option<String>,
    /// Prefixes of division codes; empty means all.
    pub divisions: Vec<String>,
}

impl fmt::Debug for RowScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowScope")
            .field("predicate", &self.predicate.as_ref().map(|_| ".."))
            .field("division_field", &self.division_field)
            .field("divisions", &self.divisions)
            .finish()
    }
}

/// Something a reader of the plan should know, which refuses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Stable code, such as `added-condition` or `tiny-domain`.
    pub code: &'static str,
    /// The field concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What should be known.
    pub what: String,
}

/// What a recipient can rely on of a field's results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Results {
    /// What is left of the difference between values, options included.
    pub uniqueness: Uniqueness,
    /// How often different values meet among the rows that the quota allows (a thousand million
    /// where it sets no limit), in words; for results that may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collisions: Option<String>,
    /// How wide results get; absent where they follow the value, or aren't text or binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<Width>,
}

/// Result of compiling: the plan, all that refuses it, all that should be known.
///
/// A plan with refusals is shown, never run: only [`Compiled::into_plan`] gives it out.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub(crate) plan: ExchangePlan,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) signature: Option<Signature>,
    pub(crate) rows_left: Option<u64>,
    pub(crate) residuals: BTreeMap<String, u64>,
    pub(crate) results: BTreeMap<String, Results>,
    pub(crate) unmarked: Vec<Unmarked>,
}

impl ExchangePlan {
    /// Lower-case hex SHA-256 of the plan's canonical JSON.
    pub fn sha256(&self) -> String {
        // Without floats and within the limits of its files, a plan always has a canonical form.
        // Were that ever wrong, its hash must still not be that of another plan.
        let bytes = canonical_json::to_bytes(self)
            .or_else(|_| serde_json::to_vec(self))
            .unwrap_or_else(|_| self.grant_sha256.clone().into_bytes());
        sha256_hex(&bytes)
    }

    /// Whether a field has cells that nonces are drawn for, so that deliveries say which attempt they are of.
    pub fn draws_nonces(&self) -> bool {
        self.fields
            .iter()
            .any(|field| field.treatment.is_randomised())
    }

    /// How files of rows are written; none for Parquet, which isn't rows.
    pub fn row_format(&self) -> Option<RowFormat> {
        match self.format {
            DeliveryFormat::Csv => Some(RowFormat::Csv(self.csv.clone().unwrap_or_default())),
            DeliveryFormat::Jsonl => Some(RowFormat::Jsonl),
            DeliveryFormat::Xlsx => Some(RowFormat::Xlsx),
            // `check` has seen to it that it can be read.
            DeliveryFormat::Arrow => Some(RowFormat::Arrow(ArrowForm {
                compression: self.compression.parse().unwrap_or_default(),
            })),
            DeliveryFormat::Parquet => None,
        }
    }
}

impl Compiled {
    /// The plan, to be shown: whether it may run is for [`Compiled::into_plan`] to say.
    pub fn plan(&self) -> &ExchangePlan {
        &self.plan
    }

    /// Everything that refuses it; empty if it may run.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// Everything worth knowing that refuses nothing.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The approver whose signature covers the plan, if one does.
    pub fn approver(&self) -> Option<&str> {
        let signature = self.signature.as_ref();
        signature.map(|signature| signature.approver.as_str())
    }

    /// That signature.
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// How many originals fit a treated value, by field: those for which that can be counted.
    pub fn residuals(&self) -> &BTreeMap<String, u64> {
        &self.residuals
    }

    /// What a recipient can rely on of each delivered field's results.
    pub fn results(&self) -> &BTreeMap<String, Results> {
        &self.results
    }

    /// The delivered fields that could carry marks and carry none, and why.
    pub fn unmarked(&self) -> &[Unmarked] {
        &self.unmarked
    }

    /// How many rows the quota still allows; `None` if it sets no limit.
    pub fn rows_left(&self) -> Option<u64> {
        self.rows_left
    }

    /// The plan, to be run.
    ///
    /// # Errors
    /// Every refusal, if there is one.
    pub fn into_plan(self) -> Result<ExchangePlan, Vec<Refusal>> {
        if self.refusals.is_empty() {
            Ok(self.plan)
        } else {
            Err(self.refusals)
        }
    }
}

/// How much of a grant's quota is used, as the ledger tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaUse {
    /// Deliveries released.
    pub runs: u64,
    /// Rows released.
    pub rows: u64,
}

/// Use of every grant's quota.
pub type QuotaUses = BTreeMap<String, QuotaUse>;
