//! Picking a customer or a service of which there are more than a list holds.

use axum::http::StatusCode;

use super::bed::{Bed, between};

/// More customers than a list offers; the oldest is the last to be offered.
async fn many(bed: &Bed) {
    let actor = app::Actor::System("test");
    for n in 0..302 {
        let name = if n == 0 { "Zoe Oldest".to_owned() } else { format!("Customer {n:03}") };
        let customer = app::NewCustomer { name, ..app::NewCustomer::default() };
        bed.app.create_customer(&actor, customer).await.expect("a customer");
        bed.clock.advance(std::time::Duration::from_secs(1));
    }
    let plan = app::NewPlan {
        name: "Home".into(),
        down_kbps: 100_000,
        up_kbps: 50_000,
        price_minor: 3200,
        currency: "EUR".parse().expect("a currency"),
        internet_mode: "pppoe".into(),
        vlan: None,
    };
    bed.app.create_plan(&actor, plan).await.expect("a plan");
}

#[tokio::test]
async fn a_customer_whom_the_list_leaves_out_is_found_by_searching() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    many(&bed).await;
    let page = admin.get(&bed, "/services/new").await.text;
    assert!(!between(&page, "id=\"f-c\"", "</select>").contains("Zoe Oldest"));
    assert!(
        page.contains("the newest 300 of 302; search for the others"),
        "the list says that it is not whole"
    );
    let options = admin.get(&bed, "/customers/options?customer_q=zoe").await.text;
    assert!(options.contains("Zoe Oldest") && !options.contains("Customer 001"), "{options}");

    // Without scripts the word goes with the form: several, none, and exactly one.
    let send = |word: &'static str| [("customer_q", word), ("customer_id", ""), ("plan_id", "1")];
    let several = admin.post(&bed, "/services", &send("Customer 00")).await;
    assert_eq!(several.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(several.text.contains("fits 9 customers"), "{}", several.text);
    let offered = between(&several.text, "id=\"f-c\"", "</select>");
    assert!(offered.contains("Customer 007") && !offered.contains("Customer 107"), "{offered}");
    let none = admin.post(&bed, "/services", &send("nobody at all")).await;
    assert!(none.text.contains("fits no customer"), "{}", none.text);
    let one = admin.post(&bed, "/services", &send("zoe old")).await;
    // The page that shows the generated passwords once.
    assert_eq!(one.status, StatusCode::OK, "{}", one.text);
    assert!(one.text.contains("<title>Service created"), "{}", one.text);
    let made = admin.get(&bed, "/services").await.text;
    assert!(made.contains("Zoe Oldest"), "it is theirs");
    let options = admin.get(&bed, "/services/options?service_q=zoe").await.text;
    assert!(options.contains("Zoe Oldest") && options.contains("S-"), "{options}");
}
