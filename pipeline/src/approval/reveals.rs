//! Approval of turning values of one field back: a signature over which delivered values of which
//! grant, why and until when.
//!
//! Values stand in it as salted hashes, as tokens do in [their approval](super::tokens).

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use chrono::NaiveDate;
use ed25519_dalek::VerifyingKey;
use lockgate_connectors::keyring::read_private;
use lockgate_transforms::Date;
use serde::{Deserialize, Serialize};

use super::tokens::{grant_of, hash};
use super::{approvers_of, key_of};
use crate::digest::{hex, sha256_hex};
use crate::error::RunError;
use crate::site::Site;
use crate::{canonical_json, dsse};

/// DSSE payload type of an approval of turning values back.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.reveal-approval+json";

/// Version of the payload's form.
const FORMAT: u32 = 1;

/// Most values of one approval: turning back is for questions about somebody, not for exports.
pub const VALUES_MAX: usize = 10_000;

/// Most characters of a reason.
const REASON_CHARACTERS_MAX: usize = 500;

/// What an approver signs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevealApproval {
    format: u32,
    grant: String,
    /// Department that holds the data.
    provider: String,
    field: String,
    /// The only version of the key that is tried; absent means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_version: Option<u32>,
    /// Name of the approver in lockgate.toml.
    approver: String,
    reason: String,
    /// 16 random bytes, hex.
    salt: String,
    /// Lower-case hex SHA-256 of LP(salt) ‖ LP(value) for each value, sorted.
    values: Vec<String>,
    valid_from: Date,
    valid_until: Date,
}

/// What is to be turned back.
#[derive(Clone, Copy)]
pub struct ValuesRequest<'a> {
    /// Id of the grant whose deliveries held the values.
    pub grant: &'a str,
    /// The field.
    pub field: &'a str,
    /// The values, as they were delivered.
    pub values: &'a [String],
    /// Today, in the site's zone.
    pub today: NaiveDate,
}

impl fmt::Debug for ValuesRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValuesRequest({}, {}, ..)", self.grant, self.field)
    }
}

/// What an approver says about it.
#[derive(Debug, Clone, Copy)]
pub struct ValuesTerms<'a> {
    /// Why they are turned back.
    pub reason: &'a str,
    /// Last day on which it may be done.
    pub until: NaiveDate,
    /// The only version of the key that is tried; every one where absent.
    pub key_version: Option<u32>,
}

/// An approval that covers what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedValues {
    /// The approver who signed.
    pub approver: String,
    /// The only version of the key that may be tried.
    pub key_version: Option<u32>,
    /// Lower-case hex SHA-256 of the envelope.
    pub sha256: String,
}

/// Signs an approval; gives the envelope and the approver whose key signed.
///
/// # Errors
/// No such grant; a key of nobody listed as approver for its provider; a reason that is empty or too
/// long; a last day that is past.
pub fn sign(
    site: &Site,
    request: &ValuesRequest<'_>,
    terms: &ValuesTerms<'_>,
    key: &Path,
) -> Result<(Vec<u8>, String), RunError> {
    let (_, provider) = grant_of(site, request.grant)?;
    let reason = terms.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARACTERS_MAX {
        return Err(RunError::Invalid {
            what: "the reason is empty or longer than 500 characters".to_owned(),
            at: "--reason".to_owned(),
            remedy: "say in a sentence why, without personal data".to_owned(),
        });
    }
    if terms.until < request.today {
        return Err(RunError::Invalid {
            what: "the last day is past".to_owned(),
            at: "--until".to_owned(),
            remedy: "name a day to come".to_owned(),
        });
    }
    let key = read_private(key)?.signing_key()?;
    let names = approvers_of(site, provider, &key.verifying_key());
    let Some(approver) = names.first() else {
        return Err(denied(format!(
            "the key is not that of an approver listed for provider `{provider}` in lockgate.toml"
        )));
    };
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| RunError::internal("drawing a salt", &error))?;
    let salt = hex(&salt);
    let hashes: BTreeSet<String> = request
        .values
        .iter()
        .map(|value| hash(&salt, value))
        .collect();
    let approval = RevealApproval {
        format: FORMAT,
        grant: request.grant.to_owned(),
        provider: provider.to_owned(),
        field: request.field.to_owned(),
        key_version: terms.key_version,
        approver: (*approver).to_owned(),
        reason: reason.to_owned(),
        salt,
        values: hashes.into_iter().collect(),
        valid_from: Date(request.today),
        valid_until: Date(terms.until),
    };
    let internal =
        |error: &dyn std::error::Error| RunError::internal("signing the approval", error);
    let payload = canonical_json::to_bytes(&approval).map_err(|error| internal(&error))?;
    let envelope = dsse::sign(PAYLOAD_TYPE, &payload, &key).map_err(|error| internal(&error))?;
    Ok((envelope, approval.approver))
}

/// Checks that an approval covers every value that is asked for, today.
///
/// # Errors
/// No such grant; [`RunError::Denied`] for whatever keeps the approval from covering the request.
pub fn verify(
    site: &Site,
    request: &ValuesRequest<'_>,
    envelope: &[u8],
) -> Result<ApprovedValues, RunError> {
    let (_, provider) = grant_of(site, request.grant)?;
    let approvers = site.file.approvers.values();
    let keys: Vec<VerifyingKey> = approvers
        .filter_map(|approver| key_of(&approver.public_key))
        .collect();
    let (payload, key) = dsse::open(envelope, PAYLOAD_TYPE, &keys)
        .map_err(|error| denied(format!("the approval does not count: {error}")))?;
    let approval: RevealApproval = canonical_json::read(&payload)
        .map_err(|_| denied("the signed approval cannot be read".to_owned()))?;
    if !approvers_of(site, provider, &key).contains(approval.approver.as_str()) {
        return Err(denied(format!(
            "it was signed as `{}`, who is not listed with that key for provider `{provider}`",
            approval.approver
        )));
    }
    let is_same = approval.format == FORMAT
        && approval.grant == request.grant
        && approval.provider == provider
        && approval.field == request.field;
    if !is_same {
        return Err(denied(
            "the approval is for another grant, field or provider".to_owned(),
        ));
    }
    if !(approval.valid_from.0..=approval.valid_until.0).contains(&request.today) {
        return Err(denied(format!(
            "the approval holds from {} to {}",
            approval.valid_from, approval.valid_until
        )));
    }
    let approved: BTreeSet<&String> = approval.values.iter().collect();
    let mut values = request.values.iter();
    let missing = values.position(|value| !approved.contains(&hash(&approval.salt, value)));
    if let Some(at) = missing {
        return Err(denied(format!(
            "the approval does not name value {}",
            at + 1
        )));
    }
    Ok(ApprovedValues {
        approver: approval.approver,
        key_version: approval.key_version,
        sha256: sha256_hex(envelope),
    })
}

fn denied(what: String) -> RunError {
    RunError::Denied {
        what,
        remedy: "have the values approved with `lockgate reveal approve`".to_owned(),
    }
}
