//! `lightkeeper check --http`, as a container's health check calls it.

use std::{net::TcpListener, process::Command};

/// Whether it is healthy, and what was said.
fn check(roles: &str, web: &str, acs: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
        .args(["check", "--http"])
        .env_clear()
        .env("LIGHTKEEPER_ROLES", roles)
        .env("LIGHTKEEPER_WEB_LISTEN", web)
        .env("LIGHTKEEPER_ACS_LISTEN", acs)
        .output()
        .expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// An address where nobody listens: it was had, and is given back.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn a_node_without_pages_is_not_asked_for_pages() {
    let nobody = closed();
    let (healthy, said) = check("work,poll", &nobody, &nobody);
    assert!(healthy && said.contains("work, poll"), "{said}");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let acs = listener.local_addr().expect("an address");
    let (healthy, said) = check("acs", &nobody, &format!("0.0.0.0:{}", acs.port()));
    assert!(healthy && said.contains("its ACS answers"), "{said}");
    let (healthy, said) = check("acs,work", &nobody, &nobody);
    assert!(!healthy && said.contains(&nobody), "{said}");
}

#[test]
fn a_node_with_pages_that_does_not_serve_them_is_not_healthy() {
    let nobody = closed();
    let (healthy, said) = check("web,work", &nobody, &nobody);
    assert!(!healthy && said.contains(&nobody), "{said}");
}
