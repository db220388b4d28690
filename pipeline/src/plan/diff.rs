//! What a change of policy, catalogue, grants or recipients does to every live grant.
//!
//! Whoever tunes treatments changes one rule and concerns many grants. Both states of the site are
//! compiled, grant by grant, and what the plans deliver is compared: which fields become weaker or
//! stronger, are withheld or come in, which will be written otherwise, which refusals appear (an
//! approval that is stale now) or go, and so for warnings and counts of possible originals. Which grants
//! are live, the ledger knows as well.

mod marks;
mod terms;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde::Serialize;

use super::{
    CompileRequest, Compiled, ExchangePlan, PlannedField, QuotaUse, Refusal, RefusalCode,
    SourceField, Warning, compile,
};
use crate::ledger::History;
use crate::life::Life;
use crate::site::Site;
use crate::site::dataset::Mode;

/// What becomes of one grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantDiff {
    /// Id of the grant.
    pub grant: String,
    /// Whether it is suspended, so that nothing changes before an approver resumes it.
    pub suspended: bool,
    /// What changed, in the order of the plan; never empty.
    pub changes: Vec<Change>,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What kind of change it is.
    pub kind: ChangeKind,
    /// The field concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What changed, in a sentence without a full stop; never a literal of a predicate.
    pub what: String,
}

/// Kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// The grant is new.
    Added,
    /// The grant is gone.
    Removed,
    /// Its files cannot be used any more.
    Unusable,
    /// A refusal that was not there: `approval-stale` above all.
    Refused,
    /// A refusal that is gone.
    Allowed,
    /// A warning that was not there.
    Warned,
    /// A warning that is gone.
    Unwarned,
    /// A field reveals more.
    Weaker,
    /// A field reveals less.
    Stronger,
    /// A field reveals other things (neither treatment contains the other), or the same things
    /// written otherwise, so that results no longer equal those of earlier deliveries.
    Different,
    /// A treated value fits more or fewer originals than before.
    Candidates,
    /// A field that was delivered is withheld.
    Withheld,
    /// A field that was not delivered is.
    Delivered,
    /// Category, level or type of a field, the rows in scope, the source, the recipient's keys; the
    /// days, quota, modes, purpose and destination of the grant, wider or narrower where that can be
    /// told.
    Terms,
}

/// Compares what the grants of two states of a site compile to as of `today`, quotas unused; grants
/// that expired in both are left out, and so are those that nothing happens to.
pub fn diff(old: &Site, new: &Site, only: Option<&str>, today: NaiveDate) -> Vec<GrantDiff> {
    diff_of_live(&History::default(), (old, new), only, today)
}

/// The same where a ledger says which grants live: one that was terminated is left out like one that
/// expired.
pub fn diff_of_live(
    history: &History,
    (old, new): (&Site, &Site),
    only: Option<&str>,
    today: NaiveDate,
) -> Vec<GrantDiff> {
    let ids: BTreeSet<&String> = old.grants.keys().chain(new.grants.keys()).collect();
    ids.into_iter()
        .filter(|id| only.is_none_or(|only| only == id.as_str()))
        .filter_map(|id| {
            let (was, is) = (State::of(old, id, today), State::of(new, id, today));
            let life = Life::of(history, id);
            if was.has_ended(&life) && is.has_ended(&life) {
                return None;
            }
            let changes = of_grant((old, &was), (new, &is));
            (!changes.is_empty()).then(|| GrantDiff {
                grant: id.clone(),
                suspended: life.suspension().is_some(),
                changes,
            })
        })
        .collect()
}

/// One grant in one state of the site.
enum State {
    Absent,
    Unusable,
    Compiled(Box<Compiled>),
}

impl State {
    fn of(site: &Site, id: &str, today: NaiveDate) -> Self {
        let Some(grant) = site.grants.get(id) else {
            return Self::Absent;
        };
        let mode = match grant.modes.first() {
            Some(first) if !grant.modes.contains(&Mode::Batch) => *first,
            _ => Mode::Batch,
        };
        let request = CompileRequest {
            grant: id,
            mode,
            today,
            quota: QuotaUse::default(),
        };
        match compile(site, &request) {
            Ok(compiled) => Self::Compiled(Box::new(compiled)),
            Err(_) => Self::Unusable,
        }
    }

    /// Whether nothing can come of the grant any more, as its days or its life have it; nothing comes
    /// of one that isn't there or can't be used, either.
    fn has_ended(&self, life: &Life) -> bool {
        let Self::Compiled(compiled) = self else {
            return true;
        };
        let version = compiled.plan().grant_version;
        let mut refusals = compiled.refusals().iter();
        refusals.any(|refusal| refusal.code == RefusalCode::Expired)
            || life
                .termination()
                .is_some_and(|ended| version <= ended.version)
    }
}

fn of_grant((old_site, old): (&Site, &State), (new_site, new): (&Site, &State)) -> Vec<Change> {
    let change = |kind, what: &str| {
        vec![Change {
            kind,
            field: None,
            what: what.to_owned(),
        }]
    };
    match (old, new) {
        // Nothing was and nothing is.
        (State::Absent | State::Unusable, State::Absent | State::Unusable) => Vec::new(),
        (State::Absent, State::Compiled(_)) => change(ChangeKind::Added, "the grant is new"),
        (_, State::Absent) => change(ChangeKind::Removed, "the grant is gone"),
        (_, State::Unusable) => change(
            ChangeKind::Unusable,
            "files it uses have problems; `lockgate check` lists them",
        ),
        (State::Unusable, State::Compiled(_)) => {
            change(ChangeKind::Allowed, "the files it uses can be used again")
        }
        (State::Compiled(old), State::Compiled(new)) => {
            let mut changes = refusals(old.refusals(), new.refusals());
            changes.extend(warnings(old.warnings(), new.warnings()));
            changes.extend(fields(old.plan(), new.plan()));
            changes.extend(marks::changes(old.plan(), new.plan()));
            changes.extend(candidates(old, new));
            changes.extend(deciding(old.plan(), new.plan()));
            changes.extend(terms::changes(
                (old_site, old.plan()),
                (new_site, new.plan()),
            ));
            changes
        }
    }
}

fn refusals(old: &[Refusal], new: &[Refusal]) -> Vec<Change> {
    let among = |refusal: &Refusal, list: &[Refusal]| {
        list.iter()
            .any(|other| (other.code, &other.field) == (refusal.code, &refusal.field))
    };
    let appeared = new.iter().filter(|refusal| !old.contains(refusal));
    let gone = old.iter().filter(|refusal| !among(refusal, new));
    let change = |kind, refusal: &Refusal, what: String| Change {
        kind,
        field: refusal.field.clone(),
        what,
    };
    appeared
        .map(|refusal| {
            let when = match among(refusal, old) {
                true => "refused for another reason",
                false => "refused now",
            };
            let what = format!("{when} [{}]: {}", refusal.code, refusal.reason);
            change(ChangeKind::Refused, refusal, what)
        })
        .chain(gone.map(|refusal| {
            let what = format!("no longer refused [{}]", refusal.code);
            change(ChangeKind::Allowed, refusal, what)
        }))
        .collect()
}

fn warnings(old: &[Warning], new: &[Warning]) -> Vec<Change> {
    let among = |warning: &Warning, list: &[Warning]| {
        list.iter()
            .any(|other| (other.code, &other.field) == (warning.code, &warning.field))
    };
    let change = |kind, warning: &Warning, what: String| Change {
        kind,
        field: warning.field.clone(),
        what,
    };
    let appeared = new.iter().filter(|warning| !old.contains(warning));
    let gone = old.iter().filter(|warning| !among(warning, new));
    appeared
        .map(|warning| {
            let what = format!("warned of [{}]: {}", warning.code, warning.what);
            change(ChangeKind::Warned, warning, what)
        })
        .chain(gone.map(|warning| {
            let what = format!("no longer warned of [{}]", warning.code);
            change(ChangeKind::Unwarned, warning, what)
        }))
        .collect()
}

/// Fields delivered before and after whose results fit another number of originals.
fn candidates(old: &Compiled, new: &Compiled) -> Vec<Change> {
    let fields = new.plan().fields.iter();
    let changed = fields.filter_map(|field| {
        let earlier = old.plan().fields.iter();
        let mut earlier = earlier.filter(|earlier| earlier.name == field.name);
        earlier.next()?;
        let said = |compiled: &Compiled| match compiled.residuals().get(&field.name) {
            Some(candidates) => candidates.to_string(),
            None => "an unknown number of".to_owned(),
        };
        let (was, is) = (said(old), said(new));
        let what = format!("a result fits {is} originals, and fitted {was} before");
        (was != is).then(|| of_field(ChangeKind::Candidates, field, what))
    });
    changed.collect()
}

fn fields(old: &ExchangePlan, new: &ExchangePlan) -> Vec<Change> {
    fn find<'a>(plan: &'a ExchangePlan, name: &str) -> Option<&'a PlannedField> {
        plan.fields.iter().find(|field| field.name == name)
    }
    let mut changes = Vec::new();
    for field in &new.fields {
        match find(old, &field.name) {
            Some(earlier) => {
                changes.extend(field_changes(earlier, field));
                changes.extend(reads((old, new), field));
            }
            None => {
                let what = format!("delivered now, by {}", field.treatment.summary());
                changes.push(of_field(ChangeKind::Delivered, field, what));
            }
        }
    }
    for field in &old.fields {
        if find(new, &field.name).is_none() {
            let withheld = new.withheld.iter().find(|found| found.name == field.name);
            let reason = withheld.map_or("the grant no longer asks for it", |found| &found.reason);
            let what = format!("no longer delivered: {reason}");
            changes.push(of_field(ChangeKind::Withheld, field, what));
        }
    }
    changes
}

fn of_field(kind: ChangeKind, field: &PlannedField, what: String) -> Change {
    Change {
        kind,
        field: Some(field.name.clone()),
        what,
    }
}

/// Whether the treatment of a field may stand where another was, and shows nothing else of the row.
fn stands_for(field: &PlannedField, earlier: &PlannedField) -> bool {
    let known = earlier.treatment.reveals();
    let shown = field.treatment.reveals();
    field.treatment.meets(&earlier.treatment) && shown.iter().all(|read| known.contains(read))
}

/// What changed of a field that is delivered before and after.
fn field_changes(earlier: &PlannedField, field: &PlannedField) -> Vec<Change> {
    let mut changes = Vec::new();
    let kind = match (stands_for(field, earlier), stands_for(earlier, field)) {
        (true, true) if field.treatment == earlier.treatment => None,
        (true, true) => Some((
            ChangeKind::Different,
            "written otherwise, so that results no longer equal those of earlier deliveries",
        )),
        (true, false) => Some((ChangeKind::Stronger, "stronger")),
        (false, true) => Some((ChangeKind::Weaker, "weaker")),
        (false, false) => Some((ChangeKind::Different, "not comparable")),
    };
    if let Some((kind, word)) = kind {
        let (was, is) = (earlier.treatment.summary(), field.treatment.summary());
        let what = format!("{word}: {was} becomes {is}");
        changes.push(of_field(kind, field, what));
    }
    let (was_level, level) = (earlier.level.to_string(), field.level.to_string());
    for (what, was, is) in [
        ("category", &earlier.category, &field.category),
        ("level", &was_level, &level),
        ("type", &earlier.source_type, &field.source_type),
        ("delivered type", &earlier.data_type, &field.data_type),
    ] {
        if was != is {
            let what = format!("its {what} changes from {was} to {is}");
            changes.push(of_field(ChangeKind::Terms, field, what));
        }
    }
    changes
}

/// How category and type of a field that something reads changed; absent where they did not.
fn read_otherwise(old: &ExchangePlan, new: &ExchangePlan, name: &str) -> Option<String> {
    fn find<'a>(plan: &'a ExchangePlan, name: &str) -> Option<&'a SourceField> {
        plan.source_fields.iter().find(|field| field.name == name)
    }
    let (earlier, field) = (find(old, name)?, find(new, name)?);
    let changed: Vec<String> = [
        ("category", &earlier.category, &field.category),
        ("type", &earlier.data_type, &field.data_type),
    ]
    .into_iter()
    .filter(|(_, was, is)| was != is)
    .map(|(what, was, is)| format!("changes its {what} from {was} to {is}"))
    .collect();
    (!changed.is_empty()).then(|| changed.join(" and "))
}

/// What changed of the fields that a treatment reads, which may change its results.
fn reads(plans: (&ExchangePlan, &ExchangePlan), field: &PlannedField) -> Vec<Change> {
    let (old, new) = plans;
    let changed = field.reads.iter().filter_map(|name| {
        let how = read_otherwise(old, new, name)?;
        let what = format!("`{name}`, which its treatment reads, {how}");
        Some(of_field(ChangeKind::Different, field, what))
    });
    changed.collect()
}

/// What changed of the fields that decide which rows are delivered, and of which nothing was said:
/// they are neither delivered nor read by a treatment.
fn deciding(old: &ExchangePlan, new: &ExchangePlan) -> Vec<Change> {
    let by_treatment = |name: &String| new.fields.iter().any(|field| field.reads.contains(name));
    let mut changes = Vec::new();
    for field in &new.filter_fields {
        let mut change = |kind, what| {
            let field = Some(field.name.clone());
            changes.push(Change { kind, field, what });
        };
        if !by_treatment(&field.name)
            && let Some(how) = read_otherwise(old, new, &field.name)
        {
            let what = format!("it decides which rows are delivered, and {how}");
            change(ChangeKind::Different, what);
        }
        let mut earlier = old.filter_fields.iter();
        let earlier = earlier.find(|earlier| earlier.name == field.name);
        if let Some(earlier) = earlier.filter(|earlier| earlier.level != field.level) {
            let (was, is) = (earlier.level, field.level);
            change(
                ChangeKind::Terms,
                format!("its level changes from {was} to {is}"),
            );
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::approval::test_site::{GRANT, TestSite, day};
    use crate::ledger::{Entry, Event, GrantState};

    fn after(change: impl FnOnce(&TestSite)) -> Vec<Change> {
        let site = TestSite::signed();
        let old = site.site();
        change(&site);
        let mut found = diff(&old, &site.site(), None, day("2026-06-01"));
        assert!(found.len() <= 1, "{found:?}");
        found.pop().map_or_else(Vec::new, |found| {
            assert_eq!(found.grant, GRANT);
            found.changes
        })
    }

    fn kinds(changes: &[Change]) -> Vec<(ChangeKind, Option<&str>)> {
        changes
            .iter()
            .map(|change| (change.kind, change.field.as_deref()))
            .collect()
    }

    #[test]
    fn a_site_that_stays_the_same_changes_no_grant() {
        assert!(after(|_| {}).is_empty());
        assert!(
            after(|site| {
                site.policy("kind = \"null\"", "kind = \"null\" ");
            })
            .is_empty()
        );
    }

    #[test]
    fn a_weaker_rule_weakens_the_field_and_makes_the_approval_stale() {
        let changes = after(|site| {
            site.policy("first = 3, last = 2", "first = 3, last = 4");
        });
        let expected = [
            (ChangeKind::Refused, None),
            (ChangeKind::Weaker, Some("id")),
            (ChangeKind::Candidates, Some("id")),
        ];
        assert_eq!(kinds(&changes), expected);
        assert!(changes[0].what.contains("approval-stale"), "{changes:?}");
        assert!(changes[1].what.contains("last=2"), "{changes:?}");
    }

    #[test]
    fn a_stronger_rule_passes_and_is_told() {
        let changes = after(|site| {
            site.policy("first = 3, last = 2", "first = 1, last = 2");
        });
        let expected = [
            (ChangeKind::Stronger, Some("id")),
            (ChangeKind::Candidates, Some("id")),
        ];
        assert_eq!(kinds(&changes), expected);
        let told = &changes[0].what;
        assert!(
            told.starts_with("stronger: ") && told.contains("first=1"),
            "{told}"
        );
    }

    #[test]
    fn a_field_that_a_treatment_reads_makes_its_results_different() {
        let by = "name = { kind = \"fake-name\", domain = \"d\", by = \"note\" }";
        let condition = "name = { kind = \"when\", condition = \"note = 'a'\", \
                         then = { kind = \"null\" }, \
                         else = { kind = \"keep-ends\", first = 1, last = 0 } }";
        for treatment in [by, condition] {
            let site = TestSite::new();
            site.grant_table(&format!("[treatments]\n{treatment}"));
            let old = site.site();
            site.catalogue("category = \"unruled\"", "category = \"resident-id\"");
            let found = diff(&old, &site.site(), None, day("2026-06-01"));
            let changes = &found[0].changes;
            assert!(
                kinds(changes).contains(&(ChangeKind::Different, Some("name"))),
                "{changes:?}"
            );
            let what = "`note`, which its treatment reads, changes its category from unruled to \
                        resident-id";
            assert!(
                changes.iter().any(|change| change.what == what),
                "{changes:?}"
            );
        }
    }

    #[test]
    fn a_field_that_decides_which_rows_are_delivered_is_compared() {
        let site = TestSite::new();
        site.grant("fields =", "rows = \"note = '1'\"\nfields =");
        let old = site.site();
        site.catalogue(
            "\"note\", type = \"utf8\", category = \"unruled\", level = 1",
            "\"note\", type = \"utf8\", category = \"other\", level = 2",
        );
        let found = diff(&old, &site.site(), None, day("2026-06-01"));
        assert_eq!(
            kinds(&found[0].changes),
            [
                (ChangeKind::Different, Some("note")),
                (ChangeKind::Terms, Some("note"))
            ]
        );
    }

    #[test]
    fn a_rule_that_goes_withholds_what_it_treated() {
        let changes = after(|site| {
            site.policy("category = \"person-name\"", "category = \"other-name\"");
        });
        assert_eq!(kinds(&changes), [(ChangeKind::Withheld, Some("name"))]);
        let told = &changes[0].what;
        assert!(told.starts_with("no longer delivered: "), "{told}");
        assert!(told.contains("rule"), "{told}");
    }

    #[test]
    fn other_treatments_of_one_strength_are_not_comparable() {
        let changes = after(|site| {
            let other = "{ kind = \"mask-range\", from = 0, to = 3 }";
            site.policy("{ kind = \"keep-ends\", first = 1, last = 0 }", other);
        });
        assert!(
            kinds(&changes).contains(&(ChangeKind::Different, Some("name"))),
            "{changes:?}"
        );
    }

    #[test]
    fn results_that_are_written_otherwise_are_told() {
        let pseudonym = "{ kind = \"hmac\", domain = \"d\" }";
        let site = TestSite::signed();
        site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", pseudonym);
        let old = site.site();
        site.policy(
            pseudonym,
            "{ kind = \"hmac\", domain = \"d\", encoding = \"base64url\" }",
        );
        let mut found = diff(&old, &site.site(), None, day("2026-06-01"));
        let changes = found.pop().unwrap().changes;
        let different: Vec<_> = changes
            .iter()
            .filter(|change| change.kind == ChangeKind::Different)
            .collect();
        assert_eq!(different.len(), 1, "{changes:?}");
        assert!(
            different[0].what.contains("written otherwise"),
            "{changes:?}"
        );
        assert!(different[0].what.contains("base64url"), "{changes:?}");
    }

    #[test]
    fn warnings_and_candidates_are_compared() {
        let site = TestSite::signed();
        let kept = "{ kind = \"keep-ends\", first = 6, last = 4 }";
        site.policy("{ kind = \"keep-ends\", first = 3, last = 2 }", kept);
        let floor = "[residual]\nmin_candidates = 3000\nbelow = \"warn\"\n";
        let policy = std::fs::read_to_string(site.root().join("policy.toml")).unwrap();
        site.write("policy.toml", &format!("{policy}\n{floor}"));
        let old = site.site();
        site.policy(kept, "{ kind = \"keep-ends\", first = 6, last = 6 }");
        let found = diff(&old, &site.site(), None, day("2026-06-01"));
        let changes = &found[0].changes;
        let of = |kind| changes.iter().find(|change| change.kind == kind);
        let warned = of(ChangeKind::Warned).unwrap_or_else(|| panic!("{changes:?}"));
        assert!(warned.what.contains("few-candidates"), "{changes:?}");
        let counted = of(ChangeKind::Candidates).unwrap_or_else(|| panic!("{changes:?}"));
        assert_eq!(
            counted.what,
            "a result fits 63 originals, and fitted 3320 before"
        );
        let back = diff(&site.site(), &old, None, day("2026-06-01"));
        assert!(
            kinds(&back[0].changes).contains(&(ChangeKind::Unwarned, Some("id"))),
            "{back:?}"
        );
    }

    #[test]
    fn a_grant_that_expired_long_ago_is_left_out() {
        let site = TestSite::signed();
        let old = site.site();
        site.policy("first = 3, last = 2", "first = 3, last = 4");
        assert!(diff(&old, &site.site(), None, day("2028-01-01")).is_empty());
        assert!(diff(&old, &site.site(), Some("G-2"), day("2026-06-01")).is_empty());
    }

    /// A ledger in which version 1 of the grant came into these states.
    fn moved(states: &[GrantState]) -> History {
        let entry = |(index, to): (u64, &GrantState)| Entry {
            index,
            at: DateTime::from_timestamp(1_780_000_000, 0).unwrap(),
            event: Event::GrantMoved {
                grant: GRANT.to_owned(),
                version: 1,
                to: *to,
                approver: None,
                document_sha256: None,
                reason: Some("misuse".to_owned()),
                basis: None,
                answer_by: None,
                about: None,
            },
        };
        (0..).zip(states).map(entry).collect()
    }

    #[test]
    fn a_terminated_grant_is_left_out_and_a_suspended_one_is_said_to_be() {
        use GrantState::{Approved, Suspended, Terminated};

        let site = TestSite::signed();
        let old = site.site();
        site.policy("first = 3, last = 2", "first = 3, last = 4");
        let new = site.site();
        let told = |old: &Site, new: &Site, states: &[GrantState]| {
            let found = diff_of_live(&moved(states), (old, new), None, day("2026-06-01"));
            let suspended = found.iter().map(|grant| grant.suspended);
            suspended.collect::<Vec<_>>()
        };
        assert_eq!(told(&old, &new, &[]), [false]);
        assert_eq!(told(&old, &new, &[Suspended]), [true]);
        assert_eq!(told(&old, &new, &[Suspended, Approved]), [false]);
        assert!(told(&old, &new, &[Terminated]).is_empty());
        // A higher version than the one that was ended is a grant that lives.
        site.grant("version = 1", "version = 2");
        assert_eq!(told(&old, &site.site(), &[Terminated]), [false]);
    }

    #[test]
    fn a_file_that_breaks_makes_the_grant_unusable() {
        let changes = after(|site| site.write("policy.toml", "rules = 3"));
        assert_eq!(kinds(&changes), [(ChangeKind::Unusable, None)]);
    }
}
