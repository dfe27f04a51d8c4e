//! The files of the bundle: their names, what refers to what, and how they are written.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use anyhow::{Context, Result};

use crate::compress;
use crate::glue::Glue;

/// Style sheets in the order in which they are joined.
const STYLES: [&str; 9] = ["layers", "tokens", "base", "shell", "parts", "map", "flows", "drops", "status"];

/// One file of the bundle, its name relative to the bundle's root.
pub(crate) struct File {
    name: String,
    bytes: Vec<u8>,
}

/// What was written.
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) bytes: usize,
    pub(crate) brotli_bytes: Option<usize>,
    pub(crate) gzip_bytes: Option<usize>,
}

/// Joins module, scripts, styles and page; names carry a hash of their content, so browsers may keep them for ever.
pub(crate) fn assemble(sources: &Path, glue: Glue) -> Result<Vec<File>> {
    let wasm = hashed("ui", "wasm", glue.wasm);
    let script = hashed("ui", "js", glue.script.into_bytes());
    let boot = read(sources, "boot.js")?.replace("@script@", base(&script)).replace("@wasm@", base(&wasm));
    let boot = hashed("boot", "js", boot.into_bytes());
    let theme = hashed("theme", "js", read(sources, "theme.js")?.into_bytes());
    let style = hashed("ui", "css", styles(sources)?.into_bytes());
    let page = read(sources, "index.html")?
        .replace("@icons@", read(sources, "icons.svg")?.trim())
        .replace("@script@", &script.name)
        .replace("@wasm@", &wasm.name)
        .replace("@boot@", &boot.name)
        .replace("@theme@", &theme.name)
        .replace("@style@", &style.name);
    let page = File { name: "index.html".to_owned(), bytes: page.into_bytes() };
    Ok(vec![wasm, script, boot, theme, style, page])
}

/// Replaces the folder `out` by the files; with `compressed` each has a `.br` and a `.gz` beside it.
pub(crate) fn write(out: &Path, files: &[File], compressed: bool) -> Result<Vec<Written>> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("cannot empty {}", out.display()))?;
    }
    fs::create_dir_all(out.join("assets"))?;
    files.iter().map(|file| write_one(out, file, compressed)).collect()
}

fn write_one(out: &Path, file: &File, compressed: bool) -> Result<Written> {
    let path = out.join(&file.name);
    fs::write(&path, &file.bytes).with_context(|| format!("cannot write {}", path.display()))?;
    let mut written =
        Written { name: file.name.clone(), bytes: file.bytes.len(), brotli_bytes: None, gzip_bytes: None };
    if compressed {
        let brotli = compress::brotli(&file.bytes)?;
        let gzip = compress::gzip(&file.bytes)?;
        fs::write(out.join(format!("{}.br", file.name)), &brotli)?;
        fs::write(out.join(format!("{}.gz", file.name)), &gzip)?;
        written.brotli_bytes = Some(brotli.len());
        written.gzip_bytes = Some(gzip.len());
    }
    Ok(written)
}

fn styles(sources: &Path) -> Result<String> {
    let sheets: Result<Vec<String>> = STYLES.iter().map(|name| read(sources, &format!("css/{name}.css"))).collect();
    Ok(sheets?.join("\n"))
}

fn read(sources: &Path, name: &str) -> Result<String> {
    let path = sources.join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn hashed(stem: &str, extension: &str, bytes: Vec<u8>) -> File {
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    File { name: format!("assets/{stem}.{:016x}.{extension}", hasher.finish()), bytes }
}

fn base(file: &File) -> &str {
    file.name.trim_start_matches("assets/")
}
