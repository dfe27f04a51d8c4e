//! Rows of flows that are still encoded.

use std::net::IpAddr;
use std::sync::Arc;

use flow::pieces::{DecodePieces, FlowPieces, L7Pieces};
use flow::{Endpoint, Flow, Interface, KernelDrop, L7, Process, Service};

use super::application::ApplicationKeys;
use super::common::Common;
use super::facts::L7Facts;
use super::memory::Memory;
use super::side::Side;
use super::{BatchFull, FlowBatchBuilder};

/// What is remembered of encoded pieces, from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Memories {
    common: Memory<Box<Flow>, Common>,
    observer: Memory<Box<Flow>, u16>,
    sides: [SideMemories; 2],
    interface: Memory<Interface, u16>,
    l7: Memory<Box<L7>, (ApplicationKeys, L7Facts)>,
    kernel_drop: Memory<Arc<KernelDrop>, u16>,
}

#[derive(Debug, Default)]
struct SideMemories {
    address: Memory<IpAddr, u16>,
    endpoint: Memory<Arc<Endpoint>, u16>,
    names: Memory<Vec<String>, u16>,
    service: Memory<Arc<Service>, u16>,
    process: Memory<Arc<Process>, u16>,
}

/// Places of the pieces of one flow in the memories; `None` for what it has not.
#[derive(Debug)]
struct Places {
    common: usize,
    observer: usize,
    sides: [SidePlaces; 2],
    interface: Option<usize>,
    l7: Option<usize>,
    kernel_drop: Option<usize>,
}

#[derive(Debug)]
struct SidePlaces {
    address: Option<usize>,
    endpoint: Option<usize>,
    names: Option<usize>,
    service: Option<usize>,
    process: Option<usize>,
}

/// Why a flow in pieces is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PiecesRefused {
    /// As with [`FlowBatchBuilder::push`].
    #[error(transparent)]
    Full(#[from] BatchFull),
    /// A piece means nothing on its own.
    #[error("a piece of the flow cannot be read on its own")]
    Unreadable,
}

/// A flow whose pieces are all understood, and for which there is room.
#[derive(Debug)]
pub struct Understood<'a> {
    builder: &'a mut FlowBatchBuilder,
    pieces: &'a FlowPieces<'a>,
    places: Places,
}

impl FlowBatchBuilder {
    /// Looks up what the pieces of a flow mean; what was not seen before is decoded. The batch does not change until
    /// [`Understood::push`].
    ///
    /// # Errors
    /// The batch is full, or a piece cannot be decoded on its own.
    pub fn understand<'a>(
        &'a mut self,
        pieces: &'a FlowPieces<'a>,
        decode: &mut impl DecodePieces,
    ) -> Result<Understood<'a>, PiecesRefused> {
        if self.is_full() {
            return Err(BatchFull.into());
        }
        let memories = self.memories.get_or_insert_default();
        let places = memories.places(pieces, decode).ok_or(PiecesRefused::Unreadable)?;
        Ok(Understood { builder: self, pieces, places })
    }
}

impl Understood<'_> {
    /// Adds the row.
    pub fn push(self) {
        let Self { builder, pieces, places } = self;
        // Taken out for as long as the builder's groups give the keys.
        let Some(mut memories) = builder.memories.take() else { return };
        builder.push_pieces(pieces, &places, &mut memories);
        builder.memories = Some(memories);
    }
}

impl Memories {
    #[inline]
    fn places(&mut self, pieces: &FlowPieces<'_>, decode: &mut impl DecodePieces) -> Option<Places> {
        let details = pieces.details.unwrap_or_default();
        let [source, destination] = &mut self.sides;
        Some(Places {
            common: self.common.find(pieces.common, || decode.flow(pieces.common).map(Box::new))?,
            observer: self.observer.find(pieces.observer, || decode.flow(pieces.observer).map(Box::new))?,
            sides: [
                SidePlaces {
                    address: place(&mut source.address, pieces.ip.map(|ip| ip.source), |piece| decode.address(piece))?,
                    endpoint: place(&mut source.endpoint, pieces.source, |piece| decode.flow(piece)?.source)?,
                    names: place(&mut source.names, pieces.source_names, |piece| {
                        decode.flow(piece).map(|flow| flow.source_names)
                    })?,
                    service: place(&mut source.service, pieces.source_service, |piece| {
                        decode.flow(piece)?.source_service
                    })?,
                    process: place(&mut source.process, details.source_process, |piece| {
                        decode.details(piece)?.source_process
                    })?,
                },
                SidePlaces {
                    address: place(&mut destination.address, pieces.ip.map(|ip| ip.destination), |piece| {
                        decode.address(piece)
                    })?,
                    endpoint: place(&mut destination.endpoint, pieces.destination, |piece| {
                        decode.flow(piece)?.destination
                    })?,
                    names: place(&mut destination.names, pieces.destination_names, |piece| {
                        decode.flow(piece).map(|flow| flow.destination_names)
                    })?,
                    service: place(&mut destination.service, pieces.destination_service, |piece| {
                        decode.flow(piece)?.destination_service
                    })?,
                    process: place(&mut destination.process, details.destination_process, |piece| {
                        decode.details(piece)?.destination_process
                    })?,
                },
            ],
            interface: place(&mut self.interface, pieces.interface, |piece| decode.flow(piece)?.interface)?,
            l7: place(&mut self.l7, pieces.l7.map(|l7| l7.record), |piece| decode.flow(piece)?.l7)?,
            kernel_drop: place(&mut self.kernel_drop, details.kernel_drop, |piece| decode.details(piece)?.kernel_drop)?,
        })
    }
}

/// Place of a piece that a flow may have not; `None` where it is not understood.
#[inline]
#[expect(clippy::option_option, reason = "a flow may do without the piece, but not without understanding it")]
fn place<T, K: Copy>(
    memory: &mut Memory<T, K>,
    piece: Option<&[u8]>,
    make: impl FnOnce(&[u8]) -> Option<T>,
) -> Option<Option<usize>> {
    match piece {
        None => Some(None),
        Some(piece) => memory.find(piece, || make(piece)).map(Some),
    }
}

impl FlowBatchBuilder {
    #[inline]
    fn push_pieces(&mut self, pieces: &FlowPieces<'_>, places: &Places, memories: &mut Memories) {
        let batch = self.batch;
        self.push_time(pieces.time);
        self.push_id(Some(&pieces.uuid), "");
        let common = memories.common.keys(places.common, batch, |flow| self.common(flow));
        self.push_common(&common);
        let observer = memories.observer.keys(places.observer, batch, |flow| self.observer.key(flow));
        self.observer.push_key(observer);
        let l7 = self.push_l7(pieces.l7.as_ref(), places, memories);
        let (phase, vlan) = pieces.details.map_or((None, 0), |d| (Some(d.phase), d.vlan));
        self.facts.push_value(common.facts.with_l7(l7).with_l4(pieces.l4.as_ref()).with_details(phase, vlan));
        self.push_ethernet(pieces.ethernet);
        self.encrypted.push(pieces.ip.is_some_and(|ip| ip.encrypted));
        self.ip_xlated.push_value(None);
        self.push_l4(pieces.l4.as_ref());
        let sides = [&mut self.source, &mut self.destination].into_iter().zip(&mut memories.sides);
        for ((side, memories), places) in sides.zip(&places.sides) {
            side.push_places(places, memories, batch);
        }
        let interface = memories.interface.key_or(places.interface, batch, |found| {
            self.interface.key(&found, |entry| entry.as_ref() == found, || found.cloned())
        });
        self.interface.push_key(interface);
        self.trace_id.push_text(pieces.trace_id);
        self.push_numbers(&pieces.details.unwrap_or_default());
        let drop = memories.kernel_drop.key_or(places.kernel_drop, batch, |drop| self.kernel_drop.key(drop));
        self.kernel_drop.push_key(drop);
        self.summary.push_text(pieces.summary);
        self.extension.push(&(), Option::is_none, || None);
        self.numbers.socket_cookie.push_value(pieces.socket_cookie.cast_signed());
        self.numbers.cgroup_id.push_value(pieces.cgroup_id.cast_signed());
    }

    #[inline]
    fn push_l7(&mut self, pieces: Option<&L7Pieces<'_>>, places: &Places, memories: &mut Memories) -> L7Facts {
        let (keys, facts) = memories.l7.key_or(places.l7, self.batch, |l7| {
            let l7 = l7.map(|l7| &**l7);
            (self.application.keys(l7), L7Facts::of(l7))
        });
        self.application.push(pieces.map_or(0, |l7| l7.latency_ns), keys);
        facts
    }
}

impl Side {
    #[inline]
    fn push_places(&mut self, places: &SidePlaces, memories: &mut SideMemories, batch: u64) {
        let address = memories.address.key_or(places.address, batch, |ip| self.ip.value_key(ip.copied()));
        self.ip.push_key(address);
        let endpoint = memories.endpoint.key_or(places.endpoint, batch, |endpoint| self.endpoint.key(endpoint));
        self.endpoint.push_key(endpoint);
        let names =
            memories.names.key_or(places.names, batch, |names| self.names.list_key(names.map_or(&[], Vec::as_slice)));
        self.names.push_key(names);
        let service = memories.service.key_or(places.service, batch, |service| self.service.key(service));
        self.service.push_key(service);
        let process = memories.process.key_or(places.process, batch, |process| self.process.key(process));
        self.process.push_key(process);
    }
}
