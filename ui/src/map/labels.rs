//! Where the numbers of curves are written: on the curve, and on nothing else.

use ui_layout::Rect;

use crate::map::scene::{Card, Curve};

/// Height of a label with its plate.
pub(crate) const HEIGHT: f32 = 17.0;
/// About the width of a character, and of the border of the plate.
const CHARACTER: f32 = 6.2;
const BORDER: f32 = 10.0;
/// Places along a curve that are tried, in this order.
const PLACES: [f32; 7] = [0.45, 0.38, 0.52, 0.3, 0.6, 0.24, 0.66];
/// With more curves than this no label is placed.
const CURVES_MAX: usize = 250;

/// Gives each curve the first place where its label lies on no box and no other label; the first curves choose first.
pub(crate) fn place(curves: &mut [Curve], cards: &[Card]) {
    if curves.len() > CURVES_MAX {
        return;
    }
    let boxes: Vec<Rect> = cards.iter().map(Card::rect).collect();
    let mut taken: Vec<Rect> = Vec::new();
    for curve in curves.iter_mut().filter(|curve| !curve.label.is_empty()) {
        let width = width(&curve.label);
        let free = PLACES.iter().map(|t| curve.at(*t)).find_map(|(x, y)| {
            let rect = Rect { x: x - width / 2.0, y: y - HEIGHT / 2.0, width, height: HEIGHT };
            let is_free = boxes.iter().chain(&taken).all(|other| !other.overlaps(&rect));
            is_free.then_some((rect, (x, y)))
        });
        if let Some((rect, at)) = free {
            taken.push(rect);
            curve.label_at = Some(at);
        }
    }
}

fn width(text: &str) -> f32 {
    text.chars().count() as f32 * CHARACTER + BORDER
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::route::bezier;

    fn curve(y: f32) -> Curve {
        Curve { parts: vec![bezier(((0.0, y), 1), ((300.0, y), -1))], label: "12 kB/s".into(), ..Curve::default() }
    }

    #[test]
    fn labels_keep_off_boxes_and_each_other() {
        let mut curves = vec![curve(50.0), curve(55.0), curve(200.0)];
        let cards = [Card { x: 60.0, y: 180.0, ..Card::default() }];
        place(&mut curves, &cards);
        let rects: Vec<Rect> = curves
            .iter()
            .filter_map(|c| c.label_at)
            .map(|(x, y)| Rect { x: x - 26.0, y: y - 8.0, width: 52.0, height: 16.0 })
            .collect();
        assert!(curves[0].label_at.is_some());
        for (i, a) in rects.iter().enumerate() {
            assert!(rects[..i].iter().all(|b| !a.overlaps(b)));
            assert!(cards.iter().all(|card| !card.rect().overlaps(a)));
        }
    }

    #[test]
    fn where_there_is_no_room_there_is_no_label() {
        let mut curves = vec![curve(50.0)];
        let cards: Vec<Card> =
            (0..3).map(|i| Card { x: i as f32 * 120.0 - 20.0, y: 30.0, ..Card::default() }).collect();
        place(&mut curves, &cards);
        assert_eq!(curves[0].label_at, None);
    }
}
