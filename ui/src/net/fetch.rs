//! One request.

use leptos::prelude::window;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal, RequestInit, Response};

use crate::net::Failure;

/// Asks the relay and reads its JSON; gives up when `until` says so.
pub(crate) async fn get_until<T: DeserializeOwned>(url: &str, until: &AbortSignal) -> Result<T, Failure> {
    let (status, body) = fetch(url, until).await.map_err(|_| Failure::Unreachable)?;
    if !(200..300).contains(&status) {
        return Err(Failure::refused(status, &body));
    }
    serde_json::from_str(&body).map_err(|error| Failure::Garbled(error.to_string()))
}

async fn fetch(url: &str, until: &AbortSignal) -> Result<(u16, String), JsValue> {
    let options = RequestInit::new();
    options.set_signal(Some(until));
    let response: Response = JsFuture::from(window().fetch_with_str_and_init(url, &options)).await?.dyn_into()?;
    let body = JsFuture::from(response.text()?).await?;
    Ok((response.status(), body.as_string().unwrap_or_default()))
}

/// Aborts its requests when it is dropped.
pub(crate) struct Abort(AbortController);

impl Abort {
    /// For one request, or several that end together.
    pub(crate) fn new() -> Self {
        Self(AbortController::new().expect("every browser that runs WebAssembly has it"))
    }

    /// What the requests listen to.
    pub(crate) fn signal(&self) -> AbortSignal {
        self.0.signal()
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}
