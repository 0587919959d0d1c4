//! SSH and Telnet over real sockets: an own SSH server and Telnet server in front of the OLT in memory, and an OpenSSH
//! server that offers legacy algorithms only.

mod common;

use common::{FakeOlt, MemoryJournal, Shell, authorise, dialect, impatient, pon};
use olt::{
    driver::OltError,
    machine::Credentials,
    queue::{OltConfig, OltHandle, Protocol},
    saga::Outcome,
    session::Transcript,
    transport::{
        ConnectError,
        ssh::{SshTarget, SshTransport},
    },
};
use russh::{
    Channel, ChannelId, Preferred, cipher, kex,
    keys::{Algorithm, PrivateKey, key::safe_rng},
    mac,
    server::{self, Auth, ChannelOpenHandle, Msg},
};
use std::{
    borrow::Cow,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use types::Secret;

const TIMEOUT: Duration = Duration::from_secs(120);

// ---- servers ----------------------------------------------------------------------------------------------------

struct SshShell {
    olt: FakeOlt,
    shell: Option<Shell>,
}

impl server::Handler for SshShell {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(if (user, password) == ("root", "hunter2") { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        _: &[(russh::Pty, u32)],
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        assert_eq!((columns, rows), (512, 500));
        session.channel_success(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        let mut shell = self.olt.shell(false);
        session.data(channel, shell.greeting())?;
        self.shell = Some(shell);
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        if let Some(shell) = &mut self.shell {
            let out = shell.input(data);
            session.data(channel, out)?;
        }
        Ok(())
    }
}

fn legacy_only() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(&[kex::DH_G1_SHA1]),
        key: Cow::Borrowed(&[Algorithm::Rsa { hash: None }]),
        cipher: Cow::Borrowed(&[cipher::TRIPLE_DES_CBC]),
        mac: Cow::Borrowed(&[mac::HMAC_SHA1]),
        ..Preferred::DEFAULT
    }
}

/// Starts an SSH server; gives its address.
async fn ssh_server(olt: FakeOlt, key: PrivateKey, preferred: Preferred) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let config = Arc::new(server::Config {
        keys: vec![key],
        preferred,
        auth_rejection_time: Duration::ZERO,
        ..server::Config::default()
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handler = SshShell { olt: olt.clone(), shell: None };
            let config = Arc::clone(&config);
            tokio::spawn(async move {
                if let Ok(session) = server::run_stream(config, stream, handler).await {
                    let _ = session.await;
                }
            });
        }
    });
    address
}

fn key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), algorithm).expect("a key")
}

/// Starts a Telnet server that negotiates as OLTs do and answers one byte at a time.
async fn telnet_server(olt: FakeOlt) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let olt = olt.clone();
            tokio::spawn(async move {
                let mut shell = olt.shell(true);
                // WILL ECHO, WILL SGA, DO NAWS, DO TERMINAL-TYPE
                let _ = stream.write_all(&[255, 251, 1, 255, 251, 3, 255, 253, 31, 255, 253, 24]).await;
                let _ = stream.write_all(&shell.greeting()).await;
                let mut filter = olt::transport::telnet::Filter::new(80, 24);
                let mut seen = Vec::new();
                let mut buffer = [0u8; 512];
                while let Ok(count) = stream.read(&mut buffer).await {
                    if count == 0 {
                        break;
                    }
                    seen.extend_from_slice(&buffer[..count]);
                    let (data, _) = filter.receive(&buffer[..count]);
                    for byte in shell.input(&data) {
                        if stream.write_all(&[byte]).await.is_err() {
                            return;
                        }
                    }
                }
                // WILL NAWS and 512 × 500; WONT TERMINAL-TYPE.
                let has = |part: &[u8]| seen.windows(part.len()).any(|w| w == part);
                assert!(has(&[255, 251, 31, 255, 250, 31, 2, 0, 1, 244, 255, 240]), "{seen:?}");
                assert!(has(&[255, 252, 24]), "{seen:?}");
            });
        }
    });
    address
}

#[derive(Default)]
struct Tape(Mutex<Vec<String>>);

impl Transcript for Tape {
    fn sent(&self, line: &str) {
        self.0.lock().expect("tape").push(format!("> {line}"));
    }
    fn received(&self, text: &str) {
        self.0.lock().expect("tape").push(text.to_owned());
    }
    fn note(&self, text: &str) {
        self.0.lock().expect("tape").push(format!("# {text}"));
    }
}

fn config(address: String, protocol: Protocol) -> OltConfig {
    OltConfig {
        patience: impatient(),
        ..OltConfig::new(address, protocol, "root", Secret::new("hunter2"), dialect())
    }
}

// ---- tests ------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn authorises_over_ssh_and_over_telnet() {
    for protocol in [Protocol::Ssh, Protocol::Telnet] {
        let fake = FakeOlt::new();
        let address = match protocol {
            Protocol::Ssh => ssh_server(fake.clone(), key(Algorithm::Ed25519), Preferred::DEFAULT).await,
            Protocol::Telnet => telnet_server(fake.clone()).await,
        };
        let tape = Arc::new(Tape::default());
        let handle = OltHandle::spawn(OltConfig { transcript: tape.clone(), ..config(address, protocol) })
            .expect("a queue");
        let facts = handle.probe().await.expect("facts");
        assert_eq!(facts.version.product.as_deref(), Some("MA5800-X7"));
        let plan = handle.dry_run(authorise()).await.expect("a dry run").expect("a plan");
        assert!(fake.is_untouched());
        let outcome =
            handle.execute(authorise(), Box::new(MemoryJournal::default())).await.expect("an outcome");
        assert!(matches!(outcome, Outcome::Done(_)), "{protocol:?}: {outcome:?}");
        assert!(fake.is_complete(), "{protocol:?}");
        // What was shown is what was sent.
        let shown: Vec<String> = plan.steps.iter().map(|s| s.line.text.clone()).collect();
        assert_eq!(shown, fake.world().log);
        assert_eq!(handle.save().await.expect("saved"), olt::save::Saved::Completed);
        let states = handle.onu_states(pon(), vec![]).await.expect("states").onus;
        assert_eq!(states[1].summary.as_ref().and_then(|s| s.rx_power_cdbm), Some(-2284));
        let ports = handle.pon_ports(0).await.expect("PON ports");
        assert_eq!(ports.iter().map(|(pon, _)| pon.to_string()).collect::<Vec<_>>(), ["0/1/6"]);
        let world = fake.world();
        assert_eq!((world.logins, world.most_sessions, world.saves), (1, 1, 1), "one pooled session");
        let tape = tape.0.lock().expect("tape").join("\n");
        assert!(tape.contains("> ont add 6 1 sn-auth"), "{tape}");
        assert!(!tape.contains("hunter2"), "{tape}");
    }
}

#[tokio::test]
async fn a_host_key_is_pinned_at_first_use() {
    let fake = FakeOlt::new();
    let address = ssh_server(fake.clone(), key(Algorithm::Ed25519), Preferred::DEFAULT).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let store = Arc::clone(&seen);
    let handle = OltHandle::spawn(OltConfig {
        on_host_key: Arc::new(move |fingerprint: &str| {
            store.lock().expect("keys").push(fingerprint.to_owned())
        }),
        ..config(address.clone(), Protocol::Ssh)
    })
    .expect("a queue");
    handle.probe().await.expect("facts");
    handle.disconnect().await.expect("disconnected");
    handle.probe().await.expect("the same key again");
    let fingerprints = seen.lock().expect("keys").clone();
    assert_eq!(fingerprints.len(), 1);
    assert!(fingerprints[0].starts_with("SHA256:"), "{fingerprints:?}");

    // Another key at that address: refused before the password is sent.
    let impostor = ssh_server(FakeOlt::new(), key(Algorithm::Ed25519), Preferred::DEFAULT).await;
    let pinned =
        OltConfig { pinned_host_key: Some(fingerprints[0].clone()), ..config(impostor, Protocol::Ssh) };
    let error = OltHandle::spawn(pinned).expect("a queue").probe().await.expect_err("refused");
    let OltError::Connect(ConnectError::HostKeyChanged { pinned, shown, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(*pinned, fingerprints[0]);
    assert_ne!(pinned, shown);
    assert!(error.to_string().contains("has changed"), "{error}");
}

#[tokio::test]
async fn legacy_algorithms_only_where_asked_for() {
    let fake = FakeOlt::new();
    let address = ssh_server(fake, key(Algorithm::Rsa { hash: None }), legacy_only()).await;
    let error = OltHandle::spawn(config(address.clone(), Protocol::Ssh))
        .expect("a queue")
        .probe()
        .await
        .expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("diffie-hellman-group1-sha1") && text.contains("legacy algorithms"), "{text}");
    let legacy = OltConfig { legacy_algorithms: true, ..config(address, Protocol::Ssh) };
    let facts = OltHandle::spawn(legacy).expect("a queue").probe().await.expect("facts");
    assert_eq!(facts.version.version, "MA5800V100R019C10");
}

#[tokio::test]
async fn a_refused_login_is_said_and_not_repeated() {
    let fake = FakeOlt::new();
    fake.world().wrong_password = true;
    let telnet = telnet_server(fake.clone()).await;
    let handle = OltHandle::spawn(config(telnet, Protocol::Telnet)).expect("a queue");
    let error = handle.probe().await.expect_err("refused");
    assert!(error.to_string().contains("Username or password invalid"), "{error}");
    assert_eq!(fake.world().logins, 1);
    assert_eq!(handle.status().last_error, Some(error.to_string()));

    let ssh = ssh_server(FakeOlt::new(), key(Algorithm::Ed25519), Preferred::DEFAULT).await;
    let wrong = OltConfig { password: Secret::new("hunter3"), ..config(ssh, Protocol::Ssh) };
    let error = OltHandle::spawn(wrong).expect("a queue").probe().await.expect_err("refused");
    assert!(matches!(error, OltError::Connect(ConnectError::LoginRefused { .. })), "{error}");
    assert!(!error.to_string().contains("hunter3"));
}

#[tokio::test]
async fn nobody_at_the_address_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    for protocol in [Protocol::Ssh, Protocol::Telnet] {
        let handle = OltHandle::spawn(config(address.clone(), protocol)).expect("a queue");
        let error = handle.discover().await.expect_err("nobody");
        assert!(matches!(error, OltError::Connect(ConnectError::Unreachable { .. })), "{error}");
    }
}

/// An OLT that accepts and then says nothing costs its deadline and no more.
#[tokio::test]
async fn a_silent_olt_costs_its_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    for protocol in [Protocol::Ssh, Protocol::Telnet] {
        let mut config = config(address.clone(), protocol);
        config.deadlines.login = Duration::from_millis(200);
        let handle = OltHandle::spawn(config).expect("a queue");
        let error = handle.discover().await.expect_err("silence");
        assert!(
            error.to_string().contains("in time") || error.to_string().contains("did not finish"),
            "{error}"
        );
    }
}

/// Serves exactly one connection with `sshd -i`, which needs no port and no rights of its own.
fn openssh_server(folder: &std::path::Path, sshd: &str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (config, sshd) = (folder.join("sshd_config"), sshd.to_owned());
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let output: std::os::fd::OwnedFd = stream.try_clone().expect("a clone").into();
            let input: std::os::fd::OwnedFd = stream.into();
            let child = Command::new(&sshd)
                .arg("-i")
                .arg("-f")
                .arg(&config)
                .stdin(Stdio::from(input))
                .stdout(Stdio::from(output))
                .stderr(Stdio::null())
                .spawn();
            if let Ok(mut child) = child {
                let _ = child.wait();
            }
        }
    });
    address
}

#[tokio::test]
async fn an_openssh_server_with_legacy_algorithms_only() {
    let sshd = "/usr/sbin/sshd";
    if !std::path::Path::new(sshd).exists() {
        println!("skipped: OpenSSH server with legacy algorithms, {sshd} is not there");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("host_key");
    let keygen =
        Command::new("ssh-keygen").args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"]).arg(&key).status();
    if !keygen.is_ok_and(|s| s.success()) {
        println!("skipped: OpenSSH server with legacy algorithms, ssh-keygen does not work");
        return;
    }
    // Wanted by sshd when it runs as root; where it cannot be made, sshd says so below.
    let _ = std::fs::create_dir_all("/run/sshd");
    let text = format!(
        "HostKey {}\nKexAlgorithms diffie-hellman-group14-sha1\nHostKeyAlgorithms ssh-rsa\nCiphers aes128-cbc,3des-cbc\nMACs hmac-sha1\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\n",
        key.display()
    );
    std::fs::write(folder.path().join("sshd_config"), text).expect("written");
    let check = Command::new(sshd)
        .arg("-t")
        .arg("-f")
        .arg(folder.path().join("sshd_config"))
        .output()
        .expect("sshd -t");
    if !check.status.success() {
        println!(
            "skipped: OpenSSH server with legacy algorithms: {}",
            String::from_utf8_lossy(&check.stderr).trim()
        );
        return;
    }
    let target = |legacy_algorithms, pinned_host_key| SshTarget {
        address: openssh_server(folder.path(), sshd),
        // Nobody of that name: the algorithms are what is tried here.
        credentials: Credentials { username: "nobody-of-that-name".into(), password: Secret::new("hunter2") },
        legacy_algorithms,
        pinned_host_key,
        columns: 512,
        rows: 500,
        timeout: TIMEOUT,
    };
    let modern = SshTransport::connect(&target(false, None)).await.expect_err("refused");
    let ConnectError::Algorithms { theirs, legacy_would_help, .. } = &modern else { panic!("{modern}") };
    assert!(theirs.contains("diffie-hellman-group14-sha1") && *legacy_would_help, "{modern}");
    assert!(modern.to_string().contains("legacy algorithms"), "{modern}");

    // With the opt-in the handshake goes through to the login.
    let legacy = SshTransport::connect(&target(true, None)).await.expect_err("nobody may log in");
    assert!(matches!(legacy, ConnectError::LoginRefused { .. }), "{legacy}");

    // And the host key is checked before that.
    let pinned =
        SshTransport::connect(&target(true, Some("SHA256:another".into()))).await.expect_err("refused");
    let ConnectError::HostKeyChanged { shown, .. } = &pinned else { panic!("{pinned}") };
    let known = Command::new("ssh-keygen").arg("-lf").arg(&key).output().expect("a fingerprint");
    assert!(String::from_utf8_lossy(&known.stdout).contains(shown.as_str()), "{shown}");
}
