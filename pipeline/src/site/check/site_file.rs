//! Checks of `lockgate.toml` and of recipients.

use std::collections::BTreeMap;

use lockgate_connectors::keyring::{KeyAlgorithm, PublicKey};
use url::Url;

use super::Checker;
use crate::id::{DIVISION_RULE, ID_RULE, is_division, is_id};
use crate::site::lockgate_toml::StoreSection;
use crate::site::suggest::nearest;
use crate::site::units::parse_memory;
use crate::site::{Loaded, Recipient, SiteFile};

/// Schemes of stores this version opens.
const SCHEMES: [&str; 2] = ["file", "s3"];

/// Most keys of a recipient that deliveries are sealed to.
const SEALING_KEYS_MAX: usize = 16;

pub(super) fn check(checker: &mut Checker<'_>) {
    let file = &checker.site.file;
    checker.not_blank(file, &["site", "name"], &file.site.name);
    check_timezone(checker, file);
    check_names(checker, file, "stores", file.stores.keys());
    check_names(checker, file, "databases", file.databases.keys());
    check_names(checker, file, "approvers", file.approvers.keys());
    for (name, store) in &file.stores {
        check_store(checker, file, name, store);
    }
    for (name, database) in &file.databases {
        let path = ["databases", name, "url"];
        if Url::parse(&database.url).is_ok_and(|url| url.password().is_some()) {
            let hint = Some("write password = { env = \"NAME\" }".to_owned());
            checker.at(
                file,
                &path,
                "a secret is given by reference, never by value",
                hint,
            );
        }
        if database.max_connections == Some(0) {
            let path = ["databases", name, "max_connections"];
            checker.at(
                file,
                &path,
                "a database needs at least one connection",
                None,
            );
        }
    }
    super::keys::check_section(checker, file);
    if let Some(store) = &file.delivery.store {
        checker.refers(
            file,
            &["delivery", "store"],
            "store",
            store,
            file.stores.keys(),
        );
    }
    check_approvers(checker, file);
    check_limits(checker, file);
}

fn check_timezone(checker: &mut Checker<'_>, file: &Loaded<SiteFile>) {
    let zone = &file.site.timezone;
    if zone.parse::<chrono_tz::Tz>().is_err() {
        let hint = match nearest(zone, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write an IANA name such as Asia/Shanghai".to_owned(),
        };
        checker.at(file, &["site", "timezone"], "unknown time zone", Some(hint));
    }
}

fn check_names<'k>(
    checker: &mut Checker<'_>,
    file: &Loaded<SiteFile>,
    section: &str,
    names: impl Iterator<Item = &'k String>,
) {
    for name in names.filter(|name| !is_id(name)) {
        let hint = Some(format!("a name is {ID_RULE}"));
        checker.at_key(file, &[section, name], "not a name", hint);
    }
}

fn check_store(
    checker: &mut Checker<'_>,
    file: &Loaded<SiteFile>,
    name: &str,
    store: &StoreSection,
) {
    let at = |key: &'static str| ["stores", name, key];
    let scheme = store.url.split_once(':').map(|(scheme, _)| scheme);
    let url = Url::parse(&store.url);
    match (scheme, &url) {
        (Some(scheme), Ok(_)) if !SCHEMES.contains(&scheme) => {
            let what = format!("stores of scheme `{scheme}` are not supported yet");
            let hint = Some(format!("supported: {}", SCHEMES.join(", ")));
            checker.at(file, &at("url"), what, hint);
        }
        (Some(_), Ok(url)) => check_store_url(checker, file, &at("url"), url),
        _ => {
            let hint = Some("write file:///srv/lake, file:lake or s3://bucket/prefix".to_owned());
            checker.at(file, &at("url"), "not a URL", hint);
        }
    }
    if scheme == Some("s3") {
        check_s3(checker, file, name, store);
        return;
    }
    let given = [
        ("endpoint", store.endpoint.is_some()),
        ("region", store.region.is_some()),
        ("access_key_id", store.access_key_id.is_some()),
        ("secret_access_key", store.secret_access_key.is_some()),
        ("allow_http", store.allow_http),
    ];
    for (key, _) in given.into_iter().filter(|(_, given)| *given) {
        let what = format!("`{key}` is for s3 stores only");
        checker.at_key(file, &at(key), what, None);
    }
}

/// What the URL of a store of a known scheme may hold.
fn check_store_url(checker: &mut Checker<'_>, file: &Loaded<SiteFile>, path: &[&str], url: &Url) {
    if !url.username().is_empty() || url.password().is_some() {
        let hint = Some("use access_key_id and secret_access_key".to_owned());
        checker.at(file, path, "the URL of a store holds a credential", hint);
    }
    if url.query().is_some() || url.fragment().is_some() {
        let what = "the URL of a store has neither a query nor a fragment";
        checker.at(file, path, what, None);
    }
    if url.scheme() == "s3" && url.host_str().is_none_or(str::is_empty) {
        let hint = Some("write s3://bucket or s3://bucket/prefix".to_owned());
        checker.at(file, path, "the URL names no bucket", hint);
    }
}

/// The keys that s3 stores alone have.
fn check_s3(checker: &mut Checker<'_>, file: &Loaded<SiteFile>, name: &str, store: &StoreSection) {
    let endpoint_path = ["stores", name, "endpoint"];
    if store.access_key_id.is_some() != store.secret_access_key.is_some() {
        let what = "`access_key_id` and `secret_access_key` go together";
        checker.at_key(file, &["stores", name], what, None);
    }
    if let Some(endpoint) = &store.endpoint {
        match Url::parse(endpoint).as_ref().map(Url::scheme) {
            Ok("https") => {}
            Ok("http") if store.allow_http => {}
            Ok("http") => {
                let hint = Some("use https, or write allow_http = true".to_owned());
                checker.at(file, &endpoint_path, "the endpoint is plain HTTP", hint);
            }
            _ => {
                let hint = Some("write https://host:port".to_owned());
                checker.at(file, &endpoint_path, "the endpoint is not a URL", hint);
            }
        }
    }
}

fn check_approvers(checker: &mut Checker<'_>, file: &Loaded<SiteFile>) {
    let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, approver) in &file.approvers {
        let path = ["approvers", name, "public_key"];
        match PublicKey::parse(&approver.public_key).map(|key| key.algorithm()) {
            Ok(KeyAlgorithm::Ed25519) => {}
            Ok(KeyAlgorithm::X25519) => {
                let hint = Some("write the `ed25519:` key of its pair".to_owned());
                checker.at(
                    file,
                    &path,
                    "an approver signs, and an x25519 key cannot",
                    hint,
                );
            }
            Err(error) => {
                checker.at(file, &path, error.to_string(), Some(pair_hint("approver")));
            }
        }
        if let Some(other) = keys.insert(&approver.public_key, name) {
            let what = format!("the key is also that of approver `{other}`");
            let hint = Some("an approver is found by the key: give each its own".to_owned());
            checker.at(file, &path, what, hint);
        }
        checker.no_duplicates(file, &["approvers", name, "providers"], &approver.providers);
    }
}

fn check_limits(checker: &mut Checker<'_>, file: &Loaded<SiteFile>) {
    if let Some(memory) = &file.limits.memory
        && parse_memory(memory).is_none()
    {
        let hint = Some("write a size such as 512MiB or 2GiB".to_owned());
        checker.at(file, &["limits", "memory"], "not a size of memory", hint);
    }
    if file.limits.batch_rows == Some(0) {
        checker.at(
            file,
            &["limits", "batch_rows"],
            "a batch needs at least one row",
            None,
        );
    }
}

fn pair_hint(kind: &str) -> String {
    format!("`lockgate keys pair NAME --kind {kind}` makes one")
}

pub(super) fn check_recipient(checker: &mut Checker<'_>, recipient: &Loaded<Recipient>) {
    checker.not_blank(recipient, &["name"], &recipient.name);
    if let Some(division) = &recipient.division
        && !is_division(division)
    {
        let hint = Some(format!("write {DIVISION_RULE}"));
        checker.at(recipient, &["division"], "not a division code", hint);
    }
    if recipient.public_keys.is_empty() {
        let hint = Some(pair_hint("recipient"));
        checker.at(
            recipient,
            &["public_keys"],
            "a recipient has at least one public key",
            hint,
        );
    }
    check_keys(checker, recipient);
}

/// Several keys to seal to are the rule while a recipient changes its key; receipts are signed with one.
fn check_keys(checker: &mut Checker<'_>, recipient: &Loaded<Recipient>) {
    let mut known: Vec<PublicKey> = Vec::new();
    for (index, key) in recipient.public_keys.iter().enumerate() {
        let index = index.to_string();
        let path = ["public_keys", index.as_str()];
        let key = match PublicKey::parse(key) {
            Ok(key) => key,
            Err(error) => {
                let hint = Some(pair_hint("recipient"));
                checker.at(recipient, &path, error.to_string(), hint);
                continue;
            }
        };
        let of_its_kind = known
            .iter()
            .filter(|other| other.algorithm() == key.algorithm());
        let (most, kind) = match key.algorithm() {
            KeyAlgorithm::X25519 => (SEALING_KEYS_MAX, "x25519 keys to seal to"),
            KeyAlgorithm::Ed25519 => (1, "ed25519 key for receipts"),
        };
        if known.contains(&key) {
            checker.at(recipient, &path, "this key is listed before", None);
        } else if of_its_kind.count() >= most {
            let what = format!("more than {most} {kind}");
            let hint = Some("take out those that are no longer in use".to_owned());
            checker.at(recipient, &path, what, hint);
        } else {
            known.push(key);
        }
    }
}
