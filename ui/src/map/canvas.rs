//! Drawing the scene on a canvas.

use leptos::prelude::window;
use ui_layout::sort_by;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, Path2d};

use crate::map::cards::Texts;
use crate::map::palette::Palette;
use crate::map::scales::{Health, WIDTHS};
use crate::map::scene::{CARD, Curve, Scene};
use crate::map::viewport::Viewport;

/// Widths of curves, thin to thick, at zoom 1.
const LINE_WIDTHS: [f64; WIDTHS] = [1.1, 1.8, 2.8, 4.0];
/// Zoom from which curves carry their numbers.
const LABEL_ZOOM: f64 = 0.6;
/// Sharper than twice is not seen and costs memory.
const PIXEL_RATIO_MAX: f64 = 2.0;
const CORNER: f64 = 7.0;
/// Place of the mark along its curve: near the callee, whose door is closed.
const MARK_AT: f32 = 0.72;
const LABEL_AT: f32 = 0.45;

/// A canvas and what is drawn on it.
pub(crate) struct Canvas {
    element: HtmlCanvasElement,
    pub(super) context: CanvasRenderingContext2d,
    ratio: f64,
    size: (f64, f64),
}

/// Paths and texts of a scene, made once and drawn often.
pub(crate) struct Prepared {
    /// Curves and arrows by health and width.
    strokes: Vec<Strokes>,
    texts: Vec<Texts>,
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
        sort_by(&mut strokes, |a, b| (a.health, a.width).cmp(&(b.health, b.width)));
        let texts = scene.cards.iter().map(|card| self.clip_texts(card, palette)).collect();
        Prepared { strokes, texts }
    }

    /// Draws the whole scene.
    pub(crate) fn draw(&self, scene: &Scene, prepared: &Prepared, view: Viewport, palette: &Palette) {
        self.begin(view);
        self.draw_islands(scene, view, palette);
        for strokes in &prepared.strokes {
            self.stroke_curves(strokes, view, palette);
        }
        if view.zoom >= LABEL_ZOOM {
            for curve in &scene.curves {
                if let Some(at) = curve.label_at {
                    self.draw_label(at, &curve.label, palette, &palette.muted);
                }
            }
        }
        for curve in scene.curves.iter().filter(|c| c.health > Health::Fine) {
            self.draw_mark(curve, view, palette);
        }
        for (card, texts) in scene.cards.iter().zip(&prepared.texts) {
            self.draw_card(card, texts, view, palette);
        }
    }

    /// Draws only what `shown` keeps, over a veil that dims the rest; for hover and selection.
    #[expect(clippy::too_many_arguments, reason = "all that a picture is made of")]
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
            if view.zoom >= LABEL_ZOOM && focus.labels {
                self.draw_focus_label(curve, palette);
            }
        }
        for &index in &focus.cards {
            self.draw_card(&scene.cards[index], &prepared.texts[index], view, palette);
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
        context.set_line_width(1.0 / view.zoom.max(0.4));
        context.set_fill_style_str(&palette.plate);
        context.set_stroke_style_str(&palette.plate_line);
        for island in &scene.islands {
            let r = island.rect;
            self.rounded(f64::from(r.x), f64::from(r.y), f64::from(r.width), f64::from(r.height), 14.0);
            context.fill();
            context.stroke();
        }
        // Names of namespaces stay readable in a small picture: they tell where one is.
        let size = (10.5 / view.zoom).clamp(11.5, 26.0);
        context.set_font(&format!("600 {size}px {}", palette.font));
        context.set_fill_style_str(&palette.muted);
        for island in &scene.islands {
            let name = self.clipped(&island.name, f64::from(island.rect.width) - 32.0);
            self.text(&name, f64::from(island.rect.x) + 16.0, f64::from(island.rect.y) + 20.0);
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

    fn draw_label(&self, at: (f32, f32), text: &str, palette: &Palette, color: &str) {
        let context = &self.context;
        context.set_font(&format!("11px {}", palette.font));
        let width = self.width(text);
        let (x, y) = widen(at);
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
            self.draw_label(curve.label_at.unwrap_or_else(|| curve.at(LABEL_AT)), &text, palette, &palette.text);
        }
    }

    pub(super) fn width(&self, text: &str) -> f64 {
        self.context.measure_text(text).map_or(0.0, |metrics| metrics.width())
    }

    pub(super) fn text(&self, text: &str, x: f64, y: f64) {
        // Fails only for coordinates that are no numbers; then there is nothing to draw.
        drop(self.context.fill_text(text, x, y));
    }

    #[expect(clippy::too_many_arguments, reason = "the numbers of a rectangle")]
    pub(super) fn rounded(&self, x: f64, y: f64, width: f64, height: f64, corner: f64) {
        self.context.begin_path();
        // Fails only for negative radii.
        drop(self.context.round_rect_with_f64(x, y, width, height, corner));
    }
}

const CARD_W: f64 = CARD.0 as f64;
const CARD_H: f64 = CARD.1 as f64;

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

fn path() -> Path2d {
    Path2d::new().expect("every browser that runs WebAssembly has paths")
}

fn add_curve(path: &Path2d, curve: &Curve) {
    for (place, part) in curve.parts.iter().enumerate() {
        let [a, b, c, d] = part.map(widen);
        if place == 0 {
            path.move_to(a.0, a.1);
        }
        path.bezier_curve_to(b.0, b.1, c.0, c.1, d.0, d.1);
    }
}

fn add_arrow(path: &Path2d, curve: &Curve) {
    let (x, y) = widen(curve.end());
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
