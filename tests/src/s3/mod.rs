//! An S3 server in this process, over a temporary directory.
//!
//! It is s3s-fs behind a gate that adds what s3s-fs lacks and the tests rest on:
//!
//! - a lock per key. s3s-fs answers `If-None-Match` with an exists() before the write, so without
//!   the lock two concurrent creates of one key can both succeed;
//! - `If-Match` and `If-None-Match` of reads, and ETags in listings;
//! - [`Faults`]: the n-th request of a kind is refused or held up, or its answer is cut off.

mod fault;
mod gate;
mod line;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use lockgate_connectors::{ConnectorError, Store, StoreConfig};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

pub use self::fault::{Fault, Faults, Hold, Operation};
use self::gate::{Gate, Locks};
use self::line::{CutStream, Line};

/// The access key the server knows.
pub const ACCESS_KEY_ID: &str = "LOCKGATETEST";

/// The secret key of [`ACCESS_KEY_ID`]; also a canary for tests that look for leaked secrets.
pub const SECRET_ACCESS_KEY: &str = "canary-secret-of-the-test-server";

/// A running server. It stops when dropped, and its directory goes with it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    root: TempDir,
    faults: Arc<Faults>,
    /// The server's own, so that a test can be synchronous or have any runtime.
    runtime: Option<Runtime>,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1 with empty buckets of these names.
    ///
    /// # Errors
    /// If a bucket can't be made or the port can't be opened.
    pub fn start(buckets: &[&str]) -> io::Result<Self> {
        let root = tempfile::tempdir()?;
        for bucket in buckets {
            std::fs::create_dir(root.path().join(bucket))?;
        }
        let files = FileSystem::new(root.path())
            .map_err(|_| io::Error::other("the server's directory is unusable"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("s3-server")
            .enable_all()
            .build()?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let faults = Arc::new(Faults::default());
        let shared = Shared {
            files: Arc::new(files),
            locks: Arc::new(Locks::default()),
            faults: Arc::clone(&faults),
        };
        runtime.spawn(accept(listener, shared));
        Ok(Self {
            address,
            root,
            faults,
            runtime: Some(runtime),
        })
    }

    /// `http://127.0.0.1:PORT`, to be given as a store's `endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Faults to inject, and how many requests were served.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The file that holds an object. Written to directly, it keeps the ETag it had: to test a
    /// change, put through the protocol; to test damage, write here.
    pub fn object_file(&self, bucket: &str, key: &str) -> PathBuf {
        self.root.path().join(bucket).join(key)
    }

    /// The directory with a folder for each bucket, and upload state between them.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// What a site would write to reach `url` (`s3://BUCKET/PREFIX`) here.
    pub fn store_config(&self, url: &str) -> StoreConfig {
        let mut config = StoreConfig::new(url, ".");
        config.endpoint = Some(self.endpoint());
        config.access_key_id = Some(ACCESS_KEY_ID.to_owned().into());
        config.secret_access_key = Some(SECRET_ACCESS_KEY.to_owned().into());
        config.allow_http = true;
        config
    }

    /// The store at `url` (`s3://BUCKET/PREFIX`).
    ///
    /// # Errors
    /// If the URL isn't one of a store.
    pub fn store(&self, url: &str) -> Result<Store, ConnectorError> {
        Store::open(&self.store_config(url))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Waiting for it would panic within another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What all connections share.
#[derive(Clone)]
struct Shared {
    files: Arc<FileSystem>,
    locks: Arc<Locks>,
    faults: Arc<Faults>,
}

async fn accept(listener: TcpListener, shared: Shared) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        connections.spawn(serve(socket, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection. It has a service of its own, so that a request's handler can cut the
/// line that its answer would go through.
async fn serve(socket: TcpStream, shared: Shared) {
    let line = Arc::new(Line::default());
    let gate = Gate {
        shared,
        line: Arc::clone(&line),
    };
    let mut service = S3ServiceBuilder::new(gate);
    service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    let stream = TokioIo::new(CutStream::new(socket, line));
    let server = auto::Builder::new(TokioExecutor::new()).http1_only();
    // An error here is a connection that was closed or cut: what the test is about.
    drop(server.serve_connection(stream, service.build()).await);
}
