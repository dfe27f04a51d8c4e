//! Reaching a relay in a Kubernetes cluster through the cluster's API server.

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::settings::PortForwardSettings;

/// Name of the relay's service.
const SERVICE: &str = "hubble-relay";

/// Listens on a port of this machine and passes what comes there on to a pod of the relay; gives the port.
///
/// The forwarding ends with the event loop that this is called on.
///
/// # Errors
/// The cluster cannot be reached, has no relay, or the port is taken.
pub(super) async fn start(settings: &PortForwardSettings) -> Result<u16> {
    let client = client(settings).await.context("failed to create k8s port forwader")?;
    let (pod, port) = target(&client, &settings.namespace).await.context("failed to port forward")?;
    let pods: Api<Pod> = Api::namespaced(client, &settings.namespace);
    let listener = TcpListener::bind(("127.0.0.1", settings.local_port)).await.with_context(|| {
        format!("failed to port forward: cannot listen on port {}: see --port-forward-port", settings.local_port)
    })?;
    let local = listener.local_addr().context("failed to port forward")?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (pods, pod) = (pods.clone(), pod.clone());
            tokio::spawn(async move {
                // Its user only sees that the connection ends; here is why.
                if let Err(error) = carry(&pods, &pod, port, stream).await {
                    drop(crate::warn(&format!("failed to port forward: {error:#}")));
                }
            });
        }
    });
    Ok(local)
}

async fn client(settings: &PortForwardSettings) -> Result<Client> {
    // The library takes the process's own choice of cryptography, and fails where there is none; one that was made
    // before stays.
    drop(rustls::crypto::ring::default_provider().install_default());
    let kubeconfig = match settings.kubeconfig.as_str() {
        "" => Kubeconfig::read(),
        path => Kubeconfig::read_from(path),
    };
    let options = KubeConfigOptions {
        context: Some(settings.context.clone()).filter(|context| !context.is_empty()),
        ..KubeConfigOptions::default()
    };
    let config = match kubeconfig {
        Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await?,
        // In a pod there is no such file, but a service account.
        Err(error) if settings.kubeconfig.is_empty() => Config::incluster().map_err(|_| error)?,
        Err(error) => return Err(error.into()),
    };
    Ok(Client::try_from(config)?)
}

/// A pod behind the service, and the port of the pod that the service's first port leads to.
async fn target(client: &Client, namespace: &str) -> Result<(String, u16)> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let service = services.get(SERVICE).await.with_context(|| format!("failed to get service {SERVICE:?}"))?;
    let spec = service.spec.unwrap_or_default();
    let selector: Vec<String> =
        spec.selector.unwrap_or_default().iter().map(|(name, value)| format!("{name}={value}")).collect();
    if selector.is_empty() {
        bail!("service {SERVICE:?} selects no pods");
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let found = pods
        .list(&ListParams::default().labels(&selector.join(",")))
        .await
        .with_context(|| format!("failed to get list of pods for service {SERVICE:?}"))?;
    let runs = |pod: &&Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
    let pod = found.items.iter().find(runs).or_else(|| found.items.first());
    let pod = pod.ok_or_else(|| anyhow!("no pods found for service: {SERVICE}"))?;
    let port = spec.ports.unwrap_or_default().first().and_then(|port| pod_port(port, pod));
    let port = port.ok_or_else(|| anyhow!("failed to lookup container port with service port 0"))?;
    let name = pod.metadata.name.clone().context("a pod has a name")?;
    Ok((name, port))
}

/// The port of the pod: by its number, by the name of a port of a container, or the same as that of the service.
fn pod_port(port: &ServicePort, pod: &Pod) -> Option<u16> {
    match &port.target_port {
        Some(IntOrString::Int(number)) => u16::try_from(*number).ok(),
        Some(IntOrString::String(name)) => {
            let containers = &pod.spec.as_ref()?.containers;
            let mut ports = containers.iter().flat_map(|container| container.ports.iter().flatten());
            let found = ports.find(|port| port.name.as_deref() == Some(name))?;
            u16::try_from(found.container_port).ok()
        }
        None => u16::try_from(port.port).ok(),
    }
}

/// Carries the bytes of one connection until one side ends it.
async fn carry(pods: &Api<Pod>, pod: &str, port: u16, mut local: TcpStream) -> Result<()> {
    let mut forwarder = pods.portforward(pod, &[port]).await?;
    let mut remote = forwarder.take_stream(port).context("the forwarded port has a stream")?;
    copy_bidirectional(&mut local, &mut remote).await?;
    drop(remote);
    Ok(forwarder.join().await?)
}
