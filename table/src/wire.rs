//! The flow table on its way from a collector to a relay.
//!
//! Arrow's IPC format writes the keys of every dictionary column, though the columns of a [group](GROUPS) have the same
//! ones, and a message for every dictionary. In this form a group is one dictionary column whose values are structs with
//! a field for each of its columns: half the bytes and half the messages, and what is read is one array of keys for all.
//! Which rows are NULL in a column is a column of truth values beside it.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int16Array, StructArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int16Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::column::{downcast, untyped};
use crate::schema::{COLUMNS, Col, GROUPS, SchemaError, schema};

mod messages;
mod unpacked;

pub use messages::{FLIGHT_PATH, batch_messages, schema_message};
pub use unpacked::{UnpackError, check_unpacked};

/// Key of the schema's metadata that tells the form.
const FORM_KEY: &str = "weir.form";
/// The form that is described here.
const FORM: &str = "groups";
/// Before the name of the first column of a group.
const GROUP: &str = "group:";
/// Before the name of a column that may be NULL: where it is not.
const VALID: &str = "valid:";

/// Columns of the form: those of the table that are no dictionaries, which rows are not NULL in those that are, groups.
struct Form {
    plain: Vec<Col>,
    nullable: Vec<Col>,
    /// Fields of the structs of each group.
    members: Vec<Fields>,
    schema: SchemaRef,
}

static WIRE: LazyLock<Form> = LazyLock::new(|| {
    let (dictionaries, plain): (Vec<Col>, Vec<Col>) =
        Col::ALL.iter().partition(|col| col.column().kind.is_dictionary());
    let nullable: Vec<Col> = dictionaries.into_iter().filter(|col| col.column().nullable).collect();
    let member = |col: &Col| Field::new(col.name(), values_of(&col.column().kind.data_type()), false);
    let members: Vec<Fields> = GROUPS.iter().map(|group| group.iter().map(member).collect()).collect();
    let group = |(group, members): (&&[Col], &Fields)| {
        let values = DataType::Struct(members.clone());
        let kind = DataType::Dictionary(Box::new(DataType::Int16), Box::new(values));
        Field::new(format!("{GROUP}{}", group[0].name()), kind, false)
    };
    let valid = |col: &Col| Field::new(format!("{VALID}{}", col.name()), DataType::Boolean, false);
    let plain_fields = plain.iter().map(|col| schema().field(col.index()).clone());
    let fields: Vec<Field> =
        plain_fields.chain(nullable.iter().map(valid)).chain(GROUPS.iter().zip(&members).map(group)).collect();
    let mut metadata = schema().metadata().clone();
    metadata.insert(FORM_KEY.to_owned(), FORM.to_owned());
    Form { plain, nullable, members, schema: Arc::new(Schema::new_with_metadata(fields, metadata)) }
});

/// Schema of packed batches.
#[must_use]
pub fn packed_schema() -> SchemaRef {
    Arc::clone(&WIRE.schema)
}

/// Brings a batch in the shape of [`schema()`] into the form for the wire. Nothing of it is copied where the columns of
/// each group have the same keys, as in all batches of ours.
///
/// # Errors
/// The batch has another shape.
pub fn pack(batch: &RecordBatch) -> Result<RecordBatch, SchemaError> {
    if let Some(packed) = pack_groups(batch)? {
        return Ok(packed);
    }
    let merged = crate::merge(std::slice::from_ref(batch))?;
    Ok(pack_groups(&merged)?.expect("merging gives a group one entry for each key"))
}

fn pack_groups(batch: &RecordBatch) -> Result<Option<RecordBatch>, SchemaError> {
    let form = &*WIRE;
    let plain = form.plain.iter().map(|col| Ok(Arc::clone(untyped(batch, *col)?)));
    let valid = form.nullable.iter().map(|col| {
        let nulls = untyped(batch, *col)?.nulls();
        let valid = nulls.map_or_else(|| BooleanBuffer::new_set(batch.num_rows()), |nulls| nulls.inner().clone());
        Ok(Arc::new(BooleanArray::from(valid)) as ArrayRef)
    });
    let mut columns: Vec<ArrayRef> = plain.chain(valid).collect::<Result<_, SchemaError>>()?;
    for (group, members) in GROUPS.iter().zip(&form.members) {
        let Some(column) = pack_group(batch, group, members)? else { return Ok(None) };
        columns.push(column);
    }
    RecordBatch::try_new(packed_schema(), columns).map(Some).map_err(SchemaError::Arrow)
}

/// The columns of a group as one; `None` where their keys or the numbers of their entries differ.
fn pack_group(batch: &RecordBatch, group: &[Col], members: &Fields) -> Result<Option<ArrayRef>, SchemaError> {
    let open = |col: &Col| downcast::<DictionaryArray<Int16Type>>(batch, *col);
    let columns: Vec<&DictionaryArray<Int16Type>> = group.iter().map(open).collect::<Result<_, _>>()?;
    let (keys, entries) = (columns[0].keys().values(), columns[0].values().len());
    let alike = |column: &&DictionaryArray<Int16Type>| {
        let other = column.keys().values();
        column.values().len() == entries && (other.ptr_eq(keys) || other == keys)
    };
    if !columns[1..].iter().all(alike) {
        return Ok(None);
    }
    let values = columns.iter().map(|column| Arc::clone(column.values())).collect();
    let values = StructArray::try_new(members.clone(), values, None).map_err(SchemaError::Arrow)?;
    // A key of a row that is NULL may mean nothing.
    let packed = DictionaryArray::try_new(Int16Array::new(keys.clone(), None), Arc::new(values));
    Ok(packed.ok().map(|packed| Arc::new(packed) as ArrayRef))
}

/// The way back, for the batches of one stream.
#[derive(Clone, Debug)]
pub struct Unpacker {
    schema: SchemaRef,
    columns: Arc<[Source]>,
}

/// For batches of this version, which are nearly all.
static OURS: LazyLock<Unpacker> = LazyLock::new(|| Unpacker::read(&WIRE.schema));

/// Where a column of the table is in a packed batch, by position.
#[derive(Clone, Copy, Debug)]
enum Source {
    Plain(usize),
    Member { group: usize, member: usize, valid: Option<usize> },
}

impl Unpacker {
    /// For packed batches of this schema, whatever the version of the table; `None` where it is of no packed ones.
    #[must_use]
    pub fn of(packed: &Schema) -> Option<Self> {
        if packed.metadata().get(FORM_KEY).is_none_or(|form| form != FORM) {
            return None;
        }
        Some(if *packed == *WIRE.schema { OURS.clone() } else { Self::read(packed) })
    }

    fn read(packed: &Schema) -> Self {
        let mut columns: Vec<(Field, Source)> = Vec::new();
        for (at, field) in packed.fields().iter().enumerate() {
            match members_of(field.data_type()) {
                Some(members) => columns.extend(members.iter().enumerate().map(|(member, field)| {
                    let valid = packed.index_of(&format!("{VALID}{}", field.name())).ok();
                    let kind = DataType::Dictionary(Box::new(DataType::Int16), Box::new(field.data_type().clone()));
                    let column = Field::new(field.name(), kind, valid.is_some());
                    (column, Source::Member { group: at, member, valid })
                })),
                None if field.name().starts_with(VALID) => {}
                None => columns.push((field.as_ref().clone(), Source::Plain(at))),
            }
        }
        // In the order of the table, so that a batch of this version needs no other change.
        let place = |name: &str| COLUMNS.iter().position(|column| column.name == name).unwrap_or(COLUMNS.len());
        columns.sort_by_cached_key(|(field, _)| place(field.name()));
        let (fields, columns): (Vec<Field>, Vec<Source>) = columns.into_iter().unzip();
        let columns = columns.into();
        let mut metadata = packed.metadata().clone();
        metadata.remove(FORM_KEY);
        let found = Schema::new_with_metadata(fields, metadata);
        let schema = if found == *schema() { schema() } else { Arc::new(found) };
        Self { schema, columns }
    }

    /// Schema of what [`Unpacker::unpack`] gives.
    #[must_use]
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The batch with a column for each column; [`crate::conform`] may have to follow.
    ///
    /// # Errors
    /// The batch is not of the schema, or is NULL where it must not be.
    pub fn unpack(&self, batch: &RecordBatch) -> Result<RecordBatch, SchemaError> {
        let columns = self.columns.iter().map(|source| match *source {
            Source::Plain(at) => batch.columns().get(at).cloned().ok_or_else(|| not_so("a column is missing")),
            Source::Member { group, member, valid } => member_of(batch, group, member, valid),
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?).map_err(SchemaError::Arrow)
    }
}

fn member_of(batch: &RecordBatch, group: usize, member: usize, valid: Option<usize>) -> Result<ArrayRef, SchemaError> {
    let column = |at: usize| batch.columns().get(at).ok_or_else(|| not_so("a column is missing"));
    let group = column(group)?.as_dictionary_opt::<Int16Type>().ok_or_else(|| not_so("a group is no dictionary"))?;
    let values = group.values().as_struct_opt().ok_or_else(|| not_so("a group is not of structs"))?;
    let values = values.columns().get(member).cloned().ok_or_else(|| not_so("a group lacks a column"))?;
    let valid =
        valid.map(|at| column(at)?.as_boolean_opt().ok_or_else(|| not_so("truth values are none"))).transpose()?;
    let nulls = valid.map(|valid| NullBuffer::new(valid.values().clone())).filter(|nulls| nulls.null_count() > 0);
    if nulls.is_none() {
        // The keys are known to fit: they were checked with the structs.
        return Ok(Arc::new(group.with_values(values)));
    }
    let keys = Int16Array::try_new(group.keys().values().clone(), nulls).map_err(SchemaError::Arrow)?;
    Ok(Arc::new(DictionaryArray::try_new(keys, values).map_err(SchemaError::Arrow)?))
}

fn members_of(kind: &DataType) -> Option<&Fields> {
    match kind {
        DataType::Dictionary(keys, values) if **keys == DataType::Int16 => match values.as_ref() {
            DataType::Struct(members) => Some(members),
            _ => None,
        },
        _ => None,
    }
}

/// Type of the values of a dictionary.
fn values_of(kind: &DataType) -> DataType {
    if let DataType::Dictionary(_, values) = kind { values.as_ref().clone() } else { kind.clone() }
}

fn not_so(what: &str) -> SchemaError {
    SchemaError::Arrow(ArrowError::SchemaError(format!("the batch is not of its schema: {what}")))
}
