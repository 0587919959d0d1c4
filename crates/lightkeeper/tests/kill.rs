//! The demo is killed (SIGKILL, as by a power cut) at twenty moments of a seed and must end where an undisturbed run
//! ends: every ONU as the scenario expects, no second WAN, no ONU half-authorised, no order lost or repeated. The
//! judge is the simulated network's own record of what it was told.
#![allow(clippy::unwrap_used)]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sim::{
    olt::{OltHandle, OltSpec},
    record::Record,
    scenario::{Scenario, Wait},
};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use types::SystemClock;

const KILLS: usize = 20;
const SEED: u64 = 0x1157;

fn demo(folder: &Path, extra: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
        .arg("demo")
        .args(["--web", "127.0.0.1:0", "--data"])
        .arg(folder)
        .args(extra)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn twenty_kills_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let mut chance = ChaCha8Rng::seed_from_u64(SEED);
    for kill in 0..KILLS {
        let mut process = demo(&data, &[]);
        // From "not even migrated" to "forty devices in session". The moment is the test; nothing waits for it.
        let alive = Duration::from_millis(chance.random_range(30..7_000));
        std::thread::sleep(alive); // tidy: allow(sleep) the moment of the kill is what is random here
        assert!(
            process.try_wait().unwrap().is_none(),
            "kill {kill}: the demo had ended by itself: {}",
            words(process)
        );
        process.kill().unwrap();
        process.wait().unwrap();
    }

    let last = demo(&data, &["--check", "--within", "400"]).wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&last.stdout);
    assert!(last.status.success(), "{told}\n{}", String::from_utf8_lossy(&last.stderr));

    let record = Record::load(&data.join("network").join("cpes")).unwrap();
    assert_eq!(record.violations(), Vec::<String>::new(), "what the CPEs were told\n{told}");

    let scenario = Scenario::demo().unwrap();
    for spec in &scenario.olts {
        let state_dir = data.join("network").join("olts").join(&spec.name);
        let spec = OltSpec { state_dir: Some(state_dir), ..spec.clone() };
        let olt = OltHandle::new(spec.clone(), Arc::new(SystemClock)).unwrap();
        assert_eq!(olt.record().registered_twice(), [], "an ONU was registered twice on {}", spec.name);
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

fn words(process: Child) -> String {
    let output = process.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}
