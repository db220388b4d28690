//! No plaintext residue: canaries in every place that must not leak, and a search of every byte
//! that the program writes. The same search finds them where they belong, or it would prove
//! nothing.

mod core_dumps;
mod errors;
mod killed;
mod nonces;
mod residue;
mod scanner;
mod sealed_keys;
