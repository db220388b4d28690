//! What the end-to-end tests share.
//!
//! [`s3::Server`] is a real server of the S3 protocol on a local port, so that what is tested is
//! what is shipped: signing, requests, retries and conditional creates, not a mock of a trait.
//! [`site::Site`] is a small site, made and used through the real command line.
//! [`attack`] is what people may do to a delivery, and what the trace still says.

pub mod attack;
pub mod s3;
pub mod site;
