//! What the list of treatments says about itself: catalogue entries, the JSON Schema for editors,
//! the reference page. All of it comes from the structs of the treatments, so that it cannot
//! disagree with what is parsed.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use super::{entries, schemas};
use crate::options::{Action, EmptyAction, Options, Scalar, Share, StrictAction};
use crate::spec::{Definition, Strength, Uniqueness, field_names};

/// The title of the schema of a treatment. The only schema that is ever referred to rather than
/// written in place is this one, because treatments hold treatments.
const TITLE: &str = "Treatment";

/// The names that other tools and lists of techniques have for kinds and parameters here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("drop column", "`withhold`"),
    (
        "hash, keyed hash",
        "`hmac`; a hash without a key isn't offered, because it can be enumerated",
    ),
    ("`fill_mode = fixed_length(n)`", "`length = n`"),
    (
        "`delims`, `keep_n`",
        "`delimiter`, one or a list, and `keep`",
    ),
    (
        "FF1 `alphabet` or `format`",
        "`alphabet` of `fpe`, with `keep_others` a format",
    ),
    (
        "FF1 `tweak = [domain, grant, column]`",
        "the key holds domain and grant; the tweak the domain, or with `tweak = \"field\"` the field",
    ),
    (
        "`preserve` of a structured id",
        "`keep`; check digits are always computed anew",
    ),
    (
        "`deterministic`, `seed` of a surrogate",
        "always so: the key is the seed, and `domain` and `join` say what shares it",
    ),
    (
        "`hashing_columns` of a substitution",
        "`by`: the field, or of `substitute` the fields, that decide the draw; absent, it is the value itself",
    ),
    ("`entity_key`", "`by`"),
    (
        "`respect = [not_future, after(field)]`",
        "`not_after` and `not_before_field`",
    ),
    (
        "`dictionary` of a map, `on_missing`",
        "`entries`, which stand in the policy, where approvers read them, and in no file; `on_missing`",
    ),
    ("order-preserving coarsening", "`rank-preserving`"),
    ("`locale` of a name", "always Chinese, `zh_CN`"),
    (
        "`label` of a bucket",
        "`as = \"label\"`, `\"lower\"` or `\"any\"`, and `labels` for words of one's own",
    ),
    ("`extract`, `keep` of a time part", "`part`, `keep`"),
    ("`on_no_match` of a pattern", "`on_invalid`"),
    ("`quarantine_row`, `fail_batch`", "`reject`, `fail`"),
    (
        "`on_empty = treat_as_value`",
        "`mask-all`, which covers it; a pseudonym of nothing would look like somebody's",
    ),
    (
        "`use: masked.col` of a condition",
        "not offered: a condition sees the original row, whatever becomes of its fields; `pipeline` \
         treats what another treatment left",
    ),
    (
        "`keep_separators` of other pseudonyms than `fpe`, and of masks",
        "not offered: a pseudonym has one spelling, so that two spellings of a value join; a mask by \
         position counts separators as characters, and `keep-classes` with `\"separator\"` keeps them",
    ),
    (
        "`sample(n)`, `percentile` of top and bottom coding, `preserve_sum_by` of noise, \
         `substitute(column)`",
        "not offered yet: they need a pass over all rows before the first is treated, and come with \
         the treatments of whole sets; meanwhile `rate`, `lower` and `upper`, and `values` or a file",
    ),
    (
        "`admin_level` of coordinates",
        "not offered: which division a position lies in takes maps of their borders; `geo-coarsen` \
         takes a grid or a geohash, `admin-level` takes codes",
    ),
    (
        "`local_suppress`, `shuffle`, `microaggregate`, `generalize` by a hierarchy, `k_anonymize`, \
         `dp_aggregate`, `free_text`, `wasm`",
        "not offered yet: the treatments of whole sets, of free text and of a site's own code come \
         after those of single fields",
    ),
];

/// What there is to say about one kind of treatment.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The kind, as configuration writes it.
    pub kind: &'static str,
    /// The heading it stands under, which several kinds share.
    pub group: &'static str,
    /// What it does, in one line without a full stop.
    pub summary: &'static str,
    /// What it does and what there is to know about that, in Markdown.
    pub description: String,
    /// The types it fits, in words.
    pub fits: &'static str,
    /// The type of its results, in words; absent where it is the field's.
    pub result: Option<&'static str>,
    /// A TOML inline table that uses it.
    pub example: &'static str,
    /// How much it hides.
    pub strength: Strength,
    /// Which parameters make it weaker than that, in words.
    pub weaker: Option<&'static str>,
    /// What is left of the difference between values, at the defaults.
    pub uniqueness: Uniqueness,
    /// How wide results of text or binary get, in words; absent where that follows the value.
    pub width: Option<&'static str>,
    /// Who can restore the value, in words; absent where nobody can.
    pub reversible: Option<&'static str>,
    /// Its parameters, in the order of their definition.
    pub parameters: Vec<Parameter>,
}

/// One parameter of a treatment.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The key, as configuration writes it.
    pub name: String,
    /// What it means.
    pub doc: String,
    /// What may be written, in words.
    pub accepts: String,
    /// The value used where the key is absent, as JSON; absent for parameters without one.
    pub default: Option<String>,
    /// Whether the key must be written.
    pub required: bool,
}

/// Every treatment there is.
pub fn catalogue() -> Vec<Entry> {
    entries()
}

/// The reference page of every treatment, as Markdown.
pub fn render_markdown() -> String {
    let mut page = String::from(
        "# Treatments\n\n\
         <!-- Generated from the definitions of the treatments; a test compares it. -->\n\n\
         A policy rule or a grant writes a treatment as a table with a `kind`, the parameters of \
         that kind, and any of the [options](#options-of-every-treatment). An unknown key is an \
         error. Characters are extended grapheme clusters: what a reader sees as one character. \
         Widths are of text and binary, in bytes.\n",
    );
    let entries = catalogue();
    let groups = || entries.chunk_by(|one, next| one.group == next.group);
    for group in groups() {
        let name = group.first().map_or("", |entry| entry.group);
        line(&mut page, format_args!("\n**{name}**"));
        page.push_str("\n| kind | strength | does |\n|---|---|---|\n");
        for Entry {
            kind,
            strength,
            summary,
            ..
        } in group
        {
            line(
                &mut page,
                format_args!("| [`{kind}`](#{kind}) | {} | {summary} |", strength.0),
            );
        }
    }
    for group in groups() {
        let name = group.first().map_or("", |entry| entry.group);
        line(&mut page, format_args!("\n## {name}"));
        for entry in group {
            entry_section(&mut page, entry);
        }
    }
    page.push_str(
        "\n## Options of every treatment\n\n\
         | option | accepts | default | meaning |\n|---|---|---|---|\n",
    );
    for parameter in option_parameters() {
        parameter_line(&mut page, &parameter);
    }
    page.push_str(
        "\n`keep` leaves the value as it is, `null` makes it null, `mask-all` covers the whole \
         value (null where the type isn't text), `fail` fails the run, `reject` drops the row and \
         counts it, `synthesize` puts a surrogate in the place of a null.\n",
    );
    page.push_str("\n## Names elsewhere\n\n| elsewhere | here |\n|---|---|\n");
    for (elsewhere, here) in ELSEWHERE {
        line(&mut page, format_args!("| {elsewhere} | {here} |"));
    }
    page
}

/// All there is to say about one kind.
fn entry_section(page: &mut String, entry: &Entry) {
    let Entry {
        kind,
        group: _,
        summary: _,
        description,
        fits,
        result,
        example,
        strength,
        weaker,
        uniqueness,
        width,
        reversible,
        parameters,
    } = entry;
    line(page, format_args!("\n### {kind}\n\n{description}"));
    let width = width.or_else(|| has_width(entry).then_some("follows the value"));
    line(
        page,
        format_args!(
            "\nFits {fits}; gives {}. Strength {}{}. {} {}{}",
            result.unwrap_or("the field's type"),
            strength.0,
            weaker.map_or_else(String::new, |weaker| format!("; {weaker}")),
            distinct_words(*uniqueness),
            width.map_or_else(String::new, |width| format!("Width: {width}. ")),
            reversible.map_or_else(
                || "Nobody can restore the value.".to_owned(),
                |who| format!("Reversible: {who}.")
            ),
        ),
    );
    line(page, format_args!("\n```toml\ntreatment = {example}\n```"));
    if !parameters.is_empty() {
        page.push_str("\n| parameter | accepts | default | meaning |\n|---|---|---|---|\n");
    }
    for parameter in parameters {
        parameter_line(page, parameter);
    }
}

/// Whether results may be text or binary, going by the words for the types.
fn has_width(entry: &Entry) -> bool {
    match entry.result {
        Some(result) => result.contains("utf8"),
        None => entry.fits.contains("utf8") || entry.fits == "every type",
    }
}

/// What a uniqueness class means for the reader of a delivery.
fn distinct_words(uniqueness: Uniqueness) -> String {
    match uniqueness {
        Uniqueness::Bijective => "Bijective: different values stay different.".to_owned(),
        Uniqueness::Probabilistic { bits } => format!(
            "Probabilistic: equal values stay equal, different ones meet with a probability of \
             2^-{bits} a pair."
        ),
        Uniqueness::Lossy => "Lossy: different values may become equal.".to_owned(),
        Uniqueness::Randomised => "Randomised: equal values become different.".to_owned(),
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let written = writeln!(page, "{text}");
    debug_assert!(written.is_ok(), "a String takes all text");
}

fn parameter_line(page: &mut String, parameter: &Parameter) {
    let Parameter {
        name,
        doc,
        accepts,
        default,
        required,
    } = parameter;
    let default = match default {
        Some(default) => format!("`{default}`"),
        None if *required => "required".to_owned(),
        None => "absent".to_owned(),
    };
    line(
        page,
        format_args!("| `{name}` | {accepts} | {default} | {doc} |"),
    );
}

/// The entry of one kind.
pub(super) fn entry<T: Definition>(group: &'static str, result: Option<&'static str>) -> Entry {
    let schema = object_schema::<T>();
    let description = schema.get("description").and_then(Value::as_str);
    Entry {
        kind: T::KIND,
        group,
        summary: T::SUMMARY,
        description: description.unwrap_or_default().to_owned(),
        fits: T::FITS,
        result,
        example: T::EXAMPLE,
        strength: T::STRENGTH,
        weaker: T::WEAKER,
        uniqueness: T::UNIQUENESS,
        width: T::WIDTH,
        reversible: T::REVERSIBLE,
        parameters: parameters(&schema, field_names::<T>()),
    }
}

/// The default of one parameter of a kind.
pub(super) fn default_of<T: Definition>(parameter: &str) -> Option<Value> {
    object_schema::<T>()
        .get("properties")?
        .get(parameter)?
        .get("default")
        .cloned()
}

/// The struct's own schema, everything it refers to written in place.
fn object_schema<T: JsonSchema>() -> Map<String, Value> {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    std::mem::take(schema.ensure_object())
}

/// The parameters a schema describes, in the given order: the order of a JSON map depends on
/// features of other crates.
fn parameters(schema: &Map<String, Value>, order: &[&str]) -> Vec<Parameter> {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return Vec::new();
    };
    order
        .iter()
        .filter_map(|name| Some((*name, properties.get(*name)?)))
        .map(|(name, property)| Parameter {
            name: name.to_owned(),
            doc: one_line(property.get("description")),
            accepts: accepts(property),
            default: property
                .get("default")
                .filter(|default| !default.is_null())
                .map(Value::to_string),
            required: required.contains(&name),
        })
        .collect()
}

fn one_line(description: Option<&Value>) -> String {
    let text = description.and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

/// What a schema accepts, in words: `"hex"`, `integer`, `"same" or integer`.
fn accepts(schema: &Value) -> String {
    let title = schema.get("title").and_then(Value::as_str);
    if title == Some(TITLE) || schema.get("$ref").is_some() {
        return "treatment".to_owned();
    }
    if let Some(constant) = schema.get("const") {
        return format!("`{constant}`");
    }
    let join = |parts: Vec<String>| {
        let mut unique: Vec<String> = Vec::new();
        for part in parts {
            if part != "null" && !unique.contains(&part) {
                unique.push(part);
            }
        }
        match unique.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => unique.join(""),
        }
    };
    if let Some(Value::Array(values)) = schema.get("enum") {
        let named = values.iter().filter(|value| !value.is_null());
        return join(named.map(|value| format!("`{value}`")).collect());
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(Value::Array(choices)) = schema.get(key) {
            return join(choices.iter().map(accepts).collect());
        }
    }
    match schema.get("type") {
        Some(Value::String(name)) => type_words(schema, name),
        Some(Value::Array(names)) => join(
            names
                .iter()
                .filter_map(Value::as_str)
                .map(|name| type_words(schema, name))
                .collect(),
        ),
        _ => "value".to_owned(),
    }
}

/// One of a schema's types, in words.
fn type_words(schema: &Value, name: &str) -> String {
    let format = schema.get("format").and_then(Value::as_str);
    match (name, schema.get("items"), format) {
        ("array", Some(items), _) => format!("list of {}", accepts(items)),
        ("array", None, _) => "list".to_owned(),
        ("object", ..) => "table".to_owned(),
        ("string", _, Some("date")) => "date".to_owned(),
        ("string", ..) => "text".to_owned(),
        ("boolean", ..) => "true or false".to_owned(),
        _ => name.to_owned(),
    }
}

/// The options, described as parameters.
fn option_parameters() -> Vec<Parameter> {
    let defaults = Options::default();
    let any = object_schema::<Action>();
    let loose = object_schema::<EmptyAction>();
    let strict = object_schema::<StrictAction>();
    let action = |name: &str, doc: &str, schema: &Map<String, Value>, default: Action| Parameter {
        name: name.to_owned(),
        doc: doc.to_owned(),
        accepts: accepts(&Value::Object(schema.clone())),
        default: Some(format!("\"{}\"", default.as_str())),
        required: false,
    };
    vec![
        action(
            "on_null",
            "What happens to a null. `\"synthesize\"` gives it the surrogate that a value would have \
             got, so that nothing tells it was absent. Only surrogates have one to give, and only \
             where `by` names the field that says whose it is, and nothing is kept that would be read \
             from the value. In a row where that field is null or empty, the null stays.",
            &any,
            defaults.on_null,
        ),
        action(
            "on_empty",
            "What happens to a value that is empty or white space only (Unicode White_Space).",
            &loose,
            defaults.on_empty,
        ),
        action(
            "on_short",
            "What happens to a value too short for the pattern.",
            &strict,
            defaults.on_short,
        ),
        action(
            "on_invalid",
            "What happens to a value that doesn't parse, isn't finite, or whose result doesn't fit.",
            &strict,
            defaults.on_invalid,
        ),
        Parameter {
            name: "sentinels".to_owned(),
            doc: "Values kept as given, 100 at most; a floor must list them too.".to_owned(),
            accepts: "list of values of the field's type".to_owned(),
            default: Some("[]".to_owned()),
            required: false,
        },
        Parameter {
            name: "max_invalid".to_owned(),
            doc: "The share of invalid values, among those of the field that aren't null, above \
                  which the run fails and publishes nothing, whatever `on_invalid` does with each: \
                  0.01 bears one in a hundred, 0 none. For the outermost treatment of a field."
                .to_owned(),
            accepts: "share from 0 to 1, as decimal text or number".to_owned(),
            default: None,
            required: false,
        },
    ]
}

/// The schema of the options' keys.
fn option_properties(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut properties = Map::new();
    for parameter in option_parameters() {
        let mut schema = match parameter.name.as_str() {
            "on_null" => generator.subschema_for::<Action>(),
            "on_empty" => generator.subschema_for::<EmptyAction>(),
            "max_invalid" => generator.subschema_for::<Share>(),
            "sentinels" => generator.subschema_for::<Vec<Scalar>>(),
            _ => generator.subschema_for::<StrictAction>(),
        };
        let default = parameter
            .default
            .and_then(|text| serde_json::from_str(&text).ok());
        schema.insert("description".to_owned(), parameter.doc.into());
        if let Some(default) = default {
            schema.insert("default".to_owned(), default);
        }
        properties.insert(parameter.name, schema.to_value());
    }
    properties
}

/// The schema of one kind: its constant `kind`, its parameters, the options, nothing else.
pub(super) fn schema_of<T: Definition>(generator: &mut SchemaGenerator) -> Schema {
    let own = T::json_schema(generator);
    let mut properties = Map::new();
    properties.insert(
        "kind".to_owned(),
        json_schema!({ "const": T::KIND }).to_value(),
    );
    if let Some(Value::Object(parameters)) = own.get("properties") {
        properties.extend(parameters.clone());
    }
    properties.extend(option_properties(generator));
    let mut required = vec![Value::from("kind")];
    if let Some(Value::Array(names)) = own.get("required") {
        required.extend(names.iter().cloned());
    }
    json_schema!({
        "title": T::KIND,
        "description": T::SUMMARY,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false
    })
}

/// The schema of a treatment as written: one of the kinds.
pub(crate) fn schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "title": TITLE,
        "description": "A treatment: its kind, the parameters of that kind, and options.",
        "oneOf": schemas(generator)
    })
}
