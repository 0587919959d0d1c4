//! Nodes that can be killed, and simulated OLTs for them to speak to.

use super::{bed::Bed, eventually, world::Calls};
use app::{App, AppError, AuthoriseFor, AuthoriseRequest, DryRun, NewOlt, OltDefaults, OnuChange};
use sim::olt::{Fault, FaultKind, Listen, Model, OltSpec, Onu, Preset, SimOlt, Timing};
use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};
use store::{OltProtocol, OltTaskState, onus, rows};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use types::{OltId, OltTaskId, OnuRowId, PonPath, Secret, Serial};

pub(crate) const PON: PonPath = PonPath { frame: 0, slot: 1, port: 3 };
pub(crate) const OLT_PASSWORD: &str = "olt-cli-Kestrel-55";
pub(crate) const COMMUNITY: &str = "snmp-Kestrel-66";
pub(crate) const USER: &str = "keeper";

/// Threads of a node.
const WORKERS: usize = 2;

/// An application with a runtime of its own: what it has begun ends with it, as with a process.
pub(crate) struct Node {
    runtime: Option<Runtime>,
    pub(crate) app: App,
}

impl Node {
    pub(crate) async fn start(bed: &Bed, name: &str) -> Node {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_stack_size(8 << 20)
            .enable_all()
            .build()
            .expect("a runtime");
        let opening = bed.opening(name, &Calls::default());
        let app = runtime.spawn(opening).await.expect("the application starts");
        Node { runtime: Some(runtime), app }
    }

    /// Does something as this process.
    pub(crate) async fn run<F>(&self, what: impl FnOnce(App) -> F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let runtime = self.runtime.as_ref().expect("it lives");
        runtime.spawn(what(self.app.clone())).await.expect("it does not panic")
    }

    /// Starts the workers; they run until the process dies.
    pub(crate) fn work(&self) {
        let app = self.app.clone();
        let runtime = self.runtime.as_ref().expect("it lives");
        runtime.spawn(async move { app.run_olt_workers(CancellationToken::new()).await });
    }

    /// As by `kill -STOP`: nothing of it moves until what is given back is dropped.
    pub(crate) async fn freeze(&self) -> Frozen {
        let runtime = self.runtime.as_ref().expect("it lives");
        let (stopped, mut stops) = tokio::sync::mpsc::channel(WORKERS);
        let thaw = (0..WORKERS)
            .map(|_| {
                let (thaw, frozen) = std::sync::mpsc::channel::<()>();
                let stopped = stopped.clone();
                // Not a yield: the worker thread itself stands still.
                runtime.spawn(async move {
                    stopped.try_send(()).expect("room for all");
                    let _ends_when_dropped = frozen.recv();
                });
                thaw
            })
            .collect();
        for _ in 0..WORKERS {
            stops.recv().await.expect("a worker");
        }
        Frozen { _thaw: thaw }
    }

    /// As by `kill -9`: nothing is finished, nothing is said.
    pub(crate) fn kill(mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It must be dead before the test goes on: a worker that has not noticed might still renew a lease. A runtime
            // is not waited for on a thread of another.
            let dying = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(10)));
            dying.join().expect("it dies");
        }
    }

    fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.die();
    }
}

/// A node that stands still.
pub(crate) struct Frozen {
    _thaw: Vec<std::sync::mpsc::Sender<()>>,
}

/// A box that an engineer has prepared: everything it does it does at once.
pub(crate) async fn sim_olt(bed: &Bed, protocol: OltProtocol, at: Option<SocketAddr>) -> SimOlt {
    sim_olt_of(Model::default(), bed, protocol, at).await
}

pub(crate) async fn sim_olt_of(
    model: Model,
    bed: &Bed,
    protocol: OltProtocol,
    at: Option<SocketAddr>,
) -> SimOlt {
    // An address of this test's own: a port that is given back is nobody else's until it is asked for again.
    let [.., high, low] = std::process::id().to_be_bytes();
    let any = at.unwrap_or(SocketAddr::from(([127, 64 | (high >> 7), high & 127, low.clamp(1, 254)], 0)));
    let spec = OltSpec {
        model,
        users: vec![sim::olt::UserSpec { name: USER.to_owned(), password: Secret::new(OLT_PASSWORD) }],
        preset: Preset { acs_url: "http://127.0.0.1:7547/".to_owned(), ..Preset::default() },
        timing: Timing::immediate(),
        listen: Listen {
            ssh: (protocol == OltProtocol::Ssh).then_some(any),
            telnet: (protocol == OltProtocol::Telnet).then_some(any),
            snmp: None,
            ..Listen::default()
        },
        ..OltSpec::default()
    };
    SimOlt::start(spec, Arc::new(bed.clock.clone())).await.expect("the simulated OLT starts")
}

/// What keeps a process at a line until it is killed there: cut off once, it would go on by itself before long.
pub(crate) fn dying_at(line: &str, what: FaultKind) -> Fault {
    match what {
        FaultKind::CutBefore => Fault::times(line, 0, what),
        other => Fault::once(line, other),
    }
}

pub(crate) fn address(sim: &SimOlt) -> SocketAddr {
    sim.telnet_addr().or(sim.ssh_addr()).expect("it listens")
}

pub(crate) fn olt_input(name: &str, sim: &SimOlt) -> NewOlt {
    let address = address(sim);
    NewOlt {
        name: name.to_owned(),
        vendor_profile: "huawei_smartax".to_owned(),
        address: address.ip().to_string(),
        port: address.port(),
        protocol: if sim.telnet_addr().is_some() { OltProtocol::Telnet } else { OltProtocol::Ssh },
        username: USER.to_owned(),
        password: Some(Secret::new(OLT_PASSWORD)),
        legacy_algorithms: false,
        snmp_community: Some(Secret::new(COMMUNITY)),
        snmp_port: 161,
        defaults: OltDefaults { internet_vlan: 100, management_vlan: 200, ..OltDefaults::default() },
    }
}

/// A simulated OLT that the application knows.
pub(crate) async fn known_olt(bed: &Bed, node: &Node, name: &str) -> (SimOlt, OltId) {
    let sim = sim_olt(bed, OltProtocol::Telnet, None).await;
    let input = olt_input(name, &sim);
    let id = node
        .run(move |app| async move { app.add_olt(&super::world::admin(), input).await })
        .await
        .expect("an OLT");
    (sim, id)
}

/// Light on a fibre, and the OLT was read since.
pub(crate) async fn detected(node: &Node, sim: &SimOlt, serial: Serial) {
    sim.handle().plug(Onu::new(serial, "EG8145V5"), PON);
    read(node).await;
}

pub(crate) async fn read(node: &Node) {
    node.run(|app| async move { app.observe_all().await }).await.expect("the database works");
}

pub(crate) fn request(olt: OltId, serial: Serial) -> AuthoriseRequest {
    AuthoriseRequest {
        olt_id: olt,
        pon: PON,
        serial,
        service: AuthoriseFor::Expected,
        description: None,
        internet_vlan: None,
        untagged: None,
        seen: None,
    }
}

pub(crate) async fn authorise(node: &Node, request: AuthoriseRequest) -> Result<OltTaskId, app::AppError> {
    node.run(move |app| async move { app.authorise_onu(&super::world::admin(), &request).await }).await
}

pub(crate) async fn task_row(node: &Node, id: OltTaskId) -> rows::OltTask {
    node.run(move |app| async move { app.store().require(id).await }).await.expect("the task is there")
}

/// The task as it is when it has come to rest in this state.
pub(crate) async fn ends_as(node: &Node, id: OltTaskId, state: OltTaskState) -> rows::OltTask {
    let row = eventually("the task comes to an end", || async {
        let row = task_row(node, id).await;
        (row.finished_at.is_some() || row.state == OltTaskState::NeedsOperator).then_some(row)
    })
    .await;
    assert_eq!(row.state, state, "{}", row.reason);
    row
}

/// Lines that changed something on the box, in order.
pub(crate) fn changes(sim: &SimOlt) -> Vec<String> {
    let record = sim.handle().record();
    record.entries().filter(|entry| !entry.effects.is_empty()).map(|entry| entry.line.clone()).collect()
}

/// Authorised as people do it, to the end.
pub(crate) async fn authorised(node: &Node, sim: &SimOlt, olt: OltId, serial: Serial) {
    detected(node, sim, serial).await;
    let task = authorise(node, request(olt, serial)).await.expect("ordered");
    node.work();
    ends_as(node, task, OltTaskState::Done).await;
}

/// The management address of an ONU, by the box itself.
pub(crate) fn address_of(sim: &SimOlt, serial: Serial) -> String {
    let managed = sim.handle().managed();
    managed.iter().find(|onu| onu.serial == serial).expect("it has an address").ip.to_string()
}

/// The ONU that the application has with this serial.
pub(crate) async fn onu_of(node: &Node, serial: Serial) -> rows::Onu {
    let found = onus::by_serial(node.app.store(), serial).await.expect("readable");
    found.unwrap_or_else(|| panic!("{serial} is planned"))
}

pub(crate) async fn dry_run(node: &Node, onu: OnuRowId, change: OnuChange) -> Result<DryRun, AppError> {
    node.run(move |app| async move { app.dry_run_change(&super::world::admin(), onu, &change).await }).await
}

pub(crate) async fn change(node: &Node, onu: OnuRowId, change: OnuChange) -> Result<OltTaskId, AppError> {
    node.run(move |app| async move { app.change_onu(&super::world::admin(), onu, &change).await }).await
}
