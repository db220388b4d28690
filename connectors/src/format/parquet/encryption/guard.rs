//! A walk over the modules of an encrypted file, before any of them is decrypted.
//!
//! The decoder underneath subtracts the lengths of nonce and tag from the length that a module states,
//! and takes memory for as much as it states: a module of 5 bytes makes it panic, one of 4 GiB makes
//! it reserve so much. Here each column's bytes must be modules, one after the other, none shorter
//! than an empty one and none beyond the column's end.

use std::io::Read as _;

use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

/// Bytes of the length that a module begins with.
const LENGTH_BYTES: u64 = 4;

/// Bytes of a module's nonce and tag.
const OVERHEAD_BYTES: u64 = 12 + 16;

/// Checks that every column of a file is made of modules. An error says what is wrong.
pub(super) fn check_modules<R: ChunkReader>(
    input: &R,
    metadata: &ParquetMetaData,
) -> Result<(), &'static str> {
    let groups = metadata.row_groups().iter();
    for column in groups.flat_map(|group| group.columns()) {
        let first = column
            .dictionary_page_offset()
            .unwrap_or_else(|| column.data_page_offset());
        let start = u64::try_from(first).map_err(|_| "a column begins before the file")?;
        let length = u64::try_from(column.compressed_size())
            .map_err(|_| "a column is shorter than nothing")?;
        let end = start
            .checked_add(length)
            .filter(|end| *end <= input.len())
            .ok_or("a column ends beyond the file")?;
        check_column(input, start, end)?;
    }
    Ok(())
}

/// Checks that the bytes of a column, as they were read from a source, are made of modules. An error
/// says what is wrong.
pub(in crate::format::parquet) fn check_column_bytes(column: &Bytes) -> Result<(), &'static str> {
    check_column(column, 0, Length::len(column))
}

/// Checks what stands in plain text before an encrypted footer: the algorithm, the prefix that modules
/// are bound to, and the key's metadata, in the one form that is written here. The decoder would pass
/// over what it doesn't know, and over the length of the footer's own module, so that bytes could
/// change unnoticed. An error says what is wrong.
pub(super) fn check_footer(footer: &[u8], prefix: &[u8]) -> Result<(), &'static str> {
    let wrong = "what stands before its footer is not as it was written";
    let module = after_crypto_metadata(footer, prefix).ok_or(wrong)?;
    let (stated, module) = module.split_first_chunk::<4>().ok_or(wrong)?;
    match usize::try_from(u32::from_le_bytes(*stated)) {
        Ok(stated) if stated == module.len() => Ok(()),
        Ok(_) | Err(_) => Err("its footer has another length than it states"),
    }
}

/// What follows the metadata of encryption. In Thrift's compact protocol that is a structure with the
/// algorithm (AES_GCM_V1, with prefix, file id, and that the prefix needn't be supplied) and the key's
/// metadata.
fn after_crypto_metadata<'a>(bytes: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let rest = bytes.strip_prefix(&[0x1c, 0x1c, 0x18])?;
    let (length, rest) = varint(rest)?;
    let stored = rest.get(..length)?;
    let rest = rest.get(length..)?.strip_prefix(&[0x18, FILE_ID_BYTES])?;
    let rest = rest.get(usize::from(FILE_ID_BYTES)..)?;
    let rest = rest.strip_prefix(&[0x12, 0x00, 0x00, 0x18])?;
    let (length, rest) = varint(rest)?;
    let rest = rest.get(length..)?.strip_prefix(&[0x00])?;
    (stored == prefix).then_some(rest)
}

/// Bytes of the id that a file's writer draws.
const FILE_ID_BYTES: u8 = 8;

/// A number of up to 28 bits, in its shortest form.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let is_shortest = place == 0 || *byte != 0;
            return is_shortest.then_some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

fn check_column<R: ChunkReader>(input: &R, start: u64, end: u64) -> Result<(), &'static str> {
    let mut at = start;
    while at < end {
        let mut length = [0; 4];
        input
            .get_read(at)
            .map_err(|_| "it cannot be read")?
            .read_exact(&mut length)
            .map_err(|_| "it ends within a module")?;
        let length = u64::from(u32::from_le_bytes(length));
        if length < OVERHEAD_BYTES {
            return Err("a module is too short for nonce and tag");
        }
        at = at.saturating_add(LENGTH_BYTES).saturating_add(length);
    }
    match at == end {
        true => Ok(()),
        false => Err("a module ends beyond its column"),
    }
}
