//! The vocabulary of Weir: what a flow is, who its endpoints are, what became of it, how to select and how to name it.
//!
//! Everything here is a value or a plain function of values: no I/O, no async, no clock. It builds for wasm32, so the
//! collector, the relay, `flowctl` and the web UI mean the same thing by the same word. Terms and numbers are those of
//! the Hubble API 1.19; what Hubble has no field for is in [`FlowDetails`].

mod details;
mod endpoint;
pub mod filter;
#[path = "flow.rs"]
mod flow_record;
pub mod go_duration;
mod identity;
mod l4;
mod l7;
mod lost;
pub mod pieces;
pub mod text;
mod time;
pub mod view;
mod wire_enum;

pub use details::{FlowDetails, FlowPhase, KernelDrop, Process};
pub use endpoint::{Endpoint, Service, Side, Workload};
pub use filter::FlowFilter;
pub use flow_record::{
    Emitter, Ethernet, EventType, FileInfo, Flow, FlowId, ForeignExtension, Interface, Ip, IpTraceId, MacAddr, Policy,
    Tunnel, event_type,
};
pub use identity::Identity;
pub use l4::{L4, TcpFlags};
pub use l7::{Dns, Http, Kafka, L7, L7Record};
pub use lost::{LossRecord, LossStage, LostEvent};
pub use time::{Clock, FixedClock, ParseTimeError, SystemClock, Timestamp};
pub use wire_enum::{
    AgentEventType, AuthType, DebugCapturePoint, DebugEventType, DropReason, FlowType, IpVersion, L7FlowType,
    LostEventSource, NodeState, SocketTranslationPoint, TraceObservationPoint, TraceReason, TrafficDirection,
    TunnelProtocol, Verdict,
};
