//! Logins of people, keys of programs.

use crate::{
    Actor, App, AppError, Permission, Role,
    error::Checks,
    secrets::{
        GENERATED_LENGTH, SHORTEST_PASSWORD, hash_password, new_token, random_secret, token_hash,
        verify_password,
    },
};
use std::time::Duration;
use store::{StoreError, Tx, rows, users};
use types::{ApiKeyId, Secret, UserId, UtcMs};

/// A login ends after this long without a request.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// A login ends after this long whatever happens.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Failed logins of one name or address before it has to wait.
const FREE_TRIES: u32 = 5;

/// What a successful login gives.
#[derive(Debug)]
pub struct LoggedIn {
    /// Goes into the cookie and nowhere else.
    pub token: Secret,
    /// Who.
    pub actor: Actor,
    /// They must choose a new password first.
    pub must_change: bool,
}

impl App {
    /// Makes the first administrator if there is no user yet and gives back the password, to be printed once. There
    /// are no default passwords.
    ///
    /// # Errors
    /// When the database or the random generator fails.
    pub async fn first_run(&self) -> Result<Option<Secret>, AppError> {
        let password = random_secret(GENERATED_LENGTH)?;
        let hash = self
            .heavy({
                let password = password.clone();
                move || hash_password(&password)
            })
            .await?;
        let now = self.now();
        let user = rows::User {
            name: "admin".into(),
            password_hash: hash,
            role: Role::Admin,
            active: true,
            // Twenty random characters that were shown once need no change.
            must_change: false,
            created_at: now,
            ..Default::default()
        };
        let audit = self.audit_row(&Actor::System("first-run"), "user.create", "user:admin", None, None);
        let made = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    if tx.count::<rows::User>().await? > 0 {
                        return Ok::<_, StoreError>(false);
                    }
                    tx.insert(&user).await?;
                    tx.insert(&audit).await?;
                    Ok(true)
                })
            })
            .await;
        match made {
            Ok(true) => Ok(Some(password)),
            // Another node was first.
            Ok(false) | Err(StoreError::Duplicate { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// True while no login was ever used: the first password may have been missed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn nobody_logged_in(&self) -> Result<bool, AppError> {
        Ok(users::all(self.store()).await?.iter().all(|user| user.last_login_at.is_none()))
    }

    /// Checks a name and password. Wrong names take as long as wrong passwords; too many failures have to wait.
    ///
    /// # Errors
    /// [`AppError::Unauthenticated`] without saying which of the two was wrong; [`AppError::TooMany`].
    pub async fn login(
        &self,
        name: &str,
        password: Secret,
        address: Option<String>,
    ) -> Result<LoggedIn, AppError> {
        let now = self.now();
        let key = format!(
            "{}|{}",
            name.to_lowercase().chars().take(64).collect::<String>(),
            address.as_deref().unwrap_or("-")
        );
        self.tries().check(&key, now, FREE_TRIES)?;
        // Counted before the hash is computed, so that a hundred guesses at once are a hundred guesses.
        self.tries().failed(&key, now);
        let user = users::by_name(self.store(), name).await?.filter(|user| user.active);
        let hash =
            user.as_ref().map_or_else(|| self.nobody_hash().to_owned(), |user| user.password_hash.clone());
        let right = self.heavy(move || Ok(verify_password(&password, &hash))).await?;
        let Some(user) = user.filter(|_| right) else {
            let audit = self.audit_row_from(
                "login",
                "login.failed",
                &format!("user:{}", name.chars().take(64).collect::<String>()),
                address.as_deref(),
            );
            self.store().write(move |tx| Box::pin(async move { tx.insert(&audit).await })).await?;
            return Err(AppError::Unauthenticated("Name or password is wrong.".into()));
        };
        self.tries().forget(&key);
        let (token, hash) = new_token("")?;
        let session = rows::WebSession {
            token_hash: hash,
            user_id: user.id,
            created_at: now,
            expires_at: now.plus(LONGEST),
            last_seen_at: now,
            address: address.clone().unwrap_or_default(),
        };
        let actor = Actor::User { id: user.id, name: user.name.clone(), role: user.role, address };
        let audit = self.audit_row(&actor, "login", &format!("user:{}", user.name), None, None);
        let id = user.id;
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    users::open_web_session(tx, &session).await?;
                    users::logged_in(tx, id, now).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(LoggedIn { token, actor, must_change: user.must_change })
    }

    /// Who a cookie belongs to, if it still counts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resolve_session(
        &self,
        token: &Secret,
        address: Option<String>,
    ) -> Result<Option<(Actor, bool)>, AppError> {
        let now = self.now();
        let found = users::web_session(self.store(), &token_hash(token)).await?;
        let Some((session, user)) = found.filter(|(session, _)| session.last_seen_at.plus(IDLE) > now) else {
            return Ok(None);
        };
        // Once a minute is enough to know who is idle.
        if now.since(session.last_seen_at) > Duration::from_secs(60) {
            let hash = session.token_hash.clone();
            self.store()
                .write(move |tx| Box::pin(async move { users::touch_web_session(tx, &hash, now).await }))
                .await?;
        }
        let actor = Actor::User { id: user.id, name: user.name, role: user.role, address };
        Ok(Some((actor, user.must_change)))
    }

    /// Ends a login of the caller. One that has ended already is ended again without a word.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn logout(&self, actor: &Actor, token: &Secret) -> Result<(), AppError> {
        let hash = token_hash(token);
        let audit = self.audit_row(actor, "logout", &format!("user:{}", actor.label()), None, None);
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    if users::close_web_session(tx, &hash).await? {
                        tx.insert(&audit).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .map_err(AppError::from)
    }

    /// Replaces the caller's own password and ends their other logins.
    ///
    /// # Errors
    /// [`AppError::Unauthenticated`] when the old one is wrong, [`AppError::Invalid`] when the new one is too short.
    pub async fn change_password(&self, actor: &Actor, old: Secret, new: Secret) -> Result<(), AppError> {
        let Actor::User { id, name, .. } = actor else {
            return Err(AppError::Forbidden("Only a person who logged in has a password.".into()));
        };
        let (key, now) = (format!("password of {id}"), self.now());
        self.tries().check(&key, now, FREE_TRIES)?;
        self.tries().failed(&key, now);
        let mut user: rows::User = self.store().require(*id).await?;
        let hash = user.password_hash.clone();
        if !self.heavy(move || Ok(verify_password(&old, &hash))).await? {
            return Err(AppError::Unauthenticated("The old password is wrong.".into()));
        }
        self.tries().forget(&key);
        check_password(&new)?;
        user.password_hash = self.heavy(move || hash_password(&new)).await?;
        user.must_change = false;
        let audit = self.audit_row(actor, "user.password", &format!("user:{name}"), None, None);
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    tx.update(&user).await?.or_overtaken("the user")?;
                    users::close_web_sessions_of(tx, user.id, None).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(())
    }

    /// Makes a login with a generated password, which is given back once. Nobody makes a login that may do more than
    /// they may themselves.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when the name is taken, [`AppError::Forbidden`].
    pub async fn create_user(
        &self,
        actor: &Actor,
        name: &str,
        role: Role,
    ) -> Result<(UserId, Secret), AppError> {
        actor.require(Permission::ManageUsers)?;
        may_hand_out(actor, role)?;
        let mut checks = Checks::default();
        checks.text("name", name, 64);
        if let Some(why) = not_a_person(name) {
            checks.wrong("name", why);
        }
        checks.done()?;
        let password = random_secret(GENERATED_LENGTH)?;
        let hash = self
            .heavy({
                let password = password.clone();
                move || hash_password(&password)
            })
            .await?;
        let user = rows::User {
            name: name.trim().to_owned(),
            password_hash: hash,
            role,
            active: true,
            must_change: true,
            created_at: self.now(),
            ..Default::default()
        };
        let audit = self.audit_row(
            actor,
            "user.create",
            &format!("user:{}", user.name),
            None,
            Some(serde_json::json!({ "role": role.as_str() })),
        );
        let taken = format!("There is a login named {} already.", user.name);
        let id = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let id = tx.insert(&user).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(id)
                })
            })
            .await
            .map_err(|error| duplicate(error, taken))?;
        Ok((id, password))
    }

    /// Changes role or activity of a login. The last active administrator stays one.
    ///
    /// # Errors
    /// [`AppError::Conflict`] for the last administrator.
    pub async fn change_user(
        &self,
        actor: &Actor,
        id: UserId,
        role: Role,
        active: bool,
    ) -> Result<(), AppError> {
        actor.require(Permission::ManageUsers)?;
        let mut user: rows::User = self.found(id, "user").await?;
        may_hand_out(actor, user.role)?;
        may_hand_out(actor, role)?;
        let before = serde_json::json!({ "role": user.role.as_str(), "active": user.active });
        let (lost, now) = (!active || role != user.role, self.now());
        user.role = role;
        user.active = active;
        let after = serde_json::json!({ "role": role.as_str(), "active": active });
        let audit =
            self.audit_row(actor, "user.change", &format!("user:{}", user.name), Some(before), Some(after));
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    tx.update(&user).await?.or_overtaken("the user")?;
                    if !users::all(tx).await?.iter().any(|user| user.active && user.role == Role::Admin) {
                        return Err(AppError::Conflict(
                            "This is the last administrator; make another one first.".into(),
                        ));
                    }
                    if !active {
                        users::close_web_sessions_of(tx, id, None).await?;
                    }
                    if lost {
                        // What somebody handed out ends with what they may hand out.
                        revoke_keys_of(tx, &user.name, now).await?;
                    }
                    tx.insert(&audit).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Gives a user a new password from the command line of the machine (`lightkeeper user reset`), and lets them in
    /// again.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when there is no such user.
    pub async fn reset_password(&self, name: &str) -> Result<Secret, AppError> {
        let Some(mut user) = users::by_name(self.store(), name).await? else {
            return Err(AppError::NotFound(format!("There is no login named {name}.")));
        };
        user.active = true;
        self.put_new_password(&Actor::System("command-line"), user, false).await
    }

    /// Gives a colleague a new password, to be replaced at their next login; all their logins end. Nobody can do that to
    /// who may more than they do, nor to themselves, who can change theirs. Gives the colleague's name with it.
    /// `keys_too`: the API keys that they made are revoked in the same unit; otherwise these go on.
    ///
    /// # Errors
    /// [`AppError::Forbidden`], [`AppError::NotFound`], [`AppError::Conflict`] for oneself.
    pub async fn reset_password_of(
        &self,
        actor: &Actor,
        id: UserId,
        keys_too: bool,
    ) -> Result<(String, Secret), AppError> {
        actor.require(Permission::ManageUsers)?;
        let user: rows::User = self.found(id, "user").await?;
        may_hand_out(actor, user.role)?;
        if matches!(actor, Actor::User { id: own, .. } if *own == id) {
            return Err(AppError::Conflict(
                "This is your own login; choose another password under your name.".into(),
            ));
        }
        let name = user.name.clone();
        Ok((name, self.put_new_password(actor, user, keys_too).await?))
    }

    async fn put_new_password(
        &self,
        actor: &Actor,
        mut user: rows::User,
        keys_too: bool,
    ) -> Result<Secret, AppError> {
        let password = random_secret(GENERATED_LENGTH)?;
        user.password_hash = self
            .heavy({
                let password = password.clone();
                move || hash_password(&password)
            })
            .await?;
        user.must_change = true;
        let after = keys_too.then(|| serde_json::json!({ "api_keys": "revoked" }));
        let audit = self.audit_row(actor, "user.reset", &format!("user:{}", user.name), None, after);
        let now = self.now();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    tx.update(&user).await?.or_overtaken("the user")?;
                    users::close_web_sessions_of(tx, user.id, None).await?;
                    if keys_too {
                        revoke_keys_of(tx, &user.name, now).await?;
                    }
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(password)
    }

    /// Makes an API key; the key itself is given back once and stored as a hash. Nobody hands out what they may not do
    /// themselves.
    ///
    /// # Errors
    /// [`AppError::Forbidden`], [`AppError::Invalid`].
    pub async fn create_api_key(
        &self,
        actor: &Actor,
        name: &str,
        scopes: &[Permission],
        valid_days: Option<u32>,
    ) -> Result<(ApiKeyId, Secret), AppError> {
        actor.require(Permission::ManageKeys)?;
        let mut checks = Checks::default();
        checks.text("name", name, 64);
        if scopes.is_empty() {
            checks.wrong("scopes", "is empty; a key without a scope can do nothing.");
        }
        checks.done()?;
        for scope in scopes {
            actor.require(*scope)?;
        }
        let (token, hash) = new_token("lk_")?;
        let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let now = self.now();
        let key = rows::ApiKey {
            name: name.trim().to_owned(),
            key_hash: hash,
            scopes: serde_json::json!(words),
            created_by: actor.label(),
            created_at: now,
            expires_at: valid_days.map(|days| now.plus_s(u64::from(days) * 24 * 3600)),
            ..Default::default()
        };
        let audit = self.audit_row(
            actor,
            "api_key.create",
            &format!("api_key:{}", key.name),
            None,
            Some(serde_json::json!({ "scopes": words })),
        );
        let id = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let id = tx.insert(&key).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(id)
                })
            })
            .await?;
        Ok((id, token))
    }

    /// Takes a key back.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn revoke_api_key(&self, actor: &Actor, id: ApiKeyId) -> Result<(), AppError> {
        actor.require(Permission::ManageKeys)?;
        let key: rows::ApiKey = self.found(id, "API key").await?;
        let now = self.now();
        let audit = self.audit_row(actor, "api_key.revoke", &format!("api_key:{}", key.name), None, None);
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    users::revoke_api_key(tx, id, now).await?.or_overtaken("the API key")?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(())
    }

    /// Who an API key belongs to, if it still counts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resolve_api_key(
        &self,
        token: &Secret,
        address: Option<String>,
    ) -> Result<Option<Actor>, AppError> {
        let now = self.now();
        let Some(key) = users::api_key(self.store(), &token_hash(token)).await? else { return Ok(None) };
        if key.last_used_at.is_none_or(|at| now.since(at) > Duration::from_secs(60)) {
            let id = key.id;
            self.store()
                .write(move |tx| Box::pin(async move { users::touch_api_key(tx, id, now).await }))
                .await?;
        }
        let words = key.scopes.as_array().cloned().unwrap_or_default();
        let scopes = words.iter().filter_map(|word| Permission::parse(word.as_str()?)).collect();
        Ok(Some(Actor::ApiKey { id: key.id, name: key.name, scopes, address }))
    }
}

/// Every API key that somebody made, and that is still good.
async fn revoke_keys_of(tx: &Tx, name: &str, now: UtcMs) -> Result<(), StoreError> {
    for key in users::api_keys(tx).await?.into_iter().filter(|key| key.created_by == name) {
        if key.revoked_at.is_none() {
            users::revoke_api_key(tx, key.id, now).await?.or_overtaken("an API key")?;
        }
    }
    Ok(())
}

/// Whoever manages logins hands out and takes away only what they hold: a key for managing logins is no way to become
/// an administrator.
fn may_hand_out(actor: &Actor, role: Role) -> Result<(), AppError> {
    Permission::ALL
        .into_iter()
        .filter(|permission| permission.granted_to(role))
        .try_for_each(|p| actor.require(p))
}

fn check_password(password: &Secret) -> Result<(), AppError> {
    let length = password.expose().chars().count();
    if length < SHORTEST_PASSWORD {
        return Err(AppError::invalid(
            "password",
            format!("has {length} characters; {SHORTEST_PASSWORD} is the least."),
        ));
    }
    if length > 1024 {
        return Err(AppError::invalid("password", "is longer than 1024 characters."));
    }
    Ok(())
}

/// Names under which Lightkeeper and programs act: on a timeline nobody could tell a person of that name from them.
const RESERVED: [&str; 12] = [
    "system",
    "lightkeeper",
    "api",
    "key",
    "login",
    "root",
    "nobody",
    "anonymous",
    "unknown",
    "command-line",
    "first-run",
    "provisioning",
];

/// Why a login may not be named so, if it may not.
fn not_a_person(name: &str) -> Option<String> {
    let name = name.trim();
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Some(format!(
            "{name:?} is reserved: in the record it stands for Lightkeeper itself or for a program."
        ));
    }
    // `key:billing` is an API key, `system:autofind` a part of Lightkeeper.
    name.contains(':').then(|| "holds a colon; only the names of programs do.".to_owned())
}

/// A taken unique value, in the words of the caller.
pub(crate) fn duplicate(error: StoreError, sentence: String) -> AppError {
    match error {
        StoreError::Duplicate { .. } => AppError::Conflict(sentence),
        other => other.into(),
    }
}
