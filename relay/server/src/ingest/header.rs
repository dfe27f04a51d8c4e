//! What a collector says about a batch.

use flow::LossRecord;
use prost::Message as _;
use proto::convert::loss_from_wire;
use proto::weir::{BatchAck, BatchHeader, Loss};
use relay_index::{Appended, BatchOrigin};

/// Bytes a node's name may have.
const NODE_NAME_BYTES_MAX: usize = 512;
/// Loss lines one batch may bring.
const LOSSES_MAX: usize = 10_000;
/// Bytes of a cause that are kept.
const CAUSE_BYTES_MAX: usize = 64;

/// A header that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// It is missing.
    #[error("a record batch came without a weir.v1.BatchHeader in app_metadata")]
    Missing,
    /// It is no such message.
    #[error("app_metadata is not a weir.v1.BatchHeader")]
    Decode(#[source] prost::DecodeError),
    /// The node has no name.
    #[error("BatchHeader.node is empty")]
    NoNode,
    /// The node's name is too long.
    #[error("BatchHeader.node has {bytes} bytes where {NODE_NAME_BYTES_MAX} are allowed")]
    LongNode {
        /// Its length.
        bytes: usize,
    },
    /// Numbers begin with 1.
    #[error("BatchHeader.sequence is 0, batches count from 1")]
    NoSequence,
    /// Too many lines.
    #[error("BatchHeader.losses has {lines} lines where {LOSSES_MAX} are allowed")]
    ManyLosses {
        /// How many.
        lines: usize,
    },
    /// Header and batch disagree.
    #[error("BatchHeader.rows is {said} but the batch has {found} rows")]
    Rows {
        /// As the header says.
        said: u64,
        /// As counted.
        found: usize,
    },
}

/// A header that was read.
#[derive(Debug)]
pub(super) struct Header {
    /// Where the batch comes from; address and time of receipt are left to the caller.
    pub(super) origin: BatchOrigin,
    /// Losses since the batch before.
    pub(super) losses: Vec<LossRecord>,
    /// Whether each batch of the stream brings all its dictionaries.
    pub(super) own_dictionaries: bool,
}

impl Header {
    /// Reads and checks the header of a batch with `rows` rows.
    pub(super) fn read(metadata: &[u8], rows: usize) -> Result<Self, HeaderError> {
        if metadata.is_empty() {
            return Err(HeaderError::Missing);
        }
        let header = BatchHeader::decode(metadata).map_err(HeaderError::Decode)?;
        if header.node.is_empty() {
            return Err(HeaderError::NoNode);
        }
        if header.node.len() > NODE_NAME_BYTES_MAX {
            return Err(HeaderError::LongNode { bytes: header.node.len() });
        }
        if header.sequence == 0 {
            return Err(HeaderError::NoSequence);
        }
        if header.losses.len() > LOSSES_MAX {
            return Err(HeaderError::ManyLosses { lines: header.losses.len() });
        }
        if header.rows != rows as u64 {
            return Err(HeaderError::Rows { said: header.rows, found: rows });
        }
        let origin = BatchOrigin {
            node: header.node,
            boot_id: header.boot_id,
            sequence: header.sequence,
            version: header.version,
            ..BatchOrigin::default()
        };
        let losses = header.losses.into_iter().map(tidy).collect();
        Ok(Self { origin, losses, own_dictionaries: header.own_dictionaries })
    }
}

/// A line as the ledger keeps it.
fn tidy(loss: Loss) -> LossRecord {
    let mut loss = loss_from_wire(loss);
    loss.window = loss.window.window(LossRecord::WINDOW);
    loss.cause.truncate(loss.cause.floor_char_boundary(CAUSE_BYTES_MAX));
    loss
}

/// The answer to a batch.
pub(super) fn acknowledge(boot_id: u64, appended: Appended) -> Vec<u8> {
    let ack = BatchAck { boot_id, sequence: appended.acknowledged, repeated_batch: appended.repeated };
    ack.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BatchHeader {
        BatchHeader {
            node: "n".to_owned(),
            boot_id: 7,
            sequence: 3,
            version: "0.1.0".to_owned(),
            losses: vec![Loss {
                window: Some(prost_types::Timestamp { seconds: 12, nanos: 0 }),
                stage: "kernel".to_owned(),
                cause: "é".repeat(100),
                seen: 10,
                lost: 4,
            }],
            rows: 5,
            own_dictionaries: true,
        }
    }

    #[test]
    fn a_good_header_is_read() {
        let read = Header::read(&header().encode_to_vec(), 5).unwrap();
        assert_eq!((read.origin.node.as_str(), read.origin.boot_id, read.origin.sequence), ("n", 7, 3));
        assert!(read.own_dictionaries);
        let loss = &read.losses[0];
        assert_eq!((loss.stage, loss.window.0, loss.lost), (flow::LossStage::Kernel, 10_000_000_000, 4));
        assert_eq!(loss.cause, "é".repeat(32));
    }

    #[test]
    fn a_bad_header_says_what_is_wrong() {
        let cases: [(BatchHeader, &str); 5] = [
            (BatchHeader { node: String::new(), ..header() }, "node is empty"),
            (BatchHeader { node: "n".repeat(600), ..header() }, "600 bytes"),
            (BatchHeader { sequence: 0, ..header() }, "count from 1"),
            (BatchHeader { rows: 6, ..header() }, "is 6 but the batch has 5"),
            (BatchHeader { losses: vec![Loss::default(); 10_001], ..header() }, "10001 lines"),
        ];
        for (header, expected) in cases {
            let error = Header::read(&header.encode_to_vec(), 5).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(Header::read(&[], 5), Err(HeaderError::Missing)));
        assert!(matches!(Header::read(&[0xff, 0xff], 5), Err(HeaderError::Decode(_))));
    }
}
