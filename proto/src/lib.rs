//! The wire: Hubble's API, Weir's own additions, and the only conversions between them and the vocabulary of `flow`.

pub mod convert;
pub mod json;
pub mod mask;
mod options;

pub use convert::Details;
pub use options::wants_details;

/// Messages and enumerations of Hubble's `flow` package.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, deprecated, reason = "generated code")]
pub mod flow {
    include!("generated/flow.rs");
}
/// Messages and service of Hubble's `observer` package.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, deprecated, reason = "generated code")]
pub mod observer {
    include!("generated/observer.rs");
}
/// Messages and service of Hubble's `peer` package.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, deprecated, reason = "generated code")]
pub mod peer {
    include!("generated/peer.rs");
}
/// Messages of Hubble's `relay` package.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, deprecated, reason = "generated code")]
pub mod relay {
    include!("generated/relay.rs");
}
/// Messages of Weir's own package, `weir.v1`.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, deprecated, reason = "generated code")]
pub mod weir {
    include!("generated/weir.v1.rs");
}

/// Encoded `FileDescriptorSet` of every file above, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");

/// Name under which the stock client asks the health service.
pub const HEALTH_SERVICE: &str = "hubble.server.Observer";
