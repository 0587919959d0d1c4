//! One ACS session as a state machine (TR-069 Amendment 6, 3.7).
//!
//! The machine is handed what the CPE posted and what the application wants next, and says what to answer. It
//! knows nothing of HTTP, cookies or authentication: the edge authenticates **before** it feeds an Inform, and
//! ties the machine to one device.
//!
//! ```text
//! AwaitingInform ──Inform──▶ CpeTurn ──empty POST──▶ AcsTurn ──request──▶ AwaitingAnswer
//!                             ▲    CPE requests         │ ▲                    │
//!                             └── answered at once      │ └──── its answer ────┘
//!                                                       └─nothing more─▶ Ended (204)
//! ```
//! A CPE request is answered in every state and changes none, and an Inform starts afresh in every state: real
//! CPEs restart in the middle of a session and come back on the same cookie.

use crate::{
    CodecError,
    codec::{
        Body, CwmpVersion, Envelope, Fault, GetRpcMethodsResponse, Inform, InformResponse, KickedResponse,
        Role,
    },
};

/// What the CPE sent, one HTTP request each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// An envelope.
    Message(Box<Envelope>),
    /// An empty POST.
    Empty,
    /// Something that is no envelope.
    Undecodable(CodecError),
}

impl Input {
    /// From the result of [`crate::decode`].
    pub fn from_decoded(decoded: Result<Envelope, CodecError>) -> Self {
        match decoded {
            Ok(Envelope { body: Body::Empty, .. }) | Err(CodecError::Empty) => Input::Empty,
            Ok(envelope) => Input::Message(Box::new(envelope)),
            Err(error) => Input::Undecodable(error),
        }
    }
}

/// What became of a request of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The CPE's answer, of the right method.
    Answered(Body),
    /// The CPE refused or failed. Parts may have been applied on devices that are not atomic.
    Faulted(Fault),
    /// The CPE went on without answering, or sent another method's answer. Whether the request took effect is
    /// unknown: read before doing it again.
    Unknown {
        /// What came instead.
        why: String,
    },
}

/// What the edge does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Tell the application about `request`; when it is stored, send `reply` as the answer. If it cannot be
    /// stored, send [`SessionMachine::retry_later`] instead.
    Answer {
        /// What the CPE asked or told.
        request: Body,
        /// The answer, ready to send.
        reply: Box<Envelope>,
        /// The method of a request of ours whose fate is unknown because the CPE started a new session.
        abandoned: Option<&'static str>,
    },
    /// It is the ACS's turn: ask the application, then call [`SessionMachine::request`] or
    /// [`SessionMachine::finish`].
    Ask {
        /// The request before and its outcome; `None` at the first turn.
        finished: Option<Finished>,
    },
    /// End the session: answer 204.
    End {
        /// Why, for the trace of the session.
        why: &'static str,
    },
    /// Refuse this HTTP request, keep the session as it is.
    Refuse(Refusal),
}

/// A request of ours that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its method.
    pub method: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// The CPE echoed another ID. Accepted, since only one request is open; worth a note in the trace.
    pub id_differs: bool,
}

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The session must begin with an Inform.
    #[error("the first message of a session must be an Inform, but {got} came")]
    InformFirst {
        /// What came.
        got: String,
    },
    /// A second message while the first one is being worked on.
    #[error("a message came while the one before was still being answered")]
    Busy,
    /// Not readable.
    #[error("the message could not be read: {0}")]
    Undecodable(CodecError),
    /// The session is over.
    #[error("the session is over")]
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    AwaitingInform,
    /// The CPE sends its requests until an empty POST.
    CpeTurn,
    /// The application is thinking about the next request.
    AcsTurn,
    /// One request is out.
    AwaitingAnswer {
        id: String,
        method: &'static str,
    },
    Ended,
}

/// What a message is to the machine.
enum Event {
    Inform(Box<Inform>),
    /// A request that an ACS answers.
    Request,
    /// A request that an ACS does not answer.
    Foreign,
    Response,
    Fault(Fault),
    Empty,
    Undecodable(CodecError),
}

/// The session of one CPE.
#[derive(Debug, Clone)]
pub struct SessionMachine {
    state: State,
    version: CwmpVersion,
    id_prefix: String,
    requests_sent: u32,
    session_timeout_s: Option<u32>,
}

/// What GetRPCMethods is answered with: all that an ACS offers (A.3.1.1, A.3.3, A.4.2).
const ACS_METHODS: [&str; 8] = [
    "Inform",
    "GetRPCMethods",
    "TransferComplete",
    "AutonomousTransferComplete",
    "RequestDownload",
    "Kicked",
    "DUStateChangeComplete",
    "AutonomousDUStateChangeComplete",
];

impl SessionMachine {
    /// A session that waits for its Inform. `id_prefix` makes the IDs of our requests unique across sessions.
    pub fn new(id_prefix: impl Into<String>) -> Self {
        SessionMachine {
            state: State::AwaitingInform,
            version: CwmpVersion::default(),
            id_prefix: id_prefix.into(),
            requests_sent: 0,
            session_timeout_s: None,
        }
    }

    /// The namespace the CPE uses.
    pub fn version(&self) -> CwmpVersion {
        self.version
    }

    /// The idle time the CPE asked for in its Inform, in seconds.
    pub fn session_timeout_s(&self) -> Option<u32> {
        self.session_timeout_s
    }

    /// The method of the request whose answer is awaited.
    pub fn outstanding(&self) -> Option<&'static str> {
        match &self.state {
            State::AwaitingAnswer { method, .. } => Some(method),
            State::AwaitingInform | State::CpeTurn | State::AcsTurn | State::Ended => None,
        }
    }

    /// True if the Inform has been answered and the end is not reached.
    pub fn is_open(&self) -> bool {
        match self.state {
            State::CpeTurn | State::AcsTurn | State::AwaitingAnswer { .. } => true,
            State::AwaitingInform | State::Ended => false,
        }
    }

    /// Handles what the CPE sent.
    pub fn received(&mut self, input: Input) -> Output {
        let (event, envelope) = match input {
            Input::Empty => (Event::Empty, None),
            Input::Undecodable(error) => (Event::Undecodable(error), None),
            Input::Message(envelope) => {
                let event = match (&envelope.body, envelope.body.role()) {
                    (Body::Inform(inform), _) => Event::Inform(Box::new(inform.clone())),
                    (Body::Fault(fault), _) => Event::Fault(fault.clone()),
                    (_, Role::CpeRequest | Role::EitherRequest) => Event::Request,
                    (_, Role::CpeResponse | Role::EitherResponse) => Event::Response,
                    (_, Role::AcsRequest | Role::AcsResponse | Role::Unknown | Role::Fault) => Event::Foreign,
                    (_, Role::Empty) => Event::Empty,
                };
                (event, Some(*envelope))
            }
        };
        let outstanding = match &self.state {
            State::AwaitingAnswer { id, method } => Some((id.clone(), *method)),
            State::AwaitingInform | State::CpeTurn | State::AcsTurn | State::Ended => None,
        };
        match (&self.state, event) {
            (
                State::AwaitingInform
                | State::CpeTurn
                | State::AcsTurn
                | State::AwaitingAnswer { .. }
                | State::Ended,
                Event::Inform(inform),
            ) => self.start(*inform, envelope, outstanding.map(|(_, method)| method)),

            (State::AwaitingInform, Event::Empty) => refuse_first("an empty POST".into()),
            (State::AwaitingInform, Event::Request | Event::Foreign | Event::Response | Event::Fault(_)) => {
                refuse_first(envelope.map_or_else(String::new, |envelope| envelope.body.method().to_owned()))
            }

            (State::CpeTurn | State::AwaitingAnswer { .. } | State::Ended, Event::Request) => {
                if self.state == State::Ended {
                    self.state = State::CpeTurn;
                }
                answer(envelope, Body::answer_of)
            }
            (State::CpeTurn | State::AwaitingAnswer { .. }, Event::Foreign) => {
                answer(envelope, |_| Body::Fault(Fault::new(8000)))
            }

            (State::CpeTurn, Event::Empty) => {
                self.state = State::AcsTurn;
                Output::Ask { finished: None }
            }
            (State::CpeTurn, Event::Response | Event::Fault(_)) => {
                self.state = State::Ended;
                Output::End { why: "the device answered a request that was not made" }
            }

            (State::AwaitingAnswer { .. }, Event::Response) => {
                let body = envelope.as_ref().map_or(&Body::Empty, |envelope| &envelope.body);
                let right = outstanding.as_ref().is_some_and(|(_, method)| body.answers(method));
                let repeated =
                    envelope.as_ref().and_then(|e| e.id.as_deref()).is_some_and(|id| self.is_earlier(id));
                let outcome = if right && !repeated {
                    Outcome::Answered(body.clone())
                } else if repeated {
                    // Its method may be the right one, its content is not.
                    Outcome::Unknown { why: "the device repeated the answer to an earlier request".into() }
                } else {
                    Outcome::Unknown { why: format!("the device sent {} instead", body.method()) }
                };
                self.ask(outstanding, envelope, outcome)
            }
            (State::AwaitingAnswer { .. }, Event::Fault(fault)) => {
                self.ask(outstanding, envelope, Outcome::Faulted(fault))
            }
            (State::AwaitingAnswer { .. }, Event::Empty) => {
                let why = "the device sent an empty message instead of the answer".into();
                self.ask(outstanding, None, Outcome::Unknown { why })
            }
            (State::AwaitingAnswer { .. }, Event::Undecodable(error)) => self.ask(
                outstanding,
                None,
                Outcome::Unknown { why: format!("the answer could not be read: {error}") },
            ),

            // A device that sends two messages at once, or two devices with one cookie.
            (
                State::AcsTurn,
                Event::Request
                | Event::Foreign
                | Event::Response
                | Event::Fault(_)
                | Event::Empty
                | Event::Undecodable(_),
            ) => Output::Refuse(Refusal::Busy),

            // CPEs of before Amendment 1 close a session with more empty messages.
            (State::Ended, Event::Empty) => Output::End { why: "the session was over already" },
            (State::Ended, Event::Foreign | Event::Response | Event::Fault(_)) => {
                Output::Refuse(Refusal::Over)
            }

            (State::AwaitingInform | State::CpeTurn | State::Ended, Event::Undecodable(error)) => {
                Output::Refuse(Refusal::Undecodable(error))
            }
        }
    }

    fn start(
        &mut self,
        inform: Inform,
        envelope: Option<Envelope>,
        abandoned: Option<&'static str>,
    ) -> Output {
        let (id, version, timeout) =
            envelope.map_or((None, self.version, None), |e| (e.id, e.version, e.session_timeout_s));
        self.version = version;
        self.session_timeout_s = timeout;
        self.state = State::CpeTurn;
        let reply = Envelope::new(id, version, Body::InformResponse(InformResponse { max_envelopes: 1 }));
        Output::Answer { request: Body::Inform(inform), reply: Box::new(reply), abandoned }
    }

    fn ask(
        &mut self,
        outstanding: Option<(String, &'static str)>,
        envelope: Option<Envelope>,
        outcome: Outcome,
    ) -> Output {
        self.state = State::AcsTurn;
        let finished = outstanding.map(|(id, method)| Finished {
            method,
            outcome,
            id_differs: envelope.is_some_and(|envelope| envelope.id.as_ref() != Some(&id)),
        });
        Output::Ask { finished }
    }

    /// The application's next request, as the envelope to answer with. `None` if it is not the ACS's turn or the
    /// body is no request of an ACS; both are mistakes of the caller and change nothing.
    pub fn request(&mut self, body: Body) -> Option<Envelope> {
        if self.state != State::AcsTurn || !matches!(body.role(), Role::AcsRequest | Role::EitherRequest) {
            return None;
        }
        let method = body.static_method()?;
        self.requests_sent += 1;
        let id = format!("{}-{}", self.id_prefix, self.requests_sent);
        self.state = State::AwaitingAnswer { id: id.clone(), method };
        Some(Envelope::new(Some(id), self.version, body))
    }

    /// True for the ID of a request of this session before the last one.
    fn is_earlier(&self, id: &str) -> bool {
        let number = id.strip_prefix(&self.id_prefix).and_then(|rest| rest.strip_prefix('-'));
        number.and_then(|number| number.parse::<u32>().ok()).is_some_and(|n| n >= 1 && n < self.requests_sent)
    }

    /// The application has nothing more: answer 204. Does nothing unless it is the ACS's turn.
    pub fn finish(&mut self) {
        if self.state == State::AcsTurn {
            self.state = State::Ended;
        }
    }

    /// What to answer when the application could not store what the CPE told: fault 8005 makes the CPE send the
    /// same request again (A.5.2).
    pub fn retry_later(&self, request: &Envelope) -> Envelope {
        Envelope::new(request.id.clone(), request.version, Body::Fault(Fault::new(8005)))
    }
}

fn refuse_first(got: String) -> Output {
    Output::Refuse(Refusal::InformFirst { got })
}

fn answer(envelope: Option<Envelope>, reply: impl Fn(&Body) -> Body) -> Output {
    let Some(envelope) = envelope else { return Output::Refuse(Refusal::Busy) };
    let reply = Envelope::new(envelope.id, envelope.version, reply(&envelope.body));
    Output::Answer { request: envelope.body, reply: Box::new(reply), abandoned: None }
}

impl Body {
    /// What an ACS answers to a request of a CPE; fault 8000 for anything else.
    fn answer_of(&self) -> Body {
        match self {
            Body::Inform(_) => Body::InformResponse(InformResponse { max_envelopes: 1 }),
            Body::GetRpcMethods => Body::GetRpcMethodsResponse(GetRpcMethodsResponse {
                methods: ACS_METHODS.iter().map(|&method| method.to_owned()).collect(),
            }),
            Body::TransferComplete(_) => Body::TransferCompleteResponse,
            Body::AutonomousTransferComplete(_) => Body::AutonomousTransferCompleteResponse,
            Body::RequestDownload(_) => Body::RequestDownloadResponse,
            // The page to go on to comes from the CPE itself and is not repeated: an ACS is no open redirector.
            Body::Kicked(_) => Body::KickedResponse(KickedResponse { next_url: String::new() }),
            Body::DuStateChangeComplete(_) => Body::DuStateChangeCompleteResponse,
            Body::AutonomousDuStateChangeComplete(_) => Body::AutonomousDuStateChangeCompleteResponse,
            _ => Body::Fault(Fault::new(8000)),
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
