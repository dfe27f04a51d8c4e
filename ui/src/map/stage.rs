//! The picture on the screen: two canvases, what they show, and when they are drawn.
//!
//! The lower canvas has the whole scene, the upper one what is pointed at and selected, so that pointing never redraws
//! the scene. While a large scene is dragged its bitmap is moved by the compositor and drawn again when the hand rests.

use std::sync::Arc;
use std::time::Duration;

use leptos::leptos_dom::helpers::{TimeoutHandle, set_timeout_with_handle};
use ui_layout::sort_by;

use crate::map::canvas::{Canvas, Focus, Prepared};
use crate::map::palette::Palette;
use crate::map::scene::{CARD, Hit, Scene};
use crate::map::viewport::{Margins, Viewport};

/// Scenes with at most so many curves are drawn anew in every frame of a gesture.
const DRAWN_LIVE_CURVES_MAX: usize = 120;
/// Rest after which a moved bitmap is drawn sharp.
const REST: Duration = Duration::from_millis(140);
/// Distance from which a curve is pointed at, in CSS pixels.
const REACH: f64 = 7.0;
/// With at most so many links a focus carries their numbers.
const FOCUS_LABELS_MAX: usize = 14;
/// Toolbar above, legend and zoom buttons below.
const MARGINS: Margins = Margins { top: 70.0, right: 36.0, bottom: 64.0, left: 36.0 };
/// Width the details take from the right.
const DETAILS_WIDTH: f64 = 412.0;

/// The picture on the screen.
pub(crate) struct Stage {
    base: Canvas,
    over: Canvas,
    palette: Palette,
    scene: Arc<Scene>,
    prepared: Prepared,
    question: String,
    size: (f64, f64),
    view: Viewport,
    /// What the bitmap of the lower canvas was drawn for.
    drawn: Viewport,
    /// Whether the user chose the view; then it does not change by itself.
    chosen: bool,
    hovered: Option<Hit>,
    selected: Option<Hit>,
    timer: Option<TimeoutHandle>,
}

impl Stage {
    /// A stage with an empty scene.
    pub(crate) fn new(base: Canvas, over: Canvas) -> Self {
        let palette = Palette::read();
        let scene = Arc::new(Scene::default());
        let prepared = base.prepare(&scene, &palette);
        let view = Viewport { x: 0.0, y: 0.0, zoom: 1.0 };
        Self {
            base,
            over,
            palette,
            scene,
            prepared,
            question: String::new(),
            size: (0.0, 0.0),
            view,
            drawn: view,
            chosen: false,
            hovered: None,
            selected: None,
            timer: None,
        }
    }

    /// Shows a scene; another question deserves a view of the whole, a refresh does not move anything.
    pub(crate) fn set_scene(&mut self, scene: Arc<Scene>, question: &str, is_new: bool) {
        if question != self.question {
            self.chosen = false;
            question.clone_into(&mut self.question);
        }
        self.hovered = None;
        self.scene = scene;
        self.prepared = self.base.prepare(&self.scene, &self.palette);
        if is_new && !self.chosen {
            self.view = self.fitted();
        }
        self.draw();
    }

    /// The screen has another size, in CSS pixels.
    pub(crate) fn set_size(&mut self, size: (f64, f64)) {
        if size == self.size || size.0 < 1.0 || size.1 < 1.0 {
            return;
        }
        self.size = size;
        self.base.resize(size.0, size.1);
        self.over.resize(size.0, size.1);
        if !self.chosen {
            self.view = self.fitted();
        }
        self.draw();
    }

    /// The style sheet has other colours.
    pub(crate) fn set_palette(&mut self) {
        self.palette = Palette::read();
        self.prepared = self.base.prepare(&self.scene, &self.palette);
        self.draw();
    }

    /// Something is selected; it is moved out from under the details.
    pub(crate) fn select(&mut self, selected: Option<Hit>) {
        if self.selected == selected {
            return;
        }
        self.selected = selected;
        if let Some(Hit::Service(index)) = selected
            && let Some(card) = self.scene.cards.get(index)
        {
            let area = (f64::from(card.x), f64::from(card.y), f64::from(CARD.0), f64::from(CARD.1));
            let margins = Margins { right: DETAILS_WIDTH, ..MARGINS };
            let view = self.view.showing(area, self.size, margins);
            if view != self.view {
                self.view = view;
                self.draw();
                return;
            }
        }
        self.draw_focus();
    }

    /// Shows the whole.
    pub(crate) fn fit(&mut self) {
        self.chosen = false;
        self.view = self.fitted();
        self.draw();
    }

    /// Zooms about a point of the screen, by default about its middle.
    pub(crate) fn zoom(&mut self, at: Option<(f64, f64)>, factor: f64) {
        let at = at.unwrap_or((self.size.0 / 2.0, self.size.1 / 2.0));
        self.look(self.view.zoomed(at, factor));
    }

    /// Moves by CSS pixels.
    pub(crate) fn pan(&mut self, by: (f64, f64)) {
        self.look(self.view.moved(by));
    }

    /// The pointer is at a point of the screen, or gone; whether something is there.
    pub(crate) fn hover(&mut self, at: Option<(f64, f64)>) -> bool {
        let hit = at.and_then(|at| self.hit(at));
        if hit != self.hovered {
            self.hovered = hit;
            self.draw_focus();
        }
        hit.is_some()
    }

    /// What is at a point of the screen.
    pub(crate) fn hit(&self, at: (f64, f64)) -> Option<Hit> {
        let (x, y) = self.view.to_picture(at);
        self.scene.hit(x, y, (REACH / self.view.zoom) as f32)
    }

    /// Draws sharp what a gesture left as a moved bitmap.
    pub(crate) fn rest(&mut self) {
        if self.drawn != self.view {
            self.draw();
        }
    }

    /// Arms the timer that calls `rest` after a gesture, where one is due.
    pub(crate) fn arm(&mut self, rest: impl FnOnce() + 'static) {
        if self.drawn == self.view {
            return;
        }
        self.disarm();
        self.timer = set_timeout_with_handle(rest, REST).ok();
    }

    fn disarm(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.clear();
        }
    }

    fn fitted(&self) -> Viewport {
        Viewport::fit((f64::from(self.scene.width), f64::from(self.scene.height)), self.size, MARGINS)
    }

    fn look(&mut self, view: Viewport) {
        self.chosen = true;
        self.view = view;
        if self.scene.curves.len() <= DRAWN_LIVE_CURVES_MAX {
            self.draw();
        } else {
            self.base.transform(self.drawn.transform_to(view));
            self.over.transform(self.drawn.transform_to(view));
        }
    }

    fn draw(&mut self) {
        self.base.draw(&self.scene, &self.prepared, self.view, &self.palette);
        self.drawn = self.view;
        self.base.transform((1.0, 0.0, 0.0));
        self.over.transform((1.0, 0.0, 0.0));
        self.draw_focus();
    }

    fn draw_focus(&self) {
        let focus = focus(&self.scene, self.hovered, self.selected);
        self.over.draw_focus(&self.scene, &self.prepared, self.view, &self.palette, &focus);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// What to show over the veil: what is pointed at, else what is selected, each with its neighbours.
fn focus(scene: &Scene, hovered: Option<Hit>, selected: Option<Hit>) -> Focus {
    let mut focus = Focus::default();
    match hovered.or(selected) {
        None => return focus,
        Some(Hit::Service(index)) if index < scene.cards.len() => {
            focus.cards.push(index);
            for (at, curve) in scene.curves.iter().enumerate() {
                if curve.from == index || curve.to == index {
                    focus.curves.push(at);
                    focus.cards.push(if curve.from == index { curve.to } else { curve.from });
                }
            }
        }
        Some(Hit::Link(index)) if index < scene.curves.len() => {
            focus.curves.push(index);
            focus.cards.extend([scene.curves[index].from, scene.curves[index].to]);
        }
        // The scene changed under the selection.
        Some(_) => return focus,
    }
    sort_by(&mut focus.cards, usize::cmp);
    focus.cards.dedup();
    focus.labels = focus.curves.len() <= FOCUS_LABELS_MAX;
    if let Some(Hit::Service(index)) = selected
        && focus.cards.contains(&index)
    {
        focus.ringed.push(index);
    }
    focus
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::scene::{Card, Curve};

    fn scene() -> Scene {
        let curve = |from, to| Curve { from, to, ..Curve::default() };
        Scene {
            cards: vec![Card::default(); 4],
            curves: vec![curve(0, 1), curve(1, 2), curve(2, 3)],
            ..Scene::default()
        }
    }

    #[test]
    fn a_service_brings_its_neighbours() {
        let focus = focus(&scene(), Some(Hit::Service(1)), None);
        assert_eq!((focus.cards, focus.curves, focus.ringed), (vec![0, 1, 2], vec![0, 1], vec![]));
    }

    #[test]
    fn pointing_goes_before_selecting_and_the_ring_stays() {
        let focus = focus(&scene(), Some(Hit::Link(1)), Some(Hit::Service(1)));
        assert_eq!((focus.cards, focus.curves, focus.ringed), (vec![1, 2], vec![1], vec![1]));
    }

    #[test]
    fn what_is_gone_is_not_focused() {
        assert!(focus(&scene(), None, Some(Hit::Service(9))).cards.is_empty());
    }
}
