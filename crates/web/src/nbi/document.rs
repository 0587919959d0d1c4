//! A device and a fault in the shape that GenieACS gives them.

use serde_json::{Map, Value as Json, json};
use store::read::{BootRow, DeviceParameterRow, DeviceRow, StandingFaultRow};
use types::{UtcMs, names_a_secret};

use super::{ids, query::flag};

/// Deepest path of a parameter that is shown; the data model needs about ten.
const MAX_DEPTH: usize = 32;

/// As JavaScript writes a date.
pub(super) fn moment(at: i64) -> String {
    format!("{:.3}", UtcMs(at).to_jiff())
}

/// The name of a device among the devices of GenieACS.
pub(super) fn id_of(row: &DeviceRow) -> String {
    ids::id(&row.oui, &row.product_class, &row.serial_number)
}

/// A device with whatever is known and wanted of it.
pub(super) fn device(
    row: &DeviceRow,
    tags: &[String],
    boots: Option<&BootRow>,
    parameters: &[DeviceParameterRow],
) -> Json {
    let mut document = Map::new();
    document.insert("_id".into(), id_of(row).into());
    document.insert(
        "_deviceId".into(),
        json!({
            "_Manufacturer": row.manufacturer,
            "_OUI": row.oui,
            "_ProductClass": row.product_class,
            "_SerialNumber": row.serial_number,
        }),
    );
    document.insert("_registered".into(), moment(row.created_at).into());
    let times = [
        ("_lastInform", row.last_inform_at),
        ("_lastBoot", boots.and_then(|boots| boots.boot_at)),
        ("_lastBootstrap", boots.and_then(|boots| boots.bootstrap_at)),
        ("_timestamp", row.last_inform_at),
    ];
    for (name, at) in times {
        if let Some(at) = at {
            document.insert(name.into(), moment(at).into());
        }
    }
    document.insert("_tags".into(), json!(tags));
    for parameter in parameters {
        put(&mut document, parameter);
    }
    Json::Object(document)
}

/// A device may call its parameters what it likes; what would hide one of our own fields is left out.
fn put(document: &mut Map<String, Json>, row: &DeviceParameterRow) {
    let (path, is_object) = match row.path.strip_suffix('.') {
        Some(path) => (path, true),
        None => (row.path.as_str(), false),
    };
    let segments: Vec<&str> = path.split('.').collect();
    if segments.len() > MAX_DEPTH
        || segments.iter().any(|segment| segment.is_empty() || segment.starts_with('_'))
    {
        return;
    }
    let at = moment(row.read_at);
    let mut node = document;
    let last = segments.len() - 1;
    for (depth, segment) in segments.into_iter().enumerate() {
        let entry = node.entry(segment).or_insert_with(|| Json::Object(Map::new()));
        let Json::Object(next) = entry else { return };
        if depth < last || is_object {
            next.insert("_object".into(), true.into());
            let newer = next.get("_timestamp").and_then(Json::as_str).is_none_or(|known| known < at.as_str());
            if newer {
                next.insert("_timestamp".into(), at.clone().into());
            }
        }
        node = next;
    }
    if let Some(writable) = row.writable {
        node.insert("_writable".into(), writable.into());
    }
    if !is_object {
        // A leaf that is also said to have children stays an object that has a value.
        node.entry("_object").or_insert(false.into());
        node.insert("_timestamp".into(), at.into());
        node.insert("_type".into(), format!("xsd:{}", row.kind).into());
        // Of a secret nothing is known, neither that it is empty nor that a flag is off.
        if !names_a_secret(&row.path) {
            node.insert("_value".into(), value(&row.kind, &row.value));
        }
    }
}

/// Numbers and booleans as such, everything else as the text that it is.
fn value(kind: &str, text: &str) -> Json {
    match kind {
        "boolean" => flag(text).into(),
        "int" | "long" => text.parse::<i64>().map_or_else(|_| text.into(), Json::from),
        "unsignedInt" | "unsignedLong" => text.parse::<u64>().map_or_else(|_| text.into(), Json::from),
        _ => text.into(),
    }
}

/// The channel of a fault: that of the task which failed by it, as in GenieACS, or else one of its own, because each is
/// kept.
pub(super) fn channel(fault: &StandingFaultRow) -> String {
    match (fault.order_id, fault.order_created_at) {
        (Some(order), Some(created_at)) => format!("task_{}", ids::task(order, created_at)),
        _ => format!("fault_{}", fault.id),
    }
}

/// As GenieACS spells the code of a fault: of CWMP, or the reason that we have for it.
pub(super) fn code(fault: &StandingFaultRow) -> String {
    match fault.code {
        0 if fault.reason_code.is_empty() => fault.class.clone(),
        0 => fault.reason_code.clone(),
        code => format!("cwmp.{code}"),
    }
}

/// A fault.
pub(super) fn fault(row: &StandingFaultRow) -> Json {
    let device = ids::id(&row.oui, &row.product_class, &row.serial_number);
    let mut detail = Map::new();
    if row.code != 0 {
        detail.insert("faultCode".into(), row.code.to_string().into());
        detail.insert("faultString".into(), row.text.clone().into());
        if row.rpc == "SetParameterValues" && !row.path.is_empty() {
            let one = json!({ "parameterName": row.path, "faultCode": row.code.to_string(), "faultString": row.text });
            detail.insert("setParameterValuesFault".into(), json!([one]));
        }
    }
    json!({
        "_id": format!("{device}:{}", channel(row)),
        "device": device,
        "channel": channel(row),
        "timestamp": moment(row.at),
        "code": code(row),
        "message": row.text,
        "detail": detail,
        "retries": 0,
        "provisions": "[]",
    })
}

/// The named parts of a document and its `_id`, as MongoDB projects.
pub(super) fn project(document: Json, paths: &[String]) -> Json {
    let mut out = Map::new();
    if let Some(id) = document.get("_id") {
        out.insert("_id".into(), id.clone());
    }
    for path in paths {
        take(&document, &mut out, &path.split('.').collect::<Vec<_>>());
    }
    Json::Object(out)
}

fn take(from: &Json, to: &mut Map<String, Json>, path: &[&str]) {
    let [segment, rest @ ..] = path else { return };
    let Some(found) = from.get(segment) else { return };
    if rest.is_empty() {
        to.insert((*segment).to_owned(), found.clone());
        return;
    }
    if !found.is_object() {
        return;
    }
    let entry = to.entry((*segment).to_owned()).or_insert_with(|| Json::Object(Map::new()));
    if let Json::Object(next) = entry {
        take(found, next, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(path: &str, kind: &str, value: &str, writable: Option<bool>) -> DeviceParameterRow {
        DeviceParameterRow {
            cpe_id: 1,
            path: path.into(),
            value: value.into(),
            kind: kind.into(),
            writable,
            // 2026-11-21T14:30:00Z
            read_at: 1_795_271_400_000,
        }
    }

    fn device_with(parameters: &[DeviceParameterRow]) -> Json {
        let row = DeviceRow {
            id: 1,
            oui: "00259E".into(),
            product_class: "HG8546M-V5".into(),
            serial_number: "4857544312345678".into(),
            manufacturer: "Huawei".into(),
            last_inform_at: Some(1_795_271_400_000),
            created_at: 1_795_000_000_000,
        };
        let boots = BootRow { cpe_id: 1, boot_at: Some(1_795_200_000_000), bootstrap_at: None };
        device(&row, &["fibre".into()], Some(&boots), parameters)
    }

    #[test]
    fn a_device_has_the_shape_of_genieacs() {
        let root = "InternetGatewayDevice";
        let found = device_with(&[
            parameter(&format!("{root}.DeviceInfo.SoftwareVersion"), "string", "V5R019", Some(false)),
            parameter(&format!("{root}.DeviceInfo.UpTime"), "unsignedInt", "86400", None),
            parameter(&format!("{root}.ManagementServer.PeriodicInformEnable"), "boolean", "1", Some(true)),
            parameter(
                &format!("{root}.ManagementServer.PeriodicInformTime"),
                "dateTime",
                "2026-11-21T00:00:00Z",
                None,
            ),
            parameter(&format!("{root}.LANDevice."), "object", "", Some(true)),
        ]);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/genieacs_device.json");
        let text = format!("{}\n", serde_json::to_string_pretty(&found).expect("JSON"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &text).expect("the golden file can be written");
        }
        let golden = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(golden, text, "look at it and run again with UPDATE_GOLDEN=1");
    }

    #[test]
    fn no_name_that_a_device_gives_hides_what_is_ours() {
        let long = ["X"; 4000].join(".");
        let found = device_with(&[
            parameter("_id", "string", "another", None),
            parameter("_deviceId._OUI", "string", "another", None),
            parameter("Device._tags", "string", "another", None),
            parameter(&long, "string", "deep", None),
            parameter("", "string", "no name", None),
            parameter("A..B", "string", "no name", None),
            parameter("D.A", "string", "a leaf", None),
            parameter("D.A.B", "unsignedInt", "not a number", None),
        ]);
        assert_eq!(found["_id"], "00259E-HG8546M%2DV5-4857544312345678");
        assert_eq!(found["_deviceId"]["_OUI"], "00259E");
        assert_eq!(found.get("Device"), None);
        assert_eq!(found.get("X"), None);
        assert_eq!(found.get("A"), None);
        assert_eq!(found["D"]["A"]["_value"], "a leaf");
        assert_eq!(found["D"]["A"]["B"]["_value"], "not a number");
    }

    #[test]
    fn a_projection_takes_parts_and_the_id() {
        let document = device_with(&[
            parameter("D.A.B", "string", "1", None),
            parameter("D.A.C", "string", "2", None),
            parameter("D.E", "string", "3", None),
        ]);
        let wanted = ["_lastInform", "_deviceId._OUI", "D.A.B._value", "D.E", "_id.x", "D.None.Such"]
            .map(str::to_owned);
        let found = project(document, &wanted);
        assert_eq!(found["D"]["A"], json!({ "B": { "_value": "1" } }));
        assert_eq!(found["D"]["E"]["_value"], "3");
        assert_eq!(found["_deviceId"], json!({ "_OUI": "00259E" }));
        assert_eq!(found["_lastInform"], "2026-11-21T14:30:00.000Z");
        assert_eq!(found["_id"], "00259E-HG8546M%2DV5-4857544312345678");
        assert_eq!(found.get("_tags"), None);
    }
}
