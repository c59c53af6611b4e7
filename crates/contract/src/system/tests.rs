use std::collections::BTreeSet;

use super::*;

/// Two systems may use one machine, one cluster and one state folder.
#[test]
fn no_two_systems_share_a_name_a_database_or_a_port() {
    let of = |what: fn(&Description) -> String| System::ALL.map(|system| what(system.description()));
    for values in [
        of(|d| d.name.into()),
        of(|d| d.database.into()),
        of(|d| d.api_port.to_string()),
        of(|d| d.mysql_port.to_string()),
        of(|d| d.redis_port.to_string()),
        of(|d| d.kafka_port.to_string()),
        of(|d| d.claims.group.into()),
    ] {
        assert_eq!(values.iter().collect::<BTreeSet<_>>().len(), values.len(), "{values:?}");
    }
}

#[test]
fn a_profile_names_a_system_as_reports_do() {
    for system in System::ALL {
        assert_eq!(serde_json::to_value(system).unwrap(), system.name());
    }
}

#[test]
fn a_process_is_known_by_its_name() {
    for spec in System::default().description().roles {
        let of: Vec<_> = System::default().description().roles.iter().filter(|s| s.has(&spec.process(12))).collect();
        assert_eq!(of, [spec]);
    }
    assert!(!API.has("apiary-1") && !API.has("api"));
}

/// The one table of all ports, and that of names, say what is the case.
#[test]
fn the_documents_say_the_systems_numbers() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/systems.md")).unwrap();
    let cells = |row: &str| -> Vec<String> {
        let line =
            text.lines().find(|line| line.starts_with(&format!("| {row}"))).unwrap_or_else(|| panic!("no {row}"));
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        cells.collect::<Vec<_>>().split_off(line.trim_matches('|').split('|').count() - System::ALL.len())
    };
    for (at, of) in System::ALL.map(System::description).into_iter().enumerate() {
        for (row, value) in [
            ("| ", of.name.to_owned()),
            ("database", of.database.into()),
            ("topic", of.claims.name.into()),
            ("partitions", of.claims.partitions.to_string()),
            ("group", of.claims.group.into()),
            ("consumers", of.consumers.to_string()),
            ("API |", of.api_port.to_string()),
            ("MySQL", of.mysql_port.to_string()),
            ("Redis |", of.redis_port.to_string()),
            ("Kafka;", of.kafka_port.to_string()),
        ] {
            assert_eq!(cells(row)[at], value, "{}: {row}", of.name);
        }
        for (variable, port) in of.moved {
            let row = text.lines().find(|line| line.contains(variable)).unwrap();
            assert!(row.contains(&port.to_string()), "{row}");
        }
    }
}

/// Databases of released versions are told by these numbers.
#[test]
fn published_versions_of_the_schema_stay_what_they_are() {
    let schema = System::Ecommerce.description().schema;
    assert_eq!(schema[..2], [&[Step::Users, Step::Products, Step::Points][..], &[Step::Coupons]]);
}
