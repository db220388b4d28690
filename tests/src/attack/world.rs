//! One table's site: a dozen grants that were really signed and delivered, among as many more as are
//! asked for, and the trace of what leaks from it.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::array::RecordBatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate::clock::Clock;
use lockgate::error::RunError;
use lockgate::installation::Installation;
use lockgate::ledger::{Event, History, Ledger};
use lockgate::marks::{index_of, markings};
use lockgate::trace::{Finding, Request, Tracer};
use lockgate_connectors::format::found::{FoundOptions, FoundTable};
use lockgate_transforms::marks::embed::Marker;
use lockgate_transforms::marks::key::GrantIndex;
use lockgate_transforms::marks::score::{Standard, Verdict};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Unfit;
use super::draw::Draw;
use super::embed::Bench;
use super::rotation::Rotated;
use super::sheet::{Form, Sheet};
use super::tables::{Freedom, Table};
use crate::site::{APPROVER, Delivery, RECIPIENT, Site, write_parquet};

/// How large a table is, and how many grants there are.
#[derive(Debug, Clone)]
pub struct Size {
    /// Rows of the source.
    pub rows: usize,
    /// Grants ever issued.
    pub issued: usize,
    /// Grants that were delivered, from which leaks are taken.
    pub delivered: usize,
    /// Random codewords that F1 scores against each leak.
    pub codewords: usize,
}

/// Rows above which a delivery is read anew each time rather than kept: twelve of a million rows take
/// some two gigabytes.
const KEPT_ROWS: usize = 2_000_000;

/// Rows up to which a delivery is kept as a sheet too, which takes four times as much.
const SHEET_ROWS: usize = 100_000;

/// A field that carries marks, as `plan` says.
#[derive(Debug, Clone)]
pub struct Carrier {
    /// The field.
    pub field: String,
    /// `key`, `content` or `value`.
    pub found_by: String,
    /// The fields its rows are found by.
    pub anchor: Vec<String>,
}

/// The share of the cells of a carrying field that carry, but for tags, which are in all.
pub const DENSITY: f64 = 0.5;

/// A table's site. Leaks may be made and traced on several threads: what is made when it is first needed
/// is made once.
pub struct World {
    /// The table.
    pub table: Table,
    /// Its size.
    pub size: Size,
    /// The fields that carry.
    pub carriers: Vec<Carrier>,
    /// Carriers a row has.
    pub per_row: f64,
    /// The site, for what is no attack.
    pub site: Site,
    /// The site as the library opens it.
    pub installation: Installation,
    /// The marker of its deliveries, and the indices of all grants.
    pub(super) marker: OnceLock<(Marker, BTreeSet<GrantIndex>)>,
    /// A site as `init` makes it, of which others are copies.
    template: Site,
    deliveries: Vec<Delivery>,
    kept: Vec<OnceLock<RecordBatch>>,
    sheets: Vec<OnceLock<Sheet>>,
    originals: OnceLock<RecordBatch>,
    plain: OnceLock<RecordBatch>,
    tracer: Tracer,
    others: [OnceLock<Mutex<Site>>; 2],
    rotated: OnceLock<Rotated>,
    bench: OnceLock<Mutex<Bench>>,
    /// Leaks that were written to files.
    leaks: AtomicU64,
}

/// What the trace made of a leak.
#[derive(Debug, Clone, Default)]
pub struct Traced {
    /// Grants that were accused.
    pub accused: Vec<String>,
    /// Of each grant that is reported on: ln E, the bound, the exact chance; that is no number where
    /// nobody is suspected.
    pub scores: Vec<(String, f64, f64, f64)>,
    /// Whether marks of the dataset are present.
    pub is_ours: bool,
    /// Carriers read.
    pub carriers: u64,
    /// From which ln E on a grant is accused.
    pub accused_from: f64,
    /// The same of each key that was traced side by side, by its version.
    pub thresholds: Vec<(u32, f64)>,
    /// Why nothing was read.
    pub error: Option<String>,
}

impl Traced {
    /// ln E of a grant.
    #[must_use]
    pub fn ln_e(&self, grant: &str) -> Option<f64> {
        let of = self.scores.iter().find(|(name, ..)| name == grant);
        of.map(|(_, ln_e, ..)| *ln_e)
    }
}

impl From<Result<Finding, RunError>> for Traced {
    fn from(found: Result<Finding, RunError>) -> Self {
        let finding = match found {
            Ok(finding) => finding,
            Err(error) => {
                return Self {
                    error: Some(error.to_string()),
                    ..Self::default()
                };
            }
        };
        let accused = finding
            .verdicts
            .iter()
            .filter(|of| of.verdict == Verdict::Accused);
        let mut accused: Vec<String> = accused.map(|of| of.grant.clone()).collect();
        accused.sort();
        let scores = finding.verdicts.iter();
        Self {
            accused,
            scores: scores
                .map(|of| {
                    let p_value = of.p_value.unwrap_or(f64::NAN);
                    (of.grant.clone(), of.ln_e, of.bound, p_value)
                })
                .collect(),
            is_ours: finding.presence.is_ours,
            carriers: finding.carriers,
            accused_from: finding.accused_from,
            thresholds: finding
                .traced
                .iter()
                .map(|of| (of.key.key_version, of.accused_from))
                .collect(),
            error: None,
        }
    }
}

/// The grant of a number.
#[must_use]
pub fn grant_id(number: usize) -> String {
    format!("G-{number:05}")
}

/// The grant of deliveries without marks.
pub(super) const PLAIN: &str = "U-1";

/// Id of a table's dataset without tolerances.
#[must_use]
pub fn unmarked(table: Table) -> String {
    format!("{}-unmarked", table.name())
}

impl World {
    /// Makes the site, signs and delivers, and issues the other grants.
    ///
    /// Keys and indices follow from the table's name, so that a run can be repeated.
    #[must_use]
    pub fn build(program: &Path, table: Table, size: &Size) -> Self {
        let template = Site::new(program);
        let site = copy_of(&template, table, Freedom::Full);
        own_key(&site, table, "mark", 1);
        own_key(&site, table, "pseudonym", 1);
        site.dataset(&table.dataset(&unmarked(table), Freedom::None));
        let file = site.path(&format!("lake/{}/1.parquet", table.name()));
        write_parquet(&file, &table.rows(size.rows, "ours"), 50_000);
        issue(&site, size.issued);
        let deliveries: Vec<Delivery> = (0..size.delivered)
            .map(|number| {
                site.signed(&table.grant(&grant_id(number), table.name()));
                site.deliver(&grant_id(number))
            })
            .collect();
        begin(&site, table, size.delivered..size.issued);
        let plan = site.json(["plan", &grant_id(0)]).expecting(0).document();
        let marks = &plan["marks"];
        let installation = open(&site);
        let tracer = Tracer::open(&installation, table.name()).expect("a tracer of the dataset");
        Self {
            table,
            carriers: carriers_of(marks),
            per_row: marks["carriers_per_row"].as_f64().expect("carriers a row"),
            kept: deliveries.iter().map(|_| OnceLock::new()).collect(),
            sheets: deliveries.iter().map(|_| OnceLock::new()).collect(),
            size: size.clone(),
            site,
            installation,
            template,
            deliveries,
            tracer,
            marker: OnceLock::new(),
            originals: OnceLock::new(),
            plain: OnceLock::new(),
            others: Default::default(),
            rotated: OnceLock::new(),
            bench: OnceLock::new(),
            leaks: AtomicU64::new(0),
        }
    }

    /// Another site of the table, from which nothing was delivered. All that are made so begin with the
    /// same keys, which aren't those of this site.
    #[must_use]
    pub fn another(&self, freedom: Freedom) -> Site {
        copy_of(&self.template, self.table, freedom)
    }

    /// Some rows of a grant's delivery, as its recipient reads them.
    #[must_use]
    pub fn copy(&self, grant: usize, rows: &[usize]) -> Sheet {
        if self.size.rows > SHEET_ROWS {
            return self.with_delivery(grant, |batch| Sheet::of(batch, rows));
        }
        let whole = |batch: &RecordBatch| Sheet::of(batch, &Vec::from_iter(0..batch.num_rows()));
        let sheet = self.sheets[grant].get_or_init(|| self.with_delivery(grant, whole));
        sheet.take(rows)
    }

    /// Does something with the rows of a delivery.
    pub fn with_delivery<T>(&self, grant: usize, then: impl FnOnce(&RecordBatch) -> T) -> T {
        let delivery = &self.deliveries[grant];
        if self.size.rows > KEPT_ROWS {
            return then(&delivery.rows());
        }
        then(self.kept[grant].get_or_init(|| delivery.rows()))
    }

    /// The source's own rows, as the provider holds them.
    #[must_use]
    pub fn original(&self, rows: &[usize]) -> Sheet {
        let all = || self.table.rows(self.size.rows, "ours");
        Sheet::of(self.originals.get_or_init(all), rows)
    }

    /// A delivery of the table without marks.
    ///
    /// # Panics
    /// The site does not deliver.
    pub fn plain(&self) -> &RecordBatch {
        self.plain.get_or_init(|| {
            let grant = self.table.untagged_grant(PLAIN, &unmarked(self.table));
            self.site.signed(&grant);
            self.site.deliver(PLAIN).rows()
        })
    }

    /// The site that is delivered from again and again. Its lock is held until the check is done with it,
    /// which leaves the site as it was.
    ///
    /// # Panics
    /// An earlier check gave up, so that nobody knows how the site was left.
    pub fn bench(&self) -> MutexGuard<'_, Bench> {
        let bench = self.bench.get_or_init(|| Mutex::new(Bench::build(self)));
        bench.lock().expect("a bench that was left in order")
    }

    /// How many rows have so many carriers.
    ///
    /// # Errors
    /// The table has too few.
    pub fn rows_for(&self, carriers: usize) -> Result<usize, Unfit> {
        self.rows_with(carriers, self.per_row)
    }

    /// How many rows have so many carriers, where a row has `per_row` of them.
    ///
    /// # Errors
    /// The table has too few.
    pub fn rows_with(&self, carriers: usize, per_row: f64) -> Result<usize, Unfit> {
        if per_row <= 0.0 {
            return Err(Unfit::Table);
        }
        let rows = (carriers as f64 / per_row).ceil() as usize;
        if rows > self.size.rows {
            return Err(Unfit::Rows);
        }
        Ok(rows)
    }

    /// Rows with so many carriers, drawn at random.
    ///
    /// # Errors
    /// The table has too few.
    pub fn sample(&self, carriers: usize, draw: &mut Draw) -> Result<Vec<usize>, Unfit> {
        Ok(draw.choose(self.rows_for(carriers)?, self.size.rows))
    }

    /// A grant of those that were delivered.
    pub fn leaker(&self, draw: &mut Draw) -> usize {
        draw.below(self.size.delivered)
    }

    /// So many different grants of those that were delivered.
    ///
    /// # Errors
    /// There are too few.
    pub fn leakers(&self, count: usize, draw: &mut Draw) -> Result<Vec<usize>, Unfit> {
        if count > self.size.delivered {
            return Err(Unfit::Grants);
        }
        Ok(draw.choose(count, self.size.delivered))
    }

    /// Writes a leak to a file beside the site.
    #[must_use]
    pub fn leak(&self, sheet: &Sheet, form: Form) -> PathBuf {
        let extension = match form {
            Form::Csv | Form::Gb18030 => "csv",
            Form::Xlsx => "xlsx",
            Form::Jsonl => "jsonl",
            Form::Parquet => "parquet",
        };
        let number = self.leaks.fetch_add(1, Ordering::Relaxed);
        let path = self
            .site
            .beside()
            .join(format!("leak-{number}.{extension}"));
        sheet.write(&path, form);
        path
    }

    /// Traces a leak.
    #[must_use]
    pub fn trace(&self, sheet: &Sheet, form: Form) -> Traced {
        self.trace_as(sheet, form, &request())
    }

    /// Traces a leak as asked for.
    #[must_use]
    pub fn trace_as(&self, sheet: &Sheet, form: Form, request: &Request) -> Traced {
        self.trace_by(&self.tracer, sheet, form, request)
    }

    /// Traces a leak by another tracer.
    #[must_use]
    pub fn trace_by(
        &self,
        tracer: &Tracer,
        sheet: &Sheet,
        form: Form,
        request: &Request,
    ) -> Traced {
        let path = self.leak(sheet, form);
        let found = FoundTable::open(&path, &FoundOptions::default());
        let traced = match found {
            Ok(found) => tracer.examine(&found, request).into(),
            Err(error) => Traced {
                error: Some(error.to_string()),
                ..Traced::default()
            },
        };
        fs::remove_file(path).expect("the leak can be removed");
        traced
    }

    /// What an attacker gets who has the same program: the leak delivered anew by a site of his own,
    /// with marks of his own key over those it has.
    ///
    /// # Panics
    /// The other site does not deliver.
    #[must_use]
    pub fn marked_anew(&self, sheet: &Sheet, freedom: Freedom) -> Sheet {
        let at = usize::from(freedom == Freedom::Half);
        let site = self.others[at].get_or_init(|| Mutex::new(self.other_site(freedom)));
        // Whoever gave up here left a source that is written anew.
        let site = site.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = in_types_of(sheet, &self.table.rows(1, "types"));
        let file = site.path(&format!("lake/{}/1.parquet", self.table.name()));
        write_parquet(&file, &batch, 50_000);
        let delivered = site.json(["run", &grant_id(0), "--again"]).expecting(0);
        let rows = Delivery::of_run(&delivered.document()).rows();
        let all: Vec<usize> = (0..rows.num_rows()).collect();
        Sheet::of(&rows, &all)
    }

    /// A site of the same table whose key of marks was renewed.
    pub fn rotated(&self) -> &Rotated {
        self.rotated.get_or_init(|| Rotated::build(self))
    }

    fn other_site(&self, freedom: Freedom) -> Site {
        let site = self.another(freedom);
        keyed(
            &site,
            "mark",
            1,
            &format!("of another {}", self.table.name()),
        );
        issue(&site, 1);
        // What he took is delivered as it is: no treatment but the marks.
        let fields = self.with_delivery(0, RecordBatch::schema);
        let names: Vec<&str> = fields
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        site.signed(&crate::site::Grant::new(
            &grant_id(0),
            self.table.name(),
            &names,
        ));
        site
    }
}

/// What a trace of the suite asks for: an error of one in 10^9, the first trace of its dataset, and no
/// exact chances, which take longer than all the rest and decide nothing.
#[must_use]
pub fn request() -> Request {
    Request {
        error: Standard::ERROR,
        investigation: 1,
        exact: false,
        ..Request::default()
    }
}

/// The site as the library opens it.
#[must_use]
pub fn open(site: &Site) -> Installation {
    Installation::open(&site.root(), Clock::System).expect("a site")
}

/// Everything in the ledger.
#[must_use]
pub fn history(installation: &Installation) -> History {
    let reader = Ledger::reader(&installation.ledger_dir()).expect("a ledger");
    reader.entries().expect("entries")
}

/// A copy of a site that has the table's dataset.
fn copy_of(template: &Site, table: Table, freedom: Freedom) -> Site {
    let site = template.copied();
    site.dataset(&table.dataset(table.name(), freedom));
    site
}

/// Gives a site a key that follows from the table's name.
pub fn own_key(site: &Site, table: Table, purpose: &str, version: u32) {
    let name = match version {
        1 => table.name().to_owned(),
        _ => format!("{} {version}", table.name()),
    };
    keyed(site, purpose, version, &name);
}

/// Gives a site the key of that name.
fn keyed(site: &Site, purpose: &str, version: u32, name: &str) {
    let key = format!("attack suite {purpose} {name}");
    let key = STANDARD.encode(Sha256::digest(key));
    site.write(
        &format!("keys/{purpose}.v{version}.key"),
        &format!("lockgate-key:v1:{purpose}:{key}\n"),
    );
}

/// Records every grant as signed, each with an index of its own, before the first is.
pub fn issue(site: &Site, issued: usize) {
    let mut draw = Draw::of(&["indices"]);
    let mut seen = BTreeSet::new();
    let mut events = Vec::with_capacity(issued);
    while events.len() < issued {
        let drawn = draw.bits();
        if !seen.insert(index_of(drawn)) {
            continue;
        }
        events.push(Event::GrantSigned {
            grant: grant_id(events.len()),
            version: 1,
            recipient: RECIPIENT.to_owned(),
            grant_index: drawn,
            approver: APPROVER.to_owned(),
            approval_sha256: "00".repeat(32),
            about: None,
        });
    }
    append(site, &events);
}

/// Records that deliveries of the other grants are marked too, as those that were last made are.
pub fn begin(site: &Site, table: Table, others: Range<usize>) {
    let installation = open(site);
    let history = history(&installation);
    let mut begun = history.iter().filter(|entry| {
        matches!(&entry.event, Event::MarkingBegun { dataset, .. } if dataset == table.name())
    });
    let latest = &begun.next_back().expect("marks have begun").event;
    let markings = markings(&history, table.name());
    let key = &markings.last().expect("marks have begun").key;
    let delivered = markings.iter().filter(|of| of.key == *key).count();
    assert_eq!(delivered, others.start, "a marking of each delivery");
    let events: Vec<Event> = others
        .map(|number| {
            let mut event = latest.clone();
            if let Event::MarkingBegun {
                grant, grant_index, ..
            } = &mut event
            {
                *grant = grant_id(number);
                *grant_index = history
                    .grant_index(grant, RECIPIENT)
                    .expect("an issued grant");
            }
            event
        })
        .collect();
    append(site, &events);
}

fn append(site: &Site, events: &[Event]) {
    if events.is_empty() {
        return;
    }
    let installation = open(site);
    let ledger = installation.ledger().expect("a ledger");
    ledger
        .append_all(events, installation.clock.now())
        .expect("entries that can be written");
}

/// The fields that carry, as `plan` lists them.
#[must_use]
pub fn carriers_of(marks: &Value) -> Vec<Carrier> {
    let fields = marks["fields"].as_array().expect("marked fields");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    fields
        .iter()
        .map(|field| Carrier {
            field: text(&field["field"]),
            found_by: text(&field["found_by"]),
            anchor: field["anchor"]
                .as_array()
                .expect("an anchor")
                .iter()
                .map(text)
                .collect(),
        })
        .collect()
}

/// A leak as a table of the types of its source.
fn in_types_of(sheet: &Sheet, like: &RecordBatch) -> RecordBatch {
    let batch = sheet.batch();
    let schema = like.schema();
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name()).expect("a column");
        arrow::compute::cast(column, field.data_type()).expect("values of the type")
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).expect("columns of one length")
}
