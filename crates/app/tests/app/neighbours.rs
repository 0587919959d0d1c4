//! Two nodes on one database: what one changes, the pages of the other hear of.

use crate::support::{bed::Bed, eventually, world::Calls};
use app::Change;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};
use tokio_util::sync::CancellationToken;
use types::{CpeId, OltId};

/// Everything that was heard until now.
fn heard(bus: &mut Receiver<Change>) -> Vec<Change> {
    let mut all = Vec::new();
    loop {
        match bus.try_recv() {
            Ok(change) => all.push(change),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return all,
        }
    }
}

async fn what_changes_on_one_node_is_heard_on_the_other(bed: &Bed) {
    let (one, two) = (bed.app("a", &Calls::default()).await, bed.app("b", &Calls::default()).await);
    let stop = CancellationToken::new();
    if bed.url.starts_with("sqlite") {
        // Nobody to tell: it ends by itself.
        one.run_neighbours(stop).await;
        return;
    }
    let running = [one.clone(), two.clone()].map(|app| {
        let stop = stop.clone();
        tokio::spawn(async move { app.run_neighbours(stop).await })
    });
    let (mut at_one, mut at_two) = (one.bus().subscribe(), two.bus().subscribe());
    let mut said = 0;
    // Until the other one listens nobody hears it.
    eventually("the other node hears of it", || {
        one.bus().say(Change::Cpe(CpeId(7)));
        said += 1;
        let found = heard(&mut at_two).contains(&Change::Cpe(CpeId(7)));
        async move { found.then_some(()) }
    })
    .await;
    two.bus().say(Change::Olt(OltId(9)));
    let mut all = Vec::new();
    eventually("the first node hears of the other", || {
        all.extend(heard(&mut at_one));
        let found = all.contains(&Change::Olt(OltId(9)));
        async move { found.then_some(()) }
    })
    .await;
    let own = all.iter().filter(|change| **change == Change::Cpe(CpeId(7))).count();
    assert_eq!(own, said, "its own changes do not come back to it");
    // More than is worth naming.
    for id in 0..3_000 {
        one.bus().say(Change::Cpe(CpeId(id)));
    }
    eventually("the other node reads everything again", || {
        let found = heard(&mut at_two).contains(&Change::Missed);
        async move { found.then_some(()) }
    })
    .await;
    stop.cancel();
    for task in running {
        task.await.expect("it ends");
    }
}

on_both!(what_changes_on_one_node_is_heard_on_the_other);
