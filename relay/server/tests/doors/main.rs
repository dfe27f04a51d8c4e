//! The relay through its doors: real gRPC and HTTP clients against a relay in this process, on ports of its own.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod collector;
mod damaged;
mod flight_sql;
mod http;
mod live;
mod malformed;
mod moving;
mod newer;
mod observe;
mod peers;
mod pods;
mod push;
mod relay;
mod silent;
mod sql;
mod stop;
