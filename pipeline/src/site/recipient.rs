//! `recipients/*.toml`: departments that may receive data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lockgate_toml::Tier;

/// A recipient and its public keys.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// Id; the file is named after it.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Level of the platform the recipient belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The recipient's own division code; descriptive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub division: Option<String>,
    /// `x25519:BASE64` to seal to, up to 16, each of which opens a delivery alone; one `ed25519:BASE64`
    /// for receipts; at least one key.
    pub public_keys: Vec<String>,
}
