//! A session for one query.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::functions::datetime::date_bin;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::prelude::SessionConfig;
use relay_index::{LedgerLine, Node, RollupView, Snapshot};

use crate::flows::FlowsTable;
use crate::functions::{CidrMatch, HasLabel, LabelValue, SketchPercentile, bound};
use crate::prepared::{CATALOG, SCHEMA};
use crate::rollups::{self, RollupTable};
use crate::yielding::YieldAfterJoins;
use crate::{side_tables, views};

/// What one query sees, all of one moment.
pub(crate) struct Tables {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) rollups: RollupView,
    pub(crate) losses: Vec<LedgerLine>,
    pub(crate) nodes: Vec<Node>,
}

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
    bound(&context)?;
    context.register_udf(ScalarUDF::from(CidrMatch::new()));
    context.register_udf(ScalarUDF::from(HasLabel::new()));
    context.register_udf(ScalarUDF::from(LabelValue::new()));
    context.register_udf(date_bin().as_ref().clone().with_aliases(["time_bucket"]));
    context.register_udaf(AggregateUDF::from(SketchPercentile::new()));
    context.register_table("flows", Arc::new(FlowsTable::new(&tables.snapshot)))?;
    for (name, kind, period) in rollups::TABLES {
        context.register_table(name, Arc::new(RollupTable::new(name, kind, period, &tables.rollups)))?;
    }
    context.register_table("losses", side_tables::losses(&tables.losses)?)?;
    context.register_table("nodes", side_tables::nodes(&tables.nodes)?)?;
    views::register(&context).await?;
    Ok(context)
}
