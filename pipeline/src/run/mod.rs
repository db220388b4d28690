//! A run: one execution of a plan, from the grant's check to the ledger's settlement.
//!
//! The order is the promise: refusals come before the destination is touched; files are staged
//! where no reader looks; the source is confirmed unchanged and the grant compiled again before
//! anything is released; the ledger knows of a release before the manifest makes it visible.

mod bundle;
mod key;
mod leftovers;
mod manifest;
mod marks;
mod reconcile;
mod release;
mod report;
mod seal;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::Schema;
use bytes::Bytes;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::Purpose;
use lockgate_connectors::publish::{Attempt, Destination};
use lockgate_connectors::source::Source;
use lockgate_transforms::category::{self, Category};
use object_store::ObjectStoreExt;
use tokio_util::sync::CancellationToken;

use crate::approval_record::ensure_recorded;
use crate::delivered::{Delivered, Disposal};
use crate::digest::hex;
use crate::engine::{
    Encoder, Exchange, Permit as _, Progress, Treater, delivered_schema, random_attempt,
};
use crate::error::RunError;
use crate::id::is_id;
use crate::installation::Installation;
use crate::ledger::{Entry, Event, History, Ledger};
use crate::life::{self, Watch};
use crate::manifest::Manifest;
use crate::plan::row_filter::RowFilter;
use crate::plan::{Compiled, ExchangePlan, PlannedField, Projection, Refusal, RefusalCode};
use crate::site::dataset::Mode;
use crate::vault::HeldVaults;

use leftovers::{discard, sweep, sweep_rules, tell_swept};
use release::Release;
use seal::AttemptSeal;

pub use key::RunKey;
pub use report::{RunReport, RunRows, Status};

/// Why what an attempt had set aside of a quota is given back.
const NOTHING_PUBLISHED: &str = "the attempt published nothing";

/// Name and version that go into files and manifests.
pub const SOFTWARE: &str = concat!("lockgate ", env!("CARGO_PKG_VERSION"));

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct RunRequest<'a> {
    /// Id of the grant.
    pub grant: &'a str,
    /// A directory to deliver into instead of the site's delivery store.
    pub output: Option<&'a Path>,
    /// Whether to deliver again what was delivered already.
    pub again: bool,
}

/// Runs a grant now.
///
/// # Errors
/// Anything that keeps the delivery from being complete; nothing is published then. A refusal by
/// grant or policy is no error but a report.
pub async fn run(
    installation: &Installation,
    request: &RunRequest<'_>,
    progress: Arc<Progress>,
    cancel: &CancellationToken,
) -> Result<RunReport, RunError> {
    let started = Instant::now();
    let result = Box::pin(attempt_run(installation, request, progress, cancel)).await;
    let mut report = match result {
        Ok(report) => report,
        Err(RunError::Refused(refusals)) => {
            record_refusal(installation, request.grant, &refusals);
            RunReport::refused(request.grant, refusals)
        }
        Err(error) => return Err(error),
    };
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

async fn attempt_run(
    installation: &Installation,
    request: &RunRequest<'_>,
    progress: Arc<Progress>,
    cancel: &CancellationToken,
) -> Result<RunReport, RunError> {
    // Without a plan there is no grant whose lock and ledger would matter. Whether a quota that is
    // used up matters is only known once earlier releases are settled.
    let early = installation.compile(request.grant, Mode::Batch);
    // What was left under a grant whose file is gone or broken since has to be settled, too. An id
    // becomes a path there.
    if early.as_ref().map_or(true, is_refused) && is_id(request.grant) {
        Box::pin(reconcile::settle_left(installation, request.grant, cancel)).await;
    }
    let early = early?;
    if is_refused(&early) {
        return Err(early.refusals().to_vec().into());
    }
    let _lock = lock_grant(installation, request.grant, cancel).await?;
    // Another run may have held it for hours: what was compiled is of before.
    let installation = &Installation::open(&installation.site.root, installation.clock)?;
    let compiled = installation.compile(request.grant, Mode::Batch)?;
    if is_refused(&compiled) {
        Box::pin(reconcile::settle_held(installation, request.grant, cancel)).await;
        return Err(compiled.refusals().to_vec().into());
    }
    let ledger = installation.ledger()?;
    let watch = Watch::begin(installation, &ledger, &compiled)?;
    let opened = Box::pin(open(installation, &ledger, &watch, request));
    let due = match unless_stopped(cancel, &watch, opened).await? {
        Opened::Due(due) => due,
        Opened::Published(report) => return Ok(*report),
    };
    let probe = due.destination.probe_conditional_create();
    unless_stopped(cancel, &watch, Box::pin(probe)).await?;
    Box::pin(deliver(&ledger, *due, watch, progress, cancel)).await
}

/// Delivers what is due, and settles what came of it.
async fn deliver(
    ledger: &Ledger,
    due: Due,
    watch: Arc<Watch>,
    progress: Arc<Progress>,
    cancel: &CancellationToken,
) -> Result<RunReport, RunError> {
    let Due {
        installation,
        plan,
        filter,
        source,
        destination,
        key,
    } = due;
    let installation = &installation;
    tell_begun(&plan, &key, source.as_ref());
    let vaults = HeldVaults::open(installation, &plan, cancel);
    let vaults = unless_stopped(cancel, &watch, vaults).await?;
    let projection = Projection::needed(&plan, &filter);
    let treatments = installation.treatments(&plan, &projection, &vaults.for_treatments())?;
    // From here on the ledger and the keyring hold something of this run.
    watch.check()?;
    let (marking, recorded) = marks::begin(installation, ledger, &plan)?.unzip();
    let digester = installation.digester(&plan)?;
    let treater = Treater::new(treatments)
        .marking(marking)
        .digesting(digester);
    // The engine cancels its own token when it fails, which is no interruption.
    let stop = cancel.child_token();
    let control = (Arc::clone(&watch), stop.clone());
    let reading = Arc::clone(&source);
    let mut exchange = exchange(&plan, treater, filter, reading, progress, control)?;
    let (attempt, seal) = begin_attempt(installation, ledger, &plan, &key, &destination).await?;
    exchange.seal = seal.as_ref().map(AttemptSeal::files);
    let release = Release {
        seal: seal.as_ref(),
        cell_attempt: plan.draws_nonces().then(|| hex(&exchange.cell_attempt)),
        installation,
        plan: &plan,
        key: &key,
        destination: &destination,
        marks: recorded.as_ref(),
        ledger,
        watch: &watch,
        cancel,
        stop: &stop,
    };
    let staged = Box::pin(release.stage(exchange, &vaults, &attempt)).await;
    let is_staged = staged.is_ok();
    let report = match staged {
        Ok(outcome) => Box::pin(release.publish(&outcome, source.as_ref(), &attempt)).await,
        Err(error) => release.lost_or(error).await,
    };
    let came_of = CameOf::of(&report, || match is_staged {
        true => release.came_of(attempt.id()),
        false => CameOf::Nothing,
    });
    let returned = end_attempt(installation, ledger, &plan.grant, (attempt, seal), came_of).await;
    let report = report.and_then(|report| returned.map(|()| report));
    if report.is_ok() {
        sweep(installation, &destination, &plan.grant, (cancel, &watch)).await;
    }
    report.map(|report| RunReport {
        ignored_columns: source.ignored_columns().to_vec(),
        ..report
    })
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CameOf {
    /// It was published.
    Published,
    /// Nothing: no manifest names it, nor can one.
    Nothing,
    /// Nobody knows yet: the ledger holds an intent of it that nothing settled.
    Open,
}

impl CameOf {
    /// By the run's report, or by what is `told` where that doesn't say that it was published: a run
    /// may fail behind the entry that says so.
    fn of(report: &Result<RunReport, RunError>, told: impl FnOnce() -> Self) -> Self {
        let is_published = |report: &RunReport| report.status != Status::Unchanged;
        match report.as_ref().is_ok_and(is_published) {
            true => Self::Published,
            false => told(),
        }
    }

    /// By what the ledger holds of an attempt.
    fn in_ledger(history: &History, attempt: &str) -> Self {
        let is_released = |entry: &Entry| matches!(&entry.event, Event::Released { attempt: of, .. } if of == attempt);
        let is_intended = |entry: &Entry| matches!(&entry.event, Event::ReleaseIntended { attempt: of, .. } if of == attempt);
        if history.iter().any(is_released) {
            Self::Published
        } else if history.unsettled().iter().any(is_intended) {
            Self::Open
        } else {
            Self::Nothing
        }
    }
}

/// Gives up what an attempt held that came to nothing. Of one of which nobody knows, everything stays,
/// its folder too, by which the next run of the grant tells that no manifest was made.
async fn end_attempt(
    installation: &Installation,
    ledger: &Ledger,
    grant: &str,
    (attempt, seal): (Arc<Attempt>, Option<AttemptSeal>),
    came_of: CameOf,
) -> Result<(), RunError> {
    match came_of {
        CameOf::Published => {
            if let Some(seal) = seal {
                seal.keep();
            }
            Ok(())
        }
        CameOf::Open => {
            attempt.stop();
            tracing::warn!(
                attempt = attempt.id(),
                "A release is not settled: the next run of the grant finds out what became of it."
            );
            Ok(())
        }
        CameOf::Nothing => {
            if let Some(seal) = seal {
                seal.forget(installation, ledger);
            }
            let id = attempt.id().to_owned();
            discard(attempt).await;
            life::give_back(installation, ledger, grant, Some(&id), NOTHING_PUBLISHED)
        }
    }
}

fn tell_begun(plan: &ExchangePlan, key: &RunKey, source: &dyn Source) {
    tracing::info!(
        grant = plan.grant,
        delivery = key.delivery(),
        files = source.snapshot().files.len(),
        splits = source.splits().len(),
        "Run begins."
    );
}

/// Begins an attempt: sets a delivery aside of the grant's quota, and makes the keys that seal it.
async fn begin_attempt(
    installation: &Installation,
    ledger: &Ledger,
    plan: &ExchangePlan,
    key: &RunKey,
    destination: &Destination,
) -> Result<(Arc<Attempt>, Option<AttemptSeal>), RunError> {
    let attempt = Arc::new(destination.begin(&plan.grant, key.delivery()).await?);
    let sealed = life::reserve(installation, ledger, plan, attempt.id()).and_then(|()| {
        AttemptSeal::begin(installation, ledger, plan, key.delivery(), attempt.id())
    });
    match sealed {
        Ok(seal) => Ok((attempt, seal)),
        Err(error) => {
            let (grant, came_of) = (&plan.grant, CameOf::Nothing);
            let ended = end_attempt(installation, ledger, grant, (attempt, None), came_of).await;
            if let Err(held) = ended {
                tracing::warn!(
                    "What was set aside of a quota stays so until the next run: {held}."
                );
            }
            Err(error)
        }
    }
}

/// Whether anything but a used-up quota refuses.
fn is_refused(compiled: &Compiled) -> bool {
    !compiled.refusals().is_empty() && !is_used_up(compiled)
}

/// Waits for something that may be given up at any point, unless the run is interrupted or its grant
/// may no longer be used.
async fn unless_stopped<T, E>(
    cancel: &CancellationToken,
    watch: &Arc<Watch>,
    work: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, RunError>
where
    RunError: From<E>,
{
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(RunError::Interrupted),
        withdrawn = Arc::clone(watch).withdrawn() => Err(withdrawn),
        done = work => Ok(done?),
    }
}

/// What a run has to do.
enum Opened {
    /// To deliver.
    Due(Box<Due>),
    /// Nothing: it was delivered before.
    Published(Box<RunReport>),
}

/// A delivery to be made.
struct Due {
    /// The site as it was compiled.
    installation: Installation,
    plan: ExchangePlan,
    filter: RowFilter,
    source: Arc<dyn Source>,
    destination: Destination,
    key: RunKey,
}

/// Settles what earlier runs left, and finds out what this one has to do. Holding the grant's lock.
async fn open(
    installation: &Installation,
    ledger: &Ledger,
    watch: &Watch,
    request: &RunRequest<'_>,
) -> Result<Opened, RunError> {
    reconcile::reconcile(installation, ledger, request.grant).await?;
    // Read after the watch has looked at the files, so that no edit is between the two.
    let now = Installation::open(&installation.site.root, installation.clock)?;
    let compiled = now.compile(request.grant, Mode::Batch)?;
    for warning in compiled.warnings() {
        tracing::warn!(
            grant = request.grant,
            code = warning.code,
            "{}",
            warning.what
        );
    }
    if is_used_up(&compiled) {
        let published = find(&now, compiled.plan(), request).await;
        // A store that cannot say leaves it at the refusal.
        if let Ok(Found {
            published: Some(report),
            ..
        }) = published
        {
            return Ok(Opened::Published(report));
        }
    }
    let signature = compiled.signature().cloned();
    let plan = compiled.into_plan()?;
    watch.hold_to(&plan, signature.as_ref())?;
    ensure_recorded(&now, ledger, &plan, signature.as_ref())?;
    let found = find(&now, &plan, request).await?;
    if let Some(report) = found.published {
        return Ok(Opened::Published(report));
    }
    Ok(Opened::Due(Box::new(Due {
        installation: now,
        plan,
        filter: found.filter,
        source: found.source,
        destination: found.destination,
        key: found.key,
    })))
}

/// What a plan's source holds, and where it goes.
struct Found {
    filter: RowFilter,
    source: Arc<dyn Source>,
    destination: Destination,
    key: RunKey,
    /// Where it was delivered before.
    published: Option<Box<RunReport>>,
}

/// Opens a plan's source, and finds out whether what it holds was delivered before.
async fn find(
    installation: &Installation,
    plan: &ExchangePlan,
    request: &RunRequest<'_>,
) -> Result<Found, RunError> {
    let filter = installation.row_filter(plan)?;
    let projection = Projection::needed(plan, &filter);
    let source = installation.open_source(plan, &filter, &projection).await?;
    warn_of_ignored(plan, source.as_ref());
    marks::check_rows(installation, plan, source.as_ref())?;
    let destination = installation.destination(request.output)?;
    let (key, is_published) =
        run_key(installation, plan, &destination, source.as_ref(), request).await?;
    let mut published = None;
    if is_published {
        let report = RunReport::unchanged(plan, &key, &destination)?;
        // The run that published may not have come to its own sweep.
        let rules = sweep_rules(installation);
        let swept = destination.sweep_delivery(&plan.grant, key.delivery(), &rules);
        tell_swept(&plan.grant, swept.await.map_err(RunError::from));
        published = Some(Box::new(RunReport {
            ignored_columns: source.ignored_columns().to_vec(),
            ..report
        }));
    }
    Ok(Found {
        filter,
        source,
        destination,
        key,
        published,
    })
}

/// A new column of the source is no reason to stop, and none to deliver it.
fn warn_of_ignored(plan: &ExchangePlan, source: &dyn Source) {
    for column in source.ignored_columns() {
        tracing::warn!(
            grant = plan.grant,
            dataset = plan.dataset,
            "Column `{}` of the source is not in the catalogue and is ignored.",
            column.escape_debug()
        );
    }
}

/// Whether the quota, and nothing else, refuses. It limits what may be delivered, so a run that has
/// nothing to deliver is not subject to it.
fn is_used_up(compiled: &Compiled) -> bool {
    let refusals = compiled.refusals();
    !refusals.is_empty()
        && refusals
            .iter()
            .all(|refusal| refusal.code == RefusalCode::Quota)
}

/// Holds an earlier delivery to its manifest, before a run answers that nothing is to be done: the
/// manifest is this site's own, over this run, and its files are there with their sizes. What they
/// hold is for `verify` to say.
async fn still_there(
    installation: &Installation,
    destination: &Destination,
    plan: &ExchangePlan,
    key: &RunKey,
    manifest: &[u8],
) -> Result<(), RunError> {
    let place = destination.delivery_url(&plan.grant, key.delivery())?;
    let spoilt = |what: &str| RunError::Unverified {
        what: format!(
            "{place} was delivered before, but {what}; find out who changed it, and deliver anew \
             with --again"
        ),
    };
    let keys = installation.keyring().verifying_keys(Purpose::Manifest)?;
    let manifest = Manifest::open(manifest, &keys)
        .map_err(|_| spoilt("its manifest is not one that this site signed"))?;
    if manifest.run != key.as_str() || manifest.grant.id != plan.grant {
        return Err(spoilt("its manifest is that of another delivery"));
    }
    let Some(store) = installation.store_of_url(destination.url())? else {
        return Ok(());
    };
    let files = manifest.files.iter().map(|file| (&file.path, file.bytes));
    let keys = manifest.seal.keys.iter();
    let keys = keys.map(|keys| (&keys.path, keys.bytes));
    for (path, bytes) in files.chain(keys) {
        let path = store.resolve(&format!("{}/{}/{path}", plan.grant, key.delivery()))?;
        match store.object_store().head(&path).await {
            Ok(meta) if meta.size == bytes => {}
            Ok(_) => return Err(spoilt("a file of it has another size")),
            Err(object_store::Error::NotFound { .. })
                if is_disposed(installation, key.delivery())? =>
            {
                return Err(RunError::Denied {
                    what: format!("{place} was delivered before and disposed of since"),
                    remedy: "deliver anew with --again".to_owned(),
                });
            }
            Err(object_store::Error::NotFound { .. }) => {
                return Err(spoilt("a file of it is gone"));
            }
            Err(error) => return Err(ConnectorError::from_store(&error, &place).into()),
        }
    }
    Ok(())
}

/// Whether a delivery's files are gone on purpose.
fn is_disposed(installation: &Installation, delivery: &str) -> Result<bool, RunError> {
    let history = Ledger::reader(&installation.ledger_dir())?.entries()?;
    let delivered = Delivered::find(&history, delivery);
    Ok(delivered.is_some_and(|delivered| delivered.disposal != Disposal::None))
}

/// Finds the run's key, and whether its delivery was published before.
async fn run_key(
    installation: &Installation,
    plan: &ExchangePlan,
    destination: &Destination,
    source: &dyn Source,
    request: &RunRequest<'_>,
) -> Result<(RunKey, bool), RunError> {
    let mut published: Option<(RunKey, Bytes)> = None;
    let mut generation = 0;
    loop {
        let key = RunKey::new(plan, destination.url(), source.snapshot(), generation)?;
        let manifest = destination
            .existing_manifest(&plan.grant, key.delivery())
            .await?;
        let Some(manifest) = manifest else {
            return Ok(match published {
                Some((earlier, manifest)) if !request.again => {
                    still_there(installation, destination, plan, &earlier, &manifest).await?;
                    (earlier, true)
                }
                _ => (key, false),
            });
        };
        published = Some((key, manifest));
        generation += 1;
    }
}

fn exchange(
    plan: &ExchangePlan,
    treater: Treater,
    filter: RowFilter,
    source: Arc<dyn Source>,
    progress: Arc<Progress>,
    (permit, stop): (Arc<Watch>, CancellationToken),
) -> Result<Exchange, RunError> {
    let encoder = encoder(plan, &delivered_schema(treater.columns()))?;
    let bytes = source.splits().iter().map(|split| split.bytes);
    let bytes = bytes.fold(0, u64::saturating_add);
    let pruned = source.rows_pruned().unwrap_or(0);
    progress.expect(
        source
            .rows_total()
            .map_or(0, |total| total.saturating_sub(pruned)),
        bytes,
    );
    Ok(Exchange {
        source,
        filter: Arc::new(filter),
        treater,
        encoder,
        seal: None,
        cell_attempt: random_attempt()?,
        progress,
        permit,
        cancel: stop,
    })
}

/// Writes files as the plan says.
fn encoder(plan: &ExchangePlan, schema: &Schema) -> Result<Encoder, RunError> {
    if let Some(format) = plan.row_format() {
        let is_id = |field: &PlannedField| {
            category::find(&field.category).is_some_and(Category::is_identifier)
        };
        let ids: Vec<bool> = plan.fields.iter().map(is_id).collect();
        return Encoder::rows(schema, &format, bundle::companions(plan, &format)?, &ids);
    }
    let compression = plan.compression.parse().map_err(|what| RunError::Invalid {
        what,
        at: format!("grant {}", plan.grant),
        remedy: "write compression = \"zstd(1)\"".to_owned(),
    })?;
    // What a treatment of strength 1 or from 3 on makes of text stands in no order of use.
    let prunable = plan
        .fields
        .iter()
        .map(|field| matches!(field.strength, 0 | 2));
    Encoder::parquet(schema, prunable.collect(), compression, SOFTWARE)
}

/// Notes a refusal in the ledger. A site whose ledger cannot be written refuses all the same.
fn record_refusal(installation: &Installation, grant: &str, refusals: &[Refusal]) {
    let codes = refusals
        .iter()
        .map(|refusal| refusal.code.to_string())
        .collect();
    let event = Event::Refused {
        grant: grant.to_owned(),
        codes,
    };
    let recorded = installation
        .ledger()
        .and_then(|ledger| Ok(ledger.append(&event, installation.clock.now())?));
    if let Err(error) = recorded {
        tracing::warn!(grant, "The refusal could not be recorded: {error}.");
    }
}

/// How often a run that waits for another of the same grant looks again.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// Runs of one grant at one site follow one another, so that quotas are counted and a delivery is
/// settled before the next begins. Held until dropped; the system lets go when the process ends.
pub(crate) async fn lock_grant(
    installation: &Installation,
    grant: &str,
    cancel: &CancellationToken,
) -> Result<File, RunError> {
    let lock = lock_file(installation, grant)?;
    while !is_locked(&lock)? {
        tokio::select! {
            () = cancel.cancelled() => return Err(RunError::Interrupted),
            () = tokio::time::sleep(LOCK_POLL) => {}
        }
    }
    Ok(lock)
}

/// The file whose lock a run of the grant holds.
fn lock_file(installation: &Installation, grant: &str) -> Result<File, RunError> {
    let directory = installation.state().join("runs");
    std::fs::create_dir_all(&directory)
        .map_err(|error| RunError::internal("making state/runs", &error))?;
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join(format!("{grant}.lock")))
        .map_err(|error| RunError::internal("opening the grant's lock", &error))
}

/// Takes the lock, unless another process has it.
fn is_locked(lock: &File) -> Result<bool, RunError> {
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(RunError::internal("locking the grant", &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;

    use super::*;

    const ATTEMPT: &str = "0123456789abcdef";

    fn history(events: Vec<Event>) -> History {
        let entries = (0..).zip(events).map(|(index, event)| Entry {
            index,
            at: DateTime::UNIX_EPOCH,
            event,
        });
        entries.collect()
    }

    fn intended() -> Event {
        Event::ReleaseIntended {
            run: String::new(),
            delivery: "d".to_owned(),
            attempt: ATTEMPT.to_owned(),
            grant: "G-1".to_owned(),
            grant_version: 1,
            plan_sha256: String::new(),
            destination: String::new(),
            rows: 1,
            config: BTreeMap::new(),
            join_groups: Vec::new(),
            cell_attempt: None,
            about: None,
        }
    }

    fn released() -> Event {
        Event::Released {
            run: String::new(),
            delivery: "d".to_owned(),
            attempt: ATTEMPT.to_owned(),
            grant: "G-1".to_owned(),
            rows: 1,
            manifest_sha256: String::new(),
            content: None,
        }
    }

    fn abandoned() -> Event {
        Event::Abandoned {
            run: String::new(),
            delivery: "d".to_owned(),
            attempt: ATTEMPT.to_owned(),
            grant: "G-1".to_owned(),
            reason: String::new(),
        }
    }

    #[test]
    fn a_run_that_fails_behind_its_settlement_was_published() {
        let failed = || Err(RunError::Interrupted);
        for (events, came_of) in [
            (vec![], CameOf::Nothing),
            (vec![intended()], CameOf::Open),
            (vec![intended(), abandoned()], CameOf::Nothing),
            (vec![intended(), released()], CameOf::Published),
        ] {
            let history = history(events);
            let told = CameOf::of(&failed(), || CameOf::in_ledger(&history, ATTEMPT));
            assert_eq!(told, came_of);
            assert_eq!(CameOf::in_ledger(&history, "another"), CameOf::Nothing);
        }
    }
}
