//! The page of the ACS policy: it shows the bounds of every value and refuses what is outside them.

use app::{PolicyBound, PolicyLimits};
use axum::http::StatusCode;

use super::bed::{Bed, NOW, between};

/// The fields of the page's own form, as a browser would send them back.
fn as_shown(page: &str) -> Vec<(String, String)> {
    let form = between(page, "action=\"/settings/policy\"", "</form>");
    let mut fields = Vec::new();
    for input in form.split("<input").skip(1) {
        let tag = input.split('>').next().unwrap_or_default();
        if tag.contains("type=\"checkbox\"") && !tag.contains("checked") {
            continue;
        }
        let (name, value) = (between(tag, "name=\"", "\""), between(tag, "value=\"", "\""));
        if !name.is_empty() && name != "_csrf" {
            fields.push((name.to_owned(), value.to_owned()));
        }
    }
    for area in form.split("<textarea").skip(1) {
        fields
            .push((between(area, "name=\"", "\"").to_owned(), between(area, ">", "</textarea>").to_owned()));
    }
    fields
}

/// As the node that refuses writes it down now and then.
async fn refuse(bed: &Bed, address: [u8; 4], times: usize) {
    for _ in 0..times {
        app::ports::CpeFrontDoor::refused(&*bed.app, std::net::IpAddr::from(address));
    }
    bed.app.write_refused().await.expect("written down");
}

#[tokio::test]
async fn whom_the_management_networks_keep_out_is_said_with_what_to_do() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let overview = admin.get(&bed, "/").await.text;
    assert!(overview.contains("No management network is set: every CPE that speaks plain HTTP is refused."));
    assert!(overview.contains("href=\"/settings/policy#refused\""), "and where it is set");
    refuse(&bed, [127, 0, 0, 1], 1).await;
    refuse(&bed, [203, 1, 113, 9], 1).await;
    refuse(&bed, [10, 21, 3, 4], 3).await;
    let sentence =
        "No management network is set: 2 addresses were refused in the last hour, the newest 10.21.3.4.";
    assert!(admin.get(&bed, "/").await.text.contains(sentence));
    let page = admin.get(&bed, "/settings/policy").await.text;
    assert!(page.contains(sentence), "{}", between(&page, "po-refused", "</div>"));
    let rows = between(&page, "id=\"refused\"", "</section>");
    assert!(rows.contains("10.21.3.4") && rows.contains("203.1.113.9"));
    assert!(!rows.contains("127.0.0.1"), "our own health checks are nobody's CPE");
    assert_eq!(rows.matches("add_network=").count(), 1, "the internet is not proposed");

    // The proposal is written into the form; nothing is saved by following it.
    let proposed = admin.get(&bed, "/settings/policy?add_network=10.21.0.0%2F16").await.text;
    assert!(between(&proposed, "name=\"management_networks\"", "</textarea>").ends_with(">10.21.0.0/16"));
    assert!(bed.app.policy().management_networks.is_empty());
    let internet = admin.get(&bed, "/settings/policy?add_network=203.1.113.0%2F24").await.text;
    assert!(between(&internet, "name=\"management_networks\"", "</textarea>").ends_with('>'));

    // A network of the internet is taken only from somebody who says that it is meant.
    let send = |more: &[(&'static str, &'static str)]| {
        let mut all = as_shown(&page);
        all.retain(|(name, _)| name != "management_networks");
        all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all
    };
    let both = ("management_networks", "10.21.0.0/16\n203.1.113.0/24");
    let all = send(&[both]);
    let all: Vec<(&str, &str)> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let answer = admin.post(&bed, "/settings/policy", &all).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("203.1.113.0/24 holds addresses of the internet"), "{}", answer.text);
    assert!(answer.text.contains("name=\"public_networks\""), "and it can be said");
    let all = send(&[both, ("public_networks", "1")]);
    let all: Vec<(&str, &str)> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(admin.post(&bed, "/settings/policy", &all).await.status, StatusCode::SEE_OTHER);
    assert_eq!(bed.app.policy().management_networks.len(), 2);

    // Who may come in now is no trouble any more; a mistyped network is.
    assert_eq!(bed.app.refusals().await.expect("reads").trouble(), None);
    refuse(&bed, [10, 22, 9, 9], 1).await;
    refuse(&bed, [203, 2, 1, 1], 1).await;
    let text = admin.get(&bed, "/").await.text;
    assert!(text.contains("1 address was refused in the last hour, 10.22.9.9: in no management network."));
    bed.clock.advance(std::time::Duration::from_secs(3601));
    assert_eq!(bed.app.refusals().await.expect("reads").trouble(), None, "an hour later it is history");
}

#[tokio::test]
async fn the_page_of_the_policy_shows_its_bounds_and_keeps_them() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let page = admin.get(&bed, "/settings/policy").await.text;
    for bound in PolicyBound::all() {
        let label = between(&page, &format!("for=\"f-{}\"", bound.name()), "</label>");
        let words = bound.words(PolicyLimits::Network, NOW);
        assert!(label.contains(&words), "{}: {label} lacks {words}", bound.name());
    }
    assert!(page.contains("each 60 to 604800"), "of the waiting times");

    let fields = as_shown(&page);
    let send = |changed: &[(&'static str, &'static str)]| {
        let mut all = fields.clone();
        for (name, value) in changed {
            all.retain(|(known, _)| known != name);
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
        all
    };
    for (name, value) in [
        ("cool_down_s", "0"),
        ("cool_down_s", "-1"),
        ("back_off_s", "900 0"),
        ("back_off_s", "soon"),
        ("requests_per_session", "0"),
        ("clock_floor_year", "1"),
        ("management_networks", "0.0.0.0/0"),
        ("time_zone", "home"),
        ("wan_label", "cpe-1"),
    ] {
        let all = send(&[(name, value)]);
        let all: Vec<(&str, &str)> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let answer = admin.post(&bed, "/settings/policy", &all).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{name} {value}");
        assert!(answer.text.contains(&format!("id=\"e-{name}\"")), "{name} {value}: said beside its field");
        assert_eq!(*bed.app.policy(), app::AcsPolicy::default(), "{name} {value}: nothing changed");
    }
    let all =
        send(&[("cool_down_s", "450"), ("back_off_s", "600, 1200"), ("management_networks", "10.20.0.0/16")]);
    let all: Vec<(&str, &str)> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let answer = admin.post(&bed, "/settings/policy", &all).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let mut wanted = app::AcsPolicy::default();
    wanted.provisioning.cool_down_s = 450;
    wanted.provisioning.back_off_s = vec![600, 1200];
    wanted.management_networks = vec!["10.20.0.0/16".parse().expect("a network")];
    assert_eq!(*bed.app.policy(), wanted, "and everything else came back as it was shown");
}

#[tokio::test]
async fn a_model_is_let_pass_without_a_clock_and_its_pages_say_so() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, cpe, _) = bed.seeded().await;
    let row: store::rows::Cpe = bed.app.store().get(cpe).await.expect("readable").expect("a CPE");
    let fields = |reason: &'static str| {
        [
            ("manufacturer", row.manufacturer.as_str()),
            ("product_class", row.product_class.as_str()),
            ("reason", reason),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    };
    let post = async |admin: &mut super::bed::Browser, path: &str, fields: &[(&str, String)]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        admin.post(&bed, path, &fields).await
    };
    let answer = post(&mut admin, "/settings/clock-waivers", &fields("")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("id=\"e-reason\"") && bed.app.clock_waivers().is_empty());
    let pages = [format!("/cpes/{cpe}"), format!("/services/{service}")];
    for page in &pages {
        assert!(!admin.get(&bed, page).await.text.contains("pass without a right clock, since"), "{page}");
    }
    // Without a maker every maker's model of that name would pass: refused, with words beside the field.
    let nameless = fields("it stands still").map(|(name, value)| match name {
        "manufacturer" => (name, String::new()),
        _ => (name, value),
    });
    let answer = post(&mut admin, "/settings/clock-waivers", &nameless).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("other makers use the same model names"), "{}", answer.text);
    assert!(bed.app.clock_waivers().is_empty());
    let answer = post(&mut admin, "/settings/clock-waivers", &fields("it stands still")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    for page in &pages {
        let text = admin.get(&bed, page).await.text;
        assert!(
            text.contains("pass without a right clock, since") && text.contains("it stands still"),
            "{page}"
        );
    }
    assert!(admin.get(&bed, "/settings/policy").await.text.contains("it stands still"));
    let answer = post(&mut admin, "/settings/clock-waivers/withdraw", &fields("")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(bed.app.clock_waivers().is_empty(), "withdrawn");
}

#[tokio::test]
async fn one_router_passes_without_a_clock_until_its_page_withdraws_that() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, cpe, _) = bed.seeded().await;
    let mut row: store::rows::Cpe = bed.app.store().get(cpe).await.expect("readable").expect("a CPE");
    row.machine = serde_json::to_value(provisioning::Device::new(bed.app.now())).expect("json").into();
    let spoke = bed.app.store().write(move |tx| {
        Box::pin(async move {
            tx.update(&row).await?.or_overtaken("the CPE")?;
            Ok::<_, store::StoreError>(())
        })
    });
    spoke.await.expect("written");
    let page = format!("/cpes/{cpe}");
    let pages = [page.clone(), format!("/services/{service}")];
    let says = "lets this router pass without a right clock";
    let answer = admin.post(&bed, &format!("{page}/clock"), &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    for page in &pages {
        assert!(admin.get(&bed, page).await.text.contains(says), "{page}");
    }
    let text = admin.get(&bed, &page).await.text;
    assert!(text.contains(&format!("action=\"{page}/clock/withdraw\"")), "{text}");
    let answer = admin.post(&bed, &format!("{page}/clock/withdraw"), &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    for page in &pages {
        assert!(!admin.get(&bed, page).await.text.contains(says), "{page}");
    }
}

#[tokio::test]
async fn an_inform_interval_of_its_own_is_accepted_of_a_model() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let form = |interval_s: &'static str| {
        [
            ("manufacturer", "Huawei"),
            ("product_class", "HG8546M"),
            ("interval_s", interval_s),
            ("reason", "it clamps"),
        ]
    };
    for (wrong, said) in [("soon", "is not a whole number"), ("9", "10 to 604800")] {
        let answer = admin.post(&bed, "/settings/kept-intervals", &form(wrong)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(
            answer.text.contains(said) && answer.text.contains("it clamps"),
            "{wrong}: what was typed is lost"
        );
        assert!(bed.app.kept_intervals().is_empty());
    }
    let answer = admin.post(&bed, "/settings/kept-intervals", &form("43200")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    assert!(admin.get(&bed, "/settings/policy").await.text.contains("43,200 s"));
    // As the page of a router asks for it: the form of the interval is filled, the other one is not.
    let asked = "/settings/policy?manufacturer=ZTE&product_class=F660&interval_s=3600";
    let text = admin.get(&bed, asked).await.text;
    assert_eq!(text.matches("value=\"F660\"").count(), 1, "{text}");
    let answer = admin.post(&bed, "/settings/kept-intervals/withdraw", &form("")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(bed.app.kept_intervals().is_empty(), "withdrawn");
}
