//! Fleets for the benchmark of the ACS: one that is met for the first time, ones that are known, and how they speak.

pub(crate) mod bare;
pub(crate) mod drive;
pub(crate) mod first;
pub(crate) mod known;
