//! Usage records: who had which data for which purpose, what was done with it and what became of it.
//!
//! They are made from the ledger each time they are asked for, and so are as complete and as hard to
//! change as it is. Purposes and the like come from the grants' terms, kept by the hash that the ledger
//! holds. Nothing of this is ever removed by the program: the regulation asks for three years at least.

mod extract;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

pub use extract::to_csv;

use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{About, Entry, Event, History, time_text};
use crate::life::{LostTerms, about_of, lost_terms, terms_of};
use crate::receipt;

/// Which records are asked for; absent restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Department whose data it is.
    pub provider: Option<String>,
    /// Id of the recipient.
    pub recipient: Option<String>,
    /// Id of the grant.
    pub grant: Option<String>,
    /// The first day, in the site's zone.
    pub from: Option<NaiveDate>,
    /// The last day, in the site's zone.
    pub until: Option<NaiveDate>,
}

/// One use of data, or a step that allowed or ended it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsageRecord {
    /// Position of the entry that it begins with.
    pub entry: u64,
    /// When that was.
    pub at: String,
    /// What was done: `delivery`, `preview`, `tokens-revealed`, `values-revealed`, `keys-released`,
    /// `grant`, `refusal`, `disposal`, `receipt`, `use` (as the recipient told it) or `replay`.
    pub process: &'static str,
    /// What came of it.
    pub outcome: String,
    /// Id of the grant.
    pub grant: String,
    /// Version of the grant, where the entry names it.
    pub version: Option<u32>,
    /// Department whose data it is.
    pub provider: Option<String>,
    /// Id of the recipient.
    pub recipient: Option<String>,
    /// Id of the dataset.
    pub dataset: Option<String>,
    /// Scenario of use.
    pub scenario: Option<String>,
    /// Purpose of use.
    pub purpose: Option<String>,
    /// Legal basis: of a refusal where it is one, else of the grant.
    pub basis: Option<String>,
    /// Id of the delivery.
    pub delivery: Option<String>,
    /// Rows delivered or shown.
    pub rows: Option<u64>,
    /// Where it was stored.
    pub storage: Option<String>,
    /// How long the recipient may keep it.
    pub retention: Option<String>,
    /// When it was destroyed: by the site, or as the recipient stated.
    pub destroyed: Option<String>,
    /// Who approved, or acted.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl UsageRecord {
    fn new(entry: &Entry, process: &'static str, outcome: impl Into<String>, grant: &str) -> Self {
        Self {
            entry: entry.index,
            at: time_text(entry.at),
            process,
            outcome: outcome.into(),
            grant: grant.to_owned(),
            version: None,
            provider: None,
            recipient: None,
            dataset: None,
            scenario: None,
            purpose: None,
            basis: None,
            delivery: None,
            rows: None,
            storage: None,
            retention: None,
            destroyed: None,
            by: None,
            reason: None,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The records, in the order of the ledger.
    pub records: Vec<UsageRecord>,
    /// Terms of their grants that nobody has any more: where these held, the records say nothing of
    /// purpose, basis, scenario and retention.
    pub lost_terms: Vec<LostTerms>,
}

/// The records of a history that a question asks for.
///
/// # Errors
/// A time zone that is not known.
pub fn usage(
    installation: &Installation,
    history: &History,
    asked: &Question,
) -> Result<Usage, RunError> {
    let mut records = Vec::new();
    for (record, at) in Collected::of(installation, history).records {
        let day = installation.day_of(at)?;
        let is = |asked: &Option<String>, own: Option<&str>| {
            asked.as_deref().is_none_or(|asked| own == Some(asked))
        };
        let is_asked_for = is(&asked.provider, record.provider.as_deref())
            && is(&asked.recipient, record.recipient.as_deref())
            && is(&asked.grant, Some(&record.grant))
            && asked.from.is_none_or(|from| from <= day)
            && asked.until.is_none_or(|until| day <= until);
        if is_asked_for {
            records.push(record);
        }
    }
    let mut lost_terms: Vec<LostTerms> = lost_terms(installation, history).into_iter().collect();
    lost_terms.retain(|lost| records.iter().any(|record| record.grant == lost.grant));
    Ok(Usage {
        records,
        lost_terms,
    })
}

/// Records under way: what later entries say of a delivery is added to the record it began with.
struct Collected<'a> {
    installation: &'a Installation,
    records: Vec<(UsageRecord, DateTime<Utc>)>,
    /// What each grant is about, as last recorded.
    about: BTreeMap<String, About>,
    /// Records of deliveries, by delivery and attempt.
    attempts: BTreeMap<(String, String), usize>,
    /// The attempt of each delivery that was released.
    released: BTreeMap<String, usize>,
}

impl<'a> Collected<'a> {
    fn of(installation: &'a Installation, history: &History) -> Self {
        let mut collected = Self {
            installation,
            records: Vec::new(),
            about: BTreeMap::new(),
            attempts: BTreeMap::new(),
            released: BTreeMap::new(),
        };
        for entry in history.iter() {
            collected.take(entry);
        }
        collected
    }

    /// Adds a record, with what is known of its grant.
    fn add(&mut self, entry: &Entry, mut record: UsageRecord) {
        let recorded = self.about.get(&record.grant).cloned();
        let site = &self.installation.site;
        if let Some(about) = recorded.or_else(|| about_of(site, &record.grant)) {
            let terms = terms_of(self.installation, &record.grant, &about.terms_sha256);
            if let Some(terms) = terms {
                record.scenario = terms.scenario;
                record.purpose = Some(terms.purpose);
                record.basis = record.basis.or(Some(terms.basis));
                record.retention = terms.retention;
                record.version = record.version.or(Some(terms.version));
            }
            record.provider = Some(about.provider);
            record.recipient = Some(about.recipient);
            record.dataset = Some(about.dataset);
        }
        self.records.push((record, entry.at));
    }

    fn know(&mut self, grant: &str, about: Option<&About>) {
        if let Some(about) = about {
            self.about.insert(grant.to_owned(), about.clone());
        }
    }

    fn settle(&mut self, delivery: &str, attempt: &str, settle: impl FnOnce(&mut UsageRecord)) {
        let key = (delivery.to_owned(), attempt.to_owned());
        let at = self.attempts.get(&key);
        if let Some((record, _)) = at.and_then(|at| self.records.get_mut(*at)) {
            settle(record);
        }
    }

    fn destroyed(&mut self, delivery: &str, at: DateTime<Utc>) {
        let known = self.released.get(delivery);
        if let Some((record, _)) = known.and_then(|known| self.records.get_mut(*known)) {
            record.destroyed.get_or_insert_with(|| time_text(at));
        }
    }

    fn take(&mut self, entry: &Entry) {
        match &entry.event {
            Event::GrantSigned { .. } | Event::GrantMoved { .. } => self.take_step(entry),
            Event::ReleaseIntended { .. } | Event::Released { .. } | Event::Abandoned { .. } => {
                self.take_release(entry);
            }
            Event::ReceiptAccepted { .. }
            | Event::ReleasedKeys { .. }
            | Event::Disposed { .. }
            | Event::Replayed { .. } => self.take_afterwards(entry),
            Event::Previewed {
                grant,
                rows,
                before,
                ..
            } => {
                let outcome = if *before {
                    "shown with originals"
                } else {
                    "shown"
                };
                let record = UsageRecord::new(entry, "preview", outcome, grant);
                let rows = Some(*rows);
                self.add(entry, UsageRecord { rows, ..record });
            }
            Event::TokensRevealed {
                grant,
                approver,
                tokens,
                found,
                ..
            } => {
                let outcome = format!("{found} of {tokens} tokens turned back");
                let record = UsageRecord::new(entry, "tokens-revealed", outcome, grant);
                let by = Some(approver.clone());
                self.add(entry, UsageRecord { by, ..record });
            }
            Event::Revealed {
                grant,
                approver,
                values,
                found,
                ..
            } => {
                let outcome = format!("{found} of {values} values turned back");
                let record = UsageRecord::new(entry, "values-revealed", outcome, grant);
                let by = Some(approver.clone());
                self.add(entry, UsageRecord { by, ..record });
            }
            Event::Refused { grant, codes } => {
                let record = UsageRecord::new(entry, "refusal", "refused", grant);
                let reason = Some(codes.join(", "));
                self.add(entry, UsageRecord { reason, ..record });
            }
            // What keeps books on the site itself, or on a leak, is no use of data by a recipient.
            Event::MarkingBegun { .. }
            | Event::KeyringChanged { .. }
            | Event::TokensKept { .. }
            | Event::TraceBegun { .. }
            | Event::Traced { .. }
            | Event::DisposalIntended { .. }
            | Event::Halted { .. }
            | Event::HaltLifted { .. }
            | Event::QuotaReserved { .. }
            | Event::QuotaReturned { .. } => {}
        }
    }

    /// Steps of a grant's life.
    #[expect(clippy::wildcard_enum_match_arm, reason = "told apart by the caller")]
    fn take_step(&mut self, entry: &Entry) {
        match &entry.event {
            Event::GrantSigned {
                grant,
                version,
                approver,
                about,
                ..
            } => {
                self.know(grant, about.as_ref());
                let record = UsageRecord {
                    version: Some(*version),
                    by: Some(approver.clone()),
                    ..UsageRecord::new(entry, "grant", "approved", grant)
                };
                self.add(entry, record);
            }
            Event::GrantMoved {
                grant,
                version,
                to,
                approver,
                reason,
                basis,
                about,
                ..
            } => {
                self.know(grant, about.as_ref());
                let record = UsageRecord {
                    version: Some(*version),
                    by: Some(approver.clone().unwrap_or_else(|| "operator".to_owned())),
                    reason: reason.clone(),
                    basis: basis.clone(),
                    ..UsageRecord::new(entry, "grant", to.as_str(), grant)
                };
                self.add(entry, record);
            }
            _ => {}
        }
    }

    /// Deliveries, from intent to settlement.
    #[expect(clippy::wildcard_enum_match_arm, reason = "told apart by the caller")]
    fn take_release(&mut self, entry: &Entry) {
        match &entry.event {
            Event::ReleaseIntended {
                delivery,
                attempt,
                grant,
                grant_version,
                destination,
                rows,
                about,
                ..
            } => {
                self.know(grant, about.as_ref());
                let key = (delivery.clone(), attempt.clone());
                self.attempts.insert(key, self.records.len());
                let record = UsageRecord {
                    version: Some(*grant_version),
                    delivery: Some(delivery.clone()),
                    rows: Some(*rows),
                    storage: Some(destination.clone()),
                    ..UsageRecord::new(entry, "delivery", "intended", grant)
                };
                self.add(entry, record);
            }
            Event::Released {
                delivery,
                attempt,
                rows,
                ..
            } => {
                let key = (delivery.clone(), attempt.clone());
                if let Some(at) = self.attempts.get(&key) {
                    self.released.insert(delivery.clone(), *at);
                }
                self.settle(delivery, attempt, |record| {
                    "released".clone_into(&mut record.outcome);
                    record.rows = Some(*rows);
                });
            }
            Event::Abandoned {
                delivery,
                attempt,
                reason,
                ..
            } => self.settle(delivery, attempt, |record| {
                "abandoned".clone_into(&mut record.outcome);
                record.reason = Some(reason.clone());
            }),
            _ => {}
        }
    }

    /// What happened to deliveries after they were released.
    #[expect(clippy::wildcard_enum_match_arm, reason = "told apart by the caller")]
    fn take_afterwards(&mut self, entry: &Entry) {
        let (process, outcome, grant, delivery) = match &entry.event {
            Event::ReceiptAccepted {
                grant,
                delivery,
                kind,
                ..
            } => ("receipt", kind.clone(), grant, delivery),
            Event::ReleasedKeys {
                grant,
                delivery,
                keys,
                ..
            } => ("keys-released", format!("{keys} keys"), grant, delivery),
            Event::Disposed {
                grant, delivery, ..
            } => ("disposal", "disposed".to_owned(), grant, delivery),
            Event::Replayed {
                grant,
                delivery,
                outcome,
                ..
            } => ("replay", outcome.clone(), grant, delivery),
            _ => return,
        };
        let destroys = process == "disposal" || process == "receipt" && outcome == "destroyed";
        let record = UsageRecord {
            delivery: Some(delivery.clone()),
            ..UsageRecord::new(entry, process, outcome, grant)
        };
        self.add(entry, with_use(self.installation, &entry.event, record));
        if destroys {
            self.destroyed(delivery, entry.at);
        }
    }
}

/// The record of a receipt that tells of a use, with what it tells: what was done stands as the reason.
fn with_use(installation: &Installation, event: &Event, record: UsageRecord) -> UsageRecord {
    let Event::ReceiptAccepted { receipt_sha256, .. } = event else {
        return record;
    };
    let told = receipt::kept(installation, receipt_sha256);
    let told = told.and_then(|receipt| Some((receipt.used?, receipt.statement, receipt.recipient)));
    let Some((used, done, recipient)) = told else {
        return record;
    };
    UsageRecord {
        process: "use",
        outcome: used.outcome,
        storage: Some(used.storage),
        reason: done,
        by: Some(recipient),
        ..record
    }
}

#[cfg(test)]
mod tests {
    use lockgate_connectors::keyring::Purpose;

    use super::*;
    use crate::approval::test_site::{GRANT, TestSite};
    use crate::clock::Clock;
    use crate::ledger::Ledger;
    use crate::life::Terms;

    fn at(day: &str) -> DateTime<Utc> {
        format!("{day}T04:00:00Z").parse().unwrap()
    }

    fn installation(site: &TestSite, day: &str) -> Installation {
        Installation::of(site.site(), Clock::Fixed(at(day)))
    }

    /// A delivery, from intent to release, on 1 June 2026.
    fn delivered(installation: &Installation, ledger: &Ledger) {
        let about = about_of(&installation.site, GRANT);
        let intended = Event::ReleaseIntended {
            run: "r".to_owned(),
            delivery: "d".to_owned(),
            attempt: "a".to_owned(),
            grant: GRANT.to_owned(),
            grant_version: 1,
            plan_sha256: String::new(),
            destination: "s3://outbox".to_owned(),
            rows: 7,
            config: BTreeMap::new(),
            join_groups: Vec::new(),
            cell_attempt: None,
            about,
        };
        let released = Event::Released {
            run: "r".to_owned(),
            delivery: "d".to_owned(),
            attempt: "a".to_owned(),
            grant: GRANT.to_owned(),
            rows: 7,
            manifest_sha256: String::new(),
            content: None,
        };
        ledger
            .append_all(&[intended, released], at("2026-06-01"))
            .unwrap();
    }

    #[test]
    fn what_was_used_stays_known_for_years_and_over_everything_that_came_since() {
        let site = TestSite::signed();
        let begun = installation(&site, "2026-06-01");
        begun.keyring().create(Purpose::Ledger).unwrap();
        let ledger = begun.ledger().unwrap();
        let terms = Terms::from(&begun.site.grants[GRANT].value);
        terms.keep(&begun.state()).unwrap();
        delivered(&begun, &ledger);
        let event = Event::Refused {
            grant: "G-0".to_owned(),
            codes: Vec::new(),
        };
        // More than a tile of entries, over more than three years.
        for year in ["2027-01-01", "2028-01-01", "2029-12-31"] {
            let many: Vec<Event> = std::iter::repeat_n(event.clone(), 150).collect();
            ledger.append_all(&many, at(year)).unwrap();
        }
        std::fs::remove_file(site.root().join("grants/G-1.toml")).unwrap();
        let later = installation(&site, "2030-01-01");
        let asked = Question {
            grant: Some(GRANT.to_owned()),
            ..Question::default()
        };
        let told = usage(&later, &later.history().unwrap(), &asked).unwrap();
        assert_eq!(told.lost_terms, []);
        let record = told
            .records
            .iter()
            .find(|record| record.process == "delivery")
            .unwrap();
        assert_eq!(record.at, "2026-06-01T04:00:00Z");
        assert_eq!(record.outcome, "released");
        assert_eq!(record.purpose.as_deref(), Some("review"));
        assert_eq!(record.storage.as_deref(), Some("s3://outbox"));
        assert_eq!(record.rows, Some(7));
    }

    #[test]
    fn terms_that_nobody_has_any_more_are_told() {
        let site = TestSite::signed();
        let begun = installation(&site, "2026-06-01");
        begun.keyring().create(Purpose::Ledger).unwrap();
        let ledger = begun.ledger().unwrap();
        delivered(&begun, &ledger);
        let lost = |site: &TestSite| {
            let now = installation(site, "2026-06-02");
            let history = now.history().unwrap();
            let told = usage(&now, &history, &Question::default()).unwrap();
            (told.lost_terms, told.records[0].purpose.clone())
        };
        // Not kept, but the grant's file still says it.
        assert_eq!(lost(&site), (Vec::new(), Some("review".to_owned())));
        site.grant("\"review\"", "\"reviews\"");
        let (told, purpose) = lost(&site);
        assert_eq!(purpose, None);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].grant, GRANT);
        assert!(told[0].to_string().contains("restore it from a backup"));
    }
}
