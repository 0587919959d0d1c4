//! Customers, plans and services, as far as a service needs them to exist.

mod commands;
mod input;
mod record;
mod renew;

pub(crate) use commands::{is_sold, vlan_of};
pub use input::{AccessInput, InternetInput, NewCustomer, NewPlan, NewService, NoVlan, VlanInput, WifiInput};
pub use renew::Generated;
