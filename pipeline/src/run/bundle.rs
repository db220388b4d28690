//! What a bundle says of its data, for whoever unpacks it: a page to read first and a data dictionary.
//! Both follow from the plan alone. The manifest beside the bundle is what is signed and counts; through
//! the archive's SHA-256 it covers `contents.json`, which ends the bundle and states each file of rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use lockgate_connectors::format::csv::Encoding;
use lockgate_connectors::format::write::{CsvForm, FORMULA_GUARD_RULE, RowEncoder, RowFormat};
use lockgate_transforms::treatments;

use super::SOFTWARE;
use crate::engine::Companion;
use crate::error::RunError;
use crate::plan::{Bundle, ExchangePlan};

/// Columns of the dictionary: what they are called in English and Chinese.
const COLUMNS: [&str; 8] = [
    "position 序号",
    "field 字段",
    "title 名称",
    "type 类型",
    "category 类别",
    "level 级别",
    "treatment 处理方式",
    "in words 处理说明",
];

/// The files that a bundle begins with; none where files are not bundled.
pub(super) fn companions(
    plan: &ExchangePlan,
    format: &RowFormat,
) -> Result<Option<Vec<Companion>>, RunError> {
    let Some(bundle) = &plan.bundle else {
        return Ok(None);
    };
    Ok(Some(vec![
        Companion {
            name: "README.txt",
            // With a byte order mark, by which old editors of Windows know UTF-8.
            content: format!("\u{FEFF}{}", readme(plan, bundle, format)).into_bytes(),
        },
        Companion {
            name: "dictionary.csv",
            content: dictionary(plan, bundle)?,
        },
    ]))
}

fn readme(plan: &ExchangePlan, bundle: &Bundle, format: &RowFormat) -> String {
    let title = bundle.title.as_deref().unwrap_or(&plan.dataset);
    let mut lines = vec![
        format!("{title} ({})", plan.dataset),
        String::new(),
        format!("provider 提供部门:   {}", plan.provider),
        format!(
            "recipient 使用部门:  {} ({})",
            bundle.recipient, plan.recipient
        ),
        format!(
            "grant 授权:          {} v{}",
            plan.grant, plan.grant_version
        ),
        format!("purpose 用途:        {}", bundle.purpose),
        format!("basis 依据:          {}", bundle.basis),
    ];
    if let Some(retention) = &bundle.retention {
        lines.push(format!("retention 保存期限:  {retention}"));
    }
    lines.extend([
        String::new(),
        "The data may be used by this recipient, for this purpose only. 仅限上述部门用于上述用途。"
            .to_owned(),
        String::new(),
        format!(
            "part-00000.{} and, where there are more rows than one file takes, part-00001 and so on",
            format.extension()
        ),
        "    hold the rows, in the order of the source. 数据文件，按来源顺序排列。".to_owned(),
        "dictionary.csv".to_owned(),
        "    says of every field what it is and what was done to it. 数据字典及处理说明。"
            .to_owned(),
        "contents.json".to_owned(),
        "    states of every data file its rows, bytes and SHA-256. 各数据文件的行数、字节数和哈希值。"
            .to_owned(),
        String::new(),
    ]);
    lines.extend(form(format));
    if !plan.withheld.is_empty() {
        let names: Vec<_> = plan.withheld.iter().map(|field| &*field.name).collect();
        lines.push(String::new());
        lines.push(format!(
            "Granted and not delivered 未提供的字段: {}",
            names.join(", ")
        ));
    }
    lines.extend([
        String::new(),
        "manifest.json beside this archive is signed by the provider and states how many rows these \
         are and the SHA-256 of the archive. Check it with `lockgate verify` before you use the data; the \
         files can be checked by contents.json once they are unpacked."
            .to_owned(),
        format!("Made by {SOFTWARE}."),
        String::new(),
    ]);
    lines.join("\r\n")
}

/// How values are written, in a few sentences.
fn form(format: &RowFormat) -> Vec<String> {
    let (what, numbers) = match format {
        RowFormat::Csv(form) => {
            return of_csv(form);
        }
        RowFormat::Jsonl => (
            "One JSON object a line, UTF-8. Null is null.",
            "Integers of 64 bits and decimals of more than 15 digits are texts, so that no digit is \
             lost; so are days and times (ISO 8601) and binary (base64).",
        ),
        RowFormat::Xlsx => (
            "Excel workbooks. Null is no cell, an empty text is an empty cell.",
            "Identifiers, numbers of more than 15 digits, and days and times that Excel cannot hold, are \
             texts, so that nothing is lost.",
        ),
        RowFormat::Arrow(_) => (
            "Arrow files (IPC), which say by themselves how they are read.",
            "Values are of their own types.",
        ),
    };
    vec![what.to_owned(), numbers.to_owned()]
}

fn of_csv(form: &CsvForm) -> Vec<String> {
    let encoding = match (form.encoding, form.bom) {
        (Encoding::Gb18030, _) => "GB 18030",
        (_, true) => "UTF-8 with a byte order mark",
        (_, false) => "UTF-8",
    };
    let delimiter = match form.delimiter {
        ',' => "commas",
        ';' => "semicolons",
        '\t' => "tabs",
        _ => "vertical bars",
    };
    let header = match form.header {
        true => "the first line names the fields",
        false => "there is no line of names: the fields are those of dictionary.csv, in its order",
    };
    let null = match form.null.as_str() {
        "" => "Null is nothing, unquoted; an empty text is \"\".".to_owned(),
        null => format!("Null is {null}, unquoted; an empty text is \"\"."),
    };
    let mut said = vec![
        format!(
            "Delimited text (RFC 4180) in {encoding}, with {delimiter} between cells; {header}."
        ),
        null,
        "Days and times are ISO 8601, decimals have all their digits, binary is base64.".to_owned(),
    ];
    if form.formula_guard {
        said.push(format!(
            "Texts that a spreadsheet would calculate, names of fields among them, have an apostrophe \
             before them. To undo that: {FORMULA_GUARD_RULE}."
        ));
    }
    said
}

fn dictionary(plan: &ExchangePlan, bundle: &Bundle) -> Result<Vec<u8>, RunError> {
    let catalogue = treatments::catalogue();
    let in_words = |kind: &str| {
        let entry = catalogue.iter().find(|entry| entry.kind == kind);
        entry.map(|entry| entry.summary)
    };
    let titles = bundle.titles.iter().map(Option::as_deref);
    let titles = titles.chain(std::iter::repeat(None));
    let rows = plan.fields.iter().zip(titles).enumerate();
    let rows = rows.map(|(position, (field, title))| {
        [
            Some((position + 1).to_string()),
            Some(field.name.clone()),
            title.map(str::to_owned),
            Some(field.data_type.clone()),
            Some(field.category.clone()),
            Some(field.level.to_string()),
            Some(field.treatment.summary()),
            in_words(field.treatment.kind()).map(str::to_owned),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let columns = (0..COLUMNS.len()).map(|column| -> ArrayRef {
        let values = rows.iter().map(|row| row.get(column).cloned().flatten());
        Arc::new(values.collect::<StringArray>())
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let fields = COLUMNS.map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let encoder = RowEncoder::new(schema, &RowFormat::Csv(CsvForm::default()), &[])?;
    let cells = encoder
        .encode(&columns, 0)
        .map_err(|error| RunError::internal("writing the data dictionary", &error.why))?;
    let written = |error| RunError::internal("writing the data dictionary", &error);
    let mut file = encoder.open(Vec::new()).map_err(written)?;
    file.append(&cells).map_err(written)?;
    file.finish().map_err(written)
}
