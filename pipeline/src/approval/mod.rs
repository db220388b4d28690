//! Approval: a signature over what a grant resolves to, not over its file alone.
//!
//! Policy, catalogue and recipients are files that an operator can edit, so an approval names what
//! they came to when it was signed: keys, source, sharing, and per field category, level and
//! treatment with what it reads of the row. Every later compile resolves the grant again and
//! compares. What became weaker, reads something else, goes elsewhere or carries other marks is stale and
//! refused; what became stronger passes.
//!
//! An approver signs as the name under which lockgate.toml lists the key, and the name is signed
//! too, so that exchanging names in that file gains nothing. The keys that could approve for the
//! provider are signed as well: one that is listed later makes the approval stale, so that whoever
//! signs next sees who else may.

pub mod reveals;
mod sign;
pub mod tokens;

#[cfg(test)]
pub(crate) mod test_site;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use lockgate_connectors::keyring::PublicKey;
use lockgate_connectors::seal::Release;
use lockgate_transforms::marks::key::PrfSuite;
use lockgate_transforms::{Strength, TreatmentSpec};
use serde::{Deserialize, Serialize};

use crate::digest::sha256_hex;
use crate::marks::{Anchor, CarrierSpec};
use crate::plan::{ExchangePlan, FilterField, PlannedField, Sealing};
use crate::site::dataset::{Level, Sharing, Source};
use crate::site::grant::{DeliveryFormat, Seal};
use crate::site::policy::{Below, Marking};
use crate::site::{Grant, Loaded, Site};
use crate::{canonical_json, dsse};

pub use sign::{SignError, SignRequest, Signed, sign};

/// DSSE payload type of an approval.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.approval+json";

/// Version of the payload's form.
const FORMAT: u32 = 1;

/// Strength from which a treatment replaces values rather than coarsening them.
const REPLACED_FROM: Strength = Strength(3);

/// Largest signature file that is read; an approval of a thousand fields has some 300 KB.
const SIGNATURE_BYTES_MAX: u64 = 16 << 20;

/// What an approver signs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Version of this form.
    pub format: u32,
    /// Id of the grant.
    pub grant: String,
    /// Version of the grant.
    pub version: u32,
    /// Lower-case hex SHA-256 of the grant's file, and so of its rows, divisions and terms.
    pub grant_sha256: String,
    /// Name of the approver in lockgate.toml.
    pub approver: String,
    /// Department that holds the data.
    pub provider: String,
    /// Fingerprints of the keys that may approve for the provider, sorted; absent in approvals made
    /// before they were signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver_keys: Option<Vec<String>>,
    /// Fingerprints of the recipient's keys, sorted.
    pub recipient_keys: Vec<String>,
    /// Where the data is.
    pub source: ApprovedSource,
    /// Sharing attribute of the dataset.
    pub sharing: Sharing,
    /// Field that carries the division code, where divisions restrict rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub division: Option<String>,
    /// Fields that are delivered.
    pub fields: Vec<ApprovedField>,
    /// Fields that only decide which rows are delivered.
    pub filter_only: Vec<FilterField>,
    /// How few carriers of marks a delivery may have.
    pub marking: Marking,
    /// Format and sealing of the files; absent where they are plain Parquet, as all were before files
    /// could be sealed.
    #[serde(default, skip_serializing_if = "ApprovedDelivery::is_plain")]
    pub delivery: ApprovedDelivery,
}

/// Format and sealing, as approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovedDelivery {
    /// Format of the files.
    pub format: DeliveryFormat,
    /// Kind of seal.
    pub seal: Seal,
    /// Cipher, keys and their release; absent where files aren't sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing: Option<Sealing>,
}

impl Default for ApprovedDelivery {
    fn default() -> Self {
        Self {
            format: DeliveryFormat::Parquet,
            seal: Seal::None,
            sealing: None,
        }
    }
}

impl ApprovedDelivery {
    fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// What makes `self`, of these fields, another delivery than was approved, or a weaker one.
    fn compare(&self, approved: &Self, fields: &[ApprovedField], changes: &mut Vec<String>) {
        if self.format != approved.format {
            changes.push("the format of the files changed".to_owned());
        }
        let Some(then) = &approved.sealing else {
            // Whatever is sealed now was to be plain.
            return;
        };
        let Some(now) = &self.sealing else {
            changes.push("the delivery would no longer be sealed".to_owned());
            return;
        };
        if self.seal != approved.seal {
            changes.push(format!(
                "the seal changed from {} to {}",
                approved.seal.as_str(),
                self.seal.as_str()
            ));
        }
        if now.suite != then.suite {
            changes.push(format!(
                "the suite of the seal changed from {} to {}",
                then.suite, now.suite
            ));
        }
        if now.release == Release::Offline && then.release == Release::Online {
            changes.push("keys would be given out ahead".to_owned());
        }
        // A field that isn't delivered any more has no column.
        let delivered = |name: &&String| fields.iter().any(|field| field.name == **name);
        let keyed = then.keyed_fields.iter().filter(delivered);
        for name in keyed.filter(|name| !now.keyed_fields.contains(name)) {
            changes.push(format!(
                "the column of field `{name}` would have no key of its own"
            ));
        }
    }
}

/// Where the data is, as approved: the catalogue's entry and the store it names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovedSource {
    /// The store's URL, without credentials.
    pub url: String,
    /// The store's endpoint, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The catalogue's entry.
    pub entry: Source,
}

/// A delivered field, as approved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovedField {
    /// Name.
    pub name: String,
    /// Category.
    pub category: String,
    /// Level.
    pub level: Level,
    /// Type in the source: a treatment of a timestamp cuts where its zone says.
    pub source_type: String,
    /// The resolved treatment.
    pub treatment: TreatmentSpec,
    /// The fields of the row that the treatment reads, delivered or not, in the order of their
    /// names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// Its mark; absent where it carries none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<ApprovedMark>,
}

/// The mark of a field, as approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovedMark {
    /// How far it may move values, and how.
    pub carrier: CarrierSpec,
    /// What its rows are found by; absent where its cells are found by their own value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_by: Option<Anchor>,
    /// What it is made by; AES where it isn't said.
    #[serde(default, skip_serializing_if = "PrfSuite::is_default")]
    pub suite: PrfSuite,
}

/// A signature that covers what a grant resolves to, as it was read once: its file may be another one
/// by the time that it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The approver who signed.
    pub approver: String,
    /// Lower-case hex SHA-256 of its envelope.
    pub sha256: String,
}

/// What a grant's signature is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureState {
    /// It covers what the grant resolves to.
    Valid(Signature),
    /// Absent, unverifiable, by someone who may not, or over another file or version.
    Unsigned {
        /// What is wrong and what to do.
        reason: String,
    },
    /// Good, but what the grant resolves to has weakened or changed its source or keys.
    Stale {
        /// What changed.
        changes: Vec<String>,
    },
}

/// What `approver` approves by signing the plan at a site.
pub fn resolve(plan: &ExchangePlan, site: &Site, approver: &str) -> Approval {
    Approval {
        format: FORMAT,
        grant: plan.grant.clone(),
        version: plan.grant_version,
        grant_sha256: plan.grant_sha256.clone(),
        approver: approver.to_owned(),
        provider: plan.provider.clone(),
        approver_keys: Some(approver_keys(site, &plan.provider)),
        recipient_keys: plan.recipient_keys.clone(),
        source: ApprovedSource {
            url: plan.source_url.clone(),
            endpoint: plan.source_endpoint.clone(),
            entry: plan.source.clone(),
        },
        sharing: plan.sharing,
        division: plan.rows.division_field.clone(),
        fields: plan
            .fields
            .iter()
            .map(|field| ApprovedField::of(field, plan))
            .collect(),
        filter_only: plan.filter_fields.clone(),
        marking: site.policy.marking.clone(),
        delivery: ApprovedDelivery {
            format: plan.format,
            seal: plan.seal,
            sealing: plan.sealing.clone(),
        },
    }
}

/// Where the signature of a grant is: beside its file.
pub fn signature_path(site: &Site, grant: &Loaded<Grant>) -> PathBuf {
    site.root.join(format!("{}.sig", grant.file))
}

/// Checks the signature of a grant against what it resolves to now.
pub fn verify(site: &Site, grant: &Loaded<Grant>, plan: &ExchangePlan) -> SignatureState {
    match open(site, grant, plan) {
        Err(reason) => SignatureState::Unsigned { reason },
        Ok((approval, sha256)) => {
            let changes = changes(&approval, plan, site);
            if changes.is_empty() {
                SignatureState::Valid(Signature {
                    approver: approval.approver,
                    sha256,
                })
            } else {
                SignatureState::Stale { changes }
            }
        }
    }
}

/// The approval and its envelope's hash, if it is one: signed by an approver listed for the provider,
/// over this very grant.
fn open(
    site: &Site,
    grant: &Loaded<Grant>,
    plan: &ExchangePlan,
) -> Result<(Approval, String), String> {
    let again = format!("sign it with `lockgate grant sign {} --key FILE`", grant.id);
    let bytes = match read(&signature_path(site, grant)) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(format!("the grant is not signed; {again}")),
        Err(what) => return Err(format!("the signature {what}; {again}")),
    };
    let keys: Vec<VerifyingKey> = site
        .file
        .approvers
        .values()
        .filter_map(|approver| key_of(&approver.public_key))
        .collect();
    let (payload, key) = dsse::open(&bytes, PAYLOAD_TYPE, &keys)
        .map_err(|error| format!("the signature does not count: {error}; {again}"))?;
    let approval: Approval = canonical_json::read_form(&payload, FORMAT)
        .map_err(|error| format!("the signed approval cannot be read: {error}; {again}"))?;
    let name = &approval.approver;
    let listed = site.file.approvers.get(name);
    let listed = listed.filter(|approver| key_of(&approver.public_key) == Some(key));
    let Some(approver) = listed else {
        return Err(format!(
            "it was signed as `{name}`, who is not listed with that key; {again}"
        ));
    };
    if !approver.providers.contains(&plan.provider) {
        let provider = &plan.provider;
        return Err(format!(
            "approver `{name}` is not listed for provider `{provider}`; {again}"
        ));
    }
    let same = approval.grant == plan.grant
        && approval.version == plan.grant_version
        && approval.grant_sha256 == plan.grant_sha256;
    if !same {
        return Err(format!(
            "the signature is over another file or version of the grant; {again}"
        ));
    }
    Ok((approval, sha256_hex(&bytes)))
}

/// The bytes of a signature file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    // Opening a pipe would wait for whoever writes to it.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Err("is not a regular file".to_owned());
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read ({})", error.kind())),
    };
    let mut bytes = Vec::new();
    file.take(SIGNATURE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read ({})", error.kind()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > SIGNATURE_BYTES_MAX) {
        return Err("is too large".to_owned());
    }
    Ok(Some(bytes))
}

pub(crate) fn key_of(text: &str) -> Option<VerifyingKey> {
    PublicKey::parse(text).ok()?.verifying_key()
}

/// What has weakened or moved since the approval; empty if it covers the plan.
fn changes(approval: &Approval, plan: &ExchangePlan, site: &Site) -> Vec<String> {
    let now = resolve(plan, site, &approval.approver);
    let mut changes = Vec::new();
    if may_more_approve(&now, approval) {
        changes.push(format!(
            "another key may approve for provider `{}`",
            now.provider
        ));
    }
    if now.provider != approval.provider {
        changes.push(format!(
            "the provider changed from `{}` to `{}`",
            approval.provider, now.provider
        ));
    }
    if now.recipient_keys != approval.recipient_keys {
        changes.push("the recipient's keys changed".to_owned());
    }
    if !now.source.same_as(&approval.source) {
        changes.push("the source changed".to_owned());
    }
    if strictness(now.sharing) < strictness(approval.sharing) {
        changes.push(format!(
            "sharing loosened from {} to {}",
            approval.sharing, now.sharing
        ));
    }
    if now.division != approval.division {
        changes.push("another field carries the division code".to_owned());
    }
    if is_laxer(&now.marking, &approval.marking) {
        changes.push("policy asks for fewer marks".to_owned());
    }
    for field in &now.fields {
        match approval
            .fields
            .iter()
            .find(|approved| approved.name == field.name)
        {
            Some(approved) => field.compare(approved, &mut changes),
            None => changes.push(format!(
                "field `{}` was not approved for delivery",
                field.name
            )),
        }
    }
    filter_changes(approval, &now, &mut changes);
    now.delivery
        .compare(&approval.delivery, &now.fields, &mut changes);
    changes
}

/// Whether a key may approve for the provider that could not. One that may no longer changes nothing,
/// unless it is the one that signed.
fn may_more_approve(now: &Approval, approved: &Approval) -> bool {
    let (Some(now), Some(then)) = (&now.approver_keys, &approved.approver_keys) else {
        return false;
    };
    now.iter().any(|key| !then.contains(key))
}

/// Whether fewer marks would do.
fn is_laxer(now: &Marking, approved: &Marking) -> bool {
    let refuses = |marking: &Marking| marking.below == Below::Refuse;
    now.min_carriers < approved.min_carriers || refuses(approved) && !refuses(now)
}

/// Fields that decide rows: approved as such, or approved for delivery and withheld since.
fn filter_changes(approval: &Approval, now: &Approval, changes: &mut Vec<String>) {
    for field in &now.filter_only {
        let filter = approval
            .filter_only
            .iter()
            .find(|approved| approved.name == field.name);
        let delivered = approval
            .fields
            .iter()
            .find(|approved| approved.name == field.name);
        let approved = filter
            .map(|approved| (&approved.category, approved.level))
            .or_else(|| delivered.map(|approved| (&approved.category, approved.level)));
        let Some((category, level)) = approved else {
            changes.push(format!(
                "field `{}` was not approved to decide rows",
                field.name
            ));
            continue;
        };
        grading_changes(
            &field.name,
            (&field.category, field.level),
            (category, level),
            changes,
        );
    }
}

fn grading_changes(
    name: &str,
    (category, level): (&str, Level),
    (approved_category, approved_level): (&str, Level),
    changes: &mut Vec<String>,
) {
    if category != approved_category {
        changes.push(format!(
            "the category of field `{name}` changed from {approved_category} to {category}"
        ));
    }
    if level < approved_level {
        changes.push(format!(
            "the level of field `{name}` fell from {approved_level} to {level}"
        ));
    }
}

impl ApprovedSource {
    /// Whether both are written the same, down to the options of CSV.
    fn same_as(&self, other: &Self) -> bool {
        match (serde_json::to_value(self), serde_json::to_value(other)) {
            (Ok(own), Ok(other)) => own == other,
            (Err(_), _) | (_, Err(_)) => false,
        }
    }
}

impl ApprovedField {
    fn of(field: &PlannedField, plan: &ExchangePlan) -> Self {
        let mark = plan.marks.as_ref().and_then(|marks| {
            let mark = marks.of(&field.name)?;
            Some(ApprovedMark {
                carrier: mark.carrier.clone(),
                found_by: marks.anchor_of(mark).cloned(),
                suite: marks.suite,
            })
        });
        Self {
            mark,
            name: field.name.clone(),
            category: field.category.clone(),
            level: field.level,
            source_type: field.source_type.clone(),
            treatment: field.treatment.clone(),
            reads: field.reads.clone(),
        }
    }

    fn compare(&self, approved: &Self, changes: &mut Vec<String>) {
        if self.source_type != approved.source_type {
            changes.push(format!(
                "the type of field `{}` changed from {} to {}",
                self.name, approved.source_type, self.source_type
            ));
        }
        grading_changes(
            &self.name,
            (&self.category, self.level),
            (&approved.category, approved.level),
            changes,
        );
        if !self.treatment.meets(&approved.treatment) {
            changes.push(format!(
                "the treatment of field `{}` weakened from {} to {}",
                self.name,
                approved.treatment.summary(),
                self.treatment.summary()
            ));
        }
        self.compare_mark(approved, changes);
        self.compare_reads(approved, changes);
    }

    /// A mark goes with the values it was in, where these give way to something that can't be told
    /// from other values by size or order. It doesn't go otherwise, and moves nothing otherwise: an
    /// operator could make copies that name nobody.
    fn compare_mark(&self, approved: &Self, changes: &mut Vec<String>) {
        let is_replaced = self.treatment.strength() >= REPLACED_FROM;
        if self.mark == approved.mark || self.mark.is_none() && is_replaced {
            return;
        }
        let what = match (&self.mark, &approved.mark) {
            (None, _) => "carries no mark any more",
            (Some(now), Some(then)) if now.carrier != then.carrier => {
                "would be moved by marks otherwise than was approved"
            }
            (Some(now), Some(then)) if now.found_by == then.found_by => {
                "would carry marks of another cipher than was approved"
            }
            (Some(_), Some(_)) => "would be found by other fields in a leak",
            (Some(_), None) => "would be moved by marks otherwise than was approved",
        };
        changes.push(format!("field `{}` {what}", self.name));
    }

    /// What a treatment reads can show in what it delivers, however strong it is, so nothing is read
    /// but what was approved: the same fields, by the same parameters and conditions.
    fn compare_reads(&self, approved: &Self, changes: &mut Vec<String>) {
        let fields = self.reads.iter();
        let added: Vec<String> = fields
            .filter(|name| !approved.reads.contains(name))
            .map(|name| format!("`{name}`"))
            .collect();
        let known = approved.treatment.reads();
        if !added.is_empty() {
            changes.push(format!(
                "the treatment of field `{}` reads {}, which was not approved",
                self.name,
                added.join(", ")
            ));
        } else if self
            .treatment
            .reads()
            .iter()
            .any(|read| !known.contains(read))
        {
            changes.push(format!(
                "the treatment of field `{}` reads the row by another condition or parameter",
                self.name
            ));
        }
    }
}

/// How little a sharing attribute allows.
fn strictness(sharing: Sharing) -> u8 {
    match sharing {
        Sharing::Unconditional => 0,
        Sharing::Conditional => 1,
        Sharing::Prohibited => 2,
    }
}

/// Fingerprints of the keys that may approve for a provider, sorted.
fn approver_keys(site: &Site, provider: &str) -> Vec<String> {
    let approvers = site.file.approvers.values();
    let listed = approvers.filter(|it| it.providers.iter().any(|listed| listed == provider));
    let keys = listed.filter_map(|it| PublicKey::parse(&it.public_key).ok());
    let prints: BTreeSet<String> = keys.map(|key| key.fingerprint()).collect();
    prints.into_iter().collect()
}

/// Names of the approvers that have this key and are listed for the provider.
pub(crate) fn approvers_of<'a>(
    site: &'a Site,
    provider: &str,
    key: &VerifyingKey,
) -> BTreeSet<&'a str> {
    site.file
        .approvers
        .iter()
        .filter(|(_, approver)| approver.providers.iter().any(|listed| listed == provider))
        .filter(|(_, approver)| key_of(&approver.public_key).as_ref() == Some(key))
        .map(|(name, _)| name.as_str())
        .collect()
}
