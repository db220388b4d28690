//! Keys of a site to try: the site's own, and those of the people outside, whose public sides are
//! written into its files.

use std::fs;
use std::path::{Path, PathBuf};

use lockgate_connectors::keyring::{LocalKeyring, PairKind, Purpose, write_pair};

use super::error::DemoError;

/// Name of the approver of every site to try.
const APPROVER: &str = "data-office";

/// Private keys of the people outside the site, who here are all the same person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleKeys {
    /// File of the approver's private key, to sign grants with.
    pub approver: PathBuf,
    /// Directory of the recipients' private keys, one `ID.key` each.
    pub recipients: PathBuf,
}

/// Makes the site's six keys in `keys/`, the approver's pair in `approver/` and a pair for every
/// file of `recipients/` in `recipient-keys/`, and writes the public keys into the site's files.
pub(super) fn make(site: &Path) -> Result<PeopleKeys, DemoError> {
    let keyring = LocalKeyring::open(site.join("keys"));
    for purpose in Purpose::all() {
        keyring.create(*purpose)?;
    }
    let approver = site.join("approver");
    fs::create_dir(&approver).map_err(DemoError::io(&approver))?;
    let pair = write_pair(&approver, APPROVER, PairKind::Approver)?;
    let line = format!("public_key = \"{}\"", pair.key);
    replace_line(&site.join("lockgate.toml"), "public_key = ", &line)?;
    let keys = site.join("recipient-keys");
    fs::create_dir(&keys).map_err(DemoError::io(&keys))?;
    let recipients = site.join("recipients");
    for entry in fs::read_dir(&recipients).map_err(DemoError::io(&recipients))? {
        let file = entry.map_err(DemoError::io(&recipients))?.path();
        let Some(id) = file.file_stem().and_then(|id| id.to_str()) else {
            continue;
        };
        if file
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let pair = write_pair(&keys, id, PairKind::Recipient)?;
            let line = format!("public_keys = [\"{}\"]", pair.key);
            replace_line(&file, "public_keys = ", &line)?;
        }
    }
    Ok(PeopleKeys {
        approver: pair.private,
        recipients: keys,
    })
}

/// Replaces the lines of a file that begin so.
fn replace_line(path: &Path, begin: &'static str, with: &str) -> Result<(), DemoError> {
    let text = fs::read_to_string(path).map_err(DemoError::io(path))?;
    if !text.lines().any(|line| line.starts_with(begin)) {
        return Err(DemoError::NoKeyLine {
            path: path.to_owned(),
            line: begin,
        });
    }
    let lines: Vec<&str> = text
        .lines()
        .map(|line| if line.starts_with(begin) { with } else { line })
        .collect();
    fs::write(path, lines.join("\n") + "\n").map_err(DemoError::io(path))
}
