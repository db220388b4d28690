//! A delivery as the ledger knows it, and its manifest where it was published: where everything begins
//! that happens to a delivery after it left.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use lockgate_connectors::keyring::Purpose;
use lockgate_connectors::publish::Destination;
use lockgate_connectors::store::Store;
use object_store::ObjectStore;

use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{ContentDigest, Event, History};
use crate::manifest::Manifest;
use crate::verify::read_manifest;

/// A delivery that was released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Run key.
    pub run: String,
    /// Its id.
    pub delivery: String,
    /// The attempt that made its files.
    pub attempt: String,
    /// The grant.
    pub grant: String,
    /// Version of the grant.
    pub grant_version: u32,
    /// To whom the grant was signed then; absent if the ledger has no signature of it.
    pub recipient: Option<String>,
    /// Hash of the plan.
    pub plan_sha256: String,
    /// URL of the destination.
    pub destination: String,
    /// Rows.
    pub rows: u64,
    /// SHA-256 of its manifest.
    pub manifest_sha256: String,
    /// What a replay is held to.
    pub content: Option<ContentDigest>,
    /// Its attempt as encrypted cells carry it, hex; absent where there are none, or the ledger doesn't say.
    pub cell_attempt: Option<String>,
    /// The ledger's entry of its intent.
    pub intent: u64,
    /// Whether it was disposed of.
    pub disposal: Disposal,
}

/// Whether a delivery was disposed of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposal {
    /// It was not.
    None,
    /// It was begun, and not ended.
    Begun {
        /// The ledger's entry.
        entry: u64,
        /// When.
        at: DateTime<Utc>,
    },
    /// It was.
    Done {
        /// SHA-256 of the record.
        record_sha256: String,
        /// When.
        at: DateTime<Utc>,
    },
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what else happened to other deliveries doesn't matter here"
)]
impl Delivered {
    /// The delivery of that id, if the ledger released it.
    pub fn find(history: &History, delivery: &str) -> Option<Self> {
        let mut found: Option<Self> = None;
        for entry in history.iter() {
            match &entry.event {
                Event::Released {
                    run,
                    delivery: id,
                    attempt,
                    grant,
                    rows,
                    manifest_sha256,
                    content,
                } if id == delivery && found.is_none() => {
                    let intent = intent_of(history, grant, delivery, attempt)?;
                    found = Some(Self {
                        run: run.clone(),
                        delivery: delivery.to_owned(),
                        attempt: attempt.clone(),
                        grant: grant.clone(),
                        recipient: recipient_of(history, grant, intent.entry),
                        grant_version: intent.grant_version,
                        plan_sha256: intent.plan_sha256,
                        destination: intent.destination,
                        rows: *rows,
                        manifest_sha256: manifest_sha256.clone(),
                        content: content.clone(),
                        cell_attempt: intent.cell_attempt,
                        intent: intent.entry,
                        disposal: Disposal::None,
                    });
                }
                Event::DisposalIntended { delivery: id, .. } if id == delivery => {
                    if let Some(found) = &mut found
                        && found.disposal == Disposal::None
                    {
                        found.disposal = Disposal::Begun {
                            entry: entry.index,
                            at: entry.at,
                        };
                    }
                }
                Event::Disposed {
                    delivery: id,
                    record_sha256,
                    ..
                } if id == delivery => {
                    if let Some(found) = &mut found {
                        found.disposal = Disposal::Done {
                            record_sha256: record_sha256.clone(),
                            at: entry.at,
                        };
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The delivery that a folder holds, or a copy of it: by its manifest, which must be one of this
    /// site and the one that the ledger released.
    ///
    /// # Errors
    /// No manifest there, one of somebody else, or one that the ledger doesn't know.
    pub async fn of_folder(
        installation: &Installation,
        history: &History,
        store: &Store,
    ) -> Result<(Self, Manifest), RunError> {
        let objects: Arc<dyn ObjectStore> = store.object_store();
        let bytes = read_manifest(&objects, store.prefix()).await?;
        let bytes =
            bytes.ok_or_else(|| unverified("there is no manifest here, hence no delivery"))?;
        let keys = installation.keyring().verifying_keys(Purpose::Manifest)?;
        let manifest =
            Manifest::open(&bytes, &keys).map_err(|error| unverified(&error.to_string()))?;
        let delivered = Self::find(history, &manifest.delivery)
            .filter(|delivered| delivered.manifest_sha256 == sha256_hex(&bytes))
            .ok_or_else(|| {
                unverified(&format!(
                    "the ledger released no delivery {} with this manifest",
                    manifest.delivery
                ))
            })?;
        Ok((delivered, manifest))
    }

    /// Where it was published; absent where the destination is none of the site's stores any more.
    ///
    /// # Errors
    /// A secret that can't be found, a URL that can't be used.
    pub fn destination(
        &self,
        installation: &Installation,
    ) -> Result<Option<Destination>, RunError> {
        let store = installation.store_of_url(&self.destination)?;
        Ok(store.map(Destination::new))
    }
}

struct Intent {
    entry: u64,
    grant_version: u32,
    plan_sha256: String,
    destination: String,
    cell_attempt: Option<String>,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "one kind of event is asked for"
)]
fn intent_of(history: &History, of: &str, id: &str, by: &str) -> Option<Intent> {
    history.iter().find_map(|entry| match &entry.event {
        Event::ReleaseIntended {
            grant,
            delivery,
            attempt,
            grant_version,
            plan_sha256,
            destination,
            cell_attempt,
            ..
        } if grant == of && delivery == id && attempt == by => Some(Intent {
            entry: entry.index,
            grant_version: *grant_version,
            plan_sha256: plan_sha256.clone(),
            destination: destination.clone(),
            cell_attempt: cell_attempt.clone(),
        }),
        _ => None,
    })
}

/// To whom a grant was signed last before an entry.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "one kind of event is asked for"
)]
fn recipient_of(history: &History, id: &str, before: u64) -> Option<String> {
    history.iter().rev().find_map(|entry| match &entry.event {
        Event::GrantSigned {
            grant, recipient, ..
        } if grant == id && entry.index < before => Some(recipient.clone()),
        _ => None,
    })
}

fn unverified(what: &str) -> RunError {
    RunError::Unverified {
        what: what.to_owned(),
    }
}
