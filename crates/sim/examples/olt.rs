//! A simulated OLT to try things on by hand: `cargo run -p lightkeeper-sim --example olt`, then
//! `ssh -p <port> lightkeeper@127.0.0.1` (password `lightkeeper`).

use sim::olt::{OltSpec, Onu, Preset, SimOlt};
use std::sync::Arc;
use types::{PonPath, Serial, SystemClock};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = OltSpec {
        preset: Preset { acs_url: "http://127.0.0.1:7547/".to_owned(), ..Preset::default() },
        ..OltSpec::default()
    };
    let olt = SimOlt::start(spec, Arc::new(SystemClock)).await?;
    for n in 0..4u8 {
        let serial = Serial::from_bytes([b'H', b'W', b'T', b'C', 0x5A, 0, 0, n]);
        olt.handle().plug(Onu::new(serial, "EG8145V5"), PonPath { frame: 0, slot: 1, port: n });
    }
    println!("SSH    {:?}", olt.ssh_addr());
    println!("Telnet {:?}", olt.telnet_addr());
    println!("SNMP   {:?} (community public)", olt.snmp_addr());
    let (_, mut events) = olt.handle().subscribe();
    loop {
        tokio::select! {
            event = events.recv() => println!("{event:?}"),
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    olt.stop().await;
    Ok(())
}
