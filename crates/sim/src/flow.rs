//! What a service port of an OLT carries between a customer and the network: the one thing that OLT and CPE must
//! agree about.

use serde::{Deserialize, Serialize};

/// One service port, as far as frames see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// VLAN on the customer's side; `None` = frames without a tag.
    pub user_vlan: Option<u16>,
    /// VLAN on the network's side.
    pub vlan: u16,
}

/// The flow that carries frames of this VLAN (`None` = untagged).
pub fn carrying(flows: &[Flow], user_vlan: Option<u16>) -> Option<Flow> {
    flows.iter().copied().find(|flow| flow.user_vlan == user_vlan)
}
