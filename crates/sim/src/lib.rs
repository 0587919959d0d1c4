//! Simulated OLTs and CPE fleets with the quirks of real ones, for the demo, for tests and for load.
//!
//! **Invariant: nothing here knows Lightkeeper.** The simulators speak SSH, Telnet, SNMP and CWMP as the boxes do,
//! keep their own record of what they were told, and believe nobody.
//!
//! - [`scenario`]: what there is, as readable TOML.
//! - [`olt`]: a Huawei OLT behind SSH, Telnet and SNMP.
//! - [`cpe`]: CPEs with a data model, behaviour and quirks; [`cpe::Fleet`] runs many of them.
//! - [`flow`]: what an OLT carries of a CPE's traffic.
//! - [`record`]: what each CPE was told.
//! - [`witness`]: whether its quirks have shown.

pub mod cpe;
pub mod flow;
pub mod olt;
pub mod record;
pub mod scenario;
pub mod witness;
