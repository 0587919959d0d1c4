//! Readings: which walks they take and what becomes of the rows.

use crate::{Column, Oid, OidMap, SnmpClient, SnmpError, Value};
use std::{collections::BTreeMap, time::Duration};
use types::{PonPath, Serial};

/// What every agent says about itself (SNMPv2-MIB).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemFacts {
    /// sysDescr.
    pub description: String,
    /// sysObjectID.
    pub object_id: Option<Oid>,
    /// sysName.
    pub name: String,
    /// sysUpTime; starts over after 497 days.
    pub uptime: Option<Duration>,
    /// Software version, where the map says where it is.
    pub software_version: Option<String>,
}

/// An ONU of an OLT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OnuKey {
    /// PON port.
    pub pon: PonPath,
    /// ONT id.
    pub ont_id: u16,
}

/// A reading of an ONU; `None` = the OLT has no reading, or not a believable one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnuReading<T> {
    /// Which ONU.
    pub onu: OnuKey,
    /// Value in the unit its column is named by.
    pub value: Option<T>,
}

const SYS_DESCR: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 1, 0];
const SYS_OBJECT_ID: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 2, 0];
const SYS_UPTIME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 3, 0];
const SYS_NAME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 5, 0];
const IF_NAME: [u32; 11] = [1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1];

/// Asks an agent who it is. With a map also for the software version.
///
/// # Errors
/// See [`SnmpError`].
pub async fn system_facts(client: &dyn SnmpClient, map: Option<&OidMap>) -> Result<SystemFacts, SnmpError> {
    let mut oids: Vec<Oid> = [SYS_DESCR, SYS_OBJECT_ID, SYS_UPTIME, SYS_NAME].map(Oid::new).to_vec();
    oids.extend(map.and_then(OidMap::software_version).cloned());
    let values = client.get(&oids).await?;
    let text = |i: usize| values.get(i).and_then(Value::text);
    Ok(SystemFacts {
        description: text(0).unwrap_or_default(),
        object_id: match values.get(1) {
            Some(Value::Oid(oid)) => Some(oid.clone()),
            _ => None,
        },
        uptime: match values.get(2) {
            Some(Value::Ticks(ticks)) => Some(Duration::from_millis(u64::from(*ticks) * 10)),
            _ => None,
        },
        name: text(3).unwrap_or_default(),
        software_version: text(4),
    })
}

/// PON ports by ifIndex: from their names, and where a name says nothing, from the number itself.
///
/// # Errors
/// See [`SnmpError`].
pub async fn pon_ports(client: &dyn SnmpClient, map: &OidMap) -> Result<BTreeMap<u32, PonPath>, SnmpError> {
    let rows = client.walk(&Oid::new(IF_NAME)).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let index = *row.oid.arcs().last()?;
            // Only what the number says is a PON port: an Ethernet port has a name with a path in it, too.
            let by_number = map.pon_index.decode(index)?;
            let by_name = row.value.text().and_then(|name| name.split_whitespace().last()?.parse().ok());
            Some((index, by_name.unwrap_or(by_number)))
        })
        .collect())
}

async fn column<T>(
    client: &dyn SnmpClient,
    map: &OidMap,
    ports: &BTreeMap<u32, PonPath>,
    name: &str,
    value: impl Fn(&Column, &Value) -> Option<T>,
) -> Result<Vec<OnuReading<T>>, SnmpError> {
    // A map without the column has nothing to read: an empty answer, not an error.
    let Some(column) = map.onu_column(name) else { return Ok(Vec::new()) };
    let rows = client.walk(&column.oid).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let [index, ont_id] = row.oid.below(&column.oid)? else { return None };
            let pon = ports.get(index).copied().or_else(|| map.pon_index.decode(*index))?;
            let onu = OnuKey { pon, ont_id: u16::try_from(*ont_id).ok()? };
            Some(OnuReading { onu, value: value(column, &row.value) })
        })
        .collect())
}

/// A number of every ONU, e.g. `rx_power_cdbm` or `distance_m`.
///
/// # Errors
/// See [`SnmpError`].
pub async fn onu_numbers(
    client: &dyn SnmpClient,
    map: &OidMap,
    ports: &BTreeMap<u32, PonPath>,
    name: &str,
) -> Result<Vec<OnuReading<i64>>, SnmpError> {
    column(client, map, ports, name, |column, value| column.number(value.number()?)).await
}

/// A state of every ONU in words, e.g. `run_status` (`online`, `offline`) or `down_cause`.
///
/// # Errors
/// See [`SnmpError`].
pub async fn onu_states(
    client: &dyn SnmpClient,
    map: &OidMap,
    ports: &BTreeMap<u32, PonPath>,
    name: &str,
) -> Result<Vec<OnuReading<String>>, SnmpError> {
    column(client, map, ports, name, |column, value| column.state(value.number()?).map(str::to_owned)).await
}

/// The serial every ONU is registered with.
///
/// # Errors
/// See [`SnmpError`].
pub async fn onu_serials(
    client: &dyn SnmpClient,
    map: &OidMap,
    ports: &BTreeMap<u32, PonPath>,
) -> Result<Vec<OnuReading<Serial>>, SnmpError> {
    column(client, map, ports, "serial", |_, value| match value {
        Value::Bytes(bytes) => <[u8; 8]>::try_from(bytes.as_slice()).ok().map(Serial::from_bytes),
        _ => None,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Row;
    use async_trait::async_trait;

    /// An agent made of rows.
    struct Rows(Vec<Row>);

    #[async_trait]
    impl SnmpClient for Rows {
        async fn get(&self, oids: &[Oid]) -> Result<Vec<Value>, SnmpError> {
            let find = |oid: &Oid| self.0.iter().find(|row| row.oid == *oid).map(|row| row.value.clone());
            Ok(oids.iter().map(|oid| find(oid).unwrap_or(Value::Absent)).collect())
        }

        async fn walk(&self, root: &Oid) -> Result<Vec<Row>, SnmpError> {
            Ok(self.0.iter().filter(|row| row.oid.below(root).is_some()).cloned().collect())
        }
    }

    fn row(oid: &str, value: Value) -> Row {
        Row { oid: oid.parse().expect("oid"), value }
    }

    #[tokio::test]
    async fn rows_that_make_no_sense_are_left_out() {
        let rx = "1.3.6.1.4.1.2011.6.128.1.1.2.51.1.4";
        let agent = Rows(vec![
            row(&format!("{rx}.4194304256.3"), Value::Integer(-1_987)),
            row(&format!("{rx}.4194304256.4"), Value::Integer(2_147_483_647)),
            row(&format!("{rx}.4194304256.5"), Value::Bytes(b"-19".to_vec())),
            row(&format!("{rx}.234938368.5"), Value::Integer(-1_900)),
            row(&format!("{rx}.4194304256"), Value::Integer(-1_900)),
            row(&format!("{rx}.4194304256.70000"), Value::Integer(-1_900)),
        ]);
        let readings =
            onu_numbers(&agent, &OidMap::huawei(), &BTreeMap::new(), "rx_power_cdbm").await.expect("rows");
        let pon = PonPath { frame: 0, slot: 0, port: 1 };
        let seen: Vec<_> = readings.iter().map(|r| (r.onu.pon, r.onu.ont_id, r.value)).collect();
        assert_eq!(seen, [(pon, 3, Some(-1_987)), (pon, 4, None), (pon, 5, None)]);
    }

    #[tokio::test]
    async fn a_silent_agent_has_empty_facts() {
        let facts = system_facts(&Rows(Vec::new()), None).await.expect("facts");
        assert_eq!(facts.uptime, None);
        assert_eq!((facts.name.as_str(), facts.description.as_str()), ("", ""));
    }
}
