//! How `weir` is linked.
//!
//! A program that can be loaded at any address has to be told where it is in 280,000 places. Packed, the list of them is
//! 70 kB to read at the start and not 6.8 MB, which stay in memory. The loader of glibc reads it from 2.36 on, and
//! refuses such a program before.

use std::process::Command;

/// First glibc that loads packed relocations.
const PACKED_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_gnu = std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    let is_for_here = std::env::var("TARGET") == std::env::var("HOST");
    if is_gnu && is_for_here && glibc().is_some_and(|version| version >= PACKED_SINCE) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Version of the C library of this machine; `None` where it does not tell.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?.stdout;
    let version = String::from_utf8(told).ok()?;
    let (major, minor) = version.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
