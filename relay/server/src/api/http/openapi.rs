//! The document of the API.

use axum::Json;
use flow::filter::Selection;
use flow::view::{
    Completeness, DropBucket, DropGroup, DropSummary, FlowRow, FlowsAnswer, Loss, MapEdge, MapNode, NodeRow, Party,
    Problem, ServiceMap, SqlAnswer, SqlColumn, Status,
};
use utoipa::OpenApi;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi as Document, Required};

use super::{flows, live, map, sql, state};

/// Routes that take conditions on flows.
const SELECTING: [&str; 4] = ["/api/v1/flows", "/api/v1/flows/stream", "/api/v1/map", "/api/v1/drops"];

#[derive(OpenApi)]
#[openapi(
    info(title = "Weir relay", description = "Flows of all nodes: search, live stream, service map, drops, SQL."),
    paths(
        state::healthz,
        state::readyz,
        document,
        state::status,
        state::nodes,
        flows::flows,
        live::stream,
        map::map,
        map::drops,
        sql::sql
    ),
    components(schemas(
        Completeness,
        DropBucket,
        DropGroup,
        DropSummary,
        FlowRow,
        FlowsAnswer,
        Loss,
        MapEdge,
        MapNode,
        NodeRow,
        Party,
        Problem,
        ServiceMap,
        SqlAnswer,
        SqlColumn,
        Status,
        live::Lost
    ))
)]
struct Api;

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", responses((status = 200, content_type = "application/json")))]
pub(super) async fn document() -> Json<Document> {
    Json(describe())
}

/// The document with every condition as a parameter of the routes that take them.
pub(super) fn describe() -> Document {
    let mut document = Api::openapi();
    for path in SELECTING {
        let operation = document.paths.paths.get_mut(path).and_then(|item| item.get.as_mut());
        let Some(operation) = operation else { continue };
        let conditions = Selection::NAMES.iter().flat_map(|(name, help)| {
            let excluding = condition(&format!("not-{name}"), &format!("Not: {help}"));
            [condition(name, help), excluding]
        });
        let query =
            condition("where", "an expression such as verdict=dropped and dst.port=5432, beside the conditions");
        operation.parameters.get_or_insert_default().extend(conditions.chain([query]));
    }
    document
}

fn condition(name: &str, help: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(help))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_lists_the_routes_and_no_others() {
        let document = describe();
        let documented: BTreeSet<&str> = document.paths.paths.keys().map(String::as_str).collect();
        let routed: BTreeSet<&str> = super::super::routes().into_iter().map(|(path, _)| path).collect();
        assert_eq!(documented, routed);
    }

    #[test]
    fn conditions_are_documented_where_they_are_taken() {
        let document = serde_json::to_value(describe()).unwrap();
        for path in SELECTING {
            let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
            for name in ["pod", "not-verdict", "http-status"] {
                assert!(parameters.iter().any(|p| p["name"] == name), "{path} {name}");
            }
        }
    }
}
