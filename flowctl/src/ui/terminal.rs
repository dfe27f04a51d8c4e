//! The terminal: keys in, pictures out, and back to what it was whatever happens.

use std::io::Stdout;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event};
use tokio::sync::mpsc;

use super::model::Model;
use super::view;

/// Keys that wait for the loop; nobody types that fast, and pasted text waits in the terminal.
const KEYS: usize = 64;
/// How often the thread that reads keys looks whether it shall end.
const LOOK: Duration = Duration::from_millis(100);

/// A terminal in raw mode, on its other screen. It goes back with the value, and in a panic before its message is
/// printed.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    keys: mpsc::Receiver<Event>,
    ended: Arc<AtomicBool>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It is none, or refuses.
    pub(super) fn open() -> Result<Self> {
        let terminal = ratatui::try_init().context("cannot take the terminal")?;
        let (to_loop, keys) = mpsc::channel(KEYS);
        let ended = Arc::new(AtomicBool::new(false));
        let screen = Self { terminal, keys, ended: ended.clone() };
        std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || read_keys(&to_loop, &ended))
            .context("cannot start the thread that reads keys")?;
        Ok(screen)
    }

    /// The next key or other news of the terminal; `None` when it is gone.
    ///
    /// # Cancel safety
    /// Cancel safe: no key is lost when the future is dropped.
    pub(super) async fn keys(&mut self) -> Option<Event> {
        self.keys.recv().await
    }

    /// Draws.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn draw(&mut self, model: &mut Model) -> Result<()> {
        self.terminal.draw(|frame| view::draw(frame, model)).context("cannot draw on the terminal")?;
        Ok(())
    }

    /// Gives the terminal back.
    ///
    /// # Errors
    /// It refuses.
    pub(super) fn close(self) -> Result<()> {
        self.ended.store(true, Ordering::Relaxed);
        ratatui::try_restore().context("cannot give the terminal back; `reset` helps")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            // Nobody is left to tell if it fails.
            drop(ratatui::try_restore());
        }
    }
}

/// Reads keys until the screen is closed or the terminal is gone.
fn read_keys(to_loop: &mpsc::Sender<Event>, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        match event::poll(LOOK) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(_) => return,
        }
        let Ok(event) = event::read() else { return };
        if to_loop.blocking_send(event).is_err() {
            return;
        }
    }
}
