//! The release document: the keys of one delivery, wrapped to its recipient, signed by the site.

use ed25519_dalek::{SigningKey, VerifyingKey};
use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::PrivateKey;
use lockgate_connectors::seal::{Binding, RecipientEntry, ReleasedDeks, Suite};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::canonical_json::{self, CanonicalError};
use crate::digest::is_hex;
use crate::dsse::{self, DsseError};
use crate::ledger::parse_time;

/// Type of the signed document.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.release+json";

/// The format this version writes and reads.
pub const FORMAT: u32 = 1;

/// Most bytes of a document that is read.
pub const BYTES_MAX: u64 = 64 << 20;

/// Why a release document is not accepted, or can't be made.
#[derive(Debug, Error)]
pub enum ReleaseError {
    /// The signed envelope is not acceptable.
    #[error("release document: {0}")]
    Envelope(#[from] DsseError),
    /// The payload is not a release document in canonical form.
    #[error("release document: {0}")]
    Payload(CanonicalError),
    /// The document contradicts itself or the format.
    #[error("release document: {0}")]
    Invalid(&'static str),
    /// The keys can't be wrapped or unwrapped.
    #[error(transparent)]
    Keys(#[from] ConnectorError),
}

/// The keys of one delivery for its recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseDocument {
    /// Format of this document: 1.
    pub format: u32,
    /// Id of the delivery.
    pub delivery: String,
    /// Id of the attempt that made its files.
    pub attempt: String,
    /// Id of the grant.
    pub grant: String,
    /// Id of the recipient.
    pub recipient: String,
    /// SHA-256 of the delivery's manifest.
    pub manifest_sha256: String,
    /// Cipher and hash of the delivery.
    pub suite: Suite,
    /// How many keys.
    pub keys: u64,
    /// The keys, wrapped to each of the recipient's keys, by ascending `kid`.
    pub recipients: Vec<RecipientEntry>,
    /// When they were released: RFC 3339, UTC, to the second.
    pub at: String,
    /// Program and version that made it.
    pub software: String,
}

impl ReleaseDocument {
    /// Signs the document; gives the envelope.
    ///
    /// # Errors
    /// A document that [`open`](Self::open) would not accept.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, ReleaseError> {
        self.check()?;
        let payload = canonical_json::to_bytes(self).map_err(ReleaseError::Payload)?;
        Ok(dsse::sign(PAYLOAD_TYPE, &payload, key)?)
    }

    /// Opens a document: signed by one of the site's manifest keys, in canonical form.
    ///
    /// # Errors
    /// See [`ReleaseError`].
    pub fn open(bytes: &[u8], keys: &[VerifyingKey]) -> Result<Self, ReleaseError> {
        let (payload, _) = dsse::open(bytes, PAYLOAD_TYPE, keys)?;
        let document: Self = canonical_json::read(&payload).map_err(ReleaseError::Payload)?;
        document.check()?;
        Ok(document)
    }

    /// What the keys are bound to.
    ///
    /// # Errors
    /// An id that is none.
    pub fn binding(&self) -> Result<Binding, ReleaseError> {
        let ids = (&self.delivery, &self.attempt, &self.recipient);
        Ok(Binding::new(self.suite, ids.0, ids.1, ids.2)?)
    }

    /// The keys, for whoever holds the recipient's private key.
    ///
    /// # Errors
    /// Keys that are wrapped to others, or were altered.
    pub fn keys(&self, identity: &PrivateKey) -> Result<ReleasedDeks, ReleaseError> {
        let deks = ReleasedDeks::unwrap(&self.binding()?, &self.recipients, identity)?;
        if u64::try_from(deks.len()) != Ok(self.keys) {
            return Err(ReleaseError::Invalid("it holds another number of keys"));
        }
        Ok(deks)
    }

    fn check(&self) -> Result<(), ReleaseError> {
        let demand = |holds: bool, what| match holds {
            true => Ok(()),
            false => Err(ReleaseError::Invalid(what)),
        };
        demand(
            self.format == FORMAT,
            "its format is not known to this version",
        )?;
        demand(
            is_hex(&self.delivery, 32) && is_hex(&self.attempt, 16),
            "the delivery's or attempt's id is none",
        )?;
        demand(
            is_hex(&self.manifest_sha256, 64),
            "`manifest_sha256` is not 64 lower-case hexadecimal digits",
        )?;
        demand(
            parse_time(&self.at).is_some(),
            "`at` is not of the form 2026-01-31T08:00:00Z",
        )?;
        demand(
            !self.recipients.is_empty()
                && self.recipients.is_sorted_by(|one, next| one.kid < next.kid),
            "its recipients are none, or not in order",
        )
    }
}
