//! From a grant to a plan: every rule that decides whether, and what of it, may leave.
//!
//! Compiling reports every refusal, not the first, and looks at no data. It is pure but for the
//! grant's signature, which it reads beside the grant; day and quota use are handed in. No argument
//! leaves a rule out: a plan comes out of [`Compiled::into_plan`] or not at all.

mod beside;
mod fields;
mod marks;
mod residual;
mod results;
mod reveal;
mod seal;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::SchemaRef;
use chrono::NaiveDate;
use thiserror::Error;

use super::predicate::PredicateErrorKind;
use super::row_filter::{RowFilter, RowFilterError};
use super::{
    Bundle, Compiled, ExchangePlan, FilterField, PlannedField, QuotaUse, Refusal, RefusalCode,
    Results, RowScope, SourceField, Warning,
};
use crate::approval::{self, SignatureState};
use crate::marks::Unmarked;
use crate::site::dataset::{Level, Mode, Sharing};
use crate::site::grant::Seal;
use crate::site::lockgate_toml::StoreSection;
use crate::site::{Dataset, FieldType, Grant, Loaded, Problem, Recipient, Site, nearest};
use fields::Resolved;
use lockgate_connectors::format::write::RowFormat;
use lockgate_connectors::keyring::PublicKey;
use lockgate_transforms::category;
use lockgate_transforms::facets::{self, Delivered};

/// Compression where the grant names none.
const COMPRESSION: &str = "zstd(1)";

/// What to compile, and what of the world it depends on.
#[derive(Debug, Clone, Copy)]
pub struct CompileRequest<'a> {
    /// Id of the grant.
    pub grant: &'a str,
    /// The way of delivery asked for.
    pub mode: Mode,
    /// Today, in the site's zone.
    pub today: NaiveDate,
    /// What the grant has used of its quota so far.
    pub quota: QuotaUse,
}

/// Files that cannot be used, so that there is nothing to refuse or allow (exit code 2).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// There is no such grant.
    #[error("there is no grant `{id}`{}", hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
    UnknownGrant {
        /// The id asked for.
        id: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Files that the grant uses have problems.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems {
        /// The problems, by file, line and column.
        problems: Vec<Problem>,
    },
}

/// Compiles a grant: the plan, everything that refuses it, everything worth knowing.
///
/// # Errors
/// The grant does not exist, or a file it uses (lockgate.toml, policy.toml, its own, its dataset's,
/// its recipient's) has a problem. Refusals are no errors: they come with the plan.
pub fn compile(site: &Site, request: &CompileRequest<'_>) -> Result<Compiled, CompileError> {
    let subject = Subject::find(site, request.grant)?;
    let draft = draft(&subject, request)?;
    let mut refusals = Vec::new();
    let mut signature = None;
    match approval::verify(site, subject.grant, &draft.plan) {
        SignatureState::Valid(valid) => {
            refusals.extend(draft.exemptions_without(&valid.approver));
            signature = Some(valid);
        }
        SignatureState::Unsigned { reason } => {
            refusals.push(Refusal::new(RefusalCode::Unsigned, reason));
        }
        SignatureState::Stale { changes } => {
            let reason = format!(
                "since it was signed: {}; have it signed again",
                changes.join("; ")
            );
            refusals.push(Refusal::new(RefusalCode::ApprovalStale, reason));
        }
    }
    refusals.extend(draft.refusals);
    let rows_left = subject
        .grant
        .quota
        .rows
        .map(|rows| rows.saturating_sub(request.quota.rows));
    Ok(Compiled {
        plan: draft.plan,
        refusals,
        warnings: draft.warnings,
        signature,
        rows_left,
        residuals: draft.residuals,
        results: draft.results,
        unmarked: draft.unmarked,
    })
}

/// What a compilation works on: files of the site that are there and have no problem.
pub(crate) struct Subject<'a> {
    pub(crate) site: &'a Site,
    pub(crate) grant: &'a Loaded<Grant>,
    pub(crate) dataset: &'a Loaded<Dataset>,
    recipient: &'a Loaded<Recipient>,
    store: &'a StoreSection,
    schema: SchemaRef,
}

impl<'a> Subject<'a> {
    /// Finds the grant and what it refers to.
    pub(crate) fn find(site: &'a Site, id: &str) -> Result<Self, CompileError> {
        let grant_file = format!("grants/{id}.toml");
        let Some(grant) = site.grants.get(id) else {
            let problems = cloned(site.problems_of(&[&grant_file]));
            if !problems.is_empty() {
                return Err(CompileError::Problems { problems });
            }
            let known = site.grants.keys().map(String::as_str);
            let hint = nearest(id, known).map(|near| format!("did you mean `{near}`?"));
            return Err(CompileError::UnknownGrant {
                id: id.to_owned(),
                hint,
            });
        };
        let dataset_file = format!("catalogue/{}.toml", grant.dataset);
        let recipient_file = format!("recipients/{}.toml", grant.recipient);
        let used = [
            &site.file.file,
            &site.policy.file,
            &grant.file,
            &dataset_file,
            &recipient_file,
        ];
        let problems = cloned(site.problems_of(&used.map(String::as_str)));
        if !problems.is_empty() {
            return Err(CompileError::Problems { problems });
        }
        let missing = |key: &str, what: &str| CompileError::Problems {
            problems: vec![grant.problem(&[key], format!("its {what} cannot be used"), None)],
        };
        let dataset = site
            .datasets
            .get(&grant.dataset)
            .ok_or_else(|| missing("dataset", "dataset"))?;
        let recipient = site
            .recipients
            .get(&grant.recipient)
            .ok_or_else(|| missing("recipient", "recipient"))?;
        let store = dataset
            .source
            .store
            .as_ref()
            .and_then(|name| site.file.stores.get(name));
        let store = store.ok_or_else(|| missing("dataset", "dataset's source"))?;
        let schema = dataset
            .schema()
            .ok_or_else(|| missing("dataset", "dataset's fields"))?;
        Ok(Self {
            site,
            grant,
            dataset,
            recipient,
            store,
            schema,
        })
    }

    /// A problem at a place in the grant.
    fn problem(&self, path: &[&str], what: String, hint: Option<String>) -> CompileError {
        CompileError::Problems {
            problems: vec![self.grant.problem(path, what, hint)],
        }
    }
}

fn cloned(problems: Vec<&Problem>) -> Vec<Problem> {
    problems.into_iter().cloned().collect()
}

/// A compilation without the signature: what is signed, and what a signature is checked against.
pub(crate) struct Draft {
    pub(crate) plan: ExchangePlan,
    pub(crate) refusals: Vec<Refusal>,
    warnings: Vec<Warning>,
    residuals: BTreeMap<String, u64>,
    results: BTreeMap<String, Results>,
    unmarked: Vec<Unmarked>,
    /// Fields delivered by exemption, and the approver each names.
    exempted: Vec<(String, String)>,
}

impl Draft {
    /// Refusals of the exemptions that name another approver than the one who signs.
    pub(crate) fn exemptions_without(&self, signer: &str) -> Vec<Refusal> {
        self.exempted
            .iter()
            .filter(|(_, approver)| approver != signer)
            .map(|(field, approver)| {
                let reason = format!(
                    "its exemption counts only with the signature of approver `{approver}`, and \
                     `{signer}` signed"
                );
                Refusal::new(RefusalCode::BelowFloor, reason).of_field(field)
            })
            .collect()
    }
}

/// Applies every rule but the signature.
pub(crate) fn draft(
    subject: &Subject<'_>,
    request: &CompileRequest<'_>,
) -> Result<Draft, CompileError> {
    let mut refusals = Vec::new();
    let mut warnings = Vec::new();
    check_terms(subject, request, &mut refusals);
    let mut resolved = fields::resolve(subject, &mut refusals, &mut warnings)?;
    let rows = row_scope(subject, &mut refusals)?;
    let filter_fields = filter_fields(subject, &rows, &resolved, &mut refusals);
    let sealing = seal::check(subject, &resolved, &filter_fields, &mut refusals);
    reveal::check(subject, &mut resolved, &mut refusals);
    let residuals = residual::check(subject, &resolved, &mut refusals, &mut warnings);
    let results = results::check(subject, &resolved, &mut warnings);
    warn_of_facets(&resolved, &mut warnings);
    warn_of_numbers(&resolved, &mut warnings);
    warn_of_conditions(subject, &resolved, &mut warnings);
    warn_of_source(subject, &mut warnings);
    let laid = marks::check(subject, &resolved, &mut refusals, &mut warnings);
    beside::check(&resolved, laid.layout.as_ref(), &mut refusals);
    let plan = ExchangePlan {
        marks: laid.layout,
        seal: sealing.seal,
        sealing: sealing.sealing,
        ..plan(subject, &resolved, rows.scope, filter_fields)?
    };
    Ok(Draft {
        plan,
        refusals,
        warnings,
        residuals,
        results,
        unmarked: laid.unmarked,
        exempted: resolved.exempted,
    })
}

/// Sharing, mode, time and quota.
fn check_terms(subject: &Subject<'_>, request: &CompileRequest<'_>, refusals: &mut Vec<Refusal>) {
    let (grant, dataset) = (subject.grant, subject.dataset);
    let mut refuse = |code, reason: String| refusals.push(Refusal::new(code, reason));
    if dataset.sharing == Sharing::Prohibited {
        let reason = format!("dataset `{}` must not be shared", dataset.id);
        refuse(RefusalCode::Prohibited, reason);
    }
    let mode = match request.mode {
        Mode::Batch => "batch",
        Mode::Download => "download",
    };
    if !dataset.modes.contains(&request.mode) {
        let reason = format!("dataset `{}` is not shared by {mode}", dataset.id);
        refuse(RefusalCode::Mode, reason);
    } else if !grant.modes.contains(&request.mode) {
        refuse(
            RefusalCode::Mode,
            format!("the grant does not allow {mode}"),
        );
    }
    if request.today < grant.valid.from.0 {
        let reason = format!(
            "the grant holds from {}, and today is {}",
            grant.valid.from, request.today
        );
        refuse(RefusalCode::NotYetValid, reason);
    }
    if request.today > grant.valid.until.0 {
        let reason = format!(
            "the grant held until {}, and today is {}",
            grant.valid.until, request.today
        );
        refuse(RefusalCode::Expired, reason);
    }
    if let Some(runs) = grant.quota.runs
        && request.quota.runs >= runs
    {
        let reason = format!("{} of {runs} deliveries are used up", request.quota.runs);
        refuse(RefusalCode::Quota, reason);
    }
    if let Some(rows) = grant.quota.rows
        && request.quota.rows >= rows
    {
        let reason = format!("{} of {rows} rows are used up", request.quota.rows);
        refuse(RefusalCode::Quota, reason);
    }
    for refusal in refusals
        .iter_mut()
        .filter(|refusal| refusal.code == RefusalCode::Prohibited)
    {
        refusal.basis.clone_from(&dataset.basis);
    }
}

/// The row scope, and the fields it reads.
struct Rows {
    scope: RowScope,
    columns: BTreeSet<String>,
}

fn row_scope(subject: &Subject<'_>, refusals: &mut Vec<Refusal>) -> Result<Rows, CompileError> {
    let (grant, dataset) = (subject.grant, subject.dataset);
    let divisions = grant.divisions.clone().unwrap_or_default();
    let mut refuse = |reason: String| refusals.push(Refusal::new(RefusalCode::Predicate, reason));
    if grant.divisions.is_some() && divisions.is_empty() {
        refuse("`divisions` is empty, which lets no row through".to_owned());
    }
    if !divisions.is_empty() && dataset.division.is_none() {
        refuse(format!(
            "dataset `{}` declares no field with the division code",
            dataset.id
        ));
    }
    let division_field = dataset.division.clone().filter(|_| !divisions.is_empty());
    let scope = RowScope {
        predicate: grant.rows.clone(),
        division_field,
        divisions,
    };
    let columns = match RowFilter::new(&scope, &subject.schema) {
        Ok(filter) => filter.columns(),
        Err(RowFilterError::Predicate(error)) if error.kind == PredicateErrorKind::FieldUnknown => {
            return Err(subject.problem(&["rows"], error.what_and_where(), Some(error.remedy)));
        }
        Err(error) => {
            refuse(error.to_string());
            BTreeSet::new()
        }
    };
    Ok(Rows { scope, columns })
}

/// Fields that decide which rows leave, or how others are treated, without leaving themselves. What
/// is there tells of their values, so levels above the general ones are gated as for delivered fields.
fn filter_fields(
    subject: &Subject<'_>,
    rows: &Rows,
    resolved: &Resolved,
    refusals: &mut Vec<Refusal>,
) -> Vec<FilterField> {
    let delivered = |name: &String| resolved.fields.iter().any(|field| field.name == *name);
    let columns: BTreeSet<&String> = rows.columns.iter().chain(&resolved.reads).collect();
    let names = columns.into_iter().filter(|name| !delivered(name));
    let mut found = Vec::new();
    for field in names.filter_map(|name| subject.dataset.field(name)) {
        // A granted core field is refused where its own turn comes.
        let granted = subject.grant.fields.contains(&field.name);
        let gate = fields::gate(field, subject.grant.important);
        if let Some(refusal) =
            gate.filter(|found| !(granted && found.code == RefusalCode::LevelCore))
        {
            refusals.push(refusal);
        }
        found.push(FilterField {
            name: field.name.clone(),
            category: field.category.clone(),
            level: field.level,
        });
    }
    found
}

/// Facets of one person that keep different parts of the original don't fit together.
fn warn_of_facets(resolved: &Resolved, warnings: &mut Vec<Warning>) {
    let fields = resolved.fields.iter();
    let fields: Vec<_> = fields
        .map(|field| Delivered {
            name: &field.name,
            category: &field.category,
            treatment: &field.treatment,
        })
        .collect();
    let found = facets::differences(&fields).into_iter();
    warnings.extend(found.map(|difference| Warning {
        code: "facets-differ",
        field: Some(difference.field),
        what: difference.what,
    }));
}

/// An identifier that is typed as a number has lost the zeros it began with, wherever it had any.
fn warn_of_numbers(resolved: &Resolved, warnings: &mut Vec<Warning>) {
    for field in &resolved.fields {
        let known = category::find(&field.category);
        let data_type = FieldType::parse(&field.source_type).ok();
        let is_number = data_type.is_some_and(|data_type| data_type.to_arrow().is_numeric());
        if is_number && known.is_some_and(category::Category::is_identifier) {
            warnings.push(Warning {
                code: "numeric-identifier",
                field: Some(field.name.clone()),
                what: format!(
                    "category {} is one of identifiers, and type {} has no leading zeros, so that \
                     `007` and `7` are one; catalogue it as utf8, from a source that keeps them",
                    field.category, field.source_type
                ),
            });
        }
    }
}

/// Conditions on data that every department may have are worth a second look.
fn warn_of_conditions(subject: &Subject<'_>, resolved: &Resolved, warnings: &mut Vec<Warning>) {
    if subject.dataset.sharing != Sharing::Unconditional {
        return;
    }
    let mut warn = |field: Option<&String>, what: &str| {
        warnings.push(Warning {
            code: "added-condition",
            field: field.cloned(),
            what: format!("the dataset is shared unconditionally, and the grant {what}"),
        });
    };
    if subject.grant.rows.is_some() {
        warn(None, "restricts rows by a predicate");
    }
    if subject.grant.divisions.is_some() {
        warn(None, "restricts rows by division");
    }
    for field in &resolved.strengthened {
        warn(Some(field), "treats it more strongly than policy demands");
    }
}

/// Encrypted files that are bound to nothing but their key open in each other's place.
fn warn_of_source(subject: &Subject<'_>, warnings: &mut Vec<Warning>) {
    let decryption = subject.dataset.source.decryption.as_ref();
    let bound_to =
        decryption.map(|decryption| decryption.aad_prefix.as_deref().unwrap_or_default());
    if bound_to == Some("") {
        warnings.push(Warning {
            code: "unbound-source",
            field: None,
            what: format!(
                "files of dataset `{}` are encrypted and bound to no aad_prefix: whoever can write to its \
                 store can put an older one, or that of another table, in the place of any under the \
                 same keys",
                subject.dataset.id
            ),
        });
    }
}

fn plan(
    subject: &Subject<'_>,
    resolved: &Resolved,
    rows: RowScope,
    filter_fields: Vec<FilterField>,
) -> Result<ExchangePlan, CompileError> {
    let (grant, dataset) = (subject.grant, subject.dataset);
    let source_fields = dataset.fields.iter().map(|field| {
        let data_type = FieldType::parse(&field.data_type)
            .map_err(|what| subject.problem(&["dataset"], what, None))?;
        Ok(SourceField {
            name: field.name.clone(),
            data_type: data_type.to_string(),
            category: field.category.clone(),
        })
    });
    let mut recipient_keys = Vec::new();
    for text in &subject.recipient.public_keys {
        let key = PublicKey::parse(text)
            .map_err(|error| subject.problem(&["recipient"], error.to_string(), None))?;
        recipient_keys.push(key.fingerprint());
    }
    recipient_keys.sort_unstable();
    Ok(ExchangePlan {
        grant: grant.id.clone(),
        grant_version: grant.version,
        grant_sha256: grant.sha256.clone(),
        dataset: dataset.id.clone(),
        provider: dataset.provider.clone(),
        recipient: subject.recipient.id.clone(),
        recipient_keys,
        sharing: dataset.sharing,
        source: dataset.source.clone(),
        source_url: without_credentials(&subject.store.url),
        source_endpoint: subject.store.endpoint.as_deref().map(without_credentials),
        source_fields: source_fields.collect::<Result<_, CompileError>>()?,
        fields: resolved.fields.clone(),
        withheld: resolved.withheld.clone(),
        filter_only: filter_fields
            .iter()
            .map(|field| field.name.clone())
            .collect(),
        filter_fields,
        rows,
        format: grant.delivery.format,
        compression: match grant.delivery.row_format() {
            Some(RowFormat::Csv(_) | RowFormat::Jsonl | RowFormat::Xlsx) => "none".to_owned(),
            Some(RowFormat::Arrow(form)) => form.compression.to_string(),
            None => grant
                .delivery
                .compression
                .clone()
                .unwrap_or_else(|| COMPRESSION.to_owned()),
        },
        csv: match grant.delivery.row_format() {
            Some(RowFormat::Csv(form)) => Some(form),
            Some(RowFormat::Jsonl | RowFormat::Xlsx | RowFormat::Arrow(_)) | None => None,
        },
        bundle: (grant.delivery.bundle).then(|| bundle(subject, resolved)),
        seal: Seal::None,
        sealing: None,
        marks: None,
    })
}

/// What a bundle says of the data beside the plan.
fn bundle(subject: &Subject<'_>, resolved: &Resolved) -> Bundle {
    let (grant, dataset) = (subject.grant, subject.dataset);
    let title = |field: &PlannedField| dataset.field(&field.name)?.title.clone();
    Bundle {
        title: dataset.title.clone(),
        recipient: subject.recipient.name.clone(),
        purpose: grant.purpose.clone(),
        basis: grant.basis.clone(),
        retention: grant.retention.clone(),
        titles: resolved.fields.iter().map(title).collect(),
    }
}

/// A URL without user, password, query and fragment, where credentials stand.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    if scheme.eq_ignore_ascii_case("file") {
        return url.to_owned();
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest
        .split_once('/')
        .map_or((rest, None), |(host, path)| (host, Some(path)));
    let host = authority.rsplit('@').next().unwrap_or_default();
    match path {
        Some(path) => format!("{scheme}://{host}/{path}"),
        None => format!("{scheme}://{host}"),
    }
}

/// From this level on, a keyed pseudonym of a tiny domain is refused rather than warned about.
const TINY_DOMAIN_REFUSED_FROM: Level = Level::General(3);
