//! The header of an envelope. It has one byte form, and is trusted only once the chunks' commitment,
//! which covers it, was checked.

use std::io::{self, Read};

use super::super::{Binding, SealError};

/// What every envelope begins with; the last byte is the version of the format.
pub const MAGIC: [u8; 8] = *b"lockgdx1";

/// Bytes of magic and length.
const PREFIX_BYTES: usize = 12;

/// Largest header that is written or read, in bytes.
pub const HEADER_BYTES_MAX: usize = 4096;

/// A header: its bytes, of which the hash binds every chunk, and the wrapped key it holds.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) bytes: Vec<u8>,
    pub(super) wrapped: Vec<u8>,
}

impl Header {
    pub(super) fn new(
        binding: &Binding,
        file_name: &str,
        wrapped: Vec<u8>,
    ) -> Result<Self, SealError> {
        let mut fields = Vec::new();
        for field in [
            binding.suite().as_str().as_bytes(),
            binding.delivery().as_bytes(),
            binding.attempt().as_bytes(),
            binding.recipient().as_bytes(),
            file_name.as_bytes(),
            &wrapped,
        ] {
            let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
            fields.extend_from_slice(&length.to_be_bytes());
            fields.extend_from_slice(field);
        }
        let length = PREFIX_BYTES.saturating_add(fields.len());
        if length > HEADER_BYTES_MAX {
            return Err(SealError::malformed(
                "the file's name is too long for the header of an envelope",
            ));
        }
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let bytes = [MAGIC.as_slice(), &length, &fields].concat();
        Ok(Self { bytes, wrapped })
    }

    /// Reads the header of an envelope that is to be of this delivery and name.
    ///
    /// An error of `inner` itself is handed on; one that carries a [`SealError`] is about the header.
    pub(super) fn read(
        inner: &mut impl Read,
        binding: &Binding,
        file_name: &str,
    ) -> io::Result<Self> {
        let mut prefix = [0; PREFIX_BYTES];
        read_exact(inner, &mut prefix)?;
        let (magic, length) = prefix.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(SealError::malformed("it is no envelope of a known version").into());
        }
        let length = length
            .try_into()
            .map_or(0, u32::from_be_bytes)
            .try_into()
            .unwrap_or(usize::MAX);
        if !(PREFIX_BYTES..=HEADER_BYTES_MAX).contains(&length) {
            return Err(SealError::malformed("its header is not of a possible length").into());
        }
        let mut fields = vec![0; length.saturating_sub(PREFIX_BYTES)];
        read_exact(inner, &mut fields)?;
        let wrapped = last_field(&fields)
            .ok_or_else(|| SealError::malformed("its header is not of its form"))?;
        let header = Self::new(binding, file_name, wrapped.to_vec())?;
        // One form: whatever the fields say must be what this very header is made of.
        let (_, expected) = header.bytes.split_at(PREFIX_BYTES);
        if expected != fields {
            return Err(SealError::malformed(
                "it was sealed for another delivery, attempt, recipient or file name, or with another suite",
            )
            .into());
        }
        Ok(header)
    }
}

/// The last of six fields, if there are six and nothing else.
fn last_field(mut fields: &[u8]) -> Option<&[u8]> {
    let mut last = None;
    for _ in 0..6 {
        let (length, rest) = fields.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        last = Some(field);
        fields = rest;
    }
    last.filter(|_| fields.is_empty())
}

/// Fills `out`, or says that the envelope ends too early.
pub(super) fn read_exact(inner: &mut impl Read, out: &mut [u8]) -> io::Result<()> {
    inner.read_exact(out).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            SealError::Truncated.into()
        } else {
            error
        }
    })
}
