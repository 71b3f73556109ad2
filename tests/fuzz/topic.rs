//! Any topic, also as a filter and as a prefix.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|topic: &[u8]| stairgate::door::fuzz::topic(topic));
