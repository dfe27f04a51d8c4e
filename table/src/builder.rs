//! Flows in, record batches out.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, FixedSizeBinaryArray, Int16Array, Int32Array,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::record_batch::RecordBatch;
use flow::pieces::DetailsPieces;
use flow::{Ethernet, Flow, FlowDetails, FlowId, L4, MacAddr, Timestamp};

use crate::schema::{Col, DESTINATION, SOURCE};
use crate::{MAX_BATCH_ROWS, json, zeros};

mod application;
mod common;
mod facts;
mod group;
mod memory;
mod observer;
mod output;
mod pieces;
mod policies;
mod side;

use application::Application;
pub(crate) use facts::phase_name;
use facts::{Facts, L7Facts};
pub(crate) use group::Keys;
use group::{Group, Shared};
use observer::Observer;
pub(crate) use output::Output;
use pieces::Memories;
pub use pieces::{PiecesRefused, Understood};
use policies::Policies;
use side::{Side, SideOf};

/// Gathers flows into a record batch of the flow table, at most [`MAX_BATCH_ROWS`] of them.
///
/// Each distinct endpoint, name, URL and so on is kept once; a row costs some twenty small lookups and no allocation
/// where its values were seen before.
#[derive(Debug, Default)]
pub struct FlowBatchBuilder {
    time: Vec<i64>,
    time_ns: Vec<i16>,
    uuid: Vec<u8>,
    uuid_present: Flags,
    is_reply: Flags,
    is_reply_known: Flags,
    encrypted: Flags,
    source_port: Vec<i32>,
    destination_port: Vec<i32>,
    id_text: Group<Box<str>>,
    observer: Observer,
    facts: Group<Facts>,
    eth_src: Group<Option<MacAddr>>,
    eth_dst: Group<Option<MacAddr>>,
    ip_xlated: Group<Option<IpAddr>>,
    l4_extra: Group<Box<str>>,
    tunnel: Group<Box<str>>,
    source: Side,
    destination: Side,
    interface: Group<Option<flow::Interface>>,
    file: Shared<flow::FileInfo>,
    application: Application,
    trace_id: Group<Box<str>>,
    ip_trace_id: Group<Option<flow::IpTraceId>>,
    policies: Policies,
    aggregate: Group<Option<[u32; 3]>>,
    summary: Group<Box<str>>,
    numbers: Numbers,
    kernel_drop: Shared<flow::KernelDrop>,
    extension: Group<Option<flow::ForeignExtension>>,
    /// Made with the first flow that comes in pieces.
    memories: Option<Box<Memories>>,
    /// Number of the batch under construction.
    batch: u64,
}

/// The batch has as many rows as one can have: finish it and begin the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch is full at {MAX_BATCH_ROWS} rows")]
pub struct BatchFull;

/// Numbers that are groups of their own.
#[derive(Debug, Default)]
struct Numbers {
    socket_cookie: Group<i64>,
    cgroup_id: Group<i64>,
    bytes: Group<i64>,
    packets: Group<i64>,
    conversation: Group<i64>,
    rtt_us: Group<i64>,
    retransmits: Group<i64>,
}

/// Truth values under construction.
#[derive(Debug)]
struct Flags(BooleanBufferBuilder);

impl Default for Flags {
    fn default() -> Self {
        Self(BooleanBufferBuilder::new(0))
    }
}

impl Flags {
    fn push(&mut self, value: bool) {
        self.0.append(value);
    }

    fn finish(&mut self) -> BooleanBuffer {
        self.0.finish()
    }
}

impl FlowBatchBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Rows added since the last batch.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether no row was added since the last batch.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`FlowBatchBuilder::push`] would fail.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len() >= MAX_BATCH_ROWS
    }

    /// Adds one flow.
    ///
    /// # Errors
    /// The batch is full; the flow was not added.
    pub fn push(&mut self, flow: &Flow) -> Result<(), BatchFull> {
        if self.is_full() {
            return Err(BatchFull);
        }
        self.push_time(flow.time);
        match &flow.id {
            FlowId::None => self.push_id(None, ""),
            FlowId::Uuid(bytes) => self.push_id(Some(bytes), ""),
            FlowId::Text(text) => self.push_id(None, text),
        }
        let common = self.common(flow);
        self.push_common(&common);
        let observer = self.observer.key(flow);
        self.observer.push_key(observer);
        self.interface.push(&flow.interface, |entry| *entry == flow.interface, || flow.interface.clone());
        self.trace_id.push_text(&flow.trace_id);
        let l7 = flow.l7.as_deref();
        let (phase, vlan) = flow.details.as_deref().map_or((None, 0), |d| (Some(d.phase), d.vlan));
        let facts = common.facts.with_l4(flow.l4.as_ref()).with_l7(L7Facts::of(l7)).with_details(phase, vlan);
        self.facts.push_value(facts);
        self.push_headers(flow);
        self.source.push(SideOf::source(flow));
        self.destination.push(SideOf::destination(flow));
        let application = self.application.keys(l7);
        self.application.push(l7.map_or(0, |l7| l7.latency_ns), application);
        self.summary.push_text(&flow.summary);
        self.push_details(flow.details.as_deref());
        self.numbers.socket_cookie.push_value(flow.socket_cookie.cast_signed());
        self.numbers.cgroup_id.push_value(flow.cgroup_id.cast_signed());
        let extension = flow.extension.as_deref();
        self.extension.push(
            &extension.map(|e| (&e.type_url, &e.value)),
            |entry| entry.as_ref() == extension,
            || extension.cloned(),
        );
        Ok(())
    }
}

impl FlowBatchBuilder {
    fn push_time(&mut self, Timestamp(nanos): Timestamp) {
        self.time.push(nanos.div_euclid(1_000));
        self.time_ns.push(i16::try_from(nanos.rem_euclid(1_000)).expect("below a thousand"));
    }

    fn push_id(&mut self, uuid: Option<&[u8; 16]>, text: &str) {
        self.uuid_present.push(uuid.is_some());
        self.uuid.extend_from_slice(uuid.unwrap_or(&[0; 16]));
        self.id_text.push_text(text);
    }

    fn push_headers(&mut self, flow: &Flow) {
        self.push_ethernet(flow.ethernet);
        let ip = flow.ip.as_ref();
        self.encrypted.push(ip.is_some_and(|ip| ip.encrypted));
        self.ip_xlated.push_value(ip.and_then(|ip| ip.source_xlated));
        self.push_l4(flow.l4.as_ref());
    }

    fn push_ethernet(&mut self, header: Option<Ethernet>) {
        self.eth_src.push_value(header.map(|header| header.source));
        self.eth_dst.push_value(header.map(|header| header.destination));
    }

    fn push_l4(&mut self, l4: Option<&L4>) {
        let (source, destination) = l4.and_then(L4::ports).unwrap_or_default();
        self.source_port.push(source.into());
        self.destination_port.push(destination.into());
        self.l4_extra.push_text(&json::write_l4_extra(l4));
    }

    fn push_details(&mut self, details: Option<&FlowDetails>) {
        self.push_numbers(&details.map_or_else(DetailsPieces::default, |d| DetailsPieces {
            bytes: d.bytes,
            packets: d.packets,
            conversation: d.conversation,
            rtt_us: d.rtt_us,
            retransmits: d.retransmits,
            ..DetailsPieces::default()
        }));
        self.kernel_drop.push(details.and_then(|d| d.kernel_drop.as_ref()));
    }

    fn push_numbers(&mut self, details: &DetailsPieces<'_>) {
        let numbers = &mut self.numbers;
        numbers.bytes.push_value(details.bytes.cast_signed());
        numbers.packets.push_value(details.packets.cast_signed());
        numbers.conversation.push_value(details.conversation.cast_signed());
        numbers.rtt_us.push_value(details.rtt_us.into());
        numbers.retransmits.push_value(details.retransmits.into());
    }

    /// Gives the rows as a batch of [`crate::schema()`] and starts over with none; memory is kept for the next batch.
    pub fn finish(&mut self) -> RecordBatch {
        let mut output = Output::new(self.len());
        self.write_plain(&mut output);
        self.observer.write(&mut output);
        let keys = output.keys(self.facts.keys());
        facts::write(&mut output, &keys, self.facts.entries());
        self.write_headers(&mut output);
        self.source.write(&mut output, &SOURCE);
        self.destination.write(&mut output, &DESTINATION);
        self.application.write(&mut output);
        self.policies.write(&mut output);
        self.numbers.write(&mut output);
        self.write_rare(&mut output);
        self.clear();
        output.finish()
    }

    fn write_plain(&mut self, output: &mut Output) {
        let rows = self.len();
        let time = TimestampMicrosecondArray::from(std::mem::take(&mut self.time)).with_timezone("UTC");
        output.plain(Col::Time, Arc::new(time));
        output.plain(Col::TimeNs, Arc::new(Int16Array::from(std::mem::take(&mut self.time_ns))));
        let uuid = Buffer::from_vec(std::mem::take(&mut self.uuid));
        let present = NullBuffer::new(self.uuid_present.finish());
        let uuid = FixedSizeBinaryArray::new(16, uuid, Some(present).filter(|nulls| nulls.null_count() > 0));
        output.plain(Col::Uuid, Arc::new(uuid));
        let known = NullBuffer::new(self.is_reply_known.finish());
        let known = Some(known).filter(|nulls| nulls.null_count() > 0);
        output.plain(Col::IsReply, Arc::new(BooleanArray::new(self.is_reply.finish(), known)));
        output.plain(Col::Encrypted, Arc::new(BooleanArray::new(self.encrypted.finish(), None)));
        output.plain(Col::SrcPort, ports(&mut self.source_port, rows));
        output.plain(Col::DstPort, ports(&mut self.destination_port, rows));
    }

    fn write_headers(&self, output: &mut Output) {
        let keys = output.keys(self.id_text.keys());
        output.text(Col::IdText, &keys, self.id_text.entries());
        let text = |address: &Option<MacAddr>| address.map(|address| address.to_string());
        let keys = output.keys(self.eth_src.keys());
        output.text_or_null(Col::EthSrc, &keys, self.eth_src.entries().iter().map(text));
        let keys = output.keys(self.eth_dst.keys());
        output.text(Col::EthDst, &keys, self.eth_dst.entries().iter().map(|e| text(e).unwrap_or_default()));
        let keys = output.keys(self.ip_xlated.keys());
        let xlated = |ip: &Option<IpAddr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
        output.text(Col::IpSrcXlated, &keys, self.ip_xlated.entries().iter().map(xlated));
        let keys = output.keys(self.l4_extra.keys());
        output.text(Col::L4Extra, &keys, self.l4_extra.entries());
        let keys = output.keys(self.tunnel.keys());
        output.text(Col::Tunnel, &keys, self.tunnel.entries());
        let keys = output.keys(self.interface.keys());
        let entries = self.interface.entries();
        output.text_or_null(Col::Interface, &keys, entries.iter().map(|e| e.as_ref().map(|e| &*e.name)));
        output.number(Col::InterfaceIndex, &keys, entries.iter().map(|e| e.as_ref().map_or(0, |e| e.index.into())));
    }

    fn write_rare(&self, output: &mut Output) {
        let keys = output.keys(self.file.keys());
        let entries = self.file.entries();
        output.text_or_null(Col::FileName, &keys, entries.iter().map(|e| e.as_ref().map(|e| &e.name)));
        output.number(Col::FileLine, &keys, entries.iter().map(|e| e.as_ref().map_or(0, |e| e.line.into())));
        let keys = output.keys(self.trace_id.keys());
        output.text(Col::TraceId, &keys, self.trace_id.entries());
        let keys = output.keys(self.ip_trace_id.keys());
        let entries = self.ip_trace_id.entries();
        output.number_or_null(Col::IpTraceId, &keys, entries.iter().map(|e| e.map(|e| e.trace_id.cast_signed())));
        output.number(Col::IpTraceOption, &keys, entries.iter().map(|e| e.map_or(0, |e| e.option_type.into())));
        let keys = output.keys(self.aggregate.keys());
        let entries = self.aggregate.entries();
        output.number_or_null(Col::AggregateIngress, &keys, entries.iter().map(|e| e.map(|e| e[0].into())));
        output.number(Col::AggregateEgress, &keys, entries.iter().map(|e| e.map_or(0, |e| e[1].into())));
        output.number(Col::AggregateUnknown, &keys, entries.iter().map(|e| e.map_or(0, |e| e[2].into())));
        let keys = output.keys(self.summary.keys());
        output.text(Col::Summary, &keys, self.summary.entries());
        let keys = output.keys(self.kernel_drop.keys());
        let entries = self.kernel_drop.entries();
        output.text_or_null(Col::KernelDropReason, &keys, entries.iter().map(|e| e.as_ref().map(|e| &e.reason)));
        let text = |of: fn(&flow::KernelDrop) -> &str| entries.iter().map(move |e| e.as_deref().map_or("", of));
        output.text(Col::KernelDropFunction, &keys, text(|d| &d.function));
        output.text(Col::KernelDropNetns, &keys, text(|d| &d.netns));
        let keys = output.keys(self.extension.keys());
        let entries = self.extension.entries();
        output.text_or_null(Col::ExtensionType, &keys, entries.iter().map(|e| e.as_ref().map(|e| &e.type_url)));
        let value = |e: &Option<flow::ForeignExtension>| e.as_ref().map(|e| hex(&e.value)).unwrap_or_default();
        output.text(Col::ExtensionValue, &keys, entries.iter().map(value));
    }

    fn clear(&mut self) {
        self.batch += 1;
        self.id_text.clear();
        self.observer.clear();
        self.facts.clear();
        self.eth_src.clear();
        self.eth_dst.clear();
        self.ip_xlated.clear();
        self.l4_extra.clear();
        self.tunnel.clear();
        self.source.clear();
        self.destination.clear();
        self.interface.clear();
        self.file.clear();
        self.application.clear();
        self.trace_id.clear();
        self.ip_trace_id.clear();
        self.policies.clear();
        self.aggregate.clear();
        self.summary.clear();
        self.numbers.clear();
        self.kernel_drop.clear();
        self.extension.clear();
    }
}

impl Numbers {
    fn columns(&mut self) -> [(Col, &mut Group<i64>); 7] {
        [
            (Col::SocketCookie, &mut self.socket_cookie),
            (Col::CgroupId, &mut self.cgroup_id),
            (Col::Bytes, &mut self.bytes),
            (Col::Packets, &mut self.packets),
            (Col::Conversation, &mut self.conversation),
            (Col::RttUs, &mut self.rtt_us),
            (Col::Retransmits, &mut self.retransmits),
        ]
    }

    fn write(&mut self, output: &mut Output) {
        for (col, group) in self.columns() {
            let keys = output.keys(group.keys());
            output.number(col, &keys, group.entries().iter().copied());
        }
    }

    fn clear(&mut self) {
        for (_, group) in self.columns() {
            group.clear();
        }
    }
}

fn ports(ports: &mut Vec<i32>, rows: usize) -> ArrayRef {
    let ports = std::mem::take(ports);
    let all_zero = ports.iter().all(|port| *port == 0);
    Arc::new(if all_zero { Int32Array::new(zeros::integers(rows), None) } else { Int32Array::from(ports) })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing into a string cannot fail");
    }
    text
}
