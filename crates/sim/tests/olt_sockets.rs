//! The simulated OLT on real sockets: SSH with a foreign client library, Telnet as plain TCP; and what survives the
//! death of its process.

use russh::{
    ChannelMsg, Preferred, cipher,
    client::{self, AuthResult},
    kex,
    keys::{Algorithm, PublicKeyOrCertificate},
    mac,
};
use sim::olt::{
    Effect, Fault, FaultKind, Listen, OltEvent, OltHandle, OltSpec, Onu, Preset, SimOlt, SshAlgorithms,
    Timing,
};
use std::{borrow::Cow, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use types::{ManualClock, PonPath, Serial, SystemClock, UtcMs};

const PON: PonPath = PonPath { frame: 0, slot: 1, port: 3 };
const PATIENCE: Duration = Duration::from_secs(120);

fn serial(n: u32) -> Serial {
    let mut bytes = *b"HWTC\0\0\0\0";
    bytes[4..].copy_from_slice(&n.to_be_bytes());
    Serial::from_bytes(bytes)
}

fn spec() -> OltSpec {
    OltSpec {
        name: "OLT".to_owned(),
        timing: Timing::immediate(),
        preset: Preset { acs_url: "http://127.0.0.1:7547/".to_owned(), ..Preset::default() },
        ..OltSpec::default()
    }
}

async fn start(spec: OltSpec) -> SimOlt {
    SimOlt::start(spec, Arc::new(SystemClock)).await.expect("starts")
}

/// Bytes from a peer, as far as they have come.
trait Wire {
    async fn more(&mut self) -> Option<Vec<u8>>;
    async fn send(&mut self, bytes: &[u8]);
}

/// Reads until the end of what came is `end`.
async fn until(wire: &mut impl Wire, end: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.ends_with(end) {
            match wire.more().await {
                Some(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                None => panic!("the connection ended before {end:?}; came: {text}"),
            }
        }
    };
    let done = tokio::time::timeout(PATIENCE, reading).await;
    assert!(done.is_ok(), "waited for {end:?}; came: {text}");
    text
}

/// Reads until the peer is gone.
async fn rest(wire: &mut impl Wire) -> String {
    let mut text = String::new();
    let reading = async {
        while let Some(bytes) = wire.more().await {
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the peer closes");
    text
}

async fn ask(wire: &mut impl Wire, line: &str, end: &str) -> String {
    wire.send(format!("{line}\n").as_bytes()).await;
    until(wire, end).await
}

struct Tcp(TcpStream);

impl Tcp {
    async fn connect(address: Option<SocketAddr>) -> Self {
        Tcp(TcpStream::connect(address.expect("listens")).await.expect("connects"))
    }

    async fn login(address: Option<SocketAddr>) -> Self {
        let mut tcp = Self::connect(address).await;
        until(&mut tcp, ">>User name:").await;
        ask(&mut tcp, "lightkeeper", ">>User password:").await;
        ask(&mut tcp, "lightkeeper", "OLT>").await;
        tcp
    }
}

impl Wire for Tcp {
    async fn more(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 4096];
        match self.0.read(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(n) => {
                buffer.truncate(n);
                // The offers at the start are the only commands this server sends unasked.
                Some(buffer.into_iter().filter(|b| b.is_ascii() && (*b >= 8 || *b == 7)).collect())
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sent");
    }
}

struct Any;

impl client::Handler for Any {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

struct Ssh {
    channel: russh::Channel<client::Msg>,
    _session: client::Handle<Any>,
}

impl Ssh {
    async fn session(
        address: Option<SocketAddr>,
        preferred: Preferred,
    ) -> Result<client::Handle<Any>, russh::Error> {
        let config = client::Config { preferred, ..client::Config::default() };
        client::connect(Arc::new(config), address.expect("listens"), Any).await
    }

    async fn login(address: Option<SocketAddr>, preferred: Preferred) -> Self {
        let mut session = Self::session(address, preferred).await.expect("connects");
        let auth = session.authenticate_password("lightkeeper", "lightkeeper").await.expect("asked");
        assert!(matches!(auth, AuthResult::Success), "{auth:?}");
        let channel = session.channel_open_session().await.expect("channel");
        channel.request_pty(true, "vt100", 80, 24, 0, 0, &[]).await.expect("pty");
        channel.request_shell(true).await.expect("shell");
        Ssh { channel, _session: session }
    }
}

impl Wire for Ssh {
    async fn more(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.channel.wait().await? {
                ChannelMsg::Data { data } => return Some(data.to_vec()),
                ChannelMsg::Eof | ChannelMsg::Close => return None,
                _ => {}
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.channel.data(bytes).await.expect("sent");
    }
}

fn legacy() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(&[kex::DH_G1_SHA1]),
        key: Cow::Borrowed(&[Algorithm::Rsa { hash: None }]),
        cipher: Cow::Borrowed(&[cipher::TRIPLE_DES_CBC]),
        mac: Cow::Borrowed(&[mac::HMAC_SHA1]),
        ..Preferred::default()
    }
}

async fn authorise(wire: &mut impl Wire) {
    ask(wire, "enable", "OLT#").await;
    ask(wire, "undo smart", "OLT#").await;
    ask(wire, "config", "OLT(config)#").await;
    let found = ask(wire, "display ont autofind all", "OLT(config)#").await;
    assert!(found.contains("4857544300000001 (HWTC-00000001)"), "{found}");
    let gpon = "OLT(config-if-gpon-0/1)#";
    ask(wire, "interface gpon 0/1", gpon).await;
    let added = ask(
        wire,
        "ont add 3 sn-auth \"4857544300000001\" omci ont-lineprofile-id 10 ont-srvprofile-id 10 desc \"a\"",
        gpon,
    )
    .await;
    assert!(added.contains("PortID :3, ONTID :0"), "{added}");
    ask(wire, "ont ipconfig 3 0 ip-index 0 dhcp vlan 200 priority 2", gpon).await;
    ask(wire, "ont tr069-server-config 3 0 profile-id 1", gpon).await;
    ask(wire, "quit", "OLT(config)#").await;
    ask(wire, "service-port vlan 200 gpon 0/1/3 ont 0 gemport 2", "OLT(config)#").await;
}

async fn logout(wire: &mut impl Wire) -> String {
    ask(wire, "return", "OLT#").await;
    ask(wire, "quit", "(y/n)[n]:").await;
    wire.send(b"y\n").await;
    rest(wire).await
}

#[tokio::test]
async fn authorising_over_ssh_brings_the_cpe_to_the_acs() {
    let olt = start(spec()).await;
    let handle = olt.handle();
    let (managed, mut events) = handle.subscribe();
    assert!(managed.is_empty());
    handle.plug(Onu::new(serial(1), "EG8145V5"), PON);

    let mut ssh = Ssh::login(olt.ssh_addr(), Preferred::default()).await;
    until(&mut ssh, "OLT>").await;
    authorise(&mut ssh).await;
    let bye = logout(&mut ssh).await;
    assert!(bye.contains("Configuration console exit, please retry to log on"), "{bye}");

    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    let managed = handle.managed();
    assert_eq!(managed.len(), 1);
    assert_eq!(managed[0].acs_url, "http://127.0.0.1:7547/");
    assert_eq!(seen.last(), Some(&OltEvent::OnuManaged(managed[0].clone())));
    assert!(seen.contains(&OltEvent::OnuDetected { serial: serial(1), pon: PON }), "{seen:?}");
    assert!(seen.contains(&OltEvent::OnuOnline { serial: serial(1) }), "{seen:?}");
    olt.stop().await;
}

#[tokio::test]
async fn the_oldest_algorithms_alone() {
    let olt = start(OltSpec {
        listen: Listen { ssh_algorithms: SshAlgorithms::LegacyOnly, ..Listen::default() },
        ..spec()
    })
    .await;
    olt.handle().plug(Onu::new(serial(1), "EG8145V5"), PON);
    let refused = Ssh::session(olt.ssh_addr(), Preferred::default()).await;
    assert!(refused.is_err(), "a modern client finds nothing in common");
    let mut ssh = Ssh::login(olt.ssh_addr(), legacy()).await;
    until(&mut ssh, "OLT>").await;
    authorise(&mut ssh).await;
    olt.stop().await;
}

#[tokio::test]
async fn the_openssh_client_gets_in() {
    use std::os::unix::fs::PermissionsExt;
    let olt = start(spec()).await;
    let dir = tempfile::tempdir().expect("folder");
    let answer = dir.path().join("answer");
    std::fs::write(&answer, "#!/bin/sh\necho lightkeeper\n").expect("script");
    std::fs::set_permissions(&answer, std::fs::Permissions::from_mode(0o700)).expect("script");
    for method in ["password", "keyboard-interactive"] {
        let port = olt.ssh_addr().expect("listens").port().to_string();
        let spawned = tokio::process::Command::new("ssh")
            .args(["-tt", "-F", "none", "-p", &port, "-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"])
            .args(["-o", &format!("PreferredAuthentications={method}"), "lightkeeper@127.0.0.1"])
            .env("SSH_ASKPASS", &answer)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let Ok(mut ssh) = spawned else {
            println!("skipped: ssh (OpenSSH client) is not installed");
            return;
        };
        let mut input = ssh.stdin.take().expect("stdin");
        input.write_all(b"enable\nundo smart\ndisplay board 0\nquit\ny\n").await.expect("typed ahead");
        let output =
            tokio::time::timeout(PATIENCE, ssh.wait_with_output()).await.expect("ends").expect("ran");
        drop(input);
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("H901GPHF"), "{method}: {text} {errors}");
        assert!(text.contains("Configuration console exit"), "{method}: {text} {errors}");
    }
    olt.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_refused_over_ssh() {
    let olt = start(spec()).await;
    let mut session = Ssh::session(olt.ssh_addr(), Preferred::default()).await.expect("connects");
    let auth = session.authenticate_password("lightkeeper", "wrong").await.expect("asked");
    assert!(matches!(auth, AuthResult::Failure { .. }), "{auth:?}");
    olt.stop().await;
}

#[tokio::test]
async fn authorising_over_telnet() {
    let olt = start(spec()).await;
    olt.handle().plug(Onu::new(serial(1), "EG8145V5"), PON);
    let mut telnet = Tcp::login(olt.telnet_addr()).await;
    authorise(&mut telnet).await;
    logout(&mut telnet).await;
    assert_eq!(olt.handle().managed().len(), 1);
    olt.stop().await;
}

#[tokio::test]
async fn idle_sessions_end_and_sessions_are_limited() {
    let olt = start(OltSpec { idle_timeout_s: 8, max_sessions: 2, ..spec() }).await;
    let mut first = Tcp::login(olt.telnet_addr()).await;
    ask(&mut first, "enable", "OLT#").await;
    ask(&mut first, "undo smart", "OLT#").await;
    ask(&mut first, "undo idle-timeout", "OLT#").await;
    let mut second = Tcp::login(olt.telnet_addr()).await;
    let mut third = Tcp::connect(olt.telnet_addr()).await;
    until(&mut third, ">>User name:").await;
    ask(&mut third, "lightkeeper", ">>User password:").await;
    third.send(b"lightkeeper\n").await;
    let text = rest(&mut third).await;
    assert!(text.contains("Reenter times have reached the upper limit"), "{text}");
    let text = rest(&mut second).await;
    assert!(text.contains("Configuration console time out"), "{text}");
    ask(&mut first, "display time", "OLT#").await;
    olt.stop().await;
}

#[tokio::test]
async fn a_cut_leaves_the_effect_or_not() {
    let olt = start(spec()).await;
    let handle = olt.handle();
    handle.plug(Onu::new(serial(1), "EG8145V5"), PON);
    handle.plug(Onu::new(serial(2), "EG8145V5"), PON);
    for (n, what, added) in [(1, FaultKind::CutAfter, true), (2, FaultKind::CutBefore, false)] {
        let mut ssh = Ssh::login(olt.ssh_addr(), Preferred::default()).await;
        until(&mut ssh, "OLT>").await;
        ask(&mut ssh, "enable", "OLT#").await;
        ask(&mut ssh, "config", "OLT(config)#").await;
        ask(&mut ssh, "interface gpon 0/1", "OLT(config-if-gpon-0/1)#").await;
        let fault = handle.inject(Fault::once("^ont add", what)).expect("pattern");
        let line = format!(
            "ont add 3 sn-auth {} omci ont-lineprofile-id 10 ont-srvprofile-id 10 desc x",
            serial(n).hex16()
        );
        // The CR prompt comes first; the cut strikes the line itself where it has no effect yet.
        ssh.send(format!("{line}\n\n").as_bytes()).await;
        let text = rest(&mut ssh).await;
        assert!(!text.contains("success"), "{text}");
        assert_eq!(handle.struck(fault), 1);
        assert_eq!(handle.state().config.find(serial(n)).is_some(), added);
    }
    // A broken connection frees its session.
    for _ in 0..4 {
        let mut ssh = Ssh::login(olt.ssh_addr(), Preferred::default()).await;
        until(&mut ssh, "OLT>").await;
    }
    olt.stop().await;
}

#[tokio::test]
async fn a_restart_of_the_box_breaks_every_session_and_loses_what_was_not_saved() {
    let olt = start(spec()).await;
    let handle = olt.handle();
    handle.plug(Onu::new(serial(1), "EG8145V5"), PON);
    let mut telnet = Tcp::login(olt.telnet_addr()).await;
    authorise(&mut telnet).await;
    handle.restart(false);
    rest(&mut telnet).await;
    assert!(handle.state().config.find(serial(1)).is_none());
    assert!(handle.managed().is_empty());

    let mut telnet = Tcp::login(olt.telnet_addr()).await;
    authorise(&mut telnet).await;
    ask(&mut telnet, "save data", "is saved completely\r\n\r\nOLT(config)#").await;
    handle.restart(false);
    rest(&mut telnet).await;
    assert!(handle.state().config.find(serial(1)).is_some());
    assert_eq!(handle.managed().len(), 1, "it comes back by itself");
    olt.stop().await;
}

#[tokio::test]
async fn an_alarm_reaches_a_waiting_terminal() {
    let olt = start(spec()).await;
    let mut telnet = Tcp::login(olt.telnet_addr()).await;
    ask(&mut telnet, "enable", "OLT#").await;
    olt.handle().plug(Onu::new(serial(7), "EG8145V5"), PON);
    let alarm = until(&mut telnet, "OLT#").await;
    assert!(alarm.contains("The ONT is automatically discovered"), "{alarm}");
    olt.stop().await;
}

fn told(handle: &OltHandle, lines: &[&str]) {
    handle.with(|core, now| {
        let mut session = core.open_session("lightkeeper", sim::olt::Via::Ssh, now).expect("session");
        for line in ["enable", "undo smart", "config", "interface gpon 0/1"].iter().chain(lines) {
            core.execute(&mut session, line, now);
        }
        core.close_session(session.id);
    });
}

fn boxed(dir: &Path) -> OltHandle {
    let spec = OltSpec { state_dir: Some(dir.to_owned()), ..spec() };
    OltHandle::new(spec, Arc::new(ManualClock::new(UtcMs::from_s(1_795_271_400)))).expect("opens")
}

const ADD: &str = "ont add 3 sn-auth HWTC00000001 omci ont-lineprofile-id 10 ont-srvprofile-id 10";

#[test]
fn state_and_record_survive() {
    let dir = tempfile::tempdir().expect("folder");
    let before = boxed(dir.path());
    before.plug(Onu::new(serial(1), "EG8145V5"), PON);
    told(
        &before,
        &[ADD, "ont ipconfig 3 0 dhcp vlan 200 priority 2", "ont tr069-server-config 3 0 profile-id 1"],
    );
    let (state, lines) = (before.state(), before.record().entries().cloned().collect::<Vec<_>>());
    assert_eq!(before.persist_error(), None);
    drop(before);
    let after = boxed(dir.path());
    assert_eq!(after.state(), state);
    assert_eq!(after.record().entries().cloned().collect::<Vec<_>>(), lines);
    assert_eq!(after.record().tally().ont_added.get(&serial(1)), Some(&1));
    told(&after, &["display time"]);
    let numbers: Vec<u64> = after.record().entries().map(|e| e.seq).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
}

#[test]
fn what_never_reached_the_state_never_happened() {
    let dir = tempfile::tempdir().expect("folder");
    let olt = boxed(dir.path());
    olt.plug(Onu::new(serial(1), "EG8145V5"), PON);
    told(&olt, &["display time"]);
    let state_file = dir.path().join("state.json");
    let state = std::fs::read(&state_file).expect("state");
    told(&olt, &[ADD]);
    drop(olt);
    // As if the process had died after the record and before the state, with a torn line at the end.
    std::fs::write(&state_file, state).expect("state");
    let record = dir.path().join("record.jsonl");
    let mut text = std::fs::read_to_string(&record).expect("record");
    assert!(text.contains("ont-added"), "{text}");
    text.push_str("{\"seq\":99,\"at\"");
    std::fs::write(&record, text).expect("record");

    let olt = boxed(dir.path());
    assert!(olt.state().config.find(serial(1)).is_none());
    assert!(!olt.record().entries().any(|e| e.effects.iter().any(|f| matches!(f, Effect::OntAdded { .. }))));
    assert_eq!(olt.record().tally().ont_added.get(&serial(1)), None);
    told(&olt, &[ADD]);
    assert_eq!(olt.record().tally().ont_added.get(&serial(1)), Some(&1));
    assert!(olt.record().registered_twice().is_empty());
}

#[test]
fn a_damaged_state_file_is_named() {
    let dir = tempfile::tempdir().expect("folder");
    drop(boxed(dir.path()));
    std::fs::write(dir.path().join("state.json"), "{").expect("written");
    let spec = OltSpec { state_dir: Some(dir.path().to_owned()), ..spec() };
    let error = OltHandle::new(spec, Arc::new(SystemClock)).expect_err("damaged");
    assert!(error.to_string().contains("state.json is damaged"), "{error}");
}

#[tokio::test]
async fn the_host_key_is_kept() {
    let dir = tempfile::tempdir().expect("folder");
    let spec = OltSpec { state_dir: Some(dir.path().to_owned()), ..spec() };
    start(spec.clone()).await.stop().await;
    let first = std::fs::read(dir.path().join("host_ed25519")).expect("key");
    start(spec).await.stop().await;
    assert_eq!(std::fs::read(dir.path().join("host_ed25519")).expect("key"), first);
}
