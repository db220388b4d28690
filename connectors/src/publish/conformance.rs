//! What every destination must do, as functions that panic where one doesn't.
//!
//! The same battery runs over a directory, an object store in memory and a real S3 server. Each
//! function uses a delivery of its own, so that they can share a destination.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a battery of tests: what it finds is a panic"
)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use object_store::path::Path;
use sha2::{Digest as _, Sha256};

use super::{Attempt, Destination, Publication, StagedFile, Sweep, random_id};
use crate::error::ConnectorError;

const GRANT: &str = "G-2026-0117";

/// A destination, and the same place as a reader sees it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The destination.
    pub destination: &'a Destination,
    /// The store it lies in.
    pub objects: &'a dyn ObjectStore,
    /// Where in the store it begins.
    pub prefix: &'a Path,
}

/// Runs the whole battery.
pub async fn all(subject: Subject<'_>) {
    subject
        .destination
        .probe_conditional_create()
        .await
        .unwrap();
    what_was_written_is_published(subject).await;
    one_of_many_attempts_wins(subject, 16).await;
    the_same_manifest_twice_is_one_publication(subject).await;
    nothing_is_published_without_its_files(subject).await;
    what_is_withdrawn_is_not_published(subject).await;
    a_writer_that_goes_away_leaves_nothing(subject).await;
    orphans_are_swept_by_age(subject).await;
    losers_are_swept_at_once(subject).await;
    a_swept_loser_learns_that_it_lost(subject).await;
    what_a_manifest_names_stays(subject).await;
    names_that_are_no_ids_are_refused(subject).await;
    let leftovers: Vec<_> = subject.listed("").await;
    assert!(
        !leftovers.iter().any(|path| path.contains(".lockgate")),
        "the probe is removed"
    );
}

/// Files of every size arrive as written, and the delivery appears with its manifest.
pub async fn what_was_written_is_published(subject: Subject<'_>) {
    let destination = subject.destination;
    let delivery = new_delivery();
    let attempt = destination.begin(GRANT, &delivery).await.unwrap();
    // Nothing, a little, one chunk of an upload exactly, and three of them with a rest.
    let sizes = [0, 5, 8 << 20, (24 << 20) + 3];
    for (index, size) in (0..).zip(sizes) {
        let content: Vec<u8> = (0_u8..=250).cycle().take(size).collect();
        let staged = stage(&attempt, index, content.clone()).await.unwrap();
        assert_eq!(
            staged.path,
            format!("{}/part-{index:05}.parquet", attempt.id())
        );
        assert_eq!(usize::try_from(staged.bytes).unwrap(), size);
        assert_eq!(staged.sha256, <[u8; 32]>::from(Sha256::digest(&content)));
        assert_eq!(
            subject
                .read(&format!("{GRANT}/{delivery}/{}", staged.path))
                .await,
            content
        );
    }
    assert!(
        destination
            .existing_manifest(GRANT, &delivery)
            .await
            .unwrap()
            .is_none()
    );
    let manifest = manifest_of(&attempt);
    assert_eq!(
        attempt.publish(manifest.clone()).await.unwrap(),
        Publication::Published
    );
    let found = destination
        .existing_manifest(GRANT, &delivery)
        .await
        .unwrap();
    assert_eq!(found, Some(manifest.clone()));
    assert_eq!(
        subject
            .read(&format!("{GRANT}/{delivery}/manifest.json"))
            .await,
        manifest
    );
    let url = destination.manifest_url(GRANT, &delivery).unwrap();
    assert_eq!(
        url,
        format!("{}/{GRANT}/{delivery}/manifest.json", destination.url())
    );
    // Discarding what is published must not take it away.
    attempt.discard().await.unwrap();
    assert_eq!(
        subject.listed(&format!("{GRANT}/{delivery}")).await.len(),
        sizes.len() + 1
    );
}

/// Of attempts that publish at once exactly one wins, and all others are given its manifest.
pub async fn one_of_many_attempts_wins(subject: Subject<'_>, attempts: usize) {
    let delivery = new_delivery();
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..attempts {
        let attempt = subject.destination.begin(GRANT, &delivery).await.unwrap();
        stage(&attempt, 0, attempt.id().into()).await.unwrap();
        racing.spawn(async move {
            let published = attempt.publish(manifest_of(&attempt)).await;
            (attempt, published)
        });
    }
    let outcomes = racing.join_all().await;
    let manifest = subject
        .destination
        .existing_manifest(GRANT, &delivery)
        .await
        .unwrap()
        .unwrap();
    let mut winners = 0;
    for (attempt, published) in outcomes {
        match published.unwrap() {
            Publication::Published => {
                assert_eq!(
                    manifest,
                    manifest_of(&attempt),
                    "the manifest is the winner's"
                );
                winners += 1;
            }
            Publication::AlreadyPublished(found) => {
                assert_eq!(found, manifest, "a loser is given the winner's manifest");
                attempt.discard().await.unwrap();
            }
            Publication::Withdrawn => panic!("nobody took it back"),
        }
    }
    assert_eq!(winners, 1);
    // The winner's file and the manifest are all that is left.
    assert_eq!(
        subject.listed(&format!("{GRANT}/{delivery}")).await.len(),
        2
    );
}

/// A publication repeated after a lost answer finds its own manifest.
pub async fn the_same_manifest_twice_is_one_publication(subject: Subject<'_>) {
    let attempt = subject
        .destination
        .begin(GRANT, &new_delivery())
        .await
        .unwrap();
    for _ in 0..2 {
        let published = attempt.publish(manifest_of(&attempt)).await.unwrap();
        assert_eq!(published, Publication::Published);
    }
}

/// A staged file that was removed, or cut, keeps the manifest from being created.
pub async fn nothing_is_published_without_its_files(subject: Subject<'_>) {
    let delivery = new_delivery();
    let attempt = subject.destination.begin(GRANT, &delivery).await.unwrap();
    let staged = stage(&attempt, 0, b"content".to_vec()).await.unwrap();
    let object = subject.path(&format!("{GRANT}/{delivery}/{}", staged.path));
    for damage in [Some("short"), None] {
        match damage {
            Some(content) => {
                let content = content.to_owned().into();
                subject
                    .objects
                    .put_opts(&object, content, Default::default())
                    .await
                    .unwrap();
            }
            None => object_store::ObjectStoreExt::delete(subject.objects, &object)
                .await
                .unwrap(),
        }
        let error = attempt.publish(manifest_of(&attempt)).await.unwrap_err();
        assert!(matches!(error, ConnectorError::Altered { .. }), "{error}");
        assert!(error.to_string().contains("part-00000.parquet"), "{error}");
        assert!(
            subject
                .destination
                .existing_manifest(GRANT, &delivery)
                .await
                .unwrap()
                .is_none()
        );
    }
    attempt.discard().await.unwrap();
    assert!(
        subject
            .listed(&format!("{GRANT}/{delivery}"))
            .await
            .is_empty()
    );
}

/// Whoever may take a publication back is asked after the files were looked for, and is heard; so is a
/// stop. Nothing is made, and what was staged can be discarded, or published after all.
pub async fn what_is_withdrawn_is_not_published(subject: Subject<'_>) {
    let delivery = new_delivery();
    let attempt = subject.destination.begin(GRANT, &delivery).await.unwrap();
    stage(&attempt, 0, b"content".to_vec()).await.unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&asked);
    let refused: Arc<dyn Fn() -> bool + Send + Sync> = Arc::new(move || {
        counting.fetch_add(1, Ordering::Relaxed);
        false
    });
    let manifest = manifest_of(&attempt);
    let published = attempt.publish_while(manifest.clone(), &refused).await;
    assert_eq!(published.unwrap(), Publication::Withdrawn);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let found = subject.destination.existing_manifest(GRANT, &delivery);
    assert!(found.await.unwrap().is_none());
    assert_eq!(
        subject.listed(&format!("{GRANT}/{delivery}")).await.len(),
        1,
        "the staged file alone"
    );
    let published = attempt.publish(manifest).await.unwrap();
    assert_eq!(published, Publication::Published);
    let stopped = subject.destination.begin(GRANT, &new_delivery()).await;
    let stopped = stopped.unwrap();
    stopped.stop();
    let published = stopped.publish(manifest_of(&stopped)).await.unwrap();
    assert_eq!(published, Publication::Withdrawn);
    stopped.discard().await.unwrap();
}

/// A writer dropped half way, on either side of an upload's first request, names nothing.
pub async fn a_writer_that_goes_away_leaves_nothing(subject: Subject<'_>) {
    let delivery = new_delivery();
    let attempt = subject.destination.begin(GRANT, &delivery).await.unwrap();
    for (index, size) in [(0, 10), (1, 20 << 20)] {
        let mut part = attempt.part(index, "csv").unwrap();
        tokio::task::spawn_blocking(move || part.write_all(&vec![7; size]))
            .await
            .unwrap()
            .unwrap();
    }
    attempt.discard().await.unwrap();
    assert!(
        subject
            .listed(&format!("{GRANT}/{delivery}"))
            .await
            .is_empty()
    );
}

/// An attempt of a killed run is invisible, and goes when it is old and not running.
pub async fn orphans_are_swept_by_age(subject: Subject<'_>) {
    let delivery = new_delivery();
    let attempt = subject.destination.begin(GRANT, &delivery).await.unwrap();
    stage(&attempt, 0, b"orphan".to_vec()).await.unwrap();
    let id = attempt.id().to_owned();
    drop(attempt);
    assert!(
        subject
            .destination
            .existing_manifest(GRANT, &delivery)
            .await
            .unwrap()
            .is_none()
    );

    let now = newest(subject).await;
    let hour = Duration::from_secs(3600);
    let later = now + TimeDelta::hours(2);
    assert!(
        !subject.sweep(hour, now, &[]).await.contains(&id),
        "it is young"
    );
    assert!(
        !subject.sweep(hour, later, &[&id]).await.contains(&id),
        "it is running"
    );
    assert!(
        subject.sweep(hour, later, &[]).await.contains(&id),
        "it is an orphan"
    );
    assert!(
        subject
            .listed(&format!("{GRANT}/{delivery}"))
            .await
            .is_empty()
    );
}

/// An attempt whose delivery another one published goes whatever its age, unless it is running.
pub async fn losers_are_swept_at_once(subject: Subject<'_>) {
    let delivery = new_delivery();
    let loser = subject.destination.begin(GRANT, &delivery).await.unwrap();
    let winner = subject.destination.begin(GRANT, &delivery).await.unwrap();
    for attempt in [&loser, &winner] {
        stage(attempt, 0, b"content".to_vec()).await.unwrap();
    }
    winner.publish(manifest_of(&winner)).await.unwrap();
    let lost = loser.id().to_owned();
    drop(loser);
    let now = newest(subject).await;
    assert!(
        !subject
            .sweep(Duration::MAX, now, &[&lost])
            .await
            .contains(&lost)
    );
    assert_eq!(subject.sweep(Duration::MAX, now, &[]).await, [lost].into());
    assert_eq!(
        subject.listed(&format!("{GRANT}/{delivery}")).await.len(),
        2
    );
}

/// An attempt whose files a sweep took, because it had lost, is told so and not of damage.
pub async fn a_swept_loser_learns_that_it_lost(subject: Subject<'_>) {
    let delivery = new_delivery();
    let loser = subject.destination.begin(GRANT, &delivery).await.unwrap();
    let winner = subject.destination.begin(GRANT, &delivery).await.unwrap();
    stage(&loser, 0, b"content".to_vec()).await.unwrap();
    winner.publish(manifest_of(&winner)).await.unwrap();
    let now = newest(subject).await;
    assert!(
        subject
            .sweep(Duration::MAX, now, &[])
            .await
            .contains(loser.id())
    );
    let published = loser.publish(manifest_of(&loser)).await.unwrap();
    assert_eq!(
        published,
        Publication::AlreadyPublished(manifest_of(&winner))
    );
    loser.discard().await.unwrap();
}

/// Neither age nor an unreadable manifest lets a published file be removed.
pub async fn what_a_manifest_names_stays(subject: Subject<'_>) {
    let delivery = new_delivery();
    let attempt = subject.destination.begin(GRANT, &delivery).await.unwrap();
    stage(&attempt, 0, b"content".to_vec()).await.unwrap();
    attempt.publish(manifest_of(&attempt)).await.unwrap();
    let later = newest(subject).await + TimeDelta::days(10_000);
    let swept = subject.sweep(Duration::ZERO, later, &[]).await;
    assert!(!swept.contains(attempt.id()));
    let rules = Sweep {
        older_than: Duration::ZERO,
        now: later,
        running: &BTreeSet::new(),
        named: &|_| None,
    };
    assert!(
        subject
            .destination
            .sweep(GRANT, &rules)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        subject.listed(&format!("{GRANT}/{delivery}")).await.len(),
        2
    );
}

/// No id can lead out of the destination.
pub async fn names_that_are_no_ids_are_refused(subject: Subject<'_>) {
    let destination = subject.destination;
    let delivery = new_delivery();
    for grant in ["", "..", "a/b", "/etc", ".lockgate", "a\\b", "a b", "甲"] {
        assert!(
            destination.begin(grant, &delivery).await.is_err(),
            "{grant}"
        );
        assert!(
            destination
                .existing_manifest(grant, &delivery)
                .await
                .is_err(),
            "{grant}"
        );
    }
    for bad in [
        "",
        "..",
        &"A".repeat(32),
        &"0".repeat(31),
        &format!("{}/", "0".repeat(31)),
    ] {
        assert!(destination.begin(GRANT, bad).await.is_err(), "{bad}");
        assert!(destination.manifest_url(GRANT, bad).is_err(), "{bad}");
    }
    let attempt = destination.begin(GRANT, &delivery).await.unwrap();
    for extension in ["", ".", "a/b", "..", "a.b.c", "/etc/passwd"] {
        assert!(attempt.part(0, extension).is_err(), "{extension}");
    }
    attempt.discard().await.unwrap();
}

impl Subject<'_> {
    fn path(&self, relative: &str) -> Path {
        let mut path = self.prefix.clone();
        path.extend(relative.split('/').filter(|part| !part.is_empty()));
        path
    }

    async fn read(&self, relative: &str) -> Bytes {
        let found = self
            .objects
            .get_opts(&self.path(relative), Default::default())
            .await;
        found.unwrap().bytes().await.unwrap()
    }

    async fn listed(&self, relative: &str) -> Vec<String> {
        let path = self.path(relative);
        let found = self
            .objects
            .list(Some(&path))
            .map_ok(|meta| meta.location.to_string());
        found.try_collect().await.unwrap()
    }

    async fn sweep(
        &self,
        older_than: Duration,
        now: DateTime<Utc>,
        running: &[&str],
    ) -> BTreeSet<String> {
        let rules = Sweep {
            older_than,
            now,
            running: &running.iter().map(|id| (*id).to_owned()).collect(),
            named: &named_by_test_manifest,
        };
        let swept = self.destination.sweep(GRANT, &rules).await.unwrap();
        swept.into_iter().map(|swept| swept.attempt).collect()
    }
}

/// The store's clock, as far as its newest file tells it.
async fn newest(subject: Subject<'_>) -> DateTime<Utc> {
    let found = subject
        .objects
        .list(Some(subject.prefix))
        .map_ok(|meta| meta.last_modified);
    found
        .try_collect::<Vec<_>>()
        .await
        .unwrap()
        .into_iter()
        .max()
        .unwrap()
}

async fn stage(
    attempt: &Attempt,
    index: u32,
    content: Vec<u8>,
) -> Result<StagedFile, ConnectorError> {
    let mut part = attempt.part(index, "parquet")?;
    let written = tokio::task::spawn_blocking(move || {
        // Pieces as an encoder gives them: neither whole buffers nor single bytes.
        for piece in content.chunks(300_001) {
            part.write_all(piece).unwrap();
        }
        part.finish()
    });
    written.await.unwrap()
}

/// A manifest in the battery's own form: all that matters is the attempt it names.
fn manifest_of(attempt: &Attempt) -> Bytes {
    format!("attempt {}", attempt.id()).into()
}

fn named_by_test_manifest(manifest: &[u8]) -> Option<String> {
    std::str::from_utf8(manifest)
        .ok()?
        .strip_prefix("attempt ")
        .map(ToOwned::to_owned)
}

fn new_delivery() -> String {
    format!("{}{}", random_id().unwrap(), random_id().unwrap())
}
