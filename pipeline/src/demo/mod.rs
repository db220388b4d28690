//! A site to try Lockgate with: invented data, a catalogue and policy over it, and grants that show
//! unconditional, conditional, exempted and prohibited sharing.

pub mod generate;
