//! Talking to the relay.

mod failure;
mod fetch;
mod poll;
mod stream;

pub(crate) use failure::Failure;
pub(crate) use fetch::{Abort, get_until};
pub(crate) use poll::{Polled, poll};
pub(crate) use stream::{LostNotice, Stream, StreamState};
