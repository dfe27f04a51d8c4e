//! What a test needs from the machine; where it is not there, the test says so and does nothing.

use std::path::PathBuf;

/// Whether the kernel can be observed: true as root, unless this prints `SKIP`.
///
/// # Panics
/// Not root although `REQUIRE_EBPF=1`.
#[must_use]
pub fn root(test: &str) -> bool {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    let has_btf = std::path::Path::new("/sys/kernel/btf/vmlinux").exists();
    let missing = match (is_root, has_btf) {
        (true, true) => return true,
        (false, _) => "not root",
        (true, false) => "the kernel has no BTF",
    };
    skip(test, missing, "REQUIRE_EBPF");
    false
}

/// The stock `hubble` client; `None` where it is not there, after this printed `SKIP`.
///
/// # Panics
/// It is missing although `REQUIRE_HUBBLE=1`.
#[must_use]
pub fn hubble(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("HUBBLE_BIN").map(PathBuf::from).filter(|p| p.exists());
    if path.is_none() {
        skip(test, "HUBBLE_BIN names no hubble client (./dev setup test builds one)", "REQUIRE_HUBBLE");
    }
    path
}

/// A program that stands beside the stock client: `hubble-relay`, `hubble-agent` or `hubble-audit2policy`; `None` where
/// it is not there, after this printed `SKIP`.
///
/// # Panics
/// It is missing although `REQUIRE_HUBBLE=1`.
#[must_use]
pub fn stock_tool(test: &str, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("HUBBLE_BIN").map(|hubble| PathBuf::from(hubble).with_file_name(name));
    let path = path.filter(|path| path.exists());
    if path.is_none() {
        skip(test, &format!("there is no {name} beside HUBBLE_BIN (./dev setup test builds it)"), "REQUIRE_HUBBLE");
    }
    path
}

/// Whether a program is installed; prints `SKIP` where it is not.
///
/// # Panics
/// It is missing although `CI` is set.
#[must_use]
pub fn installed(test: &str, program: &str) -> bool {
    let found =
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).exists()));
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{program} is not installed: run ./dev setup test");
        skip(test, &format!("{program} is not installed (./dev setup test installs it)"), "REQUIRE_INSTALLED");
    }
    found
}

/// A Python that has the clients of other databases; `None`, and a word about it, where there is none.
///
/// # Panics
/// It is missing on CI.
#[must_use]
pub fn python(test: &str) -> Option<std::path::PathBuf> {
    let cache = std::env::var_os("WEIR_CACHE").map(std::path::PathBuf::from);
    let home = || Some(std::path::PathBuf::from(std::env::var_os("HOME")?).join(".cache/weir"));
    let python = cache.or_else(home)?.join("python/bin/python");
    if python.exists() {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing: run ./dev setup test", python.display());
    skip(test, "the Python clients are not installed (./dev setup test installs them)", "REQUIRE_INSTALLED");
    None
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn skip(test: &str, missing: &str, variable: &str) {
    assert!(std::env::var_os(variable).is_none_or(|v| v != "1"), "{test} cannot run: {missing}, and {variable}=1");
    eprintln!("SKIP {test}: {missing}");
}
