//! The scheme: everything a trace needs beside the key.
//!
//! A delivery's scheme says which of its fields carry marks, how far each may move, and how each
//! cell is found again. It is one canonical document: the ledger holds its hash before the first
//! delivery, a trace reads it years later, when catalogue and policy say something else, and both
//! come to the same positions.
//!
//! Fields and anchors are named, not numbered, so that one scheme fits a batch, a file with its
//! columns in another order, and a leak that has lost some of them: see [`Scheme::marker`].
//!
//! What a scheme is made of stands below, one module each: an anchor, a field, how the field's cells
//! show symbols (carriers, and tags among them). `marker` is what it comes to for a table.

mod anchor;
mod carrier;
mod error;
mod field;
mod marker;
mod tag;

use lockgate_transforms::marks::key::PrfSuite;
use serde::{Deserialize, Serialize};

pub use self::anchor::{Anchor, AnchorFamily};
pub use self::carrier::CarrierSpec;
pub use self::error::SchemeError;
pub(super) use self::field::carriers_per_row;
pub use self::field::{Density, FieldScheme, FoundBy};
use crate::canonical_json;
use crate::digest::sha256_hex;

/// The form this version writes and reads.
pub const FORMAT: u32 = 1;

/// Which fields of a dataset's deliveries carry marks, and how. A scheme holds no key, and none of
/// the grants it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// Version of this form: 1.
    pub format: u32,
    /// Id of the dataset: with `epoch` and `key_version` it names the key.
    pub dataset: String,
    /// The epoch of the dataset's marks.
    pub epoch: u32,
    /// Version of the master key of purpose `mark`.
    pub key_version: u32,
    /// What anchors, positions, symbols and tags are made by; AES where it isn't said.
    #[serde(default, skip_serializing_if = "PrfSuite::is_default")]
    pub suite: PrfSuite,
    /// What rows are found by.
    pub anchors: Vec<Anchor>,
    /// The fields that carry marks.
    pub fields: Vec<FieldScheme>,
}

impl Scheme {
    /// The canonical bytes.
    ///
    /// # Errors
    /// A scheme beyond the limits of a canonical document.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SchemeError> {
        canonical_json::to_bytes(self).map_err(SchemeError::Document)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes, and nothing else.
    ///
    /// # Errors
    /// Other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SchemeError> {
        let scheme: Self = canonical_json::read(bytes).map_err(SchemeError::Document)?;
        if scheme.format != FORMAT {
            return Err(SchemeError::Format(scheme.format));
        }
        Ok(scheme)
    }

    /// Lower-case hex SHA-256 of the canonical bytes: the scheme's name.
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes).
    pub fn sha256(&self) -> Result<String, SchemeError> {
        Ok(sha256_hex(&self.to_bytes()?))
    }

    /// Carriers a row has: the sum of the densities, and what its tags are worth.
    pub fn carriers_per_row(&self) -> f64 {
        carriers_per_row(&self.fields)
    }
}

#[cfg(test)]
mod tests;
