//! Plans: the exact lines as golden files (`UPDATE_GOLDEN=1` rewrites them), every refusal, and properties over any wish.

mod common;

use common::{FakeOlt, dialect, facts, other_serial, pon, serial, spec};
use olt::{
    huawei::Huawei,
    model::{LineProfile, MatchState, OnuRow, RunState},
    parser::ReplyParser,
    plan::{
        AuthoriseSpec, DeauthoriseSpec, Lookup, ManagementAddress, OnuRef, Operation, Plan, PlanRefusal,
        Snapshot, TagTransform, plan,
    },
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        return;
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == want, "{} differs (UPDATE_GOLDEN=1 rewrites it):\n{text}", path.display());
}

fn row(onu_id: u16) -> OnuRow {
    OnuRow {
        pon: pon(),
        onu_id,
        serial_text: other_serial().hex16(),
        serial: Some(other_serial()),
        active: true,
        run_state: RunState::Online,
        config_state: olt::model::ConfigState::Normal,
        match_state: MatchState::Match,
        description: None,
    }
}

fn before() -> Snapshot {
    Snapshot {
        existing: None,
        replaced: None,
        onus: vec![row(0), row(1), row(3)],
        ids_with_service_ports: BTreeSet::from([0, 1, 3]),
        detected_on: Some(pon()),
        line_profile: Lookup::Found(LineProfile {
            id: 10,
            name: "line".into(),
            gemports: vec![1, 2],
            acs_management: Some(true),
        }),
        service_profile: Lookup::Found(()),
        acs_profile: Lookup::Found(()),
        vlans: BTreeMap::from([(100, Lookup::Found(())), (4000, Lookup::Found(()))]),
    }
}

fn planned(spec: &AuthoriseSpec, before: &Snapshot) -> Result<Plan, PlanRefusal> {
    plan(&Operation::Authorise(spec.clone()), &facts(), before)
}

#[test]
fn lines_to_authorise() {
    let plan = planned(&spec(), &before()).expect("a plan");
    assert_eq!(plan.onu, OnuRef { pon: pon(), onu_id: 2 });
    golden("authorise_dhcp.txt", &plan.dry_run(&dialect()));

    let mut own = spec();
    own.description = String::new();
    own.onu_id = Some(100);
    own.service_ports.truncate(1);
    own.service_ports[0].tag_transform = TagTransform::Transparent;
    own.acs_profile_id = None;
    let management = own.management.as_mut().expect("management");
    management.ip_index = 1;
    management.address = ManagementAddress::Static {
        address: "10.20.0.7".parse().expect("address"),
        mask: "255.255.0.0".parse().expect("mask"),
        gateway: "10.20.0.1".parse().expect("gateway"),
    };
    golden("authorise_static.txt", &planned(&own, &before()).expect("a plan").dry_run(&dialect()));
}

#[tokio::test]
async fn lines_to_remove() {
    let fake = FakeOlt::new();
    let authorise = Operation::Authorise(spec());
    let mut driver = fake.driver();
    olt::saga::execute(&mut driver, &authorise, &facts(), &mut common::MemoryJournal::default())
        .await
        .expect("done");
    let removal = Operation::Deauthorise(DeauthoriseSpec {
        onu: OnuRef { pon: pon(), onu_id: 1 },
        serial: serial(),
        made: None,
    });
    let before = driver.snapshot(&removal).await.expect("a snapshot");
    golden("remove.txt", &plan(&removal, &facts(), &before).expect("a plan").dry_run(&dialect()));
    // As wanted already.
    let before = driver.snapshot(&authorise).await.expect("a snapshot");
    golden(
        "authorise_already.txt",
        &plan(&authorise, &facts(), &before).expect("a plan").dry_run(&dialect()),
    );
}

#[test]
fn every_refusal_is_a_sentence() {
    type Twist = fn(&mut AuthoriseSpec, &mut Snapshot);
    let cases: &[(Twist, &str)] = &[
        (|_, b| b.detected_on = None, "does not announce itself on PON 0/1/6. Check"),
        (
            |_, b| b.detected_on = Some("0/2/0".parse().expect("a PON")),
            "does not announce itself on PON 0/1/6; it is seen on PON 0/2/0",
        ),
        (|_, b| b.line_profile = Lookup::Missing, "no line profile 10"),
        (|_, b| b.service_profile = Lookup::Missing, "no service profile 20"),
        (|_, b| b.acs_profile = Lookup::Missing, "no ACS profile 3"),
        (
            |_, b| {
                b.vlans.insert(4000, Lookup::Missing);
            },
            "no VLAN 4000",
        ),
        (|s, _| s.service_ports[0].gemport = 9, "no GEM port 9"),
        (
            |_, b| {
                if let Lookup::Found(profile) = &mut b.line_profile {
                    profile.acs_management = Some(false);
                }
            },
            "TR-069 management disabled",
        ),
        (|s, _| s.onu_id = Some(3), "ONU 3 is taken (5A544547C9E3311B is there)"),
        (|s, _| s.onu_id = Some(128), "is not 0 to 127"),
        (|_, b| b.onus = (0..=127).map(row).collect(), "no free ONU id"),
        (|s, _| s.service_ports[1].vlan = 4095, "4095 is not a VLAN"),
        (|s, _| s.service_ports[1] = s.service_ports[0].clone(), "two service ports"),
        (|s, _| s.management = None, "without a management WAN"),
        (|s, _| s.management.as_mut().expect("management").priority = 8, "not 0 to 7"),
        (
            |s, _| {
                s.management.as_mut().expect("management").address = ManagementAddress::Static {
                    address: "10.20.0.7".parse().expect("address"),
                    mask: "255.255.255.0".parse().expect("mask"),
                    gateway: "10.21.0.1".parse().expect("gateway"),
                };
            },
            "is not in the network",
        ),
    ];
    for (twist, words) in cases {
        let (mut own, mut before) = (spec(), before());
        twist(&mut own, &mut before);
        let refusal = planned(&own, &before).expect_err(words).to_string();
        assert!(refusal.contains(words), "{refusal:?} instead of {words:?}");
    }
    // Told to go ahead without the ONU: fine.
    let (mut own, mut before) = (spec(), before());
    own.preprovision = true;
    before.detected_on = None;
    assert!(planned(&own, &before).is_ok());
    // What the OLT cannot tell does not stop us; its own refusal will.
    before.line_profile = Lookup::Unknown;
    before.vlans.insert(100, Lookup::Unknown);
    assert!(planned(&own, &before).is_ok());
}

#[test]
fn a_router_that_cannot_tag_gets_an_untagged_customer_side() {
    let mut own = spec();
    own.service_ports[0].user_vlan = None;
    let refusal = planned(&own, &before()).expect_err("there is nothing to translate");
    assert!(refusal.to_string().contains("no user VLAN to translate into VLAN 100"), "{refusal}");
    own.service_ports[0].tag_transform = TagTransform::Default;
    let plan = planned(&own, &before()).expect("a plan");
    let step = plan.steps.iter().find(|step| step.id == "service-port-1-untagged").expect("the step");
    assert!(step.line.text.contains(" user-vlan untagged tag-transform default"), "{}", step.line.text);
    assert!(step.expect.to_string().starts_with("a service port carries VLAN 100 to untagged frames"));
    // Read back, one is not the other.
    let reply = |parameter: &str| {
        format!(
            "      17  100 common   gpon 0/1 /6  2    1     vlan  {parameter}      6    7    up\n   Total : 1"
        )
    };
    let row = |parameter: &str| Huawei.service_ports(&reply(parameter)).expect("a row").remove(0);
    assert!(own.service_ports[0].is(&row("untag")) && !own.service_ports[0].is(&row("100")));
    assert!(!spec().service_ports[0].is(&row("untag")) && spec().service_ports[0].is(&row("100")));
}

#[test]
fn ids_are_the_lowest_that_nobody_uses_or_promised() {
    let mut before = before();
    // A service port without an ONU still blocks its id.
    before.ids_with_service_ports.insert(2);
    let mut own = spec();
    own.reserved_ids = BTreeSet::from([4, 6]);
    assert_eq!(planned(&own, &before).expect("a plan").onu.onu_id, 5);
}

proptest! {
    /// Whatever people type as a description: one command per line, in the order of the plan, and every step can be
    /// undone and checked.
    #[test]
    fn any_wish_gives_single_clean_lines(
        description in any::<String>(),
        vlans in proptest::collection::vec((1u16..4095, 1u16..4095, 1u16..3), 0..6),
        taken in proptest::collection::btree_set(0u16..128, 0..128),
    ) {
        let mut own = spec();
        own.description = description;
        own.acs_profile_id = Some(3);
        own.service_ports = vlans.iter().map(|(vlan, user_vlan, gemport)| olt::plan::ServicePortSpec {
            vlan: *vlan, user_vlan: Some(*user_vlan), gemport: *gemport, tag_transform: TagTransform::Translate,
            traffic_in: None, traffic_out: None,
        }).collect();
        let mut snapshot = before();
        snapshot.onus = taken.iter().map(|id| row(*id)).collect();
        snapshot.ids_with_service_ports = BTreeSet::new();
        match planned(&own, &snapshot) {
            Ok(plan) => {
                prop_assert!(!taken.contains(&plan.onu.onu_id));
                prop_assert!((0..plan.onu.onu_id).all(|id| taken.contains(&id)));
                prop_assert_eq!(plan.steps.len(), plan.verify.len());
                for step in &plan.steps {
                    prop_assert!(step.line.text.bytes().all(|b| (0x20..0x7F).contains(&b)), "{}", step.line.text);
                    prop_assert!(!step.line.text.contains('?'));
                    prop_assert!(step.line.text.len() <= 510);
                    prop_assert_eq!(step.line.text.matches('"').count() % 2, 0);
                    prop_assert!(!step.undo.is_empty());
                    // Nothing that faces the CPE but its management address and its ACS.
                    for never in ["pppoe", "wan-config", "internet-config", "ont reset", "wlan", "factory"] {
                        let commands: String = step.line.text.split('"').step_by(2).collect();
                        prop_assert!(!commands.contains(never), "{}", commands);
                    }
                }
                // A plan survives its journal.
                let text = serde_json::to_string(&plan).expect("JSON");
                prop_assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan);
            }
            Err(PlanRefusal::PonFull { .. }) => prop_assert_eq!(taken.len(), 128),
            Err(PlanRefusal::BadSpec { reason }) => prop_assert!(reason.contains("two service ports"), "{}", reason),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
