//! Customers, plans and services, as far as a service needs them to exist.

mod commands;
mod create;
mod input;
mod life;
mod record;
mod renew;
mod seen;

pub(crate) use commands::{is_sold, vlan_of};
pub(crate) use create::NUMBER_TRIES;
pub use input::{
    AccessInput, FixedAddress, InternetInput, LanInput, NewCustomer, NewPlan, NewService, NoVlan,
    ServiceCorrection, VlanInput, WifiInput,
};
pub use renew::Generated;
pub use seen::Seen;
