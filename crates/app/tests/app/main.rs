//! The application against the real store, simulated CPEs and simulated OLTs. Everything runs on SQLite; everything
//! runs on PostgreSQL too when `LIGHTKEEPER_TEST_POSTGRES` is the address of a server on which databases may be made.

#[macro_use]
mod support;

mod address;
mod auth;
mod calls;
mod clock;
mod crm;
mod diagnoses;
mod door;
mod family;
mod files;
mod firmware;
mod journey;
mod lost;
mod neighbours;
mod oms;
mod oms_change;
mod oms_change_trouble;
mod oms_hand;
mod oms_saves;
mod oms_trouble;
mod oms_vlan;
mod orders;
mod placeholder;
mod record;
mod recorder;
mod shell;
