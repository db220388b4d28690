//! Text into records: the grammar of RFC 4180 with a configurable delimiter, quote and escape.
//!
//! The csv crate cannot be used for this, because it does not tell a quoted text from an unquoted
//! one, and that is the difference between an empty text and null. Lines end with LF, CR or CR LF;
//! a quote inside an unquoted field is an ordinary character; a blank line is no record where
//! records have more than one field.

/// The most bytes a record may have; a missing quote must not make a record of the whole file.
pub(in crate::format) const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most fields a record may have; a file of delimiters must not fill memory with their places.
pub(in crate::format) const RECORD_FIELDS_MAX: usize = 65_536;

/// What is wrong with a record as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::format) enum Fault {
    /// Bytes that are no characters of the file's encoding.
    Encoding,
    /// Text between a closing quote and the next delimiter.
    AfterQuote,
    /// More than [`RECORD_BYTES_MAX`] bytes.
    TooLong,
    /// More than [`RECORD_FIELDS_MAX`] fields.
    TooWide,
    /// A quoted text that the file ends in.
    Unclosed,
}

impl Fault {
    pub(in crate::format) fn as_str(self) -> &'static str {
        match self {
            Self::Encoding => "it holds bytes that are not in the file's encoding",
            Self::AfterQuote => "a closing quote is followed by text",
            Self::TooLong => "it is longer than 16 MiB",
            Self::TooWide => "it has more than 65,536 columns",
            Self::Unclosed => "a quoted text is not closed",
        }
    }
}

/// The characters with a meaning, all of them ASCII.
#[derive(Debug, Clone, Copy)]
pub(in crate::format) struct Grammar {
    pub(in crate::format) delimiter: u8,
    pub(in crate::format) quote: Option<u8>,
    pub(in crate::format) escape: Option<u8>,
    /// Whether a blank line is skipped rather than a record of one empty field.
    pub(in crate::format) skip_blank: bool,
}

/// One record; reused for the next.
#[derive(Debug, Default)]
pub(in crate::format) struct Record {
    text: Vec<u8>,
    /// Where each field ends in `text`, and whether it was quoted.
    ends: Vec<(usize, bool)>,
    pub(in crate::format) fault: Option<Fault>,
    /// Whether a quoted text went over the end of a line.
    pub(in crate::format) spans_lines: bool,
    /// Whether it is uncertain where its fields, or the record itself, end.
    pub(in crate::format) torn: bool,
    bytes: usize,
}

impl Record {
    pub(in crate::format) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of all fields, one after the other; none if it is not UTF-8, which decoding rules
    /// out.
    pub(in crate::format) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.text).ok()
    }

    /// A field of `text`, which is [`Self::text`], and whether it was quoted.
    pub(in crate::format) fn field<'a>(
        &self,
        text: &'a str,
        index: usize,
    ) -> Option<(&'a str, bool)> {
        let &(end, quoted) = self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before)?.0,
            None => 0,
        };
        Some((text.get(start..end)?, quoted))
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.fault = None;
        self.spans_lines = false;
        self.torn = false;
        self.bytes = 0;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a record; after a CR, an LF still belongs to the line before.
    RecordStart {
        after_cr: bool,
    },
    FieldStart,
    Unquoted,
    Quoted,
    /// After an escape within quotes.
    Escaped,
    /// After a quote within quotes: the end, or half of a doubled one.
    QuoteInQuoted,
    /// After a closing quote.
    Closed,
}

/// Takes text in pieces of any size and gives records.
#[derive(Debug)]
pub(in crate::format) struct Tokenizer {
    grammar: Grammar,
    state: State,
    pub(in crate::format) record: Record,
    /// Whether `record` was handed out and is to be cleared.
    complete: bool,
    quoted: bool,
}

impl Tokenizer {
    pub(in crate::format) fn new(grammar: Grammar) -> Self {
        Self {
            grammar,
            state: State::RecordStart { after_cr: false },
            record: Record::default(),
            complete: false,
            quoted: false,
        }
    }

    /// Takes bytes until a record is complete. Says how many were taken and whether it is.
    pub(in crate::format) fn feed(&mut self, input: &[u8]) -> (usize, bool) {
        if std::mem::take(&mut self.complete) {
            self.record.clear();
        }
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            let run = match self.state {
                State::Unquoted => self.plain_run(rest),
                State::Quoted => self.quoted_run(rest),
                State::RecordStart { .. }
                | State::FieldStart
                | State::Escaped
                | State::QuoteInQuoted
                | State::Closed => 0,
            };
            if run > 0 {
                let (plain, special) = rest.split_at(run);
                self.push(plain);
                rest = special;
                continue;
            }
            rest = after;
            if self.step(byte) {
                self.complete = true;
                return (input.len().saturating_sub(rest.len()), true);
            }
        }
        (input.len(), false)
    }

    /// Marks the record being read as wrongly encoded, where the decoder met bytes it cannot read.
    pub(in crate::format) fn invalid_bytes(&mut self) {
        self.feed("\u{FFFD}".as_bytes());
        self.fault(Fault::Encoding);
    }

    /// The end of the file. Says whether a last record is complete.
    pub(in crate::format) fn finish(&mut self) -> bool {
        if std::mem::take(&mut self.complete) {
            self.record.clear();
        }
        match self.state {
            State::RecordStart { .. } => return false,
            State::Quoted | State::Escaped => self.fault(Fault::Unclosed),
            State::FieldStart | State::Unquoted | State::QuoteInQuoted | State::Closed => {}
        }
        self.end_field();
        self.state = State::RecordStart { after_cr: false };
        self.complete = true;
        true
    }

    /// Takes one byte. Says whether it completes a record.
    fn step(&mut self, byte: u8) -> bool {
        let Grammar {
            delimiter,
            quote,
            escape,
            skip_blank,
        } = self.grammar;
        match self.state {
            State::RecordStart { after_cr: true } if byte == b'\n' => {
                self.state = State::RecordStart { after_cr: false };
            }
            State::RecordStart { .. } if skip_blank && is_line_end(byte) => {
                self.state = State::RecordStart {
                    after_cr: byte == b'\r',
                };
            }
            State::RecordStart { .. } | State::FieldStart if quote == Some(byte) => {
                self.quoted = true;
                self.count(1);
                self.state = State::Quoted;
            }
            State::RecordStart { .. } | State::FieldStart | State::Unquoted => {
                return self.outside(byte);
            }
            State::Quoted if escape == Some(byte) && quote != escape => self.state = State::Escaped,
            State::Quoted if quote == Some(byte) => self.state = State::QuoteInQuoted,
            State::Quoted => {
                self.record.spans_lines |= is_line_end(byte);
                self.push(&[byte]);
            }
            State::Escaped => {
                self.record.spans_lines |= is_line_end(byte);
                self.push(&[byte]);
                self.state = State::Quoted;
            }
            State::QuoteInQuoted if quote == Some(byte) => {
                self.push(&[byte]);
                self.state = State::Quoted;
            }
            State::QuoteInQuoted | State::Closed => {
                self.state = State::Closed;
                if byte != delimiter && !is_line_end(byte) {
                    self.fault(Fault::AfterQuote);
                }
                return self.outside(byte);
            }
        }
        false
    }

    /// A byte outside of quotes.
    fn outside(&mut self, byte: u8) -> bool {
        if byte == self.grammar.delimiter {
            self.end_field();
            self.count(1);
            self.state = State::FieldStart;
            false
        } else if is_line_end(byte) {
            self.end_field();
            self.state = State::RecordStart {
                after_cr: byte == b'\r',
            };
            true
        } else {
            self.push(&[byte]);
            if self.state != State::Closed {
                self.state = State::Unquoted;
            }
            false
        }
    }

    /// How many bytes from here mean nothing outside of quotes.
    fn plain_run(&self, bytes: &[u8]) -> usize {
        let delimiter = self.grammar.delimiter;
        let special = |&byte: &u8| byte == delimiter || is_line_end(byte);
        bytes.iter().position(special).unwrap_or(bytes.len())
    }

    /// How many bytes from here mean nothing within quotes.
    fn quoted_run(&self, bytes: &[u8]) -> usize {
        let Grammar { quote, escape, .. } = self.grammar;
        let special = |&byte: &u8| quote == Some(byte) || escape == Some(byte) || is_line_end(byte);
        bytes.iter().position(special).unwrap_or(bytes.len())
    }

    /// Adds text to the field, unless the record has grown too long already.
    fn push(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        if self.record.bytes <= RECORD_BYTES_MAX {
            self.record.text.extend_from_slice(bytes);
        }
    }

    fn count(&mut self, bytes: usize) {
        self.record.bytes = self.record.bytes.saturating_add(bytes);
        if self.record.bytes > RECORD_BYTES_MAX {
            self.fault(Fault::TooLong);
        }
    }

    /// The first fault of a record is the one reported.
    fn fault(&mut self, fault: Fault) {
        self.record.torn |= fault != Fault::Encoding;
        self.record.fault.get_or_insert(fault);
    }

    fn end_field(&mut self) {
        let quoted = std::mem::take(&mut self.quoted);
        if self.record.ends.len() >= RECORD_FIELDS_MAX {
            self.fault(Fault::TooWide);
        } else if self.record.bytes <= RECORD_BYTES_MAX {
            self.record.ends.push((self.record.text.len(), quoted));
        }
    }
}

fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Grammar = Grammar {
        delimiter: b',',
        quote: Some(b'"'),
        escape: None,
        skip_blank: true,
    };

    type Fields = Vec<(String, bool)>;

    fn records_in_pieces(
        grammar: Grammar,
        text: &str,
        piece: usize,
    ) -> Vec<(Fields, Option<Fault>)> {
        let mut tokenizer = Tokenizer::new(grammar);
        let mut found = Vec::new();
        let take = |record: &Record| {
            let text = record.text().unwrap();
            let field = |index| {
                let (field, quoted) = record.field(text, index).unwrap();
                (field.to_owned(), quoted)
            };
            ((0..record.len()).map(field).collect(), record.fault)
        };
        for mut chunk in text.as_bytes().chunks(piece) {
            while !chunk.is_empty() {
                let (taken, complete) = tokenizer.feed(chunk);
                chunk = &chunk[taken..];
                if complete {
                    found.push(take(&tokenizer.record));
                }
            }
        }
        if tokenizer.finish() {
            found.push(take(&tokenizer.record));
        }
        found
    }

    fn fields(text: &str) -> Vec<Vec<String>> {
        records_in_pieces(PLAIN, text, 3)
            .into_iter()
            .map(|(fields, fault)| {
                assert_eq!(fault, None, "{text:?}");
                fields.into_iter().map(|(field, _)| field).collect()
            })
            .collect()
    }

    #[test]
    fn lines_end_in_three_ways() {
        assert_eq!(
            fields("a,b\nc,d\r\ne,f\rg,h"),
            [["a", "b"], ["c", "d"], ["e", "f"], ["g", "h"]]
        );
        assert_eq!(fields("a,b\n\n\r\nc,d\n"), [["a", "b"], ["c", "d"]]);
    }

    #[test]
    fn quotes_hold_delimiters_lines_and_quotes() {
        assert_eq!(fields("\"a,\n\"\"b\"\"\",\r\n"), [["a,\n\"b\"", ""]]);
        assert_eq!(fields("a\"b,c"), [["a\"b", "c"]]);
    }

    #[test]
    fn quoted_and_unquoted_empty_texts_differ() {
        let (record, _) = records_in_pieces(PLAIN, "\"\",\n", 1).remove(0);
        assert_eq!(record, [(String::new(), true), (String::new(), false)]);
    }

    #[test]
    fn a_blank_line_is_a_record_of_one_field_where_asked() {
        let grammar = Grammar {
            skip_blank: false,
            ..PLAIN
        };
        let found = records_in_pieces(grammar, "a\n\nb\r\n", 2);
        assert_eq!(
            found
                .iter()
                .map(|(fields, _)| fields[0].0.as_str())
                .collect::<Vec<_>>(),
            ["a", "", "b"]
        );
    }

    #[test]
    fn an_escape_takes_the_next_character_as_it_is() {
        let grammar = Grammar {
            escape: Some(b'\\'),
            ..PLAIN
        };
        let found = records_in_pieces(grammar, "\"a\\\"b\\\\\",c\n", 1);
        assert_eq!(found[0].0[0].0, "a\"b\\");
        assert_eq!(found[0].0.len(), 2);
    }

    #[test]
    fn broken_quoting_is_a_fault_of_its_record() {
        let found = records_in_pieces(PLAIN, "\"a\"x,b\nc,d\n\"e", 4);
        let faults: Vec<_> = found.iter().map(|(_, fault)| *fault).collect();
        assert_eq!(
            faults,
            [Some(Fault::AfterQuote), None, Some(Fault::Unclosed)]
        );
    }

    #[test]
    fn a_record_without_end_does_not_fill_memory() {
        let mut tokenizer = Tokenizer::new(PLAIN);
        let megabyte = vec![b'x'; 1 << 20];
        for _ in 0..40 {
            assert_eq!(tokenizer.feed(&megabyte), (1 << 20, false));
        }
        assert!(tokenizer.record.text.capacity() <= 2 * RECORD_BYTES_MAX);
        assert_eq!(tokenizer.feed(b"\na,b\n"), (1, true));
        assert_eq!(tokenizer.record.fault, Some(Fault::TooLong));
        assert_eq!(tokenizer.feed(b"a,b\n"), (4, true));
        assert_eq!(tokenizer.record.fault, None);
    }

    #[test]
    fn a_record_of_delimiters_does_not_fill_memory() {
        let mut tokenizer = Tokenizer::new(PLAIN);
        let delimiters = vec![b','; 1 << 20];
        assert_eq!(tokenizer.feed(&delimiters), (1 << 20, false));
        assert_eq!(tokenizer.record.len(), RECORD_FIELDS_MAX);
        assert_eq!(tokenizer.feed(b"\n"), (1, true));
        assert_eq!(tokenizer.record.fault, Some(Fault::TooWide));
        assert_eq!(tokenizer.feed(b"a,b\n"), (4, true));
        assert_eq!(tokenizer.record.fault, None);
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read_back(
            rows in prop::collection::vec(prop::collection::vec("[a,\"\n\r\\\\ é中]{0,6}", 3), 1..20),
            piece in 1_usize..40,
        ) {
            let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let found: Vec<Vec<String>> = records_in_pieces(PLAIN, &text, piece)
                .into_iter()
                .map(|(fields, fault)| {
                    assert_eq!(fault, None);
                    fields.into_iter().map(|(field, _)| field).collect()
                })
                .collect();
            prop_assert_eq!(found, rows);
        }

        #[test]
        fn any_text_is_read_the_same_in_any_pieces(text in "[ab,\"\n\r]{0,60}", piece in 1_usize..20) {
            prop_assert_eq!(
                records_in_pieces(PLAIN, &text, piece),
                records_in_pieces(PLAIN, &text, 1000)
            );
        }
    }
}
