//! Turns the compiled web UI into files a browser loads: `cargo xtask ui` calls it.
//!
//! A program of its own, because `wasm-bindgen-cli-support` builds heavy and the other tasks of xtask do not need it.
//! Being a library of the same version as `wasm-bindgen` in the same lock file, it cannot disagree with the module.

mod compress;
mod dist;
mod glue;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Parser;

/// Most bytes the module may have as Brotli: what a browser downloads before it shows anything.
const WASM_BROTLI_BYTES_MAX: usize = 350_000;

/// Bundles the web UI.
#[derive(Parser)]
struct Args {
    /// Module that cargo built.
    #[arg(long)]
    wasm: PathBuf,
    /// Folder with index.html, boot.js, theme.js, icons.svg and css/.
    #[arg(long)]
    sources: PathBuf,
    /// Folder to write; what is in it is removed first.
    #[arg(long)]
    out: PathBuf,
    /// Drop names, compress every file, and fail when the module is larger than its budget.
    #[arg(long)]
    release: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let glue = glue::generate(&args.wasm, args.release)?;
    let files = dist::assemble(&args.sources, glue)?;
    let written = dist::write(&args.out, &files, args.release)?;
    report(&written);
    for file in written.iter().filter(|f| f.name.ends_with(".wasm")) {
        if file.brotli_bytes.is_some_and(|bytes| bytes > WASM_BROTLI_BYTES_MAX) {
            bail!("{} is over its budget of {WASM_BROTLI_BYTES_MAX} bytes as Brotli", file.name);
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the sizes are what this program has to say")]
fn report(written: &[dist::Written]) {
    for file in written {
        match (file.brotli_bytes, file.gzip_bytes) {
            (Some(brotli), Some(gzip)) => {
                println!("{:<32} {:>9} B  br {brotli:>7}  gz {gzip:>7}", file.name, file.bytes);
            }
            _ => println!("{:<32} {:>9} B", file.name, file.bytes),
        }
    }
}
