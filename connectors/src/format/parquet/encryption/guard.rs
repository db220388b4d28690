//! A walk over the modules of an encrypted file, before any of them is decrypted.
//!
//! The decoder underneath subtracts the lengths of nonce and tag from the length that a module states,
//! and takes memory for as much as it states: a module of 5 bytes makes it panic, one of 4 GiB makes
//! it reserve so much. Here each column's bytes must be modules, one after the other, none shorter
//! than an empty one and none beyond the column's end.

use std::io::Read as _;

use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

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
