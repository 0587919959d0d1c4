//! Vendor data (CPE families, OLT dialects) loaded and checked.
//!
//! **Invariant: vendors are data.** A device family is a TOML file, never an `if vendor ==`. Wrong data is refused at
//! load with a sentence that names the file, the key and what was expected.

pub mod cpe;
pub mod fixtures;
