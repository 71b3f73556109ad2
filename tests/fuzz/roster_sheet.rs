//! Any bytes as an uploaded roster, and as each part of an XLSX workbook.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stairgate::roster::sheet::fuzz::roster_sheet(bytes));
