//! Chooses what the relay serves as its web UI: `ui/dist` where it was built, else a page that says how to build it.
//!
//! Writes `assets.rs` into `OUT_DIR`: a table of names and bytes, sorted by name.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Weir</title>\n\
    <h1>The web UI is not in this build</h1>\n<p>Run <code>./dev ui</code> and build again. The API is described at \
    <a href=\"/api/openapi.json\">/api/openapi.json</a>.</p>\n</html>\n";

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let ui = manifest.join("../../ui");
    let dist = ui.join("dist");
    let built = dist.join("index.html").is_file();
    // A path that does not exist would make cargo build this crate anew each time: watch the folder it will be in.
    println!("cargo:rerun-if-changed={}", if built { &dist } else { &ui }.display());
    println!("cargo:rerun-if-changed=build.rs");
    let folder = if built { dist.canonicalize()? } else { placeholder(&out)? };
    let mut names = Vec::new();
    list(&folder, &folder, &mut names)?;
    names.sort();
    let mut table = String::from("/// Name and bytes of every file of the web UI, sorted by name.\n");
    table.push_str("pub(super) static FILES: &[(&str, &[u8])] = &[\n");
    for name in names {
        let path = folder.join(&name);
        writeln!(table, "    ({name:?}, include_bytes!({path:?})),").expect("a string takes everything");
    }
    table.push_str("];\n");
    fs::write(out.join("assets.rs"), table)
}

fn placeholder(out: &Path) -> io::Result<PathBuf> {
    let folder = out.join("ui");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("index.html"), NOT_BUILT)?;
    Ok(folder)
}

/// Collects the paths of all files below `folder`, relative to `root`, with `/` between their parts.
fn list(root: &Path, folder: &Path, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, names)?;
        } else {
            let relative = path.strip_prefix(root).expect("found below the root");
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            names.push(parts.join("/"));
        }
    }
    Ok(())
}
