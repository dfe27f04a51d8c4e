//! An answer that is asked for again and again.

use std::sync::Arc;
use std::time::Duration;

use leptos::leptos_dom::helpers::{TimeoutHandle, set_timeout_with_handle};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;

use crate::net::Failure;
use crate::net::fetch::{Abort, get_until};

/// Longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The latest answer, and how the asking goes.
pub(crate) struct Polled<T: 'static> {
    /// The latest answer; kept while a new one is asked for and when that fails.
    pub(crate) answer: RwSignal<Option<Arc<T>>>,
    /// Why the last request had no answer.
    pub(crate) failure: RwSignal<Option<Failure>>,
    /// Whether the answer is to a question that was changed since.
    pub(crate) stale: RwSignal<bool>,
    wanted: RwSignal<u32>,
}

impl<T> Clone for Polled<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Polled<T> {}

impl<T> Polled<T> {
    /// Asks now.
    pub(crate) fn retry(self) {
        self.wanted.update(|n| *n = n.wrapping_add(1));
    }
}

/// Asks for `url` now, whenever it changes, and while `live` after each pause of `every`.
///
/// A question that is no longer wanted is aborted; failures double the pause.
pub(crate) fn poll<T>(
    url: impl Fn() -> String + Send + Sync + 'static,
    live: Signal<bool>,
    every: Duration,
) -> Polled<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let polled = Polled {
        answer: RwSignal::new(None),
        failure: RwSignal::new(None),
        stale: RwSignal::new(true),
        wanted: RwSignal::new(0),
    };
    let turn = StoredValue::new_local(Turn::default());
    let url = Memo::new(move |_| url());
    Effect::new(move |before: Option<(String, u32, bool)>| {
        let now = (url.get(), polled.wanted.get(), live.get());
        let changed = before.as_ref().is_none_or(|before| before.0 != now.0);
        if changed {
            polled.stale.set(true);
        }
        // Pausing is no reason to ask, resuming is.
        if changed || now.2 || before.is_some_and(|before| before.1 != now.1) {
            spawn_local(ask(polled, turn, now.0.clone(), live, every));
        }
        now
    });
    polled
}

/// The current question.
#[derive(Default)]
struct Turn {
    number: u64,
    failures: u32,
    abort: Option<Abort>,
    timer: Option<TimeoutHandle>,
}

impl Turn {
    /// Gives up the current question and its timer for a new one.
    fn next(&mut self, abort: Abort) -> u64 {
        self.stop_timer();
        self.abort = Some(abort);
        self.number += 1;
        self.number
    }

    fn stop_timer(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.clear();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.stop_timer();
    }
}

async fn ask<T>(
    polled: Polled<T>,
    turn: StoredValue<Turn, LocalStorage>,
    url: String,
    live: Signal<bool>,
    every: Duration,
) where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let abort = Abort::new();
    let signal = abort.signal();
    let Some(number) = turn.try_update_value(|turn| turn.next(abort)) else { return };
    let result = get_until::<T>(&url, &signal).await;
    let failed = result.is_err();
    let failures = turn.try_update_value(|turn| {
        turn.failures = if failed { turn.failures + 1 } else { 0 };
        (turn.number == number).then_some(turn.failures)
    });
    // The page is gone, or a later question is on its way.
    let Some(Some(failures)) = failures else { return };
    polled.stale.set(false);
    match result {
        Ok(answer) => {
            polled.failure.set(None);
            polled.answer.set(Some(Arc::new(answer)));
        }
        Err(failure) => polled.failure.set(Some(failure)),
    }
    let pause = every.saturating_mul(1 << failures.min(5)).min(PAUSE_MAX.max(every));
    let again = move || {
        if live.try_get_untracked().unwrap_or(false) {
            polled.retry();
        }
    };
    turn.try_update_value(|turn| turn.timer = set_timeout_with_handle(again, pause).ok());
}
