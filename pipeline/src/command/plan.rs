//! `plan`: what a grant would do, and everything that refuses it.

use std::collections::BTreeMap;
use std::path::Path;

use lockgate_connectors::format::csv::Encoding;
use lockgate_connectors::format::write::{CsvForm, LineEnd, RowFormat};
use lockgate_connectors::source::Source;
use lockgate_transforms::{Uniqueness, Width};
use serde::Serialize;

use super::output::{Answer, refusals_text, table};
use crate::clock::Clock;
use crate::error::{RunError, exit};
use crate::installation::Installation;
use crate::marks::forecast::{self, FieldForecast, Traceable};
use crate::marks::{Forecast, Unmarked};
use crate::plan::{
    Compiled, ExchangePlan, PlannedField, Projection, Refusal, RefusalCode, Results, RowScope,
    Sealing, Warning, WithheldField,
};
use crate::site::dataset::{Level, Mode};
use crate::site::grant::{DeliveryFormat, Seal};

/// The document of a plan.
#[derive(Debug, Serialize)]
struct PlanDocument<'a> {
    grant: &'a str,
    dataset: &'a str,
    recipient: &'a str,
    plan_sha256: String,
    refusals: &'a [Refusal],
    fields: Vec<FieldDocument<'a>>,
    filter_only: &'a [String],
    withheld: &'a [WithheldField],
    warnings: &'a [Warning],
    rows: &'a RowScope,
    delivery: DeliveryDocument<'a>,
    source: Option<SourceDocument>,
    carriers: Option<u64>,
    marks: MarksDocument<'a>,
    residual_candidates: &'a BTreeMap<String, u64>,
}

/// In which form the delivery leaves.
#[derive(Debug, Serialize)]
struct DeliveryDocument<'a> {
    format: DeliveryFormat,
    /// How files of rows are written, every option spelled out.
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<RowFormat>,
    /// Whether files are put into archives.
    bundle: bool,
    seal: Seal,
    #[serde(flatten)]
    sealing: Option<&'a Sealing>,
}

impl<'a> DeliveryDocument<'a> {
    fn of(plan: &'a ExchangePlan) -> Self {
        Self {
            format: plan.format,
            form: plan.row_format(),
            bundle: plan.bundle.is_some(),
            seal: plan.seal,
            sealing: plan.sealing.as_ref(),
        }
    }
}

/// What is to be expected of the delivery's marks, and the fields that could carry some and don't.
#[derive(Debug, Serialize)]
struct MarksDocument<'a> {
    #[serde(flatten)]
    forecast: Option<Forecast>,
    unmarked: &'a [Unmarked],
}

/// A field with what a recipient can rely on of its results.
#[derive(Debug, Serialize)]
struct FieldDocument<'a> {
    #[serde(flatten)]
    field: &'a PlannedField,
    #[serde(flatten)]
    results: Option<&'a Results>,
}

/// What the source holds, from its listing and footers.
#[derive(Debug, Serialize)]
struct SourceDocument {
    files: usize,
    bytes: u64,
    splits: usize,
    rows: Option<u64>,
    pruned: Option<u64>,
    ignored_columns: Vec<String>,
}

/// Compiles a grant and looks at its source's listing and footers, never at rows.
pub(super) async fn plan(root: &Path, grant: &str) -> Result<Answer, RunError> {
    let installation = Installation::open(root, Clock::System)?;
    let compiled = installation.compile(grant, Mode::Batch)?;
    let (plan, mut refusals) = (compiled.plan(), compiled.refusals().to_vec());
    let mut warnings = compiled.warnings().to_vec();
    let source = match Box::pin(describe(&installation, plan)).await {
        Ok((source, too_few)) => {
            let is_refused = forecast::is_refused(&installation.site.policy.marking);
            match too_few {
                Some(what) if is_refused => {
                    refusals.push(Refusal::new(RefusalCode::Unmarked, what));
                }
                too_few => warnings.extend(too_few.map(|what| Warning {
                    code: "unmarked",
                    field: None,
                    what,
                })),
            }
            Some(source)
        }
        // A source that does not hold what the catalogue says refuses; one that cannot be reached
        // is for `run` to fail on, and here a thing to know.
        Err(RunError::Refused(schema)) => {
            refusals.extend(schema.into_iter().filter(|new| {
                !compiled
                    .refusals()
                    .iter()
                    .any(|known| known.code == new.code)
            }));
            None
        }
        Err(error) => {
            warnings.push(Warning {
                code: "source-unavailable",
                field: None,
                what: error.to_string(),
            });
            None
        }
    };
    let document = PlanDocument {
        grant: &plan.grant,
        dataset: &plan.dataset,
        recipient: &plan.recipient,
        plan_sha256: plan.sha256(),
        refusals: &refusals,
        fields: fields(&compiled),
        filter_only: &plan.filter_only,
        withheld: &plan.withheld,
        warnings: &warnings,
        rows: &plan.rows,
        delivery: DeliveryDocument::of(plan),
        carriers: carriers(plan, source.as_ref()),
        source,
        marks: MarksDocument {
            forecast: plan.marks.as_ref().map(Forecast::of),
            unmarked: compiled.unmarked(),
        },
        residual_candidates: compiled.residuals(),
    };
    let exit = if refusals.is_empty() {
        exit::DONE
    } else {
        exit::REFUSED
    };
    Ok(Answer::new(text(&document), &document)?.with_exit(exit))
}

fn fields(compiled: &Compiled) -> Vec<FieldDocument<'_>> {
    let fields = compiled.plan().fields.iter();
    let document = |field| FieldDocument {
        field,
        results: compiled.results().get(&field.name),
    };
    fields.map(document).collect()
}

/// Carriers that the delivery has at most; none where nobody knows how many rows there are.
fn carriers(plan: &ExchangePlan, source: Option<&SourceDocument>) -> Option<u64> {
    let Some(layout) = &plan.marks else {
        return Some(0);
    };
    let source = source?;
    let rows = source.rows?.saturating_sub(source.pruned.unwrap_or(0));
    Some(forecast::carriers_of(layout, rows))
}

/// What the source holds, and whether its rows are too few for marks.
async fn describe(
    installation: &Installation,
    plan: &ExchangePlan,
) -> Result<(SourceDocument, Option<String>), RunError> {
    let filter = installation.row_filter(plan)?;
    let projection = Projection::needed(plan, &filter);
    let source = installation.open_source(plan, &filter, &projection).await?;
    let too_few = forecast::too_few_of(&installation.site, plan, source.as_ref());
    Ok((summarise(source.as_ref()), too_few))
}

fn summarise(source: &dyn Source) -> SourceDocument {
    SourceDocument {
        files: source.snapshot().files.len(),
        bytes: source.snapshot().files.iter().map(|file| file.size).sum(),
        splits: source.splits().len(),
        rows: source.rows_total(),
        pruned: source.rows_pruned(),
        ignored_columns: source.ignored_columns().to_vec(),
    }
}

/// A line for every field whose treatment reads others.
fn reads_text(fields: &[FieldDocument<'_>]) -> String {
    let reading = fields.iter().map(|document| document.field);
    reading
        .filter(|field| !field.reads.is_empty())
        .map(|field| format!("reads       {}: {}\n", field.name, field.reads.join(", ")))
        .collect()
}

fn text(document: &PlanDocument<'_>) -> String {
    let mut text = format!(
        "grant {} of dataset {} to {}\n",
        document.grant, document.dataset, document.recipient
    );
    text.push_str(&refusals_text(document.refusals));
    text.push_str(&fields_text(document));
    text.extend(document.fields.iter().filter_map(in_full));
    for field in document.withheld {
        text.push_str(&format!("withheld    {}: {}\n", field.name, field.reason));
    }
    if !document.filter_only.is_empty() {
        text.push_str(&format!(
            "filter only {}\n",
            document.filter_only.join(", ")
        ));
    }
    text.push_str(&reads_text(&document.fields));
    if let Some(predicate) = &document.rows.predicate {
        text.push_str(&format!("rows        {predicate}\n"));
    }
    if !document.rows.divisions.is_empty() {
        text.push_str(&format!(
            "divisions   {}\n",
            document.rows.divisions.join(", ")
        ));
    }
    text.push_str(&form_text(&document.delivery));
    text.push_str(&seal_text(&document.delivery));
    text.push_str(
        &document
            .source
            .as_ref()
            .map_or_else(String::new, source_text),
    );
    text.push_str(&marks_text(&document.marks));
    for warning in document.warnings {
        let field = warning
            .field
            .as_ref()
            .map_or_else(String::new, |field| format!(" `{field}`"));
        text.push_str(&format!(
            "warning [{}]{field}: {}\n",
            warning.code, warning.what
        ));
    }
    text
}

/// How files are written, in words.
fn form_text(delivery: &DeliveryDocument<'_>) -> String {
    let form = match &delivery.form {
        None => "parquet".to_owned(),
        Some(RowFormat::Csv(form)) => csv_text(form),
        Some(RowFormat::Jsonl) => "jsonl".to_owned(),
        Some(RowFormat::Xlsx) => "xlsx".to_owned(),
        Some(RowFormat::Arrow(form)) => format!("arrow, compression {}", form.compression),
    };
    let bundled = if delivery.bundle { ", bundled" } else { "" };
    format!("format      {form}{bundled}\n")
}

fn csv_text(form: &CsvForm) -> String {
    let encoding = match (form.encoding, form.bom) {
        (Encoding::Gb18030, _) => "gb18030",
        (_, true) => "utf-8 with a byte order mark",
        (_, false) => "utf-8",
    };
    let newline = match form.newline {
        LineEnd::CrLf => "crlf",
        LineEnd::Lf => "lf",
    };
    let with = |is_with| if is_with { "with" } else { "without" };
    format!(
        "csv in {encoding}, delimiter {}, {newline}, {} header, null {}, {} formula guard",
        form.delimiter.escape_default(),
        with(form.header),
        if form.null.is_empty() {
            "nothing"
        } else {
            &form.null
        },
        with(form.formula_guard),
    )
}

/// How files are sealed, in words.
fn seal_text(delivery: &DeliveryDocument<'_>) -> String {
    let Some(sealing) = delivery.sealing else {
        return "sealed      not\n".to_owned();
    };
    let keyed = match sealing.keyed_fields.as_slice() {
        [] => String::new(),
        fields => format!("; keys of their own: {}", fields.join(", ")),
    };
    format!(
        "sealed      {} with {}, keys {}{keyed}\n",
        delivery.seal.as_str(),
        sealing.suite,
        sealing.release.as_str()
    )
}

/// The marks, in words: how many, from how much of a leak they name somebody, what they move.
fn marks_text(marks: &MarksDocument<'_>) -> String {
    let mut text = match &marks.forecast {
        None => "marks       none\n".to_owned(),
        Some(forecast) => {
            let traceable = forecast.traceable.iter().map(|traceable| {
                let Traceable { leakers, rows } = traceable;
                let plural = if *leakers == 1 { "" } else { "s" };
                let rows = rows.map_or_else(|| "never".to_owned(), |rows| rows.to_string());
                format!("{rows} ({leakers} leaker{plural})")
            });
            let traceable: Vec<String> = traceable.collect();
            let mut text = format!(
                "marks       {} a row; a leak is traced from so many rows: {}\n",
                forecast.carriers_per_row,
                traceable.join(", ")
            );
            let is_never = |traceable: &Traceable| traceable.rows.is_none();
            if forecast.traceable.iter().any(is_never) {
                text.push_str(
                    "  never     leaks by so many can't be traced, however many rows they hold: the \
                     marked fields have too few different values\n",
                );
            }
            for field in &forecast.fields {
                text.push_str(&field_text(field));
            }
            text
        }
    };
    for unmarked in marks.unmarked {
        text.push_str(&format!(
            "  unmarked  {}: {}\n",
            unmarked.field, unmarked.reason
        ));
    }
    text
}

/// What marks will do to a field, in words.
fn field_text(field: &FieldForecast) -> String {
    let found = if field.anchor.is_empty() {
        "its own value".to_owned()
    } else {
        format!("{} ({})", field.found_by, field.anchor.join(", "))
    };
    let moved = match (field.tag, &field.furthest, field.deviation) {
        (Some(characters), _, _) => format!("in a tag of {characters} characters"),
        (None, Some(furthest), Some(deviation)) => {
            format!("by at most {furthest}, {deviation:.3} in the root of the mean square")
        }
        (None, _, _) => match field.chosen {
            Some(chosen) => format!("in the choice of its {chosen}"),
            None => "for a word of the same meaning".to_owned(),
        },
    };
    format!(
        "  field     {}: found by {found}; {:.0} % of the values change, {moved}\n",
        field.field,
        field.changed * 100.0
    )
}

/// A treatment in full, where the table leaves something out.
fn in_full(document: &FieldDocument<'_>) -> Option<String> {
    let field = document.field;
    let full = field.treatment.in_full()?;
    Some(format!("in full     {}: {full}\n", field.name))
}

/// The delivered fields, in a table.
fn fields_text(document: &PlanDocument<'_>) -> String {
    table(
        &[
            "field",
            "category",
            "level",
            "treatment",
            "strength",
            "from",
            "delivered as",
            "unique",
            "width",
            "candidates",
        ],
        document
            .fields
            .iter()
            .map(|FieldDocument { field, results }| {
                [
                    field.name.clone(),
                    field.category.clone(),
                    level(field.level),
                    field.treatment.summary(),
                    field.strength.to_string(),
                    field.origin.to_string(),
                    field.data_type.clone(),
                    results.map_or_else(String::new, |results| unique(results.uniqueness)),
                    results
                        .and_then(|results| results.width)
                        .map_or_else(String::new, width),
                    document
                        .residual_candidates
                        .get(&field.name)
                        .map_or_else(String::new, u64::to_string),
                ]
            }),
    )
}

/// Whether results stay apart, in a word.
fn unique(uniqueness: Uniqueness) -> String {
    match uniqueness {
        Uniqueness::Bijective => "yes".to_owned(),
        Uniqueness::Probabilistic { bits } => format!("{bits} bits"),
        Uniqueness::Lossy => "no".to_owned(),
        Uniqueness::Randomised => "random".to_owned(),
    }
}

/// The most bytes of a result; with a `+`, values that options keep or cover may be wider.
fn width(width: Width) -> String {
    let Width { bytes, strict } = width;
    format!("{bytes}{}", if strict { "" } else { "+" })
}

/// What the source holds, in words.
fn source_text(source: &SourceDocument) -> String {
    let rows = source
        .rows
        .map_or_else(|| "unknown".to_owned(), |rows| rows.to_string());
    let pruned = match source.pruned {
        Some(0) | None => String::new(),
        Some(rows) => format!(" ({rows} skipped by statistics)"),
    };
    let mut text = format!(
        "source      {} file(s), {} bytes, {rows} rows{pruned}, {} split(s)\n",
        source.files, source.bytes, source.splits
    );
    if !source.ignored_columns.is_empty() {
        text.push_str(&format!(
            "ignored     {} (in the source, not in the catalogue)\n",
            source.ignored_columns.join(", ")
        ));
    }
    text
}

fn level(level: Level) -> String {
    match level {
        Level::General(grade) => grade.to_string(),
        Level::Important => "important".to_owned(),
        Level::Core => "core".to_owned(),
    }
}
