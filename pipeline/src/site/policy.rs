//! `policy.toml`: category and level to the least treatment allowed.

use lockgate_connectors::seal::Suite;
use lockgate_transforms::TreatmentSpec;
use lockgate_transforms::marks::key::PrfSuite;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dataset::{Field, Level};

/// The policy: the first rule that matches a field wins; a field that none matches is withheld.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// When a delivery must be sealed.
    #[serde(default, deserialize_with = "super::table::table")]
    pub sealing: Sealing,
    /// Demands on marks.
    #[serde(default, deserialize_with = "super::table::table")]
    pub marking: Marking,
    /// How many originals a partly masked value must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual: Option<ResidualFloor>,
    /// The rules, in order.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// `[sealing]`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sealing {
    /// A delivery with a field at or above this level must be sealed; absent means never demanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_level: Option<Level>,
    /// Cipher and hash of sealed deliveries; `AES256GCM-SHA256` where absent. Nothing is put in the
    /// place of a suite that a kind of seal doesn't have: such a delivery is refused.
    #[serde(default)]
    #[schemars(with = "SuiteName")]
    pub suite: Suite,
    /// Keys may be given to recipients ahead (`release = "offline"`) only if every field of the
    /// delivery is below this level; absent means always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline_below_level: Option<Level>,
    /// In sealed Parquet, every column of a field at or above this level has a key of its own;
    /// absent means that all columns of a file share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column_keys_from_level: Option<Level>,
}

/// The names of the suites, for the schema.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
enum SuiteName {
    /// AES-256-GCM with SHA-256.
    #[serde(rename = "AES256GCM-SHA256")]
    Aes256GcmSha256,
    /// SM4-GCM with SM3; Parquet's own encryption doesn't have it.
    #[serde(rename = "SM4GCM-SM3")]
    Sm4GcmSm3,
}

/// `[marking]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Marking {
    /// Fewest carriers a delivery should have, as the plan predicts; 100, since with fewer nobody can
    /// be named. 0 asks for none.
    pub min_carriers: u64,
    /// What fewer carriers mean; a warning where absent.
    pub below: Below,
    /// What marks are made by, `AES-CMAC` or `SM4-CMAC`; where absent, what goes with the suite of
    /// `[sealing]`. With another, later deliveries are marked otherwise; a trace knows which had which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suite: Option<PrfSuite>,
}

/// Carriers by which a single leaker among ten thousand grants is named.
const MIN_CARRIERS: u64 = 100;

impl Default for Marking {
    fn default() -> Self {
        Self {
            min_carriers: MIN_CARRIERS,
            below: Below::Warn,
            suite: None,
        }
    }
}

/// What too few carriers or candidates mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Below {
    /// A warning.
    Warn,
    /// A refusal.
    Refuse,
}

/// `[residual]`: how many originals a partly masked or coarsened value must fit, where the plan can
/// count them.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResidualFloor {
    /// Fewest originals.
    pub min_candidates: u64,
    /// Applies to fields at or above this level; absent means to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_level: Option<Level>,
    /// What fewer originals mean.
    pub below: Below,
}

/// One rule. Conditions that are absent match everything.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Matches fields of this category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Matches fields at or above this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_level: Option<Level>,
    /// Matches fields at or below this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_level: Option<Level>,
    /// Matches fields of these names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// The floor: the least treatment allowed.
    pub treatment: TreatmentSpec,
}

impl Policy {
    /// The rule that decides about a field, and its number from 0; `None` withholds the field.
    pub fn rule_for(&self, field: &Field) -> Option<(usize, &Rule)> {
        self.rules
            .iter()
            .enumerate()
            .find(|(_, rule)| rule.matches(field))
    }

    /// What marks are made by.
    pub fn prf_suite(&self) -> PrfSuite {
        self.marking.suite.unwrap_or(match self.sealing.suite {
            Suite::Aes256GcmSha256 => PrfSuite::Aes,
            Suite::Sm4GcmSm3 => PrfSuite::Sm4,
        })
    }
}

impl Rule {
    /// Whether every condition holds for a field.
    pub fn matches(&self, field: &Field) -> bool {
        self.category
            .as_ref()
            .is_none_or(|category| *category == field.category)
            && self.min_level.is_none_or(|least| field.level >= least)
            && self.max_level.is_none_or(|most| field.level <= most)
            && self
                .fields
                .as_ref()
                .is_none_or(|names| names.contains(&field.name))
    }
}
