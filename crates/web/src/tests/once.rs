//! Forms that are sent twice: by a double click, by a reload, by a browser that lost its connection.

use axum::http::{StatusCode, header};
use store::{
    read::{CustomerFilter, Page, Sort},
    settings::{Seen, UNDER_WAY_FOR},
};
use types::Secret;

use super::bed::{Bed, Browser, PASSWORD, between};
use crate::{
    WebState,
    once::{Remembered, kept},
    pages::go,
    state::Ctx,
    view::Status,
};

const KEY: &str = "00112233445566778899aabbccddeeff";

async fn customers(bed: &Bed) -> u64 {
    let read = bed.app.store().read();
    let all = read.customers(&CustomerFilter::default(), &Sort::default(), Page::default()).await;
    all.expect("readable").total
}

#[tokio::test]
async fn every_form_carries_a_key_of_its_own() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let keys = |page: &str| -> Vec<String> {
        page.split("name=\"_once\" value=\"").skip(1).map(|part| part[..32].to_owned()).collect()
    };
    let one = admin.get(&bed, "/customers/new").await.text;
    let two = admin.get(&bed, "/customers/new").await.text;
    let mut all = [keys(&one), keys(&two)].concat();
    assert!(all.len() >= 2, "{one}");
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "each form has its own");
}

#[tokio::test]
async fn a_form_that_comes_twice_is_carried_out_once() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let first = admin.post(&bed, "/customers", &[("name", "Amina"), ("_once", KEY)]).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER, "{}", first.text);
    let again = admin.post(&bed, "/customers", &[("name", "Amina"), ("_once", KEY)]).await;
    let led = again.header(header::LOCATION).to_owned();
    assert_eq!(led, first.header(header::LOCATION));
    let shown = admin.get(&bed, &led).await.text;
    assert!(shown.contains("lk-toast"), "the message comes again: {shown}");
    assert_eq!(customers(&bed).await, 1);
    // Gone back, changed, sent again: that is another customer.
    let other = admin.post(&bed, "/customers", &[("name", "Berta"), ("_once", KEY)]).await;
    assert_ne!(other.header(header::LOCATION), first.header(header::LOCATION));
    assert_eq!(customers(&bed).await, 2);
}

#[tokio::test]
async fn two_that_come_at_once_are_one() {
    let bed = Bed::new().await;
    let mut one = bed.admin().await;
    let mut two = Browser { cookies: one.cookies.clone(), csrf: one.csrf.clone() };
    let fields = [("name", "Amina"), ("_once", KEY)];
    let (one, two) =
        tokio::join!(one.post(&bed, "/customers", &fields), two.post(&bed, "/customers", &fields));
    assert_eq!(one.header(header::LOCATION), two.header(header::LOCATION));
    assert_eq!((one.status, customers(&bed).await), (StatusCode::SEE_OTHER, 1));
}

#[tokio::test]
async fn a_form_that_was_refused_may_be_sent_again() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    for _ in 0..2 {
        let refused = admin.post(&bed, "/customers", &[("name", " "), ("_once", KEY)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_ne!(between(&refused.text, "name=\"_once\" value=\"", "\""), KEY, "a new key for a new try");
    }
    assert_eq!(customers(&bed).await, 0);
}

#[tokio::test]
async fn a_button_that_failed_may_be_pressed_again() {
    let bed = Bed::new().await;
    let ctx = Ctx::new(WebState::new(bed.app.clone()));
    assert_eq!(kept(&go(&ctx, "/services", Status::Bad, "Failed", "The OLT does not answer.")), None);
    assert!(kept(&go(&ctx, "/services", Status::Ok, "Done", "It is so.")).is_some());
}

#[tokio::test]
async fn what_is_shown_once_is_not_shown_twice_and_not_made_twice() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let fields = [("name", "lena"), ("role", "viewer"), ("_once", KEY)];
    let first = admin.post(&bed, "/settings/users", &fields).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    let again = admin.post(&bed, "/settings/users", &fields).await;
    assert_eq!((again.status, again.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/settings/users"));
    let shown = admin.get(&bed, "/settings/users").await.text;
    assert!(shown.contains("Done already"), "{shown}");
    let users = bed.app.store().read().users().await.expect("readable");
    assert_eq!(users.iter().filter(|user| user.name == "lena").count(), 1);
}

#[tokio::test]
async fn a_form_whose_process_died_says_so_once_and_may_then_be_sent_again() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let actor = bed.app.login("admin", Secret::new(PASSWORD), None).await.expect("in").actor;
    let ctx = Ctx::new(WebState::new(bed.app.clone()));
    let body = format!("name=Amina&_once={KEY}&_csrf={}", admin.csrf);
    let mut begun = Remembered::of(ctx.app(), &actor, "form", "/customers", KEY.into(), body.as_bytes());
    begun.as_form();
    assert_eq!(begun.seen(ctx.app()).await.expect("remembered"), Seen::New);
    // It was remembered, and nobody carries it out any more.
    bed.clock.advance(UNDER_WAY_FOR);
    let fields = [("name", "Amina"), ("_once", KEY)];
    let told = admin.post(&bed, "/customers", &fields).await;
    assert_eq!(told.status, StatusCode::CONFLICT, "{}", told.text);
    assert!(told.text.contains("cut off"), "{}", told.text);
    assert_eq!(customers(&bed).await, 0);
    assert_eq!(admin.post(&bed, "/customers", &fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(customers(&bed).await, 1);
}
