//! Checks of `grants/*.toml` and `jobs/*.toml`.

use lockgate_connectors::format::write::{ArrowCompression, RowFormat, XLSX_COLUMNS_MAX};

use super::Checker;
use crate::engine::Compression;
use crate::id::{DIVISION_RULE, ID_RULE, is_division, is_id};
use crate::site::grant::DeliveryFormat;
use crate::site::suggest::did_you_mean;
use crate::site::units::{check_schedule, parse_days};
use crate::site::{Dataset, Grant, Job, Loaded};

pub(super) fn check(checker: &mut Checker<'_>, grant: &Loaded<Grant>) {
    let site = checker.site;
    let datasets = ("dataset", "catalogue");
    checker.refers_to_file(
        grant,
        &["dataset"],
        datasets,
        &grant.dataset,
        site.datasets.keys(),
    );
    let recipients = ("recipient", "recipients");
    let known = site.recipients.keys();
    checker.refers_to_file(grant, &["recipient"], recipients, &grant.recipient, known);
    checker.not_blank(grant, &["purpose"], &grant.purpose);
    checker.not_blank(grant, &["basis"], &grant.basis);
    if grant.version == 0 {
        checker.at(grant, &["version"], "versions count from 1", None);
    }
    if grant.fields.is_empty() {
        let hint = Some("list the fields to deliver".to_owned());
        checker.at(grant, &["fields"], "a grant has at least one field", hint);
    }
    checker.no_duplicates(grant, &["fields"], &grant.fields);
    checker.no_duplicates(grant, &["modes"], &grant.modes);
    if grant.valid.from > grant.valid.until {
        let what = format!("the last day lies before the first, {}", grant.valid.from);
        checker.at(grant, &["valid", "until"], what, None);
    }
    check_scope(checker, grant);
    check_exemptions(checker, grant);
    check_delivery(checker, grant);
    if let Some(dataset) = site.datasets.get(&grant.dataset) {
        check_against(checker, grant, dataset);
    }
}

/// Divisions and joins, as far as the grant alone tells.
fn check_scope(checker: &mut Checker<'_>, grant: &Loaded<Grant>) {
    if let Some(divisions) = &grant.divisions {
        for (index, _) in divisions
            .iter()
            .enumerate()
            .filter(|(_, code)| !is_division(code))
        {
            let hint = Some(format!("write the first {DIVISION_RULE}"));
            let path = ["divisions", &index.to_string()];
            checker.at(grant, &path, "not a division code", hint);
        }
        if divisions.is_empty() {
            let hint = Some("take `divisions` out to restrict nothing".to_owned());
            checker.at(
                grant,
                &["divisions"],
                "an empty list lets no row through",
                hint,
            );
        }
        checker.no_duplicates(grant, &["divisions"], divisions);
    }
    for (index, _) in grant
        .joins
        .iter()
        .enumerate()
        .filter(|(_, join)| !is_id(join))
    {
        let hint = Some(format!("a join group is {ID_RULE}"));
        checker.at(
            grant,
            &["joins", &index.to_string()],
            "not a name of a join group",
            hint,
        );
    }
    checker.no_duplicates(grant, &["joins"], &grant.joins);
    if let Some(retention) = &grant.retention
        && parse_days(retention).is_none()
    {
        let hint = Some("write a span such as \"180d\"".to_owned());
        checker.at(grant, &["retention"], "not a span of days", hint);
    }
}

fn check_exemptions(checker: &mut Checker<'_>, grant: &Loaded<Grant>) {
    let site = checker.site;
    for (number, exemption) in grant.exemptions.iter().enumerate() {
        let index = number.to_string();
        let at = |key: &'static str| ["exemptions", index.as_str(), key];
        let approvers = site.file.approvers.keys();
        checker.refers(
            grant,
            &at("approver"),
            "approver",
            &exemption.approver,
            approvers,
        );
        checker.not_blank(grant, &at("reason"), &exemption.reason);
        if grant
            .exemptions
            .iter()
            .take(number)
            .any(|earlier| earlier.field == exemption.field)
        {
            let what = format!("a second exemption of field `{}`", exemption.field);
            checker.at(grant, &at("field"), what, None);
        }
        if grant.treatments.contains_key(&exemption.field) {
            let what = format!("field `{}` has a treatment as well", exemption.field);
            let hint = Some("keep either the treatment or the exemption".to_owned());
            checker.at(grant, &at("field"), what, hint);
        }
    }
}

fn check_delivery(checker: &mut Checker<'_>, grant: &Loaded<Grant>) {
    let delivery = &grant.delivery;
    if let Some(compression) = &delivery.compression {
        let fault = match delivery.format {
            DeliveryFormat::Parquet => compression.parse::<Compression>().err(),
            DeliveryFormat::Arrow => compression.parse::<ArrowCompression>().err(),
            DeliveryFormat::Csv | DeliveryFormat::Xlsx | DeliveryFormat::Jsonl => {
                Some("compression is chosen for Parquet and Arrow only; take it out".to_owned())
            }
        };
        if let Some(fault) = fault {
            let (what, hint) = match fault.split_once("; ") {
                Some((what, hint)) => (what.to_owned(), Some(hint.to_owned())),
                None => (fault, None),
            };
            checker.at(grant, &["delivery", "compression"], what, hint);
        }
    }
    if let Some(csv) = &delivery.csv {
        let fault = match delivery.format {
            DeliveryFormat::Csv => csv.form().fault(),
            DeliveryFormat::Parquet
            | DeliveryFormat::Xlsx
            | DeliveryFormat::Jsonl
            | DeliveryFormat::Arrow => Some((
                "options of csv for files of another format",
                "write format = \"csv\", or take them out",
            )),
        };
        if let Some((what, hint)) = fault {
            let hint = Some(hint.to_owned());
            checker.at_key(grant, &["delivery", "csv"], what.to_owned(), hint);
        }
    }
    let form = delivery.row_format();
    if delivery.bundle && matches!(form, None | Some(RowFormat::Arrow(_))) {
        let what = "only csv, xlsx and jsonl are bundled".to_owned();
        let hint = Some("write one of these formats, or take `bundle` out".to_owned());
        checker.at(grant, &["delivery", "bundle"], what, hint);
    }
    check_fit(checker, grant, form.as_ref());
}

/// Fields that a form can't hold, or not so that every reader sees all rows.
fn check_fit(checker: &mut Checker<'_>, grant: &Loaded<Grant>, form: Option<&RowFormat>) {
    let at = ["delivery", "format"];
    if let Some(RowFormat::Xlsx) = form
        && grant.fields.len() > XLSX_COLUMNS_MAX
    {
        let hint = Some("deliver fewer fields, or in another format".to_owned());
        checker.at(grant, &at, "a sheet has at most 16,384 columns", hint);
    }
    if let Some(RowFormat::Csv(csv)) = form
        && grant.fields.len() == 1
        && csv.null.is_empty()
    {
        let what = "a null of the only field would be a blank line, which many readers skip";
        let hint = Some("write csv = { null = \"NULL\" }, or another word".to_owned());
        checker.at(grant, &at, what, hint);
    }
}

/// What a grant says of its dataset.
fn check_against(checker: &mut Checker<'_>, grant: &Loaded<Grant>, dataset: &Loaded<Dataset>) {
    for (index, field) in grant.fields.iter().enumerate() {
        check_field(
            checker,
            grant,
            &["fields", &index.to_string()],
            field,
            dataset,
        );
    }
    for (name, treatment) in &grant.treatments {
        match dataset.field(name) {
            Some(field) => {
                checker.fits(
                    grant,
                    &["treatments", name],
                    treatment,
                    (&**dataset, field),
                    None,
                );
            }
            None => {
                let known = dataset.fields.iter().map(|field| field.name.as_str());
                let hint = did_you_mean(name, "fields", known);
                let what = no_field(name, dataset);
                checker.at_key(grant, &["treatments", name], what, hint);
            }
        }
    }
    for (index, exemption) in grant.exemptions.iter().enumerate() {
        let index = index.to_string();
        let at = |key: &'static str| ["exemptions", index.as_str(), key];
        check_field(checker, grant, &at("field"), &exemption.field, dataset);
        if let Some(field) = dataset.field(&exemption.field) {
            checker.fits(
                grant,
                &at("treatment"),
                &exemption.treatment,
                (&**dataset, field),
                None,
            );
        }
    }
    if grant
        .divisions
        .as_ref()
        .is_some_and(|divisions| !divisions.is_empty())
        && dataset.division.is_none()
    {
        let what = format!("dataset `{}` declares no `division` field", dataset.id);
        let hint = Some(format!("declare it in {}", dataset.file));
        checker.at(grant, &["divisions"], what, hint);
    }
    if let (Some(check), Some(rows), Some(schema)) =
        (checker.hooks.predicate, &grant.rows, dataset.schema())
    {
        for fault in check(rows, &schema) {
            checker.at(grant, &["rows"], fault.what, fault.hint);
        }
    }
}

fn check_field(
    checker: &mut Checker<'_>,
    grant: &Loaded<Grant>,
    path: &[&str],
    name: &str,
    dataset: &Dataset,
) {
    if dataset.field(name).is_none() {
        let known = dataset.fields.iter().map(|field| field.name.as_str());
        let hint = did_you_mean(name, "fields", known);
        checker.at(grant, path, no_field(name, dataset), hint);
    }
}

fn no_field(name: &str, dataset: &Dataset) -> String {
    format!("dataset `{}` has no field `{name}`", dataset.id)
}

pub(super) fn check_job(checker: &mut Checker<'_>, job: &Loaded<Job>) {
    let grants = ("grant", "grants");
    checker.refers_to_file(
        job,
        &["grant"],
        grants,
        &job.grant,
        checker.site.grants.keys(),
    );
    if let Some(schedule) = &job.schedule
        && let Err(what) = check_schedule(schedule)
    {
        let hint = Some("write minute hour day month weekday: \"30 2 * * *\"".to_owned());
        checker.at(job, &["schedule"], what, hint);
    }
    if let Some(output) = &job.output {
        checker.not_blank(job, &["output"], output);
    }
}
