//! The colours of the style sheet, for the canvas.

use leptos::prelude::{document, window};

/// Colours by what they are for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Palette {
    pub(crate) background: String,
    pub(crate) plate: String,
    pub(crate) plate_line: String,
    pub(crate) card: String,
    pub(crate) card_line: String,
    pub(crate) text: String,
    pub(crate) muted: String,
    pub(crate) edge: String,
    pub(crate) edge_strong: String,
    pub(crate) warn: String,
    pub(crate) bad: String,
    pub(crate) accent: String,
    /// Text on `bad` and `warn`.
    pub(crate) on_mark: String,
    /// Family of the text.
    pub(crate) font: String,
}

impl Palette {
    /// Reads the custom properties that hold for the page now.
    pub(crate) fn read() -> Self {
        let style = document().document_element().and_then(|root| window().get_computed_style(&root).ok().flatten());
        let value = |name: &str| {
            style.as_ref().and_then(|s| s.get_property_value(name).ok()).unwrap_or_default().trim().to_owned()
        };
        Self {
            background: value("--map"),
            plate: value("--map-plate"),
            plate_line: value("--map-plate-line"),
            card: value("--map-card"),
            card_line: value("--map-card-line"),
            text: value("--text"),
            muted: value("--muted"),
            edge: value("--map-edge"),
            edge_strong: value("--map-edge-strong"),
            warn: value("--warn-mark"),
            bad: value("--bad-mark"),
            accent: value("--accent"),
            on_mark: value("--on-mark"),
            font: value("--font"),
        }
    }
}
