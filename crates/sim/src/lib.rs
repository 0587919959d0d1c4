//! Simulated OLTs and CPE fleets with the quirks of real ones
