//! Light or dark.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::MediaQueryList;

/// Key in the browser's storage; `theme.js` reads it before the first paint.
const KEY: &str = "weir-theme";

/// What the user chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    /// As the system.
    #[default]
    System,
    Light,
    Dark,
}

impl Choice {
    const fn text(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn parse(text: &str) -> Self {
        [Self::Light, Self::Dark].into_iter().find(|choice| choice.text() == text).unwrap_or_default()
    }

    /// The choice after this one.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::System => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::System,
        }
    }

    /// In words.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::System => "Theme: as the system",
            Self::Light => "Theme: light",
            Self::Dark => "Theme: dark",
        }
    }

    /// Icon of the sprite.
    pub(crate) const fn icon(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "sun",
            Self::Dark => "moon",
        }
    }
}

/// The theme.
#[derive(Clone, Copy)]
pub(crate) struct Theme {
    choice: RwSignal<Choice>,
    system_dark: RwSignal<bool>,
}

impl Theme {
    /// What the user chose.
    pub(crate) fn choice(self) -> Choice {
        self.choice.get()
    }

    /// What that comes to.
    pub(crate) fn is_dark(self) -> bool {
        resolve(self.choice.get(), self.system_dark.get())
    }

    /// Goes to the next choice and keeps it for the next visit.
    pub(crate) fn advance(self) {
        let choice = self.choice.get_untracked().next();
        // The page has its new colours before those who draw with them are told.
        paint(resolve(choice, self.system_dark.get_untracked()));
        self.choice.set(choice);
        if let Some(storage) = storage() {
            // Private windows may refuse; then the choice holds until the page is left.
            drop(storage.set_item(KEY, choice.text()));
        }
    }

    fn system_changed(self, dark: bool) {
        paint(resolve(self.choice.get_untracked(), dark));
        self.system_dark.set(dark);
    }
}

const fn resolve(choice: Choice, system_dark: bool) -> bool {
    match choice {
        Choice::System => system_dark,
        Choice::Light => false,
        Choice::Dark => true,
    }
}

fn paint(dark: bool) {
    if let Some(root) = document().document_element() {
        // The attribute's name is valid, so this cannot fail.
        drop(root.set_attribute("data-theme", if dark { "dark" } else { "light" }));
    }
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// Makes the theme known to everything below; `theme.js` has painted it already.
pub(crate) fn provide() {
    let saved = storage().and_then(|storage| storage.get_item(KEY).ok().flatten()).unwrap_or_default();
    let system = window().match_media("(prefers-color-scheme: dark)").ok().flatten();
    let theme = Theme {
        choice: RwSignal::new(Choice::parse(&saved)),
        system_dark: RwSignal::new(system.as_ref().is_some_and(MediaQueryList::matches)),
    };
    if let Some(query) = system {
        let watched = query.clone();
        let changed: Closure<dyn FnMut()> = Closure::new(move || theme.system_changed(watched.matches()));
        query.set_onchange(Some(changed.as_ref().unchecked_ref()));
        // The frame lives as long as the page, and so does its listener.
        changed.forget();
    }
    provide_context(theme);
}

/// The theme.
pub(crate) fn use_theme() -> Theme {
    use_context::<Theme>().expect("the frame provides it above every page")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_come_back_and_go_round() {
        for choice in [Choice::System, Choice::Light, Choice::Dark] {
            assert_eq!(Choice::parse(choice.text()), choice);
            assert_eq!(choice.next().next().next(), choice);
            assert_eq!(resolve(choice, true), choice != Choice::Light);
        }
        assert_eq!(Choice::parse("purple"), Choice::System);
    }
}
