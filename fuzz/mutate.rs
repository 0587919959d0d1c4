//! Inputs for the fuzz functions of the crates: what we and others recorded, changed at random. Included by each
//! `tests/fuzz.rs` by its path, so that a pure crate needs no other crate for it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    time::{Duration, Instant},
};

/// Rounds of an ordinary test run; `cargo xtask fuzz` goes by the clock instead.
const ROUNDS: u64 = 3_000;
/// The longest input that is made; longer ones are the business of the limits' own tests.
const MAX_BYTES: usize = 64 << 10;
/// A round that takes longer is a finding too. No recorded message needs a hundredth of it, even in a debug build.
const SLOW: Duration = Duration::from_secs(5);

/// Numbers by chance, the same ones for the same seed (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 if there is nothing below it.
    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }
}

/// One input: something from the corpus, a little or a lot changed.
pub(crate) fn mutated(corpus: &[Vec<u8>], words: &[&str], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = corpus.get(chance.below(corpus.len())).cloned().unwrap_or_default();
    for _ in 0..=chance.below(8) {
        let at = chance.below(bytes.len() + 1);
        let length = chance.below(1 + chance.0 as usize % 64).min(bytes.len() - at);
        match chance.below(8) {
            0 if at < bytes.len() => bytes[at] = chance.next() as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            2 => drop(bytes.drain(at..at + length)),
            3 => bytes.truncate(at),
            4 => {
                let part = bytes[at..at + length].to_vec();
                let times = 1 + chance.below(20);
                bytes.splice(at..at, part.repeat(times));
            }
            5 => {
                let word = words.get(chance.below(words.len())).copied().unwrap_or_default();
                bytes.splice(at..at + length.min(4), word.bytes());
            }
            6 => {
                // The beginning of one and the end of another.
                let other = corpus.get(chance.below(corpus.len())).map(Vec::as_slice).unwrap_or_default();
                let from = chance.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let noise: Vec<u8> = (0..length).map(|_| chance.next() as u8).collect();
                bytes.splice(at..at, noise);
            }
        }
        bytes.truncate(MAX_BYTES);
    }
    bytes
}

/// Every file below a folder of `LIGHTKEEPER_CORPUS`, if that is set: read in place, never copied.
pub(crate) fn recorded(folder: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    if let Some(corpus) = std::env::var_os("LIGHTKEEPER_CORPUS") {
        gather(&Path::new(&corpus).join(folder), &mut found);
    }
    found
}

/// Every file below a folder.
pub(crate) fn gather(folder: &Path, found: &mut Vec<Vec<u8>>) {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            gather(&path, found);
        } else if let Ok(mut bytes) = std::fs::read(&path) {
            bytes.truncate(MAX_BYTES);
            found.push(bytes);
        }
    }
}

/// Feeds one function for `LIGHTKEEPER_FUZZ_MINUTES`, or a fixed number of rounds. Each round has a seed of its own,
/// counted from `LIGHTKEEPER_FUZZ_SEED`; what fails is told with it, and with the input.
pub(crate) fn drive(name: &str, corpus: &[Vec<u8>], words: &[&str], target: fn(&[u8])) {
    assert!(!corpus.is_empty(), "{name}: nothing to begin with");
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let minutes = number("LIGHTKEEPER_FUZZ_MINUTES");
    let first = number("LIGHTKEEPER_FUZZ_SEED").unwrap_or(1);
    let begun = Instant::now();
    let mut round = 0;
    loop {
        let done = match minutes {
            Some(minutes) => begun.elapsed() >= Duration::from_secs(minutes * 60),
            None => round >= ROUNDS,
        };
        if done {
            println!("{name}: {round} inputs from seed {first} on, nothing found");
            return;
        }
        let seed = first.wrapping_add(round);
        let input = mutated(corpus, words, &mut Chance::new(seed));
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| target(&input)));
        let told = || {
            format!(
                "{name}: LIGHTKEEPER_FUZZ_SEED={seed}, {} bytes: \"{}\"",
                input.len(),
                input.escape_ascii()
            )
        };
        if let Err(panic) = result {
            println!("{}", told());
            resume_unwind(panic);
        }
        assert!(started.elapsed() < SLOW, "{} took {:?}", told(), started.elapsed());
        round += 1;
    }
}
