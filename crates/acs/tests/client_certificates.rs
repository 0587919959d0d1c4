//! Certificates of CPEs, shown by OpenSSL.

mod common;

use acs::{AcsConfig, TlsListener, server_config_from_pem};
use app::ports::AuthLevel;
use common::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Who issues certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { pem, issuer: Issuer::new(params, key) }
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

/// What `openssl s_client` gets as an answer to one Inform; the first line of it, or nothing if there was no answer.
async fn informs(to: SocketAddr, folder: &Path, serial: &str, version: &str, shown: Option<&Path>) -> String {
    let mut client = Command::new("openssl");
    client
        .args(["s_client", "-quiet", "-verify_return_error", "-servername", "acs.example", version])
        .args(["-connect", &to.to_string(), "-CAfile"])
        .arg(folder.join("acs.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(path) = shown {
        client.arg("-cert").arg(path).arg("-key").arg(path);
    }
    let request = post_bytes(&[("Connection", "close")], &inform(serial));
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
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: openssl is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let made = rcgen::generate_simple_self_signed(vec!["acs.example".into()]).expect("certificate");
    std::fs::write(folder.join("acs.pem"), made.cert.pem()).expect("written");
    let (ours, foreign) = (Authority::new("Factory"), Authority::new("Somebody"));
    let config = server_config_from_pem(
        made.cert.pem().as_bytes(),
        made.signing_key.serialize_pem().as_bytes(),
        Some(ours.pem.as_bytes()),
    )
    .expect("usable");
    let (door, mut heard) = Door::new();
    let tls = TlsListener { address: "127.0.0.1:0".parse().expect("address"), config };
    let idle = Duration::from_millis(200);
    let config = AcsConfig { tls: Some(tls), session_idle: idle, ..AcsConfig::default() };
    let acs = Acs::start_with(config, door).await;
    let to = acs.tls.expect("TLS address");

    let by_name = ours.issue(folder, "00259E-S1", &[], 4000);
    let by_class = ours.issue(folder, "00259E-X1-S1", &[], 4000);
    let by_dns = ours.issue(folder, "a router", &["00259e-s1"], 4000);
    let another = ours.issue(folder, "00259E-S2", &["00259e-s3"], 4000);
    let of_all = ours.issue(folder, "Acme X1", &[], 4000);
    let expired = ours.issue(folder, "00259E-S1", &[], 2020);
    let not_ours = foreign.issue(folder, "00259E-S1", &[], 4000);

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
        // Who shows what nobody we know has issued, or what is no longer valid, does not get as far as that.
        for wrong in [&expired, &not_ours] {
            assert_eq!(informs(to, folder, "S1", version, Some(wrong)).await, "", "{version}");
        }
        assert!(heard.nothing_more());
    }
    acs.stop().await;
}
