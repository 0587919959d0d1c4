//! The form of an OLT: what each plan gets there.

use axum::http::StatusCode;
use store::rows;

use super::bed::Bed;

#[tokio::test]
async fn what_a_plan_gets_on_an_olt_is_set_on_its_form_and_stays_where_it_is_not_spoken_of() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, _, olt) = bed.seeded().await;
    let place = format!("/olts/{olt}/edit");
    let base = [
        ("name", "olt-1"),
        ("vendor_profile", "huawei_smartax"),
        ("address", "10.10.0.11"),
        ("protocol", "ssh"),
        ("port", "22"),
        ("username", "lk"),
        ("password", "cli-Heron-1"),
        ("snmp_port", "161"),
        ("line_profile_id", "10"),
        ("service_profile_id", "10"),
        ("internet_vlan", "100"),
        ("internet_gemport", "1"),
        ("management_vlan", "40"),
        ("management_gemport", "2"),
        ("management_priority", "2"),
        ("tr069_profile_id", "1"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
    let defaults = || async {
        let row: rows::Olt = bed.app.store().require(olt).await.expect("the OLT");
        serde_json::from_value::<app::OltDefaults>(row.defaults).expect("readable")
    };
    let page = admin.get(&bed, &place).await.text;
    assert!(page.contains("name=\"plan_up_1\"") && page.contains("name=\"plan_service_1\""), "{page}");
    let half =
        with(&[("plan_up_1", "62"), ("plan_down_1", ""), ("plan_line_1", "12"), ("plan_service_1", "")]);
    let refused = admin.post(&bed, &place, &half).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    assert!(
        refused.text.contains("e-plan_down_1") && refused.text.contains("value=\"62\""),
        "{}",
        refused.text
    );
    let whole = with(&[
        ("plan_up_1", "62"),
        ("plan_down_1", "65"),
        ("plan_line_1", "12"),
        ("plan_service_1", ""),
        ("default_up", "6"),
        ("default_down", "7"),
    ]);
    let saved = admin.post(&bed, &place, &whole).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let of_plan = app::PlanTraffic {
        plan_id: 1,
        up_table: Some(62),
        down_table: Some(65),
        line_profile_id: Some(12),
        service_profile_id: None,
    };
    let now = defaults().await;
    assert_eq!((now.plan_traffic, now.default_traffic), (vec![of_plan], Some((6, 7))));
    // A form that does not have them leaves them alone.
    assert_eq!(admin.post(&bed, &place, &with(&[])).await.status, StatusCode::SEE_OTHER);
    let now = defaults().await;
    assert_eq!((now.plan_traffic, now.default_traffic), (vec![of_plan], Some((6, 7))));
    // Emptied, they are gone.
    let none = with(&[
        ("plan_up_1", ""),
        ("plan_down_1", ""),
        ("plan_line_1", ""),
        ("default_up", ""),
        ("default_down", ""),
    ]);
    assert_eq!(admin.post(&bed, &place, &none).await.status, StatusCode::SEE_OTHER);
    let now = defaults().await;
    assert_eq!((now.plan_traffic, now.default_traffic), (Vec::new(), None));
}
