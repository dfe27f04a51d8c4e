//! Sockets that were there before the programs: iterators walk them and send a record for each.

use std::io::{self, Read};

use aya::Ebpf;
use aya::programs::{Iter, ProgramError};

use super::ring::Rings;

/// Iterators in the order they run: the first finds owners, the others sockets that have none.
const ITERATORS: [&str; 3] = ["walk_files", "walk_tcp", "walk_udp"];

/// Bytes asked of an iterator at once. It writes one for each record it sends, so this many records fit the rings
/// before they are emptied again.
const STEP_BYTES: usize = 1_024;

/// Runs the iterators that were loaded; between their steps the rings are emptied into `take`.
pub(super) fn run(ebpf: &mut Ebpf, rings: &mut Rings, take: &mut dyn FnMut(&[u8])) -> usize {
    let mut sockets = 0;
    for name in ITERATORS {
        match walk(ebpf, name, &mut || while rings.drain(take).more {}) {
            Ok(count) => sockets += count,
            // What cannot be walked is told among the features.
            Err(error) => tracing::debug!(iterator = name, %error, "sockets not walked"),
        }
    }
    sockets
}

fn walk(ebpf: &mut Ebpf, name: &str, between: &mut dyn FnMut()) -> Result<usize, ProgramError> {
    let program: &mut Iter = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()?;
    let link = program.attach()?;
    let mut file =
        program.take_link(link)?.into_file().map_err(|error| ProgramError::IOError(io::Error::other(error)))?;
    let mut buffer = [0u8; STEP_BYTES];
    let mut sockets = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => {
                between();
                return Ok(sockets);
            }
            Ok(count) => sockets += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The kernel lets go of the processor between two steps.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        between();
    }
}
