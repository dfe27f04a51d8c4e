//! Names that a shell completes: those that the server knows and that recent flows have.

use std::collections::BTreeSet;
use std::time::Duration;

use flow::filter::GroupKey;
use proto::convert::flow_from_wire;
use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::observer_client::ObserverClient;
use proto::observer::{GetFlowsRequest, GetNamespacesRequest, GetNodesRequest};
use tonic::Status;

use crate::cli::{self, Given};
use crate::connect::{Connection, Credentials};
use crate::settings::Settings;

/// People press a key and wait: a server that takes longer is no help.
const DEADLINE: Duration = Duration::from_millis(300);
/// Flows whose names are offered.
const FLOWS: u64 = 1_000;
/// Names offered at most.
const NAMES_MAX: usize = 1_000;
/// Names longer than this are not for a command line.
const NAME_BYTES_MAX: usize = 256;

type Client = ObserverClient<tonic::service::interceptor::InterceptedService<tonic::transport::Channel, Credentials>>;

/// Values of a condition such as `to-pod` that the server of these words knows; none where it does not answer at once.
pub(crate) fn of_server(words: &[String], condition: &str, label: Option<&str>) -> Vec<String> {
    let settings = Settings::load(&given(words), &|name| std::env::var(name).ok());
    // Through a cluster's API server there is no answer at once.
    if settings.is_on("port-forward") {
        return Vec::new();
    }
    let (Ok(server), Ok(runtime)) = (settings.server(), crate::runtime()) else { return Vec::new() };
    let mut names = BTreeSet::new();
    let asked = async {
        let connection = Connection::open(&server).await.ok()?;
        let mut client = ObserverClient::new(connection.channel.clone());
        gather(&mut client, condition, label, &mut names).await.ok()
    };
    // What came in time is offered, whatever ended it.
    drop(runtime.block_on(async { tokio::time::timeout(DEADLINE, asked).await }));
    names.into_iter().take(NAMES_MAX).collect()
}

/// The flags among the words, as far as they can be understood: the last ones may be half typed.
fn given(words: &[String]) -> Given {
    (0..=words.len()).rev().find_map(|end| cli::parse(&words[..end]).ok()).map(|typed| typed.flags).unwrap_or_default()
}

async fn gather(
    client: &mut Client,
    condition: &str,
    label: Option<&str>,
    names: &mut BTreeSet<String>,
) -> Result<(), Status> {
    let known = match condition {
        "namespace" | "from-namespace" | "to-namespace" => {
            let answer = client.get_namespaces(GetNamespacesRequest {}).await;
            answer.map(|answer| names.extend(answer.into_inner().namespaces.into_iter().map(|ns| ns.namespace)))
        }
        "node-name" => {
            let answer = client.get_nodes(GetNodesRequest {}).await;
            answer.map(|answer| names.extend(answer.into_inner().nodes.into_iter().map(|node| node.name)))
        }
        _ => return gather_from_flows(client, condition, label, names).await,
    };
    match known {
        // A collector is no relay and knows no nodes, but its flows do.
        Err(_) => gather_from_flows(client, condition, label, names).await,
        Ok(()) => Ok(()),
    }
}

async fn gather_from_flows(
    client: &mut Client,
    condition: &str,
    label: Option<&str>,
    names: &mut BTreeSet<String>,
) -> Result<(), Status> {
    let keys = GroupKey::of_condition(condition, label);
    if keys.is_empty() {
        return Ok(());
    }
    let request = GetFlowsRequest { number: FLOWS, ..GetFlowsRequest::default() };
    let mut stream = client.get_flows(request).await?.into_inner();
    while let Some(message) = stream.message().await? {
        let Some(ResponseTypes::Flow(flow)) = message.response_types else { continue };
        let flow = flow_from_wire(flow);
        for key in &keys {
            let value = key.value(&flow);
            // Labels and DNS names of a side come together.
            let several = label.is_none() && (condition.ends_with("label") || condition.ends_with("fqdn"));
            let parts = if several { value.split(',').collect() } else { vec![&*value] };
            let fits = |part: &&str| !part.is_empty() && part.len() <= NAME_BYTES_MAX;
            names.extend(parts.into_iter().filter(fits).map(str::to_owned));
        }
    }
    Ok(())
}
