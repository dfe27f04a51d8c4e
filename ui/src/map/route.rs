//! Curves that go around boxes.
//!
//! Boxes stand in columns. A curve that would cross one leads through the gaps of the columns between its ends: in each
//! the gap nearest to the straight way is taken, then every stop that the curve does not need is left out again.

use crate::map::scene::CARD;

/// A cubic Bézier: start, two handles, end.
pub(crate) type Bezier = [(f32, f32); 4];

/// Side of a box: -1 left, 1 right.
pub(crate) type Side = i8;

/// Point and side at which a curve meets a box.
pub(crate) type End = ((f32, f32), Side);

/// Room a curve keeps from boxes.
const CLEAR: f32 = 5.0;
/// What rounding may move a point of a curve by: one that is led along the border of that room keeps it.
const HAIR: f32 = 0.01;
/// Room between two curves that share a gap.
const LANE: f32 = 5.0;
/// Points of a curve that are looked at.
const SAMPLES: usize = 18;
/// More boxes than this make a picture in which no curve is followed by eye.
const BOXES_MAX: usize = 300;
/// Boxes whose left ends differ by less stand in one column.
const SAME_COLUMN: f32 = 2.0;

/// Finds ways between boxes.
pub(crate) struct Router {
    columns: Vec<Column>,
}

struct Column {
    x: f32,
    /// Upper ends of its boxes, from top to bottom.
    tops: Vec<f32>,
    /// Curves that were led through each gap; gap `i` is above box `i`.
    used: Vec<usize>,
}

impl Router {
    /// For boxes of the size [`CARD`] at these upper left corners.
    pub(crate) fn new(boxes: &[(f32, f32)]) -> Self {
        let mut sorted = if boxes.len() > BOXES_MAX { Vec::new() } else { boxes.to_vec() };
        ui_layout::sort_by(&mut sorted, |a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut columns: Vec<Column> = Vec::new();
        for (x, y) in sorted {
            match columns.last_mut() {
                Some(column) if x - column.x < SAME_COLUMN => column.tops.push(y),
                _ => columns.push(Column { x, tops: vec![y], used: Vec::new() }),
            }
        }
        for column in &mut columns {
            ui_layout::sort_by(&mut column.tops, |a, b| a.total_cmp(b));
            column.used = vec![0; column.tops.len() + 1];
        }
        Self { columns }
    }

    /// A way from end to end; the straight one where nothing stands in it.
    pub(crate) fn route(&mut self, start: End, end: End) -> Vec<Bezier> {
        let direct = bezier(start, end);
        if start.1 == end.1 || self.is_free(&direct) {
            return vec![direct];
        }
        let stops = self.stops(start.0, end.0);
        self.join(start, end, &stops)
    }

    /// Whether a curve keeps clear of all boxes but those it begins and ends at.
    fn is_free(&self, curve: &Bezier) -> bool {
        let (low, high) = (curve[0].0.min(curve[3].0), curve[0].0.max(curve[3].0));
        (1..SAMPLES).all(|step| {
            let (x, y) = point(curve, step as f32 / SAMPLES as f32);
            x < low + 1.0 || x > high - 1.0 || !self.is_inside(x, y)
        })
    }

    fn is_inside(&self, x: f32, y: f32) -> bool {
        let inside = |column: &Column| {
            let next = column.tops.partition_point(|top| *top - CLEAR + HAIR < y);
            next > 0 && y < column.tops[next - 1] + CARD.1 + CLEAR - HAIR
        };
        self.columns.iter().any(|c| x > c.x - CLEAR && x < c.x + CARD.0 + CLEAR && inside(c))
    }

    /// Where the way meets each column between its ends: left and right end of the column, and the height.
    fn stops(&mut self, from: (f32, f32), to: (f32, f32)) -> Vec<[(f32, f32); 2]> {
        let (low, high) = (from.0.min(to.0), from.0.max(to.0));
        let mut between: Vec<usize> =
            (0..self.columns.len()).filter(|&c| self.columns[c].x > low && self.columns[c].x + CARD.0 < high).collect();
        let leftwards = to.0 < from.0;
        if leftwards {
            between.reverse();
        }
        let mut at = from;
        let mut stops = Vec::with_capacity(between.len());
        for column in between {
            let column = &mut self.columns[column];
            let middle = column.x + CARD.0 / 2.0;
            let wanted = at.1 + (to.1 - at.1) * ((middle - at.0) / (to.0 - at.0)).clamp(0.0, 1.0);
            let y = column.pass(wanted);
            let ends = [(column.x - CLEAR, y), (column.x + CARD.0 + CLEAR, y)];
            stops.push(if leftwards { [ends[1], ends[0]] } else { ends });
            at = (middle, y);
        }
        stops
    }

    /// Joins the stops by curves and leaves out those without which the way is free as well.
    fn join(&self, start: End, end: End, stops: &[[(f32, f32); 2]]) -> Vec<Bezier> {
        let heading = if end.0.0 < start.0.0 { -1 } else { 1 };
        let mut way = Vec::new();
        let mut at = start;
        let mut next = 0;
        while next < stops.len() {
            // The farthest stop, or the end, that can be reached from here in one free curve.
            let reach = (next..=stops.len()).rev().find(|&stop| {
                let goal = stops.get(stop).map_or(end, |stop| (stop[0], -heading));
                stop == next || self.is_free(&bezier(at, goal))
            });
            let stop = reach.unwrap_or(next);
            let Some(pair) = stops.get(stop) else { break };
            way.push(bezier(at, (pair[0], -heading)));
            way.push(line(pair[0], pair[1]));
            at = (pair[1], heading);
            next = stop + 1;
        }
        way.push(bezier(at, end));
        way
    }
}

impl Column {
    /// Height nearest to the wanted one at which a curve can pass; curves that share a gap get lanes of their own.
    fn pass(&mut self, wanted: f32) -> f32 {
        let mut best = (f32::MAX, 0, wanted);
        for gap in 0..=self.tops.len() {
            let low = if gap == 0 { f32::MIN } else { self.tops[gap - 1] + CARD.1 + CLEAR };
            let high = self.tops.get(gap).map_or(f32::MAX, |top| top - CLEAR);
            if high <= low {
                continue;
            }
            let lane =
                (self.used[gap].div_ceil(2)) as f32 * if self.used[gap].is_multiple_of(2) { LANE } else { -LANE };
            let y = (wanted.clamp(low, high) + lane).clamp(low, high);
            let distance = (y - wanted).abs();
            if distance < best.0 {
                best = (distance, gap, y);
            }
        }
        self.used[best.1] += 1;
        best.2
    }
}

/// The plain curve between two ends.
pub(crate) fn bezier((start, out): End, (end, into): End) -> Bezier {
    let distance = (end.0 - start.0).abs();
    // Curves within a column bulge a little further the farther they go, so that they do not lie on each other.
    let pull = if out == into { (36.0 + (end.1 - start.1).abs() * 0.1).min(74.0) } else { (distance * 0.45).max(24.0) };
    [start, (start.0 + pull * f32::from(out), start.1), (end.0 + pull * f32::from(into), end.1), end]
}

fn line(a: (f32, f32), b: (f32, f32)) -> Bezier {
    let third = (b.0 - a.0) / 3.0;
    [a, (a.0 + third, a.1), (b.0 - third, b.1), b]
}

/// Point of a curve at `t` from 0 to 1.
pub(crate) fn point([a, b, c, d]: &Bezier, t: f32) -> (f32, f32) {
    let s = 1.0 - t;
    let mix =
        |a: f32, b: f32, c: f32, d: f32| s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d;
    (mix(a.0, b.0, c.0, d.0), mix(a.1, b.1, c.1, d.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three columns; in the middle one boxes at these heights.
    fn router(middle: &[f32]) -> Router {
        let mut boxes = vec![(0.0, 100.0), (600.0, 100.0)];
        boxes.extend(middle.iter().map(|&y| (300.0, y)));
        Router::new(&boxes)
    }

    const Y: f32 = 100.0 + CARD.1 / 2.0;
    const START: End = ((CARD.0, Y), 1);
    const END: End = ((600.0, Y), -1);

    #[test]
    fn the_straight_way_is_taken_where_it_is_free() {
        assert_eq!(router(&[0.0, 200.0]).route(START, END).len(), 1);
        assert_eq!(router(&[100.0]).route(START, ((300.0, Y), -1)).len(), 1, "its own end is no obstacle");
    }

    #[test]
    fn a_box_is_passed_by_the_nearer_side_and_not_touched() {
        for (top, above) in [(110.0, true), (90.0, false)] {
            let mut router = router(&[top]);
            let way = router.route(START, END);
            assert!(way.iter().all(|curve| router.is_free(curve)), "{way:?}");
            let middle = point(&way[1], 0.5).1;
            assert_eq!(middle < Y, above, "{middle}");
            assert_eq!((way[0][0], way[way.len() - 1][3]), (START.0, END.0));
        }
    }

    #[test]
    fn curves_in_one_gap_have_lanes() {
        let mut router = router(&[60.0, 60.0 + CARD.1 + 40.0]);
        let start: End = ((CARD.0, 70.0), 1);
        let heights: Vec<f32> = (0..3)
            .map(|_| router.route(start, ((600.0, 90.0), -1)))
            .map(|way| point(&way[way.len() / 2], 0.5).1)
            .collect();
        assert!(heights[0] != heights[1] && heights[1] != heights[2], "{heights:?}");
    }

    #[test]
    fn ways_lead_back_as_well() {
        let mut router = router(&[100.0]);
        let way = router.route(((600.0, Y), -1), ((CARD.0, Y), 1));
        assert!(way.len() > 1 && way.iter().all(|curve| router.is_free(curve)));
    }
}
