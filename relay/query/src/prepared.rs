//! Queries that are planned before they run, and what there is to ask.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::logical_expr::TableType;
use datafusion::sql::parser::Statement;

use crate::error::from_engine;
use crate::{Limits, QueryError, statement};

/// Catalogue under which the tables are listed.
pub const CATALOG: &str = "weir";
/// Schema under which the tables are listed.
pub const SCHEMA: &str = "public";

/// A query that was planned and not run.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Columns of its answer.
    pub schema: SchemaRef,
    /// Its parameters in order: `$1`, `$2` and so on; text where nothing tells their type.
    pub parameters: SchemaRef,
}

/// A table or view.
#[derive(Clone, Debug)]
pub struct TableInfo {
    /// Name.
    pub name: String,
    /// Whether it is a view.
    pub is_view: bool,
    /// Columns.
    pub schema: SchemaRef,
}

pub(crate) async fn prepare(
    context: &SessionContext,
    statement: Statement,
    limits: &Limits,
) -> Result<Prepared, QueryError> {
    let bad = |error| from_engine(&error, limits);
    let text = statement.to_string();
    let plan = context.state().statement_to_plan(statement).await.map_err(bad)?;
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(&plan).map_err(|_| statement::refusal(&text))?;
    let types = plan.get_parameter_types().map_err(bad)?;
    let mut parameters: Vec<(usize, Field)> = types
        .into_iter()
        .map(|(name, kind)| {
            let place = name.trim_start_matches('$').parse().unwrap_or(usize::MAX);
            (place, Field::new(name, kind.unwrap_or(DataType::Utf8), true))
        })
        .collect();
    parameters.sort_by_key(|(place, _)| *place);
    let parameters: Vec<Field> = parameters.into_iter().map(|(_, field)| field).collect();
    let schema = Arc::new(plan.schema().as_arrow().clone());
    Ok(Prepared { schema, parameters: Arc::new(Schema::new(parameters)) })
}

/// The values of the one row of a batch.
pub(crate) fn values(parameters: &RecordBatch) -> Result<Vec<ScalarValue>, QueryError> {
    let bad = |message: String| QueryError::Bad { message, position: None };
    if parameters.num_rows() != 1 {
        let rows = parameters.num_rows();
        return Err(bad(format!("{rows} rows of parameters were bound: bind one row and run the query for each")));
    }
    let value =
        |column: &ArrayRef| ScalarValue::try_from_array(column, 0).map_err(|error| bad(error.strip_backtrace()));
    parameters.columns().iter().map(value).collect()
}

/// All tables and views by name.
pub(crate) async fn tables(context: &SessionContext) -> Result<Vec<TableInfo>, DataFusionError> {
    let schema = context.catalog(CATALOG).and_then(|catalog| catalog.schema(SCHEMA));
    let schema = schema.ok_or_else(|| DataFusionError::Internal("a session has its catalog".to_owned()))?;
    let mut names = schema.table_names();
    names.sort();
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        if let Some(table) = schema.table(&name).await? {
            let is_view = table.table_type() == TableType::View;
            tables.push(TableInfo { name, is_view, schema: table.schema() });
        }
    }
    Ok(tables)
}
