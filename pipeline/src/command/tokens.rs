//! `tokens`: what vaults there are, and turning tokens back.

use std::path::Path;

use serde_json::{Value, json};

use super::files::{List, read_file, write_new};
use super::output::{Answer, table};
use crate::approval::tokens::{APPROVAL_BYTES_MAX, TOKENS_MAX, TokenRequest, TokenTerms, sign};
use crate::cli::{ApproveTokensArgs, TokensCommand};
use crate::clock::Clock;
use crate::digest::sha256_hex;
use crate::error::{RunError, exit};
use crate::installation::Installation;
use crate::vault::{self, Listed, RevealRequest, Revealed, VaultFault};

/// Most characters of a token.
const TOKEN_CHARACTERS_MAX: usize = 64;

/// The tokens of one request.
const TOKENS: List = List {
    one: "token",
    count_max: TOKENS_MAX,
    bytes_max: 2 << 20,
    remedy: "write one token a line, as it was delivered",
    of_line: |line| Some(line.trim()).filter(|token| is_token(token)),
};

fn is_token(text: &str) -> bool {
    text.len() <= TOKEN_CHARACTERS_MAX && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub(super) fn tokens(root: &Path, command: &TokensCommand) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    match command {
        TokensCommand::List => list(&installation),
        TokensCommand::Approve(args) => approve(&installation, args),
        TokensCommand::Reveal {
            grant,
            approval,
            tokens,
        } => reveal(&installation, grant, approval, tokens.as_deref()),
    }
}

fn list(installation: &Installation) -> Result<Answer, RunError> {
    let vaults = vault::list(installation)?;
    let rows = vaults.iter().map(|vault| {
        let [domain, scope, form, key, tokens] = match &vault.content {
            Ok(content) => [
                content.domain.clone(),
                content.scope.clone(),
                format!("{}, {}", content.alphabet, content.length),
                content.key_version.to_string(),
                format!("{} of {}", content.tokens, content.tokens_max),
            ],
            Err(VaultFault::InUse { .. }) => ["in use by a run", "", "", "", ""].map(str::to_owned),
            Err(fault) => [fault.class(), "", "", "", ""].map(str::to_owned),
        };
        [domain, scope, form, key, tokens, vault.vault.clone()]
    });
    let header = ["domain", "scope", "tokens are", "key", "holds", "vault"];
    let mut text = table(&header, rows);
    let faults: Vec<&VaultFault> = vaults.iter().filter_map(fault).collect();
    for fault in &faults {
        text.push_str(&format!("{fault}\n"));
    }
    let answer = Answer::new(
        text,
        &json!({ "vaults": vaults.iter().map(document).collect::<Vec<_>>() }),
    )?;
    // Everything is listed, and a script that asks for the exit code learns of it all the same.
    Ok(match faults.is_empty() {
        true => answer,
        false => answer.with_exit(exit::FAILED),
    })
}

/// Why a vault can't be used; absent where it can, or will when a run has ended.
fn fault(vault: &Listed) -> Option<&VaultFault> {
    let fault = vault.content.as_ref().err()?;
    (!matches!(fault, VaultFault::InUse { .. })).then_some(fault)
}

fn document(vault: &Listed) -> Value {
    let Listed {
        vault,
        bytes,
        content,
    } = vault;
    match content {
        Err(VaultFault::InUse { .. }) => json!({ "vault": vault, "bytes": bytes, "in_use": true }),
        Err(fault) => json!({
            "vault": vault,
            "bytes": bytes,
            "in_use": false,
            "fault": { "class": fault.class(), "what": fault.to_string() },
        }),
        Ok(content) => json!({
            "vault": vault,
            "bytes": bytes,
            "in_use": false,
            "domain": content.domain,
            "scope": content.scope,
            "alphabet": content.alphabet,
            "length": content.length,
            "key_version": content.key_version,
            "tokens": content.tokens,
            // There may be more than a JSON number holds.
            "tokens_max": content.tokens_max.to_string(),
        }),
    }
}

fn approve(installation: &Installation, args: &ApproveTokensArgs) -> Result<Answer, RunError> {
    let tokens = TOKENS.read(args.tokens.as_deref())?;
    let request = TokenRequest {
        grant: &args.grant,
        tokens: &tokens,
        today: installation.today()?,
    };
    let terms = TokenTerms {
        domain: &args.domain,
        reason: &args.reason,
        until: args.until,
        scope: args.scope.as_deref(),
        key_version: args.key_version,
    };
    let signed = sign(&installation.site, &request, &terms, &args.key)?;
    let (approver, scopes) = (signed.approver, signed.scopes);
    write_new(&args.out, &signed.envelope)?;
    let text = format!(
        "approved turning back {} tokens of {} until {} as {approver}\n  from the vaults of {}\n  {}\n",
        tokens.len(),
        args.grant,
        args.until,
        scopes
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", "),
        args.out.display()
    );
    let document = json!({
        "grant": args.grant,
        "domain": args.domain,
        "scopes": scopes,
        "approver": approver,
        "tokens": tokens.len(),
        "until": args.until.to_string(),
        "approval_sha256": sha256_hex(&signed.envelope),
    });
    Answer::new(text, &document)
}

fn reveal(
    installation: &Installation,
    grant: &str,
    approval: &Path,
    tokens: Option<&Path>,
) -> Result<Answer, RunError> {
    let approval = read_file(approval, APPROVAL_BYTES_MAX)?;
    let tokens = TOKENS.read(tokens)?;
    let revealed = vault::reveal(
        installation,
        &RevealRequest {
            grant,
            tokens: &tokens,
            approval: &approval,
        },
    )?;
    Answer::new(csv(&revealed), &revealed_document(grant, &revealed))
}

fn revealed_document(grant: &str, revealed: &Revealed) -> Value {
    let tokens = revealed.tokens.iter().map(|token| match &token.found {
        Some((value, key_version)) => json!({
            "token": token.token,
            "value": value,
            "key_version": key_version,
        }),
        None => json!({ "token": token.token, "value": null, "key_version": null }),
    });
    json!({
        "grant": grant,
        "domain": revealed.domain,
        "approver": revealed.approver,
        "tokens": tokens.collect::<Vec<_>>(),
    })
}

/// One line a token; of one that no vault holds, value and version are empty.
fn csv(revealed: &Revealed) -> String {
    let mut text = "token,value,key_version\n".to_owned();
    for token in &revealed.tokens {
        match &token.found {
            Some((value, version)) => {
                let value = value.replace('"', "\"\"");
                text.push_str(&format!("{},\"{value}\",{version}\n", token.token));
            }
            None => text.push_str(&format!("{},,\n", token.token)),
        }
    }
    text
}
