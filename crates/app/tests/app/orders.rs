//! Device orders, from the command to what is known of them afterwards.

use crate::{
    shell::{callable, machine},
    support::{
        bed::Bed,
        cpe::{SimCpe, pass},
        world::{Calls, admin, cpe_row, person},
    },
};
use app::{App, AppError, DeviceOrderRequest, ParameterChange, Role};
use provisioning::ValueKind;
use std::time::Duration;
use store::{cpes, rows};
use types::{CpeId, DeviceOrderId, Secret};

const INFO: &str = "InternetGatewayDevice.DeviceInfo.";
const NONE_SUCH: &str = "InternetGatewayDevice.DeviceInfo.X_NoneSuch";
const CODE: &str = "InternetGatewayDevice.DeviceInfo.ProvisioningCode";

fn set(path: &str, value: &str) -> DeviceOrderRequest {
    let change =
        ParameterChange { path: path.into(), value: Secret::new(value), kind: Some(ValueKind::String) };
    DeviceOrderRequest::Set { values: vec![change] }
}

async fn order(app: &App, cpe: CpeId, request: DeviceOrderRequest) -> DeviceOrderId {
    app.order_device(&admin(), cpe, request, None).await.expect("taken").id
}

/// Lets time pass until the order is over.
pub(crate) async fn until_over(
    bed: &Bed,
    app: &App,
    calls: &Calls,
    cpe: &mut SimCpe,
    id: DeviceOrderId,
) -> rows::DeviceOrder {
    let mut answered = calls.made().len().saturating_sub(1);
    for _ in 0..200 {
        let order = app.device_order(id).await.expect("is there");
        if order.ended_at.is_some() {
            return order;
        }
        pass(bed, app, calls, &mut answered, cpe).await;
    }
    panic!("not over: {:?}", app.device_order(id).await);
}

async fn a_subtree_is_read_and_a_parameter_is_set_and_read_back(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    bed.advance_s(60);
    let refresh = order(&app, id, DeviceOrderRequest::refresh(INFO)).await;
    let done = until_over(bed, &app, &calls, &mut cpe, refresh).await;
    assert_eq!(done.state, "done", "{done:?}");
    assert!(done.values_read > 3, "{done:?}");
    let known = cpes::parameters_named(app.store(), id, &[CODE.to_owned()]).await.expect("readable");
    assert_eq!(known[0].writable, Some(true), "GetParameterNames said so");

    let write = order(&app, id, set(CODE, "fibre-7")).await;
    let done = until_over(bed, &app, &calls, &mut cpe, write).await;
    assert_eq!(done.state, "done", "{done:?}");
    assert_eq!(done.results[0]["observed"], "fibre-7");
    assert_eq!(done.body_sealed, None, "its content goes when it is over");
    let known = cpes::parameters_named(app.store(), id, &[CODE.to_owned()]).await.expect("readable");
    assert_eq!(known[0].value, "fibre-7");
    let row = cpe_row(&app, id).await;
    assert_eq!((row.state.as_str(), machine(&row).orders.len()), ("ACTIVE", 0));
}

async fn a_restart_is_done_when_the_device_says_so(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    bed.advance_s(60);
    let reboot = order(&app, id, DeviceOrderRequest::Reboot { confirmed: true }).await;
    let again = app.order_device(&admin(), id, DeviceOrderRequest::Reboot { confirmed: true }, None).await;
    assert!(matches!(again, Err(AppError::Conflict(_))), "one at a time: {again:?}");
    let waiting = tokio::spawn({
        let app = app.clone();
        async move { app.order_ended(reboot, Duration::from_secs(60)).await }
    });
    let done = until_over(bed, &app, &calls, &mut cpe, reboot).await;
    assert_eq!(done.state, "done", "{done:?}");
    assert!(done.text.contains("M Reboot"), "{}", done.text);
    assert!(done.sent_at.is_some_and(|sent| done.ended_at.is_some_and(|ended| ended > sent)), "{done:?}");
    let seen = waiting.await.expect("not killed").expect("is there");
    assert_eq!(seen.state, "done", "whoever waits for it is told");
}

async fn what_may_not_be_ordered_is_refused_in_words(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    let refused = async |request: DeviceOrderRequest| {
        let error = Box::pin(app.order_device(&admin(), id, request, None)).await.expect_err("refused");
        assert!(matches!(error, AppError::Invalid { .. }), "{error}");
        error.to_string()
    };
    let url = refused(set("InternetGatewayDevice.ManagementServer.URL", "http://other/")).await;
    assert!(url.contains("management setting"), "{url}");
    let web = refused(set("InternetGatewayDevice.UserInterface.RemoteAccess.Enable", "1")).await;
    assert!(web.contains("WAN side"), "{web}");
    let telnet = refused(set("InternetGatewayDevice.X_HW_Security.AclServices.TELNETWanEnable", "1")).await;
    assert!(telnet.contains("WAN side"), "{telnet}");
    let wan = "InternetGatewayDevice.WANDevice.2.WANConnectionDevice.1.WANIPConnection.1.Enable";
    let wan = ParameterChange { path: wan.into(), value: Secret::new("0"), kind: Some(ValueKind::Boolean) };
    let wan = refused(DeviceOrderRequest::Set { values: vec![wan] }).await;
    assert!(wan.contains("the device's connections"), "{wan}");
    refused(set(INFO, "1")).await;
    refused(set("Internet Gateway.X", "1")).await;
    refused(DeviceOrderRequest::Reboot { confirmed: false }).await;
    refused(DeviceOrderRequest::FactoryReset { confirmed: false }).await;
    refused(DeviceOrderRequest::Set { values: Vec::new() }).await;
    refused(DeviceOrderRequest::refresh("")).await;
    let number = ParameterChange { path: CODE.into(), value: Secret::new("x"), kind: Some(ValueKind::Int) };
    refused(DeviceOrderRequest::Set { values: vec![number] }).await;

    let support = person("ana", Role::Support);
    let forbidden = app.order_device(&support, id, set(CODE, "x"), None).await;
    assert!(matches!(forbidden, Err(AppError::Forbidden(_))), "{forbidden:?}");
    assert_eq!(app.device_orders(id, 10).await.expect("readable").len(), 0, "nothing of it is kept");
}

async fn a_secret_is_never_shown_and_an_order_can_be_withdrawn(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    let path = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.PreSharedKey.1.PreSharedKey";
    let key = order(&app, id, set(path, "by-hand-42")).await;
    let row = app.device_order(key).await.expect("is there");
    let told = format!("{row:?} {:?} {:?}", cpe_row(&app, id).await, app.device_orders(id, 10).await);
    assert!(!told.contains("by-hand-42"), "{told}");
    assert!(row.body_sealed.is_some());
    let vendor = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.X_WPAPSK";
    order(&app, id, set(vendor, "by-hand-43")).await;
    let told = format!("{:?} {:?}", cpe_row(&app, id).await, app.device_orders(id, 10).await);
    assert!(!told.contains("by-hand-43"), "{told}");
    let after = app.cancel_order(&admin(), key).await.expect("withdrawn");
    assert_eq!((after.state.as_str(), after.body_sealed.is_none()), ("cancelled", true));
    let again = app.cancel_order(&admin(), key).await;
    assert!(matches!(again, Err(AppError::Conflict(_))), "{again:?}");
}

async fn of_two_restarts_at_once_one_is_taken(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    let other = bed.app("node-2", &calls).await;
    for request in
        [DeviceOrderRequest::Reboot { confirmed: true }, DeviceOrderRequest::FactoryReset { confirmed: true }]
    {
        let by = admin();
        let (one, two, three) = tokio::join!(
            app.order_device(&by, id, request.clone(), None),
            app.order_device(&by, id, request.clone(), None),
            other.order_device(&by, id, request.clone(), None),
        );
        let all = [one, two, three];
        assert_eq!(all.iter().filter(|taken| taken.is_ok()).count(), 1, "{all:?}");
        assert!(all.iter().all(|taken| matches!(taken, Ok(_) | Err(AppError::Conflict(_)))), "{all:?}");
    }
    let by = admin();
    let read = || app.order_device(&by, id, DeviceOrderRequest::refresh(INFO), None);
    let many = futures::future::join_all((0..20).map(|_| read())).await;
    let taken = many.iter().filter(|taken| taken.is_ok()).count();
    assert_eq!(taken, provisioning::MOST_OPEN_ORDERS - 2, "{many:?}");
    let kept = app.device_orders(id, 100).await.expect("readable");
    assert_eq!(kept.len(), provisioning::MOST_OPEN_ORDERS, "what was refused leaves no row");
    assert_eq!(machine(&cpe_row(&app, id).await).orders.len(), kept.len(), "the machine knows them all");
}

async fn a_device_without_a_service_is_only_read(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    app.release_cpe(&admin(), id).await.expect("released");
    for request in [
        DeviceOrderRequest::Reboot { confirmed: true },
        DeviceOrderRequest::FactoryReset { confirmed: true },
        set(CODE, "fibre-7"),
    ] {
        let error = app.order_device(&admin(), id, request, None).await.expect_err("refused");
        assert!(matches!(&error, AppError::Conflict(why) if why.contains("no service")), "{error}");
    }
    let read = order(&app, id, DeviceOrderRequest::refresh(INFO)).await;
    assert_eq!(app.device_order(read).await.expect("is there").state, "waiting");
}

/// An order that was not carried out is ordered again once, for as long, and for nobody else than it was given for.
async fn what_failed_is_repeated_once_and_for_the_same_service_only(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    bed.advance_s(60);
    let by = admin();
    let failed = |expires_s| app.order_device(&by, id, set(NONE_SUCH, "x"), Some(expires_s));
    let first = failed(600).await.expect("taken").id;
    let over = until_over(bed, &app, &calls, &mut cpe, first).await;
    assert_eq!(over.state, "failed", "{over:?}");
    let other = bed.app("node-2", &calls).await;
    let (one, two, three) = tokio::join!(
        app.repeat_order(&by, first),
        app.repeat_order(&by, first),
        other.repeat_order(&by, first)
    );
    let all = [one, two, three];
    assert_eq!(all.iter().filter(|taken| taken.is_ok()).count(), 1, "{all:?}");
    assert!(all.iter().all(|taken| matches!(taken, Ok(_) | Err(AppError::Conflict(_)))), "{all:?}");
    let again = all.into_iter().find_map(Result::ok).expect("one was taken").id;
    let kept = app.device_order(again).await.expect("there");
    assert_eq!(kept.expires_at.since(kept.created_at).as_secs(), 600);
    assert_eq!(app.device_orders(id, 100).await.expect("readable").len(), 2, "the first and one more");
    assert!(app.device_order(first).await.expect("kept").dismissed_at.is_some());

    let over = until_over(bed, &app, &calls, &mut cpe, again).await;
    assert_eq!(over.state, "failed", "{over:?}");
    // Somebody else has the device since.
    let stands = app.device_order(again).await.expect("there");
    assert_eq!(stands.service_id, cpe_row(&app, id).await.service_id);
    app.release_cpe(&by, id).await.expect("released");
    let error = app.repeat_order(&by, again).await.expect_err("not for whoever has it now");
    assert!(matches!(&error, AppError::Conflict(why) if why.contains("another service")), "{error}");
    assert!(app.device_order(again).await.expect("there").dismissed_at.is_none(), "it stands as it did");
}

/// Whoever waits is told how far it is when the device was told.
async fn a_wait_that_is_over_says_what_is_known(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    bed.advance_s(60);
    let first = order(&app, id, DeviceOrderRequest::refresh(INFO)).await;
    until_over(bed, &app, &calls, &mut cpe, first).await;
    let next = order(&app, id, set(CODE, "fibre-7")).await;
    let soon = app.order_awaited(next, Duration::ZERO, Duration::ZERO).await.expect("waits");
    assert_eq!((soon.order.state.as_str(), soon.why), ("waiting", None));
    // Told, and not over in time: it may be done.
    let (key, now) = (soon.order.key, app.now());
    let told = app.store().write::<_, _, store::StoreError>(move |tx| {
        let news = store::orders::News {
            key: key.clone(),
            state: "sent".into(),
            text: "The device accepted it.".into(),
            sent_at: Some(now),
            ..Default::default()
        };
        Box::pin(async move { store::orders::note(tx, &news).await })
    });
    told.await.expect("noted");
    let short = Duration::from_millis(10);
    let over = app.order_awaited(next, short, short).await.expect("waits");
    assert_eq!((over.order.state.as_str(), over.why.as_deref()), ("sent", Some("The device accepted it.")));
}

on_both!(
    a_wait_that_is_over_says_what_is_known,
    what_failed_is_repeated_once_and_for_the_same_service_only,
    of_two_restarts_at_once_one_is_taken,
    a_device_without_a_service_is_only_read,
    a_subtree_is_read_and_a_parameter_is_set_and_read_back,
    a_restart_is_done_when_the_device_says_so,
    what_may_not_be_ordered_is_refused_in_words,
    a_secret_is_never_shown_and_an_order_can_be_withdrawn,
);
