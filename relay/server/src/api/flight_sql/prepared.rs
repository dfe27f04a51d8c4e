//! Prepared statements, a bounded number of them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use tonic::Status;

/// A prepared statement.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// The query.
    pub(super) query: String,
    /// Columns of its answer.
    pub(super) schema: SchemaRef,
    /// Row of values for its parameters, once they were bound.
    pub(super) parameters: Option<RecordBatch>,
}

impl Statement {
    /// Bytes it occupies, but for its schema.
    fn bytes(&self) -> usize {
        self.query.len() + self.parameters.as_ref().map_or(0, RecordBatch::get_array_memory_size)
    }
}

/// Bytes that all statements may occupy together.
const BYTES_MAX: usize = 16 << 20;

/// Prepared statements by handle. When there are too many, the one that was not used for longest is forgotten, and its
/// client is told so when it comes back.
#[derive(Debug)]
pub(super) struct Statements {
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts uses.
    tick: u64,
    statements: HashMap<String, (u64, Statement)>,
}

impl State {
    /// Forgets statements until at most so many, of so many bytes, are left.
    fn make_room(&mut self, statements_max: usize, bytes_max: usize) {
        let mut bytes: usize = self.statements.values().map(|(_, statement)| statement.bytes()).sum();
        while self.statements.len() > statements_max || bytes > bytes_max {
            let oldest = self.statements.iter().min_by_key(|(_, (used, _))| *used).map(|(handle, _)| handle.clone());
            let Some((_, forgotten)) = oldest.and_then(|handle| self.statements.remove(&handle)) else { return };
            bytes -= forgotten.bytes();
        }
    }
}

impl Statements {
    pub(super) fn new(max: usize) -> Self {
        Self { max: max.max(1), state: Mutex::default() }
    }

    /// Keeps a statement; gives its handle.
    pub(super) fn add(&self, statement: Statement, run: i64) -> String {
        let mut state = self.state();
        state.make_room(self.max - 1, BYTES_MAX.saturating_sub(statement.bytes()));
        state.tick += 1;
        // Handles of one run of the relay mean nothing to the next.
        let handle = format!("{run:x}-{:x}", state.tick);
        let tick = state.tick;
        state.statements.insert(handle.clone(), (tick, statement));
        handle
    }

    /// The statement of a handle.
    pub(super) fn get(&self, handle: &[u8]) -> Result<Statement, Status> {
        let mut state = self.state();
        state.tick += 1;
        let tick = state.tick;
        let (used, statement) = find(&mut state, handle)?;
        *used = tick;
        Ok(statement.clone())
    }

    /// Binds values to the parameters of a statement.
    pub(super) fn bind(&self, handle: &[u8], parameters: RecordBatch) -> Result<(), Status> {
        let mut state = self.state();
        state.tick += 1;
        let tick = state.tick;
        let (used, statement) = find(&mut state, handle)?;
        (*used, statement.parameters) = (tick, Some(parameters));
        state.make_room(self.max, BYTES_MAX);
        Ok(())
    }

    /// Forgets a statement; one that is not known is forgotten already.
    pub(super) fn close(&self, handle: &[u8]) {
        if let Ok(handle) = std::str::from_utf8(handle) {
            self.state().statements.remove(handle);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<'a>(state: &'a mut State, handle: &[u8]) -> Result<&'a mut (u64, Statement), Status> {
    let known = std::str::from_utf8(handle).ok().and_then(|handle| state.statements.get_mut(handle));
    known.ok_or_else(|| {
        Status::not_found("there is no such prepared statement: it was closed or forgotten, prepare it again")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;

    use super::*;

    fn statement(query: &str) -> Statement {
        Statement { query: query.to_owned(), schema: Arc::new(Schema::empty()), parameters: None }
    }

    #[test]
    fn the_statement_unused_for_longest_is_forgotten_first() {
        let statements = Statements::new(2);
        let [first, second] = ["a", "b"].map(|query| statements.add(statement(query), 7));
        assert_eq!(statements.get(first.as_bytes()).unwrap().query, "a");
        let third = statements.add(statement("c"), 7);
        assert_eq!(statements.get(second.as_bytes()).unwrap_err().code(), tonic::Code::NotFound);
        assert!([first, third].iter().all(|handle| statements.get(handle.as_bytes()).is_ok()));
        assert!(statements.get(&[0xff]).is_err());
    }

    #[test]
    fn large_statements_are_few() {
        let statements = Statements::new(1_000);
        let handles: Vec<String> = (0..100).map(|_| statements.add(statement(&"x".repeat(1 << 20)), 7)).collect();
        let kept = handles.iter().filter(|handle| statements.get(handle.as_bytes()).is_ok()).count();
        assert_eq!(kept, 16);
        assert!(statements.get(handles[99].as_bytes()).is_ok());
    }
}
