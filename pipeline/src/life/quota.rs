//! Quotas across runs and processes.
//!
//! A delivery is set aside before anything is read, by an entry that stands only if what it was
//! concluded from still held; rows are known once they were read, and are set aside by the intent in
//! the same way. The release settles both. What a killed run had set aside is free again once the next
//! run has found out what became of it.

use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History, Ledger};
use crate::plan::{ExchangePlan, Refusal, RefusalCode};
use crate::site::grant::Quota;

/// Who asks for how much of a quota.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Id of the grant.
    pub grant: &'a str,
    /// Id of the attempt, whose own reservation doesn't count against it.
    pub attempt: &'a str,
    /// Rows; 0 where nobody knows yet how many.
    pub rows: u64,
    /// The grant's quota.
    pub quota: Quota,
}

/// Sets a delivery aside for an attempt, of a grant with a quota.
///
/// # Errors
/// [`RunError::Refused`] where what is used and set aside leaves none; a ledger that cannot be
/// written.
pub fn reserve(
    installation: &Installation,
    ledger: &Ledger,
    plan: &ExchangePlan,
    attempt: &str,
) -> Result<(), RunError> {
    let quota = quota_of(installation, plan);
    if quota.runs.is_none() && quota.rows.is_none() {
        return Ok(());
    }
    let event = Event::QuotaReserved {
        grant: plan.grant.clone(),
        attempt: attempt.to_owned(),
    };
    loop {
        let reader = ledger.snapshot()?;
        let asked = Asked {
            grant: &plan.grant,
            attempt,
            rows: 0,
            quota,
        };
        confirm(&reader.entries()?, &asked)?;
        let now = installation.clock.now();
        if ledger.append_if(reader.size(), &event, now)?.is_some() {
            return Ok(());
        }
    }
}

/// The quota of a plan's grant.
pub(crate) fn quota_of(installation: &Installation, plan: &ExchangePlan) -> Quota {
    let grant = installation.site.grants.get(&plan.grant);
    grant.map(|grant| grant.quota).unwrap_or_default()
}

/// Whether a quota has room for what is asked, beside what was released and what others have set
/// aside.
///
/// # Errors
/// [`RunError::Refused`] where it hasn't.
pub fn confirm(history: &History, asked: &Asked<'_>) -> Result<(), RunError> {
    let used = history.quota_use().remove(asked.grant).unwrap_or_default();
    let held = history.quota_held(asked.grant, asked.attempt);
    let (runs, rows) = (used.0.saturating_add(held.0), used.1.saturating_add(held.1));
    let aside = |held: u64| match held {
        0 => String::new(),
        held => format!(" or set aside ({held})"),
    };
    let reason = match (asked.quota.runs, asked.quota.rows) {
        (Some(allowed), _) if runs >= allowed => format!(
            "{runs} of {allowed} deliveries are used up{}",
            aside(held.0)
        ),
        (_, Some(allowed)) if rows >= allowed => {
            format!("{rows} of {allowed} rows are used up{}", aside(held.1))
        }
        (_, Some(allowed)) if rows.saturating_add(asked.rows) > allowed => format!(
            "this delivery of {} rows would exceed the grant's quota of {allowed}; {rows} are \
             used{}",
            asked.rows,
            aside(held.1)
        ),
        _ => return Ok(()),
    };
    Err(vec![Refusal::new(RefusalCode::Quota, reason)].into())
}

/// Frees what was set aside for an attempt of the grant that came to nothing, or for every one of
/// them: the caller holds the grant's lock, so none of them is under way.
///
/// # Errors
/// A ledger that cannot be read or written.
pub fn give_back(
    installation: &Installation,
    ledger: &Ledger,
    grant: &str,
    attempt: Option<&str>,
    reason: &str,
) -> Result<(), RunError> {
    let history = ledger.entries()?;
    let open = history.reserved(grant);
    for open in open
        .iter()
        .filter(|open| attempt.is_none_or(|own| own == **open))
    {
        let event = Event::QuotaReturned {
            grant: grant.to_owned(),
            attempt: (*open).to_owned(),
            reason: reason.to_owned(),
        };
        ledger.append(&event, installation.clock.now())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(events: Vec<Event>) -> History {
        (0..)
            .zip(events)
            .map(|(index, event)| crate::ledger::Entry {
                index,
                at: chrono::DateTime::UNIX_EPOCH,
                event,
            })
            .collect()
    }

    fn reserved(attempt: &str) -> Event {
        Event::QuotaReserved {
            grant: "G-1".to_owned(),
            attempt: attempt.to_owned(),
        }
    }

    fn intended(attempt: &str, rows: u64) -> Event {
        Event::ReleaseIntended {
            run: "r".to_owned(),
            delivery: format!("delivery of {attempt}"),
            attempt: attempt.to_owned(),
            grant: "G-1".to_owned(),
            grant_version: 1,
            plan_sha256: String::new(),
            destination: String::new(),
            rows,
            config: std::collections::BTreeMap::new(),
            join_groups: Vec::new(),
            cell_attempt: None,
            about: None,
        }
    }

    fn released(attempt: &str, rows: u64) -> Event {
        Event::Released {
            run: "r".to_owned(),
            delivery: format!("delivery of {attempt}"),
            attempt: attempt.to_owned(),
            grant: "G-1".to_owned(),
            rows,
            manifest_sha256: String::new(),
            content: None,
        }
    }

    fn fits(events: Vec<Event>, attempt: &str, rows: u64, quota: Quota) -> bool {
        let asked = Asked {
            grant: "G-1",
            attempt,
            rows,
            quota,
        };
        confirm(&history(events), &asked).is_ok()
    }

    const TWO_RUNS: Quota = Quota {
        runs: Some(2),
        rows: None,
    };

    const TEN_ROWS: Quota = Quota {
        runs: None,
        rows: Some(10),
    };

    #[test]
    fn what_others_set_aside_counts_and_ones_own_does_not() {
        let both = || vec![reserved("a"), reserved("b")];
        assert!(fits(both(), "a", 0, TWO_RUNS));
        assert!(fits(both(), "b", 0, TWO_RUNS));
        assert!(!fits(both(), "c", 0, TWO_RUNS));
        let mut returned = both();
        returned.push(Event::QuotaReturned {
            grant: "G-1".to_owned(),
            attempt: "a".to_owned(),
            reason: "failed".to_owned(),
        });
        assert!(fits(returned, "c", 0, TWO_RUNS));
    }

    #[test]
    fn a_delivery_counts_once_from_reservation_to_release() {
        let mut events = vec![reserved("a"), intended("a", 4)];
        assert!(fits(events.clone(), "b", 0, TWO_RUNS));
        events.push(released("a", 4));
        assert!(fits(events.clone(), "b", 0, TWO_RUNS));
        events.push(reserved("b"));
        assert!(!fits(events, "c", 0, TWO_RUNS));
    }

    #[test]
    fn rows_of_open_intents_are_set_aside() {
        let open = || vec![reserved("a"), intended("a", 6), reserved("b")];
        assert!(fits(open(), "b", 4, TEN_ROWS));
        assert!(!fits(open(), "b", 5, TEN_ROWS));
        assert!(fits(open(), "a", 10, TEN_ROWS));
        let mut settled = open();
        settled.push(Event::Abandoned {
            run: "r".to_owned(),
            delivery: "delivery of a".to_owned(),
            attempt: "a".to_owned(),
            grant: "G-1".to_owned(),
            reason: "killed".to_owned(),
        });
        assert!(fits(settled, "b", 10, TEN_ROWS));
    }
}
