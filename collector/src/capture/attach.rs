//! Bringing the link programs onto links, and off them.

use std::collections::HashMap;

use aya::Ebpf;
use aya::programs::tc::{NlOptions, SchedClassifierLinkId, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact};
use aya::programs::{LinkOrder, ProgramError, SchedClassifier, TcAttachType};

use super::config::{AttachMode, CaptureConfig};
use super::feature::{Feature, Tier};
use super::hooks::chain;
use super::link::{Observation, Shape, is_wanted, shape};
use super::rtnetlink::LinkMessage;

/// Place of our filters on a clsact: fixed, so that filters left behind by a killed process are found and replaced.
const CLSACT_PRIORITY: u16 = 47_120;
const CLSACT_HANDLE: TcHandle = TcHandle::new(0, 0x5745);

/// Which way into a link is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Tcx,
    Clsact,
}

/// What is attached where.
#[derive(Debug)]
pub(super) struct Attachments {
    way: Way,
    links: HashMap<u32, Vec<(&'static str, SchedClassifierLinkId)>>,
}

impl Attachments {
    /// Finds the way in.
    pub(super) fn new(mode: AttachMode) -> (Self, Feature) {
        const NAME: &str = "attaching that ends with the process (TCX)";
        let has_tcx = SchedClassifier::query_tcx("lo", TcAttachType::Ingress).is_ok();
        let way = if mode == AttachMode::Tcx || (mode == AttachMode::Auto && has_tcx) { Way::Tcx } else { Way::Clsact };
        let feature = match (way, has_tcx) {
            (Way::Tcx, true) => Feature::works(NAME, Tier::Full, "tcx"),
            (Way::Tcx, false) => Feature::fails(NAME, Tier::Full, "this kernel has no TCX; Linux 6.6 has it"),
            (Way::Clsact, true) => Feature::works(NAME, Tier::Full, "not used: attach is set to clsact"),
            (Way::Clsact, false) => Feature::fails(
                NAME,
                Tier::Full,
                "this kernel has no TCX (Linux 6.6 has it): clsact is used, whose filters stay after kill -9 until the \
                 next start",
            ),
        };
        (Self { way, links: HashMap::new() }, feature)
    }

    /// Attaches to a link if it is wanted. Attaching twice is prevented by the caller, who asks once for each link.
    pub(super) fn observe(&mut self, ebpf: &mut Ebpf, config: &CaptureConfig, link: &LinkMessage) -> Observation {
        let Some(shape) = shape(link).filter(|_| is_wanted(link, config)) else { return Observation::NotWanted };
        match self.attach(ebpf, link, shape) {
            Ok(()) => {
                tracing::debug!(link = link.name, ifindex = link.ifindex, "link observed");
                Observation::On
            }
            Err(error) => {
                self.release(ebpf, link.ifindex);
                let why = chain(&error);
                tracing::warn!(link = link.name, ifindex = link.ifindex, error = why, "link cannot be observed");
                Observation::Failed(why)
            }
        }
    }

    fn attach(&mut self, ebpf: &mut Ebpf, link: &LinkMessage, shape: Shape) -> Result<(), ProgramError> {
        let (incoming, outgoing) = match shape {
            Shape::Ethernet => ("link_in", "link_out"),
            Shape::Raw => ("raw_in", "raw_out"),
        };
        if self.way == Way::Clsact {
            match qdisc_add_clsact(&link.name) {
                Ok(()) => {}
                // Another program's, or ours of an earlier run.
                Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for (name, direction) in [(incoming, TcAttachType::Ingress), (outgoing, TcAttachType::Egress)] {
            let Some(program) = ebpf.program_mut(name) else { return Err(ProgramError::NotLoaded) };
            let program: &mut SchedClassifier = program.try_into()?;
            let id = match self.way {
                Way::Tcx => {
                    // First: a later program that answers with a verdict must not hide the packet from us.
                    program.attach_with_options(&link.name, direction, TcAttachOptions::TcxOrder(LinkOrder::first()))?
                }
                Way::Clsact => {
                    detach_leftover(&link.name, direction, name);
                    let options = NlOptions { priority: CLSACT_PRIORITY, handle: CLSACT_HANDLE, classid: None };
                    program.attach_with_options(&link.name, direction, TcAttachOptions::Netlink(options))?
                }
            };
            self.links.entry(link.ifindex).or_default().push((name, id));
        }
        Ok(())
    }

    /// Detaches from a link that is gone or unwanted.
    pub(super) fn release(&mut self, ebpf: &mut Ebpf, ifindex: u32) {
        for (name, id) in self.links.remove(&ifindex).unwrap_or_default() {
            let program = ebpf.program_mut(name).and_then(|program| <&mut SchedClassifier>::try_from(program).ok());
            if let Some(program) = program
                && let Err(error) = program.detach(id)
            {
                // The usual case when the link is gone: the kernel was faster.
                tracing::debug!(ifindex, %error, "link was detached already");
            }
        }
    }

    /// Number of links observed.
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }
}

/// Takes a filter off that a killed process of ours has left.
fn detach_leftover(link: &str, direction: TcAttachType, program: &str) {
    match aya::programs::tc::qdisc_detach_program(link, direction, program) {
        Ok(()) => tracing::info!(link, program, "took a filter off that an earlier run has left"),
        Err(error) => tracing::trace!(link, program, %error, "no filter of an earlier run"),
    }
}
