//! `open`: the recipient's opening of a delivery, with or without a site.

use std::path::Path;

use lockgate_connectors::keyring::read_private;

use super::files::read_file;
use super::output::Answer;
use super::verify::{delivery_store, find_site, ledger_keys, manifest_keys, report_answer};
use crate::cli::OpenArgs;
use crate::error::RunError;
use crate::open::{OpenReport, Opened, Opening, open_delivery};
use crate::release_keys::BYTES_MAX;

/// Opens a delivery into a directory.
pub(super) async fn open(root: &Path, args: &OpenArgs) -> Result<Answer, RunError> {
    let site = find_site(root)?;
    let keys = manifest_keys(site.as_ref(), &args.key)?;
    let ledger_keys = ledger_keys(site.as_ref(), args.ledger_key.as_deref())?;
    let identity = args.identity.as_deref().map(read_private).transpose()?;
    let release = args.release.as_deref();
    let release = release.map(|file| read_file(file, BYTES_MAX)).transpose()?;
    let store = delivery_store(site.as_ref(), &args.delivery)?;
    let (objects, folder) = (store.object_store(), store.prefix());
    let opening = Opening {
        store: &objects,
        folder,
        manifest_keys: &keys,
        ledger_keys: (!ledger_keys.is_empty()).then_some(ledger_keys.as_slice()),
        identity: identity.as_ref(),
        release: release.as_deref(),
        to: &args.to,
    };
    match Box::pin(open_delivery(&opening)).await? {
        Opened::Files(report) => Answer::new(text(&report, &args.to), &report),
        Opened::Unverified(report) => report_answer(&report),
    }
}

fn text(report: &OpenReport, to: &Path) -> String {
    let mut text = format!(
        "opened: {} file(s), {} rows, in {}\n",
        report.files.len(),
        report.rows,
        to.display()
    );
    for file in &report.files {
        text.push_str(&format!("  {}: {} bytes\n", file.name, file.bytes));
    }
    for note in &report.notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    text
}
