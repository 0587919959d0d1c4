//! The HTTP client of a CPE: small, and able to be wrong at the level of bytes.

use async_trait::async_trait;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Most bytes of a response head.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Most bytes of a response body.
const MAX_BODY_BYTES: usize = 16 << 20;

/// A POST to the ACS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Post {
    /// The request target.
    pub target: String,
    /// The `Host` header.
    pub host: String,
    /// Further headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// A Content-Length that is not the length of the body.
    pub declared_length: Option<usize>,
}

impl Post {
    /// The bytes on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("POST {} HTTP/1.1\r\nHost: {}\r\n", self.target, self.host);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = self.declared_length.unwrap_or(self.body.len());
        head.push_str(&format!("Content-Length: {length}\r\n\r\n"));
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A response of the ACS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// All values of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection.
    #[error("the ACS at {address} cannot be reached: {source}")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection to the ACS broke: {0}")]
    Broken(#[from] std::io::Error),
    /// Nothing came in time.
    #[error("the ACS did not answer within {0:?}")]
    Timeout(Duration),
    /// What came is not HTTP.
    #[error("the ACS answered something that is not HTTP: {0}")]
    NotHttp(&'static str),
    /// The URL is not `http://host[:port]/path`.
    #[error("the ACS URL {0:?} is not usable (http://host[:port]/path)")]
    Url(String),
}

/// How a CPE reaches its ACS. The sockets of the demo implement it, and so do scripted ACSs in tests.
#[async_trait]
pub trait AcsTransport: Send {
    /// Sends a request and waits for its response.
    async fn post(&mut self, post: Post) -> Result<Response, TransportError>;

    /// Drops the connection, as a device does that restarts.
    fn disconnect(&mut self);
}

/// An `http` URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Host and port as the `Host` header says them.
    pub host: String,
    /// `host:port` to connect to.
    pub authority: String,
    /// Path and query.
    pub target: String,
}

impl Url {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// When it is not `http://host[:port]/path`.
    pub fn parse(text: &str) -> Result<Url, TransportError> {
        let error = || TransportError::Url(text.chars().take(256).collect());
        let rest = text.trim().strip_prefix("http://").ok_or_else(error)?;
        let (host, target) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        if host.is_empty() || host.contains('@') || host.chars().any(char::is_whitespace) {
            return Err(error());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { host.to_owned() } else { format!("{host}:80") };
        Ok(Url { host: host.to_owned(), authority, target: target.to_owned() })
    }
}

/// A TCP connection from the device's own address.
#[derive(Debug)]
pub struct TcpTransport {
    authority: String,
    from: Option<IpAddr>,
    patience: Duration,
    stream: Option<TcpStream>,
}

impl TcpTransport {
    /// To the ACS of a URL, from `from`, waiting `patience` for every answer.
    pub fn new(url: &Url, from: Option<IpAddr>, patience: Duration) -> TcpTransport {
        TcpTransport { authority: url.authority.clone(), from, patience, stream: None }
    }

    async fn connect(&self) -> Result<TcpStream, TransportError> {
        let failed = |source| TransportError::Connect { address: self.authority.clone(), source };
        let mut addresses = tokio::net::lookup_host(&self.authority).await.map_err(failed)?;
        let address = addresses
            .find(|address| self.from.is_none_or(|from| from.is_ipv4() == address.is_ipv4()))
            .ok_or_else(|| failed(std::io::Error::from(std::io::ErrorKind::AddrNotAvailable)))?;
        let socket =
            if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
        // Loopback reaches loopback only; an ACS elsewhere sees this machine's own address.
        if let Some(from) = self.from.filter(|from| !from.is_loopback() || address.ip().is_loopback()) {
            socket.bind(SocketAddr::new(from, 0)).map_err(failed)?;
        }
        let stream = socket.connect(address).await.map_err(failed)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> Result<(Response, bool), TransportError> {
        stream.write_all(bytes).await?;
        read_response(stream).await
    }
}

#[async_trait]
impl AcsTransport for TcpTransport {
    async fn post(&mut self, post: Post) -> Result<Response, TransportError> {
        let (bytes, patience) = (post.to_bytes(), self.patience);
        let work = async {
            let reused = self.stream.is_some();
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => self.connect().await?,
            };
            let first = Self::exchange(&mut stream, &bytes).await;
            let (response, keep) = match first {
                // The ACS may have closed the idle connection: once more on a new one.
                Err(TransportError::Broken(error)) if reused && is_closed(&error) => {
                    stream = self.connect().await?;
                    Self::exchange(&mut stream, &bytes).await?
                }
                other => other?,
            };
            if keep {
                self.stream = Some(stream);
            }
            Ok(response)
        };
        match timeout(patience, work).await {
            Ok(result) => result,
            Err(_) => Err(TransportError::Timeout(patience)),
        }
    }

    fn disconnect(&mut self) {
        self.stream = None;
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// Reads bytes up to the blank line after a head. What follows the head is returned too.
pub(super) async fn read_head<R: AsyncRead + Unpin>(
    stream: &mut R,
    most: usize,
) -> Result<(String, Vec<u8>), TransportError> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(at + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if bytes.len() > most {
            return Err(TransportError::NotHttp("the head is too long"));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// Headers of a head, names in lower case, without the first line.
pub(super) fn headers_of(head: &str) -> Vec<(String, String)> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

/// Reads a response; true if the connection can be used again.
async fn read_response<R: AsyncRead + Unpin>(stream: &mut R) -> Result<(Response, bool), TransportError> {
    loop {
        let (head, mut rest) = read_head(stream, MAX_HEAD_BYTES).await?;
        let mut words = head.split_ascii_whitespace();
        let http = words.next().unwrap_or_default();
        if !http.starts_with("HTTP/1.") {
            return Err(TransportError::NotHttp("no status line"));
        }
        let status: u16 =
            words.next().and_then(|word| word.parse().ok()).ok_or(TransportError::NotHttp("no status"))?;
        let headers = headers_of(&head);
        let mut response = Response { status, headers, body: Vec::new() };
        if status == 100 {
            continue;
        }
        let closes = response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
            || http == "HTTP/1.0";
        let chunked = response.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
        let length = response.header("content-length").map(str::parse::<usize>);
        if status == 204 || status == 304 {
            return Ok((response, !closes));
        }
        if chunked {
            response.body = read_chunks(stream, rest).await?;
            return Ok((response, !closes));
        }
        match length {
            Some(Ok(length)) if length <= MAX_BODY_BYTES => {
                while rest.len() < length {
                    if stream.read_buf(&mut rest).await? == 0 {
                        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
                    }
                }
                rest.truncate(length);
                response.body = rest;
                return Ok((response, !closes));
            }
            Some(_) => return Err(TransportError::NotHttp("a senseless Content-Length")),
            None => {
                while stream.read_buf(&mut rest).await? > 0 {
                    if rest.len() > MAX_BODY_BYTES {
                        return Err(TransportError::NotHttp("the body is too long"));
                    }
                }
                response.body = rest;
                return Ok((response, false));
            }
        }
    }
}

async fn read_chunks<R: AsyncRead + Unpin>(
    stream: &mut R,
    mut rest: Vec<u8>,
) -> Result<Vec<u8>, TransportError> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&rest[..at]).into_owned();
                rest.drain(..at + 2);
                break line;
            }
            if rest.len() > MAX_HEAD_BYTES || stream.read_buf(&mut rest).await? == 0 {
                return Err(TransportError::NotHttp("a broken chunk"));
            }
        };
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| TransportError::NotHttp("a broken chunk size"))?;
        if body.len() + size > MAX_BODY_BYTES {
            return Err(TransportError::NotHttp("the body is too long"));
        }
        while rest.len() < size + 2 {
            if stream.read_buf(&mut rest).await? == 0 {
                return Err(TransportError::NotHttp("a broken chunk"));
            }
        }
        body.extend_from_slice(&rest[..size]);
        rest.drain(..size + 2);
        if size == 0 {
            return Ok(body);
        }
    }
}
