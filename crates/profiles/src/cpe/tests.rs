//! The built-in families, the four synthetic boxes, and the corpus of real exports where it is at hand.

use super::*;
use crate::fixtures;
use types::names_a_secret;

pub(super) fn identity(rows: &[fixtures::ModelRow]) -> Identity {
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

/// What a session sees: the names under the objects the first look lists, then those of the second.
pub(super) fn decide(
    rows: &[fixtures::ModelRow],
    identity: &Identity,
    learned: Option<&str>,
) -> Option<Decision> {
    let set = ProfileSet::builtin();
    let candidates = set.nominate(identity, learned);
    let under = |plan: &[String]| -> Vec<&str> {
        let listed = |path: &str| plan.iter().any(|object| path.starts_with(object.as_str()));
        rows.iter().map(|row| row.path.as_str()).filter(|path| listed(path)).collect()
    };
    let mut plan = set.probe_plan(&candidates);
    plan.extend(set.second_look(&candidates, under(&plan)));
    set.decide(&candidates, under(&plan))
}

#[test]
fn the_four_boxes_are_recognised() {
    for (csv, want) in [
        (fixtures::hg8546m(), "huawei_x_hw"),
        (fixtures::eg8145v5(), "huawei_x_hw"),
        (fixtures::generic_tr098(), "std_tr098"),
        (fixtures::generic_tr181(), "std_tr181"),
    ] {
        let rows = fixtures::rows(csv);
        let decision = decide(&rows, &identity(&rows), None).expect("a family");
        assert_eq!((decision.profile.id.as_str(), decision.known), (want, Known::Probed));
        assert_eq!(decision.read_only, None, "{want}");
        assert!(!decision.evidence.is_empty());
    }
}

#[test]
fn every_family_knows_its_own_box() {
    for id in fixtures::families() {
        let rows = fixtures::rows(&fixtures::family(id).expect("a box"));
        let decision = decide(&rows, &identity(&rows), None).expect("a family");
        assert_eq!((decision.profile.id.as_str(), decision.known), (id, Known::Probed));
        assert_eq!(decision.read_only.is_some(), id == "mikrotik", "{id}: {:?}", decision.read_only);
    }
}

/// The same model with the same firmware, sold with the trees of two operators.
#[test]
fn twins_are_told_apart_by_their_trees() {
    let twins: Vec<_> = ["zte_x_cmcc", "ctcom_x_ct_com"]
        .into_iter()
        .map(|id| (id, fixtures::rows(&fixtures::family(id).expect("a box"))))
        .collect();
    let of = |rows| Identity { manufacturer: String::new(), ..identity(rows) };
    assert_eq!(of(&twins[0].1), of(&twins[1].1), "but for the manufacturer they say the same");
    for (id, rows) in &twins {
        for manufacturer in ["ZTE", "ZTEG", ""] {
            let identity = Identity { manufacturer: manufacturer.into(), ..identity(rows) };
            for learned in [None, Some("zte_x_cmcc"), Some("ctcom_x_ct_com")] {
                let decision = decide(rows, &identity, learned).expect("a family");
                assert_eq!(&decision.profile.id, id, "as {manufacturer:?}, others were {learned:?}");
            }
        }
    }
    // Without any WAN the Wi-Fi gives them away.
    for (id, rows) in &twins {
        let blank: Vec<_> =
            rows.iter().filter(|row| !row.path.contains("WANConnectionDevice.1")).cloned().collect();
        let decision = decide(&blank, &identity(rows), None).expect("a family");
        assert_eq!(
            (&decision.profile.id.as_str(), decision.known),
            (id, Known::Probed),
            "{:?}",
            decision.evidence
        );
    }
}

#[test]
fn what_other_units_taught_speaks_only_where_nothing_is_seen() {
    let rows = fixtures::rows(&fixtures::family("zte_x_cmcc").expect("a box"));
    let bare: Vec<_> = rows
        .iter()
        .filter(|row| !row.path.contains("WANConnectionDevice.1") && !row.path.contains("X_CMCC"))
        .cloned()
        .collect();
    let identity = identity(&rows);
    let taught = decide(&bare, &identity, Some("ctcom_x_ct_com")).expect("a family");
    assert_eq!((taught.profile.id.as_str(), taught.known), ("ctcom_x_ct_com", Known::Learned));
    let named = decide(&bare, &identity, None).expect("a family");
    assert_eq!((named.profile.id.as_str(), named.known), ("zte_x_cmcc", Known::Nominated));
    let seen = decide(&rows, &identity, Some("ctcom_x_ct_com")).expect("a family");
    assert_eq!((seen.profile.id.as_str(), seen.known), ("zte_x_cmcc", Known::Probed));
}

#[test]
fn a_refinement_counts_only_where_its_name_fits() {
    let rows = fixtures::rows(&fixtures::family("zte_x_zte_com").expect("a box"));
    let as_model = |product_class: &str| {
        let identity = Identity { product_class: product_class.into(), ..identity(&rows) };
        decide(&rows, &identity, None).expect("a family").profile.clone()
    };
    let (f670l, f6600) = (as_model("F670L"), as_model("F6600P"));
    assert_eq!((f670l.id.as_str(), f670l.write.wan_needs_restart), ("zte_x_zte_com", false));
    assert_eq!((f6600.id.as_str(), f6600.write.wan_needs_restart), ("zte_f6600", true));
    assert_eq!(f6600.wan.modes["pppoe"].phases.len(), f670l.wan.modes["pppoe"].phases.len());
}

#[test]
fn an_operator_names_any_family_of_the_same_root() {
    let set = ProfileSet::builtin();
    let identity = Identity { root: "InternetGatewayDevice".into(), ..Identity::default() };
    let decision = set.overridden("nokia_x_alu", &identity).expect("a family");
    assert_eq!((decision.known, decision.read_only), (Known::Override, None));
    let other = set.overridden("tplink_tr181", &identity).expect_err("another root");
    assert!(other.starts_with("its data model is InternetGatewayDevice, and TP-Link"), "{other}");
    set.overridden("nothing", &identity).expect_err("no family");
}

#[test]
fn a_family_fits_what_bears_its_nodes_and_what_shows_nothing_yet() {
    let set = ProfileSet::builtin();
    let fit = |id: &str, names: &[String]| {
        set.fit(set.get(id).expect("a family"), names.iter().map(String::as_str))
    };
    for id in fixtures::families() {
        let rows = fixtures::rows(&fixtures::family(id).expect("a box"));
        let names: Vec<String> = rows.iter().map(|row| row.path.clone()).collect();
        let found = fit(id, &names).unwrap_or_else(|why| panic!("{id}: {why}"));
        assert!(!found.is_empty(), "{id}");
    }
    let cmcc: Vec<String> = fixtures::rows(&fixtures::family("zte_x_cmcc").expect("a box"))
        .into_iter()
        .map(|row| row.path)
        .collect();
    let why = fit("nokia_x_alu", &cmcc).expect_err("another family");
    assert!(why.starts_with("it has none of the nodes that Nokia"), "{why}");
    let why = fit("huawei_x_hw", &fixture_names("ctcom_x_ct_com")).expect_err("a node no Huawei has");
    assert!(why.starts_with("it has InternetGatewayDevice.") && why.contains("which no Huawei"), "{why}");
    assert_eq!(fit("nokia_x_alu", &[]), Ok(Vec::new()), "a blank device says nothing against it");
}

fn fixture_names(id: &str) -> Vec<String> {
    fixtures::rows(&fixtures::family(id).expect("a box")).into_iter().map(|row| row.path).collect()
}

#[test]
fn a_nomination_says_by_what() {
    let set = ProfileSet::builtin();
    let mut identity = Identity {
        manufacturer: "Huawei Technologies Co., Ltd".into(),
        root: "InternetGatewayDevice".into(),
        ..Identity::default()
    };
    let named = set.nomination(&identity).expect("by its maker");
    assert_eq!((named.profile.id.as_str(), named.by), ("huawei_x_hw", vec!["manufacturer"]));
    identity.oui = "00259E".into();
    identity.product_class = "HG8546M".into();
    let named = set.nomination(&identity).expect("by more than its maker");
    assert_eq!(named.by, ["OUI", "product class"]);
    let nobody = Identity { root: "InternetGatewayDevice".into(), ..Identity::default() };
    assert!(set.nomination(&nobody).is_none());
}

/// What a page shows as proved is in an export of a real unit, path by path.
#[test]
fn a_feature_is_as_sure_as_its_weakest_path() {
    let set = ProfileSet::builtin();
    for profile in set.all() {
        let features = profile.features();
        assert!(features.len() >= 4, "{}: {features:?}", profile.id);
        for feature in &features {
            let all = feature.unproved.len() == feature.paths && feature.paths > 0;
            assert!(!(feature.mark == Mark::Proved && all), "{}: {feature:?}", profile.id);
        }
    }
    let mark = |id: &str, title: &str| {
        let features = set.get(id).expect("a family").features();
        features.into_iter().find(|feature| feature.title == title).map(|feature| feature.mark)
    };
    assert_eq!(mark("huawei_x_hw", "Internet by PPPoE"), Some(Mark::Proved));
    assert_ne!(mark("fiberhome_x_fh", "Internet by PPPoE"), Some(Mark::Proved), "no export of one is known");
    assert_ne!(
        mark("nokia_x_alu", "Internet by DHCP"),
        Some(Mark::Proved),
        "its export has no IP connection"
    );
}

#[test]
fn a_blank_huawei_is_known_by_its_identity() {
    let rows: Vec<_> = fixtures::rows(fixtures::hg8546m())
        .into_iter()
        .filter(|row| !row.path.contains("WANConnectionDevice.1"))
        .collect();
    let decision = decide(&rows, &identity(&rows), None).expect("a family");
    assert_eq!((decision.profile.id.as_str(), decision.known), ("huawei_x_hw", Known::Nominated));
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
            .filter(|p| !known.contains(*p) && profile.unproved(p).is_none() && !negative.contains(p))
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
        assert!(huawei.is_secret(path) && names_a_secret(path), "{path}");
    }
    assert!(!huawei.is_secret("InternetGatewayDevice.ManagementServer.Username"));
}

#[test]
fn nothing_that_a_family_reads_sounds_like_a_secret() {
    for profile in ProfileSet::builtin().all() {
        let shown = profile.patterns().iter().filter(|pattern| !profile.is_secret(pattern));
        // Which cipher a Wi-Fi password is for: written, and not read back.
        let unread: Vec<&String> = shown
            .filter(|pattern| names_a_secret(pattern) && !pattern.ends_with(".X_ITBS_PasswordCrypto"))
            .collect();
        assert!(unread.is_empty(), "{}: {unread:?} are never read", profile.id);
    }
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
            "[capabilities.iptv]\nconfidence = \"R\"\nsource = \"x\"\n[write]\n",
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
            "[unproved]\n",
            "[unproved]\n\"Device.X\" = \"why\"\n",
            "must begin with \"InternetGatewayDevice.\"",
        ),
        ("[wan.slots.ppp]\n", "[wan.bind]\nstyle = \"magic\"\n[wan.slots.ppp]\n", "unknown variant `magic`"),
        (
            "[wan.slots.ppp]\n",
            "[wan.bind]\nstyle = \"list\"\nslots = { ppp = \"ppp\" }\nleaf = \"L\"\nlan = \"LAN\"\nlan_ports = 4\n[wan.slots.ppp]\n",
            "must contain {p}",
        ),
        ("host = \"Host\"", "hoster = \"Host\"", "diagnostics.ping: needs the input \"host\""),
        (
            "received = \"SuccessCount\"",
            "got = \"SuccessCount\"",
            "diagnostics.ping: \"got\" is none of received",
        ),
        ("table = \"RouteHops.\"", "table = \"RouteHops\"", "must end with a dot"),
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

#[test]
fn what_a_device_keeps_is_judged_by_what_was_written() {
    let tolerance = Tolerance { less_percent: 25, more_percent: 300 };
    for (written, kept, fits) in [
        (900, 900, true),
        (907, 900, true),
        (900, 675, true),
        (900, 674, false),
        (900, 3600, true),
        (900, 3601, false),
        (900, 0, false),
        (u64::MAX, u64::MAX, true),
    ] {
        assert_eq!(tolerance.allows(written, kept), fits, "{written} kept as {kept}");
    }
}

#[test]
fn a_family_says_how_its_soap_is_spelled_and_no_family_has_to() {
    let soap: SoapSpelling = toml::from_str(
        "prefix = \"SOAP-ENV\"\nversion = \"1-0\"\nxml_declaration = false\nboolean = \"word\"\nmust_understand = false",
    )
    .expect("a table");
    assert_eq!((soap.prefix, soap.version), (Some(SoapPrefix::UpperSoapDashEnv), Some(SoapVersion::V1_0)));
    assert_eq!((soap.xml_declaration, soap.must_understand), (Some(false), Some(false)));
    assert_eq!((soap.boolean, soap.next_level), (Some(Truth::Word), None));
    for bad in ["prefix = \"SOAP\"", "version = \"1-3\"", "colour = 1", "boolean = \"yes\""] {
        assert!(toml::from_str::<SoapSpelling>(bad).is_err(), "{bad}");
    }
    assert_eq!(toml::from_str::<SoapSpelling>("").expect("nothing said"), SoapSpelling::default());
}
