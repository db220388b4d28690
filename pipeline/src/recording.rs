//! Recording what holds of the ledger that it is recorded in.
//!
//! Whether something may be done is concluded from the ledger's entries, and what is done takes its
//! time. A halt or a suspension that another process records meanwhile must not stand before an entry
//! that says it was done all the same: so the entry is appended only to the ledger that was looked at.

use chrono::{DateTime, Utc};

use crate::error::RunError;
use crate::ledger::{Event, History, Ledger};

/// An event that was recorded.
pub(crate) struct Recorded {
    /// Its position.
    pub(crate) index: u64,
    /// The entries before it.
    pub(crate) history: History,
}

/// Records the event that `concluded` draws from the ledger's entries, right behind the last of them.
/// Where others were recorded meanwhile, it is asked again.
///
/// # Errors
/// What `concluded` refuses with; a ledger that can't be read or written. Nothing is recorded then.
pub(crate) fn record_while(
    ledger: &Ledger,
    now: DateTime<Utc>,
    mut concluded: impl FnMut(&History) -> Result<Event, RunError>,
) -> Result<Recorded, RunError> {
    loop {
        let reader = ledger.snapshot()?;
        let history = reader.entries()?;
        let event = concluded(&history)?;
        if let Some(appended) = ledger.append_if(reader.size(), &event, now)? {
            return Ok(Recorded {
                index: appended.index,
                history,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    fn event(code: &str) -> Event {
        Event::Refused {
            grant: "G-1".to_owned(),
            codes: vec![code.to_owned()],
        }
    }

    fn ledger() -> (tempfile::TempDir, Ledger) {
        let directory = tempfile::tempdir().unwrap();
        let key = SigningKey::from_bytes(&[7; 32]);
        let ledger = Ledger::open(&directory.path().join("ledger"), key).unwrap();
        (directory, ledger)
    }

    #[test]
    fn what_others_record_meanwhile_is_looked_at_before_it_is_recorded() {
        let (_directory, ledger) = ledger();
        let mut seen = Vec::new();
        let recorded = record_while(&ledger, DateTime::UNIX_EPOCH, |history| {
            let size = history.iter().count();
            seen.push(size);
            if size == 0 {
                ledger.append(&event("other"), DateTime::UNIX_EPOCH)?;
            }
            Ok(event("own"))
        });
        let recorded = recorded.unwrap();
        assert_eq!((recorded.index, recorded.history.iter().count()), (1, 1));
        assert_eq!(seen, [0, 1]);
    }

    #[test]
    fn what_does_not_hold_any_more_is_not_recorded() {
        let (_directory, ledger) = ledger();
        let refused = record_while(&ledger, DateTime::UNIX_EPOCH, |history| {
            if history.iter().count() > 0 {
                return Err(RunError::Interrupted);
            }
            ledger.append(&event("halt"), DateTime::UNIX_EPOCH)?;
            Ok(event("own"))
        });
        assert!(matches!(refused, Err(RunError::Interrupted)));
        assert_eq!(ledger.entries().unwrap().iter().count(), 1);
    }
}
