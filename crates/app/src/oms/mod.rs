//! OLTs and the ONUs on them.

mod address;
mod ask;
mod authorise;
mod carry;
mod change;
mod hand;
mod input;
mod journal;
mod lease;
mod light;
mod news;
mod observe;
mod olts;
mod reading;
mod registry;
mod reserve;
mod saves;
mod spec;
mod tape;
mod turns;

pub(crate) use address::{AddressWord, Asked, Asker, said_at, seen_online};
pub use input::{
    AuthoriseFor, AuthoriseRequest, DryCheck, DryLine, DryRun, NewAuthorised, NewLine, NewOlt, OltDefaults,
    OnuChange, PlanTraffic, PlannedCustomer, PlannedService,
};
pub use light::LIGHT_AGAIN_S;
pub use observe::OltReading;
pub use olts::OltTest;
pub(crate) use registry::OltRegistry;
pub use saves::Saving;
pub(crate) use spec::internet_port_of;
