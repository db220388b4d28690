use super::*;

pub(super) fn field(
    name: &str,
    data_type: &str,
    carrier: CarrierSpec,
    found_by: FoundBy,
) -> FieldScheme {
    let field = FieldScheme {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        carrier,
        density: Density::ALL,
        found_by,
        keeps_block: false,
    };
    let is_in_block = found_by == FoundBy::Value;
    let built = field
        .carrier
        .build(&field.arrow_type().unwrap(), is_in_block);
    let built = built.unwrap().unwrap();
    FieldScheme {
        carrier: field.carrier.clone().with_step_of(built.as_ref()),
        ..field
    }
}

pub(super) fn number(tolerance: &str) -> CarrierSpec {
    CarrierSpec::Number {
        tolerance: tolerance.parse().unwrap(),
        decimals: None,
        step: 0,
        span: 1,
        least: None,
        greatest: None,
        sentinels: Vec::new(),
    }
}

pub(super) fn scheme() -> Scheme {
    let classes = vec![vec!["北京".to_owned(), "北京市".to_owned()]];
    let time = CarrierSpec::Time {
        grain: 1_000_000_000,
        tolerance: 30_000_000_000,
        step: 0,
        span: 1,
        least: None,
        greatest: None,
        sentinels: Vec::new(),
    };
    Scheme {
        format: FORMAT,
        dataset: "residents".to_owned(),
        epoch: 1,
        key_version: 1,
        suite: PrfSuite::Aes,
        anchors: vec![
            Anchor {
                family: AnchorFamily::Key,
                fields: vec!["id".to_owned()],
                blocks: Vec::new(),
            },
            Anchor {
                family: AnchorFamily::Content,
                fields: vec!["name".to_owned(), "region".to_owned()],
                blocks: Vec::new(),
            },
        ],
        fields: vec![
            field("income", "decimal(12,2)", number("5.00"), FoundBy::Row(1)),
            field("area", "int64", number("3"), FoundBy::Value),
            field("updated", "timestamp(ms)", time, FoundBy::Row(0)),
            field(
                "city",
                "utf8",
                CarrierSpec::Synonyms { classes },
                FoundBy::Row(0),
            ),
        ],
    }
}

#[test]
fn a_scheme_reads_back_and_other_bytes_do_not() {
    let scheme = scheme();
    let bytes = scheme.to_bytes().unwrap();
    assert_eq!(Scheme::from_bytes(&bytes).unwrap(), scheme);
    assert_eq!(scheme.sha256().unwrap(), sha256_hex(&bytes));
    let text = String::from_utf8(bytes).unwrap();
    // What every scheme had before there was another is not said, so that theirs are what they were.
    for other in ["span", "suite", "blocks", "keeps_block"] {
        assert!(!text.contains(other), "{text}");
    }
    assert!(
        text.contains(r#""step":500"#) && text.contains(r#""tolerance":"5""#),
        "{text}"
    );
    for other in [
        text.replace("\"epoch\":1", "\"epoch\": 1"),
        text.replace("\"epoch\":1", "\"epoch\":1,\"extra\":1"),
        text.replace("\"format\":1", "\"format\":2"),
        text.replace("\"kind\":\"number\"", "\"kind\":\"numbers\""),
    ] {
        assert_ne!(other, text);
        assert!(Scheme::from_bytes(other.as_bytes()).is_err(), "{other}");
    }
}

#[test]
fn a_scheme_says_its_suite_and_its_spans() {
    let mut scheme = scheme();
    scheme.suite = PrfSuite::Sm4;
    scheme.fields[1].carrier = scheme.fields[1].carrier.clone().with_span(8);
    let bytes = scheme.to_bytes().unwrap();
    assert_eq!(Scheme::from_bytes(&bytes).unwrap(), scheme);
    let text = String::from_utf8(bytes).unwrap();
    assert!(
        text.contains(r#""suite":"SM4-CMAC""#) && text.contains(r#""span":8"#),
        "{text}"
    );
    assert!(Scheme::from_bytes(text.replace("SM4-CMAC", "SM4").as_bytes()).is_err());
}

#[test]
fn carriers_of_a_row_are_the_sum_of_the_densities() {
    let mut scheme = scheme();
    assert!((scheme.carriers_per_row() - 4.0).abs() < 1e-12);
    scheme.fields[1].density = Density { part: 1, whole: 4 };
    assert!((scheme.carriers_per_row() - 3.25).abs() < 1e-12);
    scheme.fields[0].density = Density::HALF;
    assert!((scheme.carriers_per_row() - 2.75).abs() < 1e-12);
}
