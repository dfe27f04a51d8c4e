//! Drawing the scene on a canvas.

use leptos::prelude::window;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, Path2d};

use crate::map::glyphs;
use crate::map::palette::Palette;
use crate::map::scales::{Health, WIDTHS};
use crate::map::scene::{CARD, Card, Curve, Scene};
use crate::map::viewport::Viewport;

/// Widths of curves, thin to thick, at zoom 1.
const LINE_WIDTHS: [f64; WIDTHS] = [1.1, 1.8, 2.8, 4.0];
/// Zoom from which text can be read.
const TEXT_ZOOM: f64 = 0.34;
/// Zoom from which subtitles can be read.
const SUBTITLE_ZOOM: f64 = 0.5;
/// Zoom from which curves carry their numbers, in a picture of at most so many curves.
const LABEL_ZOOM: f64 = 0.62;
const LABELLED_CURVES_MAX: usize = 60;
/// Sharper than twice is not seen and costs memory.
const PIXEL_RATIO_MAX: f64 = 2.0;
const CORNER: f64 = 7.0;
const BAR: f64 = 4.0;
/// Place of the mark along its curve: near the callee, whose door is closed.
const MARK_AT: f32 = 0.72;
const LABEL_AT: f32 = 0.45;

/// A canvas and what is drawn on it.
pub(crate) struct Canvas {
    element: HtmlCanvasElement,
    context: CanvasRenderingContext2d,
    ratio: f64,
    size: (f64, f64),
}

/// Paths and texts of a scene, made once and drawn often.
pub(crate) struct Prepared {
    /// Curves and arrows by health and width.
    strokes: Vec<Strokes>,
    titles: Vec<(String, String)>,
}

struct Strokes {
    health: Health,
    width: usize,
    lines: Path2d,
    arrows: Path2d,
}

impl Canvas {
    /// A canvas of the page; `None` where the browser gives no context.
    pub(crate) fn new(element: HtmlCanvasElement) -> Option<Self> {
        let context = element.get_context("2d").ok()??.dyn_into().ok()?;
        Some(Self { element, context, ratio: 1.0, size: (0.0, 0.0) })
    }

    /// Sets the size in CSS pixels; the canvas is then empty.
    pub(crate) fn resize(&mut self, width: f64, height: f64) {
        self.ratio = window().device_pixel_ratio().clamp(1.0, PIXEL_RATIO_MAX);
        self.size = (width, height);
        self.element.set_width((width * self.ratio) as u32);
        self.element.set_height((height * self.ratio) as u32);
    }

    /// Moves the bitmap as it is: the compositor does it, nothing is drawn.
    pub(crate) fn transform(&self, (scale, x, y): (f64, f64, f64)) {
        let text = format!("matrix({scale},0,0,{scale},{x},{y})");
        // The only failure is a read-only style, which a canvas of the page never has.
        drop(self.element.style().set_property("transform", &text));
    }

    /// Prepares a scene.
    pub(crate) fn prepare(&self, scene: &Scene, palette: &Palette) -> Prepared {
        let mut strokes: Vec<Strokes> = Vec::new();
        for curve in &scene.curves {
            let found = strokes.iter().position(|s| s.health == curve.health && s.width == curve.width);
            let at = found.unwrap_or_else(|| {
                strokes.push(Strokes { health: curve.health, width: curve.width, lines: path(), arrows: path() });
                strokes.len() - 1
            });
            add_curve(&strokes[at].lines, curve);
            add_arrow(&strokes[at].arrows, curve);
        }
        // The worst are drawn last, over the others.
        strokes.sort_by_key(|s| (s.health, s.width));
        let titles = scene.cards.iter().map(|card| self.clip_texts(card, palette)).collect();
        Prepared { strokes, titles }
    }

    /// Draws the whole scene.
    pub(crate) fn draw(&self, scene: &Scene, prepared: &Prepared, view: Viewport, palette: &Palette) {
        self.begin(view);
        self.draw_islands(scene, view, palette);
        for strokes in &prepared.strokes {
            self.stroke_curves(strokes, view, palette);
        }
        if view.zoom >= LABEL_ZOOM && scene.curves.len() <= LABELLED_CURVES_MAX {
            for curve in scene.curves.iter().filter(|c| !c.label.is_empty()) {
                self.draw_label(curve, &curve.label, palette, &palette.muted);
            }
        }
        for curve in scene.curves.iter().filter(|c| c.health > Health::Fine) {
            self.draw_mark(curve, view, palette);
        }
        for (card, texts) in scene.cards.iter().zip(&prepared.titles) {
            self.draw_card(card, texts, view, palette);
        }
    }

    /// Draws only what `shown` keeps, over a veil that dims the rest; for hover and selection.
    pub(crate) fn draw_focus(
        &self,
        scene: &Scene,
        prepared: &Prepared,
        view: Viewport,
        palette: &Palette,
        focus: &Focus,
    ) {
        self.begin(view);
        if focus.is_empty() {
            return;
        }
        self.veil(palette);
        let context = &self.context;
        for &index in &focus.curves {
            let curve = &scene.curves[index];
            let (lines, arrows) = (path(), path());
            add_curve(&lines, curve);
            add_arrow(&arrows, curve);
            let strokes = Strokes { health: curve.health, width: curve.width.max(1), lines, arrows };
            self.stroke_curves(&strokes, view, &Palette { edge: palette.edge_strong.clone(), ..palette.clone() });
        }
        for &index in &focus.curves {
            let curve = &scene.curves[index];
            if curve.health > Health::Fine {
                self.draw_mark(curve, view, palette);
            }
            if view.zoom >= TEXT_ZOOM && focus.labels {
                self.draw_focus_label(curve, palette);
            }
        }
        for &index in &focus.cards {
            self.draw_card(&scene.cards[index], &prepared.titles[index], view, palette);
        }
        for &index in &focus.ringed {
            let card = &scene.cards[index];
            context.set_stroke_style_str(&palette.accent);
            context.set_line_width(2.5 / view.zoom.clamp(0.5, 1.0));
            self.rounded(f64::from(card.x) - 3.0, f64::from(card.y) - 3.0, CARD_W + 6.0, CARD_H + 6.0, CORNER + 3.0);
            context.stroke();
        }
    }

    fn begin(&self, view: Viewport) {
        let context = &self.context;
        set_transform(context, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        context.clear_rect(0.0, 0.0, f64::from(self.element.width()), f64::from(self.element.height()));
        let zoom = view.zoom * self.ratio;
        set_transform(context, [zoom, 0.0, 0.0, zoom, view.x * self.ratio, view.y * self.ratio]);
        context.set_text_baseline("middle");
    }

    fn veil(&self, palette: &Palette) {
        let context = &self.context;
        context.save();
        set_transform(context, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        context.set_global_alpha(0.72);
        context.set_fill_style_str(&palette.background);
        context.fill_rect(0.0, 0.0, f64::from(self.element.width()), f64::from(self.element.height()));
        context.restore();
    }

    fn draw_islands(&self, scene: &Scene, view: Viewport, palette: &Palette) {
        let context = &self.context;
        for island in &scene.islands {
            let r = island.rect;
            self.rounded(f64::from(r.x), f64::from(r.y), f64::from(r.width), f64::from(r.height), 14.0);
            context.set_fill_style_str(&palette.plate);
            context.fill();
            context.set_line_width(1.0 / view.zoom.max(0.4));
            context.set_stroke_style_str(&palette.plate_line);
            context.stroke();
            // Names of namespaces stay readable in a small picture: they tell where one is.
            let size = (11.5 / view.zoom).clamp(11.5, 26.0);
            context.set_font(&format!("600 {size}px {}", palette.font));
            context.set_fill_style_str(&palette.muted);
            let name = self.clipped(&island.name, f64::from(r.width) - 32.0);
            let y = f64::from(r.y) + if size > 18.0 { -size * 0.7 } else { 18.0 };
            self.text(&name, f64::from(r.x) + 16.0, y);
        }
    }

    fn stroke_curves(&self, strokes: &Strokes, view: Viewport, palette: &Palette) {
        let context = &self.context;
        let color = match strokes.health {
            Health::Fine => &palette.edge,
            Health::Warn => &palette.warn,
            Health::Failing | Health::Dropping | Health::Blocked => &palette.bad,
        };
        let least = if strokes.health > Health::Warn { 1.8 } else { 0.0 };
        let width = LINE_WIDTHS[strokes.width].max(least);
        context.set_stroke_style_str(color);
        context.set_fill_style_str(color);
        context.set_line_width(width / view.zoom.max(0.45));
        let dash: &[f64] = if strokes.health == Health::Blocked { &[7.0, 5.0] } else { &[] };
        set_dash(context, dash);
        context.stroke_with_path(&strokes.lines);
        set_dash(context, &[]);
        if view.zoom > 0.2 {
            context.fill_with_path_2d(&strokes.arrows);
        }
    }

    fn draw_mark(&self, curve: &Curve, view: Viewport, palette: &Palette) {
        let context = &self.context;
        let (x, y) = widen(curve.at(MARK_AT));
        let radius = if curve.health > Health::Warn { 8.0 } else { 6.5 } / view.zoom.clamp(0.45, 1.0);
        context.begin_path();
        arc(context, x, y, radius);
        context.set_fill_style_str(if curve.health > Health::Warn { &palette.bad } else { &palette.warn });
        context.fill();
        context.set_line_width(1.5 / view.zoom.max(0.45));
        context.set_stroke_style_str(&palette.background);
        context.stroke();
        context.set_stroke_style_str(&palette.on_mark);
        context.set_line_width(radius * 0.25);
        context.begin_path();
        let arm = radius * 0.4;
        match curve.health {
            // Drops: a cross. Errors: an exclamation mark. The shape tells what the colour does not.
            Health::Dropping | Health::Blocked => {
                context.move_to(x - arm, y - arm);
                context.line_to(x + arm, y + arm);
                context.move_to(x + arm, y - arm);
                context.line_to(x - arm, y + arm);
            }
            Health::Fine | Health::Warn | Health::Failing => {
                context.move_to(x, y - radius * 0.55);
                context.line_to(x, y + radius * 0.12);
                context.move_to(x, y + radius * 0.42);
                context.line_to(x, y + radius * 0.55);
            }
        }
        context.stroke();
    }

    fn draw_label(&self, curve: &Curve, text: &str, palette: &Palette, color: &str) {
        let context = &self.context;
        context.set_font(&format!("11px {}", palette.font));
        let width = self.width(text);
        let (x, y) = widen(curve.at(LABEL_AT));
        self.rounded(x - width / 2.0 - 5.0, y - 9.0, width + 10.0, 18.0, 5.0);
        context.set_fill_style_str(&palette.background);
        context.set_global_alpha(0.88);
        context.fill();
        context.set_global_alpha(1.0);
        context.set_fill_style_str(color);
        self.text(text, x - width / 2.0, y + 0.5);
    }

    fn draw_focus_label(&self, curve: &Curve, palette: &Palette) {
        let text = match (curve.label.as_str(), curve.trouble.as_str()) {
            (label, "") => label.to_owned(),
            ("", trouble) => trouble.to_owned(),
            (label, trouble) => format!("{label} · {trouble}"),
        };
        if !text.is_empty() {
            self.draw_label(curve, &text, palette, &palette.text);
        }
    }

    fn draw_card(&self, card: &Card, (title, subtitle): &(String, String), view: Viewport, palette: &Palette) {
        let context = &self.context;
        let (x, y) = (f64::from(card.x), f64::from(card.y));
        self.rounded(x, y, CARD_W, CARD_H, CORNER);
        context.set_fill_style_str(&palette.card);
        context.fill();
        context.set_line_width(1.0 / view.zoom.max(0.45));
        context.set_stroke_style_str(&palette.card_line);
        context.stroke();
        if card.health > Health::Fine {
            context.set_fill_style_str(if card.health > Health::Warn { &palette.bad } else { &palette.warn });
            self.rounded(x + 5.0, y + 9.0, BAR, CARD_H - 18.0, BAR / 2.0);
            context.fill();
        }
        if view.zoom < TEXT_ZOOM {
            return;
        }
        self.draw_glyph(card, palette);
        context.set_font(&title_font(palette));
        context.set_fill_style_str(&palette.text);
        let with_subtitle = view.zoom >= SUBTITLE_ZOOM && !subtitle.is_empty();
        self.text(title, x + TEXT_X, y + if with_subtitle { 16.5 } else { CARD_H / 2.0 + 0.5 });
        if with_subtitle {
            context.set_font(&subtitle_font(palette));
            context.set_fill_style_str(&palette.muted);
            self.text(subtitle, x + TEXT_X, y + 32.0);
        }
    }

    fn draw_glyph(&self, card: &Card, palette: &Palette) {
        let Ok(path) = Path2d::new_with_path_string(glyphs::path(&card.kind)) else { return };
        let context = &self.context;
        context.save();
        if context.translate(f64::from(card.x) + 15.0, f64::from(card.y) + CARD_H / 2.0 - 8.0).is_ok() {
            context.set_stroke_style_str(&palette.muted);
            context.set_line_width(1.3);
            context.set_line_join("round");
            context.set_line_cap("round");
            context.stroke_with_path(&path);
        }
        context.restore();
    }

    fn clip_texts(&self, card: &Card, palette: &Palette) -> (String, String) {
        self.context.set_font(&title_font(palette));
        let title = self.clipped(&card.title, CARD_W - TEXT_X - 8.0);
        self.context.set_font(&subtitle_font(palette));
        (title, self.clipped(&card.subtitle, CARD_W - TEXT_X - 8.0))
    }

    /// The text as far as it fits, in the font that is set.
    fn clipped(&self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let fits = ends.partition_point(|&end| self.width(&format!("{}…", &text[..end])) <= width);
        format!("{}…", &text[..ends[fits.saturating_sub(1)]])
    }

    fn width(&self, text: &str) -> f64 {
        self.context.measure_text(text).map_or(0.0, |metrics| metrics.width())
    }

    fn text(&self, text: &str, x: f64, y: f64) {
        // Fails only for coordinates that are no numbers; then there is nothing to draw.
        drop(self.context.fill_text(text, x, y));
    }

    fn rounded(&self, x: f64, y: f64, width: f64, height: f64, corner: f64) {
        self.context.begin_path();
        // Fails only for negative radii.
        drop(self.context.round_rect_with_f64(x, y, width, height, corner));
    }
}

const CARD_W: f64 = CARD.0 as f64;
const CARD_H: f64 = CARD.1 as f64;
/// Where text begins: after the bar and the drawing.
const TEXT_X: f64 = 39.0;

/// What is drawn over the veil.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Focus {
    /// Services, by index.
    pub(crate) cards: Vec<usize>,
    /// Links, by index.
    pub(crate) curves: Vec<usize>,
    /// Services with a ring.
    pub(crate) ringed: Vec<usize>,
    /// Whether links carry their numbers.
    pub(crate) labels: bool,
}

impl Focus {
    fn is_empty(&self) -> bool {
        self.cards.is_empty() && self.curves.is_empty()
    }
}

fn title_font(palette: &Palette) -> String {
    format!("600 12.5px {}", palette.font)
}

fn subtitle_font(palette: &Palette) -> String {
    format!("11px {}", palette.font)
}

fn path() -> Path2d {
    Path2d::new().expect("every browser that runs WebAssembly has paths")
}

fn add_curve(path: &Path2d, curve: &Curve) {
    let [a, b, c, d] = curve.points.map(widen);
    path.move_to(a.0, a.1);
    path.bezier_curve_to(b.0, b.1, c.0, c.1, d.0, d.1);
}

fn add_arrow(path: &Path2d, curve: &Curve) {
    let (x, y) = widen(curve.points[3]);
    let back = if curve.arrives_rightwards() { -1.0 } else { 1.0 };
    let half = 3.2 + curve.width as f64 * 0.6;
    path.move_to(x, y);
    path.line_to(x + back * half * 2.2, y - half);
    path.line_to(x + back * half * 2.2, y + half);
    path.close_path();
}

fn widen((x, y): (f32, f32)) -> (f64, f64) {
    (f64::from(x), f64::from(y))
}

fn arc(context: &CanvasRenderingContext2d, x: f64, y: f64, radius: f64) {
    // Fails only for a negative radius.
    drop(context.arc(x, y, radius, 0.0, std::f64::consts::TAU));
}

fn set_transform(context: &CanvasRenderingContext2d, [a, b, c, d, e, f]: [f64; 6]) {
    // Never fails for plain numbers.
    drop(context.set_transform(a, b, c, d, e, f));
}

fn set_dash(context: &CanvasRenderingContext2d, dash: &[f64]) {
    let list: js_sys::Array = dash.iter().map(|length| JsValue::from_f64(*length)).collect();
    // Fails only for a value that is no list.
    drop(context.set_line_dash(&list));
}
