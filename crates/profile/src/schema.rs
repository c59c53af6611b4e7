//! The JSON schema of a profile: for editors, for other programs, and for our own reader, which walks it.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::model::Profile;

/// Other spellings that serde takes: spelling → key.
pub(crate) const ALIASES: [(&str, &str); 4] =
    [("start_vus", "startVUs"), ("max_vus", "maxVUs"), ("abort_on_fail", "abortOnFail"), ("delay", "delayAbortEval")];

/// The JSON schema of a profile (draft 2020-12), as it is published in `docs/schema/profile.json`.
pub fn schema() -> Value {
    let mut schema = canonical();
    add_aliases(&mut schema);
    add_files(&mut schema);
    schema
}

/// In the place of an invariant a file of them may be named. Our own reader puts its entries there first.
fn add_files(schema: &mut Value) {
    let Some(entry) = schema.pointer_mut("/properties/invariants/additionalProperties") else { return };
    let file = json!({
        "description": "A file of invariants, relative to the profile.",
        "type": "object",
        "properties": {
            "file": {"type": "string"},
            "parameters": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["file"],
        "additionalProperties": false,
    });
    *entry = json!({"anyOf": [entry.take(), file]});
}

/// The schema with one spelling of each key.
pub(crate) fn canonical() -> Value {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let mut schema = generator.into_root_schema_for::<Profile>().to_value();
    if let Some(scenario) = schema.pointer_mut("/$defs/Scenario").and_then(Value::as_object_mut) {
        // serde cannot deny unknown keys beside `flatten`, and so schemars does not either.
        scenario.insert("unevaluatedProperties".into(), json!(false));
    }
    if let Some(goal) = schema.pointer_mut("/$defs/Goal/anyOf/1").and_then(Value::as_object_mut) {
        goal.insert("additionalProperties".into(), json!(false));
    }
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".into(), json!("Profile of ecomctl"));
    }
    schema
}

fn add_aliases(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(add_aliases),
        Value::Object(object) => {
            object.values_mut().for_each(add_aliases);
            for (alias, key) in ALIASES {
                add_alias(object, alias, key);
            }
        }
        _ => {}
    }
}

fn add_alias(object: &mut Map<String, Value>, alias: &str, key: &str) {
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let Some(property) = properties.get(key).cloned() else { return };
    properties.insert(alias.into(), property);
    let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) else { return };
    let before = required.len();
    required.retain(|r| r != key);
    if required.len() < before {
        object.insert("anyOf".into(), json!([{"required": [key]}, {"required": [alias]}]));
    }
}
