#!/bin/sh
# Prints the rustc to use for wasm32-unknown-unknown; prints nothing where the default one has that target.
#
# In this order: the active toolchain has the target; a standard library built earlier from Debian's sources;
# rustup can add the target; build the standard library once from Debian's rust-web-src (about two minutes, 73 MB).
#
#   WEIR_NO_RUSTUP=1      do not ask rustup for the target
#   WEIR_WASM_SYSROOT=DIR where the built standard library is kept (default: ~/.cache/weir/wasm-sysroot)
set -eu

target=wasm32-unknown-unknown
debian_rustc=/usr/bin/rustc
debian_cargo=/usr/bin/cargo
debian_linker=/usr/bin/rust-lld
debian_sources=/usr/lib/rustlib/src/rust/library/std

say() { echo "wasm-toolchain: $*" >&2; }

has_target() {
    ls "$("$1" --print target-libdir --target $target 2>/dev/null)"/libstd-*.rlib >/dev/null 2>&1
}

# The folder is keyed by release and commit, so that an upgraded compiler gets a library of its own.
overlay() {
    id=$("$debian_rustc" -vV | sed -n 's/^release: //p;s/^commit-hash: \(.\{9\}\).*/\1/p' | paste -sd-)
    dir=${WEIR_WASM_SYSROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/weir/wasm-sysroot}/$id
    case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
    echo "$dir"
}

# What the compiler needs; the linker is a package of its own, which rust-web-llvm points to but does not ask for.
install_debian_packages() {
    command -v apt-get >/dev/null 2>&1 || return 0
    if ! [ -x "$debian_rustc" ] || ! [ -x "$debian_cargo" ] || ! [ -d "$debian_sources" ] || ! [ -L "$debian_linker" ]; then
        install_packages rustc-web cargo-web rust-web-src rust-web-llvm || return 0
    fi
    [ -x "$debian_linker" ] || install_packages "$(basename "$(readlink "$debian_linker")")" || return 0
}

install_packages() {
    say "installing $*"
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

build_overlay() {
    sysroot=$1
    work=$sysroot.build
    say "building the standard library for $target (once, about two minutes)"
    rm -rf "$work" "$sysroot"
    mkdir -p "$work/src" "$sysroot/bin" "$sysroot/lib/rustlib/$target/lib"
    : >"$work/src/lib.rs"
    cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "stdseed"
version = "0.0.0"
edition = "2021"
[workspace]
[profile.release]
opt-level = "s"
panic = "abort"
codegen-units = 1
TOML
    # Without embedded bitcode a later build with fat link-time optimisation fails.
    (
        cd "$work"
        env -u RUSTUP_TOOLCHAIN -u CARGO_TARGET_DIR -u RUSTC_WRAPPER RUSTC="$debian_rustc" RUSTC_BOOTSTRAP=1 \
            RUSTFLAGS="-C embed-bitcode=yes" "$debian_cargo" build -q --release \
            -Z build-std=std,panic_abort,test,proc_macro --target $target
    ) >&2
    cp "$work/target/$target/release/deps/"*.rlib "$sysroot/lib/rustlib/$target/lib/"
    rm -f "$sysroot/lib/rustlib/$target/lib/"libstdseed*
    host=$("$debian_rustc" -vV | sed -n 's/^host: //p')
    ln -s "$(dirname "$("$debian_rustc" --print target-libdir)")" "$sysroot/lib/rustlib/$host"
    for tool in rustc rustdoc; do
        printf '#!/bin/sh\nexec /usr/bin/%s --sysroot %s "$@"\n' "$tool" "$sysroot" >"$sysroot/bin/$tool"
        chmod +x "$sysroot/bin/$tool"
    done
    rm -rf "$work"
    : >"$sysroot/.done"
}

if has_target rustc; then exit 0; fi

if [ -x "$debian_rustc" ] && [ -x "$debian_linker" ] && [ -f "$(overlay)/.done" ]; then
    echo "$(overlay)/bin/rustc"
    exit 0
fi

if [ "${WEIR_NO_RUSTUP:-}" != 1 ] && command -v rustup >/dev/null 2>&1; then
    say "asking rustup for $target"
    if timeout 300 rustup target add $target >&2 && has_target rustc; then exit 0; fi
    say "rustup could not add it"
fi

install_debian_packages
if ! [ -x "$debian_rustc" ] || ! [ -x "$debian_cargo" ] || ! [ -d "$debian_sources" ] || ! [ -x "$debian_linker" ]; then
    say "no standard library for $target. Either of these gives one:"
    say "  rustup target add $target"
    say "  apt-get install --no-install-recommends rustc-web cargo-web rust-web-src rust-web-llvm, and the lld it names"
    exit 1
fi

sysroot=$(overlay)
build_overlay "$sysroot"
if ! has_target "$sysroot/bin/rustc"; then
    say "the library was built into $sysroot but the compiler does not find it there"
    exit 1
fi
echo "$sysroot/bin/rustc"
