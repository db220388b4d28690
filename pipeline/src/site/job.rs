//! `jobs/*.toml`: exchanges that recur.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A grant, a schedule and the options of its runs.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Id; the file is named after it.
    pub id: String,
    /// Id of the grant.
    pub grant: String,
    /// When it runs, as five cron fields (`"30 2 * * *"`), in the site's zone. Accepted, and
    /// followed in a later version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Directory that deliveries go to instead of the site's delivery store; relative to the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}
