//! What the ledger records, and what a history of it says about a grant.
//!
//! Entries hold ids, counts and hashes, never personal data. Each carries a random salt: its hash
//! travels in other recipients' proofs, and must not be guessable there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::LedgerError;
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

/// All entries, in order, as read and checked at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(Vec<Entry>);

impl Deref for History {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.0
    }
}

impl FromIterator<Entry> for History {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl IntoIterator for History {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "each question is about one or two kinds of event; new kinds do not change its answer"
)]
impl History {
    /// The random number drawn when `grant` was first signed for that recipient; absent if it never
    /// was. Should a grant be given to another recipient, their copies must not be taken for those of
    /// the first.
    pub fn grant_index(&self, grant: &str, recipient: &str) -> Option<u64> {
        self.iter().find_map(|entry| match &entry.event {
            Event::GrantSigned {
                grant: id,
                recipient: of,
                grant_index,
                ..
            } if id == grant && of == recipient => Some(*grant_index),
            _ => None,
        })
    }

    /// Deliveries and rows released so far, per grant. A delivery counts once, however often its
    /// release was recorded.
    pub fn quota_use(&self) -> BTreeMap<String, (u64, u64)> {
        let mut counted = BTreeSet::new();
        let mut uses: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for entry in self.iter() {
            if let Event::Released {
                grant,
                delivery,
                rows,
                ..
            } = &entry.event
                && counted.insert((grant, delivery))
            {
                let (runs, total) = uses.entry(grant.clone()).or_default();
                *runs = runs.saturating_add(1);
                *total = total.saturating_add(*rows);
            }
        }
        uses
    }

    /// Intended releases of which neither release nor abandonment is recorded: what a killed run
    /// left to be reconciled.
    pub fn unsettled(&self) -> Vec<Entry> {
        let settled: BTreeSet<_> = self
            .iter()
            .filter_map(|entry| match &entry.event {
                Event::Released {
                    grant,
                    delivery,
                    attempt,
                    ..
                }
                | Event::Abandoned {
                    grant,
                    delivery,
                    attempt,
                    ..
                } => Some((grant, delivery, attempt)),
                _ => None,
            })
            .collect();
        self.iter()
            .filter(|entry| match &entry.event {
                Event::ReleaseIntended {
                    grant,
                    delivery,
                    attempt,
                    ..
                } => !settled.contains(&(grant, delivery, attempt)),
                _ => false,
            })
            .cloned()
            .collect()
    }

    /// What was recorded last of each token vault, by the name of its file.
    pub fn kept_vaults(&self) -> BTreeMap<String, KeptVault> {
        let mut kept = BTreeMap::new();
        for entry in self.iter() {
            if let Event::TokensKept { vaults, .. } = &entry.event {
                kept.extend(vaults.clone());
            }
        }
        kept
    }

    /// SHA-256 (hex) of the manifest of the grant's latest release.
    pub fn last_manifest(&self, grant: &str) -> Option<&str> {
        self.iter().rev().find_map(|entry| match &entry.event {
            Event::Released {
                grant: id,
                manifest_sha256,
                ..
            } if id == grant => Some(manifest_sha256.as_str()),
            _ => None,
        })
    }
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

    fn history<const N: usize>(events: [Event; N]) -> History {
        (0..)
            .zip(events)
            .map(|(index, event)| entry(index, event))
            .collect()
    }

    fn signed(grant: &str, version: u32, grant_index: u64) -> Event {
        Event::GrantSigned {
            grant: grant.to_owned(),
            version,
            recipient: "civil-affairs".to_owned(),
            grant_index,
            approver: "data-office".to_owned(),
            approval_sha256: "00".repeat(32),
        }
    }

    fn intended(grant: &str, delivery: &str, attempt: &str) -> Event {
        Event::ReleaseIntended {
            run: "r".to_owned(),
            delivery: delivery.to_owned(),
            attempt: attempt.to_owned(),
            grant: grant.to_owned(),
            grant_version: 1,
            plan_sha256: "00".repeat(32),
            destination: "file:///outbox".to_owned(),
            rows: 3,
            config: BTreeMap::new(),
            join_groups: Vec::new(),
        }
    }

    fn released(grant: &str, delivery: &str, attempt: &str, rows: u64) -> Event {
        Event::Released {
            run: "r".to_owned(),
            delivery: delivery.to_owned(),
            attempt: attempt.to_owned(),
            grant: grant.to_owned(),
            rows,
            manifest_sha256: format!("manifest of {delivery}"),
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

    #[test]
    fn the_grant_index_is_the_first_one_drawn() {
        let history = history([
            signed("G-1", 1, 7),
            signed("G-2", 1, 8),
            signed("G-1", 2, 9),
        ]);
        assert_eq!(history.grant_index("G-1", "civil-affairs"), Some(7));
        assert_eq!(history.grant_index("G-3", "civil-affairs"), None);
    }

    #[test]
    fn a_grant_given_to_another_recipient_has_another_index() {
        let mut later = signed("G-1", 2, 9);
        if let Event::GrantSigned { recipient, .. } = &mut later {
            *recipient = "statistics".to_owned();
        }
        let history = history([signed("G-1", 1, 7), later]);
        assert_eq!(history.grant_index("G-1", "civil-affairs"), Some(7));
        assert_eq!(history.grant_index("G-1", "statistics"), Some(9));
    }

    #[test]
    fn of_a_vault_counts_what_was_recorded_last() {
        let kept = |vaults: &[(&str, u64)]| Event::TokensKept {
            grant: "G-1".to_owned(),
            vaults: vaults
                .iter()
                .map(|(name, save)| {
                    let vault = KeptVault {
                        save: *save,
                        mark: "0f".repeat(16),
                        tokens: 10 * save,
                    };
                    ((*name).to_owned(), vault)
                })
                .collect(),
        };
        let events = [
            kept(&[("a", 1), ("b", 1)]),
            signed("G-1", 1, 7),
            kept(&[("a", 4)]),
        ];
        let bytes = encode(&events[2], Utc::now(), [1; 16]).unwrap();
        assert_eq!(decode(2, &bytes).unwrap().event, events[2]);
        let latest = history(events).kept_vaults();
        let saves: Vec<(&str, u64)> = latest
            .iter()
            .map(|(name, vault)| (name.as_str(), vault.save))
            .collect();
        assert_eq!(saves, [("a", 4), ("b", 1)]);
    }

    #[test]
    fn quota_counts_each_delivery_once_and_unsettled_are_found_by_attempt() {
        let history = history([
            intended("G-1", "d1", "a1"),
            released("G-1", "d1", "a1", 10),
            released("G-1", "d1", "a1", 10),
            intended("G-1", "d2", "a2"),
            intended("G-1", "d2", "a3"),
            released("G-1", "d2", "a3", 5),
            intended("G-2", "d9", "a9"),
            Event::Abandoned {
                run: "r".to_owned(),
                delivery: "d9".to_owned(),
                attempt: "a9".to_owned(),
                grant: "G-2".to_owned(),
                reason: "interrupted".to_owned(),
            },
        ]);
        assert_eq!(
            history.quota_use(),
            BTreeMap::from([("G-1".to_owned(), (2, 15))])
        );
        let unsettled: Vec<u64> = history
            .unsettled()
            .iter()
            .map(|entry| entry.index)
            .collect();
        assert_eq!(unsettled, [3]);
        assert_eq!(history.last_manifest("G-1"), Some("manifest of d2"));
        assert_eq!(history.last_manifest("G-2"), None);
    }
}
