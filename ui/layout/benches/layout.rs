//! Time of one layout: `cargo bench -p ui-layout`.
//!
//! Milliseconds per call say all there is to say here, so a loop and a median do; no harness is linked.

#[path = "../fixtures/network.rs"]
mod network;

use std::hint::black_box;
use std::time::Instant;

use ui_layout::{Options, place};

const RUNS: usize = 21;

#[expect(clippy::print_stdout, reason = "the times are what a benchmark has to say")]
fn main() {
    for (nodes, edges, islands) in [(12, 16, 3), (100, 240, 12), (300, 1500, 16), (1000, 10_000, 40)] {
        let (services, calls) = network::network(nodes, edges, islands, 42);
        let mut millis: Vec<f64> = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                black_box(place(black_box(&services), black_box(&calls), &Options::default(), &[]));
                start.elapsed().as_secs_f64() * 1000.0
            })
            .collect();
        millis.sort_by(f64::total_cmp);
        println!("layout {nodes:>5} services {edges:>6} calls: {:.2} ms", millis[RUNS / 2]);
    }
}
