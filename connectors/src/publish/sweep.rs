//! Removal of what no manifest names: attempts that lost a race, failed or were killed.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Destination, Folder, Place, blocking, is_attempt};
use crate::error::ConnectorError;

/// What a sweep may remove.
#[derive(Clone, Copy)]
pub struct Sweep<'a> {
    /// Age from which an attempt is an orphan although its delivery has no manifest. Counted from
    /// its last change by the store's clock, so an attempt that still writes stays young.
    pub older_than: Duration,
    /// The time it is.
    pub now: DateTime<Utc>,
    /// Ids of attempts that are running, which are never removed.
    pub running: &'a BTreeSet<String>,
    /// The attempt that a manifest names; none if it can't be read, which protects the whole
    /// delivery.
    pub named: &'a (dyn Fn(&[u8]) -> Option<String> + Send + Sync),
}

impl fmt::Debug for Sweep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep")
            .field("older_than", &self.older_than)
            .field("now", &self.now)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

/// An attempt that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweptAttempt {
    /// The delivery it was an attempt at.
    pub delivery: String,
    /// Its id.
    pub attempt: String,
    /// Files removed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// An attempt's folder.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) newest: DateTime<Utc>,
}

impl Destination {
    /// Removes a grant's attempts that lost (their delivery's manifest names another one) and
    /// those that are orphaned and old, and returns what was removed.
    ///
    /// Names of another form than a delivery's or an attempt's, and links, are left alone.
    ///
    /// # Errors
    /// If the id isn't one, or the store can't be read or written. What was removed until then
    /// stays removed; another sweep goes on.
    pub async fn sweep(
        &self,
        grant: &str,
        rules: &Sweep<'_>,
    ) -> Result<Vec<SweptAttempt>, ConnectorError> {
        // An id of the right form, so that the grant is checked even if nothing is found.
        let probe = Folder::new(grant, &"0".repeat(32))?;
        let mut swept = Vec::new();
        for delivery in self.deliveries(&probe).await? {
            swept.extend(self.sweep_delivery(grant, &delivery, rules).await?);
        }
        Ok(swept)
    }

    /// Removes what killed probes of this destination left behind, if it is as old as an orphan.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub async fn sweep_probes(&self, rules: &Sweep<'_>) -> Result<u64, ConnectorError> {
        let limit = TimeDelta::from_std(rules.older_than).unwrap_or(TimeDelta::MAX);
        let before = rules
            .now
            .checked_sub_signed(limit)
            .unwrap_or(DateTime::<Utc>::MIN_UTC);
        match &self.place {
            Place::Local(local) => {
                let local = local.clone();
                blocking(move || local.sweep_probes(before)).await
            }
            Place::Remote(remote) => remote.sweep_probes(before).await,
        }
    }

    /// Does for one delivery what [`Self::sweep`] does for a grant's.
    ///
    /// # Errors
    /// As [`Self::sweep`].
    pub async fn sweep_delivery(
        &self,
        grant: &str,
        delivery: &str,
        rules: &Sweep<'_>,
    ) -> Result<Vec<SweptAttempt>, ConnectorError> {
        let folder = Folder::new(grant, delivery)?;
        let mut swept = Vec::new();
        for found in self.attempts(&folder).await? {
            if rules.running.contains(&found.id) || !self.is_waste(&folder, &found, rules).await? {
                continue;
            }
            let (files, bytes) = self.remove_attempt(&folder, &found.id).await?;
            let (delivery, attempt) = (delivery.to_owned(), found.id);
            tracing::info!(%delivery, %attempt, files, bytes, "Attempt swept.");
            swept.push(SweptAttempt {
                delivery,
                attempt,
                files,
                bytes,
            });
        }
        Ok(swept)
    }

    /// Removes the files of an attempt that was published, and leaves the manifest: for a delivery
    /// that is disposed of. Returns how many files and bytes; none where they are gone already.
    ///
    /// # Errors
    /// If an id isn't one, or something can't be removed.
    pub async fn remove_released(
        &self,
        grant: &str,
        delivery: &str,
        attempt: &str,
    ) -> Result<(u64, u64), ConnectorError> {
        if !is_attempt(attempt) {
            return Err(ConnectorError::config(
                "an attempt's id is not 16 lower-case hexadecimal digits",
                "take it from the manifest or the ledger",
            ));
        }
        let folder = Folder::new(grant, delivery)?;
        self.remove_attempt(&folder, attempt).await
    }

    /// Whether files of an attempt are still there: then the destination itself is, too, and a
    /// manifest that is not there was never made.
    ///
    /// # Errors
    /// If an id isn't one, or the store can't be read.
    pub async fn holds_attempt(
        &self,
        grant: &str,
        delivery: &str,
        attempt: &str,
    ) -> Result<bool, ConnectorError> {
        let found = self.attempts(&Folder::new(grant, delivery)?).await?;
        Ok(found.iter().any(|found| found.id == attempt))
    }

    /// Reads the manifest anew for each attempt: one may have been published since the last.
    async fn is_waste(
        &self,
        folder: &Folder,
        found: &Found,
        rules: &Sweep<'_>,
    ) -> Result<bool, ConnectorError> {
        match self.read_manifest(folder).await? {
            Some(manifest) => Ok((rules.named)(&manifest).is_some_and(|named| named != found.id)),
            None => {
                let age = rules.now.signed_duration_since(found.newest);
                let limit = TimeDelta::from_std(rules.older_than).unwrap_or(TimeDelta::MAX);
                Ok(age > limit)
            }
        }
    }

    async fn deliveries(&self, folder: &Folder) -> Result<Vec<String>, ConnectorError> {
        match &self.place {
            Place::Local(local) => {
                let (local, grant) = (local.clone(), folder.grant.clone());
                blocking(move || local.deliveries(&grant)).await
            }
            Place::Remote(remote) => remote.deliveries(&folder.grant).await,
        }
    }

    async fn attempts(&self, folder: &Folder) -> Result<Vec<Found>, ConnectorError> {
        match &self.place {
            Place::Local(local) => {
                let (local, folder) = (local.clone(), folder.clone());
                blocking(move || local.attempts(&folder)).await
            }
            Place::Remote(remote) => remote.attempts(folder).await,
        }
    }

    /// Removes an attempt; returns how many files and bytes.
    pub(super) async fn remove_attempt(
        &self,
        folder: &Folder,
        id: &str,
    ) -> Result<(u64, u64), ConnectorError> {
        match &self.place {
            Place::Local(local) => {
                let (local, folder, id) = (local.clone(), folder.clone(), id.to_owned());
                blocking(move || local.remove_attempt(&folder, &id)).await
            }
            Place::Remote(remote) => remote.remove_attempt(folder, id).await,
        }
    }
}
