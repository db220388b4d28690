//! What a run asks while it is under way: whether its grant may still be used.
//!
//! Cheap enough to be asked at every split: the ledger's signed checkpoint is compared with the one
//! seen last, and only entries after that are read, each proved; files of the site are looked at for
//! the time of their last change and their sizes, and compiled again only when one changed. Whatever
//! can't be read stops the run.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::NaiveDate;
use ed25519_dalek::VerifyingKey;
use lockgate_connectors::keyring::Purpose;

use super::standing::{Standing, Used};
use super::unresumed;
use crate::approval::{self, Signature};
use crate::engine::Permit;
use crate::error::RunError;
use crate::fault;
use crate::installation::Installation;
use crate::ledger::{Checkpoint, Ledger, LedgerReader};
use crate::plan::{Compiled, ExchangePlan, Refusal, RefusalCode};
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
    signature: Option<Signature>,
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

/// A file as it stands; absent where there is none. The time is that at which the system changed it,
/// which nobody sets back as they can the time of a file's content.
#[derive(Debug, PartialEq, Eq)]
struct Stamp(Option<(u64, i64, i64, u64)>);

impl Watch {
    /// A watch over the grant that was compiled, beginning with what the ledger holds now and the files
    /// as they are: what is compiled after this is held to it by [`Self::hold_to`].
    ///
    /// # Errors
    /// A ledger that cannot be read; a grant that is gone from the site.
    pub fn begin(
        installation: &Installation,
        ledger: &Ledger,
        compiled: &Compiled,
    ) -> Result<Arc<Self>, RunError> {
        let plan = compiled.plan();
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
        let stamps = files.iter().map(|file| Stamp::of(file)).collect();
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
            signature: compiled.signature().cloned(),
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
        let compiled = now.compile(&self.grant, Mode::Batch)?;
        let signature = compiled.signature().cloned();
        let plan = compiled.into_plan()?;
        self.hold_to(&plan, signature.as_ref())?;
        Ok(now)
    }

    /// Holds a plan that was compiled since, and its signature, to what was begun with.
    ///
    /// # Errors
    /// It is another one.
    pub fn hold_to(
        &self,
        plan: &ExchangePlan,
        signature: Option<&Signature>,
    ) -> Result<(), RunError> {
        if plan.sha256() == self.plan_sha256 && signature == self.signature.as_ref() {
            return Ok(());
        }
        Err(RunError::Invalid {
            what: "the grant, or what it resolves to, changed during the run".to_owned(),
            at: format!("grant {}", self.grant),
            remedy: "run again".to_owned(),
        })
    }

    /// Returns once the grant may no longer be used, and why.
    pub async fn withdrawn(self: Arc<Self>) -> RunError {
        loop {
            tokio::time::sleep(ASKED_EVERY).await;
            let watch = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || watch.check()).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return why,
                Err(error) => return fault::of_task("asking whether the run may go on", error),
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
            approval_sha256: self.signature.as_ref().map(|it| it.sha256.as_str()),
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
        let stamps: Vec<Stamp> = self.files.iter().map(|file| Stamp::of(file)).collect();
        if stamps != seen.stamps {
            self.confirm()?;
            seen.stamps = stamps;
        }
        Ok(())
    }
}

impl Stamp {
    fn of(file: &Path) -> Self {
        let found = std::fs::metadata(file).ok();
        Self(found.map(|it| (it.ino(), it.ctime(), it.ctime_nsec(), it.len())))
    }
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

    /// A signed site with a ledger, and what its grant compiles to.
    fn begun(site: &TestSite) -> (Installation, Ledger, Compiled) {
        let installation = installation(site, 0);
        installation.keyring().create(Purpose::Ledger).unwrap();
        let ledger = installation.ledger().unwrap();
        let event = Event::Refused {
            grant: "G-0".to_owned(),
            codes: Vec::new(),
        };
        ledger.append(&event, installation.clock.now()).unwrap();
        let compiled = installation.compile(GRANT, Mode::Batch).unwrap();
        assert_eq!(compiled.refusals(), []);
        (installation, ledger, compiled)
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
        let (installation, ledger, compiled) = begun(&site);
        let watch = Watch::begin(&installation, &ledger, &compiled).unwrap();
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
        let (installation, ledger, compiled) = begun(&site);
        let watch = Watch::begin(&installation, &ledger, &compiled).unwrap();
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
    fn an_edit_whose_time_is_put_back_is_seen() {
        let site = TestSite::signed();
        let (installation, ledger, compiled) = begun(&site);
        let watch = Watch::begin(&installation, &ledger, &compiled).unwrap();
        let policy = site.root().join("policy.toml");
        let written = std::fs::metadata(&policy).unwrap().modified().unwrap();
        // As long as before, and with the time of before, as `touch -r` leaves it.
        site.policy("first = 3, last = 2", "first = 4, last = 2");
        let file = std::fs::File::options().write(true).open(&policy).unwrap();
        file.set_modified(written).unwrap();
        assert_eq!(codes(&watch), [RefusalCode::ApprovalStale]);
    }

    #[test]
    fn what_is_compiled_after_the_watch_began_is_held_to_it() {
        let site = TestSite::signed();
        let (installation, ledger, compiled) = begun(&site);
        let watch = Watch::begin(&installation, &ledger, &compiled).unwrap();
        let again = installation.compile(GRANT, Mode::Batch).unwrap();
        let (plan, signature) = (again.plan(), again.signature());
        watch.hold_to(plan, signature).unwrap();
        assert!(watch.hold_to(plan, None).is_err());
        let mut other = plan.clone();
        other.grant_version += 1;
        assert!(watch.hold_to(&other, signature).is_err());
    }

    /// The gate of each release: every way to take a grant back is told by both questions that are asked
    /// before a manifest is made, each in its words.
    #[test]
    fn whatever_takes_a_grant_back_is_refused_at_the_release() {
        use RefusalCode::{ApprovalStale, Halted, Suspended, Terminated, Unsigned};
        type Change = fn(&TestSite, &Installation);

        let table: [(Change, RefusalCode); 8] = [
            (
                |files, _| edit(files, "grants/G-1.toml", "review", "reviews"),
                Unsigned,
            ),
            (
                |files, _| {
                    edit(
                        files,
                        "policy.toml",
                        "first = 3, last = 2",
                        "first = 4, last = 2",
                    );
                },
                ApprovalStale,
            ),
            (
                |files, _| {
                    edit(
                        files,
                        "catalogue/residents.toml",
                        "\"residents/\"",
                        "\"others/\"",
                    );
                },
                ApprovalStale,
            ),
            (
                |files, _| edit(files, "lockgate.toml", "[\"tax\"]", "[\"public-security\"]"),
                ApprovalStale,
            ),
            (|_, site| take(site, Step::Suspend), Suspended),
            (|_, site| take(site, Step::Terminate), Terminated),
            (|_, site| record(site, &halted()), Halted),
            (|_, site| record(site, &signed_later()), ApprovalStale),
        ];
        for (change, code) in table {
            let site = TestSite::signed();
            let (installation, ledger, compiled) = begun(&site);
            let watch = Watch::begin(&installation, &ledger, &compiled).unwrap();
            change(&site, &installation);
            assert_eq!(codes(&watch), [code]);
            match watch.confirm() {
                Err(RunError::Refused(refusals)) => assert_eq!(refusals[0].code, code),
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("{code} is confirmed"),
            }
        }
    }

    fn edit(site: &TestSite, file: &str, from: &str, to: &str) {
        site.edit(file, from, to);
    }

    fn record(installation: &Installation, event: &Event) {
        let ledger = installation.ledger().unwrap();
        ledger.append(event, installation.clock.now()).unwrap();
    }

    fn halted() -> Event {
        Event::Halted {
            scope: HaltScope::All,
            reason: "incident".to_owned(),
        }
    }

    fn signed_later() -> Event {
        Event::GrantSigned {
            grant: GRANT.to_owned(),
            version: 2,
            recipient: "civil-affairs".to_owned(),
            grant_index: 7,
            approver: "office".to_owned(),
            approval_sha256: "later".to_owned(),
            about: None,
        }
    }

    fn take(installation: &Installation, step: Step<'_>) {
        let taken = Act {
            grant: GRANT,
            step,
            reason: Some("misuse"),
            key: None,
        };
        act(installation, &taken).unwrap();
    }

    #[test]
    fn a_last_day_that_passes_stops_the_run() {
        let site = TestSite::signed();
        let (_, ledger, compiled) = begun(&site);
        let on = |days| Watch::begin(&installation(&site, days), &ledger, &compiled).unwrap();
        assert_eq!(codes(&on(213)), [], "31 December");
        assert_eq!(codes(&on(214)), [RefusalCode::Expired]);
    }

    #[test]
    fn a_ledger_that_is_set_back_or_gone_stops_the_run() {
        let site = TestSite::signed();
        let (installation, ledger, compiled) = begun(&site);
        let file = site.root().join("state/ledger/checkpoint");
        let earlier = std::fs::read(&file).unwrap();
        let event = Event::HaltLifted {
            scope: HaltScope::All,
            reason: "over".to_owned(),
            approver: None,
            document_sha256: None,
        };
        ledger.append(&event, installation.clock.now()).unwrap();
        let watch = Watch::begin(&installation, &ledger, &compiled).unwrap();
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
