//! Marks: a recipient's fingerprint in the data, and the trace from a leaked copy back to a grant.
//!
//! Every delivery differs from every other in a few hundred or thousand cells, by less than the
//! tolerance the owner of the data declared: an amount by cents, a time by seconds, 北京 for 北京市.
//! Which of two equivalent values a cell has is a *symbol*, and the symbols of a copy name the
//! grant it was made for.
//!
//! # The way of a mark
//! 1. A row is found again by its [anchor]: its key, its content, or a cell's own value, as
//!    released. So a trace needs the leak and nothing else.
//! 2. Anchor and field give a cell its [position](code) in an open-ended Tardos code. Positions are
//!    common to all grants of the dataset; a grant's symbols are its own. Members of a coalition
//!    who compare their copies see the cells in which they differ, and no others.
//! 3. A [carrier] writes the symbol: the parity of a cell of numbers, by reflection; the place of a
//!    word among its synonyms; the choice between two draws of noise; the half of an interval that a
//!    value stands for. Where a pseudonym has room, its last characters are a [tag], which says
//!    more than any symbol.
//! 4. A trace reads the symbols back, one vote a position, and [scores](score) every grant by an
//!    e-value: the chance of accusing any innocent stays below what was asked for, whatever the
//!    leak's size, the coalition or the attack.
//!
//! Everything is a function of key, plan, grant and row: there is no state, and a row that is
//! delivered twice is the same row.
//!
//! # What it can't do
//! - Whoever draws the parity of *every* carrier anew, or marks every cell once more with the same
//!   steps, erases the marks; it takes a larger distortion of all cells than the marks' own. Marking half of
//!   them once more, as a field of half [density](code::Density) does, erases half. Whoever moves half of the
//!   cells, drawn at random, by exactly a step, which no secret hides, erases those found by their rows: each
//!   symbol is then as likely wrong as right. Tags are in no cell of numbers and stay.
//! - Fewer than about a hundred clean carriers, with fewer than a few clean tags, name nobody. A
//!   coalition of c, of whose cells a share a was altered, takes about 2·(c/(1-a))²·ln(N/ε) carriers:
//!   [`predict`] says how many.
//! - Coalitions of more than six fade as the square of their number.
//! - Fields whose values follow from others (an age from a birth date, a sum) must not carry.
//!
//! # Map
//! - [`key`]: the key of a dataset, its commitment, the index of a grant
//! - [`anchor`], [`code`]: from row and field to position, from position and grant to symbol
//! - [`carrier`]: symbols in numbers, times and words
//! - [`tag`]: the grant's own characters in pseudonyms
//! - [`embed`]: marks in a batch, and the symbols of a leaked one
//! - [`found`]: the text columns of a leaked copy as values of the fields
//! - [`distortion`]: what marks did to the values
//! - [`score`]: votes, e-values, verdicts, presence
//! - [`predict`]: what a trace will need, and what marks will do, before anything is delivered

pub mod anchor;
mod canonical;
pub mod carrier;
mod cmac;
pub mod code;
pub mod distortion;
pub mod embed;
pub mod found;
pub mod key;
pub mod predict;
pub mod score;
pub mod tag;
