//! `verify`: the recipient's check of a delivery, with or without a site.

use std::path::Path;

use ed25519_dalek::VerifyingKey;
use lockgate_connectors::keyring::{PublicKey, Purpose};
use lockgate_connectors::store::{Store, StoreConfig};

use super::output::Answer;
use crate::cli::VerifyArgs;
use crate::clock::Clock;
use crate::error::{RunError, exit};
use crate::installation::{Installation, directory_store};
use crate::site::{Site, SiteError};
use crate::verify::{VerifyReport, verify_delivery};

/// Checks a delivery.
pub(super) async fn verify(root: &Path, args: &VerifyArgs) -> Result<Answer, RunError> {
    let site = find_site(root)?;
    let keys = manifest_keys(site.as_ref(), &args.key)?;
    let ledger_keys = ledger_keys(site.as_ref(), args.ledger_key.as_deref())?;
    let store = delivery_store(site.as_ref(), &args.delivery)?;
    let ledger_keys = (!ledger_keys.is_empty()).then_some(ledger_keys.as_slice());
    let (objects, folder) = (store.object_store(), store.prefix());
    let report = Box::pin(verify_delivery(&objects, folder, &keys, ledger_keys)).await?;
    report_answer(&report)
}

/// The answer to a check of a delivery.
pub(super) fn report_answer(report: &VerifyReport) -> Result<Answer, RunError> {
    let exit = if report.valid {
        exit::DONE
    } else {
        exit::UNVERIFIED
    };
    Ok(Answer::new(text(report), report)?.with_exit(exit))
}

/// The ledger's keys: those given, or the site's, where there is one.
pub(super) fn ledger_keys(
    site: Option<&Installation>,
    given: Option<&str>,
) -> Result<Vec<VerifyingKey>, RunError> {
    match (given, site) {
        (Some(key), _) => read_keys(key),
        (None, Some(installation)) => {
            Ok(site_keys(installation, Purpose::Ledger).unwrap_or_default())
        }
        (None, None) => Ok(Vec::new()),
    }
}

/// The site, if there is one; a recipient has none.
pub(super) fn find_site(root: &Path) -> Result<Option<Installation>, RunError> {
    match Site::load(root) {
        Ok(site) => Ok(Some(Installation::of(site, Clock::System))),
        Err(SiteError::NotASite { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn manifest_keys(
    site: Option<&Installation>,
    given: &[String],
) -> Result<Vec<VerifyingKey>, RunError> {
    match (given, site) {
        ([], Some(installation)) => site_keys(installation, Purpose::Manifest),
        ([], None) => Err(RunError::Invalid {
            what: "no key to verify with".to_owned(),
            at: "command line".to_owned(),
            remedy: "pass --key with the provider's manifest key, obtained apart from the delivery"
                .to_owned(),
        }),
        (given, _) => {
            let keys = given
                .iter()
                .map(|key| read_keys(key))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(keys.into_iter().flatten().collect())
        }
    }
}

/// Every version of a signing key of the site.
pub(super) fn site_keys(
    installation: &Installation,
    purpose: Purpose,
) -> Result<Vec<VerifyingKey>, RunError> {
    Ok(installation.keyring().verifying_keys(purpose)?)
}

/// Reads `ed25519:BASE64`, or a file of such lines.
pub(super) fn read_keys(text: &str) -> Result<Vec<VerifyingKey>, RunError> {
    let lines = if text.starts_with("ed25519:") {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|error| RunError::Invalid {
            what: format!("the key file {text} cannot be read: {error}"),
            at: "command line".to_owned(),
            remedy: "name a file of lines `ed25519:BASE64`, or give the key itself".to_owned(),
        })?
    };
    let keys = lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            PublicKey::parse(line.trim())?
                .verifying_key()
                .ok_or_else(|| RunError::Invalid {
                    what: "a key to seal to cannot verify a signature".to_owned(),
                    at: "command line".to_owned(),
                    remedy: "give the ed25519 key".to_owned(),
                })
        })
        .collect::<Result<Vec<_>, RunError>>()?;
    if keys.is_empty() {
        return Err(RunError::Invalid {
            what: format!("{text} holds no key"),
            at: "command line".to_owned(),
            remedy: "name a file of lines `ed25519:BASE64`".to_owned(),
        });
    }
    Ok(keys)
}

/// A delivery's folder: a local path, a `file:` URL, or a URL within a store of the site.
pub(super) fn delivery_store(
    site: Option<&Installation>,
    delivery: &str,
) -> Result<Store, RunError> {
    if !delivery.contains("://") {
        return directory_store(Path::new(delivery));
    }
    if let Some(installation) = site
        && let Some(store) = installation.store_of_url(delivery)?
    {
        return Ok(store);
    }
    Ok(Store::open(&StoreConfig::new(delivery, "."))?)
}

fn text(report: &VerifyReport) -> String {
    let mut text = if report.valid {
        format!("valid: {} file(s), {} rows\n", report.files, report.rows)
    } else {
        "INVALID\n".to_owned()
    };
    for problem in &report.problems {
        text.push_str(&format!("  {}: {}\n", problem.path, problem.what));
    }
    for note in &report.notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    text
}
