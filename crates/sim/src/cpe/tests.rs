//! Tests of the pure core: trees, writes, quirks, the network side, chance.

use super::{
    behaviour::{Device, DeviceSpec, Management},
    models,
    order::{Order, Reply, Then},
    quirks::{CpeTiming, ExistingWan, Quirks, RetryPolicy},
    tree::{Model, Setting, Tree, WriteRules},
    values::Kind,
    wan::{self, Account, Network},
};
use crate::{
    flow::Flow,
    record::{Told, What},
};
use std::sync::Arc;
use types::{Mac, Serial, UtcMs};

const NOW: UtcMs = UtcMs(1_795_269_000_000);
const WCD: &str = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.";

fn tree(model: &str) -> Tree {
    Tree::new(models::load(model).expect("built in").model)
}

pub(super) fn set(path: &str, value: &str) -> Setting {
    Setting { path: path.to_owned(), value: value.to_owned(), kind: None }
}

fn typed(path: &str, value: &str, kind: Kind) -> Setting {
    Setting { kind: Some(kind), ..set(path, value) }
}

fn device(model: &str, quirks: Quirks) -> Device {
    let info = models::load(model).expect("built in");
    let serial: Serial = "HWTC5A000001".parse().expect("a serial");
    let spec = DeviceSpec {
        serial,
        mac: Mac([2, 0, 0, 0, 0, 1]),
        manufacturer: info.manufacturer,
        oui: info.oui,
        product_class: info.product_class,
        cwmp_serial: serial.hex16(),
        model_name: info.model_name,
        software_version: info.software_version,
        quirks,
        timing: CpeTiming::default(),
        speed: 1.0,
        behind_olt: false,
        seed: 42,
        customer: Some(("user@isp".to_owned(), "secret-word".to_owned(), 100)),
    };
    Device::new(Arc::new(spec), info.model)
}

fn management() -> Management {
    Management {
        address: "127.20.0.10".parse().expect("an address"),
        acs_url: "http://127.0.0.1:7547/".to_owned(),
        username: String::new(),
        password: String::new(),
        vlan: Some(200),
    }
}

fn network() -> Network {
    let account = Account { password: "secret-word".to_owned(), vlan: Some(100) };
    Network {
        accounts: [("user@isp".to_owned(), account)].into(),
        accept_unknown: false,
        ntp_servers: Vec::new(),
    }
}

/// Lets time pass in small steps up to `s` seconds and answers where it stopped.
pub(super) fn pass(device: &mut Device, from: UtcMs, s: u64) -> UtcMs {
    let network = network();
    (0..=s * 4).for_each(|quarter| device.tick(UtcMs(from.0 + quarter as i64 * 250), &network));
    from.plus_s(s)
}

pub(super) fn online(model: &str, quirks: Quirks) -> (Device, UtcMs) {
    let mut device = device(model, quirks);
    device.power_on(NOW, management());
    let now = pass(&mut device, NOW, 10);
    (device, now)
}

#[test]
fn every_family_has_a_box_that_can_be_simulated() {
    for id in profiles::fixtures::families() {
        let info = models::load(id).expect("a model");
        assert!(!info.manufacturer.is_empty() && info.oui.len() == 6, "{id}: {info:?}");
        assert!(info.manufacturer != "Synthetic Broadband", "{id} is its own box");
        online(id, Quirks::default());
    }
}

fn ordered(device: &mut Device, now: UtcMs, order: Order) -> Reply {
    device.order(now, &order).0
}

fn add(device: &mut Device, now: UtcMs, table: &str) -> u32 {
    match ordered(device, now, Order::AddObject { table: table.to_owned(), key: String::new() }) {
        Reply::Added(number) => number,
        other => panic!("{other:?}"),
    }
}

fn write(device: &mut Device, now: UtcMs, settings: Vec<Setting>) -> Reply {
    ordered(device, now, Order::SetValues { settings, key: "key".to_owned() })
}

/// What an ACS does to get a PPPoE on a Huawei.
fn provision(device: &mut Device, now: UtcMs, password: &str, vlan: &str) -> String {
    let number = add(device, now, WCD);
    let connection = add(device, now, &format!("{WCD}{number}.WANPPPConnection."));
    let path = format!("{WCD}{number}.WANPPPConnection.{connection}.");
    let leaf = |name: &str, value: &str| set(&format!("{path}{name}"), value);
    let settings =
        vec![leaf("X_HW_VLAN", vlan), leaf("X_HW_SERVICELIST", "INTERNET"), leaf("Username", "user@isp")];
    assert_eq!(write(device, now, settings), Reply::Set);
    assert_eq!(write(device, now, vec![leaf("Password", password), leaf("Enable", "1")]), Reply::Set);
    path
}

#[test]
fn a_partial_dump_gets_its_objects() {
    let text = "path,writable,type,value\nInternetGatewayDevice.A.B.1.C,true,string,x\nDeviceID.OUI,false,string,00259E\n";
    let model = Model::from_csv(text, "test").expect("readable");
    assert_eq!(model.identity["OUI"], "00259E");
    let mut tree = Tree::new(Arc::new(model));
    let names: Vec<_> = tree.names("InternetGatewayDevice.A.", true).expect("names");
    assert_eq!(
        (names.len(), names[0].path.as_str(), names[0].writable),
        (1, "InternetGatewayDevice.A.B.", true)
    );
    // A new instance has the shape of its sibling with factory values.
    assert_eq!(tree.add("InternetGatewayDevice.A.B.", false), Ok(2));
    assert_eq!(tree.value("InternetGatewayDevice.A.B.2.C"), Some(""));
}

#[test]
fn a_bad_row_names_file_and_line() {
    let text = "path,writable,type,value\nInternetGatewayDevice.A,true,string,x\nInternetGatewayDevice.B,true,blob,x\n";
    let error = Model::from_csv(text, "box.csv").expect_err("a bad type").to_string();
    assert_eq!(error, "data model box.csv, line 3: unknown type \"blob\"");
    assert!(Model::from_csv("path,writable,type,value\nFoo.Bar,true,string,x\n", "x").is_err());
}

#[test]
fn names_and_values_answer_as_tr069_says() {
    let tree = tree("hg8546m");
    let root = tree.names("", true).expect("root");
    assert_eq!(root[0].path, "InternetGatewayDevice.");
    assert!(tree.names("InternetGatewayDevice.DeviceInfo.", true).expect("children").iter().all(|name| {
        name.path.starts_with("InternetGatewayDevice.DeviceInfo.")
            && name.path.len() > "InternetGatewayDevice.DeviceInfo.".len()
    }));
    let code = |result: Result<Vec<super::tree::Name>, super::tree::Fault>| result.expect_err("a fault").code;
    assert_eq!(code(tree.names("InternetGatewayDevice.DeviceInfo.SerialNumber", true)), 9003);
    assert_eq!(code(tree.names("InternetGatewayDevice.Nothing.", false)), 9005);
    assert_eq!(code(tree.names("Device.DeviceInfo.", true)), 9005);
    let one_bad =
        ["InternetGatewayDevice.DeviceInfo.SerialNumber".to_owned(), "InternetGatewayDevice.X".to_owned()];
    let fault = tree.values(&one_bad, false).expect_err("the whole batch faults");
    assert_eq!((fault.code, fault.parameters.len()), (9005, 0));
    let all = tree.values(&["InternetGatewayDevice.WANDevice.1.".to_owned()], false).expect("a partial path");
    assert!(all.len() > 20);
}

#[test]
fn a_set_is_all_or_nothing_and_names_every_mistake() {
    let mut tree = tree("hg8546m");
    let wlan = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
    let before = tree.value(&format!("{wlan}SSID")).map(str::to_owned);
    let settings = [
        set(&format!("{wlan}SSID"), "New name"),
        set(&format!("{wlan}Nothing"), "1"),
        set("InternetGatewayDevice.DeviceInfo.SerialNumber", "1"),
        set(&format!("{wlan}BeaconType"), "WPA9"),
        typed(&format!("{wlan}Channel"), "true", Kind::Boolean),
        set(&format!("{wlan}SSID"), "Again"),
        set("InternetGatewayDevice.ManagementServer.PeriodicInformInterval", "soon"),
    ];
    let written = tree.set(&settings, WriteRules::default());
    let fault = written.fault.expect("a fault");
    assert_eq!(fault.code, 9003);
    let codes: Vec<u16> = fault.parameters.iter().map(|(_, code, _)| *code).collect();
    assert_eq!(codes, [9005, 9008, 9007, 9006, 9003, 9007]);
    assert_eq!(tree.value(&format!("{wlan}SSID")).map(str::to_owned), before);

    let written = tree.set(&settings, WriteRules { non_atomic: true, ..WriteRules::default() });
    assert_eq!((written.fault.map(|fault| fault.code), written.changed.len()), (Some(9003), 1));
    assert_eq!(tree.value(&format!("{wlan}SSID")), Some("New name"));
}

#[test]
fn large_sets_fault_and_may_be_half_applied() {
    let settings = |tree: &Tree| {
        assert!(tree.has("InternetGatewayDevice.Time.NTPServer5"));
        (1..=5).map(|n| set(&format!("InternetGatewayDevice.Time.NTPServer{n}"), "ntp")).collect::<Vec<_>>()
    };
    for (non_atomic, applied) in [(false, 0), (true, 2)] {
        let mut tree = tree("hg8546m");
        let settings = settings(&tree);
        let rules = WriteRules { max_settings: Some(4), non_atomic, ..WriteRules::default() };
        let written = tree.set(&settings, rules);
        assert_eq!(written.fault.map(|fault| fault.code), Some(9002));
        let values: Vec<_> = settings.iter().filter(|one| tree.value(&one.path) == Some("ntp")).collect();
        assert_eq!(values.len(), applied);
        assert_eq!(tree.set(&settings[..4], rules).fault, None);
    }
}

#[test]
fn writes_to_missing_instances_are_lost_silently_only_with_the_quirk() {
    let phantom = format!("{WCD}1.WANPPPConnection.9.Username");
    let mut tree = tree("hg8546m");
    let refused = tree.set(&[set(&phantom, "x")], WriteRules::default());
    assert_eq!(refused.fault.expect("a fault").parameters[0].1, 9005);
    let rules = WriteRules { phantom: true, ..WriteRules::default() };
    let lost = tree.set(&[set(&phantom, "x")], rules);
    assert_eq!((lost.fault, lost.lost, lost.changed.len()), (None, vec![phantom.clone()], 0));
    assert!(!tree.has(&phantom));
    // A misspelt parameter of an existing instance still faults.
    let misspelt = tree.set(&[set(&format!("{WCD}1.WANIPConnection.1.Usrname"), "x")], rules);
    assert_eq!(misspelt.fault.expect("a fault").parameters[0].1, 9005);
}

#[test]
fn instance_numbers_are_never_given_twice_unless_the_device_does_so() {
    let mut tree = tree("hg8546m");
    let first = tree.add(WCD, false).expect("added");
    tree.delete(&format!("{WCD}{first}.")).expect("deleted");
    assert!(!tree.has(&format!("{WCD}{first}.WANPPPConnection.")));
    assert_eq!(tree.add(WCD, false), Ok(first + 1));
    tree.delete(&format!("{WCD}{}.", first + 1)).expect("deleted");
    assert_eq!(tree.add(WCD, true), Ok(first));
    let fault = |result: Result<u32, super::tree::Fault>| result.expect_err("a fault").code;
    assert_eq!(fault(tree.add("InternetGatewayDevice.DeviceInfo.", false)), 9005);
    assert_eq!(fault(tree.add("InternetGatewayDevice.WANDevice.1.WANConnectionDevice", false)), 9005);
}

#[test]
fn objects_count_themselves_and_tables_run_full() {
    let mut tree = tree("hg8546m");
    let number = tree.add(WCD, false).expect("added");
    let device = format!("{WCD}{number}.");
    tree.add(&format!("{device}WANPPPConnection."), false).expect("added");
    assert_eq!(tree.value(&format!("{device}WANPPPConnectionNumberOfEntries")), Some("1"));
    let full = (0..100).map(|_| tree.add(&format!("{device}WANPPPConnection."), false)).find_map(Result::err);
    assert_eq!(full.expect("a limit").code, 9004);
}

#[test]
fn secrets_read_back_empty() {
    let (mut device, now) = online("hg8546m", Quirks::default());
    let path = "InternetGatewayDevice.ManagementServer.ConnectionRequestPassword";
    assert_eq!(write(&mut device, now, vec![set(path, "hunter22")]), Reply::Set);
    assert_eq!(device.tree().value(path), Some("hunter22"));
    let Reply::Values(values) = ordered(&mut device, now, Order::GetValues(vec![path.to_owned()])) else {
        panic!("no values")
    };
    assert_eq!(values[0].value, "");
    let (mut open, now) = online("hg8546m", Quirks { empty_secrets: false, ..Quirks::default() });
    write(&mut open, now, vec![set(path, "hunter22")]);
    let Reply::Values(values) = ordered(&mut open, now, Order::GetValues(vec![path.to_owned()])) else {
        panic!("no values")
    };
    assert_eq!(values[0].value, "hunter22");
}

#[test]
fn pppoe_connects_with_the_right_login_on_the_right_vlan() {
    let status = |password: &str, vlan: &str, quirks: Quirks| {
        let (mut device, now) = online("hg8546m", quirks);
        let path = provision(&mut device, now, password, vlan);
        device.tick(now, &network());
        assert_eq!(device.tree().value(&format!("{path}ConnectionStatus")), Some("Connecting"));
        pass(&mut device, now, 5);
        let text = |name: &str| device.tree().value(&format!("{path}{name}")).unwrap_or_default().to_owned();
        (text("ConnectionStatus"), text("ExternalIPAddress"), text("LastConnectionError"))
    };
    let (state, address, error) = status("secret-word", "100", Quirks::default());
    assert_eq!((state.as_str(), error.as_str()), ("Connected", "ERROR_NONE"));
    assert!(address.starts_with("100."), "{address}");
    let refused =
        ("Disconnected".to_owned(), "0.0.0.0".to_owned(), "ERROR_AUTHENTICATION_FAILURE".to_owned());
    assert_eq!(status("wrong-word", "100", Quirks::default()), refused);
    assert_eq!(status("secret-word", "100", Quirks { pppoe_refused: true, ..Quirks::default() }), refused);
    assert_eq!(status("secret-word", "101", Quirks::default()).2, "ERROR_ISP_TIME_OUT");
    let bare = status("secret-word", "100", Quirks { pppoe_no_address: true, ..Quirks::default() });
    assert_eq!((bare.0.as_str(), bare.1.as_str()), ("Connected", "0.0.0.0"));
}

#[test]
fn a_connection_works_only_where_the_olt_carries_it() {
    let flow = |user_vlan, vlan| Flow { user_vlan, vlan };
    let status = |device: &Device, path: &str| {
        let text = |name: &str| device.tree().value(&format!("{path}{name}")).unwrap_or_default().to_owned();
        (text("ConnectionStatus"), text("LastConnectionError"))
    };
    let (mut device, now) = online("hg8546m", Quirks::default());
    let management = flow(Some(200), 200);
    // The OLT waits for tag 300, the router sends 100.
    device.carry(vec![flow(Some(300), 100), management]);
    let path = provision(&mut device, now, "secret-word", "100");
    let now = pass(&mut device, now, 5);
    assert_eq!(status(&device, &path), ("Disconnected".to_owned(), "ERROR_ISP_TIME_OUT".to_owned()));
    // Somebody puts the service port right, and nobody touches the router.
    device.carry(vec![flow(Some(100), 100), management]);
    let now = pass(&mut device, now, 5);
    assert_eq!(status(&device, &path).0, "Connected");
    // The management network has no access server, whatever its OLT carries.
    write(&mut device, now, vec![set(&format!("{path}X_HW_VLAN"), "200")]);
    let now = pass(&mut device, now, 5);
    assert_eq!(status(&device, &path).1, "ERROR_ISP_TIME_OUT");
    // Untagged frames want a service port for untagged frames.
    write(&mut device, now, vec![set(&format!("{path}X_HW_VLAN"), "0")]);
    let now = pass(&mut device, now, 5);
    assert_eq!(status(&device, &path).1, "ERROR_ISP_TIME_OUT");
    device.carry(vec![flow(None, 100), management]);
    pass(&mut device, now, 5);
    assert_eq!(status(&device, &path).0, "Connected");
}

#[test]
fn dhcp_gets_no_address_where_the_olt_carries_nothing() {
    let (mut device, now) = online("hg8546m", Quirks::default());
    device.carry(vec![Flow { user_vlan: Some(100), vlan: 100 }]);
    let number = add(&mut device, now, WCD);
    let connection = add(&mut device, now, &format!("{WCD}{number}.WANIPConnection."));
    let path = format!("{WCD}{number}.WANIPConnection.{connection}.");
    let leaf = |name: &str, value: &str| set(&format!("{path}{name}"), value);
    write(
        &mut device,
        now,
        vec![leaf("X_HW_VLAN", "101"), leaf("AddressingType", "DHCP"), leaf("Enable", "1")],
    );
    let now = pass(&mut device, now, 5);
    let text = |device: &Device, name: &str| {
        device.tree().value(&format!("{path}{name}")).unwrap_or_default().to_owned()
    };
    assert_eq!(text(&device, "LastConnectionError"), "ERROR_IP_CONFIGURATION");
    write(&mut device, now, vec![leaf("X_HW_VLAN", "100")]);
    pass(&mut device, now, 5);
    assert_eq!(text(&device, "ConnectionStatus"), "Connected");
}

#[test]
fn pppoe_connects_on_tr181_through_its_stack() {
    let (mut device, now) = online("generic_tr181", Quirks::default());
    let vlan = add(&mut device, now, "Device.Ethernet.VLANTermination.");
    let ppp = add(&mut device, now, "Device.PPP.Interface.");
    let ip = add(&mut device, now, "Device.IP.Interface.");
    let settings = vec![
        set(&format!("Device.Ethernet.VLANTermination.{vlan}.VLANID"), "100"),
        set(&format!("Device.Ethernet.VLANTermination.{vlan}.LowerLayers"), "Device.Ethernet.Link.2"),
        set(&format!("Device.Ethernet.VLANTermination.{vlan}.Enable"), "true"),
        set(
            &format!("Device.PPP.Interface.{ppp}.LowerLayers"),
            &format!("Device.Ethernet.VLANTermination.{vlan}"),
        ),
        set(&format!("Device.PPP.Interface.{ppp}.Username"), "user@isp"),
        set(&format!("Device.PPP.Interface.{ppp}.Password"), "secret-word"),
        set(&format!("Device.PPP.Interface.{ppp}.Enable"), "true"),
        set(&format!("Device.IP.Interface.{ip}.LowerLayers"), &format!("Device.PPP.Interface.{ppp}")),
        set(&format!("Device.IP.Interface.{ip}.Enable"), "true"),
    ];
    assert_eq!(write(&mut device, now, settings), Reply::Set);
    pass(&mut device, now, 5);
    let text = |path: String| device.tree().value(&path).unwrap_or_default().to_owned();
    assert_eq!(text(format!("Device.PPP.Interface.{ppp}.ConnectionStatus")), "Connected");
    assert_eq!(text(format!("Device.PPP.Interface.{ppp}.Status")), "Up");
    let address = text(format!("Device.PPP.Interface.{ppp}.IPCP.LocalIPAddress"));
    assert!(address.starts_with("100."), "{address}");
    assert_eq!(text(format!("Device.IP.Interface.{ip}.IPv4Address.1.IPAddress")), address);
    // The management interface keeps the address that the OLT gave it.
    assert_eq!(text("Device.DHCPv4.Client.1.IPAddress".to_owned()), "127.20.0.10");
}

#[test]
fn the_clock_is_in_1981_until_ntp_answers() {
    let quirks = Quirks { clock_1981_until_ntp: true, ..Quirks::default() };
    let (mut device, now) = online("hg8546m", quirks.clone());
    assert_eq!(device.clock(now).year(), 1981);
    let time = |name: &str| format!("InternetGatewayDevice.Time.{name}");
    write(&mut device, now, vec![set(&time("NTPServer1"), "10.0.0.1"), set(&time("Enable"), "1")]);
    let now = pass(&mut device, now, 5);
    assert_eq!(device.clock(now), now);
    assert_eq!(device.tree().value(&time("Status")), Some("Synchronized"));
    // After a power cut it starts in 1981 again and finds the time by itself.
    device.lose_power_for(now, 1_000);
    device.tick(now.plus_s(2), &network());
    assert_eq!(device.clock(now.plus_s(2)).year(), 1981);
    let now = pass(&mut device, now.plus_s(2), 20);
    assert_eq!(device.clock(now).year(), 2026);

    for (quirks, value) in [
        (Quirks { clock_never: true, ..Quirks::default() }, "10.0.0.1"),
        (Quirks { ntp_wan_name_trap: true, ..quirks }, "10.0.0.1"),
    ] {
        let (mut device, now) = online("hg8546m", quirks);
        write(&mut device, now, vec![set(&time("NTPServer1"), value), set(&time("Enable"), "1")]);
        let now = pass(&mut device, now, 10);
        assert_eq!(device.clock(now).year(), 1981);
    }
}

#[test]
fn ntp_works_over_the_wan_that_is_named() {
    let quirks = Quirks { clock_1981_until_ntp: true, ntp_wan_name_trap: true, ..Quirks::default() };
    let (mut device, now) = online("hg8546m", quirks);
    let time = |name: &str| format!("InternetGatewayDevice.Time.{name}");
    write(&mut device, now, vec![set(&time("NTPServer1"), "10.0.0.1"), set(&time("Enable"), "1")]);
    write(&mut device, now, vec![set(&time("X_HW_WanName"), "wan1.1.ip1")]);
    let now = pass(&mut device, now, 5);
    assert_eq!(device.clock(now), now);
}

#[test]
fn wans_of_a_former_life_are_there_once() {
    for (existing, count, connected) in [
        (ExistingWan::Foreign, 1, true),
        (ExistingWan::Ours, 1, true),
        (ExistingWan::Orphan, 1, false),
        (ExistingWan::Two, 2, true),
    ] {
        for model in ["hg8546m", "generic_tr098", "generic_tr181"] {
            let (mut device, now) =
                online(model, Quirks { existing_wan: Some(existing), ..Quirks::default() });
            let wans = device.service_wans();
            assert_eq!(wans.len(), count, "{existing:?} {model}");
            let status = device.tree().value(&format!("{}ConnectionStatus", wans[0].path));
            assert_eq!(status == Some("Connected"), connected, "{existing:?} {model} {status:?}");
            device.factory_reset(now);
            let now = pass(&mut device, now, 10);
            assert_eq!(device.service_wans().len(), 0, "{existing:?} {model}");
            device.power_off(now);
            device.power_on(now, management());
            assert_eq!(device.service_wans().len(), 0, "{existing:?} {model}");
        }
    }
}

#[test]
fn a_huawei_wan_brings_its_policy_route() {
    let (mut device, now) = online("hg8546m", Quirks::default());
    let path = provision(&mut device, now, "secret-word", "100");
    let name = wan::wan_name(&path).expect("a name");
    let table = "InternetGatewayDevice.Layer3Forwarding.X_HW_policy_route.";
    let rows = device.tree().instances(table);
    let of: Vec<_> =
        rows.iter().filter_map(|row| device.tree().value(&format!("{table}{row}.WanName"))).collect();
    assert_eq!(of.iter().filter(|one| **one == name).count(), 1, "{of:?}");
}

#[test]
fn boot_bootstrap_periodic_and_value_change_are_reported() {
    let (mut device, now) = online("hg8546m", Quirks::default());
    assert!(device.wants_session(now));
    let codes = |message: &super::behaviour::InformMessage| {
        message.events.iter().map(|event| event.code.clone()).collect::<Vec<_>>()
    };
    let first = device.begin_session(now);
    assert_eq!(codes(&first), ["1 BOOT", "0 BOOTSTRAP"]);
    let names: Vec<&str> =
        first.parameters.iter().map(|value| value.path.rsplit('.').next().unwrap_or("")).collect();
    for name in
        ["SoftwareVersion", "HardwareVersion", "ProvisioningCode", "ParameterKey", "ConnectionRequestURL"]
    {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(first.parameters.iter().any(|value| value.value.starts_with("http://127.20.0.10:7547/")));
    device.inform_accepted();
    device.session_done(now, &first.events);
    assert!(!device.wants_session(now));

    let ssid = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID";
    ordered(&mut device, now, Order::SetAttributes(vec![(ssid.to_owned(), Some(2))]));
    write(&mut device, now, vec![set(ssid, "Changed")]);
    let changed = device.begin_session(now);
    assert_eq!(codes(&changed), ["4 VALUE CHANGE"]);
    assert!(changed.parameters.iter().any(|value| value.path == ssid && value.value == "Changed"));
    device.session_done(now, &changed.events);

    let now = pass(&mut device, now, 300);
    assert_eq!(codes(&device.begin_session(now)), ["2 PERIODIC"]);
    device.session_failed(now, "test");
    // Another ACS: it introduces itself again.
    device.power_on(now, Management { acs_url: "http://127.0.0.1:9999/".to_owned(), ..management() });
    let now = pass(&mut device, now, 10);
    assert!(codes(&device.begin_session(now)).contains(&"0 BOOTSTRAP".to_owned()));
}

#[test]
fn retries_wait_longer_each_time_and_boots_start_over() {
    let (mut device, mut now) = online("hg8546m", Quirks::default());
    for n in 0..12_u32 {
        let message = device.begin_session(now);
        assert_eq!(message.retry_count, n);
        assert!(message.events.iter().any(|event| event.code == "0 BOOTSTRAP"));
        device.session_failed(now, "no answer");
        let wait_s = device.state().not_before.since(now).as_secs();
        let least = 5 << n.min(9);
        assert!((least..=least * 2).contains(&wait_s), "retry {n} waits {wait_s} s");
        assert!(!device.wants_session(now));
        now = device.state().not_before;
    }
    device.lose_power_for(now, 0);
    let now = pass(&mut device, now, 10);
    assert_eq!(device.begin_session(now).retry_count, 0);

    let (mut silent, now) = online("hg8546m", Quirks { retry: RetryPolicy::Never, ..Quirks::default() });
    silent.begin_session(now);
    silent.session_failed(now, "no answer");
    assert!(!silent.wants_session(now.plus_s(200)));
}

#[test]
fn a_dropped_order_is_carried_out_and_happens_once() {
    for quirks in [
        Quirks { session_dropped_mid_rpc: Some(2), ..Quirks::default() },
        Quirks { session_dropped_on: Some("AddObject".to_owned()), ..Quirks::default() },
        Quirks { reboot_in_the_middle: Some(2), ..Quirks::default() },
        Quirks { reboot_on: Some("AddObject".to_owned()), ..Quirks::default() },
    ] {
        let restarts = quirks.reboot_on.is_some() || quirks.reboot_in_the_middle.is_some();
        let (mut device, now) = online("hg8546m", quirks);
        device.begin_session(now);
        assert_eq!(device.order(now, &Order::GetMethods).1, Then::Answer);
        let order = Order::AddObject { table: WCD.to_owned(), key: String::new() };
        let then = device.order(now, &order).1;
        assert_eq!(then, if restarts { Then::Restart } else { Then::Drop });
        assert!(device.tree().has(&format!("{WCD}2.")), "the object is there although the answer was lost");
        let (notes, _) = device.take_notes();
        let lost = notes.iter().find_map(|entry| match &entry.what {
            What::Order { told: Told::Added { path }, answered: false, .. } => Some(path.clone()),
            _ => None,
        });
        assert_eq!(lost, Some(format!("{WCD}2.")));
        assert_eq!(device.order(now, &order).1, Then::Answer);
    }
}

#[test]
fn the_401_trap_closes_with_a_wan_change_and_opens_with_new_credentials() {
    let (mut device, now) = online("hg8546m", Quirks { cr_401_after_wan_change: true, ..Quirks::default() });
    let credentials = || {
        vec![
            set("InternetGatewayDevice.ManagementServer.ConnectionRequestUsername", "acs"),
            set("InternetGatewayDevice.ManagementServer.ConnectionRequestPassword", "knock-knock"),
        ]
    };
    assert_eq!(device.connection_request_login(), None);
    write(&mut device, now, credentials());
    assert!(device.connection_request_login().is_some());
    add(&mut device, now, WCD);
    assert_eq!(device.connection_request_login(), None);
    write(&mut device, now, credentials());
    assert!(device.connection_request_login().is_some());
}

#[test]
fn connection_requests_are_rationed_and_followed_by_a_session() {
    let (mut device, now) = online("hg8546m", Quirks::default());
    let message = device.begin_session(now);
    assert!(!device.connection_request(now), "busy during a session");
    device.inform_accepted();
    device.session_done(now, &message.events);
    assert!(device.connection_request(now));
    assert!(!device.connection_request(now.plus_s(1)), "too soon after the one before");
    let now = now.plus_s(1);
    assert!(device.wants_session(now));
    assert_eq!(device.begin_session(now).events[0].code, "6 CONNECTION REQUEST");
}

#[test]
fn connection_request_urls_lead_astray_on_purpose() {
    let url = |quirks: Quirks| {
        let (device, _) = online("hg8546m", quirks);
        device.tree().at_root("ManagementServer.ConnectionRequestURL").unwrap_or_default().to_owned()
    };
    assert!(url(Quirks { cr_unreachable: true, ..Quirks::default() }).starts_with("http://127.20.0.10:9/"));
    assert!(
        url(Quirks { cr_url_off_subnet: true, ..Quirks::default() }).starts_with("http://192.168.1.1:7547/")
    );
    assert_eq!(url(Quirks { cr_url_missing: true, ..Quirks::default() }), "");
    let (mut missing, now) = online("hg8546m", Quirks { cr_url_missing: true, ..Quirks::default() });
    assert!(
        missing
            .begin_session(now)
            .parameters
            .iter()
            .all(|value| !value.path.ends_with("ConnectionRequestURL"))
    );
}

#[test]
fn another_port_for_connection_requests_is_a_value_change() {
    let (mut device, now) = online("hg8546m", Quirks::default());
    device.listens_on(7547);
    let first = device.begin_session(now);
    device.inform_accepted();
    device.session_done(now, &first.events);
    device.listens_on(7547);
    assert!(!device.wants_session(now));
    device.listens_on(40_001);
    let second = device.begin_session(now);
    assert_eq!(second.events[0].code, "4 VALUE CHANGE");
    assert!(second.parameters.iter().any(|value| value.value.starts_with("http://127.20.0.10:40001/")));
}

#[test]
fn a_newborn_zte_wants_its_type_alone_first() {
    let (mut device, now) = online("hg8546m", Quirks { born_unconfigured: true, ..Quirks::default() });
    let number = add(&mut device, now, WCD);
    let connection = add(&mut device, now, &format!("{WCD}{number}.WANPPPConnection."));
    let leaf =
        |name: &str, value: &str| set(&format!("{WCD}{number}.WANPPPConnection.{connection}.{name}"), value);
    let fault = |reply: Reply| match reply {
        Reply::Fault(fault) => fault.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        fault(write(&mut device, now, vec![leaf("ConnectionType", "IP_Routed"), leaf("Username", "x")])),
        9002
    );
    assert_eq!(write(&mut device, now, vec![leaf("ConnectionType", "IP_Routed")]), Reply::Set);
    assert_eq!(write(&mut device, now, vec![leaf("Username", "x")]), Reply::Set);
}

#[test]
fn numbers_of_a_former_wan_are_not_given_again() {
    for (never_reset, first) in [(true, 3), (false, 2)] {
        let quirks = Quirks { instance_numbers_never_reset: never_reset, ..Quirks::default() };
        let (mut device, now) = online("hg8546m", quirks);
        assert_eq!(add(&mut device, now, WCD), first);
    }
}

#[test]
fn power_flaps_as_often_as_told_and_then_holds() {
    let (mut device, now) = online("hg8546m", Quirks { power_flapping: 2, ..Quirks::default() });
    pass(&mut device, now, 120);
    let (notes, _) = device.take_notes();
    let count = |what: &What| notes.iter().filter(|entry| entry.what == *what).count();
    assert_eq!((count(&What::PoweredOff), count(&What::Booted)), (2, 3));
    assert!(device.state().powered);
}

#[test]
fn behind_an_olt_a_device_waits_for_light_after_a_power_cut() {
    let (mut device, now) = online("hg8546m", Quirks { power_flapping: 1, ..Quirks::default() });
    device.spec = Arc::new(DeviceSpec { behind_olt: true, ..(*device.spec).clone() });
    let now = pass(&mut device, now, 60);
    assert!(device.take_lost_power() && !device.take_lost_power(), "said once");
    assert!(device.state().dark && !device.state().powered);
    assert_eq!(device.next_due(now), None);
    device.power_on(now, management());
    pass(&mut device, now, 60);
    assert!(!device.state().dark && device.state().powered && !device.take_lost_power());
    // What the OLT causes is not the device's own doing.
    device.power_off(now.plus_s(60));
    assert!(!device.take_lost_power());
}

#[test]
fn a_restart_of_our_process_is_no_boot() {
    let (mut device, now) = online("hg8546m", Quirks::default());
    device.begin_session(now);
    let (_, changes) = device.take_notes();
    let state = device.state().clone();
    let mut again = Device::resume(
        device.spec.clone(),
        models::load("hg8546m").expect("built in").model,
        vec![changes],
        state,
    );
    again.power_on(now.plus_s(3), management());
    let (notes, _) = again.take_notes();
    assert!(notes.iter().all(|entry| entry.what != What::Booted), "{notes:?}");
    assert_eq!(again.state().retry_count, 1, "the session that our end cut off has failed");
    assert_eq!(again.tree().at_root("ManagementServer.URL"), device.tree().at_root("ManagementServer.URL"));
}

#[test]
fn the_same_seed_lives_the_same_life() {
    let life = |seed: u64| {
        let mut device = device("hg8546m", Quirks { power_flapping: 1, ..Quirks::default() });
        device.spec = Arc::new(DeviceSpec { seed, ..(*device.spec).clone() });
        device.power_on(NOW, management());
        let now = pass(&mut device, NOW, 10);
        let path = provision(&mut device, now, "wrong-word", "100");
        pass(&mut device, now, 120);
        let (notes, changes) = device.take_notes();
        (path, notes, changes, device.state().clone())
    };
    assert_eq!(life(1), life(1));
    assert_ne!(life(1).1, life(2).1);
}

#[test]
fn every_dump_of_the_corpus_is_a_device() {
    let Ok(corpus) = std::env::var("LIGHTKEEPER_CORPUS") else {
        println!("skipped: data models of real devices, LIGHTKEEPER_CORPUS not set");
        return;
    };
    let files = std::fs::read_dir(std::path::Path::new(&corpus).join("cpe")).expect("the cpe folder");
    let mut seen = 0;
    for path in files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "csv"))
    {
        let info = models::load(&path.display().to_string()).unwrap_or_else(|error| panic!("{error}"));
        let tree = Tree::new(info.model);
        let names = tree.names("", false).expect("all names");
        assert!(names.len() > 20, "{path:?}");
        let leaves: Vec<String> =
            names.into_iter().map(|name| name.path).filter(|path| !path.ends_with('.')).collect();
        assert_eq!(tree.values(&leaves, false).expect("all values").len(), leaves.len(), "{path:?}");
        seen += 1;
    }
    assert!(seen > 10, "{seen} models");
}
