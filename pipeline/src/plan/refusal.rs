//! Refusals: why a grant does not run. Each has a stable code, a reason, and where the law is the
//! reason, its basis.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

/// A reason why a plan does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Stable code.
    pub code: RefusalCode,
    /// The field concerned, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The reason, in a sentence without a full stop; never a literal of a predicate.
    pub reason: String,
    /// The legal basis, where the law is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
}

impl Refusal {
    /// A refusal of the whole grant.
    pub fn new(code: RefusalCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            field: None,
            reason: reason.into(),
            basis: None,
        }
    }

    /// The same, of one field.
    #[must_use]
    pub fn of_field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }
}

/// Code of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// The grant's signature is absent, unverifiable, by the wrong approver, or over another file.
    Unsigned,
    /// What the grant resolves to has weakened, or its source or keys changed, since it was signed.
    ApprovalStale,
    /// The dataset must not be shared.
    Prohibited,
    /// Dataset or grant does not allow this way of delivery.
    Mode,
    /// The grant does not hold yet.
    NotYetValid,
    /// The grant no longer holds.
    Expired,
    /// The grant is suspended.
    Suspended,
    /// The grant is terminated.
    Terminated,
    /// The grant's quota is used up.
    Quota,
    /// A granted field is not in the dataset.
    FieldUnknown,
    /// A treatment is weaker than the floor.
    BelowFloor,
    /// An important field without explicit approval.
    LevelImportant,
    /// A core field, which never leaves.
    LevelCore,
    /// Sealing is demanded, or asked for, and not available.
    Seal,
    /// The predicate is not allowed.
    Predicate,
    /// The source does not hold what the catalogue says.
    Schema,
    /// The delivery could be joined with another.
    Linkage,
    /// Too few carriers for a mark.
    Unmarked,
    /// A keyed-equality treatment over a domain that can be enumerated.
    TinyDomain,
    /// An encrypted field is bound to one that isn't delivered exactly as it is, so that nobody could
    /// restore it.
    Beside,
    /// Exchanges are halted.
    Halted,
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "unsigned",
            Self::ApprovalStale => "approval-stale",
            Self::Prohibited => "prohibited",
            Self::Mode => "mode",
            Self::NotYetValid => "not-yet-valid",
            Self::Expired => "expired",
            Self::Suspended => "suspended",
            Self::Terminated => "terminated",
            Self::Quota => "quota",
            Self::FieldUnknown => "field-unknown",
            Self::BelowFloor => "below-floor",
            Self::LevelImportant => "level-important",
            Self::LevelCore => "level-core",
            Self::Seal => "seal",
            Self::Predicate => "predicate",
            Self::Schema => "schema",
            Self::Linkage => "linkage",
            Self::Unmarked => "unmarked",
            Self::TinyDomain => "tiny-domain",
            Self::Beside => "beside",
            Self::Halted => "halted",
        })
    }
}
