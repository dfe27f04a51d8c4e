//! Tests of the program through its own doors: arguments, standard streams, exit code, servers.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking, and say why they are skipped")]

mod cli {
    pub(crate) mod completion;
    pub(crate) mod config;
    pub(crate) mod counting;
    pub(crate) mod differential;
    pub(crate) mod forward;
    pub(crate) mod golden;
    pub(crate) mod inputs;
    pub(crate) mod observer;
    mod overview;
    pub(crate) mod program;
    pub(crate) mod rows;
    pub(crate) mod server;
    mod shells;
    pub(crate) mod sql;
    pub(crate) mod tls;
    pub(crate) mod ui;
    pub(crate) mod where_expression;
}
