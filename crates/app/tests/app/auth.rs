//! Logins of people, keys of programs.

use crate::support::{
    bed::Bed,
    world::{self, Calls, person},
};
use app::{Actor, App, AppError, Permission, Role};
use std::collections::BTreeSet;
use store::{rows, users};
use types::{Secret, UserId};

async fn users_of(app: &App) -> Vec<rows::User> {
    users::all(app.store()).await.expect("readable")
}

/// A real login of this role: its password and the person behind it.
async fn made(app: &App, name: &str, role: Role) -> (UserId, Secret, Actor) {
    let (id, password) = app.create_user(&world::admin(), name, role).await.expect("a login");
    let actor = Actor::User { id, name: name.to_owned(), role, address: None };
    (id, password, actor)
}

async fn the_first_start_makes_an_administrator_once(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let password = app.first_run().await.expect("works").expect("nobody was there");
    assert!(password.expose().len() >= 20);
    assert_eq!(app.first_run().await.expect("works"), None, "never twice");
    let again = bed.app("node-2", &Calls::default()).await;
    assert_eq!(again.first_run().await.expect("works"), None);
    let all = users_of(&app).await;
    assert_eq!((all.len(), all[0].name.as_str(), all[0].role), (1, "admin", Role::Admin));
    for guess in ["", "admin", "password", "lightkeeper", "changeme"] {
        let error = app.login("admin", Secret::new(guess), None).await.expect_err("no default password");
        assert!(matches!(error, AppError::Unauthenticated(_)), "{guess}: {error}");
        bed.advance_s(3600);
    }
    let login =
        app.login("admin", password.clone(), Some("192.0.2.9".into())).await.expect("the one printed");
    assert!(!login.must_change && login.actor.may(Permission::ManageUsers));
    bed.hides(&[password.expose(), login.token.expose()]).await;
}

async fn two_nodes_that_start_at_once_make_one_administrator(bed: &Bed) {
    let (one, two) = (bed.app("a", &Calls::default()).await, bed.app("b", &Calls::default()).await);
    let (first, second) = tokio::join!(one.first_run(), two.first_run());
    let passwords: Vec<Secret> =
        [first.expect("works"), second.expect("works")].into_iter().flatten().collect();
    assert_eq!(passwords.len(), 1, "one password is printed");
    assert_eq!(users_of(&one).await.len(), 1);
    one.login("admin", passwords[0].clone(), None).await.expect("and it is the right one");
}

async fn a_wrong_name_is_told_in_the_words_of_a_wrong_password(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let password = app.first_run().await.expect("works").expect("made");
    let (id, other, _) = made(&app, "vera", Role::Viewer).await;
    app.change_user(&world::admin(), id, Role::Viewer, false).await.expect("switched off");
    let mut words = BTreeSet::new();
    let mut took = Vec::new();
    for (name, password) in [("admin", "wrong"), ("nobody", "wrong"), ("vera", other.expose()), ("", "")] {
        let begun = std::time::Instant::now();
        let error = app.login(name, Secret::new(password), None).await.expect_err("not let in");
        took.push(begun.elapsed());
        assert!(matches!(error, AppError::Unauthenticated(_)), "{error}");
        words.insert(error.to_string());
    }
    assert_eq!(words.len(), 1, "{words:?}");
    // An Argon2 hash takes milliseconds; a name that is only looked up does not.
    assert!(took.iter().all(|took| took.as_millis() >= 2), "all of them hash: {took:?}");
    let failed = users::audit_page(app.store(), None, 100).await.expect("readable");
    let failed: Vec<_> = failed.iter().filter(|entry| entry.action == "login.failed").collect();
    assert_eq!(failed.len(), 4);
    app.login("admin", password, None).await.expect("the right one");
}

async fn guessing_becomes_slow_and_stays_so_for_that_name_and_address(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let password = app.first_run().await.expect("works").expect("made");
    let from = |address: &str| Some(address.to_owned());
    for _ in 0..5 {
        let error = app.login("admin", Secret::new("guess"), from("198.51.100.1")).await.expect_err("wrong");
        assert!(matches!(error, AppError::Unauthenticated(_)), "{error}");
    }
    let error = app.login("ADMIN", password.clone(), from("198.51.100.1")).await.expect_err("has to wait");
    assert!(matches!(error, AppError::TooMany { retry_after_s: 1.. }), "{error}");
    app.login("admin", password.clone(), from("192.0.2.1")).await.expect("elsewhere nobody waits");
    bed.advance_s(3600);
    app.login("admin", password.clone(), from("198.51.100.1")).await.expect("the wait is over");
    // Success forgets.
    let error = app.login("admin", Secret::new("guess"), from("198.51.100.1")).await.expect_err("wrong");
    assert!(matches!(error, AppError::Unauthenticated(_)), "{error}");
}

async fn a_hundred_guesses_at_once_are_a_hundred_guesses(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    app.first_run().await.expect("works").expect("made");
    let guesses = (0..30).map(|n| {
        let app = app.clone();
        async move { app.login("admin", Secret::new(format!("guess {n}")), None).await.expect_err("wrong") }
    });
    let answers = futures::future::join_all(guesses).await;
    let looked = answers.iter().filter(|error| matches!(error, AppError::Unauthenticated(_))).count();
    assert!(looked <= 6, "{looked} passwords were looked at");
}

async fn a_login_ends_when_idle_when_old_and_when_told(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let password = app.first_run().await.expect("works").expect("made");
    let token = |login: app::LoggedIn| login.token;
    let first = token(app.login("admin", password.clone(), None).await.expect("in"));
    let resolve = |secret: Secret| {
        let app = app.clone();
        async move { app.resolve_session(&secret, None).await.expect("readable") }
    };
    assert!(resolve(first.clone()).await.is_some());
    assert!(resolve(Secret::new("deadbeef")).await.is_none());
    assert!(resolve(Secret::new("")).await.is_none());
    // Used now and then it lasts; unused it ends.
    for _ in 0..3 {
        bed.advance_s(11 * 3600);
        assert!(resolve(first.clone()).await.is_some());
    }
    bed.advance_s(12 * 3600 + 1);
    assert!(resolve(first).await.is_none(), "idle for too long");
    // A week at most, however busy.
    let busy = token(app.login("admin", password.clone(), None).await.expect("in"));
    for _ in 0..16 {
        bed.advance_s(10 * 3600);
        assert!(resolve(busy.clone()).await.is_some());
    }
    bed.advance_s(9 * 3600);
    assert!(resolve(busy).await.is_none(), "seven days are over");
    let last = token(app.login("admin", password, None).await.expect("in"));
    app.logout(&world::admin(), &last).await.expect("out");
    assert!(resolve(last.clone()).await.is_none());
    app.logout(&world::admin(), &last).await.expect("out already");
    let log = store::users::audit_page(app.store(), None, 50).await.expect("readable");
    let out: Vec<_> = log.iter().filter(|line| line.action == "logout").collect();
    assert_eq!(out.len(), 1, "what ended already does not end again");
    assert_eq!((out[0].actor.as_str(), out[0].subject.as_str()), ("nino", "user:nino"));
}

async fn a_new_password_ends_every_login(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (_, password, actor) = made(&app, "sami", Role::Support).await;
    let login = |password: Secret| {
        let app = app.clone();
        async move { app.login("sami", password, None).await }
    };
    let (one, two) = (login(password.clone()).await.expect("in"), login(password.clone()).await.expect("in"));
    assert!(one.must_change, "a password that somebody else saw");
    let change = |old: &str, new: &str| {
        let (app, actor) = (app.clone(), actor.clone());
        let (old, new) = (Secret::new(old), Secret::new(new));
        async move { app.change_password(&actor, old, new).await }
    };
    let error = change("wrong", "a-new-one-of-my-own").await.expect_err("the old one is asked for");
    assert!(matches!(error, AppError::Unauthenticated(_)), "{error}");
    let error = change(password.expose(), "short").await.expect_err("too short");
    assert!(error.to_string().contains("12 is the least"), "{error}");
    assert!(app.resolve_session(&one.token, None).await.expect("readable").is_some(), "nothing happened yet");
    change(password.expose(), "a-new-one-of-my-own").await.expect("changed");
    for token in [&one.token, &two.token] {
        assert!(app.resolve_session(token, None).await.expect("readable").is_none());
    }
    assert!(login(password).await.is_err());
    let again = login(Secret::new("a-new-one-of-my-own")).await.expect("in");
    assert!(!again.must_change);
    bed.hides(&["a-new-one-of-my-own"]).await;
}

async fn somebody_who_is_switched_off_is_out_at_once(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    app.first_run().await.expect("works").expect("made");
    let (id, password, _) = made(&app, "sami", Role::Noc).await;
    let login = app.login("sami", password.clone(), None).await.expect("in");
    app.change_user(&world::admin(), id, Role::Viewer, true).await.expect("demoted");
    let (actor, _) = app.resolve_session(&login.token, None).await.expect("readable").expect("still in");
    assert!(actor.may(Permission::Read) && !actor.may(Permission::WriteOlts), "with the role of now");
    app.change_user(&world::admin(), id, Role::Viewer, false).await.expect("switched off");
    assert!(app.resolve_session(&login.token, None).await.expect("readable").is_none());
    assert!(app.login("sami", password, None).await.is_err());
    let password = app.reset_password("sami").await.expect("from the command line");
    assert!(app.login("sami", password, None).await.expect("in again").must_change);
}

async fn an_administrator_gives_a_colleague_a_new_password(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    app.first_run().await.expect("works").expect("made");
    let (sami, lost, _) = made(&app, "sami", Role::Noc).await;
    let login = app.login("sami", lost.clone(), None).await.expect("in");
    let first = users_of(&app).await[0].clone();
    let admin = Actor::User { id: first.id, name: first.name, role: Role::Admin, address: None };

    let (name, new) = app.reset_password_of(&admin, sami, false).await.expect("may");
    assert_eq!(name, "sami");
    assert!(app.resolve_session(&login.token, None).await.expect("readable").is_none(), "out everywhere");
    assert!(app.login("sami", lost, None).await.is_err());
    assert!(app.login("sami", new.clone(), None).await.expect("in").must_change);
    bed.hides(&[new.expose()]).await;

    // Keys that they made go on, unless that is asked for in the same act.
    let key = rows::ApiKey {
        name: "theirs".into(),
        key_hash: "x".into(),
        scopes: serde_json::json!(["read"]),
        created_by: "sami".into(),
        created_at: app.now(),
        ..Default::default()
    };
    app.store().write(move |tx| Box::pin(async move { tx.insert(&key).await })).await.expect("a key");
    let left = async || {
        let keys = users::api_keys(app.store()).await.expect("readable");
        keys.iter().filter(|key| key.created_by == "sami" && key.revoked_at.is_none()).count()
    };
    assert_eq!(left().await, 1);
    app.reset_password_of(&admin, sami, false).await.expect("may");
    assert_eq!(left().await, 1);
    app.reset_password_of(&admin, sami, true).await.expect("may");
    assert_eq!(left().await, 0);

    let own = app.reset_password_of(&admin, first.id, false).await.expect_err("her own");
    assert!(matches!(own, AppError::Conflict(_)), "{own}");
    // Who is switched off stays so: that is another decision.
    app.change_user(&admin, sami, Role::Noc, false).await.expect("switched off");
    let (name, new) = app.reset_password_of(&admin, sami, false).await.expect("may");
    assert_eq!(name, "sami");
    assert!(app.login("sami", new, None).await.is_err());
    let noc = Actor::User { id: sami, name: "sami".into(), role: Role::Noc, address: None };
    let refused = app.reset_password_of(&noc, first.id, false).await.expect_err("may not");
    assert!(matches!(refused, AppError::Forbidden(_)), "{refused}");
}

async fn the_last_administrator_stays_one(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    app.first_run().await.expect("works").expect("made");
    let first = users_of(&app).await[0].clone();
    for (role, active) in [(Role::Viewer, true), (Role::Admin, false)] {
        let error = app.change_user(&world::admin(), first.id, role, active).await.expect_err("the last one");
        assert!(matches!(error, AppError::Conflict(_)), "{error}");
        let now = users_of(&app).await[0].clone();
        assert_eq!((now.role, now.active), (Role::Admin, true));
    }
    let (second, ..) = made(&app, "zahra", Role::Admin).await;
    app.change_user(&world::admin(), first.id, Role::Noc, true).await.expect("there is another");
    let error = app.change_user(&world::admin(), second, Role::Admin, false).await.expect_err("now she is");
    assert!(matches!(error, AppError::Conflict(_)), "{error}");
}

async fn two_administrators_who_dismiss_each_other_at_once_leave_one(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    app.first_run().await.expect("works").expect("made");
    let first = users_of(&app).await[0].id;
    let (second, ..) = made(&app, "zahra", Role::Admin).await;
    let actor = world::admin();
    let (one, two) = tokio::join!(
        app.change_user(&actor, first, Role::Viewer, true),
        app.change_user(&actor, second, Role::Viewer, true)
    );
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1, "{one:?} {two:?}");
    let left = users_of(&app).await.into_iter().filter(|user| user.role == Role::Admin).count();
    assert_eq!(left, 1);
}

async fn a_key_does_what_its_scopes_say_as_long_as_it_counts(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let admin = world::admin();
    let scopes = [Permission::Read, Permission::WriteCustomers];
    let (id, key) = app.create_api_key(&admin, "billing", &scopes, Some(30)).await.expect("a key");
    assert!(key.expose().starts_with("lk_"));
    let resolve = || async { app.resolve_api_key(&key, None).await.expect("readable") };
    let actor = resolve().await.expect("it counts");
    assert_eq!(actor.label(), "key:billing");
    for permission in Permission::ALL {
        assert_eq!(actor.may(permission), scopes.contains(&permission), "{permission:?}");
    }
    app.create_customer(&actor, app::NewCustomer { name: "Amina".into(), ..Default::default() })
        .await
        .expect("in its scopes");
    let error = app.create_plan(&actor, world::pppoe_plan("x")).await.expect_err("outside its scopes");
    assert!(matches!(error, AppError::Forbidden(_)), "{error}");
    let wrong = Secret::new(format!("{}0", key.expose()));
    assert!(app.resolve_api_key(&wrong, None).await.expect("readable").is_none());
    bed.advance_s(30 * 24 * 3600 + 1);
    assert!(resolve().await.is_none(), "its time is over");
    let (other, forever) = app.create_api_key(&admin, "noc", &[Permission::Read], None).await.expect("a key");
    bed.advance_s(300 * 24 * 3600);
    assert!(app.resolve_api_key(&forever, None).await.expect("readable").is_some());
    app.revoke_api_key(&admin, other).await.expect("taken back");
    assert!(app.resolve_api_key(&forever, None).await.expect("readable").is_none());
    assert!(app.revoke_api_key(&admin, other).await.is_err(), "once");
    app.revoke_api_key(&admin, id).await.expect("one that has ended may be taken back too");
    bed.hides(&[key.expose(), forever.expose()]).await;
}

async fn nobody_hands_out_what_they_do_not_have(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    app.first_run().await.expect("works").expect("made");
    let key = |scopes: &[Permission]| Actor::ApiKey {
        id: types::ApiKeyId(7),
        name: "robot".into(),
        scopes: scopes.to_vec(),
        address: None,
    };
    let forbidden = |result: Result<(), AppError>| {
        assert!(matches!(result, Err(AppError::Forbidden(_))), "{result:?}");
    };
    for role in [Role::Noc, Role::Support, Role::Technician, Role::Viewer] {
        let actor = person("someone", role);
        forbidden(app.create_api_key(&actor, "x", &[Permission::Read], None).await.map(drop));
        forbidden(app.create_user(&actor, "x", Role::Viewer).await.map(drop));
        forbidden(app.change_user(&actor, UserId(1), Role::Admin, true).await);
    }
    let keys_only = key(&[Permission::ManageKeys, Permission::Read]);
    forbidden(app.create_api_key(&keys_only, "x", &[Permission::WriteOlts], None).await.map(drop));
    app.create_api_key(&keys_only, "x", &[Permission::Read], None).await.expect("it has that itself");
    let users_only = key(&[Permission::ManageUsers, Permission::Read]);
    forbidden(app.create_user(&users_only, "boss", Role::Admin).await.map(drop));
    let (viewer, _) = app.create_user(&users_only, "vera", Role::Viewer).await.expect("no more than it has");
    forbidden(app.change_user(&users_only, viewer, Role::Admin, true).await);
    let error = app.create_api_key(&world::admin(), "x", &[], None).await.expect_err("for nothing");
    assert!(matches!(error, AppError::Invalid { .. }), "{error}");
    let error = app.create_user(&world::admin(), "vera", Role::Viewer).await.expect_err("taken");
    assert!(matches!(error, AppError::Conflict(_)), "{error}");
}

async fn nobody_is_named_like_lightkeeper_or_a_program(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    for name in ["system", " API ", "LightKeeper", "login", "key:billing", "system:autofind"] {
        let error = app.create_user(&world::admin(), name, Role::Viewer).await.expect_err(name);
        assert!(
            matches!(&error, AppError::Invalid { fields } if fields[0].field == "name"),
            "{name}: {error}"
        );
    }
    app.create_user(&world::admin(), "Systemis", Role::Viewer).await.expect("somebody's name");
}

on_both!(
    the_first_start_makes_an_administrator_once,
    two_nodes_that_start_at_once_make_one_administrator,
    a_wrong_name_is_told_in_the_words_of_a_wrong_password,
    guessing_becomes_slow_and_stays_so_for_that_name_and_address,
    a_hundred_guesses_at_once_are_a_hundred_guesses,
    a_login_ends_when_idle_when_old_and_when_told,
    a_new_password_ends_every_login,
    somebody_who_is_switched_off_is_out_at_once,
    an_administrator_gives_a_colleague_a_new_password,
    the_last_administrator_stays_one,
    two_administrators_who_dismiss_each_other_at_once_leave_one,
    a_key_does_what_its_scopes_say_as_long_as_it_counts,
    nobody_hands_out_what_they_do_not_have,
    nobody_is_named_like_lightkeeper_or_a_program,
);
