//! `reveal`: approves that encrypted values of a field are turned back, and does it.

use std::path::Path;

use lockgate_connectors::keyring::read_private;
use serde_json::{Value, json};

use super::files::{List, read_file, write_new};
use super::output::Answer;
use crate::approval::reveals::{self, VALUES_MAX, ValuesRequest, ValuesTerms};
use crate::approval::tokens::APPROVAL_BYTES_MAX;
use crate::cli::{ApproveRevealArgs, AskRevealArgs, RevealCommand};
use crate::clock::Clock;
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::reveal::request::{self, Asked};
use crate::reveal::{self, RevealRequest, Revealed};

/// The values of one request.
const VALUES: List = List {
    one: "value",
    count_max: VALUES_MAX,
    bytes_max: 64 << 20,
    remedy: "write one value a line, as it was delivered, with its row's where it is bound to them; binary \
             ones in base64",
    of_line: as_it_is,
};

fn as_it_is(line: &str) -> Option<&str> {
    Some(line)
}

pub(super) fn reveal(root: &Path, command: &RevealCommand) -> Result<Answer, RunError> {
    let site = || Installation::open(root, Clock::System);
    match command {
        RevealCommand::Approve(args) => approve(&site()?, args),
        RevealCommand::Ask(args) => ask(args),
        RevealCommand::Values {
            grant,
            field,
            approval,
            values,
        } => {
            let approval = read_file(approval, APPROVAL_BYTES_MAX)?;
            let values = VALUES.read(values.as_deref())?;
            let request = RevealRequest {
                grant,
                field,
                values: &values,
                approval: &approval,
            };
            let revealed = reveal::reveal(&site()?, &request)?;
            Answer::new(csv(&revealed), &document(&request, &revealed))
        }
    }
}

fn approve(installation: &Installation, args: &ApproveRevealArgs) -> Result<Answer, RunError> {
    let values = VALUES.read(args.values.as_deref())?;
    let request = ValuesRequest {
        grant: &args.grant,
        field: &args.field,
        values: &values,
        today: installation.today()?,
    };
    let terms = ValuesTerms {
        reason: &args.reason,
        until: args.until,
        uses: args.uses,
        key_version: args.key_version,
        delivery: args.delivery.as_deref(),
    };
    reveal::check_approvable(installation, &request, terms.delivery)?;
    let (envelope, approver) = reveals::sign(&installation.site, &request, &terms, &args.key)?;
    write_new(&args.out, &envelope)?;
    let text = format!(
        "approved turning back {} values of field {} of {} until {}, {} time(s), as {approver}\n  {}\n",
        values.len(),
        args.field,
        args.grant,
        args.until,
        args.uses,
        args.out.display()
    );
    let document = json!({
        "grant": args.grant,
        "field": args.field,
        "approver": approver,
        "values": values.len(),
        "until": args.until.to_string(),
        "delivery": args.delivery,
        "uses": args.uses,
        "approval_sha256": sha256_hex(&envelope),
    });
    Answer::new(text, &document)
}

fn ask(args: &AskRevealArgs) -> Result<Answer, RunError> {
    let values = VALUES.read(args.values.as_deref())?;
    let identity = read_private(&args.identity)?.receipt_key()?;
    let asked = Asked {
        grant: &args.grant,
        recipient: &args.recipient,
        field: &args.field,
        values: &values,
        reason: &args.reason,
        until: args.until,
        key_version: args.key_version,
        delivery: args.delivery.as_deref(),
    };
    let envelope = request::ask(&asked, &identity)?;
    write_new(&args.out, &envelope)?;
    let text = format!(
        "asked as {} for {} values of field {} of {} until {}\n  {}\n",
        args.recipient,
        values.len(),
        args.field,
        args.grant,
        args.until,
        args.out.display()
    );
    let document = json!({
        "grant": args.grant,
        "field": args.field,
        "recipient": args.recipient,
        "values": values.len(),
        "until": args.until.to_string(),
        "delivery": args.delivery,
        "request_sha256": sha256_hex(&envelope),
    });
    Answer::new(text, &document)
}

fn document(request: &RevealRequest<'_>, revealed: &Revealed) -> Value {
    let values = revealed.values.iter().map(|value| {
        let (original, version, why) = match &value.found {
            Ok((original, version)) => (Some(original), Some(version), None),
            Err(why) => (None, None, Some(why.to_string())),
        };
        json!({
            "value": value.value,
            "original": original,
            "key_version": version,
            "why": why,
        })
    });
    json!({
        "grant": request.grant,
        "field": request.field,
        "approver": revealed.approver,
        "uses_left": revealed.uses_left,
        "authentic": revealed.is_authentic,
        "values": values.collect::<Vec<_>>(),
    })
}

/// One line a value; of one that no key turns back, original and version are empty, and else `why` is.
fn csv(revealed: &Revealed) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = "value,original,key_version,why\n".to_owned();
    for value in &revealed.values {
        let delivered = quoted(&value.value);
        match &value.found {
            Ok((original, version)) => {
                text.push_str(&format!("{delivered},{},{version},\n", quoted(original)));
            }
            Err(why) => {
                text.push_str(&format!("{delivered},,,{}\n", quoted(&why.to_string())));
            }
        }
    }
    text
}
