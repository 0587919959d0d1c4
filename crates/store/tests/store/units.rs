//! Units of work: all or nothing, each for itself, bounded, and answered only when durable.

use crate::bed::{Bed, START};
use std::{sync::Arc, time::Duration};
use store::{Guarded, Store, StoreError, rows::Customer};
use tokio::sync::Barrier;
use types::CustomerId;

on_both! {
    what_a_unit_wrote_is_there_and_read_back_as_written,
    a_failed_unit_leaves_no_trace,
    one_failing_unit_among_a_hundred_costs_only_itself,
    an_error_that_a_unit_swallows_still_rolls_it_back,
    a_unit_that_panics_or_hangs_is_rolled_back_and_the_next_runs,
    whoever_is_told_that_it_is_taken_finds_it,
    of_many_guarded_updates_exactly_one_wins,
    hooks_run_after_the_commit_and_only_then,
    a_unit_sees_its_own_writes_and_others_do_not,
    more_than_the_queue_holds_is_refused,
    a_duplicate_and_a_dangling_row_are_told_apart,
}

pub(crate) fn customer(code: &str) -> Customer {
    Customer {
        code: code.to_owned(),
        name: format!("Customer {code}"),
        created_at: START,
        version: 1,
        ..Customer::default()
    }
}

pub(crate) async fn insert(store: &Store, row: Customer) -> Result<CustomerId, StoreError> {
    store.write(move |tx| Box::pin(async move { tx.insert(&row).await })).await
}

async fn what_a_unit_wrote_is_there_and_read_back_as_written(bed: &Bed) {
    let store = bed.open().await;
    let mut row = Customer {
        note: "naïve — 日本語 ' \" \\ \n %_".to_owned(),
        phone: "+49 30 1234".to_owned(),
        ..customer("C-1")
    };
    row.id = insert(&store, row.clone()).await.expect("inserts");
    assert_eq!(store.get::<Customer>(row.id).await.expect("reads"), Some(row.clone()));
    assert_eq!(store::customers::by_code(&store, "C-1").await.expect("reads"), Some(row.clone()));
    drop(store);
    let store = bed.open().await;
    assert_eq!(store.require::<Customer>(row.id).await.expect("reads"), row);
}

async fn a_failed_unit_leaves_no_trace(bed: &Bed) {
    let store = bed.open().await;
    let result: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                tx.insert(&customer("C-1")).await?;
                tx.insert(&customer("C-2")).await?;
                Err(StoreError::Missing { table: "anything", key: "at all".to_owned() })
            })
        })
        .await;
    assert!(matches!(result, Err(StoreError::Missing { .. })));
    assert_eq!(store.count::<Customer>().await.expect("counts"), 0);
}

async fn one_failing_unit_among_a_hundred_costs_only_itself(bed: &Bed) {
    let store = bed.open().await;
    let units = (0..100).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write::<_, _, StoreError>(move |tx| {
                    Box::pin(async move {
                        tx.insert(&customer(&format!("C-{n}"))).await?;
                        if n == 50 {
                            // Fails in the database, not only in our hands.
                            tx.insert(&customer("C-50")).await?;
                        }
                        Ok(n)
                    })
                })
                .await
        })
    });
    let mut failed = Vec::new();
    for (n, unit) in units.collect::<Vec<_>>().into_iter().enumerate() {
        match unit.await.expect("does not panic") {
            Ok(answer) => assert_eq!(answer, n),
            Err(error) => failed.push((n, error)),
        }
    }
    assert!(matches!(failed.as_slice(), [(50, StoreError::Duplicate { .. })]), "{failed:?}");
    assert_eq!(store.count::<Customer>().await.expect("counts"), 99);
    assert_eq!(store::customers::by_code(&store, "C-50").await.expect("reads"), None);
}

async fn an_error_that_a_unit_swallows_still_rolls_it_back(bed: &Bed) {
    let store = bed.open().await;
    insert(&store, customer("C-1")).await.expect("inserts");
    let result: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                tx.insert(&customer("C-2")).await?;
                let _ = tx.insert(&customer("C-1")).await;
                Ok(())
            })
        })
        .await;
    assert!(matches!(result, Err(StoreError::Duplicate { .. })), "{result:?}");
    assert_eq!(store.count::<Customer>().await.expect("counts"), 1);
}

async fn a_unit_that_panics_or_hangs_is_rolled_back_and_the_next_runs(bed: &Bed) {
    let mut config = bed.config();
    config.limits.unit_time = Duration::from_secs(5);
    let store = Store::open(config).await.expect("opens");
    let panicked: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                tx.insert(&customer("C-1")).await?;
                panic!("a bug in a use case")
            })
        })
        .await;
    assert!(
        matches!(&panicked, Err(StoreError::Panicked { why }) if why == "a bug in a use case"),
        "{panicked:?}"
    );
    let hung: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                tx.insert(&customer("C-2")).await?;
                std::future::pending::<()>().await;
                Ok(())
            })
        })
        .await;
    assert!(matches!(hung, Err(StoreError::TookTooLong { .. })), "{hung:?}");
    insert(&store, customer("C-3")).await.expect("the writer lives");
    assert_eq!(store.count::<Customer>().await.expect("counts"), 1);
}

async fn whoever_is_told_that_it_is_taken_finds_it(bed: &Bed) {
    let store = bed.open().await;
    for round in 0..10 {
        let start = Arc::new(Barrier::new(16));
        let inserts = (0..16).map(|_| {
            let (store, start, code) = (store.clone(), start.clone(), format!("C-{round}"));
            tokio::spawn(async move {
                start.wait().await;
                match insert(&store, customer(&code)).await {
                    Ok(_) => true,
                    Err(StoreError::Duplicate { .. }) => {
                        let there = store::customers::by_code(&store, &code).await.expect("reads");
                        assert!(there.is_some(), "{code} is said to be taken and nobody has it");
                        false
                    }
                    Err(other) => panic!("{other}"),
                }
            })
        });
        let all = futures::future::join_all(inserts).await;
        let made = all.into_iter().filter(|one| *one.as_ref().expect("it ends")).count();
        assert_eq!(made, 1);
    }
}

async fn of_many_guarded_updates_exactly_one_wins(bed: &Bed) {
    let store = bed.open().await;
    let id = insert(&store, customer("C-1")).await.expect("inserts");
    let seen = store.require::<Customer>(id).await.expect("reads");
    let start = Arc::new(Barrier::new(16));
    let updates = (0..16).map(|n| {
        let (store, start) = (store.clone(), start.clone());
        let row = Customer { name: format!("Name {n}"), ..seen.clone() };
        tokio::spawn(async move {
            start.wait().await;
            store
                .write::<_, _, StoreError>(move |tx| Box::pin(async move { tx.update(&row).await }))
                .await
                .expect("answers")
        })
    });
    let mut won = Vec::new();
    for (n, update) in updates.collect::<Vec<_>>().into_iter().enumerate() {
        match update.await.expect("does not panic") {
            Guarded::Changed => won.push(n),
            Guarded::NotAsExpected { found } => assert_eq!(found, "version 2"),
            Guarded::NotFound => panic!("the row is there"),
        }
    }
    let row = store.require::<Customer>(id).await.expect("reads");
    assert_eq!(won.len(), 1);
    assert_eq!((row.name, row.version), (format!("Name {}", won[0]), 2));
    let nobody = Customer { id: CustomerId(999), ..seen };
    let answer: Result<Guarded, StoreError> =
        store.write(move |tx| Box::pin(async move { tx.update(&nobody).await })).await;
    assert_eq!(answer.expect("answers"), Guarded::NotFound);
}

async fn hooks_run_after_the_commit_and_only_then(bed: &Bed) {
    let store = bed.open().await;
    let (told, seen) = std::sync::mpsc::channel();
    let hook = told.clone();
    store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move {
                tx.insert(&customer("C-1")).await?;
                tx.after_commit(|| panic!("a bug in a hook"));
                tx.after_commit(move || hook.send("kept").expect("somebody listens"));
                Ok(())
            })
        })
        .await
        .expect("commits");
    let failed: Result<(), StoreError> = store
        .write(move |tx| {
            Box::pin(async move {
                tx.after_commit(move || told.send("failed").expect("somebody listens"));
                tx.insert(&customer("C-1")).await?;
                Ok(())
            })
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(seen.iter().collect::<Vec<_>>(), ["kept"], "the answer comes after the hooks");
}

async fn a_unit_sees_its_own_writes_and_others_do_not(bed: &Bed) {
    let store = bed.open().await;
    let outside = store.clone();
    let counts = store
        .write::<_, _, StoreError>(move |tx| {
            let outside = outside.clone();
            Box::pin(async move {
                tx.insert(&customer("C-1")).await?;
                Ok((tx.count::<Customer>().await?, outside.count::<Customer>().await?))
            })
        })
        .await
        .expect("commits");
    assert_eq!(counts, (1, 0));
    assert_eq!(store.count::<Customer>().await.expect("counts"), 1);
}

async fn more_than_the_queue_holds_is_refused(bed: &Bed) {
    const QUEUE: usize = 4;
    const UNITS: usize = 50;
    let mut config = bed.config();
    config.limits.queue = QUEUE;
    // Longer than a busy machine needs to refuse the others.
    config.limits.unit_time = Duration::from_secs(60);
    let store = Store::open(config).await.expect("opens");
    // No unit ends before we say so, so nobody makes room for a later one: neither the one that holds the writer of a
    // file, nor those that run side by side on a server.
    let (go, wait) = tokio::sync::watch::channel(false);
    let unit = |row: Customer, begun: Option<tokio::sync::mpsc::UnboundedSender<()>>| {
        let (store, wait) = (store.clone(), wait.clone());
        async move {
            store
                .write::<_, _, StoreError>(move |tx| {
                    let (row, mut wait) = (row.clone(), wait.clone());
                    if let Some(begun) = &begun {
                        begun.send(()).expect("somebody listens");
                    }
                    Box::pin(async move {
                        wait.wait_for(|go| *go).await.expect("told to go");
                        tx.insert(&row).await
                    })
                })
                .await
        }
    };
    let (running, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let holding = tokio::spawn(unit(customer("C-holds"), Some(running)));
    begun.recv().await.expect("the unit runs");
    let (refused, mut refusals) = tokio::sync::mpsc::unbounded_channel();
    let others: Vec<_> = (0..UNITS)
        .map(|n| {
            let (unit, refused) = (unit(customer(&format!("C-{n}")), None), refused.clone());
            tokio::spawn(async move {
                let result = unit.await;
                if let Err(error) = &result {
                    assert!(matches!(error, StoreError::Overloaded { .. }), "{error}");
                    assert!(error.is_transient());
                    refused.send(()).expect("somebody listens");
                }
                result.is_ok()
            })
        })
        .collect();
    // On a file the one that runs has left the queue; on a server it counts with those that wait.
    let room = if bed.is_postgres() { QUEUE - 1 } else { QUEUE };
    for so_far in 0..UNITS - room {
        let refusal = tokio::time::timeout(Duration::from_secs(30), refusals.recv()).await;
        refusal.unwrap_or_else(|_| panic!("only {so_far} of {UNITS} were refused, {room} have room"));
    }
    go.send_replace(true);
    let mut kept = 0;
    for other in others {
        kept += usize::from(other.await.expect("does not panic"));
    }
    holding.await.expect("does not panic").expect("the holder commits");
    assert_eq!(kept, room, "as many as there is room for, and no more");
    let written = store.count::<Customer>().await.expect("counts");
    assert_eq!(written, kept as u64 + 1, "accepted means written, refused means not");
}

async fn a_duplicate_and_a_dangling_row_are_told_apart(bed: &Bed) {
    let store = bed.open().await;
    insert(&store, customer("C-1")).await.expect("inserts");
    let error = insert(&store, customer("C-1")).await.expect_err("taken");
    assert!(matches!(error, StoreError::Duplicate { .. }) && !error.is_transient(), "{error}");
    let stray = store::rows::Service { code: "S-1".to_owned(), ..store::rows::Service::default() };
    let error = store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { tx.insert(&stray).await }))
        .await
        .expect_err("no such customer");
    assert!(matches!(error, StoreError::Dangling { .. }), "{error}");
}

#[tokio::test]
async fn readers_of_a_file_cannot_write() {
    let bed = Bed::sqlite();
    let store = bed.open().await;
    use sea_orm::ConnectionTrait;
    let error = store.execute_unprepared("DELETE FROM customers").await.expect_err("readers only read");
    assert!(error.to_string().contains("readonly"), "{error}");
}
