//! The built-in families, the four synthetic boxes, and the corpus of real exports where it is at hand.

use super::*;
use crate::fixtures;
use std::path::Path;

fn identity(rows: &[fixtures::ModelRow]) -> Identity {
    let value = |ends: &[&str]| {
        let found = rows.iter().find(|row| ends.iter().any(|end| row.path.ends_with(end)));
        found.map(|row| row.value.clone()).unwrap_or_default()
    };
    let root = rows.iter().find_map(|row| {
        ["InternetGatewayDevice", "Device"].into_iter().find(|root| row.path.split('.').next() == Some(root))
    });
    Identity {
        manufacturer: value(&["DeviceInfo.Manufacturer", "DeviceID.Manufacturer"]),
        oui: value(&["DeviceInfo.ManufacturerOUI", "DeviceID.OUI"]),
        product_class: value(&["DeviceInfo.ProductClass", "DeviceID.ProductClass"]),
        software_version: value(&["DeviceInfo.SoftwareVersion"]),
        root: root.unwrap_or_default().to_owned(),
    }
}

/// What a session sees: the names under the objects the probe plan lists.
fn decide(rows: &[fixtures::ModelRow]) -> Option<Decision> {
    let set = ProfileSet::builtin();
    let candidates = set.nominate(&identity(rows), None);
    let plan = set.probe_plan(&candidates);
    let names = rows.iter().map(|row| row.path.as_str());
    set.decide(&candidates, names.filter(|name| plan.iter().any(|object| name.starts_with(object.as_str()))))
}

#[test]
fn the_four_boxes_are_recognised() {
    for (csv, want) in [
        (fixtures::hg8546m(), "huawei_x_hw"),
        (fixtures::eg8145v5(), "huawei_x_hw"),
        (fixtures::generic_tr098(), "std_tr098"),
        (fixtures::generic_tr181(), "std_tr181"),
    ] {
        let decision = decide(&fixtures::rows(csv)).expect("a family");
        assert_eq!(decision.profile.id, want);
        assert_eq!(decision.read_only, None, "{want}");
        assert!(!decision.evidence.is_empty());
    }
}

#[test]
fn a_blank_huawei_is_known_by_its_identity() {
    let rows: Vec<_> = fixtures::rows(fixtures::hg8546m())
        .into_iter()
        .filter(|row| !row.path.contains("WANConnectionDevice.1"))
        .collect();
    let decision = decide(&rows).expect("a family");
    assert_eq!(decision.profile.id, "huawei_x_hw");
    assert_eq!(decision.evidence, ["identity only"]);
}

#[test]
fn every_leaf_of_a_profile_is_in_its_own_box_or_marked_unproved() {
    let set = ProfileSet::builtin();
    for (id, boxes) in [
        ("huawei_x_hw", vec![fixtures::hg8546m(), fixtures::eg8145v5()]),
        ("std_tr098", vec![fixtures::generic_tr098()]),
        ("std_tr181", vec![fixtures::generic_tr181()]),
    ] {
        let profile = set.get(id).expect("built in");
        let mut known: HashSet<String> = HashSet::new();
        for csv in boxes {
            let all = fixtures::rows(csv).into_iter().chain(fixtures::templates(csv));
            known.extend(all.map(|row| pattern_of(&row.path.replace("{i}", "0"))));
        }
        let negative: HashSet<&String> = profile.probe.none.iter().collect();
        let mut missing: Vec<&String> = profile
            .patterns()
            .iter()
            .filter(|p| !known.contains(*p) && !profile.unproved.contains_key(*p) && !negative.contains(p))
            .collect();
        missing.sort();
        // Bindings are looked for up to eight ports; a box has as many as it has.
        missing.retain(|pattern| !pattern.contains("X_HW_LANBIND."));
        assert!(missing.is_empty(), "{id}: {missing:#?}");
    }
}

#[test]
fn secrets_are_known_as_secrets() {
    let set = ProfileSet::builtin();
    let huawei = set.get("huawei_x_hw").expect("built in");
    for path in [
        "InternetGatewayDevice.ManagementServer.Password",
        "InternetGatewayDevice.ManagementServer.ConnectionRequestPassword",
        "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.7.WANPPPConnection.3.Password",
        "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.PreSharedKey.1.PreSharedKey",
    ] {
        assert!(huawei.is_secret(path) && looks_secret(path), "{path}");
    }
    assert!(!huawei.is_secret("InternetGatewayDevice.ManagementServer.Username"));
}

#[test]
fn wrong_files_are_refused_with_a_sentence() {
    let good = include_str!("../../cpe/std_tr098.toml");
    let load = |text: String| ProfileSet::from_files([("x.toml".to_owned(), text)]).map(|_| ());
    assert!(load(good.to_owned()).is_ok());
    for (from, to, want) in [
        (
            "\"$vlan\"",
            "\"$vlan\"",
            "", // no VLAN in the standard
        ),
        ("to = \"$username\"", "to = \"$user\"", "unknown variable $user; known are vlan, priority"),
        (
            "set = \"ppp:Username\"",
            "set = \"pppp:Username\"",
            "`pppp:Username` is in the unknown slot \"pppp\"",
        ),
        (
            "table = \"{container}WANIPConnection.\"",
            "table = \"{box}WANIPConnection.\"",
            "begin with a known slot",
        ),
        ("max_params = 5", "max_params = 0", "limits must be at least 1"),
        ("max_params = 5", "max_parameters = 5", "unknown field `max_parameters`"),
        ("kind = \"ppp\"\n", "kind = \"pppoe\"\n", "is of the unknown kind \"pppoe\""),
        ("root = \"InternetGatewayDevice.\"", "root = \"IGD.\"", "must be \"InternetGatewayDevice.\" or"),
        ("root = \"InternetGatewayDevice.\"", "root = \"Device.\"", "must begin with \"Device.\""),
        (
            "confidence = \"D\"",
            "confidence = \"A\"",
            "unknown variant `A`, expected one of `K`, `D`, `C`, `R`",
        ),
        ("confidence = \"D\"", "", "missing field `confidence`"),
        ("source = \"Broadband", "source = \"\" #", "must say where the family is known from"),
        (
            "status = \"ppp:ConnectionStatus\"",
            "status = \"pp:X\"",
            "wan.kinds.ppp.facts.status: `pp:X` is in",
        ),
        ("status = \"ppp:ConnectionStatus\"", "status = []", "wan.kinds.ppp.facts.status: must name a leaf"),
        ("switches = [\"ppp:Enable\"]", "switches = [\"p:Enable\"]", "is in the unknown slot \"p\""),
        ("anchor = \"wlan\"", "anchor = \"radio\"", "must be a slot with a table"),
        ("\"2.4GHz\" = 1 }", "\"2GHz\" = 1 }", "\"2GHz\" is none of 2.4GHz, 5GHz"),
        ("{ open = \"Basic\"", "{ wpa = \"Basic\"", "\"wpa\" is none of open, wpa2, mixed"),
        (
            "to = \"IP_Routed\", label",
            "to = \"IP_Routed\", or = [\"X\"], label",
            "`or` and `among` go together",
        ),
        ("[probe]\n", "[[match]]\nscore = 5\n[probe]\n", "a rule needs one of oui, manufacturer"),
        ("[probe]\n", "[[match]]\noui = [\"12\"]\nscore = 5\n[probe]\n", "must be six hexadecimal digits"),
        ("[probe]\n", "[[match]]\nmanufacturer = \"(\"\nscore = 5\n[probe]\n", "is no regular expression"),
        (
            "[write]\n",
            "[capabilities.ping]\nconfidence = \"R\"\nsource = \"x\"\n[write]\n",
            "needs either `paths` or `rpc`",
        ),
        (
            "[write]\n",
            "[capabilities.dance]\nrpc = \"Dance\"\nconfidence = \"R\"\nsource = \"x\"\n[write]\n",
            "unknown variant `dance`",
        ),
        (
            "[write]\n",
            "[capabilities.optical_rx]\npaths = [\"InternetGatewayDevice.X\"]\nconfidence = \"R\"\nsource = \"x\"\n[write]\n",
            "capabilities.optical_rx: `unit` belongs to",
        ),
        (
            "[write]\n",
            "[unproved]\n\"Device.X\" = \"why\"\n[write]\n",
            "must begin with \"InternetGatewayDevice.\"",
        ),
        ("[wan.slots.ppp]\n", "[wan.bind]\nstyle = \"magic\"\n[wan.slots.ppp]\n", "unknown variant `magic`"),
        (
            "[wan.slots.ppp]\n",
            "[wan.bind]\nstyle = \"list\"\nslots = { ppp = \"ppp\" }\nleaf = \"L\"\nlan = \"LAN\"\nlan_ports = 4\n[wan.slots.ppp]\n",
            "must contain {p}",
        ),
        ("set = \"ppp:Username\"", "set = \"Username\"", "expected slot:Leaf"),
        ("title = \"Standard", "extends = \"nothing\"\ntitle = \"Standard", "which does not exist"),
    ] {
        let text = good.replacen(from, to, 1);
        let result = load(text);
        if want.is_empty() {
            assert!(!good.contains(from));
            continue;
        }
        let message = result.expect_err(want).to_string();
        assert!(message.contains(want), "{message}");
        assert!(message.starts_with("CPE profile x.toml: "), "{message}");
    }
    let twice =
        ProfileSet::from_files([("a".to_owned(), good.to_owned()), ("b".to_owned(), good.to_owned())]);
    assert_eq!(
        twice.map(|_| ()).expect_err("same id").to_string(),
        "CPE profiles a and b both have the id \"std_tr098\""
    );
}

/// Family of every export, as it must be told. `read` = right family is not written yet, so it is read-only.
const CORPUS: &[(&str, &str, bool)] = &[
    ("huawei_EG8145V5.csv", "huawei_x_hw", false),
    ("huawei_EG8145V5-voip-partial.csv", "huawei_x_hw", false),
    ("huawei_HG8145X6-excerpt.csv", "huawei_x_hw", false),
    ("tplink_XX230v-tr181.csv", "std_tr181", true),
    ("tplink_EC220-G5-v3-tr181.csv", "std_tr181", true),
    ("vsol_V2804AX15T-excerpt.csv", "std_tr098", true),
    ("zte_H199A.csv", "std_tr098", true),
    ("zte_F650-ctcom-partial.csv", "std_tr098", true),
    ("nokia_G-1425G-A.csv", "std_tr098", true),
    ("intelbras_W5-2100G.csv", "std_tr098", true),
];

#[test]
fn real_exports_are_recognised() {
    let Ok(corpus) = std::env::var("LIGHTKEEPER_CORPUS") else {
        eprintln!("skipped: real_exports_are_recognised, LIGHTKEEPER_CORPUS not set");
        return;
    };
    let mut wrong = Vec::new();
    for (file, family, read_only) in CORPUS {
        let path = Path::new(&corpus).join("cpe").join(file);
        let text = std::fs::read_to_string(&path).expect("a file of the corpus");
        let decision = decide(&fixtures::rows(&text));
        let found = decision.as_ref().map(|d| (d.profile.id.as_str(), d.read_only.is_some()));
        if found != Some((*family, *read_only)) {
            wrong.push(format!("{file}: wanted {family} read-only={read_only}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn huawei_paths_exist_in_a_real_export() {
    let Ok(corpus) = std::env::var("LIGHTKEEPER_CORPUS") else {
        eprintln!("skipped: huawei_paths_exist_in_a_real_export, LIGHTKEEPER_CORPUS not set");
        return;
    };
    let path = Path::new(&corpus).join("cpe/huawei_EG8145V5.csv");
    let text = std::fs::read_to_string(path).expect("a file of the corpus");
    let known: HashSet<String> = fixtures::rows(&text).iter().map(|row| pattern_of(&row.path)).collect();
    let set = ProfileSet::builtin();
    let profile = set.get("huawei_x_hw").expect("built in");
    let mut missing: Vec<&String> = profile
        .patterns()
        .iter()
        .filter(|p| {
            !known.contains(*p) && !profile.unproved.contains_key(*p) && !profile.probe.none.contains(p)
        })
        .collect();
    missing.sort();
    assert!(missing.is_empty(), "{missing:#?}");
}
