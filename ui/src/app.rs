//! The frame around the pages.

pub(crate) mod crash;
mod filter_bar;
mod help;
mod hints;
mod keys;
pub(crate) mod link;
mod rail;
mod suggest;
pub(crate) mod theme;
mod top_bar;

use leptos::prelude::*;
use leptos_router::components::{Redirect, Route, Router, Routes};
use leptos_router::path;

pub(crate) use hints::use_hints;

use crate::drops::DropsPage;
use crate::flows::FlowsPage;
use crate::map::MapPage;
use crate::state::{Nav, Page, use_nav};
use crate::status::StatusPage;

/// The whole.
#[component]
pub(crate) fn App() -> impl IntoView {
    view! {
        <Router>
            <Frame/>
        </Router>
    }
}

#[component]
fn Frame() -> impl IntoView {
    let nav = Nav::provide();
    theme::provide();
    link::provide();
    hints::provide();
    let help_open = RwSignal::new(false);
    keys::listen(nav, help_open);
    Effect::new(move |_| document().set_title(&format!("{} · Weir", nav.page.get().title())));
    view! {
        <a class="skip" href="#main">
            "Skip to content"
        </a>
        <rail::Rail help_open/>
        <div class="frame">
            <top_bar::TopBar/>
            <main id="main" tabindex="-1">
                <Routes fallback=NotFound>
                    <Route path=path!("/") view=Home/>
                    <Route path=path!("/map") view=MapPage/>
                    <Route path=path!("/flows") view=FlowsPage/>
                    <Route path=path!("/drops") view=DropsPage/>
                    <Route path=path!("/status") view=StatusPage/>
                </Routes>
            </main>
        </div>
        <help::Help open=help_open/>
    }
}

/// The map is the first page; a filter in the link is kept.
#[component]
fn Home() -> impl IntoView {
    let nav = use_nav();
    let path = nav.view.with_untracked(|view| Page::Map.href(view));
    view! { <Redirect path/> }
}

#[component]
fn NotFound() -> impl IntoView {
    view! {
        <section class="page">
            <div class="state">
                <h1>"There is no such page"</h1>
                <a class="button primary" href=Page::Map.path()>
                    "To the map"
                </a>
            </div>
        </section>
    }
}
