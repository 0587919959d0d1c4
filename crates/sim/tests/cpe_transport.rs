//! The session of a CPE against an ACS that is only a list of answers: no sockets.

mod support;

use async_trait::async_trait;
use cwmp::{
    codec::{self, Body, CwmpVersion, Envelope},
    digest::ServerPolicy,
};
use sim::cpe::{
    agent::{self, Around, SessionError},
    behaviour::{DeviceSpec, Management},
    cell::Cell,
    http::{AcsTransport, Post, Response, TransportError, Url},
    models,
    quirks::{CpeTiming, Quirks},
    wan::Network,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};
use support::names;
use types::{Clock, Mac, ManualClock, Serial, UtcMs};

/// Answers in order; what was posted is kept.
#[derive(Default)]
struct Script {
    answers: VecDeque<Response>,
    posts: Vec<Post>,
    disconnects: usize,
}

#[async_trait]
impl AcsTransport for Script {
    async fn post(&mut self, post: Post) -> Result<Response, TransportError> {
        self.posts.push(post);
        self.answers.pop_front().ok_or(TransportError::Timeout(Duration::from_secs(30)))
    }

    fn disconnect(&mut self) {
        self.disconnects += 1;
    }
}

fn envelope(body: Body) -> Response {
    let envelope = Envelope::new(Some("1".to_owned()), CwmpVersion::V1_0, body);
    let body = codec::encode(
        &envelope,
        &codec::EncodeOptions { next_level: codec::BooleanLiteral::Word, ..Default::default() },
    );
    Response { status: 200, headers: Vec::new(), body }
}

fn accepted() -> Response {
    envelope(Body::InformResponse(codec::InformResponse { max_envelopes: 1 }))
}

fn with_cookie(response: Response, cookie: &str) -> Response {
    Response { headers: vec![("set-cookie".to_owned(), cookie.to_owned())], ..response }
}

fn status(status: u16) -> Response {
    Response { status, ..Response::default() }
}

struct World {
    cell: Mutex<Cell>,
    network: RwLock<Network>,
    clock: ManualClock,
}

impl World {
    fn new(quirks: Quirks) -> World {
        let info = models::load("hg8546m").expect("built in");
        let serial: Serial = "HWTC5A0000AA".parse().expect("a serial");
        let spec = DeviceSpec {
            serial,
            mac: Mac([2, 0, 0, 0, 0, 1]),
            manufacturer: info.manufacturer,
            oui: info.oui,
            product_class: info.product_class,
            cwmp_serial: serial.hex16(),
            model_name: info.model_name,
            software_version: info.software_version,
            quirks,
            timing: CpeTiming { boot_ms: 0, ..CpeTiming::default() },
            speed: 1.0,
            behind_olt: false,
            seed: 1,
            customer: None,
        };
        let clock = ManualClock::new(UtcMs(1_795_269_000_000));
        let mut cell = Cell::in_memory(Arc::new(spec), info.model);
        let management = Management {
            address: "127.20.0.10".parse().expect("an address"),
            acs_url: "http://acs.example/deep/cwmp".to_owned(),
            username: "user".to_owned(),
            password: "word".to_owned(),
            vlan: None,
        };
        cell.act(|device| device.power_on(clock.now(), management)).expect("in memory");
        World { cell: Mutex::new(cell), network: RwLock::default(), clock }
    }

    async fn session(
        &self,
        answers: impl IntoIterator<Item = Response>,
    ) -> (Result<(), SessionError>, Script) {
        let url = Url::parse("http://acs.example/deep/cwmp").expect("a URL");
        let mut script = Script { answers: answers.into_iter().collect(), ..Script::default() };
        let around = Around { cell: &self.cell, network: &self.network, clock: &self.clock };
        let result = agent::run(around, &mut script, &url).await;
        (result, script)
    }

    fn retries(&self) -> u32 {
        self.cell.lock().expect("not poisoned").device().state().retry_count
    }
}

fn header<'a>(post: &'a Post, name: &str) -> Option<&'a str> {
    post.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn fault_8005_is_a_request_to_say_it_again() {
    let world = World::new(Quirks::default());
    let again = || envelope(Body::Fault(codec::Fault::new(8005)));
    let (result, script) = world.session([again(), accepted(), status(204)]).await;
    result.expect("the session succeeds");
    assert_eq!(script.posts.len(), 3);
    assert_eq!(script.posts[0].body, script.posts[1].body);
    let (result, _) = world.session([again(), again(), again(), again()]).await;
    assert!(matches!(result, Err(SessionError::Unexpected(_))));
}

#[tokio::test]
async fn whatever_is_no_answer_ends_the_session_and_counts_as_a_retry() {
    for (answers, words) in [
        (vec![status(503)], "the ACS answered HTTP 503"),
        (vec![status(500)], "the ACS answered HTTP 500"),
        (vec![], "the ACS did not answer within 30s"),
        (vec![status(204)], "the ACS sent nothing to an Inform"),
        (vec![Response { body: b"<html>".to_vec(), ..status(200) }], "the ACS sent something unreadable"),
        (vec![accepted(), accepted()], "the ACS sent InformResponse instead of a request"),
        (vec![status(401)], "the ACS refused the credentials of the device"),
    ] {
        let world = World::new(Quirks::default());
        let (result, script) = world.session(answers).await;
        let error = result.expect_err(words).to_string();
        assert!(error.starts_with(words), "{error}");
        assert_eq!(world.retries(), 1, "{words}");
        assert!(script.disconnects > 0);
    }
}

#[tokio::test]
async fn a_challenge_is_answered_with_the_credentials_of_the_tree() {
    let server = cwmp::digest::DigestServer::new("acs", [7; 32], ServerPolicy::default());
    let world = World::new(Quirks::default());
    let challenges = server.challenges(world.clock.now(), [1; 8], false);
    let headers = challenges.into_iter().map(|one| ("www-authenticate".to_owned(), one)).collect();
    let (result, script) =
        world.session([Response { headers, ..status(401) }, accepted(), status(204)]).await;
    result.expect("the session succeeds");
    assert_eq!(header(&script.posts[0], "Authorization"), None);
    for (post, nc) in script.posts[1..].iter().zip(["nc=00000001", "nc=00000002"]) {
        let sent = header(post, "Authorization").expect("credentials");
        assert!(sent.contains("username=\"user\"") && sent.contains(nc) && !sent.contains("word"), "{sent}");
    }
}

#[tokio::test]
async fn cookies_are_returned_the_way_the_device_does_it() {
    use sim::cpe::quirks::Cookies;
    for (cookies, set, want) in [
        (Cookies::Normal, "sid=1; Path=/other; HttpOnly", Some("sid=1")),
        (Cookies::Never, "sid=1", None),
        (Cookies::WithAttributes, "sid=1; Path=/", Some("sid=1; Path=/")),
        (Cookies::StrictPath, "sid=1; Path=/", Some("sid=1")),
        (Cookies::StrictPath, "sid=1; Path=/other", None),
        (Cookies::StrictPath, "sid=1", Some("sid=1")),
        (Cookies::Stale, "sid=1", Some("sid=1")),
    ] {
        let world = World::new(Quirks { cookies, ..Quirks::default() });
        let (result, script) = world.session([with_cookie(accepted(), set), status(204)]).await;
        result.expect("the session succeeds");
        assert_eq!(header(&script.posts[1], "Cookie"), want, "{cookies:?} {set}");
        // The next session starts without a cookie, unless the device has none of it.
        world.clock.advance(Duration::from_secs(400));
        let around = Around { cell: &world.cell, network: &world.network, clock: &world.clock };
        around
            .cell
            .lock()
            .expect("not poisoned")
            .act(|device| device.tick(world.clock.now(), &Network::default()))
            .expect("in memory");
        let (_, script) = world.session([accepted(), status(204)]).await;
        let stale = (cookies == Cookies::Stale).then_some("sid=1");
        assert_eq!(header(&script.posts[0], "Cookie"), stale, "{cookies:?} {set}");
    }
}

#[tokio::test]
async fn next_level_as_a_word_is_a_fault_for_a_literal_mind() {
    for (next_level_digits, want) in [(true, "Fault"), (false, "GetParameterNamesResponse")] {
        let world = World::new(Quirks { next_level_digits, ..Quirks::default() });
        let order = envelope(names("InternetGatewayDevice.", true));
        let (result, script) = world.session([accepted(), order, status(204)]).await;
        result.expect("the session succeeds");
        let reply = cwmp::decode(&script.posts[2].body, None, &cwmp::Limits::default()).expect("an answer");
        assert_eq!(reply.body.method(), want);
    }
}

#[tokio::test]
async fn latin_1_is_written_as_such() {
    use sim::cpe::quirks::Charset;
    for (charset, label) in [
        (Charset::Latin1, "text/xml; charset=ISO-8859-1"),
        (Charset::Latin1Mislabelled, "text/xml; charset=\"utf-8\""),
    ] {
        let world = World::new(Quirks { charset, ..Quirks::default() });
        let ssid = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID";
        let write = envelope(support::set(&[(ssid, "Café")]));
        let read =
            envelope(Body::GetParameterValues(codec::GetParameterValues { names: vec![ssid.to_owned()] }));
        let (result, script) = world.session([accepted(), write, read, status(204)]).await;
        result.expect("the session succeeds");
        let reply = &script.posts[3];
        assert_eq!(header(reply, "Content-Type"), Some(label));
        assert!(reply.body.windows(4).any(|four| four == b"Caf\xE9"), "one byte for é");
        // What this ACS makes of it.
        let read = cwmp::decode(&reply.body, header(reply, "Content-Type"), &cwmp::Limits::default())
            .expect("readable");
        let Body::GetParameterValuesResponse(values) = read.body else { panic!("no values") };
        assert_eq!(values.parameters[0].value.text, "Café");
    }
}
