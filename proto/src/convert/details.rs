//! What Hubble has no field for, packed into `flow.Flow.extensions`.

use std::sync::Arc;

use flow::{FlowDetails, FlowPhase, ForeignExtension, KernelDrop, Process};
use prost::{Message, Name};
use prost_types::Any;

use crate::weir;

/// Details as the message that travels in `extensions`.
#[must_use]
pub fn details_to_wire(details: &FlowDetails) -> weir::FlowDetails {
    weir::FlowDetails {
        phase: details.phase.number(),
        bytes: details.bytes,
        packets: details.packets,
        conversation: details.conversation,
        rtt_us: details.rtt_us,
        retransmits: details.retransmits,
        vlan: u32::from(details.vlan),
        source_process: details.source_process.as_deref().map(process_to_wire),
        destination_process: details.destination_process.as_deref().map(process_to_wire),
        kernel_drop: details.kernel_drop.as_deref().map(|drop| weir::KernelDrop {
            reason: drop.reason.clone(),
            function: drop.function.clone(),
            netns: drop.netns.clone(),
        }),
    }
}

/// Details from the message; a VLAN id above 65535 counts as none.
#[must_use]
pub fn details_from_wire(details: weir::FlowDetails) -> FlowDetails {
    FlowDetails {
        phase: FlowPhase::from_number(details.phase),
        bytes: details.bytes,
        packets: details.packets,
        conversation: details.conversation,
        rtt_us: details.rtt_us,
        retransmits: details.retransmits,
        vlan: u16::try_from(details.vlan).unwrap_or(0),
        source_process: details.source_process.map(process_from_wire),
        destination_process: details.destination_process.map(process_from_wire),
        kernel_drop: details
            .kernel_drop
            .map(|drop| Arc::new(KernelDrop { reason: drop.reason, function: drop.function, netns: drop.netns })),
    }
}

fn process_to_wire(process: &Process) -> weir::Process {
    weir::Process {
        pid: process.pid,
        uid: process.uid,
        comm: process.comm.clone(),
        exe: process.exe.clone(),
        cgroup: process.cgroup.clone(),
        unit: process.unit.clone(),
        netns: process.netns.clone(),
    }
}

fn process_from_wire(process: weir::Process) -> Arc<Process> {
    Arc::new(Process {
        pid: process.pid,
        uid: process.uid,
        comm: process.comm,
        exe: process.exe,
        cgroup: process.cgroup,
        unit: process.unit,
        netns: process.netns,
    })
}

pub(super) fn pack(details: &FlowDetails) -> Any {
    Any { type_url: weir::FlowDetails::type_url(), value: details_to_wire(details).encode_to_vec() }
}

/// What an `extensions` field holds.
pub(super) enum Unpacked {
    Details(Box<FlowDetails>),
    Foreign(Box<ForeignExtension>),
}

/// Details that cannot be decoded are kept as they came, like any other extension.
pub(super) fn unpack(any: Any) -> Unpacked {
    if is_details(&any)
        && let Ok(details) = weir::FlowDetails::decode(any.value.as_slice())
    {
        return Unpacked::Details(Box::new(details_from_wire(details)));
    }
    Unpacked::Foreign(Box::new(ForeignExtension { type_url: any.type_url, value: any.value }))
}

/// The part after the last slash names the message; what stands before it is up to the sender.
fn is_details(any: &Any) -> bool {
    any.type_url.rsplit('/').next() == Some(weir::FlowDetails::full_name().as_str())
}
