use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray};
use lockgate_transforms::marks::anchor::Family;
use lockgate_transforms::marks::key::{GrantIndex, PrfSuite};

use super::*;
use crate::marks::scheme::tests::{field, number, scheme};
use crate::marks::scheme::{AnchorFamily, Density, FieldScheme};

fn key() -> MarkKey {
    MarkKey::derive(&[7; 32], "residents", 1, 1)
}

/// The scheme decides, whatever the key was used with before.
#[test]
fn a_marker_is_of_its_schemes_suite() {
    let aes = scheme();
    let sm4 = Scheme {
        suite: PrfSuite::Sm4,
        ..scheme()
    };
    let areas: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..300).map(|row| 90_000 + row * 17),
    ));
    let mark = |scheme: &Scheme, key: &MarkKey| {
        let marker = scheme.marker(key, &["area"]).unwrap();
        let marked = marker.embed(GrantIndex(77), &[Arc::clone(&areas)]).unwrap();
        Arc::clone(&marked.columns[0])
    };
    let (key, other) = (key(), key().of_suite(PrfSuite::Sm4));
    assert_eq!(&mark(&aes, &key), &mark(&aes, &other));
    assert_eq!(&mark(&sm4, &key), &mark(&sm4, &other));
    assert_ne!(&mark(&aes, &key), &mark(&sm4, &key));
}

#[test]
fn columns_may_stand_in_any_order_and_be_missing() {
    let scheme = scheme();
    let marked = |columns: &[&str]| -> Vec<(String, usize)> {
        let marker = scheme.marker(&key(), columns).unwrap();
        let fields = marker.plan().fields().iter();
        fields
            .map(|field| (field.name.clone(), field.column))
            .collect()
    };
    let all = [
        "city", "updated", "area", "income", "region", "name", "id", "other",
    ];
    assert_eq!(
        marked(&all),
        [("income", 3), ("area", 2), ("updated", 1), ("city", 0)]
            .map(|(name, column)| (name.to_owned(), column))
    );
    // Without the key, what is found by it is gone; the content anchor moves up.
    assert_eq!(
        marked(&["income", "name", "region", "city", "area"]),
        [("income".to_owned(), 0), ("area".to_owned(), 4)]
    );
    assert_eq!(
        marked(&["income", "name", "area"]),
        [("area".to_owned(), 2)]
    );
    assert_eq!(marked(&["income", "name"]), []);
    assert_eq!(marked(&[]), []);
}

/// The same, where the income's rows are found by the blocks of income and area.
fn by_blocks() -> Scheme {
    let mut scheme = scheme();
    scheme.anchors.push(Anchor {
        family: AnchorFamily::Content,
        fields: Vec::new(),
        blocks: vec!["income".to_owned(), "area".to_owned()],
    });
    let income = field("income", "decimal(12,2)", number("5.00"), FoundBy::Value);
    scheme.fields[0] = FieldScheme {
        found_by: FoundBy::Row(2),
        keeps_block: true,
        ..income
    };
    scheme
}

#[test]
fn rows_may_be_found_by_blocks() {
    let scheme = by_blocks();
    let bytes = scheme.to_bytes().unwrap();
    assert_eq!(Scheme::from_bytes(&bytes).unwrap(), scheme);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(r#""blocks":["income","area"]"#), "{text}");
    assert!(text.contains(r#""keeps_block":true"#), "{text}");
    let plan = scheme.plan_for(&["area", "income"]).unwrap();
    let anchor = RowAnchor {
        family: Family::Content,
        columns: Vec::new(),
        blocks: vec![0, 1],
    };
    assert_eq!(plan.anchors(), [anchor]);
    assert_eq!(plan.fields().len(), 2);
    assert_eq!(scheme.plan_for(&["area"]).unwrap().fields().len(), 1);
    assert_eq!(scheme.plan_for(&["income"]).unwrap().fields().len(), 0);
    // Found by an anchor that isn't there, the income marks nothing, so no row is found by it either.
    let mut chained = by_blocks();
    chained.fields[0].found_by = FoundBy::Row(1);
    chained.fields[2].found_by = FoundBy::Row(2);
    let plan = chained.plan_for(&["income", "area", "updated"]).unwrap();
    assert_eq!((plan.fields().len(), plan.anchors().len()), (1, 0));
    let all = ["income", "area", "updated", "name", "region"];
    let plan = chained.plan_for(&all).unwrap();
    assert_eq!((plan.fields().len(), plan.anchors().len()), (3, 2));
}

#[test]
fn blocks_of_what_has_none_are_refused() {
    let columns = ["id", "name", "region", "income", "area", "updated", "city"];
    let refused = |alter: &dyn Fn(&mut Scheme)| {
        let mut scheme = by_blocks();
        alter(&mut scheme);
        scheme.plan_for(&columns).unwrap_err()
    };
    for blocks in [["area", "updated"], ["area", "city"], ["area", "name"]] {
        let other = |scheme: &mut Scheme| {
            scheme.anchors[2].blocks = blocks.map(str::to_owned).to_vec();
        };
        assert!(
            matches!(refused(&other), SchemeError::Plan(_)),
            "{blocks:?}"
        );
    }
    // A step of a field that moves across borders.
    assert!(matches!(
        refused(&|scheme| scheme.fields[0].keeps_block = false),
        SchemeError::Foreign { .. }
    ));
}

#[test]
fn a_cell_shows_the_same_wherever_its_column_stands() {
    let scheme = scheme();
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..300).map(|row| format!("P{row}")),
    ));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..300).map(|row| format!("张{row}")),
    ));
    let regions: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..300).map(|row| format!("{}", 330_100 + row % 9)),
    ));
    let incomes = Decimal128Array::from_iter_values((0..300).map(|row| 1_000_000 + row * 7_919));
    let incomes: ArrayRef = Arc::new(incomes.with_precision_and_scale(12, 2).unwrap());
    let areas: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..300).map(|row| 90_000 + row * 17),
    ));
    let columns = |order: [&'static str; 5]| {
        order.map(|name| match name {
            "id" => Arc::clone(&ids),
            "name" => Arc::clone(&names),
            "region" => Arc::clone(&regions),
            "income" => Arc::clone(&incomes),
            _ => Arc::clone(&areas),
        })
    };
    let mark = |order: [&'static str; 5]| {
        let marker = scheme.marker(&key(), &order).unwrap();
        let marked = marker.embed(GrantIndex(77), &columns(order)).unwrap();
        let at = |name: &str| {
            let place = order.iter().position(|column| *column == name).unwrap();
            Arc::clone(&marked.columns[place])
        };
        (at("income"), at("area"))
    };
    let one = mark(["id", "name", "region", "income", "area"]);
    let other = mark(["area", "income", "region", "id", "name"]);
    assert_eq!(one, other);
    assert_ne!(&one.0, &incomes);
    assert_ne!(&one.1, &areas);
}

#[test]
fn a_scheme_that_contradicts_itself_is_refused() {
    let columns = ["id", "name", "region", "income", "area", "updated", "city"];
    let altered = |alter: &dyn Fn(&mut Scheme)| {
        let mut scheme = scheme();
        alter(&mut scheme);
        scheme.marker(&key(), &columns).map(|_| ())
    };
    assert!(altered(&|_| {}).is_ok());
    assert!(matches!(
        altered(&|scheme| scheme.fields[0].found_by = FoundBy::Row(2)),
        Err(SchemeError::Plan(_))
    ));
    assert!(matches!(
        altered(&|scheme| scheme.anchors[0].fields = vec!["income".to_owned()]),
        Err(SchemeError::Plan(_))
    ));
    assert!(matches!(
        altered(&|scheme| scheme.fields[0].data_type = "utf8".to_owned()),
        Err(SchemeError::Carrier { .. })
    ));
    assert!(matches!(
        altered(&|scheme| scheme.fields[0].data_type = "decimals".to_owned()),
        Err(SchemeError::Type { .. })
    ));
    assert!(matches!(
        altered(&|scheme| scheme.fields[0].carrier = number("0.001")),
        Err(SchemeError::TooSmall { .. })
    ));
    // A step that this version would not make of the tolerance.
    assert!(matches!(
        altered(&|scheme| scheme.fields[0].carrier = number("5.00")),
        Err(SchemeError::Foreign { .. })
    ));
    // No power of two, and one of a field that is found by its row.
    for (field, span) in [(1, 0), (1, 3), (0, 8)] {
        let spanned = |scheme: &mut Scheme| {
            let carrier = scheme.fields[field].carrier.clone();
            scheme.fields[field].carrier = carrier.with_span(span);
        };
        assert!(
            matches!(altered(&spanned), Err(SchemeError::Foreign { .. })),
            "{field} {span}"
        );
    }
    assert!(matches!(
        altered(&|scheme| scheme.fields[0].density = Density { part: 2, whole: 1 }),
        Err(SchemeError::Foreign { .. })
    ));
}
