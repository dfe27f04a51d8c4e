//! The only conversions between the vocabulary of `flow` and the wire.
//!
//! They are total: what a peer sends and the vocabulary has no place for (an address that is not one, a port above
//! 65535) is left out field by field and counted, and numbers of newer enumerations pass through unharmed.

mod details;
mod filter;
mod flow_in;
mod flow_out;

use flow::{LossRecord, LossStage, LostEvent, LostEventSource, Timestamp};

pub use details::{details_from_wire, details_to_wire};
pub use filter::{filter_from_wire, filter_to_wire};
pub(crate) use flow_in::tcp_flags;
pub use flow_in::{flow_from_wire, flow_from_wire_counted};
pub(crate) use flow_out::extension_to_wire;
pub use flow_out::flow_to_wire;

/// Whether [`flow::FlowDetails`] travel with a flow, as its `extensions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Details {
    /// To clients that asked for them. They take the place of a foreign extension.
    Send,
    /// To stock clients, which cannot print an extension they do not know.
    Omit,
}

/// Time on the wire.
#[must_use]
pub fn time_to_wire(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = time.parts();
    prost_types::Timestamp { seconds, nanos }
}

/// Time from the wire; times outside of the years 1677 to 2262 saturate.
#[must_use]
pub fn time_from_wire(time: prost_types::Timestamp) -> Timestamp {
    Timestamp::from_parts(time.seconds, time.nanos)
}

/// A time of a request that cannot be. The text is that of Go's library, which Hubble's servers answer with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("proto: timestamp ({fields}) {problem}")]
pub struct TimeError {
    fields: String,
    problem: &'static str,
}

/// A time of a request, checked as Hubble's servers check it.
///
/// # Errors
/// It is before the year 1 or after 9999, or its nanoseconds are none.
pub fn checked_time(time: prost_types::Timestamp) -> Result<Timestamp, TimeError> {
    /// 0001-01-01T00:00:00Z.
    const SECONDS_MIN: i64 = -62_135_596_800;
    /// 9999-12-31T23:59:59Z.
    const SECONDS_MAX: i64 = 253_402_300_799;
    let problem = match time.seconds {
        ..SECONDS_MIN => "before 0001-01-01",
        SECONDS_MIN..=SECONDS_MAX if (0..1_000_000_000).contains(&time.nanos) => return Ok(time_from_wire(time)),
        SECONDS_MIN..=SECONDS_MAX => "has out-of-range nanos",
        _ => "after 9999-12-31",
    };
    let fields = [("seconds", time.seconds), ("nanos", i64::from(time.nanos))];
    let fields = fields.iter().filter(|(_, value)| *value != 0).map(|(name, value)| format!("{name}:{value}"));
    Err(TimeError { fields: fields.collect::<Vec<_>>().join(" "), problem })
}

/// A flow as an answer. As with Hubble, node and time are those of the flow: where a field mask has cleared them, the
/// answer has none either.
#[must_use]
pub fn flow_response(flow: crate::flow::Flow) -> crate::observer::GetFlowsResponse {
    crate::observer::GetFlowsResponse {
        node_name: flow.node_name.clone(),
        time: flow.time,
        response_types: Some(crate::observer::get_flows_response::ResponseTypes::Flow(flow)),
    }
}

/// Lost events on the wire.
#[must_use]
pub fn lost_to_wire(lost: &LostEvent) -> crate::flow::LostEvent {
    crate::flow::LostEvent {
        source: lost.source.0,
        num_events_lost: lost.count,
        cpu: lost.cpu,
        first: lost.first.map(time_to_wire),
        last: lost.last.map(time_to_wire),
    }
}

/// Lost events from the wire.
#[must_use]
pub fn lost_from_wire(lost: &crate::flow::LostEvent) -> LostEvent {
    LostEvent {
        source: LostEventSource(lost.source),
        count: lost.num_events_lost,
        cpu: lost.cpu,
        first: lost.first.map(time_from_wire),
        last: lost.last.map(time_from_wire),
    }
}

/// A line of the loss ledger on its way to the relay.
#[must_use]
pub fn loss_to_wire(loss: &LossRecord) -> crate::weir::Loss {
    crate::weir::Loss {
        window: Some(time_to_wire(loss.window)),
        stage: loss.stage.name().to_owned(),
        cause: loss.cause.clone(),
        seen: loss.seen,
        lost: loss.lost,
    }
}

/// The way back. A stage of a later version becomes the last one before the relay, where all of them lie.
#[must_use]
pub fn loss_from_wire(loss: crate::weir::Loss) -> LossRecord {
    LossRecord {
        window: time_from_wire(loss.window.unwrap_or_default()),
        stage: LossStage::from_name(&loss.stage).unwrap_or(LossStage::Ship),
        cause: loss.cause,
        seen: loss.seen,
        lost: loss.lost,
    }
}
