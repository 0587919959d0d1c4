//! The live schema against what the code expects, for CRM, OMS and ACS tables alike.

use super::live::Live;
use crate::{cell::TypeClass, entities::EXPECTED, error::SchemaProblem};

/// Unique indexes that the code leans on: without them two units could both be right.
pub(crate) const UNIQUE_INDEXES: &[(&str, &str)] = &[
    ("customers", "customers_code"),
    ("plans", "plans_name"),
    ("services", "services_code"),
    ("services", "services_pppoe_login"),
    ("services", "services_onu"),
    ("services", "services_cpe"),
    ("olts", "olts_name"),
    ("pon_ports", "pon_ports_place"),
    ("onus", "onus_place"),
    ("onus", "onus_serial"),
    ("detected_onus", "detected_onus_serial"),
    ("olt_tasks", "olt_tasks_open"),
    ("olt_task_lines", "olt_task_lines_seq"),
    ("cpes", "cpes_identity"),
    ("cpe_firmwares", "cpe_firmwares_identity"),
    ("firmware_files", "firmware_files_content"),
    ("device_orders", "device_orders_key"),
    ("cpes", "cpes_auth_username"),
    ("users", "users_name"),
    ("api_keys", "api_keys_hash"),
    ("jobs", "jobs_open_key"),
];

/// Every difference that matters. Tables and columns that we do not know are somebody else's and are left alone.
pub(crate) fn compare(live: &Live) -> Vec<SchemaProblem> {
    let mut problems = Vec::new();
    for table in EXPECTED {
        let Some(columns) = live.tables.get(table.name) else {
            problems.push(SchemaProblem::MissingTable { table: table.name });
            continue;
        };
        for column in table.columns {
            let Some(found) = columns.get(column.name) else {
                problems.push(SchemaProblem::MissingColumn { table: table.name, column: column.name });
                continue;
            };
            if class_of(&found.type_name) != Some(column.class) {
                problems.push(SchemaProblem::WrongType {
                    table: table.name,
                    column: column.name,
                    found: found.type_name.clone(),
                    wanted: column.class.to_string(),
                });
            }
            if found.nullable != column.nullable {
                problems.push(SchemaProblem::WrongNullability {
                    table: table.name,
                    column: column.name,
                    nullable: column.nullable,
                });
            }
        }
    }
    for (table, index) in UNIQUE_INDEXES {
        if live.tables.contains_key(*table) && !live.unique_indexes.contains(*index) {
            problems.push(SchemaProblem::MissingUniqueIndex { table, index });
        }
    }
    problems
}

fn class_of(type_name: &str) -> Option<TypeClass> {
    match type_name {
        "bigint" | "integer" => Some(TypeClass::Integer),
        "text" | "character varying" | "varchar" => Some(TypeClass::Text),
        "boolean" => Some(TypeClass::Boolean),
        "blob" | "bytea" => Some(TypeClass::Bytes),
        _ => None,
    }
}
