//! Whether a run may still go on.

use std::fmt;

use crate::error::RunError;

/// Whoever can take back what a run was allowed.
///
/// # Contract
/// Cheap enough to be asked before each split. Once it refuses, nothing of the run is published.
pub trait Permit: fmt::Debug + Send + Sync {
    /// Asks whether the run may go on.
    ///
    /// # Errors
    /// Whatever speaks against it, or keeps anybody from finding out.
    fn check(&self) -> Result<(), RunError>;
}

/// The permit of what publishes nothing, such as a replay.
#[derive(Debug, Clone, Copy)]
pub struct Unpublished;

impl Permit for Unpublished {
    fn check(&self) -> Result<(), RunError> {
        Ok(())
    }
}
