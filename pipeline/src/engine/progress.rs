//! Counters of a run under way, for a progress bar: rows, bytes, and how much there is in all.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far a run is. Written by lanes, read by whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    rows_read: AtomicU64,
    bytes_read: AtomicU64,
    rows_delivered: AtomicU64,
    bytes_total: AtomicU64,
    rows_total: AtomicU64,
}

impl Progress {
    /// Sets what there is in all; 0 rows where the source cannot say.
    pub fn expect(&self, rows: u64, bytes: u64) {
        self.rows_total.store(rows, Ordering::Relaxed);
        self.bytes_total.store(bytes, Ordering::Relaxed);
    }

    /// Adds rows read from the source.
    pub fn read_rows(&self, rows: u64) {
        self.rows_read.fetch_add(rows, Ordering::Relaxed);
    }

    /// Adds bytes of a finished split, as stored in the source.
    pub fn read_bytes(&self, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds rows written to a part.
    pub fn deliver_rows(&self, rows: u64) {
        self.rows_delivered.fetch_add(rows, Ordering::Relaxed);
    }

    /// Rows read so far, and in all (0 where unknown).
    pub fn rows(&self) -> (u64, u64) {
        (
            self.rows_read.load(Ordering::Relaxed),
            self.rows_total.load(Ordering::Relaxed),
        )
    }

    /// Bytes read so far, and in all.
    pub fn bytes(&self) -> (u64, u64) {
        (
            self.bytes_read.load(Ordering::Relaxed),
            self.bytes_total.load(Ordering::Relaxed),
        )
    }

    /// Rows delivered so far.
    pub fn delivered(&self) -> u64 {
        self.rows_delivered.load(Ordering::Relaxed)
    }
}
