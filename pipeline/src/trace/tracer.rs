//! Everything a trace of one dataset needs, read once: keys, schemes, candidates.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::format::found::FoundTable;
use lockgate_connectors::keyring::{KeyringError, Purpose};
use lockgate_transforms::marks::embed::Marker;
use lockgate_transforms::marks::key::{GrantIndex, MarkKey};
use lockgate_transforms::marks::predict::Readable;
use lockgate_transforms::marks::score::{Votes, ln_presence};

use super::Request;
use super::columns::{Matching, Search};
use super::finding::{self, Finding, Grants, NamedVerdict, Presence, TagMatches, Traced};
use super::investigation::Earlier;
use super::pass::{self, Polled, Way};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::LedgerReader;
use crate::marks::record::{check_not_lost, unrecorded};
use crate::marks::{KeyCommitment, Marking, Scheme, markings, read_scheme};
use crate::site::FieldType;

/// Most hypotheses that are traced side by side: those that show most marks.
const TRACED_MAX: usize = 8;

/// Everything a trace of one dataset needs.
#[derive(Debug)]
pub struct Tracer {
    dataset: String,
    keys: Vec<HeldKey>,
    hypotheses: Vec<Hypothesis>,
    catalogued: BTreeMap<String, Catalogued>,
    earlier: Earlier,
    notes: Vec<String>,
}

/// A key that is at hand and opens its commitment, with those it marked for.
#[derive(Debug)]
struct HeldKey {
    commitment: KeyCommitment,
    key: MarkKey,
    /// In ascending order, none twice.
    candidates: Vec<GrantIndex>,
    grants: Grants,
}

/// A key with a scheme.
#[derive(Debug)]
pub(super) struct Hypothesis {
    /// Its place among the keys.
    pub(super) key: usize,
    pub(super) scheme: Scheme,
    sha256: String,
}

/// What the catalogue says of a field today, where it still has the dataset.
#[derive(Debug, Default)]
pub(super) struct Catalogued {
    pub(super) title: Option<String>,
    /// As the catalogue writes it.
    pub(super) data_type: String,
}

impl Tracer {
    /// Reads what ledger, keyring and state have on the dataset.
    ///
    /// # Errors
    /// A dataset none of whose deliveries was marked; a key that isn't the one committed to, or none
    /// that is left; a ledger or scheme that doesn't verify.
    pub fn open(installation: &Installation, dataset: &str) -> Result<Self, RunError> {
        check_not_lost(&installation.state(), &installation.ledger_dir())?;
        let signers = installation.keyring().verifying_keys(Purpose::Ledger)?;
        let history = LedgerReader::open(&installation.ledger_dir(), Some(&signers))?.entries()?;
        let markings = markings(&history, dataset);
        let unrecorded = unrecorded(&installation.state(), &history, dataset);
        if markings.is_empty() {
            return Err(match unrecorded {
                Some(sha256) => RunError::Unverified {
                    what: unrecorded_text(&sha256, dataset),
                },
                None => nothing_marked(installation, dataset),
            });
        }
        let mut tracer = Self {
            dataset: dataset.to_owned(),
            keys: Vec::new(),
            hypotheses: Vec::new(),
            catalogued: catalogued(installation, dataset),
            earlier: Earlier::of(&history, dataset),
            notes: unrecorded
                .map(|sha256| unrecorded_text(&sha256, dataset))
                .into_iter()
                .collect(),
        };
        tracer.hold_keys(installation, &markings)?;
        tracer.read_schemes(installation, &markings)?;
        Ok(tracer)
    }

    /// The dataset.
    pub fn dataset(&self) -> &str {
        &self.dataset
    }

    /// Indices that are held against a leak, under all keys.
    pub fn candidates(&self) -> usize {
        let all = self.keys.iter().flat_map(|held| &held.candidates);
        all.collect::<BTreeSet<_>>().len()
    }

    /// Traces of the dataset that the ledger knew of when it was read.
    pub(super) fn earlier(&self) -> Earlier {
        self.earlier
    }

    /// Whether a leak can be examined at all: read to its end, with columns that can be told apart, and
    /// with those that the operator names.
    ///
    /// # Errors
    /// As [`examine`](Self::examine), but for what only matching shows.
    pub fn check(
        &self,
        table: &FoundTable,
        given: &BTreeMap<String, String>,
    ) -> Result<(), RunError> {
        let sample = pass::sample(table)?;
        self.search(table, &sample, given).map(drop)
    }

    fn search<'a>(
        &'a self,
        table: &'a FoundTable,
        sample: &'a RecordBatch,
        given: &'a BTreeMap<String, String>,
    ) -> Result<Search<'a>, RunError> {
        let search = Search::new(&self.catalogued, table, sample, given)?;
        search.check_fields(self.hypotheses.iter().map(|of| &of.scheme))?;
        Ok(search)
    }

    /// Holds a leak against every candidate. Nothing is written; the work is done on the current
    /// rayon pool.
    ///
    /// # Errors
    /// A leak that can't be read, or none of whose columns can be a marked field; a request that
    /// names a field or column that isn't there.
    pub fn examine(&self, table: &FoundTable, request: &Request) -> Result<Finding, RunError> {
        let sample = pass::sample(table)?;
        let mut search = self.search(table, &sample, &request.columns)?;
        let mut matchings = Vec::new();
        for (at, hypothesis) in self.hypotheses.iter().enumerate() {
            let key = self.held(hypothesis)?.key.of_suite(hypothesis.scheme.suite);
            if let Some(found) = search.matching(at, hypothesis, &key)? {
                matchings.push(found);
            }
        }
        let ln_tried = search.ln_tried() + finding::real(self.looked_at()).ln();
        let threshold = ln_tried - request.standard(1, 1).error.ln();
        let chosen = self.chosen(matchings, threshold);
        if chosen.is_empty() {
            return Err(no_columns());
        }
        let ways = chosen.iter().map(|of| self.way(of));
        let ways = ways.collect::<Result<Vec<_>, _>>()?;
        let polled = pass::poll(table, &ways)?;
        self.judged(request, &chosen, &ways, &polled, threshold)
    }

    fn looked_at(&self) -> u64 {
        u64::try_from(self.hypotheses.len()).unwrap_or(u64::MAX)
    }

    fn held(&self, hypothesis: &Hypothesis) -> Result<&HeldKey, RunError> {
        self.keys.get(hypothesis.key).ok_or_else(lost)
    }

    /// The hypotheses to trace: those that show marks, but for those that see nothing that another
    /// doesn't see; where none shows any, the likeliest.
    fn chosen(&self, mut matchings: Vec<Matching>, threshold: f64) -> Vec<Matching> {
        matchings.sort_by(|one, other| other.likelihood.total_cmp(&one.likelihood));
        let mut chosen: Vec<Matching> = Vec::new();
        for matching in matchings {
            let is_first = chosen.is_empty();
            let shows = matching.ln_presence >= threshold || matching.has_tags;
            let is_within = chosen.iter().any(|of| self.sees_all_of(of, &matching));
            if is_first || shows && !is_within && chosen.len() < TRACED_MAX {
                chosen.push(matching);
            }
        }
        // Where one shows marks, it comes before whatever was only likelier by its names.
        chosen.sort_by(|one, other| other.ln_presence.total_cmp(&one.ln_presence));
        if chosen.first().is_some_and(|of| of.ln_presence >= threshold) {
            chosen.retain(|of| of.ln_presence >= threshold || of.has_tags);
        }
        chosen
    }

    /// Whether every mark that one of two hypotheses sees is seen by the `wider` one, too.
    fn sees_all_of(&self, wider: &Matching, other: &Matching) -> bool {
        let of = |matching: &Matching| self.hypotheses.get(matching.hypothesis);
        match (of(wider), of(other)) {
            (Some(one), Some(two))
                if one.key == two.key && one.scheme.suite == two.scheme.suite =>
            {
                other.sees.iter().all(|sight| wider.sees.contains(sight))
            }
            _ => false,
        }
    }

    fn way<'a>(&self, matching: &'a Matching) -> Result<Way<'a>, RunError> {
        let hypothesis = self.hypotheses.get(matching.hypothesis).ok_or_else(lost)?;
        let names: Vec<&str> = matching
            .columns
            .iter()
            .map(|of| of.field.as_str())
            .collect();
        let key = &self.held(hypothesis)?.key;
        Ok(Way {
            marker: marker(&hypothesis.scheme, key, &names)?,
            matched: &matching.columns,
        })
    }

    /// Scores every candidate under every hypothesis that was traced.
    fn judged(
        &self,
        request: &Request,
        chosen: &[Matching],
        ways: &[Way<'_>],
        polled: &Polled,
        presence_from: f64,
    ) -> Result<Finding, RunError> {
        let count = u64::try_from(chosen.len()).unwrap_or(u64::MAX);
        let mut held_to = Vec::with_capacity(chosen.len());
        for matching in chosen {
            let hypothesis = self.hypotheses.get(matching.hypothesis).ok_or_else(lost)?;
            let held = self.held(hypothesis)?;
            let issued = u64::try_from(held.candidates.len()).unwrap_or(u64::MAX);
            held_to.push((hypothesis, held, request.standard(issued, count)));
        }
        // Where ε is large, a grant is accused by less than makes it suspect.
        let certain_from = held_to
            .iter()
            .map(|(_, _, standard)| standard.suspect_from().min(standard.accused_from()))
            .fold(f64::INFINITY, f64::min);
        let (mut traced, mut verdicts) = (Vec::new(), Vec::new());
        let seen = chosen.iter().zip(ways.iter().zip(&polled.votes));
        for ((matching, (way, votes)), (hypothesis, held, standard)) in seen.zip(held_to) {
            let scores = finding::scored(votes, way.marker.code(), &held.candidates);
            let place = traced.len();
            verdicts.extend(finding::named(
                &scores,
                &held.grants,
                certain_from,
                &standard,
                place,
            ));
            traced.push(Traced {
                key: held.commitment.clone(),
                scheme_sha256: hypothesis.sha256.clone(),
                matched: matching.columns.clone(),
                issued: standard.issued,
                counts: votes.counts(),
                ties: votes.ties(),
                tags: votes.tags().total(),
                presence: presence(votes, presence_from),
                accused_from: standard.accused_from(),
            });
        }
        let mut verdicts = finding::shown(verdicts);
        for verdict in &mut verdicts {
            if let Some((way, votes)) = ways.iter().zip(&polled.votes).nth(verdict.hypothesis) {
                let counts = votes
                    .tags()
                    .counts(way.marker.code(), GrantIndex(verdict.index));
                verdict.tags = counts.into_iter().map(TagMatches::of).collect();
            }
        }
        if request.exact {
            finding::with_p_values(&mut verdicts, &traced);
        }
        let first = ways.iter().zip(&polled.votes).next().ok_or_else(lost)?;
        let of_row = finding::of_row(first.1, first.0.marker.code(), polled.rows);
        self.found(request, (polled, &of_row), traced, verdicts)
    }

    fn found(
        &self,
        request: &Request,
        (polled, of_row): (&Polled, &[Readable]),
        traced: Vec<Traced>,
        verdicts: Vec<NamedVerdict>,
    ) -> Result<Finding, RunError> {
        let first = traced.first().ok_or_else(lost)?;
        let carriers = first.counts.iter().sum();
        let is_anyone = finding::is_anyone_accused(&verdicts);
        let standard = request.standard(first.issued, u64::try_from(traced.len()).unwrap_or(1));
        Ok(Finding {
            more_rows: match is_anyone {
                true => None,
                false => finding::more_rows(of_row, polled.rows, &standard),
            },
            verdicts,
            presence: Presence {
                is_ours: first.presence.is_ours || is_anyone,
                ..first.presence
            },
            carriers,
            tags: first.tags,
            counts: first.counts,
            ties: first.ties,
            candidates: u64::try_from(self.candidates()).unwrap_or(u64::MAX),
            accused_from: first.accused_from,
            matched: first.matched.clone(),
            rows: polled.rows,
            irregular: polled.irregular,
            looked_at: self.looked_at(),
            notes: self
                .notes
                .iter()
                .cloned()
                .chain(contradicting(polled))
                .collect(),
            traced,
        })
    }

    /// Takes every key that is at hand; one that isn't is noted, unless none is.
    fn hold_keys(
        &mut self,
        installation: &Installation,
        markings: &[Marking],
    ) -> Result<(), RunError> {
        let mut missing = None;
        let mut places: Vec<(&KeyCommitment, Option<usize>)> = Vec::new();
        for marking in markings {
            let known = places.iter().find(|(known, _)| **known == marking.key);
            let place = match known {
                Some((_, place)) => *place,
                None => {
                    let place = match hold(installation, &marking.key)? {
                        Ok(key) => {
                            self.keys.push(key);
                            Some(self.keys.len() - 1)
                        }
                        Err(error) => {
                            self.notes.push(format!(
                                "deliveries marked by version {} of the key `mark` can't be traced: \
                                 its file is gone",
                                marking.key.key_version
                            ));
                            missing = Some(error);
                            None
                        }
                    };
                    places.push((&marking.key, place));
                    place
                }
            };
            if let Some(held) = place.and_then(|place| self.keys.get_mut(place)) {
                let grants = held.grants.entry(marking.index).or_default();
                grants.insert((marking.grant.clone(), marking.recipient.clone()));
            }
        }
        for held in &mut self.keys {
            held.candidates = held.grants.keys().copied().collect();
        }
        match missing {
            Some(error) if self.keys.is_empty() => Err(error.into()),
            Some(_) | None => Ok(()),
        }
    }

    /// Reads every scheme of a key that is at hand, those that began last first.
    fn read_schemes(
        &mut self,
        installation: &Installation,
        markings: &[Marking],
    ) -> Result<(), RunError> {
        let mut seen = BTreeSet::new();
        for marking in markings.iter().rev() {
            let mut keys = self.keys.iter();
            let key = keys.position(|held| held.commitment == marking.key);
            let Some(key) = key else { continue };
            if !seen.insert((key, &marking.scheme_sha256)) {
                continue;
            }
            let sha256 = &marking.scheme_sha256;
            let scheme = read_scheme(&installation.state(), sha256)?;
            let is_of_key = scheme.dataset == self.dataset
                && scheme.epoch == marking.key.epoch
                && scheme.key_version == marking.key.key_version;
            if !is_of_key {
                return Err(RunError::Unverified {
                    what: format!(
                        "the scheme of marks {sha256} is of another dataset or key than the ledger \
                         says; run `lockgate ledger verify`"
                    ),
                });
            }
            self.hypotheses.push(Hypothesis {
                key,
                scheme,
                sha256: sha256.clone(),
            });
        }
        Ok(())
    }
}

/// The key that was committed to; where its file is gone, the error that says so.
fn hold(
    installation: &Installation,
    commitment: &KeyCommitment,
) -> Result<Result<HeldKey, ConnectorError>, RunError> {
    let KeyCommitment {
        dataset,
        epoch,
        key_version,
        ..
    } = commitment;
    let key = match installation.mark_key_of(dataset, *epoch, *key_version) {
        Ok(key) => key,
        Err(RunError::Connector(
            error @ ConnectorError::Keyring(
                KeyringError::Missing { .. } | KeyringError::MissingVersion { .. },
            ),
        )) => return Ok(Err(error)),
        Err(error) => return Err(error),
    };
    if !key.opens(&commitment.commitment, &commitment.salt) {
        return Err(RunError::Unverified {
            what: format!(
                "key `mark` of version {key_version} isn't the one that the ledger has a commitment \
                 to for dataset `{dataset}`: nothing that it names would count; put the right key \
                 file back"
            ),
        });
    }
    Ok(Ok(HeldKey {
        commitment: commitment.clone(),
        key,
        candidates: Vec::new(),
        grants: BTreeMap::new(),
    }))
}

/// That tags contradict each other, if some do.
fn contradicting(polled: &Polled) -> Option<String> {
    let ties = polled.votes.first()?.tags().ties();
    (ties > 0).then(|| {
        format!(
            "{ties} pseudonyms come with tags that contradict each other, of which none counts; trace \
             parts of the file"
        )
    })
}

/// The marker of a scheme for columns that hold these fields.
pub(super) fn marker(scheme: &Scheme, key: &MarkKey, names: &[&str]) -> Result<Marker, RunError> {
    let marker = scheme.marker(key, names);
    marker.map_err(|error| RunError::internal("the scheme of marks", &error))
}

/// Whether votes are of the dataset's data.
pub(super) fn presence(votes: &Votes, threshold: f64) -> Presence {
    let ln_e = ln_presence(&votes.counts());
    Presence {
        ln_e,
        threshold,
        is_ours: ln_e >= threshold,
    }
}

fn nothing_marked(installation: &Installation, dataset: &str) -> RunError {
    let datasets = &installation.site.datasets;
    let (what, remedy) = match datasets.contains_key(dataset) {
        true => (
            format!("no delivery of dataset `{dataset}` was ever marked, so none can be traced"),
            "declare in its catalogue entry what marks may move; see `lockgate plan GRANT`"
                .to_owned(),
        ),
        false => (
            format!("there is no dataset `{dataset}`, and the ledger knows of no marks of one"),
            match datasets.keys().next() {
                Some(first) => format!("name a dataset of the catalogue, such as `{first}`"),
                None => "name a dataset of the catalogue".to_owned(),
            },
        ),
    };
    RunError::Invalid {
        what,
        at: "--dataset".to_owned(),
        remedy,
    }
}

/// That the ledger doesn't know of a scheme that is kept.
fn unrecorded_text(sha256: &str, dataset: &str) -> String {
    format!(
        "the ledger knows of no delivery of dataset `{dataset}` by the scheme of marks \
         state/marks/{sha256}.json: unless a run was interrupted before its first delivery, state/ledger \
         is not the one that was there, and what left by that scheme can't be traced; put it back from a \
         copy of the site's state"
    )
}

fn no_columns() -> RunError {
    RunError::Invalid {
        what: "no column of the file can be one of the dataset's marked fields".to_owned(),
        at: "the leak".to_owned(),
        remedy: "see that --encoding, --delimiter, --sheet and --no-header fit the file, or name \
                 its columns by --column FIELD=COLUMN"
            .to_owned(),
    }
}

fn lost() -> RunError {
    RunError::Internal {
        what: "a hypothesis of the trace is not there".to_owned(),
    }
}

fn catalogued(installation: &Installation, dataset: &str) -> BTreeMap<String, Catalogued> {
    let dataset = installation.site.datasets.get(dataset);
    let fields = dataset.into_iter().flat_map(|dataset| &dataset.fields);
    fields
        .map(|field| {
            let catalogued = Catalogued {
                title: field.title.clone(),
                data_type: field.data_type.clone(),
            };
            (field.name.clone(), catalogued)
        })
        .collect()
}

impl Catalogued {
    /// The Arrow type; none where it can't be read.
    pub(super) fn arrow_type(&self) -> Option<DataType> {
        let of_type = FieldType::parse(&self.data_type).ok()?;
        Some(of_type.to_arrow())
    }
}
