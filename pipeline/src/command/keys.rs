//! `keys`: makes and lists keys, and never shows one.

use std::path::Path;

use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::{PairKind, Purpose, write_pair};
use serde_json::{Value, json};

use super::output::{Answer, table};
use crate::cli::{KeysCommand, PairKindArg};
use crate::clock::Clock;
use crate::error::RunError;
use crate::installation::Installation;

pub(super) fn keys(root: &Path, command: &KeysCommand) -> Result<Answer, RunError> {
    match command {
        KeysCommand::New { purpose } => {
            let purpose: Purpose = purpose.parse().map_err(ConnectorError::from)?;
            let version = Installation::open(root, Clock::System)?
                .keyring()
                .create(purpose)?;
            let text = format!("made version {version} of the key for {purpose}\n");
            Answer::new(
                text,
                &json!({ "purpose": purpose.as_str(), "version": version }),
            )
        }
        KeysCommand::Pair { name, kind } => {
            let kind = match kind {
                PairKindArg::Approver => PairKind::Approver,
                PairKindArg::Recipient => PairKind::Recipient,
                PairKindArg::Receipt => PairKind::Receipt,
            };
            let pair = write_pair(Path::new("."), name, kind)?;
            let text = format!(
                "made {name}.key, which stays with its owner, and {name}.pub:\n{}\n",
                pair.key
            );
            Answer::new(
                text,
                &json!({ "name": name, "public_key": pair.key.to_string() }),
            )
        }
        KeysCommand::List => list(root),
    }
}

fn list(root: &Path) -> Result<Answer, RunError> {
    let keyring = Installation::open(root, Clock::System)?.keyring();
    let mut documents = Vec::new();
    for key in keyring.list()? {
        let public = match key.purpose.signs() {
            true => usize::try_from(key.version.saturating_sub(1))
                .ok()
                .and_then(|index| keyring.public_keys(key.purpose).ok()?.get(index).copied()),
            false => None,
        };
        documents.push(json!({
            "purpose": key.purpose.as_str(),
            "version": key.version,
            "public_key": public.map(|public| public.to_string()),
        }));
    }
    let text = table(
        &["purpose", "version", "public key"],
        documents.iter().map(|key| {
            ["purpose", "version", "public_key"].map(|name| match key.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            })
        }),
    );
    Answer::new(text, &json!({ "keys": documents }))
}
