//! How long a connection waits for whoever takes nothing: not long for a message, longer for a file, because devices stop
//! taking one while they erase and write their flash.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_io_timeout::TimeoutStream;

/// A connection carries messages.
const MESSAGES: u64 = 0;

/// What a connection carries now; its requests say it, its stream asks.
#[derive(Debug)]
pub(crate) struct Carries {
    began: Instant,
    /// Milliseconds after that by which the file must be taken, or [`MESSAGES`].
    until_ms: AtomicU64,
}

impl Carries {
    pub(crate) fn messages() -> Arc<Self> {
        Arc::new(Carries { began: Instant::now(), until_ms: AtomicU64::new(MESSAGES) })
    }

    pub(crate) fn a_message_now(&self) {
        self.until_ms.store(MESSAGES, Ordering::Relaxed);
    }

    pub(crate) fn a_file_now(&self, until: Instant) {
        let ms = until.saturating_duration_since(self.began).as_millis();
        self.until_ms.store(u64::try_from(ms).unwrap_or(u64::MAX).max(MESSAGES + 1), Ordering::Relaxed);
    }
}

/// A stream whose other side must take what is sent: something within a while, and a file in the time that it has.
pub(crate) struct Patient<S> {
    stream: Pin<Box<TimeoutStream<S>>>,
    carries: Arc<Carries>,
    message: Duration,
    file: Duration,
    waits_as_for_a_file: bool,
}

impl<S: AsyncRead + AsyncWrite> Patient<S> {
    pub(crate) fn new(stream: S, carries: Arc<Carries>, message: Duration, file: Duration) -> Self {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(message));
        Patient { stream: Box::pin(stream), carries, message, file, waits_as_for_a_file: false }
    }

    fn look(&mut self) -> io::Result<()> {
        let until_ms = self.carries.until_ms.load(Ordering::Relaxed);
        let file = until_ms != MESSAGES;
        if file && self.carries.began.elapsed().as_millis() > u128::from(until_ms) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the file is taken too slowly"));
        }
        if file != self.waits_as_for_a_file {
            self.waits_as_for_a_file = file;
            let patience = if file { self.file } else { self.message };
            self.stream.as_mut().set_write_timeout_pinned(Some(patience));
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.look()?;
        self.stream.as_mut().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.look()?;
        self.stream.as_mut().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    const MESSAGE: Duration = Duration::from_millis(40);
    const FILE: Duration = Duration::from_secs(3600);

    /// Writes until nothing more is taken, and says with what that ends, if it does within some times of a message's.
    async fn filled(carries: &Arc<Carries>) -> Option<io::ErrorKind> {
        let (ours, _theirs) = tokio::io::duplex(64);
        let mut stream = Patient::new(ours, carries.clone(), MESSAGE, FILE);
        let written = tokio::time::timeout(MESSAGE * 10, stream.write_all(&[0; 1000])).await;
        written.ok().map(|ended| ended.expect_err("nobody takes it").kind())
    }

    #[tokio::test]
    async fn a_file_waits_longer_and_not_for_ever() {
        let carries = Carries::messages();
        assert_eq!(filled(&carries).await, Some(io::ErrorKind::TimedOut));
        carries.a_file_now(Instant::now() + FILE);
        assert_eq!(filled(&carries).await, None, "it still waits");
        carries.a_message_now();
        assert_eq!(filled(&carries).await, Some(io::ErrorKind::TimedOut));
        carries.a_file_now(carries.began);
        assert_eq!(filled(&carries).await, Some(io::ErrorKind::TimedOut), "its time is over");
    }
}
