//! What is drawn: boxes, curves and plates in the units of the picture; and what is under a point.

use std::collections::BTreeMap;

use ui_layout::{Options, Rect};

use crate::map::graph::{Graph, Link, Service};
use crate::map::placing::{Island, Places};
use crate::map::scales::{Health, width_step};
use crate::state::Metric;

/// Size of a box.
pub(crate) const CARD: (f32, f32) = (184.0, 46.0);
/// Most room between two ends of curves at one side of a box.
const END_GAP_MAX: f32 = 9.0;
/// Points of a curve that are compared with the pointer.
const SAMPLES: usize = 24;

/// Sizes for the layout.
pub(crate) fn layout_options() -> Options {
    Options { node_width: CARD.0, node_height: CARD.1, ..Options::default() }
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

/// Curve of a link: a cubic Bézier.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Curve {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) points: [(f32, f32); 4],
    pub(crate) health: Health,
    pub(crate) width: usize,
    pub(crate) label: String,
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
        let alone = |service: &Service| !places.islands.iter().any(|island| island.name == service.namespace);
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
        let shown =
            graph.links.iter().map(|link| link.totals.value(metric, graph.seconds)).filter(|value| *value > 0.0);
        let (smallest, largest) = shown.fold((f64::MAX, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
        let curves = graph
            .links
            .iter()
            .zip(ends)
            .map(|(link, (start, end))| Curve {
                from: link.from,
                to: link.to,
                points: bezier(start, end),
                health: link.health,
                width: width_step(link.totals.value(metric, graph.seconds), smallest, largest),
                label: link.totals.text(metric, graph.seconds),
                trouble: trouble(link),
            })
            .collect();
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
    /// Point at `t` from 0 to 1.
    pub(crate) fn at(&self, t: f32) -> (f32, f32) {
        let [a, b, c, d] = self.points;
        let s = 1.0 - t;
        let mix =
            |a: f32, b: f32, c: f32, d: f32| s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d;
        (mix(a.0, b.0, c.0, d.0), mix(a.1, b.1, c.1, d.1))
    }

    /// Whether the curve arrives from the left, so that its arrow points to the right.
    pub(crate) fn arrives_rightwards(&self) -> bool {
        self.points[2].0 < self.points[3].0
    }

    /// Distance to a point where it is at most `reach`.
    fn distance(&self, x: f32, y: f32, reach: f32) -> Option<f32> {
        let (mut low, mut high) = (self.points[0], self.points[0]);
        for point in &self.points[1..] {
            low = (low.0.min(point.0), low.1.min(point.1));
            high = (high.0.max(point.0), high.1.max(point.1));
        }
        if x < low.0 - reach || x > high.0 + reach || y < low.1 - reach || y > high.1 + reach {
            return None;
        }
        let mut nearest = f32::MAX;
        let mut before = self.points[0];
        for step in 1..=SAMPLES {
            let point = self.at(step as f32 / SAMPLES as f32);
            nearest = nearest.min(to_segment((x, y), before, point));
            before = point;
        }
        (nearest <= reach).then_some(nearest)
    }
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
        ([], "host") => "this node".to_owned(),
        ([], _) if service.degree.1 > 0 => "client".to_owned(),
        ([], _) => String::new(),
        ([one], _) => one.clone(),
        ([one, two], _) => format!("{one} · {two}"),
        ([one, two, rest @ ..], _) => format!("{one} · {two} · +{}", rest.len()),
    };
    match (with_namespace && !service.namespace.is_empty() && service.namespace != service.name, what.is_empty()) {
        (false, _) => what,
        (true, true) => service.namespace.clone(),
        (true, false) => format!("{} · {what}", service.namespace),
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

/// Side of a box: -1 left, 1 right.
type Side = i8;

/// Point and side at which a curve meets a box.
type End = ((f32, f32), Side);

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
        meeting.sort_by(|a, b| other(a).total_cmp(&other(b)));
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

fn bezier((start, out): End, (end, into): End) -> [(f32, f32); 4] {
    let distance = (end.0 - start.0).abs();
    // Curves within a column bulge a little further the farther they go, so that they do not lie on each other.
    let pull = if out == into { 36.0 + (end.1 - start.1).abs() * 0.12 } else { (distance * 0.45).max(32.0) };
    [start, (start.0 + pull * f32::from(out), start.1), (end.0 + pull * f32::from(into), end.1), end]
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
        let [forward, backward, within] = [0, 1, 2].map(|i| scene.curves[i].points);
        assert_eq!((forward[0].0, forward[3].0), (CARD.0, 400.0));
        assert_eq!((backward[0].0, backward[3].0), (400.0, CARD.0));
        assert_eq!((within[0].0, within[3].0), (CARD.0, CARD.0));
        assert!(scene.curves[0].arrives_rightwards() && !scene.curves[1].arrives_rightwards());
    }

    #[test]
    fn ends_fan_out_in_the_order_of_their_other_ends() {
        let scene = scene(&[(0.0, 100.0), (400.0, 300.0), (400.0, 0.0), (400.0, 150.0)], &[(0, 1), (0, 2), (0, 3)]);
        let y = |i: usize| scene.curves[i].points[0].1;
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
