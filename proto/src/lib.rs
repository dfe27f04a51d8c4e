//! The wire: Hubble's API, Weir's own additions, and the only conversions between them and the vocabulary of `flow`.

/// Messages and enumerations of Hubble's `flow` package.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, deprecated, reason = "generated code")]
pub mod flow {
    include!("generated/flow.rs");
    include!("generated/flow.serde.rs");
}
/// Messages and service of Hubble's `observer` package.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, deprecated, reason = "generated code")]
pub mod observer {
    include!("generated/observer.rs");
    include!("generated/observer.serde.rs");
}
/// Messages and service of Hubble's `peer` package.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, deprecated, reason = "generated code")]
pub mod peer {
    include!("generated/peer.rs");
    include!("generated/peer.serde.rs");
}
/// Messages of Hubble's `relay` package.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, deprecated, reason = "generated code")]
pub mod relay {
    include!("generated/relay.rs");
    include!("generated/relay.serde.rs");
}
/// Messages of Weir's own package, `weir.v1`.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, deprecated, reason = "generated code")]
pub mod weir {
    include!("generated/weir.v1.rs");
    include!("generated/weir.v1.serde.rs");
}

/// Encoded `FileDescriptorSet` of every file above, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");

/// Name under which the stock client asks the health service.
pub const HEALTH_SERVICE: &str = "hubble.server.Observer";
