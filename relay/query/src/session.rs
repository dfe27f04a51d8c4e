//! A session for one query.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionConfig;
use relay_index::{LedgerLine, Node, Snapshot};

use crate::flows::FlowsTable;
use crate::functions::{CidrMatch, HasLabel};
use crate::yielding::YieldAfterJoins;
use crate::{side_tables, views};

/// What one query sees, all of one moment.
pub(crate) struct Tables {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) losses: Vec<LedgerLine>,
    pub(crate) nodes: Vec<Node>,
}

/// Names under which `information_schema` lists the tables.
const CATALOG: &str = "weir";
const SCHEMA: &str = "public";

/// A session that knows the tables, views and functions.
pub(crate) async fn context(
    tables: &Tables,
    environment: &Arc<RuntimeEnv>,
    processors: usize,
) -> Result<SessionContext, DataFusionError> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_information_schema(true)
        .with_target_partitions(processors);
    // Errors tell where in the query they are.
    config.options_mut().sql_parser.collect_spans = true;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(environment.clone())
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(YieldAfterJoins))
        .build();
    let context = SessionContext::new_with_state(state);
    context.register_udf(ScalarUDF::from(CidrMatch::new()));
    context.register_udf(ScalarUDF::from(HasLabel::new()));
    context.register_table("flows", Arc::new(FlowsTable::new(&tables.snapshot)))?;
    context.register_table("losses", side_tables::losses(&tables.losses)?)?;
    context.register_table("nodes", side_tables::nodes(&tables.nodes)?)?;
    views::register(&context).await?;
    Ok(context)
}
