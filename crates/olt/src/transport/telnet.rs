//! Telnet (RFC 854) as far as an OLT's terminal needs it. Options: we let the server ECHO (RFC 857) and suppress
//! go-ahead (RFC 858) in both directions, offer our window size (NAWS, RFC 1073), and refuse everything else.

use super::{CliTransport, ConnectError};
use std::{collections::BTreeSet, io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
const NAWS: u8 = 31;

/// Longest subnegotiation kept; the rest of a longer one is dropped.
const MAX_SUBNEGOTIATION: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Data,
    /// After CR: LF or NUL belong to it.
    CarriageReturn,
    Iac,
    /// After IAC and WILL, WONT, DO or DONT.
    Option(u8),
    Sub(usize),
    SubIac(usize),
}

/// The filter between the wire and the terminal, without I/O.
#[derive(Debug)]
pub struct Filter {
    state: State,
    columns: u16,
    rows: u16,
    /// Options that are on at the server / on our side, so that a repeated offer is not answered again (RFC 1143).
    theirs: BTreeSet<u8>,
    ours: BTreeSet<u8>,
}

impl Filter {
    /// A filter for a terminal of that size.
    pub fn new(columns: u16, rows: u16) -> Self {
        Filter { state: State::Data, columns, rows, theirs: BTreeSet::new(), ours: BTreeSet::new() }
    }

    /// Splits what came from the wire into terminal bytes and what must be answered.
    pub fn receive(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut data, mut answer) = (Vec::with_capacity(bytes.len()), Vec::new());
        for &byte in bytes {
            self.state = match std::mem::replace(&mut self.state, State::Data) {
                State::Data | State::CarriageReturn if byte == IAC => State::Iac,
                // CR NUL is a bare carriage return.
                State::CarriageReturn if byte == 0 => State::Data,
                State::Data | State::CarriageReturn => {
                    data.push(byte);
                    if byte == b'\r' { State::CarriageReturn } else { State::Data }
                }
                State::Iac => match byte {
                    IAC => {
                        data.push(IAC);
                        State::Data
                    }
                    WILL | WONT | DO | DONT => State::Option(byte),
                    SB => State::Sub(0),
                    // NOP, go-ahead, are-you-there …: nothing to do.
                    _ => State::Data,
                },
                State::Option(verb) => {
                    self.option(verb, byte, &mut answer);
                    State::Data
                }
                State::Sub(length) if byte == IAC => State::SubIac(length),
                State::Sub(length) => State::Sub((length + 1).min(MAX_SUBNEGOTIATION)),
                State::SubIac(_) if byte == SE => State::Data,
                State::SubIac(length) => State::Sub(length),
            };
        }
        (data, answer)
    }

    fn option(&mut self, verb: u8, option: u8, answer: &mut Vec<u8>) {
        match verb {
            WILL => {
                if [ECHO, SUPPRESS_GO_AHEAD].contains(&option) {
                    if self.theirs.insert(option) {
                        answer.extend([IAC, DO, option]);
                    }
                } else {
                    answer.extend([IAC, DONT, option]);
                }
            }
            WONT => {
                if self.theirs.remove(&option) {
                    answer.extend([IAC, DONT, option]);
                }
            }
            DO => match option {
                SUPPRESS_GO_AHEAD => {
                    if self.ours.insert(option) {
                        answer.extend([IAC, WILL, option]);
                    }
                }
                NAWS => {
                    if self.ours.insert(option) {
                        answer.extend([IAC, WILL, option]);
                        answer.extend([IAC, SB, NAWS]);
                        for byte in self.columns.to_be_bytes().into_iter().chain(self.rows.to_be_bytes()) {
                            answer.push(byte);
                            if byte == IAC {
                                answer.push(IAC);
                            }
                        }
                        answer.extend([IAC, SE]);
                    }
                }
                _ => answer.extend([IAC, WONT, option]),
            },
            _ => {
                if self.ours.remove(&option) {
                    answer.extend([IAC, WONT, option]);
                }
            }
        }
    }

    /// Makes terminal bytes fit for the wire: 0xFF doubled, a bare CR followed by NUL.
    pub fn send(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for (position, &byte) in bytes.iter().enumerate() {
            out.push(byte);
            if byte == IAC {
                out.push(IAC);
            } else if byte == b'\r' && bytes.get(position + 1) != Some(&b'\n') {
                out.push(0);
            }
        }
        out
    }
}

/// A Telnet connection.
#[derive(Debug)]
pub struct TelnetTransport {
    stream: TcpStream,
    filter: Filter,
}

impl TelnetTransport {
    /// Connects; the login happens in the terminal.
    ///
    /// # Errors
    /// [`ConnectError::Unreachable`] and [`ConnectError::TimedOut`].
    pub async fn connect(
        address: &str,
        columns: u16,
        rows: u16,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let stream = super::ssh::tcp(address, timeout).await?;
        Ok(TelnetTransport { stream, filter: Filter::new(columns, rows) })
    }
}

#[async_trait::async_trait]
impl CliTransport for TelnetTransport {
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let mut buffer = [0u8; 8192];
            let count = self.stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(Vec::new());
            }
            let (data, answer) = self.filter.receive(&buffer[..count]);
            if !answer.is_empty() {
                self.stream.write_all(&answer).await?;
            }
            if !data.is_empty() {
                return Ok(data);
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(&Filter::send(bytes)).await?;
        self.stream.flush().await
    }

    async fn close(&mut self) {
        let _ = self.stream.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn negotiates_what_a_terminal_needs_and_nothing_else() {
        let mut filter = Filter::new(512, 255);
        let (data, answer) = filter.receive(&[
            IAC,
            WILL,
            ECHO,
            IAC,
            WILL,
            SUPPRESS_GO_AHEAD,
            IAC,
            DO,
            NAWS,
            b'h',
            IAC,
            DO,
            24,
            IAC,
            WILL,
            5,
            b'i',
            IAC,
            IAC,
            b'\r',
            0,
            b'\r',
            b'\n',
            IAC,
            WILL,
            ECHO,
        ]);
        assert_eq!(data, [b'h', b'i', IAC, b'\r', b'\r', b'\n']);
        // 255 inside the window size is doubled; the second WILL ECHO gets no answer.
        assert_eq!(
            answer,
            [
                IAC,
                DO,
                ECHO,
                IAC,
                DO,
                SUPPRESS_GO_AHEAD,
                IAC,
                WILL,
                NAWS,
                IAC,
                SB,
                NAWS,
                2,
                0,
                0,
                IAC,
                IAC,
                IAC,
                SE,
                IAC,
                WONT,
                24,
                IAC,
                DONT,
                5
            ]
        );
        assert_eq!(Filter::send(b"a\xFF\rb\r\n"), b"a\xFF\xFF\r\0b\r\n");
    }

    #[test]
    fn subnegotiations_vanish_however_long() {
        let mut filter = Filter::new(80, 24);
        let mut bytes = vec![IAC, SB, 24];
        bytes.extend(std::iter::repeat_n(b'x', 100_000));
        bytes.extend([IAC, IAC, IAC, SE, b'!']);
        assert_eq!(filter.receive(&bytes), (vec![b'!'], vec![]));
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 240u8..=255, Just(1), Just(31)], 0..200), cut in 1usize..7) {
            let mut whole = Filter::new(512, 500);
            let want = whole.receive(&bytes);
            let mut parts = Filter::new(512, 500);
            let mut got = (Vec::new(), Vec::new());
            for part in bytes.chunks(cut) {
                let (data, answer) = parts.receive(part);
                got.0.extend(data);
                got.1.extend(answer);
            }
            prop_assert_eq!(got, want);
        }
    }
}
