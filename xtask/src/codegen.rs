//! Generates the Rust code of the wire: messages (prost) and services (tonic). Their JSON form needs no generated code:
//! `proto::json` reads the descriptors that are written beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use prost::Message;

const FILES: [&str; 5] =
    ["flow/flow.proto", "relay/relay.proto", "observer/observer.proto", "peer/peer.proto", "weir/v1/weir.proto"];

/// Writes `proto/src/generated`, or with `check` compares it with what is there.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = crate::root();
    let generated = root.join("proto/src/generated");
    let fresh = generate(&root.join("proto/proto"))?;
    if check {
        for (name, bytes) in &fresh {
            let committed = fs::read(generated.join(name)).unwrap_or_default();
            if committed != *bytes {
                bail!("proto/src/generated/{name} is stale: run `cargo xtask codegen` and commit the result");
            }
        }
        return Ok(());
    }
    fs::create_dir_all(&generated)?;
    for (name, bytes) in &fresh {
        fs::write(generated.join(name), bytes).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

fn generate(include: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let descriptors = protox::compile(FILES, [include]).context("the .proto files do not compile")?;
    let encoded = descriptors.encode_to_vec();
    let out = std::env::temp_dir().join(format!("weir-codegen-{}", std::process::id()));
    fs::create_dir_all(&out)?;

    let mut config = prost_build::Config::new();
    config
        .out_dir(&out)
        .enable_type_names()
        .type_name_domain(["."], "type.googleapis.com")
        .boxed(".flow.Flow.l7")
        .boxed(".flow.Flow.tunnel");
    tonic_prost_build::configure().out_dir(&out).compile_fds_with_config(descriptors, config)?;

    let mut files = BTreeMap::from([("descriptors.bin".to_owned(), encoded)]);
    for entry in fs::read_dir(&out)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|n| anyhow::anyhow!("file name {n:?} is not text"))?;
        files.insert(name, fs::read(entry.path())?);
    }
    fs::remove_dir_all(&out)?;
    Ok(files)
}
