//! The part of the picture that is on the screen.

/// Zoom beyond which nothing is gained, in both directions.
const ZOOM: std::ops::RangeInclusive<f64> = 0.04..=3.0;
/// Zoom of a picture that would fit several times.
const FIT_ZOOM_MAX: f64 = 1.25;

/// Screen = picture · zoom + (x, y), in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Viewport {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) zoom: f64,
}

/// Room to leave free at the borders of the screen, in CSS pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Margins {
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
    pub(crate) left: f64,
}

impl Viewport {
    /// Shows the whole of a picture, in the middle.
    pub(crate) fn fit(picture: (f64, f64), screen: (f64, f64), margins: Margins) -> Self {
        let width = (screen.0 - margins.left - margins.right).max(1.0);
        let height = (screen.1 - margins.top - margins.bottom).max(1.0);
        let zoom = (width / picture.0.max(1.0)).min(height / picture.1.max(1.0)).min(FIT_ZOOM_MAX);
        let zoom = zoom.clamp(*ZOOM.start(), *ZOOM.end());
        Self {
            x: margins.left + (width - picture.0 * zoom) / 2.0,
            y: margins.top + (height - picture.1 * zoom) / 2.0,
            zoom,
        }
    }

    /// Zooms by `factor`; the point of the picture under `at` stays there.
    pub(crate) fn zoomed(self, at: (f64, f64), factor: f64) -> Self {
        let zoom = (self.zoom * factor).clamp(*ZOOM.start(), *ZOOM.end());
        let ratio = zoom / self.zoom;
        Self { x: at.0 - (at.0 - self.x) * ratio, y: at.1 - (at.1 - self.y) * ratio, zoom }
    }

    /// Moves by CSS pixels.
    pub(crate) fn moved(self, by: (f64, f64)) -> Self {
        Self { x: self.x + by.0, y: self.y + by.1, ..self }
    }

    /// The point of the picture under a point of the screen.
    pub(crate) fn to_picture(self, at: (f64, f64)) -> (f32, f32) {
        (((at.0 - self.x) / self.zoom) as f32, ((at.1 - self.y) / self.zoom) as f32)
    }

    /// What to do to a bitmap drawn for `self` so that it looks as drawn for `wanted`: scale, x, y.
    pub(crate) fn transform_to(self, wanted: Self) -> (f64, f64, f64) {
        let scale = wanted.zoom / self.zoom;
        (scale, wanted.x - self.x * scale, wanted.y - self.y * scale)
    }

    /// Moves just so far that a box of the picture (x, y, width, height) lies within the margins.
    pub(crate) fn showing(self, area: (f64, f64, f64, f64), screen: (f64, f64), margins: Margins) -> Self {
        let near = |at: f64, size: f64, low: f64, high: f64| {
            if at < low {
                low - at
            } else if at + size > high {
                (high - at - size).max(low - at)
            } else {
                0.0
            }
        };
        let (left, top) = (area.0 * self.zoom + self.x, area.1 * self.zoom + self.y);
        self.moved((
            near(left, area.2 * self.zoom, margins.left, screen.0 - margins.right),
            near(top, area.3 * self.zoom, margins.top, screen.1 - margins.bottom),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: (f64, f64) = (1000.0, 600.0);

    #[test]
    fn a_large_picture_fits_and_a_small_one_is_not_blown_up() {
        let margins = Margins { top: 60.0, right: 20.0, bottom: 40.0, left: 20.0 };
        let large = Viewport::fit((3000.0, 1000.0), SCREEN, margins);
        assert!((large.zoom - 0.32).abs() < 1e-9 && (large.x - 20.0).abs() < 1e-9);
        let small = Viewport::fit((100.0, 100.0), SCREEN, margins);
        assert!((small.zoom - FIT_ZOOM_MAX).abs() < 1e-9);
        assert!((small.x - 437.5).abs() < 1e-9);
    }

    #[test]
    fn zooming_keeps_the_point_under_the_pointer() {
        let view = Viewport { x: 10.0, y: 20.0, zoom: 1.0 };
        let at = (300.0, 200.0);
        let zoomed = view.zoomed(at, 1.7);
        assert_eq!(view.to_picture(at), zoomed.to_picture(at));
        assert!((view.zoomed(at, 1e9).zoom - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_bitmap_moves_as_the_picture_would() {
        let (drawn, wanted) = (Viewport { x: 10.0, y: 5.0, zoom: 0.5 }, Viewport { x: -40.0, y: 70.0, zoom: 1.0 });
        let (scale, x, y) = drawn.transform_to(wanted);
        let point = (123.0, 45.0);
        let on_bitmap = (point.0 * drawn.zoom + drawn.x, point.1 * drawn.zoom + drawn.y);
        assert!((on_bitmap.0 * scale + x - (point.0 * wanted.zoom + wanted.x)).abs() < 1e-9);
        assert!((on_bitmap.1 * scale + y - (point.1 * wanted.zoom + wanted.y)).abs() < 1e-9);
    }

    #[test]
    fn what_is_hidden_is_moved_into_sight_and_the_rest_stays() {
        let view = Viewport { x: 0.0, y: 0.0, zoom: 1.0 };
        let margins = Margins { right: 400.0, ..Margins::default() };
        assert_eq!(view.showing((100.0, 100.0, 50.0, 20.0), SCREEN, margins), view);
        assert_eq!(view.showing((700.0, 100.0, 50.0, 20.0), SCREEN, margins).x, -150.0);
        assert_eq!(view.showing((-30.0, 590.0, 50.0, 20.0), SCREEN, margins), view.moved((30.0, -10.0)));
    }
}
