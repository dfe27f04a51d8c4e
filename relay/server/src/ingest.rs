//! What comes in: batches pushed by collectors, streams pulled from Hubble observers, one queue into the index.

mod decode;
mod door;
mod flight;
mod header;
mod messages;
mod peer;
mod tally;
mod upkeep;
mod writer;

pub(crate) use door::FlightDoor;
pub(crate) use flight::FlightIngest;
pub(crate) use peer::open_peers;
pub(crate) use upkeep::keep_up;
pub(crate) use writer::{Ingest, Queue, write};
use writer::{Job, Rejected, record_losses};
