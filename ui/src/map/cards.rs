//! Drawing the boxes of services.

use web_sys::Path2d;

use crate::map::canvas::Canvas;
use crate::map::glyphs;
use crate::map::palette::Palette;
use crate::map::scales::Health;
use crate::map::scene::{CARD, Card};
use crate::map::viewport::Viewport;

const WIDTH: f64 = CARD.0 as f64;
const HEIGHT: f64 = CARD.1 as f64;
const CORNER: f64 = 7.0;
const BAR: f64 = 4.0;
/// Where text begins: after the bar and the drawing, or after the bar alone.
const TEXT_X: f64 = 39.0;
const LARGE_TEXT_X: f64 = 14.0;
/// Size of a title at zoom 1; in a small picture titles are drawn larger, so that names can be read.
const TITLE_SIZE: f64 = 12.5;
const TITLE_SIZE_MAX: f64 = 25.0;
/// Size on the screen below which a title is drawn larger.
const TITLE_READABLE: f64 = 9.2;
/// Size on the screen below which no title is drawn.
const TITLE_SEEN: f64 = 6.0;
/// Titles up to this size leave room for the drawing and the subtitle.
const SUBTITLE_ROOM: f64 = 14.5;

/// Title and subtitle as far as they fit, at zoom 1.
pub(crate) struct Texts {
    title: String,
    subtitle: String,
}

impl Canvas {
    /// Cuts the texts of a box to its width.
    pub(crate) fn clip_texts(&self, card: &Card, palette: &Palette) -> Texts {
        self.context.set_font(&title_font(TITLE_SIZE, palette));
        let title = self.clipped(&card.title, WIDTH - TEXT_X - 8.0);
        self.context.set_font(&subtitle_font(palette));
        Texts { title, subtitle: self.clipped(&card.subtitle, WIDTH - TEXT_X - 8.0) }
    }

    /// Draws one box.
    pub(crate) fn draw_card(&self, card: &Card, texts: &Texts, view: Viewport, palette: &Palette) {
        let context = &self.context;
        let (x, y) = (f64::from(card.x), f64::from(card.y));
        self.rounded(x, y, WIDTH, HEIGHT, CORNER);
        context.set_fill_style_str(&palette.card);
        context.fill();
        context.set_line_width(1.0 / view.zoom.max(0.45));
        context.set_stroke_style_str(&palette.card_line);
        context.stroke();
        if card.health > Health::Fine {
            let width = BAR / view.zoom.clamp(0.5, 1.0);
            context.set_fill_style_str(if card.health > Health::Warn { &palette.bad } else { &palette.warn });
            self.rounded(x + 4.0, y + 8.0, width, HEIGHT - 16.0, width / 2.0);
            context.fill();
        }
        let size = title_size(view.zoom);
        if size * view.zoom < TITLE_SEEN {
            return;
        }
        context.set_fill_style_str(&palette.text);
        context.set_font(&title_font(size, palette));
        if size > SUBTITLE_ROOM {
            let title = self.clipped(&card.title, WIDTH - LARGE_TEXT_X - 6.0);
            self.text(&title, x + LARGE_TEXT_X, y + HEIGHT / 2.0 + 0.5);
            return;
        }
        let lower = if texts.subtitle.is_empty() { HEIGHT / 2.0 + 0.5 } else { 16.5 };
        let title = if size > TITLE_SIZE { &self.clipped(&card.title, WIDTH - TEXT_X - 6.0) } else { &texts.title };
        self.text(title, x + TEXT_X, y + lower);
        context.set_font(&subtitle_font(palette));
        context.set_fill_style_str(&palette.muted);
        self.text(&texts.subtitle, x + TEXT_X, y + 32.5);
        self.draw_glyph(card, palette);
    }

    fn draw_glyph(&self, card: &Card, palette: &Palette) {
        let Ok(path) = Path2d::new_with_path_string(glyphs::path(&card.kind)) else { return };
        let context = &self.context;
        context.save();
        if context.translate(f64::from(card.x) + 15.0, f64::from(card.y) + HEIGHT / 2.0 - 8.0).is_ok() {
            context.set_stroke_style_str(&palette.muted);
            context.set_line_width(1.3);
            context.set_line_join("round");
            context.set_line_cap("round");
            context.stroke_with_path(&path);
        }
        context.restore();
    }

    /// The text as far as it fits, in the font that is set.
    pub(super) fn clipped(&self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let fits = ends.partition_point(|&end| self.width(&format!("{}…", &text[..end])) <= width);
        format!("{}…", &text[..ends[fits.saturating_sub(1)]])
    }
}

/// Size of a title at this zoom, in units of the picture.
fn title_size(zoom: f64) -> f64 {
    (TITLE_READABLE / zoom).clamp(TITLE_SIZE, TITLE_SIZE_MAX)
}

fn title_font(size: f64, palette: &Palette) -> String {
    format!("600 {size}px {}", palette.font)
}

fn subtitle_font(palette: &Palette) -> String {
    format!("11px {}", palette.font)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_grow_in_a_small_picture_and_stop_at_the_box() {
        assert!((title_size(1.0) - TITLE_SIZE).abs() < 1e-9);
        assert!((title_size(0.5) * 0.5 - TITLE_READABLE).abs() < 1e-9);
        assert!((title_size(0.1) - TITLE_SIZE_MAX).abs() < 1e-9);
    }
}
