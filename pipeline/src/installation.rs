//! An installation: a site with its keyring, its ledger and its clock, and what can be made of
//! them. Commands start here, so that `plan`, `preview`, `run` and `grant sign` see the same.

mod keyring;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Field, Schema, SchemaRef};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDate;
use chrono_tz::Tz;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::format::parquet::encryption::SourceKeys;
use lockgate_connectors::keyring::{KeyProvider, MasterKey, Purpose};
use lockgate_connectors::publish::Destination;
use lockgate_connectors::source::{ReadRequest, Source, SourceSpec, open_source};
use lockgate_connectors::store::{Store, StoreConfig};
use lockgate_connectors::{CsvOptions, Format};
use lockgate_transforms::marks::key::MarkKey;
use lockgate_transforms::{Column, DerivedKey, KeyUse, Keys, Misfit, Read, Row, RowField};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::engine::{Budget, ColumnTreatment, Digester, RowRead};
use crate::error::RunError;
use crate::ledger::{History, Ledger};
use crate::life;
use crate::marks::record::check_not_lost;
use crate::marks::rounding_of;
use crate::plan::predicate::Condition;
use crate::plan::row_filter::RowFilter;
use crate::plan::{Compiled, ExchangePlan, Projection, QuotaUse, Refusal, RefusalCode};
use crate::site::dataset::{Mode, SourceDecryption, SourceFormat};
use crate::site::lockgate_toml::{SecretRef, StoreSection};
use crate::site::units::parse_memory;
use crate::site::{FieldType, Site};
use crate::vault::Vaults;

/// Directory of the program's own state, within the site.
const STATE: &str = "state";

/// Rows of a batch read from a source, where the site does not say. Larger ones cost memory (each
/// row group in flight decodes some ahead) and were not faster.
const BATCH_ROWS: usize = 4096;

/// Domain of the key that digests of contents are made with.
const CONTENT_DOMAIN: &str = "content-digest";

/// Memory a run may plan with, where the site does not say.
const MEMORY: u64 = 512 << 20;

/// What one split in flight takes beside the row group as read: one being encoded, and the batches
/// between, which are bounded by bytes.
const LANE_MEMORY: u64 = 128 << 20;

/// A site and what belongs to it.
#[derive(Debug)]
pub struct Installation {
    /// The site's files.
    pub site: Site,
    /// Where the time comes from.
    pub clock: Clock,
    /// The keyring, once it was asked for: opening it takes its time.
    keyring: OnceLock<Arc<dyn KeyProvider>>,
}

impl Installation {
    /// The installation of a site.
    #[must_use]
    pub fn of(site: Site, clock: Clock) -> Self {
        Self {
            site,
            clock,
            keyring: OnceLock::new(),
        }
    }

    /// Loads the site at `root`.
    ///
    /// # Errors
    /// No site there, or a `lockgate.toml` that cannot be used.
    pub fn open(root: &Path, clock: Clock) -> Result<Self, RunError> {
        Ok(Self::of(Site::load(root)?, clock))
    }

    /// The program's own directory.
    pub fn state(&self) -> PathBuf {
        self.site.root.join(STATE)
    }

    /// Directory of the ledger.
    pub fn ledger_dir(&self) -> PathBuf {
        self.state().join("ledger")
    }

    /// The site's ledger, to append to.
    ///
    /// # Errors
    /// No key to sign it with, or a ledger that does not verify, or is gone though marked deliveries
    /// left; a keyring that is older than the ledger knows.
    pub fn ledger(&self) -> Result<Ledger, RunError> {
        let ledger = self.open_ledger()?;
        // A change that whoever made it could not record is recorded now.
        self.record_found(&ledger)?;
        Ok(ledger)
    }

    /// As [`Self::ledger`]; what is recorded of a keyring that changed since.
    pub(crate) fn ledger_recording(&self, what: &str) -> Result<Ledger, RunError> {
        let ledger = self.open_ledger()?;
        self.record_keyring(&ledger, what)?;
        Ok(ledger)
    }

    fn open_ledger(&self) -> Result<Ledger, RunError> {
        check_not_lost(&self.state(), &self.ledger_dir())?;
        let keyring = self.keyring();
        let key = keyring.signing_key(Purpose::Ledger)?;
        let earlier = keyring.verifying_keys(Purpose::Ledger)?;
        Ok(Ledger::open_accepting(&self.ledger_dir(), key, &earlier)?)
    }

    /// The calendar day in the site's zone.
    ///
    /// # Errors
    /// A zone that is not known.
    pub fn today(&self) -> Result<NaiveDate, RunError> {
        Ok(self.clock.today(self.zone()?))
    }

    /// The site's zone.
    pub(crate) fn zone(&self) -> Result<Tz, RunError> {
        let name = &self.site.file.site.timezone;
        name.parse().map_err(|_| RunError::Invalid {
            what: format!("unknown time zone `{name}`"),
            at: "lockgate.toml, site.timezone".to_owned(),
            remedy: "write an IANA name such as Asia/Shanghai".to_owned(),
        })
    }

    /// The way of delivery to show a grant in: batch, or the first it allows.
    pub fn mode_to_show(&self, grant: &str) -> Mode {
        let modes = self
            .site
            .grants
            .get(grant)
            .map_or(&[][..], |grant| &grant.modes);
        match modes.first() {
            Some(first) if !modes.contains(&Mode::Batch) => *first,
            _ => Mode::Batch,
        }
    }

    /// Compiles a grant as of today.
    ///
    /// # Errors
    /// A grant that does not exist, or problems in the files it uses.
    pub fn compile(&self, grant: &str, mode: Mode) -> Result<Compiled, RunError> {
        let history = self.history()?;
        let request = crate::plan::CompileRequest {
            grant,
            mode,
            today: self.today()?,
            quota: used_of(&history, grant),
        };
        let mut compiled = crate::plan::compile(&self.site, &request)?;
        // What the ledger says of the grant's life, whatever its files say.
        let signature = compiled.signature.as_ref();
        let standing = life::refusals(self, &history, &compiled.plan, signature);
        compiled.refusals.extend(standing);
        Ok(compiled)
    }

    /// How much of a grant's quota is used. A site without a ledger has delivered nothing.
    ///
    /// # Errors
    /// A ledger that cannot be read.
    pub fn quota_use(&self, grant: &str) -> Result<QuotaUse, RunError> {
        Ok(used_of(&self.history()?, grant))
    }

    /// Opens a store of `lockgate.toml`.
    ///
    /// # Errors
    /// A store that is not listed, a secret that cannot be found, a URL that cannot be used.
    pub fn store(&self, name: &str) -> Result<Store, RunError> {
        let section = self
            .site
            .file
            .stores
            .get(name)
            .ok_or_else(|| RunError::Invalid {
                what: format!("there is no store `{name}`"),
                at: "lockgate.toml".to_owned(),
                remedy: format!("add [stores.{name}] with its url"),
            })?;
        Ok(Store::open(&self.store_config(section)?)?)
    }

    fn store_config(&self, section: &StoreSection) -> Result<StoreConfig, RunError> {
        let root = &self.site.root;
        let secret = |reference: &Option<SecretRef>| {
            reference
                .as_ref()
                .map(|reference| reference.resolve(root))
                .transpose()
        };
        Ok(StoreConfig {
            url: section.url.clone(),
            base: root.clone(),
            endpoint: section.endpoint.clone(),
            region: section.region.clone(),
            access_key_id: secret(&section.access_key_id)?,
            secret_access_key: secret(&section.secret_access_key)?,
            allow_http: section.allow_http,
        })
    }

    /// Where a run delivers: `output`, or the site's delivery store.
    ///
    /// # Errors
    /// No delivery store, or one that cannot be opened.
    pub fn destination(&self, output: Option<&Path>) -> Result<Destination, RunError> {
        let store =
            match output {
                Some(directory) => directory_store(directory)?,
                None => {
                    let name = self.site.file.delivery.store.as_ref().ok_or_else(|| {
                        RunError::Invalid {
                            what: "the site names no store for deliveries".to_owned(),
                            at: "lockgate.toml".to_owned(),
                            remedy: "set store in [delivery], or pass --output DIR".to_owned(),
                        }
                    })?;
                    self.store(name)?
                }
            };
        Ok(Destination::new(store))
    }

    /// Opens a plan's source: lists its files, checks their schema, decides which rows are read.
    ///
    /// # Errors
    /// A source that cannot be reached, or that does not hold what the catalogue says.
    pub async fn open_source(
        &self,
        plan: &ExchangePlan,
        filter: &RowFilter,
        projection: &Projection,
    ) -> Result<Arc<dyn Source>, RunError> {
        let store = plan.source.store.as_deref().unwrap_or_default();
        let spec = SourceSpec {
            store: self.store(store)?,
            path: plan.source.path.clone().unwrap_or_default(),
            format: self.source_format(&plan.source)?,
            fields: source_schema(plan)?,
        };
        let batch_rows = self
            .site
            .file
            .limits
            .batch_rows
            .unwrap_or(BATCH_ROWS)
            .max(1);
        let pruning = filter.pruning(&spec.fields);
        match open_source(
            spec,
            ReadRequest {
                projection: projection.columns().to_vec(),
                pruning,
                batch_rows,
            },
        )
        .await
        {
            Err(error @ ConnectorError::Schema { .. }) => Err(RunError::Refused(vec![Refusal {
                code: RefusalCode::Schema,
                field: None,
                reason: error.to_string(),
                basis: None,
            }])),
            opened => Ok(opened?),
        }
    }

    fn source_format(&self, source: &crate::site::Source) -> Result<Format, RunError> {
        match (source.format, &source.decryption) {
            (Some(SourceFormat::Parquet) | None, Some(decryption)) => {
                self.source_keys(decryption).map(Format::EncryptedParquet)
            }
            (Some(SourceFormat::Parquet) | None, None) => Ok(Format::Parquet),
            (Some(SourceFormat::Csv), _) => csv_options(source).map(Format::Csv),
        }
    }

    /// The keys of a source that its provider encrypts.
    fn source_keys(&self, decryption: &SourceDecryption) -> Result<SourceKeys, RunError> {
        let key = |reference: &SecretRef| {
            let text = reference.resolve(&self.site.root)?;
            let decoded = STANDARD.decode(text.trim()).map(Zeroizing::new);
            decoded.map_err(|_| RunError::Invalid {
                what: "a key of the source is not base64".to_owned(),
                at: "the dataset's source.decryption".to_owned(),
                remedy: "give 16 or 32 bytes in padded base64".to_owned(),
            })
        };
        let columns = decryption
            .columns
            .iter()
            .map(|(path, reference)| Ok((path.clone(), key(reference)?)))
            .collect::<Result<BTreeMap<_, _>, RunError>>()?;
        let footer = key(&decryption.footer_key)?;
        let prefix = decryption.aad_prefix.as_deref();
        Ok(SourceKeys::new(&footer, &columns, prefix)?)
    }

    /// The filter of a plan's rows.
    ///
    /// # Errors
    /// A predicate that does not fit the dataset's fields.
    pub fn row_filter(&self, plan: &ExchangePlan) -> Result<RowFilter, RunError> {
        RowFilter::new(&plan.rows, &source_schema(plan)?).map_err(|error| RunError::Predicate {
            what: error.to_string(),
            file: String::new(),
            row: None,
        })
    }

    /// The store that a URL lies in: one of the site's, or the file system; `None` for a URL of
    /// another kind. The store's root is the URL itself.
    ///
    /// # Errors
    /// A secret that cannot be found, a URL that cannot be used.
    pub fn store_of_url(&self, url: &str) -> Result<Option<Store>, RunError> {
        if url.starts_with("file:") {
            return Ok(Some(Store::open(&StoreConfig::new(url, &self.site.root))?));
        }
        for section in self.site.file.stores.values() {
            let base = section.url.trim_end_matches('/');
            if url == base
                || url
                    .strip_prefix(base)
                    .is_some_and(|rest| rest.starts_with('/'))
            {
                let config = StoreConfig {
                    url: url.to_owned(),
                    ..self.store_config(section)?
                };
                return Ok(Some(Store::open(&config)?));
            }
        }
        Ok(None)
    }

    /// The treatments of a plan, keys and vaults in place, in the order of delivery, of rows that
    /// are read with `projection`.
    ///
    /// # Errors
    /// A missing key; a treatment that does not fit after all.
    pub fn treatments(
        &self,
        plan: &ExchangePlan,
        projection: &Projection,
        vaults: &Vaults,
    ) -> Result<Vec<ColumnTreatment>, RunError> {
        let keyring = self.keyring();
        let schema = source_schema(plan)?;
        let fields: Vec<RowField<'_>> = schema
            .fields()
            .iter()
            .zip(&plan.source_fields)
            .map(|(field, source)| RowField {
                name: field.name(),
                data_type: field.data_type(),
                category: &source.category,
            })
            .collect();
        plan.fields
            .iter()
            .zip(projection.delivered())
            .map(|(field, own)| {
                let uses = field.treatment.key_uses();
                let mut versions = BTreeMap::new();
                let mut derived = Vec::with_capacity(uses.len());
                for used in uses {
                    let (key, version) = self.derived_key(keyring.as_ref(), plan, &used)?;
                    versions.insert(used.purpose, version);
                    derived.push((used, key));
                }
                let keys: Vec<(KeyUse, &DerivedKey)> = derived
                    .iter()
                    .map(|(used, key)| (used.clone(), key))
                    .collect();
                let data_type = arrow_type(&field.name, &field.source_type)?;
                let column = Column {
                    name: &field.name,
                    data_type: &data_type,
                    category: &field.category,
                    row: Row(&fields),
                };
                let invalid = |misfit: Misfit| RunError::Invalid {
                    what: misfit.to_string(),
                    at: format!("field {}", field.name),
                    remedy: misfit.hint.unwrap_or_default(),
                };
                let treatment = field
                    .treatment
                    .build_with(column, Keys::new(&keys).with_vaults(vaults))
                    .map_err(invalid)?;
                let dataset = self.site.datasets.get(&plan.dataset);
                let catalogued = dataset.and_then(|dataset| dataset.field(&field.name));
                let rounding = catalogued.map(|known| rounding_of(known, &field.treatment));
                let rounding = rounding.transpose().map_err(invalid)?.flatten();
                let reads = field.treatment.reads();
                let reads = reads.iter().map(|read| row_read(projection, &schema, read));
                Ok(ColumnTreatment::new(field.name.clone(), *own, treatment)
                    .rounded(rounding)
                    .keyed(versions)
                    .reading(reads.collect::<Result<_, RunError>>()?))
            })
            .collect()
    }

    /// The key of a treatment, derived for the grant or its join group, and its version.
    fn derived_key(
        &self,
        keyring: &dyn KeyProvider,
        plan: &ExchangePlan,
        used: &KeyUse,
    ) -> Result<(DerivedKey, u32), RunError> {
        let purpose: Purpose = used.purpose.parse().map_err(ConnectorError::from)?;
        let master = keyring.get(purpose, self.held_version(used.purpose)?)?;
        let scope = Self::scope(&plan.grant, used.join.as_deref());
        Ok((derive(&master, &used.domain, &scope), master.version))
    }

    /// The scope of keys and vaults: the join group, or the grant alone.
    pub(crate) fn scope(grant: &str, join: Option<&str>) -> String {
        match join {
            Some(group) => format!("join:{group}"),
            None => format!("grant:{grant}"),
        }
    }

    /// The key that seals the vaults of a domain and scope today, and its version.
    pub(crate) fn sealing_key(
        &self,
        domain: &str,
        scope: &str,
    ) -> Result<(DerivedKey, u32), RunError> {
        let master = self.sealing_master()?;
        Ok((derive(&master, domain, scope), master.version))
    }

    /// The version of the key that seals vaults today.
    pub(crate) fn sealing_version(&self) -> Result<u32, RunError> {
        Ok(self.sealing_master()?.version)
    }

    fn sealing_master(&self) -> Result<MasterKey, RunError> {
        let version = self.held_version(Purpose::Encryption.as_str())?;
        Ok(self.keyring().get(Purpose::Encryption, version)?)
    }

    /// The key of that version that seals the vaults of a domain and scope.
    pub(crate) fn sealing_key_of(
        &self,
        domain: &str,
        scope: &str,
        version: u32,
    ) -> Result<DerivedKey, RunError> {
        let master = self.keyring().get(Purpose::Encryption, Some(version))?;
        Ok(derive(&master, domain, scope))
    }

    /// The key of a dataset's marks in that epoch, and its version.
    pub(crate) fn mark_key(&self, dataset: &str, epoch: u32) -> Result<(MarkKey, u32), RunError> {
        let version = self.held_version(Purpose::Mark.as_str())?;
        let master = self.keyring().get(Purpose::Mark, version)?;
        let key = MarkKey::derive(master.expose(), dataset, epoch, master.version);
        Ok((key, master.version))
    }

    /// The key of a dataset's marks in that epoch, of that version: for whoever traces an older
    /// delivery.
    ///
    /// # Errors
    /// A key that isn't there.
    pub fn mark_key_of(
        &self,
        dataset: &str,
        epoch: u32,
        version: u32,
    ) -> Result<MarkKey, RunError> {
        let master = self.keyring().get(Purpose::Mark, Some(version))?;
        let version = master.version;
        Ok(MarkKey::derive(master.expose(), dataset, epoch, version))
    }

    /// What makes the digest of a plan's deliveries, under the key of today.
    ///
    /// # Errors
    /// A key that isn't there.
    pub(crate) fn digester(&self, plan: &ExchangePlan) -> Result<Option<Digester>, RunError> {
        let (key, version) = self.sealing_key(CONTENT_DOMAIN, &content_scope(&plan.grant))?;
        Digester::new(plan, &key, version).map(Some)
    }

    /// The same under the key of an earlier version.
    ///
    /// # Errors
    /// A key that isn't there.
    pub(crate) fn digester_of(
        &self,
        plan: &ExchangePlan,
        version: u32,
    ) -> Result<Digester, RunError> {
        let scope = content_scope(&plan.grant);
        let key = self.sealing_key_of(CONTENT_DOMAIN, &scope, version)?;
        Digester::new(plan, &key, version)
    }

    /// The older version of a purpose's key that the site holds on to today.
    fn held_version(&self, purpose: &str) -> Result<Option<u32>, RunError> {
        let today = self.today()?;
        let mut holds = self.site.file.keys.hold.iter();
        let held = holds.find(|(held, _)| held.as_str() == purpose);
        Ok(held
            .filter(|(_, hold)| today <= hold.until.0)
            .map(|(_, hold)| hold.version))
    }

    /// What a run over `source` may use of the machine.
    pub fn budget(&self, source: &dyn Source) -> Budget {
        let limits = &self.site.file.limits;
        let threads = match limits.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let memory = limits
            .memory
            .as_deref()
            .and_then(parse_memory)
            .unwrap_or(MEMORY);
        // A row group's columns are read whole, compressed, before the first batch.
        let largest = source.splits().iter().map(|split| split.held).max();
        let lane = LANE_MEMORY.saturating_add(largest.unwrap_or(0).saturating_mul(2));
        let lanes = usize::try_from(memory / lane).unwrap_or(usize::MAX);
        Budget {
            threads,
            lanes: lanes.clamp(1, threads.max(1)),
        }
    }
}

/// How much of a grant's quota a history says is used.
fn used_of(history: &History, grant: &str) -> QuotaUse {
    let (runs, rows) = history.quota_use().remove(grant).unwrap_or_default();
    QuotaUse { runs, rows }
}

/// The scope of the key of digests: neither a grant's nor a join group's, so that no treatment's key
/// is ever the same, whatever its domain.
fn content_scope(grant: &str) -> String {
    format!("content:{grant}")
}

/// The key derived for a domain and scope.
fn derive(master: &MasterKey, domain: &str, scope: &str) -> DerivedKey {
    let purpose = master.purpose.as_str();
    DerivedKey::derive(master.expose(), purpose, domain, scope, master.version)
}

/// Where a treatment finds what it reads: a column of the scan, or a condition over its rows.
fn row_read(projection: &Projection, schema: &SchemaRef, read: &Read) -> Result<RowRead, RunError> {
    match read {
        Read::Field(name) | Read::Entity(name) => projection
            .position(name)
            .map(RowRead::Column)
            .ok_or_else(|| RunError::Internal {
                what: format!("field `{name}`, which a treatment reads, is not scanned"),
            }),
        Read::Condition(text) => Condition::parse(text, schema)
            .map(RowRead::Condition)
            .map_err(|error| RunError::Predicate {
                what: error.to_string(),
                file: String::new(),
                row: None,
            }),
    }
}

/// A store for a directory named on the command line.
pub(crate) fn directory_store(directory: &Path) -> Result<Store, RunError> {
    let path = std::path::absolute(directory)
        .map_err(|error| RunError::internal("finding the directory", &error))?;
    let url = url::Url::from_directory_path(&path).map_err(|()| RunError::Invalid {
        what: format!("{} cannot be a destination", path.display()),
        at: "command line".to_owned(),
        remedy: "name a directory".to_owned(),
    })?;
    Ok(Store::open(&StoreConfig::new(url.to_string(), path))?)
}

/// Every field of the dataset, with its plain type, as the source must hold it.
fn source_schema(plan: &ExchangePlan) -> Result<SchemaRef, RunError> {
    let fields = plan
        .source_fields
        .iter()
        .map(|field| {
            Ok(Field::new(
                &field.name,
                arrow_type(&field.name, &field.data_type)?,
                true,
            ))
        })
        .collect::<Result<Vec<_>, RunError>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

fn arrow_type(field: &str, data_type: &str) -> Result<arrow::datatypes::DataType, RunError> {
    FieldType::parse(data_type)
        .map(|data_type| data_type.to_arrow())
        .map_err(|what| RunError::Invalid {
            what,
            at: format!("field {field}"),
            remedy: String::new(),
        })
}

fn csv_options(source: &crate::site::Source) -> Result<CsvOptions, RunError> {
    use lockgate_connectors::{Encoding, LeadingZeros, OnMalformed};

    use crate::site::dataset::{
        Encoding as Charset, LeadingZeros as Zeros, OnMalformed as Malformed,
    };

    let character = |key: &str, text: &Option<String>| {
        let Some(text) = text else { return Ok(None) };
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) if character.is_ascii() => Ok(Some(character)),
            _ => Err(RunError::Invalid {
                what: format!("{key} must be one ASCII character"),
                at: "the dataset's source".to_owned(),
                remedy: String::new(),
            }),
        }
    };
    let defaults = CsvOptions::default();
    Ok(CsvOptions {
        header: source.header.unwrap_or(defaults.header),
        delimiter: character("delimiter", &source.delimiter)?.unwrap_or(defaults.delimiter),
        quote: character("quote", &source.quote)?.or(defaults.quote),
        escape: character("escape", &source.escape)?,
        encoding: match source.encoding {
            Some(Charset::Gb18030) => Encoding::Gb18030,
            Some(Charset::Utf8) | None => Encoding::Utf8,
        },
        null: source.null.clone(),
        on_malformed: match source.on_malformed {
            Some(Malformed::Reject) => OnMalformed::Reject,
            Some(Malformed::Fail) | None => OnMalformed::Fail,
        },
        leading_zeros: match source.leading_zeros {
            Some(Zeros::Drop) => LeadingZeros::Drop,
            Some(Zeros::Malformed) | None => LeadingZeros::Malformed,
        },
    })
}
