//! Any payload in every dialect.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| stairgate::door::fuzz::swipe_payload(payload));
