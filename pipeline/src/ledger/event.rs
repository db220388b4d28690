//! What the ledger records.
//!
//! Entries hold ids, counts and hashes, never personal data. Each carries a random salt: its hash
//! travels in other recipients' proofs, and must not be guessable there.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use lockgate_transforms::Date;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::LedgerError;
use super::terms::{About, GrantState, HaltScope};
use crate::canonical_json;
use crate::digest::{hex, is_hex};

/// Longest entry, in bytes: its length is written as 16 bits.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Length of the salt as written: 16 random bytes.
const SALT_DIGITS: usize = 32;

/// Something that mattered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// An approver signed a grant.
    GrantSigned {
        /// Id of the grant.
        grant: String,
        /// Version of the grant.
        version: u32,
        /// Id of the recipient.
        recipient: String,
        /// Random number by which marks name grant and recipient; the same for all versions of the
        /// grant that are for one recipient.
        grant_index: u64,
        /// Who signed.
        approver: String,
        /// Lower-case hex SHA-256 of the approval's envelope.
        approval_sha256: String,
        /// Which exchange; absent in entries made before this was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<About>,
    },
    /// Deliveries of a grant are about to carry marks: recorded before the first of them, and again
    /// when their scheme, their key or their plan is another one.
    MarkingBegun {
        /// Id of the dataset, which with epoch and version names the key.
        dataset: String,
        /// The epoch of the dataset's marks.
        epoch: u32,
        /// Version of the master key of purpose `mark`.
        key_version: u32,
        /// Lower-case hex SHA-256 over the dataset's key and the salt after it: what the key is held
        /// to when a leak is traced.
        commitment: String,
        /// The salt of the commitment, hex: 32 random bytes, the same for all entries of one key.
        commitment_salt: String,
        /// Id of the grant.
        grant: String,
        /// Id of the recipient.
        recipient: String,
        /// The number by which marks name grant and recipient, as it was drawn at their first signing.
        grant_index: u64,
        /// Lower-case hex SHA-256 of the scheme, which stands in `state/marks/`.
        scheme_sha256: String,
        /// Hash of the plan.
        plan_sha256: String,
    },
    /// A delivery is about to be published.
    ReleaseIntended {
        /// Run key, hex.
        run: String,
        /// Id of the delivery.
        delivery: String,
        /// Id of the attempt.
        attempt: String,
        /// Id of the grant.
        grant: String,
        /// Version of the grant.
        grant_version: u32,
        /// Hash of the plan.
        plan_sha256: String,
        /// URL of the delivery, without credentials.
        destination: String,
        /// Rows to be delivered.
        rows: u64,
        /// Files of the site that decided, each with its SHA-256.
        config: BTreeMap<String, String>,
        /// Groups across which pseudonyms join.
        join_groups: Vec<String>,
        /// The attempt as its cells of `encrypt-rand` carry it: 32 hexadecimal digits. Those of a treatment
        /// within another carry an id that [follows from it](lockgate_transforms::ChunkId::part). Absent where
        /// there are none, and in entries made before this was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cell_attempt: Option<String>,
        /// Which exchange; absent in entries made before this was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<About>,
    },
    /// A delivery was published.
    Released {
        /// Run key, hex.
        run: String,
        /// Id of the delivery.
        delivery: String,
        /// Id of the attempt.
        attempt: String,
        /// Id of the grant.
        grant: String,
        /// Rows delivered.
        rows: u64,
        /// Lower-case hex SHA-256 of the manifest's bytes.
        manifest_sha256: String,
        /// What a replay of the delivery is held to; absent in entries made before there was one, and
        /// of a release that an interrupted run left to the next one to settle.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<ContentDigest>,
    },
    /// An intended delivery was not published.
    Abandoned {
        /// Run key, hex.
        run: String,
        /// Id of the delivery.
        delivery: String,
        /// Id of the attempt.
        attempt: String,
        /// Id of the grant.
        grant: String,
        /// Why, without values.
        reason: String,
    },
    /// Rows were shown to an operator.
    Previewed {
        /// Id of the grant.
        grant: String,
        /// How many rows.
        rows: u64,
        /// Of how many rows the counts and profiles beside them were made; absent in entries made
        /// before these were counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profiled: Option<u64>,
        /// Whether originals were shown beside the treated rows.
        before: bool,
    },
    /// A grant came into another state otherwise than by its signature.
    GrantMoved {
        /// Id of the grant.
        grant: String,
        /// Version of the grant that it is said of.
        version: u32,
        /// The state it came into.
        to: GrantState,
        /// The approver whose signature the step has; absent where the site's operator took it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approver: Option<String>,
        /// Lower-case hex SHA-256 of what the approver signed, which stands in `state/approvals/`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        document_sha256: Option<String>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The legal basis of a refusal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        basis: Option<String>,
        /// The last day on which a request has to be answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer_by: Option<Date>,
        /// Which exchange; absent where the grant's files were not usable.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<About>,
    },
    /// Exchanges were halted.
    Halted {
        /// Which.
        scope: HaltScope,
        /// Why.
        reason: String,
    },
    /// A halt was lifted, as an approver signed. Without that the entry ends no halt.
    HaltLifted {
        /// Which.
        scope: HaltScope,
        /// Why.
        reason: String,
        /// The approver whose signature it has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approver: Option<String>,
        /// Lower-case hex SHA-256 of what the approver signed, which stands in `state/approvals/`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        document_sha256: Option<String>,
    },
    /// An attempt under a quota is about to begin: one delivery is set aside for it.
    QuotaReserved {
        /// Id of the grant.
        grant: String,
        /// Id of the attempt.
        attempt: String,
    },
    /// What was set aside for an attempt is free again.
    QuotaReturned {
        /// Id of the grant.
        grant: String,
        /// Id of the attempt.
        attempt: String,
        /// Why, without values.
        reason: String,
    },
    /// The keyring came into another generation: an older one is refused from now on.
    KeyringChanged {
        /// The generation.
        generation: u64,
        /// What was done: `made mark v2`, `protected`, `rotated`, `destroyed mark.v1`, `destroyed
        /// DELIVERY.ATTEMPT, of an attempt that published nothing`; `found: ` before it where whoever did it
        /// could not record it.
        what: String,
    },
    /// A run was refused, or turning tokens back.
    Refused {
        /// Id of the grant.
        grant: String,
        /// Codes of the refusals.
        codes: Vec<String>,
    },
    /// Token vaults hold, durably, what a delivery holds that is about to be intended.
    TokensKept {
        /// Id of the grant that is delivered.
        grant: String,
        /// Vaults that changed since they were recorded last, by the names of their files.
        vaults: BTreeMap<String, KeptVault>,
    },
    /// Tokens are about to be turned back into values.
    TokensRevealed {
        /// Id of the grant whose deliveries held them.
        grant: String,
        /// Consistency domain of the tokens.
        domain: String,
        /// Who approved it.
        approver: String,
        /// Lower-case hex SHA-256 of the approval's envelope, which holds salted hashes of the
        /// tokens.
        approval_sha256: String,
        /// How many tokens.
        tokens: u64,
        /// How many of them a vault held.
        found: u64,
    },
    /// A leaked copy is about to be traced. How many traces of a dataset there were decides what is
    /// asked of the next one, so it stands here before anything is known of the result.
    TraceBegun {
        /// Id of the dataset.
        dataset: String,
        /// Lower-case hex SHA-256 of the leaked file.
        leak_sha256: String,
        /// The how-manieth trace of the dataset it is, from 1.
        investigation: u64,
        /// The probability of accusing any innocent that all traces share, as decimal text.
        error: String,
    },
    /// A trace came to its end.
    Traced {
        /// Id of the dataset.
        dataset: String,
        /// Lower-case hex SHA-256 of the leaked file.
        leak_sha256: String,
        /// The how-manieth trace of the dataset it was.
        investigation: u64,
        /// Ids of the grants that are accused, those against which most speaks first; at most 500.
        accused: Vec<String>,
        /// How many are accused.
        accused_total: u64,
        /// Lower-case hex SHA-256 of the evidence's envelope, where evidence was written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence_sha256: Option<String>,
        /// Class of the error by which the trace, or the writing of its evidence, failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },
    /// A recipient's signed receipt, or its statement that it destroyed a delivery, was accepted.
    ReceiptAccepted {
        /// Id of the grant.
        grant: String,
        /// Id of the delivery.
        delivery: String,
        /// Id of the recipient.
        recipient: String,
        /// What it acknowledges: `received` or `destroyed`.
        kind: String,
        /// Lower-case hex SHA-256 of the manifest that it names.
        manifest_sha256: String,
        /// Lower-case hex SHA-256 of the receipt's envelope, which stands in `state/receipts/`.
        receipt_sha256: String,
        /// Lower-case hex SHA-256 of the key that signed it.
        key_sha256: String,
        /// Entries of the ledger whose checkpoint the recipient signed too.
        checkpoint_size: u64,
    },
    /// Keys of a delivery that only the site could unwrap are about to be handed to its recipient.
    ReleasedKeys {
        /// Id of the grant.
        grant: String,
        /// Id of the delivery.
        delivery: String,
        /// Id of the attempt.
        attempt: String,
        /// Id of the recipient.
        recipient: String,
        /// Lower-case hex SHA-256 of the recipient's key that they are wrapped to.
        key_sha256: String,
        /// The same of its other keys that they are wrapped to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        more_keys_sha256: Vec<String>,
        /// How many keys.
        keys: u64,
        /// Lower-case hex SHA-256 of the release document's envelope.
        document_sha256: String,
    },
    /// A delivery is about to be disposed of.
    DisposalIntended {
        /// Id of the grant.
        grant: String,
        /// Id of the delivery.
        delivery: String,
        /// Id of the attempt.
        attempt: String,
        /// Lower-case hex SHA-256 of the manifest, which stays.
        manifest_sha256: String,
        /// Id of the key that is destroyed; absent where the site holds none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kek: Option<String>,
    },
    /// A delivery was disposed of.
    Disposed {
        /// Id of the grant.
        grant: String,
        /// Id of the delivery.
        delivery: String,
        /// Id of the attempt.
        attempt: String,
        /// Lower-case hex SHA-256 of the signed record, which stands in `state/disposals/`.
        record_sha256: String,
    },
    /// Encrypted values of a field are about to be turned back.
    Revealed {
        /// Id of the grant whose deliveries held them.
        grant: String,
        /// The field.
        field: String,
        /// Who approved it.
        approver: String,
        /// Lower-case hex SHA-256 of the approval's envelope, which holds salted hashes of the
        /// values.
        approval_sha256: String,
        /// How many values.
        values: u64,
        /// How many of them a key turned back.
        found: u64,
    },
    /// A delivery was made again into the void, and compared.
    Replayed {
        /// Id of the grant.
        grant: String,
        /// Id of the delivery.
        delivery: String,
        /// Id of the attempt.
        attempt: String,
        /// What came of it: `same`, `different`, or why it could not be compared.
        outcome: String,
    },
}

/// A keyed digest of all that a delivery holds, by which a replay is compared. Tells nothing of the
/// content without the site's key `encryption`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentDigest {
    /// Lower-case hex HMAC-SHA-256.
    pub digest: String,
    /// Version of the key that it was made with.
    pub key_version: u32,
    /// Fields left out of it, because their values are other bytes in every attempt.
    pub excluded: Vec<String>,
}

/// What a token vault holds: what an older copy of it doesn't.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptVault {
    /// How often tokens were added.
    pub save: u64,
    /// Random mark that was added with them, as 32 lower-case hexadecimal digits.
    pub mark: String,
    /// How many tokens it holds.
    pub tokens: u64,
}

/// One entry of the ledger. Serialised flat: `index`, `at`, `event` and what the event tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Position, from 0.
    pub index: u64,
    /// When it was recorded, to the second.
    pub at: DateTime<Utc>,
    /// What.
    pub event: Event,
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = members_of(&self.event).map_err(S::Error::custom)?;
        members.insert("index".to_owned(), self.index.into());
        members.insert("at".to_owned(), time_text(self.at).into());
        members.serialize(serializer)
    }
}

fn members_of(event: &Event) -> Result<Map<String, Value>, LedgerError> {
    match serde_json::to_value(event) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => Err(LedgerError::Unwritable),
    }
}

/// The canonical bytes of an entry.
pub(super) fn encode(
    event: &Event,
    at: DateTime<Utc>,
    salt: [u8; 16],
) -> Result<Vec<u8>, LedgerError> {
    let mut members = members_of(event)?;
    members.insert("at".to_owned(), time_text(at).into());
    members.insert("salt".to_owned(), hex(&salt).into());
    let bytes =
        canonical_json::to_bytes(&Value::Object(members)).map_err(|_| LedgerError::Unwritable)?;
    if bytes.len() > ENTRY_BYTES_MAX {
        return Err(LedgerError::EntryTooLarge(bytes.len()));
    }
    Ok(bytes)
}

/// Reads what [`encode`] writes, and nothing else.
pub(super) fn decode(index: u64, bytes: &[u8]) -> Result<Entry, &'static str> {
    let Ok(Value::Object(mut members)) = canonical_json::parse(bytes) else {
        return Err("is not a canonical JSON object");
    };
    let at = members.remove("at");
    let at = at
        .as_ref()
        .and_then(Value::as_str)
        .and_then(parse_time)
        .ok_or("has no `at` of the form 2026-01-31T08:00:00Z")?;
    let salt = members.remove("salt");
    if !salt
        .as_ref()
        .and_then(Value::as_str)
        .is_some_and(|salt| is_hex(salt, SALT_DIGITS))
    {
        return Err("has no `salt` of 32 hexadecimal digits");
    }
    let event = serde_json::from_value(Value::Object(members))
        .map_err(|_| "holds an event that this version does not know")?;
    Ok(Entry { index, at, event })
}

/// RFC 3339 in UTC, to the second: the one form of time in entries and manifests.
pub(crate) fn time_text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Reads what [`time_text`] writes, and nothing else.
pub(crate) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    (time_text(at) == text).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, event: Event) -> Entry {
        Entry {
            index,
            at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            event,
        }
    }

    fn signed(grant: &str, version: u32, grant_index: u64) -> Event {
        Event::GrantSigned {
            grant: grant.to_owned(),
            version,
            recipient: "civil-affairs".to_owned(),
            grant_index,
            approver: "data-office".to_owned(),
            approval_sha256: "00".repeat(32),
            about: None,
        }
    }

    #[test]
    fn entries_read_back_and_other_forms_do_not() {
        let event = signed("G-1", 1, u64::MAX);
        let at = DateTime::from_timestamp(1_800_000_000, 999_000_000).unwrap();
        let bytes = encode(&event, at, [1; 16]).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(
            text,
            format!(
                "{{\"approval_sha256\":\"{}\",\"approver\":\"data-office\",\"at\":\"2027-01-15T08:00:00Z\",\"event\":\"grant-signed\",\"grant\":\"G-1\",\"grant_index\":18446744073709551615,\"recipient\":\"civil-affairs\",\"salt\":\"{}\",\"version\":1}}",
                "00".repeat(32),
                "01".repeat(16)
            )
        );
        assert_eq!(decode(5, &bytes).unwrap(), entry(5, event));
        for altered in [
            text.replace("\"version\":1", "\"version\":1,\"zusatz\":1"),
            text.replace("08:00:00Z", "08:00:00+00:00"),
            text.replace("08:00:00Z", "08:00:00.0Z"),
            text.replace("0101\"", "01\""),
            text.replace("grant-signed", "grant-lost"),
            format!("{text} "),
        ] {
            assert!(decode(5, altered.as_bytes()).is_err(), "{altered}");
        }
    }

    #[test]
    fn an_entry_is_shown_flat() {
        let shown = serde_json::to_value(entry(3, signed("G-1", 1, 7))).unwrap();
        assert_eq!(shown["index"], 3);
        assert_eq!(shown["event"], "grant-signed");
        assert_eq!(shown["grant"], "G-1");
        assert_eq!(shown["at"], "2027-01-15T08:00:00Z");
    }

    #[test]
    fn an_entry_beyond_16_bits_of_length_is_refused() {
        let long = Event::Refused {
            grant: "G".to_owned(),
            codes: vec!["x".repeat(65_535)],
        };
        assert!(matches!(
            encode(&long, Utc::now(), [0; 16]),
            Err(LedgerError::EntryTooLarge(_))
        ));
    }
}
