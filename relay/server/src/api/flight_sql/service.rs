//! The calls of Flight SQL.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::root_as_message;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementQuery,
    CommandStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{Action, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc, Ticket};
use bytes::Bytes;
use futures::future::ready;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use prost::Message as _;
use relay_query::{Answer, QueryError};
use table::wire::{UnpackError, check_unpacked};
use tonic::{Request, Response, Status};

use super::catalog;
use super::prepared::{Statement, Statements};
use crate::api::damage::{DAMAGED_FILES, Damage};
use crate::api::question::Question;
use crate::metrics::Outcome;
use crate::relay::Relay;

/// Label of these among the kinds of queries.
const KIND: &str = "flight_sql";
/// Bytes of values that may be bound to one statement.
const PARAMETER_BYTES_MAX: usize = 1 << 20;

/// Messages of an answer.
type Messages = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send + 'static>>;

/// Answers Flight SQL over the relay's engine.
pub(super) struct FlightSql {
    relay: Arc<Relay>,
    statements: Statements,
}

impl FlightSql {
    pub(super) fn new(relay: Arc<Relay>) -> Self {
        let statements = Statements::new(relay.config.flight_sql.prepared_max);
        Self { relay, statements }
    }

    async fn answer(&self, query: &str, parameters: Option<&RecordBatch>) -> Result<Response<Messages>, Status> {
        let mut question = Question::begin(&self.relay, KIND, Outcome::Failed);
        let mut damage = Damage::watch(&self.relay.index);
        self.relay.tell_node_states();
        let answer = self.relay.engine.query_with(&self.relay.index, query, parameters).await.map_err(refuse)?;
        question.outcome = Outcome::Cancelled;
        let (schema, damaged) = (answer.schema(), damage.tell(&self.relay.index));
        let batches = Rest { answer, question, damage }.into_stream();
        let mut response = Response::new(encode(schema, batches));
        if damaged > 0 {
            response.metadata_mut().insert(DAMAGED_FILES, (damaged as u64).into());
        }
        Ok(response)
    }

    async fn schema_of(&self, query: &str) -> Result<SchemaRef, Status> {
        Ok(self.relay.engine.prepare(&self.relay.index, query).await.map_err(refuse)?.schema)
    }
}

/// What is still to be sent of an answer, and its place in the metrics.
struct Rest {
    answer: Answer,
    question: Question,
    damage: Damage,
}

impl Rest {
    fn into_stream(self) -> impl Stream<Item = Result<RecordBatch, FlightError>> + Send {
        futures::stream::unfold(Some(self), |rest| async {
            let mut rest = rest?;
            let failed = |rest: &mut Self, status: Status| {
                rest.question.outcome = Outcome::Failed;
                Some((Err(FlightError::Tonic(Box::new(status))), None))
            };
            match rest.answer.next().await {
                Some(Ok(batch)) => Some((Ok(batch), Some(rest))),
                Some(Err(error)) => failed(&mut rest, refuse(error)),
                // A part that looks like the whole would be a lie.
                None if rest.answer.truncated() => {
                    failed(&mut rest, Status::out_of_range("the answer has more rows than relay.sql.rows_max allows"))
                }
                None => match rest.damage.untold(&rest.question.relay().index) {
                    Some(untold) => failed(&mut rest, Status::data_loss(untold)),
                    None => {
                        rest.question.outcome = Outcome::Ok;
                        None
                    }
                },
            }
        })
    }
}

fn encode(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
) -> Messages {
    FlightDataEncoderBuilder::new().with_schema(schema).build(batches).map_err(Status::from).boxed()
}

/// A small table that is known at once.
fn small(table: Result<RecordBatch, FlightError>) -> Result<Response<Messages>, Status> {
    let table = table.map_err(Status::from)?;
    Ok(Response::new(encode(table.schema(), futures::stream::iter([Ok(table)]))))
}

/// Where an answer is fetched: here, by this ticket.
fn info(schema: &Schema, ticket: Vec<u8>, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
    let info = FlightInfo::new().with_descriptor(request.into_inner()).with_endpoint(endpoint);
    let info = info.try_with_schema(&catalog::sent(schema)).map_err(not_encoded)?;
    Ok(Response::new(info))
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn not_encoded(error: ArrowError) -> Status {
    Status::internal(format!("the schema cannot be encoded: {error}"))
}

fn refuse(error: QueryError) -> Status {
    let mut text = error.to_string();
    match error {
        QueryError::Bad { position, .. } => {
            if let Some(at) = position {
                text = format!("{text} (line {}, column {})", at.line, at.column);
            }
            Status::invalid_argument(text)
        }
        QueryError::ReadOnly { .. } => Status::permission_denied(text),
        QueryError::TooLarge { .. } => Status::resource_exhausted(text),
        QueryError::TimedOut { .. } => Status::deadline_exceeded(text),
        QueryError::Busy { .. } => Status::unavailable(text),
        QueryError::Failed { .. } => Status::internal(text),
    }
}

fn read_only() -> Status {
    Status::permission_denied("the tables can only be read")
}

/// Refuses parameters that would take too much once they are unpacked. What is no message is left to who reads it.
fn check_parameters(message: &FlightData) -> Result<(), UnpackError> {
    let Ok(header) = root_as_message(&message.data_header) else { return Ok(()) };
    check_unpacked(&header, &message.data_body, PARAMETER_BYTES_MAX)
}

/// The row of values that a client binds.
async fn parameters(request: Request<PeekableFlightDataStream>) -> Result<RecordBatch, Status> {
    let messages = request.into_inner().into_peekable().map_err(|status| FlightError::Tonic(Box::new(status)));
    let messages = messages.and_then(|message| {
        let checked = check_parameters(&message).map_err(|error| FlightError::DecodeError(error.to_string()));
        ready(checked.map(|()| message))
    });
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages);
    let (mut found, mut bytes) = (None, 0_usize);
    while let Some(batch) = batches.next().await {
        let batch =
            batch.map_err(|error| Status::invalid_argument(format!("the parameters cannot be read: {error}")))?;
        bytes = bytes.saturating_add(batch.get_array_memory_size());
        if bytes > PARAMETER_BYTES_MAX {
            return Err(Status::invalid_argument(format!("the parameters have more than {PARAMETER_BYTES_MAX} bytes")));
        }
        if batch.num_rows() > 0 && found.replace(batch).is_some() {
            return Err(Status::invalid_argument("bind one row of parameters and run the query for each"));
        }
    }
    found.ok_or_else(|| Status::invalid_argument("no row of parameters was bound"))
}

#[tonic::async_trait]
impl FlightSqlService for FlightSql {
    type FlightService = Self;

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let schema = self.schema_of(&query.query).await?;
        let ticket = TicketStatementQuery { statement_handle: query.query.into() };
        info(&schema, ticket.as_any().encode_to_vec(), request)
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        _request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let query = std::str::from_utf8(&ticket.statement_handle)
            .map_err(|_| Status::invalid_argument("the ticket is none that was given here"))?;
        self.answer(query, None).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let prepared = self.relay.engine.prepare(&self.relay.index, &query.query).await.map_err(refuse)?;
        let options = arrow::ipc::writer::IpcWriteOptions::default();
        let bytes = |schema: &Schema| -> Result<Bytes, Status> {
            let IpcMessage(bytes) = SchemaAsIpc::new(schema, &options).try_into().map_err(not_encoded)?;
            Ok(bytes)
        };
        let (dataset_schema, parameter_schema) =
            (bytes(&catalog::sent(&prepared.schema))?, bytes(&catalog::sent(&prepared.parameters))?);
        let statement = Statement { query: query.query, schema: prepared.schema, parameters: None };
        let handle = self.statements.add(statement, self.relay.started.0);
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle.into(),
            dataset_schema,
            parameter_schema,
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        self.statements.close(&query.prepared_statement_handle);
        Ok(())
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let handle = query.prepared_statement_handle;
        self.statements.bind(&handle, parameters(request).await?)?;
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) })
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let statement = self.statements.get(&query.prepared_statement_handle)?;
        info(&statement.schema, query.as_any().encode_to_vec(), request)
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        _request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let statement = self.statements.get(&query.prepared_statement_handle)?;
        self.answer(&statement.query, statement.parameters.as_ref()).await
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let ticket = query.as_any().encode_to_vec();
        info(&query.into_builder().schema(), ticket, request)
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        _request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let mut builder = query.into_builder();
        builder.append(relay_query::CATALOG);
        small(builder.build())
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let ticket = query.as_any().encode_to_vec();
        info(&query.into_builder().schema(), ticket, request)
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        _request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let mut builder = query.into_builder();
        builder.append(relay_query::CATALOG, relay_query::SCHEMA);
        small(builder.build())
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let ticket = query.as_any().encode_to_vec();
        info(&query.into_builder().schema(), ticket, request)
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        _request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let mut builder = query.into_builder();
        for table in self.relay.engine.tables().await.map_err(refuse)? {
            let (kind, schema) = (catalog::table_type(&table), catalog::described(&table));
            builder
                .append(relay_query::CATALOG, relay_query::SCHEMA, &table.name, kind, &schema)
                .map_err(Status::from)?;
        }
        small(builder.build())
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let ticket = query.as_any().encode_to_vec();
        info(&query.into_builder().schema(), ticket, request)
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        _request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let mut builder = query.into_builder();
        for kind in catalog::TABLE_TYPES {
            builder.append(kind);
        }
        small(builder.build())
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let ticket = query.as_any().encode_to_vec();
        info(&query.into_builder(catalog::server()).schema(), ticket, request)
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        _request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        small(query.into_builder(catalog::server()).build())
    }

    async fn do_put_statement_update(
        &self,
        _query: CommandStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(read_only())
    }

    async fn do_put_statement_ingest(
        &self,
        _query: CommandStatementIngest,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(read_only())
    }

    async fn do_put_prepared_statement_update(
        &self,
        _query: CommandPreparedStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(read_only())
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}
