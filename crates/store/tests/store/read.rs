//! Read models: what pages and the API are shown.

use crate::bed::{Bed, START};
use store::{
    Store,
    read::{
        AuditFilter, CpeFilter, CustomerFilter, DetectedFilter, FaultFilter, FaultGroup, FaultGrouping,
        HitKind, Listed, OltFilter, OnuFilter, Page, ParameterFilter, PlanFilter, ServiceFilter, Sort,
        TaskFilter, TimelineSubject,
    },
    rows::CpeParameter,
};
use types::{CpeId, UtcMs};

on_both! {
    addresses_follow_what_was_read_last,
    one_row_of_an_onu_is_place_line_customer_and_router,
    lists_filter_sort_and_page_without_overlap,
    an_empty_database_has_empty_lists,
    detected_onus_know_who_waits_for_them,
    everything_is_found_by_what_people_say,
    a_vendor_or_a_label_leads_to_the_rows_of_every_list,
    faults_are_grouped_and_say_who_is_still_affected,
    a_service_has_the_history_of_its_devices,
    parameters_are_found_by_path_value_and_branch,
    the_overview_counts_and_groups,
    needles_are_text,
}

/// Two customers, an OLT with three ONUs (one dark, one removed), two routers, one detected ONU with a waiting service.
async fn seeded(bed: &Bed) -> Store {
    let store = bed.open().await;
    let now = START.0;
    let statements = [
        format!(
            "INSERT INTO customers (code, name, phone, email, address, note, created_at, version) VALUES \
            ('C-1', 'Amina Otieno', '+357 99 000-142', 'a@example', '14 Harbour St', '', {now}, 1), \
            ('C-2', 'Оксана 100%', '', '', 'Quay 2', '', {now}, 1)"
        ),
        format!(
            "INSERT INTO plans (name, down_kbps, up_kbps, price_minor, currency, internet_mode, vlan, active, created_at, version) VALUES \
            ('Fibre 500', 500000, 250000, 3200, 'EUR', 'pppoe', NULL, TRUE, {now}, 1)"
        ),
        format!(
            "INSERT INTO olts (name, vendor_profile, address, port, protocol, username, legacy_algorithms, snmp_port, \
            admin_state, defaults, created_at, observed, observed_state, observed_at, version) VALUES \
            ('olt-marina-1', 'huawei_smartax', '10.10.0.11', 22, 'ssh', 'lk', FALSE, 161, 'enabled', '{{}}', {now}, '{{}}', \
            'answering', {now}, 1)"
        ),
        format!(
            "INSERT INTO pon_ports (olt_id, pon, admin_state, observed_state, onu_count, observed_at, version) VALUES \
            (1, '0/1/6', 'enabled', 'up', 2, {now}, 1)"
        ),
        format!(
            "INSERT INTO onus (olt_id, pon, onu_id, serial, description, admin_state, sync_state, service_id, desired, \
            authorised_at, removed_at, created_at, presence, run_state, last_down_cause, rx_onu_cdbm, observed, observed_at, \
            version) VALUES \
            (1, '0/1/6', 1, '485754437D4733C3', 'S-10001', 'enabled', 'in_sync', 1, '{{}}', {now}, NULL, {now}, 'in_service', \
             'online', NULL, -2140, '{{}}', {now}, 1), \
            (1, '0/1/6', 2, '485754430B61F2A9', 'S-10002', 'enabled', 'in_sync', NULL, '{{}}', {now}, NULL, {now}, \
             'not_present', 'offline', 'LOS', NULL, '{{}}', {now}, 1), \
            (1, '0/1/7', 3, '48575443AAAAAAAA', 'old', 'enabled', 'in_sync', NULL, '{{}}', {now}, {now}, {now}, \
             'not_present', 'offline', NULL, NULL, '{{}}', {now}, 1)"
        ),
        format!(
            "INSERT INTO cpes (oui, product_class, serial_number, pon_serial, manufacturer, model, hardware_version, \
            software_version, data_model, state, state_since, reason_code, reason_text, quarantine, service_id, machine, \
            peer_address, created_at, version) VALUES \
            ('00259E', 'EG8145V5', '485754437D4733C3', '485754437D4733C3', 'Huawei', 'EG8145V5', '', 'V5R020', 'tr098', \
             'WAITING_INFORM', {now}, 'connection_request_unreachable', 'no answer', FALSE, 1, '{{}}', '10.20.3.9', {now}, 1), \
            ('00259E', 'HG8546M', 'X1', NULL, 'Huawei', 'HG8546M', '', 'V5R019', 'tr098', 'INFORMED', {now}, 'not_linked', \
             'nobody', TRUE, NULL, '{{}}', '10.20.3.10', {now}, 1)"
        ),
        format!(
            "INSERT INTO services (code, customer_id, plan_id, state, access_state, pppoe_login, expected_serial, address, \
            onu_id, cpe_id, created_at, version) VALUES \
            ('S-10001', 1, 1, 'active', 'allowed', 'amina.otieno', NULL, '14 Harbour St', 1, 1, {now}, 1), \
            ('S-10003', 2, 1, 'reserved', 'allowed', 'oksana', '485754439A41B2C7', 'Quay 2', NULL, NULL, {now}, 1)"
        ),
        format!(
            "INSERT INTO detected_onus (olt_id, pon, serial, vendor, equipment_id, software_version, hardware_version, \
            state, first_seen_at, last_seen_at, version) VALUES \
            (1, '0/1/6', '485754439A41B2C7', 'HWTC', 'EG8145V5', '', '', 'waiting', {now}, {now}, 1), \
            (1, '0/1/6', '48575443DEADBEEF', 'HWTC', 'HG8546M', '', '', 'gone', {now}, {now}, 1)"
        ),
        format!(
            "INSERT INTO cpe_faults (cpe_id, at, class, code, text, path, rpc, model, software_version, reason_code) VALUES \
            (1, {now}, 'provisioning_logic', 9007, 'Invalid value', 'x.y', 'SetParameterValues', 'EG8145V5', 'V5R020', 'write_rejected'), \
            (1, {now}, 'provisioning_logic', 9007, 'Invalid value', 'x.y', 'SetParameterValues', 'EG8145V5', 'V5R020', 'write_rejected'), \
            (2, {now}, 'session_triggering', 0, 'Refused (401)', '', '', 'HG8546M', 'V5R019', 'connection_request_unauthorized')"
        ),
        format!(
            "INSERT INTO timeline (at, kind, service_id, onu_row_id, cpe_id, severity, code, text, actor, facts) VALUES \
            ({now}, 'x', 1, NULL, NULL, 'ok', 'a', 'of the service', 'nino', '{{}}'), \
            ({now}, 'x', NULL, 1, NULL, 'ok', 'b', 'of the onu', 'nino', '{{}}'), \
            ({now}, 'x', NULL, NULL, 1, 'ok', 'c', 'of the router', 'nino', '{{}}'), \
            ({now}, 'x', NULL, NULL, 2, 'ok', 'd', 'of another router', 'nino', '{{}}')"
        ),
        format!(
            "INSERT INTO olt_tasks (kind, olt_id, onu_row_id, service_id, serial, pon, state, step, plan, reason, actor, \
            created_at, updated_at, version) VALUES \
            ('authorise', 1, 1, 1, '485754437D4733C3', '0/1/6', 'needs_operator', '', '{{}}', 'cut', 'nino', {now}, {now}, 1)"
        ),
    ];
    for statement in statements {
        bed.sql(&statement).await;
    }
    let parameters = [
        ("ManagementServer.PeriodicInformInterval", "300", "unsigned_int", Some(true)),
        ("WANDevice.1.Name", "50%_x", "string", None),
        ("LANDevice.1.MACAddress", "00:25:9E:AA:BB:CC", "string", Some(false)),
        (WAN_ADDRESS, "100.64.3.9", "string", Some(false)),
    ];
    put(&store, CpeId(1), START, &parameters).await;
    store
}

const WAN_ADDRESS: &str = "WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.ExternalIPAddress";

/// Parameters of a CPE as read at a time.
async fn put(store: &Store, cpe: CpeId, at: UtcMs, parameters: &[(&str, &str, &str, Option<bool>)]) {
    let rows: Vec<_> = parameters
        .iter()
        .map(|(path, value, kind, writable)| CpeParameter {
            path: format!("InternetGatewayDevice.{path}"),
            value: (*value).to_owned(),
            kind: (*kind).to_owned(),
            writable: *writable,
            read_at: at,
            ..CpeParameter::default()
        })
        .collect();
    store
        .write(move |tx| {
            let rows = rows.clone();
            Box::pin(async move { store::cpes::put_parameters(tx, cpe, &rows).await })
        })
        .await
        .expect("written");
}

async fn one_row_of_an_onu_is_place_line_customer_and_router(bed: &Bed) {
    let store = seeded(bed).await;
    let row = store.read().onu(1).await.expect("reads").expect("there");
    assert_eq!(
        (
            row.olt_name.as_str(),
            row.service_code.as_deref(),
            row.customer_name.as_deref(),
            row.cpe_state.as_deref()
        ),
        ("olt-marina-1", Some("S-10001"), Some("Amina Otieno"), Some("WAITING_INFORM"))
    );
    assert_eq!((row.rx_onu_cdbm, row.rx_olt_cdbm), (Some(-2140), None), "not read is not zero");
    assert!(store.read().onu(99).await.expect("reads").is_none());
    let service = store.read().service_by_code("S-10001").await.expect("reads").expect("there");
    assert_eq!((service.onu_pon.as_deref(), service.plan_price_minor), (Some("0/1/6"), 3200));
}

async fn lists_filter_sort_and_page_without_overlap(bed: &Bed) {
    let store = seeded(bed).await;
    let read = store.read();
    let all = read.onus(&OnuFilter::default(), &Sort::default(), Page::default()).await.expect("reads");
    assert_eq!(
        (all.total, all.rows[0].presence.as_str()),
        (2, "not_present"),
        "removed ones are left out, trouble first"
    );
    let of = |view: &str| OnuFilter { view: view.into(), ..OnuFilter::default() };
    assert_eq!(read.onu_count(&of("down")).await.expect("counts"), 1);
    assert_eq!(read.onu_count(&of("weak")).await.expect("counts"), 0);
    assert_eq!(read.onu_count(&of("cpe_not_active")).await.expect("counts"), 1);
    assert_eq!(read.onu_count(&of("unlinked")).await.expect("counts"), 1);
    for sort in [
        "serial",
        "-serial",
        "customer",
        "position",
        "-rx_onu",
        "cpe",
        "read",
        "authorised",
        "no such column",
    ] {
        let first = read.onus(&OnuFilter::default(), &Sort::parse(sort), Page::new(1, 1)).await.expect(sort);
        let second = read.onus(&OnuFilter::default(), &Sort::parse(sort), Page::new(2, 1)).await.expect(sort);
        assert_eq!((first.total, first.rows.len(), second.rows.len()), (2, 1, 1), "{sort}");
        assert_ne!(first.rows[0].id, second.rows[0].id, "{sort}");
    }
    let beyond = read.onus(&OnuFilter::default(), &Sort::default(), Page::new(9, 50)).await.expect("reads");
    assert_eq!((beyond.total, beyond.rows.len()), (2, 0));
    let services = ServiceFilter { cpe_state: Some("none".into()), ..ServiceFilter::default() };
    assert_eq!(
        read.services(&services, &Sort::parse("-customer"), Page::default()).await.expect("reads").total,
        1
    );
    let quarantined = CpeFilter { quarantine: Some(true), ..CpeFilter::default() };
    assert_eq!(
        read.cpes(&quarantined, &Sort::parse("since"), Page::default()).await.expect("reads").rows[0].model,
        "HG8546M"
    );
    let stuck = TaskFilter { state: Some("trouble".into()), ..TaskFilter::default() };
    assert_eq!(
        read.tasks(&stuck, &Sort::parse("olt"), Page::default()).await.expect("reads").rows[0]
            .service_code
            .as_deref(),
        Some("S-10001")
    );
    assert_eq!(read.pon_ports(1).await.expect("reads")[0].onus_online, 1);
    assert_eq!(read.olts().await.expect("reads")[0].onus_down, 1);
    assert_eq!(read.plans().await.expect("reads")[0].services, 2);
    let plans = PlanFilter { q: "pppoe".into(), active: Some(true) };
    for sort in ["", "name", "-state", "down", "-up", "price", "-services"] {
        let found = read.plan_list(&plans, &Sort::parse(sort), Page::default()).await.expect(sort);
        assert_eq!((found.total, found.rows[0].services), (1, 2), "{sort}");
    }
    let none = PlanFilter { active: Some(false), ..PlanFilter::default() };
    assert_eq!(read.plan_list(&none, &Sort::default(), Page::default()).await.expect("reads").total, 0);
    for sort in ["", "-name", "state", "address", "-onus", "down", "-detected", "read"] {
        let found = read.olt_list(&OltFilter::default(), &Sort::parse(sort), Page::default()).await;
        assert_eq!(found.expect(sort).rows[0].onus_down, 1, "{sort}");
    }
    let silent = OltFilter { state: Some("silent".into()), q: "no such".into() };
    assert_eq!(read.olt_list(&silent, &Sort::default(), Page::default()).await.expect("reads").total, 0);
    let troubles = read.cpe_troubles().await.expect("reads");
    assert!(troubles.iter().any(|group| group.service_code.is_some() && group.customer_name.is_some()));
}

async fn an_empty_database_has_empty_lists(bed: &Bed) {
    let store = bed.open().await;
    let read = store.read();
    let (sort, page) = (Sort::default(), Page::default());
    assert_eq!(read.onus(&OnuFilter::default(), &sort, page).await.expect("onus").total, 0);
    assert_eq!(read.services(&ServiceFilter::default(), &sort, page).await.expect("services").total, 0);
    assert_eq!(read.customers(&CustomerFilter::default(), &sort, page).await.expect("customers").total, 0);
    assert_eq!(
        read.audit_log(&AuditFilter::default(), &Sort::default(), page).await.expect("audit").total,
        0
    );
    assert_eq!(read.timeline(TimelineSubject::All, Some(0), page).await.expect("timeline").total, 0);
    assert!(read.olts().await.expect("olts").is_empty() && read.users().await.expect("users").is_empty());
    assert!(
        read.api_keys().await.expect("keys").is_empty()
            && read.setting("x").await.expect("setting").is_none()
    );
    assert!(
        read.cpe_timers(1).await.expect("timers").is_empty()
            && read.connection_requests(1, 5).await.expect("calls").is_empty()
    );
    assert_eq!(read.cpe_sessions(1, page).await.expect("sessions").total, 0);
    let numbers = read.overview(0).await.expect("overview");
    assert_eq!((numbers.cpes(), numbers.cpes_not_active(), numbers.onus), (0, 0, 0));
    assert!(read.search("anything", 5).await.expect("search").is_empty());
}

async fn detected_onus_know_who_waits_for_them(bed: &Bed) {
    let store = seeded(bed).await;
    let (sort, page) = (Sort::default(), Page::default());
    let waiting = store.read().detected_onus(&DetectedFilter::default(), &sort, page).await.expect("reads");
    assert_eq!((waiting.total, waiting.rows[0].service_code.as_deref()), (1, Some("S-10003")));
    assert_eq!(waiting.rows[0].onu_row_id, None);
    let all = DetectedFilter { all: true, q: "HWTC-DEAD".into(), ..DetectedFilter::default() };
    assert_eq!(
        store.read().detected_onus(&all, &Sort::parse("-seen"), page).await.expect("reads").rows[0].state,
        "gone"
    );
}

async fn everything_is_found_by_what_people_say(bed: &Bed) {
    let store = seeded(bed).await;
    let find = |q: &'static str| {
        let store = store.clone();
        async move {
            let hits = store.read().search(q, 5).await.expect(q);
            hits.into_iter().map(|hit| (hit.kind, hit.title)).collect::<Vec<_>>()
        }
    };
    let (service, router) =
        ((HitKind::Service, "S-10001".to_owned()), (HitKind::Cpe, "485754437D4733C3".to_owned()));
    for q in ["485754437D4733C3", "hwtc7d4733c3", "HWTC-7D4733C3", "HWTC:7D47", "7d4733"] {
        let hits = find(q).await;
        assert!(hits.contains(&service) && hits.contains(&router), "{q}: {hits:?}");
    }
    for q in
        ["amina", "AMINA.OTIENO", "otieno", "amina.ot", "s-10001", "harbour", "+357 99 000 142", "99000142"]
    {
        assert!(find(q).await.contains(&service), "{q}");
    }
    assert!(find("00-25-9e-aa-bb-cc").await.contains(&router), "a MAC in another notation");
    assert!(find("100.64.3.9").await.contains(&router), "the customer's own address");
    assert_eq!(find("10.20.3.1").await.len(), 1, "the router whose address begins so");
    assert!(find("10.20.3.9").await.contains(&router), "its management address");
    assert_eq!(
        find("оксана").await.first().map(|hit| hit.0),
        Some(HitKind::Service),
        "a name in its own script and another case"
    );
    assert_eq!(
        find("9A41B2C7").await.iter().map(|hit| hit.0).collect::<Vec<_>>(),
        [HitKind::Service, HitKind::Detected]
    );
    assert_eq!(find("marina").await.first().map(|hit| hit.0), Some(HitKind::Olt));
    assert!(find("x").await.is_empty(), "one letter finds nothing");
}

async fn addresses_follow_what_was_read_last(bed: &Bed) {
    let store = seeded(bed).await;
    let holders = |q: &'static str| {
        let store = store.clone();
        async move {
            let hits = store.read().search(q, 5).await.expect(q);
            let cpes = hits.into_iter().filter(|hit| hit.kind == HitKind::Cpe);
            cpes.map(|hit| (hit.id, hit.detail)).collect::<Vec<_>>()
        }
    };
    let found = |cpe: i64, model: &str| (cpe, format!("{model} · InternetGatewayDevice.{WAN_ADDRESS}"));
    assert_eq!(holders("100.64.3.9").await, [found(1, "EG8145V5")]);
    // The same address is given to another: who had it last comes first, and who was not read since is not hidden.
    put(&store, CpeId(2), START.plus_s(60), &[(WAN_ADDRESS, "100.64.3.9", "string", None)]).await;
    assert_eq!(holders("100.64.3.9").await, [found(2, "HG8546M"), found(1, "EG8145V5")]);
    put(&store, CpeId(1), START.plus_s(90), &[(WAN_ADDRESS, "100.64.3.77", "string", None)]).await;
    assert_eq!(holders("100.64.3.9").await, [found(2, "HG8546M")]);
    assert_eq!(holders("100.64.3.77").await, [found(1, "EG8145V5")]);
    put(&store, CpeId(2), START.plus_s(99), &[(WAN_ADDRESS, "0.0.0.0", "string", None)]).await;
    assert_eq!(holders("100.64.3.9").await, [], "a connection that is down has none");
    assert_eq!(bed.number("SELECT COUNT(*) FROM cpe_addresses").await, 2, "a MAC and an IP address");
    // What is forgotten of a device is not found any more.
    let keep_none = store::retention::Bounds { parameters_per_cpe: 0, ..Default::default() };
    store
        .write(move |tx| {
            let bounds = keep_none.clone();
            Box::pin(async move { store::retention::trim_cpe(tx, CpeId(1), &bounds).await })
        })
        .await
        .expect("trimmed");
    assert_eq!(bed.number("SELECT COUNT(*) FROM cpe_addresses").await, 0);
    assert_eq!(holders("00:25:9e:aa:bb:cc").await, []);
}

async fn a_vendor_or_a_label_leads_to_the_rows_of_every_list(bed: &Bed) {
    let store = seeded(bed).await;
    let (read, sort, one) = (store.read(), Sort::default(), Page::first(1));
    for (q, onus, detected, services, cpes, tasks) in [
        ("HWTC", 2, 1, 2, 1, 1),
        ("hwtc-", 2, 1, 2, 1, 1),
        ("ZTEG", 0, 0, 0, 0, 0),
        ("HWTC-7D4733C3", 1, 0, 1, 1, 1),
        ("485754437D4733C3", 1, 0, 1, 1, 1),
        ("HWTC-7D", 1, 0, 1, 1, 1),
        // Not only a serial: the word of a person too.
        ("nino", 0, 0, 0, 0, 1),
    ] {
        let q = q.to_owned();
        let filter = OnuFilter { q: q.clone(), ..OnuFilter::default() };
        let listed = read.onus(&filter, &sort, one).await.expect("reads");
        assert_eq!((listed.total, listed.rows.len()), (onus, usize::from(onus > 0)), "a page of it: {q}");
        let filter = DetectedFilter { q: q.clone(), ..DetectedFilter::default() };
        assert_eq!(read.detected_onus(&filter, &sort, one).await.expect("reads").total, detected, "{q}");
        let filter = ServiceFilter { q: q.clone(), ..ServiceFilter::default() };
        assert_eq!(read.services(&filter, &sort, one).await.expect("reads").total, services, "{q}");
        let filter = CpeFilter { q: q.clone(), ..CpeFilter::default() };
        assert_eq!(read.cpes(&filter, &sort, one).await.expect("reads").total, cpes, "{q}");
        let filter = TaskFilter { q: q.clone(), ..TaskFilter::default() };
        assert_eq!(read.tasks(&filter, &sort, one).await.expect("reads").total, tasks, "{q}");
    }
    let hits = read.search("HWTC", 1).await.expect("reads");
    for kind in [HitKind::Service, HitKind::Onu, HitKind::Detected, HitKind::Cpe] {
        assert_eq!(
            hits.iter().filter(|hit| hit.kind == kind).count(),
            1,
            "{kind:?}: no more than were asked for"
        );
    }
}

async fn groups_of(store: &Store, by: FaultGrouping, sort: &str) -> Listed<FaultGroup> {
    let (filter, sort) = (FaultFilter::default(), Sort::parse(sort));
    store.read().fault_groups(&filter, by, &sort, Page::default()).await.expect("groups")
}

async fn faults_are_grouped_and_say_who_is_still_affected(bed: &Bed) {
    let store = seeded(bed).await;
    let groups = groups_of(&store, FaultGrouping::Everything, "").await.rows;
    let shape: Vec<_> = groups.iter().map(|g| (g.class.as_str(), g.code, g.faults, g.cpes, g.open)).collect();
    assert_eq!(shape, [("provisioning_logic", 9007, 2, 1, 1), ("session_triggering", 0, 1, 1, 1)]);
    let counts = store.read().fault_counts(&FaultFilter::default()).await.expect("counts");
    let shape: Vec<_> = counts.iter().map(|c| (c.class.as_str(), c.code, c.faults, c.open)).collect();
    assert_eq!(shape, [("provisioning_logic", 9007, 2, 1), ("session_triggering", 0, 1, 1)]);
    // One reason on more models than the list of groups takes: the count is of all of them.
    let mut values = String::new();
    for number in 0..250 {
        let comma = if number == 0 { "" } else { ", " };
        values.push_str(&format!(
            "{comma}(1, {}, 'device', 9002, 'Internal error', '', '', 'M{number}', '1', 'device_fault')",
            START.0
        ));
    }
    bed.sql(&format!(
        "INSERT INTO cpe_faults (cpe_id, at, class, code, text, path, rpc, model, software_version, reason_code) VALUES {values}"
    ))
    .await;
    let groups = groups_of(&store, FaultGrouping::Everything, "").await;
    assert_eq!((groups.total, groups.rows.len()), (252, 50), "a page of them, and how many there are");
    let counts = store.read().fault_counts(&FaultFilter::default()).await.expect("counts");
    assert_eq!((counts[0].class.as_str(), counts[0].faults), ("device", 250));
    assert_eq!(counts.iter().map(|count| count.faults).sum::<i64>(), 253);
    for (by, groups, largest) in [
        (FaultGrouping::Class, 3, 250),
        (FaultGrouping::Reason, 3, 250),
        (FaultGrouping::Parameter, 3, 250),
        (FaultGrouping::Model, 252, 2),
        (FaultGrouping::Firmware, 252, 2),
    ] {
        let found = groups_of(&store, by, "").await;
        assert_eq!((found.total, found.rows[0].faults), (groups, largest), "{by:?}");
        let least = groups_of(&store, by, "faults").await.rows[0].faults;
        assert_eq!(least, 1, "{by:?}");
        // What is not told apart is not named.
        let named = by != FaultGrouping::Model && by != FaultGrouping::Firmware;
        assert_eq!(found.rows[0].class.is_empty(), !named, "{by:?}");
        assert_eq!(found.rows[0].model.is_empty(), named, "{by:?}");
    }
    assert_eq!(store.read().fault_total(&FaultFilter::default()).await.expect("a number"), 253);
    bed.sql("DELETE FROM cpe_faults WHERE code = 9002").await;
    let of_model = FaultFilter { model: Some("HG8546M".into()), ..FaultFilter::default() };
    let groups = store
        .read()
        .fault_groups(&of_model, FaultGrouping::Everything, &Sort::default(), Page::default())
        .await
        .expect("groups");
    assert_eq!((groups.total, groups.rows[0].first_at, groups.rows[0].last_at), (1, START.0, START.0));
    assert_eq!(groups.rows[0].text, "Refused (401)", "the words of the latest");
    let one = FaultFilter { class: Some("session_triggering".into()), ..FaultFilter::default() };
    let rows = store.read().faults(&one, &Sort::parse("-time"), Page::default()).await.expect("rows");
    assert_eq!((rows.total, rows.rows[0].customer_name.as_deref()), (1, None));
    // The serial is found as it is shown, as the OLT says it, and as hexadecimal digits; a part of it too.
    for q in ["HWTC-7D4733C3", "hwtc7d4733c3", "485754437D4733C3", "7D4733C3"] {
        let of_one = FaultFilter { q: q.into(), ..FaultFilter::default() };
        let found = store.read().faults(&of_one, &Sort::default(), Page::default()).await.expect("rows");
        assert_eq!((found.total, found.rows[0].cpe_id), (2, 1), "{q}");
        assert_eq!(store.read().fault_counts(&of_one).await.expect("counts").len(), 1, "{q}");
    }
    let later = FaultFilter { since_at: START.0 + 1, ..FaultFilter::default() };
    assert_eq!(store.read().faults(&later, &Sort::default(), Page::default()).await.expect("rows").total, 0);
}

async fn a_service_has_the_history_of_its_devices(bed: &Bed) {
    let store = seeded(bed).await;
    let subject = TimelineSubject::Service { id: 1, onu_row_id: Some(1), cpe_id: Some(1) };
    let lines = store.read().timeline(subject, None, Page::default()).await.expect("reads");
    let texts: Vec<_> = lines.rows.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["of the router", "of the onu", "of the service"], "newest first");
}

async fn parameters_are_found_by_path_value_and_branch(bed: &Bed) {
    let store = seeded(bed).await;
    let count = |q: &str, branch: &str| {
        let (store, filter) = (store.clone(), ParameterFilter { q: q.into(), branch: branch.into() });
        async move {
            store
                .read()
                .cpe_parameters(1, &filter, &Sort::default(), Page::default())
                .await
                .expect("reads")
                .total
        }
    };
    assert_eq!(count("", "").await, 4);
    assert_eq!(count("informinterval", "").await, 1);
    assert_eq!(count("300", "").await, 1);
    assert_eq!(count("", "InternetGatewayDevice.WANDevice.").await, 2);
    assert_eq!(count("", "%").await, 0);
    let branches = store.read().cpe_branches(1).await.expect("reads");
    assert_eq!(
        branches,
        [
            "InternetGatewayDevice.LANDevice.",
            "InternetGatewayDevice.ManagementServer.",
            "InternetGatewayDevice.WANDevice."
        ]
    );
}

async fn the_overview_counts_and_groups(bed: &Bed) {
    let store = seeded(bed).await;
    let numbers = store.read().overview(0).await.expect("reads");
    assert_eq!((numbers.detected, numbers.detected_matched), (1, 1));
    assert_eq!((numbers.onus, numbers.onus_online, numbers.onus_down, numbers.onus_unread), (2, 1, 1, 0));
    assert_eq!((numbers.cpes(), numbers.cpes_in("INFORMED"), numbers.cpes_quarantined), (2, 1, 1));
    assert_eq!((numbers.faults, numbers.olts_silent, numbers.tasks_in(&["needs_operator"])), (3, 0, 1));
    let troubles = store.read().cpe_troubles().await.expect("reads");
    assert_eq!(
        troubles.iter().map(|t| (t.state.as_str(), t.n, t.silent)).collect::<Vec<_>>(),
        [("INFORMED", 1, 0), ("WAITING_INFORM", 1, 0)],
        "nobody knows when they speak next, so neither is silent"
    );
    assert_eq!(store.read().onu_troubles(1).await.expect("reads")[0].down, 1);
    assert!(store.read().onu_troubles(2).await.expect("reads").is_empty());
}

async fn needles_are_text(bed: &Bed) {
    let store = seeded(bed).await;
    let customers = |q: &str| {
        let (store, filter) = (store.clone(), CustomerFilter { q: q.into() });
        async move {
            store.read().customers(&filter, &Sort::default(), Page::default()).await.expect("reads").total
        }
    };
    assert_eq!(customers("100%").await, 1);
    assert_eq!(customers("%").await, 1, "a per cent sign is a per cent sign");
    assert_eq!(customers("_").await, 0);
    assert_eq!(customers("' OR 1=1 --").await, 0);
    assert_eq!(customers("\u{0}").await, 0, "a zero byte is no character of any name");
}
