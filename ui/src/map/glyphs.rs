//! Small drawings for kinds of services, on a grid of 16 by 16.

/// Path of the drawing for a kind, to be stroked.
pub(crate) fn path(kind: &str) -> &'static str {
    match kind {
        // A globe.
        "world" => "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M2 8h12M8 2c2.4 2 2.4 10 0 12M8 2c-2.4 2-2.4 10 0 12",
        // A rack with two units.
        "host" => "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01",
        // A name tag.
        "dns" => "M2.5 3.5h5l6 6-4 4-6-6zM5.5 6.5h.01",
        // A number sign.
        "address" => "M6.5 3l-1 10M10.5 3l-1 10M3.5 6h9.5M3 10h9.5",
        // Three hexagonal cells would be too fine: one box with its lid.
        _ => "M8 2l5.2 3v6L8 14l-5.2-3V5zM2.8 5L8 8l5.2-3M8 8v6",
    }
}
