//! The program killed at seeded moments: nothing half-done is ever visible, nothing is lost or
//! doubled by running again.
//!
//! Each round copies a site, starts an exchange, kills it with SIGKILL and looks at the destination
//! as a recipient would. A third of the rounds kill the second run too. Then the exchange runs to
//! its end, and everything must be as if it had never been disturbed. Half of the rounds deliver to
//! a directory, half to an S3 server that survives the kill.
//!
//! Moments are drawn from the whole of an undisturbed run, and more of them near its end, where
//! the release happens: the parts closing, the intent in the ledger, the manifest, the settlement.
//! There they count from what can be seen from outside, since the release takes a few
//! milliseconds and the time before it varies by more. CI does 20 rounds. The long form, here with
//! 200, says at the end how many rounds hit which stage:
//!
//! ```text
//! LOCKGATE_KILLS=200 LOCKGATE_SEED=1 cargo test -p lockgate-acceptance --test acceptance killed:: -- --nocapture
//! LOCKGATE_KILLS=200 LOCKGATE_SEED=1 LOCKGATE_ROWS=3000000 cargo test --release -p lockgate-acceptance --test acceptance killed:: -- --nocapture
//! ```
//!
//! What moments miss, places find: with strace, the ignored test kills the program before each single
//! change that it makes to the disk.
//!
//! ```text
//! cargo test -p lockgate-acceptance --test acceptance killed:: -- --nocapture --ignored
//! ```
//!
//! A failure names seed, round and moment. `LOCKGATE_ROWS` sets the size of the source (36,000 rows
//! where it is not given; a release build needs a few million for a run that lasts), and
//! `LOCKGATE_PROGRAM` another build of the program than the one built with the tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lockgate_acceptance::s3::{Operation, Server};

use super::exchange_site::{Content, ExchangeSite, GRANT, Running, number, rows, server};

const KILLS: u64 = 20;
const SEED: u64 = 20_260_101;

/// Conditional creates of the probe, before that of the manifest.
const PROBE_CREATES: u64 = 2;

#[test]
fn killed_at_any_moment_a_run_leaves_nothing_half_done_in_a_directory() {
    Campaign::new("directory", || None).run(rounds() / 2);
}

#[test]
fn killed_at_any_moment_a_run_leaves_nothing_half_done_on_s3() {
    let server = server();
    Campaign::new("S3", || Some(Arc::clone(&server))).run(rounds() - rounds() / 2);
}

/// Where a kill makes a difference on files: not a moment but a place.
const CHANGES: [&str; 9] = [
    "fsync",
    "fdatasync",
    "rename",
    "linkat",
    "link",
    "unlink",
    "mkdir",
    "rmdir",
    "ftruncate",
];

#[test]
#[ignore = "needs strace and minutes"]
fn killed_before_any_change_of_the_disk_a_run_leaves_nothing_half_done() {
    let campaign = Campaign::new("each change", || None);
    let mut stages: BTreeMap<Stage, u64> = BTreeMap::new();
    for call in CHANGES {
        let mut nth = 1;
        loop {
            let _told = Told(format!("killed before {call} number {nth} of a thread"));
            let site = ExchangeSite::on_files();
            if site
                .start_run_killed_before(call, nth)
                .ended()
                .code
                .is_some()
            {
                break; // no thread makes that many
            }
            *stages.entry(campaign.look(&site)).or_default() += 1;
            campaign.finish(&site, None);
            nth += 1;
        }
        println!("killed before each of {} calls of {call}", nth - 1);
    }
    println!("stages hit: {stages:?}");
}

fn rounds() -> u64 {
    number("LOCKGATE_KILLS", KILLS)
}

/// What can be seen of a run from outside, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    /// The process was started.
    Started,
    /// The destination was touched.
    Begun,
    /// The ledger has a delivery of the quota set aside.
    Reserved,
    /// The first part is there.
    Staging,
    /// The ledger has the intent.
    Intended,
    /// The manifest is there.
    Published,
    /// The ledger has the release.
    Settled,
}

impl Sign {
    const ALL: [Self; 7] = [
        Self::Started,
        Self::Begun,
        Self::Reserved,
        Self::Staging,
        Self::Intended,
        Self::Published,
        Self::Settled,
    ];
}

/// When to kill: some time after a sign.
#[derive(Debug, Clone, Copy)]
struct Moment {
    after: Sign,
    delay: Duration,
}

/// How far a run had got when it was killed, as ledger and destination tell afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    NothingWritten,
    Staged,
    Intended,
    Published,
    Settled,
}

/// What a site shows of a run that has just been started.
struct Watch<'a> {
    site: &'a ExchangeSite,
    server: Option<&'a Server>,
    ledger: Vec<Vec<u8>>,
    creates: u64,
    uploads: u64,
}

impl<'a> Watch<'a> {
    fn new(site: &'a ExchangeSite, server: Option<&'a Server>) -> Self {
        Self {
            site,
            server,
            ledger: vec![site.checkpoint()],
            creates: count(server, &[Operation::Create]),
            uploads: count(server, &[Operation::Put, Operation::UploadPart]),
        }
    }

    /// Waits for a sign; false if the run ended without it.
    fn wait(&mut self, run: &mut Running, sign: Sign) -> bool {
        match sign {
            Sign::Started => true,
            Sign::Begun => match self.server {
                None => run.reaches(|| self.site.path("outbox").exists()),
                Some(_) => self.created(run, PROBE_CREATES),
            },
            Sign::Staging => match self.server {
                None => run.reaches(|| self.site.has_file(".parquet")),
                Some(_) => run.reaches(|| {
                    count(self.server, &[Operation::Put, Operation::UploadPart]) > self.uploads
                }),
            },
            Sign::Reserved | Sign::Intended | Sign::Settled => {
                let changed = |now: &Vec<u8>| !now.is_empty() && !self.ledger.contains(now);
                let reached = run.reaches(|| changed(&self.site.checkpoint()));
                let now = self.site.checkpoint();
                self.ledger.push(now);
                reached
            }
            Sign::Published => match self.server {
                None => run.reaches(|| self.site.has_file("manifest.json")),
                Some(_) => self.created(run, PROBE_CREATES + 1),
            },
        }
    }

    fn created(&self, run: &mut Running, creates: u64) -> bool {
        run.reaches(|| count(self.server, &[Operation::Create]) >= self.creates + creates)
    }
}

fn count(server: Option<&Server>, operations: &[Operation]) -> u64 {
    let count = |server: &Server| operations.iter().map(|of| server.faults().count(*of)).sum();
    server.map_or(0, count)
}

/// Rounds against one kind of destination.
struct Campaign<F> {
    name: &'static str,
    server: F,
    seed: u64,
    /// When each sign was seen in an undisturbed run.
    signs: BTreeMap<Sign, Duration>,
    end: Duration,
    /// What an undisturbed run delivers.
    undisturbed: Content,
}

impl<F: Fn() -> Option<Arc<Server>>> Campaign<F> {
    fn new(name: &'static str, server: F) -> Self {
        let store = server();
        let site = new_site(store.as_ref());
        let mut watch = Watch::new(&site, store.as_deref());
        let mut run = site.start_run();
        let mut signs = BTreeMap::new();
        for sign in Sign::ALL {
            assert!(watch.wait(&mut run, sign), "{sign:?} was never seen");
            signs.insert(
                sign,
                if sign == Sign::Started {
                    Duration::ZERO
                } else {
                    run.elapsed()
                },
            );
        }
        let ended = run.ended();
        assert!(ended.delivered(), "{ended:?}");
        let undisturbed = site.only_delivery().content;
        assert_eq!(undisturbed.rows.read, rows());
        let seed = number("LOCKGATE_SEED", SEED);
        println!(
            "{name}: an undisturbed run takes {:?}, signs at {signs:?}",
            ended.after
        );
        Self {
            name,
            server,
            seed,
            signs,
            end: ended.after,
            undisturbed,
        }
    }

    fn run(&self, rounds: u64) {
        let mut stages: BTreeMap<Stage, u64> = BTreeMap::new();
        for round in 0..rounds {
            let mut draw = Draw::new(self.seed, round);
            let mut moments = vec![self.moment(round, &mut draw)];
            if round % 3 == 2 {
                let any = draw.below(6);
                moments.push(self.moment(any, &mut draw));
            }
            let told = Told(format!(
                "{}: seed {} round {round}, killed at {moments:?}",
                self.name, self.seed
            ));
            for stage in self.round(&moments) {
                *stages.entry(stage).or_default() += 1;
            }
            drop(told);
        }
        println!("{}: {rounds} rounds; stages hit: {stages:?}", self.name);
    }

    /// A moment of a run. Of six kinds taken in turn, four are in the last stages.
    fn moment(&self, kind: u64, draw: &mut Draw) -> Moment {
        let after = match kind % 6 {
            0 => Sign::Intended,
            1 => Sign::Published,
            2 => Sign::Begun,
            3 => Sign::Staging,
            4 => Sign::Started,
            _ => match draw.below(3) {
                0 => Sign::Intended,
                1 => Sign::Published,
                _ => Sign::Settled,
            },
        };
        let from = self.signs[&after];
        let next = self
            .signs
            .range(after..)
            .nth(1)
            .map_or(self.end, |(_, next)| *next);
        // What comes next comes sooner or later than it did in the undisturbed run.
        let gap = next.saturating_sub(from).mul_f64(1.2) + Duration::from_micros(500);
        Moment {
            after,
            delay: gap.mul_f64(draw.fraction()),
        }
    }

    /// One site, killed at these moments, one run after the other.
    fn round(&self, moments: &[Moment]) -> Vec<Stage> {
        let server = (self.server)();
        let site = new_site(server.as_ref());
        let mut stages = Vec::new();
        for moment in moments {
            let mut watch = Watch::new(&site, server.as_deref());
            let mut run = site.start_run();
            for sign in Sign::ALL.into_iter().filter(|sign| *sign <= moment.after) {
                if !watch.wait(&mut run, sign) {
                    break; // an earlier run had already come further
                }
            }
            std::thread::sleep(moment.delay);
            run.kill();
            stages.push(self.look(&site));
        }
        self.finish(&site, server.as_deref());
        stages
    }

    /// What an outside reader finds after the kill: a complete delivery, or none.
    fn look(&self, site: &ExchangeSite) -> Stage {
        let deliveries = site.deliveries();
        assert!(
            deliveries.len() <= 1,
            "two deliveries of one run: {deliveries:?}"
        );
        for delivery in &deliveries {
            assert_eq!(delivery.content, self.undisturbed);
        }
        let (intended, released, abandoned) = site.releases(GRANT);
        assert!(released + abandoned <= intended);
        if deliveries.is_empty() {
            assert_eq!(
                released, 0,
                "the ledger claims a release that nobody can see"
            );
        } else {
            assert!(
                intended > abandoned,
                "a delivery is visible that the ledger does not know of"
            );
        }
        match (deliveries.len(), released, intended - abandoned) {
            (0, _, 0) if site.objects().is_empty() => Stage::NothingWritten,
            (0, _, 0) => Stage::Staged,
            (0, ..) => Stage::Intended,
            (_, 0, _) => Stage::Published,
            _ => Stage::Settled,
        }
    }

    /// Runs to the end, and twice more.
    fn finish(&self, site: &ExchangeSite, server: Option<&Server>) {
        let published = !site.deliveries().is_empty();
        let ended = site.run();
        if published {
            assert!(ended.unchanged(), "{ended:?}");
        } else {
            assert!(ended.delivered(), "{ended:?}");
        }
        self.settled(site);
        let creates = count(server, &[Operation::Create]);
        let ended = site.run();
        assert!(ended.unchanged(), "{ended:?}");
        assert_eq!(
            count(server, &[Operation::Create]),
            creates,
            "`unchanged` has written"
        );
        self.settled(site);
    }

    /// Everything is as if no run had been killed.
    fn settled(&self, site: &ExchangeSite) {
        let delivery = site.only_delivery();
        assert_eq!(delivery.content, self.undisturbed);
        assert!(delivery.content.rows.are_conserved());
        let (intended, released, abandoned) = site.releases(GRANT);
        assert_eq!(released, 1, "released once");
        assert_eq!(intended, released + abandoned, "every intent is settled");
        let used = site.ledger().quota_use();
        assert_eq!(used.get(GRANT), Some(&(1, delivery.content.rows.delivered)));
        let orphans: Vec<String> = site
            .objects()
            .into_iter()
            .filter(|object| {
                !object.ends_with("/manifest.json") && !object.contains(&delivery.attempt)
            })
            .collect();
        assert_eq!(
            orphans, [""; 0],
            "attempts that no manifest names were not swept"
        );
    }
}

fn new_site(server: Option<&Arc<Server>>) -> ExchangeSite {
    server.map_or_else(ExchangeSite::on_files, ExchangeSite::on_s3)
}

/// Says what was being done when a test fails.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// Draws that depend on seed and round only: SplitMix64.
struct Draw(u64);

impl Draw {
    fn new(seed: u64, round: u64) -> Self {
        let mut mixed = Self(seed);
        let seed = mixed.next();
        Self(seed ^ round.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From 0 to 1.
    fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.below(1 << 24)).unwrap()) / f64::from(1 << 24)
    }
}
