//! A small time server (RFC 4330, server mode), for management networks from which no public one can be reached.
//!
//! Without a right clock a CPE is not configured at all, so the ACS can tell the time itself. One datagram in, one
//! of the same size out: nothing is amplified.

use crate::{AcsError, Networks, rate::RateLimiter};
use std::{future::Future, net::SocketAddr, sync::Arc, time::Instant};
use tokio::net::UdpSocket;
use types::{Clock, UtcMs};

const PACKET_BYTES: usize = 48;
/// Seconds from 1900 to 1970.
const EPOCH_OFFSET_S: i64 = 2_208_988_800;
/// A clock before this is not set, and telling it would spread the fault.
const EARLIEST_YEAR: i16 = 2020;

/// How time is served.
#[derive(Debug, Clone)]
pub struct SntpConfig {
    /// Where to listen, usually port 123.
    pub address: SocketAddr,
    /// Who is answered.
    pub allowed_from: Networks,
    /// Requests that one address may send per second …
    pub rate_per_s: f64,
    /// … and at once.
    pub rate_burst: f64,
    /// The stratum told: one more than that of the server this machine takes its time from.
    pub stratum: u8,
}

impl SntpConfig {
    /// For these networks, with the default limits.
    pub fn new(address: SocketAddr, allowed_from: Networks) -> Self {
        SntpConfig { address, allowed_from, rate_per_s: 2.0, rate_burst: 16.0, stratum: 4 }
    }
}

/// The time server, bound but not running yet.
#[derive(Debug)]
pub struct SntpServer {
    socket: UdpSocket,
    config: SntpConfig,
    clock: Arc<dyn Clock>,
    limiter: RateLimiter,
}

impl SntpServer {
    /// Opens the socket.
    ///
    /// # Errors
    /// [`AcsError::Listen`] if the address cannot be had; port 123 needs the right to bind low ports.
    pub async fn bind(config: SntpConfig, clock: Arc<dyn Clock>) -> Result<Self, AcsError> {
        let address = config.address;
        let socket = UdpSocket::bind(address).await.map_err(|source| AcsError::Listen {
            what: "SNTP",
            address,
            source,
        })?;
        let limiter = RateLimiter::new(config.rate_per_s, config.rate_burst);
        Ok(SntpServer { socket, config, clock, limiter })
    }

    /// Where time is served.
    pub fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// Serves until `stop`.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        // Longer requests carry extensions or authentication, which are not answered.
        let mut buffer = [0; 512];
        loop {
            let received = tokio::select! {
                () = &mut stop => return,
                received = self.socket.recv_from(&mut buffer) => received,
            };
            // Errors here are ICMP answers to earlier datagrams.
            let Ok((length, peer)) = received else { continue };
            let address = peer.ip().to_canonical();
            if !self.config.allowed_from.contains(address) || !self.limiter.allow(address, Instant::now()) {
                continue;
            }
            if let Some(answer) = answer(&buffer[..length], self.clock.now(), self.config.stratum) {
                let _ = self.socket.send_to(&answer, peer).await;
            }
        }
    }
}

/// The answer to a request; `None` if it is no client request, or if our own clock is not set.
fn answer(request: &[u8], now: UtcMs, stratum: u8) -> Option<[u8; PACKET_BYTES]> {
    const CLIENT: u8 = 3;
    const SERVER: u8 = 4;
    let request: &[u8; PACKET_BYTES] = request.get(..PACKET_BYTES)?.try_into().ok()?;
    let (version, mode) = ((request[0] >> 3) & 7, request[0] & 7);
    if mode != CLIENT || !(1..=4).contains(&version) || now.year() < EARLIEST_YEAR {
        return None;
    }
    let time = timestamp(now);
    let mut answer = [0; PACKET_BYTES];
    answer[0] = (version << 3) | SERVER;
    answer[1] = stratum.clamp(1, 15);
    answer[2] = request[2];
    // 2^-10 s: the clock is read in milliseconds.
    answer[3] = (-10i8).to_be_bytes()[0];
    // Root dispersion 0.125 s in 16.16 fixed point.
    answer[8..12].copy_from_slice(&0x0000_2000u32.to_be_bytes());
    answer[12..16].copy_from_slice(b"LOCL");
    // Reference time: this clock, now.
    answer[16..24].copy_from_slice(&time);
    // Originate time: what the client sent as its transmit time, by which it knows its answer.
    answer[24..32].copy_from_slice(&request[40..48]);
    answer[32..40].copy_from_slice(&time);
    answer[40..48].copy_from_slice(&time);
    Some(answer)
}

/// Seconds since 1900 in 32.32 fixed point. Wraps in 2036, as the protocol does (RFC 4330, 3).
fn timestamp(now: UtcMs) -> [u8; 8] {
    let seconds = now.0.div_euclid(1000).wrapping_add(EPOCH_OFFSET_S);
    let fraction = (now.0.rem_euclid(1000) << 32) / 1000;
    let whole = ((seconds as u64) << 32) | fraction as u64;
    whole.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::ManualClock;

    fn request(version: u8, mode: u8) -> [u8; PACKET_BYTES] {
        let mut request = [0; PACKET_BYTES];
        request[0] = (version << 3) | mode;
        request[2] = 6;
        request[40..48].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        request
    }

    const NOW: UtcMs = UtcMs(1_795_269_000_500);

    #[test]
    fn a_client_gets_the_time() {
        let answer = answer(&request(4, 3), NOW, 4).expect("answered");
        assert_eq!((answer[0], answer[1], answer[2]), (0b00_100_100, 4, 6));
        assert_eq!(answer[24..32], [1, 2, 3, 4, 5, 6, 7, 8]);
        let seconds = u32::from_be_bytes(answer[40..44].try_into().expect("4 bytes"));
        let fraction = u32::from_be_bytes(answer[44..48].try_into().expect("4 bytes"));
        assert_eq!(i64::from(seconds) - EPOCH_OFFSET_S, 1_795_269_000);
        assert_eq!(fraction, 1 << 31);
        assert_eq!(super::answer(&request(3, 3), NOW, 4).expect("answered")[0], 0b00_011_100);
    }

    #[test]
    fn nothing_else_is_answered() {
        for (version, mode) in [(4, 4), (4, 5), (4, 6), (4, 7), (0, 3), (5, 3)] {
            assert_eq!(answer(&request(version, mode), NOW, 4), None, "version {version} mode {mode}");
        }
        assert_eq!(answer(&request(4, 3)[..47], NOW, 4), None);
        assert_eq!(answer(&[], NOW, 4), None);
        let unset = UtcMs::from_s(347_155_200);
        assert_eq!(answer(&request(4, 3), unset, 4), None, "1981 is not told");
    }

    #[tokio::test]
    async fn over_a_socket_within_networks_and_rate() {
        let clock = Arc::new(ManualClock::new(NOW));
        let here = |text: &str| vec![text.parse::<app::ports::Cidr>().expect("network")];
        let config = SntpConfig {
            rate_per_s: 0.001,
            rate_burst: 2.0,
            ..SntpConfig::new("127.0.0.1:0".parse().expect("address"), here("127.0.0.2/32").into())
        };
        let server = SntpServer::bind(config, clock).await.expect("bound");
        let to = server.address().expect("address");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let outsider = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
        let device = UdpSocket::bind("127.0.0.2:0").await.expect("bound");
        outsider.send_to(&request(4, 3), to).await.expect("sent");
        let mut buffer = [0; 64];
        for _ in 0..2 {
            device.send_to(&request(4, 3), to).await.expect("sent");
            let (length, from) = device.recv_from(&mut buffer).await.expect("answered");
            assert_eq!((length, from), (PACKET_BYTES, to));
        }
        // The third one is over the rate; nothing more is sent before the server has stopped.
        device.send_to(&request(4, 3), to).await.expect("sent");
        device.send_to(b"noise", to).await.expect("sent");
        stop.send(()).expect("running");
        task.await.expect("stopped");
        let nothing = |socket: &UdpSocket| socket.try_recv_from(&mut [0; 64]).is_err();
        assert!(nothing(&outsider) && nothing(&device));
    }
}
