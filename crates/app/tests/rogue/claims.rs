//! What moves a device of ours, and what lets one in: an OLT's word, an operator's, its own proof, and nothing else.

use super::network::*;
use app::{
    AppError,
    ports::{AuthLevel, CpeFrontDoor},
};
use provisioning::ParamValue;
use types::ServiceId;

#[tokio::test]
async fn whoever_waits_for_an_operators_claim_is_not_let_in_by_it() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    // Nobody but an operator can say which device this is.
    let facts = || inform("00259E", "E48D8C112233", "2 PERIODIC");
    let (row, asked) = network.spoken_to(facts(), stranger(HOME)).await;
    let cpe = row.filter(|_| !asked).expect("kept in quarantine");
    // What fails vouches for nobody.
    let nowhere = network.app.claim_cpe(&operator(), cpe, ServiceId(4711), None).await;
    assert!(matches!(nowhere, Err(AppError::NotFound { .. })), "{nowhere:?}");
    network.claim(cpe, service, HOME).await.expect("claimed");
    for address in [ELSEWHERE, "198.51.100.9"] {
        for _ in 0..3 {
            assert_eq!(network.spoken_to(facts(), stranger(address)).await, (None, false), "{address}");
        }
    }
    assert!(network.spoken_to(facts(), stranger(HOME)).await.1, "where the operator saw it");
}

#[tokio::test]
async fn a_device_of_ours_is_not_moved_by_whoever_says_its_name() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    network.online(service, serial(), 1).await;
    let says = |code: &str, address: &str| {
        let mut facts = inform("00259E", &serial().hex16(), code);
        let path = "InternetGatewayDevice.ManagementServer.ConnectionRequestURL".to_owned();
        let value = format!("http://{address}:7547/");
        facts.parameters.push(ParamValue { path, value, kind: Default::default() });
        facts.parameters.push(leaf("HardwareVersion", &format!("of {address}")));
        facts
    };
    let (cpe, asked) = network.spoken_to(says("0 BOOTSTRAP", HOME), stranger(HOME)).await;
    let cpe = cpe.filter(|_| asked).expect("the first contact is spoken to");
    let before = network.cpe(cpe).await;
    assert_eq!(before.connection_request_url.as_deref(), Some("http://127.20.0.10:7547/"));
    // It has no secret yet, and its OLT cannot say at which address it is, or has it offline: both say nothing of somebody
    // else in the management network, whatever credentials everybody has.
    let cannot_tell =
        || serde_json::json!({ "read_at": network.app.now(), "cannot_tell": "it is an old one" });
    for gone in [false, true] {
        if gone {
            network.gone(serial()).await;
        }
        for code in ["2 PERIODIC", "0 BOOTSTRAP", "1 BOOT"] {
            for level in [AuthLevel::Anonymous, AuthLevel::Bootstrap] {
                let lie = says(code, ELSEWHERE);
                let answer = network.spoken_to(lie, peer(ELSEWHERE, level, None)).await;
                assert_eq!(answer, (None, false), "{code} {level:?} {gone}");
            }
        }
        assert_eq!(network.cpe(cpe).await, before, "neither address nor URL nor what it is");
    }
    // What was said is a fact of its own, with its time and where it came from.
    let kept = network.app.claimants_of(cpe).await.expect("reads");
    let kept: Vec<_> = kept.iter().map(|one| (&*one.address, &*one.url, one.first_at)).collect();
    assert_eq!(kept, [(ELSEWHERE, "http://127.20.0.66:7547/", network.app.now())]);
    assert_eq!(network.lines(cpe, "identity_moved").await, 1, "told once");
    // The device itself goes on from where it is known.
    network.says(serial(), cannot_tell()).await;
    assert_eq!(network.spoken_to(says("2 PERIODIC", HOME), stranger(HOME)).await, (Some(cpe), true));

    // A lease may change: by the OLT's word for the new address it is in at once,
    let moved = "127.20.0.12";
    network.has(serial(), &[moved]).await;
    assert_eq!(network.spoken_to(says("2 PERIODIC", moved), stranger(moved)).await, (Some(cpe), true));
    assert_eq!(network.cpe(cpe).await.peer_address, moved);
    // where the OLT cannot tell addresses when nobody has spoken from the old one for long,
    network.says(serial(), cannot_tell()).await;
    let again = "127.20.0.13";
    assert_eq!(network.spoken_to(says("2 PERIODIC", again), stranger(again)).await, (None, false));
    network.clock.advance(std::time::Duration::from_secs(2 * (900 + 90) + 1));
    network.says(serial(), cannot_tell()).await;
    assert_eq!(network.spoken_to(says("2 PERIODIC", again), stranger(again)).await, (Some(cpe), true));
    // by an operator's claim,
    let claimed = "127.20.0.14";
    assert_eq!(network.spoken_to(says("2 PERIODIC", claimed), stranger(claimed)).await, (None, false));
    network.claim(cpe, service, claimed).await.expect("claimed");
    assert_eq!(network.spoken_to(says("2 PERIODIC", claimed), stranger(claimed)).await, (Some(cpe), true));
    // and by its own secret.
    let proved = peer("127.20.0.15", AuthLevel::Own, Some(cpe));
    assert!(network.spoken_to(says("2 PERIODIC", "127.20.0.15"), proved).await.0.is_some());
    let row = network.cpe(cpe).await;
    assert_eq!(row.peer_address, "127.20.0.15");
    assert_eq!(row.connection_request_url.as_deref(), Some("http://127.20.0.15:7547/"));
}

#[tokio::test]
async fn a_claim_is_of_the_device_that_was_shown() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    let facts = || inform("00259E", "E48D8C112233", "2 PERIODIC");
    let cpe = network.spoken_to(facts(), stranger(HOME)).await.0.expect("kept in quarantine");
    // Somebody else says the same before the operator has looked up the service.
    network.spoken_to(facts(), stranger(ELSEWHERE)).await;
    let before = network.cpe(cpe).await;
    let refused = network.claim(cpe, service, HOME).await.expect_err("it is another one now");
    assert!(matches!(refused, AppError::Conflict(_)), "{refused:?}");
    let said = refused.to_string();
    assert!(said.contains(HOME) && said.contains(ELSEWHERE), "both are named: {said}");
    assert_eq!((network.cpe(cpe).await, network.cpe_of(service).await), (before, None));
}

#[tokio::test]
async fn where_an_operator_says_it_is_it_is_and_not_where_it_was_heard_before() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    let facts = || inform("00259E", "E48D8C112233", "2 PERIODIC");
    let cpe = network.spoken_to(facts(), stranger(HOME)).await.0.expect("kept in quarantine");
    // The real one is outside, by TLS; whoever spoke first inside is not moved by it, and both are kept.
    let outside = "198.51.100.9";
    network.spoken_to(facts(), stranger(outside)).await;
    assert_eq!(network.cpe(cpe).await.peer_address, HOME);
    let kept = network.app.claimants_of(cpe).await.expect("reads");
    let kept: Vec<_> = kept.iter().map(|one| (one.address.as_str(), one.first_at, one.last_at)).collect();
    assert_eq!(kept, [(outside, network.app.now(), network.app.now())]);
    network.claim(cpe, service, outside).await.expect("claimed");
    for _ in 0..3 {
        assert_eq!(network.spoken_to(facts(), stranger(HOME)).await, (None, false), "it is the other one");
    }
    assert!(network.spoken_to(facts(), stranger(outside)).await.1);
    assert_eq!(network.cpe(cpe).await.peer_address, outside);
    assert_eq!(network.spoken_to(facts(), stranger(HOME)).await, (None, false));
}

#[tokio::test]
async fn a_certificate_is_proof_of_its_device_and_gives_it_no_service() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    let by_certificate = |address: &str| peer(address, AuthLevel::Own, None);
    // A device that nobody knows has proved its name and nothing else: it is told nothing, and belongs to nobody.
    let unknown = inform("00259E", "E48D8C112233", "0 BOOTSTRAP");
    let (row, asked) = network.spoken_to(unknown, by_certificate(HOME)).await;
    let row = network.cpe(row.expect("kept in quarantine")).await;
    assert!(!asked && row.quarantine && row.service_id.is_none());
    // One of ours is believed by it wherever it is, without a secret and after a reset as well,
    network.online(service, serial(), 1).await;
    let cpe = network.owned(service).await;
    let reset = || inform("00259E", &serial().hex16(), "0 BOOTSTRAP");
    assert_eq!(network.spoken_to(reset(), stranger(ELSEWHERE)).await, (None, false));
    assert_eq!(network.spoken_to(reset(), by_certificate(ELSEWHERE)).await, (Some(cpe), true));
    assert_eq!(network.cpe(cpe).await.peer_address, ELSEWHERE);
    // and beside it nobody else's secret is.
    let other = network.spoken_to(reset(), peer(ELSEWHERE, AuthLevel::Own, Some(row.id))).await;
    assert_eq!(other, (None, false));
    // Whoever shows another's is told of where people look, in bounds.
    let before = network.cpe(cpe).await;
    let names = vec!["00259E-E48D8C112233".to_owned(), "x\u{1b}[2J\n".repeat(90)];
    for _ in 0..3 {
        let from = ELSEWHERE.parse().expect("an address");
        network.app.anothers_certificate(reset(), &names, from).await;
    }
    let told = network.history(service, "identity_certificate").await;
    assert_eq!(told.len(), 1, "{told:?}");
    let told = &told[0];
    assert!(told.contains("00259E-E48D8C112233") && told.contains(ELSEWHERE), "{told}");
    assert!(told.len() < 600 && !told.contains(char::is_control), "{told}");
    assert_eq!(network.cpe(cpe).await, before);
}
