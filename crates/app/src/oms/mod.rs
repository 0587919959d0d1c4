//! OLTs and the ONUs on them.

mod input;

pub use input::{AuthoriseRequest, DryCheck, DryLine, DryRun, NewOlt, OltDefaults, PlanTraffic};

#[derive(Debug, Default)]
pub(crate) struct OltRegistry;
