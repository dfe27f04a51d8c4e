//! The stacked bars as a picture.

use leptos::prelude::*;

use crate::drops::stack::{Slice, Stack, axis_end};
use crate::parts::clock::Zone;
use crate::parts::units;

/// Units of the picture; it is stretched to the width of the page.
const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 140.0;
/// Share of a slice that its bar takes, and the most it may be, so that two slices are not two walls.
const BAR_SHARE: f64 = 0.8;
const BAR_MAX: f64 = 36.0;

/// Drops over time, with a legend; the table below has the same in numbers.
#[component]
pub(crate) fn Chart(stack: Stack) -> impl IntoView {
    let end = axis_end(stack.largest);
    let time = |slice: Option<&Slice>| slice.map(|s| Zone::BROWSER.seconds(&s.time)).unwrap_or_default();
    let (first, last) = (time(stack.slices.first()), time(stack.slices.last()));
    let total: u64 = stack.reasons.iter().map(|(_, packets)| packets).sum();
    let words =
        format!("Drops over time: {total} packets from {first} to {last}, at most {} in a slice", stack.largest);
    let step = WIDTH / stack.slices.len().max(1) as f64;
    let bars =
        stack.slices.iter().enumerate().map(|(at, slice)| bar(slice, at as f64 * step, step, end)).collect_view();
    view! {
        <figure class="chart">
            <div class="chart-body">
                <div class="chart-axis" aria-hidden="true">
                    <span>{units::count(end as f64)}</span>
                    <span>{units::count(end as f64 / 2.0)}</span>
                    <span>"0"</span>
                </div>
                <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" role="img" aria-label=words>
                    <path class="chart-grid" d=format!("M0 .5H{WIDTH}M0 {}H{WIDTH}M0 {}H{WIDTH}", HEIGHT / 2.0, HEIGHT - 0.5)></path>
                    {bars}
                </svg>
            </div>
            <div class="chart-times muted" aria-hidden="true">
                <span>{first}</span>
                <span>{last}</span>
            </div>
            <figcaption>
                <ul class="chart-legend">
                    {stack
                        .reasons
                        .iter()
                        .enumerate()
                        .map(|(place, (reason, packets))| {
                            view! {
                                <li>
                                    <i class=format!("swatch reason-{place}") aria-hidden="true"></i>
                                    {reason.clone()}
                                    <span class="muted">{units::grouped(*packets)}</span>
                                </li>
                            }
                        })
                        .collect_view()}
                </ul>
            </figcaption>
        </figure>
    }
}

fn bar(slice: &Slice, left: f64, step: f64, end: u64) -> impl IntoView + use<> {
    let width = (step * BAR_SHARE).min(BAR_MAX);
    let x = left + (step - width) / 2.0;
    let title = format!("{}: {} packets", Zone::BROWSER.seconds(&slice.time), units::grouped(slice.total()));
    let mut bottom = HEIGHT;
    let parts: Vec<_> = slice
        .packets
        .iter()
        .enumerate()
        .filter(|(_, packets)| **packets > 0)
        .map(|(place, packets)| {
            // Something is always seen, however little it is.
            let height = (*packets as f64 / end as f64 * HEIGHT).max(1.5);
            bottom -= height;
            view! { <rect class=format!("reason-{place}") x=x y=bottom width=width height=height></rect> }
        })
        .collect();
    view! {
        <g>
            <title>{title}</title>
            <rect class="chart-hit" x=left y="0" width=step height=HEIGHT></rect>
            {parts}
        </g>
    }
}
