//! Frames of LZ4, one after the other.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

/// Unpacks all frames of an input.
///
/// The decoder stops after each frame, and takes an input that ends between two blocks for a frame that is complete. Here
/// the next frame follows, and an end without an end mark is an error.
pub(super) struct Lz4Frames<R: BufRead> {
    /// Replaced after each frame, for its buffers fit the blocks of one frame; always there.
    frame: Option<FrameDecoder<Watched<R>>>,
    is_within: bool,
}

impl<R: BufRead> Lz4Frames<R> {
    /// Begins at the start of a frame.
    pub(super) fn new(input: R) -> Self {
        Self { frame: Some(FrameDecoder::new(Watched { input, has_ended: false })), is_within: false }
    }
}

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !out.is_empty()
            && let Some(frame) = &mut self.frame
        {
            if !self.is_within && frame.get_mut().input.fill_buf()?.is_empty() {
                break;
            }
            self.is_within = true;
            let read = frame.read(out)?;
            if read > 0 {
                return Ok(read);
            }
            // A frame that has its end mark is not read beyond it.
            if frame.get_ref().has_ended {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "cut off: the last frame has no end mark"));
            }
            self.is_within = false;
            self.frame = self.frame.take().map(|frame| FrameDecoder::new(frame.into_inner()));
        }
        Ok(0)
    }
}

/// Remembers that somebody asked for more than there is.
struct Watched<R> {
    input: R,
    has_ended: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        self.has_ended |= read == 0 && !out.is_empty();
        Ok(read)
    }
}
