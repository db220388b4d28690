//! Signing a grant: only what would run is signed, and the signature appears whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use lockgate_connectors::keyring::read_private;
use lockgate_connectors::{ConnectorError, durable};
use thiserror::Error;

use super::{PAYLOAD_TYPE, approvers_of, resolve, signature_path};
use crate::canonical_json::{self, CanonicalError};
use crate::digest::sha256_hex;
use crate::dsse::{self, DsseError};
use crate::plan::compile::{Draft, Subject, draft};
use crate::plan::{CompileError, CompileRequest, QuotaUse, Refusal, RefusalCode};
use crate::site::Site;
use crate::site::dataset::Mode;

/// What to sign, and what of the world it depends on.
#[derive(Debug, Clone, Copy)]
pub struct SignRequest<'a> {
    /// Id of the grant.
    pub grant: &'a str,
    /// The approver's private key, as `lockgate keys pair` writes it.
    pub key: &'a Path,
    /// Today, in the site's zone.
    pub today: NaiveDate,
    /// What the grant has used of its quota so far.
    pub quota: QuotaUse,
}

/// A signature that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Id of the grant.
    pub grant: String,
    /// Version of the grant.
    pub version: u32,
    /// Id of the recipient.
    pub recipient: String,
    /// The approver whose key signed.
    pub approver: String,
    /// Lower-case hex SHA-256 of the signature's file.
    pub approval_sha256: String,
    /// The signature's file.
    pub path: PathBuf,
}

/// Why a grant was not signed. Nothing was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignError {
    /// There is no such grant, or its files cannot be used (exit code 2).
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Compiling refuses it, or the key may not sign it (exit code 3).
    #[error("refused: {}", refusals.iter().map(|refusal| refusal.reason.as_str()).collect::<Vec<_>>().join("; "))]
    Refused {
        /// Every refusal.
        refusals: Vec<Refusal>,
    },
    /// The private key cannot be used.
    #[error(transparent)]
    Key(#[from] ConnectorError),
    /// What would be signed has no canonical form.
    #[error("approval: {0}")]
    Canonical(#[from] CanonicalError),
    /// The envelope cannot be made.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// The signature cannot be written.
    #[error("cannot write {}: {}; check the rights of its directory", path.display(), source.kind())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Signs a grant as it resolves now and writes `ID.toml.sig` beside it, replacing an earlier one.
///
/// After a crash the old signature or the new one is there, whole.
///
/// # Errors
/// Whatever compile refuses (in any mode the grant allows) except the missing signature itself; a
/// key of nobody listed as approver for the provider; exemptions that name another approver; a key
/// or file that cannot be read or written.
pub fn sign(site: &Site, request: &SignRequest<'_>) -> Result<Signed, SignError> {
    let subject = Subject::find(site, request.grant)?;
    let key = read_private(request.key)?.signing_key()?;
    let (draft, mut refusals) = draft_in_every_mode(&subject, request)?;
    let provider = &subject.dataset.provider;
    let names = approvers_of(site, provider, &key.verifying_key());
    // One key may be listed under several names; then the one whose exemptions it is.
    let name = names
        .iter()
        .find(|name| draft.exemptions_without(name).is_empty())
        .or_else(|| names.first())
        .copied();
    match name {
        Some(name) => refusals.extend(draft.exemptions_without(name)),
        None => {
            let reason = format!(
                "the key is not that of an approver listed for provider `{provider}` in lockgate.toml"
            );
            refusals.push(Refusal::new(RefusalCode::Unsigned, reason));
        }
    }
    let Some(name) = name.filter(|_| refusals.is_empty()) else {
        return Err(SignError::Refused { refusals });
    };
    let payload = canonical_json::to_bytes(&resolve(&draft.plan, site, name))?;
    let envelope = dsse::sign(PAYLOAD_TYPE, &payload, &key)?;
    let path = signature_path(site, subject.grant);
    durable::replace(&path, &envelope).map_err(|source| SignError::Write {
        path: path.clone(),
        source,
    })?;
    Ok(Signed {
        grant: subject.grant.id.clone(),
        version: subject.grant.version,
        recipient: subject.grant.recipient.clone(),
        approver: name.to_owned(),
        approval_sha256: sha256_hex(&envelope),
        path,
    })
}

/// The draft, which no mode changes, and the refusals of every mode the grant allows.
fn draft_in_every_mode(
    subject: &Subject<'_>,
    request: &SignRequest<'_>,
) -> Result<(Draft, Vec<Refusal>), SignError> {
    let compile = |mode| {
        let request = CompileRequest {
            grant: request.grant,
            mode,
            today: request.today,
            quota: request.quota,
        };
        draft(subject, &request)
    };
    let modes = &subject.grant.modes;
    let first = compile(modes.first().copied().unwrap_or(Mode::Batch))?;
    let mut refusals = first.refusals.clone();
    for mode in modes.iter().skip(1) {
        for refusal in compile(*mode)?.refusals {
            if !refusals.contains(&refusal) {
                refusals.push(refusal);
            }
        }
    }
    Ok((first, refusals))
}
