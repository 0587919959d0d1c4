//! The families against exports of real units: is each one named right, and is every path of a profile in its
//! exports or marked as unproved?

use super::tests::{decide, identity};
use super::*;
use crate::fixtures::{self, ModelRow};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Family of every export, and whether it is only read.
const EXPORTS: &[(&str, &str, bool)] = &[
    ("huawei_BM632w", "std_tr098", true),
    ("huawei_EG8145V5", "huawei_x_hw", false),
    ("huawei_EG8145V5-voip-partial", "huawei_x_hw", false),
    ("huawei_HG8145V5-datamodel-names", "huawei_x_hw", false),
    ("huawei_HG8145X6-excerpt", "huawei_x_hw", false),
    ("intelbras_W5-2100G", "intelbras_itbs", false),
    ("nokia_G-1425G-A", "nokia_x_alu", false),
    ("tplink_EC220-G5-v3-tr181", "tplink_tr181", false),
    ("tplink_IGD-datamodel-names", "tplink_tr098", false),
    ("tplink_XX230v-tr181", "tplink_tr181", false),
    ("vsol_V2804AX15T-excerpt", "ctcom_vsol", false),
    ("zte_F650-ctcom-partial", "ctcom_x_ct_com", false),
    ("zte_F663NV3A-cmcc-partial", "zte_x_cmcc", false),
    ("zte_F663NV3a-b-partial", "zte_x_cmcc", false),
    ("zte_H196A-datamodel-names", "zte_x_zte_com", false),
    ("zte_H199A", "zte_x_zte_com", false),
];

fn corpus(test: &str) -> Option<PathBuf> {
    let Ok(corpus) = std::env::var("LIGHTKEEPER_CORPUS") else {
        eprintln!("skipped: {test}, LIGHTKEEPER_CORPUS not set");
        return None;
    };
    Some(Path::new(&corpus).join("cpe"))
}

/// Every row of an export; lists of names stand for one instance of each.
fn export(folder: &Path, name: &str) -> Vec<ModelRow> {
    let path = folder.join(format!("{name}.csv"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let templates = fixtures::templates(&text).into_iter();
    let named = templates.map(|row| ModelRow { path: row.path.replace("{i}", "1"), ..row });
    fixtures::rows(&text).into_iter().chain(named).collect()
}

#[test]
fn every_export_is_named_right() {
    let Some(folder) = corpus("every_export_is_named_right") else { return };
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .expect("the folder of exports")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".csv")?.to_owned()))
        .collect();
    files.sort();
    let known: Vec<&str> = EXPORTS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(files, known, "the list in this test is the list of exports");
    let mut wrong = Vec::new();
    for (name, family, read_only) in EXPORTS {
        let rows = export(&folder, name);
        let decision = decide(&rows, &identity(&rows), None);
        let found = decision.as_ref().map(|d| (d.profile.id.as_str(), d.read_only.is_some(), d.known));
        if found != Some((*family, *read_only, Known::Probed)) {
            wrong.push(format!("{name}: wanted {family} read-only={read_only}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Nobody is believed because of a name: told a wrong one, every export keeps its family; a refinement that needs a
/// name falls back to what it refines.
#[test]
fn a_wrong_name_changes_no_family() {
    let Some(folder) = corpus("a_wrong_name_changes_no_family") else { return };
    let set = ProfileSet::builtin();
    for (name, family, _) in EXPORTS {
        let rows = export(&folder, name);
        let profile = set.get(family).expect("a family");
        let parent = profile.extends.as_deref().unwrap_or_default();
        let want = if profile.probe.needs_match { parent } else { family };
        let mut lies = vec![Identity { root: identity(&rows).root, ..Identity::default() }];
        for (manufacturer, oui, product_class) in [
            ("Huawei Technologies Co., Ltd", "00259E", "HG8546M"),
            ("ZTE", "1C2704", "F663NV3A"),
            ("ZTEG", "1C2704", "F663NV3A"),
            ("ALCL", "9075BC", "G-1425G-A"),
            ("TP-Link", "1C61B4", "Device2"),
        ] {
            lies.push(Identity {
                manufacturer: manufacturer.into(),
                oui: oui.into(),
                product_class: product_class.into(),
                software_version: "V1.0.0P1T6".into(),
                root: identity(&rows).root,
            });
        }
        for lie in lies {
            let decision = decide(&rows, &lie, Some("huawei_x_hw")).expect("a family");
            assert_eq!(decision.profile.id, want, "{name} as {} {}", lie.manufacturer, lie.product_class);
        }
    }
}

/// Patterns of an export, with every object above them.
fn patterns_of(rows: &[ModelRow]) -> HashSet<String> {
    let mut patterns = HashSet::new();
    for row in rows {
        let pattern = pattern_of(&row.path);
        for (at, _) in pattern.match_indices('.') {
            patterns.insert(pattern[..=at].to_owned());
        }
        patterns.insert(pattern);
    }
    patterns
}

/// What the tests of a family read and write: of several names of one thing the one that the exports know.
fn tested_by(profile: &CpeProfile, known: &HashSet<String>) -> Vec<String> {
    let mut used = Vec::new();
    for names in profile.hosts.iter().flat_map(HostTable::patterns) {
        used.extend(names.iter().find(|path| known.contains(*path)).or(names.first()).cloned());
    }
    for name in DiagnosticName::ALL {
        let Some((diagnostic, objects)) = profile.diagnostic(*name) else { continue };
        for leaves in diagnostic.leaves() {
            let mut paths =
                objects.iter().flat_map(|object| leaves.iter().map(move |leaf| format!("{object}{leaf}")));
            let first = paths.clone().next();
            used.extend(paths.find(|path| known.contains(path)).or(first));
        }
    }
    used
}

/// Every path a profile reads, writes, walks through, probes or offers.
fn used_by(profile: &CpeProfile, known: &HashSet<String>) -> Vec<String> {
    let capabilities = profile.capabilities.values().flat_map(|capability| &capability.paths);
    let mut used: Vec<String> = profile
        .patterns()
        .iter()
        .filter(|pattern| !profile.probe.none.contains(pattern))
        .cloned()
        .chain(capabilities.map(|path| pattern_of(path)))
        .chain(tested_by(profile, known))
        .collect();
    used.sort();
    used.dedup();
    used
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/unproved_cpe_paths.txt")
}

#[test]
fn every_path_is_in_an_export_or_marked_unproved() {
    let Some(folder) = corpus("every_path_is_in_an_export_or_marked_unproved") else { return };
    let (mut list, mut wrong) = (String::new(), Vec::new());
    let set = ProfileSet::builtin();
    let mut profiles = set.all().to_vec();
    profiles.sort_by(|a, b| a.id.cmp(&b.id));
    for profile in profiles {
        let rows: Vec<ModelRow> = profile.exports.iter().flat_map(|name| export(&folder, name)).collect();
        let known = patterns_of(&rows);
        let used = used_by(&profile, &known);
        let _ = writeln!(list, "{} ({} paths)", profile.id, used.len());
        for pattern in &used {
            match (known.contains(pattern), profile.unproved(pattern)) {
                (true, None) => {}
                (true, Some(_)) if !profile.unproved.contains_key(pattern) => {}
                (true, Some(_)) => wrong.push(format!("{}: {pattern} is proved by now", profile.id)),
                (false, None) => wrong.push(format!("{}: {pattern}", profile.id)),
                (false, Some(why)) => {
                    let _ = writeln!(list, "  {pattern}: {why}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "neither in an export nor marked in [unproved]:\n{}", wrong.join("\n"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden(), &list).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(golden()).unwrap_or_default();
    assert!(golden == list, "other paths are unproved now; look with UPDATE_GOLDEN=1 and git diff");
}

/// The list people read is the marks of the profiles, also where the exports are not at hand.
#[test]
fn the_list_of_unproved_paths_is_what_the_profiles_say() {
    let text = std::fs::read_to_string(golden()).expect("the golden file");
    let mut listed: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    let mut family = "";
    for line in text.lines() {
        match line.strip_prefix("  ").and_then(|line| line.split_once(": ")) {
            Some((pattern, why)) => {
                let profile = ProfileSet::builtin().get(family).cloned().expect("a family");
                assert_eq!(profile.unproved(pattern), Some(why), "{family} {pattern}");
                listed.entry(family).or_default().insert(pattern);
            }
            None => family = line.split_whitespace().next().unwrap_or_default(),
        }
    }
    for profile in ProfileSet::builtin().all() {
        let marks = profile.unproved.keys().filter(|key| !key.ends_with('*'));
        for mark in marks {
            let is = listed.get(profile.id.as_str()).is_some_and(|patterns| patterns.contains(mark.as_str()));
            assert!(is, "{}: {mark} is marked and not in the list: is it used at all?", profile.id);
        }
    }
}
