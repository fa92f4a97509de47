//! The published JSON Schemas: made from a table, and in agreement with the decoder.
//!
//! `UPDATE_SCHEMAS=1 cargo test -p faultline-api --test schemas` writes them anew.

mod table;

use std::{collections::BTreeSet, fs, path::Path};

use faultline_api::{Code, Content, decode, decode::SET_BY_THE_SERVER};
use serde_json::{Value as Json, json};

use table::{GUARDRAIL, KERNEL_CHAOS, Row, Type};

const SCHEMAS: [(&str, &[Row]); 2] = [("kernelchaos.json", KERNEL_CHAOS), ("guardrail.json", GUARDRAIL)];

#[test]
fn the_published_schemas_are_those_of_the_table() {
    for (name, rows) in SCHEMAS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
        let text = format!("{:#}\n", schema(name, rows));
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{name} is out of date");
    }
}

#[test]
fn every_field_of_a_schema_is_one_that_the_decoder_takes() {
    for (name, rows) in SCHEMAS {
        let schema = schema(name, rows);
        let full = sample(&schema);
        let complaints = complaints(&full);
        assert_eq!(complaints, [""; 0], "{full:#}");
        let mut wrong = full;
        wrong["spec"]["surelyNoField"] = json!(1);
        assert_eq!(self::complaints(&wrong).len(), 1, "the decoder says nothing about unknown fields");
    }
}

#[test]
fn what_the_decoder_accepts_suits_the_schema() {
    let cases = [
        include_str!("../cases/every-field.yaml"),
        include_str!("../cases/guardrails.yaml"),
        include_str!("../cases/chaos-mesh-sample.yaml"),
        include_str!("../cases/pingcap-sample.yaml"),
    ];
    let mut seen = BTreeSet::new();
    for document in cases.into_iter().flat_map(|case| decode(case).documents) {
        let (name, rows) = match document.content {
            Content::Experiment(_) => SCHEMAS[0],
            Content::Guardrail(guardrail) if guardrail.name != "match-is-unreadable" => SCHEMAS[1],
            _ => continue,
        };
        let mut raw = document.raw;
        assert_eq!(misfit(&raw, &schema(name, rows)), None, "{raw:#}");
        raw["spec"]["surelyNoField"] = json!(1);
        assert_ne!(misfit(&raw, &schema(name, rows)), None, "the schema takes unknown fields");
        seen.insert(name);
    }
    assert_eq!(seen.len(), SCHEMAS.len());
}

fn schema(name: &str, rows: &[Row]) -> Json {
    let mut root = closed_object();
    for (path, kind, meaning) in rows {
        let required = path.ends_with('!');
        let (parents, field) =
            path.trim_end_matches('!').rsplit_once('.').unwrap_or(("", path.trim_end_matches('!')));
        let mut parent = &mut root;
        for key in parents.split('.').filter(|key| !key.is_empty()) {
            let child = &mut parent["properties"][key];
            parent = if child["type"] == "array" { &mut child["items"] } else { child };
        }
        let mut described = of_type(*kind);
        described["description"] = json!(meaning);
        parent["properties"][field] = described;
        if required && let Some(required) = parent["required"].as_array_mut() {
            required.push(json!(field));
        }
    }
    for field in SET_BY_THE_SERVER {
        root["properties"]["metadata"]["properties"][field] =
            json!({ "description": "Set by a server, and ignored." });
    }
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!(format!("Faultline: {}", name.trim_end_matches(".json")));
    root
}

fn closed_object() -> Json {
    json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false })
}

fn of_type(kind: Type) -> Json {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": text });
    let whole = |from: u64, to: u64| json!({ "type": "integer", "minimum": from, "maximum": to });
    match kind {
        Type::Fields => closed_object(),
        Type::ListOfFields => json!({ "type": "array", "items": closed_object() }),
        Type::Text => text,
        Type::Words(words) => json!({ "type": "string", "enum": words }),
        Type::Whole(from, to) => whole(from, to),
        Type::Boolean => json!({ "type": "boolean" }),
        Type::Texts => texts,
        Type::ListOfWhole(from, to) => json!({ "type": "array", "items": whole(from, to) }),
        Type::TextByKey => json!({ "type": "object", "additionalProperties": text }),
        Type::TextsByKey => json!({ "type": "object", "additionalProperties": texts }),
        Type::TextByWord(words) => {
            json!({ "type": "object", "propertyNames": { "enum": words }, "additionalProperties": text })
        }
        Type::Anything => json!({}),
    }
}

/// A document with every field of the schema.
fn sample(schema: &Json) -> Json {
    match schema["type"].as_str() {
        Some("object") if schema["properties"].is_object() => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            fields.map(|(key, field)| (key.clone(), sample(field))).collect::<serde_json::Map<_, _>>().into()
        }
        Some("object") => {
            let key = schema["propertyNames"]["enum"][0].as_str().unwrap_or("example");
            json!({ key: sample(&schema["additionalProperties"]) })
        }
        Some("array") => json!([sample(&schema["items"])]),
        Some("integer") => schema["minimum"].clone(),
        Some("boolean") => json!(true),
        Some(_) => schema["enum"].get(0).cloned().unwrap_or_else(|| json!("example")),
        None => json!({}),
    }
}

/// What the decoder says about the fields and types of a document.
fn complaints(document: &Json) -> Vec<String> {
    let about_fields =
        [Code::UnknownField, Code::WrongType, Code::MissingField, Code::UnknownKind, Code::YamlSyntax];
    let diagnostics = decode(document.to_string()).diagnostics;
    let complaints = diagnostics.into_iter().filter(|diagnostic| about_fields.contains(&diagnostic.code));
    // Of the two spellings, the sample is in the one that has no `function`.
    complaints
        .map(|diagnostic| diagnostic.message)
        .filter(|message| !message.contains("no field `function`"))
        .collect()
}

/// Why a value does not suit a schema, as far as these schemas go.
fn misfit(value: &Json, schema: &Json) -> Option<String> {
    let wrong_type = match schema["type"].as_str() {
        Some("object") => !value.is_object(),
        Some("array") => !value.is_array(),
        Some("integer") => value.as_u64().is_none_or(|number| {
            schema["minimum"].as_u64() > Some(number) || schema["maximum"].as_u64() < Some(number)
        }),
        Some("boolean") => !value.is_boolean(),
        Some("string") => {
            !value.is_string() || schema["enum"].as_array().is_some_and(|words| !words.contains(value))
        }
        _ => return None,
    };
    if wrong_type {
        return Some(format!("{value} does not suit {schema}"));
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
    if let Some(missing) = required.into_iter().find(|field| value.get(field).is_none()) {
        return Some(format!("{missing} is missing"));
    }
    let items = value.as_array().into_iter().flatten().find_map(|item| misfit(item, &schema["items"]));
    items.or_else(|| value.as_object()?.iter().find_map(|(key, value)| field_misfit(key, value, schema)))
}

fn field_misfit(key: &str, value: &Json, schema: &Json) -> Option<String> {
    let names = schema["propertyNames"]["enum"].as_array();
    match (schema["properties"].get(key), &schema["additionalProperties"]) {
        (Some(field), _) => misfit(value, field),
        (None, Json::Bool(false)) => Some(format!("{key} is unknown")),
        (None, _) if names.is_some_and(|names| !names.contains(&json!(key))) => {
            Some(format!("{key} is no name here"))
        }
        (None, others) => misfit(value, others),
    }
}
