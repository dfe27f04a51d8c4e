//! The text forms of a flow that people and stock clients read.

use std::borrow::Cow;

pub use crate::Side;
use crate::{DropReason, Flow, Identity};

/// Whether addresses are shown by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Pod, service, DNS name, else the address.
    #[default]
    Resolved,
    /// The address only.
    Numeric,
}

/// Name of one side, with its port. Its text form is `name:port`, with IPv6 addresses in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// `namespace/pod`, `namespace/service`, DNS names joined by commas, address, or MAC address.
    pub host: Cow<'a, str>,
    /// Port, 0 for none.
    pub port: u16,
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            0 => f.write_str(&self.host),
            port if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

/// Text that observers write into [`Flow::summary`], such as `TCP Flags: SYN, ACK`.
#[must_use]
pub fn summary(flow: &Flow) -> String {
    flow.summary.clone()
}

/// Type of a flow as compact output shows it, such as `to-endpoint`, `http-request` or the reason of a drop.
#[must_use]
pub fn kind(flow: &Flow) -> Cow<'static, str> {
    let _ = flow;
    Cow::Borrowed("UNKNOWN")
}

/// Name of one side as compact output shows it.
#[must_use]
pub fn name_of(flow: &Flow, side: Side, names: Names) -> Name<'_> {
    let _ = (flow, side, names);
    Name { host: Cow::Borrowed(""), port: 0 }
}

/// Identity of one side as compact output shows it: `world`, or `ID:12345`.
#[must_use]
pub fn identity(identity: Identity) -> Cow<'static, str> {
    match identity.reserved_name() {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("ID:{}", identity.0)),
    }
}

/// Verdict as compact output shows it: the enum's name, or for policy verdicts `ALLOWED`, `DENIED`, `AUDITED`.
#[must_use]
pub fn verdict(flow: &Flow) -> Cow<'static, str> {
    flow.verdict.name().map_or_else(|| Cow::Owned(flow.verdict.0.to_string()), Cow::Borrowed)
}

/// Reason of a drop in words, such as `Policy denied`.
#[must_use]
pub fn drop_reason_text(reason: DropReason) -> Cow<'static, str> {
    reason.name().map_or_else(|| Cow::Owned(reason.0.to_string()), Cow::Borrowed)
}

/// What a drop reason (the kernel's name, or Hubble's) means and what to check, in plain words; empty where there is
/// nothing to say.
#[must_use]
pub fn explain_drop(reason: &str) -> &'static str {
    let _ = reason;
    ""
}
