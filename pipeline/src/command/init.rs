//! `init`: scaffolds a site.

use std::path::Path;

use lockgate_connectors::keyring::{LocalKeyring, Purpose, Unlock};
use serde_json::json;

use super::keys::by_file;
use super::output::Answer;
use crate::error::RunError;
use crate::site::init;

/// Makes a site's directory, files and keys, which `protection` protects: the file of a passphrase, or a
/// key file.
pub(super) fn init(
    dir: &Path,
    protection: (Option<&Path>, Option<&Path>),
) -> Result<Answer, RunError> {
    let keys = dir.join("keys");
    // Looked at first: what cannot protect the keys leaves no site half made.
    let (unlock, line) = match by_file(&keys, protection)? {
        Some((unlock, line)) => (unlock, Some(line)),
        None => (Unlock::Plain, None),
    };
    let files = init::init(dir, line.as_deref())?;
    let keyring = LocalKeyring::protected(keys, unlock);
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
