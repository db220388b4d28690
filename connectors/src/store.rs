//! A store: a place for files, named by a URL. One URL scheme is one branch of [`Store::open`].
//!
//! Credentials come by value from whoever resolved them, are zeroized, and appear in no error and
//! no `Debug`. A path within a store is relative and stays inside: `..`, empty parts, drives and,
//! for local stores, links that lead out of the root are refused.

use std::fmt;
use std::path::{Component, Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;
use zeroize::Zeroizing;

use crate::error::{ConnectorError, brief};

/// Tries after the first, so that a passing fault does not end a run of hours.
const RETRIES_MAX: usize = 3;
/// No new try after this long, so that a dead endpoint is reported in seconds, not minutes.
const RETRY_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One request including its body; a body cut off by it is continued where it stopped.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(25);
const SUPPORTED: &str = "use file:///directory, file:directory, directory/ or s3://bucket/prefix";

/// How to reach a store, with its secrets resolved.
#[derive(Clone)]
pub struct StoreConfig {
    /// `file:///srv/lake`, `file:lake` or `lake/` (both relative to `base`), `s3://bucket/prefix`.
    pub url: String,
    /// The directory that relative file URLs start from: the site's.
    pub base: PathBuf,
    /// Where an S3 service other than Amazon's answers, such as `https://oss.example:9000`.
    pub endpoint: Option<String>,
    /// The S3 region; `us-east-1` where absent.
    pub region: Option<String>,
    /// The S3 access key; where both keys are absent, the machine's own role is asked for.
    pub access_key_id: Option<Zeroizing<String>>,
    /// The S3 secret key.
    pub secret_access_key: Option<Zeroizing<String>>,
    /// Whether an endpoint may be spoken to without TLS.
    pub allow_http: bool,
}

impl StoreConfig {
    /// A store without credentials: a local directory.
    pub fn new(url: impl Into<String>, base: impl Into<PathBuf>) -> Self {
        Self {
            url: url.into(),
            base: base.into(),
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            allow_http: false,
        }
    }
}

/// Shows neither keys nor the URL, which may hold some by mistake.
impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("base", &self.base)
            .field("region", &self.region)
            .field("has_access_key_id", &self.access_key_id.is_some())
            .field("has_secret_access_key", &self.secret_access_key.is_some())
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

/// An opened store. Cloning shares the connection pool.
#[derive(Clone)]
pub struct Store {
    url: String,
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    local_root: Option<PathBuf>,
}

/// Shows where the store is; object_store's own `Debug` would show secret keys.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a store. Nothing is read, written or connected to yet, and a local directory need not
    /// exist: a destination is created on first write.
    ///
    /// # Errors
    /// [`ConnectorError::Config`] for a URL of another scheme, with credentials, a query or a
    /// fragment in it, and for S3 options that do not fit together. The URL itself is not repeated.
    pub fn open(config: &StoreConfig) -> Result<Self, ConnectorError> {
        match scheme(&config.url) {
            None => {
                if config.url.is_empty() {
                    return Err(ConnectorError::config(
                        "a store has an empty url",
                        SUPPORTED,
                    ));
                }
                Self::open_directory(&absolute(&config.base)?.join(&config.url))
            }
            Some("file") => Self::open_directory(&file_path(config)?),
            Some("s3") => Self::open_s3(config),
            Some(other) => Err(ConnectorError::config(
                format!("stores with urls of scheme `{other}` are not supported"),
                SUPPORTED,
            )),
        }
    }

    /// The store's URL without credentials and without a trailing `/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The object store that holds this store's files; their paths begin with [`Self::prefix`].
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    /// What every path of this store begins with.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// The directory of a local store.
    pub fn local_root(&self) -> Option<&FilePath> {
        self.local_root.as_deref()
    }

    /// A relative path as messages show it.
    pub fn place(&self, relative: &str) -> String {
        format!("{}/{relative}", self.url)
    }

    /// The full path of a `/`-separated path relative to the store; one trailing `/` is ignored.
    ///
    /// # Errors
    /// [`ConnectorError::Config`] for a path that is absolute or has an empty part, `.`, `..`, a
    /// drive, a backslash or a control character in it, and for a local path one of whose existing
    /// parts is a link out of the store.
    pub fn resolve(&self, relative: &str) -> Result<Path, ConnectorError> {
        let refuse = |what: &str| {
            ConnectorError::config(
                format!(
                    "path `{}` of store {} {what}",
                    relative.escape_debug(),
                    self.url
                ),
                "use a relative path with `/` between its parts",
            )
        };
        let trimmed = relative.strip_suffix('/').unwrap_or(relative);
        if trimmed.is_empty() {
            return Err(refuse("names nothing"));
        }
        if trimmed.starts_with('/') {
            return Err(refuse("is absolute"));
        }
        if trimmed.contains('\\') || trimmed.chars().any(char::is_control) {
            return Err(refuse("has a backslash or a control character"));
        }
        let mut path = self.prefix.as_ref().to_owned();
        for (index, part) in trimmed.split('/').enumerate() {
            match part {
                "" => return Err(refuse("has an empty part")),
                "." | ".." => return Err(refuse("has a `.` or `..`")),
                drive if index == 0 && is_drive(drive) => {
                    return Err(refuse("begins with a drive"));
                }
                _ => {}
            }
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(part);
        }
        if let Some(root) = &self.local_root
            && leads_out(root, trimmed)
        {
            return Err(refuse("leaves the store through a link"));
        }
        Path::parse(&path).map_err(|_| refuse("has characters that the store cannot hold"))
    }

    /// A store over another one's objects.
    #[cfg(test)]
    pub(crate) fn over(objects: Arc<dyn ObjectStore>, url: &str, prefix: Path) -> Self {
        Self {
            url: url.to_owned(),
            objects,
            prefix,
            local_root: None,
        }
    }

    fn open_directory(directory: &FilePath) -> Result<Self, ConnectorError> {
        let root = normal(directory);
        let unusable = || {
            ConnectorError::config(
                "a store's directory has a name that cannot be written as a URL",
                "use a directory with a UTF-8 name without control characters",
            )
        };
        let url = Url::from_file_path(&root).map_err(|()| unusable())?;
        let prefix = Path::from_absolute_path(&root).map_err(|_| unusable())?;
        Ok(Self {
            url: url.as_str().trim_end_matches('/').to_owned(),
            objects: Arc::new(LocalFileSystem::new()),
            prefix,
            local_root: Some(root),
        })
    }

    fn open_s3(config: &StoreConfig) -> Result<Self, ConnectorError> {
        let url = parse(&config.url)?;
        let Some(bucket) = url.host_str().filter(|bucket| !bucket.is_empty()) else {
            return Err(ConnectorError::config(
                "an s3 store's url names no bucket",
                SUPPORTED,
            ));
        };
        if url.port().is_some() {
            return Err(ConnectorError::config(
                "an s3 store's url has a port",
                "write s3://bucket/prefix and put the server into `endpoint`",
            ));
        }
        let prefix = Path::from_url_path(url.path()).map_err(|_| {
            ConnectorError::config("an s3 store's url has an unusable prefix", SUPPORTED)
        })?;
        let shown = if prefix.is_root() {
            format!("s3://{bucket}")
        } else {
            format!("s3://{bucket}/{prefix}")
        };
        let objects = s3_builder(config, bucket)?.build().map_err(|error| {
            ConnectorError::config(
                format!("store {shown} cannot be set up: {}", brief(&error)),
                "check its endpoint, region and keys",
            )
        })?;
        Ok(Self {
            url: shown,
            objects: Arc::new(objects),
            prefix,
            local_root: None,
        })
    }
}

fn s3_builder(config: &StoreConfig, bucket: &str) -> Result<AmazonS3Builder, ConnectorError> {
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(3),
            base: 3.0,
        },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
    };
    let client = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT)
        .with_allow_http(config.allow_http);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(config.region.as_deref().unwrap_or("us-east-1"))
        .with_retry(retry)
        .with_client_options(client)
        .with_allow_http(config.allow_http)
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    if let Some(endpoint) = &config.endpoint {
        let parsed = parse(endpoint)?;
        match parsed.scheme() {
            "https" => {}
            "http" if config.allow_http => {}
            "http" => {
                return Err(ConnectorError::config(
                    "an s3 store's endpoint has no TLS",
                    "use https, or set allow_http = true for a network you trust",
                ));
            }
            _ => {
                return Err(ConnectorError::config(
                    "an s3 store's endpoint is neither http nor https",
                    "write it as https://host:port",
                ));
            }
        }
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    // A bucket name with dots would not match the wildcard certificate of a virtual host.
    builder = builder
        .with_virtual_hosted_style_request(config.endpoint.is_none() && !bucket.contains('.'));
    match (&config.access_key_id, &config.secret_access_key) {
        (Some(id), Some(secret)) => Ok(builder
            .with_access_key_id(id.as_str())
            .with_secret_access_key(secret.as_str())),
        (None, None) if config.endpoint.is_none() => Ok(builder),
        (None, None) => Err(ConnectorError::config(
            "an s3 store with an endpoint of its own has no keys",
            "give access_key_id and secret_access_key",
        )),
        _ => Err(ConnectorError::config(
            "an s3 store has only one of access_key_id and secret_access_key",
            "give both, or neither to use the machine's own role",
        )),
    }
}

/// The scheme of a URL in lower case as written, or none for a plain path. One letter is a drive.
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let valid = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    valid.then_some(scheme)
}

fn is_drive(part: &str) -> bool {
    let mut characters = part.chars();
    characters.next().is_some_and(|c| c.is_ascii_alphabetic()) && characters.next() == Some(':')
}

fn parse(url: &str) -> Result<Url, ConnectorError> {
    let url = Url::parse(url)
        .map_err(|error| ConnectorError::config(format!("a store's url: {error}"), SUPPORTED))?;
    refuse_secrets(&url)?;
    Ok(url)
}

/// Credentials belong into secret references, and a query or fragment into nothing at all.
fn refuse_secrets(url: &Url) -> Result<(), ConnectorError> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ConnectorError::config(
            "a store's url holds credentials",
            "take them out and give access_key_id and secret_access_key as { env = … } or { file = … }",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConnectorError::config(
            "a store's url has a query or a fragment",
            "take it out; write ? and # in a directory's name as %3F and %23",
        ));
    }
    Ok(())
}

/// The directory of a `file:` URL; a relative one starts from the base.
fn file_path(config: &StoreConfig) -> Result<PathBuf, ConnectorError> {
    let invalid = |what: String| ConnectorError::config(format!("a store's url {what}"), SUPPORTED);
    let base = Url::from_directory_path(absolute(&config.base)?)
        .map_err(|()| invalid("starts from a directory that is no URL".to_owned()))?;
    let url = Url::options()
        .base_url(Some(&base))
        .parse(&config.url)
        .map_err(|error| invalid(format!("is not valid: {error}")))?;
    refuse_secrets(&url)?;
    if url.host_str().is_some_and(|host| !host.is_empty()) {
        return Err(invalid(
            "names a host; a local directory has three slashes".to_owned(),
        ));
    }
    url.to_file_path()
        .map_err(|()| invalid("is not a local directory".to_owned()))
}

fn absolute(path: &FilePath) -> Result<PathBuf, ConnectorError> {
    std::path::absolute(path)
        .map_err(|error| ConnectorError::from_io(&error, path.display().to_string()))
}

/// The path without `.` and `..`, by its text: the directory need not exist.
fn normal(path: &FilePath) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                normal.push(component);
            }
        }
    }
    normal
}

/// Whether the deepest part of the path that exists lies outside the root, links followed. A link
/// that leads nowhere counts as outside: what is written through it would be.
pub(crate) fn leads_out(root: &FilePath, relative: &str) -> bool {
    let Ok(real_root) = root.canonicalize() else {
        return false;
    };
    let mut path = root.join(relative);
    while path.symlink_metadata().is_err() {
        if path == *root || !path.pop() {
            return false;
        }
    }
    path.canonicalize()
        .map_or(true, |real| !real.starts_with(&real_root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass;

    fn local(url: &str, base: &FilePath) -> Store {
        Store::open(&StoreConfig::new(url, base)).unwrap()
    }

    fn refused(config: &StoreConfig) -> String {
        let error = Store::open(config).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Config);
        error.to_string()
    }

    #[test]
    fn relative_urls_start_from_the_base() {
        let base = FilePath::new("/srv/site");
        for url in [
            "file:lake",
            "file:lake/",
            "lake/",
            "lake",
            "./lake",
            "file:./lake",
        ] {
            let store = local(url, base);
            assert_eq!(store.url(), "file:///srv/site/lake", "{url}");
            assert_eq!(store.local_root(), Some(FilePath::new("/srv/site/lake")));
            assert_eq!(store.prefix().as_ref(), "srv/site/lake");
        }
        assert_eq!(local("file:///data", base).url(), "file:///data");
        assert_eq!(local("/data/", base).url(), "file:///data");
        assert_eq!(local("file:../lake", base).url(), "file:///srv/lake");
    }

    #[test]
    fn names_outside_ascii_survive() {
        let store = local("数据 湖", FilePath::new("/srv"));
        let path = store.resolve("常住人口/第一 部分.parquet").unwrap();
        assert_eq!(path.as_ref(), "srv/数据 湖/常住人口/第一 部分.parquet");
    }

    #[test]
    fn other_schemes_name_what_is_supported() {
        let text = refused(&StoreConfig::new("ftp://host/x", "/"));
        assert!(
            text.contains("`ftp`") && text.contains("s3://bucket/prefix"),
            "{text}"
        );
    }

    #[test]
    fn secrets_in_urls_are_refused_and_not_repeated() {
        for url in [
            "s3://AKIAX:hunter2@bucket/p",
            "s3://bucket/p?secret=hunter2",
            "file:///lake?token=hunter2",
            "file:lake#hunter2",
        ] {
            assert!(
                !refused(&StoreConfig::new(url, "/")).contains("hunter2"),
                "{url}"
            );
        }
    }

    #[test]
    fn s3_stores_show_bucket_and_prefix_only() {
        let config = StoreConfig {
            endpoint: Some("http://127.0.0.1:9000".to_owned()),
            access_key_id: Some("AKIAX".to_owned().into()),
            secret_access_key: Some("hunter2".to_owned().into()),
            allow_http: true,
            ..StoreConfig::new("s3://bucket/some/prefix/", "/")
        };
        let store = Store::open(&config).unwrap();
        assert_eq!(store.url(), "s3://bucket/some/prefix");
        assert_eq!(store.resolve("a/b").unwrap().as_ref(), "some/prefix/a/b");
        let shown = format!("{config:?} {store:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("AKIAX"),
            "{shown}"
        );
    }

    #[test]
    fn s3_options_that_do_not_fit_are_refused() {
        let endpoint = |endpoint: &str| StoreConfig {
            endpoint: Some(endpoint.to_owned()),
            ..StoreConfig::new("s3://bucket", "/")
        };
        assert!(refused(&endpoint("http://host")).contains("TLS"));
        assert!(refused(&endpoint("https://host")).contains("no keys"));
        let one = StoreConfig {
            access_key_id: Some("AKIAX".to_owned().into()),
            ..StoreConfig::new("s3://bucket", "/")
        };
        assert!(refused(&one).contains("only one"));
    }

    #[test]
    fn paths_that_could_leave_are_refused() {
        let store = local("lake", FilePath::new("/srv"));
        for path in [
            "", "/", "/etc", "..", "a/../b", "a//b", "./a", "C:/x", "a\\b", "a\nb", "a//",
        ] {
            assert!(store.resolve(path).is_err(), "{path:?}");
        }
        assert_eq!(store.resolve("a/b/").unwrap().as_ref(), "srv/lake/a/b");
    }

    #[cfg(unix)]
    #[test]
    fn links_may_stay_inside_but_not_leave() {
        use std::os::unix::fs::symlink;
        let site = tempfile::tempdir().unwrap();
        let root = site.path().join("lake");
        std::fs::create_dir_all(root.join("real")).unwrap();
        symlink(root.join("real"), root.join("inside")).unwrap();
        symlink(site.path(), root.join("outside")).unwrap();
        symlink("/nonexistent/x", root.join("dangling")).unwrap();
        let store = local("lake", site.path());
        assert!(store.resolve("inside/new.parquet").is_ok());
        assert!(store.resolve("outside").is_err());
        assert!(store.resolve("outside/new.parquet").is_err());
        assert!(store.resolve("dangling").is_err());
        assert!(store.resolve("new/deep/file").is_ok());
    }
}
