//! Reading a query, and refusing what would change something.

use datafusion::logical_expr::sqlparser::ast::{self, Query};
use datafusion::sql::parser::{DFParser, Statement};

use crate::Limits;
use crate::QueryError;
use crate::error::from_engine;

/// Longest query, in bytes.
const QUERY_BYTES_MAX: usize = 1 << 20;

/// Reads one statement that only reads.
pub(crate) fn parse(sql: &str, limits: &Limits) -> Result<Statement, QueryError> {
    let bad = |message: &str| QueryError::Bad { message: message.to_owned(), position: None };
    if sql.len() > QUERY_BYTES_MAX {
        return Err(bad("the query is longer than 1 MiB"));
    }
    let mut statements = DFParser::parse_sql(sql).map_err(|error| from_engine(&error, limits))?;
    let statement = statements.pop_front().ok_or_else(|| bad("the query is empty"))?;
    if !statements.is_empty() {
        return Err(bad("there is more than one statement: send one at a time"));
    }
    if only_reads(&statement) { Ok(statement) } else { Err(refusal(&statement.to_string())) }
}

/// Says that a statement is not allowed.
pub(crate) fn refusal(statement: &str) -> QueryError {
    let words: Vec<&str> = statement.split_whitespace().take(2).collect();
    QueryError::ReadOnly { statement: words.join(" ") }
}

fn only_reads(statement: &Statement) -> bool {
    match statement {
        Statement::Explain(explain) => only_reads(&explain.statement),
        Statement::Statement(statement) => match statement.as_ref() {
            ast::Statement::Query(query) => query_only_reads(query),
            ast::Statement::Explain { statement, .. } => {
                matches!(statement.as_ref(), ast::Statement::Query(query) if query_only_reads(query))
            }
            ast::Statement::ShowTables { .. }
            | ast::Statement::ShowColumns { .. }
            | ast::Statement::ShowFunctions { .. }
            | ast::Statement::ShowVariable { .. }
            | ast::Statement::ExplainTable { .. } => true,
            _ => false,
        },
        _ => false,
    }
}

/// A query may hide a change in its body: `WITH x AS (..) INSERT ..`.
fn query_only_reads(query: &Query) -> bool {
    let with = query.with.as_ref();
    with.is_none_or(|with| with.cte_tables.iter().all(|cte| query_only_reads(&cte.query)))
        && body_only_reads(&query.body)
}

fn body_only_reads(body: &ast::SetExpr) -> bool {
    match body {
        ast::SetExpr::Select(select) => select.into.is_none(),
        ast::SetExpr::Query(query) => query_only_reads(query),
        ast::SetExpr::SetOperation { left, right, .. } => body_only_reads(left) && body_only_reads(right),
        ast::SetExpr::Values(_) | ast::SetExpr::Table(_) => true,
        _ => false,
    }
}
