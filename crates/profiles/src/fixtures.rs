//! Data models of four boxes in the shape of a device export (`path,writable,type,value`), written for this
//! project: for tests, and for the simulator to be fed with. **Synthetic**: no real unit answers exactly so.

/// A Huawei HG8546M: 2.4 GHz only, factory state with its management WAN. Derived from what the family is known
/// to have; no export of a real unit is known.
pub fn hg8546m() -> &'static str {
    include_str!("../fixtures/HG8546M-synthetic.csv")
}

/// A Huawei EG8145V5-like box: dual band, factory state with its management WAN.
pub fn eg8145v5() -> &'static str {
    include_str!("../fixtures/EG8145V5-like-synthetic.csv")
}

/// A TR-098 box with nothing but the standard.
pub fn generic_tr098() -> &'static str {
    include_str!("../fixtures/generic-tr098-synthetic.csv")
}

/// A TR-181 box with nothing but the standard.
pub fn generic_tr181() -> &'static str {
    include_str!("../fixtures/generic-tr181-synthetic.csv")
}

/// One line of a data model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    /// Full path; objects end with a dot.
    pub path: String,
    /// Leaf: may be written. Table: AddObject allowed. Instance: DeleteObject allowed.
    pub writable: bool,
    /// `object`, or the name after `xsd:`.
    pub kind: String,
    /// Value of a leaf.
    pub value: String,
}

/// Reads a data model. Lines that are no rows (too few columns) are left out.
pub fn rows(csv: &str) -> Vec<ModelRow> {
    csv.lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.splitn(4, ',');
            let (path, writable, kind) = (columns.next()?, columns.next()?, columns.next()?);
            let value = columns.next().unwrap_or_default().trim();
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
            let value = value.replace("\"\"", "\"");
            Some(ModelRow { path: path.to_owned(), writable: writable == "true", kind: kind.to_owned(), value })
        })
        .collect()
}
