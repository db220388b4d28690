//! What a run asks while it is under way: whether its grant may still be used.
//!
//! Cheap enough to be asked at every split: the ledger's signed checkpoint is compared with the one
//! seen last, and only entries after that are read, each proved; files of the site are looked at for
//! their times and sizes, and compiled again only when one changed. Whatever can't be read stops the
//! run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::NaiveDate;
use ed25519_dalek::VerifyingKey;
use lockgate_connectors::keyring::Purpose;

use super::standing::{Standing, Used};
use super::unresumed;
use crate::approval;
use crate::digest::sha256_hex;
use crate::engine::Permit;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Checkpoint, Ledger, LedgerReader};
use crate::plan::{ExchangePlan, Refusal, RefusalCode};
use crate::site::dataset::Mode;

/// How often a run that does nothing else asks.
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// A run's watch over its grant.
#[derive(Debug)]
pub struct Watch {
    /// The site as the run began with it.
    begun: Installation,
    directory: PathBuf,
    keys: Vec<VerifyingKey>,
    grant: String,
    provider: String,
    recipient: String,
    version: u32,
    approval_sha256: Option<String>,
    plan_sha256: String,
    until: NaiveDate,
    files: Vec<PathBuf>,
    seen: Mutex<Seen>,
}

/// What a watch saw last.
#[derive(Debug)]
struct Seen {
    note: Option<Vec<u8>>,
    checkpoint: Option<Checkpoint>,
    standing: Standing,
    stamps: Vec<Stamp>,
}

/// A file as it stands: when it was changed, and how long it is. None where there is none.
type Stamp = Option<(Option<SystemTime>, u64)>;

impl Watch {
    /// A watch over the grant of a plan, beginning with what the ledger holds now.
    ///
    /// # Errors
    /// A ledger that cannot be read; a grant that is gone from the site.
    pub fn begin(
        installation: &Installation,
        ledger: &Ledger,
        plan: &ExchangePlan,
    ) -> Result<Arc<Self>, RunError> {
        let site = &installation.site;
        let grant = site
            .grants
            .get(&plan.grant)
            .ok_or_else(|| RunError::Internal {
                what: format!("grant {} is gone", plan.grant),
            })?;
        let dataset = site
            .datasets
            .get(&plan.dataset)
            .map(|dataset| &dataset.file);
        let recipient = site.recipients.get(&plan.recipient).map(|it| &it.file);
        let named = [
            Some(&site.file.file),
            Some(&site.policy.file),
            Some(&grant.file),
        ];
        let mut files: Vec<PathBuf> = named
            .into_iter()
            .chain([dataset, recipient])
            .flatten()
            .map(|file| site.root.join(file))
            .collect();
        files.push(approval::signature_path(site, grant));
        // What is looked at before the ledger is read can only be older than what was compiled.
        let stamps = files.iter().map(|file| stamp(file)).collect();
        let reader = ledger.snapshot()?;
        let seen = Seen {
            note: reader
                .checkpoint_note()
                .map(|note| note.as_bytes().to_vec()),
            checkpoint: reader.checkpoint().cloned(),
            standing: Standing::of(&reader.entries()?, &plan.grant),
            stamps,
        };
        Ok(Arc::new(Self {
            begun: Installation::of(site.clone(), installation.clock),
            directory: installation.ledger_dir(),
            keys: installation.keyring().verifying_keys(Purpose::Ledger)?,
            grant: plan.grant.clone(),
            provider: plan.provider.clone(),
            recipient: plan.recipient.clone(),
            version: plan.grant_version,
            approval_sha256: approval::signature_bytes(site, grant).map(|it| sha256_hex(&it)),
            plan_sha256: plan.sha256(),
            until: grant.valid.until.0,
            files,
            seen: Mutex::new(seen),
        }))
    }

    /// Compiles the grant again from the files as they are now, and holds it to what was begun with.
    ///
    /// # Errors
    /// Whatever refuses it now; a plan that is another one.
    pub fn confirm(&self) -> Result<Installation, RunError> {
        let now = Installation::open(&self.begun.site.root, self.begun.clock)?;
        let plan = now.compile(&self.grant, Mode::Batch)?.into_plan()?;
        if plan.sha256() == self.plan_sha256 {
            return Ok(now);
        }
        Err(RunError::Invalid {
            what: "the grant, or what it resolves to, changed during the run".to_owned(),
            at: format!("grant {}", self.grant),
            remedy: "run again".to_owned(),
        })
    }

    /// Returns once the grant may no longer be used.
    pub async fn withdrawn(self: Arc<Self>) {
        loop {
            tokio::time::sleep(ASKED_EVERY).await;
            let watch = Arc::clone(&self);
            let asked = tokio::task::spawn_blocking(move || watch.check()).await;
            if !matches!(asked, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// Reads what was recorded since, if anything was.
    fn read_on(&self, seen: &mut Seen) -> Result<(), RunError> {
        let note = LedgerReader::look(&self.directory)?;
        if note == seen.note {
            return Ok(());
        }
        let reader = LedgerReader::open(&self.directory, Some(&self.keys))?;
        let from = match &seen.checkpoint {
            Some(earlier) => {
                reader.check_continues(earlier)?;
                earlier.size
            }
            None => 0,
        };
        for entry in reader.entries_from(from)? {
            seen.standing.apply(&entry);
        }
        seen.note = reader
            .checkpoint_note()
            .map(|note| note.as_bytes().to_vec());
        seen.checkpoint = reader.checkpoint().cloned();
        Ok(())
    }

    fn refusals(&self, seen: &Seen) -> Result<Vec<Refusal>, RunError> {
        let mut refusals = seen.standing.refusals(&Used {
            version: self.version,
            approval_sha256: self.approval_sha256.as_deref(),
            provider: Some(&self.provider),
            recipient: Some(&self.recipient),
        });
        if self.begun.today()? > self.until {
            let reason = format!("the grant held until {}", self.until);
            refusals.push(Refusal::new(RefusalCode::Expired, reason));
        }
        refusals.extend(unresumed(&self.begun, &seen.standing.life, &self.provider));
        Ok(refusals)
    }
}

impl Permit for Watch {
    fn check(&self) -> Result<(), RunError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_on(&mut seen)?;
        let refusals = self.refusals(&seen)?;
        if !refusals.is_empty() {
            return Err(RunError::Refused(refusals));
        }
        let stamps: Vec<Stamp> = self.files.iter().map(|file| stamp(file)).collect();
        if stamps != seen.stamps {
            self.confirm()?;
            seen.stamps = stamps;
        }
        Ok(())
    }
}

fn stamp(file: &Path) -> Stamp {
    let found = std::fs::metadata(file).ok()?;
    Some((found.modified().ok(), found.len()))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::approval::test_site::{GRANT, TestSite};
    use crate::clock::Clock;
    use crate::ledger::{Event, HaltScope};
    use crate::life::{Act, Step, act};

    /// A moment on 1 June 2026, and so many days later.
    fn installation(site: &TestSite, days: i64) -> Installation {
        let begun: DateTime<chrono::Utc> = "2026-06-01T04:00:00Z".parse().unwrap();
        Installation::of(site.site(), Clock::Fixed(begun + TimeDelta::days(days)))
    }

    /// A signed site with a ledger, and the plan of its grant.
    fn begun(site: &TestSite) -> (Installation, Ledger, ExchangePlan) {
        let installation = installation(site, 0);
        installation.keyring().create(Purpose::Ledger).unwrap();
        let ledger = installation.ledger().unwrap();
        let event = Event::Refused {
            grant: "G-0".to_owned(),
            codes: Vec::new(),
        };
        ledger.append(&event, installation.clock.now()).unwrap();
        let compiled = installation.compile(GRANT, Mode::Batch).unwrap();
        let plan = compiled.into_plan().unwrap();
        (installation, ledger, plan)
    }

    fn codes(watch: &Watch) -> Vec<RefusalCode> {
        match watch.check() {
            Ok(()) => Vec::new(),
            Err(RunError::Refused(refusals)) => refusals.iter().map(|it| it.code).collect(),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn what_another_process_records_is_seen_at_the_next_question() {
        let site = TestSite::signed();
        let (installation, ledger, plan) = begun(&site);
        let watch = Watch::begin(&installation, &ledger, &plan).unwrap();
        assert_eq!(codes(&watch), []);
        let other = installation.ledger().unwrap();
        let halted = |scope| Event::Halted {
            scope,
            reason: "incident".to_owned(),
        };
        let elsewhere = halted(HaltScope::Recipient("tax".to_owned()));
        other.append(&elsewhere, installation.clock.now()).unwrap();
        assert_eq!(codes(&watch), []);
        let here = halted(HaltScope::Provider("public-security".to_owned()));
        other.append(&here, installation.clock.now()).unwrap();
        assert_eq!(codes(&watch), [RefusalCode::Halted]);
        let suspend = Act {
            grant: GRANT,
            step: Step::Suspend,
            reason: Some("misuse"),
            key: None,
        };
        act(&installation, &suspend).unwrap();
        assert_eq!(codes(&watch), [RefusalCode::Suspended, RefusalCode::Halted]);
        let resume = Act {
            step: Step::Resume,
            ..suspend
        };
        assert!(act(&installation, &resume).is_err(), "without a key");
        let key = site.root().join("office.key");
        let resume = Act {
            key: Some(&key),
            ..resume
        };
        act(&installation, &resume).unwrap();
        assert_eq!(codes(&watch), [RefusalCode::Halted]);
    }

    #[test]
    fn an_edited_file_and_a_lost_signature_are_seen() {
        let site = TestSite::signed();
        let (installation, ledger, plan) = begun(&site);
        let watch = Watch::begin(&installation, &ledger, &plan).unwrap();
        site.policy("first = 3, last = 2", "first = 4, last = 2");
        assert_eq!(codes(&watch), [RefusalCode::ApprovalStale]);
        site.policy("first = 4, last = 2", "first = 3, last = 2");
        assert_eq!(codes(&watch), []);
        // Stronger, and so allowed; but not what this run does.
        site.policy("first = 3, last = 2", "first = 1, last = 2");
        assert!(matches!(watch.check(), Err(RunError::Invalid { .. })));
        site.policy("first = 1, last = 2", "first = 3, last = 2");
        std::fs::remove_file(site.root().join("grants/G-1.toml.sig")).unwrap();
        assert_eq!(codes(&watch), [RefusalCode::Unsigned]);
    }

    #[test]
    fn a_last_day_that_passes_stops_the_run() {
        let site = TestSite::signed();
        let (_, ledger, plan) = begun(&site);
        let on = |days| Watch::begin(&installation(&site, days), &ledger, &plan).unwrap();
        assert_eq!(codes(&on(213)), [], "31 December");
        assert_eq!(codes(&on(214)), [RefusalCode::Expired]);
    }

    #[test]
    fn a_ledger_that_is_set_back_or_gone_stops_the_run() {
        let site = TestSite::signed();
        let (installation, ledger, plan) = begun(&site);
        let file = site.root().join("state/ledger/checkpoint");
        let earlier = std::fs::read(&file).unwrap();
        let event = Event::HaltLifted {
            scope: HaltScope::All,
            reason: "over".to_owned(),
        };
        ledger.append(&event, installation.clock.now()).unwrap();
        let watch = Watch::begin(&installation, &ledger, &plan).unwrap();
        let now = std::fs::read(&file).unwrap();
        for wrong in [Some(earlier), Some(b"x".to_vec()), None] {
            match wrong {
                Some(bytes) => std::fs::write(&file, bytes).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            assert!(matches!(watch.check(), Err(RunError::Ledger(_))));
        }
        std::fs::write(&file, now).unwrap();
        assert_eq!(codes(&watch), []);
    }
}
