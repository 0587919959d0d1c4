//! Simulated OLTs and CPE fleets with the quirks of real ones, for the demo, for tests and for load.

pub mod olt;
