//! Benches: what treatments cost (`benches/treatments.rs`), what the scan costs beside reading with
//! arrow-rs directly (`benches/scan.rs`), and the whole program beside its peers
//! (`side_by_side/run.py`). Quote ratios of one run, never seconds.

pub mod treatments;
