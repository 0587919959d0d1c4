//! Data models of boxes in the shape of a device export (`path,writable,type,value`), written for this project: for
//! tests, and for the simulator to be fed with. **Synthetic**: no real unit answers exactly so.

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

/// Families with a box of their own: what it has beside (or instead of) a standard one.
const FAMILIES: &[(&str, &str)] = &[
    ("zte_x_zte_com", include_str!("../fixtures/families/zte_x_zte_com.csv")),
    ("zte_x_cmcc", include_str!("../fixtures/families/zte_x_cmcc.csv")),
    ("ctcom_x_ct_com", include_str!("../fixtures/families/ctcom_x_ct_com.csv")),
    ("ctcom_vsol", include_str!("../fixtures/families/ctcom_vsol.csv")),
    ("fiberhome_x_fh", include_str!("../fixtures/families/fiberhome_x_fh.csv")),
    ("nokia_x_alu", include_str!("../fixtures/families/nokia_x_alu.csv")),
    ("tplink_tr098", include_str!("../fixtures/families/tplink_tr098.csv")),
    ("tplink_tr181", include_str!("../fixtures/families/tplink_tr181.csv")),
    ("tenda_x_tdtc", include_str!("../fixtures/families/tenda_x_tdtc.csv")),
    ("intelbras_itbs", include_str!("../fixtures/families/intelbras_itbs.csv")),
    ("mikrotik", include_str!("../fixtures/families/mikrotik.csv")),
];

/// Ids of the families [`family`] has a box of.
pub fn families() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(id, _)| *id)
}

/// The box of a family: the standard one with the family's differences. A line of the differences that begins with
/// `-` removes every row that begins so, `#base` names the standard box, any other row is added or replaced.
pub fn family(id: &str) -> Option<String> {
    let (_, differences) = FAMILIES.iter().find(|(family, _)| *family == id)?;
    let base = match differences.lines().find_map(|line| line.strip_prefix("#base "))? {
        "generic-tr181" => generic_tr181(),
        _ => generic_tr098(),
    };
    let mut lines: Vec<&str> = base.lines().collect();
    for line in differences.lines().filter(|line| !line.starts_with('#')) {
        if let Some(gone) = line.strip_prefix('-') {
            lines.retain(|old| !old.starts_with(gone));
            continue;
        }
        let path = &line[..=line.find(',')?];
        match lines.iter_mut().find(|old| old.starts_with(path)) {
            Some(old) => *old = line,
            None => lines.push(line),
        }
    }
    Some(lines.join("\n"))
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
        let standard = [hg8546m(), eg8145v5(), generic_tr098(), generic_tr181()].map(str::to_owned);
        for csv in standard.into_iter().chain(families().map(|id| family(id).expect("a box"))) {
            let csv = csv.as_str();
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
