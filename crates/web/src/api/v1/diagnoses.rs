//! Tests that a CPE runs by itself. Each is a device order; what came of it is in its `findings`.

use app::{DeviceOrderRequest, DiagnosisRequest};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    device_orders::{DeviceOrder, give},
    idempotency::Order,
    input::Id,
};
use crate::error::ApiFail;

/// A ping.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PingInput {
    /// Host name or IP address; none that means the CPE itself, its link or a group (loopback, link-local, multicast,
    /// broadcast).
    host: String,
    /// Requests, 1 to 64; 4 if it is not given.
    count: Option<u32>,
    /// Milliseconds to wait for each answer, 100 to 10000; 2000 if it is not given.
    timeout_ms: Option<u32>,
    /// Bytes in each, 1 to 1500; 56 if it is not given.
    size: Option<u32>,
    /// Seconds to wait for a session, 60 to 7200; 900 if it is not given.
    expires_s: Option<u64>,
}

/// A trace route.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TracerouteInput {
    /// Host name or IP address; none that means the CPE itself, its link or a group (loopback, link-local, multicast,
    /// broadcast).
    host: String,
    /// Hops at most, 1 to 64; 30 if it is not given.
    hops: Option<u32>,
    /// Tries at each hop, 1 to 3; 1 if it is not given.
    tries: Option<u32>,
    /// Milliseconds to wait for each answer, 100 to 10000; 2000 if it is not given.
    timeout_ms: Option<u32>,
    /// Seconds to wait for a session, 60 to 7200; 900 if it is not given.
    expires_s: Option<u64>,
}

/// A name look-up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LookupInput {
    /// Name.
    host: String,
    /// IP address of a name server; those that the CPE uses if it is not given.
    server: Option<String>,
    /// Requests, 1 to 10; 3 if it is not given.
    count: Option<u32>,
    /// Milliseconds to wait for each answer, 100 to 10000; 2000 if it is not given.
    timeout_ms: Option<u32>,
    /// Seconds to wait for a session, 60 to 7200; 900 if it is not given.
    expires_s: Option<u64>,
}

/// A Wi-Fi neighbour scan, or a reading of what is connected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhenInput {
    /// Seconds to wait for a session, 60 to 7200; 900 if it is not given.
    expires_s: Option<u64>,
}

/// Lets a CPE ping a host over the connection of its service, where that was seen in force; else the text says which way it
/// went. One test runs at a time. It is done when the CPE was read after it had finished; `findings` holds `count` (what the
/// CPE was to send, as it has it), `sent`, `received`, `least_ms`, `average_ms` and `most_ms` (null where the CPE does not
/// tell them, or tells what cannot be; `doubtful` is true then), `interface` (the connection that it names) and `not_taken`
/// (what was asked and it does not have so). A result that may be that of another test is not shown.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/ping", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")), request_body = PingInput,
    responses((status = 202, description = "Ordered.", body = DeviceOrder)))]
pub(super) async fn ping_from_cpe(Id(id): Id, order: Order<PingInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, asked| async move {
            let PingInput { host, count, timeout_ms, size, expires_s } = asked;
            let test = DiagnosisRequest::Ping { host, count, timeout_ms, size };
            give(&ctx, &actor, id, DeviceOrderRequest::Diagnose(test), expires_s).await
        })
        .await
}

/// Lets a CPE trace the route to a host over the connection of its service, where that was seen in force; else the text says
/// which way it went. One test runs at a time. `findings` holds the `hops` (64 at most), the nearest first: `name`,
/// `address`, `times_ms` and `error` (an ICMP code) each, and `interface` and `not_taken` as of a ping.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/traceroute", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")), request_body = TracerouteInput,
    responses((status = 202, description = "Ordered.", body = DeviceOrder)))]
pub(super) async fn traceroute_from_cpe(
    Id(id): Id,
    order: Order<TracerouteInput>,
) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, asked| async move {
            let TracerouteInput { host, hops, tries, timeout_ms, expires_s } = asked;
            let test = DiagnosisRequest::Traceroute { host, hops, tries, timeout_ms };
            give(&ctx, &actor, id, DeviceOrderRequest::Diagnose(test), expires_s).await
        })
        .await
}

/// Lets a CPE look a name up. One test runs at a time. `findings` holds the `answers`: `status`, `name`, `addresses`,
/// `server` and `time_ms` each.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/lookup", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")), request_body = LookupInput,
    responses((status = 202, description = "Ordered.", body = DeviceOrder)))]
pub(super) async fn lookup_from_cpe(Id(id): Id, order: Order<LookupInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, asked| async move {
            let LookupInput { host, server, count, timeout_ms, expires_s } = asked;
            let test = DiagnosisRequest::Lookup { host, server, count, timeout_ms };
            give(&ctx, &actor, id, DeviceOrderRequest::Diagnose(test), expires_s).await
        })
        .await
}

/// Lets a CPE listen for other Wi-Fi networks. `findings` holds the `networks` (128 at most), the loudest first: `ssid`,
/// `bssid`, `channel`, `band`, `signal_dbm`, `width`, `security` and `standards` each.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/scan-wifi", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")), request_body = WhenInput,
    responses((status = 202, description = "Ordered.", body = DeviceOrder)))]
pub(super) async fn scan_from_cpe(Id(id): Id, order: Order<WhenInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, asked| async move {
            let test = DeviceOrderRequest::Diagnose(DiagnosisRequest::Neighbours);
            give(&ctx, &actor, id, test, asked.expires_s).await
        })
        .await
}

/// Reads what is connected to a CPE. Nothing is written to it. `findings` holds the `hosts`, what is certainly connected
/// first: `mac`, `ip`, `name`, `interface`, `active`, `wifi`, `band`, `signal_dbm`, `down_kbps` and `up_kbps` each.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/read-hosts", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")), request_body = WhenInput,
    responses((status = 202, description = "Ordered.", body = DeviceOrder)))]
pub(super) async fn read_hosts_of_cpe(Id(id): Id, order: Order<WhenInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, asked| async move {
            let hosts = DeviceOrderRequest::Diagnose(DiagnosisRequest::Hosts);
            give(&ctx, &actor, id, hosts, asked.expires_s).await
        })
        .await
}
