//! The product is killed (SIGKILL, as by a power cut) at twenty moments of a seed and must end where an undisturbed run
//! ends: every ONU as the scenario expects, no second WAN, no ONU half-authorised, no order lost or repeated. The network
//! is a process of its own that goes on all the while, as the real one would; its own record of what it was told is the
//! judge.
#![allow(clippy::unwrap_used)]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sim::{
    olt::{OltHandle, OltSpec},
    record::{CpeRecord, Record},
    scenario::{Scenario, Wait},
};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use types::{Serial, SystemClock};

const KILLS: usize = 20;
const SEED: u64 = 0x1157;

/// The product alone, against the network of [`Network`].
fn product(folder: &Path, extra: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
        .arg("demo")
        .args(["--web", "127.0.0.1:0", "--without-network", "--data"])
        .arg(folder)
        .args(extra)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The simulated network. Whatever becomes of the test, it does not outlive it.
struct Network(Child);

impl Network {
    fn start(folder: &Path) -> Network {
        let mut process = Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
            .args(["sim", "--demo"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().map(Result::unwrap).find(|line| line.contains("CPEs; ACS"));
        assert!(ready.is_some(), "the network did not start");
        // Read on, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Network(process)
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Asks it to end, and waits until all that it was told is written down.
    fn end(mut self) {
        let asked =
            Command::new("sh").args(["-c", "kill -TERM $0", &self.0.id().to_string()]).status().unwrap();
        assert!(asked.success());
        assert!(self.0.wait().unwrap().success(), "it ends by itself when asked");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Ended already, or the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn twenty_kills_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let mut chance = ChaCha8Rng::seed_from_u64(SEED);
    let mut network = Network::start(&data);
    for kill in 0..KILLS {
        let mut process = product(&data, &[]);
        // From "not even migrated" to "forty devices in session". The moment is the test; nothing waits for it.
        let alive = Duration::from_millis(chance.random_range(30..7_000));
        std::thread::sleep(alive); // tidy: allow(sleep) the moment of the kill is what is random here
        assert!(
            process.try_wait().unwrap().is_none(),
            "kill {kill}: the product had ended by itself: {}",
            words(process)
        );
        process.kill().unwrap();
        process.wait().unwrap();
    }

    assert!(network.runs(), "the network was not killed with it");
    let (told, record) = to_the_end(&data, network);
    assert_eq!(record.violations(), Vec::<String>::new(), "what the CPEs were told\n{told}");
    // Another order than in a calm run may be right; another end is not. Object by object: a row that was made twice,
    // or never, in whatever table of whatever CPE, is a difference here.
    let calm = folder.path().join("calm");
    let calm_network = Network::start(&calm);
    let (_, calm) = to_the_end(&calm, calm_network);
    let holds = |record: &Record| -> Vec<String> {
        let lines = |(serial, cpe): (&Serial, &CpeRecord)| {
            let line = |(table, rows): (&String, &usize)| format!("{serial} {table} {rows}");
            cpe.tables.iter().map(line).collect::<Vec<_>>()
        };
        record.cpes.iter().flat_map(lines).collect()
    };
    let (killed, calm) = (holds(&record), holds(&calm));
    assert!(calm.len() > 300, "forty CPEs hold some hundred tables: {}", calm.len());
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).cloned().collect()
    };
    assert_eq!(
        (only(&killed, &calm), only(&calm, &killed)),
        (vec![], vec![]),
        "held after kills, held in peace"
    );

    let scenario = Scenario::demo().unwrap();
    for spec in &scenario.olts {
        let state_dir = data.join("network").join("olts").join(&spec.name);
        let spec = OltSpec { state_dir: Some(state_dir), ..spec.clone() };
        let olt = OltHandle::new(spec.clone(), Arc::new(SystemClock)).unwrap();
        let record = olt.record();
        assert_eq!(record.registered_twice(), [], "an ONU was registered twice on {}", spec.name);
        assert_eq!(record.tally().ont_reset, [].into(), "no ONU is ever reset");
        assert_eq!(record.tally().internet_by_omci, [].into(), "the internet is set up by the ACS alone");
        let state = olt.state();
        for onu in scenario.onus().unwrap() {
            let registered = state.config.find(onu.serial);
            assert_eq!(registered.is_some(), onu.wait == Wait::Nobody, "{} on {}", onu.serial, spec.name);
            let Some((pon, id, _)) = registered else { continue };
            let flows =
                state.config.service_ports.values().filter(|flow| flow.pon == pon && flow.ont == id).count();
            assert_eq!(flows, 2, "{} must have its internet and its management flow, once", onu.serial);
        }
    }
}

/// Lets the product go on until everything is as the scenario expects, and the network end; what was said and recorded.
fn to_the_end(data: &Path, mut network: Network) -> (String, Record) {
    let last = product(data, &["--check", "--within", "400"]).wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&last.stdout).into_owned();
    assert!(last.status.success(), "{told}\n{}", String::from_utf8_lossy(&last.stderr));
    assert!(network.runs(), "one and the same network from the beginning to the end");
    network.end();
    (told, Record::load(&data.join("network").join("cpes")).unwrap())
}

fn words(process: Child) -> String {
    let output = process.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}
