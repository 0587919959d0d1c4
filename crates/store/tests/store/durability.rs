//! What was answered is there, whatever happens next: kill -9, a full disk, two processes on one file.

use crate::{
    bed::Bed,
    units::{customer, insert},
};
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};
use store::{Guarded, Store, StoreError, rows::Customer};

on_both! {
    every_answered_unit_survives_kill_nine,
    two_stores_on_one_database_lose_nothing,
}

const CHILD_URL: &str = "LIGHTKEEPER_TEST_CHILD_URL";
const CHILD_KEY: &str = "LIGHTKEEPER_TEST_CHILD_KEY";

/// Not a test of its own: the process that is killed by the test below, which sets the variables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_until_it_is_killed() {
    let (Ok(url), Ok(key)) = (std::env::var(CHILD_URL), std::env::var(CHILD_KEY)) else { return };
    let store =
        Store::open(store::StoreConfig::new(url, store::KeySource::File(key.into()))).await.expect("opens");
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let code = format!("C-{}-{writer}-{n}", std::process::id());
                    let two = [customer(&code), customer(&format!("{code}-twin"))];
                    store
                        .write::<_, _, StoreError>(move |tx| {
                            Box::pin(async move { tx.insert_many(&two).await })
                        })
                        .await
                        .expect("writes");
                    // One write per line, so that a line is whole or not there.
                    println!("answered {code}");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("writes for ever");
    }
}

async fn every_answered_unit_survives_kill_nine(bed: &Bed) {
    bed.open().await;
    let mut answered = 0;
    for round in 0..3 {
        let mut child = Command::new(std::env::current_exe().expect("ourselves"))
            .args(["--exact", "durability::child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD_URL, &bed.url)
            .env(CHILD_KEY, bed.key_file())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut codes = Vec::new();
        // Killed somewhere in its stride, another place each round.
        let enough = 60 + 37 * round;
        for line in lines.by_ref() {
            if let Some(code) = line.expect("a line").strip_prefix("answered ") {
                codes.push(code.to_owned());
            }
            if codes.len() == enough {
                child.kill().expect("kill -9");
                break;
            }
        }
        // What it had answered before the kill reached it.
        for line in lines.map_while(Result::ok) {
            codes.extend(line.strip_prefix("answered ").map(str::to_owned));
        }
        child.wait().expect("is gone");
        assert!(codes.len() >= enough, "the child was still writing: {}", codes.len());
        // The next start takes the database as it is, and all that was answered is there, with its twin.
        let store = bed.open().await;
        for code in &codes {
            for code in [code.clone(), format!("{code}-twin")] {
                assert!(
                    store::customers::by_code(&store, &code).await.expect("reads").is_some(),
                    "{code} was answered and is gone"
                );
            }
        }
        answered += codes.len();
        // Nothing is there by halves.
        // In one statement: a commit of the killed one may still be on its way.
        let (all, twins) = ("count(*)", "coalesce(sum(CASE WHEN code LIKE '%-twin' THEN 1 ELSE 0 END), 0)");
        let alone = bed.number(&format!("SELECT {all} - 2 * {twins} FROM customers")).await;
        assert_eq!(alone, 0);
        let singles = bed.number("SELECT count(*) FROM customers WHERE code NOT LIKE '%-twin'").await;
        assert!(singles >= i64::try_from(answered).expect("few"));
    }
}

async fn two_stores_on_one_database_lose_nothing(bed: &Bed) {
    let (a, b) = (bed.open().await, bed.open().await);
    let id = insert(&a, customer("C-shared")).await.expect("inserts");
    let count_up = |store: Store| {
        tokio::spawn(async move {
            let mut done = 0;
            while done < 40 {
                let answer = store
                    .write::<_, _, StoreError>(move |tx| {
                        Box::pin(async move {
                            let row = tx.require::<Customer>(id).await?;
                            let count: u32 = row.note.parse().unwrap_or(0);
                            tx.update(&Customer { note: (count + 1).to_string(), ..row }).await
                        })
                    })
                    .await
                    .expect("writes");
                done += u32::from(matches!(answer, Guarded::Changed));
            }
        })
    };
    let (first, second) = (count_up(a.clone()), count_up(b));
    first.await.expect("does not panic");
    second.await.expect("does not panic");
    assert_eq!(a.require::<Customer>(id).await.expect("reads").note, "80");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_an_error_for_the_unit_and_harms_nothing() {
    let bed = Bed::sqlite();
    let pages = {
        bed.open().await;
        bed.number("PRAGMA page_count").await
    };
    let mut config = bed.config();
    config.limits.max_pages = Some(u32::try_from(pages).expect("few") + 20);
    let store = Store::open(config).await.expect("opens");
    let small = insert(&store, customer("C-small")).await.expect("there is room for one");
    let big = Customer { note: "x".repeat(400_000), ..customer("C-big") };
    let error = insert(&store, big.clone()).await.expect_err("no room");
    assert!(matches!(error, StoreError::Full { .. }) && error.is_transient(), "{error}");
    assert!(error.to_string().contains("no space left"), "{error}");
    // Small ones beside big ones, in the same groups: only the big ones fail.
    let units: Vec<_> = (0..40)
        .map(|n| {
            let (store, big) = (store.clone(), big.clone());
            tokio::spawn(async move {
                let row = if n % 8 == 0 {
                    Customer { code: format!("B-{n}"), ..big }
                } else {
                    customer(&format!("C-{n}"))
                };
                (n, insert(&store, row).await)
            })
        })
        .collect();
    for unit in units {
        let (n, result) = unit.await.expect("does not panic");
        assert_eq!(result.is_err(), n % 8 == 0, "{n}: {result:?}");
    }
    assert_eq!(store.count::<Customer>().await.expect("counts"), 1 + 35);
    assert_eq!(store.require::<Customer>(small).await.expect("reads").code, "C-small");
    // With room again, it goes on.
    drop(store);
    let store = bed.open().await;
    insert(&store, big).await.expect("there is room");
    assert_eq!(bed.ask("PRAGMA integrity_check").await[0].try_get_by_index::<String>(0).expect("text"), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_is_an_error_for_all_of_its_group_and_the_next_group_is_written() {
    use sea_orm::ConnectionTrait;
    let bed = Bed::sqlite();
    let store = bed.open().await;
    insert(&store, customer("C-before")).await.expect("inserts");
    let (go, wait) = tokio::sync::watch::channel(false);
    let (running, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let holding = {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write::<_, _, StoreError>(move |_| {
                    let (mut wait, running) = (wait.clone(), running.clone());
                    Box::pin(async move {
                        running.send(()).expect("somebody listens");
                        wait.wait_for(|go| *go).await.expect("told to go");
                        Ok(())
                    })
                })
                .await
        })
    };
    begun.recv().await.expect("the unit runs");
    // These wait behind it, and so come into one group, in the ordinary way: what they ask is answered by the ORM.
    let spoiler = {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write::<_, _, StoreError>(move |tx| {
                    Box::pin(async move {
                        // A reference that is only looked at when the group is committed: the one way to make COMMIT itself
                        // fail at will.
                        tx.execute_unprepared("PRAGMA defer_foreign_keys = ON").await?;
                        tx.insert(&store::rows::Service { code: "S-1".into(), ..Default::default() }).await?;
                        Ok(())
                    })
                })
                .await
        })
    };
    let units: Vec<_> = (0..5)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write::<_, _, StoreError>(move |tx| {
                        Box::pin(async move {
                            tx.execute_unprepared("SELECT 1").await?;
                            tx.insert(&customer(&format!("C-{n}"))).await
                        })
                    })
                    .await
            })
        })
        .collect();
    while store.units_waiting() < 6 {
        tokio::task::yield_now().await;
    }
    go.send_replace(true);
    holding.await.expect("does not panic").expect("it is not of their group");
    assert!(matches!(spoiler.await.expect("does not panic"), Err(StoreError::Dangling { .. })));
    for unit in units {
        assert!(unit.await.expect("does not panic").is_err(), "nobody is told that it was written");
    }
    assert_eq!(store.count::<Customer>().await.expect("counts"), 1, "and nothing was");
    insert(&store, customer("C-after")).await.expect("the writer goes on");
    assert_eq!(store.count::<Customer>().await.expect("counts"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_takes_the_whole_group_down_costs_only_itself() {
    use sea_orm::ConnectionTrait;
    let bed = Bed::sqlite();
    let store = bed.open().await;
    let (go, wait) = tokio::sync::watch::channel(false);
    let (running, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let holding = {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write::<_, _, StoreError>(move |tx| {
                    let (mut wait, running) = (wait.clone(), running.clone());
                    Box::pin(async move {
                        tx.insert(&customer("C-first")).await?;
                        // Asked for a second time it finds nobody listening, and needs nobody.
                        let _ = running.send(());
                        wait.wait_for(|go| *go).await.expect("told to go");
                        Ok(())
                    })
                })
                .await
        })
    };
    begun.recv().await.expect("the unit runs");
    let units: Vec<_> = (0..6)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write::<_, _, StoreError>(move |tx| {
                        Box::pin(async move {
                            tx.insert(&customer(&format!("C-{n}"))).await?;
                            if n == 3 {
                                // What SQLite does by itself when the disk fills up at a bad moment.
                                tx.execute_unprepared("ROLLBACK").await?;
                            }
                            Ok(())
                        })
                    })
                    .await
            })
        })
        .collect();
    while store.units_waiting() < 6 {
        tokio::task::yield_now().await;
    }
    go.send_replace(true);
    holding.await.expect("does not panic").expect("the first unit is written all the same");
    for (n, unit) in units.into_iter().enumerate() {
        let result = unit.await.expect("does not panic");
        assert_eq!(result.is_err(), n == 3, "{n}: {result:?}");
    }
    assert_eq!(store.count::<Customer>().await.expect("counts"), 6);
    insert(&store, customer("C-after")).await.expect("the writer goes on");
    assert_eq!(store.count::<Customer>().await.expect("counts"), 7);
    store.ping().await.expect("all is well");
}
