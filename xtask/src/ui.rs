//! Builds the web UI into `ui/dist`, from where the relay embeds it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

const TARGET: &str = "wasm32-unknown-unknown";

/// Compiles `ui` for the browser and bundles it; with `release` small and compressed, else fast to build.
pub(crate) fn run(release: bool) -> Result<()> {
    let root = crate::root();
    let profile = if release { "wasm-release" } else { "dev" };
    let target_dir = target_dir(&root);
    compile(&root, profile, &target_dir)?;
    // Cargo names the output folder of the profile `dev` by its old name.
    let folder = if release { profile } else { "debug" };
    bundle(&root, &target_dir.join(TARGET).join(folder).join("ui.wasm"), release)
}

/// A folder of its own: two compilers in one folder would rebuild everything at each turn.
fn target_dir(root: &Path) -> PathBuf {
    match (std::env::var_os("WEIR_WASM_TARGET_DIR"), std::env::var_os("CARGO_TARGET_DIR")) {
        (Some(dir), _) => root.join(dir),
        (None, Some(dir)) => root.join(dir).join("wasm"),
        (None, None) => root.join("target/wasm"),
    }
}

/// The cargo that runs this task, so that its choice of toolchain holds for what it builds.
fn cargo_path() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn compile(root: &Path, profile: &str, target_dir: &Path) -> Result<()> {
    let mut cargo = Command::new(cargo_path());
    cargo
        .current_dir(root)
        .args(["build", "--package", "ui", "--lib", "--target", TARGET, "--profile", profile, "--target-dir"])
        .arg(target_dir);
    if let Some(rustc) = wasm_rustc(root)? {
        cargo.env("RUSTC", rustc);
    }
    if !cargo.status().context("cannot run cargo")?.success() {
        bail!("the web UI does not compile");
    }
    Ok(())
}

/// The compiler that knows the target, `None` where it is the one cargo would take anyway.
fn wasm_rustc(root: &Path) -> Result<Option<PathBuf>> {
    let script = root.join("scripts/wasm-toolchain.sh");
    let output = Command::new(&script)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", script.display()))?;
    if !output.status.success() {
        bail!("no compiler for {TARGET}: see above for what to install");
    }
    let path = String::from_utf8(output.stdout)?.trim().to_owned();
    Ok(if path.is_empty() { None } else { Some(PathBuf::from(path)) })
}

fn bundle(root: &Path, wasm: &Path, release: bool) -> Result<()> {
    let ui = root.join("ui");
    let mut cargo = Command::new(cargo_path());
    cargo
        .current_dir(root)
        .args(["run", "--quiet", "--package", "ui-bundle", "--", "--wasm"])
        .arg(wasm)
        .arg("--sources")
        .arg(&ui)
        .arg("--out")
        .arg(ui.join("dist"));
    if release {
        cargo.arg("--release");
    }
    if !cargo.status().context("cannot run cargo")?.success() {
        bail!("the web UI could not be bundled");
    }
    Ok(())
}
