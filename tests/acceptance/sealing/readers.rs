//! Readers that know nothing of this program.

use serde_json::json;

use super::*;

/// pyarrow reads every value of a sealed delivery of several row groups and pages.
#[test]
fn pyarrow_reads_every_value_of_a_sealed_delivery() {
    let Some(python) = std::env::var_os("LOCKGATE_ORACLES") else {
        println!("skipped: LOCKGATE_ORACLES is not set");
        return;
    };
    let rows = crate::exchange_site::number("LOCKGATE_SEALED_ROWS", 140_000);
    let policy = "[sealing]\ncolumn_keys_from_level = 3";
    let pair = Pair::new(usize::try_from(rows).unwrap(), "", policy);
    let request = json!({
        "sealed": pair.sealed.folder(),
        "attempt": pair.sealed.manifest()["attempt"],
        "identity": pair.site.private_key("recipient"),
        "sealed_files": pair.sealed.files(),
        "plain_files": pair.plain.files(),
        "keyed": ["person_id", "name", "income", "birth"],
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/acceptance/sealing/opened.py");
    let done = lockgate_acceptance::site::finish(
        std::process::Command::new(python)
            .arg("-B")
            .arg(script)
            .arg(request.to_string()),
    );
    assert_eq!(done.code, 0, "{done:?}");
    let values = rows * u64::try_from(FIELDS.len()).unwrap();
    assert_eq!(done.stdout.trim(), format!("agreed on {values} values"));
}
