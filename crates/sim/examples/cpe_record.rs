//! Prints what the simulated CPEs of a data folder were told, and everything that must never happen.
//!
//! `cargo run -p lightkeeper-sim --example cpe_record -- data/demo/network/cpes`

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("the folder with the journals of the CPEs is wanted");
        return ExitCode::FAILURE;
    };
    let record = match sim::record::Record::load(&folder) {
        Ok(record) => record,
        Err(error) => {
            eprintln!("{} cannot be read: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    };
    for (serial, cpe) in &record.cpes {
        let tally = &cpe.tally;
        println!(
            "{serial}: {} sessions ({} failed), {} boots, connection requests {:?}, orders {:?}, faults {:?}",
            tally.sessions,
            tally.sessions_failed,
            tally.boots,
            tally.connection_requests,
            tally.orders,
            tally.faults
        );
        for path in cpe.wan_objects_created() {
            println!("    created {path}");
        }
        for crowd in cpe.crowded_sessions() {
            println!("    session {} did more than one structural step: {}", crowd.session, crowd.what);
        }
    }
    let violations = record.violations();
    violations.iter().for_each(|violation| println!("NEVER: {violation}"));
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
