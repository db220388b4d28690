//! `init`: scaffolds a site.

use std::path::Path;

use lockgate_connectors::keyring::{LocalKeyring, Purpose};
use serde_json::json;

use super::output::Answer;
use crate::error::RunError;
use crate::site::init;

/// Makes a site's directory, files and keys.
pub(super) fn init(dir: &Path) -> Result<Answer, RunError> {
    let files = init::init(dir)?;
    let keyring = LocalKeyring::open(dir.join("keys"));
    for purpose in Purpose::all() {
        keyring.create(*purpose)?;
    }
    let text = format!(
        "made a site in {}\n\nnext:\n  describe your datasets in catalogue/, recipients in \
         recipients/, approvers in lockgate.toml\n  lockgate --site {} check\n",
        dir.display(),
        dir.display()
    );
    Answer::new(text, &json!({ "site": dir, "files": files }))
}
