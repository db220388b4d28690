//! Faults of this program: what is left of a panic.
//!
//! The message of a panic may quote a value of the data, so it is never shown or logged; where it
//! happened is enough to find the fault. Panics of a decoder over a damaged file are caught where
//! they arise and are errors of that file: for them nothing may be printed either.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinError;

use crate::error::RunError;

/// Where the latest panic of any thread happened.
static LATEST: Mutex<Option<String>> = Mutex::new(None);

thread_local! {
    /// Where the latest panic of this thread happened.
    static HERE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Replaces the panic hook by one that prints nothing and remembers where it happened. For the
/// program alone: a library has no business with the hook of whoever uses it.
pub fn hush() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(place);
        tracing::debug!(
            place = place.as_deref().unwrap_or_default(),
            "A panic is under way."
        );
        // A thread that is ending has no locals; the place is known to all then.
        drop(HERE.try_with(|here| here.replace(place.clone())));
        *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
}

/// Does the program's work; a panic on its way becomes an error that says where it happened.
///
/// # Errors
/// The work panicked.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, RunError> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let here = HERE.with(RefCell::take);
        RunError::Internal {
            what: describe("", here),
        }
    })
}

/// The end of a task that panicked while `doing` something.
#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
pub(crate) fn of_task(doing: &str, error: JoinError) -> RunError {
    if error.is_cancelled() {
        return RunError::Interrupted;
    }
    of_thread(doing)
}

/// The end of a thread that panicked while `doing` something.
pub(crate) fn of_thread(doing: &str) -> RunError {
    let latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    RunError::Internal {
        what: describe(doing, latest.clone()),
    }
}

fn describe(doing: &str, place: Option<String>) -> String {
    let doing = match doing {
        "" => String::new(),
        doing => format!(" while {doing}"),
    };
    let place = place.map_or_else(String::new, |place| format!(" at {place}"));
    format!("internal fault{place}{doing}; please report it")
}

/// File and line; of a dependency, without where its source lies on the machine of the build.
fn place(location: &Location<'_>) -> String {
    let file = location.file();
    let registry = file.rsplit_once("/registry/src/");
    let file = registry
        .and_then(|(_, rest)| rest.split_once('/'))
        .map_or(file, |(_, rest)| rest);
    format!("{file}:{}", location.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_holds_nothing_of_the_message() {
        let failed = contain(|| panic::panic_any("身份证 440106199001011234".to_owned()));
        let error = failed.err().map(|error| error.to_string());
        assert!(
            error.is_some_and(|error| error.starts_with("internal fault")
                && error.ends_with("; please report it")
                && !error.contains("4401"))
        );
    }
}
