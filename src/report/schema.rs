//! JSON schemas of what commands print with `--format json`, published under `docs/schema/`.

use infra::{Status, logs::LogLine, stats::Stats};
use profile::ProfileInfo;
use record::event::watch::KafkaSample;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;
use verify::VerifyReport;

use crate::summary::Summary;

/// Name of the file → schema.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("summary.json", of::<Summary>()),
        ("verify.json", of::<VerifyReport>()),
        ("status.json", of::<Status>()),
        ("stats.json", of::<Stats>()),
        ("logs.json", of::<LogLine>()),
        ("lag.json", of::<KafkaSample>()),
        ("profiles.json", of::<Vec<ProfileInfo>>()),
    ]
}

/// As it is written, not as it may be read: what is always there is required.
fn of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn published_schemas_are_current() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
        for (name, schema) in all() {
            let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
            let path = folder.join(name);
            if std::env::var_os("UPDATE_EXPECT").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let published = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(published, text, "{name} is stale: UPDATE_EXPECT=1 cargo test published_schemas");
        }
    }
}
