//! OLTs that misbehave on the wire: torn, endless, deaf. Each costs its session, bounded, and says so in a sentence; the
//! queue works again with the next session.

mod common;

use common::dialect;
use olt::{
    driver::OltError,
    limits::Limits,
    queue::{OltConfig, OltHandle, Protocol},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use types::Secret;

/// What the OLT does instead of answering `display version`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    Answer,
    FloodLines,
    FloodOneLine,
    FloodEscapes,
    FloodNegotiation,
    FloodBeforeLogin,
    CloseInARow,
    CloseInANegotiation,
    CloseInAnEscape,
    CloseBeforeThePrompt,
    SayNothing,
}

async fn say(write: &mut OwnedWriteHalf, bytes: &[u8]) -> std::io::Result<()> {
    write.write_all(bytes).await
}

/// Until the other side has enough.
async fn flood(write: &mut OwnedWriteHalf, bytes: &[u8]) -> std::io::Result<()> {
    let block = bytes.repeat(4096 / bytes.len());
    loop {
        say(write, &block).await?;
    }
}

async fn serve(read: OwnedReadHalf, mut write: OwnedWriteHalf, deed: Deed) -> std::io::Result<()> {
    let mut lines = BufReader::new(read).split(b'\n');
    if deed == Deed::FloodBeforeLogin {
        return flood(&mut write, b"Welcome!\r\n").await;
    }
    for question in [">>User name:", ">>User password:"] {
        say(&mut write, format!("\r\n{question}").as_bytes()).await?;
        lines.next_segment().await?;
    }
    let mut prompt = "FAKE5800>";
    say(&mut write, format!("\r\n{prompt}").as_bytes()).await?;
    while let Some(line) = lines.next_segment().await? {
        let line = String::from_utf8_lossy(&line).trim_matches(['\r', '\0']).to_owned();
        let mut reply = "";
        match line.as_str() {
            "enable" => prompt = "FAKE5800#",
            "display version" => match deed {
                Deed::Answer | Deed::FloodBeforeLogin => reply = "  VERSION : MA5800V100R019C10\r\n",
                Deed::FloodLines => return flood(&mut write, b"display version\r\nrow\r\n").await,
                Deed::FloodOneLine => return flood(&mut write, b"y").await,
                Deed::FloodEscapes => return flood(&mut write, b"\x1b[31m").await,
                Deed::FloodNegotiation => return flood(&mut write, &[255, 253, 24]).await,
                Deed::CloseInARow => {
                    return say(&mut write, b"display version\r\n  VERSION : MA58").await;
                }
                Deed::CloseInANegotiation => {
                    return say(&mut write, b"display version\r\n\xff\xfa\x18").await;
                }
                Deed::CloseInAnEscape => return say(&mut write, b"display version\r\n\x1b[3").await,
                Deed::CloseBeforeThePrompt => {
                    return say(
                        &mut write,
                        b"display version\r\n  VERSION : MA5800V100R019C10\r\n\r\nFAKE580",
                    )
                    .await;
                }
                Deed::SayNothing => continue,
            },
            _ => {}
        }
        say(&mut write, format!("{line}\r\n{reply}\r\n{prompt}").as_bytes()).await?;
    }
    Ok(())
}

async fn olt() -> (String, Arc<Mutex<Deed>>) {
    let deed = Arc::new(Mutex::new(Deed::Answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let now = Arc::clone(&deed);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, write) = stream.into_split();
            let deed = *now.lock().expect("the deed");
            // Whoever is flooded hangs up; that is the end of it.
            tokio::spawn(async move { drop(serve(read, write, deed).await) });
        }
    });
    (address, deed)
}

fn config(address: &str) -> OltConfig {
    let mut config = OltConfig::new(address, Protocol::Telnet, "root", Secret::new("hunter2"), dialect());
    config.limits = Limits { reply_bytes: 200_000, reply_lines: 2_000, ..Limits::default() };
    config
}

#[tokio::test]
async fn an_olt_that_never_stops_costs_its_limit_and_a_torn_one_its_session() {
    let cases: [(Deed, &str); 8] = [
        (Deed::FloodLines, "the OLT sends more than this session takes: the reply"),
        (Deed::FloodOneLine, "the OLT sends more than this session takes: a line is too long"),
        (Deed::FloodEscapes, "the OLT sends more than this session takes: the reply is too large"),
        (Deed::FloodBeforeLogin, "the OLT sends more than this session takes: too much text before"),
        (Deed::CloseInARow, "the connection to the OLT was lost"),
        (Deed::CloseInANegotiation, "the connection to the OLT was lost"),
        (Deed::CloseInAnEscape, "the connection to the OLT was lost"),
        (Deed::CloseBeforeThePrompt, "the connection to the OLT was lost"),
    ];
    let (address, deed) = olt().await;
    let handle = OltHandle::spawn(config(&address)).expect("a queue");
    for (bad, words) in cases {
        *deed.lock().expect("the deed") = bad;
        handle.disconnect().await.expect("a new session");
        let error = handle.probe().await.expect_err("no answer");
        let text = error.to_string();
        assert!(text.starts_with(words), "{bad:?}: {text}");
        assert!(error.is_transport(), "{bad:?}: it is asked again later");
        if bad != Deed::FloodBeforeLogin {
            assert!(text.contains("`display version`"), "{bad:?}: {text}");
        }
        *deed.lock().expect("the deed") = Deed::Answer;
        let facts = handle.probe().await.unwrap_or_else(|error| panic!("after {bad:?}: {error}"));
        assert_eq!(facts.version.version, "MA5800V100R019C10");
    }
}

/// What no limit of size ends, the deadline ends.
#[tokio::test]
async fn an_olt_that_is_deaf_or_busy_with_itself_costs_its_deadline() {
    for bad in [Deed::SayNothing, Deed::FloodNegotiation, Deed::FloodLines] {
        let (address, deed) = olt().await;
        *deed.lock().expect("the deed") = bad;
        let mut config = config(&address);
        config.limits = Limits { reply_bytes: usize::MAX, reply_lines: usize::MAX, ..Limits::default() };
        config.deadlines.command = Duration::from_millis(300);
        let error = OltHandle::spawn(config).expect("a queue").probe().await.expect_err("no answer");
        let OltError::Session(_) = &error else { panic!("{bad:?}: {error}") };
        let text = error.to_string();
        assert!(text.starts_with("the OLT did not answer in time"), "{bad:?}: {text}");
    }
}
