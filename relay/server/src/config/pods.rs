//! Pods to pull flows from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Pods of a Kubernetes cluster that are Hubble observers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerPods {
    /// Their namespace. Default `kube-system`.
    pub namespace: String,
    /// Labels that select them. Default `k8s-app=cilium`, Cilium's agents.
    pub selector: String,
    /// Port of their gRPC server. Default 4244.
    pub port: u16,
    /// Whether they serve TLS. Default `false`.
    pub tls: bool,
    /// Name in their certificates, in which `{node}` stands for the name of the node with dashes for dots. Default
    /// `{node}.default.hubble-grpc.cilium.io`, that of agents in a cluster called `default`.
    pub tls_server_name: String,
    /// File with the address of the API server and the right to ask it. By default that of `KUBECONFIG`,
    /// `~/.kube/config`, or in a pod its service account, which needs to list and watch pods in that namespace.
    pub kubeconfig: Option<PathBuf>,
}

impl Default for PeerPods {
    fn default() -> Self {
        Self {
            namespace: "kube-system".to_owned(),
            selector: "k8s-app=cilium".to_owned(),
            port: 4244,
            tls: false,
            tls_server_name: "{node}.default.hubble-grpc.cilium.io".to_owned(),
            kubeconfig: None,
        }
    }
}
