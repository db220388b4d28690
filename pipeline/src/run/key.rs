//! The run key: what makes two runs the same run.

use lockgate_connectors::snapshot::Snapshot;
use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::error::RunError;
use crate::plan::ExchangePlan;

/// Identifies a run: SHA-256 over LP(grant id, version, plan hash, destination URL, source
/// snapshot, window, generation), LP being a 4-byte big-endian length followed by the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunKey(String);

/// Digits of the run key that name the delivery.
const DELIVERY_DIGITS: usize = 32;

impl RunKey {
    /// The key of `plan` over `snapshot` into `destination`, for the `generation`-th time.
    ///
    /// # Errors
    /// A snapshot that cannot be serialised.
    pub fn new(
        plan: &ExchangePlan,
        destination: &str,
        snapshot: &Snapshot,
        generation: u64,
    ) -> Result<Self, RunError> {
        let snapshot = serde_json::to_vec(snapshot)
            .map_err(|error| RunError::internal("describing the snapshot", &error))?;
        let mut hash = Sha256::new();
        for part in [
            plan.grant.as_bytes(),
            plan.grant_version.to_string().as_bytes(),
            plan.sha256().as_bytes(),
            destination.as_bytes(),
            &snapshot,
            b"", // window: full snapshots only, so far
            generation.to_string().as_bytes(),
        ] {
            hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(part);
        }
        Ok(Self(hex(&hash.finalize())))
    }

    /// The whole key, 64 lower-case hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The delivery's folder: the first 32 digits.
    pub fn delivery(&self) -> &str {
        self.0.get(..DELIVERY_DIGITS).unwrap_or(&self.0)
    }
}
