//! `.gdx`: a file in an envelope, for every format that has no encryption of its own.
//!
//! A canonical header says for whom it was sealed and holds the wrapped DEK; what follows is
//! [C2SP chunked encryption](https://c2sp.org/chunked-encryption) of the file under that DEK, with the
//! header's hash as its context:
//!
//! ```text
//! magic "lockgdx1" ‖ length of the header (4) ‖ LP(suite) ‖ LP(delivery) ‖ LP(attempt) ‖ LP(recipient)
//!   ‖ LP(file name) ‖ LP(wrapped DEK)
//! salt (24) ‖ commitment (32) ‖ chunk 0 ‖ chunk 1 ‖ …      each 16384 + 16 bytes, the last one shorter
//! ```
//!
//! Numbers are big-endian, LP is a 4-byte length and the bytes, the header's length counts all of it.
//! The length of the file isn't in the header, because whoever streams doesn't know it: the last chunk,
//! always shorter than the others, proves where the end is. So [`EnvelopeWriter`] needs one pass and
//! one chunk of memory, [`EnvelopeReader`] the same, and [`EnvelopeFile`] reads at any offset.
//!
//! Nothing is ever handed out before its chunk was verified. Files that were cut off, extended, put
//! together from others, or sealed for another delivery, recipient or name are refused.

mod chunks;
mod header;
mod read;
mod write;

pub use self::chunks::CHUNK_BYTES;
pub use self::header::{HEADER_BYTES_MAX, MAGIC};
pub use self::read::{EnvelopeFile, EnvelopeReader};
pub use self::write::EnvelopeWriter;

/// What the name of a file in an envelope ends with, after the file's own name.
pub const EXTENSION: &str = ".gdx";

#[cfg(test)]
mod tests;
