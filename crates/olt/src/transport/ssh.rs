//! SSH through russh: a pseudo-terminal and a shell, as a person would have. Modern algorithms by default; the legacy
//! set only where the OLT's row asks for it. The host key is pinned at first use.

use super::{CliTransport, ConnectError};
use crate::machine::Credentials;
use russh::{
    AlgorithmKind, Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Preferred, cipher,
    client::{self, KeyboardInteractiveAuthResponse},
    kex,
    keys::{Algorithm, HashAlg, PublicKeyOrCertificate},
    mac,
};
use std::{
    borrow::Cow,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpStream;

/// What to connect to.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// `host:port`
    pub address: String,
    /// Account and password.
    pub credentials: Credentials,
    /// Also offer algorithms that are broken or weak, for devices that know no others.
    pub legacy_algorithms: bool,
    /// The fingerprint seen at first use (`SHA256:…`); `None` = accept and report what is shown.
    pub pinned_host_key: Option<String>,
    /// Terminal columns.
    pub columns: u16,
    /// Terminal rows.
    pub rows: u16,
    /// For connecting, and again for the handshake and login.
    pub timeout: Duration,
}

/// Without `ssh-rsa`: RSA keys are fine, their SHA-1 signatures are not.
const MODERN_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Appended to the modern lists, so that a device that can do better does.
const LEGACY_KEX: &[kex::Name] = &[
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA1,
    kex::DH_G14_SHA1,
    kex::DH_G1_SHA1,
];
const LEGACY_CIPHERS: &[cipher::Name] =
    &[cipher::AES_256_CBC, cipher::AES_192_CBC, cipher::AES_128_CBC, cipher::TRIPLE_DES_CBC];
const LEGACY_MACS: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];
const LEGACY_KEYS: &[Algorithm] = &[Algorithm::Rsa { hash: None }, Algorithm::Dsa];

/// What we offer.
fn preferred(legacy: bool) -> Preferred {
    let modern = Preferred { key: Cow::Borrowed(MODERN_KEYS), ..Preferred::DEFAULT };
    if !legacy {
        return modern;
    }
    let mut kex = modern.kex.into_owned();
    // Before the pseudo-algorithms at the end of the list; their order does not matter.
    kex.extend(LEGACY_KEX);
    Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned([MODERN_KEYS, LEGACY_KEYS].concat()),
        cipher: Cow::Owned([&*modern.cipher, LEGACY_CIPHERS].concat()),
        mac: Cow::Owned([&*modern.mac, LEGACY_MACS].concat()),
        compression: modern.compression,
        host_key_certificates: modern.host_key_certificates,
    }
}

#[derive(Debug)]
struct Handler {
    pinned: Option<String>,
    shown: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Handler {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let fingerprint = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.fingerprint(HashAlg::Sha256).to_string(),
            PublicKeyOrCertificate::Certificate(certificate) => {
                certificate.public_key().fingerprint(HashAlg::Sha256).to_string()
            }
        };
        let fits = self.pinned.as_ref().is_none_or(|pinned| *pinned == fingerprint);
        if let Ok(mut shown) = self.shown.lock() {
            *shown = Some(fingerprint);
        }
        Ok(fits)
    }
}

/// An SSH shell.
pub struct SshTransport {
    // Dropping the handle closes the connection.
    handle: client::Handle<Handler>,
    read: ChannelReadHalf,
    write: ChannelWriteHalf<client::Msg>,
}

impl std::fmt::Debug for SshTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SshTransport")
    }
}

/// Connects a TCP stream.
pub(super) async fn tcp(address: &str, timeout: Duration) -> Result<TcpStream, ConnectError> {
    let unreachable = |reason: String| ConnectError::Unreachable { address: address.to_owned(), reason };
    match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            // Small questions and answers: never wait to fill a packet.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(unreachable(error.to_string())),
        Err(_) => Err(ConnectError::TimedOut {
            address: address.to_owned(),
            phase: "TCP connection",
            after_s: timeout.as_secs(),
        }),
    }
}

fn kind_word(kind: &AlgorithmKind) -> &'static str {
    match kind {
        AlgorithmKind::Kex => "key exchange",
        AlgorithmKind::Key => "host key algorithm",
        AlgorithmKind::Cipher => "cipher",
        AlgorithmKind::Compression => "compression",
        AlgorithmKind::Mac => "message authentication",
    }
}

fn legacy_names() -> Vec<String> {
    let mut out: Vec<String> = LEGACY_KEX.iter().map(|n| n.as_ref().to_owned()).collect();
    out.extend(LEGACY_CIPHERS.iter().map(|n| n.as_ref().to_owned()));
    out.extend(LEGACY_MACS.iter().map(|n| n.as_ref().to_owned()));
    out.extend(LEGACY_KEYS.iter().map(|n| n.as_str().to_owned()));
    out
}

impl SshTransport {
    /// Connects, checks the host key, logs in, opens a terminal and a shell. Returns the fingerprint of the host
    /// key, to be pinned by the caller.
    ///
    /// # Errors
    /// [`ConnectError`], in words for an operator.
    pub async fn connect(target: &SshTarget) -> Result<(Self, String), ConnectError> {
        let stream = tcp(&target.address, target.timeout).await?;
        match tokio::time::timeout(target.timeout, Self::handshake(target, stream)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::TimedOut {
                address: target.address.clone(),
                phase: "SSH login",
                after_s: target.timeout.as_secs(),
            }),
        }
    }

    async fn handshake(target: &SshTarget, stream: TcpStream) -> Result<(Self, String), ConnectError> {
        let address = &target.address;
        let protocol = |error: russh::Error| ConnectError::Protocol {
            address: address.clone(),
            reason: error.to_string(),
        };
        let shown = Arc::new(Mutex::new(None));
        let config = client::Config {
            preferred: preferred(target.legacy_algorithms),
            nodelay: true,
            ..client::Config::default()
        };
        let handler = Handler { pinned: target.pinned_host_key.clone(), shown: Arc::clone(&shown) };
        let fingerprint = || shown.lock().ok().and_then(|s| s.clone());
        let connected = client::connect_stream(Arc::new(config), stream, handler).await;
        let mut handle =
            connected.map_err(|error| match (&error, fingerprint(), &target.pinned_host_key) {
                (russh::Error::NoCommonAlgo { kind, theirs, .. }, _, _) => {
                    let legacy = legacy_names();
                    ConnectError::Algorithms {
                        address: address.clone(),
                        kind: kind_word(kind),
                        theirs: theirs.join(", "),
                        legacy_would_help: !target.legacy_algorithms
                            && theirs.iter().any(|t| legacy.contains(t)),
                    }
                }
                (_, Some(shown), Some(pinned)) if shown != *pinned => {
                    ConnectError::HostKeyChanged { address: address.clone(), pinned: pinned.clone(), shown }
                }
                _ => protocol(error),
            })?;
        Self::log_in(&mut handle, target).await?;
        let channel: Channel<client::Msg> = handle.channel_open_session().await.map_err(protocol)?;
        channel
            .request_pty(true, "vt100", u32::from(target.columns), u32::from(target.rows), 0, 0, &[])
            .await
            .map_err(protocol)?;
        channel.request_shell(true).await.map_err(protocol)?;
        let (read, write) = channel.split();
        let fingerprint = fingerprint().ok_or_else(|| ConnectError::Protocol {
            address: address.clone(),
            reason: "the server showed no host key".to_owned(),
        })?;
        Ok((SshTransport { handle, read, write }, fingerprint))
    }

    async fn log_in(handle: &mut client::Handle<Handler>, target: &SshTarget) -> Result<(), ConnectError> {
        let protocol = |error: russh::Error| ConnectError::Protocol {
            address: target.address.clone(),
            reason: error.to_string(),
        };
        let Credentials { username, password } = &target.credentials;
        if handle.authenticate_password(username, password.expose()).await.map_err(protocol)?.success() {
            return Ok(());
        }
        // Some OLTs take the password only in a dialogue.
        let refused = ConnectError::LoginRefused {
            address: target.address.clone(),
            username: username.clone(),
            reason: "wrong name or password".to_owned(),
        };
        let mut answer = match handle.authenticate_keyboard_interactive_start(username, None).await {
            Ok(answer) => answer,
            // Many servers hang up after the first refusal.
            Err(_) => return Err(refused),
        };
        for _ in 0..4 {
            match answer {
                KeyboardInteractiveAuthResponse::Success => return Ok(()),
                KeyboardInteractiveAuthResponse::Failure { .. } => break,
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                    let answers = prompts
                        .iter()
                        .map(|p| if p.echo { username.clone() } else { password.expose().to_owned() })
                        .collect();
                    answer = match handle.authenticate_keyboard_interactive_respond(answers).await {
                        Ok(answer) => answer,
                        Err(_) => break,
                    };
                }
            }
        }
        Err(refused)
    }
}

#[async_trait::async_trait]
impl CliTransport for SshTransport {
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.read.wait().await {
                Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                    if !data.is_empty() {
                        return Ok(data.to_vec());
                    }
                }
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => return Ok(Vec::new()),
                Some(ChannelMsg::Failure) => {
                    return Err(io::Error::other("the OLT refused the terminal or the shell"));
                }
                Some(_) => {}
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.data_bytes(bytes.to_vec()).await.map_err(|e| io::Error::other(e.to_string()))
    }

    async fn close(&mut self) {
        let _ = self.write.close().await;
        let _ = self.handle.disconnect(russh::Disconnect::ByApplication, "", "en").await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_algorithms_are_offered_only_on_request() {
        let modern = preferred(false);
        let names = |p: &Preferred| {
            let mut out: Vec<String> = p.kex.iter().map(|n| n.as_ref().to_owned()).collect();
            out.extend(p.cipher.iter().map(|n| n.as_ref().to_owned()));
            out.extend(p.mac.iter().map(|n| n.as_ref().to_owned()));
            out.extend(p.key.iter().map(|n| n.as_str().to_owned()));
            out
        };
        for weak in
            ["diffie-hellman-group1-sha1", "3des-cbc", "aes128-cbc", "hmac-sha1", "ssh-rsa", "ssh-dss"]
        {
            assert!(!names(&modern).contains(&weak.to_owned()), "{weak}");
            assert!(names(&preferred(true)).contains(&weak.to_owned()), "{weak}");
        }
        // What is modern stays preferred.
        assert_eq!(names(&preferred(true))[0], names(&modern)[0]);
    }
}
