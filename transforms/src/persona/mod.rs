//! Persons and organisations that don't exist, drawn whole: one keyed draw decides everything about
//! one of them, and each treatment of a surrogate writes one facet of it.
//!
//! A name, a sex, a birth date, an age, a resident number, a division code and a telephone number
//! of one person agree because none of them is drawn for itself: all are read from the [`Draw`] of
//! the person's key field, wherever and whenever it is treated under the same derived key.
//!
//! | word of the draw | facet |
//! |---|---|
//! | 0 | surname |
//! | 1 | given name: 16 bits a character |
//! | 2 | sex: the highest bit; number of given characters: the lowest 16 |
//! | 3 | birth date, or the day of a kept birth year |
//! | 4 | division |
//! | 5 | sequence number of the resident number |
//! | 6, 7 | mobile number |
//!
//! The birth and the division are drawn together, or the code of the division could be younger than
//! the person: see [`person::origin`]. So every facet that shows either has to know what is kept of
//! both.
//!
//! Facets that others repeat (sex, birth date, age, division) are never drawn anew when they meet
//! the original by chance, or they would no longer agree; facets of their own (name, sequence
//! number, mobile number) are, once, under the same draw, with a choice that can't be the first.

pub(crate) mod address;
pub(crate) mod draw;
mod landline;
pub(crate) mod mobile;
mod names;
pub(crate) mod naming;
pub(crate) mod organisation;
pub(crate) mod person;
mod places;
pub(crate) mod plate;
pub(crate) mod resident_id;

pub(crate) use draw::{Draw, SurrogateKey};
pub(crate) use landline::Landline;
pub(crate) use naming::Naming;
pub(crate) use person::Sex;
pub(crate) use resident_id::ResidentId;
