//! What a record says that the ledger held before the trace: looked up when evidence is written, and
//! looked for among the proved entries when it is checked.

use super::{HypothesisRecord, Record, VerdictRecord};
use crate::ledger::{Entry, Event};
use crate::marks::index_of;

/// A statement that an entry from before the trace must bear out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Claim<'a> {
    /// Deliveries were marked by the key and the scheme of a hypothesis. Else whoever holds the key
    /// could try schemes until one speaks against somebody.
    Marked(&'a HypothesisRecord),
    /// A grant had its index under the key.
    Named(&'a HypothesisRecord, &'a VerdictRecord),
}

/// Everything that entries from before the trace must bear out.
pub(super) fn claims(record: &Record) -> Vec<Claim<'_>> {
    let marked = record.hypotheses.iter().map(Claim::Marked);
    let verdicts = record.verdicts.iter().filter(|of| of.verdict != "none");
    let named =
        verdicts.filter_map(|verdict| Some(Claim::Named(hypothesis_of(record, verdict)?, verdict)));
    marked.chain(named).collect()
}

/// The hypothesis under which a verdict was found.
pub(super) fn hypothesis_of<'a>(
    record: &'a Record,
    verdict: &VerdictRecord,
) -> Option<&'a HypothesisRecord> {
    let place = usize::try_from(verdict.hypothesis).ok()?;
    record.hypotheses.get(place)
}

/// The entry by which this very trace began: of its number and error, and no other.
pub(super) fn begun<'e>(record: &Record, entries: &'e [Entry]) -> Option<&'e Entry> {
    entries.iter().find(|entry| {
        matches!(&entry.event, Event::TraceBegun { dataset, leak_sha256, investigation, error }
            if *dataset == record.dataset
                && *leak_sha256 == record.leak.sha256
                && *investigation == record.investigation
                && *error == record.error)
    })
}

impl Claim<'_> {
    /// The entry that bears it out, of those before the entry `begun`.
    pub(super) fn entry<'e>(
        self,
        record: &Record,
        entries: &'e [Entry],
        begun: u64,
    ) -> Option<&'e Entry> {
        let mut before = entries.iter().filter(|entry| entry.index < begun);
        before.find(|entry| self.is_in(&record.dataset, &entry.event))
    }

    fn is_in(self, of_dataset: &str, event: &Event) -> bool {
        let Event::MarkingBegun {
            dataset,
            epoch,
            key_version,
            commitment,
            commitment_salt,
            grant,
            recipient,
            grant_index,
            scheme_sha256,
            plan_sha256: _,
        } = event
        else {
            return false;
        };
        let is_of_key = |of: &HypothesisRecord| {
            dataset == of_dataset
                && *epoch == of.epoch
                && *key_version == of.key_version
                && *commitment == of.commitment
                && *commitment_salt == of.commitment_salt
        };
        match self {
            Self::Marked(of) => is_of_key(of) && *scheme_sha256 == of.scheme_sha256,
            Self::Named(of, verdict) => {
                is_of_key(of)
                    && *grant == verdict.grant
                    && Some(recipient) == verdict.recipient.as_ref()
                    && index_of(*grant_index).0 == verdict.index
            }
        }
    }

    /// What is wrong where no entry bears it out.
    pub(super) fn unproved(self) -> String {
        match self {
            Self::Marked(of) => format!(
                "no entry of the ledger from before the trace has the scheme {} under the key {}",
                of.scheme_sha256, of.commitment
            ),
            Self::Named(_, verdict) => format!(
                "no entry of the ledger from before the trace gives {} its index under the key",
                verdict.grant
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn marking(index: u64, change: impl Fn(&mut String, &mut String)) -> Entry {
        let (mut dataset, mut scheme) = ("people".to_owned(), "5c".repeat(32));
        change(&mut dataset, &mut scheme);
        Entry {
            index,
            at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            event: Event::MarkingBegun {
                dataset,
                epoch: 1,
                key_version: 2,
                commitment: "c0".repeat(32),
                commitment_salt: "5a".repeat(32),
                grant: "G-1".to_owned(),
                recipient: "office".to_owned(),
                grant_index: 7,
                scheme_sha256: scheme,
                plan_sha256: "00".repeat(32),
            },
        }
    }

    fn beginning(investigation: u64, error: &str) -> Entry {
        Entry {
            index: 9,
            at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            event: Event::TraceBegun {
                dataset: "people".to_owned(),
                leak_sha256: "1e".repeat(32),
                investigation,
                error: error.to_owned(),
            },
        }
    }

    fn record() -> Record {
        let record = serde_json::json!({
            "format": 2, "software": "", "created": "", "dataset": "people",
            "leak": {"sha256": "1e".repeat(32), "bytes": 1, "options": {}},
            "error": "0.001", "investigation": 3, "rows": 1, "looked_at": 1, "presence_from": "9",
            "hypotheses": [{
                "epoch": 1, "key_version": 2, "commitment": "c0".repeat(32),
                "commitment_salt": "5a".repeat(32), "scheme_sha256": "5c".repeat(32),
                "issued": 1, "columns": [], "counts": vec![0; 12], "ties": 0, "tags": 0,
                "ln_presence": "0", "accused_from": "9"
            }],
            "verdicts": [{
                "grant": "G-1", "recipient": "office", "index": index_of(7).0, "hypothesis": 0,
                "verdict": "accused", "ln_e": "40", "ones": vec![0; 12], "tags": [],
                "p_value": "0.001"
            }],
            "proofs": []
        });
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn a_scheme_counts_only_if_the_ledger_had_it_under_the_key_before_the_trace() {
        let record = record();
        let [marked, named] = claims(&record)[..] else {
            panic!("a claim of the hypothesis and one of the verdict");
        };
        let holds = |claim: Claim<'_>, entry: Entry| claim.entry(&record, &[entry], 9).is_some();
        for claim in [marked, named] {
            assert!(holds(claim, marking(8, |_, _| {})));
            assert!(!holds(claim, marking(10, |_, _| {})), "after the trace");
            assert!(!holds(claim, marking(8, |dataset, _| dataset.push('2'))));
        }
        let other = marking(8, |_, scheme| *scheme = "5d".repeat(32));
        assert!(!holds(marked, other.clone()) && holds(named, other));
    }

    #[test]
    fn a_trace_is_begun_by_the_entry_of_its_number_and_error_alone() {
        let record = record();
        let is_begun = |entry: Entry| begun(&record, &[entry]).is_some();
        assert!(is_begun(beginning(3, "0.001")));
        assert!(!is_begun(beginning(1, "0.001")));
        assert!(!is_begun(beginning(3, "0.000000001")));
        let both = [beginning(2, "0.001"), beginning(3, "0.001")];
        assert_eq!(begun(&record, &both), Some(&both[1]));
    }
}
