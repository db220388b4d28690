//! `receipt`: acknowledges a delivery as its recipient, and accepts that as its provider.

use std::path::Path;

use lockgate_connectors::ConnectorError;
use lockgate_connectors::durable;
use lockgate_connectors::keyring::read_private;
use serde_json::json;

use super::output::Answer;
use super::verify::{delivery_store, find_site, ledger_keys, manifest_keys, report_answer};
use crate::approval::tokens::write_new;
use crate::cli::{ReceiptArgs, ReceiptCommand};
use crate::clock::Clock;
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::receipt::{self, Accepted, BYTES_MAX, Made, ReceiptKind, ReceiptRequest};

pub(super) async fn receipt(root: &Path, command: ReceiptCommand) -> Result<Answer, RunError> {
    match command {
        ReceiptCommand::Make(args) => make(root, &args, ReceiptKind::Received).await,
        ReceiptCommand::Destroyed(args) => make(root, &args, ReceiptKind::Destroyed).await,
        ReceiptCommand::Accept { file } => accept(root, &file),
    }
}

async fn make(root: &Path, args: &ReceiptArgs, kind: ReceiptKind) -> Result<Answer, RunError> {
    let site = find_site(root)?;
    let keys = manifest_keys(site.as_ref(), &args.key)?;
    let ledger_keys = ledger_keys(site.as_ref(), args.ledger_key.as_deref())?;
    let identity = read_private(&args.identity)?.receipt_key()?;
    let store = delivery_store(site.as_ref(), &args.delivery)?;
    let objects = store.object_store();
    let request = ReceiptRequest {
        store: &objects,
        folder: store.prefix(),
        keys: &keys,
        ledger_keys: (!ledger_keys.is_empty()).then_some(ledger_keys.as_slice()),
        statement: args.statement.as_deref(),
        at: site.map_or(Clock::System, |site| site.clock).now(),
    };
    let made = match kind {
        ReceiptKind::Received => Box::pin(receipt::make(&request, &identity)).await?,
        ReceiptKind::Destroyed => receipt::destroyed(&request, &identity).await?,
    };
    let (receipt, bytes) = match made {
        Made::Signed(receipt, bytes) => (receipt, bytes),
        Made::Unverified(report) => return report_answer(&report),
    };
    write_new(&args.out, &bytes)?;
    let what = match kind {
        ReceiptKind::Received => "received",
        ReceiptKind::Destroyed => "destroyed every copy of",
    };
    let text = format!(
        "signed as {}: {what} delivery {} of {} rows\n  receipt  {}\n",
        receipt.recipient,
        receipt.delivery,
        receipt.rows,
        args.out.display()
    );
    let document = json!({
        "kind": receipt.kind,
        "delivery": receipt.delivery,
        "grant": receipt.grant,
        "recipient": receipt.recipient,
        "rows": receipt.rows,
        "manifest_sha256": receipt.manifest_sha256,
        "receipt_sha256": sha256_hex(&bytes),
        "notes": receipt.checked.notes,
    });
    Answer::new(text, &document)
}

fn accept(root: &Path, file: &Path) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    let bytes = read_file(file, BYTES_MAX)?;
    let accepted = receipt::accept(&installation, &bytes)?;
    Answer::new(text(&accepted), &accepted)
}

/// Reads a file that is named on the command line.
pub(super) fn read_file(file: &Path, most: u64) -> Result<Vec<u8>, RunError> {
    let bytes = durable::read_bounded(file, most);
    let place = || file.display().to_string();
    bytes.map_err(|error| ConnectorError::from_io(&error, place()).into())
}

fn text(accepted: &Accepted) -> String {
    let was = match accepted.unchanged {
        true => "was accepted before",
        false => "accepted",
    };
    let words = accepted
        .statement
        .as_ref()
        .map_or_else(String::new, |words| format!("  statement  {words}\n"));
    format!(
        "{was}: {} {} delivery {} of {} rows, signed {}\n{words}  checkpoint  of {} entries, signed by \
         the recipient\n  entry  {}\n",
        accepted.recipient,
        accepted.kind.as_str(),
        accepted.delivery,
        accepted.rows,
        accepted.signed_at,
        accepted.checkpoint_size,
        accepted.entry
    )
}
