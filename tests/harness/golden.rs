//! Text that is compared with a file, and written anew on request.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Compares text with `tests/golden/NAME`; with `UPDATE_GOLDEN=1` writes it there instead.
///
/// # Errors
/// They differ, or the file cannot be read or written.
pub fn compare_golden(name: &str, text: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().context("golden files are in a folder")?)?;
        return Ok(std::fs::write(&path, text)?);
    }
    let expected = std::fs::read_to_string(&path)
        .with_context(|| format!("{} is missing: run with UPDATE_GOLDEN=1 and read it", path.display()))?;
    ensure!(text == expected, "tests/golden/{name} differs; it is now:\n{text}\nand was:\n{expected}");
    Ok(())
}
