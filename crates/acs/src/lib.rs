//! The edge towards the CPEs: the CWMP server, the file server, the connection-request client and a small
//! time server.
//!
//! **Invariant: a peer can only cost its own connection and its own session.** Everything a peer sends has a
//! limit in bytes and in time; a session is found by an unguessable cookie and never by the socket; work for a
//! session runs in a task of its own, so a peer that hangs up cannot stop it half-way.
//!
//! HTTP, SOAP and sockets stop here: `app` sees devices through the traits it owns ([`app::ports`]).

mod auth;
mod body;
mod client_certificate;
mod config;
mod connection_request;
mod convert;
mod cookie;
mod error;
mod files;
mod handler;
mod patience;
mod rate;
mod server;
mod sessions;
mod sntp;
mod tls;

pub use config::{AcsConfig, Networks, PlainListener, TlsListener};
pub use connection_request::HttpConnectionRequester;
pub use error::AcsError;
pub use server::{AcsServer, AcsStats};
pub use sntp::{SntpConfig, SntpServer};
pub use tls::{TlsConfig, server_config_from_pem};
