//! The stairgate program: see `stairgate::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stairgate::cli::main()
}
