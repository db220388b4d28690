//! What users of other tools complain about, tried from source to delivery. Each test names the
//! complaint; those about a single treatment stand beside the treatments.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use lockgate_acceptance::site::{Dataset, Delivery, Grant, Site, write_parquet};

use crate::cell::{Cell, array, texts};
use crate::people::{self, grant, person_id};

const PSEUDONYM: &str = "{ kind = 'hmac', domain = 'person.id', join = 'families' }";

/// The register of 20 people, and visits of some of them, whose field `key` refers to the register:
/// one line for each entry of `visitors`. Both treat references by the one rule of their category.
fn register_and_visits(rule: &str, key: &str, visitors: &[Option<usize>]) -> Site {
    let site = people::site(20);
    site.policy(&format!(
        "[[rules]]\ncategory = 'resident-id'\ntreatment = {rule}\n\
         [[rules]]\ntreatment = {{ kind = 'clear' }}\n"
    ));
    site.dataset(
        &Dataset::new("visits")
            .field(key, "utf8", "resident-id", "3")
            .field("name", "utf8", "person-name", "3"),
    );
    let who = visitors.iter().map(|visitor| match visitor {
        Some(row) => Cell::text(person_id(*row)),
        None => Cell::Null,
    });
    let names = visitors.iter().map(|_| Cell::text("来访者"));
    let columns = [who.collect::<Vec<_>>(), names.collect()];
    let columns = columns.map(|cells| array(&DataType::Utf8, &cells));
    let fields = [key, "name"].map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let batch = RecordBatch::try_new(schema, columns.to_vec()).expect("a batch of visits");
    write_parquet(&site.path("lake/visits/1.parquet"), &batch, 100);
    site
}

/// A grant of the references of a dataset, and of surrogates for the names of whom they refer to.
fn referring(id: &str, dataset: &str, key: &str) -> Grant {
    let surrogate =
        format!("{{ kind = 'fake-name', domain = 'person.id', join = 'families', by = '{key}' }}");
    Grant::new(id, dataset, &[key, "name"])
        .more("joins = [\"families\"]")
        .treatment("name", &surrogate)
}

/// datanymizer#116 (one email in two tables), datanymizer#199 (foreign keys), pynonymizer#176 (one
/// name in two tables, and nulls), and that orphans stay orphans.
#[test]
fn one_person_in_two_datasets_is_one_pseudonym_and_one_surrogate() {
    let visitors = [Some(3), None, Some(25), Some(3), Some(19)];
    let site = register_and_visits(PSEUDONYM, "visitor", &visitors);
    site.signed(&referring("G-1", "people", "person_id"));
    site.signed(&referring("G-2", "visits", "visitor"));
    let (register, visits) = (site.deliver("G-1").rows(), site.deliver("G-2").rows());
    let (ids, names) = (texts(&register, "person_id"), texts(&register, "name"));
    let (visitors, visiting) = (texts(&visits, "visitor"), texts(&visits, "name"));
    assert_eq!(
        [&visitors[0], &visitors[3], &visitors[4]],
        [&ids[3], &ids[3], &ids[19]]
    );
    assert_eq!(
        [&visiting[0], &visiting[3], &visiting[4]],
        [&names[3], &names[3], &names[19]]
    );
    assert!(visitors[2].is_some() && !ids.contains(&visitors[2]));
    // A row that names nobody gets nobody's surrogate.
    assert_eq!((&visitors[1], visiting[1].as_deref()), (&None, Some("***")));
}

/// greenmask#296: the condition of a key was not applied to the references to it.
#[test]
fn a_condition_on_a_key_holds_for_references_or_is_refused() {
    let rule = format!(
        "{{ kind = 'when', condition = \"person_id LIKE '3301021905%'\", then = {PSEUDONYM}, \
         else = {{ kind = 'constant', value = '-' }} }}"
    );
    let visitors = [Some(7), Some(5), Some(5), None];
    let site = register_and_visits(&rule, "person_id", &visitors);
    let keyed = |id: &str, dataset: &str, key: &str| {
        Grant::new(id, dataset, &[key]).more("joins = [\"families\"]")
    };
    site.signed(&keyed("G-1", "people", "person_id"));
    site.signed(&keyed("G-2", "visits", "person_id"));
    let (register, visits) = (site.deliver("G-1").rows(), site.deliver("G-2").rows());
    let (ids, visitors) = (texts(&register, "person_id"), texts(&visits, "person_id"));
    assert_eq!(
        visitors,
        [ids[7].clone(), ids[5].clone(), ids[5].clone(), None]
    );
    assert_eq!(ids[7].as_deref(), Some("-"));
    assert_ne!(ids[5].as_deref(), Some("-"));

    // Where the condition can't be asked, nothing is treated without it.
    let site = register_and_visits(&rule, "visitor", &[Some(5)]);
    site.grant(&keyed("G-3", "visits", "visitor"));
    site.json(["plan", "G-3"]).expect_code(2);
}

/// shardingsphere#33450: an altered rule is lost, and the old one goes on.
#[test]
fn an_edited_rule_takes_effect_or_stops_the_run() {
    let site = people::site(10);
    site.signed(&grant("G-1", &["name"]));
    let shown = |delivery: &Delivery| -> Vec<String> {
        texts(&delivery.rows(), "name")
            .into_iter()
            .flatten()
            .collect()
    };
    let before = shown(&site.deliver("G-1"));
    assert!(before.contains(&"张*".to_owned()), "{before:?}");
    site.edit("policy.toml", "first = 1, last = 0", "first = 0, last = 0");
    let after = shown(&site.deliver("G-1"));
    assert!(
        after
            .iter()
            .flat_map(|name| name.chars())
            .all(|shown| shown == '*'),
        "{after:?}"
    );
    site.edit("policy.toml", "first = 0, last = 0", "first = 2, last = 0");
    assert_eq!(site.run("G-1").expecting(3).refusals(), ["approval-stale"]);
}

/// Huawei: null masking of a field that is not null changes the field under the reader's feet. Here
/// every delivered field is nullable from the first day on.
#[test]
fn a_field_that_is_never_null_is_delivered_nullable_and_may_be_made_null() {
    let site = people::bare_site();
    let people = people::people(0..10);
    let schema = people.schema();
    let required = schema.fields().iter().map(|field| {
        let nullable = people
            .column_by_name(field.name())
            .is_some_and(|of| of.null_count() > 0);
        field.as_ref().clone().with_nullable(nullable)
    });
    let schema = Arc::new(Schema::new(required.collect::<Vec<_>>()));
    let people = RecordBatch::try_new(schema, people.columns().to_vec()).expect("a batch");
    write_parquet(&site.path("lake/people/1.parquet"), &people, 100);
    site.signed(&grant("G-1", &["id", "name"]));
    site.signed(&grant("G-2", &["id", "name"]).treatment("name", "{ kind = 'null' }"));
    let (one, two) = (site.deliver("G-1"), site.deliver("G-2"));
    assert!(
        one.schema()
            .fields()
            .iter()
            .all(|field| field.is_nullable())
    );
    assert_eq!(one.schema().fields(), two.schema().fields());
    let nulls = |delivery: &Delivery| delivery.rows().column(1).null_count();
    assert_eq!((nulls(&one), nulls(&two)), (0, 10));
}

/// neosync PR#2003 (references to a unique column that isn't the key) and greenmask#244 (references
/// lost for some schemas): what refers to a field refers to it in the delivery, key or not.
#[test]
fn references_to_a_unique_field_that_is_no_key_stay_references() {
    let visitors: Vec<Option<usize>> = (0..20).rev().map(Some).collect();
    let site = register_and_visits(PSEUDONYM, "visitor", &visitors);
    let keyed = |id: &str, dataset: &str, fields: &[&str]| {
        site.signed(&Grant::new(id, dataset, fields).more("joins = [\"families\"]"));
        site.deliver(id).rows()
    };
    // The register's key is `id`, which is delivered beside the field that is referred to.
    let register = keyed("G-1", "people", &["id", "person_id"]);
    let visits = keyed("G-2", "visits", &["visitor"]);
    let (ids, visitors) = (texts(&register, "person_id"), texts(&visits, "visitor"));
    for (visit, visitor) in visitors.iter().enumerate() {
        let found: Vec<usize> = (0..ids.len()).filter(|row| ids[*row] == *visitor).collect();
        assert_eq!(found, [19 - visit]);
    }
}

/// shardingsphere#27879: with `SELECT *` a mask was put on the wrong field, or on none.
#[test]
fn every_field_of_a_wide_grant_has_its_own_treatment_in_any_order() {
    let site = people::site(30);
    let mut fields = people::FIELDS;
    site.signed(&grant("G-1", &fields));
    fields.reverse();
    site.signed(&grant("G-2", &fields));
    let (one, other) = (site.deliver("G-1").rows(), site.deliver("G-2").rows());
    for name in people::FIELDS {
        let found = |rows: &RecordBatch| crate::cell::column(rows, name);
        if name == "person_id" {
            // Of each grant other pseudonyms, and of none the value.
            let own: Vec<Cell> = (0..30).map(|row| Cell::text(person_id(row))).collect();
            for shown in found(&one).iter().chain(&found(&other)) {
                assert!(!own.contains(shown), "{shown:?}");
            }
            continue;
        }
        assert_eq!(found(&one), found(&other), "{name}");
    }
    for name in texts(&one, "name").iter().flatten() {
        assert!(name.contains('*') || name.chars().count() == 1, "{name}");
    }
}
