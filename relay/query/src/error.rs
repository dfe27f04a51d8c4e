//! Why a query was refused or failed.

use datafusion::error::DataFusionError;

use crate::Limits;

/// A query was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The query cannot be understood, or asks for something that cannot be computed.
    #[error("{message}")]
    Bad {
        /// What is wrong, in words for the person who wrote it.
        message: String,
        /// Where in the query, if that is known.
        position: Option<Position>,
    },
    /// The query would change something.
    #[error(
        "{statement} is not allowed: the tables can only be read, with SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE"
    )]
    ReadOnly {
        /// First words of the statement.
        statement: String,
    },
    /// The query needs more memory than it may use.
    #[error(
        "the query needs more than the {limit_bytes} bytes of memory that queries may use: \
         narrow the time range, select fewer columns or group by fewer"
    )]
    TooLarge {
        /// Memory all queries may use together.
        limit_bytes: usize,
    },
    /// The query took too long.
    #[error("the query took longer than {limit_ms} ms: narrow the time range")]
    TimedOut {
        /// Time a query may take.
        limit_ms: u128,
    },
    /// Other queries are running.
    #[error("{running} queries are running already, try again in a moment")]
    Busy {
        /// Queries that run at the same time.
        running: usize,
    },
    /// The engine failed; not the fault of the query.
    #[error("the query failed: {message}")]
    Failed {
        /// What the engine says.
        message: String,
    },
}

/// A place in the text of a query; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: u64,
    /// Column in characters.
    pub column: u64,
}

/// Bytes of a list of columns that an error still names.
const FIELDS_BYTES_MAX: usize = 400;

/// Sorts an error of the engine by whose fault it is.
pub(crate) fn from_engine(error: &DataFusionError, limits: &Limits) -> QueryError {
    let message = message(error);
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => QueryError::TooLarge { limit_bytes: limits.memory_bytes },
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::Execution(_)
        | DataFusionError::ArrowError(..) => QueryError::Bad { position: position(error, &message), message },
        _ => QueryError::Failed { message },
    }
}

/// What the engine says, without its prefixes.
fn message(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    let prefixes = ["Error during planning: ", "SQL error: ", "Schema error: ", "Execution error: ", "Arrow error: "];
    let text = prefixes.iter().fold(text.as_str(), |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    // The parser's errors are shown in their debug form.
    let parser = text.strip_prefix("ParserError(\"").and_then(|text| text.strip_suffix("\")"));
    let text = parser.map_or_else(|| text.to_owned(), |text| text.replace("\\\"", "\"").replace("\\\\", "\\"));
    // A hundred columns hide the one that was mistyped.
    match text.split_once("\nValid fields are ") {
        Some((problem, fields)) if fields.len() > FIELDS_BYTES_MAX => {
            format!("{problem} DESCRIBE lists the columns of a table, such as DESCRIBE flows.")
        }
        _ => text,
    }
}

fn position(error: &DataFusionError, message: &str) -> Option<Position> {
    if let Some(span) = error.diagnostic().and_then(|diagnostic| diagnostic.span) {
        return Some(Position { line: span.start.line, column: span.start.column });
    }
    // The parser has no other way to tell where it stopped.
    let (_, place) = message.rsplit_once("at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some(Position { line: line.parse().ok()?, column: column.trim().parse().ok()? })
}
