//! The table of flows.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use relay_index::Snapshot;

mod part;
mod prune;
mod shape;
mod source;

use part::Part;
use source::FlowSource;

/// The flows of a snapshot.
///
/// Filters come to the [`FlowSource`] once the physical plan is made, with those that a running `ORDER BY .. LIMIT`
/// sharpens as it goes.
#[derive(Debug)]
pub(crate) struct FlowsTable {
    parts: Vec<Part>,
}

impl FlowsTable {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        Self { parts: Part::all_of(snapshot) }
    }
}

#[async_trait]
impl TableProvider for FlowsTable {
    fn schema(&self) -> SchemaRef {
        shape::schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let partitions = state.config().target_partitions().min(self.parts.len()).max(1);
        let mut parts = vec![Vec::new(); partitions];
        // Dealt out in turn, so that every partition begins with new rows.
        for (i, part) in self.parts.iter().enumerate() {
            parts[i % partitions].push(part.clone());
        }
        let source = FlowSource::new(parts, projection, limit)?;
        Ok(DataSourceExec::from_data_source(source))
    }
}
