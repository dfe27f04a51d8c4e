//! Which conditions exclude each other.

use super::SelectionError;

/// Of each group, only one condition may be used at a time: a side is described by name or by address, and for both
/// sides together or for each one apart.
const GROUPS: &[&[&str]] = &[
    &["from-fqdn", "from-ip", "ip", "fqdn", "from-namespace", "namespace", "from-all-namespaces", "all-namespaces"],
    &["from-fqdn", "from-ip", "ip", "fqdn", "from-pod", "pod"],
    &["to-fqdn", "to-ip", "ip", "fqdn", "to-namespace", "namespace", "to-all-namespaces", "all-namespaces"],
    &["to-fqdn", "to-ip", "ip", "fqdn", "to-pod", "pod"],
    &["to-pod", "namespace", "all-namespaces"],
    &["from-pod", "namespace", "all-namespaces"],
    &["to-service", "namespace", "all-namespaces"],
    &["from-service", "namespace", "all-namespaces"],
    &["label", "from-label"],
    &["label", "to-label"],
    &["service", "from-service"],
    &["service", "to-service"],
    &["port", "to-port"],
    &["port", "from-port"],
    &["identity", "to-identity"],
    &["identity", "from-identity"],
    &["workload", "to-workload"],
    &["workload", "from-workload"],
    &["encrypted", "unencrypted"],
];

/// Finds two conditions in use that exclude each other.
pub(super) fn check(in_use: &[&'static str]) -> Result<(), SelectionError> {
    for group in GROUPS {
        let mut used = group.iter().filter(|name| in_use.contains(name));
        if let (Some(first), Some(second)) = (used.next(), used.next()) {
            return Err(SelectionError::Conflict { first, second });
        }
    }
    Ok(())
}

/// Whether two conditions of one list, each with a single value, are refused together. It looks at nothing but names and
/// namespaces, so that those who only want to know this need not link what reads values.
pub(super) fn clash(one: (&str, &str), other: (&str, &str)) -> bool {
    let in_one_group = |group: &&[&str]| group.contains(&one.0) && group.contains(&other.0);
    if one.0 != other.0 && GROUPS.iter().any(in_one_group) {
        return true;
    }
    let ((one_side, one_base), (other_side, other_base)) = (side(one.0), side(other.0));
    if one_side != other_side && !one_side.is_empty() && !other_side.is_empty() {
        return false;
    }
    match (one_base, other_base) {
        ("namespace", "pod" | "service") => is_outside(one.1, other.1),
        // A name with a namespace is outside of the one that stands for all.
        ("all-namespaces", "pod" | "service") => is_outside("", other.1),
        ("pod" | "service", "all-namespaces") => is_outside("", one.1),
        ("pod" | "service", "namespace") => is_outside(other.1, one.1),
        ("pod", "service") => is_elsewhere(one.1, other.1),
        ("service", "pod") => is_elsewhere(other.1, one.1),
        _ => false,
    }
}

/// `from-`, `to-` or nothing, and the rest.
fn side(name: &str) -> (&str, &str) {
    let split = ["from-", "to-"].into_iter().find_map(|side| Some((side, name.strip_prefix(side)?)));
    split.unwrap_or(("", name))
}

/// Namespaces asked for must contain the pods and services that name theirs.
pub(super) fn check_namespaces(namespaces: &[String], names: &[String]) -> Result<(), SelectionError> {
    for namespace in namespaces {
        if let Some(name) = names.iter().find(|name| is_outside(namespace, name)) {
            return Err(SelectionError::Namespace { namespace: namespace.clone(), name: name.clone() });
        }
    }
    Ok(())
}

/// Pods and services of one side must be of the same namespace.
pub(super) fn check_pods_and_services(pods: &[String], services: &[String]) -> Result<(), SelectionError> {
    for pod in pods {
        if let Some(service) = services.iter().find(|service| is_elsewhere(pod, service)) {
            let namespace = named_namespace(pod).unwrap_or_default().to_owned();
            return Err(SelectionError::ServiceNamespace { service: service.clone(), namespace });
        }
    }
    Ok(())
}

/// Whether a pod or service names another namespace.
fn is_outside(namespace: &str, name: &str) -> bool {
    named_namespace(name).is_some_and(|named| !named.is_empty() && named != namespace)
}

/// Whether a pod names a namespace, and a service another one or none.
fn is_elsewhere(pod: &str, service: &str) -> bool {
    let namespace = named_namespace(pod).unwrap_or_default();
    !namespace.is_empty() && named_namespace(service).unwrap_or_default() != namespace
}

fn named_namespace(name: &str) -> Option<&str> {
    name.split_once('/').map(|(namespace, _)| namespace)
}
