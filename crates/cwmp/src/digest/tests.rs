//! The examples of the RFCs, both sides against each other, and what attackers and sloppy devices send.

use super::*;
use proptest::prelude::*;
use std::time::Duration;
use types::UtcMs;

const NOW: UtcMs = UtcMs(1_795_269_000_000);

fn server(policy: ServerPolicy) -> DigestServer {
    DigestServer::new("lightkeeper", [7; 32], policy)
}

fn request<'a>(username: &'a str, password: &'a Secret) -> RequestToAnswer<'a> {
    RequestToAnswer {
        username,
        password,
        method: "POST",
        uri: "/",
        cnonce: "0a4f113b",
        nonce_count: 1,
        allow_basic: false,
        at_least: None,
    }
}

fn digest(header: &str) -> PresentedDigest {
    match parse_authorization(header) {
        Presented::Digest(digest) => *digest,
        other => panic!("a digest was expected, not {other:?}"),
    }
}

fn verify(server: &DigestServer, header: &str, password: &str, now: UtcMs) -> Verdict {
    server.verify(&digest(header), &Secret::new(password), "POST", "/", None, now)
}

/// RFC 7616, 3.9.1: both algorithms.
#[test]
fn the_examples_of_rfc_7616() {
    let challenge = |algorithm: &str| {
        format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    };
    let password = Secret::new("Circle of Life");
    let request = RequestToAnswer {
        username: "Mufasa",
        password: &password,
        method: "GET",
        uri: "/dir/index.html",
        cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        nonce_count: 1,
        allow_basic: false,
        at_least: None,
    };
    let answer = |challenges: &[Challenge]| answer_challenge(challenges, &request).expect("answered");
    let md5 = answer(&parse_challenges(&challenge("MD5")));
    assert!(md5.contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""), "{md5}");
    let sha256 = answer(&parse_challenges(&challenge("SHA-256")));
    let want = "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\"";
    assert!(sha256.contains(want), "{sha256}");
    // Both offered: the stronger one is taken, whatever the order.
    let both = [parse_challenges(&challenge("SHA-256")), parse_challenges(&challenge("MD5"))].concat();
    assert_eq!(answer(&both), sha256);
}

/// RFC 2617, 3.5.
#[test]
fn the_example_of_rfc_2617() {
    let challenge = parse_challenges(
        "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    );
    let password = Secret::new("Circle Of Life");
    let answer = answer_challenge(
        &challenge,
        &RequestToAnswer {
            username: "Mufasa",
            password: &password,
            method: "GET",
            uri: "/dir/index.html",
            cnonce: "0a4f113b",
            nonce_count: 1,
            allow_basic: false,
            at_least: None,
        },
    )
    .expect("answered");
    assert_eq!(
        answer,
        "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", \
         response=\"6629fae49393a05397450978507c4ef1\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\", \
         qop=auth, nc=00000001, cnonce=\"0a4f113b\""
    );
}

/// RFC 2069, 2.4, with the response corrected by erratum 749.
#[test]
fn the_example_of_rfc_2069() {
    let challenge = parse_challenges(
        "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    );
    let password = Secret::new("CircleOfLife");
    let request = RequestToAnswer { method: "GET", uri: "/dir/index.html", ..request("Mufasa", &password) };
    let answer = answer_challenge(&challenge, &request).expect("answered");
    assert!(answer.contains("response=\"1949323746fe6a43ef61f9606e7febea\""), "{answer}");
    assert!(!answer.contains("nc=") && !answer.contains("cnonce=") && !answer.contains("qop="), "{answer}");
}

#[test]
fn sloppy_challenges_are_understood() {
    for header in [
        "Digest realm=\"IGD\" nonce=\"n1\" qop=\"auth\" algorithm=MD5",
        "digest realm=\"IGD\",nonce=\"n1\",qop=auth,algorithm=\"MD5\"",
        "  Digest\trealm = \"IGD\" ; nonce=n1 ,, qop = \"auth\"",
        "Basic realm=\"x\", Digest realm=\"IGD\", nonce=\"n1\", qop=\"auth-int auth\"",
    ] {
        let challenges = parse_challenges(header);
        let digest = challenges.iter().find(|challenge| challenge.scheme == "digest").expect("digest found");
        assert_eq!(digest.parameters.get("realm"), Some("IGD"), "{header}");
        assert_eq!(digest.parameters.get("nonce"), Some("n1"), "{header}");
        let password = Secret::new("p");
        let answer = answer_challenge(&challenges, &request("u", &password)).expect("answered");
        assert!(answer.contains("qop=auth, nc=00000001"), "{header}: {answer}");
    }
}

#[test]
fn what_cannot_be_answered_safely_is_not() {
    let password = Secret::new("p");
    let ask = |header: &str, change: fn(&mut RequestToAnswer<'_>)| {
        let mut request = request("u", &password);
        change(&mut request);
        answer_challenge(&parse_challenges(header), &request)
    };
    assert_eq!(ask("Basic realm=\"x\"", |_| ()), Err(AnswerError::NoScheme));
    assert_eq!(ask("Basic realm=\"x\"", |request| request.allow_basic = true), Ok("Basic dTpw".into()));
    assert_eq!(ask("Digest realm=\"x\"", |_| ()), Err(AnswerError::NoNonce));
    assert_eq!(ask("Digest nonce=\"x\", algorithm=MD4", |_| ()), Err(AnswerError::NoScheme));
    assert_eq!(ask("Digest nonce=\"x\", qop=\"auth-int\"", |_| ()), Err(AnswerError::NoQop));
    assert_eq!(
        ask("Digest nonce=\"x\"", |request| request.at_least = Some(Algorithm::Sha256)),
        Err(AnswerError::Downgrade)
    );
    assert_eq!(ask("", |_| ()), Err(AnswerError::NoScheme));
}

#[test]
fn names_cannot_break_out_of_their_quotes() {
    let password = Secret::new("p");
    let challenges = parse_challenges("Digest realm=\"a\\\"b\", nonce=\"n\"");
    assert_eq!(challenges[0].parameters.get("realm"), Some("a\"b"));
    let answer =
        answer_challenge(&challenges, &request("u\", uri=\"/x\r\nX: y", &password)).expect("answered");
    assert!(!answer.contains(['\r', '\n']), "{answer}");
    let back = digest(&answer);
    assert_eq!(back.uri, "/");
    assert_eq!(back.realm, "a\"b");
}

fn all_algorithms() -> ServerPolicy {
    ServerPolicy { algorithms: vec![Algorithm::Sha256, Algorithm::Md5], ..ServerPolicy::default() }
}

#[test]
fn both_sides_agree() {
    let server = server(all_algorithms());
    let password = Secret::new("s3cret ü");
    for challenge in server.challenges(NOW, [1; 8], false) {
        for sess in [false, true] {
            let challenge = if sess {
                challenge.replace("algorithm=MD5", "algorithm=MD5-sess").replace("=SHA-256", "=SHA-256-sess")
            } else {
                challenge.clone()
            };
            let header = answer_challenge(&parse_challenges(&challenge), &request("cpe-1", &password))
                .expect("answered");
            assert_eq!(verify(&server, &header, "s3cret ü", NOW.plus_s(10)), Verdict::Correct, "{challenge}");
            assert_eq!(
                verify(&server, &header, "other", NOW),
                Verdict::Wrong("wrong password"),
                "{challenge}"
            );
            assert_eq!(digest(&header).nonce_count(), Some(1));
        }
    }
}

#[test]
fn old_and_foreign_nonces_are_stale_and_only_for_who_knows_the_secret() {
    let server = server(ServerPolicy::default());
    let password = Secret::new("p");
    let header = |challenge: &str| {
        answer_challenge(&parse_challenges(challenge), &request("u", &password)).expect("answered")
    };
    let own = header(&server.challenges(NOW, [1; 8], false)[0]);
    assert_eq!(verify(&server, &own, "p", NOW.plus_s(300)), Verdict::Correct);
    assert_eq!(verify(&server, &own, "p", NOW.plus_s(301)), Verdict::Stale);
    assert_eq!(verify(&server, &own, "q", NOW.plus_s(301)), Verdict::Wrong("wrong password"));
    // A nonce of another key, of another realm, or from far in the future.
    let foreign = DigestServer::new("lightkeeper", [8; 32], ServerPolicy::default());
    assert_eq!(
        verify(&server, &header(&foreign.challenges(NOW, [1; 8], false)[0]), "p", NOW),
        Verdict::Stale
    );
    let future = header(&server.challenges(NOW.plus(Duration::from_secs(3600)), [1; 8], false)[0]);
    assert_eq!(verify(&server, &future, "p", NOW), Verdict::Stale);
    let stale = &server.challenges(NOW, [2; 8], true)[0];
    assert!(stale.ends_with(", stale=true"), "{stale}");
    for forged in ["", "x", "AAAA", "=", &"A".repeat(43), &"A".repeat(10_000)] {
        assert_eq!(server.nonce_made_at(forged), None, "{forged}");
    }
}

#[test]
fn nonces_differ_by_salt_and_are_signed_to_the_last_bit() {
    let server = server(ServerPolicy::default());
    let nonce = server.nonce(NOW, [1; 8]);
    assert_ne!(nonce, server.nonce(NOW, [2; 8]));
    assert_eq!(server.nonce_made_at(&nonce), Some(NOW));
    for at in 0..nonce.len() {
        let mut changed = nonce.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert_eq!(server.nonce_made_at(&changed), None, "byte {at}");
    }
}

#[test]
fn attacks_on_the_parameters_fail() {
    let server = server(ServerPolicy { algorithms: vec![Algorithm::Sha256], ..ServerPolicy::default() });
    let password = Secret::new("p");
    let challenge = server.challenges(NOW, [1; 8], false).remove(0);
    let answer = |challenge: &str| {
        answer_challenge(&parse_challenges(challenge), &request("u", &password)).expect("answered")
    };
    let wrong = |header: &str| match verify(&server, header, "p", NOW) {
        Verdict::Wrong(why) => why,
        other => panic!("{header} gave {other:?}"),
    };
    assert_eq!(wrong(&answer(&challenge.replace("SHA-256", "MD5"))), "algorithm not offered");
    assert_eq!(wrong(&answer(&challenge.replace("SHA-256", "MD5-sess"))), "algorithm not offered");
    assert_eq!(wrong(&answer(&challenge.replace("lightkeeper", "other"))), "another realm");
    assert_eq!(wrong(&answer(&challenge.replace(", qop=\"auth\"", ""))), "no quality of protection");
    let good = answer(&challenge);
    assert_eq!(verify(&server, &good, "p", NOW), Verdict::Correct);
    assert_eq!(wrong(&good.replace("uri=\"/\"", "uri=\"\"")), "another path");
    assert_eq!(wrong(&good.replace("uri=\"/\"", "uri=\"/other\"")), "another path");
    assert_eq!(wrong(&good.replace("nc=00000001", "nc=00000002")), "wrong password");
    assert_eq!(wrong(&good.replace("nc=00000001", "nc=00000000")), "no nonce count or no client nonce");
    assert_eq!(wrong(&good.replace("qop=auth", "qop=magic")), "unknown quality of protection");
    assert_eq!(wrong(&good.replace("algorithm=SHA-256", "algorithm=SHA-9")), "unknown algorithm");
    assert_eq!(wrong("Digest username=\"u\""), "algorithm not offered");
    let other_method = server.verify(&digest(&good), &password, "GET", "/", None, NOW);
    assert_eq!(other_method, Verdict::Wrong("wrong password"));
}

#[test]
fn rfc_2069_answers_pass_by_policy_only() {
    let policy = ServerPolicy { allow_rfc2069: true, ..ServerPolicy::default() };
    let server = server(policy);
    let password = Secret::new("p");
    let challenge = server.challenges(NOW, [1; 8], false)[0].replace(", qop=\"auth\"", "");
    let header = answer_challenge(&parse_challenges(&challenge), &request("u", &password)).expect("answered");
    assert_eq!(verify(&server, &header, "p", NOW), Verdict::Correct);
    assert_eq!(digest(&header).nonce_count(), None);
}

#[test]
fn auth_int_binds_the_body() {
    let server = server(ServerPolicy::default());
    let password = Secret::new("p");
    let nonce = server.nonce(NOW, [1; 8]);
    let ha1 = Ha1::new(Algorithm::Md5, "u", "lightkeeper", &password);
    let body_hash = Algorithm::Md5.hash(b"body");
    let response = response(
        &ha1,
        &ResponseInput {
            method: "POST",
            uri: "/",
            nonce: &nonce,
            qop: Some(("00000001", "c", "auth-int")),
            cnonce: "c",
            body_hash: Some(&body_hash),
        },
    );
    let header = digest(&format!(
        "Digest username=\"u\", realm=\"lightkeeper\", nonce=\"{nonce}\", uri=\"/\", qop=auth-int, nc=00000001, \
         cnonce=\"c\", response=\"{response}\""
    ));
    let verify = |body| server.verify(&header, &password, "POST", "/", body, NOW);
    assert_eq!(verify(Some(b"body".as_slice())), Verdict::Correct);
    assert_eq!(verify(Some(b"other".as_slice())), Verdict::Wrong("wrong password"));
    assert_eq!(verify(None), Verdict::Wrong("auth-int without a body to check"));
}

#[test]
fn the_path_is_compared_and_nothing_else_of_the_uri() {
    let server = server(ServerPolicy::default());
    let password = Secret::new("p");
    let challenge = server.challenges(NOW, [1; 8], false).remove(0);
    for (uri, target, fits) in [
        ("/acs", "/acs", true),
        ("http://acs.example:7547/acs", "/acs", true),
        ("http://acs.example", "/", true),
        ("/acs?a=1", "/acs", true),
        ("/acs", "/", false),
        ("//", "/", false),
    ] {
        let request = RequestToAnswer { uri, ..request("u", &password) };
        let header = answer_challenge(&parse_challenges(&challenge), &request).expect("answered");
        let verdict = server.verify(&digest(&header), &password, "POST", target, None, NOW);
        assert_eq!(verdict == Verdict::Correct, fits, "{uri} against {target}: {verdict:?}");
    }
}

#[test]
fn basic_is_read_and_nonsense_is_not() {
    let want = Presented::Basic { username: "u".into(), password: Secret::new("p:q") };
    assert_eq!(parse_authorization("Basic dTpwOnE="), want);
    assert_eq!(parse_authorization("basic  dTpwOnE= "), want);
    for header in ["", "Basic", "Basic !", "Basic dQ==", "Bearer x", "Negotiate", ",,,", "Digest2 a=b"] {
        assert_eq!(parse_authorization(header), Presented::Other, "{header}");
    }
    assert_eq!(basic_challenge("a\"b"), "Basic realm=\"a\\\"b\", charset=\"UTF-8\"");
}

#[test]
fn nothing_secret_is_printed() {
    let password = Secret::new("hunter2");
    let server = server(ServerPolicy::default());
    let challenge = server.challenges(NOW, [1; 8], false).remove(0);
    let header = answer_challenge(&parse_challenges(&challenge), &request("u", &password)).expect("answered");
    let ha1 = Ha1::new(Algorithm::Md5, "u", "lightkeeper", &password);
    let response = digest(&header).response;
    let text = format!(
        "{:?} {:?} {:?} {server:?} {ha1:?}",
        parse_challenges(&header),
        parse_authorization(&header),
        parse_authorization("Basic dTpodW50ZXIy")
    );
    for secret in ["hunter2", ha1.hex.expose(), &response] {
        assert!(!text.contains(secret), "{text}");
    }
}

proptest! {
    #[test]
    fn any_header_is_answered_without_panic(header in "\\PC{0,80}", tail in "[a-z=\", \\\\]{0,40}") {
        for text in [header.clone(), format!("Digest {header}"), format!("Digest {tail}")] {
            let challenges = parse_challenges(&text);
            let password = Secret::new("p");
            let _ = answer_challenge(&challenges, &request("u", &password));
            let _ = parse_authorization(&text);
        }
    }

    #[test]
    fn any_name_and_password_agree(username in "\\PC{1,20}", password in "\\PC{0,20}", nc in 1u32..) {
        let server = server(all_algorithms());
        let secret = Secret::new(password.clone());
        let challenges: Vec<_> =
            server.challenges(NOW, [3; 8], false).iter().flat_map(|header| parse_challenges(header)).collect();
        let request = RequestToAnswer { nonce_count: nc, ..request(&username, &secret) };
        let header = answer_challenge(&challenges, &request).expect("answered");
        let presented = digest(&header);
        prop_assert_eq!(&presented.username, &username);
        prop_assert_eq!(presented.nonce_count(), Some(nc));
        prop_assert_eq!(verify(&server, &header, &password, NOW), Verdict::Correct);
    }
}
