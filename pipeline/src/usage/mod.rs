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
use crate::life::{Terms, about_of};

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
    /// What was done: `delivery`, `preview`, `tokens-revealed`, `keys-released`, `grant`, `refusal`,
    /// `disposal`, `receipt` or `replay`.
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

/// The records that a question asks for, in the order of the ledger.
///
/// # Errors
/// A ledger that cannot be read, or does not verify.
pub fn usage(installation: &Installation, asked: &Question) -> Result<Vec<UsageRecord>, RunError> {
    let history = installation.history()?;
    let mut records = Vec::new();
    for (record, at) in Collected::of(installation, &history).records {
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
    Ok(records)
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
            let kept = Terms::kept(&self.installation.state(), &about.terms_sha256);
            let own = site
                .grants
                .get(&record.grant)
                .map(|it| Terms::from(&it.value));
            let terms = kept.or_else(|| own.filter(|own| own.sha256() == about.terms_sha256));
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
        self.add(entry, record);
        if destroys {
            self.destroyed(delivery, entry.at);
        }
    }
}
