//! Sites to run the program on while something goes wrong, and what an outside reader sees of them.
//!
//! One site is made and signed per test process; every test works on a copy of it, with the same
//! keys, grants and source, so that what is delivered can be compared across copies byte for byte.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use lockgate::demo::generate::Table;
use lockgate::ledger::{self, Event, History, Ledger};
use lockgate::manifest::{Manifest, Rows};
use lockgate::verify::verify_delivery;
use lockgate_acceptance::s3::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Server};
use lockgate_connectors::keyring::{LocalKeyring, Purpose};
use lockgate_connectors::{Store, StoreConfig};
use object_store::ObjectStoreExt as _;
use object_store::path::Path as ObjectPath;
use parquet::arrow::ArrowWriter;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The grant that most tests run: eight fields, of which two become pseudonyms.
pub(crate) const GRANT: &str = "G-payments";

/// Another grant, over another dataset.
pub(crate) const OTHER_GRANT: &str = "G-enterprises";

/// Buckets of [`server`].
const BUCKETS: [&str; 2] = ["lake", "outbox"];

const SEED: u64 = 7;

/// Files of the source, each of which is at least one split.
const FILES: u64 = 6;

/// Rows of the source, a multiple of [`FILES`].
pub(crate) fn rows() -> u64 {
    number("LOCKGATE_ROWS", 36_000).next_multiple_of(FILES)
}

/// A number from the environment, for long forms of tests.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var_os(name).map_or(default, |text| {
        let number = text.to_str().and_then(|text| text.parse().ok());
        number.unwrap_or_else(|| panic!("{name} is no number"))
    })
}

/// What a shell says so that its programs may leave cores as large as the system lets them.
pub(crate) const ALLOWING_CORES: &str = "ulimit -S -c \"$(ulimit -H -c)\"";

/// Longest that any run may take here. A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program: the one built with the tests, or the one that `LOCKGATE_PROGRAM` names.
fn program() -> PathBuf {
    std::env::var_os("LOCKGATE_PROGRAM").map_or_else(
        || env!("CARGO_BIN_EXE_lockgate-under-test").into(),
        PathBuf::from,
    )
}

/// The site that all others are copies of.
struct Template {
    directory: TempDir,
}

impl Template {
    fn shared() -> &'static Self {
        static TEMPLATE: OnceLock<Template> = OnceLock::new();
        TEMPLATE.get_or_init(Self::make)
    }

    fn make() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("site");
        lockgate::demo::prepare(&root, 2_000, SEED).unwrap();
        let lake = root.join("lake/payments");
        fs::remove_dir_all(&lake).unwrap();
        fs::create_dir(&lake).unwrap();
        let each = rows() / FILES;
        for file in 0..FILES {
            let rows = file * each..(file + 1) * each;
            write_payments(&lake.join(format!("part-{file:02}.parquet")), rows, SEED);
        }
        let grant = root.join(format!("grants/{GRANT}.toml"));
        let text = fs::read_to_string(&grant).unwrap();
        let text = text.replace("[treatments]", "quota = { runs = 1 }\n\n[treatments]");
        fs::write(&grant, text).unwrap();
        for grant in [GRANT, OTHER_GRANT] {
            sign(&root, grant);
        }
        Self { directory }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("site")
    }
}

/// Writes rows of the payments table as one Parquet file.
pub(crate) fn write_payments(path: &Path, rows: std::ops::Range<u64>, seed: u64) {
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, Table::Payments.schema(), None).unwrap();
    writer
        .write(&Table::Payments.rows(rows, seed).unwrap())
        .unwrap();
    writer.close().unwrap();
}

/// A server with a bucket for sources and one for deliveries.
pub(crate) fn server() -> Arc<Server> {
    Arc::new(Server::start(&BUCKETS).unwrap())
}

/// A site of one test.
pub(crate) struct ExchangeSite {
    directory: TempDir,
    destination: String,
    server: Option<Arc<Server>>,
}

impl ExchangeSite {
    /// A site that reads from and delivers to directories of its own.
    pub(crate) fn on_files() -> Self {
        Self::new(None, None)
    }

    /// A site that reads from and delivers to a server, each under a prefix of its own.
    pub(crate) fn on_s3(server: &Arc<Server>) -> Self {
        Self::new(Some(server), Some(server))
    }

    /// A site that reads from and delivers to these servers, or to directories of its own.
    pub(crate) fn new(lake: Option<&Arc<Server>>, outbox: Option<&Arc<Server>>) -> Self {
        let directory = copy_of_template();
        let unique = directory.path().file_name().unwrap().to_str().unwrap();
        let prefix = unique.trim_start_matches('.').to_owned();
        let destination = match outbox {
            Some(_) => format!("s3://outbox/{prefix}"),
            None => format!("file://{}", directory.path().join("site/outbox").display()),
        };
        let site = Self {
            directory,
            destination,
            server: outbox.cloned(),
        };
        if let Some(server) = outbox {
            site.use_store("outbox", &site.destination, &server.endpoint());
        }
        if let Some(server) = lake {
            let lake = site.lake(server);
            upload(&site.path("lake"), &lake);
            site.use_store("lake", lake.url(), &server.endpoint());
            // What was approved names the store that is read.
            site.sign(GRANT);
        }
        site
    }

    /// A site with the same keys and source files as this one, which delivers to the same place.
    pub(crate) fn twin(&self) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(&self.root(), &directory.path().join("site"));
        let twin = Self {
            directory,
            destination: self.destination.clone(),
            server: self.server.clone(),
        };
        if self.server.is_none() {
            twin.edit(
                "lockgate.toml",
                "url = \"file:outbox\"",
                &format!("url = \"{}\"", self.destination),
            );
        }
        twin
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("site")
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// Replaces text in one of the site's files.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Makes one of the site's stores a place on an S3 server.
    pub(crate) fn use_store(&self, name: &str, url: &str, endpoint: &str) {
        for (file, secret) in [("s3-id", ACCESS_KEY_ID), ("s3-secret", SECRET_ACCESS_KEY)] {
            fs::write(self.path(file), secret).unwrap();
        }
        let section = format!(
            "url = \"{url}\"\nendpoint = \"{endpoint}\"\nallow_http = true\n\
             access_key_id = {{ file = \"s3-id\" }}\nsecret_access_key = {{ file = \"s3-secret\" }}"
        );
        self.edit("lockgate.toml", &format!("url = \"file:{name}\""), &section);
    }

    /// Has a grant approved as it resolves now.
    pub(crate) fn sign(&self, grant: &str) {
        sign(&self.root(), grant);
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(&self.root(), arguments)
    }

    /// Starts an exchange.
    pub(crate) fn start_run(&self) -> Running {
        self.start(&["run", GRANT])
    }

    /// Starts an exchange that is killed before a thread of it makes its `nth` call of `call`.
    pub(crate) fn start_run_killed_before(&self, call: &str, nth: u64) -> Running {
        let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
        let trace = format!("trace={call}");
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject])
            .arg(program());
        Running::spawn(&mut strace, &self.root(), &["run", GRANT])
    }

    /// Starts an exchange where the system would write a core of any size, as far as it lets anybody.
    pub(crate) fn start_run_allowed_cores(&self) -> Running {
        let mut shell = Command::new("sh");
        let script = format!("{ALLOWING_CORES} && exec \"$0\" \"$@\"");
        shell.args(["-c", script.as_str()]).arg(program());
        Running::spawn(&mut shell, &self.root(), &["run", GRANT])
    }

    /// Runs the exchange to its end.
    pub(crate) fn run(&self) -> Ended {
        self.start_run().ended()
    }

    /// The place of the source on `server`.
    pub(crate) fn lake(&self, server: &Server) -> Store {
        let unique = self.directory.path().file_name().unwrap().to_str().unwrap();
        server
            .store(&format!("s3://lake/{}", unique.trim_start_matches('.')))
            .unwrap()
    }

    /// The store that deliveries are read from, as a recipient would.
    pub(crate) fn destination(&self) -> Store {
        match &self.server {
            Some(server) => server.store(&self.destination).unwrap(),
            None => Store::open(&StoreConfig::new(&self.destination, "/")).unwrap(),
        }
    }

    pub(crate) fn keyring(&self) -> LocalKeyring {
        LocalKeyring::open(self.path("keys"))
    }

    /// The ledger, which must verify, whatever happened before.
    pub(crate) fn ledger(&self) -> History {
        let directory = self.path("state/ledger");
        let keys = self.keyring().verifying_keys(Purpose::Ledger).unwrap();
        let report = ledger::verify(&directory, Some(&keys));
        assert!(report.valid, "{:?}", report.problems);
        Ledger::reader(&directory).unwrap().entries().unwrap()
    }

    /// Counts events of each kind about a grant: intended, released, abandoned.
    pub(crate) fn releases(&self, id: &str) -> (usize, usize, usize) {
        let (mut intended, mut released, mut abandoned) = (0, 0, 0);
        for entry in self.ledger().iter() {
            match &entry.event {
                Event::ReleaseIntended { grant, .. } if grant == id => intended += 1,
                Event::Released { grant, .. } if grant == id => released += 1,
                Event::Abandoned { grant, .. } if grant == id => abandoned += 1,
                Event::GrantSigned { .. }
                | Event::MarkingBegun { .. }
                | Event::ReleaseIntended { .. }
                | Event::Released { .. }
                | Event::Abandoned { .. }
                | Event::Previewed { .. }
                | Event::GrantMoved { .. }
                | Event::Halted { .. }
                | Event::HaltLifted { .. }
                | Event::QuotaReserved { .. }
                | Event::QuotaReturned { .. }
                | Event::KeyringChanged { .. }
                | Event::Refused { .. }
                | Event::TokensKept { .. }
                | Event::TokensRevealed { .. }
                | Event::TraceBegun { .. }
                | Event::Traced { .. }
                | Event::ReceiptAccepted { .. }
                | Event::ReleasedKeys { .. }
                | Event::DisposalIntended { .. }
                | Event::Disposed { .. }
                | Event::Revealed { .. }
                | Event::Replayed { .. } => {}
            }
        }
        (intended, released, abandoned)
    }

    /// The checkpoint of the ledger as its file stands, to see an append from outside.
    pub(crate) fn checkpoint(&self) -> Vec<u8> {
        fs::read(self.path("state/ledger/checkpoint")).unwrap_or_default()
    }

    /// Every object below the destination, without what the probe of a killed run leaves.
    pub(crate) fn objects(&self) -> Vec<String> {
        let store = self.destination();
        let objects = wait(async {
            let listed = store.object_store().list(Some(store.prefix()));
            match listed.try_collect::<Vec<_>>().await {
                Err(object_store::Error::NotFound { .. }) => Vec::new(),
                listed => listed.unwrap(),
            }
        });
        let prefix = format!("{}/", store.prefix());
        let mut names: Vec<String> = objects
            .iter()
            .map(|object| {
                object
                    .location
                    .as_ref()
                    .strip_prefix(&prefix)
                    .unwrap()
                    .to_owned()
            })
            .filter(|name| !name.starts_with(".lockgate/"))
            .collect();
        names.sort_unstable();
        names
    }

    /// Whether the destination's directory has a file whose name ends so. Quick, to see a run pass.
    pub(crate) fn has_file(&self, end: &str) -> bool {
        has_file(&self.path("outbox"), end)
    }

    /// What a recipient finds: the deliveries that have a manifest. Each must verify completely.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let store = self.destination();
        let manifests = self.keyring().verifying_keys(Purpose::Manifest).unwrap();
        let ledger = self.keyring().verifying_keys(Purpose::Ledger).unwrap();
        let names = self.objects();
        let found = names
            .iter()
            .filter(|name| name.rsplit('/').next() == Some("manifest.json"));
        found
            .map(|name| {
                let folder = name.strip_suffix("/manifest.json").unwrap();
                assert_eq!(
                    folder.split('/').count(),
                    2,
                    "a manifest in an odd place: {name}"
                );
                let folder = ObjectPath::from(format!("{}/{folder}", store.prefix()));
                let (report, bytes) = wait(async {
                    let objects = store.object_store();
                    let manifest = folder.clone().join("manifest.json");
                    let manifest = objects.get(&manifest).await.unwrap();
                    (
                        verify_delivery(&objects, &folder, &manifests, Some(&ledger)).await,
                        manifest.bytes().await.unwrap(),
                    )
                });
                let report = report.unwrap();
                assert!(
                    report.valid,
                    "a delivery is visible and incomplete: {:?}",
                    report.problems
                );
                Delivery::of(&Manifest::open(&bytes, &manifests).unwrap())
            })
            .collect()
    }

    /// The one delivery that must be there, with nothing left behind beside it.
    pub(crate) fn only_delivery(&self) -> Delivery {
        let mut deliveries = self.deliveries();
        assert_eq!(deliveries.len(), 1, "{deliveries:?}");
        deliveries.remove(0)
    }

    /// Nothing that a reader could take for a delivery, no attempt left lying about, and no release
    /// in the ledger.
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(
            self.objects(),
            [""; 0],
            "something was left at the destination"
        );
        let (intended, released, abandoned) = self.releases(GRANT);
        assert_eq!((intended, released), (abandoned, 0));
    }

    /// One delivery of everything, released once and settled, its files alone at the destination.
    pub(crate) fn assert_delivered_once(&self) -> Delivery {
        let delivery = self.only_delivery();
        assert_eq!(delivery.content.rows.read, rows());
        assert_eq!(
            self.objects().len(),
            1 + delivery.content.files.len(),
            "{:?}",
            self.objects()
        );
        let (intended, released, abandoned) = self.releases(GRANT);
        assert_eq!(
            (released, intended),
            (1, 1 + abandoned),
            "each intent settled, one released"
        );
        let used = self.ledger().quota_use();
        assert_eq!(used.get(GRANT), Some(&(1, delivery.content.rows.delivered)));
        delivery
    }
}

/// What a delivery holds, as its verified manifest says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delivery {
    pub(crate) grant: String,
    pub(crate) attempt: String,
    pub(crate) run: String,
    pub(crate) content: Content,
}

/// What must be the same however often a run was begun.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Content {
    /// Name within the attempt, bytes, rows, SHA-256.
    pub(crate) files: Vec<(String, u64, u64, String)>,
    pub(crate) rows: Rows,
    counts: String,
}

impl Delivery {
    fn of(manifest: &Manifest) -> Self {
        let files = manifest.files.iter().map(|file| {
            let (attempt, name) = file.path.split_once('/').unwrap();
            assert_eq!(attempt, manifest.attempt);
            (name.to_owned(), file.bytes, file.rows, file.sha256.clone())
        });
        Self {
            grant: manifest.grant.id.clone(),
            attempt: manifest.attempt.clone(),
            run: manifest.run.clone(),
            content: Content {
                files: files.collect(),
                rows: manifest.rows,
                counts: format!("{:?}", manifest.treatment_counts),
            },
        }
    }
}

/// A program that runs.
pub(crate) struct Running {
    child: Child,
    started: Instant,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Since it was started.
    pub(crate) after: Duration,
}

impl Ended {
    /// The JSON document on standard output.
    pub(crate) fn document(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no document ({error}): {self:?}; {}", self.stderr))
    }

    /// `status` of a run's document.
    pub(crate) fn status(&self) -> String {
        self.document()["status"]
            .as_str()
            .unwrap_or("no status")
            .to_owned()
    }

    /// Whether the run delivered, with or without rejected rows.
    pub(crate) fn delivered(&self) -> bool {
        matches!(
            (self.code, self.status().as_str()),
            (Some(0), "delivered") | (Some(5), "delivered-with-rejects")
        )
    }

    /// Whether it failed with this exit code and class, and published nothing.
    pub(crate) fn failed(&self, code: i32, class: &str) -> bool {
        self.code == Some(code) && self.document()["error"]["class"] == class
    }

    /// Whether the run found its delivery published before.
    pub(crate) fn unchanged(&self) -> bool {
        self.code == Some(0) && self.status() == "unchanged"
    }
}

impl Running {
    fn start(root: &Path, arguments: &[&str]) -> Self {
        Self::spawn(&mut Command::new(program()), root, arguments)
    }

    fn spawn(command: &mut Command, root: &Path, arguments: &[&str]) -> Self {
        let child = command
            .arg("--json")
            .arg("--site")
            .arg(root)
            .args(arguments)
            .env_remove("LOCKGATE_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            started: Instant::now(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until something is so; false if the program ended before.
    pub(crate) fn reaches(&mut self, so: impl Fn() -> bool) -> bool {
        loop {
            if so() {
                return true;
            }
            if self.is_over() {
                return so();
            }
            assert!(self.elapsed() < PATIENCE, "waited in vain");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Where the system tells of its process.
    pub(crate) fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
    }

    /// Ends it by a signal, and gives what the system says of its end.
    pub(crate) fn ended_by(mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it at once, and waits until the system has closed what it held.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> Ended {
        // What it prints is far below what a pipe holds, so it never waits for a reader.
        while !self.is_over() {
            if self.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                panic!("the program hangs");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let after = self.elapsed();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        assert!(!stderr.contains("panicked"), "{stderr}");
        Ended {
            code: self.child.wait().unwrap().code(),
            stdout,
            stderr,
            after,
        }
    }
}

impl Drop for Running {
    /// A test that fails leaves no program behind.
    fn drop(&mut self) {
        if !self.is_over() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

fn has_file(directory: &Path, end: &str) -> bool {
    fs::read_dir(directory).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .ends_with(end.as_bytes())
                || entry.file_type().is_ok_and(|kind| kind.is_dir()) && has_file(&entry.path(), end)
        })
    })
}

fn sign(root: &Path, grant: &str) {
    let key = root.join("approver/data-office.key");
    let arguments = ["grant", "sign", grant, "--key", key.to_str().unwrap()];
    let signed = Running::start(root, &arguments).ended();
    assert_eq!(signed.code, Some(0), "{signed:?}");
}

fn copy_of_template() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy(&Template::shared().root(), &directory.path().join("site"));
    directory
}

/// Copies a site. Data files are linked, so that they keep their time; tests replace them and never
/// write into them.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&source, &target);
        } else if source
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            fs::hard_link(&source, &target).unwrap();
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}

/// Puts the source of [`GRANT`] into a store.
fn upload(lake: &Path, store: &Store) {
    for entry in fs::read_dir(lake.join("payments")).unwrap() {
        let path = entry.unwrap().path();
        put(
            store,
            &format!("payments/{}", path.file_name().unwrap().to_str().unwrap()),
            &path,
        );
    }
}

/// Puts a file into a store.
pub(crate) fn put(store: &Store, name: &str, file: &Path) {
    let content = fs::read(file).unwrap();
    let object = store.resolve(name).unwrap();
    wait(async {
        store
            .object_store()
            .put(&object, content.into())
            .await
            .unwrap()
    });
}

/// Waits for a future, on a runtime of its own.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}
