//! Reading a query, and refusing what would change something.

use std::ops::ControlFlow;

use datafusion::logical_expr::sqlparser::ast::{self, Query, visit_expressions_mut};
use datafusion::logical_expr::sqlparser::dialect::GenericDialect;
use datafusion::logical_expr::sqlparser::keywords::Keyword;
use datafusion::logical_expr::sqlparser::tokenizer::{Token, Tokenizer};
use datafusion::sql::parser::{DFParser, Statement};

use crate::Limits;
use crate::QueryError;
use crate::error::from_engine;

/// Longest query, in bytes.
const QUERY_BYTES_MAX: usize = 1 << 20;

/// Operators of a query. Each may nest what comes before it. What is nested is walked, and freed, by calls within calls,
/// and planned in a time that grows with its square, which nothing can stop: 4,000 take most of a minute.
const OPERATORS_MAX: usize = 1_000;

/// Operators of a query that nest their operands however flat they are written.
fn operators(sql: &str) -> usize {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else {
        // The parser meets the same error and tells it.
        return 0;
    };
    let nests = |token: &&Token| match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::NOT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
                | Keyword::CASE
        ),
        Token::Comma
        | Token::Whitespace(_)
        | Token::Number(..)
        | Token::LParen
        | Token::RParen
        | Token::Period
        | Token::SemiColon
        | Token::EOF => false,
        Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) | Token::Placeholder(_) => false,
        _ => true,
    };
    tokens.iter().filter(nests).count()
}

/// Reads one statement that only reads. Call it on a thread of the engine, whose stack is large.
pub(crate) fn parse(sql: &str, limits: &Limits) -> Result<Statement, QueryError> {
    let bad = |message: &str| QueryError::Bad { message: message.to_owned(), position: None };
    if sql.len() > QUERY_BYTES_MAX {
        return Err(bad("the query is longer than 1 MiB"));
    }
    if operators(sql) > OPERATORS_MAX {
        return Err(bad("the query has more than 1,000 operators: put long lists of values into IN (...)"));
    }
    let mut statements = DFParser::parse_sql(sql).map_err(|error| from_engine(&error, limits))?;
    let statement = statements.pop_front().ok_or_else(|| bad("the query is empty"))?;
    if !statements.is_empty() {
        return Err(bad("there is more than one statement: send one at a time"));
    }
    if !only_reads(&statement) {
        return Err(refusal(&statement.to_string()));
    }
    Ok(numbered(statement))
}

/// Gives each `?` its number, because the engine knows `$1`, `$2` only.
fn numbered(mut statement: Statement) -> Statement {
    if let Statement::Statement(statement) = &mut statement {
        let mut count = 0;
        let visited = visit_expressions_mut(statement.as_mut(), |expression| {
            if let ast::Expr::Value(value) = expression
                && let ast::Value::Placeholder(name) = &mut value.value
                && name == "?"
            {
                count += 1;
                *name = format!("${count}");
            }
            ControlFlow::<()>::Continue(())
        });
        debug_assert_eq!(visited, ControlFlow::Continue(()));
    }
    statement
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
