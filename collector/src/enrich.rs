//! Who is behind an address, a socket, a cgroup: names at the moment a flow is seen, so that an address used by another
//! later never changes history.

mod cgroup;
mod containers;
mod discovery;
mod dns;
mod endpoint;
mod names;
mod netlink;
mod netns;
mod process;
mod world;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ebpf_abi::ProcRecord;
use flow::{Endpoint, Flow, FlowDetails, Process, Timestamp};

use crate::config::EnrichConfig;
use crate::decode::{Decoded, Party};
pub(crate) use discovery::{Discovery, DiscoveryError, Knowledge, Places, Watch};
use dns::DnsNames;
use endpoint::Endpoints;
pub(crate) use names::{Names, NamesError};
use process::{ProcFs, Processes, UnitId};
#[cfg(test)]
pub(crate) use world::tests::small_world;
pub(crate) use world::{HOST, LinkRole, World};

/// Sizes of the tables, and what had to make room in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableStats {
    pub(crate) endpoints: usize,
    pub(crate) endpoints_evicted: u64,
    pub(crate) processes: usize,
    pub(crate) processes_evicted: u64,
    pub(crate) units: usize,
    pub(crate) units_evicted: u64,
    pub(crate) dns_names: usize,
    pub(crate) dns_names_evicted: u64,
    /// Processes not looked up because there were too many in that second.
    pub(crate) lookups_skipped: u64,
}

/// Gives flows their names.
#[derive(Debug)]
pub(crate) struct Enricher {
    knowledge: Knowledge,
    watch: Option<Watch>,
    endpoints: Endpoints,
    processes: Processes,
    dns: DnsNames,
}

/// An endpoint came to this node or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointNews {
    pub(crate) created: bool,
    pub(crate) endpoint: Arc<Endpoint>,
}

impl Enricher {
    /// Names by what `watch` tells; without one by `names` alone, as for flows of another machine.
    pub(crate) fn new(config: &EnrichConfig, processes_max: usize, names: Arc<Names>, watch: Option<Watch>) -> Self {
        let proc = Box::new(ProcFs::new(Path::new("/proc")));
        Self {
            knowledge: Knowledge { names: names.clone(), ..Knowledge::default() },
            watch,
            endpoints: Endpoints::new(names, &config.default_namespace, config.endpoints_max),
            processes: Processes::new(proc, processes_max, config.process_lookups_per_second),
            dns: DnsNames::new(config.dns_names_max, Duration::from_secs(config.dns_ttl_min_seconds)),
        }
    }

    /// The snapshot in use.
    pub(crate) fn world(&self) -> Arc<World> {
        self.knowledge.world.clone()
    }

    /// Takes the newest snapshot, if there is one, and tells which endpoints came and went with it.
    pub(crate) fn refresh(&mut self) -> Vec<EndpointNews> {
        let Some(newest) = self.watch.as_mut().and_then(Watch::changed) else { return Vec::new() };
        self.take(newest)
    }

    fn take(&mut self, newest: Knowledge) -> Vec<EndpointNews> {
        let before = self.endpoints.local(&self.knowledge.world);
        self.endpoints.forget(newest.names.clone());
        let after = self.endpoints.local(&newest.world);
        self.knowledge = newest;
        let news = |created| move |endpoint: &Arc<Endpoint>| EndpointNews { created, endpoint: endpoint.clone() };
        let gone = before.iter().filter(|(name, _)| !after.contains_key(*name)).map(|(_, e)| e).map(news(false));
        let came = after.iter().filter(|(name, _)| !before.contains_key(*name)).map(|(_, e)| e).map(news(true));
        gone.chain(came).collect()
    }

    /// Takes the start of a program.
    pub(crate) fn executed(&mut self, record: &ProcRecord) {
        self.processes.executed(record);
    }

    /// Gives a flow its names. Takes names from DNS answers on the way.
    pub(crate) fn name(&mut self, decoded: Decoded) -> Flow {
        let Decoded { mut flow, source, destination } = decoded;
        let Some((from, to)) = flow.ip.as_ref().map(|ip| (ip.source, ip.destination)) else { return flow };
        let (endpoint, process) = self.side(from, source, flow.time);
        flow.source = Some(endpoint);
        let source_process = process;
        let (endpoint, process) = self.side(to, destination, flow.time);
        flow.destination = Some(endpoint);
        if source_process.is_some() || process.is_some() {
            let details = flow.details.get_or_insert_with(Box::<FlowDetails>::default);
            details.source_process = source_process;
            details.destination_process = process;
        }
        if let Some(flow::L7Record::Dns(dns)) = flow.l7.as_ref().map(|l7| &l7.record)
            && !dns.ips.is_empty()
        {
            self.dns.learn(dns, flow.time);
        }
        flow.source_names = self.dns.names_of(from, flow.time);
        flow.destination_names = self.dns.names_of(to, flow.time);
        flow
    }

    /// Sizes of the tables, and what had to make room in them.
    pub(crate) fn stats(&self) -> TableStats {
        TableStats {
            endpoints: self.endpoints.len(),
            endpoints_evicted: self.endpoints.evicted(),
            processes: self.processes.len(),
            processes_evicted: self.processes.evicted(),
            units: self.processes.units(),
            units_evicted: self.processes.units_evicted(),
            dns_names: self.dns.len(),
            dns_names_evicted: self.dns.evicted(),
            lookups_skipped: self.processes.over_budget(),
        }
    }

    fn side(&mut self, address: IpAddr, party: Party, now: Timestamp) -> (Arc<Endpoint>, Option<Arc<Process>>) {
        let world = &self.knowledge.world;
        let side = self.endpoints.side(world, address, party.netns);
        if party.netns != 0 && world.place_of_cookie(party.netns).is_none() {
            // A namespace younger than the snapshot.
            if let Some(watch) = &self.watch {
                watch.ask();
            }
        }
        let Some(owner) = party.owner else { return (side.endpoint, None) };
        let (process, unit) = self.processes.find(&owner, world, now);
        let endpoint = match self.processes.unit(unit).filter(|_| side.is_host && unit != UnitId::default()) {
            Some(found) => self.endpoints.host_unit(world, address, unit, found),
            None => side.endpoint,
        };
        (endpoint, Some(process))
    }
}
