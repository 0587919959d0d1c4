//! The store on both engines. Everything runs on SQLite; everything runs on PostgreSQL too when
//! `LIGHTKEEPER_TEST_POSTGRES` is the address of a server on which databases may be made.

#[macro_use]
mod bed;

mod acs;
mod durability;
mod firmware;
mod orphans;
mod read;
mod recordings;
mod repositories;
mod start;
mod steps;
mod tasks;
mod units;
mod work;
