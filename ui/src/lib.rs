//! The web UI: a map of who talks to whom, live flows, drops, and the state of the relay.
//!
//! It runs in the browser alone (Leptos, client-rendered) and talks to the relay's HTTP API with the shapes of
//! [`flow::view`]. Logic that needs no browser is in plain functions with native tests; what draws is thin. The page
//! allows no inline script and no inline style, and shows names from the network as text only, never as markup.

#![expect(unreachable_pub, reason = "the component macro makes the properties of every component public")]

mod app;
mod drops;
mod flows;
mod map;
mod net;
mod parts;
mod state;
mod status;

use wasm_bindgen::prelude::wasm_bindgen;

/// Starts the UI in the page; called by the module's loader.
#[wasm_bindgen(start)]
pub fn start() {
    app::crash::report_panics();
    app::crash::remove_boot_note();
    leptos::mount::mount_to_body(app::App);
}
