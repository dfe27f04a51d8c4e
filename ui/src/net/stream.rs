//! The live stream of flows.

use flow::view::FlowRow;
use serde::Deserialize;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{EventSource, MessageEvent};

/// Events a stage could not deliver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct LostNotice {
    /// Queue that overflowed.
    #[serde(default)]
    pub(crate) source: String,
    /// How many events.
    #[serde(default)]
    pub(crate) count: u64,
}

/// How the stream is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamState {
    /// Waiting for the first answer.
    Connecting,
    /// Open.
    Open,
    /// Cut; the browser tries again by itself.
    Reconnecting,
    /// Refused: the browser does not try again.
    Closed,
}

type Listener = Closure<dyn FnMut(MessageEvent)>;

/// An open stream; dropping it closes the connection.
pub(crate) struct Stream {
    source: EventSource,
    _on_flows: Listener,
    _on_lost: Listener,
    _on_open: Closure<dyn FnMut()>,
    _on_error: Closure<dyn FnMut()>,
}

impl Stream {
    /// Opens `url`: batches of flows, losses and changes of state go to the three functions.
    ///
    /// `None` where the browser refuses the address.
    pub(crate) fn open(
        url: &str,
        mut on_flows: impl FnMut(Vec<FlowRow>) + 'static,
        on_lost: impl Fn(LostNotice) + Clone + 'static,
        on_state: impl Fn(StreamState) + Clone + 'static,
    ) -> Option<Self> {
        let source = EventSource::new(url).ok()?;
        let unreadable = on_lost.clone();
        let flows: Listener = Closure::new(move |event: MessageEvent| match read::<Vec<FlowRow>>(&event) {
            Some(rows) => on_flows(rows),
            // A batch that cannot be read is a loss like any other, and is said.
            None => unreadable(LostNotice { source: "unreadable".to_owned(), count: 1 }),
        });
        let lost: Listener = Closure::new(move |event: MessageEvent| {
            if let Some(notice) = read::<LostNotice>(&event) {
                on_lost(notice);
            }
        });
        let opened = on_state.clone();
        let open: Closure<dyn FnMut()> = Closure::new(move || opened(StreamState::Open));
        let failing = source.clone();
        let error: Closure<dyn FnMut()> = Closure::new(move || {
            let closed = failing.ready_state() == EventSource::CLOSED;
            on_state(if closed { StreamState::Closed } else { StreamState::Reconnecting });
        });
        source.add_event_listener_with_callback("flows", flows.as_ref().unchecked_ref()).ok()?;
        source.add_event_listener_with_callback("lost", lost.as_ref().unchecked_ref()).ok()?;
        source.set_onopen(Some(open.as_ref().unchecked_ref()));
        source.set_onerror(Some(error.as_ref().unchecked_ref()));
        Some(Self { source, _on_flows: flows, _on_lost: lost, _on_open: open, _on_error: error })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.source.set_onopen(None);
        self.source.set_onerror(None);
        self.source.close();
    }
}

fn read<T: serde::de::DeserializeOwned>(event: &MessageEvent) -> Option<T> {
    serde_json::from_str(&event.data().as_string()?).ok()
}
