//! `ui`: flows as they come, who talks to whom and what is dropped, on a whole terminal.
//!
//! [`model`] is what is known, [`update`] how it changes by keys, flows and time, [`view`] what it looks like; none of
//! them knows of terminals, servers or clocks. [`source`] follows a server, [`terminal`] reads keys, and the loop here
//! joins them.

mod model;
mod source;
mod terminal;
#[cfg(test)]
mod tests;
mod update;
mod view;

use std::io::IsTerminal as _;
use std::pin::{Pin, pin};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cli::Given;
use crate::observe::Request;
use crate::settings::{ServerSettings, Settings};
use model::Model;
use source::{News, follow};
use terminal::Screen;
use update::{Effect, Message};

/// Batches of flows that wait for the screen; a full queue holds the server back, which tells what it lost.
const BATCHES: usize = 8;
/// Time between two pictures at least: more is not seen, and costs.
const FRAME: Duration = Duration::from_millis(50);
/// Time over which rates are taken.
const TICK: Duration = Duration::from_secs(1);

/// Shows flows until the user has enough.
///
/// # Errors
/// There is no terminal, the expression or a flag is none, or settings contradict each other.
pub(crate) fn run(given: &Given, operands: &[String], settings: &Settings, now: prost_types::Timestamp) -> Result<()> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        bail!("flowctl ui needs a terminal; for scripts there are flowctl observe and flowctl top --once");
    }
    let filter = match operands {
        [] => "",
        [one] => one.as_str(),
        [_, second, ..] => bail!("more than one expression: put {second:?} and the rest in quotes with the first"),
    };
    let server = settings.server()?;
    let base = Request::from_flags(given, settings, now)?;
    let mut model = Model::new(&server.address, view::Palette::from_environment());
    model.query = crate::expression::parse(filter)?;
    let runtime = crate::runtime()?;
    let mut screen = Screen::open()?;
    let result = runtime.block_on(watch(&mut model, &mut screen, &server, &base));
    screen.close()?;
    result
}

/// Waits for whatever comes first, again and again.
async fn watch(model: &mut Model, screen: &mut Screen, server: &ServerSettings, base: &Request) -> Result<()> {
    let mut stop = pin!(crate::stop::requested());
    let (to_screen, mut news) = mpsc::channel::<News>(BATCHES);
    let mut source = start(server, base.with(&model.query), &to_screen);
    let mut clock = tokio::time::interval(TICK);
    let (mut drawn, mut last_tick) = (None::<Instant>, Instant::now());
    let mut is_stale = true;
    loop {
        if is_stale && drawn.is_none_or(|drawn| drawn.elapsed() >= FRAME) {
            screen.draw(model)?;
            (is_stale, drawn) = (false, Some(Instant::now()));
        }
        let next_frame = drawn.map_or_else(Instant::now, |drawn| drawn + FRAME);
        let message = tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            key = screen.keys() => match key {
                Some(event) => Message::Terminal(event),
                None => return Ok(()),
            },
            () = tokio::time::sleep_until(next_frame), if is_stale => continue,
            _ = clock.tick() => Message::Tick(std::mem::replace(&mut last_tick, Instant::now()).elapsed()),
            Some(news) = news.recv() => Message::News(news),
            // It ends when nobody listens any more, and this loop does.
            () = &mut source => return Ok(()),
        };
        is_stale = true;
        match model.update(message) {
            Some(Effect::Quit) => return Ok(()),
            Some(Effect::Ask) => {
                source = start(server, base.with(&model.query), &to_screen);
                // What the question before brought is not asked for any more.
                while news.try_recv().is_ok() {}
            }
            None => {}
        }
    }
}

fn start(server: &ServerSettings, request: Request, to: &mpsc::Sender<News>) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(follow(server.clone(), request, to.clone()))
}
