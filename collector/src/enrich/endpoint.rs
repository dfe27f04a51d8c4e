//! Endpoints: what flows call the thing behind an address.

use std::net::IpAddr;
use std::sync::Arc;

use flow::{Endpoint, Identity, Workload};
use hashbrown::{HashMap, HashSet};

use super::cgroup::Unit;
use super::names::{Given, Names, Subject};
use super::process::UnitId;
use super::world::{HOST, Place, World};
use crate::generations::Generations;

/// Endpoint numbers fit into 16 bits, as Cilium's do.
const IDS: u64 = 65_535;

/// Names endpoints and remembers how.
#[derive(Debug)]
pub(crate) struct Endpoints {
    names: Arc<Names>,
    default_namespace: String,
    ids: Ids,
    outside: Arc<Endpoint>,
    known: Generations<Key, Side>,
}

/// What an address leads to.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) endpoint: Arc<Endpoint>,
    /// Whether it is the host, whose programs are told apart by their unit.
    pub(crate) is_host: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    address: IpAddr,
    netns: u64,
    unit: UnitId,
}

/// Numbers of local endpoints: drawn from the name, so that they are the same after a restart.
#[derive(Debug, Default)]
struct Ids {
    by_name: HashMap<Arc<str>, u32, foldhash::fast::RandomState>,
    taken: HashSet<u32, foldhash::fast::RandomState>,
}

impl Endpoints {
    /// Remembers `capacity` addresses at most.
    pub(crate) fn new(names: Arc<Names>, default_namespace: &str, capacity: usize) -> Self {
        let outside =
            Endpoint { identity: Identity::WORLD, labels: vec!["reserved:world".to_owned()], ..Endpoint::default() };
        Self {
            names,
            default_namespace: default_namespace.to_owned(),
            ids: Ids::default(),
            outside: Arc::new(outside),
            known: Generations::new(capacity),
        }
    }

    /// What an address leads to. `netns` is the cookie of the namespace it is in, 0 where only the address tells.
    pub(crate) fn side(&mut self, world: &World, address: IpAddr, netns: u64) -> Side {
        let key = Key { address, netns, unit: UnitId::default() };
        if let Some(side) = self.known.get(&key) {
            return side.clone();
        }
        let side = match world.locate(address, netns).and_then(|number| Some((number, world.place(number)?))) {
            Some((HOST, place)) => Side { endpoint: Arc::new(self.host(place, address, None)), is_host: true },
            Some((_, place)) => Side { endpoint: Arc::new(self.place(place, Some(address))), is_host: false },
            None => Side { endpoint: self.remote(address), is_host: false },
        };
        self.known.insert(key, side.clone());
        side
    }

    /// The host as one of its units is seen at this address.
    pub(crate) fn host_unit(&mut self, world: &World, address: IpAddr, id: UnitId, unit: &Unit) -> Arc<Endpoint> {
        let key = Key { address, netns: 0, unit: id };
        if let Some(side) = self.known.get(&key) {
            return side.endpoint.clone();
        }
        let Some(place) = world.place(HOST) else { return self.outside.clone() };
        let endpoint = Arc::new(self.host(place, address, Some(unit)));
        self.known.insert(key, Side { endpoint: endpoint.clone(), is_host: true });
        endpoint
    }

    /// The endpoint of each place but the host, by the place's name.
    pub(crate) fn local(&mut self, world: &World) -> HashMap<Arc<str>, Arc<Endpoint>, foldhash::fast::RandomState> {
        let places = world.places().iter().skip(1);
        places.map(|place| (place.name.clone(), Arc::new(self.place(place, None)))).collect()
    }

    /// Forgets how addresses were named, because the node or the names have changed.
    pub(crate) fn forget(&mut self, names: Arc<Names>) {
        self.names = names;
        self.known.clear();
    }

    /// Addresses remembered.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Addresses forgotten for lack of room.
    pub(crate) const fn evicted(&self) -> u64 {
        self.known.evicted()
    }

    fn place(&mut self, place: &Place, address: Option<IpAddr>) -> Endpoint {
        let unit = place.unit.as_ref().map(|unit| unit.name.as_ref());
        let given = self.names.given(Subject { address, netns: Some(&place.name), unit });
        let container = place.container.as_deref();
        let service = container.filter(|c| !c.service.is_empty());
        let workload = match (&given.workload, service, &place.unit) {
            (Some(workload), ..) => workload.clone(),
            (None, Some(container), _) => workload(&container.service, "ComposeService"),
            (None, None, Some(unit)) => workload(&place.name, unit.kind.workload_kind()),
            (None, None, None) => workload(name_of(&given, &place.name), "NetworkNamespace"),
        };
        let project = container.map_or("", |c| c.project.as_str());
        let mut labels = vec![format!("weir:netns={}", place.name)];
        labels.extend(unit.map(|unit| format!("weir:unit={unit}")));
        let namespace = if given.namespace.is_empty() { project } else { given.namespace.as_str() };
        let mut endpoint = self.endpoint(&given, &place.name, namespace, labels);
        endpoint.id = self.ids.of(&place.name);
        endpoint.workloads = vec![workload];
        endpoint
    }

    fn host(&mut self, place: &Place, address: IpAddr, unit: Option<&Unit>) -> Endpoint {
        let unit_name = unit.map(|unit| unit.name.as_ref());
        let given = self.names.given(Subject { address: Some(address), netns: None, unit: unit_name });
        let mut labels = vec!["reserved:host".to_owned()];
        labels.extend(unit_name.map(|name| format!("weir:unit={name}")));
        let mut endpoint = self.endpoint(&given, &place.name, &given.namespace, labels);
        endpoint.identity = Identity::HOST;
        endpoint.id = self.ids.of(&place.name);
        let by_unit = unit.map(|unit| workload(&unit.name, unit.kind.workload_kind()));
        // Whoever groups or filters by workloads finds what runs outside of units under the name of the node.
        let by_node = || workload(&endpoint.pod_name, "Host");
        endpoint.workloads = vec![given.workload.or(by_unit).unwrap_or_else(by_node)];
        endpoint
    }

    fn remote(&self, address: IpAddr) -> Arc<Endpoint> {
        let given = self.names.given(Subject { address: Some(address), ..Subject::default() });
        if given == Given::default() {
            return self.outside.clone();
        }
        let name = (!given.name.is_empty()).then(|| format!("weir:name={}", given.name));
        let mut endpoint = self.endpoint(&given, "", &given.namespace, name.into_iter().collect());
        let by_name = (!given.name.is_empty()).then(|| workload(&given.name, "Name"));
        endpoint.workloads = given.workload.or(by_name).into_iter().collect();
        Arc::new(endpoint)
    }

    /// What all kinds have in common. The labels decide the identity.
    fn endpoint(&self, given: &Given, name: &str, namespace: &str, mut labels: Vec<String>) -> Endpoint {
        labels.extend(given.labels.iter().map(|(key, value)| match key.contains(':') {
            true => format!("{key}={value}"),
            false => format!("weir:{key}={value}"),
        }));
        labels.sort();
        let namespace = if namespace.is_empty() { self.default_namespace.as_str() } else { namespace };
        Endpoint {
            identity: Identity::from_labels(&labels),
            namespace: namespace.to_owned(),
            pod_name: name_of(given, name).to_owned(),
            labels,
            ..Endpoint::default()
        }
    }
}

impl Ids {
    fn of(&mut self, name: &Arc<str>) -> u32 {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        if self.taken.len() as u64 == IDS {
            // Names of endpoints long gone hold them all.
            *self = Self::default();
        }
        // FNV-1a, as for identities: independent of library and run.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let mut candidates = (0..IDS).map(|step| u32::try_from(hash.wrapping_add(step) % IDS + 1).expect("16 bits"));
        let id = candidates.find(|id| !self.taken.contains(id)).expect("one is free");
        self.taken.insert(id);
        self.by_name.insert(name.clone(), id);
        id
    }
}

fn name_of<'a>(given: &'a Given, otherwise: &'a str) -> &'a str {
    if given.name.is_empty() { otherwise } else { &given.name }
}

fn workload(name: &str, kind: &str) -> Workload {
    Workload { name: name.to_owned(), kind: kind.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::cgroup::{UnitKind, unit_of_path};
    use super::super::world::tests::small_world;
    use super::*;

    fn endpoints(names: &str) -> Endpoints {
        let names = Names::parse(names, Path::new("names.yaml")).unwrap();
        Endpoints::new(Arc::new(names), "default", 64)
    }

    fn side(names: &str, address: &str, netns: u64) -> Endpoint {
        (*endpoints(names).side(&small_world(), address.parse().unwrap(), netns).endpoint).clone()
    }

    #[test]
    fn a_namespace_is_an_endpoint() {
        let web = side("", "10.0.0.2", 0);
        assert_eq!((web.namespace.as_str(), web.pod_name.as_str()), ("default", "web"));
        assert_eq!(web.workloads, [workload("web", "NetworkNamespace")]);
        assert_eq!(web.labels, ["weir:netns=web"]);
        assert_eq!(web.identity, Identity::from_labels(&web.labels));
        assert_eq!(web.id, side("names: [{netns: web, name: x}]", "10.0.0.2", 0).id, "stable");
        assert_ne!(web.id, side("", "10.0.0.3", 0).id);
    }

    #[test]
    fn names_are_given_to_namespaces_and_addresses() {
        let file = "names: [{netns: w*, namespace: shop, workload: front, labels: {app: web, 'k8s:x': y}}, \
                    {addresses: 8.8.8.0/24, name: resolver, namespace: dns}]";
        let web = side(file, "10.0.0.2", 0);
        assert_eq!((web.namespace.as_str(), web.pod_name.as_str()), ("shop", "web"));
        assert_eq!(web.workload_name(), "front");
        assert_eq!(web.labels, ["k8s:x=y", "weir:app=web", "weir:netns=web"]);
        let resolver = side(file, "8.8.8.8", 0);
        assert_eq!((resolver.namespace.as_str(), resolver.pod_name.as_str(), resolver.id), ("dns", "resolver", 0));
        assert!(resolver.identity.reserved_name().is_none());
    }

    #[test]
    fn what_is_not_known_is_the_world() {
        let world = side("", "8.8.8.8", 0);
        assert_eq!((world.identity, world.pod_name.as_str(), world.namespace.as_str()), (Identity::WORLD, "", ""));
        assert_eq!(world.labels, ["reserved:world"]);
    }

    #[test]
    fn the_host_is_told_apart_by_unit() {
        let mut endpoints = endpoints("names: [{unit: nginx.service, workload: front}]");
        let world = small_world();
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let host = endpoints.side(&world, address, 0);
        assert!(host.is_host);
        assert_eq!((host.endpoint.identity, host.endpoint.pod_name.as_str()), (Identity::HOST, "node-1"));
        assert_eq!(host.endpoint.workloads, [workload("node-1", "Host")]);
        let cron = Unit { kind: UnitKind::SystemdService, name: "cron.service".into() };
        let cron = endpoints.host_unit(&world, address, UnitId::for_tests(1), &cron);
        assert_eq!(cron.workloads, [workload("cron.service", "SystemdUnit")]);
        assert_eq!(cron.labels, ["reserved:host", "weir:unit=cron.service"]);
        let nginx = unit_of_path("/system.slice/nginx.service").unwrap();
        assert_eq!(endpoints.host_unit(&world, address, UnitId::for_tests(2), &nginx).workload_name(), "front");
    }

    #[test]
    fn ids_never_collide_while_there_are_free_ones() {
        let mut ids = Ids::default();
        let given: HashSet<u32> = (0..5_000).map(|n| ids.of(&Arc::from(format!("ns-{n}")))).collect();
        assert_eq!(given.len(), 5_000);
        assert!(given.iter().all(|id| (1..=65_535).contains(id)));
    }
}
