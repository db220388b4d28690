//! `release`: hands the keys of a delivery, which only the site can unwrap, to its recipient.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::files::write_new;
use super::output::Answer;
use super::verify::delivery_store;
use crate::cli::ReleaseArgs;
use crate::clock::Clock;
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::release_keys;

pub(super) async fn release(root: &Path, args: &ReleaseArgs) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    let folder = delivery_store(Some(&installation), &args.delivery)?;
    // A document that can't be written must not be in the ledger as released.
    if let Some(out) = args.out.as_ref().filter(|out| out.exists()) {
        return Err(exists(out));
    }
    let released = release_keys::release(&installation, &folder, &args.to).await?;
    let document = &released.document;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.release.json", document.delivery)));
    write_new(&out, &released.bytes)?;
    let text = format!(
        "released {} keys of delivery {} to {}, {} times before\n  document  {}\n  entry  {}\n",
        document.keys,
        document.delivery,
        document.recipient,
        released.earlier,
        out.display(),
        released.entry
    );
    let answer = json!({
        "delivery": document.delivery,
        "grant": document.grant,
        "recipient": document.recipient,
        "keys": document.keys,
        "earlier": released.earlier,
        "document": out.display().to_string(),
        "document_sha256": sha256_hex(&released.bytes),
        "entry": released.entry,
    });
    Answer::new(text, &answer)
}

fn exists(out: &Path) -> RunError {
    RunError::Invalid {
        what: format!("{} exists", out.display()),
        at: "--out".to_owned(),
        remedy: "name a file that does not exist".to_owned(),
    }
}
