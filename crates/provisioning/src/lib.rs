//! The hard provisioning state machine and planner; pure
