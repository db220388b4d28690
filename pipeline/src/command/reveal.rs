//! `reveal`: approves that encrypted values of a field are turned back, and does it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use lockgate_connectors::ConnectorError;
use serde_json::{Value, json};

use super::output::Answer;
use super::receipt::read_file;
use crate::approval::reveals::{self, VALUES_MAX, ValuesRequest, ValuesTerms};
use crate::approval::tokens::{APPROVAL_BYTES_MAX, write_new};
use crate::cli::{ApproveRevealArgs, RevealCommand};
use crate::clock::Clock;
use crate::digest::sha256_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::reveal::{self, RevealRequest, Revealed};

/// Most bytes of a list of values.
const LIST_BYTES_MAX: u64 = 64 << 20;

pub(super) fn reveal(root: &Path, command: &RevealCommand) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    match command {
        RevealCommand::Approve(args) => approve(&installation, args),
        RevealCommand::Values {
            grant,
            field,
            approval,
            values,
        } => {
            let approval = read_file(approval, APPROVAL_BYTES_MAX)?;
            let values = read_values(values.as_deref())?;
            let request = RevealRequest {
                grant,
                field,
                values: &values,
                approval: &approval,
            };
            let revealed = reveal::reveal(&installation, &request)?;
            Answer::new(csv(&revealed), &document(&request, &revealed))
        }
    }
}

fn approve(installation: &Installation, args: &ApproveRevealArgs) -> Result<Answer, RunError> {
    let values = read_values(args.values.as_deref())?;
    let request = ValuesRequest {
        grant: &args.grant,
        field: &args.field,
        values: &values,
        today: installation.today()?,
    };
    let terms = ValuesTerms {
        reason: &args.reason,
        until: args.until,
        key_version: args.key_version,
    };
    let (envelope, approver) = reveals::sign(&installation.site, &request, &terms, &args.key)?;
    write_new(&args.out, &envelope)?;
    let text = format!(
        "approved turning back {} values of field {} of {} until {} as {approver}\n  {}\n",
        values.len(),
        args.field,
        args.grant,
        args.until,
        args.out.display()
    );
    let document = json!({
        "grant": args.grant,
        "field": args.field,
        "approver": approver,
        "values": values.len(),
        "until": args.until.to_string(),
        "approval_sha256": sha256_hex(&envelope),
    });
    Answer::new(text, &document)
}

fn document(request: &RevealRequest<'_>, revealed: &Revealed) -> Value {
    let values = revealed.values.iter().map(|value| {
        let (original, version) = match &value.found {
            Some((original, version)) => (Some(original), Some(version)),
            None => (None, None),
        };
        json!({ "value": value.value, "original": original, "key_version": version })
    });
    json!({
        "grant": request.grant,
        "field": request.field,
        "approver": revealed.approver,
        "authentic": revealed.is_authentic,
        "values": values.collect::<Vec<_>>(),
    })
}

/// One line a value; of one that no key turns back, original and version are empty.
fn csv(revealed: &Revealed) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = "value,original,key_version\n".to_owned();
    for value in &revealed.values {
        let delivered = quoted(&value.value);
        match &value.found {
            Some((original, version)) => {
                text.push_str(&format!("{delivered},{},{version}\n", quoted(original)));
            }
            None => text.push_str(&format!("{delivered},,\n")),
        }
    }
    text
}

/// The values of a file or of standard input, one a line, none twice, in their order.
fn read_values(path: Option<&Path>) -> Result<Vec<String>, RunError> {
    let bytes = match path {
        Some(path) => {
            let file = File::open(path)
                .map_err(|error| ConnectorError::from_io(&error, path.display().to_string()))?;
            read_at_most(file)?
        }
        None => read_at_most(std::io::stdin().lock())?,
    };
    let text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8"))?;
    let mut seen = BTreeSet::new();
    let values = text.lines().filter(|line| !line.is_empty());
    let values: Vec<String> = values
        .filter(|value| seen.insert((*value).to_owned()))
        .map(str::to_owned)
        .collect();
    match values.len() {
        0 => Err(invalid("it is empty")),
        1..=VALUES_MAX => Ok(values),
        _ => Err(invalid("it has more than 10,000 values")),
    }
}

fn read_at_most(from: impl Read) -> Result<Vec<u8>, RunError> {
    let mut bytes = Vec::new();
    from.take(LIST_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| ConnectorError::from_io(&error, "the list of values"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LIST_BYTES_MAX) {
        return Err(invalid("it is larger than 64 MiB"));
    }
    Ok(bytes)
}

fn invalid(what: &str) -> RunError {
    RunError::Invalid {
        what: what.to_owned(),
        at: "the list of values".to_owned(),
        remedy: "write one value a line, as it was delivered; binary ones in base64".to_owned(),
    }
}
