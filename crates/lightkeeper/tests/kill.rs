//! The product is killed (SIGKILL, as by a power cut) at twenty moments of a seed and must end where an undisturbed run
//! ends: every ONU as the scenario expects, no second WAN, no ONU half-authorised, no order lost or repeated. The network
//! is a process of its own that goes on all the while, as the real one would; its own record of what it was told is the
//! judge, and it shows what each kill hit: kills that all fall into the start would prove nothing.
#![allow(clippy::unwrap_used)]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sim::{
    olt::{Effect, OltHandle, OltSpec, Record as OltRecord},
    record::{CpeRecord, Record, What},
    scenario::{DEMO, Scenario, Wait},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use types::{Clock, Serial, SystemClock, UtcMs};

const KILLS: usize = 20;
const SEED: u64 = 0x1157;
/// How many of the twenty are aimed at an order under way on the OLT, and how many at open sessions. The others come early
/// in the life of the product, whatever it does by then.
const AIMED: usize = 3;
/// So many of the twenty must have hit an order under way, and so many an open session. What is aimed at may be over when
/// the signal arrives, and what is not aimed may hit all the same.
const HITS: usize = AIMED - 1;
/// Lines of an order that change something on the OLT: the ONU, its two flows, its address, its ACS.
const LINES: usize = 5;
/// Longest time until everything is as the scenario expects, in seconds. CPEs that found nobody there come back less and
/// less often.
const WITHIN_S: &str = "1200";
/// Longest wait for the moment of a kill.
const MOMENT_LIMIT: Duration = Duration::from_secs(600);

/// When the product is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So many milliseconds after its start, whatever it does by then.
    Early(u64),
    /// In an order, after so many lines that changed something on the OLT.
    Order(usize),
    /// In a session, after CPEs have carried out so many RPCs.
    Session(usize),
}

/// Twenty of them. An OLT is quick: in the seconds that others live, all orders would be carried out. So those in orders
/// come first, half of the orders being left for them, and each waits until the lease of the one before on the OLT has run
/// out. Then CPEs are let in, and sessions are broken; the early ones find whatever is under way.
fn moments(chance: &mut ChaCha8Rng) -> Vec<Moment> {
    let early = (2 * AIMED..KILLS).map(|_| Moment::Early(chance.random_range(30..5_000))).collect::<Vec<_>>();
    let mut moments = vec![Moment::Order(chance.random_range(101..=120))];
    moments.extend((1..AIMED).map(|_| Moment::Order(chance.random_range(1..=10))));
    moments.extend((0..AIMED).map(|_| Moment::Session(chance.random_range(1..=12))));
    moments.extend(early);
    moments
}

/// What the simulated network writes down, read as it grows.
struct Growth {
    files: BTreeMap<PathBuf, u64>,
    folder: PathBuf,
}

impl Growth {
    fn of(folder: &Path) -> Growth {
        Growth { files: BTreeMap::new(), folder: folder.to_owned() }
    }

    /// What each file has grown by since the last look; all that is in it at the first.
    fn more(&mut self) -> Vec<(PathBuf, String)> {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let mut grown = Vec::new();
        for path in files.filter(|path| path.extension().is_some_and(|ext| ext == "jsonl")) {
            let mut file = File::open(&path).unwrap();
            let length = file.metadata().unwrap().len();
            let before = self.files.insert(path.clone(), length).unwrap_or(0);
            // One that was written anew, shorter, says nothing new.
            if length <= before {
                continue;
            }
            file.seek(SeekFrom::Start(before)).unwrap();
            let mut bytes = Vec::new();
            file.take(length - before).read_to_end(&mut bytes).unwrap();
            grown.push((path, String::from_utf8_lossy(&bytes).into_owned()));
        }
        grown
    }
}

/// Waits for the moment as the records of the network show it.
fn wait_for(moment: Moment, data: &Path, olt: &str) {
    let network = data.join("network");
    let (mut told, mut cpes) =
        (Growth::of(&network.join("olts").join(olt)), Growth::of(&network.join("cpes")));
    let lines_in = |told: &mut Growth| -> usize {
        let changes = |text: &str| ORDER.iter().map(|kind| text.matches(kind).count()).sum::<usize>();
        told.more().iter().map(|(_, text)| changes(text)).sum()
    };
    let before = lines_in(&mut told);
    cpes.more();
    let (mut lines, mut rpcs, mut open) = (0, 0, BTreeSet::new());
    let limit = Instant::now() + MOMENT_LIMIT;
    loop {
        match moment {
            Moment::Early(alive_ms) => {
                // tidy: allow(sleep) the moment of the kill is what is random here
                return std::thread::sleep(Duration::from_millis(alive_ms));
            }
            Moment::Order(wanted) => {
                lines += lines_in(&mut told);
                // One order at a time is carried out on an OLT.
                if lines >= wanted && !(before + lines).is_multiple_of(LINES) {
                    return;
                }
            }
            Moment::Session(wanted) => {
                for (file, text) in cpes.more() {
                    let began = text.rfind("session_began");
                    let ended = text.rfind("session_ended").max(text.rfind("powered_off"));
                    let asked = text.rfind(RPC);
                    rpcs += text.matches(RPC).count();
                    // One that finds nobody at the door is none.
                    if asked > ended {
                        open.insert(file);
                    } else if ended.max(began).is_some() {
                        open.remove(&file);
                    }
                }
                if rpcs >= wanted && !open.is_empty() {
                    return;
                }
            }
        }
        assert!(Instant::now() < limit, "{moment:?} did not come: {lines} lines, {rpcs} RPCs");
        std::thread::sleep(Duration::from_millis(2)); // tidy: allow(sleep) between two looks at the records
    }
}

/// The steps of an order, as the record of the OLT writes their effects.
const ORDER: [&str; 4] = ["ont-added", "ip-config-changed", "tr069-changed", "service-port-added"];

/// An RPC that a CPE carried out, as its journal writes it.
const RPC: &str = r#""order":{"method""#;

/// A kill of the product.
#[derive(Debug)]
struct Kill {
    moment: Moment,
    started: UtcMs,
    at: UtcMs,
}

impl Kill {
    /// How many sessions it broke: those in which the product had asked for something since its start.
    fn sessions(&self, record: &Record) -> usize {
        let told = |cpe: &&CpeRecord| {
            let life = cpe.entries.iter().filter(|entry| (self.started..=self.at).contains(&entry.at));
            let mut steps = life.rev().map(|entry| &entry.what);
            let last = steps.find(|what| !matches!(what, What::ConnectionRequest { .. }));
            matches!(last, Some(What::Order { .. }))
        };
        record.cpes.values().filter(told).count()
    }

    /// How many orders it cut: those of which lines were told since its start, and others after its end.
    fn orders(&self, told: &Told) -> usize {
        let cut = |lines: &&Vec<(UtcMs, String)>| {
            lines.iter().any(|(when, _)| (self.started..=self.at).contains(when))
                && lines.iter().any(|(when, _)| *when > self.at)
        };
        told.orders.values().filter(cut).count()
    }
}

/// What an OLT was told that changed something there.
#[derive(Default)]
struct Told {
    /// By ONU: when, and what, without the number of the flow.
    orders: BTreeMap<Serial, Vec<(UtcMs, String)>>,
    /// What belongs to no order that was given.
    beside: Vec<String>,
}

impl Told {
    fn of(record: &OltRecord) -> Told {
        let (mut told, mut who) = (Told::default(), BTreeMap::new());
        for entry in record.entries().filter(|entry| entry.session != 0) {
            for effect in &entry.effects {
                let (serial, what) = match effect {
                    Effect::OntAdded { serial, pon, ont } => {
                        who.insert((*pon, *ont), *serial);
                        (Some(*serial), "ont add".to_owned())
                    }
                    Effect::IpConfigChanged { serial, ip_index, present: true } => {
                        (Some(*serial), format!("ont ipconfig {ip_index}"))
                    }
                    Effect::Tr069Changed { serial, profile: Some(_) } => {
                        (Some(*serial), "ont tr069-server-config".to_owned())
                    }
                    Effect::ServicePortAdded { pon, ont, vlan, .. } => {
                        (who.get(&(*pon, *ont)).copied(), format!("service-port vlan {vlan}"))
                    }
                    Effect::SaveStarted | Effect::Saved => continue,
                    _ => (None, String::new()),
                };
                match serial {
                    Some(serial) => told.orders.entry(serial).or_default().push((entry.at, what)),
                    None => told.beside.push(format!("{}: {effect:?}", entry.line)),
                }
            }
        }
        told
    }
}

/// The product alone, against the network of [`Running::network`].
fn product(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lightkeeper"));
    command.args(["demo", "--web", "127.0.0.1:0", "--without-network", "--data"]).arg(folder);
    command
}

/// A process that ends with the test, whatever becomes of that.
struct Running(Child);

impl Running {
    /// The simulated network.
    fn network(folder: &Path) -> Running {
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
        Running(process)
    }

    /// The whole demo, undisturbed, with a network of its own beside the other one. What it says goes to a file.
    fn calm_demo(folder: &Path) -> Running {
        std::fs::create_dir_all(folder).unwrap();
        let scenario = folder.join("scenario.toml");
        let elsewhere = DEMO.replace("127.20.0.0/16", "127.24.0.0/16");
        assert_ne!(elsewhere, DEMO, "two networks have no address in common");
        std::fs::write(&scenario, elsewhere).unwrap();
        let said = File::create(folder.join("said.txt")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lightkeeper"));
        command.args(["demo", "--web", "127.0.0.1:0", "--check", "--within", WITHIN_S, "--scenario"]);
        command.arg(scenario).arg("--data").arg(folder.join("demo"));
        Running(command.stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap())
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

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, or the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn twenty_kills_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = Scenario::demo().unwrap();
    let [spec] = scenario.olts.as_slice() else { panic!("the demo has one OLT") };
    let data = folder.path().join("demo");
    let calm_folder = folder.path().join("calm");
    let calm = Running::calm_demo(&calm_folder);
    let mut network = Running::network(&data);
    let kills = kill_twenty_times(&data, &spec.name);
    assert!(network.runs(), "the network was not killed with it");
    let last = product(&data).args(["--check", "--within", WITHIN_S]).output().unwrap();
    let said = words(&last);
    assert!(last.status.success(), "{said}");
    assert!(network.runs(), "one and the same network from the beginning to the end");
    network.end();

    let record = Record::load(&data.join("network").join("cpes")).unwrap();
    assert_eq!(record.violations(), Vec::<String>::new(), "what the CPEs were told\n{said}");
    let state_dir = data.join("network").join("olts").join(&spec.name);
    let spec = OltSpec { state_dir: Some(state_dir), ..spec.clone() };
    let olt = OltHandle::new(spec, Arc::new(SystemClock)).unwrap();
    let told = Told::of(&olt.record());
    let hit: Vec<(Moment, usize, usize)> =
        kills.iter().map(|kill| (kill.moment, kill.orders(&told), kill.sessions(&record))).collect();
    eprintln!("orders cut and sessions broken by each kill: {hit:?}");
    let orders = hit.iter().filter(|(_, orders, _)| *orders > 0).count();
    let sessions = hit.iter().filter(|(.., sessions)| *sessions > 0).count();
    assert!(
        orders >= HITS && sessions >= HITS,
        "{orders} kills cut orders, {sessions} broke sessions: {hit:?}"
    );

    assert_as_in_peace(&record, calm, &calm_folder);
    assert_registered_once(&scenario, &olt, &told);
}

fn kill_twenty_times(data: &Path, olt: &str) -> Vec<Kill> {
    let moments = moments(&mut ChaCha8Rng::seed_from_u64(SEED));
    assert_eq!(moments.len(), KILLS);
    let said = data.join("said.txt");
    let mut kills = Vec::new();
    for moment in moments {
        let started = SystemClock.now();
        // Nobody reads a pipe here, and a full one would hold it up.
        let file = File::create(&said).unwrap();
        let mut process = Running(product(data).stdout(Stdio::null()).stderr(file).spawn().unwrap());
        wait_for(moment, data, olt);
        assert!(
            process.runs(),
            "{moment:?}: the product had ended by itself: {}",
            std::fs::read_to_string(&said).unwrap()
        );
        kills.push(Kill { moment, started, at: SystemClock.now() });
        process.0.kill().unwrap();
        process.0.wait().unwrap();
    }
    kills
}

/// Another order than in a calm run may be right; another end is not. Object by object: a row that was made twice, or
/// never, in whatever table of whatever CPE, is a difference here.
fn assert_as_in_peace(killed: &Record, mut calm: Running, folder: &Path) {
    // With its network in hand the check has also waited until every quirk of the demo has shown.
    let ended = calm.0.wait().unwrap();
    assert!(ended.success(), "{}", std::fs::read_to_string(folder.join("said.txt")).unwrap());
    let calm = Record::load(&folder.join("demo").join("network").join("cpes")).unwrap();
    assert_eq!(calm.violations(), Vec::<String>::new(), "in peace");
    let holds = |record: &Record| -> Vec<String> {
        let lines = |(serial, cpe): (&Serial, &CpeRecord)| {
            let line = |(table, rows): (&String, &usize)| format!("{serial} {table} {rows}");
            cpe.tables.iter().map(line).collect::<Vec<_>>()
        };
        record.cpes.iter().flat_map(lines).collect()
    };
    let (killed, calm) = (holds(killed), holds(&calm));
    assert!(calm.len() > 300, "forty CPEs hold some hundred tables: {}", calm.len());
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).cloned().collect()
    };
    assert_eq!(
        (only(&killed, &calm), only(&calm, &killed)),
        (vec![], vec![]),
        "held after kills, held in peace"
    );
}

/// Every ONU is as it was ordered, and no line of its order was told twice.
fn assert_registered_once(scenario: &Scenario, olt: &OltHandle, told: &Told) {
    let record = olt.record();
    assert_eq!(record.registered_twice(), [], "an ONU was registered twice");
    // What a line did before a kill is read back before the order goes on: no line is told again that was carried out,
    // be its answer heard or not.
    for (serial, lines) in &told.orders {
        let what: BTreeSet<&String> = lines.iter().map(|(_, what)| what).collect();
        assert_eq!(what.len(), lines.len(), "{serial} was told something again: {lines:?}");
        assert_eq!(what.len(), LINES, "{serial} was not told all of its order: {lines:?}");
    }
    assert_eq!(told.beside, Vec::<String>::new(), "nothing else was changed on the OLT");
    assert_eq!(record.tally().ont_reset, [].into(), "no ONU is ever reset");
    assert_eq!(record.tally().internet_by_omci, [].into(), "the internet is set up by the ACS alone");
    let state = olt.state();
    for onu in scenario.onus().unwrap() {
        let registered = state.config.find(onu.serial);
        assert_eq!(registered.is_some(), onu.wait == Wait::Nobody, "{} on the OLT", onu.serial);
        assert_eq!(
            told.orders.contains_key(&onu.serial),
            registered.is_some(),
            "{} in the record",
            onu.serial
        );
        let Some((pon, id, _)) = registered else { continue };
        let flows = state.config.service_ports.values().filter(|flow| flow.pon == pon && flow.ont == id);
        assert_eq!(flows.count(), 2, "{} must have its internet and its management flow, once", onu.serial);
    }
}

/// All that a process said.
fn words(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
