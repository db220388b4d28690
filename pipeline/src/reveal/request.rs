//! A recipient's request to have values turned back that its grant lets it reveal: signed with its key for
//! receipts, over these very values, good for one time.

use std::fmt;

use chrono::NaiveDate;
use ed25519_dalek::{SigningKey, VerifyingKey};
use lockgate_connectors::keyring::PublicKey;
use lockgate_transforms::Date;
use serde::{Deserialize, Serialize};

use crate::approval::reveals::{ApprovedValues, VALUES_MAX, ValuesRequest, check_delivery};
use crate::approval::tokens::{check_count, first_missing, listed};
use crate::digest::{is_hex, sha256_hex};
use crate::dsse::{self, Document, demand};
use crate::error::RunError;
use crate::life::check_reason;
use crate::plan::ExchangePlan;
use crate::site::Site;

/// DSSE payload type of a recipient's request.
pub const PAYLOAD_TYPE: &str = "application/vnd.lockgate.reveal-request+json";

/// Version of the payload's form.
const FORMAT: u32 = 1;

/// What a recipient signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    format: u32,
    grant: String,
    /// Id of the recipient.
    recipient: String,
    field: String,
    /// The only version of the key that is tried; absent means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_version: Option<u32>,
    /// The only delivery whose values are turned back; absent means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    reason: String,
    /// 16 random bytes, hex.
    salt: String,
    /// Salted hashes of the values, as in an approval.
    values: Vec<String>,
    valid_until: Date,
}

impl Document for Request {
    const PAYLOAD_TYPE: &'static str = PAYLOAD_TYPE;
    const NAME: &'static str = "request";

    fn check(&self, _: &VerifyingKey) -> Result<(), &'static str> {
        demand(
            self.format == FORMAT,
            "its format is not known to this version",
        )?;
        demand(
            is_hex(&self.salt, 32) && self.values.iter().all(|value| is_hex(value, 64)),
            "its salt or values are none",
        )?;
        demand(
            self.delivery.as_ref().is_none_or(|id| is_hex(id, 32)),
            "its delivery is none",
        )?;
        demand(
            (1..=VALUES_MAX).contains(&self.values.len()),
            "it names no values, or too many",
        )
    }
}

/// What a recipient asks for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Id of the grant.
    pub grant: &'a str,
    /// Id of the recipient.
    pub recipient: &'a str,
    /// The field.
    pub field: &'a str,
    /// The values, as they were delivered.
    pub values: &'a [String],
    /// Why.
    pub reason: &'a str,
    /// Last day on which the request holds.
    pub until: NaiveDate,
    /// The only version of the key that is tried; every one where absent.
    pub key_version: Option<u32>,
    /// The only delivery whose values are turned back; every one where absent.
    pub delivery: Option<&'a str>,
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asked({}, {}, ..)", self.grant, self.field)
    }
}

/// Signs a request with the recipient's key for receipts; gives the envelope. Needs no site.
///
/// # Errors
/// No values or too many; a delivery that is none; a reason that can't be recorded.
pub fn ask(asked: &Asked<'_>, key: &SigningKey) -> Result<Vec<u8>, RunError> {
    check_count(asked.values.len(), VALUES_MAX, "the list of values")?;
    let (salt, values) = listed(asked.values)?;
    let request = Request {
        format: FORMAT,
        grant: asked.grant.to_owned(),
        recipient: asked.recipient.to_owned(),
        field: asked.field.to_owned(),
        key_version: asked.key_version,
        delivery: check_delivery(asked.delivery)?,
        reason: check_reason(asked.reason, "--reason")?.to_owned(),
        salt,
        values,
        valid_until: Date(asked.until),
    };
    dsse::sign_document(&request, key)
        .map_err(|error| RunError::internal("signing the request", &error))
}

/// Whether bytes say that they are a recipient's request.
pub(super) fn is_one(envelope: &[u8]) -> bool {
    dsse::claimed_type(envelope).as_deref() == Some(PAYLOAD_TYPE)
}

/// Checks that a request is the recipient's, by a key that an approver signed for, and covers every value
/// that is asked for, today. Whether the grant lets its recipient reveal the field is for the caller.
///
/// # Errors
/// [`RunError::Denied`] for whatever keeps it from that.
pub(super) fn verify(
    site: &Site,
    plan: &ExchangePlan,
    asked: &ValuesRequest<'_>,
    envelope: &[u8],
) -> Result<ApprovedValues, RunError> {
    let listed = site.recipients.get(&plan.recipient);
    let keys = listed.iter().flat_map(|recipient| &recipient.public_keys);
    let keys: Vec<VerifyingKey> = keys
        .filter_map(|key| PublicKey::parse(key).ok())
        .filter(|key| plan.recipient_keys.contains(&key.fingerprint()))
        .filter_map(|key| key.verifying_key())
        .collect();
    let (request, _) = dsse::open_document::<Request>(envelope, &keys)
        .map_err(|error| denied(format!("the request does not count: {error}")))?;
    let is_same = request.grant == asked.grant
        && request.recipient == plan.recipient
        && request.field == asked.field;
    if !is_same {
        return Err(denied(
            "the request is for another grant or field, or another recipient's".to_owned(),
        ));
    }
    if request.valid_until.0 < asked.today {
        return Err(denied(format!(
            "the request held until {}",
            request.valid_until
        )));
    }
    if let Some(at) = first_missing(&request.salt, &request.values, asked.values) {
        let what = format!("the request does not name value {}", at.saturating_add(1));
        return Err(denied(what));
    }
    Ok(ApprovedValues {
        approver: format!("recipient {}", plan.recipient),
        providers: [plan.provider.clone()].into(),
        recipient: Some(plan.recipient.clone()),
        key_version: request.key_version,
        delivery: request.delivery,
        uses: 1,
        sha256: sha256_hex(envelope),
    })
}

fn denied(what: String) -> RunError {
    RunError::Denied {
        what,
        remedy: "have the recipient ask with `lockgate reveal ask`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn asked(values: &[String]) -> Asked<'_> {
        Asked {
            grant: "G-1",
            recipient: "civil-affairs",
            field: "contact",
            values,
            reason: "a person asks",
            until: NaiveDate::from_ymd_opt(2099, 1, 1).unwrap(),
            key_version: None,
            delivery: None,
        }
    }

    #[test]
    fn a_request_is_over_its_values_and_tells_none() {
        let values = ["one".to_owned(), "two".to_owned()];
        let envelope = ask(&asked(&values), &key(1)).unwrap();
        assert!(is_one(&envelope));
        let keys = [key(1).verifying_key()];
        let (request, _) = dsse::open_document::<Request>(&envelope, &keys).unwrap();
        let missing = |values: &[String]| first_missing(&request.salt, &request.values, values);
        assert_eq!(missing(&values), None);
        assert_eq!(missing(&["two".to_owned(), "three".to_owned()]), Some(1));
        let told = String::from_utf8(dsse::unverified_payload(&envelope).unwrap()).unwrap();
        assert!(!told.contains("\"one\""));
        for position in 0..envelope.len() {
            let mut altered = envelope.clone();
            altered[position] ^= 1;
            assert!(dsse::open_document::<Request>(&altered, &keys).is_err());
        }
    }

    #[test]
    fn nothing_and_a_persons_number_are_not_asked_for() {
        assert!(ask(&asked(&[]), &key(1)).is_err());
        let values = ["one".to_owned()];
        let mut named = asked(&values);
        named.reason = "about 110105194912310021";
        assert!(ask(&named, &key(1)).is_err());
        let mut of_delivery = asked(&values);
        of_delivery.delivery = Some("outbox");
        assert!(ask(&of_delivery, &key(1)).is_err());
    }
}
