//! The client against the simulated OLT, and the simulated OLT against net-snmp.

use sim::olt::{OltSpec, Onu, SimOlt, Timing};
use snmp::{
    Oid, OidMap, SnmpClient, SnmpError, Target, UdpClient, Value, onu_numbers, onu_serials, onu_states,
    pon_ports, system_facts,
};
use std::{sync::Arc, time::Duration};
use types::{ManualClock, PonPath, Secret, Serial, UtcMs};

const PON: PonPath = PonPath { frame: 0, slot: 1, port: 7 };

fn serial(n: u32) -> Serial {
    let mut bytes = *b"HWTC\0\0\0\0";
    bytes[4..].copy_from_slice(&n.to_be_bytes());
    Serial::from_bytes(bytes)
}

/// A box with ONUs 0 (online), 1 (online) and 2 (without power) on 0/1/7.
async fn olt() -> SimOlt {
    let clock = ManualClock::new(UtcMs::from_s(1_795_271_400));
    let spec = OltSpec { name: "OLT-NORTH".to_owned(), timing: Timing::immediate(), ..OltSpec::default() };
    let olt = SimOlt::start(spec, Arc::new(clock.clone())).await.expect("starts");
    let handle = olt.handle();
    handle.with(|core, now| {
        let mut session = core.open_session("lightkeeper", sim::olt::Via::Ssh, now).expect("session");
        for line in ["enable", "undo smart", "config", "interface gpon 0/1"] {
            core.execute(&mut session, line, now);
        }
        for n in 0..3 {
            core.plug(Onu::new(serial(n), "EG8145V5"), PON, now);
            let line = format!(
                "ont add 7 sn-auth {} omci ont-lineprofile-id 10 ont-srvprofile-id 10 desc \"n{n}\"",
                serial(n).hex16()
            );
            core.execute(&mut session, &line, now);
        }
        core.close_session(session.id);
    });
    handle.power(serial(2), false);
    clock.advance(Duration::from_secs(90));
    olt
}

async fn client(olt: &SimOlt, change: impl FnOnce(&mut Target)) -> UdpClient {
    let mut target = Target::new(olt.snmp_addr().expect("agent"), Secret::new("public"));
    target.requests_per_s = 1_000;
    change(&mut target);
    UdpClient::connect(target).await.expect("socket")
}

#[tokio::test]
async fn facts_ports_and_onus() {
    let olt = olt().await;
    let map = OidMap::huawei();
    // Zero repetitions would hang real OLTs; the client asks for one instead.
    for repetitions in [0, 1, 7, 50] {
        let client = client(&olt, |target| target.max_repetitions = repetitions).await;
        let facts = system_facts(&client, Some(&map)).await.expect("facts");
        assert_eq!(facts.name, "OLT-NORTH");
        assert_eq!(facts.uptime, Some(Duration::from_secs(90)));
        assert_eq!(facts.software_version.as_deref(), Some("MA5800V100R021C00"));
        assert!(map.matches(&facts.description, facts.object_id.as_ref()));

        let ports = pon_ports(&client, &map).await.expect("ports");
        assert_eq!(ports.len(), 32);
        assert_eq!(ports.get(&(4_194_304_000 + 8_192 + 7 * 256)), Some(&PON));

        let states = onu_states(&client, &map, &ports, "run_status").await.expect("states");
        let words: Vec<_> = states.iter().map(|r| (r.onu.pon, r.onu.ont_id, r.value.as_deref())).collect();
        assert_eq!(words, [(PON, 0, Some("online")), (PON, 1, Some("online")), (PON, 2, Some("offline"))]);
        let want = Onu::new(serial(0), "EG8145V5").optics;
        for (column, value) in [
            ("rx_power_cdbm", want.rx_power_cdbm),
            ("tx_power_cdbm", want.tx_power_cdbm),
            ("olt_rx_power_cdbm", want.olt_rx_power_cdbm),
        ] {
            let rows = onu_numbers(&client, &map, &ports, column).await.expect("numbers");
            assert_eq!(rows[0].value, Some(i64::from(value)), "{column}");
            assert_eq!(rows[2].value, None, "{column} of an ONU without power");
        }
        let serials = onu_serials(&client, &map, &ports).await.expect("serials");
        let serials: Vec<_> = serials.iter().filter_map(|r| r.value).collect();
        assert_eq!(serials, [serial(0), serial(1), serial(2)]);
        let causes = onu_states(&client, &map, &ports, "down_cause").await.expect("causes");
        assert_eq!(causes[2].value.as_deref(), Some("dying gasp"));
    }
    olt.stop().await;
}

#[tokio::test]
async fn limits_and_silence_are_errors() {
    let olt = olt().await;
    let if_name: Oid = "1.3.6.1.2.1.31.1.1.1.1".parse().expect("oid");
    let few = client(&olt, |target| target.max_rows = 10).await;
    assert!(matches!(few.walk(&if_name).await, Err(SnmpError::TooMany { limit: 10, .. })));
    let stranger = client(&olt, |target| {
        target.community = Secret::new("private");
        target.timeout = Duration::from_millis(100);
        target.retries = 0;
    })
    .await;
    assert!(matches!(stranger.walk(&if_name).await, Err(SnmpError::Timeout { .. })));
    let absent: Oid = "1.3.6.1.2.1.1.99.0".parse().expect("oid");
    let known: Oid = "1.3.6.1.2.1.1.5.0".parse().expect("oid");
    let values = client(&olt, |_| ()).await.get(&[absent, known]).await.expect("values");
    assert_eq!(values, [Value::Absent, Value::Bytes(b"OLT-NORTH".to_vec())]);
    olt.stop().await;
}

#[tokio::test]
async fn the_rate_is_capped() {
    let olt = olt().await;
    let slow = client(&olt, |target| {
        target.requests_per_s = 20;
        target.max_repetitions = 4;
    })
    .await;
    let root: Oid = "1.3.6.1.2.1.31.1.1.1.1".parse().expect("oid");
    let begun = std::time::Instant::now();
    let rows = slow.walk(&root).await.expect("rows");
    // 32 rows at 4 per request are at least 8 requests, 50 ms apart.
    assert_eq!(rows.len(), 32);
    assert!(begun.elapsed() >= Duration::from_millis(350), "{:?}", begun.elapsed());
    olt.stop().await;
}

/// Runs a net-snmp tool; `None` if it is not installed.
async fn net_snmp(tool: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let ran = tokio::process::Command::new(tool)
        .args(["-v2c", "-t2", "-r1", "-On"])
        .args(arguments)
        .env("MIBS", "")
        .output()
        .await;
    match ran {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(_) => {
            println!("skipped: {tool} (net-snmp) is not installed");
            None
        }
    }
}

#[tokio::test]
async fn net_snmp_reads_it_and_cannot_write() {
    let olt = olt().await;
    let agent = olt.snmp_addr().expect("agent").to_string();
    let name = ".1.3.6.1.2.1.1.5.0";
    if let Some((ok, text)) = net_snmp("snmpget", &["-cpublic", &agent, name]).await {
        assert!(ok, "{text}");
        assert!(text.contains("STRING: \"OLT-NORTH\""), "{text}");
    }
    let serials = ".1.3.6.1.4.1.2011.6.128.1.1.2.43.1.3";
    if let Some((ok, text)) = net_snmp("snmpwalk", &["-cpublic", &agent, serials]).await {
        assert!(ok, "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
    if let Some((ok, text)) = net_snmp("snmpbulkwalk", &["-cpublic", &agent, ".1.3.6.1"]).await {
        assert!(ok, "{text}");
        assert!(text.lines().count() > 200, "{text}");
        assert!(text.contains("GPON 0/1/7"), "{text}");
    }
    if let Some((ok, text)) = net_snmp("snmpset", &["-cpublic", &agent, name, "s", "changed"]).await {
        assert!(!ok, "{text}");
        assert!(text.contains("notWritable"), "{text}");
        assert_eq!(olt.handle().state().config.sysname, "OLT-NORTH");
    }
    olt.stop().await;
}
