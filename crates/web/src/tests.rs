//! The pages as a browser gets them: over the router, with a real store, a clock that stands still, and devices and
//! people with hostile names.

mod authorise;
pub(crate) mod bed;
mod care;
mod cpe;
mod dialogs;
mod faults;
mod firmware;
mod golden;
mod hostile;
mod live;
mod models;
mod olt_plans;
mod once;
mod once_secrets;
mod pages;
mod picker;
mod policy;
mod reach;
mod recordings;
mod rights;
mod search;
mod service;
mod sign_in;
