//! Replies that must not be believed. The texts are written here in the shapes of real replies.

use olt::{
    huawei::{
        Huawei,
        parse::{counts, onu_added},
        shapes::{self, records},
    },
    model::{AddressKind, ConfigState, RunState},
    parser::{ParseError, ReplyParser},
};
use proptest::prelude::*;
use std::path::Path;

const RULE: &str = "  -----------------------------------------------------------------------------";

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("written");
        return;
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == want, "{} differs (UPDATE_GOLDEN=1 rewrites it):\n{text}", path.display());
}

fn list(rows: &str, descriptions: &str, total: usize) -> String {
    format!(
        "{RULE}\n  F/S/P   ONT         SN         Control     Run      Config   Match    Protect\n          ID                     flag        state    state    state    side\n{RULE}\n{rows}{RULE}\n  F/S/P   ONT-ID   Description\n{RULE}\n{descriptions}{RULE}\n  In port 0/ 1/0 , the total of ONTs are: {total}, online: 1\n{RULE}"
    )
}

const ROWS: &str = "  0/ 1/0    0  485754437D4733C3  active      online   normal   match    no\n  0/ 1/0    1  5A544547C9E3311B  active      offline  initial  initial  no\n";

#[test]
fn a_list_is_believed_only_when_its_total_fits() {
    let text = list(
        ROWS,
        "  0/ 1/0       0   one\n  0/ 1/0       1   two words of it that go\n                   on here\n",
        2,
    );
    let table = Huawei.onus_of_pon(&text);
    assert!(table.complete(), "{table:?}");
    let onus = table.whole().expect("two ONUs");
    assert_eq!(onus.iter().map(|o| o.onu_id).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(onus[1].description.as_deref(), Some("two words of it that goon here"));
    assert_eq!((onus[1].run_state, onus[1].config_state), (RunState::Offline, ConfigState::Initial));
    for total in [1, 3] {
        let text = list(ROWS, "", total);
        assert_eq!(
            Huawei.onus_of_pon(&text).whole(),
            Err(ParseError::Total { what: "list of ONUs", declared: total, found: 2 })
        );
    }
}

#[test]
fn a_row_that_cannot_be_read_costs_itself_and_is_never_taken_for_absent() {
    // An alarm went through the middle of a row.
    let text = list(&format!("  0/ 1/0    7  4857544\n{ROWS}"), "  0/ 1/0       1   one\n", 3);
    let table = Huawei.onus_of_pon(&text);
    assert_eq!(table.rows.iter().map(|o| o.onu_id).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(table.rows[1].description.as_deref(), Some("one"));
    assert!(!table.complete());
    assert_eq!(
        table.missing[0].to_string(),
        "the OLT's list of ONUs holds a row that cannot be read: \"0/ 1/0    7  4857544\""
    );
    assert!(matches!(table.whole(), Err(ParseError::Row { .. })), "a plan needs all of them");
    // A row that is told twice, differently.
    let other = ROWS.lines().next().expect("a row").replace("online ", "offline");
    let table = Huawei.onus_of_pon(&list(&format!("{ROWS}{other}\n"), "", 3));
    assert_eq!(table.rows.iter().map(|o| o.onu_id).collect::<Vec<_>>(), [1]);
    assert!(matches!(&table.missing[0], ParseError::Twice { thing, .. } if thing == "0/1/0 0"));
    // A reply that ends before its count.
    let cut = Huawei.onus_of_pon(list(ROWS, "", 2).split("  In port").next().expect("a part"));
    assert!(cut.missing.is_empty() && !cut.complete() && cut.rows.len() == 2);
    let text = "      17  300 common   gpon 0/6 /9  17   1     vl\n   Total : 1  (Up/Down :    1/0)";
    assert!(matches!(Huawei.service_ports(text), Err(ParseError::Row { .. })));
    let text = "      17  300 common   gpon 0/6 /9  17   1     vlan  300        -    -    up\n   Total : 2  (Up/Down :    1/0)";
    assert!(matches!(Huawei.service_ports(text), Err(ParseError::Total { .. })));
    let text = "   Number              : 1\n   F/S/P               : 0/1/0\n   Ont SN              : 4857";
    let other = "   Number              : 2\n   F/S/P               : 0/1/0\n   Ont SN              : 485754437D4733C3";
    let table = Huawei.autofind(&format!("{text}\n{RULE}\n{other}"));
    assert_eq!(table.rows.iter().map(|o| o.serial.to_string()).collect::<Vec<_>>(), ["HWTC-7D4733C3"]);
    assert!(matches!(table.missing[..], [ParseError::Row { .. }]));
    assert!(matches!(
        Huawei.onu("  F/S/P   : 0/1/0\n  ONT-ID  : 2\n"),
        Err(ParseError::Field { field: "SN", .. })
    ));
}

#[test]
fn a_summary_needs_both_of_its_tables() {
    let times = "  In port 0/1/0, the total of ONTs are: 2, online: 1\n  ONT  Run     Last                Last                Last\n  ID   State   UpTime              DownTime            DownCause\n  0    online  2026-01-06 07:43:46 -                   -\n  1    offline 16/10/2023 23:47:09-02:00 DST 01/01/2026 00:00:00 LOSi/LOBi\n";
    let light = "  ONT        SN        Type          Distance Rx/Tx power  Description\n  ID                                    (m)      (dBm)\n  0   485754437D4733C3 EG8145V5         42    -22.84/2.12  one\n";
    let second = "  1   5A544547C9E3311B F660 V9          -     -/-          -\n";
    let (times, light) = (format!("{times}{RULE}\n"), format!("{light}{RULE}\n"));
    let table = Huawei.onu_summary_of_pon(&format!("{times}{light}{second}"));
    assert!(table.complete(), "{table:?}");
    let onus = table.rows;
    assert_eq!(onus[0].rx_power_cdbm, Some(-2284));
    assert_eq!((onus[1].rx_power_cdbm, onus[1].distance_m), (None, None));
    assert_eq!(onus[1].model.as_deref(), Some("F660 V9"));
    assert_eq!(onus[1].last_up.as_deref(), Some("16/10/2023 23:47:09-02:00 DST"));
    assert_eq!(onus[1].last_down_cause.as_deref(), Some("LOSi/LOBi"));
    let table = Huawei.onu_summary_of_pon(&format!("{times}{light}"));
    assert_eq!(table.rows.len(), 2);
    assert_eq!(table.rows[1].serial, None);
    assert!(matches!(&table.missing[..], [ParseError::Row { row, .. }] if row == "0/1/0 1: no light"));
}

#[test]
fn the_management_address_is_read_per_host() {
    let text = "  ONT IP host index        : 0\n  ONT config type          : Static config\n  ONT IP                   : 192.168.240.225\n  ONT manage VLAN          : 999\n  ONT manage priority      : 2\n  ONT IP host index        : 1\n  ONT config type          : PPPoE\n  ONT IP                   : -\n  ONT manage VLAN          : 100\n  ONT manage priority      : 0\n";
    let rows = Huawei.management_of_onu(text).expect("two hosts");
    assert_eq!((rows[0].kind, rows[0].vlan, rows[0].priority), (AddressKind::Static, Some(999), Some(2)));
    assert_eq!((rows[1].ip_index, rows[1].kind, rows[1].address), (1, AddressKind::Pppoe, None));
}

/// One reply of `display ont ipconfig`, in the shape of the real one.
fn ip_host(index: u8, kind: &str, address: &str, mac: &str, vlan: u16) -> String {
    format!(
        "{RULE}\n  ONT IP host index        : {index}\n  ONT config type          : {kind}\n  ONT IP                   : {address}\n  ONT subnet mask          : 255.255.0.0\n  ONT gateway              : 10.20.0.1\n  ONT primary DNS          : -\n  ONT slave DNS            : -\n  ONT MAC                  : {mac}\n  ONT manage VLAN          : {vlan}\n  ONT manage priority      : 2\n  Dscp mapping table index : 0\n{RULE}"
    )
}

/// One reply of `display ont wan-info`, in the shape of the real one, shortened.
fn wans(rows: &[(&str, &str, &str, &str)]) -> String {
    let mut text = format!(
        "{RULE}\n  F/S/P                      : 0/1/0\n  ONT ID                     : 0     \n{RULE}\n"
    );
    for (number, (service, status, kind, address)) in rows.iter().enumerate() {
        text.push_str(&format!(
            "  Index                      : {}\n  Name                       : OLT_{}\n  Service type               : {service}\n  Connection type            : IP routed\n  IPv4 Connection status     : {status}\n  IPv4 access type           : {kind}\n  IPv4 address               : {address}\n  Subnet mask                : 255.255.254.0\n  Manage VLAN                : 1000\n  Manage priority            : 5\n  MAC address                : 0025-9E47-33C3\n{RULE}\n",
            number + 1,
            number + 1
        ));
    }
    text
}

#[test]
fn management_addresses_read_as_they_always_did() {
    let mut shown = String::new();
    let hosts = [
        ("a lease", ip_host(0, "DHCP", "10.20.3.9", "0025-9E47-33C3", 200)),
        ("no lease yet", ip_host(0, "DHCP", "-", "0025-9E47-33C3", 200)),
        ("no lease yet, said otherwise", ip_host(0, "DHCP", "0.0.0.0", "--------------", 200)),
        (
            "two hosts",
            [ip_host(0, "Static config", "10.20.3.10", "-", 200), ip_host(1, "PPPoE", "-", "-", 100)]
                .join("\n"),
        ),
    ];
    for (what, text) in hosts {
        shown.push_str(&format!("ipconfig, {what}: {:?}\n", Huawei.management_of_onu(&text)));
    }
    let tables = [
        (
            "management beside others",
            wans(&[
                ("Internet", "Connected", "PPPoE", "100.64.0.7"),
                ("Tr069", "Connected", "DHCP", "10.20.3.9"),
                ("Voip", "Connected", "Static", "10.30.3.9"),
            ]),
        ),
        ("management that is down", wans(&[("Tr069 Internet", "Connecting", "DHCP", "10.20.3.9")])),
        ("no management", wans(&[("Internet", "Connected", "Invalid", "-")])),
    ];
    for (what, text) in tables {
        shown.push_str(&format!("wan-info, {what}: {:?}\n", Huawei.management_wans_of_onu(&text)));
    }
    golden("management.txt", &shown);
}

#[test]
fn half_an_address_is_not_believed() {
    for broken in ["10.20.3", "10.20.3.9!", "10.20.3.256", "fe80::1"] {
        let error = Huawei.management_of_onu(&ip_host(0, "DHCP", broken, "-", 200));
        assert!(matches!(error, Err(ParseError::Row { .. })), "{broken}: {error:?}");
        let error = Huawei.management_wans_of_onu(&wans(&[("Tr069", "Connected", "DHCP", broken)]));
        assert!(matches!(error, Err(ParseError::Row { .. })), "{broken}: {error:?}");
    }
}

#[test]
fn results_of_writes_are_counted() {
    assert_eq!(
        onu_added("  Number of ONTs that can be added: 1, success: 1\n  PortID :6, ONTID : 2"),
        Some(2)
    );
    assert_eq!(counts("  Number of ONTs that can be deleted: 1, success: 0"), Some((1, 0)));
    assert_eq!((onu_added(""), counts("")), (None, None));
}

#[test]
fn shapes_refuse_what_they_cannot_read() {
    let text = " 0/ 2/6      2    ETH              1   805e-0c5c-4277       80\n Total: 2";
    assert!(matches!(records(shapes::ONU_MACS, text), Err(ParseError::Total { declared: 2, found: 1, .. })));
    assert!(matches!(records(shapes::ONU_MACS, " 0/ 2/6      2    ETH"), Err(ParseError::Row { .. })));
}

proptest! {
    #[test]
    fn any_text_is_answered_without_panic(text in "(?s)[ -~\\n]{0,300}", junk in any::<String>()) {
        for text in [text, junk] {
            let _ = Huawei.autofind(&text);
            let _ = Huawei.onus_of_pon(&text);
            let _ = Huawei.onu(&text);
            let _ = Huawei.onu_summary_of_pon(&text);
            let _ = Huawei.optics_of_pon(&text);
            let _ = Huawei.service_ports(&text);
            let _ = Huawei.management_of_onu(&text);
            let _ = Huawei.management_wans_of_onu(&text);
            let _ = Huawei.profiles(&text);
            let _ = Huawei.line_profile(&text);
            let _ = Huawei.boards(&text);
            let _ = Huawei.version(&text);
            let _ = records(shapes::PORT_INFO, &text);
        }
    }
}

/// One row that cannot be read costs itself, and what is told twice is believed in neither form.
#[test]
fn a_bad_row_of_light_blinds_no_other() {
    let table = "  ONT  Rx power  Tx power  OLT Rx ONT  Temperature  Voltage  Current  Distance\n    \
                 0  -24.68    3.68      -22.68      38           3.200    6        171\n    \
                 1  -24.68    3.86\n    \
                 2  -         -         -           -            -        -        -\n    \
                 3  -25.37    3.91      -22.45      31           3.180    7        170\n    \
                 3  -11.11    3.91      -22.45      31           3.180    7        170\n    \
                 99999  -25.37    3.91      -22.45      31           3.180    7        170";
    let read = Huawei.optics_of_pon(table);
    let ids: Vec<(u16, Option<i32>)> =
        read.rows.iter().map(|row| (row.onu_id, row.olt_rx_power_cdbm)).collect();
    assert_eq!(ids, [(0, Some(-2268)), (2, None)]);
    assert_eq!(read.missing.len(), 3, "{:?}", read.missing);
}

#[test]
fn where_an_acs_profile_sends_cpes_is_read_or_not_known() {
    let text = |url: &str| format!("  Profile-ID    : 1\n  Profile-name  : lk\n{url}  User name     : -\n");
    let read = |url: &str| Huawei.acs_profile(&text(url)).expect("a profile").url;
    let url = "http://acs.example.net:7547/";
    assert_eq!(read(&format!("  URL           : {url}\n")).as_deref(), Some(url));
    assert_eq!(read("  URL           : -\n"), None);
    assert_eq!(read(""), None);
    assert!(Huawei.acs_profile("  nothing of the kind").is_err());
}
