//! What a grant allows beside the treatment of its fields: rows, source, recipient, days, quota,
//! modes, purpose, destination.

use crate::plan::ExchangePlan;
use crate::site::Site;
use crate::site::grant::{Grant, Quota, Validity};

use super::{Change, ChangeKind};

/// The terms that changed between two states of a site.
pub(super) fn changes(old: (&Site, &ExchangePlan), new: (&Site, &ExchangePlan)) -> Vec<Change> {
    let ((old_site, old_plan), (new_site, new_plan)) = (old, new);
    let mut found = of_plan(old_plan, new_plan);
    let id = &new_plan.grant;
    if let (Some(old), Some(new)) = (old_site.grants.get(id), new_site.grants.get(id)) {
        found.extend(of_grant(&old.value, &new.value));
    }
    found.extend(of_order(old_plan, new_plan));
    found.extend(of_site(old_site, new_site));
    found
        .into_iter()
        .map(|what| Change {
            kind: ChangeKind::Terms,
            field: None,
            what,
        })
        .collect()
}

/// The sentences whose first part holds.
fn said<const N: usize>(sentences: [(bool, &str); N]) -> Vec<String> {
    let changed = sentences.into_iter().filter(|(changed, _)| *changed);
    changed.map(|(_, what)| what.to_owned()).collect()
}

fn of_plan(old: &ExchangePlan, new: &ExchangePlan) -> Vec<String> {
    let source = |plan: &ExchangePlan| {
        let entry = serde_json::to_value(&plan.source).unwrap_or_default();
        (entry, plan.source_url.clone(), plan.source_endpoint.clone())
    };
    said([
        (old.rows != new.rows, "other rows are in scope"),
        (source(old) != source(new), "the source changes"),
        (old.recipient != new.recipient, "the recipient changes"),
        (
            old.recipient_keys != new.recipient_keys,
            "the recipient's keys change",
        ),
        (old.sharing != new.sharing, "the sharing attribute changes"),
        (
            old.seal != new.seal || old.sealing != new.sealing,
            "the sealing changes",
        ),
        (
            old.format != new.format || old.csv != new.csv || old.bundle != new.bundle,
            "the format changes",
        ),
        (
            old.compression != new.compression,
            "the compression changes",
        ),
    ])
}

fn of_grant(old: &Grant, new: &Grant) -> Vec<String> {
    let mut found = of_validity(old.valid, new.valid);
    found.extend(of_quota(old.quota, new.quota));
    let more = new.modes.iter().any(|mode| !old.modes.contains(mode));
    let fewer = old.modes.iter().any(|mode| !new.modes.contains(mode));
    found.extend(said([
        (more, "wider: it may be delivered in another mode, too"),
        (fewer, "narrower: a mode of delivery is gone"),
        (old.purpose != new.purpose, "the purpose changes"),
        (old.basis != new.basis, "the legal basis changes"),
        (old.scenario != new.scenario, "the scenario changes"),
        (
            old.retention != new.retention,
            "how long the recipient may keep the data changes",
        ),
        (
            new.important && !old.important,
            "wider: important data may be delivered",
        ),
        (
            old.important && !new.important,
            "narrower: important data may no longer be delivered",
        ),
    ]));
    for join in new.joins.iter().filter(|join| !old.joins.contains(join)) {
        found.push(format!("wider: it may use the join group `{join}`"));
    }
    for join in old.joins.iter().filter(|join| !new.joins.contains(join)) {
        found.push(format!("narrower: it may not use the join group `{join}`"));
    }
    found
}

fn of_validity(old: Validity, new: Validity) -> Vec<String> {
    let mut found = Vec::new();
    for (word, was, is, is_wider) in [
        ("from", old.from, new.from, new.from < old.from),
        ("until", old.until, new.until, new.until > old.until),
    ] {
        if was != is {
            let reach = if is_wider { "wider" } else { "narrower" };
            let (was, is) = (was.0, is.0);
            found.push(format!(
                "{reach}: it holds {word} {is}, and {word} {was} before"
            ));
        }
    }
    found
}

fn of_quota(old: Quota, new: Quota) -> Vec<String> {
    let mut found = Vec::new();
    for (word, was, is) in [
        ("deliveries", old.runs, new.runs),
        ("rows", old.rows, new.rows),
    ] {
        if was != is {
            let most = |quota: Option<u64>| quota.unwrap_or(u64::MAX);
            let reach = match most(is) > most(was) {
                true => "wider",
                false => "narrower",
            };
            let say = |quota: Option<u64>| {
                quota.map_or_else(
                    || format!("any number of {word}"),
                    |most| format!("{most} {word}"),
                )
            };
            let (was, is) = (say(was), say(is));
            found.push(format!("{reach}: {is} in all, and {was} before"));
        }
    }
    found
}

/// Whether the fields that are delivered before and after change places.
fn of_order(old: &ExchangePlan, new: &ExchangePlan) -> Vec<String> {
    fn common<'a>(plan: &'a ExchangePlan, other: &ExchangePlan) -> Vec<&'a str> {
        let names = plan.fields.iter().map(|field| field.name.as_str());
        let known = |name: &&str| other.fields.iter().any(|field| field.name == *name);
        names.filter(known).collect()
    }
    let moved = common(old, new) != common(new, old);
    said([(moved, "the fields are delivered in another order")])
}

fn of_site(old: &Site, new: &Site) -> Vec<String> {
    let destination = |site: &Site| {
        let name = site.file.delivery.store.clone()?;
        let store = site.file.stores.get(&name)?;
        Some((store.url.clone(), store.endpoint.clone()))
    };
    said([
        (
            destination(old) != destination(new),
            "deliveries go to another store",
        ),
        (
            old.file.site.timezone != new.file.site.timezone,
            "the site's zone changes, and with it the days on which the grant holds",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use crate::approval::test_site::{GRANT, TestSite, day};
    use crate::plan::diff::{ChangeKind, diff};

    fn terms(change: impl FnOnce(&TestSite)) -> Vec<String> {
        let site = TestSite::signed();
        let old = site.site();
        change(&site);
        let found = diff(&old, &site.site(), Some(GRANT), day("2026-06-01"));
        let changes = found.into_iter().flat_map(|found| found.changes);
        changes
            .filter(|change| change.kind == ChangeKind::Terms)
            .map(|change| change.what)
            .collect()
    }

    #[test]
    fn what_a_grant_allows_for_longer_or_more_often_is_told_as_wider() {
        for (from, to, said) in [
            (
                "2026-12-31",
                "2027-12-31",
                "wider: it holds until 2027-12-31, and until 2026-12-31 before",
            ),
            (
                "2026-12-31",
                "2026-11-30",
                "narrower: it holds until 2026-11-30, and until 2026-12-31 before",
            ),
            (
                "2026-01-01",
                "2025-01-01",
                "wider: it holds from 2025-01-01, and from 2026-01-01 before",
            ),
            (
                "modes =",
                "quota = { rows = 10 }\nmodes =",
                "narrower: 10 rows in all, and any number of rows before",
            ),
            (
                "[\"batch\"]",
                "[\"batch\", \"download\"]",
                "wider: it may be delivered in another mode, too",
            ),
            (
                "modes =",
                "joins = [\"families\"]\nmodes =",
                "wider: it may use the join group `families`",
            ),
            ("\"review\"", "\"other\"", "the purpose changes"),
            ("\"regulation 1\"", "\"other\"", "the legal basis changes"),
            (
                "[\"id\", \"name\"",
                "[\"name\", \"id\"",
                "the fields are delivered in another order",
            ),
        ] {
            let found = terms(|site| {
                site.grant(from, to);
            });
            assert_eq!(found, [said], "{to}");
        }
    }

    #[test]
    fn a_quota_that_goes_is_wider() {
        let site = TestSite::new();
        site.grant("modes =", "quota = { runs = 3 }\nmodes =");
        let old = site.site();
        site.grant("runs = 3", "runs = 4");
        let found = diff(&old, &site.site(), None, day("2026-06-01"));
        assert_eq!(
            found[0].changes[0].what,
            "wider: 4 deliveries in all, and 3 deliveries before"
        );
    }

    #[test]
    fn another_destination_or_zone_concerns_every_grant() {
        let edit = |from: &'static str, to: &'static str| {
            terms(move |site| {
                let file = site.read("lockgate.toml");
                assert!(file.contains(from), "{file}");
                site.write("lockgate.toml", &file.replace(from, to));
            })
        };
        assert_eq!(
            edit("store = \"lake\"", "store = \"other\""),
            ["deliveries go to another store"]
        );
        assert_eq!(
            edit(
                "tier = \"regional\"",
                "tier = \"regional\"\ntimezone = \"Asia/Tokyo\""
            ),
            ["the site's zone changes, and with it the days on which the grant holds"]
        );
    }

    #[test]
    fn a_field_that_comes_in_between_moves_no_other() {
        let found = terms(|site| {
            site.grant("[\"id\", \"name\"", "[\"id\", \"status\", \"name\"");
        });
        assert!(found.is_empty(), "{found:?}");
    }
}
