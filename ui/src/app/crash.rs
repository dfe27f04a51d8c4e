//! When the UI itself fails.

use leptos::prelude::document;

/// Shows and logs panics; the page would otherwise just stop.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        // Nothing is left to report a failure of this to.
        let _shown = show(
            "The interface has stopped because of an error in it. Reload the page to go on; the browser's console has the details.",
        );
    }));
}

/// Removes the note that the page shows until the module runs.
pub(crate) fn remove_boot_note() {
    if let Some(note) = document().get_element_by_id("boot") {
        note.remove();
    }
}

fn show(text: &str) -> Option<()> {
    let document = document();
    let note = document.create_element("div").ok()?;
    note.set_class_name("crash");
    note.set_attribute("role", "alert").ok()?;
    note.set_text_content(Some(text));
    document.body()?.append_child(&note).ok()?;
    Some(())
}
