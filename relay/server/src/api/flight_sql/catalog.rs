//! What there is to ask.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{SqlInfo, SqlNullOrdering, SqlSupportedTransaction};
use relay_query::TableInfo;

/// Types of tables, as clients of Flight SQL know them.
pub(super) const TABLE_TYPES: [&str; 2] = ["TABLE", "VIEW"];

/// Type of a table.
pub(super) const fn table_type(table: &TableInfo) -> &'static str {
    TABLE_TYPES[table.is_view as usize]
}

/// The schema as it is sent: dictionaries are a way to store a column, and some clients cannot read them.
pub(super) fn sent(schema: &Schema) -> Schema {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(_, values) => Field::new(field.name(), values.as_ref().clone(), field.is_nullable())
            .with_metadata(field.metadata().clone()),
        _ => field.as_ref().clone(),
    };
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

/// The columns of a table with what clients want to know of each (the keys are those of Flight SQL).
pub(super) fn described(table: &TableInfo) -> Schema {
    let schema = sent(&table.schema);
    let describe = |field: &Arc<Field>| {
        let facts = HashMap::from(
            [
                ("ARROW:FLIGHT:SQL:CATALOG_NAME", relay_query::CATALOG),
                ("ARROW:FLIGHT:SQL:SCHEMA_NAME", relay_query::SCHEMA),
                ("ARROW:FLIGHT:SQL:TABLE_NAME", table.name.as_str()),
                ("ARROW:FLIGHT:SQL:TYPE_NAME", type_name(field.data_type())),
                ("ARROW:FLIGHT:SQL:IS_READ_ONLY", "1"),
                ("ARROW:FLIGHT:SQL:IS_SEARCHABLE", "1"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        field.as_ref().clone().with_metadata(facts)
    };
    Schema::new(schema.fields().iter().map(describe).collect::<Vec<_>>())
}

/// Name of a type in SQL.
const fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Timestamp(..) => "TIMESTAMP WITH TIME ZONE",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::Boolean => "BOOLEAN",
        DataType::Float64 => "DOUBLE",
        DataType::Binary => "VARBINARY",
        _ => "VARCHAR",
    }
}

/// Facts about the server.
pub(super) fn server() -> &'static SqlInfoData {
    static FACTS: LazyLock<SqlInfoData> = LazyLock::new(|| {
        let mut facts = SqlInfoDataBuilder::new();
        facts.append(SqlInfo::FlightSqlServerName, "Weir");
        facts.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
        facts.append(SqlInfo::FlightSqlServerArrowVersion, "59");
        facts.append(SqlInfo::FlightSqlServerReadOnly, true);
        facts.append(SqlInfo::FlightSqlServerSql, true);
        facts.append(SqlInfo::FlightSqlServerSubstrait, false);
        facts.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
        facts.append(SqlInfo::FlightSqlServerCancel, false);
        facts.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
        facts.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
        facts.build().expect("these facts have the types that Flight SQL gives them")
    });
    &FACTS
}
