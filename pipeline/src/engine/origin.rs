//! Where a row of a chunk came from: its file's row number, for errors that say where.
//!
//! Chunks are cut from filtered batches, so a chunk's row says nothing about the file's row. The
//! masks of the batches that make up the current chunk are kept (they are shared, not copied) and
//! searched only when something went wrong.

use std::collections::VecDeque;

use arrow::array::BooleanArray;

/// The batches that some rows were kept of.
#[derive(Debug, Default)]
pub(super) struct Origins {
    batches: VecDeque<Origin>,
    /// Kept rows of the first batch that belong to an earlier chunk.
    consumed: usize,
}

#[derive(Debug, Clone)]
struct Origin {
    first_row: u64,
    kept: usize,
    mask: BooleanArray,
}

impl Origins {
    /// Notes a batch that starts at `first_row` of its file and of which `mask` was kept.
    pub(super) fn push(&mut self, first_row: u64, mask: &BooleanArray) {
        let kept = mask.true_count();
        if kept > 0 {
            self.batches.push_back(Origin {
                first_row,
                kept,
                mask: mask.clone(),
            });
        }
    }

    /// Takes the next `rows` kept rows out: they are a chunk.
    pub(super) fn take(&mut self, rows: usize) -> Self {
        let mut taken = Self {
            batches: VecDeque::new(),
            consumed: self.consumed,
        };
        self.consumed += rows;
        let mut covered = 0;
        for batch in &self.batches {
            if covered >= self.consumed {
                break;
            }
            covered += batch.kept;
            taken.batches.push_back(batch.clone());
        }
        while let Some(first) = self.batches.front()
            && self.consumed >= first.kept
        {
            self.consumed -= first.kept;
            self.batches.pop_front();
        }
        taken
    }

    /// The file's row of the `row`-th kept row.
    pub(super) fn locate(&self, row: usize) -> Option<u64> {
        let mut remaining = row + self.consumed;
        for batch in &self.batches {
            if remaining < batch.kept {
                let position = batch.mask.values().set_indices().nth(remaining)?;
                return Some(
                    batch
                        .first_row
                        .saturating_add(u64::try_from(position).ok()?),
                );
            }
            remaining -= batch.kept;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_row_is_found_in_its_file() {
        let mut origins = Origins::default();
        origins.push(100, &BooleanArray::from(vec![false, true, true, false]));
        origins.push(104, &BooleanArray::from(vec![false, false]));
        origins.push(106, &BooleanArray::from(vec![true, false, true]));
        assert_eq!(origins.locate(0), Some(101));
        assert_eq!(origins.locate(1), Some(102));
        assert_eq!(origins.locate(2), Some(106));
        assert_eq!(origins.locate(3), Some(108));
        assert_eq!(origins.locate(4), None);
        let first = origins.take(1);
        assert_eq!(first.locate(0), Some(101));
        assert_eq!(origins.locate(0), Some(102));
        let second = origins.take(2);
        assert_eq!(second.locate(0), Some(102));
        assert_eq!(second.locate(1), Some(106));
        assert_eq!(origins.locate(0), Some(108));
        let third = origins.take(1);
        assert_eq!(third.locate(0), Some(108));
        assert_eq!(origins.locate(0), None);
        assert!(origins.batches.is_empty());
    }
}
