//! The JavaScript between the browser and the module.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

/// The module after wasm-bindgen, and the script that loads it.
pub(crate) struct Glue {
    pub(crate) wasm: Vec<u8>,
    pub(crate) script: String,
}

/// Runs wasm-bindgen on a compiled module; with `release` the names of functions are dropped.
pub(crate) fn generate(wasm: &Path, release: bool) -> Result<Glue> {
    let out = std::env::temp_dir().join(format!("weir-ui-bundle-{}", std::process::id()));
    fs::create_dir_all(&out)?;
    let result = run(wasm, &out, release);
    fs::remove_dir_all(&out)?;
    result
}

fn run(wasm: &Path, out: &Path, release: bool) -> Result<Glue> {
    Bindgen::new()
        .input_path(wasm)
        .out_name("ui")
        .web(true)?
        .typescript(false)
        .omit_default_module_path(true)
        .remove_name_section(release)
        .remove_producers_section(release)
        .generate(out)
        .with_context(|| format!("wasm-bindgen cannot read {}", wasm.display()))?;
    if out.join("snippets").exists() {
        bail!("a crate brings JavaScript of its own, which the bundle does not carry: find it with `cargo tree -p ui`");
    }
    Ok(Glue { wasm: fs::read(out.join("ui_bg.wasm"))?, script: fs::read_to_string(out.join("ui.js"))? })
}
