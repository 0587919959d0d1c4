//! What the tests of the binary share.

pub(crate) mod demo;

/// A port that stays free until the test takes it: nobody who connects somewhere is handed one from there.
pub(crate) fn free_port() -> u16 {
    use rand::Rng;
    let mut chance = rand::rng();
    (0..500)
        .map(|_| chance.random_range(10_000..20_000))
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port between 10000 and 20000")
}
