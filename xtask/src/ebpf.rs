//! Builds the kernel programs, and keeps `ebpf/prebuilt` what they make.
//!
//! The object is committed, so that people without the toolchain can build everything else. Beside it stand its hash
//! (for `sha256sum -c`) and what it was built with and from. A test compares the sources with that note: who changes a
//! program is told to run `./dev ebpf`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

const TARGET: &str = "bpfel-unknown-none";
/// The name of the binary target in `ebpf/programs`.
const PROGRAMS: &str = "weir";
const OBJECT: &str = "weir.bpf.o";
const HASH: &str = "weir.bpf.o.sha256";
const BUILT_WITH: &str = "BUILT_WITH";

/// What to do with what was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write it to `ebpf/prebuilt`.
    Write,
    /// Compare it with what is committed, and fail where that cannot be done.
    Check,
    /// Compare it where the tools are here that made what is committed; elsewhere say so, and compare the sources only.
    CheckWherePossible,
}

/// Builds from source, and writes or compares.
#[expect(clippy::print_stderr, reason = "a tool that says what it did")]
pub(crate) fn run(mode: Mode) -> Result<()> {
    let root = crate::root();
    let toolchain = match Toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(why) if mode == Mode::CheckWherePossible => {
            eprintln!("not rebuilt: {why:#}");
            return committed_is_consistent(&root);
        }
        Err(why) => return Err(why),
    };
    let note = toolchain.note(&source_digest(&root)?)?;
    let prebuilt = root.join("ebpf/prebuilt");
    if mode == Mode::Write {
        let object = std::fs::read(toolchain.build(&root)?)?;
        write(&prebuilt, &object, &note)?;
        eprintln!("wrote {} ({} bytes)", prebuilt.join(OBJECT).display(), object.len());
        return Ok(());
    }
    committed_is_consistent(&root)?;
    let (then, here) = (tools(&std::fs::read_to_string(prebuilt.join(BUILT_WITH))?), tools(&note));
    if then != here {
        let why =
            format!("the object was built with {then}; here is {here}, which makes other bytes of the same sources");
        ensure!(mode == Mode::CheckWherePossible, why);
        eprintln!("not compared: {why}");
        return Ok(());
    }
    let object = std::fs::read(toolchain.build(&root)?)?;
    ensure!(
        std::fs::read(prebuilt.join(OBJECT))? == object,
        "ebpf/prebuilt/{OBJECT} is not what the sources make: run `./dev ebpf` and commit the result"
    );
    eprintln!("ebpf/prebuilt/{OBJECT} is what the sources make ({} bytes)", object.len());
    Ok(())
}

/// The tools a note names.
fn tools(note: &str) -> String {
    note.lines().filter(|line| !line.starts_with("sources ")).collect::<Vec<_>>().join(", ")
}

fn write(prebuilt: &Path, object: &[u8], note: &str) -> Result<()> {
    std::fs::create_dir_all(prebuilt)?;
    std::fs::write(prebuilt.join(OBJECT), object)?;
    std::fs::write(prebuilt.join(HASH), hash_line(object))?;
    std::fs::write(prebuilt.join(BUILT_WITH), note)?;
    Ok(())
}

fn hash_line(object: &[u8]) -> String {
    format!("{}  {OBJECT}\n", hex(&Sha256::digest(object)))
}

/// Whether the committed files agree with each other and with the sources.
fn committed_is_consistent(root: &Path) -> Result<()> {
    let prebuilt = root.join("ebpf/prebuilt");
    let missing = |name: &str| format!("ebpf/prebuilt/{name} cannot be read: run `./dev ebpf`");
    let object = std::fs::read(prebuilt.join(OBJECT)).with_context(|| missing(OBJECT))?;
    let hash = std::fs::read_to_string(prebuilt.join(HASH)).with_context(|| missing(HASH))?;
    ensure!(hash == hash_line(&object), "ebpf/prebuilt/{HASH} is not the hash of {OBJECT}: run `./dev ebpf`");
    let note = std::fs::read_to_string(prebuilt.join(BUILT_WITH)).with_context(|| missing(BUILT_WITH))?;
    let sources = source_digest(root)?;
    ensure!(
        note.lines().any(|line| line == format!("sources {sources}")),
        "the sources of the kernel programs have changed since ebpf/prebuilt/{OBJECT} was built: run `./dev ebpf`"
    );
    Ok(())
}

/// Hash over everything the object is made of, with paths relative to the root.
fn source_digest(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    for folder in ["ebpf/programs/src", "ebpf/abi/src"] {
        collect(&root.join(folder), &mut files)?;
    }
    for file in ["ebpf/Cargo.toml", "ebpf/Cargo.lock", "ebpf/programs/Cargo.toml", "ebpf/abi/Cargo.toml"] {
        files.push(root.join(file));
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let content = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        digest.update(file.strip_prefix(root)?.as_os_str().as_encoded_bytes());
        digest.update((content.len() as u64).to_le_bytes());
        digest.update(content);
    }
    Ok(hex(&digest.finalize()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension() == Some(OsStr::new("rs")) {
            files.push(path);
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compilers that can make BPF.
#[derive(Debug)]
struct Toolchain {
    compiler: Compiler,
    strip: PathBuf,
}

#[derive(Debug)]
enum Compiler {
    /// A stable compiler with a prebuilt core library for BPF, as Debian's `rustc-web` with `libstd-rust-web-dev-bpf`.
    WithCore(PathBuf),
    /// rustup's nightly, which builds the core library itself.
    Nightly,
}

impl Toolchain {
    fn find() -> Result<Self> {
        ensure!(
            succeeds(Command::new("bpf-linker").arg("--version")),
            "bpf-linker is missing: `./dev setup ebpf` installs it"
        );
        let candidates = ["/usr/bin/rustc", "rustc"];
        let with_core = candidates.into_iter().map(PathBuf::from).find(|rustc| has_core(rustc));
        let compiler = match with_core {
            Some(rustc) => Compiler::WithCore(rustc),
            None if nightly_has_source() => Compiler::Nightly,
            None => bail!(
                "no compiler for {TARGET}: install Debian's rustc-web and libstd-rust-web-dev-bpf (`./dev setup ebpf`), or \
                 `rustup toolchain install nightly --component rust-src,llvm-tools`"
            ),
        };
        let mut strips = ["/usr/lib/llvm-22/bin/llvm-strip", "llvm-strip-22"].map(PathBuf::from).to_vec();
        strips.extend(compiler.own_strip());
        strips.push("llvm-strip".into());
        let strip = strips.into_iter().find(|strip| succeeds(Command::new(strip).arg("--version")));
        let strip = strip.context("llvm-strip is missing: `./dev setup ebpf` installs it")?;
        Ok(Self { compiler, strip })
    }

    /// Compiles and strips; returns the path of the object.
    fn build(&self, root: &Path) -> Result<PathBuf> {
        let target_dir = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        // A folder of its own: two compilers in one folder would rebuild everything at each turn.
        let target_dir = target_dir.join("bpf");
        let mut cargo = self.compiler.cargo();
        cargo
            .current_dir(root.join("ebpf"))
            .args(["build", "--locked", "--release", "--target", TARGET, "--target-dir"])
            .arg(&target_dir)
            // Lets a stable compiler accept the few unstable features that a kernel program needs.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", flags(root).join(OsStr::new("\x1f")))
            .env_remove("RUSTFLAGS");
        ensure!(cargo.status().context("cannot run cargo")?.success(), "the kernel programs do not compile");
        let built = target_dir.join(TARGET).join("release").join(PROGRAMS);
        let object = built.with_extension("o");
        let stripped = Command::new(&self.strip).arg("--strip-debug").arg("-o").arg(&object).arg(&built).status();
        ensure!(stripped.context("cannot run llvm-strip")?.success(), "stripping the kernel programs failed");
        Ok(object)
    }

    /// What made an object, and of what.
    fn note(&self, sources: &str) -> Result<String> {
        let rustc = first_line(self.compiler.rustc().arg("--version"))?;
        let cargo = first_line(self.compiler.cargo().arg("--version"))?;
        let linker = first_line(Command::new("bpf-linker").arg("--version"))?;
        let strip = Command::new(&self.strip).arg("--version").output()?;
        let strip = String::from_utf8(strip.stdout)?;
        let llvm = strip.split_once("LLVM version ").and_then(|(_, rest)| rest.lines().next()).unwrap_or("unknown");
        Ok(format!("{rustc}\n{cargo}\n{linker}\nllvm-strip {llvm}\nsources {sources}\n"))
    }
}

impl Compiler {
    fn rustc(&self) -> Command {
        match self {
            Self::WithCore(rustc) => Command::new(rustc),
            Self::Nightly => nightly("rustc"),
        }
    }

    /// The cargo that comes with the compiler, because names in the object depend on both.
    fn cargo(&self) -> Command {
        match self {
            Self::WithCore(rustc) => {
                let beside = rustc.with_file_name("cargo");
                let mut cargo = Command::new(if beside.is_file() { beside.as_os_str() } else { OsStr::new("cargo") });
                cargo.env("RUSTC", rustc);
                cargo
            }
            Self::Nightly => {
                let mut cargo = nightly("cargo");
                cargo.arg("-Zbuild-std=core");
                cargo
            }
        }
    }

    /// The strip of rustup's component `llvm-tools`.
    fn own_strip(&self) -> Option<PathBuf> {
        let sysroot = PathBuf::from(first_line(self.rustc().args(["--print", "sysroot"])).ok()?);
        let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
        hosts.flatten().map(|host| host.path().join("bin/llvm-strip")).find(|strip| strip.is_file())
    }
}

/// A program of rustup's nightly; the toolchain of this very process must not decide for it.
fn nightly(program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", program]).env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC").env_remove("CARGO");
    command
}

/// Compiler flags. The paths of this machine stay out of the object, and so its bytes do not depend on them.
fn flags(root: &Path) -> Vec<OsString> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let mut flags: Vec<OsString> = [
        "-Clinker=bpf-linker",
        "-Clink-arg=--btf",
        "-Cdebuginfo=2",
        // Atomic operations that return the old value: Linux 5.12.
        "-Ctarget-cpu=v3",
        // aya-ebpf asks for it; nothing in the object depends on the machine.
        "--cfg=bpf_target_arch=\"x86_64\"",
    ]
    .map(OsString::from)
    .into();
    for (path, name) in [(Some(root.to_owned()), "/weir"), (home, "/cargo")] {
        if let Some(path) = path {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(path);
            flag.push("=");
            flag.push(name);
            flags.push(flag);
        }
    }
    flags
}

fn has_core(rustc: &Path) -> bool {
    let sysroot = first_line(Command::new(rustc).args(["--print", "sysroot"]));
    sysroot.is_ok_and(|sysroot| Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir())
}

fn nightly_has_source() -> bool {
    let sysroot = first_line(nightly("rustc").args(["--print", "sysroot"]));
    sysroot.is_ok_and(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library/core").is_dir())
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn first_line(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8(output.stdout)?.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prebuilt_object_is_of_these_sources() {
        committed_is_consistent(&crate::root()).unwrap();
    }

    #[test]
    fn the_prebuilt_object_names_no_path_of_the_machine_it_was_built_on() {
        let object = std::fs::read(crate::root().join("ebpf/prebuilt").join(OBJECT)).unwrap();
        for folder in ["/home/", "/root/", "/Users/"] {
            assert!(!object.windows(folder.len()).any(|bytes| bytes == folder.as_bytes()), "{folder}");
        }
    }
}
