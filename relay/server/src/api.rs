//! What the relay gives out: gRPC for Hubble clients, HTTP for browsers and scripts, metrics for Prometheus.

mod damage;
pub(crate) mod flight_sql;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod metrics;
mod question;
