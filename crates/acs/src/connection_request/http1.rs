//! As much of an HTTP/1.1 client as a connection request needs.

use app::ports::{CallUrl, TcpSeen, Unanswered};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Bytes of headers of an answer.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Bytes of a body that are read to keep the connection for the second request.
const MAX_BODY_BYTES: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// No TCP connection.
    Unreachable(TcpSeen),
    /// Connected, and then nothing, or nothing that is HTTP.
    NoAnswer(Unanswered),
    /// The second request could not be made here.
    Ours,
}

/// What an error of a connect says of the way there.
fn seen_of(error: &io::Error) -> TcpSeen {
    match error.kind() {
        ErrorKind::ConnectionRefused => TcpSeen::Refused,
        ErrorKind::TimedOut => TcpSeen::TimedOut,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => TcpSeen::Reset,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            TcpSeen::NoRoute
        }
        _ => TcpSeen::Failed,
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a device.
pub(super) struct Exchange {
    stream: Box<dyn Stream>,
    /// Read, but not used yet.
    buffer: Vec<u8>,
    /// Something came since the last request.
    heard: bool,
}

/// The head of an answer; its body has been read and dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    /// Another request may be sent on this connection.
    pub(super) reusable: bool,
}

impl Head {
    pub(super) fn challenges(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(|(name, _)| name == "www-authenticate").map(|(_, value)| value.as_str())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// From the text before the blank line.
    fn parse(text: &str) -> Option<Head> {
        let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
        let mut status_line = lines.next()?.splitn(3, ' ');
        let version = status_line.next()?;
        if !version.starts_with("HTTP/") {
            return None;
        }
        let status: u16 = status_line.next()?.parse().ok().filter(|status| (100..=599).contains(status))?;
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines.take(64) {
            if let (Some(last), true) = (headers.last_mut(), line.starts_with([' ', '\t'])) {
                // Folded, as old servers do.
                last.1.push(' ');
                last.1.push_str(line.trim());
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        let mut head = Head { status, headers, reusable: false };
        let connection = head.header("connection").unwrap_or_default().to_ascii_lowercase();
        head.reusable = if version == "HTTP/1.1" {
            !connection.contains("close")
        } else {
            connection.contains("keep-alive")
        };
        Some(head)
    }
}

impl Exchange {
    pub(super) async fn open(url: &CallUrl, to: SocketAddr, within: Duration) -> Result<Exchange, Failure> {
        let connected = timeout(within, TcpStream::connect(to)).await;
        let stream = connected
            .map_err(|_| Failure::Unreachable(TcpSeen::TimedOut))?
            .map_err(|error| Failure::Unreachable(seen_of(&error)))?;
        // One small packet out, one small packet in.
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Stream> = if url.tls {
            let connector = TlsConnector::from(Arc::new(tls_config().ok_or(Failure::Ours)?));
            let handshake = connector.connect(ServerName::IpAddress(to.ip().into()), stream);
            let shaken = timeout(within * 2, handshake).await.ok().and_then(Result::ok);
            Box::new(shaken.ok_or(Failure::NoAnswer(Unanswered::Tls))?)
        } else {
            Box::new(stream)
        };
        Ok(Exchange { stream, buffer: Vec::new(), heard: false })
    }

    /// Why there is no answer when the time is up.
    pub(super) fn out_of_time(&self) -> Unanswered {
        if self.heard { Unanswered::Slow } else { Unanswered::Silent }
    }

    pub(super) async fn get(&mut self, url: &CallUrl, authorization: Option<&str>) -> Result<Head, Failure> {
        let authorization =
            authorization.map_or_else(String::new, |value| format!("Authorization: {value}\r\n"));
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\n{authorization}Content-Length: 0\r\n\r\n",
            url.path,
            url.authority()
        );
        self.heard = false;
        let closed = |_| Failure::NoAnswer(Unanswered::Closed);
        self.stream.write_all(request.as_bytes()).await.map_err(closed)?;
        self.stream.flush().await.map_err(closed)?;
        let mut head = self.head().await?;
        if head.reusable {
            head.reusable = self.skip_body(&head).await;
        }
        Ok(head)
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        let mut chunk = [0; 2048];
        match self.stream.read(&mut chunk).await {
            Ok(read) if read > 0 => {
                self.heard = true;
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(())
            }
            _ => Err(Failure::NoAnswer(Unanswered::Closed)),
        }
    }

    async fn head(&mut self) -> Result<Head, Failure> {
        loop {
            let crlf = find(&self.buffer, b"\r\n\r\n").map(|at| (at, at + 4));
            let end = crlf.or_else(|| find(&self.buffer, b"\n\n").map(|at| (at, at + 2)));
            if let Some((end, next)) = end {
                let text = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..next);
                let head = Head::parse(&text).ok_or(Failure::NoAnswer(Unanswered::NotHttp))?;
                // An interim answer is followed by the real one.
                if head.status >= 200 {
                    return Ok(head);
                }
            } else if self.buffer.len() > MAX_HEAD_BYTES {
                return Err(Failure::NoAnswer(Unanswered::NotHttp));
            } else {
                self.fill().await?;
            }
        }
    }

    /// Reads the body away; false if the connection cannot be used again.
    async fn skip_body(&mut self, head: &Head) -> bool {
        let length = match (head.status, head.header("content-length")) {
            (204 | 304, _) => 0,
            (_, Some(length)) => match length.parse::<usize>() {
                Ok(length) if length <= MAX_BODY_BYTES => length,
                _ => return false,
            },
            // Chunked, or up to the end of the connection: a new connection is simpler.
            (_, None) => return false,
        };
        while self.buffer.len() < length {
            if self.fill().await.is_err() {
                return false;
            }
        }
        self.buffer.drain(..length);
        true
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn tls_config() -> Option<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AnyCertificate(provider.clone()));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    Some(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// CPEs have self-signed certificates for addresses that change, so there is nothing to compare them with. What
/// protects the password is Digest, and that Basic is never answered here; TLS only hides the exchange.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heads_of_real_devices() {
        let head = Head::parse(
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\",\r\n nonce=\"y\"\r\nConnection: close",
        )
        .expect("a head");
        assert_eq!((head.status, head.reusable), (401, false));
        assert_eq!(head.challenges().collect::<Vec<_>>(), ["Digest realm=\"x\", nonce=\"y\""]);
        assert!(Head::parse("HTTP/1.1 200").is_some_and(|head| head.reusable));
        assert!(Head::parse("HTTP/1.0 200 OK\nX: y").is_some_and(|head| !head.reusable));
        assert!(Head::parse("HTTP/1.0 200 OK\nConnection: Keep-Alive").is_some_and(|head| head.reusable));
        for bad in ["", "SSH-2.0-dropbear", "HTTP/1.1", "HTTP/1.1 abc", "HTTP/1.1 999 X", "<html>"] {
            assert_eq!(Head::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_head_is_answered_without_panic(text in "(HTTP/1\\.[01] [0-9]{1,4})?\\PC{0,60}[\\r\\n :\\t]{0,9}\\PC{0,9}") {
            let _ = Head::parse(&text);
        }
    }
}
