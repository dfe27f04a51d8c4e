//! Going from view to view.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_location, use_navigate};

use crate::state::view::ViewState;

/// Pages, in the order of the rail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Map,
    Flows,
    Drops,
    Status,
}

impl Page {
    /// Every page.
    pub(crate) const ALL: [Self; 4] = [Self::Map, Self::Flows, Self::Drops, Self::Status];

    /// Path in the address bar.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Map => "/map",
            Self::Flows => "/flows",
            Self::Drops => "/drops",
            Self::Status => "/status",
        }
    }

    /// Word in the rail and title of the page.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Map => "Map",
            Self::Flows => "Flows",
            Self::Drops => "Drops",
            Self::Status => "Status",
        }
    }

    /// The page of a path; the map for any other.
    pub(crate) fn of_path(path: &str) -> Self {
        Self::ALL.into_iter().find(|page| path.starts_with(page.path())).unwrap_or(Self::Map)
    }

    /// Link to this page with a view.
    pub(crate) fn href(self, view: &ViewState) -> String {
        let query = view.format();
        if query.is_empty() { self.path().to_owned() } else { format!("{}?{query}", self.path()) }
    }
}

type Go = Box<dyn Fn(&str, NavigateOptions)>;

/// The view of the address bar, and the ways to change it.
#[derive(Clone, Copy)]
pub(crate) struct Nav {
    /// The view.
    pub(crate) view: Memo<ViewState>,
    /// The page.
    pub(crate) page: Memo<Page>,
    go: StoredValue<Go, LocalStorage>,
}

impl Nav {
    /// Reads the address bar; to be called once, below the router.
    pub(crate) fn provide() -> Self {
        let location = use_location();
        let search = location.search;
        let path = location.pathname;
        let go = use_navigate();
        let nav = Self {
            view: Memo::new(move |_| ViewState::parse(&search.get())),
            page: Memo::new(move |_| Page::of_path(&path.get())),
            go: StoredValue::new_local(Box::new(go)),
        };
        provide_context(nav);
        nav
    }

    /// Changes the view; Back undoes it.
    pub(crate) fn change(self, edit: impl FnOnce(&mut ViewState)) {
        self.edit(edit, false);
    }

    /// Changes the view without a step in the history: for selections and the like.
    pub(crate) fn replace(self, edit: impl FnOnce(&mut ViewState)) {
        self.edit(edit, true);
    }

    /// Goes to a page with the question of the current one.
    pub(crate) fn open(self, page: Page) {
        let view = self.view.get_untracked().shared();
        self.to(&page.href(&view), false);
    }

    fn edit(self, edit: impl FnOnce(&mut ViewState), replace: bool) {
        let before = self.view.get_untracked();
        let mut view = before.clone();
        edit(&mut view);
        if view != before {
            self.to(&self.page.get_untracked().href(&view), replace);
        }
    }

    fn to(self, href: &str, replace: bool) {
        let options = NavigateOptions { replace, scroll: false, ..NavigateOptions::default() };
        self.go.with_value(|go| go(href, options));
    }
}

/// The view and the ways to change it.
pub(crate) fn use_nav() -> Nav {
    use_context::<Nav>().expect("the shell provides it above every page")
}
