//! SSH as the box speaks it: password or keyboard-interactive, a shell, nothing else.

use super::{End, Plain, run};
use crate::olt::{
    control::OltHandle,
    persist::replace,
    session::Via,
    spec::{OltSpec, SshAlgorithms},
    terminal::Terminal,
};
use russh::{
    Channel, ChannelId, Disconnect, MethodKind, MethodSet, Preferred, Pty, cipher, compression, kex,
    keys::{Algorithm, PrivateKey, key::safe_rng, ssh_key::LineEnding},
    mac,
    server::{self, Auth, ChannelOpenHandle, Msg, Response, Session},
};
use std::{borrow::Cow, path::Path, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// Connections at once, logged in or not.
const MAX_CONNECTIONS: usize = 16;
/// How long a peer may keep the connection after its shell has ended.
const HANG_UP_AFTER: Duration = Duration::from_secs(2);

/// Host key files are unusable.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// Not readable or writable.
    #[error("SSH host key {path}: {source}")]
    Io {
        /// File.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a key, or none could be made.
    #[error("SSH host key: {0}")]
    Key(String),
}

/// The host key of the box: read from its folder, or made and kept there, so that a client that remembers it is not
/// alarmed after a restart.
pub(crate) fn host_key(spec: &OltSpec) -> Result<PrivateKey, HostKeyError> {
    let (algorithm, file) = match spec.listen.ssh_algorithms {
        SshAlgorithms::Modern => (Algorithm::Ed25519, "host_ed25519"),
        SshAlgorithms::LegacyOnly => (Algorithm::Rsa { hash: None }, "host_rsa"),
    };
    let path = spec.state_dir.as_deref().map(|dir| dir.join(file));
    if let Some(path) = &path
        && path.exists()
    {
        let text = std::fs::read_to_string(path)
            .map_err(|source| HostKeyError::Io { path: path.clone(), source })?;
        return PrivateKey::from_openssh(text).map_err(|error| HostKeyError::Key(error.to_string()));
    }
    let key = PrivateKey::random(&mut safe_rng(), algorithm)
        .map_err(|error| HostKeyError::Key(error.to_string()))?;
    if let Some(path) = &path {
        keep(path, &key)?;
    }
    Ok(key)
}

fn keep(path: &Path, key: &PrivateKey) -> Result<(), HostKeyError> {
    let io = |source| HostKeyError::Io { path: path.to_owned(), source };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(io)?;
    }
    let text = key.to_openssh(LineEnding::LF).map_err(|error| HostKeyError::Key(error.to_string()))?;
    replace(path, text.as_bytes()).map_err(io)
}

fn preferred(algorithms: SshAlgorithms) -> Preferred {
    match algorithms {
        SshAlgorithms::Modern => Preferred::default(),
        SshAlgorithms::LegacyOnly => Preferred {
            kex: Cow::Borrowed(&[kex::DH_G1_SHA1, kex::DH_G14_SHA1]),
            key: Cow::Borrowed(&[Algorithm::Rsa { hash: None }]),
            cipher: Cow::Borrowed(&[cipher::AES_128_CBC, cipher::TRIPLE_DES_CBC]),
            mac: Cow::Borrowed(&[mac::HMAC_SHA1]),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::default()
        },
    }
}

/// Accepts connections until the box is stopped.
pub(crate) async fn serve(olt: OltHandle, listener: TcpListener, key: PrivateKey, algorithms: SshAlgorithms) {
    let config = Arc::new(server::Config {
        methods: MethodSet::from(&[MethodKind::Password, MethodKind::KeyboardInteractive][..]),
        auth_rejection_time: Duration::from_millis(200),
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: 3,
        keys: vec![key],
        preferred: preferred(algorithms),
        inactivity_timeout: None,
        nodelay: true,
        ..server::Config::default()
    });
    let slots = Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
                let (olt, config) = (olt.clone(), Arc::clone(&config));
                tasks.spawn(async move {
                    connection(olt, config, stream).await;
                    drop(slot);
                });
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// One connection. The bytes go through a pipe of our own, so that a cut can drop the socket at once and in the
/// middle of anything, as a broken line does.
async fn connection(olt: OltHandle, config: Arc<server::Config>, mut stream: TcpStream) {
    if !olt.is_up() {
        return;
    }
    let _ = stream.set_nodelay(true);
    let cut = Arc::new(Notify::new());
    let (inner, mut outer) = tokio::io::duplex(64 * 1024);
    let handler = Handler { olt, user: String::new(), channel: None, cut: Arc::clone(&cut) };
    let session = async move {
        if let Ok(running) = server::run_stream(config, inner, handler).await {
            let _ = running.await;
        }
    };
    let session = tokio::spawn(session);
    tokio::select! {
        () = cut.notified() => {}
        _ = tokio::io::copy_bidirectional(&mut stream, &mut outer) => {}
    }
    session.abort();
}

struct Handler {
    olt: OltHandle,
    user: String,
    channel: Option<Channel<Msg>>,
    cut: Arc<Notify>,
}

impl Handler {
    fn check(&mut self, user: &str, password: &str) -> Auth {
        match self.olt.with(|core, _| core.check_login(user, password)) {
            Ok(()) => {
                user.clone_into(&mut self.user);
                Auth::Accept
            }
            Err(_) => Auth::reject(),
        }
    }
}

impl server::Handler for Handler {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.check(user, password))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        match response.and_then(|mut answers| answers.next()) {
            Some(password) => Ok(self.check(user, &String::from_utf8_lossy(&password))),
            None => Ok(Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Borrowed(""),
                prompts: Cow::Borrowed(&[(Cow::Borrowed("Password: "), false)]),
            }),
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _col_width: u32,
        _row_height: u32,
        _pix_width: u32,
        _pix_height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        let Some(channel) = self.channel.take_if(|channel| channel.id() == id) else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        let handle = session.handle();
        let (olt, user, cut) = (self.olt.clone(), self.user.clone(), Arc::clone(&self.cut));
        tokio::spawn(async move {
            let (terminal, greeting) = olt.with(|core, now| Terminal::shell(core, &user, Via::Ssh, now));
            match run(&olt, channel.into_stream(), Plain, terminal, greeting).await {
                End::Cut => cut.notify_one(),
                End::Closed => {
                    // The peer hangs up by itself once its channel is closed. Hanging up first would make OpenSSH
                    // drop what it has not shown yet; a peer that stays is sent away.
                    let _ = handle.exit_status_request(id, 0).await;
                    let _ = handle.close(id).await;
                    tokio::time::sleep(HANG_UP_AFTER).await;
                    let _ = handle.disconnect(Disconnect::ByApplication, String::new(), String::new()).await;
                }
            }
        });
        Ok(())
    }
}
