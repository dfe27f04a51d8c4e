//! From a thing on the screen to the filter that asks for its flows.

use std::net::IpAddr;

use flow::view::Party;

use crate::state::Condition;

/// Which side of a flow a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Either,
    From,
    To,
}

impl Side {
    fn condition(self, name: &str, value: &str) -> Condition {
        let prefix = match self {
            Self::Either => "",
            Self::From => "from-",
            Self::To => "to-",
        };
        Condition::new(&format!("{prefix}{name}"), value)
    }
}

/// A service of the map, as far as filters know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    /// `workload`, `service`, `pod`, `namespace`, `host`, `world`, `dns` or `address`.
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
    /// Names of the peers it stands for.
    pub(crate) members: &'a [String],
}

/// Conditions that a service is on this side; none where filters cannot say it.
pub(crate) fn of_service(service: Named<'_>, side: Side) -> Vec<Condition> {
    let all = |name: &str| -> Vec<Condition> {
        let values = if service.members.is_empty() { std::slice::from_ref(&service.name) } else { &[] };
        let own = values.iter().map(|value| side.condition(name, value.trim_end_matches('.')));
        own.chain(service.members.iter().map(|value| side.condition(name, value.trim_end_matches('.')))).collect()
    };
    let within = |condition: Condition| match service.namespace {
        "" => vec![condition],
        namespace => vec![side.condition("namespace", namespace), condition],
    };
    match service.kind {
        "host" | "world" => of_identity(service.name, side),
        "dns" => all("fqdn"),
        "address" if service.members.is_empty() && service.name.parse::<IpAddr>().is_err() => Vec::new(),
        "address" => all("ip"),
        "namespace" => vec![side.condition("namespace", service.name)],
        "service" if service.namespace.is_empty() => vec![side.condition("service", service.name)],
        "service" => vec![side.condition("service", &format!("{}/{}", service.namespace, service.name))],
        "pod" => vec![side.condition("pod", &format!("{}/{}", service.namespace, service.name))],
        _ => within(side.condition("workload", service.name)),
    }
}

/// Conditions that this party is on this side; none where nothing is known of it.
pub(crate) fn of_party(party: &Party, side: Side) -> Vec<Condition> {
    if !party.workload.is_empty() {
        let named = Named { kind: "workload", name: &party.workload, namespace: &party.namespace, members: &[] };
        of_service(named, side)
    } else if !party.ip.is_empty() {
        vec![side.condition("ip", &party.ip)]
    } else {
        of_identity(&party.identity, side)
    }
}

fn of_identity(identity: &str, side: Side) -> Vec<Condition> {
    let condition = side.condition("identity", identity);
    if condition.is_understood() { vec![condition] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, name: &str, namespace: &str, expected: &[&str]) {
        let found = of_service(Named { kind, name, namespace, members: &[] }, Side::From);
        assert_eq!(found.iter().map(Condition::text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_kind_has_its_words() {
        check("workload", "api", "shop", &["from-namespace=shop", "from-workload=api"]);
        check("workload", "sshd", "", &["from-workload=sshd"]);
        check("pod", "api-1", "shop", &["from-pod=shop/api-1"]);
        check("service", "kube-dns", "kube-system", &["from-service=kube-system/kube-dns"]);
        check("world", "world", "", &["from-identity=world"]);
        check("dns", "example.org.", "", &["from-fqdn=example.org"]);
        check("address", "10.0.0.9", "", &["from-ip=10.0.0.9"]);
        check("address", "other addresses", "", &[]);
        check("world", "unknown", "", &[]);
        check("host", "remote-node", "", &["from-identity=remote-node"]);
        check("namespace", "shop", "shop", &["from-namespace=shop"]);
    }

    #[test]
    fn a_fold_asks_for_its_members() {
        let members = ["1.1.1.1".to_owned(), "8.8.8.8".to_owned()];
        let named = Named { kind: "address", name: "2 public addresses", namespace: "", members: &members };
        let found = of_service(named, Side::Either);
        assert_eq!(found.iter().map(Condition::text).collect::<Vec<_>>(), ["ip=1.1.1.1", "ip=8.8.8.8"]);
    }

    #[test]
    fn a_party_is_asked_for_by_the_best_that_is_known() {
        let party = Party { ip: "10.0.0.9".into(), identity: "world".into(), ..Party::default() };
        assert_eq!(of_party(&party, Side::To)[0].text(), "to-ip=10.0.0.9");
        assert!(of_party(&Party::default(), Side::To).is_empty());
        assert!(of_party(&Party { identity: "unknown".into(), ..Party::default() }, Side::To).is_empty());
    }
}
