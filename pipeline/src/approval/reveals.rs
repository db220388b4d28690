//! Approval of turning values of one field back: a signature over which delivered values of which
//! grant, why, until when and how often.
//!
//! It is over the grant's very file: what an operator changes in it afterwards, by whom a field may be
//! revealed or which join group its key is of, was not approved. Values stand in it as salted hashes, as tokens do in [their approval](super::tokens).

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use chrono::NaiveDate;
use ed25519_dalek::VerifyingKey;
use lockgate_connectors::keyring::read_private;
use lockgate_transforms::Date;
use serde::{Deserialize, Serialize};

use super::tokens::{check_count, first_missing, grant_of, listed};
use super::{approvers_of, key_of};
use crate::digest::{is_hex, sha256_hex};
use crate::error::RunError;
use crate::life::check_reason;
use crate::site::Site;
use crate::{canonical_json, dsse};

/// DSSE payload type of an approval of turning values back.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.reveal-approval+json";

/// Version of the payload's form.
const FORMAT: u32 = 2;

/// Most values of one approval: turning back is for questions about somebody, not for exports.
pub const VALUES_MAX: usize = 10_000;

/// Most times that one approval can be used.
pub const USES_MAX: u32 = 1_000;

/// What an approver signs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevealApproval {
    format: u32,
    grant: String,
    /// Lower-case hex SHA-256 of the grant's file.
    grant_sha256: String,
    /// Department that holds the data.
    provider: String,
    field: String,
    /// The only version of the key that is tried; absent means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_version: Option<u32>,
    /// The only delivery whose values are turned back; absent means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    /// Name of the approver in lockgate.toml.
    approver: String,
    reason: String,
    /// 16 random bytes, hex.
    salt: String,
    /// How often values may be turned back with it.
    uses: u32,
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
    /// The values, as they were delivered; with what their rows hold, where they are bound to that.
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
    /// How often it may be done.
    pub uses: u32,
    /// The only version of the key that is tried; every one where absent.
    pub key_version: Option<u32>,
    /// The only delivery whose values are turned back; every one where absent.
    pub delivery: Option<&'a str>,
}

/// An approval that covers what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedValues {
    /// The approver who signed.
    pub approver: String,
    /// Departments whose data the approver may release.
    pub providers: BTreeSet<String>,
    /// The recipient, where it is the recipient who asks, and the grant lets it.
    pub recipient: Option<String>,
    /// The only version of the key that may be tried.
    pub key_version: Option<u32>,
    /// The only delivery whose values may be turned back.
    pub delivery: Option<String>,
    /// How often values may be turned back with it.
    pub uses: u32,
    /// Lower-case hex SHA-256 of the envelope.
    pub sha256: String,
}

/// Signs an approval; gives the envelope and the approver whose key signed.
///
/// # Errors
/// No such grant; a key of nobody listed as approver for its provider; no values or too many; a reason
/// that can't be recorded; a last day that is past; uses that are none or too many; a delivery that is none.
pub fn sign(
    site: &Site,
    request: &ValuesRequest<'_>,
    terms: &ValuesTerms<'_>,
    key: &Path,
) -> Result<(Vec<u8>, String), RunError> {
    let (grant, provider) = grant_of(site, request.grant)?;
    let reason = check_reason(terms.reason, "--reason")?;
    check_count(request.values.len(), VALUES_MAX, "the list of values")?;
    if !(1..=USES_MAX).contains(&terms.uses) {
        return Err(RunError::Invalid {
            what: format!("an approval is for 1 to {USES_MAX} uses"),
            at: "--uses".to_owned(),
            remedy: "approve as many as the reason asks for".to_owned(),
        });
    }
    if terms.until < request.today {
        return Err(RunError::Invalid {
            what: "the last day is past".to_owned(),
            at: "--until".to_owned(),
            remedy: "name a day to come".to_owned(),
        });
    }
    let delivery = check_delivery(terms.delivery)?;
    let key = read_private(key)?.signing_key()?;
    let names = approvers_of(site, provider, &key.verifying_key());
    let Some(approver) = names.first() else {
        return Err(denied(format!(
            "the key is not that of an approver listed for provider `{provider}` in lockgate.toml"
        )));
    };
    let (salt, values) = listed(request.values)?;
    let approval = RevealApproval {
        format: FORMAT,
        grant: request.grant.to_owned(),
        grant_sha256: grant.sha256.clone(),
        provider: provider.to_owned(),
        field: request.field.to_owned(),
        key_version: terms.key_version,
        delivery,
        approver: (*approver).to_owned(),
        reason: reason.to_owned(),
        salt,
        uses: terms.uses,
        values,
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
    let (grant, provider) = grant_of(site, request.grant)?;
    let approvers = site.file.approvers.values();
    let keys: Vec<VerifyingKey> = approvers
        .filter_map(|approver| key_of(&approver.public_key))
        .collect();
    let (payload, key) = dsse::open(envelope, PAYLOAD_TYPE, &keys)
        .map_err(|error| denied(format!("the approval does not count: {error}")))?;
    let approval: RevealApproval = canonical_json::read_form(&payload, FORMAT)
        .map_err(|error| denied(format!("the signed approval cannot be read: {error}")))?;
    if !approvers_of(site, provider, &key).contains(approval.approver.as_str()) {
        return Err(denied(format!(
            "it was signed as `{}`, who is not listed with that key for provider `{provider}`",
            approval.approver
        )));
    }
    let is_same = approval.grant == request.grant
        && approval.provider == provider
        && approval.field == request.field;
    if !is_same {
        return Err(denied(
            "the approval is for another grant, field or provider".to_owned(),
        ));
    }
    if approval.grant_sha256 != grant.sha256 {
        return Err(denied(
            "the approval is over another file or version of the grant".to_owned(),
        ));
    }
    if !(approval.valid_from.0..=approval.valid_until.0).contains(&request.today) {
        return Err(denied(format!(
            "the approval holds from {} to {}",
            approval.valid_from, approval.valid_until
        )));
    }
    let missing = first_missing(&approval.salt, &approval.values, request.values);
    if let Some(at) = missing {
        return Err(denied(format!(
            "the approval does not name value {}",
            at + 1
        )));
    }
    let listed = site.file.approvers.get(&approval.approver);
    let providers = listed.map(|approver| approver.providers.iter().cloned().collect());
    Ok(ApprovedValues {
        providers: providers.unwrap_or_default(),
        recipient: None,
        approver: approval.approver,
        key_version: approval.key_version,
        delivery: approval.delivery,
        uses: approval.uses,
        sha256: sha256_hex(envelope),
    })
}

/// The id of a delivery as it is signed.
///
/// # Errors
/// It can't be one.
pub(crate) fn check_delivery(delivery: Option<&str>) -> Result<Option<String>, RunError> {
    if delivery.is_some_and(|id| !is_hex(id, 32)) {
        return Err(RunError::Invalid {
            what: "a delivery's id is 32 hexadecimal digits".to_owned(),
            at: "--delivery".to_owned(),
            remedy: "take it from the manifest, where it is `delivery`".to_owned(),
        });
    }
    Ok(delivery.map(str::to_owned))
}

fn denied(what: String) -> RunError {
    RunError::Denied {
        what,
        remedy: "have the values approved with `lockgate reveal approve`".to_owned(),
    }
}
