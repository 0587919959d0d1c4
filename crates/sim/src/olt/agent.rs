//! The SNMP agent of the box: v2c, read-only. Tables and index encodings as in HUAWEI-XPON-MIB.

use super::{
    control::OltHandle,
    machine::Olt,
    spec::Model,
    state::{Link, Ont, Onu},
};
use async_snmp::{
    Oid, Value, VarBind,
    agent::Agent,
    handler::{BoxFuture, GetNextResult, GetResult, HandlerResult, MibHandler, OidTable, RequestContext},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use types::{PonPath, Secret, UtcMs};

/// MIB-2.
const MIB2: &[u32] = &[1, 3, 6, 1, 2, 1];
/// Huawei.
const HUAWEI: &[u32] = &[1, 3, 6, 1, 4, 1, 2011];
/// hwXponDeviceObjects.
const XPON: &[u32] = &[1, 3, 6, 1, 4, 1, 2011, 6, 128, 1, 1];
/// What an optical reading is when there is none.
const NO_READING: i32 = i32::MAX;

/// ifIndex of a GPON port: type 125 in the top bits, then frame, slot and port.
pub(crate) fn gpon_if_index(pon: PonPath) -> u32 {
    (125 << 25) | (u32::from(pon.frame) << 19) | (u32::from(pon.slot) << 13) | (u32::from(pon.port) << 8)
}

/// Binds the agent; the future serves it.
pub(crate) async fn start(
    olt: OltHandle,
    address: SocketAddr,
    community: &Secret,
) -> Result<(SocketAddr, impl Future<Output = ()> + use<>), String> {
    let mib = |prefix: &[u32]| -> Arc<dyn MibHandler> {
        Arc::new(Mib { olt: olt.clone(), prefix: Oid::from(prefix), cache: Mutex::new(None) })
    };
    let agent = Agent::builder()
        .bind(address.to_string())
        .community(community.expose().as_bytes())
        .without_builtin_handlers()
        .handler(Oid::from(MIB2), mib(MIB2))
        .handler(Oid::from(HUAWEI), mib(HUAWEI))
        .allow_all_access()
        .build()
        .await
        .map_err(|error| error.to_string())?;
    let local = agent.local_addr();
    Ok((local, async move {
        if let Err(error) = agent.run().await {
            tracing::warn!(%error, "the SNMP agent of a simulated OLT stopped");
        }
    }))
}

struct Cached {
    generation: u64,
    /// Uptime and the like are as old as this.
    at: UtcMs,
    table: Arc<OidTable<Value>>,
}

/// One of the two trees; each answers for its own part only.
struct Mib {
    olt: OltHandle,
    prefix: Oid,
    cache: Mutex<Option<Cached>>,
}

impl Mib {
    fn table(&self) -> Arc<OidTable<Value>> {
        let (generation, now) = (self.olt.generation(), self.olt.now());
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = cache.as_ref()
            && cached.generation == generation
            && now.since(cached.at).as_secs() < 1
        {
            return Arc::clone(&cached.table);
        }
        let mut rows = self.olt.with(|olt, now| mib_of(olt, now));
        rows.retain(|(oid, _)| oid.starts_with(&self.prefix));
        let table = Arc::new(rows.into_iter().collect());
        *cache = Some(Cached { generation, at: now, table: Arc::clone(&table) });
        table
    }
}

impl MibHandler for Mib {
    fn get<'a>(&'a self, _ctx: &'a RequestContext, oid: &'a Oid) -> BoxFuture<'a, HandlerResult<GetResult>> {
        Box::pin(async move {
            let table = self.table();
            Ok(match table.get(oid) {
                Some(value) => GetResult::Value(value.clone()),
                // A column that exists has rows beside this one.
                None if table.get_next(oid).is_some_and(|(next, _)| shares_column(next, oid)) => {
                    GetResult::NoSuchInstance
                }
                None => GetResult::NoSuchObject,
            })
        })
    }

    fn get_next<'a>(
        &'a self,
        _ctx: &'a RequestContext,
        oid: &'a Oid,
    ) -> BoxFuture<'a, HandlerResult<GetNextResult>> {
        Box::pin(async move {
            Ok(match self.table().get_next(oid) {
                Some((oid, value)) => GetNextResult::Value(VarBind::new(oid.clone(), value.clone())),
                None => GetNextResult::EndOfMibView,
            })
        })
    }
}

fn shares_column(a: &Oid, b: &Oid) -> bool {
    let n = b.arcs().len().saturating_sub(2);
    a.arcs().get(..n) == b.arcs().get(..n)
}

fn at(prefix: &[u32], rest: &[u32]) -> Oid {
    Oid::from([prefix, rest].concat())
}

fn text(text: &str) -> Value {
    Value::OctetString(text.as_bytes().to_vec().into())
}

/// DateAndTime (RFC 2579) in UTC, eight octets: the local form of a box that runs on UTC.
fn date_and_time(at: Option<UtcMs>) -> Value {
    let Some(at) = at else {
        return Value::OctetString(vec![0; 8].into());
    };
    let t = at.to_jiff().to_zoned(types_utc());
    let year = u16::try_from(t.year()).unwrap_or(0).to_be_bytes();
    let byte = |n: i8| u8::try_from(n).unwrap_or(0);
    Value::OctetString(
        vec![
            year[0],
            year[1],
            byte(t.month()),
            byte(t.day()),
            byte(t.hour()),
            byte(t.minute()),
            byte(t.second()),
            0,
        ]
        .into(),
    )
}

fn types_utc() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::UTC
}

/// The whole MIB as it is now.
fn mib_of(olt: &Olt, now: UtcMs) -> Vec<(Oid, Value)> {
    let state = olt.state();
    let mut rows: Vec<(Oid, Value)> = Vec::new();
    let object = match state.model {
        Model::Ma5800X7 => 248,
        Model::Ma5608t => 133,
    };
    // TimeTicks wrap after 497 days, on the box as here.
    let ticks = (now.since(state.booted_at).as_millis() / 10 % (1 << 32)) as u32;
    rows.extend([
        (at(MIB2, &[1, 1, 0]), text("Huawei Integrated Access Software")),
        (at(MIB2, &[1, 2, 0]), Value::ObjectIdentifier(at(HUAWEI, &[2, object]))),
        (at(MIB2, &[1, 3, 0]), Value::TimeTicks(ticks)),
        (at(MIB2, &[1, 4, 0]), text("R&D Shenzhen, Huawei Technologies Co., Ltd.")),
        (at(MIB2, &[1, 5, 0]), text(&state.config.sysname)),
        (at(MIB2, &[1, 6, 0]), text("")),
        (at(HUAWEI, &[6, 3, 1, 999, 0]), text(state.model.version())),
    ]);
    for (slot, board) in &state.boards {
        rows.push((at(HUAWEI, &[6, 3, 3, 2, 1, 21, 0, u32::from(*slot)]), text(&board.name)));
        rows.push((at(HUAWEI, &[6, 3, 3, 2, 1, 8, 0, u32::from(*slot)]), Value::Integer(2)));
    }
    let ports = state.config.ports.len();
    rows.push((at(MIB2, &[2, 1, 0]), Value::Integer(i32::try_from(ports).unwrap_or(i32::MAX))));
    for (pon, config) in &state.config.ports {
        let index = gpon_if_index(*pon);
        let onts = state.config.onts.get(pon).map_or(0, |onts| onts.len());
        let up = !config.shutdown
            && state.plant.onus.values().any(|onu| onu.pon == Some(*pon) && state.is_online(onu.serial));
        let status = |up: bool| Value::Integer(if up { 1 } else { 2 });
        let software = state.model.version().split('C').next().unwrap_or_default();
        rows.extend([
            // Larger than an Integer32 allows: it goes out negative, as on the box.
            (at(MIB2, &[2, 2, 1, 1, index]), Value::Integer(index.cast_signed())),
            (at(MIB2, &[2, 2, 1, 2, index]), text(&format!("Huawei-{software}-GPON_UNI"))),
            (at(MIB2, &[2, 2, 1, 3, index]), Value::Integer(250)),
            (at(MIB2, &[2, 2, 1, 7, index]), status(!config.shutdown)),
            (at(MIB2, &[2, 2, 1, 8, index]), status(up)),
            (at(MIB2, &[31, 1, 1, 1, 1, index]), text(&format!("GPON {pon}"))),
            (at(XPON, &[2, 21, 1, 10, index]), status(up)),
            (at(XPON, &[2, 21, 1, 13, index]), Value::Integer(1)),
            (at(XPON, &[2, 21, 1, 16, index]), Value::Integer(i32::try_from(onts).unwrap_or(i32::MAX))),
        ]);
    }
    for (pon, onts) in &state.config.onts {
        for (id, ont) in onts {
            rows.extend(ont_rows(olt, *pon, *id, ont));
        }
    }
    rows.extend(autofind_rows(olt));
    rows
}

fn ont_rows(olt: &Olt, pon: PonPath, id: u8, ont: &Ont) -> Vec<(Oid, Value)> {
    let state = olt.state();
    let link = state.plant.links.get(&ont.serial).cloned().unwrap_or_default();
    let online = matches!(link.link, Link::Online { .. });
    let onu: Option<&Onu> = state.plant.onus.get(&ont.serial).filter(|_| online);
    let fits = state.matches_profile(ont);
    let name = |name: Option<&String>| text(name.map_or("", String::as_str));
    let cell = |table: u32, column: u32| at(XPON, &[2, table, 1, column, gpon_if_index(pon), u32::from(id)]);
    let reading = |read: fn(&Onu) -> i32| Value::Integer(onu.map_or(NO_READING, read));
    let line = state.config.line_profiles.get(&ont.line_profile).map(|p| &p.name);
    let srv = state.config.srv_profiles.get(&ont.srv_profile).map(|p| &p.name);
    let cause = match link.last_down_cause.as_deref() {
        Some("LOSi/LOBi") => 2,
        Some("deactive") => 8,
        Some("re-register") => 10,
        Some("dying-gasp") => 13,
        Some(_) => 31,
        None => -1,
    };
    vec![
        (cell(43, 3), Value::OctetString(ont.serial.bytes().to_vec().into())),
        (cell(43, 7), name(line)),
        (cell(43, 8), name(srv)),
        (cell(43, 9), text(&ont.description)),
        (cell(45, 1), name(onu.map(|o| &o.hardware_version))),
        (cell(45, 4), name(onu.map(|o| &o.equipment_id))),
        (cell(45, 5), name(onu.map(|o| &o.software_version))),
        (cell(46, 15), Value::Integer(if online { 1 } else { 2 })),
        (
            cell(46, 16),
            Value::Integer(if !online {
                1
            } else if fits {
                2
            } else {
                3
            }),
        ),
        (
            cell(46, 18),
            Value::Integer(if !online {
                1
            } else if fits {
                2
            } else {
                3
            }),
        ),
        (cell(46, 20), Value::Integer(onu.map_or(-1, |o| i32::try_from(o.optics.distance_m).unwrap_or(-1)))),
        (cell(46, 22), date_and_time(link.last_up_at)),
        (cell(46, 23), date_and_time(link.last_down_at)),
        (cell(46, 24), Value::Integer(cause)),
        (cell(51, 1), reading(|o| o.optics.temperature_c)),
        (cell(51, 2), reading(|o| o.optics.bias_ma)),
        (cell(51, 3), reading(|o| o.optics.tx_power_cdbm)),
        (cell(51, 4), reading(|o| o.optics.rx_power_cdbm)),
        (cell(51, 5), reading(|o| o.optics.voltage_mv)),
        // What the OLT receives is shifted by 100 dBm so that it is never negative.
        (cell(51, 6), reading(|o| o.optics.olt_rx_power_cdbm + 10_000)),
    ]
}

fn autofind_rows(olt: &Olt) -> Vec<(Oid, Value)> {
    let plant = &olt.state().plant;
    let mut numbers: std::collections::BTreeMap<PonPath, u32> = Default::default();
    let mut rows = Vec::new();
    for (serial, found) in plant.autofind.iter().filter(|(_, found)| found.announced) {
        let Some((onu, pon)) = plant.onus.get(serial).and_then(|onu| Some((onu, onu.pon?))) else {
            continue;
        };
        let number = numbers.entry(pon).or_insert(0);
        *number += 1;
        let cell = |column: u32| at(XPON, &[2, 48, 1, column, gpon_if_index(pon), *number]);
        rows.extend([
            (cell(2), Value::OctetString(serial.bytes().to_vec().into())),
            (cell(6), text(&onu.software_version)),
            (cell(7), text(&onu.equipment_id)),
            (cell(8), date_and_time(Some(found.at))),
        ]);
    }
    rows
}
