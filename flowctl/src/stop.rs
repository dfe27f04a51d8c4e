//! Ctrl-C and SIGTERM end a stream as if the server had ended it.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the user or the system asks to stop. Where signals cannot be received it waits for ever, and the
/// system's own handling ends the program.
pub(crate) async fn requested() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
