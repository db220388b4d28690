//! Documents that are made from the code stand in the tree as the code makes them.

use std::path::Path;

/// `LOCKGATE_BLESS=1 cargo test -p lockgate-acceptance documents` writes the page anew.
#[test]
fn the_page_of_treatments_is_the_catalogues() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipeline/docs/treatments.md");
    let rendered = lockgate_transforms::treatments::render_markdown();
    if std::env::var_os("LOCKGATE_BLESS").is_some() {
        std::fs::write(&page, &rendered).unwrap();
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        written == rendered,
        "pipeline/docs/treatments.md is not what the catalogue says; run \
         LOCKGATE_BLESS=1 cargo test -p lockgate-acceptance documents"
    );
}
