//! The service map: who talks to whom, and how well.

mod canvas;
mod cards;
mod details;
mod gesture;
mod glyphs;
mod graph;
mod labels;
mod legend;
mod list;
mod outside;
mod page;
mod palette;
mod peers;
mod placing;
mod route;
mod scales;
mod scene;
mod stage;
mod surface;
mod toolbar;
mod viewport;

pub(crate) use page::MapPage;
