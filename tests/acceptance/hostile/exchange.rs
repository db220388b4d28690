//! One small exchange, run again and again in this process over whatever a test puts into its
//! source, and held to the same promises each time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use lockgate::clock::Clock;
use lockgate::engine::Progress;
use lockgate::error::RunError;
use lockgate::installation::Installation;
use lockgate::run::{RunReport, RunRequest, Status};
use lockgate::verify::verify_delivery;
use lockgate_acceptance::site::{Dataset, Grant, Site};
use lockgate_connectors::keyring::Purpose;
use lockgate_connectors::{
    ConnectorError, Format, ReadRequest, SourceSpec, Store, StoreConfig, open_source,
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

/// Id of the grant of every exchange here.
pub(super) const GRANT: &str = "G-hostile";

/// Longest that a run over a few kilobytes may take, with room for a busy machine.
const TIME_MAX: Duration = Duration::from_secs(120);

/// A site with one dataset and one signed grant of all its fields.
pub(super) struct Exchange {
    pub(super) site: Site,
    runtime: Runtime,
    /// Texts of the source that no message may hold.
    secrets: Vec<String>,
}

impl Exchange {
    pub(super) fn new(dataset: &Dataset, grant: &Grant, secrets: &[&str]) -> Self {
        Self::prepared(dataset, grant, secrets, &[])
    }

    /// The same, with files of the site that the dataset names.
    pub(super) fn prepared(
        dataset: &Dataset,
        grant: &Grant,
        secrets: &[&str],
        files: &[(&str, &str)],
    ) -> Self {
        let site = Site::new(PROGRAM);
        for (file, text) in files {
            site.write(file, text);
        }
        site.dataset(dataset);
        site.signed(grant);
        fs::create_dir_all(site.path(&format!("lake/{}", dataset.id()))).expect("a source");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        Self {
            site,
            runtime,
            secrets,
        }
    }

    /// Runs the grant. A failure leaves the destination as it was and tells nothing it must not; a
    /// delivery verifies and holds the rows it says.
    #[track_caller]
    pub(super) fn run(&self) -> Result<RunReport, RunError> {
        let before = self.delivered();
        let result = self.runtime.block_on(async {
            let run = Box::pin(self.run_once());
            tokio::time::timeout(TIME_MAX, run)
                .await
                .expect("an end of the run")
        });
        match &result {
            Ok(report) if report.status == Status::Refused => {
                assert_eq!(self.delivered(), before, "{report:?}");
                self.discreet(&format!("{report:?}"));
            }
            Ok(report) => self.holds(report),
            Err(error) => {
                assert_eq!(self.delivered(), before, "{error}");
                let text = error.to_string();
                self.discreet(&format!("{text} {error:?}"));
                assert!(text.len() < 2000, "{text}");
                assert!(!["bug", "internal"].contains(&error.class()), "{text}");
                assert_eq!(error.exit_code(), 1, "{text}");
            }
        }
        result
    }

    /// Reads every row of the source, as a run would, and counts them. An error tells nothing it must
    /// not.
    pub(super) fn read(&self, format: Format) -> Result<u64, ConnectorError> {
        let result = self.runtime.block_on(async {
            let read = Box::pin(self.read_once(format));
            tokio::time::timeout(TIME_MAX, read)
                .await
                .expect("an end of the read")
        });
        if let Err(error) = &result {
            self.discreet(&format!("{error} {error:?}"));
        }
        result
    }

    async fn read_once(&self, format: Format) -> Result<u64, ConnectorError> {
        let dataset = lockgate::site::Site::load(&self.site.root()).expect("a site");
        let dataset = dataset.datasets.values().next().expect("a dataset");
        let fields = dataset.schema().expect("fields");
        let spec = SourceSpec {
            store: Store::open(&StoreConfig::new("file:lake", self.site.root()))?,
            path: dataset.source.path.clone().expect("a path"),
            format,
            fields: Arc::clone(&fields),
        };
        let request = ReadRequest {
            projection: fields
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect(),
            pruning: None,
            batch_rows: 128,
        };
        let source = Box::pin(open_source(spec, request)).await?;
        let mut rows = 0;
        for split in 0..source.splits().len() {
            let mut batches = source.open(split).await?;
            while let Some(batch) = batches.next().await {
                rows += u64::try_from(batch?.batch.num_rows()).expect("few rows");
            }
        }
        Ok(rows)
    }

    async fn run_once(&self) -> Result<RunReport, RunError> {
        let installation = Installation::open(&self.site.root(), Clock::System)?;
        let request = RunRequest {
            grant: GRANT,
            output: None,
            again: false,
        };
        let progress = Arc::new(Progress::default());
        let cancel = CancellationToken::new();
        Box::pin(lockgate::run::run(
            &installation,
            &request,
            progress,
            &cancel,
        ))
        .await
    }

    /// Every file at the destination.
    fn delivered(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.site.path("outbox")];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.insert(path);
                }
            }
        }
        found
    }

    fn discreet(&self, text: &str) {
        for secret in &self.secrets {
            assert!(!text.contains(secret), "{text}");
        }
    }

    #[track_caller]
    fn holds(&self, report: &RunReport) {
        let url = report.delivery.as_deref().expect("a delivery");
        let store =
            Store::open(&StoreConfig::new(url, Path::new("/"))).expect("a delivery's store");
        let installation =
            Installation::open(&self.site.root(), Clock::System).expect("an installation");
        let keys = |purpose| {
            installation
                .keyring()
                .verifying_keys(purpose)
                .expect("keys")
        };
        let (manifest, ledger) = (keys(Purpose::Manifest), keys(Purpose::Ledger));
        let verified = self.runtime.block_on(Box::pin(verify_delivery(
            &store.object_store(),
            store.prefix(),
            &manifest,
            Some(&ledger),
        )));
        let verified = verified.expect("a readable delivery");
        assert!(verified.valid, "{verified:?}");
        let rows = report.rows.expect("rows");
        assert_eq!(verified.rows, rows.delivered, "{report:?}");
        assert_eq!(
            rows.read,
            rows.delivered + rows.filtered + rows.rejected,
            "{report:?}"
        );
    }
}
