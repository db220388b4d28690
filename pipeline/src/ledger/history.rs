//! What a history of the ledger says about grants, deliveries and vaults.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use super::event::{Entry, Event, KeptVault};

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
    /// The highest generation of the keyring that is recorded; 0 if none is.
    pub fn keyring_generation(&self) -> u64 {
        let generations = self.iter().map(|entry| match &entry.event {
            Event::KeyringChanged { generation, .. } => *generation,
            _ => 0,
        });
        generations.max().unwrap_or(0)
    }

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

    /// Attempts of a grant for which a delivery is set aside: neither given back nor intended.
    pub fn reserved(&self, grant: &str) -> BTreeSet<&str> {
        let mut open = BTreeSet::new();
        for entry in self.iter() {
            match &entry.event {
                Event::QuotaReserved { grant: id, attempt } if id == grant => {
                    open.insert(attempt.as_str());
                }
                Event::QuotaReturned {
                    grant: id, attempt, ..
                }
                | Event::ReleaseIntended {
                    grant: id, attempt, ..
                }
                | Event::Released {
                    grant: id, attempt, ..
                }
                | Event::Abandoned {
                    grant: id, attempt, ..
                } if id == grant => {
                    open.remove(attempt.as_str());
                }
                _ => {}
            }
        }
        open
    }

    /// Deliveries and rows of a grant that are set aside for attempts other than this one: reserved,
    /// or intended and not settled.
    pub fn quota_held(&self, grant: &str, attempt: &str) -> (u64, u64) {
        let reserved = self.reserved(grant);
        let others = reserved.iter().filter(|other| **other != attempt).count();
        let mut held = (u64::try_from(others).unwrap_or(u64::MAX), 0_u64);
        for entry in self.unsettled() {
            if let Event::ReleaseIntended {
                grant: id,
                attempt: other,
                rows,
                ..
            } = &entry.event
                && id == grant
                && other != attempt
            {
                held.0 = held.0.saturating_add(1);
                held.1 = held.1.saturating_add(*rows);
            }
        }
        held
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
    use chrono::{DateTime, Utc};

    use super::super::event::{decode, encode};
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
            about: None,
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
            cell_attempt: None,
            about: None,
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
            content: None,
        }
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
