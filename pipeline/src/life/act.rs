//! Taking a step of a grant's life: checked against how the grant stands, and recorded under the
//! ledger's lock, so that of two steps at a time one comes first and the other is held to it.

use std::path::Path;

use chrono::NaiveDate;
use lockgate_transforms::Date;

use super::order::{self, Order, SignedOrder};
use super::standing::Life;
use super::{Terms, about_of, approvals, check_reason, working_day_after};
use crate::approval::tokens;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{About, Event, GrantState, History};

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A recipient asks for the grant; its answer is due from now on.
    Request,
    /// The provider refuses it, on this legal basis.
    Refuse {
        /// The legal basis.
        basis: &'a str,
    },
    /// It is held back.
    Suspend,
    /// It may be used again: an approver's step.
    Resume,
    /// It ends.
    Terminate,
}

impl Step<'_> {
    /// The state that the step leads to.
    #[must_use]
    pub fn to(self) -> GrantState {
        match self {
            Self::Request => GrantState::Requested,
            Self::Refuse { .. } => GrantState::Refused,
            Self::Suspend => GrantState::Suspended,
            Self::Resume => GrantState::Approved,
            Self::Terminate => GrantState::Terminated,
        }
    }

    /// As the command line names it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Refuse { .. } => "refuse",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Terminate => "terminate",
        }
    }
}

/// Who takes which step, of which grant, and why.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// Id of the grant.
    pub grant: &'a str,
    /// The step.
    pub step: Step<'a>,
    /// Why; only a request may go without, since the grant says for what it is.
    pub reason: Option<&'a str>,
    /// The approver's private key, where the step is theirs; else the operator takes it.
    pub key: Option<&'a Path>,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Position of its entry.
    pub index: u64,
    /// Version of the grant.
    pub version: u32,
    /// The state that it led to.
    pub state: GrantState,
    /// The approver whose signature it has.
    pub approver: Option<String>,
    /// The last day for an answer, of a request.
    pub answer_by: Option<NaiveDate>,
}

/// Takes a step and records it.
///
/// # Errors
/// No such grant; a step that its state does not allow; a reason that is missing or can't be
/// recorded; a key of nobody who may take it; a ledger that cannot be written.
pub fn act(installation: &Installation, act: &Act<'_>) -> Result<Taken, RunError> {
    let written = Written::of(act)?;
    let ledger = installation.ledger()?;
    loop {
        let reader = ledger.snapshot()?;
        let history = reader.entries()?;
        let life = Life::of(&history, act.grant);
        let subject = Subject::find(installation, act, &life)?;
        subject.check(act.step, &life)?;
        let origin = reader
            .checkpoint()
            .map(|checkpoint| checkpoint.origin.clone());
        let signed = subject.sign(installation, act, &written, (&life, origin))?;
        let answer_by = subject.answer_by(installation, act.step)?;
        let event = Event::GrantMoved {
            grant: act.grant.to_owned(),
            version: subject.version,
            to: act.step.to(),
            approver: signed.as_ref().map(|signed| signed.approver.clone()),
            document_sha256: signed.as_ref().map(|signed| signed.sha256.clone()),
            reason: written.reason.clone(),
            basis: written.basis.clone(),
            answer_by,
            about: subject.about.clone(),
        };
        if let Some(signed) = &signed {
            tokens::keep(&approvals(installation), &signed.sha256, &signed.envelope)?;
        }
        if let Some(grant) = installation.site.grants.get(act.grant) {
            Terms::from(&grant.value).keep(&installation.state())?;
        }
        let now = installation.clock.now();
        if let Some(appended) = ledger.append_if(reader.size(), &event, now)? {
            return Ok(Taken {
                index: appended.index,
                version: subject.version,
                state: act.step.to(),
                approver: signed.map(|signed| signed.approver),
                answer_by: answer_by.map(|day| day.0),
            });
        }
    }
}

/// The texts of a step, as they are recorded.
struct Written {
    reason: Option<String>,
    basis: Option<String>,
}

impl Written {
    fn of(act: &Act<'_>) -> Result<Self, RunError> {
        let reason = match (act.reason, act.step) {
            (Some(reason), _) => Some(check_reason(reason, "--reason")?.to_owned()),
            (None, Step::Request) => None,
            (None, _) => {
                return Err(RunError::Invalid {
                    what: format!("`grant {}` needs a reason", act.step.as_str()),
                    at: "--reason".to_owned(),
                    remedy: "say in a sentence why, without personal data".to_owned(),
                });
            }
        };
        let basis = match act.step {
            Step::Refuse { basis } => Some(check_reason(basis, "--basis")?.to_owned()),
            Step::Request | Step::Suspend | Step::Resume | Step::Terminate => None,
        };
        if act.key.is_none() && act.step == Step::Resume {
            return Err(RunError::Denied {
                what: "only an approver can resume a grant".to_owned(),
                remedy: "have an approver of its provider run `lockgate grant resume` with --key"
                    .to_owned(),
            });
        }
        Ok(Self { reason, basis })
    }
}

/// The grant that a step is of.
struct Subject {
    grant: String,
    version: u32,
    about: Option<About>,
}

impl Subject {
    /// Finds the grant. What only stops it can be said of one whose files are unusable or gone.
    fn find(installation: &Installation, act: &Act<'_>, life: &Life) -> Result<Self, RunError> {
        let site = &installation.site;
        let about = about_of(site, act.grant);
        let written = site.grants.get(act.grant).map(|grant| grant.version);
        let stops = matches!(act.step, Step::Suspend | Step::Terminate);
        let version = match (written, life.known()) {
            (Some(written), Some(known)) if stops => Some(written.max(known)),
            (Some(written), _) => Some(written),
            (None, known) if stops => known,
            (None, _) => None,
        };
        let Some(version) = version else {
            // Compiling says why: the grant is not there, or its file cannot be used.
            let mode = installation.mode_to_show(act.grant);
            return Err(match installation.compile(act.grant, mode) {
                Err(error) => error,
                Ok(_) => RunError::Internal {
                    what: format!("grant {} is there and is not", act.grant),
                },
            });
        };
        Ok(Self {
            grant: act.grant.to_owned(),
            version,
            about: about.or_else(|| life.about().cloned()),
        })
    }

    /// Whether the grant's state allows the step.
    fn check(&self, step: Step<'_>, life: &Life) -> Result<(), RunError> {
        let version = self.version;
        let refuse = |what: String, remedy: &str| {
            Err(RunError::Denied {
                what: format!("grant {}: {what}", self.grant),
                remedy: remedy.to_owned(),
            })
        };
        let ended = life.termination().filter(|step| version <= step.version);
        if let Some(ended) = ended {
            let what = format!("version {} is terminated", ended.version);
            return refuse(what, "raise the grant's version and ask for it anew");
        }
        if step == Step::Resume && life.suspension().is_none() {
            return refuse(
                "it is not suspended".to_owned(),
                "there is nothing to resume",
            );
        }
        if life.suspension().is_some() && !matches!(step, Step::Resume | Step::Terminate) {
            let what = "it is suspended".to_owned();
            return refuse(what, "have an approver resume it, or terminate it");
        }
        let is_approved = life.approved().is_some_and(|approved| version <= approved);
        match step {
            Step::Request if is_approved => refuse(
                format!("version {version} was approved"),
                "raise the version to ask for something else",
            ),
            Step::Request => match life.request() {
                Some((asked, _)) if asked.version == version => refuse(
                    format!(
                        "version {version} was asked for on {}",
                        asked.at.format("%Y-%m-%d")
                    ),
                    "the provider's answer is due",
                ),
                _ => Ok(()),
            },
            Step::Refuse { .. } if is_approved => refuse(
                format!("version {version} was approved"),
                "suspend or terminate it",
            ),
            Step::Refuse { .. } if life.refusal(version).is_some() && life.request().is_none() => {
                refuse(
                    format!("version {version} was refused"),
                    "there is nothing to refuse",
                )
            }
            Step::Refuse { .. } => Ok(()),
            Step::Suspend | Step::Resume | Step::Terminate => Ok(()),
        }
    }

    /// The approver's signature of the step, where a key is given.
    fn sign(
        &self,
        installation: &Installation,
        act: &Act<'_>,
        written: &Written,
        (life, ledger): (&Life, Option<String>),
    ) -> Result<Option<SignedOrder>, RunError> {
        let Some(key) = act.key else { return Ok(None) };
        let Some(about) = &self.about else {
            return Err(RunError::Denied {
                what: "nobody can say whose data the grant is about".to_owned(),
                remedy: "mend the grant's files; the operator can suspend or terminate it as it is"
                    .to_owned(),
            });
        };
        let answers = match act.step {
            Step::Resume => life.suspension(),
            Step::Request | Step::Refuse { .. } | Step::Suspend | Step::Terminate => life.last(),
        };
        let order = Order {
            format: 0,
            grant: act.grant.to_owned(),
            version: self.version,
            to: act.step.to(),
            reason: written.reason.clone(),
            basis: written.basis.clone(),
            provider: about.provider.clone(),
            approver: String::new(),
            ledger,
            answers: answers.map(|step| step.index),
        };
        order::sign(&installation.site, order, key).map(Some)
    }

    /// The last day for the answer to a request.
    fn answer_by(
        &self,
        installation: &Installation,
        step: Step<'_>,
    ) -> Result<Option<Date>, RunError> {
        if step != Step::Request {
            return Ok(None);
        }
        let days = installation.site.file.approval.answer_within_days;
        let last = working_day_after(installation.today()?, days);
        Ok(Some(Date(last)))
    }
}

/// What keeps an approver from signing a version of a grant.
///
/// # Errors
/// It is suspended; that version was terminated, or a later one approved.
pub(crate) fn may_be_signed(history: &History, grant: &str, version: u32) -> Result<(), RunError> {
    let life = Life::of(history, grant);
    let mut refusals = life.refusals(version, None);
    // Signing is what answers a refusal.
    refusals.retain(|refusal| refusal.code != crate::plan::RefusalCode::Unsigned);
    if refusals.is_empty() {
        Ok(())
    } else {
        Err(RunError::Refused(refusals))
    }
}
