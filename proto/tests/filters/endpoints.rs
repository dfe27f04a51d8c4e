//! Which endpoints: addresses, names, labels, identities, nodes.

use crate::{made, recorded, refused};

#[test]
fn addresses_are_compared_as_text_and_prefixes_by_content() {
    recorded(r#"{"source_ip":["10.0.1.13"]}"#, &[1, 2]);
    recorded(r#"{"source_ip":["10.0.1.0/25","fe80::/10"]}"#, &[1, 2, 5, 7]);
    recorded(r#"{"destination_ip":["10.0.0.0/8"]}"#, &[1, 2, 4, 6, 7]);
    recorded(r#"{"destination_ip":["0.0.0.0/0"]}"#, &[1, 2, 3, 4, 6, 7]);
    recorded(r#"{"destination_ip":["10.9.9.9/8"]}"#, &[1, 2, 4, 6, 7]);
    made(r#"{"source_ip":["::1"]}"#, &[6]);
    made(r#"{"source_ip":["0:0::1","fe80::1%eth0"]}"#, &[]);
    made(r#"{"source_ip_xlated":["192.168.0.0/16"]}"#, &[7]);
    refused(r#"{"source_ip":["10.0.0"]}"#, r#"invalid IP address "10.0.0" in filter: unable to parse IP"#);
    refused(r#"{"source_ip":[""]}"#, r#"invalid IP address "" in filter: unable to parse IP"#);
    refused(
        r#"{"source_ip":["10.0.0.1%eth0"]}"#,
        r#"invalid IP address "10.0.0.1%eth0" in filter: unable to parse IP"#,
    );
    refused(r#"{"destination_ip":["10.0.0.0/33"]}"#, r#"invalid IP prefix "10.0.0.0/33" in filter"#);
}

#[test]
fn pods_are_found_by_namespace_and_prefix() {
    recorded(r#"{"source_pod":["kapinger"]}"#, &[1, 2]);
    recorded(r#"{"source_pod":["kapinger-bad"]}"#, &[]);
    recorded(r#"{"source_pod":["/agent","xwing"]}"#, &[6, 7]);
    recorded(r#"{"destination_pod":["kube-system/"]}"#, &[4]);
    recorded(r#"{"destination_pod":["kube/"]}"#, &[]);
    recorded(r#"{"destination_pod":["Kube-system/"]}"#, &[]);
    // Any pod of any namespace, but there must be one.
    recorded(r#"{"destination_pod":["/"]}"#, &[1, 2, 4, 6, 7]);
    // What follows a second slash does not count.
    recorded(r#"{"destination_pod":["kube-system/csi/x"]}"#, &[4]);
    refused(r#"{"source_pod":["a",""]}"#, "invalid filter, name must not be empty");
}

#[test]
fn services_workloads_and_clusters() {
    made(r#"{"source_service":["kube-system/kube"]}"#, &[7]);
    made(r#"{"source_service":["kube"]}"#, &[]);
    made(r#"{"destination_service":["/"]}"#, &[]);
    let empty = "invalid destination service filter: invalid filter, name must not be empty";
    refused(r#"{"destination_service":[""]}"#, empty);
    made(r#"{"source_workload":[{"name":"web"}]}"#, &[11]);
    made(r#"{"source_workload":[{"kind":"ReplicaSet"}]}"#, &[11]);
    made(r#"{"source_workload":[{"name":"web","kind":"ReplicaSet"}]}"#, &[]);
    made(r#"{"source_workload":[{}]}"#, &[11]);
    recorded(r#"{"destination_workload":[{"name":"kapinger-bad"},{"name":"csi-cbs-controller"}]}"#, &[1, 2, 4]);
    made(r#"{"source_cluster_name":["prod"]}"#, &[11]);
    made(r#"{"source_cluster_name":["pro*"]}"#, &[]);
    refused(r#"{"source_cluster_name":[""]}"#, "invalid filter, name must not be empty");
}

#[test]
fn dns_names_are_globs() {
    made(r#"{"destination_fqdn":["cilium.io"]}"#, &[4]);
    made(r#"{"destination_fqdn":[" WWW.Cilium.IO. "]}"#, &[4]);
    made(r#"{"destination_fqdn":["*.io"]}"#, &[4]);
    made(r#"{"destination_fqdn":["*.cilium.io"]}"#, &[4]);
    made(r#"{"destination_fqdn":["cilium"]}"#, &[]);
    made(r#"{"source_fqdn":["*"]}"#, &[]);
    // One letter stays one in lower case.
    made(r#"{"destination_fqdn":["*.c\u0130lium.io"]}"#, &[4]);
    refused(r#"{"source_fqdn":["a b"]}"#, r#""a b": ' ': invalid rune in pattern"#);
    refused(r#"{"source_fqdn":["  "]}"#, r#""  ": empty pattern"#);
    refused(r#"{"source_fqdn":["a.."]}"#, r#""a..": multiple trailing dots in pattern"#);
}

#[test]
fn labels_follow_kubernetes() {
    recorded(r#"{"source_label":["app=kapinger"]}"#, &[1, 2]);
    recorded(r#"{"source_label":["k8s:app in (kapinger, agent-probe),!server"]}"#, &[7]);
    recorded(r#"{"source_label":["reserved:host"]}"#, &[3]);
    recorded(r#"{"destination_label":["io.kubernetes.pod.namespace=kube-system"]}"#, &[4]);
    recorded(r#"{"source_label":["app"]}"#, &[1, 2, 7]);
    recorded(r#"{"source_label":["!app"]}"#, &[3, 4, 5, 6]);
    recorded(r#"{"source_label":["app!=kapinger"]}"#, &[3, 4, 5, 6, 7]);
    recorded(r#"{"source_label":["app notin (kapinger,agent-probe)"]}"#, &[3, 4, 5, 6]);
    recorded(r#"{"source_label":["role=read-only-agent","server==good"]}"#, &[1, 2, 7]);
    recorded(r#"{"source_label":[""]}"#, &[1, 2, 3, 4, 5, 6, 7]);
    recorded(r#"{"node_labels":["topology.kubernetes.io/zone=160001"]}"#, &[3, 4]);
    recorded(r#"{"node_labels":["kubernetes.io/arch"]}"#, &[4]);
    made(r#"{"source_label":["app=nginx"]}"#, &[]);
    made(r#"{"source_label":["container:app=nginx"]}"#, &[11]);
    made(r#"{"source_label":["any:app=web,k8s:tier"]}"#, &[11]);
    made(r#"{"source_label":["unspec:app=web,k8s:tier"]}"#, &[11]);
    made(r#"{"source_label":["cidr:10.1.0.0/16"]}"#, &[11]);
    made(r#"{"source_label":["cidr:10.0.0.0/8"]}"#, &[11]);
    made(r#"{"source_label":["cidr:10.1.2.0/24"]}"#, &[]);
    made(r#"{"node_labels":["zone>2"]}"#, &[10]);
    made(r#"{"node_labels":["zone<3"]}"#, &[]);
    refused(r#"{"source_label":["!app=x"]}"#, "invalid source label filter: unable to parse requirement \"!app=x\"");
    refused(r#"{"source_label":[" "]}"#, r#"invalid source label filter: unable to parse requirement " ""#);
    refused(r#"{"source_label":["a b"]}"#, r#"invalid source label filter: unable to parse requirement "a b""#);
    refused(
        r#"{"destination_label":["a in b"]}"#,
        r#"invalid destination label filter: unable to parse requirement "a in b""#,
    );
    refused(r#"{"node_labels":["a-"]}"#, r#"invalid node label filter: unable to parse requirement "a-""#);
}

#[test]
fn identities_need_an_endpoint() {
    recorded(r#"{"source_identity":[1,60176]}"#, &[3, 7]);
    recorded(r#"{"source_identity":[0]}"#, &[5, 6]);
    made(r#"{"source_identity":[0]}"#, &[6, 11]);
    recorded(r#"{"destination_identity":[2]}"#, &[3]);
}

#[test]
fn nodes_are_globs_with_a_cluster() {
    recorded(r#"{"node_name":["kind-worker"]}"#, &[5, 6]);
    recorded(r#"{"node_name":["kind-*/*"]}"#, &[5, 6]);
    recorded(r#"{"node_name":["default/10.10.*"]}"#, &[3, 4]);
    recorded(r#"{"node_name":["longtestnetworkflowcni/"]}"#, &[1, 2]);
    recorded(r#"{"node_name":["/"]}"#, &[1, 2, 3, 4, 5, 6, 7]);
    recorded(r#"{"node_name":["kind"]}"#, &[]);
    made(r#"{"node_name":["K8S1."]}"#, &[8]);
    made(r#"{"node_name":["prod/*.eu","default/x"]}"#, &[9]);
    refused(r#"{"node_name":["a/b/c"]}"#, r#""a/b/c": too many slashes in pattern"#);
    refused(r#"{"node_name":[""]}"#, r#""": empty pattern"#);
    refused(r#"{"node_name":["a/b..c.."]}"#, r#""a/b..c..": multiple trailing dots in pattern"#);
}
