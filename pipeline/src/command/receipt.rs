//! `receipt`: acknowledges a delivery as its recipient, and accepts that as its provider.

use std::path::Path;

use lockgate_connectors::keyring::read_private;
use serde_json::json;

use super::files::{of_file, read_file, write_new};
use super::output::Answer;
use super::verify::{delivery_store, find_site, ledger_keys, manifest_keys, report_answer};
use crate::cli::{ReceiptArgs, ReceiptCommand};
use crate::clock::Clock;
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::receipt::{self, Accepted, BYTES_MAX, Made, ReceiptRequest, Use};

pub(super) async fn receipt(root: &Path, command: ReceiptCommand) -> Result<Answer, RunError> {
    match command {
        ReceiptCommand::Make(args) => make(root, &args, &Told::Received).await,
        ReceiptCommand::Used {
            receipt,
            storage,
            outcome,
        } => make(root, &receipt, &Told::Used(Use { storage, outcome })).await,
        ReceiptCommand::Destroyed(args) => make(root, &args, &Told::Destroyed).await,
        ReceiptCommand::Accept { file } => accept(root, &file),
    }
}

/// What a recipient tells.
enum Told {
    Received,
    Used(Use),
    Destroyed,
}

async fn make(root: &Path, args: &ReceiptArgs, told: &Told) -> Result<Answer, RunError> {
    let site = find_site(root)?;
    let keys = manifest_keys(site.as_ref(), &args.key)?;
    let ledger_keys = ledger_keys(site.as_ref(), args.ledger_key.as_deref())?;
    if ledger_keys.is_empty() {
        return Err(RunError::Invalid {
            what: "no key to check the ledger's checkpoint with, which a receipt signs too"
                .to_owned(),
            at: "--ledger-key".to_owned(),
            remedy: "give the provider's ledger key, obtained apart from the delivery".to_owned(),
        });
    }
    let identity = read_private(&args.identity)?.receipt_key()?;
    let store = delivery_store(site.as_ref(), &args.delivery)?;
    let objects = store.object_store();
    let request = ReceiptRequest {
        store: &objects,
        folder: store.prefix(),
        keys: &keys,
        ledger_keys: &ledger_keys,
        statement: args.statement.as_deref(),
        at: site.map_or(Clock::System, |site| site.clock).now(),
    };
    let made = match told {
        Told::Received => Box::pin(receipt::make(&request, &identity)).await?,
        Told::Used(used) => receipt::used(&request, used, &identity).await?,
        Told::Destroyed => receipt::destroyed(&request, &identity).await?,
    };
    let (receipt, bytes) = match made {
        Made::Signed(receipt, bytes) => (receipt, bytes),
        Made::Unverified(report) => return report_answer(&report),
    };
    write_new(&args.out, &bytes)?;
    let what = match told {
        Told::Received => "received",
        Told::Used(_) => "used",
        Told::Destroyed => "destroyed every copy of",
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
    let accepted = receipt::accept(&installation, &bytes);
    let accepted = accepted.map_err(|error| of_file(error, file))?;
    Answer::new(text(&accepted), &accepted)
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
    let used = accepted.used.as_ref().map_or_else(String::new, |used| {
        let Use { storage, outcome } = used;
        format!("  storage  {storage}\n  outcome  {outcome}\n")
    });
    format!(
        "{was}: {} {} delivery {} of {} rows, signed {}\n{words}{used}  checkpoint  of {} entries, signed by \
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
