//! What every request passes and every answer carries: who may ask, security headers, counts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Refusal;
use super::{UI_ROUTE, routes};
use crate::metrics::{HttpLabels, RouteLabels};
use crate::relay::Relay;

/// What pages may load and run: our own files, and compiled WebAssembly.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// Headers of every answer.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    ),
];

/// Header by which a browser says where a request comes from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks the request, passes it on, completes and counts the answer.
pub(super) async fn guard(State(relay): State<Arc<Relay>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or(UI_ROUTE, |matched| route_name(matched.as_str()));
    let mut response = match check(&relay, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, value);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let labels = HttpLabels { route, code: response.status().as_u16() };
    relay.metrics.http_requests.get_or_create(&labels).inc();
    relay.metrics.http_seconds.get_or_create(&RouteLabels { route }).observe(begun.elapsed().as_secs_f64());
    response
}

/// The pattern as a label: only names that are known when the program is built become series.
fn route_name(pattern: &str) -> &'static str {
    routes().into_iter().map(|(path, _)| path).find(|path| *path == pattern).unwrap_or(UI_ROUTE)
}

fn check(relay: &Relay, request: &Request) -> Result<(), Refusal> {
    let host = host_of(request.uri(), request.headers());
    if relay.http_addr.ip().is_loopback() && !may_name_us(host, &relay.config.http.hosts) {
        let error = format!("this relay is not reached by the name {host:?}");
        return Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            error,
            "use localhost or an address, or add the name to relay.http.hosts",
        ));
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    same_origin(request.headers(), host)
}

/// Host as the client named it, with its port; empty where it named none.
fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    let authority = uri.authority().map(axum::http::uri::Authority::as_str);
    authority.or_else(|| headers.get(header::HOST)?.to_str().ok()).unwrap_or("")
}

/// Whether a host with optional port is an address, `localhost` or one of `names`.
fn may_name_us(host: &str, names: &[String]) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    bare.parse::<IpAddr>().is_ok()
        || bare.eq_ignore_ascii_case("localhost")
        || names.iter().any(|name| name.eq_ignore_ascii_case(bare))
}

/// Requests that may have effects come from our own pages or from programs, never from other pages.
fn same_origin(headers: &HeaderMap, host: &str) -> Result<(), Refusal> {
    let text = |name: &HeaderName| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    let site_is_ours = text(&FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin_is_ours = text(&header::ORIGIN).is_none_or(|origin| {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    });
    if site_is_ours && origin_is_ours {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        "the request comes from the page of another site",
        "ask from our own pages",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_relay_on_loopback() {
        let names = ["weir.example".to_owned()];
        for (host, ours) in [
            ("127.0.0.1:12000", true),
            ("[::1]:12000", true),
            ("localhost", true),
            ("LocalHost:12000", true),
            ("weir.example:12000", true),
            ("192.0.2.7", true),
            ("attacker.example:12000", false),
            ("localhost.attacker.example", false),
            ("", false),
        ] {
            assert_eq!(may_name_us(host, &names), ours, "{host}");
        }
    }

    #[test]
    fn other_sites_may_not_post() {
        let check = |pairs: &[(HeaderName, &'static str)]| {
            let headers = pairs.iter().map(|(n, v)| (n.clone(), HeaderValue::from_static(v))).collect();
            same_origin(&headers, "localhost:12000").is_ok()
        };
        assert!(check(&[]), "a program");
        assert!(check(&[(header::ORIGIN, "http://localhost:12000"), (FETCH_SITE, "same-origin")]));
        assert!(!check(&[(header::ORIGIN, "http://attacker.example")]));
        assert!(!check(&[(header::ORIGIN, "null")]));
        assert!(!check(&[(FETCH_SITE, "cross-site")]));
        assert!(!check(&[(FETCH_SITE, "same-site")]));
    }
}
