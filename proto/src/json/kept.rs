//! Which fields of a line are kept, for readers who will not look at all of them.

use prost::Name as _;

use super::schema::{self, Kind, MessageShape};
use crate::flow::Flow;
use crate::observer::GetFlowsResponse;

/// What is kept of a message. All of it is checked all the same.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    /// Everything.
    Whole,
    /// Not even that it is there.
    Nothing,
    /// Some of its fields, by place.
    Fields(Vec<Kept>),
}

impl Kept {
    /// What is kept of the field at this place.
    pub(super) fn field(&self, place: usize) -> &Self {
        match self {
            Self::Fields(fields) => fields.get(place).unwrap_or(&Self::Nothing),
            // What a message that is left out holds is left out with it.
            Self::Whole | Self::Nothing => &Self::Whole,
        }
    }

    fn nothing_of(shape: &MessageShape) -> Self {
        Self::Fields(vec![Self::Nothing; shape.fields.len()])
    }

    /// Keeps the field that the path names, and what leads there.
    fn add(&mut self, shape: &'static MessageShape, path: &str) {
        let Self::Fields(fields) = self else { return };
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let Some(place) = shape.fields.iter().position(|field| field.name == name) else {
            debug_assert!(false, "{path} names no field");
            // Too much is slow, too little is wrong.
            *self = Self::Whole;
            return;
        };
        let field = &shape.fields[place];
        match (rest, &field.kind) {
            (Some(rest), Kind::Message(_)) => {
                if matches!(fields[place], Self::Nothing) {
                    fields[place] = Self::nothing_of(field.message());
                }
                fields[place].add(field.message(), rest);
            }
            _ => fields[place] = Self::Whole,
        }
    }
}

/// Fields of a flow that somebody will look at.
#[derive(Clone, Debug)]
pub struct FlowFields(pub(super) Kept);

impl FlowFields {
    /// All of them.
    pub const ALL: Self = Self(Kept::Whole);

    /// Those that the paths name, such as `source.pod_name`; names are those of the .proto file. What stands beside the
    /// flow is looked at anyway.
    #[must_use]
    pub fn of<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let shape = |name: &str| schema::message(name).expect("every generated message has a descriptor");
        let (response, flow) = (shape(&GetFlowsResponse::full_name()), shape(&Flow::full_name()));
        let mut kept = Kept::nothing_of(flow);
        paths.into_iter().for_each(|path| kept.add(flow, path));
        let of_field = |field: &schema::FieldShape| if field.name == "flow" { kept.clone() } else { Kept::Whole };
        Self(Kept::Fields(response.fields.iter().map(of_field).collect()))
    }
}
