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

/// What the box has: every row but the templates. Lines that are no rows (too few columns) are left out.
pub fn rows(csv: &str) -> Vec<ModelRow> {
    parse(csv).filter(|row| !row.path.contains("{i}")).collect()
}

/// What a newborn object looks like: rows with `{i}` for instance numbers. The newborn under the table
/// `A.3.B.` has every row that begins with `A.{i}.B.{i}.` and has no further `{i}`.
pub fn templates(csv: &str) -> Vec<ModelRow> {
    parse(csv).filter(|row| row.path.contains("{i}")).collect()
}

fn parse(csv: &str) -> impl Iterator<Item = ModelRow> {
    csv.lines().skip(1).filter_map(|line| {
        let mut columns = line.splitn(4, ',');
        let (path, writable, kind) = (columns.next()?, columns.next()?, columns.next()?);
        let value = columns.next().unwrap_or_default();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        let value = value.replace("\"\"", "\"");
        Some(ModelRow { path: path.to_owned(), writable: writable == "true", kind: kind.to_owned(), value })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_of_a_fixture_is_listed_before_its_leaves() {
        for csv in [hg8546m(), eg8145v5(), generic_tr098(), generic_tr181()] {
            let all: Vec<ModelRow> = parse(csv).collect();
            let names: std::collections::HashSet<&str> = all.iter().map(|row| row.path.as_str()).collect();
            assert_eq!(names.len(), all.len(), "a path is listed twice");
            for row in &all {
                let path = row.path.trim_end_matches('.');
                if let Some((parent, _)) = path.rsplit_once('.') {
                    let parent = format!("{parent}.");
                    assert!(names.contains(parent.as_str()), "{parent} is missing above {path}");
                }
                assert_eq!(row.kind == "object", row.path.ends_with('.'), "{}", row.path);
            }
            assert!(!templates(csv).is_empty() && rows(csv).len() > 150);
        }
    }
}
