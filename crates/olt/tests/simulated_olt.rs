//! The driver against the simulated OLT, over real sockets: a counterpart that was written without looking at it.

use olt::{
    dialect::Dialect,
    driver::Patience,
    model::{HostAddress, ManagementWord, MatchState, RunState},
    plan::{
        AuthoriseSpec, DeauthoriseSpec, ManagementAddress, ManagementSpec, OnuRef, Operation,
        ServicePortSpec, TagTransform,
    },
    queue::{OltConfig, OltHandle, Protocol},
    saga::{Journal, JournalError, Outcome, TaskRecord, TaskState},
};
use sim::olt::{
    Fault, FaultKind, Listen, Model, OltSpec, Onu, Preset, Quirks, SimOlt, SshAlgorithms, Timing,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use types::{PonPath, Secret, Serial, SystemClock};

const PON: PonPath = PonPath { frame: 0, slot: 1, port: 3 };

fn serial() -> Serial {
    "HWTC7D4733C3".parse().expect("serial")
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Option<TaskRecord>>>);

#[async_trait::async_trait]
impl Journal for Memory {
    async fn load(&mut self) -> Result<Option<TaskRecord>, JournalError> {
        Ok(self.0.lock().expect("journal").clone())
    }

    async fn begin(&mut self, record: &TaskRecord) -> Result<(), JournalError> {
        *self.0.lock().expect("journal") = Some(record.clone());
        Ok(())
    }

    async fn advance(&mut self, state: &TaskState) -> Result<(), JournalError> {
        if let Some(record) = self.0.lock().expect("journal").as_mut() {
            record.state = state.clone();
        }
        Ok(())
    }
}

fn spec() -> OltSpec {
    OltSpec {
        preset: Preset { acs_url: "http://127.0.0.1:7547/".to_owned(), ..Preset::default() },
        timing: Timing::immediate(),
        ..OltSpec::default()
    }
}

fn impatient() -> Patience {
    let moment = Duration::from_millis(20);
    Patience {
        busy_pause: moment,
        reconnect_pause: moment,
        settle: moment,
        undo_pause: moment,
        online_pause: moment,
        ..Patience::default()
    }
}

async fn start(spec: OltSpec, protocol: Protocol) -> (SimOlt, OltHandle) {
    let legacy_algorithms = spec.listen.ssh_algorithms == SshAlgorithms::LegacyOnly;
    let sim = SimOlt::start(spec, Arc::new(SystemClock)).await.expect("the simulated OLT starts");
    sim.handle().plug(Onu::new(serial(), "EG8145V5"), PON);
    let address = match protocol {
        Protocol::Ssh => sim.ssh_addr(),
        Protocol::Telnet => sim.telnet_addr(),
    };
    let dialect = Dialect::huawei_smartax().expect("dialect");
    let config = OltConfig {
        legacy_algorithms,
        patience: impatient(),
        ..OltConfig::new(
            address.expect("listens").to_string(),
            protocol,
            "lightkeeper",
            Secret::new("lightkeeper"),
            dialect,
        )
    };
    (sim, OltHandle::spawn(config).expect("queue"))
}

fn authorise() -> Operation {
    let port = |vlan, gemport, traffic: Option<(u32, u32)>| ServicePortSpec {
        vlan,
        user_vlan: Some(vlan),
        gemport,
        tag_transform: TagTransform::Translate,
        traffic_in: traffic.map(|t| t.0),
        traffic_out: traffic.map(|t| t.1),
    };
    Operation::Authorise(AuthoriseSpec {
        pon: PON,
        serial: serial(),
        onu_id: None,
        reserved_ids: Default::default(),
        line_profile_id: 10,
        service_profile_id: 10,
        description: "Ana Ruiz, Calle Mayor 12, 3 izquierda".to_owned(),
        service_ports: vec![port(100, 1, Some((100, 300))), port(200, 2, None)],
        management: Some(ManagementSpec {
            ip_index: 0,
            vlan: 200,
            priority: 2,
            address: ManagementAddress::Dhcp,
        }),
        acs_profile_id: Some(1),
        preprovision: false,
    })
}

/// What the OLT's own record and memory say after an authorisation that was told to be done.
fn assert_complete(sim: &SimOlt, context: &str) {
    let (state, record) = (sim.handle().state(), sim.handle().record());
    let (pon, id, ont) = state.config.find(serial()).unwrap_or_else(|| panic!("{context}: not registered"));
    assert_eq!(pon, PON, "{context}");
    assert_eq!(ont.tr069_profile, Some(1), "{context}");
    assert_eq!(state.config.service_ports_of(pon, id).len(), 2, "{context}");
    assert_eq!(state.config.service_ports.len(), 2, "{context}: an orphan");
    assert!(record.registered_twice().is_empty(), "{context}");
    assert!(record.tally().internet_by_omci.is_empty(), "{context}: no CPE settings by OLT CLI");
    assert!(record.tally().ont_reset.is_empty(), "{context}: no forced restarts");
    assert_eq!(sim.handle().managed().len(), 1, "{context}: its CPE reaches the ACS");
}

async fn there_and_back(spec: OltSpec, protocol: Protocol, context: &str) {
    let (sim, olt) = start(spec, protocol).await;
    assert_eq!(olt.discover().await.expect("detected").rows.len(), 1, "{context}");
    assert!(!olt.pon_ports(0).await.expect("ports").is_empty(), "{context}");
    let outcome = olt.execute(authorise(), Box::new(Memory::default())).await.expect("an outcome");
    let Outcome::Done(report) = outcome else { panic!("{context}: {outcome:?}") };
    assert_eq!((report.run_state, report.match_state), (RunState::Online, MatchState::Match), "{context}");
    assert_complete(&sim, context);

    let optics = olt.optics(PON, || true).await.expect("optics").expect("its turn").rows;
    let real = sim.handle().state().plant.onus[&serial()].optics;
    assert_eq!(optics[0].rx_power_cdbm, Some(real.rx_power_cdbm), "{context}");
    let reading = olt.onu_states(PON, vec![]).await.expect("states");
    assert!(reading.complete && reading.unread.is_empty(), "{context}: {reading:?}");
    let states = reading.onus;
    assert_eq!(
        states[0].row.description.as_deref(),
        Some("Ana Ruiz, Calle Mayor 12, 3 izquierda"),
        "{context}"
    );

    let remove = Operation::Deauthorise(DeauthoriseSpec { onu: report.onu, serial: serial(), made: None });
    let outcome = olt.execute(remove, Box::new(Memory::default())).await.expect("an outcome");
    assert!(matches!(outcome, Outcome::Done(_)), "{context}: {outcome:?}");
    let state = sim.handle().state();
    assert!(state.config.find(serial()).is_none() && state.config.service_ports.is_empty(), "{context}");
    assert_eq!(olt.discover().await.expect("detected").rows.len(), 1, "{context}: back in autofind");
    sim.stop().await;
}

#[tokio::test]
async fn over_ssh() {
    there_and_back(spec(), Protocol::Ssh, "SSH").await;
}

#[tokio::test]
async fn over_ssh_with_the_oldest_algorithms() {
    let listen = Listen { ssh_algorithms: SshAlgorithms::LegacyOnly, ..Listen::default() };
    there_and_back(OltSpec { listen, ..spec() }, Protocol::Ssh, "legacy SSH").await;
}

#[tokio::test]
async fn over_telnet_to_an_old_box() {
    let old = OltSpec { model: Model::Ma5608t, name: "OLT-OLD".to_owned(), ..spec() };
    there_and_back(old, Protocol::Telnet, "Telnet").await;
}

#[tokio::test]
async fn through_every_trap_of_the_dialogue() {
    let quirks = Quirks {
        silent_ont_add: true,
        confirm_ont_delete: true,
        confirm_single_undo: true,
        short_autofind: true,
        login_page: true,
        alarm_every: 1,
        page_rows: 5,
        ..Quirks::default()
    };
    there_and_back(OltSpec { quirks, ..spec() }, Protocol::Ssh, "traps").await;
}

#[tokio::test]
async fn an_alarm_inside_every_reply() {
    let (sim, olt) = start(spec(), Protocol::Telnet).await;
    let alarm = FaultKind::Alarm { text: String::new() };
    sim.handle().inject(Fault::times("", 0, alarm)).expect("pattern");
    let outcome = olt.execute(authorise(), Box::new(Memory::default())).await.expect("an outcome");
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert_complete(&sim, "alarms");
    sim.stop().await;
}

#[tokio::test]
async fn a_cut_at_every_line() {
    for what in [FaultKind::CutBefore, FaultKind::CutAfter, FaultKind::CutInReply { after_chars: 25 }] {
        for nth in 1.. {
            let (sim, olt) = start(spec(), Protocol::Telnet).await;
            let fault = sim.handle().inject(Fault::at_line(nth, what.clone())).expect("pattern");
            let context = format!("{what:?} at line {nth}");
            let outcome = olt.execute(authorise(), Box::new(Memory::default())).await;
            let struck = sim.handle().struck(fault);
            let outcome = outcome.unwrap_or_else(|error| panic!("{context}: {error}"));
            assert!(matches!(outcome, Outcome::Done(_)), "{context}: {outcome:?}");
            assert_complete(&sim, &context);
            sim.stop().await;
            if struck == 0 {
                assert!(nth > 25, "an authorisation takes more than {nth} lines");
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_id_taken_in_between_does_no_harm() {
    let (sim, olt) = start(spec(), Protocol::Telnet).await;
    let thief = FaultKind::TakeNextOntId { pon: PON };
    sim.handle().inject(Fault::once("^ont add", thief)).expect("pattern");
    let outcome = olt.execute(authorise(), Box::new(Memory::default())).await.expect("an outcome");
    let state = sim.handle().state();
    let neighbour = state.config.ont(PON, 0).expect("the other's registration stands");
    assert_eq!(neighbour.description, "by another hand");
    match outcome {
        Outcome::Done(report) => {
            assert_ne!(report.onu, OnuRef { pon: PON, onu_id: 0 });
            assert_complete(&sim, "taken id");
        }
        _ => assert!(state.config.find(serial()).is_none() && state.config.service_ports.is_empty()),
    }
    sim.stop().await;
}

/// The OLT knows where its ONUs are, and says when it does not.
#[tokio::test]
async fn the_management_address_is_the_olts_word() {
    let (sim, olt) = start(spec(), Protocol::Ssh).await;
    let outcome = olt.execute(authorise(), Box::new(Memory::default())).await.expect("an outcome");
    let Outcome::Done(report) = outcome else { panic!("{outcome:?}") };
    let managed = sim.handle().managed().pop().expect("it has an address");
    let there = HostAddress { address: managed.ip, vlan: Some(managed.mgmt_vlan), mac: Some(managed.mac) };
    assert_eq!(
        olt.management_word(report.onu).await.expect("a word"),
        ManagementWord::Has(vec![there.clone()])
    );
    assert_eq!(
        olt.management_now(report.onu, serial()).await.expect("a word"),
        ManagementWord::Has(vec![there.clone()])
    );
    // Another ONU is not at this place, and this one not at another.
    let other: Serial = "HWTC00000042".parse().expect("serial");
    let elsewhere = OnuRef { onu_id: 7, ..report.onu };
    for (onu, serial) in [(report.onu, other), (elsewhere, serial())] {
        assert_eq!(olt.management_now(onu, serial).await.expect("a word"), ManagementWord::NotThere);
    }
    // A build without the one command, and one without either.
    let unknown = || FaultKind::Refuse { text: "  % Unknown command, the error locates at '^'".to_owned() };
    sim.handle().inject(Fault::times("^display ont ipconfig", 0, unknown())).expect("pattern");
    assert_eq!(olt.management_word(report.onu).await.expect("a word"), ManagementWord::Has(vec![there]));
    sim.handle().inject(Fault::times("^display ont wan-info", 0, unknown())).expect("pattern");
    let word = olt.management_word(report.onu).await.expect("a word");
    assert!(matches!(&word, ManagementWord::CannotTell(why) if why.contains("software")), "{word:?}");
    sim.handle().clear_faults();
    // In the dark it is nowhere.
    sim.handle().power(serial(), false);
    assert_eq!(olt.management_now(report.onu, serial()).await.expect("a word"), ManagementWord::NotThere);
    assert!(sim.handle().record().tally().internet_by_omci.is_empty());
    sim.stop().await;
}

#[tokio::test]
async fn an_onu_without_an_address_has_none_and_one_that_is_not_ours_to_address_cannot_be_told() {
    let (sim, olt) = start(spec(), Protocol::Telnet).await;
    // This firmware never gets an address by DHCP.
    sim.handle().plug(Onu { dhcp_broken: true, ..Onu::new(serial(), "EG8145V5") }, PON);
    let outcome = olt.execute(authorise(), Box::new(Memory::default())).await.expect("an outcome");
    let Outcome::Done(report) = outcome else { panic!("{outcome:?}") };
    assert_eq!(olt.management_word(report.onu).await.expect("a word"), ManagementWord::Has(Vec::new()));
    // Registered by another hand, without a management host.
    let id = sim.handle().take_next_ont_id(PON).expect("a free id");
    let foreign = OnuRef { pon: PON, onu_id: id.into() };
    let stranger = sim.handle().state().config.ont(PON, id).expect("registered").serial;
    sim.handle().plug(Onu::new(stranger, "HG8310M"), PON);
    let word = olt.management_word(foreign).await.expect("a word");
    assert!(matches!(&word, ManagementWord::CannotTell(why) if why.contains("elsewhere")), "{word:?}");
    sim.stop().await;
}

#[tokio::test]
async fn a_restart_that_forgets_is_survived_or_told() {
    let (sim, olt) = start(spec(), Protocol::Telnet).await;
    let restart = FaultKind::Restart { keep_unsaved: false, after_effect: true };
    sim.handle().inject(Fault::once("^service-port", restart)).expect("pattern");
    let outcome = olt.execute(authorise(), Box::new(Memory::default())).await.expect("an outcome");
    let state = sim.handle().state();
    match outcome {
        Outcome::Done(_) => assert_complete(&sim, "restart"),
        _ => assert!(
            state.config.find(serial()).is_none() && state.config.service_ports.is_empty(),
            "neither done nor undone: {outcome:?}"
        ),
    }
    sim.stop().await;
}
