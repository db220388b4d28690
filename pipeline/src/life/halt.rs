//! Halting: exchanges stop at once, and what had already left is told.
//!
//! A halt is an entry of the ledger, whose signed checkpoint every run watches. Recording it takes the
//! ledger's lock, so each release either was intended before it, and is told, or never is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use ed25519_dalek::VerifyingKey;
use futures::StreamExt as _;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::{KeyringError, Purpose};
use lockgate_connectors::publish::Destination;
use serde::Serialize;

use super::order::{self, Lift};
use super::standing::Halt;
use super::{Terms, about_of, approvals, check_reason, is_running};
use crate::approval::tokens;
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{About, Event, HaltScope, History, Ledger, time_text};
use crate::manifest::Manifest;

/// How long a halt waits for runs to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it then reads manifests to say what had left: all of them together, since it is told
/// nobody before.
const READING: Duration = Duration::from_secs(5);

/// Manifests read at a time.
const READ_AT_ONCE: usize = 16;

/// How often it looks.
const LOOKED_EVERY: Duration = Duration::from_millis(50);

/// Times that a halt is tried against other appends before it is recorded without looking.
const TRIES: usize = 100;

/// What came of a halt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HaltReport {
    /// What is halted.
    pub scope: HaltScope,
    /// Since when: earlier than now if it was already halted.
    pub since: String,
    /// Why.
    pub reason: String,
    /// Grants whose runs were under way and stopped.
    pub stopped: Vec<String>,
    /// Grants whose runs had a release under way, which they ended: it is among what had left.
    pub delivered: Vec<String>,
    /// Grants whose runs are still under way. They begin no release.
    pub running: Vec<String>,
    /// Those of them that had sent a manifest, or were about to: it may still become visible.
    pub publishing: Vec<String>,
    /// Seconds until the last of them had stopped.
    pub seconds: f64,
    /// What had left before.
    pub left: Left,
}

/// What had left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Deliveries released.
    pub deliveries: u64,
    /// Rows in them.
    pub rows: u64,
    /// Fields in them, as `DATASET.FIELD`.
    pub fields: BTreeSet<String>,
    /// Each of them.
    pub released: Vec<Delivered>,
    /// Deliveries that were intended and of which nobody knows yet whether they became visible.
    pub unsettled: Vec<String>,
}

/// A delivery that was released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// Id of the delivery.
    pub delivery: String,
    /// Id of the grant.
    pub grant: String,
    /// Department whose data it is; absent where nobody can say any more.
    pub provider: Option<String>,
    /// Id of the recipient; absent where nobody can say any more.
    pub recipient: Option<String>,
    /// Id of the dataset; absent where nobody can say any more.
    pub dataset: Option<String>,
    /// When it was released.
    pub at: String,
    /// Rows in it.
    pub rows: u64,
    /// Fields in it: of its manifest, or where that can't be read, those that were granted.
    pub fields: Vec<String>,
    /// Whether `fields` are those of its manifest.
    pub fields_of_manifest: bool,
    /// URL of the store it was delivered to.
    pub destination: String,
    /// Whether the site disposed of it since.
    pub disposed: bool,
}

/// Halts exchanges, waits until those under way have stopped, and tells what had left. Halting what is
/// halted records nothing, and tells it again.
///
/// # Errors
/// A reason that can't be recorded; a ledger that cannot be written. What had left is told as far as
/// it can be found out.
pub async fn halt(
    installation: &Installation,
    scope: HaltScope,
    reason: &str,
) -> Result<HaltReport, RunError> {
    let reason = check_reason(reason, "--reason")?;
    let started = Instant::now();
    let mut under_way = running(installation, &scope)?;
    let halt = record(installation, &scope, reason)?;
    // Whoever began in between may have compiled before the halt was there.
    under_way.extend(running(installation, &scope)?);
    let mut running = under_way.clone();
    while !running.is_empty() && started.elapsed() < PATIENCE {
        tokio::time::sleep(LOOKED_EVERY).await;
        running.retain(|grant| is_running(&installation.state(), grant));
    }
    let seconds = started.elapsed().as_secs_f64();
    let history = installation.history()?;
    let left = left(installation, &history, &scope).await;
    let delivered = released_after(&history, halt.index);
    let publishing = intended(&history);
    under_way.retain(|grant| !running.contains(grant));
    let (delivered, stopped) = under_way
        .into_iter()
        .partition(|grant| delivered.contains(grant.as_str()));
    Ok(HaltReport {
        scope,
        since: time_text(halt.at),
        reason: halt.reason,
        stopped,
        delivered,
        publishing: running
            .iter()
            .filter(|grant| publishing.contains(grant.as_str()))
            .cloned()
            .collect(),
        running: running.into_iter().collect(),
        seconds,
        left,
    })
}

/// Grants of which a release was recorded after an entry.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "one kind of entry is asked for"
)]
fn released_after(history: &History, index: u64) -> BTreeSet<&str> {
    let later = history.iter().filter(|entry| entry.index > index);
    later
        .filter_map(|entry| match &entry.event {
            Event::Released { grant, .. } => Some(grant.as_str()),
            _ => None,
        })
        .collect()
}

/// Grants with an intent that nothing settled.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "one kind of entry is asked for"
)]
fn intended(history: &History) -> BTreeSet<String> {
    let unsettled = history.unsettled().into_iter();
    unsettled
        .filter_map(|entry| match entry.event {
            Event::ReleaseIntended { grant, .. } => Some(grant),
            _ => None,
        })
        .collect()
}

/// The ledger, to record a halt in. A keyring that was set back keeps everything from going on, and must
/// not keep it from being halted.
fn ledger_to_halt(installation: &Installation) -> Result<Ledger, RunError> {
    match installation.ledger() {
        Err(RunError::Connector(ConnectorError::Keyring(
            error @ KeyringError::RolledBack { .. },
        ))) => {
            tracing::warn!("Halting all the same: {error}.");
            let keyring = installation.keyring();
            let key = keyring.signing_key(Purpose::Ledger)?;
            let earlier = keyring.verifying_keys(Purpose::Ledger)?;
            let directory = installation.ledger_dir();
            Ok(Ledger::open_accepting(&directory, key, &earlier)?)
        }
        opened => opened,
    }
}

/// Records a halt, unless it lasts already.
fn record(installation: &Installation, scope: &HaltScope, reason: &str) -> Result<Halt, RunError> {
    let ledger = ledger_to_halt(installation)?;
    let event = Event::Halted {
        scope: scope.clone(),
        reason: reason.to_owned(),
    };
    let halted = |at: DateTime<Utc>, index: u64| Halt {
        scope: scope.clone(),
        at,
        reason: reason.to_owned(),
        index,
    };
    for _ in 0..TRIES {
        let reader = ledger.snapshot()?;
        let halts = Halt::all(&reader.entries()?);
        if let Some(lasting) = halts.into_iter().find(|halt| halt.scope == *scope) {
            return Ok(lasting);
        }
        let now = installation.clock.now();
        if let Some(appended) = ledger.append_if(reader.size(), &event, now)? {
            return Ok(halted(now, appended.index));
        }
    }
    // A halt must not be kept waiting; recorded twice, it is still one.
    let now = installation.clock.now();
    let appended = ledger.append(&event, now)?;
    Ok(halted(now, appended.index))
}

/// A halt that was lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifted {
    /// The approver who signed.
    pub approver: String,
    /// Other halts that last.
    pub lasting: Vec<Halt>,
}

/// Lifts a halt, with the private key of an approver: of the provider where the halt is over its data,
/// of any where it is over more. Others that cover the same exchanges last.
///
/// # Errors
/// A reason that can't be recorded; a scope that is not halted; a key of nobody who may lift it; a ledger
/// that cannot be written.
pub fn lift(
    installation: &Installation,
    scope: &HaltScope,
    reason: &str,
    key: &Path,
) -> Result<Lifted, RunError> {
    let reason = check_reason(reason, "--reason")?;
    let ledger = installation.ledger()?;
    loop {
        let reader = ledger.snapshot()?;
        let mut halts = Halt::all(&reader.entries()?);
        let Some(halt) = halts.iter().find(|halt| halt.scope == *scope) else {
            let lasting: Vec<String> = halts.iter().map(|halt| halt.scope.to_string()).collect();
            return Err(RunError::Denied {
                what: format!("{scope} are not halted"),
                remedy: match lasting.as_slice() {
                    [] => "there is no halt to lift".to_owned(),
                    lasting => format!("halted are: {}", lasting.join(", ")),
                },
            });
        };
        let lift = Lift {
            format: 0,
            scope: scope.clone(),
            reason: reason.to_owned(),
            approver: String::new(),
            ledger: reader.checkpoint().map(|it| it.origin.clone()),
            answers: halt.index,
        };
        let signed = order::sign_lift(&installation.site, lift, key)?;
        tokens::keep(&approvals(installation), &signed.sha256, &signed.envelope)?;
        halts.retain(|halt| halt.scope != *scope);
        let event = Event::HaltLifted {
            scope: scope.clone(),
            reason: reason.to_owned(),
            approver: Some(signed.approver.clone()),
            document_sha256: Some(signed.sha256),
        };
        let now = installation.clock.now();
        if ledger.append_if(reader.size(), &event, now)?.is_some() {
            return Ok(Lifted {
                approver: signed.approver,
                lasting: halts,
            });
        }
    }
}

/// Grants in scope of which a run is under way.
fn running(installation: &Installation, scope: &HaltScope) -> Result<BTreeSet<String>, RunError> {
    let directory = installation.state().join("runs");
    let listing = match std::fs::read_dir(&directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(RunError::internal("listing state/runs", &error)),
    };
    let known = Known::of(&installation.history()?);
    let mut grants = BTreeSet::new();
    for item in listing {
        let item = item.map_err(|error| RunError::internal("listing state/runs", &error))?;
        let name = item.file_name();
        let Some(grant) = name.to_str().and_then(|name| name.strip_suffix(".lock")) else {
            continue;
        };
        if known.covered(installation, grant, scope) && is_running(&installation.state(), grant) {
            grants.insert(grant.to_owned());
        }
    }
    Ok(grants)
}

/// What the ledger says grants are about.
struct Known(BTreeMap<String, About>);

impl Known {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "three kinds of entry say what a grant is about"
    )]
    fn of(history: &History) -> Self {
        let mut known = BTreeMap::new();
        for entry in history.iter() {
            match &entry.event {
                Event::GrantSigned { grant, about, .. }
                | Event::GrantMoved { grant, about, .. }
                | Event::ReleaseIntended { grant, about, .. } => {
                    if let Some(about) = about {
                        known.insert(grant.clone(), about.clone());
                    }
                }
                _ => {}
            }
        }
        Self(known)
    }

    /// What a grant is about: as last recorded, else as the site has it.
    fn about(&self, installation: &Installation, grant: &str) -> Option<About> {
        let recorded = self.0.get(grant).cloned();
        recorded.or_else(|| about_of(&installation.site, grant))
    }

    fn covered(&self, installation: &Installation, grant: &str, scope: &HaltScope) -> bool {
        let about = self.about(installation, grant);
        scope.covers(
            about.as_ref().map(|about| about.provider.as_str()),
            about.as_ref().map(|about| about.recipient.as_str()),
        )
    }
}

/// A release, as its intent and its settlement tell.
struct Release<'a> {
    grant: &'a str,
    rows: u64,
    manifest_sha256: &'a str,
    at: DateTime<Utc>,
    destination: &'a str,
    about: Option<About>,
}

/// What of a scope has left, from the ledger and the deliveries' manifests, of which as many are read as
/// seconds allow. A delivery of which nobody can say any more whose data it held, or for whom, is told
/// under every scope.
pub async fn left(installation: &Installation, history: &History, scope: &HaltScope) -> Left {
    let known = Known::of(history);
    let mut released = releases(installation, history, &known);
    released.retain(|_, release| {
        let about = release.about.as_ref();
        let provider = about.map(|about| about.provider.as_str());
        scope.covers(provider, about.map(|about| about.recipient.as_str()))
    });
    let mut stated = stated(installation, &released).await;
    let disposed = disposed(history);
    let mut left = Left::default();
    for (delivery, release) in released {
        let about = release.about.as_ref();
        let stated = stated.remove(delivery);
        let granted = || {
            let terms = about.map(|about| about.terms_sha256.as_str());
            let kept = terms.and_then(|terms| Terms::kept(&installation.state(), terms));
            kept.map(|terms| terms.fields).unwrap_or_default()
        };
        left.add(Delivered {
            delivery: delivery.to_owned(),
            grant: release.grant.to_owned(),
            provider: about.map(|about| about.provider.clone()),
            recipient: about.map(|about| about.recipient.clone()),
            dataset: about.map(|about| about.dataset.clone()),
            at: time_text(release.at),
            rows: release.rows,
            fields_of_manifest: stated.is_some(),
            fields: stated.unwrap_or_else(granted),
            destination: release.destination.to_owned(),
            disposed: disposed.contains(delivery),
        });
    }
    left.released.sort_by(|a, b| a.at.cmp(&b.at));
    for entry in history.unsettled() {
        if let Event::ReleaseIntended {
            grant, delivery, ..
        } = &entry.event
            && known.covered(installation, grant, scope)
        {
            left.unsettled.push(delivery.clone());
        }
    }
    left
}

/// Fields of deliveries, by delivery, as their manifests state them: those that answered in time.
async fn stated(
    installation: &Installation,
    released: &BTreeMap<&str, Release<'_>>,
) -> BTreeMap<String, Vec<String>> {
    let keyring = installation.keyring();
    let Ok(keys) = keyring.verifying_keys(Purpose::Manifest) else {
        return BTreeMap::new();
    };
    let readings: Vec<_> = released
        .iter()
        .map(|(delivery, release)| fields_of(installation, &keys, delivery, release))
        .collect();
    let mut readings = futures::stream::iter(readings).buffer_unordered(READ_AT_ONCE);
    let deadline = tokio::time::Instant::now() + READING;
    let mut stated = BTreeMap::new();
    while let Ok(Some(read)) = tokio::time::timeout_at(deadline, readings.next()).await {
        stated.extend(read);
    }
    stated
}

/// Every release of a history, by delivery.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "two kinds of entry tell what was released"
)]
fn releases<'a>(
    installation: &Installation,
    history: &'a History,
    known: &Known,
) -> BTreeMap<&'a str, Release<'a>> {
    let mut intended = BTreeMap::new();
    let mut releases = BTreeMap::new();
    for entry in history.iter() {
        match &entry.event {
            Event::ReleaseIntended {
                delivery,
                attempt,
                destination,
                about,
                ..
            } => {
                intended.insert((delivery, attempt), (destination, about));
            }
            Event::Released {
                grant,
                delivery,
                attempt,
                rows,
                manifest_sha256,
                ..
            } => {
                let intent = intended.get(&(delivery, attempt));
                let about = intent.and_then(|(_, about)| (*about).clone());
                let release = Release {
                    grant,
                    rows: *rows,
                    manifest_sha256,
                    at: entry.at,
                    destination: intent.map_or("", |(destination, _)| destination.as_str()),
                    about: about.or_else(|| known.about(installation, grant)),
                };
                releases.entry(delivery.as_str()).or_insert(release);
            }
            _ => {}
        }
    }
    releases
}

/// Deliveries that were disposed of.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "one kind of entry is asked for"
)]
fn disposed(history: &History) -> BTreeSet<&str> {
    let entries = history.iter();
    entries
        .filter_map(|entry| match &entry.event {
            Event::Disposed { delivery, .. } => Some(delivery.as_str()),
            _ => None,
        })
        .collect()
}

impl Left {
    fn add(&mut self, delivered: Delivered) {
        self.deliveries = self.deliveries.saturating_add(1);
        self.rows = self.rows.saturating_add(delivered.rows);
        let dataset = delivered.dataset.as_deref().unwrap_or("?");
        let fields = delivered.fields.iter();
        self.fields
            .extend(fields.map(|field| format!("{dataset}.{field}")));
        self.released.push(delivered);
    }
}

/// Fields of a delivery, as the manifest says that the ledger knows; absent where it can't be read.
async fn fields_of(
    installation: &Installation,
    keys: &[VerifyingKey],
    delivery: &str,
    release: &Release<'_>,
) -> Option<(String, Vec<String>)> {
    let store = installation.store_of_url(release.destination).ok()??;
    let reading = Destination::new(store);
    let bytes = reading.existing_manifest(release.grant, delivery);
    let bytes = bytes.await.ok()??;
    if sha256_hex(&bytes) != release.manifest_sha256 {
        return None;
    }
    let manifest = Manifest::open(&bytes, keys).ok()?;
    let fields = manifest.fields.into_iter().map(|field| field.name);
    Some((delivery.to_owned(), fields.collect()))
}
