//! Why a scheme can't be used.

use lockgate_transforms::Misfit;
use thiserror::Error;

use super::FORMAT;
use crate::canonical_json::CanonicalError;

/// Why a scheme can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// A field's type can't be read.
    #[error("marks of field `{field}`: {what}")]
    Type {
        /// The field.
        field: String,
        /// What is wrong.
        what: String,
    },
    /// A carrier doesn't fit its field.
    #[error("marks of field `{field}`: {misfit}")]
    Carrier {
        /// The field.
        field: String,
        /// Why.
        misfit: Misfit,
    },
    /// The tolerance has no room for the smallest move.
    #[error("marks of field `{field}`: its tolerance is less than the smallest step of its type")]
    TooSmall {
        /// The field.
        field: String,
    },
    /// The step, the span or the density isn't what this version makes of the tolerance.
    #[error("marks of field `{field}`: the scheme is not one that this version writes")]
    Foreign {
        /// The field.
        field: String,
    },
    /// Anchors and fields don't fit each other.
    #[error("marks: {0}")]
    Plan(Misfit),
    /// The document isn't a scheme in canonical form, or of another format.
    #[error("the scheme of marks: {0}")]
    Document(CanonicalError),
    /// The document has a form that this version doesn't know.
    #[error("the scheme of marks has form {0}, and this version reads {FORMAT}")]
    Format(u32),
}
