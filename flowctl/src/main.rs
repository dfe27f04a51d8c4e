//! The command line client of Weir and of every Hubble server.

use std::process::ExitCode;

fn main() -> ExitCode {
    flowctl::run(std::env::args_os())
}
