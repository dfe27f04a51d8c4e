//! What is drawn: boxes, curves and plates in the units of the picture; and what is under a point.

use std::collections::BTreeMap;

use ui_layout::{Options, Rect};

use crate::map::graph::{Graph, Link, Service};
use crate::map::labels;
use crate::map::placing::{Island, Places};
use crate::map::route::{self, Bezier, End, Router, Side};
use crate::map::scales::{Health, width_step};
use crate::state::Metric;

/// Size of a box.
pub(crate) const CARD: (f32, f32) = (184.0, 46.0);
/// Most room between two ends of curves at one side of a box.
const END_GAP_MAX: f32 = 9.0;
/// Points of each part of a curve that are compared with the pointer.
const SAMPLES: usize = 16;
/// Pictures of at most so many services have room to spare.
const ROOMY_SERVICES_MAX: usize = 40;

/// Sizes for the layout of so many services.
pub(crate) fn layout_options(services: usize) -> Options {
    let roomy = services <= ROOMY_SERVICES_MAX;
    Options {
        node_width: CARD.0,
        node_height: CARD.1,
        column_gap: if roomy { 124.0 } else { 92.0 },
        row_gap: if roomy { 26.0 } else { 16.0 },
        ..Options::default()
    }
}

/// Everything to draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scene {
    /// One per service, in the same order.
    pub(crate) cards: Vec<Card>,
    /// One per link, in the same order.
    pub(crate) curves: Vec<Curve>,
    pub(crate) islands: Vec<Island>,
    pub(crate) width: f32,
    pub(crate) height: f32,
}

/// Box of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Card {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) kind: String,
    pub(crate) health: Health,
}

/// Curve of a link.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Curve {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Parts of the curve, each beginning where the one before ends.
    pub(crate) parts: Vec<Bezier>,
    pub(crate) health: Health,
    pub(crate) width: usize,
    pub(crate) label: String,
    /// Middle of the label where there is room for it.
    pub(crate) label_at: Option<(f32, f32)>,
    /// Words for drops and errors, empty where there are none.
    pub(crate) trouble: String,
}

/// What is under a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// A service, by index.
    Service(usize),
    /// A link, by index.
    Link(usize),
}

impl Scene {
    /// Joins graph and places.
    pub(crate) fn build(graph: &Graph, places: &Places, metric: Metric) -> Self {
        let alone = |service: &Service| !places.islands.iter().any(|island| island.name == service.place());
        let cards: Vec<Card> = graph
            .services
            .iter()
            .zip(&places.spots)
            .map(|(service, spot)| Card {
                x: spot.x,
                y: spot.y,
                title: service.name.clone(),
                subtitle: subtitle(service, alone(service)),
                kind: service.kind.clone(),
                health: service.health,
            })
            .collect();
        let ends = ends(&cards, &graph.links);
        let corners: Vec<(f32, f32)> = cards.iter().map(|card| (card.x, card.y)).collect();
        let mut router = Router::new(&corners);
        let shown =
            graph.links.iter().map(|link| link.totals.value(metric, graph.seconds)).filter(|value| *value > 0.0);
        let (smallest, largest) = shown.fold((f64::MAX, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
        let mut curves: Vec<Curve> = graph
            .links
            .iter()
            .zip(ends)
            .map(|(link, (start, end))| Curve {
                from: link.from,
                to: link.to,
                parts: router.route(start, end),
                health: link.health,
                width: width_step(link.totals.value(metric, graph.seconds), smallest, largest),
                label: link.totals.text(metric, graph.seconds),
                label_at: None,
                trouble: trouble(link),
            })
            .collect();
        labels::place(&mut curves, &cards);
        Self { cards, curves, islands: places.islands.clone(), width: places.width, height: places.height }
    }

    /// What is under a point; curves count from `reach` away.
    pub(crate) fn hit(&self, x: f32, y: f32, reach: f32) -> Option<Hit> {
        let inside = |card: &Card| card.rect().contains(x, y);
        if let Some(card) = self.cards.iter().position(inside) {
            return Some(Hit::Service(card));
        }
        let near = self.curves.iter().enumerate().filter_map(|(i, curve)| Some((i, curve.distance(x, y, reach)?)));
        near.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| Hit::Link(i))
    }
}

impl Card {
    /// Its box.
    pub(crate) fn rect(&self) -> Rect {
        Rect { x: self.x, y: self.y, width: CARD.0, height: CARD.1 }
    }
}

impl Curve {
    /// Point at `t` from 0 to 1; each part counts by the distance of its ends.
    pub(crate) fn at(&self, t: f32) -> (f32, f32) {
        let length = |part: &Bezier| (part[3].0 - part[0].0).hypot(part[3].1 - part[0].1).max(0.1);
        let mut rest = t.clamp(0.0, 1.0) * self.parts.iter().map(length).sum::<f32>();
        for part in &self.parts {
            let length = length(part);
            if rest <= length {
                return route::point(part, rest / length);
            }
            rest -= length;
        }
        self.end()
    }

    /// Where it arrives.
    pub(crate) fn end(&self) -> (f32, f32) {
        self.parts.last().map_or((0.0, 0.0), |part| part[3])
    }

    /// Whether the curve arrives from the left, so that its arrow points to the right.
    pub(crate) fn arrives_rightwards(&self) -> bool {
        self.parts.last().is_none_or(|part| part[2].0 < part[3].0)
    }

    /// Distance to a point where it is at most `reach`.
    fn distance(&self, x: f32, y: f32, reach: f32) -> Option<f32> {
        self.parts.iter().filter_map(|part| distance(part, x, y, reach)).min_by(f32::total_cmp)
    }
}

fn distance(part: &Bezier, x: f32, y: f32, reach: f32) -> Option<f32> {
    let (mut low, mut high) = (part[0], part[0]);
    for point in &part[1..] {
        low = (low.0.min(point.0), low.1.min(point.1));
        high = (high.0.max(point.0), high.1.max(point.1));
    }
    if x < low.0 - reach || x > high.0 + reach || y < low.1 - reach || y > high.1 + reach {
        return None;
    }
    let mut nearest = f32::MAX;
    let mut before = part[0];
    for step in 1..=SAMPLES {
        let point = route::point(part, step as f32 / SAMPLES as f32);
        nearest = nearest.min(to_segment((x, y), before, point));
        before = point;
    }
    (nearest <= reach).then_some(nearest)
}

fn to_segment(p: (f32, f32), a: (f32, f32), b: (f32, f32)) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = (dx * dx + dy * dy).max(1e-6);
    let t = (((p.0 - a.0) * dx + (p.1 - a.1) * dy) / length).clamp(0.0, 1.0);
    (p.0 - a.0 - t * dx).hypot(p.1 - a.1 - t * dy)
}

fn subtitle(service: &Service, with_namespace: bool) -> String {
    let what = match (service.ports.as_slice(), service.kind.as_str()) {
        ([], "world") => "outside".to_owned(),
        ([], "host") => "node".to_owned(),
        ([], _) if service.degree.1 > 0 => "client".to_owned(),
        ([], _) => String::new(),
        ([one], _) => one.clone(),
        ([one, two], _) => format!("{one} · {two}"),
        ([one, two, rest @ ..], _) => format!("{one} · {two} · +{}", rest.len()),
    };
    let place = service.place();
    match (with_namespace && !place.is_empty() && place != service.name, what.is_empty()) {
        (false, _) => what,
        (true, true) => place.into_owned(),
        (true, false) => format!("{place} · {what}"),
    }
}

fn trouble(link: &Link) -> String {
    let dropped = crate::parts::units::count(link.totals.dropped as f64);
    match link.health {
        Health::Fine => String::new(),
        Health::Failing => format!("{} failed", crate::parts::units::percent(link.totals.error_share())),
        Health::Warn if link.totals.dropped == 0 => {
            format!("{} failed", crate::parts::units::percent(link.totals.error_share()))
        }
        Health::Blocked => format!("{dropped} dropped, none through"),
        Health::Warn | Health::Dropping => format!("{dropped} dropped"),
    }
}

/// Both ends of each link, fanned out along the sides of the boxes so that curves do not cross at them.
fn ends(cards: &[Card], links: &[Link]) -> Vec<(End, End)> {
    let mut at_side: BTreeMap<(usize, Side), Vec<(usize, bool)>> = BTreeMap::new();
    for (index, link) in links.iter().enumerate() {
        let (out, into) = sides(&cards[link.from], &cards[link.to]);
        at_side.entry((link.from, out)).or_default().push((index, true));
        at_side.entry((link.to, into)).or_default().push((index, false));
    }
    let mut ends = vec![(((0.0, 0.0), 1), ((0.0, 0.0), 1)); links.len()];
    for ((card, side), mut meeting) in at_side {
        let other = |&(link, starts): &(usize, bool)| {
            let link = &links[link];
            cards[if starts { link.to } else { link.from }].y
        };
        ui_layout::sort_by(&mut meeting, |a, b| other(a).total_cmp(&other(b)));
        let gaps = (meeting.len() as f32 - 1.0).max(1.0);
        let gap = END_GAP_MAX.min((CARD.1 - 16.0) / gaps);
        let x = cards[card].x + if side > 0 { CARD.0 } else { 0.0 };
        for (place, &(link, starts)) in meeting.iter().enumerate() {
            let y = cards[card].y + CARD.1 / 2.0 + (place as f32 - (meeting.len() as f32 - 1.0) / 2.0) * gap;
            let end = ((x, y), side);
            if starts {
                ends[link].0 = end;
            } else {
                ends[link].1 = end;
            }
        }
    }
    ends
}

/// Sides at which a link leaves and arrives: facing ones, or both right within a column.
fn sides(from: &Card, to: &Card) -> (Side, Side) {
    let distance = to.x - from.x;
    if distance > CARD.0 * 0.6 {
        (1, -1)
    } else if distance < -CARD.0 * 0.6 {
        (-1, 1)
    } else {
        (1, 1)
    }
}

#[cfg(test)]
mod tests {
    use ui_layout::Spot;

    use super::*;
    use crate::map::scales::Totals;

    fn scene(positions: &[(f32, f32)], links: &[(usize, usize)]) -> Scene {
        let graph = Graph {
            services: positions.iter().map(|_| Service::default()).collect(),
            links: links
                .iter()
                .map(|&(from, to)| Link {
                    from,
                    to,
                    totals: Totals { bytes_sent: 1, ..Totals::default() },
                    ..Link::default()
                })
                .collect(),
            seconds: 1.0,
            ..Graph::default()
        };
        let places = Places {
            spots: positions.iter().map(|&(x, y)| Spot { x, y, ..Spot::default() }).collect(),
            ..Places::default()
        };
        Scene::build(&graph, &places, Metric::Bytes)
    }

    #[test]
    fn points_find_boxes_then_curves() {
        let scene = scene(&[(0.0, 0.0), (400.0, 200.0)], &[(0, 1)]);
        assert_eq!(scene.hit(10.0, 10.0, 5.0), Some(Hit::Service(0)));
        let middle = scene.curves[0].at(0.5);
        assert_eq!(scene.hit(middle.0, middle.1 + 3.0, 5.0), Some(Hit::Link(0)));
        assert_eq!(scene.hit(middle.0, middle.1 + 90.0, 5.0), None);
    }

    #[test]
    fn curves_leave_and_arrive_at_facing_sides() {
        let scene = scene(&[(0.0, 0.0), (400.0, 0.0), (0.0, 100.0)], &[(0, 1), (1, 2), (0, 2)]);
        let [forward, backward, within] = [0, 1, 2].map(|i| scene.curves[i].parts[0]);
        assert_eq!((forward[0].0, forward[3].0), (CARD.0, 400.0));
        assert_eq!((backward[0].0, backward[3].0), (400.0, CARD.0));
        assert_eq!((within[0].0, within[3].0), (CARD.0, CARD.0));
        assert!(scene.curves[0].arrives_rightwards() && !scene.curves[1].arrives_rightwards());
    }

    #[test]
    fn ends_fan_out_in_the_order_of_their_other_ends() {
        let scene = scene(&[(0.0, 100.0), (400.0, 300.0), (400.0, 0.0), (400.0, 150.0)], &[(0, 1), (0, 2), (0, 3)]);
        let y = |i: usize| scene.curves[i].parts[0][0].1;
        assert!(y(1) < y(2) && y(2) < y(0));
        assert!((y(2) - (100.0 + CARD.1 / 2.0)).abs() < 0.01, "the middle one leaves in the middle");
    }

    #[test]
    fn subtitles_tell_what_a_service_is_called_for() {
        let ports = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        let of = |ports: Vec<String>, kind: &str, namespace: &str| {
            subtitle(&Service { ports, kind: kind.into(), namespace: namespace.into(), ..Service::default() }, true)
        };
        assert_eq!(of(ports(&["HTTP 80", "TCP 22", "DNS 53"]), "workload", ""), "HTTP 80 · TCP 22 · +1");
        assert_eq!(of(vec![], "world", ""), "outside");
        assert_eq!(of(ports(&["HTTP 80"]), "workload", "shop"), "shop · HTTP 80");
    }
}
