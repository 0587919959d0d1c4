//! Terminals on real sockets.

pub(crate) mod ssh;
pub(crate) mod telnet;

use super::{control::OltHandle, terminal::Action, terminal::Terminal};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::broadcast::error::RecvError;

/// How a terminal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// In good order, by either side.
    Closed,
    /// The connection is to be broken.
    Cut,
}

/// What stands between the bytes of the socket and those of the terminal.
pub(crate) trait Filter: Send {
    /// Takes out the protocol; the second part goes straight back to the peer.
    fn incoming(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<u8>);
}

/// No protocol at all (SSH channels).
pub(crate) struct Plain;

impl Filter for Plain {
    fn incoming(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (bytes.to_vec(), Vec::new())
    }
}

/// Runs a terminal over a stream until one side ends it.
pub(crate) async fn run<S>(
    olt: &OltHandle,
    mut stream: S,
    mut filter: impl Filter,
    mut terminal: Terminal,
    greeting: Vec<Action>,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut noise = olt.noise();
    let mut restarts = olt.restarts();
    let mut buffer = [0u8; 4096];
    let mut actions = greeting;
    let end = loop {
        match carry_out(&mut stream, std::mem::take(&mut actions)).await {
            Ok(None) => {}
            Ok(Some(end)) => break end,
            Err(_) => break End::Closed,
        }
        let idle = async {
            match terminal.idle_timeout_s() {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(0) | Err(_) => break End::Closed,
                Ok(n) => {
                    let (data, back) = filter.incoming(&buffer[..n]);
                    if !back.is_empty() {
                        actions.push(Action::Send(back));
                    }
                    actions.extend(olt.with(|core, now| terminal.input(core, &data, now)));
                }
            },
            heard = noise.recv() => match heard {
                Ok(noise) => actions = terminal.noise(&noise),
                // Too much noise for a slow terminal: some of it is lost, as on the real one.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break End::Cut,
            },
            _ = restarts.changed() => break End::Cut,
            () = idle => actions = terminal.timed_out(),
        }
    };
    olt.with(|core, _| terminal.closed(core));
    if end == End::Closed {
        let _ = stream.shutdown().await;
    }
    end
}

async fn carry_out<S>(stream: &mut S, actions: Vec<Action>) -> std::io::Result<Option<End>>
where
    S: AsyncWrite + Unpin,
{
    for action in actions {
        match action {
            Action::Send(bytes) => stream.write_all(&bytes).await?,
            Action::WaitMs(ms) => {
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            Action::Close => {
                stream.flush().await?;
                return Ok(Some(End::Closed));
            }
            Action::Cut => return Ok(Some(End::Cut)),
        }
    }
    stream.flush().await?;
    Ok(None)
}
