//! `lockgate.toml`: the site itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lockgate_transforms::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SiteFile {
    /// Who this site is.
    pub site: SiteSection,
    /// Places for files, by name.
    #[serde(default)]
    pub stores: BTreeMap<String, StoreSection>,
    /// Relational sources, by name.
    #[serde(default)]
    pub databases: BTreeMap<String, DatabaseSection>,
    /// Where the site's keys are.
    #[serde(default)]
    pub keys: KeysSection,
    /// Where deliveries go.
    #[serde(default)]
    pub delivery: DeliverySection,
    /// Who may approve grants, by name.
    #[serde(default)]
    pub approvers: BTreeMap<String, Approver>,
    /// How requests for grants are answered.
    #[serde(default)]
    pub approval: ApprovalSection,
    /// What a run may use of the machine.
    #[serde(default)]
    pub limits: Limits,
    /// What `preview` may show.
    #[serde(default)]
    pub preview: Preview,
}

/// `[site]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteSection {
    /// The site's name.
    pub name: String,
    /// The level of the platform the site belongs to.
    pub tier: Tier,
    /// IANA zone in which grants' days are counted; UTC where absent.
    #[serde(default = "utc")]
    pub timezone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// Level of a sharing platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// The national platform.
    National,
    /// A region's platform.
    Regional,
    /// A sector's platform.
    Sector,
}

/// `[stores.NAME]`: a place for files.
///
/// S3 stores take their endpoint, region and credentials here; secrets by reference only.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct StoreSection {
    /// `file:///srv/lake`, `file:lake` (relative to the site) or `s3://bucket/prefix`.
    pub url: String,
    /// S3: endpoint of a service other than AWS, such as `https://minio.internal:9000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// S3: region; `us-east-1` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// S3: access key id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<SecretRef>,
    /// S3: secret access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<SecretRef>,
    /// S3: whether plain HTTP is allowed; false where absent.
    #[serde(default)]
    pub allow_http: bool,
}

/// `[databases.NAME]`: a relational source. Read in a later version.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSection {
    /// `postgres://reader@db.internal/psb`, without a password.
    pub url: String,
    /// The password, by reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// Most connections a run may open; 4 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
}

/// A secret by reference: `{ env = "NAME" }` or `{ file = "path" }`. The value never stands in a
/// file of the site.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretRef {
    /// Name of an environment variable.
    Env(String),
    /// A file whose content, without its last newline, is the secret; relative to the site.
    File(PathBuf),
}

/// `[keys]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeysSection {
    /// Which keyring; `local` where absent.
    #[serde(default)]
    pub provider: KeyProvider,
    /// The keyring's directory, relative to the site; `keys` where absent.
    #[serde(default = "keys_path")]
    pub path: PathBuf,
    /// The passphrase that protects a local keyring, by reference; see `lockgate keys protect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<SecretRef>,
    /// The key file that protects a local keyring: `{ file = "path" }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<SecretRef>,
    /// `pkcs11`: the module, a shared library of the token's maker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<PathBuf>,
    /// `pkcs11`: the token's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// `pkcs11`: the token's user pin, by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<SecretRef>,
    /// Older versions that stay in use for a while after a new one was made, by purpose; the newest
    /// is used where absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hold: BTreeMap<HeldPurpose, HeldVersion>,
}

/// Purposes whose older versions can be held: those of treatments.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum HeldPurpose {
    /// Keyed pseudonyms.
    Pseudonym,
    /// Encryption of cells.
    Encryption,
    /// Format-preserving encryption.
    Fpe,
}

impl HeldPurpose {
    /// The purpose as key files name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pseudonym => "pseudonym",
            Self::Encryption => "encryption",
            Self::Fpe => "fpe",
        }
    }
}

/// A version that stays in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldVersion {
    /// The version.
    pub version: u32,
    /// The last day on which it is used, in the site's zone; from the next day it is the newest.
    pub until: Date,
}

impl Default for KeysSection {
    fn default() -> Self {
        Self {
            provider: KeyProvider::Local,
            path: keys_path(),
            passphrase: None,
            key_file: None,
            module: None,
            token: None,
            pin: None,
            hold: BTreeMap::new(),
        }
    }
}

fn keys_path() -> PathBuf {
    PathBuf::from("keys")
}

/// Where keys live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyProvider {
    /// Files of the site.
    #[default]
    Local,
    /// A token behind PKCS#11: `module`, `token` and `pin` say which.
    Pkcs11,
}

/// `[delivery]`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliverySection {
    /// Name of the store where batch deliveries land.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

/// `[approvers.NAME]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// `ed25519:BASE64`.
    pub public_key: String,
    /// Providers whose data this approver may release.
    pub providers: Vec<String>,
}

/// `[approval]`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalSection {
    /// Working days in which a provider has to answer a request, from the day after it; 10 where
    /// absent. The limit that counts is the regulation's, as it stands for the site: set it here.
    #[serde(default = "answer_within_days")]
    pub answer_within_days: u32,
}

impl Default for ApprovalSection {
    fn default() -> Self {
        Self {
            answer_within_days: answer_within_days(),
        }
    }
}

fn answer_within_days() -> u32 {
    10
}

/// `[limits]`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory a run may plan with, such as `"512MiB"`; 512 MiB where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Threads a run may use; 0, the default, means all cores.
    #[serde(default)]
    pub threads: usize,
    /// Rows per batch read from a source; 4,096 where absent. Never changes what is delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_rows: Option<usize>,
}

/// `[preview]`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// Whether operators of this site may see originals beside treated values; false where absent.
    #[serde(default)]
    pub before: bool,
}
