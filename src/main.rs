//! The stairgate program: see `stairgate::cli`.

fn main() {}
