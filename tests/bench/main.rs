//! The benches of the whole gateway: each runs the real program beside simulated neighbours and prints
//! what it measured. `cargo bench --bench gateway -- NAME NUMBERS`; without a name all, one after another.
//! README.md beside this file has the last numbers and how they came about.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a bench stops where its machine or the gateway does not do as it should"
)]

mod clips;
mod common;
mod load;
mod sim_cameras;
mod store;
mod streams;
mod swipes;

/// Measures, with the numbers that were asked for, and prints.
type Bench = fn(&[u64]);

/// Every bench by its name, in the order of a run of all.
const BENCHES: [(&str, Bench); 6] = [
    ("streams", streams::run),
    ("swipes", swipes::run),
    ("clips", clips::run),
    ("store", store::run),
    ("load", load::run),
    ("sim_cameras", sim_cameras::run),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().map(String::as_str) == Some(streams::BARE_READER) {
        return streams::bare_reader(&words);
    }
    let numbers: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let named = |(name, _): &&(&str, Bench)| words.iter().any(|word| word == name);
    let chosen: Vec<_> = BENCHES.iter().filter(named).collect();
    let chosen = if chosen.is_empty() {
        BENCHES.iter().collect()
    } else {
        chosen
    };
    for (name, run) in chosen {
        println!("\n== {name}");
        run(&numbers);
    }
}
