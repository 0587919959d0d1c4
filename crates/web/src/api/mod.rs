//! REST for programs.

pub(crate) mod v1;
