//! Lightkeeper binary.
fn main() {}
