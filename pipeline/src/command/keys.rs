//! `keys`: makes, lists, protects and destroys keys, and never shows one.

use std::path::Path;

use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::{
    Attestation, Destroyed, KekId, KeyEntry, KeyringError, PairKind, Purpose, SecretSource, Unlock,
    has_head, is_within, leave_token, protect as protect_keyring, write_key_file, write_pair,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::output::{Answer, table};
use crate::cli::{KeysCommand, PairKindArg, ProtectArgs};
use crate::clock::Clock;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History, Ledger};
use crate::run::lock_grant;

/// The purposes whose public keys recipients need.
const SIGNING: [Purpose; 2] = [Purpose::Manifest, Purpose::Ledger];

pub(super) async fn keys(root: &Path, command: &KeysCommand) -> Result<Answer, RunError> {
    let open = || Installation::open(root, Clock::System);
    match command {
        KeysCommand::New { purpose } => new(&open()?, purpose),
        KeysCommand::Pair { name, kind } => pair(name, *kind),
        KeysCommand::List => list(&open()?),
        KeysCommand::Rotate => rotate(&open()?),
        KeysCommand::Destroy { key, yes, force } => {
            let force = force.as_deref() == Some(key.as_str());
            Box::pin(destroy(&open()?, key, *yes, force)).await
        }
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
    text.push_str(&left_in_token(&told));
    Answer::new(
        text,
        &json!({
            "keys": documents,
            "deliveries": deliveries,
            "provider": told.provider.as_str(),
            "protection": told.protection,
            "generation": told.generation,
            "root": told.root,
            "masters_extractable": told.masters_extractable,
            "keks_extractable": told.keks_extractable,
            "left_in": told.left_in,
        }),
    )
}

/// That a token may hold copies, where one may.
fn left_in_token(told: &Attestation) -> String {
    told.left_in.as_ref().map_or_else(String::new, |token| {
        format!(
            "token `{token}` may still hold keys of this keyring, because a protection did not come to its \
             end: name it in [keys] (module, token, pin) and run `lockgate keys protect` again\n"
        )
    })
}

fn rotate(installation: &Installation) -> Result<Answer, RunError> {
    let ledger = before_change(installation)?;
    let root = installation.keyring().rotate()?;
    record(installation, ledger.as_ref(), "rotated")?;
    let text = format!(
        "made root {root} and wrapped every record anew; keys and outputs stay what they are\n\
         backups of the keyring still hold the earlier root: let them expire\n\
         behind a token, they open no more from now on: back the keyring up right away\n\
         whoever knew a passphrase still does: `lockgate keys protect --passphrase-file` takes a new one\n"
    );
    Answer::new(text, &json!({ "root": root }))
}

/// Destroys a key; `force` where its name was said once more.
async fn destroy(
    installation: &Installation,
    key: &str,
    yes: bool,
    force: bool,
) -> Result<Answer, RunError> {
    if !yes {
        let what = format!("destroying {key} cannot be undone");
        return Err(refused(what, "say --yes".to_owned()));
    }
    let ledger = before_change(installation)?;
    let (answer, trial) = match master(key) {
        Some((purpose, version)) => {
            destroy_master(installation, key, (purpose, version), force)?;
            ("record deleted, version barred", None)
        }
        None => {
            let id: KekId = key.parse().map_err(|_| {
                let remedy =
                    "name a key as PURPOSE.vN or DELIVERY.ATTEMPT; `lockgate keys list` names them";
                refused(format!("there is no key {key}"), remedy.to_owned())
            })?;
            // Or a run under way would publish what nobody can open.
            let _lock = match grant_of(installation, &id)? {
                Some(grant) => {
                    let never = CancellationToken::new();
                    Some(lock_grant(installation, &grant, &never).await?)
                }
                None => None,
            };
            let destroyed = destroy_kek(installation, &id, force)?;
            (destroyed.answer, Some(destroyed.trial))
        }
    };
    record(installation, ledger.as_ref(), &format!("destroyed {key}"))?;
    let text = format!(
        "destroyed {key}: {answer}\n{}backups of the keyring still hold it, until they expire\n",
        trial
            .as_ref()
            .map_or_else(String::new, |trial| format!("{trial}\n"))
    );
    Answer::new(
        text,
        &json!({ "destroyed": key, "answer": answer, "trial": trial }),
    )
}

fn refused(what: String, remedy: String) -> RunError {
    RunError::Invalid {
        what,
        at: "command line".to_owned(),
        remedy,
    }
}

/// What is said of a key that is still needed.
fn needed(key: &str, why: &str) -> RunError {
    let what = format!("key {key} is still needed: {why}");
    refused(
        what,
        format!("to destroy it all the same, say --force {key}"),
    )
}

/// The purpose and version that `PURPOSE.vN` names, whether or not there is such a key.
fn master(key: &str) -> Option<(Purpose, u32)> {
    let (purpose, version) = key.split_once(".v")?;
    let version = version.parse().ok()?;
    Some((purpose.parse().ok()?, version))
}

fn destroy_master(
    installation: &Installation,
    key: &str,
    (purpose, version): (Purpose, u32),
    force: bool,
) -> Result<(), RunError> {
    let keyring = installation.keyring();
    let listed = keyring.list()?;
    let listed = listed
        .iter()
        .find(|entry| (entry.purpose, entry.version) == (purpose, version));
    // One that is barred already is not listed: a killed process may have left its file.
    if let Some(entry) = listed
        && let Some(why) = still_needed(installation, entry)?
        && !force
    {
        return Err(needed(key, &why));
    }
    match keyring.destroy(purpose, version) {
        Err(ConnectorError::Keyring(KeyringError::MissingVersion { .. })) => {
            let remedy = "`lockgate keys list` names them";
            Err(refused(format!("there is no key {key}"), remedy.to_owned()))
        }
        done => Ok(done?),
    }
}

fn destroy_kek(
    installation: &Installation,
    id: &KekId,
    force: bool,
) -> Result<Destroyed, RunError> {
    let keyring = installation.keyring();
    let attested = keyring.attest_kek(id)?;
    // One that is there and not listed is one that a killed process left, or that was put back.
    if attested.destroyed && !attested.exists {
        let what = format!("there is no key {id} of a delivery: it was destroyed, or never made");
        return Err(refused(what, "`lockgate keys list` names them".to_owned()));
    }
    let history = Ledger::reader(&installation.ledger_dir())?.entries()?;
    if let Some(why) = stands(&history, id)
        && !force
    {
        return Err(needed(id.as_str(), why));
    }
    Ok(keyring.destroy_kek(id)?)
}

/// The grant of an attempt, if there is any sign of it: in the ledger, or in the notes that a run makes of
/// keys before it makes them.
fn grant_of(installation: &Installation, id: &KekId) -> Result<Option<String>, RunError> {
    let history = Ledger::reader(&installation.ledger_dir())?.entries()?;
    let recorded = history
        .iter()
        .find_map(|entry| match attempt_of(&entry.event) {
            Some((grant, of)) if of == *id => Some(grant.to_owned()),
            Some(_) | None => None,
        });
    if recorded.is_some() {
        return Ok(recorded);
    }
    let notes = std::fs::read_dir(installation.state().join("seals"));
    let mut folders = notes.into_iter().flatten().filter_map(Result::ok);
    let noted = folders.find(|folder| folder.path().join(id.as_str()).exists());
    Ok(noted.and_then(|folder| folder.file_name().into_string().ok()))
}

/// Why the key of a delivery is still needed; absent where its attempt came to nothing, or was disposed of.
fn stands(history: &History, id: &KekId) -> Option<&'static str> {
    let is_it = |event: &Event| attempt_of(event).is_some_and(|(_, of)| of == *id);
    let is_released = history
        .iter()
        .any(|entry| matches!(entry.event, Event::Released { .. }) && is_it(&entry.event));
    let is_disposed = history
        .iter()
        .any(|entry| matches!(entry.event, Event::Disposed { .. }) && is_it(&entry.event));
    let is_open = history.unsettled().iter().any(|entry| is_it(&entry.event));
    match (is_released && !is_disposed, is_open) {
        (true, _) => Some(
            "the delivery stands, and could not be opened nor disposed of as it should be; `lockgate \
             dispose` destroys its key and records what that covers",
        ),
        (false, true) => Some(
            "whether its delivery was published is not settled; the next run of the grant settles it",
        ),
        (false, false) => None,
    }
}

/// The grant of an attempt and its key, of what is recorded of attempts.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all events, three are about an attempt and its key"
)]
fn attempt_of(event: &Event) -> Option<(&str, KekId)> {
    match event {
        Event::ReleaseIntended {
            grant,
            delivery,
            attempt,
            ..
        }
        | Event::Released {
            grant,
            delivery,
            attempt,
            ..
        }
        | Event::Disposed {
            grant,
            delivery,
            attempt,
            ..
        } => Some((grant, KekId::new(delivery, attempt).ok()?)),
        _ => None,
    }
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
        Purpose::Fpe => has_delivered(installation)?.then(|| {
            "values of earlier deliveries are turned back with it, and they are made again with it"
                .to_owned()
        }),
        Purpose::Pseudonym => has_delivered(installation)?
            .then(|| "earlier deliveries could not be made again".to_owned()),
        Purpose::Manifest | Purpose::Ledger => None,
    })
}

/// Whether anything was ever released.
fn has_delivered(installation: &Installation) -> Result<bool, RunError> {
    let history = Ledger::reader(&installation.ledger_dir())?.entries()?;
    let mut entries = history.iter();
    Ok(entries.any(|entry| matches!(entry.event, Event::Released { .. })))
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
    let mut told = protect_keyring(&directory, &from, &to)?;
    let protected = installation.opened_by(&to)?;
    if has_ledger_key(&protected)? {
        protected.ledger_recording("protected")?;
    }
    // What an earlier protection left in the token, if [keys] says how to get there.
    if told.left_in.is_some() && told.left_in == installation.site.file.keys.token {
        leave_token(&directory, &to, &installation.token())?;
        told.left_in = None;
    }
    let text = format!(
        "the keyring is protected by {}, generation {}, root {}; keys and outputs stay what they are\n\
         plain files and earlier records are removed; backups still hold them, until they expire\n{}\
         \nlockgate.toml must say:\n[keys]\n{lines}",
        told.protection,
        told.generation,
        told.root,
        left_in_token(&told)
    );
    Answer::new(
        text,
        &json!({
            "protection": told.protection,
            "provider": told.provider.as_str(),
            "generation": told.generation,
            "root": told.root,
            "left_in": told.left_in,
        }),
    )
}

/// What is to protect the keyring, and what `[keys]` has to say then.
fn wanted(installation: &Installation, args: &ProtectArgs) -> Result<(Unlock, String), RunError> {
    let files = (args.passphrase_file.as_deref(), args.key_file.as_deref());
    let directory = installation.keyring_dir();
    if let Some((unlock, line)) = by_file(&directory, files)? {
        return Ok((unlock, format!("provider = \"local\"\n{line}\n")));
    }
    let lines = "provider = \"pkcs11\"\n# and module, token and pin, which it says already\n";
    Ok((Unlock::Token(installation.token()), lines.to_owned()))
}

/// What opens a keyring in `directory`, of a passphrase's file or a key file, which is made where it does
/// not exist; and the line of `[keys]` that says so. Absent where neither is named.
pub(super) fn by_file(
    directory: &Path,
    (passphrase_file, key_file): (Option<&Path>, Option<&Path>),
) -> Result<Option<(Unlock, String)>, RunError> {
    let Some(path) = passphrase_file.or(key_file) else {
        return Ok(None);
    };
    if is_within(directory, path) {
        let what = format!(
            "{} lies in the keyring's own directory, {}",
            path.display(),
            directory.display()
        );
        let remedy = "keep what opens a keyring apart from it, above all in backups";
        return Err(refused(what, remedy.to_owned()));
    }
    let written = std::path::absolute(path)
        .map_err(|error| RunError::internal("finding the file", &error))?;
    let written = Value::from(written.display().to_string());
    let (unlock, key) = match passphrase_file {
        Some(path) => {
            let source = SecretSource::of_file(path.to_owned());
            (Unlock::Passphrase(source), "passphrase")
        }
        None => {
            if !path.exists() {
                write_key_file(path).map_err(ConnectorError::from)?;
            }
            (Unlock::KeyFile(path.to_owned()), "key_file")
        }
    };
    unlock.check().map_err(ConnectorError::from)?;
    Ok(Some((unlock, format!("{key} = {{ file = {written} }}"))))
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
