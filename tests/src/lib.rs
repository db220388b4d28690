//! What the end-to-end tests share.
//!
//! [`s3::Server`] is a real server of the S3 protocol on a local port, so that what is tested is
//! what is shipped: signing, requests, retries and conditional creates, not a mock of a trait.

pub mod s3;
