//! Certificates of CPEs, shown by OpenSSL.

mod common;

use acs::{AcsConfig, TlsListener, server_config_from_pem};
use app::ports::AuthLevel;
use base64::Engine as _;
use common::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// Who issues certificates.
struct Authority {
    pem: String,
    key: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { pem, key: key.serialize_pem(), issuer: Issuer::new(params, key) }
    }

    /// A certificate and its key in one file.
    fn issue(&self, folder: &Path, common_name: &str, dns_names: &[&str], until: i32) -> PathBuf {
        let dns_names: Vec<String> = dns_names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(dns_names).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let pem = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        let path = folder.join(format!("{}.pem", random_name()));
        std::fs::write(&path, format!("{pem}{}", key.serialize_pem())).expect("written");
        path
    }
}

fn random_name() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("cpe-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn is_openssl_here() -> bool {
    let here = Command::new("openssl").arg("version").output().is_ok();
    if !here {
        println!("skipped: openssl is not installed");
    }
    here
}

/// What `openssl` makes, in this folder.
fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output().expect("openssl runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A server that asks for certificates of `authority`; its own is in `acs.pem` of the folder.
async fn asks_for_certificates_of(
    authority: &Authority,
    folder: &Path,
    config: AcsConfig,
    door: Arc<Door>,
) -> (Acs, SocketAddr) {
    let made = rcgen::generate_simple_self_signed(vec!["acs.example".into()]).expect("certificate");
    std::fs::write(folder.join("acs.pem"), made.cert.pem()).expect("written");
    let tls = server_config_from_pem(
        made.cert.pem().as_bytes(),
        made.signing_key.serialize_pem().as_bytes(),
        Some(authority.pem.as_bytes()),
    )
    .expect("usable");
    let tls = TlsListener { address: "127.0.0.1:0".parse().expect("address"), config: tls };
    let idle = Duration::from_millis(200);
    let acs = Acs::start_with(AcsConfig { tls: Some(tls), session_idle: idle, ..config }, door).await;
    let to = acs.tls.expect("TLS address");
    (acs, to)
}

/// What `openssl s_client` gets as an answer to one Inform; the first line of it, or nothing if there was no answer.
async fn informs(to: SocketAddr, folder: &Path, serial: &str, version: &str, shown: Option<&Path>) -> String {
    informs_as(to, folder, (serial, None), version, shown).await
}

/// With `name:password` after the serial number.
async fn informs_as(
    to: SocketAddr,
    folder: &Path,
    (serial, password): (&str, Option<&str>),
    version: &str,
    shown: Option<&Path>,
) -> String {
    let mut client = Command::new("openssl");
    client
        .args(["s_client", "-quiet", "-verify_return_error", "-servername", "acs.example", version])
        // As the stacks of old routers, which look at no key's length.
        .args(["-cipher", "DEFAULT@SECLEVEL=0"])
        .args(["-connect", &to.to_string(), "-CAfile"])
        .arg(folder.join("acs.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(path) = shown {
        client.arg("-cert").arg(path).arg("-key").arg(path);
    }
    let basic = base64::engine::general_purpose::STANDARD.encode(password.unwrap_or_default());
    let (close, basic) = (("Connection", "close"), format!("Basic {basic}"));
    let headers = [close, ("Authorization", &*basic)];
    let headers = if password.is_some() { &headers[..] } else { &headers[..1] };
    let request = post_bytes(headers, &inform(serial));
    let answer = tokio::task::spawn_blocking(move || {
        let mut running = client.spawn().expect("openssl runs");
        // It may be gone before it has read all.
        let mut input = running.stdin.take().expect("its input");
        let _ = input.write_all(&request);
        let output = running.wait_with_output().expect("it ends");
        drop(input);
        output
    });
    let output = tokio::time::timeout(PATIENCE, answer).await.expect("it ends").expect("it ran");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

#[tokio::test]
async fn a_certificate_proves_the_device_that_it_names_and_no_other() {
    if !is_openssl_here() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let ours = Authority::new("Factory");
    let (door, mut heard) = Door::new();
    let (acs, to) = asks_for_certificates_of(&ours, folder, AcsConfig::default(), door).await;

    let by_name = ours.issue(folder, "00259E-S1", &[], 4000);
    let by_class = ours.issue(folder, "00259E-X1-S1", &[], 4000);
    let by_dns = ours.issue(folder, "a router", &["00259e-s1"], 4000);
    let another = ours.issue(folder, "00259E-S2", &["00259e-s3"], 4000);
    let of_all = ours.issue(folder, "Acme X1", &[], 4000);

    for version in ["-tls1_2", "-tls1_3"] {
        for proof in [&by_name, &by_class, &by_dns] {
            let answer = informs(to, folder, "S1", version, Some(proof)).await;
            assert_eq!(answer, "HTTP/1.1 200 OK", "{version}");
            let said = heard.next().await;
            let Said::Began { serial, level, username, tls, .. } = said else { panic!("{said:?}") };
            assert_eq!((serial.as_str(), level, username, tls), ("S1", AuthLevel::Own, None, true));
            assert!(matches!(heard.next().await, Said::Ended(..)));
        }
        // Without one it is as before.
        assert_eq!(informs(to, folder, "S1", version, None).await, "HTTP/1.1 200 OK", "{version}");
        let said = heard.next().await;
        assert!(matches!(said, Said::Began { level: AuthLevel::Anonymous, .. }), "{said:?}");
        assert!(matches!(heard.next().await, Said::Ended(..)));
        // Another device's, or one that a whole model shares, is none of this device's, and that is told.
        for (wrong, names) in [(&another, vec!["00259E-S2", "00259e-s3"]), (&of_all, vec!["Acme X1"])] {
            let answer = informs(to, folder, "S1", version, Some(wrong)).await;
            assert_eq!(answer, "HTTP/1.1 403 Forbidden", "{version}");
            let names = names.into_iter().map(str::to_owned).collect();
            assert_eq!(heard.next().await, Said::AnothersCertificate { serial: "S1".into(), names });
        }
        assert!(heard.nothing_more());
    }
    assert_eq!((acs.stats)().unproved_certificates, 0);
    acs.stop().await;
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_counts_for_none() {
    if !is_openssl_here() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (ours, foreign) = (Authority::new("Factory"), Authority::new("Somebody"));
    let (door, mut heard) = Door::new();
    door.own("S9", "cpe-9", "secret-9");
    let (acs, to) = asks_for_certificates_of(&ours, folder, AcsConfig::default(), door).await;

    let expired = ours.issue(folder, "00259E-S1", &[], 2020);
    let not_ours = foreign.issue(folder, "00259E-S1", &[], 4000);
    std::fs::write(folder.join("ours.pem"), format!("{}{}", ours.pem, ours.key)).expect("written");
    let made = |name: &str, of: &str, arguments: &str| {
        let (name, subject) = (format!("{name}.pem"), format!("/CN={of}"));
        let words = ["req", "-nodes", "-keyout", &name, "-out", &name, "-subj", &subject];
        openssl(folder, &words.into_iter().chain(arguments.split(' ')).collect::<Vec<_>>());
        folder.join(name)
    };
    let self_signed = made("self", "00259E-S1", "-x509 -days 3650 -newkey rsa:2048");
    // Keys that are too short to check a signature by, of nobody, and of an issuer that is believed.
    let short = made("short", "00259E-S1", "-x509 -days 3650 -newkey rsa:1024");
    let short_of_ours = made("short-ours", "00259E-S1", "-newkey rsa:1024");
    let version_1 = made("first", "00259E-S1", "-newkey rsa:2048");
    let signed = |file: &Path, arguments: &str| {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let words = ["x509", "-req", "-days", "3650", "-in", name, "-out", "signed"];
        openssl(folder, &words.into_iter().chain(arguments.split(' ')).collect::<Vec<_>>());
        let (key, certificate) =
            (std::fs::read_to_string(file), std::fs::read_to_string(folder.join("signed")));
        std::fs::write(file, key.expect("read") + &certificate.expect("read")).expect("written");
    };
    std::fs::write(folder.join("v3"), "basicConstraints=CA:FALSE").expect("written");
    signed(&short_of_ours, "-CA ours.pem -CAkey ours.pem -set_serial 7 -extfile v3");
    signed(&version_1, "-signkey first.pem");

    let all = [&expired, &not_ours, &self_signed, &short, &short_of_ours, &version_1];
    for version in ["-tls1_2", "-tls1_3"] {
        for shown in all {
            let told = format!("{version} {}", shown.display());
            assert_eq!(informs(to, folder, "S1", version, Some(shown)).await, "HTTP/1.1 200 OK", "{told}");
            let said = heard.next().await;
            assert!(
                matches!(said, Said::Began { level: AuthLevel::Anonymous, tls: true, .. }),
                "{told}: {said:?}"
            );
            assert!(matches!(heard.next().await, Said::Ended(..)));
            // It names another device, and that is no more of a reason to refuse it than it is a proof.
            assert_eq!(informs(to, folder, "S2", version, Some(shown)).await, "HTTP/1.1 200 OK", "{told}");
            let said = heard.next().await;
            assert!(matches!(said, Said::Began { level: AuthLevel::Anonymous, .. }), "{told}: {said:?}");
            assert!(matches!(heard.next().await, Said::Ended(..)));
            // Whoever has a password is asked for it, and proves itself by it.
            let answer = informs(to, folder, "S9", version, Some(shown)).await;
            assert_eq!(answer, "HTTP/1.1 401 Unauthorized", "{told}");
            let own = ("S9", Some("cpe-9:secret-9"));
            assert_eq!(informs_as(to, folder, own, version, Some(shown)).await, "HTTP/1.1 200 OK", "{told}");
            let said = heard.next().await;
            let Said::Began { level, username, .. } = said else { panic!("{told}: {said:?}") };
            assert_eq!((level, username.as_deref()), (AuthLevel::Own, Some("cpe-9")), "{told}");
            assert!(matches!(heard.next().await, Said::Ended(..)));
        }
    }
    assert_eq!((acs.stats)().unproved_certificates, 2 * 4 * all.len() as u64);
    acs.stop().await;
}

/// Shows the certificate of somebody else, and signs with a key of its own.
#[derive(Debug)]
struct Borrowed(Arc<CertifiedKey>);

impl ResolvesClientCert for Borrowed {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_certificate_is_nothing_without_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let ours = Authority::new("Factory");
    let (door, mut heard) = Door::new();
    let (acs, to) = asks_for_certificates_of(&ours, folder, AcsConfig::default(), door).await;
    let pem = |path: &Path| std::fs::read(path).expect("read");
    let (of_s1, of_s2) =
        (ours.issue(folder, "00259E-S1", &[], 4000), ours.issue(folder, "00259E-S2", &[], 4000));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem(&folder.join("acs.pem"))).expect("PEM")).expect("a root");
    for version in [&TLS12, &TLS13] {
        for (key, is_its_own) in [(&of_s1, true), (&of_s2, false)] {
            let key = PrivateKeyDer::from_pem_slice(&pem(key)).expect("a key");
            let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("usable");
            let chain = vec![CertificateDer::from_pem_slice(&pem(&of_s1)).expect("PEM")];
            let client =
                ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                    .with_protocol_versions(&[version])
                    .expect("versions")
                    .with_root_certificates(roots.clone())
                    .with_client_cert_resolver(Arc::new(Borrowed(Arc::new(CertifiedKey::new(chain, key)))));
            let tcp = TcpStream::connect(to).await.expect("connected");
            let name = ServerName::try_from("acs.example").expect("a name");
            let mut answer = Vec::new();
            // Whichever of these fails, it is over.
            if let Ok(mut wire) = TlsConnector::from(Arc::new(client)).connect(name, tcp).await {
                let _ = wire.write_all(&post_bytes(&[("Connection", "close")], &inform("S1"))).await;
                let _ = wire.read_to_end(&mut answer).await;
            }
            let answer = String::from_utf8_lossy(&answer);
            if is_its_own {
                assert!(answer.starts_with("HTTP/1.1 200 OK"), "{version:?}: {answer}");
                assert!(matches!(heard.next().await, Said::Began { level: AuthLevel::Own, .. }));
                assert!(matches!(heard.next().await, Said::Ended(..)));
            } else {
                assert_eq!(answer, "", "{version:?}");
                assert!(heard.nothing_more(), "{version:?}");
            }
        }
    }
    acs.stop().await;
}

#[tokio::test]
async fn whoever_shares_its_address_keeps_no_device_out_that_has_a_certificate() {
    if !is_openssl_here() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let ours = Authority::new("Factory");
    let (door, mut heard) = Door::new();
    let config = AcsConfig {
        wrong_passwords_per_minute: 3.0,
        device_rate_per_s: 0.001,
        device_rate_burst: 3.0,
        ..AcsConfig::default()
    };
    let (acs, to) = asks_for_certificates_of(&ours, folder, config, door).await;
    let acs_pem = std::fs::read_to_string(folder.join("acs.pem")).expect("read");
    let shown = ours.issue(folder, "00259E-S1", &[], 4000);

    // A neighbour behind the same address, without a certificate, says its name as often as anybody may ...
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let mut neighbour = Device::connect_tls(to, Ipv4Addr::LOCALHOST, &acs_pem).await;
        statuses.push(neighbour.post(&[], &inform("S1")).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 401, 401]);
    // ... and tries passwords under its name, and under others.
    let guess = base64::engine::general_purpose::STANDARD.encode("maker:guess");
    let guess = format!("Basic {guess}");
    let mut last = 0;
    for serial in ["S2", "S3", "S4", "S5", "S1"] {
        let mut neighbour = Device::connect_tls(to, Ipv4Addr::LOCALHOST, &acs_pem).await;
        last = neighbour.post(&[("Authorization", &guess)], &inform(serial)).await.status;
    }
    assert_eq!(last, 503);
    while !matches!(heard.next().await, Said::Began { serial, .. } if serial == "S4") {}

    // The device is let in all the same, with the credentials of its maker and without any.
    for password in [Some("maker:maker"), None, Some("maker:maker")] {
        let answer = informs_as(to, folder, ("S1", password), "-tls1_3", Some(&shown)).await;
        assert_eq!(answer, "HTTP/1.1 200 OK", "{password:?}");
        loop {
            if let Said::Began { serial, level, .. } = heard.next().await {
                assert_eq!((serial.as_str(), level), ("S1", AuthLevel::Own), "{password:?}");
                break;
            }
        }
    }
    // It has a limit of its own, and nobody else pays for it.
    let answer = informs_as(to, folder, ("S1", None), "-tls1_3", Some(&shown)).await;
    assert_eq!(answer, "HTTP/1.1 503 Service Unavailable");
    let another = ours.issue(folder, "00259E-S6", &[], 4000);
    let answer = informs_as(to, folder, ("S6", Some("maker:maker")), "-tls1_3", Some(&another)).await;
    assert_eq!(answer, "HTTP/1.1 200 OK");
    acs.stop().await;
}
