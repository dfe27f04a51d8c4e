//! Where services are, from picture to picture: a refresh must not move them.

use std::borrow::Cow;
use std::collections::HashMap;

use ui_layout::{Edge, Node, Options, Rect, Spot, place};

use crate::map::graph::{Graph, Service};

/// Share of the earlier services that must still be there for the picture to be kept, in percent.
const KEPT_PERCENT: usize = 60;

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Places {
    /// Upper left corner of each service.
    pub(crate) spots: Vec<Spot>,
    /// Namespaces that have a plate.
    pub(crate) islands: Vec<Island>,
    pub(crate) width: f32,
    pub(crate) height: f32,
    /// Whether this is a new layout, not the one before.
    pub(crate) is_new: bool,
}

/// Plate of a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Island {
    pub(crate) name: String,
    pub(crate) rect: Rect,
}

/// The layout before.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    question: String,
    spots: HashMap<String, Spot>,
    places: Places,
}

impl Memory {
    /// Places the services; `question` is what was asked for, because another question deserves another picture.
    pub(crate) fn place(&mut self, graph: &Graph, question: &str, options: &Options) -> Places {
        let known = graph.services.iter().all(|service| self.spots.contains_key(&service.id));
        let most = graph.services.len() * 100 >= self.spots.len() * KEPT_PERCENT;
        if known && most && question == self.question && !self.spots.is_empty() {
            return Places {
                spots: graph.services.iter().map(|service| self.spots[&service.id]).collect(),
                is_new: false,
                ..self.places.clone()
            };
        }
        self.lay_out(graph, options);
        question.clone_into(&mut self.question);
        self.places.clone()
    }

    fn lay_out(&mut self, graph: &Graph, options: &Options) {
        let (nodes, names) = islands(&graph.services);
        let edges: Vec<Edge> = graph.links.iter().map(|link| Edge { from: link.from, to: link.to }).collect();
        let earlier: Vec<Option<Spot>> = graph.services.iter().map(|s| self.spots.get(&s.id).copied()).collect();
        let placement = place(&nodes, &edges, options, &earlier);
        self.spots = graph.services.iter().map(|s| s.id.clone()).zip(placement.nodes.iter().copied()).collect();
        let islands = names.into_iter().zip(placement.islands).map(|(name, rect)| Island { name, rect }).collect();
        self.places =
            Places { spots: placement.nodes, islands, width: placement.width, height: placement.height, is_new: true };
    }
}

/// A namespace (of a cluster, where there are several) with several services is an island; a plate around one box would only be noise.
fn islands(services: &[Service]) -> (Vec<Node>, Vec<String>) {
    let mut sizes: HashMap<Cow<'_, str>, usize> = HashMap::new();
    for service in services {
        *sizes.entry(service.place()).or_default() += 1;
    }
    let mut names: Vec<String> = Vec::new();
    let nodes = services
        .iter()
        .map(|service| {
            let name = service.place();
            if name.is_empty() || sizes[&name] < 2 {
                return Node { island: None };
            }
            let island = names.iter().position(|n| *n == name).unwrap_or_else(|| {
                names.push(name.into_owned());
                names.len() - 1
            });
            Node { island: Some(island) }
        })
        .collect();
    (nodes, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::graph::Link;

    fn graph(names: &[&str]) -> Graph {
        let services = names
            .iter()
            .map(|name| Service {
                id: (*name).into(),
                name: (*name).into(),
                namespace: "shop".into(),
                ..Service::default()
            })
            .collect();
        let links = (1..names.len()).map(|to| Link { from: 0, to, ..Link::default() }).collect();
        Graph { services, links, ..Graph::default() }
    }

    #[test]
    fn a_refresh_keeps_every_place() {
        let mut memory = Memory::default();
        let options = Options::default();
        let first = memory.place(&graph(&["a", "b", "c", "d"]), "q", &options);
        assert!(first.is_new);
        assert_eq!(first.islands.len(), 1);
        // The order of the answer changed and one service is silent.
        let second = memory.place(&graph(&["d", "b", "a"]), "q", &options);
        assert!(!second.is_new);
        assert_eq!(second.spots, [first.spots[3], first.spots[1], first.spots[0]]);
        assert_eq!(second.width, first.width);
        // It is back.
        assert_eq!(memory.place(&graph(&["a", "b", "c", "d"]), "q", &options).spots, first.spots);
    }

    #[test]
    fn new_services_and_new_questions_make_a_new_picture() {
        let mut memory = Memory::default();
        let options = Options::default();
        memory.place(&graph(&["a", "b"]), "q", &options);
        assert!(memory.place(&graph(&["a", "b", "c"]), "q", &options).is_new);
        assert!(memory.place(&graph(&["a", "b", "c"]), "other", &options).is_new);
        assert!(memory.place(&graph(&["a"]), "other", &options).is_new, "most of it is gone");
    }
}
