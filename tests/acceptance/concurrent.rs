//! Several runs at the same time: of one grant, of different grants, at one site and at two that
//! deliver to one destination. One publishes, and what it publishes is counted once.

use std::time::Duration;

use super::exchange_site::{Ended, ExchangeSite, GRANT, OTHER_GRANT, Running, server};

/// Waits for all, and checks that one delivered and the others found it delivered.
fn one_delivers(running: Vec<Running>) {
    let ended: Vec<Ended> = running.into_iter().map(Running::ended).collect();
    let delivered = ended.iter().filter(|ended| ended.delivered()).count();
    let unchanged = ended.iter().filter(|ended| ended.unchanged()).count();
    assert_eq!((delivered, unchanged), (1, ended.len() - 1), "{ended:#?}");
}

#[test]
fn of_processes_that_run_one_grant_one_publishes() {
    for processes in [2, 4] {
        let site = ExchangeSite::on_files();
        one_delivers((0..processes).map(|_| site.start_run()).collect());
        site.assert_delivered_once();
    }
}

#[test]
fn of_processes_that_run_one_grant_on_s3_one_publishes() {
    let site = ExchangeSite::on_s3(&server());
    one_delivers((0..2).map(|_| site.start_run()).collect());
    site.assert_delivered_once();
}

#[test]
fn different_grants_run_side_by_side() {
    let site = ExchangeSite::on_files();
    let runs = [GRANT, OTHER_GRANT].map(|grant| site.start(&["run", grant]));
    for ended in runs.map(Running::ended) {
        assert!(ended.delivered(), "{ended:?}");
    }
    let mut delivered: Vec<String> = site
        .deliveries()
        .into_iter()
        .map(|delivery| delivery.grant)
        .collect();
    delivered.sort_unstable();
    assert_eq!(delivered, [OTHER_GRANT, GRANT]);
    let used = site.ledger().quota_use();
    assert_eq!([GRANT, OTHER_GRANT].map(|grant| used[grant].0), [1, 1]);
    assert_eq!(site.ledger().unsettled(), []);
}

/// Two sites with the same keys, as after a fail-over that left both running. Neither sees the
/// other's locks or ledger; the manifest is all they have in common.
fn race(site: &ExchangeSite, head_start: Duration) {
    let twin = site.twin();
    let first = site.start_run();
    std::thread::sleep(head_start);
    one_delivers(vec![first, twin.start_run()]);
    let delivery = site.only_delivery();
    assert_eq!(twin.only_delivery(), delivery);
    assert_eq!(
        site.objects().len(),
        1 + delivery.content.files.len(),
        "{:?}",
        site.objects()
    );
    let released: usize = [site, &twin]
        .map(|site| {
            assert_eq!(site.ledger().unsettled(), []);
            site.releases(GRANT).1
        })
        .iter()
        .sum();
    assert_eq!(released, 1, "the loser's ledger claims no release");
}

/// Head starts of the first site, so that the other is caught before, while and after it stages.
const HEAD_STARTS: [u64; 4] = [0, 50, 250, 600];

#[test]
fn two_sites_race_for_one_manifest_in_a_directory() {
    for head_start in HEAD_STARTS {
        race(&ExchangeSite::on_files(), Duration::from_millis(head_start));
    }
}

#[test]
fn two_sites_race_for_one_manifest_on_s3() {
    let server = server();
    for head_start in HEAD_STARTS {
        race(
            &ExchangeSite::on_s3(&server),
            Duration::from_millis(head_start),
        );
    }
}
