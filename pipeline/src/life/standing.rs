//! What the ledger says of a grant: its life step by step, and the halts that cover it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use lockgate_transforms::Date;

use crate::ledger::{About, Entry, Event, GrantState, HaltScope, History};
use crate::plan::{Refusal, RefusalCode};

/// A step of a grant's life, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Position of its entry.
    pub index: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// Version of the grant.
    pub version: u32,
    /// The approver whose signature it has; absent where the site's operator took it.
    pub approver: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The legal basis of a refusal.
    pub basis: Option<String>,
}

impl Moved {
    /// Who took the step, in words.
    #[must_use]
    pub fn by(&self) -> String {
        match &self.approver {
            Some(name) => format!("approver `{name}`"),
            None => "the operator".to_owned(),
        }
    }

    fn in_words(&self, done: &str) -> String {
        let why = self.reason.as_ref();
        let why = why.map_or_else(String::new, |reason| format!(": {reason}"));
        format!(
            "was {done} on {} by {}{why}",
            self.at.format("%Y-%m-%d"),
            self.by()
        )
    }
}

/// An end of a suspension: what an approver signed, and the suspension it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resumed {
    /// Id of the grant.
    pub(super) grant: String,
    /// Position of the suspension's entry.
    pub(super) suspension: u64,
    /// Hash of what the approver signed.
    pub(super) document_sha256: Option<String>,
}

/// A grant's life, as the ledger tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Life {
    /// Hashes of approvals by version, the last one last.
    approvals: BTreeMap<u32, Vec<String>>,
    request: Option<(Moved, Option<Date>)>,
    /// The last refusal of each version that no later signature answered.
    refused: BTreeMap<u32, Moved>,
    suspended: Option<Moved>,
    resumed: Option<Resumed>,
    terminated: Option<Moved>,
    last: Option<Moved>,
    about: Option<About>,
}

/// What is about to be used of a grant.
#[derive(Debug, Clone, Copy)]
pub struct Used<'a> {
    /// Its version.
    pub version: u32,
    /// Hash of its approval's envelope, where there is one.
    pub approval_sha256: Option<&'a str>,
    /// Department that holds the data, where anybody knows.
    pub provider: Option<&'a str>,
    /// Id of the recipient, where anybody knows.
    pub recipient: Option<&'a str>,
}

impl Life {
    /// The life of one grant.
    #[must_use]
    pub fn of(history: &History, grant: &str) -> Self {
        let mut life = Self::default();
        for entry in history.iter() {
            life.apply(grant, entry);
        }
        life
    }

    /// Takes in an entry; those of other grants change nothing.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a life consists of a few kinds of entry; new kinds are no part of it"
    )]
    pub fn apply(&mut self, grant: &str, entry: &Entry) {
        match &entry.event {
            Event::GrantSigned {
                grant: id,
                version,
                approver,
                approval_sha256,
                about,
                ..
            } if id == grant => {
                let step = Moved {
                    index: entry.index,
                    at: entry.at,
                    version: *version,
                    approver: Some(approver.clone()),
                    reason: None,
                    basis: None,
                };
                self.sign(step, approval_sha256, about.as_ref());
            }
            Event::GrantMoved {
                grant: id,
                version,
                to,
                approver,
                document_sha256,
                reason,
                basis,
                answer_by,
                about,
            } if id == grant => {
                let step = Moved {
                    index: entry.index,
                    at: entry.at,
                    version: *version,
                    approver: approver.clone(),
                    reason: reason.clone(),
                    basis: basis.clone(),
                };
                if about.is_some() {
                    self.about.clone_from(about);
                }
                if *to == GrantState::Approved {
                    self.resume(grant, step, document_sha256.clone());
                } else {
                    self.step(*to, step, *answer_by);
                }
            }
            Event::ReleaseIntended {
                grant: id, about, ..
            } if id == grant && about.is_some() => self.about.clone_from(about),
            _ => {}
        }
    }

    /// A signature counts unless it is over a version that was ended or that a later one replaced.
    fn sign(&mut self, step: Moved, approval_sha256: &str, about: Option<&About>) {
        let version = step.version;
        let is_ended = |ended: &Moved| version <= ended.version;
        if self.terminated.as_ref().is_some_and(is_ended)
            || self.approved().is_some_and(|approved| version < approved)
        {
            return;
        }
        let signatures = self.approvals.entry(version).or_default();
        signatures.retain(|known| known != approval_sha256);
        signatures.push(approval_sha256.to_owned());
        self.refused.retain(|refused, _| *refused > version);
        self.request.take_if(|(asked, _)| asked.version <= version);
        if about.is_some() {
            self.about = about.cloned();
        }
        if self.suspended.is_none() {
            self.last = Some(step);
        }
    }

    fn step(&mut self, to: GrantState, step: Moved, answer_by: Option<Date>) {
        match to {
            GrantState::Requested => self.request = Some((step.clone(), answer_by)),
            GrantState::Refused => {
                self.request = None;
                self.refused.insert(step.version, step.clone());
            }
            GrantState::Suspended => {
                self.resumed = None;
                self.suspended = Some(step.clone());
            }
            GrantState::Terminated => {
                self.request = None;
                self.suspended = None;
                self.resumed = None;
                self.terminated = Some(step.clone());
            }
            // The first and the last are never recorded, the other is a resumption.
            GrantState::Draft | GrantState::Approved | GrantState::Expired => return,
        }
        self.last = Some(step);
    }

    fn resume(&mut self, grant: &str, step: Moved, document_sha256: Option<String>) {
        let Some(suspension) = self.suspended.take() else {
            return;
        };
        self.resumed = Some(Resumed {
            grant: grant.to_owned(),
            suspension: suspension.index,
            document_sha256,
        });
        self.last = Some(step);
    }

    /// The highest version that was approved.
    #[must_use]
    pub fn approved(&self) -> Option<u32> {
        self.approvals.keys().next_back().copied()
    }

    /// The highest version that any entry names.
    #[must_use]
    pub fn known(&self) -> Option<u32> {
        let steps = [&self.suspended, &self.terminated, &self.last];
        let steps = steps.into_iter().flatten().map(|step| step.version);
        let steps = steps.chain(self.refused.keys().copied());
        let asked = self.request.iter().map(|(step, _)| step.version);
        steps.chain(asked).chain(self.approved()).max()
    }

    /// Whether an approval with that hash is the last one over that version.
    #[must_use]
    pub fn has_recorded(&self, version: u32, approval_sha256: &str) -> bool {
        let signatures = self.approvals.get(&version);
        signatures
            .and_then(|signatures| signatures.last())
            .is_some_and(|last| last == approval_sha256)
    }

    /// The state, of a grant whose last day is `until`.
    #[must_use]
    pub fn state(&self, today: NaiveDate, until: Option<NaiveDate>) -> GrantState {
        let is_live = |version: u32| {
            let ended = self.terminated.as_ref();
            ended.is_none_or(|ended| version > ended.version)
        };
        if self.suspended.is_some() {
            GrantState::Suspended
        } else if self.request.is_some() {
            GrantState::Requested
        } else if self.refused.keys().any(|version| is_live(*version)) {
            GrantState::Refused
        } else if self.approved().is_some_and(is_live) {
            if until.is_some_and(|until| today > until) {
                GrantState::Expired
            } else {
                GrantState::Approved
            }
        } else if self.terminated.is_some() {
            GrantState::Terminated
        } else {
            GrantState::Draft
        }
    }

    /// The last step that was taken.
    #[must_use]
    pub fn last(&self) -> Option<&Moved> {
        self.last.as_ref()
    }

    /// The open request, and the last day for its answer.
    #[must_use]
    pub fn request(&self) -> Option<(&Moved, Option<NaiveDate>)> {
        let request = self.request.as_ref();
        request.map(|(asked, answer_by)| (asked, answer_by.map(|day| day.0)))
    }

    /// The refusal of a version, where nothing answered it since.
    #[must_use]
    pub fn refusal(&self, version: u32) -> Option<&Moved> {
        self.refused.get(&version)
    }

    /// The suspension, while it lasts.
    #[must_use]
    pub fn suspension(&self) -> Option<&Moved> {
        self.suspended.as_ref()
    }

    /// The last termination, which ended every version up to its own.
    #[must_use]
    pub fn termination(&self) -> Option<&Moved> {
        self.terminated.as_ref()
    }

    /// What the last entries say the grant is about.
    #[must_use]
    pub fn about(&self) -> Option<&About> {
        self.about.as_ref()
    }

    pub(super) fn resumed(&self) -> Option<&Resumed> {
        self.resumed.as_ref()
    }

    /// What speaks against using a version of the grant by a signature.
    #[must_use]
    pub fn refusals(&self, version: u32, approval_sha256: Option<&str>) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let mut refuse = |code, reason| refusals.push(Refusal::new(code, reason));
        let ended = self.terminated.as_ref();
        if let Some(step) = ended.filter(|step| version <= step.version) {
            let reason = format!(
                "the grant {}; only a higher version than {}, signed anew, can be used",
                step.in_words("terminated"),
                step.version
            );
            refuse(RefusalCode::Terminated, reason);
        }
        if let Some(step) = &self.suspended {
            let reason = format!(
                "the grant {}; an approver may resume it with `lockgate grant resume`",
                step.in_words("suspended")
            );
            refuse(RefusalCode::Suspended, reason);
        }
        let approved = self.approved().filter(|approved| version < *approved);
        let signatures = self.approvals.get(&version);
        let is_replaced = approval_sha256.is_some_and(|own| {
            signatures.is_some_and(|all| {
                all.iter().any(|known| known == own) && !self.has_recorded(version, own)
            })
        });
        if let Some(approved) = approved {
            let reason = format!(
                "version {approved} was approved since; a signature over version {version} counts no \
                 more"
            );
            refuse(RefusalCode::ApprovalStale, reason);
        } else if is_replaced {
            let reason = "another signature over this version was made since; have it signed again";
            refuse(RefusalCode::ApprovalStale, reason.to_owned());
        }
        if let Some(step) = self.refusal(version) {
            let reason = format!("the grant {}", step.in_words("refused"));
            let mut refusal = Refusal::new(RefusalCode::Unsigned, reason);
            refusal.basis.clone_from(&step.basis);
            refusals.push(refusal);
        }
        refusals
    }
}

/// A halt that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// What it stops.
    pub scope: HaltScope,
    /// Since when.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Position of its entry.
    pub index: u64,
}

impl Halt {
    /// The halts that last.
    #[must_use]
    pub fn all(history: &History) -> Vec<Self> {
        let mut halts = Vec::new();
        for entry in history.iter() {
            Self::apply(&mut halts, entry);
        }
        halts
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "two kinds of entry begin and end halts; new kinds do neither"
    )]
    fn apply(halts: &mut Vec<Self>, entry: &Entry) {
        match &entry.event {
            Event::Halted { scope, reason } if halts.iter().all(|halt| halt.scope != *scope) => {
                halts.push(Self {
                    scope: scope.clone(),
                    at: entry.at,
                    reason: reason.clone(),
                    index: entry.index,
                });
            }
            // What lets exchanges go on again is an approver's to sign.
            Event::HaltLifted {
                scope,
                approver: Some(_),
                document_sha256: Some(_),
                ..
            } => halts.retain(|halt| halt.scope != *scope),
            _ => {}
        }
    }
}

/// How a grant stands: its life, and the halts that last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    grant: String,
    /// Its life.
    pub life: Life,
    /// Halts of the site, whether they cover it or not.
    pub halts: Vec<Halt>,
}

impl Standing {
    /// How a grant stands after a history.
    #[must_use]
    pub fn of(history: &History, grant: &str) -> Self {
        let mut standing = Self {
            grant: grant.to_owned(),
            ..Self::default()
        };
        for entry in history.iter() {
            standing.apply(entry);
        }
        standing
    }

    /// Takes in an entry.
    pub fn apply(&mut self, entry: &Entry) {
        self.life.apply(&self.grant, entry);
        Halt::apply(&mut self.halts, entry);
    }

    /// What speaks against using the grant.
    #[must_use]
    pub fn refusals(&self, used: &Used<'_>) -> Vec<Refusal> {
        let mut refusals = self.life.refusals(used.version, used.approval_sha256);
        let halts = self.halts.iter();
        let covering = halts.filter(|halt| halt.scope.covers(used.provider, used.recipient));
        refusals.extend(covering.map(|halt| {
            Refusal::new(
                RefusalCode::Halted,
                format!(
                    "{} are halted since {}: {}",
                    halt.scope,
                    halt.at.format("%Y-%m-%d %H:%M:%SZ"),
                    halt.reason
                ),
            )
        }));
        refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(version: u32, approval: &str) -> Event {
        Event::GrantSigned {
            grant: "G-1".to_owned(),
            version,
            recipient: "civil-affairs".to_owned(),
            grant_index: 7,
            approver: "office".to_owned(),
            approval_sha256: approval.to_owned(),
            about: None,
        }
    }

    fn moved(version: u32, to: GrantState) -> Event {
        Event::GrantMoved {
            grant: "G-1".to_owned(),
            version,
            to,
            approver: None,
            document_sha256: Some("0d".to_owned()),
            reason: Some("misuse".to_owned()),
            basis: (to == GrantState::Refused).then(|| "article 9".to_owned()),
            answer_by: (to == GrantState::Requested).then(|| Date(day("2026-01-21"))),
            about: None,
        }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn history(events: impl IntoIterator<Item = Event>) -> History {
        (0..)
            .zip(events)
            .map(|(index, event)| Entry {
                index,
                at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
                event,
            })
            .collect()
    }

    fn life(events: impl IntoIterator<Item = Event>) -> Life {
        Life::of(&history(events), "G-1")
    }

    fn state(events: impl IntoIterator<Item = Event>) -> GrantState {
        life(events).state(day("2026-06-01"), Some(day("2026-12-31")))
    }

    fn codes(life: &Life, version: u32, approval: &str) -> Vec<RefusalCode> {
        let refusals = life.refusals(version, Some(approval));
        refusals.iter().map(|refusal| refusal.code).collect()
    }

    #[test]
    fn each_step_leads_to_its_state() {
        use GrantState::{Approved, Draft, Refused, Requested, Suspended, Terminated};

        assert_eq!(state([]), Draft);
        assert_eq!(state([moved(1, Requested)]), Requested);
        assert_eq!(state([moved(1, Requested), signed(1, "a")]), Approved);
        assert_eq!(state([moved(1, Requested), moved(1, Refused)]), Refused);
        assert_eq!(state([moved(1, Refused), moved(1, Requested)]), Requested);
        assert_eq!(state([moved(1, Refused), signed(1, "a")]), Approved);
        assert_eq!(state([signed(1, "a"), moved(1, Suspended)]), Suspended);
        let resumed = [signed(1, "a"), moved(1, Suspended), moved(1, Approved)];
        assert_eq!(state(resumed), Approved);
        assert_eq!(state([signed(1, "a"), moved(1, Terminated)]), Terminated);
        let suspended = [moved(1, Suspended), moved(1, Terminated)];
        assert_eq!(state(suspended), Terminated);
        let again = [signed(1, "a"), moved(1, Terminated), signed(2, "b")];
        assert_eq!(state(again), Approved);
        assert_eq!(state([signed(1, "a"), moved(2, Requested)]), Requested);
        let past = life([signed(1, "a")]);
        let past = past.state(day("2027-01-01"), Some(day("2026-12-31")));
        assert_eq!(past, GrantState::Expired);
    }

    #[test]
    fn a_terminated_grant_needs_a_higher_version_and_no_old_signature_counts() {
        use RefusalCode::Terminated;

        let ended = life([signed(2, "a"), moved(2, GrantState::Terminated)]);
        assert_eq!(codes(&ended, 2, "a"), [Terminated]);
        assert_eq!(codes(&ended, 2, "fresh"), [Terminated]);
        assert_eq!(codes(&ended, 3, "b"), []);
        // Recording a signature over an ended version again changes nothing.
        let replayed = life([
            signed(2, "a"),
            moved(2, GrantState::Terminated),
            signed(2, "a"),
            signed(1, "z"),
        ]);
        assert_eq!(codes(&replayed, 2, "a"), [Terminated]);
    }

    #[test]
    fn an_earlier_version_or_signature_is_stale() {
        use RefusalCode::ApprovalStale;

        let known = life([signed(1, "a"), signed(2, "b"), signed(2, "c")]);
        assert_eq!(codes(&known, 1, "a"), [ApprovalStale]);
        assert_eq!(codes(&known, 2, "b"), [ApprovalStale]);
        assert_eq!(codes(&known, 2, "c"), []);
        assert_eq!(codes(&known, 3, "d"), []);
        // Signed again as it was first: then that is the last.
        let again = life([signed(2, "b"), signed(2, "c"), signed(2, "b")]);
        assert_eq!(codes(&again, 2, "b"), []);
        assert_eq!(codes(&again, 2, "c"), [ApprovalStale]);
        assert!(again.has_recorded(2, "b") && !again.has_recorded(2, "c"));
        // A signature over an earlier version that is recorded late sets nothing back.
        let late = life([signed(2, "b"), signed(1, "a")]);
        assert_eq!(late.approved(), Some(2));
        assert_eq!(codes(&late, 2, "b"), []);
    }

    #[test]
    fn a_refused_version_counts_no_more_and_its_basis_is_told() {
        let refused = life([
            moved(1, GrantState::Requested),
            moved(1, GrantState::Refused),
        ]);
        let refusals = refused.refusals(1, Some("made before"));
        assert_eq!(refusals.len(), 1);
        assert_eq!(refusals[0].code, RefusalCode::Unsigned);
        assert_eq!(refusals[0].basis.as_deref(), Some("article 9"));
        assert_eq!(refused.refusals(2, Some("x")), []);
        assert_eq!(refused.request(), None);
    }

    #[test]
    fn refusing_another_version_answers_no_refusal() {
        use GrantState::Refused;

        let both = life([moved(1, Refused), moved(2, Refused)]);
        assert_eq!(codes(&both, 1, "made before"), [RefusalCode::Unsigned]);
        assert_eq!(codes(&both, 2, "x"), [RefusalCode::Unsigned]);
        assert_eq!(codes(&both, 3, "x"), []);
        // A signature answers those of its own version and of earlier ones, which it replaces.
        let answered = life([moved(1, Refused), moved(3, Refused), signed(2, "a")]);
        assert_eq!(codes(&answered, 1, "x"), [RefusalCode::ApprovalStale]);
        assert_eq!(codes(&answered, 2, "a"), []);
        assert_eq!(codes(&answered, 3, "x"), [RefusalCode::Unsigned]);
    }

    #[test]
    fn signing_does_not_lift_a_suspension() {
        let signed_since = [
            signed(1, "a"),
            moved(1, GrantState::Suspended),
            signed(2, "b"),
        ];
        assert_eq!(state(signed_since.clone()), GrantState::Suspended);
        let codes = codes(&life(signed_since), 2, "b");
        assert_eq!(codes, [RefusalCode::Suspended]);
    }

    #[test]
    fn a_resumption_names_the_suspension_it_ends() {
        let resumed = life([
            moved(1, GrantState::Suspended),
            moved(1, GrantState::Approved),
            moved(1, GrantState::Suspended),
            moved(1, GrantState::Approved),
        ]);
        assert_eq!(resumed.resumed().map(|it| it.suspension), Some(2));
        // There is nothing to resume where nothing is suspended.
        assert_eq!(life([moved(1, GrantState::Approved)]).resumed(), None);
    }

    #[test]
    fn halts_last_until_they_are_lifted_and_cover_what_they_name() {
        let halted = |scope: HaltScope| Event::Halted {
            scope,
            reason: "incident".to_owned(),
        };
        let lifted_by = |scope: HaltScope, approver: Option<&str>| Event::HaltLifted {
            scope,
            reason: "over".to_owned(),
            approver: approver.map(str::to_owned),
            document_sha256: approver.map(|_| "0d".repeat(32)),
        };
        let lifted = |scope: HaltScope| lifted_by(scope, Some("office"));
        let provider = HaltScope::Provider("tax".to_owned());
        let standing = Standing::of(
            &history([
                halted(HaltScope::All),
                halted(provider.clone()),
                halted(provider),
                lifted(HaltScope::All),
            ]),
            "G-1",
        );
        let of = |provider: &str| {
            let used = Used {
                version: 1,
                approval_sha256: None,
                provider: Some(provider),
                recipient: Some("civil-affairs"),
            };
            standing.refusals(&used).len()
        };
        assert_eq!((of("tax"), of("police")), (1, 0));
        let over = history([halted(HaltScope::All), lifted(HaltScope::All)]);
        assert_eq!(Halt::all(&over), []);
        let unsigned = history([halted(HaltScope::All), lifted_by(HaltScope::All, None)]);
        assert_eq!(Halt::all(&unsigned).len(), 1, "nobody signed that it ends");
    }
}
