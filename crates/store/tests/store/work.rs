//! Jobs, outbox, settings, idempotency keys and leases: what keeps nodes from doing things twice or not at all.

use crate::bed::Bed;
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store::{
    Guarded, JobState, Store, StoreError,
    jobs::{self, Enqueued, NewJob},
    leases::{self, Lease, LeaseClock},
    outbox,
    rows::Job,
    settings::{self, Seen},
};
use tokio::sync::Barrier;
use types::{JobId, UtcMs};

on_both! {
    a_job_exists_only_with_what_caused_it,
    a_key_keeps_a_second_job_out_while_the_first_is_open,
    a_lease_that_ran_out_is_taken_again_and_its_old_owner_is_told,
    a_job_that_fails_waits_longer_each_time_and_then_dies,
    a_job_whose_worker_always_vanishes_dies,
    many_workers_never_hold_the_same_job,
    many_units_enqueue_one_job,
    the_outbox_tells_each_event_once_marked,
    a_setting_is_written_by_who_saw_it_last,
    a_request_is_answered_the_same_twice,
    a_request_whose_process_died_does_not_keep_its_key,
    one_node_at_a_time_holds_a_lease,
    who_was_paused_while_another_took_over_writes_nothing_more,
    leases_run_by_the_clock_of_the_database_where_nodes_share_one,
}

const LEASE: Duration = Duration::from_secs(60);

async fn enqueue(store: &Store, job: NewJob) -> Enqueued {
    store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { jobs::enqueue(tx, &job).await }))
        .await
        .expect("enqueues")
}

async fn lease(store: &Store, owner: &'static str, limit: u64) -> Vec<Job> {
    store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { jobs::lease(tx, &["sweep", "mail"], owner, LEASE, limit).await })
        })
        .await
        .expect("leases")
}

async fn complete(store: &Store, job: JobId, owner: &'static str) -> Guarded {
    store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { jobs::complete(tx, job, owner).await }))
        .await
        .expect("answers")
}

async fn fail(store: &Store, job: JobId, owner: &'static str) -> Guarded {
    let backoff = Duration::from_secs(30);
    store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { jobs::fail(tx, job, owner, "no route to host", backoff).await })
        })
        .await
        .expect("answers")
}

fn sweep() -> NewJob {
    NewJob { kind: "sweep".to_owned(), payload: json!({"deep": true}), ..NewJob::default() }
}

async fn a_job_exists_only_with_what_caused_it(bed: &Bed) {
    let store = bed.open().await;
    let result: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                jobs::enqueue(tx, &sweep()).await?;
                outbox::publish(tx, "service.activated", json!({"service": 1})).await?;
                Err(StoreError::Closed)
            })
        })
        .await;
    assert!(result.is_err());
    assert_eq!(store.count::<Job>().await.expect("counts"), 0);
    assert!(outbox::undelivered(&store, 10).await.expect("reads").is_empty());
    let Enqueued::New(id) = enqueue(&store, sweep()).await else { panic!("it is new") };
    let job = store.require::<Job>(id).await.expect("reads");
    assert_eq!((job.state, job.payload), (JobState::Queued, json!({"deep": true})));
    // Later means later, and kinds nobody asked for stay.
    enqueue(&store, NewJob { run_at: store.now().plus_s(10), ..sweep() }).await;
    enqueue(&store, NewJob { kind: "other".to_owned(), ..sweep() }).await;
    let taken = lease(&store, "node-a", 10).await;
    assert_eq!(taken.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
    assert_eq!(taken[0].lease_until, Some(store.now().plus(LEASE)));
    bed.clock.advance(Duration::from_secs(10));
    assert_eq!(lease(&store, "node-a", 10).await.len(), 1);
}

async fn a_key_keeps_a_second_job_out_while_the_first_is_open(bed: &Bed) {
    let store = bed.open().await;
    let keyed = NewJob { key: Some("olt:1".to_owned()), ..sweep() };
    let Enqueued::New(first) = enqueue(&store, keyed.clone()).await else { panic!("it is new") };
    assert_eq!(enqueue(&store, keyed.clone()).await, Enqueued::AlreadyOpen(first));
    let other = NewJob { kind: "mail".to_owned(), ..keyed.clone() };
    assert!(matches!(enqueue(&store, other).await, Enqueued::New(_)), "another kind is another job");
    lease(&store, "node-a", 10).await;
    assert_eq!(enqueue(&store, keyed.clone()).await, Enqueued::AlreadyOpen(first), "a leased job is open");
    assert!(complete(&store, first, "node-a").await.is_changed());
    assert!(matches!(enqueue(&store, keyed).await, Enqueued::New(second) if second != first));
}

async fn a_lease_that_ran_out_is_taken_again_and_its_old_owner_is_told(bed: &Bed) {
    let store = bed.open().await;
    enqueue(&store, sweep()).await;
    let id = lease(&store, "node-a", 1).await[0].id;
    assert!(lease(&store, "node-b", 1).await.is_empty(), "it is node-a's");
    bed.clock.advance(LEASE / 2);
    let renewed = store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { jobs::renew(tx, id, "node-a", LEASE).await })
        })
        .await
        .expect("answers");
    assert_eq!(renewed, Guarded::Changed);
    bed.clock.advance(LEASE - Duration::from_secs(1));
    assert!(lease(&store, "node-b", 1).await.is_empty(), "the renewal counts");
    bed.clock.advance(Duration::from_secs(2));
    let taken = lease(&store, "node-b", 1).await;
    assert_eq!((taken[0].id, taken[0].attempts), (id, 2));
    let late = complete(&store, id, "node-a").await;
    assert_eq!(late, Guarded::NotAsExpected { found: "leased, last taken by node-b".to_owned() });
    let late = store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { jobs::renew(tx, id, "node-a", LEASE).await })
        })
        .await
        .expect("answers");
    assert!(!late.is_changed());
    assert!(complete(&store, id, "node-b").await.is_changed());
    assert!(!complete(&store, id, "node-b").await.is_changed(), "a job is completed once");
}

async fn a_job_that_fails_waits_longer_each_time_and_then_dies(bed: &Bed) {
    let store = bed.open().await;
    let Enqueued::New(id) = enqueue(&store, NewJob { max_attempts: 3, ..sweep() }).await else {
        panic!("new")
    };
    for (attempt, wait_s) in [(1, 30), (2, 60)] {
        assert_eq!(lease(&store, "node-a", 1).await[0].attempts, attempt);
        assert!(fail(&store, id, "node-a").await.is_changed());
        let job = store.require::<Job>(id).await.expect("reads");
        assert_eq!((job.state, job.run_at), (JobState::Queued, store.now().plus_s(wait_s)));
        assert_eq!(jobs::next_due_at(&store, &["sweep"]).await.expect("reads"), Some(job.run_at));
        bed.clock.advance(Duration::from_secs(wait_s - 1));
        assert!(lease(&store, "node-a", 1).await.is_empty(), "too early");
        bed.clock.advance(Duration::from_secs(1));
    }
    lease(&store, "node-a", 1).await;
    assert!(fail(&store, id, "node-a").await.is_changed());
    let job = store.require::<Job>(id).await.expect("reads");
    assert_eq!((job.state, job.last_error.as_deref()), (JobState::Dead, Some("no route to host")));
    assert_eq!(job.finished_at, Some(store.now()));
    bed.clock.advance(Duration::from_secs(100_000));
    assert!(lease(&store, "node-a", 1).await.is_empty(), "dead is dead");
    assert_eq!(jobs::next_due_at(&store, &["sweep"]).await.expect("reads"), None);
}

async fn a_job_whose_worker_always_vanishes_dies(bed: &Bed) {
    let store = bed.open().await;
    let Enqueued::New(id) = enqueue(&store, NewJob { max_attempts: 2, ..sweep() }).await else {
        panic!("new")
    };
    for _ in 0..2 {
        assert_eq!(lease(&store, "node-a", 1).await.len(), 1);
        bed.clock.advance(LEASE + Duration::from_secs(1));
    }
    assert!(lease(&store, "node-a", 1).await.is_empty());
    let job = store.require::<Job>(id).await.expect("reads");
    assert_eq!(job.state, JobState::Dead);
    assert_eq!(job.last_error.as_deref(), Some("the worker vanished every time"));
}

async fn many_workers_never_hold_the_same_job(bed: &Bed) {
    let store = bed.open().await;
    store
        .write::<_, _, StoreError>(|tx| {
            Box::pin(async move {
                for _ in 0..60 {
                    jobs::enqueue(tx, &sweep()).await?;
                }
                Ok(())
            })
        })
        .await
        .expect("enqueues");
    let start = Arc::new(Barrier::new(6));
    let workers: Vec<_> = ["a", "b", "c", "d", "e", "f"]
        .into_iter()
        .map(|owner| {
            let (store, start) = (store.clone(), start.clone());
            tokio::spawn(async move {
                let mut mine = Vec::new();
                start.wait().await;
                loop {
                    let some = lease(&store, owner, 7).await;
                    if some.is_empty() {
                        return mine;
                    }
                    mine.extend(some.into_iter().map(|job| job.id));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.expect("does not panic"));
    }
    // A worker that finds everything locked by others leaves early; what it left is still there for the next.
    all.extend(lease(&store, "late", 100).await.into_iter().map(|job| job.id));
    assert_eq!(all.len(), 60, "no job twice");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 60, "and none lost");
}

async fn many_units_enqueue_one_job(bed: &Bed) {
    let store = bed.open().await;
    let start = Arc::new(Barrier::new(12));
    let units: Vec<_> = (0..12)
        .map(|_| {
            let (store, start) = (store.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                enqueue(&store, NewJob { key: Some("cpe:1".to_owned()), ..sweep() }).await
            })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for unit in units {
        ids.insert(match unit.await.expect("does not panic") {
            Enqueued::New(id) | Enqueued::AlreadyOpen(id) => id,
        });
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(store.count::<Job>().await.expect("counts"), 1);
}

async fn the_outbox_tells_each_event_once_marked(bed: &Bed) {
    let store = bed.open().await;
    store
        .write::<_, _, StoreError>(|tx| {
            Box::pin(async move {
                for n in 0..3 {
                    outbox::publish(tx, "service.activated", json!({ "service": n })).await?;
                }
                Ok(())
            })
        })
        .await
        .expect("publishes");
    let events = outbox::undelivered(&store, 2).await.expect("reads");
    assert_eq!(
        events.iter().map(|event| event.payload["service"].as_i64()).collect::<Vec<_>>(),
        [Some(0), Some(1)]
    );
    let ids: Vec<i64> = events.iter().map(|event| event.id).collect();
    let mark = |ids: Vec<i64>| {
        let store = store.clone();
        async move {
            store
                .write::<_, _, StoreError>(move |tx| {
                    Box::pin(async move { outbox::mark_delivered(tx, &ids).await })
                })
                .await
                .expect("marks")
        }
    };
    assert_eq!(mark(ids.clone()).await, 2);
    assert_eq!(mark(ids).await, 0, "told once");
    let left = outbox::undelivered(&store, 10).await.expect("reads");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].payload, json!({"service": 2}));
}

async fn a_setting_is_written_by_who_saw_it_last(bed: &Bed) {
    let store = bed.open().await;
    let put = |seen: i64, value: &'static str| {
        let store = store.clone();
        async move {
            store
                .write::<_, _, StoreError>(move |tx| {
                    Box::pin(async move { settings::put(tx, "acs.policy", json!(value), seen, "anna").await })
                })
                .await
                .expect("answers")
        }
    };
    assert_eq!(put(3, "early").await, Guarded::NotFound);
    assert_eq!(put(0, "first").await, Guarded::Changed);
    assert_eq!(put(0, "also first").await, Guarded::NotAsExpected { found: "version 1".to_owned() });
    assert_eq!(put(1, "second").await, Guarded::Changed);
    assert_eq!(put(1, "late").await, Guarded::NotAsExpected { found: "version 2".to_owned() });
    let setting = settings::get(&store, "acs.policy").await.expect("reads").expect("is there");
    assert_eq!((setting.value, setting.version, setting.updated_by.as_str()), (json!("second"), 2, "anna"));
    assert_eq!(settings::all(&store).await.expect("reads").len(), 1);
}

async fn a_request_is_answered_the_same_twice(bed: &Bed) {
    let store = bed.open().await;
    let ask = |hash: &'static str| {
        let store = store.clone();
        async move {
            store
                .write::<_, _, StoreError>(move |tx| {
                    Box::pin(
                        async move { settings::remember_request(tx, "key:1/authorise", "abc", hash).await },
                    )
                })
                .await
                .expect("answers")
        }
    };
    assert_eq!(ask("h1").await, Seen::New);
    assert_eq!(ask("h1").await, Seen::UnderWay);
    assert_eq!(ask("h2").await, Seen::OtherRequest);
    let known = store
        .write::<_, _, StoreError>(|tx| {
            Box::pin(async move {
                settings::remember_answer(tx, "key:1/authorise", "abc", &json!({"task": 7})).await
            })
        })
        .await
        .expect("writes");
    assert!(known);
    assert_eq!(ask("h1").await, Seen::Answered(json!({"task": 7})));
    let forgotten = store
        .write::<_, _, StoreError>(|tx| {
            Box::pin(async move { settings::forget_request(tx, "key:1/authorise", "abc").await })
        })
        .await
        .expect("writes");
    assert!(!forgotten, "what was answered stays answered");
}

async fn a_request_whose_process_died_does_not_keep_its_key(bed: &Bed) {
    let store = bed.open().await;
    let ask = || async {
        let asked = store.write::<_, _, StoreError>(|tx| {
            Box::pin(async move { settings::remember_request(tx, "key:1/authorise", "abc", "h1").await })
        });
        asked.await.expect("answers")
    };
    let keep = || async {
        let kept = store.write::<_, _, StoreError>(|tx| {
            Box::pin(async move { settings::keep_request(tx, "key:1/authorise", "abc").await })
        });
        kept.await.expect("answers")
    };
    assert_eq!(ask().await, Seen::New);
    for _ in 0..3 {
        bed.clock.advance(settings::UNDER_WAY_FOR - Duration::from_secs(1));
        assert_eq!(ask().await, Seen::UnderWay, "it says so itself");
        assert!(keep().await);
    }
    bed.clock.advance(settings::UNDER_WAY_FOR);
    assert_eq!(ask().await, Seen::CutOff, "and now it does not");
    assert!(!keep().await, "what was given up is not taken back");
    assert_eq!(ask().await, Seen::New, "the key is free again");
}

async fn acquire(store: &Store, owner: &'static str) -> Option<Lease> {
    store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { leases::acquire(tx, "olt:1", owner, LEASE).await })
        })
        .await
        .expect("answers")
}

async fn require(store: &Store, lease: &Lease) -> Result<(), StoreError> {
    let lease = lease.clone();
    store.write(move |tx| Box::pin(async move { leases::require(tx, &lease).await })).await
}

async fn renew(store: &Store, lease: &Lease) -> Result<(), StoreError> {
    let lease = lease.clone();
    store.write(move |tx| Box::pin(async move { leases::renew(tx, &lease, LEASE).await })).await
}

async fn one_node_at_a_time_holds_a_lease(bed: &Bed) {
    let store = bed.open().await;
    let first = acquire(&store, "node-a").await.expect("it is free");
    assert_eq!(acquire(&store, "node-b").await, None);
    renew(&store, &first).await.expect("the holder may renew");
    bed.clock.advance(LEASE + Duration::from_millis(1));
    renew(&store, &first).await.expect("nobody took it although it had run out");
    bed.clock.advance(LEASE + Duration::from_millis(1));
    let second = acquire(&store, "node-b").await.expect("it has run out");
    assert!(second.token > first.token);
    assert_eq!(acquire(&store, "node-a").await, None);
    let released = |lease: &Lease| {
        let (store, lease) = (store.clone(), lease.clone());
        async move {
            store
                .write::<_, _, StoreError>(move |tx| {
                    Box::pin(async move { leases::release(tx, &lease).await })
                })
                .await
                .expect("answers")
        }
    };
    assert!(!released(&first).await, "one cannot give back what one does not hold any more");
    let namesake = acquire(&store, "node-b").await.expect("its own name");
    assert!(!released(&second).await, "the process before it has the same name, and not its lease");
    require(&store, &namesake).await.expect("it holds it as before");
    assert!(released(&namesake).await);
    assert!(!released(&namesake).await, "it is given back once");
    let third = acquire(&store, "node-a").await.expect("it is free again");
    assert!(third.token > namesake.token, "although the clock stands still");
    assert_ne!(store.now(), UtcMs(0));
}

async fn who_was_paused_while_another_took_over_writes_nothing_more(bed: &Bed) {
    let store = bed.open().await;
    let paused = acquire(&store, "node-a").await.expect("it is free");
    require(&store, &paused).await.expect("it is node-a's");
    bed.clock.advance(LEASE + Duration::from_millis(1));
    let other = acquire(&store, "node-b").await.expect("it has run out");
    for refused in [require(&store, &paused).await, renew(&store, &paused).await] {
        let error = refused.expect_err("node-a was overtaken");
        assert_eq!(
            error.to_string(),
            "the lease on olt:1 was lost: node-b has taken it over in the meantime; nothing was written, and this \
             node writes nothing more under it"
        );
    }
    // What stands in the same unit is not written either.
    let late = paused.clone();
    let unit = store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move {
                let _put = settings::put(tx, "late", json!(1), 0, "node-a").await?;
                leases::require(tx, &late).await
            })
        })
        .await;
    assert!(matches!(unit, Err(StoreError::Fenced { .. })), "{unit:?}");
    assert_eq!(settings::get(&store, "late").await.expect("reads"), None);
    // A second process of the same name has a token of its own; so has the first one when it comes back.
    let namesake = acquire(&store, "node-b").await.expect("its own name");
    assert!(require(&store, &other).await.is_err());
    require(&store, &namesake).await.expect("the last one holds it");
    bed.clock.advance(LEASE + Duration::from_millis(1));
    let back = acquire(&store, "node-a").await.expect("it has run out");
    assert!(require(&store, &paused).await.is_err(), "what was begun before the pause stays refused");
    require(&store, &back).await.expect("what begins now is not");
}

/// A node whose clock is wrong takes nothing early, and holds nothing too long.
async fn leases_run_by_the_clock_of_the_database_where_nodes_share_one(bed: &Bed) {
    if !bed.is_postgres() {
        return;
    }
    let mut config = bed.config();
    config.lease_clock = LeaseClock::Database;
    let store = Store::open(config).await.expect("opens");
    let held = acquire(&store, "node-a").await.expect("it is free");
    bed.clock.advance(Duration::from_secs(86_400));
    assert_eq!(acquire(&store, "node-b").await, None, "its own clock is a day ahead");
    require(&store, &held).await.expect("it is still node-a's");
    bed.sql("UPDATE node_leases SET until = 1").await;
    assert!(acquire(&store, "node-b").await.is_some());
}
