//! The text of a file of unknown encoding, decoded piece by piece.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use encoding_rs::{Decoder, DecoderResult};

use super::{Encoding, open_file};
use crate::error::ConnectorError;

/// How much of the file tells its encoding and form.
const SAMPLE_BYTES: usize = 1 << 20;
/// Bytes read at once.
const INPUT_BYTES: usize = 64 * 1024;
/// Text decoded at once: what so many bytes become at most.
const TEXT_BYTES: usize = 3 * INPUT_BYTES + 16;

/// A text file and its encoding.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    place: String,
    encoding: Encoding,
}

impl Source {
    /// Tells the encoding, and gives the beginning of the text.
    pub(super) fn open(
        path: &Path,
        place: &str,
        encoding: Option<Encoding>,
    ) -> Result<(Self, String), ConnectorError> {
        let mut sample = Vec::new();
        open_file(path, place)?
            .take(u64::try_from(SAMPLE_BYTES).unwrap_or(u64::MAX))
            .read_to_end(&mut sample)
            .map_err(|error| ConnectorError::from_io(&error, place))?;
        let encoding = encoding.unwrap_or_else(|| guess_encoding(&sample));
        let (text, _) = encoding.charset().decode_with_bom_removal(&sample);
        let source = Self {
            path: path.to_owned(),
            place: place.to_owned(),
            encoding,
        };
        Ok((source, text.into_owned()))
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Reads the text from its beginning.
    pub(super) fn read(&self) -> Result<Text, ConnectorError> {
        Ok(Text {
            file: open_file(&self.path, &self.place)?,
            place: self.place.clone(),
            decoder: self.encoding.charset().new_decoder_with_bom_removal(),
            input: vec![0; INPUT_BYTES],
            undecoded: (0, 0),
            text: vec![0; TEXT_BYTES],
            pending: (0, 0),
            invalid: false,
            stage: Stage::Reading,
        })
    }
}

/// By the byte order mark; else UTF-16 if every other byte is zero where digits and delimiters stand;
/// else UTF-8 if the bytes are, and GB 18030 if not. A copy may be damaged, so some bytes that are no
/// UTF-8 do not make it another encoding where more characters are.
fn guess_encoding(sample: &[u8]) -> Encoding {
    match sample {
        [0xef, 0xbb, 0xbf, ..] => return Encoding::Utf8,
        [0xff, 0xfe, ..] => return Encoding::Utf16Le,
        [0xfe, 0xff, ..] => return Encoding::Utf16Be,
        _ => {}
    }
    if let Some(utf16) = utf16_of_zeros(sample) {
        return utf16;
    }
    let (mut characters, mut invalid) = (0_usize, 0_usize);
    for chunk in sample.utf8_chunks() {
        let beyond_ascii = chunk
            .valid()
            .chars()
            .filter(|character| !character.is_ascii());
        characters = characters.saturating_add(beyond_ascii.count());
        invalid = invalid.saturating_add(usize::from(!chunk.invalid().is_empty()));
    }
    // The sample may end within a character.
    let is_utf8 = match std::str::from_utf8(sample) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    if is_utf8 || characters > invalid {
        Encoding::Utf8
    } else {
        Encoding::Gb18030
    }
}

/// UTF-16 without a byte order mark. Text of one byte a character has no zeros; in UTF-16, one byte of
/// every digit, delimiter and line end is zero, always the first or always the second. A damaged copy
/// may have zeros, too, but its line ends stand anywhere, and most of its bytes are ASCII.
fn utf16_of_zeros(sample: &[u8]) -> Option<Encoding> {
    // One character in so many is ASCII at least, and few others end in a zero byte.
    const ASCII: usize = 20;
    const OTHERS: usize = 8;
    let (pairs, _) = sample.as_chunks::<2>();
    let having = |is_so: fn(&[u8; 2]) -> bool| pairs.iter().filter(|pair| is_so(pair)).count();
    let (first, second) = (having(|pair| pair[0] == 0), having(|pair| pair[1] == 0));
    let narrow = having(|pair| pair.iter().all(u8::is_ascii_graphic));
    let ends = having(|pair| pair.contains(&b'\n'));
    // No script of a table has characters from U+0A00 to U+0AFF.
    let is_of = |high: usize, low: usize, wide_ends: usize, strange: usize| {
        high * ASCII >= pairs.len()
            && low * OTHERS <= high
            && 2 * high >= narrow
            && 2 * wide_ends > ends
            && strange == 0
    };
    let (little, big) = (
        having(|pair| pair == b"\n\0"),
        having(|pair| pair == b"\0\n"),
    );
    if is_of(second, first, little, having(|pair| pair[1] == b'\n')) {
        Some(Encoding::Utf16Le)
    } else if is_of(first, second, big, having(|pair| pair[0] == b'\n')) {
        Some(Encoding::Utf16Be)
    } else {
        None
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reading,
    /// Everything is read, not all of it decoded.
    Read,
    Decoded,
}

/// What comes next in a text.
pub(super) enum Piece<'a> {
    /// Text, not empty.
    Text(&'a [u8]),
    /// Bytes that are no characters.
    Invalid,
    End,
}

/// A text being read.
pub(super) struct Text {
    file: File,
    place: String,
    decoder: Decoder,
    input: Vec<u8>,
    /// The part of `input` that is not yet decoded.
    undecoded: (usize, usize),
    text: Vec<u8>,
    /// The part of `text` that is not yet consumed.
    pending: (usize, usize),
    /// Whether bytes that are no characters come right after that part.
    invalid: bool,
    stage: Stage,
}

impl Text {
    /// What comes next. Text comes again until it is consumed.
    pub(super) fn piece(&mut self) -> Result<Piece<'_>, ConnectorError> {
        while self.pending.0 == self.pending.1 {
            if std::mem::take(&mut self.invalid) {
                return Ok(Piece::Invalid);
            }
            if self.stage == Stage::Decoded {
                return Ok(Piece::End);
            }
            if self.stage == Stage::Reading && self.undecoded.0 == self.undecoded.1 {
                self.fill()?;
            }
            self.decode();
        }
        let (from, to) = self.pending;
        Ok(Piece::Text(self.text.get(from..to).unwrap_or_default()))
    }

    /// Takes text off the front of the piece.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.pending.0 = self.pending.0.saturating_add(bytes).min(self.pending.1);
    }

    fn fill(&mut self) -> Result<(), ConnectorError> {
        let read = loop {
            match self.file.read(&mut self.input) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => {
                    break other.map_err(|error| ConnectorError::from_io(&error, &self.place))?;
                }
            }
        };
        self.undecoded = (0, read);
        if read == 0 {
            self.stage = Stage::Read;
        }
        Ok(())
    }

    fn decode(&mut self) {
        let (from, to) = self.undecoded;
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
            self.input.get(from..to).unwrap_or_default(),
            &mut self.text,
            self.stage == Stage::Read,
        );
        self.undecoded.0 = from.saturating_add(read);
        self.pending = (0, written);
        match result {
            DecoderResult::Malformed(..) => self.invalid = true,
            DecoderResult::InputEmpty if self.stage == Stage::Read => self.stage = Stage::Decoded,
            DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_byte_does_not_turn_utf8_into_gb18030() {
        let mut text = "姓名,住址\n张三,杭州市西湖区\n李四,宁波市鄞州区\n"
            .repeat(20)
            .into_bytes();
        text.insert(18, 0xff);
        assert_eq!(guess_encoding(&text), Encoding::Utf8);
    }

    #[test]
    fn text_is_told_from_its_bytes() {
        let text = "姓名,住址\n张三,杭州市西湖区\n";
        let gb18030 = encoding_rs::GB18030.encode(text).0;
        assert_eq!(guess_encoding(text.as_bytes()), Encoding::Utf8);
        assert_eq!(guess_encoding(&gb18030), Encoding::Gb18030);
        // Cut within a character.
        assert_eq!(guess_encoding(&text.as_bytes()[..4]), Encoding::Utf8);
        assert_eq!(guess_encoding(b""), Encoding::Utf8);
        assert_eq!(guess_encoding(b"\xff\xfea\0"), Encoding::Utf16Le);
        assert_eq!(guess_encoding(b"\xfe\xff\0a"), Encoding::Utf16Be);
    }
}
