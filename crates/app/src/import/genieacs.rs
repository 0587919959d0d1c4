//! A device document of GenieACS, as MongoDB exports it or as its NBI answers, read for what can be taken over.

use serde_json::{Map, Value as Json};
use types::{UtcMs, names_a_secret};

/// Parameters of one device that are taken.
const MAX_PARAMETERS: usize = 5000;
/// Deepest path.
const MAX_DEPTH: usize = 32;

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedParameter {
    /// Full path.
    pub path: String,
    /// As text.
    pub value: String,
    /// The type after `xsd:`.
    pub kind: String,
    /// Whether it can be written, if GenieACS knew.
    pub writable: Option<bool>,
    /// When GenieACS read it, if it said.
    pub at: Option<UtcMs>,
}

/// A device as GenieACS knew it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// OUI.
    pub oui: String,
    /// Product class.
    pub product_class: String,
    /// Serial number, as CWMP says.
    pub serial_number: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// Model name, from its parameters.
    pub model: String,
    /// Hardware version, from its parameters.
    pub hardware_version: String,
    /// Software version, from its parameters.
    pub software_version: String,
    /// `tr098` or `tr181`; empty if it has neither root.
    pub data_model: &'static str,
    /// Its last Inform to GenieACS.
    pub last_inform: Option<UtcMs>,
    /// Tags.
    pub tags: Vec<String>,
    /// What GenieACS had read, without secrets.
    pub parameters: Vec<ImportedParameter>,
    /// Parameters that hold a secret by their name.
    pub secrets_left: u64,
    /// Paths of connections to the internet that were set up on it.
    pub wans: Vec<String>,
}

/// Reads a document.
///
/// # Errors
/// Why it is no device, as the end of a sentence about it.
pub fn read(document: &Json) -> Result<Imported, String> {
    let id = &document["_deviceId"];
    let text = |name: &str| id[name].as_str().unwrap_or_default().trim().to_owned();
    let mut device = Imported {
        oui: text("_OUI"),
        product_class: text("_ProductClass"),
        serial_number: text("_SerialNumber"),
        manufacturer: text("_Manufacturer"),
        last_inform: time(&document["_lastInform"]),
        ..Imported::default()
    };
    if device.oui.is_empty() || device.serial_number.is_empty() {
        return Err("is no device of GenieACS: it has no _deviceId with _OUI and _SerialNumber.".to_owned());
    }
    if [&device.oui, &device.product_class, &device.serial_number].iter().any(|part| part.len() > 256) {
        return Err("names a device with more than 256 bytes in a part of its _deviceId.".to_owned());
    }
    if [&device.oui, &device.product_class, &device.serial_number, &device.manufacturer]
        .iter()
        .any(|part| part.contains('\0'))
    {
        return Err("names a device with a NUL in a part of its _deviceId.".to_owned());
    }
    if let Json::Array(tags) = &document["_tags"] {
        device.tags = tags.iter().filter_map(Json::as_str).map(str::to_owned).collect();
    }
    for (root, data_model) in [("InternetGatewayDevice", "tr098"), ("Device", "tr181")] {
        if let Json::Object(node) = &document[root] {
            device.data_model = data_model;
            walk(&mut device, root, node, 1);
        }
    }
    let value = |device: &Imported, name: &str| -> String {
        let found = device.parameters.iter().find(|parameter| {
            parameter
                .path
                .strip_suffix(name)
                .is_some_and(|root| matches!(root, "InternetGatewayDevice." | "Device."))
        });
        found.map(|parameter| parameter.value.chars().take(256).collect()).unwrap_or_default()
    };
    device.model = value(&device, "DeviceInfo.ModelName");
    device.hardware_version = value(&device, "DeviceInfo.HardwareVersion");
    device.software_version = value(&device, "DeviceInfo.SoftwareVersion");
    Ok(device)
}

fn walk(device: &mut Imported, path: &str, node: &Map<String, Json>, depth: usize) {
    if let Some(value) = node.get("_value") {
        leaf(device, path, value, node);
    }
    if depth >= MAX_DEPTH {
        return;
    }
    if is_wan(path) {
        device.wans.push(path.to_owned());
    }
    for (name, child) in node {
        if let (false, Json::Object(child)) = (name.starts_with('_') || name.is_empty(), child) {
            walk(device, &format!("{path}.{name}"), child, depth + 1);
        }
    }
}

/// `…WANConnectionDevice.1.WANPPPConnection.2`, `Device.PPP.Interface.1`: what carries somebody's internet.
fn is_wan(path: &str) -> bool {
    let mut segments = path.rsplit('.');
    let (Some(number), Some(object)) = (segments.next(), segments.next()) else { return false };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_ppp = object == "Interface" && segments.next() == Some("PPP");
    is_number && (matches!(object, "WANPPPConnection" | "WANIPConnection") || is_ppp)
}

fn leaf(device: &mut Imported, path: &str, value: &Json, node: &Map<String, Json>) {
    if names_a_secret(path) {
        device.secrets_left += 1;
        return;
    }
    let kind = node.get("_type").and_then(Json::as_str).unwrap_or("xsd:string");
    let kind = kind.strip_prefix("xsd:").unwrap_or(kind);
    let value = match value {
        Json::String(text) => text.clone(),
        Json::Bool(flag) => if *flag { "1" } else { "0" }.to_owned(),
        Json::Number(number) if kind == "dateTime" => {
            number.as_i64().map(|at| UtcMs(at).to_string()).unwrap_or_default()
        }
        Json::Number(number) => number.to_string(),
        Json::Object(_) => match (long(value), time(value)) {
            (Some(number), _) if kind != "dateTime" => number.to_string(),
            (_, Some(at)) => at.to_string(),
            _ => return,
        },
        Json::Null | Json::Array(_) => return,
    };
    if device.parameters.len() < MAX_PARAMETERS && path.len() <= 1024 {
        device.parameters.push(ImportedParameter {
            path: path.to_owned(),
            value: value.replace('\0', "\u{FFFD}"),
            kind: kind.chars().take(32).collect(),
            writable: node.get("_writable").and_then(Json::as_bool),
            at: node.get("_timestamp").and_then(time),
        });
    }
}

/// `{"$numberLong": "5"}` and its like.
fn long(value: &Json) -> Option<i64> {
    ["$numberLong", "$numberInt"].iter().find_map(|name| value[name].as_str()?.parse().ok())
}

/// A moment as MongoDB's extended JSON, GenieACS or JavaScript write it.
fn time(value: &Json) -> Option<UtcMs> {
    let value = if value["$date"].is_null() { value } else { &value["$date"] };
    let at = match value {
        Json::String(text) => {
            let text = text.trim();
            // mongoexport before 4.2 writes +0000.
            let zoned = || jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok();
            text.parse::<jiff::Timestamp>().ok().or_else(zoned)?.as_millisecond()
        }
        Json::Number(number) => number.as_i64()?,
        value => long(value)?,
    };
    // Before 1970 and after 9999 nobody heard from a device.
    (0..=253_402_300_799_000).contains(&at).then_some(UtcMs(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_is_taken_as_mongoexport_and_as_the_nbi_write_it() {
        let wan = json!({ "_object": true, "Username": { "_value": "amina@isp", "_type": "xsd:string", "_writable": true,
            "_timestamp": { "$date": "2026-11-20T10:00:00Z" } }, "Password": { "_value": "hunter2", "_type": "xsd:string" } });
        let document = |inform: Json| {
            json!({
                "_id": "00259E-HG8546M-4857544312345678",
                "_deviceId": { "_Manufacturer": "Huawei", "_OUI": "00259E", "_ProductClass": "HG8546M",
                    "_SerialNumber": "4857544312345678" },
                "_lastInform": inform,
                "_tags": ["fibre", 5],
                "InternetGatewayDevice": {
                    "_object": true,
                    "DeviceInfo": {
                        "SoftwareVersion": { "_value": "V5R019", "_type": "xsd:string", "_writable": false },
                        "UpTime": { "_value": { "$numberLong": "86400" }, "_type": "xsd:unsignedInt" },
                    },
                    "WANDevice": { "1": { "WANConnectionDevice": { "2": { "WANPPPConnection": { "1": wan } } } } },
                },
            })
        };
        for inform in [
            json!("2026-11-21T14:30:00.000Z"),
            json!({ "$date": "2026-11-21T14:30:00.000+0000" }),
            json!({ "$date": { "$numberLong": "1795271400000" } }),
            json!(1_795_271_400_000_i64),
        ] {
            let device = read(&document(inform.clone())).expect("a device");
            assert_eq!(device.last_inform, Some(UtcMs(1_795_271_400_000)), "{inform}");
            assert_eq!(device.software_version, "V5R019");
            assert_eq!(device.data_model, "tr098");
            assert_eq!(device.tags, ["fibre"]);
            assert_eq!(device.secrets_left, 1);
            assert_eq!(
                device.wans,
                ["InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1"]
            );
            assert!(!format!("{device:?}").contains("hunter2"), "a secret is not even held");
            let uptime = device.parameters.iter().find(|parameter| parameter.path.ends_with("UpTime"));
            assert_eq!(uptime.map(|parameter| parameter.value.as_str()), Some("86400"));
            let login = device.parameters.iter().find(|parameter| parameter.path.ends_with("Username"));
            let login = login.expect("a login");
            assert_eq!((login.writable, login.at), (Some(true), Some(UtcMs(1_795_168_800_000))));
        }
    }

    #[test]
    fn what_is_no_device_is_said() {
        for document in [json!({}), json!([]), json!({ "_deviceId": { "_OUI": "1" } }), json!("x")] {
            assert!(read(&document).expect_err("no device").ends_with('.'));
        }
        let long = json!({ "_deviceId": { "_OUI": "x".repeat(300), "_SerialNumber": "1" } });
        assert!(read(&long).expect_err("too long").contains("256"));
    }
}
