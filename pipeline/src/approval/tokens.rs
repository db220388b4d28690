//! Approval of turning tokens back: a signature over which tokens of which grant, why and until
//! when.
//!
//! Tokens stand in it as salted hashes: the approval says how many, and whoever has a token can see
//! whether it is among them. The salt stands beside them, so whoever can try every token of its form
//! can list them; what they stand for only a vault tells.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use chrono::NaiveDate;
use ed25519_dalek::VerifyingKey;
use lockgate_connectors::keyring::read_private;
use lockgate_connectors::{ConnectorError, durable};
use lockgate_transforms::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{approvers_of, key_of};
use crate::digest::{hex, sha256_hex};
use crate::error::RunError;
use crate::installation::Installation;
use crate::life::check_reason;
use crate::site::{Grant, Loaded, Site};
use crate::{canonical_json, dsse};

/// DSSE payload type of an approval of turning tokens back.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.token-approval+json";

/// Version of the payload's form.
const FORMAT: u32 = 2;

/// Most tokens of one approval: turning back is for questions about somebody, not for exports.
pub const TOKENS_MAX: usize = 10_000;

/// Most bytes of an approval that is read.
pub const APPROVAL_BYTES_MAX: u64 = 4 << 20;

/// What an approver signs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenApproval {
    format: u32,
    grant: String,
    /// Lower-case hex SHA-256 of the grant's file.
    grant_sha256: String,
    /// Department that holds the data.
    provider: String,
    /// Consistency domain of the tokens.
    domain: String,
    /// Scopes whose vaults are looked into: the grant's own, and those of the join groups that it
    /// listed when this was signed. Sorted.
    scopes: BTreeSet<String>,
    /// The only version of the key whose vaults are looked into; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_version: Option<u32>,
    /// Name of the approver in lockgate.toml.
    approver: String,
    reason: String,
    /// 16 random bytes, hex.
    salt: String,
    /// Lower-case hex SHA-256 of LP(salt) ‖ LP(token) for each token, sorted; LP = 4-byte big-endian
    /// length, then the text.
    tokens: Vec<String>,
    valid_from: Date,
    valid_until: Date,
}

/// What is to be turned back.
#[derive(Clone, Copy)]
pub struct TokenRequest<'a> {
    /// Id of the grant whose deliveries held the tokens.
    pub grant: &'a str,
    /// The tokens.
    pub tokens: &'a [String],
    /// Today, in the site's zone.
    pub today: NaiveDate,
}

impl fmt::Debug for TokenRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenRequest({}, ..)", self.grant)
    }
}

/// What an approver says about it.
#[derive(Debug, Clone, Copy)]
pub struct TokenTerms<'a> {
    /// Consistency domain of the tokens.
    pub domain: &'a str,
    /// Why they are turned back.
    pub reason: &'a str,
    /// Last day on which it may be done.
    pub until: NaiveDate,
    /// The only scope whose vaults are looked into; the grant's own and its join groups' where
    /// absent.
    pub scope: Option<&'a str>,
    /// The only version of the key whose vaults are looked into; any where absent.
    pub key_version: Option<u32>,
}

/// An approval that covers what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// Consistency domain of the tokens.
    pub domain: String,
    /// The approver who signed.
    pub approver: String,
    /// Departments whose data the approver may release.
    pub providers: BTreeSet<String>,
    /// Scopes whose vaults may be looked into.
    pub scopes: BTreeSet<String>,
    /// The only version of the key whose vaults may be looked into; any where absent.
    pub key_version: Option<u32>,
    /// Lower-case hex SHA-256 of the envelope.
    pub sha256: String,
}

/// An approval that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTokens {
    /// The envelope, as it is to be kept.
    pub envelope: Vec<u8>,
    /// The approver whose key signed.
    pub approver: String,
    /// Scopes whose vaults may be looked into.
    pub scopes: BTreeSet<String>,
}

/// Signs an approval.
///
/// # Errors
/// No such grant; a key of nobody listed as approver for its provider; no tokens or too many; a
/// reason that is empty or too long; a last day that is past; a scope that isn't the grant's.
pub fn sign(
    site: &Site,
    request: &TokenRequest<'_>,
    terms: &TokenTerms<'_>,
    key: &Path,
) -> Result<SignedTokens, RunError> {
    let (grant, provider) = grant_of(site, request.grant)?;
    let reason = check_terms(terms, request.today)?;
    check_count(request.tokens.len(), TOKENS_MAX, "the list of tokens")?;
    let scopes = scopes_within(grant, terms.scope)?;
    let key = read_private(key)?.signing_key()?;
    let names = approvers_of(site, provider, &key.verifying_key());
    let Some(approver) = names.first() else {
        return Err(denied(format!(
            "the key is not that of an approver listed for provider `{provider}` in lockgate.toml"
        )));
    };
    let (salt, tokens) = listed(request.tokens)?;
    let approval = TokenApproval {
        format: FORMAT,
        grant: request.grant.to_owned(),
        grant_sha256: grant.sha256.clone(),
        provider: provider.to_owned(),
        domain: terms.domain.to_owned(),
        scopes,
        key_version: terms.key_version,
        approver: (*approver).to_owned(),
        reason: reason.to_owned(),
        tokens,
        salt,
        valid_from: Date(request.today),
        valid_until: Date(terms.until),
    };
    let internal =
        |error: &dyn std::error::Error| RunError::internal("signing the approval", error);
    let payload = canonical_json::to_bytes(&approval).map_err(|error| internal(&error))?;
    let envelope = dsse::sign(PAYLOAD_TYPE, &payload, &key).map_err(|error| internal(&error))?;
    Ok(SignedTokens {
        envelope,
        approver: approval.approver,
        scopes: approval.scopes,
    })
}

/// Reason, last day and domain as they have to be; gives the reason as it is recorded.
fn check_terms<'t>(terms: &TokenTerms<'t>, today: NaiveDate) -> Result<&'t str, RunError> {
    let reason = check_reason(terms.reason, "--reason")?;
    if terms.until < today {
        return Err(invalid(
            "the last day is past",
            "--until",
            "name a day to come",
        ));
    }
    if terms.domain.trim().is_empty() {
        let remedy = "name the domain of the tokens' treatment, such as person.id";
        return Err(invalid("the domain is empty", "--domain", remedy));
    }
    Ok(reason)
}

/// Checks that there is something on a list, and no more than may be.
pub(crate) fn check_count(count: usize, most: usize, at: &str) -> Result<(), RunError> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    let what = format!("it holds {count}, and has to hold 1 to {most}");
    Err(invalid(&what, at, "ask for less at once"))
}

/// The scopes of a grant, or the one of them that is asked for.
fn scopes_within(grant: &Grant, asked: Option<&str>) -> Result<BTreeSet<String>, RunError> {
    let mut scopes = scopes_of(grant);
    let Some(asked) = asked else {
        return Ok(scopes);
    };
    scopes.retain(|own| own == asked);
    if scopes.is_empty() {
        return Err(invalid(
            "the scope isn't one of the grant",
            "--scope",
            "name a scope that `lockgate tokens list` shows: that of the grant or of a join group it \
             lists",
        ));
    }
    Ok(scopes)
}

fn invalid(what: &str, at: &str, remedy: &str) -> RunError {
    RunError::Invalid {
        what: what.to_owned(),
        at: at.to_owned(),
        remedy: remedy.to_owned(),
    }
}

/// Checks that an approval covers every token that is asked for, today.
///
/// # Errors
/// No such grant; [`RunError::Denied`] for whatever keeps the approval from covering the request.
pub fn verify(
    site: &Site,
    request: &TokenRequest<'_>,
    envelope: &[u8],
) -> Result<Approved, RunError> {
    let (grant, provider) = grant_of(site, request.grant)?;
    let keys: Vec<VerifyingKey> = site
        .file
        .approvers
        .values()
        .filter_map(|approver| key_of(&approver.public_key))
        .collect();
    let (payload, key) = dsse::open(envelope, PAYLOAD_TYPE, &keys)
        .map_err(|error| denied(format!("the approval does not count: {error}")))?;
    let approval: TokenApproval = canonical_json::read_form(&payload, FORMAT)
        .map_err(|error| denied(format!("the signed approval cannot be read: {error}")))?;
    let name = &approval.approver;
    let listed = site.file.approvers.get(name);
    let listed = listed.filter(|approver| key_of(&approver.public_key) == Some(key));
    let Some(approver) = listed else {
        return Err(denied(format!(
            "it was signed as `{name}`, who is not listed with that key"
        )));
    };
    if !approver.providers.iter().any(|listed| listed == provider) {
        return Err(denied(format!(
            "approver `{name}` is not listed for provider `{provider}`"
        )));
    }
    let is_same = approval.grant == request.grant && approval.provider == provider;
    if !is_same {
        return Err(denied(
            "the approval is for another grant or provider".to_owned(),
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
    let missing = first_missing(&approval.salt, &approval.tokens, request.tokens);
    if let Some(at) = missing {
        return Err(denied(format!(
            "the approval does not name token {}",
            at + 1
        )));
    }
    Ok(Approved {
        domain: approval.domain,
        approver: approval.approver,
        providers: approver.providers.iter().cloned().collect(),
        scopes: approval.scopes,
        key_version: approval.key_version,
        sha256: sha256_hex(envelope),
    })
}

/// Keeps an approval that is made use of, by its hash.
///
/// # Errors
/// It can't be written.
pub(crate) fn keep(directory: &Path, sha256: &str, envelope: &[u8]) -> Result<(), RunError> {
    let path = directory.join(format!("{sha256}.json"));
    let failed = |error: std::io::Error| {
        let place = "state/approvals";
        RunError::Connector(ConnectorError::from_io(&error, place))
    };
    durable::make_directories(directory, 0o777).map_err(failed)?;
    durable::replace(&path, envelope).map_err(failed)
}

/// A grant of the site, and the department that holds its data.
pub(super) fn grant_of<'s>(
    site: &'s Site,
    id: &str,
) -> Result<(&'s Loaded<Grant>, &'s str), RunError> {
    let grant = site.grants.get(id);
    let found = grant.and_then(|grant| Some((grant, site.datasets.get(&grant.dataset)?)));
    let (grant, dataset) = found.ok_or_else(|| RunError::Invalid {
        what: format!("there is no usable grant `{id}`"),
        at: "the site's files".to_owned(),
        remedy: "`lockgate grant list` names the grants there are".to_owned(),
    })?;
    Ok((grant, &dataset.provider))
}

/// Scopes whose tokens a grant's deliveries may hold. What is edited in the grant's file later makes an
/// approval no wider: they are signed.
fn scopes_of(grant: &Grant) -> BTreeSet<String> {
    let joins = grant.joins.iter();
    let mut scopes: BTreeSet<String> = joins
        .map(|join| Installation::scope(&grant.id, Some(join)))
        .collect();
    scopes.insert(Installation::scope(&grant.id, None));
    scopes
}

fn denied(what: String) -> RunError {
    RunError::Denied {
        what,
        remedy: "have the tokens approved with `lockgate tokens approve`".to_owned(),
    }
}

/// Texts as an approval names them: a fresh salt, and the salted hash of each, sorted.
pub(crate) fn listed(texts: &[String]) -> Result<(String, Vec<String>), RunError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| RunError::internal("drawing a salt", &error))?;
    let salt = hex(&salt);
    let hashes: BTreeSet<String> = texts.iter().map(|text| hash(&salt, text)).collect();
    Ok((salt, hashes.into_iter().collect()))
}

/// The first of the texts that isn't among those that an approval names.
pub(crate) fn first_missing(salt: &str, hashes: &[String], texts: &[String]) -> Option<usize> {
    let named: BTreeSet<&String> = hashes.iter().collect();
    let mut texts = texts.iter();
    texts.position(|text| !named.contains(&hash(salt, text)))
}

fn hash(salt: &str, token: &str) -> String {
    let mut hash = Sha256::new();
    for part in [salt, token] {
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    hex(&digest)
}
