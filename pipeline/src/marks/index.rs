//! The number by which marks name a grant.
//!
//! The ledger draws 64 random bits when a grant is first signed. The mark has room for 32 of them:
//! the low ones. A number is drawn anew until no other grant has the same low half, so a number names
//! one grant; two of an older ledger that share theirs are named together.

use std::collections::{BTreeMap, BTreeSet};

use lockgate_transforms::marks::key::GrantIndex;

use crate::ledger::{Event, History};

/// The index of a grant whose number in the ledger is `drawn`.
pub fn index_of(drawn: u64) -> GrantIndex {
    GrantIndex(u32::try_from(drawn & u64::from(u32::MAX)).unwrap_or_default())
}

/// Every index that was ever issued, and the grants it names: as a rule one.
pub fn grants_by_index(history: &History) -> BTreeMap<GrantIndex, Vec<String>> {
    let mut named: BTreeMap<GrantIndex, Vec<String>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for entry in history.iter() {
        // Of a grant that was signed again for its recipient, the first number counts.
        if let Event::GrantSigned {
            grant,
            recipient,
            grant_index,
            ..
        } = &entry.event
            && seen.insert((grant, recipient))
        {
            let index = index_of(*grant_index);
            named.entry(index).or_default().push(grant.clone());
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::ledger::Entry;

    fn signed(index: u64, grant: &str, grant_index: u64) -> Entry {
        Entry {
            index,
            at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            event: Event::GrantSigned {
                grant: grant.to_owned(),
                version: 1,
                recipient: "civil-affairs".to_owned(),
                grant_index,
                approver: "office".to_owned(),
                approval_sha256: "00".repeat(32),
                about: None,
            },
        }
    }

    #[test]
    fn an_index_is_the_low_half_of_the_first_number_drawn() {
        let history: History = [
            signed(0, "G-1", 7 << 32 | 9),
            signed(1, "G-2", u64::MAX),
            signed(2, "G-1", 5),
            signed(3, "G-3", 9),
        ]
        .into_iter()
        .collect();
        let named = grants_by_index(&history);
        assert_eq!(
            named,
            BTreeMap::from([
                (GrantIndex(9), vec!["G-1".to_owned(), "G-3".to_owned()]),
                (GrantIndex(u32::MAX), vec!["G-2".to_owned()]),
            ])
        );
    }
}
