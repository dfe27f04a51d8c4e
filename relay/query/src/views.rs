//! Views over the flows, written in SQL.

use std::sync::Arc;

use datafusion::config::Dialect;
use datafusion::datasource::ViewTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

/// Flows turned from client to server: replies have their sides swapped.
const EDGES: &str = "\
SELECT time, time_ns, node_name, verdict, traffic_direction, trace_point, l4_protocol, l7_protocol, l7_type,
  CASE WHEN is_reply THEN dst_namespace ELSE src_namespace END AS client_namespace,
  CASE WHEN is_reply THEN dst_workload ELSE src_workload END AS client_workload,
  CASE WHEN is_reply THEN dst_pod ELSE src_pod END AS client_pod,
  CASE WHEN is_reply THEN ip_dst ELSE ip_src END AS client_ip,
  CASE WHEN is_reply THEN src_namespace ELSE dst_namespace END AS server_namespace,
  CASE WHEN is_reply THEN src_workload ELSE dst_workload END AS server_workload,
  CASE WHEN is_reply THEN src_pod ELSE dst_pod END AS server_pod,
  CASE WHEN is_reply THEN ip_src ELSE ip_dst END AS server_ip,
  CASE WHEN is_reply THEN src_port ELSE dst_port END AS server_port,
  CASE WHEN is_reply THEN 0 ELSE bytes END AS bytes_sent,
  CASE WHEN is_reply THEN bytes ELSE 0 END AS bytes_received,
  packets, l7_latency_ns, http_code, dns_rcode
FROM flows";

/// Dropped packets with the best reason that is known.
const DROPS: &str = "\
SELECT time, time_ns, node_name, coalesce(kernel_drop_reason, drop_reason) AS reason,
  kernel_drop_function AS function, src_namespace, src_workload, src_pod, ip_src, src_port,
  dst_namespace, dst_workload, dst_pod, ip_dst, dst_port, l4_protocol, interface,
  CASE WHEN packets > 0 THEN packets ELSE 1 END AS packets, summary
FROM flows WHERE verdict = 'DROPPED'";

/// Adds the views to a session that knows the flows.
pub(crate) async fn register(context: &SessionContext) -> Result<(), DataFusionError> {
    for (name, sql) in [("edges", EDGES), ("drops", DROPS)] {
        let state = context.state();
        let statement = state.sql_to_statement(sql, &Dialect::Generic)?;
        let plan = state.statement_to_plan(statement).await?;
        context.register_table(name, Arc::new(ViewTable::new(plan, Some(sql.to_owned()))))?;
    }
    Ok(())
}
