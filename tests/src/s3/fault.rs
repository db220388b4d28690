//! Faults on order: which request, and what goes wrong with it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `GetObject`, whole or a range.
    Get,
    /// `HeadObject`.
    Head,
    /// `ListObjectsV2`.
    List,
    /// `PutObject` without `If-None-Match`.
    Put,
    /// `PutObject` with `If-None-Match`: a conditional create.
    Create,
    /// `DeleteObject` and `DeleteObjects`.
    Delete,
    /// `CreateMultipartUpload`.
    BeginUpload,
    /// `UploadPart`.
    UploadPart,
    /// `CompleteMultipartUpload`.
    CompleteUpload,
    /// `AbortMultipartUpload`.
    AbortUpload,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It isn't carried out, and answered with 503 and `SlowDown`.
    Refuse,
    /// It is carried out, but the connection closes after this many bytes of the answer, head
    /// included. With 0 the client can't know whether it was carried out.
    CutAnswer {
        /// Bytes of the answer that still arrive.
        after: u64,
    },
    /// It isn't carried out, and the connection closes without an answer.
    Drop,
}

/// Faults that are to happen, and counts of requests. Requests are counted as they arrive, those
/// with a fault included.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    planned: Vec<Planned>,
    counts: BTreeMap<Operation, u64>,
}

#[derive(Debug)]
struct Planned {
    operation: Operation,
    skip: u64,
    times: u64,
    what: PlannedWhat,
}

/// What is to happen to a request.
#[derive(Debug, Clone)]
pub(super) enum PlannedWhat {
    /// It goes wrong.
    Fault(Fault),
    /// It waits until the channel says so or closes, and is then carried out.
    Hold(watch::Receiver<()>),
}

impl PlannedWhat {
    fn is_over(&self) -> bool {
        matches!(self, Self::Hold(holding) if holding.has_changed().is_err())
    }
}

/// Requests that are held up, until this is dropped.
#[derive(Debug)]
pub struct Hold {
    held: watch::Sender<()>,
}

impl Hold {
    /// Whether a request has arrived and waits. One whose client goes away waits no longer.
    pub fn holds_one(&self) -> bool {
        // The plan keeps one receiver.
        self.held.receiver_count() > 1
    }
}

impl Faults {
    /// Lets `skip` more requests of that kind pass, then makes `times` of them fail so.
    pub fn inject(&self, operation: Operation, skip: u64, times: u64, fault: Fault) {
        self.lock().planned.push(Planned {
            operation,
            skip,
            times,
            what: PlannedWhat::Fault(fault),
        });
    }

    /// Lets `skip` more requests of that kind pass, then holds up all that follow, so that a test
    /// can do something in the middle of a run.
    pub fn hold(&self, operation: Operation, skip: u64) -> Hold {
        let (held, holding) = watch::channel(());
        self.lock().planned.push(Planned {
            operation,
            skip,
            times: u64::MAX,
            what: PlannedWhat::Hold(holding),
        });
        Hold { held }
    }

    /// Forgets the faults that have not happened.
    pub fn clear(&self) {
        self.lock().planned.clear();
    }

    /// Requests of that kind so far.
    pub fn count(&self, operation: Operation) -> u64 {
        self.lock().counts.get(&operation).copied().unwrap_or(0)
    }

    /// Counts a request and tells what is to happen to it.
    pub(super) fn arrive(&self, operation: Operation) -> Option<PlannedWhat> {
        let mut state = self.lock();
        let count = state.counts.entry(operation).or_insert(0);
        *count = count.saturating_add(1);
        for planned in state
            .planned
            .iter_mut()
            .filter(|planned| planned.operation == operation)
        {
            if planned.what.is_over() {
                continue;
            }
            if planned.skip > 0 {
                planned.skip -= 1;
            } else if planned.times > 0 {
                planned.times -= 1;
                return Some(planned.what.clone());
            }
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
