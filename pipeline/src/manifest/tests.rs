//! The manifest's one byte form, and everything that is refused.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ledger::{Checkpoint, tree};

pub(crate) const ATTEMPT: &str = "00112233445566aa";

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Proof of the release's intent, in a ledger of one entry.
fn proof(run: &str) -> InclusionProof {
    let entry = format!(
        "{{\"at\":\"2026-03-01T00:00:00Z\",\"attempt\":\"{ATTEMPT}\",\"config\":{{}},\"delivery\":\"0123456789abcdef0123456789abcdef\",\"destination\":\"file:///outbox\",\"event\":\"release-intended\",\"grant\":\"G-2026-0117\",\"grant_version\":1,\"join_groups\":[],\"plan_sha256\":\"{}\",\"rows\":7,\"run\":\"{run}\",\"salt\":\"{}\"}}",
        "22".repeat(32),
        "07".repeat(16)
    );
    let checkpoint = Checkpoint {
        origin: "lockgate.local/0011223344556677".to_owned(),
        size: 1,
        root: tree::leaf_hash(entry.as_bytes()),
    };
    InclusionProof {
        checkpoint: checkpoint.sign(&key(2)),
        entry,
        hashes: Vec::new(),
        index: 0,
        size: 1,
    }
}

/// A small, valid manifest of fixed content.
pub(crate) fn manifest() -> Manifest {
    let run = "0123456789abcdef".repeat(4);
    Manifest {
        format: 1,
        delivery: "0123456789abcdef".repeat(2),
        run: run.clone(),
        attempt: ATTEMPT.to_owned(),
        cell_attempt: None,
        grant: GrantReference {
            id: "G-2026-0117".to_owned(),
            version: 1,
            sha256: "11".repeat(32),
        },
        plan_sha256: "22".repeat(32),
        dataset: "residents".to_owned(),
        provider: "public-security".to_owned(),
        recipient: "civil-affairs".to_owned(),
        created: "2026-03-01T00:00:01Z".to_owned(),
        software: "lockgate 0.1.0".to_owned(),
        source: SourceStatement {
            snapshot: json!([{"path": "residents/a.parquet", "size": 4711}]),
            consistency: "files unchanged while read".to_owned(),
        },
        window: None,
        fields: vec![FieldStatement {
            name: "姓名".to_owned(),
            data_type: "utf8".to_owned(),
            source_type: "utf8".to_owned(),
            category: "person-name".to_owned(),
            level: json!(3),
            treatment: json!({"kind": "keep-ends", "first": 1, "last": 0, "fill": "*"}),
            strength: 1,
            key_versions: BTreeMap::new(),
        }],
        withheld: vec![WithheldStatement {
            name: "mobile".to_owned(),
            reason: "no rule of the policy matches".to_owned(),
        }],
        files: vec![FileStatement {
            path: format!("{ATTEMPT}/part-00000.parquet"),
            bytes: 1234,
            rows: 7,
            sha256: "33".repeat(32),
        }],
        form: None,
        rows: Rows {
            read: 10,
            filtered: 2,
            pruned: None,
            rejected: 1,
            delivered: 7,
        },
        treatment_counts: BTreeMap::from([(
            "姓名".to_owned(),
            Counts {
                rows: 8,
                short: 1,
                ..Counts::default()
            },
        )]),
        mark: None,
        seal: SealStatement::none(),
        ledger: proof(&run),
        previous: None,
    }
}

#[test]
fn a_signed_manifest_opens_with_its_key_only() {
    let bytes = manifest().sign(&key(1)).unwrap();
    assert_eq!(
        Manifest::open(&bytes, &[key(1).verifying_key()]).unwrap(),
        manifest()
    );
    assert!(Manifest::open(&bytes, &[key(2).verifying_key()]).is_err());
    assert!(Manifest::open(&bytes, &[]).is_err());
}

/// What [`manifest`] is as a payload. A change here breaks every delivery already made.
const GOLDEN: &str = r#"{"attempt":"00112233445566aa","created":"2026-03-01T00:00:01Z","dataset":"residents","delivery":"0123456789abcdef0123456789abcdef","fields":[{"category":"person-name","level":3,"name":"姓名","source_type":"utf8","strength":1,"treatment":{"fill":"*","first":1,"kind":"keep-ends","last":0},"type":"utf8"}],"files":[{"bytes":1234,"path":"00112233445566aa/part-00000.parquet","rows":7,"sha256":"3333333333333333333333333333333333333333333333333333333333333333"}],"format":1,"grant":{"id":"G-2026-0117","sha256":"1111111111111111111111111111111111111111111111111111111111111111","version":1},"ledger":{"checkpoint":"lockgate.local/0011223344556677\n1\nuwMofQrj5ZjPhzy9E9kC/BpfltAGqnEEk46rhDQTusU=\n\n— lockgate.local/0011223344556677 +1Pm7LX5qfU1ugssNOz3+vfTLOAjTnNdm+vExmEkZFEBUb0teKsqGs8+hZ0PaWMH4h7o3jKVQNBloNqbdHgk43dxzgQ=\n","entry":"{\"at\":\"2026-03-01T00:00:00Z\",\"attempt\":\"00112233445566aa\",\"config\":{},\"delivery\":\"0123456789abcdef0123456789abcdef\",\"destination\":\"file:///outbox\",\"event\":\"release-intended\",\"grant\":\"G-2026-0117\",\"grant_version\":1,\"join_groups\":[],\"plan_sha256\":\"2222222222222222222222222222222222222222222222222222222222222222\",\"rows\":7,\"run\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"salt\":\"07070707070707070707070707070707\"}","hashes":[],"index":0,"size":1},"mark":null,"plan_sha256":"2222222222222222222222222222222222222222222222222222222222222222","previous":null,"provider":"public-security","recipient":"civil-affairs","rows":{"delivered":7,"filtered":2,"pruned":null,"read":10,"rejected":1},"run":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","seal":{"kind":"none"},"software":"lockgate 0.1.0","source":{"consistency":"files unchanged while read","snapshot":[{"path":"residents/a.parquet","size":4711}]},"treatment_counts":{"姓名":{"empty":0,"invalid":0,"nulls":0,"rows":8,"sentinels":0,"short":1}},"window":null,"withheld":[{"name":"mobile","reason":"no rule of the policy matches"}]}"#;

#[test]
fn the_bytes_of_a_manifest_do_not_change_between_versions() {
    let payload = canonical_json::to_bytes(&manifest()).unwrap();
    assert_eq!(String::from_utf8(payload).unwrap(), GOLDEN);
    let bytes = manifest().sign(&key(1)).unwrap();
    // Signed by OpenSSL.
    assert_eq!(
        sha256_hex(&bytes),
        "06679ecfadaccb5ee40929542ab8237a8795c211109b624213923c59fbc976ba"
    );
}

#[test]
fn the_attempt_that_cells_carry_is_32_digits_or_left_out() {
    let with = |cell_attempt: &str| Manifest {
        cell_attempt: Some(cell_attempt.to_owned()),
        ..manifest()
    };
    let bytes = with(&"0a".repeat(16)).sign(&key(1)).unwrap();
    let opened = Manifest::open(&bytes, &[key(1).verifying_key()]).unwrap();
    assert_eq!(opened.cell_attempt, Some("0a".repeat(16)));
    for wrong in ["", ATTEMPT, &"0A".repeat(16), &"0a".repeat(17)] {
        assert!(with(wrong).sign(&key(1)).is_err(), "{wrong}");
    }
}

/// What a manifest says of marks, made up.
fn marked() -> Manifest {
    let field = crate::marks::statement::MarkedField {
        freedom: "synonyms".to_owned(),
        values: 7,
        changed: 3,
        mean: None,
        variance: None,
        variance_change: None,
        max: None,
    };
    Manifest {
        mark: Some(MarkStatement {
            key_commitment: "44".repeat(32),
            scheme_commitment: "55".repeat(32),
            fields: BTreeMap::from([("姓名".to_owned(), field)]),
        }),
        ..manifest()
    }
}

#[test]
fn a_marked_manifest_opens_and_says_what_moved() {
    let bytes = marked().sign(&key(1)).unwrap();
    let opened = Manifest::open(&bytes, &[key(1).verifying_key()]).unwrap();
    assert_eq!(opened, marked());
    assert_eq!(
        opened.mark.unwrap().note(),
        "marked, so that a leak names its leaker: `姓名` (synonyms; 3 of 7 values changed)"
    );
}

#[test]
fn what_contradicts_itself_about_marks_is_refused() {
    type Change = fn(&mut MarkStatement);
    let changes: [Change; 5] = [
        |mark| mark.key_commitment = "44".repeat(31),
        |mark| mark.scheme_commitment = "GG".repeat(32),
        |mark| mark.fields.clear(),
        |mark| {
            let field = mark.fields.remove("姓名").unwrap();
            mark.fields.insert("mobile".to_owned(), field);
        },
        |mark| mark.fields.get_mut("姓名").unwrap().changed = 8,
    ];
    for change in changes {
        let mut altered = marked();
        change(altered.mark.as_mut().unwrap());
        assert!(matches!(
            altered.sign(&key(1)),
            Err(ManifestError::Invalid(_))
        ));
    }
}

fn sealed(kind: &str) -> Manifest {
    let mut manifest = manifest();
    let prefix = format!("lockgate/{}/{ATTEMPT}/{{file}}", manifest.delivery);
    manifest.seal = SealStatement {
        kind: kind.to_owned(),
        suite: Some("AES256GCM-SHA256".to_owned()),
        release: Some("offline".to_owned()),
        keys: Some(KeyFileStatement {
            path: format!("{ATTEMPT}/keys.json"),
            bytes: 400,
            sha256: "44".repeat(32),
        }),
        aad_prefix: (kind == "parquet").then_some(prefix),
    };
    if kind == "envelope" {
        for file in &mut manifest.files {
            file.path.push_str(ENVELOPE_EXTENSION);
        }
    }
    manifest
}

#[test]
fn a_sealed_manifest_opens_and_names_its_keys() {
    for kind in ["parquet", "envelope"] {
        let sealed = sealed(kind);
        let bytes = sealed.sign(&key(1)).unwrap();
        let opened = Manifest::open(&bytes, &[key(1).verifying_key()]).unwrap();
        assert_eq!(opened, sealed);
        assert!(opened.seal.is_sealed());
        assert_eq!(opened.seal.is_envelope(), kind == "envelope");
    }
}

#[test]
fn what_contradicts_itself_about_the_seal_is_refused() {
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Manifest));
    let changes: [Change<'_>; 11] = [
        ("another kind", &|m| m.seal.kind = "zip".to_owned()),
        ("none with a suite", &|m| m.seal.kind = "none".to_owned()),
        ("an envelope with a prefix", &|m| {
            m.seal.kind = "envelope".to_owned();
        }),
        ("no suite", &|m| m.seal.suite = None),
        ("another suite", &|m| m.seal.suite = Some("AES".to_owned())),
        ("no release", &|m| m.seal.release = None),
        ("another release", &|m| {
            m.seal.release = Some("later".to_owned());
        }),
        ("no keys", &|m| m.seal.keys = None),
        ("keys elsewhere", &|m| {
            m.seal.keys.as_mut().unwrap().path = "ffffffffffffffff/keys.json".to_owned();
        }),
        ("no hash of the keys", &|m| {
            m.seal.keys.as_mut().unwrap().sha256 = "x".to_owned();
        }),
        ("another prefix", &|m| {
            m.seal.aad_prefix = Some("lockgate/{file}".to_owned());
        }),
    ];
    for (what, change) in changes {
        let mut altered = sealed("parquet");
        change(&mut altered);
        assert!(
            matches!(altered.sign(&key(1)), Err(ManifestError::Invalid(_))),
            "{what}"
        );
    }
    let mut plain_name = sealed("envelope");
    plain_name.files[0].path = format!("{ATTEMPT}/part-00000.csv");
    assert!(plain_name.sign(&key(1)).is_err());
}

#[test]
fn the_attempt_is_told_whoever_signed_and_whatever_the_format() {
    let bytes = manifest().sign(&key(9)).unwrap();
    assert_eq!(attempt_named(&bytes).as_deref(), Some(ATTEMPT));
    let later = dsse::sign(PAYLOAD_TYPE, br#"{"attempt":"a","format":7}"#, &key(9)).unwrap();
    assert_eq!(attempt_named(&later).as_deref(), Some("a"));
    assert_eq!(attempt_named(b"{}"), None);
}

#[test]
fn an_approval_is_not_a_manifest() {
    let payload = canonical_json::to_bytes(&manifest()).unwrap();
    let approval = dsse::sign("application/vnd.lockgate.approval+json", &payload, &key(1)).unwrap();
    assert!(Manifest::open(&approval, &[key(1).verifying_key()]).is_err());
}

#[test]
fn every_flipped_bit_and_every_truncation_is_found() {
    let bytes = manifest().sign(&key(1)).unwrap();
    let keys = [key(1).verifying_key()];
    for position in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[position] ^= 1 << (position % 8);
        assert!(Manifest::open(&altered, &keys).is_err(), "byte {position}");
        assert!(Manifest::open(&bytes[..position], &keys).is_err());
    }
}

#[test]
fn a_signed_payload_of_another_form_is_refused() {
    let payload = String::from_utf8(canonical_json::to_bytes(&manifest()).unwrap()).unwrap();
    for altered in [
        payload.replacen(':', ": ", 1),
        payload.replacen("\"attempt\"", "\"an\":1,\"attempt\"", 1),
        payload.replacen("\"window\":null", "\"zz\":null", 1),
        payload.replacen(",\"window\":null", "", 1),
        payload.replacen("\"pruned\":null,", "", 1),
        payload.replacen("\"strength\":1", "\"strength\":1.0", 1),
        payload.replacen("\"rows\":7,", "\"rows\":7,\"rows\":7,", 1),
    ] {
        assert_ne!(altered, payload);
        let bytes = dsse::sign(PAYLOAD_TYPE, altered.as_bytes(), &key(1)).unwrap();
        assert!(
            Manifest::open(&bytes, &[key(1).verifying_key()]).is_err(),
            "{altered}"
        );
    }
}

#[test]
fn contradictions_are_neither_signed_nor_opened() {
    type Change = fn(&mut Manifest);
    let changes: [(&str, Change); 22] = [
        ("format", |m| m.format = 2),
        ("rows", |m| m.rows.read = 11),
        ("overflow", |m| m.rows.rejected = u64::MAX),
        ("file rows", |m| m.files[0].rows = 6),
        ("file rows overflow", |m| {
            m.files.push(FileStatement {
                path: format!("{ATTEMPT}/x"),
                bytes: 0,
                rows: u64::MAX,
                sha256: "00".repeat(32),
            });
        }),
        ("absolute", |m| m.files[0].path = "/etc/passwd".to_owned()),
        ("parent", |m| m.files[0].path = format!("{ATTEMPT}/..")),
        ("deeper", |m| {
            m.files[0].path = format!("{ATTEMPT}/a/../../b");
        }),
        ("other attempt", |m| {
            m.files[0].path = "ffffffffffffffff/part".to_owned();
        }),
        ("backslash", |m| m.files[0].path = format!("{ATTEMPT}/a\\b")),
        ("drive", |m| m.files[0].path = format!("{ATTEMPT}/c:")),
        ("empty", |m| m.files[0].path = format!("{ATTEMPT}/")),
        ("twice", |m| {
            let file = FileStatement {
                rows: 0,
                ..m.files[0].clone()
            };
            m.files.push(file);
        }),
        ("hash", |m| m.files[0].sha256 = "33".repeat(31)),
        ("upper case", |m| m.plan_sha256 = "AA".repeat(32)),
        ("delivery", |m| m.delivery = "f".repeat(32)),
        ("attempt", |m| m.attempt = String::new()),
        ("created", |m| m.created = "2026-03-01 00:00:00".to_owned()),
        ("field twice", |m| m.withheld[0].name = "姓名".to_owned()),
        ("control", |m| m.fields[0].name = "a\u{0}".to_owned()),
        ("no field", |m| m.fields.clear()),
        ("counts", |m| {
            m.treatment_counts = BTreeMap::from([("x".to_owned(), Counts::default())]);
        }),
    ];
    for (name, change) in changes {
        let mut altered = manifest();
        change(&mut altered);
        assert!(
            matches!(altered.sign(&key(1)), Err(ManifestError::Invalid(_))),
            "{name}"
        );
        let payload = canonical_json::to_bytes(&altered).unwrap();
        let bytes = dsse::sign(PAYLOAD_TYPE, &payload, &key(1)).unwrap();
        assert!(
            Manifest::open(&bytes, &[key(1).verifying_key()]).is_err(),
            "{name}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Manifest::open(&bytes, &[key(1).verifying_key()]).is_err());
        let signed = dsse::sign(PAYLOAD_TYPE, &bytes, &key(1)).unwrap();
        prop_assert!(Manifest::open(&signed, &[key(1).verifying_key()]).is_err());
    }
}
