//! Peers outside: many names and addresses folded into few boxes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use flow::view::MapNode;

/// Up to so many DNS names, and so many addresses, each has a box of its own.
const NAMES_MAX: usize = 5;
const ADDRESSES_MAX: usize = 3;

/// Several peers shown as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fold {
    /// Id of the box.
    pub(crate) id: String,
    /// Name of the box, such as `*.example.org`.
    pub(crate) name: String,
    /// Kind of its members.
    pub(crate) kind: &'static str,
    /// Names of its members.
    pub(crate) members: Vec<String>,
}

/// Which peers are shown as one, by id of the peer.
pub(crate) fn fold(nodes: &[MapNode]) -> (Vec<Fold>, HashMap<String, usize>) {
    let mut groups: BTreeMap<(&'static str, String), Vec<&MapNode>> = BTreeMap::new();
    let names: Vec<&MapNode> = nodes.iter().filter(|n| n.kind == "dns").collect();
    if names.len() > NAMES_MAX {
        for node in names {
            groups.entry(("dns", suffix(&node.name).to_owned())).or_default().push(node);
        }
        fold_single_names(&mut groups);
    }
    // The relay has a box of its own for addresses beyond its limit; it stays what it is.
    let is_one = |node: &&MapNode| node.kind == "address" && node.name.parse::<IpAddr>().is_ok();
    let addresses: Vec<&MapNode> = nodes.iter().filter(is_one).collect();
    if addresses.len() > ADDRESSES_MAX {
        for node in addresses {
            groups.entry(("address", reach(&node.name).to_owned())).or_default().push(node);
        }
    }
    let mut folds = Vec::new();
    let mut of = HashMap::new();
    for ((kind, key), members) in groups.into_iter().filter(|(_, members)| members.len() > 1) {
        for node in &members {
            of.insert(node.id.clone(), folds.len());
        }
        let name = match kind {
            "address" => format!("{} {key} addresses", members.len()),
            _ if key.is_empty() => format!("{} other names", members.len()),
            _ => format!("*.{key}"),
        };
        let members = members.iter().map(|n| n.name.clone()).collect();
        folds.push(Fold { id: format!("fold:{kind}:{key}"), name, kind, members });
    }
    (folds, of)
}

/// Names that share a suffix with no other would each stay a box: beyond the limit they become one group.
fn fold_single_names(groups: &mut BTreeMap<(&'static str, String), Vec<&MapNode>>) {
    let single: Vec<_> =
        groups.iter().filter(|((kind, _), m)| *kind == "dns" && m.len() == 1).map(|(k, _)| k.clone()).collect();
    if single.len() <= NAMES_MAX {
        return;
    }
    for key in single {
        let members = groups.remove(&key).unwrap_or_default();
        groups.entry(("dns", String::new())).or_default().extend(members);
    }
}

/// The last two labels of a DNS name: near enough to who owns it, without a list of public suffixes.
fn suffix(name: &str) -> &str {
    let name = name.trim_end_matches('.');
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    dots.next();
    dots.next().map_or(name, |at| &name[at + 1..])
}

fn reach(address: &str) -> &'static str {
    let private = match address.parse() {
        Ok(IpAddr::V4(v4)) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        Ok(IpAddr::V6(v6)) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
        Err(_) => false,
    };
    if private { "private" } else { "public" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, names: &[&str], expected: &[(&str, usize)]) {
        let nodes: Vec<MapNode> = names
            .iter()
            .map(|name| MapNode {
                id: (*name).to_owned(),
                name: (*name).to_owned(),
                kind: kind.to_owned(),
                ..MapNode::default()
            })
            .collect();
        let (folds, of) = fold(&nodes);
        let found: Vec<(&str, usize)> = folds.iter().map(|f| (f.name.as_str(), f.members.len())).collect();
        assert_eq!(found, expected);
        assert_eq!(of.len(), expected.iter().map(|e| e.1).sum::<usize>());
    }

    #[test]
    fn few_peers_stay() {
        check("dns", &["a.example.org", "b.example.org"], &[]);
        check("address", &["10.0.0.1", "10.0.0.2", "1.1.1.1"], &[]);
    }

    #[test]
    fn names_fold_by_their_suffix() {
        check(
            "dns",
            &["a.example.org", "b.example.org.", "c.d.example.org", "x.test", "y.test", "z.net"],
            &[("*.example.org", 3)],
        );
        check("dns", &["a.b1.c", "a.b2.c", "a.b3.c", "a.b4.c", "a.b5.c", "a.b6.c"], &[("6 other names", 6)]);
    }

    #[test]
    fn addresses_fold_by_reach() {
        check(
            "address",
            &["10.0.0.1", "192.168.1.1", "fd00::1", "1.1.1.1", "2606:4700::1"],
            &[("3 private addresses", 3), ("2 public addresses", 2)],
        );
    }
}
