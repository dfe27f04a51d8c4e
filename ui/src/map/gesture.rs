//! Telling a click from a drag.

/// CSS pixels a pointer may move and still click.
const CLICK_REACH: f64 = 4.0;

/// A pointer that is down, or not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Press {
    start: Option<(f64, f64)>,
    last: (f64, f64),
    dragging: bool,
}

impl Press {
    /// The pointer goes down.
    pub(crate) fn down(&mut self, at: (f64, f64)) {
        *self = Self { start: Some(at), last: at, dragging: false };
    }

    /// The pointer moves; how far it drags what is under it, `None` while it does not.
    pub(crate) fn moved(&mut self, at: (f64, f64)) -> Option<(f64, f64)> {
        let start = self.start?;
        if !self.dragging && (at.0 - start.0).hypot(at.1 - start.1) <= CLICK_REACH {
            return None;
        }
        self.dragging = true;
        let by = (at.0 - self.last.0, at.1 - self.last.1);
        self.last = at;
        Some(by)
    }

    /// The pointer goes up; whether that was a click.
    pub(crate) fn up(&mut self) -> bool {
        let clicked = self.start.is_some() && !self.dragging;
        *self = Self::default();
        clicked
    }

    /// Whether something is being dragged.
    pub(crate) fn is_dragging(&self) -> bool {
        self.dragging
    }
}

/// Factor by which a turn of the wheel zooms.
pub(crate) fn wheel_factor(delta: f64) -> f64 {
    // A notch of a mouse is about 100, a step of a touchpad a few; limits tame free-spinning wheels.
    (-delta.clamp(-240.0, 240.0) * 0.0016).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_move_is_a_click_and_a_large_one_a_drag() {
        let mut press = Press::default();
        assert!(!press.up());
        press.down((10.0, 10.0));
        assert_eq!(press.moved((12.0, 11.0)), None);
        assert!(press.up());
        press.down((10.0, 10.0));
        assert_eq!(press.moved((20.0, 10.0)), Some((10.0, 0.0)));
        assert_eq!(press.moved((20.0, 15.0)), Some((0.0, 5.0)));
        assert!(press.is_dragging());
        assert!(!press.up());
        assert_eq!(press.moved((50.0, 50.0)), None);
    }

    #[test]
    fn wheel_up_zooms_in() {
        assert!(wheel_factor(-100.0) > 1.1 && wheel_factor(100.0) < 0.9);
        assert_eq!(wheel_factor(-1e9), wheel_factor(-240.0));
    }
}
