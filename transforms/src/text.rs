//! The driver of treatments of text: reads every physical form of text, asks the kernel for each
//! value, follows the options, and writes plain `Utf8` into fresh buffers.
//!
//! A dictionary is treated once per distinct value, then laid out by its keys.

mod bytes;
mod distinct;
mod kernel;
mod line;
mod mask;
mod output;
mod read;
mod rows;
mod texts_of;

pub(crate) use bytes::TextBuilder;
pub(crate) use kernel::{TextKernel, TreatTogether, Written};
pub(crate) use mask::MaskTreatment;
pub(crate) use output::Output;
pub(crate) use read::{TextGetter, has_white_space, is_blank, only, text_getter};
pub(crate) use rows::TextTreatment;
pub(crate) use texts_of::TextsOf;
