//! What the simulated OLT prints, character by character, against golden files (`UPDATE_GOLDEN=1` rewrites them).

use sim::flow::Flow;
use sim::olt::{
    Action, Effect, Fault, FaultKind, Model, Olt, OltEvent, OltSpec, Onu, Preset, Terminal, Timing,
};
use std::time::Duration;
use types::{Clock, ManualClock, PonPath, Secret, Serial, UtcMs};

const PON: PonPath = PonPath { frame: 0, slot: 1, port: 3 };

fn serial(text: &str) -> Serial {
    text.parse().expect("serial")
}

fn spec() -> OltSpec {
    OltSpec {
        name: "MA5800-LAB".to_owned(),
        timing: Timing { save_ms: 2_000, ..Timing::immediate() },
        preset: Preset {
            acs_url: "http://127.0.0.1:7547/".to_owned(),
            acs_user: "acs".to_owned(),
            acs_password: Secret::new("acs-secret"),
            ..Preset::default()
        },
        ..OltSpec::default()
    }
}

/// A terminal and the transcript of it.
struct Dialogue {
    olt: Olt,
    terminal: Terminal,
    clock: ManualClock,
    seen: String,
    ended: Option<Action>,
}

impl Dialogue {
    fn new(spec: OltSpec) -> Self {
        // 2026-11-21T14:30:00Z
        let clock = ManualClock::new(UtcMs::from_s(1_795_271_400));
        let olt = Olt::new(spec, clock.now());
        let (terminal, greeting) = Terminal::login(clock.now());
        let mut dialogue = Dialogue { olt, terminal, clock, seen: String::new(), ended: None };
        dialogue.take(greeting);
        dialogue
    }

    /// Logged in, in `(config)#`, without questions and alarms, as a driver sets a session up.
    fn ready(spec: OltSpec) -> Self {
        let mut dialogue = Self::new(spec);
        dialogue.lines(&[
            "lightkeeper",
            "lightkeeper",
            "enable",
            "undo smart",
            "infoswitch cli OFF",
            "scroll 512",
            "config",
        ]);
        dialogue.seen.clear();
        dialogue
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(bytes) => self.seen.extend(bytes.into_iter().map(char::from)),
                Action::WaitMs(ms) => self.seen.push_str(&format!("<waits {ms} ms>")),
                end => {
                    self.seen.push_str(&format!("<{end:?}>"));
                    self.ended = Some(end);
                }
            }
        }
        for noise in self.noise() {
            let actions = self.terminal.noise(&noise);
            self.take(actions);
        }
    }

    fn noise(&mut self) -> Vec<sim::olt::Noise> {
        self.olt.take_noise()
    }

    fn keys(&mut self, keys: &str) -> &mut Self {
        let now = self.clock.now();
        let actions = self.terminal.input(&mut self.olt, keys.as_bytes(), now);
        self.take(actions);
        self
    }

    fn lines(&mut self, lines: &[&str]) -> &mut Self {
        for line in lines {
            self.keys(&format!("{line}\r\n"));
        }
        self
    }

    /// What one line printed.
    fn reply(&mut self, line: &str) -> String {
        let before = self.seen.len();
        self.lines(&[line]);
        self.seen[before..].to_owned()
    }

    fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        let now = self.clock.now();
        self.olt.tick(now);
        self.take(Vec::new());
    }

    fn plug(&mut self, sn: &str, equipment: &str, pon: PonPath) -> Serial {
        let serial = serial(sn);
        let now = self.clock.now();
        self.olt.plug(Onu::new(serial, equipment), pon, now);
        self.take(Vec::new());
        serial
    }

    fn golden(&self, name: &str) {
        let seen = self.seen.replace('\r', "").replace('\u{1b}', "<ESC>");
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden/olt")
            .join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
            std::fs::write(&path, &seen).expect("golden file");
            return;
        }
        let want = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", path.display()));
        for (number, (want, seen)) in want.lines().zip(seen.lines()).enumerate() {
            assert_eq!(want, seen, "{name}, line {}", number + 1);
        }
        assert_eq!(want, seen, "{name}: one is longer");
    }
}

#[test]
fn logging_in_and_out() {
    let mut d = Dialogue::new(spec());
    d.lines(&["lightkeeper", "wrong", "lightkeeper", "lightkeeper", "enable", "undo smart"]);
    d.lines(&["scroll 512", "display version", "config", "quit", "quit", "n", "quit", "y"]);
    assert_eq!(d.ended, Some(Action::Close));
    d.golden("login");
}

#[test]
fn three_wrong_passwords_end_the_connection() {
    let mut d = Dialogue::new(spec());
    for _ in 0..3 {
        d.lines(&["lightkeeper", "wrong"]);
    }
    assert_eq!(d.ended, Some(Action::Close));
    assert!(!d.seen.contains("wrong"), "a password is not echoed");
}

#[test]
fn authorising_an_onu() {
    let mut d = Dialogue::ready(spec());
    d.plug("HWTC7D4733C3", "EG8145V5", PON);
    d.lines(&[
        "display ont autofind all",
        "display ont info by-sn 485754437D4733C3",
        "display ont info 0 1 3 all",
        "interface gpon 0/1",
        "ont add 3 sn-auth \"485754437D4733C3\" omci ont-lineprofile-id 10 ont-srvprofile-id 10 desc \"Ana Ruiz, Calle Mayor 12, 3 izquierda\"",
        "ont ipconfig 3 0 ip-index 0 dhcp vlan 200 priority 2",
        "ont tr069-server-config 3 0 profile-id 1",
        "quit",
        "service-port vlan 100 gpon 0/1/3 ont 0 gemport 1 multi-service user-vlan 100 tag-transform translate inbound traffic-table index 100 outbound traffic-table index 300",
        "service-port vlan 200 gpon 0/1/3 ont 0 gemport 2 multi-service user-vlan 200 tag-transform translate",
        "display service-port port 0/1/3 ont 0",
        "display ont info 0 1 3 0",
        "display ont tr069-server-profile bound-info profile-id 1",
        "interface gpon 0/1",
        "display ont ipconfig 3 0",
        "display ont optical-info 3 all",
        "display ont optical-info 3 0",
        "display ont info summary 3",
        "display ont version 3 0",
        "display ont wan-info 3 0",
        "display ont port state 3 0 eth-port all",
        "return",
        "config",
        "display current-configuration ont 0/1/3 0",
        "save",
        "save",
    ]);
    d.pass(Duration::from_secs(3));
    assert!(d.olt.state().is_saved());
    d.golden("authorise");

    let managed = d.olt.state().plant.managed.values().next().expect("reaches the ACS").clone();
    assert_eq!(managed.acs_url, "http://127.0.0.1:7547/");
    assert_eq!(managed.mgmt_vlan, 200);
    let events = d.olt.take_events();
    assert!(events.contains(&OltEvent::OnuManaged(managed)));
}

#[test]
fn the_olt_tags_for_a_router_that_cannot() {
    let mut d = Dialogue::ready(spec());
    let sn = d.plug("HWTC7D4733C3", "EG8145V5", PON);
    d.lines(&[
        "interface gpon 0/1",
        "ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 10",
        "ont ipconfig 3 0 ip-index 0 dhcp vlan 200 priority 2",
        "ont tr069-server-config 3 0 profile-id 1",
        "quit",
        "service-port 7 vlan 200 gpon 0/1/3 ont 0 gemport 2 multi-service user-vlan 200 tag-transform translate",
    ]);
    let flow = |user_vlan, vlan| Flow { user_vlan, vlan };
    assert_eq!(d.olt.state().plant.managed[&sn].flows, [flow(Some(200), 200)]);
    d.olt.take_events();
    let untagged = "service-port vlan 100 gpon 0/1/3 ont 0 gemport 1 multi-service user-vlan untagged tag-transform default";
    d.lines(&[untagged]);
    let flows = vec![flow(None, 100), flow(Some(200), 200)];
    assert_eq!(d.olt.state().plant.managed[&sn].flows, flows);
    assert_eq!(
        d.olt.take_events(),
        [OltEvent::OnuFlows { serial: sn, flows }],
        "and the ONU does not restart"
    );
    let shown = d.reply("display service-port port 0/1/3 ont 0");
    assert!(shown.lines().any(|line| line.contains(" 100 ") && line.contains("vlan  untag ")), "{shown}");
    assert!(d.reply(untagged).contains("has existed already"));
    let config = d.reply("display current-configuration ont 0/1/3 0");
    assert!(config.contains("user-vlan untagged tag-transform default"), "{config}");
}

#[test]
fn taking_an_onu_down_again() {
    let mut d = Dialogue::ready(spec());
    let sn = d.plug("HWTC7D4733C3", "EG8145V5", PON);
    d.lines(&[
        "interface gpon 0/1",
        "ont add 3 5 sn-auth HWTC-7D4733C3 omci ont-lineprofile-name HSI-TR069 ont-srvprofile-id 10",
        "quit",
        "service-port 13 vlan 100 gpon 0/1/3 ont 5 gemport 1",
        "service-port 14 vlan 200 gpon 0/1/3 ont 5 gemport 2",
    ]);
    d.seen.clear();
    d.lines(&[
        "interface gpon 0/1",
        "ont delete 3 5",
        "quit",
        "undo service-port 13",
        "undo service-port port 0/1/3 ont 5",
        "n",
        "undo service-port port 0/1/3 ont 5",
        "y",
        "display service-port port 0/1/3 ont 5",
        "interface gpon 0/1",
        "ont delete 3 5",
        "ont delete 3 5",
        "display ont info by-sn 485754437D4733C3",
        "display ont autofind 3",
    ]);
    d.golden("teardown");
    assert_eq!(d.olt.record().tally().ont_deleted.get(&sn), Some(&1));
    assert!(d.olt.record().registered_twice().is_empty());
}

#[test]
fn what_the_box_refuses() {
    let mut d = Dialogue::ready(spec());
    d.plug("HWTC7D4733C3", "EG8145V5", PON);
    d.lines(&[
        "screen-length 0 temporary",
        "display ont info 6 all",
        "display ont info by-sn 485754437D4733C4",
        "ont add 3 sn-auth HWTC7D4733C3",
        "interface gpon 0/9",
        "interface gpon 0/5",
        "interface gpon 0/1",
        "display ont info 0 1 3 all",
        "display ont info 3",
        "display ont autofind 4",
        "ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 99 ont-srvprofile-id 10",
        "ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 99",
        "ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 10",
        "ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 10",
        "ont add 3 0 sn-auth HWTC00000009 omci ont-lineprofile-id 10 ont-srvprofile-id 10",
        "ont add 3 sn-auth HWTC omci ont-lineprofile-id 10 ont-srvprofile-id 10",
        "ont reset 3 9",
        "y",
        "ont tr069-server-config 3 0 profile-id 7",
        "port 3 ont-auto-find enable",
        "quit",
        "service-port vlan 999 gpon 0/1/3 ont 0 gemport 1",
        "service-port vlan 100 gpon 0/1/3 ont 1 gemport 1",
        "service-port vlan 100 gpon 0/1/3 ont 0 gemport 7",
        "service-port vlan 100 gpon 0/1/3 ont 0 gemport 1 inbound traffic-table index 999",
        "service-port vlan 100 gpon 0/1/3 ont 0 gemport 1",
        "service-port vlan 100 gpon 0/1/3 ont 0 gemport 1",
        "undo service-port 4711",
        "undo vlan 100",
        "display vlan 3000",
        "display ont-lineprofile gpon profile-id 77",
    ]);
    d.golden("refusals");
}

#[test]
fn questions_the_box_asks_while_smart_is_on() {
    let mut d = Dialogue::new(spec());
    d.plug("HWTC7D4733C3", "EG8145V5", PON);
    d.lines(&["lightkeeper", "lightkeeper", "enable", "config"]);
    d.seen.clear();
    d.lines(&[
        "scroll",
        "512",
        "display ont autofind all",
        "",
        "interface gpon 0/1",
        "ont add 3 sn-auth \"485754437D4733C3\" omci ont-lineprofile-id 10 ont-srvprofile-id 10",
        "desc \"Ana\"",
        "",
        "display ont info 3",
        "0",
        "",
        "ont reset 3 0",
        "display version",
        "ont reset 3 0",
        "y",
        "quit",
        "display service-port port 0/1/3 ont 0",
        "",
    ]);
    d.golden("questions");
    let resets = d.olt.record().tally().ont_reset.values().sum::<u32>();
    assert_eq!(resets, 1, "a command in answer to (y/n) is no");
}

#[test]
fn the_pager_stops_until_a_key_comes() {
    let mut d = Dialogue::new(spec());
    d.lines(&["lightkeeper", "lightkeeper", "enable", "undo smart", "scroll 10", "config"]);
    d.seen.clear();
    d.lines(&["display version"]).keys(" ").keys("\r\n").keys("q").lines(&["display time"]);
    d.golden("pager");
}

#[test]
fn a_line_longer_than_the_terminal_is_wrapped_in_the_echo() {
    let mut d = Dialogue::ready(spec());
    let echo = d.reply(&format!("display {}", "x".repeat(90)));
    assert!(echo.contains("x \u{1b}[1Dx"), "{echo:?}");
}

#[test]
fn an_ma5608t_prints_less() {
    let mut d = Dialogue::ready(OltSpec { name: "OLT-OLD".to_owned(), model: Model::Ma5608t, ..spec() });
    d.plug("ZTEGC9E3311B", "F680", PonPath { frame: 0, slot: 1, port: 0 });
    d.lines(&["display board 0", "display ont autofind all", "display sysman service state"]);
    d.golden("ma5608t");
}

#[test]
fn profiles_can_be_made_and_shown() {
    let mut d =
        Dialogue::ready(OltSpec { preset: Preset { provisioned: false, ..Preset::default() }, ..spec() });
    d.lines(&[
        "vlan 300 smart",
        "vlan desc 300 description MGMT",
        "port vlan 300 0/9 0",
        "dba-profile add profile-id 30 profile-name LK type4 max 1024000",
        "traffic table ip index 30 cir 102400 priority 0 priority-policy local-setting",
        "ont-srvprofile gpon profile-id 30 profile-name LK",
        "ont-port eth adaptive pots adaptive",
        "commit",
        "quit",
        "ont-lineprofile gpon profile-id 30 profile-name LK",
        "tcont 1 dba-profile-id 30",
        "gem add 1 eth tcont 1",
        "gem mapping 1 0 vlan 300",
        "tr069-management enable",
        "commit",
        "quit",
        "ont tr069-server-profile add profile-id 3 profile-name LK url \"http://10.0.0.1:7547/acs\" user \"acs\" \"s3cret pass\"",
        "display ont-lineprofile gpon profile-id 30",
        "display ont-lineprofile gpon all",
        "display ont-srvprofile gpon profile-id 30",
        "display dba-profile all",
        "display traffic table ip from-index 0",
        "display ont tr069-server-profile all",
        "display ont tr069-server-profile profile-id 3",
        "display vlan all",
        "display vlan 300",
        "display current-configuration",
    ]);
    d.golden("profiles");
    assert!(!d.seen.replace("\"acs\" \"s3cret pass\"", "").contains("s3cret"), "shown only as typed");
    let record: Vec<_> = d.olt.record().entries().map(|e| e.line.clone()).collect();
    assert!(!record.join("\n").contains("s3cret"), "never in the record");
    assert_eq!(d.olt.state().config.tr069_profiles[&3].password.expose(), "s3cret pass");
}

#[test]
fn without_commit_a_profile_is_as_before() {
    let mut d = Dialogue::ready(spec());
    d.lines(&["ont-lineprofile gpon profile-id 10", "undo gem 2", "quit"]);
    assert!(d.olt.state().config.line_profiles[&10].gems.contains_key(&2));
}

#[test]
fn alarms_break_in_unless_switched_off() {
    let mut d = Dialogue::new(spec());
    d.lines(&["lightkeeper", "lightkeeper", "enable"]);
    d.keys("display ti");
    d.seen.clear();
    d.plug("HWTC7D4733C3", "EG8145V5", PON);
    assert!(d.seen.contains("The ONT is automatically discovered"), "{}", d.seen);
    assert!(d.seen.ends_with("MA5800-LAB#display ti"), "the half-typed line is shown again");
    d.keys("me\r\n\r\n");
    d.lines(&["infoswitch cli OFF"]);
    d.seen.clear();
    d.plug("HWTC7D4733C4", "EG8145V5", PON);
    assert_eq!(d.seen, "");
}

#[test]
fn a_wrong_service_profile_shows_as_mismatch() {
    let mut d = Dialogue::ready(spec());
    d.plug("HWTC7D4733C3", "EG8145V5", PON);
    d.lines(&[
        "interface gpon 0/1",
        "ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 20",
    ]);
    let list = d.reply("display ont info 3 all");
    assert!(list.contains("active      online   failed   mismatch no"), "{list}");
}

#[test]
fn power_light_and_fibre() {
    let mut d = Dialogue::ready(OltSpec {
        timing: Timing { boot_ms: 4_000, register_ms: 1_000, ..Timing::immediate() },
        ..spec()
    });
    let sn = d.plug("HWTC7D4733C3", "EG8145V5", PON);
    d.lines(&[
        "interface gpon 0/1",
        "ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 10",
    ]);
    assert!(!d.olt.state().is_online(sn), "it has to range first");
    d.pass(Duration::from_secs(1));
    assert!(d.olt.state().is_online(sn));
    let now = d.clock.now();
    d.olt.flap_power(sn, now);
    assert!(!d.olt.state().is_online(sn));
    assert_eq!(d.olt.state().plant.links[&sn].last_down_cause.as_deref(), Some("dying-gasp"));
    d.pass(Duration::from_secs(4));
    d.pass(Duration::from_secs(1));
    assert!(d.olt.state().is_online(sn));
    let now = d.clock.now();
    d.olt.cut_fibre(PON, true, now);
    assert_eq!(d.olt.state().plant.links[&sn].last_down_cause.as_deref(), Some("LOSi/LOBi"));
    d.olt.cut_fibre(PON, false, now);
    d.pass(Duration::from_secs(1));
    assert!(d.olt.state().is_online(sn));
    d.lines(&["ont deactivate 3 0"]);
    assert_eq!(d.olt.state().plant.links[&sn].last_down_cause.as_deref(), Some("deactive"));
    assert!(d.reply("ont deactivate 3 0").contains("Failure: Make configuration repeatedly"));
}

#[test]
fn a_management_wan_needs_all_its_parts() {
    let parts = [
        "ont ipconfig 3 0 ip-index 0 dhcp vlan 200 priority 2",
        "ont tr069-server-config 3 0 profile-id 1",
        "return",
        "config",
        "service-port 7 vlan 200 gpon 0/1/3 ont 0 gemport 2 multi-service user-vlan 200 tag-transform translate",
    ];
    let mut d = Dialogue::ready(spec());
    let sn = d.plug("HWTC7D4733C3", "EG8145V5", PON);
    d.lines(&[
        "interface gpon 0/1",
        "ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 10",
    ]);
    for part in parts {
        assert!(!d.olt.state().plant.managed.contains_key(&sn), "before {part}");
        d.lines(&[part]);
    }
    let ip = d.olt.state().plant.managed[&sn].ip;
    d.olt.take_events();
    d.lines(&["undo service-port 7"]);
    assert_eq!(d.olt.take_events(), [OltEvent::OnuUnmanaged { serial: sn }]);
    d.lines(&[parts[4]]);
    assert_eq!(d.olt.state().plant.managed[&sn].ip, ip, "the lease is kept");
}

#[test]
fn some_firmware_never_gets_an_address_by_dhcp() {
    let mut d = Dialogue::ready(spec());
    let sn = serial("HWTC7D4733C3");
    let now = d.clock.now();
    d.olt.plug(Onu { dhcp_broken: true, ..Onu::new(sn, "EG8145V5") }, PON, now);
    d.lines(&[
        "service-port vlan 200 gpon 0/1/3 ont 0 gemport 2",
        "interface gpon 0/1",
        "ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 10",
        "ont ipconfig 3 0 dhcp vlan 200 priority 2",
        "ont tr069-server-config 3 0 profile-id 1",
        "quit",
        "service-port vlan 200 gpon 0/1/3 ont 0 gemport 2",
        "interface gpon 0/1",
    ]);
    assert!(!d.olt.state().plant.managed.contains_key(&sn));
    d.lines(&[
        "ont ipconfig 3 0 static ip-address 127.20.9.9 mask 255.255.0.0 gateway 127.20.0.1 vlan 200 priority 2",
    ]);
    assert_eq!(d.olt.state().plant.managed[&sn].ip.to_string(), "127.20.9.9");
}

#[test]
fn faults_strike_before_and_after_the_effect() {
    let add = "ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 10";
    for (what, added, end) in [
        (FaultKind::CutBefore, false, Some(Action::Cut)),
        (FaultKind::CutAfter, true, Some(Action::Cut)),
        (FaultKind::CutInReply { after_chars: 10 }, true, Some(Action::Close)),
        (FaultKind::Busy, false, None),
        (FaultKind::Refuse { text: "Failure: No resources".to_owned() }, false, None),
        (FaultKind::Silent, true, None),
        (FaultKind::Hang, true, None),
        (FaultKind::WrongReply { text: "  Failure: SN already exists".to_owned() }, true, None),
        (FaultKind::Delay { ms: 250 }, true, None),
        (FaultKind::Restart { keep_unsaved: false, after_effect: true }, false, Some(Action::Cut)),
        (FaultKind::Restart { keep_unsaved: true, after_effect: true }, true, Some(Action::Cut)),
    ] {
        let mut d = Dialogue::ready(spec());
        let sn = d.plug("HWTC7D4733C3", "EG8145V5", PON);
        d.lines(&["interface gpon 0/1"]);
        d.olt.faults_mut().add(Fault::once("^ont add", what.clone())).expect("pattern");
        let reply = d.reply(add);
        assert_eq!(d.olt.state().config.find(sn).is_some(), added, "{what:?}");
        assert_eq!(d.ended, end, "{what:?}");
        let entry = d.olt.record().told("ont add")[0];
        assert_eq!(entry.fault.as_deref(), Some(what.name()), "{what:?}");
        assert_eq!(
            entry.effects.iter().any(|e| matches!(e, Effect::OntAdded { .. })),
            !matches!(what, FaultKind::CutBefore | FaultKind::Busy | FaultKind::Refuse { .. }),
        );
        match what {
            FaultKind::CutAfter | FaultKind::CutBefore | FaultKind::Hang => {
                assert!(!reply.contains("success"), "{reply}");
            }
            FaultKind::Busy => assert!(reply.contains("System is busy"), "{reply}"),
            FaultKind::Silent => {
                assert!(reply.ends_with("\r\nMA5800-LAB(config-if-gpon-0/1)#"), "{reply}")
            }
            FaultKind::Delay { .. } => assert!(reply.contains("<waits 250 ms>"), "{reply}"),
            _ => {}
        }
    }
}

#[test]
fn an_id_can_be_taken_behind_ones_back() {
    let mut d = Dialogue::ready(spec());
    let sn = d.plug("HWTC7D4733C3", "EG8145V5", PON);
    d.lines(&["interface gpon 0/1"]);
    d.olt.faults_mut().add(Fault::once("^ont add", FaultKind::TakeNextOntId { pon: PON })).expect("pattern");
    let reply = d.reply("ont add 3 0 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 10");
    assert!(reply.contains("Failure: The ONT ID has already existed"), "{reply}");
    let reply = d.reply("ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 10");
    assert!(reply.contains("PortID :3, ONTID :1"), "{reply}");
    assert_eq!(d.olt.state().config.find(sn).map(|(_, id, _)| id), Some(1));
}

#[test]
fn the_same_seed_gives_the_same_session() {
    let run = |seed| {
        let mut d = Dialogue::ready(OltSpec { seed, ..spec() });
        d.olt.faults_mut().add(Fault::random(150, FaultKind::Busy)).expect("pattern");
        d.olt
            .faults_mut()
            .add(Fault::random(150, FaultKind::Alarm { text: String::new() }))
            .expect("pattern");
        for n in 0..60 {
            d.plug(&format!("HWTC000000{n:02X}"), "EG8145V5", PON);
            d.lines(&["display ont autofind all", "display time"]);
        }
        d.seen
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn sessions_per_user_are_limited() {
    let mut d = Dialogue::new(spec());
    let now = d.clock.now();
    let sessions: Vec<_> = (0..4)
        .map(|_| d.olt.open_session("lightkeeper", sim::olt::Via::Ssh, now).expect("below the limit"))
        .collect();
    d.lines(&["lightkeeper", "lightkeeper"]);
    assert!(d.seen.contains("Reenter times have reached the upper limit"), "{}", d.seen);
    d.olt.close_session(sessions[0].id);
    assert!(d.olt.open_session("lightkeeper", sim::olt::Via::Ssh, now).is_ok());
}

#[test]
fn garbage_is_answered() {
    let mut d = Dialogue::ready(spec());
    let mut state = 0x1234_5678_u64;
    for _ in 0..400 {
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as u8
            })
            .collect();
        let now = d.clock.now();
        let actions = d.terminal.input(&mut d.olt, &bytes, now);
        d.take(actions);
    }
    d.keys("\u{3}");
    d.lines(&["n", "return"]);
    let reply = d.reply("display time");
    assert!(reply.contains("2026-11-21 14:30:00"), "{reply}");
}

#[test]
fn builds_differ_where_told_to() {
    let mut quiet = spec();
    quiet.quirks.silent_ont_add = true;
    quiet.quirks.confirm_ont_delete = true;
    quiet.quirks.confirm_single_undo = true;
    quiet.quirks.confirm_ont_reset = false;
    let mut d = Dialogue::ready(quiet);
    let sn = d.plug("HWTC7D4733C3", "EG8145V5", PON);
    let gpon = "\r\nMA5800-LAB(config-if-gpon-0/1)#";
    d.lines(&["interface gpon 0/1"]);
    let add = d.reply("ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 10");
    assert!(add.ends_with(&format!("profile-id 10{gpon}")), "{add:?}");
    assert!(d.olt.state().is_online(sn), "silence is no failure");
    assert!(d.reply("ont reset 3 0").ends_with(&format!("ont reset 3 0{gpon}")));
    assert!(d.reply("ont delete 3 0").ends_with("(y/n)[n]:"));
    d.lines(&["n", "quit", "service-port 5 vlan 100 gpon 0/1/3 ont 0 gemport 1"]);
    assert!(d.reply("undo service-port 5").ends_with("(y/n)[n]:"));
    d.lines(&["y"]);
    assert!(d.olt.state().config.service_ports.is_empty());
    assert!(d.olt.state().config.find(sn).is_some());
}

#[test]
fn some_onus_take_the_acs_only_at_their_next_start() {
    let mut slow = spec();
    slow.quirks.tr069_needs_reset = true;
    slow.quirks.confirm_ont_reset = false;
    let mut d = Dialogue::ready(slow);
    let sn = d.plug("HWTC7D4733C3", "EG8145V5", PON);
    d.lines(&[
        "interface gpon 0/1",
        "ont add 3 sn-auth HWTC7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 10",
        "ont ipconfig 3 0 dhcp vlan 200 priority 2",
        "ont tr069-server-config 3 0 profile-id 1",
        "quit",
        "service-port vlan 200 gpon 0/1/3 ont 0 gemport 2",
    ]);
    assert!(!d.olt.state().plant.managed.contains_key(&sn));
    d.lines(&["interface gpon 0/1", "ont reset 3 0"]);
    assert!(d.olt.state().plant.managed.contains_key(&sn));
}

#[test]
fn a_page_must_be_accepted_first() {
    let mut paged = spec();
    paged.quirks.login_page = true;
    let mut d = Dialogue::new(paged.clone());
    d.lines(&["lightkeeper", "lightkeeper"]);
    assert!(d.seen.ends_with("[YES/NO]:"), "{}", d.seen);
    d.lines(&["yes"]);
    assert!(d.seen.ends_with("\r\nMA5800-LAB>"), "{}", d.seen);
    let mut d = Dialogue::new(paged);
    d.lines(&["lightkeeper", "lightkeeper", "enable"]);
    assert_eq!(d.ended, Some(Action::Close));
    assert_eq!(d.olt.session_count(), 0);
}

#[test]
fn two_thousand_onus_are_no_burden() {
    let mut d = Dialogue::ready(spec());
    let now = d.clock.now();
    for n in 0..2_000u32 {
        let mut bytes = *b"HWTC\0\0\0\0";
        bytes[4..].copy_from_slice(&n.to_be_bytes());
        let pon = PonPath { frame: 0, slot: 1, port: (n % 16) as u8 };
        d.olt.plug_quietly(Onu::new(Serial::from_bytes(bytes), "EG8145V5"), pon);
    }
    d.olt.tick(now);
    assert_eq!(d.olt.state().plant.autofind.len(), 2_000);
    d.lines(&["interface gpon 0/1"]);
    let begun = std::time::Instant::now();
    for n in 0..20u32 {
        let reply = d.reply(&format!(
            "ont add {} sn-auth HWTC{n:08X} omci ont-lineprofile-id 10 ont-srvprofile-id 10",
            n % 16
        ));
        assert!(reply.contains("success: 1"), "{reply}");
    }
    // Unoptimised builds included; a quadratic settling takes minutes.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
