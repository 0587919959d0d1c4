//! Chores of the project: `cargo xtask test`, `tidy`, `bench`, `fuzz`, `openapi`, `screenshots`.
//!
//! **Invariant: what cannot be set up is skipped by name, never silently.** Every command ends by saying what it
//! did not do and why; a check that ran and failed makes the exit code 1.

mod bench;
mod cleanup;
mod e2e;
mod fuzz;
mod install;
mod openapi;
mod postgres;
mod proc;
mod report;
mod rust_tests;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the Lightkeeper project.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Sets up what the tests need and runs every check and test; lists at the end what was skipped and why.
    Test(test::Options),
    /// Checks the rules of the source tree that the compiler does not know.
    Tidy,
    /// Runs one command with a private PostgreSQL cluster in LIGHTKEEPER_TEST_POSTGRES:
    /// `cargo xtask with-postgres cargo test -p lightkeeper-store`.
    WithPostgres {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Runs the benchmarks and prints their figures.
    Bench(bench::Options),
    /// Feeds the readers of foreign input (SOAP, HTTP, digest, CLI) with mutated recordings for some minutes.
    Fuzz(fuzz::Options),
    /// Rewrites the snapshot of the API description after an intended change, and shows the difference.
    Openapi,
    /// Runs the demo and photographs its main pages, light and dark, wide and narrow, into docs/screenshots.
    Screenshots,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = cleanup::install_handler().and_then(|()| match arguments.command {
        Chore::Test(options) => test::run(&options),
        Chore::Tidy => tidy::run(),
        Chore::WithPostgres { command } => postgres::with(&command),
        Chore::Bench(options) => bench::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Openapi => openapi::run(),
        Chore::Screenshots => e2e::screenshots(),
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
