//! The client over UDP, by async-snmp, with the limits that async-snmp leaves to its caller.

use crate::{Oid, Row, SnmpClient, SnmpError, Value};
use async_snmp::{Auth, Client, ErrorKind, Retry};
use async_trait::async_trait;
use std::{net::SocketAddr, time::Duration};
use tokio::{sync::Mutex, time::Instant};
use types::Secret;

/// OIDs per GET.
const GET_BATCH: usize = 20;

/// An agent and how it may be asked.
#[derive(Debug, Clone)]
pub struct Target {
    /// Address and port.
    pub address: SocketAddr,
    /// Read community.
    pub community: Secret,
    /// Wait for one answer.
    pub timeout: Duration,
    /// Tries after the first.
    pub retries: u32,
    /// Rows per GETBULK. 0 is taken as 1: several OLTs never answer a request for none.
    pub max_repetitions: u32,
    /// Requests per second at most; 0 is taken as 1.
    pub requests_per_s: u32,
    /// Rows of one walk at most.
    pub max_rows: usize,
}

impl Target {
    /// Gentle settings for an OLT.
    pub fn new(address: SocketAddr, community: Secret) -> Self {
        Target {
            address,
            community,
            timeout: Duration::from_secs(3),
            retries: 2,
            max_repetitions: 25,
            requests_per_s: 20,
            max_rows: 200_000,
        }
    }
}

/// SNMPv2c over UDP to one agent.
pub struct UdpClient {
    client: Client<async_snmp::transport::UdpHandle>,
    target: Target,
    gap: Duration,
    next_at: Mutex<Instant>,
}

impl std::fmt::Debug for UdpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UdpClient").field("target", &self.target.address).finish_non_exhaustive()
    }
}

impl UdpClient {
    /// Binds a socket of its own. Nothing is sent yet.
    ///
    /// # Errors
    /// When no socket can be had.
    pub async fn connect(target: Target) -> Result<Self, SnmpError> {
        let local = |why: String| SnmpError::Local { target: target.address, why };
        let retry = Retry::fixed(target.retries, Duration::from_millis(200))
            .map_err(|error| local(error.to_string()))?;
        let client = Client::builder(target.address, Auth::v2c(target.community.expose().as_bytes()))
            .request_timeout(target.timeout)
            .retry(retry)
            .max_oids_per_request(GET_BATCH)
            .connect()
            .await
            .map_err(|error| local(error.to_string()))?;
        let gap = Duration::from_secs(1) / target.requests_per_s.max(1);
        Ok(UdpClient { client, target, gap, next_at: Mutex::new(Instant::now()) })
    }

    /// Waits for this request's turn.
    async fn turn(&self) {
        let at = {
            let mut next = self.next_at.lock().await;
            let at = (*next).max(Instant::now());
            *next = at + self.gap;
            at
        };
        tokio::time::sleep_until(at).await;
    }

    fn error(&self, error: &async_snmp::Error) -> SnmpError {
        let target = self.target.address;
        match error.kind() {
            ErrorKind::Timeout | ErrorKind::ConstructionTimeout => {
                SnmpError::Timeout { target, waited: self.target.timeout * (self.target.retries + 1) }
            }
            ErrorKind::Snmp | ErrorKind::Auth | ErrorKind::Report => {
                SnmpError::Refused { target, status: error.to_string() }
            }
            ErrorKind::Decode | ErrorKind::MalformedResponse | ErrorKind::ResponseShape => {
                SnmpError::Malformed { target, why: error.to_string() }
            }
            _ => SnmpError::Local { target, why: error.to_string() },
        }
    }

    async fn bulk(&self, after: &Oid, rows: u32) -> Result<Vec<Row>, SnmpError> {
        self.turn().await;
        let oid = async_snmp::Oid::from(after.arcs());
        let answer = self.client.get_bulk(&[oid], 0, rows).await;
        let rows = answer.map_err(|error| self.error(&error))?;
        Ok(rows.into_iter().map(row).collect())
    }
}

fn row(varbind: async_snmp::VarBind) -> Row {
    Row { oid: Oid::new(varbind.oid.arcs()), value: value(varbind.value) }
}

fn value(value: async_snmp::Value) -> Value {
    use async_snmp::Value as V;
    match value {
        V::Integer(n) => Value::Integer(i64::from(n)),
        V::OctetString(bytes) => Value::Bytes(bytes.to_vec()),
        V::ObjectIdentifier(oid) => Value::Oid(Oid::new(oid.arcs())),
        V::Counter32(n) | V::Gauge32(n) | V::UInteger32(n) => Value::Unsigned(u64::from(n)),
        V::Counter64(n) => Value::Unsigned(n),
        V::TimeTicks(n) => Value::Ticks(n),
        V::NoSuchObject | V::NoSuchInstance | V::EndOfMibView | V::Null => Value::Absent,
        _ => Value::Other,
    }
}

#[async_trait]
impl SnmpClient for UdpClient {
    async fn get(&self, oids: &[Oid]) -> Result<Vec<Value>, SnmpError> {
        let mut values = Vec::with_capacity(oids.len());
        for batch in oids.chunks(GET_BATCH) {
            self.turn().await;
            let asked: Vec<_> = batch.iter().map(|oid| async_snmp::Oid::from(oid.arcs())).collect();
            let answer = self.client.get_many(&asked).await.map_err(|error| self.error(&error))?;
            let rows: Vec<Row> = answer.varbinds.into_iter().map(row).collect();
            // An agent that answers in another order is still understood; one that leaves things out has not got them.
            values.extend(batch.iter().map(|oid| {
                rows.iter().find(|row| row.oid == *oid).map_or(Value::Absent, |row| row.value.clone())
            }));
        }
        Ok(values)
    }

    async fn walk(&self, root: &Oid) -> Result<Vec<Row>, SnmpError> {
        let target = self.target.address;
        let mut all: Vec<Row> = Vec::new();
        let mut after = root.clone();
        loop {
            let rows = self.bulk(&after, self.target.max_repetitions.max(1)).await?;
            if rows.is_empty() {
                return Err(SnmpError::Malformed { target, why: "an empty GETBULK answer".to_owned() });
            }
            for row in rows {
                if row.value == Value::Absent || row.oid.below(root).is_none() {
                    return Ok(all);
                }
                if row.oid <= after {
                    return Err(SnmpError::NotIncreasing { target, after, got: row.oid });
                }
                if all.len() >= self.target.max_rows {
                    let limit = self.target.max_rows;
                    return Err(SnmpError::TooMany { target, root: root.clone(), limit });
                }
                after = row.oid.clone();
                all.push(row);
            }
        }
    }
}
