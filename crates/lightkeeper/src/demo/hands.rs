//! Hands in the simulated world: somebody plugs an ONU in elsewhere, takes one out, brings a new one. One order per line
//! on standard input, one answer per order on standard output. The product never sees it but by its OLT.

use super::network::SimulatedNetwork;
use sim::olt::Onu;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use types::{PonPath, Serial};

/// Bytes of all orders together; nobody types more.
const MOST_BYTES: u64 = 1 << 20;

const KNOWN: &str = "plug SERIAL PON, unplug SERIAL";

/// Carries out orders until there are none any more.
pub(crate) async fn run(network: Option<&SimulatedNetwork>) {
    let mut lines = BufReader::new(tokio::io::stdin().take(MOST_BYTES)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match order(network, &line) {
            Ok(()) => println!("WORLD {}", line.trim()),
            Err(why) => println!("WORLD refused {:?}: {why}", line.trim()),
        }
    }
    // Whoever gave the orders is gone; the demo goes on.
    std::future::pending::<()>().await;
}

fn order(network: Option<&SimulatedNetwork>, line: &str) -> Result<(), String> {
    let olts = network.map(|network| network.olts.as_slice()).unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    let serial = |text: &str| text.parse::<Serial>().map_err(|error| error.to_string());
    match words.as_slice() {
        ["plug", onu, pon] => {
            let (onu, pon) = (serial(onu)?, pon.parse::<PonPath>().map_err(|error| error.to_string())?);
            let (_, olt) = olts.first().ok_or("there is no OLT in this process")?;
            let olt = olt.handle();
            // One that is there already moves; of another one nothing is known but its name.
            let there = olt.state().plant.onus.get(&onu).cloned();
            olt.plug(there.unwrap_or_else(|| Onu::new(onu, "EG8145V5")), pon);
            Ok(())
        }
        ["unplug", onu] => {
            let onu = serial(onu)?;
            for (_, olt) in olts {
                olt.handle().unplug(onu);
            }
            Ok(())
        }
        _ => Err(format!("known are: {KNOWN}")),
    }
}
