//! Telnet (RFC 854) as the box speaks it: it echoes and suppresses go-ahead, and refuses everything else.

use super::{Filter, run};
use crate::olt::{control::OltHandle, terminal::Action, terminal::Terminal};
use tokio::net::{TcpListener, TcpStream};

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
/// Connections at once, logged in or not.
const MAX_CONNECTIONS: usize = 16;

#[derive(Debug, Default)]
enum State {
    #[default]
    Data,
    Iac,
    Option(u8),
    Sub,
    SubIac,
}

/// Takes the commands out of the stream and answers them.
#[derive(Debug, Default)]
pub(crate) struct Telnet {
    state: State,
}

impl Filter for Telnet {
    fn incoming(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut data, mut back) = (Vec::with_capacity(bytes.len()), Vec::new());
        for byte in bytes.iter().copied() {
            self.state = match (std::mem::take(&mut self.state), byte) {
                (State::Data, IAC) => State::Iac,
                (State::Data, byte) => {
                    data.push(byte);
                    State::Data
                }
                (State::Iac, IAC) => {
                    data.push(IAC);
                    State::Data
                }
                (State::Iac, SB) => State::Sub,
                (State::Iac, WILL | WONT | DO | DONT) => State::Option(byte),
                (State::Iac, _) => State::Data,
                (State::Option(verb), option) => {
                    match (verb, option) {
                        // Answers to our own offers need none.
                        (DO, ECHO | SUPPRESS_GO_AHEAD) | (WONT | DONT, _) => {}
                        (WILL, SUPPRESS_GO_AHEAD) => back.extend([IAC, DO, option]),
                        (WILL, _) => back.extend([IAC, DONT, option]),
                        (_, _) => back.extend([IAC, WONT, option]),
                    }
                    State::Data
                }
                (State::Sub, IAC) => State::SubIac,
                (State::Sub, _) => State::Sub,
                (State::SubIac, SE) => State::Data,
                (State::SubIac, _) => State::Sub,
            };
        }
        (data, back)
    }
}

/// Accepts connections until the box is stopped.
pub(crate) async fn serve(olt: OltHandle, listener: TcpListener) {
    let slots = std::sync::Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let Ok(slot) = std::sync::Arc::clone(&slots).try_acquire_owned() else { continue };
                let olt = olt.clone();
                tasks.spawn(async move {
                    session(&olt, stream).await;
                    drop(slot);
                });
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn session(olt: &OltHandle, stream: TcpStream) {
    if !olt.is_up() {
        return;
    }
    let _ = stream.set_nodelay(true);
    let (terminal, mut greeting) = olt.with(|_, now| Terminal::login(now));
    greeting.insert(0, Action::Send(vec![IAC, WILL, ECHO, IAC, WILL, SUPPRESS_GO_AHEAD]));
    run(olt, stream, Telnet::default(), terminal, greeting).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_taken_out_even_when_split() {
        let mut telnet = Telnet::default();
        let mut seen = Vec::new();
        let mut back = Vec::new();
        for byte in
            [b'a', IAC, DO, 24, b'b', IAC, SB, 24, IAC, IAC, 1, IAC, SE, IAC, IAC, IAC, WILL, 31, b'c']
        {
            let (data, answer) = telnet.incoming(&[byte]);
            seen.extend(data);
            back.extend(answer);
        }
        assert_eq!(seen, [b'a', b'b', 255, b'c']);
        assert_eq!(back, [IAC, WONT, 24, IAC, DONT, 31]);
    }
}
