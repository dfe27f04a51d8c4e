//! Pages, and what the footer says of them.

use std::io;

use arrow::buffer::NullBuffer;
use bytes::Bytes;
use parquet::basic::{Compression, CompressionCodec, Encoding, EncodingMask, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter as _};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::hybrid;
use super::values::Distinct;

/// Bytes of pages that are too few for zstd to be of use.
const TINY_BYTES: usize = 48;

/// Where a column stands, and which of its rows are NULL, where any is.
pub(super) struct Layout<'a> {
    pub(super) descriptor: ColumnDescPtr,
    pub(super) rows: usize,
    pub(super) nulls: Option<&'a NullBuffer>,
}

/// What the footer is told of the values.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) statistics: Option<Statistics>,
    pub(super) filter: Option<Sbbf>,
}

/// A column chunk as it is in the file.
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// How much is tried to make chunks small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::files) enum Thrift {
    /// Nothing: time counts.
    None,
    /// Several encodings of a chunk are made, and the smallest one is taken.
    Full,
}

/// Makes column chunks. One context of zstd serves them all: to make one for each takes longer than most pages.
pub(super) struct ChunkBuilder {
    zstd: Compressor<'static>,
    codec: CompressionCodec,
    thrift: Thrift,
    data: Vec<u8>,
}

/// Pages of a column chunk.
struct Pages {
    bytes: Vec<u8>,
    uncompressed: usize,
    encoding: Encoding,
    has_dictionary: bool,
    /// Where the data page begins.
    data_at: u64,
    codec: CompressionCodec,
}

impl ChunkBuilder {
    pub(super) fn new(zstd_level: i32, thrift: Thrift) -> io::Result<Self> {
        let codec = Compression::ZSTD(ZstdLevel::try_new(zstd_level)?).into();
        Ok(Self { zstd: Compressor::new(zstd_level)?, codec, thrift, data: Vec::new() })
    }

    pub(super) const fn thrift(&self) -> Thrift {
        self.thrift
    }

    /// Writes a dictionary and which of its values each row has that is not NULL; of no meaning where there is but one.
    pub(super) fn dictionary(
        &mut self,
        layout: Layout<'_>,
        distinct: &Distinct,
        ids: &[u16],
        notes: Notes,
    ) -> io::Result<Chunk> {
        let width = hybrid::width_of(distinct.count());
        let mut best = self.ids(&layout, distinct, ids, width)?;
        if self.thrift == Thrift::Full && distinct.count() > 1 {
            // Numbers that begin with a byte are what zstd finds again, and their bytes are of different likelihood.
            if let Some(wider) = [8, 16].into_iter().find(|wider| *wider >= width).filter(|wider| *wider > width) {
                let pages = self.ids(&layout, distinct, ids, wider)?;
                if pages.bytes.len() < best.bytes.len() {
                    best = pages;
                }
            }
            if let Some(values) = distinct.values(ids).filter(|_| width > 8) {
                self.begin(&layout);
                self.data.extend_from_slice(&values);
                let pages = self.pages(layout.rows, None, Encoding::PLAIN)?;
                // A dictionary is what rows become when they are read.
                if pages.bytes.len() < best.bytes.len() / 10 * 9 {
                    best = pages;
                }
            }
        }
        chunk(layout, best, notes)
    }

    /// Writes values in Parquet's plain encoding.
    pub(super) fn plain(&mut self, layout: Layout<'_>, values: &[u8], notes: Notes) -> io::Result<Chunk> {
        self.begin(&layout);
        self.data.extend_from_slice(values);
        let pages = self.pages(layout.rows, None, Encoding::PLAIN)?;
        chunk(layout, pages, notes)
    }

    fn ids(&mut self, layout: &Layout<'_>, distinct: &Distinct, ids: &[u16], width: u32) -> io::Result<Pages> {
        self.begin(layout);
        self.data.push(u8::try_from(width).expect("at most 16 bits"));
        if distinct.count() > 1 {
            hybrid::encode(ids, width, &mut self.data);
        } else {
            let there = layout.rows - layout.nulls.map_or(0, NullBuffer::null_count);
            hybrid::one(there, &mut self.data);
        }
        let dictionary = Some((distinct.bytes.as_slice(), distinct.count()));
        self.pages(layout.rows, dictionary, Encoding::RLE_DICTIONARY)
    }

    /// Begins a data page with which rows are NULL.
    fn begin(&mut self, layout: &Layout<'_>) {
        self.data.clear();
        if layout.descriptor.max_def_level() == 0 {
            return;
        }
        self.data.extend_from_slice(&[0; 4]);
        match layout.nulls {
            None => hybrid::run(1, layout.rows, &mut self.data),
            Some(nulls) if nulls.null_count() == layout.rows => hybrid::run(0, layout.rows, &mut self.data),
            Some(nulls) => {
                let levels: Vec<u16> = nulls.iter().map(u16::from).collect();
                hybrid::encode(&levels, 1, &mut self.data);
            }
        }
        let length = u32::try_from(self.data.len() - 4).expect("a batch has few rows");
        self.data[..4].copy_from_slice(&length.to_le_bytes());
    }

    /// Ends the data page, and puts its dictionary before it.
    fn pages(&mut self, rows: usize, dictionary: Option<(&[u8], usize)>, encoding: Encoding) -> io::Result<Pages> {
        let mut out = TrackedWrite::new(Vec::new());
        let is_tiny = self.data.len() + dictionary.map_or(0, |(bytes, _)| bytes.len()) <= TINY_BYTES;
        let mut uncompressed = 0;
        let mut writer = SerializedPageWriter::new(&mut out);
        let mut data_at = 0;
        if let Some((bytes, count)) = dictionary {
            let page = Page::DictionaryPage {
                buf: packed(&mut self.zstd, bytes, is_tiny)?,
                num_values: u32::try_from(count).map_err(io::Error::other)?,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let written = writer.write_page(CompressedPage::new(page, bytes.len()))?;
            uncompressed += written.uncompressed_size;
            data_at = written.bytes_written;
        }
        let page = Page::DataPage {
            buf: packed(&mut self.zstd, &self.data, is_tiny)?,
            num_values: u32::try_from(rows).map_err(io::Error::other)?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        uncompressed += writer.write_page(CompressedPage::new(page, self.data.len()))?.uncompressed_size;
        let bytes = out.into_inner()?;
        let codec = if is_tiny { CompressionCodec::UNCOMPRESSED } else { self.codec };
        Ok(Pages { bytes, uncompressed, encoding, has_dictionary: dictionary.is_some(), data_at, codec })
    }
}

fn chunk(layout: Layout<'_>, pages: Pages, notes: Notes) -> io::Result<Chunk> {
    let mut encodings = vec![Encoding::PLAIN, Encoding::RLE];
    encodings.extend((pages.encoding != Encoding::PLAIN).then_some(pages.encoding));
    let mut metadata = ColumnChunkMetaData::builder(layout.descriptor)
        .set_compression_codec(pages.codec)
        .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
        .set_total_compressed_size(as_i64(pages.bytes.len()))
        .set_total_uncompressed_size(as_i64(pages.uncompressed))
        .set_num_values(as_i64(layout.rows))
        .set_data_page_offset(pages.data_at.try_into().map_err(io::Error::other)?)
        .set_dictionary_page_offset(pages.has_dictionary.then_some(0));
    if let Some(statistics) = notes.statistics {
        metadata = metadata.set_statistics(statistics);
    }
    let close = ColumnCloseResult {
        bytes_written: pages.bytes.len() as u64,
        rows_written: layout.rows as u64,
        metadata: metadata.build()?,
        bloom_filter: notes.filter,
        column_index: None,
        offset_index: None,
    };
    Ok(Chunk { bytes: pages.bytes.into(), close })
}

fn packed(zstd: &mut Compressor<'_>, bytes: &[u8], is_tiny: bool) -> io::Result<Bytes> {
    if is_tiny { Ok(Bytes::copy_from_slice(bytes)) } else { Ok(zstd.compress(bytes)?.into()) }
}

fn as_i64(n: usize) -> i64 {
    i64::try_from(n).expect("no page has more")
}
