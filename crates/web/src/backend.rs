//! Where pages and API meet the use cases: every command they call, in one place.

use app::{Actor, App, AppError, Role};
use types::{OltId, Secret};

/// A session that still counts.
pub(crate) struct Session {
    pub(crate) actor: Actor,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) must_change: bool,
}

/// Whose cookie this is.
pub(crate) async fn resolve_session(
    app: &App,
    token: &str,
    address: Option<String>,
) -> Result<Option<Session>, AppError> {
    let Some((actor, must_change)) = app.resolve_session(&Secret::new(token), address).await? else {
        return Ok(None);
    };
    let (name, role) = match &actor {
        Actor::User { name, role, .. } => (name.clone(), *role),
        // Only people have sessions.
        Actor::ApiKey { .. } | Actor::System(_) => return Ok(None),
    };
    Ok(Some(Session { actor, name, role, must_change }))
}

/// Whose key this is.
pub(crate) async fn resolve_api_key(
    app: &App,
    key: &str,
    address: Option<String>,
) -> Result<Option<Actor>, AppError> {
    app.resolve_api_key(&Secret::new(key), address).await
}

/// Reads one OLT now.
pub(crate) async fn read_olt(app: &App, actor: &Actor, id: OltId) -> Result<app::OltReading, AppError> {
    app.read_olt_now(actor, id).await
}

/// Asks every OLT now what it sees; what does not answer is recorded as silent and shown so.
pub(crate) async fn read_olts(app: &App, actor: &Actor) -> Result<(), AppError> {
    actor.require(app::Permission::AuthoriseOnu)?;
    app.observe_all().await
}
