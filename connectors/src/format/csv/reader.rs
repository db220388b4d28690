//! Bytes of a pinned file into records: fetched range by range, one range ahead, decoded piece by
//! piece. What is held at any time is two ranges, one piece of text and one record.

use bytes::Bytes;
use encoding_rs::{Decoder, DecoderResult};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use std::sync::Arc;

use super::Encoding;
use super::records::{Grammar, Record, Tokenizer};
use crate::error::ConnectorError;
use crate::snapshot::PinnedStore;

/// Bytes fetched at once: enough to hide a store's latency, little beside a row group.
const RANGE_BYTES: u64 = 4 * 1024 * 1024;
/// Text decoded at once.
const TEXT_BYTES: usize = 64 * 1024;
const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();

/// What a reader needs next.
pub(super) enum Step {
    /// A record is complete: [`Records::record`].
    Record,
    /// Bytes: [`Records::fetch`].
    Bytes,
    /// Nothing; the file is at its end.
    End,
}

/// How far the bytes of a file have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There may be more to fetch.
    Fetching,
    /// Everything is fetched, not all of it decoded.
    Fetched,
    /// Everything is decoded.
    Decoded,
}

/// The records of one file.
pub(super) struct Records {
    ranges: BoxStream<'static, Result<Bytes, ConnectorError>>,
    input: Bytes,
    stage: Stage,
    decoder: Decoder,
    text: Vec<u8>,
    /// The part of `text` that is decoded and not yet tokenized.
    from: usize,
    to: usize,
    at_start: bool,
    /// Whether undecodable bytes come right after that part.
    invalid: bool,
    tokenizer: Tokenizer,
}

impl Records {
    pub(super) fn open(
        store: Arc<PinnedStore>,
        location: Path,
        size: u64,
        place: String,
        encoding: Encoding,
        grammar: Grammar,
    ) -> Self {
        let starts = stream::iter((0..size).step_by(usize::try_from(RANGE_BYTES).unwrap_or(1)));
        let ranges = starts
            .map(move |start| {
                let end = start.saturating_add(RANGE_BYTES).min(size);
                let (store, location, place) =
                    (Arc::clone(&store), location.clone(), place.clone());
                async move {
                    store
                        .get_range(&location, start..end)
                        .await
                        .map_err(|error| ConnectorError::from_store(&error, place))
                }
            })
            .buffered(2);
        Self {
            ranges: ranges.boxed(),
            input: Bytes::new(),
            stage: Stage::Fetching,
            decoder: encoding.charset().new_decoder_without_bom_handling(),
            text: vec![0; TEXT_BYTES],
            from: 0,
            to: 0,
            at_start: true,
            invalid: false,
            tokenizer: Tokenizer::new(grammar),
        }
    }

    /// The record completed by the last step.
    pub(super) fn record(&self) -> &Record {
        &self.tokenizer.record
    }

    /// Goes on with what is in memory.
    pub(super) fn step(&mut self) -> Step {
        loop {
            let pending = self.text.get(self.from..self.to).unwrap_or_default();
            if !pending.is_empty() {
                let (taken, complete) = self.tokenizer.feed(pending);
                self.from = self.from.saturating_add(taken);
                if complete {
                    return Step::Record;
                }
            } else if std::mem::take(&mut self.invalid) {
                self.tokenizer.invalid_bytes();
            } else if self.stage == Stage::Decoded {
                return if self.tokenizer.finish() {
                    Step::Record
                } else {
                    Step::End
                };
            } else if self.input.is_empty() && self.stage == Stage::Fetching {
                return Step::Bytes;
            } else {
                self.decode();
            }
        }
    }

    /// Waits for the next bytes.
    pub(super) async fn fetch(&mut self) -> Result<(), ConnectorError> {
        match self.ranges.try_next().await? {
            Some(bytes) => self.input = bytes,
            None => self.stage = Stage::Fetched,
        }
        Ok(())
    }

    /// The next record, or none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<&Record>, ConnectorError> {
        loop {
            match self.step() {
                Step::Record => return Ok(Some(&self.tokenizer.record)),
                Step::Bytes => self.fetch().await?,
                Step::End => return Ok(None),
            }
        }
    }

    fn decode(&mut self) {
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
            &self.input,
            &mut self.text,
            self.stage != Stage::Fetching,
        );
        self.input = self.input.slice(read..);
        (self.from, self.to) = (0, written);
        match result {
            DecoderResult::Malformed(..) => self.invalid = true,
            DecoderResult::InputEmpty if self.stage == Stage::Fetched => {
                self.stage = Stage::Decoded;
            }
            DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
        }
        if self.at_start && written > 0 {
            self.at_start = false;
            if self.text.starts_with(BYTE_ORDER_MARK) && written >= BYTE_ORDER_MARK.len() {
                self.from = BYTE_ORDER_MARK.len();
            }
        }
    }
}
