//! Automation of the project, in Rust; `./dev` is its door.

mod codegen;
mod ebpf;
mod ui;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Automation of the Weir project")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Generate the Rust code of the wire from proto/proto into proto/src/generated.
    Codegen {
        /// Change nothing; fail if the committed code is not what would be generated.
        #[arg(long)]
        check: bool,
    },
    /// Build the kernel programs and write them to ebpf/prebuilt.
    Ebpf {
        /// Change nothing; fail if the committed object is not what the sources make.
        #[arg(long)]
        check: bool,
        /// Where the tools are missing that made the committed object, compare only its hash and the sources.
        #[arg(long, requires = "check")]
        where_possible: bool,
    },
    /// Build the web UI into ui/dist, from where the relay embeds it.
    Ui {
        /// Small and compressed, and refused when the module is over its budget (the default).
        #[arg(long, conflicts_with = "dev")]
        release: bool,
        /// Fast to build: larger, with names in stack traces.
        #[arg(long)]
        dev: bool,
    },
}

fn main() -> Result<()> {
    match Args::parse().task {
        Task::Codegen { check } => codegen::run(check),
        Task::Ebpf { check: false, .. } => ebpf::run(ebpf::Mode::Write),
        Task::Ebpf { where_possible: false, .. } => ebpf::run(ebpf::Mode::Check),
        Task::Ebpf { .. } => ebpf::run(ebpf::Mode::CheckWherePossible),
        Task::Ui { dev, .. } => ui::run(!dev),
    }
}

/// Root of the workspace.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is below the root").to_path_buf()
}
