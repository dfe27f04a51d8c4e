//! The per-node agent: takes what the kernel (or a file) says about traffic and makes named flows of it.
//!
//! Modules in the order a flow passes them: a [`source`] gives records, `decode` makes flows of them, [`l7`] reads
//! requests and responses out of payload, `enrich` says who is behind an address, [`ring`] keeps the history. From
//! there readers go on by themselves: the Observer API, the flow logs, the shipper to the relay. [`start`] joins the parts.

mod api;
pub mod capture;
pub mod config;
mod decode;
mod enrich;
mod export;
mod feed;
mod generations;
mod history;
#[cfg(test)]
mod hostile;
pub mod l7;
mod ledger;
mod listen;
mod live;
mod metrics;
mod namespaces;
mod offline;
mod pace;
pub mod pcap;
mod pipeline;
mod policy;
mod recent;
mod redact;
pub mod replay;
pub mod ring;
mod running;
mod ship;
pub mod source;
mod status;
mod supervise;
mod text_file;

pub use api::PeersError;
pub use config::Config;
pub use export::ExportError;
pub use offline::Offline;
pub use policy::PolicyChange;
pub use running::{RunError, Running, SourceOpenError, StartError, start};
pub use text_file::TextFileError;
