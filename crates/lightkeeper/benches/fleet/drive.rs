//! Periodic sessions as CPEs have them: a new connection each, Inform, challenge, Inform with digest, empty POST, end.

use super::known::Device;
use cwmp::digest::{RequestToAnswer, answer_challenge, parse_challenges};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use store::rows;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

/// Sessions at the same time.
pub(crate) const AT_ONCE: usize = 200;
/// Of the time between two sessions of one place, this share passes with the session open.
const OPEN_SHARE: f64 = 0.8;

/// A periodic Inform as this device sends it.
pub(crate) fn inform(row: &rows::Cpe) -> String {
    let root = "InternetGatewayDevice.";
    let now = "2026-01-01T00:00:00Z";
    let parameters = [
        ("DeviceSummary", String::new()),
        ("DeviceInfo.SpecVersion", "1.0".to_owned()),
        ("DeviceInfo.HardwareVersion", row.hardware_version.clone()),
        ("DeviceInfo.SoftwareVersion", row.software_version.clone()),
        ("DeviceInfo.ProvisioningCode", String::new()),
        ("ManagementServer.ConnectionRequestURL", row.connection_request_url.clone().unwrap_or_default()),
        ("ManagementServer.ParameterKey", String::new()),
    ];
    let list: String = parameters
        .iter()
        .map(|(name, value)| {
            format!(
                "<ParameterValueStruct><Name>{root}{name}</Name><Value xsi:type=\"xsd:string\">{value}</Value>\
                 </ParameterValueStruct>"
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:soap-enc=\"http://schemas.xmlsoap.org/soap/encoding/\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\"><soap:Header>\
         <cwmp:ID soap:mustUnderstand=\"1\">1</cwmp:ID></soap:Header><soap:Body><cwmp:Inform><DeviceId><Manufacturer>{}\
         </Manufacturer><OUI>{}</OUI><ProductClass>{}</ProductClass><SerialNumber>{}</SerialNumber></DeviceId><Event \
         soap-enc:arrayType=\"cwmp:EventStruct[1]\"><EventStruct><EventCode>2 PERIODIC</EventCode><CommandKey></CommandKey>\
         </EventStruct></Event><MaxEnvelopes>1</MaxEnvelopes><CurrentTime>{now}</CurrentTime><RetryCount>0</RetryCount>\
         <ParameterList soap-enc:arrayType=\"cwmp:ParameterValueStruct[{}]\">{list}</ParameterList></cwmp:Inform></soap:Body>\
         </soap:Envelope>",
        row.manufacturer,
        row.oui,
        row.product_class,
        row.serial_number,
        parameters.len(),
    )
}

/// What sessions cost, and how they went.
pub(crate) struct Figures {
    pub(crate) cpu_per_1000: f64,
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Sessions as fast as they go, [`AT_ONCE`] at a time, each device in turn.
pub(crate) async fn drive(
    to: SocketAddr,
    devices: &Arc<Vec<Device>>,
    sessions: usize,
    cpu_s: impl Fn() -> f64,
) -> Figures {
    let next = Arc::new(AtomicUsize::new(0));
    let places = (0..AT_ONCE).map(|_| {
        let (next, devices) = (next.clone(), devices.clone());
        async move {
            let mut waited = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= sessions {
                    return waited;
                }
                waited.push(session(to, &devices[number % devices.len()], Duration::ZERO).await);
            }
        }
    });
    measured(places, cpu_s).await
}

/// [`AT_ONCE`] sessions open at any time, so many begun in a second: most of the time it is the device that thinks.
pub(crate) async fn paced(
    to: SocketAddr,
    devices: &Arc<Vec<Device>>,
    rate: f64,
    how_long: Duration,
    cpu_s: impl Fn() -> f64,
) -> Figures {
    let every = Duration::from_secs_f64(AT_ONCE as f64 / rate);
    let rounds = (how_long.as_secs_f64() / every.as_secs_f64()).ceil() as usize;
    let began = tokio::time::Instant::now();
    let places = (0..AT_ONCE).map(|place| {
        let devices = devices.clone();
        async move {
            let mut due = began + every.mul_f64(place as f64 / AT_ONCE as f64);
            let mut waited = Vec::new();
            for round in 0..rounds {
                tokio::time::sleep_until(due).await; // tidy: allow(sleep) the pace is what is wanted
                due += every;
                let device = &devices[(round * AT_ONCE + place) % devices.len()];
                waited.push(session(to, device, every.mul_f64(OPEN_SHARE)).await);
            }
            waited
        }
    });
    measured(places, cpu_s).await
}

async fn measured<F>(places: impl Iterator<Item = F>, cpu_s: impl Fn() -> f64) -> Figures
where
    F: Future<Output = Vec<Duration>> + Send + 'static,
{
    let (before, began) = (cpu_s(), Instant::now());
    let mut places: JoinSet<Vec<Duration>> = places.collect();
    let mut waited = Vec::new();
    while let Some(one) = places.join_next().await {
        waited.extend(one.unwrap());
    }
    let elapsed = began.elapsed().as_secs_f64();
    // What the last sessions left is written a moment later.
    tokio::time::sleep(Duration::from_millis(300)).await; // tidy: allow(sleep) it is work of these sessions
    let cpu = cpu_s() - before;
    waited.sort_unstable();
    let at = |share: f64| waited[((waited.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
    Figures {
        cpu_per_1000: cpu / waited.len() as f64 * 1_000.0,
        rate: waited.len() as f64 / elapsed,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    }
}

/// One session; the time that it waited for the server. Between the answer to its Inform and its empty POST the device
/// takes `thinks`.
async fn session(to: SocketAddr, device: &Device, thinks: Duration) -> Duration {
    let Device { address, username, password, inform } = device;
    let began = Instant::now();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(*address, 0)).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let (status, head) = exchange(&mut stream, "", inform).await;
    assert_eq!(status, 401, "the challenge");
    let header = field(&head, "www-authenticate").expect("a challenge");
    let challenges = parse_challenges(&header);
    let answer = answer_challenge(
        &challenges,
        &RequestToAnswer {
            username,
            password,
            method: "POST",
            uri: "/",
            cnonce: "0123456789abcdef",
            nonce_count: 1,
            allow_basic: false,
            at_least: None,
        },
    )
    .unwrap();
    let (status, head) = exchange(&mut stream, &format!("Authorization: {answer}\r\n"), inform).await;
    assert_eq!(status, 200, "the InformResponse");
    let cookie = field(&head, "set-cookie").expect("a cookie");
    let cookie = cookie.split(';').next().unwrap();
    let mut thought = Duration::ZERO;
    if !thinks.is_zero() {
        let from = Instant::now();
        tokio::time::sleep(thinks).await; // tidy: allow(sleep) the device does something else
        thought = from.elapsed();
    }
    let (status, _) = exchange(&mut stream, &format!("Cookie: {cookie}\r\n"), b"").await;
    assert_eq!(status, 204, "nothing more to do");
    began.elapsed() - thought
}

async fn exchange(stream: &mut TcpStream, more: &str, body: &[u8]) -> (u16, String) {
    let mut request = format!(
        "POST / HTTP/1.1\r\nHost: acs\r\nContent-Type: text/xml; charset=utf-8\r\n{more}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    stream.write_all(&request).await.unwrap();
    let mut answer = Vec::with_capacity(2_048);
    let (head, start) = loop {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "the server hung up");
        if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&answer[..at]).into_owned(), at + 4);
        }
    };
    let length = field(&head, "content-length").map_or(0, |text| text.parse::<usize>().unwrap());
    while answer.len() < start + length {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the server hung up");
    }
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head)
}

/// A header of an answer; of several with the same name the first.
fn field(head: &str, name: &str) -> Option<String> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
}
