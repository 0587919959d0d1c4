//! Orders to restart a CPE, over real sockets: given by a program, carried out by simulated devices, with a product that
//! is killed and sessions that are torn. What the devices were told is their own record's to say.
#![allow(clippy::unwrap_used)]

use acs::HttpConnectionRequester;
use app::{Actor, App, AppParts, Permission};
use serde_json::{Value, json};
use sim::record::{CpeRecord, End, Entry, Record, Told, What};
use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use store::{KeySource, Store, StoreConfig, rows};
use types::{DeviceOrderId, Serial, SystemClock};

/// Longest wait for anything; on a busy machine nothing takes half of it.
const PATIENCE: Duration = Duration::from_secs(240);

/// Answers and restarts, as it should.
const CALM: &str = "HWTC7E000001";
/// Restarts without having answered; it gives the command key back.
const TORN: &str = "HWTC7E000002";
/// Restarts without having answered, and does not know our key any more.
const MUTE: &str = "HWTC7E000003";

/// Whoever is called comes a second later: what happens before that happens before the device is told.
const SCENARIO: &str = r#"
title = "Three that restart"
seed = 11

[network]
management_subnet = "127.33.0.0/16"
accept_unknown_logins = true

[timing]
boot_ms = 500
pppoe_ms = 300
ntp_ms = 300
connection_request_ms = 1_000
connection_request_gap_ms = 200
inform_interval_s = 5
retry_ms = 500

[[olt]]
name = "SMALL-OLT"
model = "ma5800-x7"

[olt.preset]
internet_vlan = 100
management_vlan = 200

[[plan]]
name = "Home 100"
down_kbps = 100_000
up_kbps = 50_000
price_minor = 2_490
vlan = 100

[[group]]
name = "calm"
pons = ["0/1/0"]
serials = ["HWTC7E000001"]
service = { customers = ["Ada Sommer"], plan = "Home 100" }
expect = { state = "ACTIVE" }

[[group]]
name = "torn"
pons = ["0/1/0"]
serials = ["HWTC7E000002"]
service = { customers = ["Jorge Peña"], plan = "Home 100" }
quirks = { session_dropped_on = "Reboot" }
expect = { state = "ACTIVE" }

[[group]]
name = "mute"
pons = ["0/1/0"]
serials = ["HWTC7E000003"]
service = { customers = ["Jörg Maier"], plan = "Home 100" }
quirks = { reboot_on = "Reboot" }
expect = { state = "ACTIVE" }
"#;

/// A process that ends with the test, whatever becomes of that.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A network and its product, one folder.
struct Bed {
    folder: tempfile::TempDir,
    scenario: PathBuf,
    key: String,
}

impl Bed {
    async fn new() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let scenario = folder.path().join("three.toml");
        std::fs::write(&scenario, SCENARIO).unwrap();
        let mut bed = Bed { folder, scenario, key: String::new() };
        std::fs::create_dir_all(bed.data()).unwrap();
        let app = bed.app("before").await;
        let key = app.create_api_key(&Actor::System("test"), "restarts", &Permission::ALL, None).await;
        bed.key = key.unwrap().1.expose().to_owned();
        bed
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("demo")
    }

    /// The application on the database of the product, while that is away.
    async fn app(&self, node: &str) -> App {
        let url = format!("sqlite://{}", self.data().join("lightkeeper.db").display());
        let config = StoreConfig::new(url, KeySource::File(self.data().join("secrets.key")));
        let parts = AppParts {
            store: Store::open(config).await.unwrap(),
            clock: Arc::new(SystemClock),
            connection: Arc::new(HttpConnectionRequester::default()),
            node: node.into(),
            limits: app::PolicyLimits::Simulated,
        };
        App::new(parts).await.unwrap()
    }

    fn network(&self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lightkeeper"));
        command.arg("sim").arg("--demo").arg(self.data());
        start(command.arg("--scenario").arg(&self.scenario), self.folder.path(), "CPEs; ACS").0
    }

    /// The product, with open doors.
    fn product(&self) -> Product<'_> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lightkeeper"));
        command.args(["demo", "--web", "127.0.0.1:0", "--without-network", "--data"]).arg(self.data());
        command.arg("--scenario").arg(&self.scenario);
        let (process, ready) = start(&mut command, self.folder.path(), "READY");
        let web = ready.split("url=http://").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        Product { bed: self, process, web }
    }

    /// What a device was told, by its own record.
    fn record(&self, serial: &str) -> CpeRecord {
        let serial: Serial = serial.parse().unwrap();
        let record = Record::load(&self.data().join("network").join("cpes")).unwrap();
        record.cpe(serial).unwrap().clone()
    }
}

/// Starts a process and waits until it says so; what it says after that is read and thrown away.
fn start(command: &mut Command, folder: &Path, words: &str) -> (Running, String) {
    let errors = File::options().create(true).append(true).open(folder.join("said.txt")).unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let process = Running(child);
    let said = lines.by_ref().map_while(Result::ok).find(|line| line.contains(words));
    let told = || std::fs::read_to_string(folder.join("said.txt")).unwrap();
    let said = said.unwrap_or_else(|| panic!("it ended before it said {words:?}: {}", told()));
    std::thread::spawn(move || lines.for_each(drop));
    (process, said)
}

/// Looks until there is something to see.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < limit, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5)); // tidy: allow(sleep) between two looks at another process
    }
}

struct Product<'a> {
    bed: &'a Bed,
    process: Running,
    web: String,
}

impl Product<'_> {
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut wire = TcpStream::connect(&self.web).unwrap();
        wire.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.web,
            self.bed.key,
            body.len()
        );
        wire.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        wire.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 2"), "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap()
    }

    /// The number of a device once it is as its service wants it and was left alone in a session that ended well.
    fn settled(&self, serial: &str) -> i64 {
        let hex = serial.parse::<Serial>().unwrap().hex16();
        until(&format!("{serial} being ACTIVE"), || {
            let all = self.ask("GET", "/api/v1/cpes", None);
            let cpe = all["items"].as_array()?.iter().find(|cpe| cpe["pon_serial_hex"] == hex)?;
            let idle = matches!(
                self.bed.record(serial).entries.back()?.what,
                What::SessionEnded { how: End::Clean }
            );
            (cpe["state"] == "ACTIVE" && idle).then(|| cpe["id"].as_i64())?
        })
    }

    fn restart(&self, cpe: i64) -> i64 {
        let order =
            self.ask("POST", &format!("/api/v1/cpes/{cpe}/reboot"), Some(&json!({ "confirm": true })));
        assert_eq!((&order["kind"], &order["state"]), (&json!("reboot"), &json!("waiting")));
        order["id"].as_i64().unwrap()
    }

    fn done(&self, order: i64) {
        until("the end of the order", || {
            let order = self.ask("GET", &format!("/api/v1/device-orders/{order}"), None);
            order["ended_at"].is_string().then(|| assert_eq!(order["state"], "done", "{order}"))
        });
    }

    /// The device is asked for something else and gives it: a session in which it could have been told again.
    fn another_session(&self, cpe: i64) {
        let path = json!({ "path": "InternetGatewayDevice.DeviceInfo.SoftwareVersion" });
        let order = self.ask("POST", &format!("/api/v1/cpes/{cpe}/refresh"), Some(&path));
        self.done(order["id"].as_i64().unwrap());
    }

    /// SIGKILL: nothing is brought to an end.
    fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }
}

fn is_restart(entry: &Entry) -> bool {
    matches!(&entry.what, What::Order { told: Told::Reboot, .. })
}

/// The order and what the device's record says of it agree.
fn assert_told_once(order: &rows::DeviceOrder, cpe: &CpeRecord, event: &str) {
    let (given, ended) = (order.created_at, order.ended_at.unwrap());
    let life = cpe.entries.iter().filter(|entry| entry.at >= given).collect::<Vec<_>>();
    let told = life.iter().filter(|entry| is_restart(entry) && entry.at <= ended).collect::<Vec<_>>();
    let [told] = told[..] else { panic!("told {} times: {life:#?}", told.len()) };
    assert!(order.sent_at.unwrap() <= told.at, "written down before it is told: {order:?}");

    // In the first session that was any: one that the product did not live to serve is none.
    let whole = |session: u64| {
        let steps = || life.iter().filter(|entry| entry.session == session).map(|entry| &entry.what);
        steps().any(|what| matches!(what, What::SessionBegan { .. }))
            && steps().any(|what| matches!(what, What::SessionEnded { how: End::Clean }))
    };
    let missed = life.iter().map(|entry| entry.session).find(|one| *one < told.session && whole(*one));
    assert_eq!(missed, None, "a session passed before it was told: {life:#?}");

    let back = life.iter().find(|entry| {
        entry.at >= told.at
            && matches!(&entry.what, What::SessionBegan { events } if events.iter().any(|code| code == event))
    });
    let back = back.unwrap_or_else(|| panic!("it did not come back with {event}: {life:#?}"));
    assert!(ended >= back.at, "done at {ended}, before the device said so at {}", back.at);
    assert!(order.text.contains(event), "{}", order.text);
    assert_eq!(order.state, "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_to_restart_is_carried_out_once_whatever_dies() {
    let bed = Bed::new().await;
    let _network = bed.network();
    let product = bed.product();
    let [calm, torn, mute] = [CALM, TORN, MUTE].map(|serial| product.settled(serial));
    let boots = [CALM, TORN, MUTE].map(|serial| bed.record(serial).tally.boots);

    // Killed while it waits for a session: it is not forgotten.
    let waiting = product.restart(calm);
    product.kill();
    let product = bed.product();
    product.done(waiting);

    // Killed when the device has heard it: it is not told again, and its coming back is understood.
    product.settled(CALM);
    // Counted before it is ordered: the device may inform, and hear it, at any moment from then on.
    let heard = bed.record(CALM).tally.orders["Reboot"] + 1;
    let told = product.restart(calm);
    until("the order at the device", || (bed.record(CALM).tally.orders["Reboot"] >= heard).then_some(()));
    product.kill();
    let product = bed.product();
    product.done(told);

    // The session breaks when the device is told.
    let (cut, forgotten) = (product.restart(torn), product.restart(mute));
    product.done(cut);
    product.done(forgotten);
    for cpe in [calm, torn, mute] {
        product.another_session(cpe);
    }
    product.kill();

    let app = bed.app("after").await;
    for (order, serial, event) in [
        (waiting, CALM, "M Reboot"),
        (told, CALM, "M Reboot"),
        (cut, TORN, "M Reboot"),
        (forgotten, MUTE, "1 BOOT"),
    ] {
        let order = app.device_order(DeviceOrderId(order)).await.unwrap();
        assert_told_once(&order, &bed.record(serial), event);
    }
    for ((serial, times), before) in [(CALM, 2), (TORN, 1), (MUTE, 1)].into_iter().zip(boots) {
        let record = bed.record(serial);
        assert_eq!(record.tally.orders["Reboot"], times, "{serial} was told so often");
        assert_eq!(record.tally.boots, before + times, "{serial} started so often");
    }
    let answered = |serial| {
        bed.record(serial)
            .entries
            .iter()
            .filter(|entry| is_restart(entry))
            .any(|entry| matches!(entry.what, What::Order { answered: true, .. }))
    };
    assert_eq!([TORN, MUTE].map(answered), [false, false], "the session broke when it was told");
}
