//! Releases and disposals of one delivery that meet: whatever comes second knows of the first.

use std::fmt;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Decimal128Array, RecordBatch, StringArray};
use ed25519_dalek::SigningKey;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::{
    Attestation, Destroyed, KEY_BYTES, KekAttestation, KekId, KeyEntry, KeyProvider, MasterKey,
};
use parquet::arrow::ArrowWriter;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::*;
use crate::approval::test_site::{GRANT, TestSite};
use crate::approval_record::sign_and_record;
use crate::clock::Clock;
use crate::dispose::{self, DisposeRequest, Disposed};
use crate::engine::Progress;
use crate::ledger::HaltScope;
use crate::run::{RunRequest, run};

const RECIPIENT: &str = "civil-affairs";

fn installation(site: &TestSite) -> Installation {
    let now = "2026-06-01T04:00:00Z".parse().unwrap();
    Installation::of(site.site(), Clock::Fixed(now))
}

/// A file of the dataset that the test site catalogues.
fn write_source(site: &TestSite) {
    let texts = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; 3])) };
    let income = Decimal128Array::from(vec![100; 3]);
    let income: ArrayRef = Arc::new(income.with_precision_and_scale(12, 2).unwrap());
    let batch = RecordBatch::try_from_iter([
        ("id", texts("110105194912310021")),
        ("name", texts("张三")),
        ("gender", texts("2")),
        ("income", income),
        ("region", texts("330106")),
        ("status", texts("active")),
        ("secret", texts("s")),
        ("weighty", texts("w")),
        ("note", texts("n")),
    ])
    .unwrap();
    let folder = site.root().join("lake/residents");
    fs::create_dir_all(&folder).unwrap();
    let file = fs::File::create(folder.join("0.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A site with a delivery whose keys it keeps, and the delivery's folder.
async fn delivered() -> (TestSite, Store) {
    let site = TestSite::new();
    site.grant(
        "seal = \"none\"",
        "seal = \"parquet\"\nrelease = \"online\"",
    );
    write_source(&site);
    let installation = installation(&site);
    for purpose in Purpose::all() {
        installation.keyring().create(*purpose).unwrap();
    }
    sign_and_record(&installation, GRANT, &site.root().join("office.key")).unwrap();
    let request = RunRequest {
        grant: GRANT,
        output: None,
        again: false,
    };
    let cancel = CancellationToken::new();
    let report = run(
        &installation,
        &request,
        Arc::new(Progress::default()),
        &cancel,
    );
    let report = Box::pin(report).await.unwrap();
    let url = report
        .delivery
        .unwrap_or_else(|| panic!("{:?}", report.refusals));
    let folder = installation.store_of_url(&url).unwrap().unwrap();
    (site, folder)
}

/// Does something in a process of its own, as far as the site can tell.
fn meanwhile<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work)
    });
    thread.join().unwrap()
}

async fn disposed(installation: &Installation, folder: &Store) -> Result<Disposed, RunError> {
    let request = DisposeRequest {
        folder,
        statement: None,
        backups_until: None,
        destination_gone: false,
    };
    Box::pin(dispose::dispose(
        installation,
        &request,
        &CancellationToken::new(),
    ))
    .await
}

fn releases_recorded(installation: &Installation) -> usize {
    let history = installation.history().unwrap();
    let released = history
        .iter()
        .filter(|entry| matches!(entry.event, Event::ReleasedKeys { .. }));
    released.count()
}

/// When something is done beside what asks the keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// When the manifest key is asked for, with which a release is signed.
    Signing,
    /// When a KEK is looked at, which a disposal begins with.
    Attesting,
}

/// The site's keyring, and something that happens once while it is asked.
struct Pausing {
    inner: Arc<dyn KeyProvider>,
    at: At,
    once: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Pausing {
    fn over(site: &TestSite, at: At, once: impl FnOnce() + Send + 'static) -> Installation {
        let installation = installation(site);
        let keyring = Self {
            inner: installation.keyring(),
            at,
            once: Mutex::new(Some(Box::new(once))),
        };
        installation.with_keyring(Arc::new(keyring))
    }

    fn pause(&self, at: At) {
        let mut once = self.once.lock().unwrap_or_else(PoisonError::into_inner);
        if at == self.at
            && let Some(once) = once.take()
        {
            once();
        }
    }
}

impl fmt::Debug for Pausing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pausing(..)")
    }
}

impl KeyProvider for Pausing {
    fn get(&self, purpose: Purpose, version: Option<u32>) -> Result<MasterKey, ConnectorError> {
        self.inner.get(purpose, version)
    }

    fn create(&self, purpose: Purpose) -> Result<u32, ConnectorError> {
        self.inner.create(purpose)
    }

    fn list(&self) -> Result<Vec<KeyEntry>, ConnectorError> {
        self.inner.list()
    }

    fn signing_key(&self, purpose: Purpose) -> Result<SigningKey, ConnectorError> {
        if purpose == Purpose::Manifest {
            self.pause(At::Signing);
        }
        self.inner.signing_key(purpose)
    }

    fn public_keys(&self, purpose: Purpose) -> Result<Vec<PublicKey>, ConnectorError> {
        self.inner.public_keys(purpose)
    }

    fn create_kek(&self, id: &KekId) -> Result<(), ConnectorError> {
        self.inner.create_kek(id)
    }

    fn wrap(
        &self,
        id: &KekId,
        key: &[u8; KEY_BYTES],
        aad: &[u8],
    ) -> Result<Vec<u8>, ConnectorError> {
        self.inner.wrap(id, key, aad)
    }

    fn unwrap(
        &self,
        id: &KekId,
        wrapped: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, ConnectorError> {
        self.inner.unwrap(id, wrapped, aad)
    }

    fn destroy_kek(&self, id: &KekId) -> Result<Destroyed, ConnectorError> {
        self.inner.destroy_kek(id)
    }

    fn keks(&self) -> Result<Vec<KekId>, ConnectorError> {
        self.inner.keks()
    }

    fn attest_kek(&self, id: &KekId) -> Result<KekAttestation, ConnectorError> {
        self.pause(At::Attesting);
        self.inner.attest_kek(id)
    }

    fn attest(&self) -> Result<Attestation, ConnectorError> {
        self.inner.attest()
    }

    fn destroy(&self, purpose: Purpose, version: u32) -> Result<(), ConnectorError> {
        self.inner.destroy(purpose, version)
    }

    fn rotate(&self) -> Result<u32, ConnectorError> {
        self.inner.rotate()
    }
}

#[tokio::test]
async fn no_key_leaves_behind_a_disposal() {
    let (site, folder) = delivered().await;
    let (other, place) = (installation(&site), folder.clone());
    let releasing = Pausing::over(&site, At::Signing, move || {
        let disposed = meanwhile(async move { disposed(&other, &place).await });
        assert_eq!(disposed.unwrap().record.releases, 0);
    });
    let refused = Box::pin(release(&releasing, &folder, RECIPIENT)).await;
    assert!(
        matches!(refused, Err(RunError::Denied { .. })),
        "{refused:?}"
    );
    assert_eq!(releases_recorded(&releasing), 0);
}

#[tokio::test]
async fn a_disposal_counts_the_release_that_was_just_before_it() {
    let (site, folder) = delivered().await;
    let (other, place) = (installation(&site), folder.clone());
    let disposing = Pausing::over(&site, At::Attesting, move || {
        meanwhile(async move {
            Box::pin(release(&other, &place, RECIPIENT)).await.unwrap();
        });
    });
    let disposed = disposed(&disposing, &folder).await.unwrap();
    assert_eq!(disposed.record.releases, 1);
    let said = disposed.record.does_not_cover.join("; ");
    assert!(
        said.contains("released to the recipient before (1 times)"),
        "{said}"
    );
    // And none after it.
    let refused = Box::pin(release(&installation(&site), &folder, RECIPIENT)).await;
    assert!(matches!(refused, Err(RunError::Denied { .. })));
}

#[tokio::test]
async fn what_stops_the_grant_meanwhile_stops_the_release() {
    let (site, folder) = delivered().await;
    let other = installation(&site);
    let releasing = Pausing::over(&site, At::Signing, move || {
        let halted = Event::Halted {
            scope: HaltScope::All,
            reason: "a leak is looked for".to_owned(),
        };
        let ledger = other.ledger().unwrap();
        ledger.append(&halted, other.clock.now()).unwrap();
    });
    let refused = Box::pin(release(&releasing, &folder, RECIPIENT)).await;
    assert!(matches!(refused, Err(RunError::Refused(_))), "{refused:?}");
    assert_eq!(releases_recorded(&releasing), 0);
}

#[tokio::test]
async fn keys_are_released_for_whom_and_under_what_the_delivery_was_made() {
    let (site, folder) = delivered().await;
    let office = site.root().join("office.key");
    let recipient = site.read("recipients/civil-affairs.toml");
    let thief = fs::read_to_string(site.root().join("thief.pub")).unwrap();
    let others = recipient.replace("civil-affairs", "others");
    let own = others.split('"').find(|text| text.starts_with("x25519:"));
    let others = others.replace(own.unwrap(), thief.trim());
    site.write("recipients/others.toml", &others);
    // Of the same version, signed anew: another grant all the same.
    site.grant("recipient = \"civil-affairs\"", "recipient = \"others\"");
    sign_and_record(&installation(&site), GRANT, &office).unwrap();
    for to in [RECIPIENT, "others"] {
        let refused = Box::pin(release(&installation(&site), &folder, to)).await;
        assert!(
            matches!(refused, Err(RunError::Denied { .. })),
            "{to}: {refused:?}"
        );
    }
    assert_eq!(releases_recorded(&installation(&site)), 0);
}
