//! `keys`: makes, lists, protects and destroys keys, and never shows one.

use std::path::Path;

use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::{
    KekId, KeyEntry, PairKind, Purpose, SecretSource, Unlock, has_head, protect as protect_keyring,
    write_key_file, write_pair,
};
use serde_json::{Value, json};

use super::output::{Answer, table};
use crate::cli::{KeysCommand, PairKindArg, ProtectArgs};
use crate::clock::Clock;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, Ledger};

/// The purposes whose public keys recipients need.
const SIGNING: [Purpose; 2] = [Purpose::Manifest, Purpose::Ledger];

pub(super) fn keys(root: &Path, command: &KeysCommand) -> Result<Answer, RunError> {
    let open = || Installation::open(root, Clock::System);
    match command {
        KeysCommand::New { purpose } => new(&open()?, purpose),
        KeysCommand::Pair { name, kind } => pair(name, *kind),
        KeysCommand::List => list(&open()?),
        KeysCommand::Rotate => rotate(&open()?),
        KeysCommand::Destroy { key, yes, force } => destroy(&open()?, key, *yes, force.as_deref()),
        KeysCommand::ExportPublic { to } => export_public(&open()?, to.as_deref()),
        KeysCommand::Protect(args) => protect(&open()?, args),
    }
}

fn new(installation: &Installation, purpose: &str) -> Result<Answer, RunError> {
    let purpose: Purpose = purpose.parse().map_err(ConnectorError::from)?;
    let ledger = before_change(installation)?;
    let version = installation.keyring().create(purpose)?;
    record(
        installation,
        ledger.as_ref(),
        &format!("made {purpose} v{version}"),
    )?;
    let text = format!("made version {version} of the key for {purpose}\n");
    Answer::new(
        text,
        &json!({ "purpose": purpose.as_str(), "version": version }),
    )
}

fn pair(name: &str, kind: PairKindArg) -> Result<Answer, RunError> {
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

fn list(installation: &Installation) -> Result<Answer, RunError> {
    let keyring = installation.keyring();
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
    let told = installation.check_keyring()?;
    let deliveries: Vec<String> = keyring.keks()?.iter().map(ToString::to_string).collect();
    let mut text = table(
        &["purpose", "version", "public key"],
        documents.iter().map(|key| {
            ["purpose", "version", "public_key"].map(|name| match key.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            })
        }),
    );
    text.push_str(&format!(
        "provider {}, protected by {}, generation {}, root {}\n",
        told.provider, told.protection, told.generation, told.root
    ));
    for id in &deliveries {
        text.push_str(&format!("key of delivery {id}\n"));
    }
    Answer::new(
        text,
        &json!({
            "keys": documents,
            "deliveries": deliveries,
            "provider": told.provider.as_str(),
            "protection": told.protection,
            "generation": told.generation,
            "root": told.root,
            "extractable": told.extractable,
        }),
    )
}

fn rotate(installation: &Installation) -> Result<Answer, RunError> {
    let ledger = before_change(installation)?;
    let root = installation.keyring().rotate()?;
    record(installation, ledger.as_ref(), "rotated")?;
    let text = format!(
        "made root {root} and wrapped every record anew; keys and outputs stay what they are\n\
         backups of the keyring still hold the earlier root: let them expire\n"
    );
    Answer::new(text, &json!({ "root": root }))
}

fn destroy(
    installation: &Installation,
    key: &str,
    yes: bool,
    force: Option<&str>,
) -> Result<Answer, RunError> {
    let refused = |what: String, remedy: String| RunError::Invalid {
        what,
        at: "command line".to_owned(),
        remedy,
    };
    let ledger = before_change(installation)?;
    let keyring = installation.keyring();
    let master = keyring.list()?.into_iter().find(|entry| name(entry) == key);
    if !yes {
        let what = format!("destroying {key} cannot be undone");
        return Err(refused(what, "say --yes".to_owned()));
    }
    let (answer, trial) = match master {
        Some(master) => {
            if let Some(why) = still_needed(installation, &master)?
                && force != Some(key)
            {
                let what = format!("key {key} is still needed: {why}");
                return Err(refused(
                    what,
                    format!("to destroy it all the same, say --force {key}"),
                ));
            }
            keyring.destroy(master.purpose, master.version)?;
            ("record deleted, version barred", None)
        }
        None => {
            let id: KekId = key.parse().map_err(|_| {
                let remedy =
                    "name a key as PURPOSE.vN or DELIVERY.ATTEMPT; `lockgate keys list` names them";
                refused(format!("there is no key {key}"), remedy.to_owned())
            })?;
            let destroyed = keyring.destroy_kek(&id)?;
            (destroyed.answer, Some(destroyed.trial))
        }
    };
    record(installation, ledger.as_ref(), &format!("destroyed {key}"))?;
    let text = format!(
        "destroyed {key}: {answer}\n{}backups of the keyring still hold it, until they expire\n",
        trial.as_ref().map_or_else(String::new, |trial| format!(
            "asked to use it, the keyring answers: {trial}\n"
        ))
    );
    Answer::new(
        text,
        &json!({ "destroyed": key, "answer": answer, "trial": trial }),
    )
}

/// Why a version of a key is still needed; absent where it is not.
fn still_needed(installation: &Installation, key: &KeyEntry) -> Result<Option<String>, RunError> {
    let purpose = key.purpose;
    let all = installation.keyring().list()?;
    let newest = all
        .iter()
        .filter(|other| other.purpose == purpose)
        .all(|other| other.version <= key.version);
    if newest {
        return Ok(Some(format!("it is the newest for {purpose}")));
    }
    let hold = &installation.site.file.keys.hold;
    let mut held = hold.iter();
    if held.any(|(held, hold)| held.as_str() == purpose.as_str() && hold.version == key.version) {
        return Ok(Some("[keys.hold] of lockgate.toml names it".to_owned()));
    }
    Ok(match purpose {
        Purpose::Mark => {
            let history = Ledger::reader(&installation.ledger_dir())?.entries()?;
            let marked = history.iter().any(|entry| {
                matches!(&entry.event, Event::MarkingBegun { key_version, .. } if *key_version == key.version)
            });
            marked.then(|| {
                "deliveries were marked with it, and could not be traced any more".to_owned()
            })
        }
        Purpose::Encryption => {
            Some("token vaults and encrypted fields of earlier deliveries may need it".to_owned())
        }
        Purpose::Pseudonym | Purpose::Fpe | Purpose::Manifest | Purpose::Ledger => None,
    })
}

fn export_public(installation: &Installation, to: Option<&Path>) -> Result<Answer, RunError> {
    let keyring = installation.keyring();
    let mut text = String::new();
    let mut document = serde_json::Map::new();
    for purpose in SIGNING {
        let keys = keyring.public_keys(purpose)?;
        let lines: String = keys.iter().map(|key| format!("{key}\n")).collect();
        if let Some(directory) = to {
            let path = directory.join(format!("{purpose}.pub"));
            write_new(&path, &lines)?;
            text.push_str(&format!("wrote {}\n", path.display()));
        } else {
            text.push_str(&format!("# {purpose}.pub\n{lines}"));
        }
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        document.insert(purpose.to_string(), json!(keys));
    }
    Answer::new(text, &document)
}

fn write_new(path: &Path, content: &str) -> Result<(), RunError> {
    use std::io::Write as _;

    let written = std::fs::File::create_new(path).and_then(|mut file| {
        file.write_all(content.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| ConnectorError::from_io(&error, path.display().to_string()).into())
}

fn protect(installation: &Installation, args: &ProtectArgs) -> Result<Answer, RunError> {
    let directory = installation.keyring_dir();
    // Plain files stay plain until this command has done its work, whatever [keys] says already.
    let from = match has_head(&directory) {
        true => installation.unlock(),
        false => Unlock::Plain,
    };
    let (to, lines) = wanted(installation, args)?;
    before_change(&installation.opened_by(&from)?)?;
    let told = protect_keyring(&directory, &from, &to)?;
    let protected = installation.opened_by(&to)?;
    if has_ledger_key(&protected)? {
        protected.ledger_recording("protected")?;
    }
    let text = format!(
        "the keyring is protected by {}, generation {}, root {}; keys and outputs stay what they are\n\
         plain files and earlier records are removed; backups still hold them, until they expire\n\
         \nlockgate.toml must say:\n[keys]\n{lines}",
        told.protection, told.generation, told.root
    );
    Answer::new(
        text,
        &json!({
            "protection": told.protection,
            "provider": told.provider.as_str(),
            "generation": told.generation,
            "root": told.root,
        }),
    )
}

/// What is to protect the keyring, and what `[keys]` has to say then.
fn wanted(installation: &Installation, args: &ProtectArgs) -> Result<(Unlock, String), RunError> {
    let written = |path: &Path| {
        let path = std::path::absolute(path)
            .map_err(|error| RunError::internal("finding the file", &error))?;
        Ok::<_, RunError>(Value::from(path.display().to_string()).to_string())
    };
    if let Some(path) = &args.passphrase_file {
        let lines = format!(
            "provider = \"local\"\npassphrase = {{ file = {} }}\n",
            written(path)?
        );
        return Ok((
            Unlock::Passphrase(SecretSource::of_file(path.clone())),
            lines,
        ));
    }
    if let Some(path) = &args.key_file {
        if !path.exists() {
            write_key_file(path).map_err(ConnectorError::from)?;
        }
        let lines = format!(
            "provider = \"local\"\nkey_file = {{ file = {} }}\n",
            written(path)?
        );
        return Ok((Unlock::KeyFile(path.clone()), lines));
    }
    let lines = "provider = \"pkcs11\"\n# and module, token and pin, which it says already\n";
    Ok((Unlock::Token(installation.token()), lines.to_owned()))
}

/// Refuses to change an older keyring, which would make it look like the newest, and records a change
/// that could not be recorded when it was made. The ledger, if there is a key to sign it with.
fn before_change(installation: &Installation) -> Result<Option<Ledger>, RunError> {
    installation.check_keyring()?;
    match has_ledger_key(installation)? {
        true => Ok(Some(installation.ledger()?)),
        false => Ok(None),
    }
}

fn has_ledger_key(installation: &Installation) -> Result<bool, RunError> {
    let keys = installation.keyring().list()?;
    Ok(keys.iter().any(|key| key.purpose == Purpose::Ledger))
}

/// Records a change, where the keyring counts them.
fn record(
    installation: &Installation,
    ledger: Option<&Ledger>,
    what: &str,
) -> Result<(), RunError> {
    match ledger {
        Some(ledger) => installation.record_keyring(ledger, what),
        None => Ok(()),
    }
}

/// A master key as it is named to `keys destroy`.
fn name(key: &KeyEntry) -> String {
    format!("{}.v{}", key.purpose, key.version)
}
