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

/// Namespaces asked for must contain the pods and services that name theirs.
pub(super) fn check_namespaces(namespaces: &[String], names: &[String]) -> Result<(), SelectionError> {
    for namespace in namespaces {
        let outside = |name: &&String| named_namespace(name).is_some_and(|n| !n.is_empty() && n != namespace);
        if let Some(name) = names.iter().find(outside) {
            return Err(SelectionError::Namespace { namespace: namespace.clone(), name: name.clone() });
        }
    }
    Ok(())
}

/// Pods and services of one side must be of the same namespace.
pub(super) fn check_pods_and_services(pods: &[String], services: &[String]) -> Result<(), SelectionError> {
    for namespace in pods.iter().filter_map(|pod| named_namespace(pod)).filter(|n| !n.is_empty()) {
        let elsewhere = |service: &&String| named_namespace(service).unwrap_or_default() != namespace;
        if let Some(service) = services.iter().find(elsewhere) {
            return Err(SelectionError::ServiceNamespace { service: service.clone(), namespace: namespace.to_owned() });
        }
    }
    Ok(())
}

fn named_namespace(name: &str) -> Option<&str> {
    name.split_once('/').map(|(namespace, _)| namespace)
}
