//! `keys`: makes and lists keys, and never shows one.

use std::path::Path;

use lockgate_connectors::keyring::{PairKind, Purpose, write_pair};
use serde_json::json;

use super::output::{Answer, table};
use crate::cli::{KeysCommand, PairKindArg};
use crate::clock::Clock;
use crate::error::RunError;
use crate::installation::Installation;

pub(super) fn keys(root: &Path, command: &KeysCommand) -> Result<Answer, RunError> {
    match command {
        KeysCommand::New { purpose } => {
            let purpose = Purpose::parse(purpose)?;
            let keyring = Installation::open(root, Clock::System)?.keyring_or_new()?;
            let version = keyring.create(purpose)?;
            let text = format!("made version {version} of the key for {purpose}\n");
            Answer::new(text, &json!({ "purpose": purpose.as_str(), "version": version }))
        }
        KeysCommand::Pair { name, kind } => {
            let kind = match kind {
                PairKindArg::Approver => PairKind::Approver,
                PairKindArg::Recipient => PairKind::Recipient,
            };
            let public = write_pair(Path::new("."), name, kind)?;
            let text = format!(
                "made {name}.key, which stays with its owner, and {name}.pub:\n{public}\n"
            );
            Answer::new(text, &json!({ "name": name, "public_key": public.to_string() }))
        }
        KeysCommand::List => list(root),
    }
}

fn list(root: &Path) -> Result<Answer, RunError> {
    let keys = Installation::open(root, Clock::System)?.keyring()?.list()?;
    let text = table(
        &["purpose", "version", "public key"],
        keys.iter().map(|key| {
            let public = key.public.as_ref().map_or_else(String::new, ToString::to_string);
            [key.purpose.to_string(), key.version.to_string(), public]
        }),
    );
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "purpose": key.purpose.as_str(),
                "version": key.version,
                "public_key": key.public.as_ref().map(ToString::to_string),
            })
        })
        .collect();
    Answer::new(text, &json!({ "keys": keys }))
}
