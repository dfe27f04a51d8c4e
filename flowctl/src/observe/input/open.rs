//! What a source is: packed or not, lines or rows, by its first bytes and never by its name.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::lz4::Lz4Frames;
use super::progress;
use super::sources::Source;
use crate::rows::{self, RowFormat};

/// Bytes by which every format can be told.
const MAGIC_BYTES_MAX: usize = 6;
/// Bytes within which the first line of an input that is no JSON has to end.
const HEAD_BYTES_MAX: usize = 256 << 10;
/// Bytes read at once from a packed file.
const PACKED_BYTES: usize = 256 << 10;

/// How a source is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
    Lz4,
}

impl Packing {
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            _ => None,
        }
    }

    fn unpack(self, packed: impl Read + 'static) -> Result<Box<dyn Read>> {
        let packed = BufReader::with_capacity(PACKED_BYTES, packed);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
            Self::Lz4 => Box::new(Lz4Frames::new(packed)),
        })
    }
}

impl std::fmt::Display for Packing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}

/// A source that was opened and looked at.
pub(super) struct Opened {
    /// All its bytes, unpacked.
    pub(super) input: Box<dyn Read>,
    /// The file, if it is one that can be read from anywhere and that is not packed. It stands where `input` stands.
    pub(super) file: Option<File>,
    pub(super) packing: Option<Packing>,
    /// The format of its rows; `None` for lines of JSON.
    pub(super) rows: Option<RowFormat>,
    /// Bytes of the file; `None` where that is not known.
    pub(super) bytes: Option<u64>,
    /// Bytes of the file that were read through `input`.
    pub(super) read: Rc<Cell<u64>>,
    /// Shows those bytes.
    pub(super) bar: ProgressBar,
}

impl Opened {
    /// Opens a source and reads as much as it takes to know what it is.
    ///
    /// # Errors
    /// It cannot be opened or read.
    pub(super) fn open(source: &Source) -> Result<Self> {
        let (raw, file): (Box<dyn Read>, Option<File>) = match source {
            Source::Stdin => (Box::new(io::stdin()), None),
            Source::File(path) => {
                let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
                let whole = file.metadata().is_ok_and(|about| about.is_file());
                let again = whole.then(|| file.try_clone()).transpose()?;
                (Box::new(file), again)
            }
        };
        let bytes = file.as_ref().and_then(|file| file.metadata().ok()).map(|about| about.len());
        let bar = progress::bar(source, bytes);
        let read = Rc::new(Cell::new(0));
        let mut raw: Box<dyn Read> = Box::new(Counted { input: raw, read: Rc::clone(&read), bar: bar.clone() });
        let context = || format!("cannot read {source}");
        let mut head = Vec::new();
        read_more(&mut raw, &mut head, |head| head.len() >= MAGIC_BYTES_MAX).with_context(context)?;
        let packing = Packing::of(&head);
        let mut input: Box<dyn Read> = Box::new(io::Cursor::new(head.clone()).chain(raw));
        let mut ended = Ok(());
        if let Some(packing) = packing {
            input = packing.unpack(input).with_context(context)?;
            head.clear();
        } else {
            // The cursor gives again what is in the head already.
            input.read_exact(&mut head).with_context(context)?;
        }
        if !has_first_line(&head) {
            let enough = |head: &[u8]| has_first_line(head) || head.len() >= HEAD_BYTES_MAX;
            ended = read_more(&mut input, &mut head, enough);
        }
        let rows = rows::detect(&head);
        if let Err(error) = ended {
            // What was read up to there is worth showing.
            input = Box::new(Failing(Some(error)));
        }
        let input = Box::new(io::Cursor::new(head).chain(input));
        Ok(Self { input, file: file.filter(|_| packing.is_none()), packing, rows, bytes, read, bar })
    }
}

/// Whether the bytes tell what they are: all of the first line, or a magic number that no line begins with.
fn has_first_line(head: &[u8]) -> bool {
    let binary = [b"PAR1".as_slice(), b"ARROW1", &[0xff; 4]];
    // Flows in JSON begin like this, and need not be waited for.
    let known = [br#"{"flow":"#.as_slice(), br#"{"node_status":"#, br#"{"lost_events":"#];
    binary.iter().chain(&known).any(|magic| head.starts_with(magic)) || head.contains(&b'\n')
}

/// Reads until there is enough, or nothing more.
fn read_more(input: &mut dyn Read, head: &mut Vec<u8>, enough: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    let mut chunk = vec![0; 64 << 10];
    while !enough(head) {
        match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => head.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Counts what is read.
struct Counted {
    input: Box<dyn Read>,
    read: Rc<Cell<u64>>,
    bar: ProgressBar,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        self.read.set(self.read.get() + read as u64);
        self.bar.inc(read as u64);
        Ok(read)
    }
}

/// The place where reading failed before.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(error) => Err(error),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(plain).unwrap();
        packed.finish().unwrap()
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(plain, 1).unwrap()
    }

    /// Blocks of another size where there is more.
    fn lz4(plain: &[u8]) -> Vec<u8> {
        use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
        let (size, mode) = match plain.len() {
            ..150_000 => (BlockSize::Max64KB, BlockMode::Independent),
            _ => (BlockSize::Max256KB, BlockMode::Linked),
        };
        let info = FrameInfo::new().block_size(size).block_mode(mode);
        let mut packed = FrameEncoder::with_frame_info(info, Vec::new());
        packed.write_all(plain).unwrap();
        packed.finish().unwrap()
    }

    type Pack = fn(&[u8]) -> Vec<u8>;

    /// Parts one after the other are one input, and every cut within one of them is told.
    #[test]
    fn packed_parts_are_complete_or_cut_off() {
        let parts: [Vec<u8>; 4] =
            [(70_000, b'a'), (1, b'b'), (270_000, b'c'), (140_000, b'd')].map(|(size, letter)| [letter].repeat(size));
        let packs: [(Packing, Pack); 3] = [(Packing::Gzip, gzip), (Packing::Zstd, zstd), (Packing::Lz4, lz4)];
        for (packing, pack) in packs {
            let (mut packed, mut plain, mut complete) = (Vec::new(), Vec::new(), Vec::new());
            for part in &parts {
                packed.extend(pack(part));
                plain.extend(part);
                complete.push((packed.len(), plain.len()));
            }
            for cut in 1..=packed.len() {
                let mut unpacked = Vec::new();
                let mut input = packing.unpack(io::Cursor::new(packed[..cut].to_vec())).unwrap();
                let read = input.read_to_end(&mut unpacked);
                assert!(plain.starts_with(&unpacked), "{packing}, cut at {cut}");
                match complete.iter().find(|(end, _)| *end == cut) {
                    Some((_, bytes)) => assert_eq!((read.ok(), unpacked.len()), (Some(*bytes), *bytes), "{packing}"),
                    None => assert!(read.is_err(), "{packing}, cut at {cut} of {}: {complete:?}", packed.len()),
                }
            }
        }
    }
}
