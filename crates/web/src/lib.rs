//! Pages, REST API with OpenAPI, live updates.
//!
//! **Invariant: nothing here changes state by itself.** A page or an API call reads through `store::read` and acts
//! through one command of `app`, as the person or program that asked. Every route names the permission it needs in
//! one table ([`routes`]), and the guard in [`auth`] stands before all of them.

mod api;
mod assets;
mod auth;
mod backend;
mod body;
mod error;
mod export;
mod firmware;
mod form;
mod light;
mod list;
mod live;
mod models;
mod nbi;
mod once;
mod pages;
mod proof;
mod routes;
mod server;
mod shell;
mod state;
#[cfg(test)]
mod tests;
mod timeline;
pub mod view;
pub mod words;

pub use routes::{nbi_router, router};
pub use server::{WebLimits, WebServer};
pub use state::WebState;
