//! Where the rows come from: the live stream with a little history, or a range.

use std::time::Duration;

use flow::view::{Completeness, FlowRow, FlowsAnswer};
use leptos::leptos_dom::helpers::set_timeout;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::flows::ring::Ring;
use crate::net::{Abort, Failure, LostNotice, Stream, StreamState, get_until};
use crate::state::{Nav, ViewState};

/// Pause between two updates of the table; eyes follow no faster.
const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// Flows of the past that a live table starts with.
const LIVE_HISTORY: usize = 200;
/// Flows of a range that are fetched; the newest.
pub(crate) const RANGE_ROWS_MAX: usize = 5000;

/// The rows and how they come.
#[derive(Clone, Copy)]
pub(crate) struct Feed {
    ring: StoredValue<Ring, LocalStorage>,
    /// Counts up when the rows have changed.
    pub(crate) version: RwSignal<u64>,
    /// How the stream is doing; `None` for a range.
    pub(crate) stream: RwSignal<Option<StreamState>>,
    /// Why there is no answer.
    pub(crate) failure: RwSignal<Option<Failure>>,
    /// Whether the first answer is awaited.
    pub(crate) loading: RwSignal<bool>,
    /// Losses told by the stream.
    pub(crate) lost: RwSignal<u64>,
    /// How complete the answer about a range is.
    pub(crate) completeness: RwSignal<Completeness>,
    source: StoredValue<Source, LocalStorage>,
    flushing: StoredValue<bool>,
}

/// What is open; replaced as a whole when the question changes.
#[derive(Default)]
struct Source {
    _stream: Option<Stream>,
    _history: Option<Abort>,
    number: u64,
}

impl Feed {
    /// A feed that follows the view.
    pub(crate) fn follow(nav: Nav) -> Self {
        let feed = Self {
            ring: StoredValue::new_local(Ring::default()),
            version: RwSignal::new(0),
            stream: RwSignal::new(None),
            failure: RwSignal::new(None),
            loading: RwSignal::new(true),
            lost: RwSignal::new(0),
            completeness: RwSignal::new(Completeness::default()),
            source: StoredValue::new_local(Source::default()),
            flushing: StoredValue::new(false),
        };
        let question = Memo::new(move |_| nav.view.with(|view| (view.live, view.api_query(), view.stream_query())));
        Effect::new(move |_| {
            let (live, range, filter) = question.get();
            feed.open(live, &range, &filter);
        });
        feed
    }

    /// Asks again.
    pub(crate) fn retry(self, view: &ViewState) {
        self.open(view.live, &view.api_query(), &view.stream_query());
    }

    /// Reads from the rows.
    pub(crate) fn with<R>(self, read: impl FnOnce(&Ring) -> R) -> R {
        self.ring.with_value(read)
    }

    fn open(self, live: bool, range: &str, filter: &str) {
        self.failure.set(None);
        self.lost.set(0);
        self.completeness.set(Completeness::default());
        self.loading.set(true);
        let abort = Abort::new();
        let signal = abort.signal();
        let number = self.source.with_value(|source| source.number) + 1;
        let stream = if live { self.open_stream(filter, number) } else { None };
        self.stream.set(live.then_some(StreamState::Connecting));
        self.source.set_value(Source { _stream: stream, _history: Some(abort), number });
        if live {
            self.ring.update_value(Ring::clear);
            self.flush_soon();
        }
        let count = if live { LIVE_HISTORY } else { RANGE_ROWS_MAX };
        let url = format!("/api/v1/flows?last={count}&{range}");
        spawn_local(async move {
            let answer = get_until::<FlowsAnswer>(&url, &signal).await;
            self.take_history(number, live, answer);
        });
    }

    fn open_stream(self, filter: &str, number: u64) -> Option<Stream> {
        let current = move || self.source.try_with_value(|source| source.number == number) == Some(true);
        Stream::open(
            &format!("/api/v1/flows/stream?{filter}"),
            move |rows: Vec<FlowRow>| {
                if current() {
                    self.loading.set(false);
                    self.ring.update_value(|ring| ring.push(rows));
                    self.flush_soon();
                }
            },
            move |notice: LostNotice| {
                if current() {
                    self.lost.update(|lost| *lost += notice.count);
                }
            },
            move |state: StreamState| {
                if current() {
                    self.stream.set(Some(state));
                }
            },
        )
    }

    fn take_history(self, number: u64, live: bool, answer: Result<FlowsAnswer, Failure>) {
        // The page is gone, or another question was asked.
        if self.source.try_with_value(|source| source.number == number) != Some(true) {
            return;
        }
        self.loading.set(false);
        match answer {
            Ok(answer) => {
                self.ring.update_value(|ring| {
                    if !live {
                        ring.clear();
                    }
                    ring.push_older(answer.flows);
                });
                if !live {
                    self.completeness.set(answer.completeness);
                }
            }
            Err(failure) => self.failure.set(Some(failure)),
        }
        self.flush_soon();
    }

    /// Tells the table at most ten times a second that rows have changed.
    fn flush_soon(self) {
        if self.flushing.try_update_value(|flushing| std::mem::replace(flushing, true)) != Some(false) {
            return;
        }
        let flush = move || {
            if self.flushing.try_set_value(false).is_none() {
                self.version.update(|version| *version += 1);
            }
        };
        set_timeout(flush, FLUSH_EVERY);
    }
}
