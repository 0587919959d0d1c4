//! The recorded sessions, over a socket: every message is sent as it was recorded, with our cookie in place of the
//! recorded one. The recordings are read from the folder that `LIGHTKEEPER_CORPUS` names and are not part of this
//! repository.

mod common;

use acs::{AcsConfig, TlsListener, server_config_from_pem};
use app::ports::{AuthLevel, DeviceRequest};
use common::*;
use provisioning::{SetValue, ValueKind, WriteValue};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

struct Recorded {
    file: String,
    method: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn read(path: &Path) -> Recorded {
    let bytes = std::fs::read(path).expect("recording readable");
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| (at, at + 4));
    let (end, start) = end
        .or_else(|| bytes.windows(2).position(|window| window == b"\n\n").map(|at| (at, at + 2)))
        .unwrap_or((bytes.len(), bytes.len()));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    Recorded {
        file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        method: head.split(' ').next().unwrap_or_default().into(),
        headers: head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect(),
        body: bytes[start..].to_vec(),
    }
}

fn recordings(folder: &Path) -> Vec<Recorded> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("folder readable")
        .map(|entry| entry.expect("entry readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .collect();
    files.sort();
    files.iter().map(|path| read(path)).filter(|recorded| recorded.method == "POST").collect()
}

fn serial(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body).into_owned();
    let (_, rest) = text.split_once("<SerialNumber>")?;
    Some(rest.split('<').next()?.to_owned())
}

/// What an application would have asked to get this answer. Answers to RPCs that this product does not send are
/// left to the codec's own replay.
fn request_for(recorded: &Recorded) -> Option<DeviceRequest> {
    Some(match recorded.file.split(['-', '.']).nth(1)? {
        "GetParameterNamesResponse" => get_names(),
        "GetParameterValuesResponse" | "Fault" => get_values(),
        "SetParameterValuesResponse" => DeviceRequest::SetValues {
            values: vec![SetValue {
                path: "A.B".into(),
                value: WriteValue::Plain("1".into()),
                kind: ValueKind::String,
            }],
            key: String::new(),
        },
        "AddObjectResponse" => DeviceRequest::AddObject { path: "A.".into(), key: String::new() },
        _ => return None,
    })
}

struct Server {
    acs: Acs,
    door: Arc<Door>,
    _heard: Heard,
    connector: TlsConnector,
}

impl Server {
    async fn start() -> Server {
        let (door, heard) = Door::new();
        // The recorded devices answer with Basic without being asked, which needs TLS.
        let made = rcgen::generate_simple_self_signed(vec!["acs".into()]).expect("certificate");
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let config = server_config_from_pem(chain.as_bytes(), key.as_bytes(), None).expect("usable");
        let tls = TlsListener { address: "127.0.0.1:0".parse().expect("address"), config };
        let acs = Acs::start_with(AcsConfig { tls: Some(tls), ..AcsConfig::default() }, door.clone()).await;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(chain.as_bytes()).expect("PEM")).expect("a root");
        let client =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_root_certificates(roots)
                .with_no_client_auth();
        Server { acs, door, _heard: heard, connector: TlsConnector::from(Arc::new(client)) }
    }

    async fn connect(&self) -> Device {
        let tcp = TcpStream::connect(self.acs.tls.expect("TLS")).await.expect("connected");
        let name = ServerName::try_from("acs").expect("a name");
        Device::over(Box::new(self.connector.connect(name, tcp).await.expect("handshake")))
    }
}

/// What became of the recordings of one folder.
#[derive(Default)]
struct Replay {
    sent: usize,
    /// Requests of ours that a recording answered.
    answered: usize,
    /// What was not sent, and why not.
    skipped: Vec<(String, &'static str)>,
}

const OTHER_RPC: &str = "it answers an RPC that this product does not send";
const NOT_ASKED: &str = "its question is of an earlier session or was not asked in this replay";

/// Sends the recordings of one folder.
async fn replay(server: &mut Server, folder: &Path, single_informs: bool) -> Replay {
    let recordings = recordings(folder);
    // The serial of a folder's device names its script.
    let name = recordings.iter().find_map(|recorded| serial(&recorded.body)).expect("an Inform");
    let script: VecDeque<DeviceRequest> = recordings.iter().filter_map(request_for).collect();
    server.door.script(&name, if single_informs { VecDeque::new() } else { script });
    let mut cookie: Option<String> = None;
    let mut asked: Option<Vec<u8>> = None;
    let mut replay = Replay::default();
    for recorded in &recordings {
        let place = format!("{}/{}", folder.display(), recorded.file);
        let is_inform = serial(&recorded.body).is_some();
        let is_answer = recorded.file.contains("Response") || recorded.file.contains("Fault");
        if is_answer && request_for(recorded).is_none() {
            replay.skipped.push((place, OTHER_RPC));
            continue;
        }
        // An answer to a question of an earlier session, or one whose question came elsewhere in the recording.
        let question = if is_answer { asked.take() } else { None };
        if is_answer && question.is_none() {
            replay.skipped.push((place, NOT_ASKED));
            continue;
        }
        let mut headers: Vec<(&str, &str)> = recorded
            .headers
            .iter()
            .filter(|(name, _)| {
                !["content-length", "host", "connection", "cookie"]
                    .contains(&name.to_ascii_lowercase().as_str())
            })
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let echoes = recorded.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let echoed = cookie.clone().filter(|_| echoes).map(|pair| format!("{pair}; Path=/"));
        if let Some(echoed) = &echoed {
            headers.push(("Cookie", echoed));
        }
        let answer = server.connect().await.post(&headers, &recorded.body).await;
        replay.sent += 1;
        assert!(matches!(answer.status, 200 | 204), "{place}: {}", answer.status);
        if is_inform {
            cookie = Some(answer.cookie());
        }
        replay.answered += usize::from(question.is_some());
        let is_question = answer.status == 200 && {
            let body = answer.envelope().body;
            body.method().starts_with("Get")
                || body.method().starts_with("Set")
                || body.method() == "AddObject"
        };
        asked = is_question.then(|| answer.body.clone());
    }
    assert_eq!(replay.sent + replay.skipped.len(), recordings.len(), "every recording is sent or listed");
    replay
}

#[tokio::test]
async fn every_recorded_session_is_served() {
    let Some(corpus) = std::env::var_os("LIGHTKEEPER_CORPUS") else {
        println!("skipped: recorded CWMP sessions over HTTP, LIGHTKEEPER_CORPUS not set");
        return;
    };
    let mut server = Server::start().await;
    // The one name and password that a recorded device presents; the others present an empty password.
    server.door.user("u", "p", AuthLevel::Bootstrap, None);
    let mut folders: Vec<PathBuf> = std::fs::read_dir(Path::new(&corpus).join("cwmp"))
        .expect("corpus has cwmp/")
        .map(|entry| entry.expect("entry readable").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let (mut sent, mut answered, mut skipped) = (0, 0, Vec::new());
    for folder in &folders {
        let single = folder.ends_with("informs");
        let done = replay(&mut server, folder, single).await;
        println!("{}: {} messages, {} answers to questions", folder.display(), done.sent, done.answered);
        for (place, why) in &done.skipped {
            println!("  not sent: {place}: {why}");
        }
        sent += done.sent;
        answered += done.answered;
        skipped.extend(done.skipped);
    }
    let because = |why: &str| skipped.iter().filter(|(_, because)| *because == why).count();
    println!(
        "{sent} sent, {} not: {} {OTHER_RPC}; {} {NOT_ASKED}",
        skipped.len(),
        because(OTHER_RPC),
        because(NOT_ASKED)
    );
    assert!(
        skipped.iter().all(|(place, _)| place.contains("Response") || place.contains("Fault")),
        "only answers are left out"
    );
    assert!(skipped.len() < sent, "most of the recordings are sent: {skipped:#?}");

    assert!(sent >= 60 && answered >= 20, "{sent} sent, {answered} answered");
    server.acs.stop().await;
}
