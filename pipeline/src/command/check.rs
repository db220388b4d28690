//! `check` and `schema`: what the site's files say, and what they may say.

use std::path::Path;

use lockgate_connectors::ConnectorError;
use serde_json::json;

use super::output::Answer;
use crate::clock::Clock;
use crate::error::{RunError, exit};
use crate::installation::Installation;
use crate::life;
use crate::marks;
use crate::site::{Problem, Site, SiteError, schema};
use crate::vault;

/// Validates every file of the site, that its keys are there and usable, that its token vaults are
/// whole, that its schemes of marks are those of the ledger, and that its delivery store keeps a
/// conditional create.
pub(super) async fn check(root: &Path) -> Result<Answer, RunError> {
    let problems = match Site::load(root) {
        Ok(site) => {
            let mut problems = site.problems.clone();
            let installation = Installation::of(site, Clock::System);
            problems.extend(installation.site.key_problems());
            problems.extend(unusable_keys(&installation));
            problems.extend(missing_secrets(&installation));
            problems.extend(vault::problems(&installation));
            problems.extend(marks::record::problems(&installation));
            problems.extend(lost_terms(&installation));
            problems.extend(delivery_store_problem(&installation).await);
            problems
        }
        Err(SiteError::Unusable { problems }) => problems,
        Err(error) => return Err(error.into()),
    };
    let text = match problems.len() {
        0 => "no problems\n".to_owned(),
        _ => problems
            .iter()
            .map(|problem| format!("{problem}\n"))
            .collect(),
    };
    let exit = if problems.is_empty() {
        exit::DONE
    } else {
        exit::INVALID
    };
    Ok(Answer::new(text, &json!({ "problems": problems }))?.with_exit(exit))
}

/// Keys that are there and would be refused when a run takes them: readable by others, damaged, of
/// another purpose; a keyring older than the ledger knows; plain files beside a protected one.
fn unusable_keys(installation: &Installation) -> Vec<Problem> {
    let keyring = installation.keyring();
    let file = &installation.site.file;
    let problem = |error: &ConnectorError| file.problem(&["keys", "path"], error.to_string(), None);
    let keys = match keyring.list() {
        Ok(keys) => keys,
        Err(error) => return vec![problem(&error)],
    };
    let unusable = keys
        .iter()
        .filter_map(|key| keyring.get(key.purpose, Some(key.version)).err());
    let mut problems: Vec<Problem> = unusable.map(|error| problem(&error)).collect();
    if let Err(error) = installation.check_keyring() {
        problems.push(file.problem(&["keys", "path"], error.to_string(), None));
    }
    problems.extend(installation.site.plain_key_problems());
    problems
}

/// Terms of grants that the ledger names and nobody has any more: usage records are to say for years what
/// data was used for. A ledger that can't be read is told of elsewhere.
fn lost_terms(installation: &Installation) -> Vec<Problem> {
    let history = installation.history().unwrap_or_default();
    let lost = life::lost_terms(installation, &history).into_iter();
    lost.map(|terms| Problem {
        file: "state/terms".to_owned(),
        line: 1,
        column: 1,
        what: terms.to_string(),
        hint: None,
    })
    .collect()
}

/// Secrets of stores that a run would not find. Those of the delivery store are found missing when
/// it is probed.
fn missing_secrets(installation: &Installation) -> Vec<Problem> {
    let Site { root, file, .. } = &installation.site;
    let delivery = file.delivery.store.as_deref();
    let stores = file.stores.iter();
    let secrets = stores
        .filter(|(name, _)| Some(name.as_str()) != delivery)
        .flat_map(|(name, store)| {
            [
                (name, "access_key_id", &store.access_key_id),
                (name, "secret_access_key", &store.secret_access_key),
            ]
        });
    secrets
        .filter_map(|(store, key, secret)| {
            let error = secret.as_ref()?.resolve(root).err()?;
            Some(file.problem(&["stores", store, key], error.to_string(), None))
        })
        .collect()
}

/// A delivery store that lets two creates of one object both win would publish twice.
async fn delivery_store_problem(installation: &Installation) -> Option<Problem> {
    installation.site.file.delivery.store.as_ref()?;
    let probed = match installation.destination(None) {
        Ok(destination) => Box::pin(destination.probe_conditional_create())
            .await
            .map_err(RunError::from),
        Err(error) => Err(error),
    };
    let (line, column) = installation.site.file.locate(&["delivery", "store"]);
    probed.err().map(|error| Problem {
        file: installation.site.file.file.clone(),
        line,
        column,
        what: format!("the delivery store cannot be used: {error}"),
        hint: None,
    })
}

/// Prints the JSON Schema of a kind of file.
pub(super) fn print_schema(kind: &str) -> Result<Answer, RunError> {
    let document = schema::schema(kind).map_err(|what| RunError::Invalid {
        what,
        at: "command line".to_owned(),
        remedy: "lockgate schema KIND".to_owned(),
    })?;
    Answer::new(format!("{document:#}\n"), &document)
}
