//! What a lane holds ready before its turn comes: a channel that is bounded by the number of its
//! messages and by the bytes that they hold, since a chunk of wide rows is a hundred times one of
//! narrow rows.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::chunk::CHUNK_BYTES;

/// Most bytes that wait in a channel, unless a single message holds more.
const BYTES_MAX: u64 = CHUNK_BYTES;

/// A channel for so many messages.
pub(super) fn channel<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            waiting: VecDeque::new(),
            bytes: 0,
            senders: 1,
            has_receiver: true,
        }),
        most,
        changed: Condvar::new(),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// The other end of a channel is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// The end that messages go into.
pub(super) struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Hands a message on, and waits until there is room for it and its bytes.
    ///
    /// # Errors
    /// If nobody is left to take it.
    pub(super) fn send(&self, message: T, bytes: u64) -> Result<(), Gone> {
        let shared = &self.0;
        let waits = |state: &mut State<T>| state.has_receiver && !state.takes(bytes, shared.most);
        let mut state = shared
            .changed
            .wait_while(shared.lock(), waits)
            .unwrap_or_else(PoisonError::into_inner);
        if !state.has_receiver {
            return Err(Gone);
        }
        state.waiting.push_back((message, bytes));
        state.bytes = state.bytes.saturating_add(bytes);
        drop(state);
        shared.changed.notify_all();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().senders -= 1;
        self.0.changed.notify_all();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// The end that messages come out of, in the order in which they went in.
pub(super) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// Waits for the next message.
    ///
    /// # Errors
    /// If there is none, and nobody is left to send one.
    pub(super) fn recv(&self) -> Result<T, Gone> {
        let shared = &self.0;
        let waits = |state: &mut State<T>| state.waiting.is_empty() && state.senders > 0;
        let state = shared.changed.wait_while(shared.lock(), waits);
        self.taken(state.unwrap_or_else(PoisonError::into_inner))
    }

    /// The next message, if it is there already.
    ///
    /// # Errors
    /// If there is none now.
    pub(super) fn try_recv(&self) -> Result<T, Gone> {
        self.taken(self.0.lock())
    }

    fn taken(&self, mut state: MutexGuard<'_, State<T>>) -> Result<T, Gone> {
        let (message, bytes) = state.waiting.pop_front().ok_or(Gone)?;
        state.bytes = state.bytes.saturating_sub(bytes);
        drop(state);
        self.0.changed.notify_all();
        Ok(message)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.has_receiver = false;
        let left = std::mem::take(&mut state.waiting);
        drop(state);
        self.0.changed.notify_all();
        drop(left);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// What both ends share.
struct Shared<T> {
    state: Mutex<State<T>>,
    /// Most messages that wait.
    most: usize,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State<T> {
    /// Messages, each with its bytes.
    waiting: VecDeque<(T, u64)>,
    /// Bytes of all of them.
    bytes: u64,
    senders: usize,
    has_receiver: bool,
}

impl<T> State<T> {
    /// Whether there is room for a message of so many bytes: always if it would be the only one.
    fn takes(&self, bytes: u64, most: usize) -> bool {
        self.waiting.is_empty()
            || self.waiting.len() < most && self.bytes.saturating_add(bytes) <= BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Whether a message that is sent from a thread of its own waits until one is taken.
    fn waits(first: u64, second: u64, most: usize) -> bool {
        let (sender, receiver) = channel(most);
        let (told, sent) = mpsc::channel();
        let sending = thread::spawn(move || {
            sender.send(1, first).unwrap();
            told.send(()).unwrap();
            sender.send(2, second).unwrap();
            told.send(()).unwrap();
        });
        sent.recv().unwrap();
        let waited = sent.recv_timeout(Duration::from_millis(50)).is_err();
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.recv(), Ok(2));
        sending.join().unwrap();
        assert_eq!(receiver.recv(), Err(Gone));
        waited
    }

    #[test]
    fn what_waits_is_bounded_by_messages_and_by_bytes() {
        assert!(!waits(1, 1, 2));
        assert!(waits(1, 1, 1));
        assert!(!waits(BYTES_MAX - 1, 1, 2));
        assert!(waits(BYTES_MAX, 1, 2));
        assert!(waits(1, BYTES_MAX, 2));
        assert!(waits(u64::MAX, 1, 9), "a large one goes through alone");
    }

    #[test]
    fn whoever_waits_is_told_when_the_other_end_is_gone() {
        let (sender, receiver) = channel(1);
        let other = sender.clone();
        sender.send(1, 0).unwrap();
        let sending = thread::spawn(move || other.send(2, 0));
        drop(receiver);
        assert_eq!(sending.join().unwrap(), Err(Gone));
        assert_eq!(sender.send(3, 0), Err(Gone));
        let (sender, receiver) = channel::<u8>(1);
        let other = sender.clone();
        assert_eq!(receiver.try_recv(), Err(Gone));
        drop(sender);
        other.send(1, 0).unwrap();
        drop(other);
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.recv(), Err(Gone));
    }
}
