//! The wire: Hubble's API, Weir's own additions, and the only conversions between them and the vocabulary of `flow`; and
//! the forms of metrics.

pub mod cel;
pub mod convert;
pub mod encode;
mod exposition;
pub mod filter;
pub mod json;
pub mod mask;
mod options;
pub mod pieces;
pub mod raw;
pub mod reflection;
pub mod residue;
pub mod status;
pub mod unknown;

pub use convert::Details;
pub use exposition::Exposition;
pub use options::wants_details;

/// Declares a module of generated code, which our lints are not for.
macro_rules! generated {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        #[allow(
            missing_docs,
            deprecated,
            clippy::all,
            clippy::allow_attributes_without_reason,
            clippy::too_many_lines,
            clippy::unwrap_used,
            reason = "generated code"
        )]
        pub mod $name {
            include!(concat!("generated/", $file));
        }
    };
}

generated! {
    /// Messages and enumerations of Hubble's `flow` package.
    flow, "flow.rs"
}
generated! {
    /// Messages and service of Hubble's `observer` package.
    observer, "observer.rs"
}
generated! {
    /// Messages and service of Hubble's `peer` package.
    peer, "peer.rs"
}
generated! {
    /// Messages of Hubble's `relay` package.
    relay, "relay.rs"
}
generated! {
    /// Messages of Weir's own package, `weir.v1`.
    weir, "weir.v1.rs"
}

/// Encoded `FileDescriptorSet` of every file above, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");

/// Name under which the stock client asks the health service.
pub const HEALTH_SERVICE: &str = "hubble.server.Observer";
