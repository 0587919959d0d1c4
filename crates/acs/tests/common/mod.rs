//! A front door that does as it is told and remembers what it was told, a server on a real socket, and a device
//! that writes raw bytes.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part")]

use acs::{AcsConfig, AcsServer, AcsStats, PlainListener};
use app::AppError;
use app::ports::{
    AddressWorth, AuthLevel, Begin, CpeFrontDoor, CpeNotice, CpeSession, CredentialCandidate, DeviceReply,
    DeviceRequest, FileAddress, InformFacts, Next, OfferedFile, Peer, SessionEnd, SoapSpelling, SoapVersion,
    Truth,
};
use async_trait::async_trait;
use cwmp::{
    Body, CwmpVersion, EncodeOptions, Envelope, EventCode, Limits,
    codec::{DateTime, DeviceId, Event, Inform, ParameterValue, Value},
    digest::{RequestToAnswer, answer_challenge, parse_challenges},
};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use types::{CpeId, FirmwareFileId, Secret, SystemClock, UtcMs};

/// Nothing in these tests takes this long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What the application was told.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Began { serial: String, level: AuthLevel, username: Option<String>, address: IpAddr, tls: bool },
    Ready(String),
    Replied(String, DeviceReply),
    Noticed(String, CpeNotice),
    Refused(IpAddr),
    NoFile(IpAddr),
    AnothersCertificate { serial: String, names: Vec<String> },
    Ended(String, SessionEnd),
}

#[derive(Default)]
struct Rules {
    users: HashMap<String, CredentialCandidate>,
    cpes: HashMap<String, CpeId>,
    /// By serial: what to ask of the device.
    scripts: HashMap<String, VecDeque<DeviceRequest>>,
    /// Serials that must prove their own secret.
    own_secret: HashMap<String, CpeId>,
    /// `ready` waits for a permit.
    gate: Option<Arc<Semaphore>>,
    panics_on_ready: Option<String>,
    files: HashMap<FirmwareFileId, Vec<u8>>,
    unreadable_part: Option<i64>,
}

/// The application, as far as these tests need one.
pub struct Door {
    rules: Arc<Mutex<Rules>>,
    said: mpsc::UnboundedSender<Said>,
}

pub struct Heard(mpsc::UnboundedReceiver<Said>);

impl Heard {
    pub async fn next(&mut self) -> Said {
        timeout(PATIENCE, self.0.recv()).await.expect("the application was told nothing").expect("door open")
    }

    /// What was said and not heard yet.
    pub fn rest(&mut self) -> Option<Said> {
        self.0.try_recv().ok()
    }

    pub fn nothing_more(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

impl Door {
    pub fn new() -> (Arc<Self>, Heard) {
        let (said, heard) = mpsc::unbounded_channel();
        (Arc::new(Door { rules: Arc::default(), said }), Heard(heard))
    }

    pub fn user(&self, name: &str, password: &str, level: AuthLevel, cpe: Option<CpeId>) {
        let candidate = CredentialCandidate { secret: Secret::new(password), level, cpe };
        self.rules.lock().expect("rules").users.insert(name.into(), candidate);
    }

    /// A device with a secret of its own, and the requests it gets once it has proved it.
    pub fn own(&self, serial: &str, name: &str, password: &str) -> CpeId {
        let cpe = self.cpe(serial);
        self.user(name, password, AuthLevel::Own, Some(cpe));
        self.rules.lock().expect("rules").own_secret.insert(serial.into(), cpe);
        cpe
    }

    pub fn cpe(&self, serial: &str) -> CpeId {
        let mut rules = self.rules.lock().expect("rules");
        let next = CpeId(rules.cpes.len() as i64 + 1);
        *rules.cpes.entry(serial.into()).or_insert(next)
    }

    pub fn script(&self, serial: &str, requests: impl IntoIterator<Item = DeviceRequest>) {
        self.rules.lock().expect("rules").scripts.insert(serial.into(), requests.into_iter().collect());
    }

    pub fn file(&self, id: i64, content: Vec<u8>) {
        self.rules.lock().expect("rules").files.insert(FirmwareFileId(id), content);
    }

    pub fn part_is_unreadable(&self, number: i64) {
        self.rules.lock().expect("rules").unreadable_part = Some(number);
    }

    pub fn gate(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.rules.lock().expect("rules").gate = Some(gate.clone());
        gate
    }

    pub fn panic_on_ready(&self, serial: &str) {
        self.rules.lock().expect("rules").panics_on_ready = Some(serial.into());
    }
}

#[async_trait]
impl CpeFrontDoor for Door {
    async fn credentials_for(&self, username: &str) -> Vec<CredentialCandidate> {
        self.rules.lock().expect("rules").users.get(username).cloned().into_iter().collect()
    }

    fn refused(&self, address: IpAddr) {
        let _ = self.said.send(Said::Refused(address));
    }

    fn worth(&self, address: &FileAddress, from: IpAddr) -> AddressWorth {
        if address.signature != SIGNED {
            self.no_file(from);
            AddressWorth::NotOurs
        } else if address.until < GOOD_FROM {
            AddressWorth::Expired
        } else {
            AddressWorth::Good
        }
    }

    async fn file(&self, address: FileAddress, _: IpAddr) -> Result<Option<OfferedFile>, AppError> {
        let rules = self.rules.lock().expect("rules");
        let good = address.signature == SIGNED && address.until >= GOOD_FROM;
        let given = good.then(|| rules.files.get(&address.file)).flatten();
        Ok(given.map(|content| OfferedFile {
            id: address.file,
            size: content.len() as u64,
            sha256: format!("{:064x}", content.len()),
            part_bytes: FILE_PART as u64,
        }))
    }

    async fn file_part(&self, file: FirmwareFileId, number: i64) -> Result<Option<Vec<u8>>, AppError> {
        let rules = self.rules.lock().expect("rules");
        if rules.unreadable_part == Some(number) {
            return Err(AppError::Unavailable("the database is away.".into()));
        }
        let content = rules.files.get(&file).map(Vec::as_slice).unwrap_or_default();
        let part = content.chunks(FILE_PART).nth(usize::try_from(number).expect("a number"));
        Ok(part.map(<[u8]>::to_vec))
    }

    fn no_file(&self, from: IpAddr) {
        let _ = self.said.send(Said::NoFile(from));
    }

    async fn anothers_certificate(&self, inform: InformFacts, names: &[String], _: IpAddr) {
        let (serial, names) = (inform.serial_number, names.to_vec());
        let _ = self.said.send(Said::AnothersCertificate { serial, names });
    }

    async fn begin(&self, inform: InformFacts, peer: Peer) -> Begin {
        let serial = inform.serial_number;
        let cpe = self.cpe(&serial);
        {
            let rules = self.rules.lock().expect("rules");
            if rules.own_secret.get(&serial).is_some_and(|owner| peer.identity.cpe != Some(*owner)) {
                return Begin::Challenge;
            }
        }
        if serial == "REFUSED" {
            return Begin::Refused { reason: "a test says so".into() };
        }
        if serial == "BUSY" {
            return Begin::Busy { retry_after_s: 17 };
        }
        let _ = self.said.send(Said::Began {
            serial: serial.clone(),
            level: peer.identity.level,
            username: peer.identity.username,
            address: peer.address,
            tls: peer.tls,
        });
        Begin::Accepted(Box::new(Session { serial, cpe, rules: self.rules.clone(), said: self.said.clone() }))
    }
}

struct Session {
    serial: String,
    cpe: CpeId,
    rules: Arc<Mutex<Rules>>,
    said: mpsc::UnboundedSender<Said>,
}

impl Session {
    fn next(&self) -> Next {
        let mut rules = self.rules.lock().expect("rules");
        match rules.scripts.get_mut(&self.serial).and_then(VecDeque::pop_front) {
            Some(request) => Next::Request(request),
            None => Next::Done,
        }
    }
}

#[async_trait]
impl CpeSession for Session {
    fn cpe(&self) -> CpeId {
        self.cpe
    }
    fn spelling(&self) -> SoapSpelling {
        if self.serial != FUSSY {
            return SoapSpelling::default();
        }
        SoapSpelling {
            version: Some(SoapVersion::V1_0),
            next_level: Some(Truth::Word),
            must_understand: Some(false),
            xml_declaration: Some(true),
            ..SoapSpelling::default()
        }
    }
    async fn ready(&mut self) -> Next {
        let _ = self.said.send(Said::Ready(self.serial.clone()));
        let panics = self.rules.lock().expect("rules").panics_on_ready.as_ref() == Some(&self.serial);
        assert!(!panics, "told to panic");
        let gate = self.rules.lock().expect("rules").gate.clone();
        if let Some(gate) = gate {
            gate.acquire().await.expect("gate").forget();
        }
        self.next()
    }
    async fn reply(&mut self, reply: DeviceReply) -> Next {
        let _ = self.said.send(Said::Replied(self.serial.clone(), reply));
        self.next()
    }
    async fn notice(&mut self, notice: CpeNotice) -> Result<(), AppError> {
        if matches!(&notice, CpeNotice::TransferComplete { command_key, .. } if command_key == NOT_STORED) {
            return Err(AppError::Unavailable("the database is away.".into()));
        }
        let _ = self.said.send(Said::Noticed(self.serial.clone(), notice));
        Ok(())
    }
    async fn end(self: Box<Self>, how: SessionEnd) {
        let _ = self.said.send(Said::Ended(self.serial.clone(), how));
    }
}

/// Serial number of a device whose family wants its messages spelled in a way of its own.
pub const FUSSY: &str = "FUSSY";

/// What this application takes for a signature.
pub const SIGNED: &str = "ab12";
/// Addresses that end before are too old.
pub const GOOD_FROM: UtcMs = UtcMs(1_700_000_000_000);
/// Bytes of a part of a file here.
pub const FILE_PART: usize = 1000;

/// Key of a transfer whose end the application cannot store.
pub const NOT_STORED: &str = "not-stored";

/// A running server.
pub struct Acs {
    pub plain: Option<SocketAddr>,
    pub tls: Option<SocketAddr>,
    pub stats: Box<dyn Fn() -> AcsStats + Send + Sync>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

pub fn loopback() -> PlainListener {
    PlainListener {
        address: "127.0.0.1:0".parse().expect("address"),
        allowed_from: vec!["127.0.0.0/8".parse().expect("network")].into(),
    }
}

impl Acs {
    pub async fn start(door: Arc<Door>) -> Acs {
        Acs::start_with(AcsConfig { plain: Some(loopback()), ..AcsConfig::default() }, door).await
    }

    pub async fn start_with(config: AcsConfig, door: Arc<Door>) -> Acs {
        let server = AcsServer::bind(config, door, Arc::new(SystemClock)).await.expect("bound");
        let (plain, tls) = (server.plain_address(), server.tls_address());
        let stats = Box::new(server.stats());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Acs { plain, tls, stats, stop: Some(stop), task }
    }

    pub async fn device(&self) -> Device {
        Device::connect(self.plain.expect("plain"), Ipv4Addr::LOCALHOST).await
    }

    pub async fn device_from(&self, from: Ipv4Addr) -> Device {
        Device::connect(self.plain.expect("plain"), from).await
    }

    pub async fn stop(mut self) {
        self.stop.take().expect("running").send(()).expect("running");
        timeout(PATIENCE, &mut self.task).await.expect("stops").expect("no panic");
    }
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn envelope(&self) -> Envelope {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        cwmp::decode(&self.body, self.header("content-type"), &Limits::default()).expect("an envelope")
    }

    pub fn cookie(&self) -> String {
        let set = self.header("set-cookie").expect("a cookie is set");
        set.split(';').next().expect("a pair").to_owned()
    }
}

/// An answer to a request for a file.
#[derive(Debug)]
pub struct Fetched {
    pub answer: Answer,
    /// As the head says it.
    pub length: usize,
    /// As much came.
    pub whole: bool,
}

pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A device: one connection, raw.
pub struct Device {
    pub wire: Box<dyn Wire>,
    buffer: Vec<u8>,
}

impl Device {
    pub async fn connect(to: SocketAddr, from: Ipv4Addr) -> Device {
        Device::over(Box::new(connected(to, from).await))
    }

    /// Over TLS, to `acs.example` with this certificate.
    pub async fn connect_tls(to: SocketAddr, from: Ipv4Addr, certificate: &str) -> Device {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")).expect("a root");
        let client =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_root_certificates(roots)
                .with_no_client_auth();
        let name = ServerName::try_from("acs.example").expect("a name");
        let wire = TlsConnector::from(Arc::new(client)).connect(name, connected(to, from).await).await;
        Device::over(Box::new(wire.expect("handshake")))
    }

    pub fn over(wire: Box<dyn Wire>) -> Device {
        Device { wire, buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.wire.write_all(bytes).await.expect("sent");
        self.wire.flush().await.expect("sent");
    }

    /// One answer; `None` if the connection was closed instead.
    pub async fn answer(&mut self) -> Option<Answer> {
        timeout(PATIENCE, self.read_answer()).await.expect("neither an answer nor an end")
    }

    async fn more(&mut self) -> bool {
        let mut chunk = [0; 4096];
        match self.wire.read(&mut chunk).await {
            Ok(read) if read > 0 => {
                self.buffer.extend_from_slice(&chunk[..read]);
                true
            }
            _ => false,
        }
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if !self.more().await {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer[..end].to_vec()).expect("a head");
        self.buffer.drain(..end + 4);
        let status = head.split(' ').nth(1).expect("status").parse().expect("status");
        let headers: Vec<(String, String)> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        assert_eq!(answer.header("transfer-encoding"), None, "small stacks cannot read chunks");
        if status == 100 {
            return Some(answer);
        }
        let length: usize = match answer.header("content-length") {
            Some(length) => length.parse().expect("length"),
            None => {
                assert_eq!(status, 204, "an answer without length");
                0
            }
        };
        while self.buffer.len() < length {
            assert!(self.more().await, "the answer is cut");
        }
        answer.body = self.buffer.drain(..length).collect();
        Some(answer)
    }

    /// One request without a body; gives the head of the answer, and what came of the body.
    pub async fn fetch(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Fetched {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: acs\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.send(head.as_bytes()).await;
        timeout(PATIENCE, self.read_fetched(method == "HEAD")).await.expect("neither an answer nor an end")
    }

    async fn read_fetched(&mut self, head_only: bool) -> Fetched {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert!(self.more().await, "the connection was closed without an answer");
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).expect("a head");
        let headers: Vec<(String, String)> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let status = head.split(' ').nth(1).expect("status").parse().expect("status");
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.map_or(0, |(_, value)| value.parse().expect("length"));
        let expected = if head_only { 0 } else { length };
        while self.buffer.len() < expected && self.more().await {}
        let body: Vec<u8> = self.buffer.drain(..self.buffer.len().min(expected)).collect();
        let whole = body.len() == expected;
        Fetched { answer: Answer { status, headers, body }, length, whole }
    }

    pub async fn post(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(&post_bytes(headers, body)).await;
        self.answer().await.expect("an answer")
    }

    /// Informs with a digest from the start, for a challenge got by an empty message.
    pub async fn inform_with_digest(&mut self, serial: &str, name: &str, password: &str) -> Answer {
        let challenge = self.post(&[], b"").await;
        let authorization = authorization(&challenge, name, password, 1);
        self.post(&[("Authorization", &authorization)], &inform(serial)).await
    }

    /// Informs, answering a challenge if there is one. Gives the answer to the last Inform.
    pub async fn inform_as(&mut self, serial: &str, name: &str, password: &str) -> Answer {
        let body = inform(serial);
        let first = self.post(&[], &body).await;
        if first.status != 401 {
            return first;
        }
        let authorization = authorization(&first, name, password, 1);
        self.post(&[("Authorization", &authorization)], &body).await
    }
}

async fn connected(to: SocketAddr, from: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("socket");
    socket.bind(SocketAddr::new(from.into(), 0)).expect("own address");
    socket.connect(to).await.expect("connected")
}

pub fn post_bytes(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = "POST /acs HTTP/1.1\r\nHost: acs\r\nSOAPAction: \"\"\r\n".to_owned();
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub fn authorization(challenge: &Answer, name: &str, password: &str, nonce_count: u32) -> String {
    let challenges: Vec<_> =
        challenge.all("www-authenticate").into_iter().flat_map(parse_challenges).collect();
    answer_challenge(
        &challenges,
        &RequestToAnswer {
            username: name,
            password: &Secret::new(password),
            method: "POST",
            uri: "/acs",
            cnonce: "00c0ffee",
            nonce_count,
            allow_basic: false,
            at_least: None,
        },
    )
    .expect("a digest is offered")
}

pub fn message(id: &str, body: Body) -> Vec<u8> {
    cwmp::encode(&Envelope::new(Some(id.into()), CwmpVersion::V1_2, body), &EncodeOptions::default())
}

pub fn inform(serial: &str) -> Vec<u8> {
    message(
        "inform-1",
        Body::Inform(Inform {
            device_id: DeviceId {
                manufacturer: "Acme".into(),
                oui: "00259E".into(),
                product_class: "X1".into(),
                serial_number: serial.into(),
            },
            events: vec![Event { code: EventCode::Periodic, command_key: String::new() }],
            max_envelopes: 1,
            current_time: DateTime("2026-11-21T14:30:00Z".into()),
            retry_count: 0,
            parameters: vec![ParameterValue {
                name: "InternetGatewayDevice.ManagementServer.ConnectionRequestURL".into(),
                value: Value::string("http://10.20.3.9:7547/"),
            }],
        }),
    )
}

pub fn get_names() -> DeviceRequest {
    DeviceRequest::GetNames { path: "InternetGatewayDevice.".into(), next_level: true }
}

pub fn get_values() -> DeviceRequest {
    DeviceRequest::GetValues { paths: vec!["InternetGatewayDevice.DeviceInfo.UpTime".into()] }
}

/// The device's answer to an envelope of ours: right in kind, empty in content.
pub fn respond(request: &Envelope) -> Vec<u8> {
    use cwmp::codec::{
        AddObjectResponse, GetParameterNamesResponse, GetParameterValuesResponse, SetParameterValuesResponse,
        Status,
    };
    let body = match &request.body {
        Body::GetParameterNames(_) => {
            Body::GetParameterNamesResponse(GetParameterNamesResponse { parameters: vec![] })
        }
        Body::GetParameterValues(_) => {
            Body::GetParameterValuesResponse(GetParameterValuesResponse { parameters: vec![] })
        }
        Body::SetParameterValues(_) => {
            Body::SetParameterValuesResponse(SetParameterValuesResponse { status: Status::Applied })
        }
        Body::AddObject(_) => Body::AddObjectResponse(AddObjectResponse {
            instance_number: std::num::NonZeroU32::MIN,
            status: Status::Applied,
        }),
        other => panic!("not asked of devices in these tests: {}", other.method()),
    };
    message(request.id.as_deref().expect("our requests have IDs"), body)
}
