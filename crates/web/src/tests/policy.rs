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
