//! A site: one installation's directory of configuration and state.
//!
//! TOML, one entity a file. The structures here are the files as written; [`Site::load`] reads all
//! of them and reports every problem of every file, located, in one go.

pub mod dataset;
pub mod grant;
pub mod lockgate_toml;
pub mod policy;
pub mod recipient;

pub use dataset::{Dataset, Field, Sharing, Source};
pub use grant::Grant;
pub use lockgate_toml::SiteFile;
pub use policy::Policy;
pub use recipient::Recipient;
