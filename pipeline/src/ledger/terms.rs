//! What entries name besides ids: states of a grant, scopes of a halt, what an exchange is about.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which exchange an entry is about: what usage records are found by, also when the grant's file is
/// another one or gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Department that holds the data.
    pub provider: String,
    /// Id of the recipient.
    pub recipient: String,
    /// Id of the dataset.
    pub dataset: String,
    /// Lower-case hex SHA-256 of the grant's file.
    pub grant_sha256: String,
    /// Lower-case hex SHA-256 of the grant's terms (purpose, basis, scenario, fields), which stand in
    /// `state/terms/`.
    pub terms_sha256: String,
}

/// State of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantState {
    /// Written, and neither asked for nor approved.
    Draft,
    /// Asked for; the provider's answer is due.
    Requested,
    /// An approver signed it.
    Approved,
    /// The provider refused it, with a legal basis.
    Refused,
    /// Held back until an approver resumes it.
    Suspended,
    /// Ended; what was signed of it counts no more.
    Terminated,
    /// Approved, and its last day is past.
    Expired,
}

impl GrantState {
    /// As written in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Suspended => "suspended",
            Self::Terminated => "terminated",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for GrantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a halt stops: `"all"`, `{"provider": ID}` or `{"recipient": ID}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HaltScope {
    /// Every exchange of the site.
    All,
    /// Exchanges of a provider's data.
    Provider(String),
    /// Exchanges to a recipient.
    Recipient(String),
}

impl HaltScope {
    /// Whether an exchange of `provider`'s data to `recipient` falls under it. What is not known
    /// falls under every halt.
    pub fn covers(&self, provider: Option<&str>, recipient: Option<&str>) -> bool {
        let is = |known: Option<&str>, id: &str| known.is_none_or(|known| known == id);
        match self {
            Self::All => true,
            Self::Provider(id) => is(provider, id),
            Self::Recipient(id) => is(recipient, id),
        }
    }
}

impl fmt::Display for HaltScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all exchanges"),
            Self::Provider(id) => write!(f, "exchanges of provider `{id}`"),
            Self::Recipient(id) => write!(f, "exchanges to recipient `{id}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_covers_what_it_names_and_what_is_not_known() {
        let provider = HaltScope::Provider("tax".to_owned());
        assert!(provider.covers(Some("tax"), Some("x")));
        assert!(!provider.covers(Some("police"), Some("x")));
        assert!(provider.covers(None, Some("x")));
        let recipient = HaltScope::Recipient("x".to_owned());
        assert!(recipient.covers(None, Some("x")));
        assert!(!recipient.covers(None, Some("y")));
        assert!(HaltScope::All.covers(Some("a"), Some("b")));
    }

    #[test]
    fn a_scope_is_written_as_entries_hold_it() {
        let text = |scope: &HaltScope| serde_json::to_string(scope).unwrap();
        assert_eq!(text(&HaltScope::All), "\"all\"");
        assert_eq!(
            text(&HaltScope::Provider("tax".to_owned())),
            "{\"provider\":\"tax\"}"
        );
    }
}
