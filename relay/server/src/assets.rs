//! The web UI: files built into the program, or read from a folder while the UI is being worked on.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

mod built_in {
    include!(concat!(env!("OUT_DIR"), "/assets.rs"));
}

/// The page that every address without a file of its own shows; the UI's own router reads the address.
const INDEX: &str = "index.html";
/// Encodings that files are kept in, the best first: token of the header, suffix of the file.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];
/// Hex digits that a content hash in a file name has at least.
const HASH_DIGITS_MIN: usize = 8;

/// Where the files of the UI come from.
#[derive(Clone, Debug)]
pub(crate) enum Assets {
    /// Built into the program.
    BuiltIn,
    /// Read from this folder at each request.
    Folder(PathBuf),
}

struct File {
    bytes: Cow<'static, [u8]>,
    encoding: Option<&'static str>,
}

impl Assets {
    /// Answers a request for `path`, which begins with a slash.
    pub(crate) async fn answer(&self, path: &str, headers: &HeaderMap) -> Response {
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
        let name = path.trim_start_matches('/');
        if !name.is_empty() {
            if let Some(file) = self.find(name, accepted).await {
                return respond(name, file);
            }
            if names_a_file(name) {
                return (StatusCode::NOT_FOUND, "the web UI has no such file\n").into_response();
            }
        }
        match self.find(INDEX, accepted).await {
            Some(file) => respond(INDEX, file),
            None => (StatusCode::NOT_FOUND, "the folder of the web UI has no index.html\n").into_response(),
        }
    }

    async fn find(&self, name: &str, accepted: &str) -> Option<File> {
        match self {
            Self::BuiltIn => built_in_file(name, accepted),
            Self::Folder(folder) => {
                let path = below(folder, name)?;
                let bytes = tokio::fs::read(path).await.ok()?;
                Some(File { bytes: Cow::Owned(bytes), encoding: None })
            }
        }
    }
}

fn built_in_file(name: &str, accepted: &str) -> Option<File> {
    // Compressed copies are other forms of a file, never files of their own.
    if ENCODINGS.iter().any(|(_, suffix)| name.ends_with(suffix)) {
        return None;
    }
    let get = |name: &str| {
        let found = built_in::FILES.binary_search_by(|(n, _)| (*n).cmp(name)).ok()?;
        Some(Cow::Borrowed(built_in::FILES[found].1))
    };
    let plain = get(name)?;
    for (encoding, suffix) in ENCODINGS {
        if accepts(accepted, encoding)
            && let Some(bytes) = get(&format!("{name}{suffix}"))
        {
            return Some(File { bytes, encoding: Some(encoding) });
        }
    }
    Some(File { bytes: plain, encoding: None })
}

/// Path of `name` in `folder`; `None` where the name tries to leave it.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let relative = Path::new(name);
    relative.components().all(|c| matches!(c, Component::Normal(_))).then(|| folder.join(relative))
}

fn respond(name: &str, file: File) -> Response {
    let mut response = Response::new(match file.bytes {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let caching = if is_hashed(name) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Some(encoding) = file.encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// Whether an `Accept-Encoding` header takes `encoding`: named, or by `*`, and not with a weight of zero.
fn accepts(header: &str, encoding: &str) -> bool {
    let weight_of = |wanted: &str| {
        header.split(',').find_map(|part| {
            let (token, parameters) = part.split_once(';').unwrap_or((part, ""));
            let weight = parameters.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
            token.trim().eq_ignore_ascii_case(wanted).then(|| weight.unwrap_or(1.0))
        })
    };
    weight_of(encoding).or_else(|| weight_of("*")).is_some_and(|weight| weight > 0.0)
}

/// Whether the name carries a hash of the content, so that its bytes can never change.
fn is_hashed(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.split(['.', '-', '_']).any(|part| part.len() >= HASH_DIGITS_MIN && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether an address that has no file was meant as one, so that the index page would be a wrong answer.
fn names_a_file(name: &str) -> bool {
    name.starts_with("assets/") || content_type(name) != UNKNOWN_TYPE
}

const UNKNOWN_TYPE: &str = "application/octet-stream";

fn content_type(name: &str) -> &'static str {
    // A page may be called as an ending is, such as /map.
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        _ => UNKNOWN_TYPE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_stars_of_accept_encoding() {
        for (header, brotli, gzip) in [
            ("gzip, deflate, br, zstd", true, true),
            ("gzip", false, true),
            ("br;q=0, gzip;q=0.5", false, true),
            ("*", true, true),
            ("*;q=0", false, false),
            ("", false, false),
            ("identity", false, false),
        ] {
            assert_eq!((accepts(header, "br"), accepts(header, "gzip")), (brotli, gzip), "{header}");
        }
    }

    #[test]
    fn only_hashed_names_are_kept_for_ever() {
        assert!(is_hashed("assets/weir-0a1b2c3d4e5f.wasm"));
        assert!(is_hashed("assets/app.0a1b2c3d.css"));
        assert!(!is_hashed("index.html"));
        assert!(!is_hashed("assets/icons.svg"));
    }

    #[tokio::test]
    async fn a_folder_is_never_left() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("dist");
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
        std::fs::write(inside.join("index.html"), "page").unwrap();
        let assets = Assets::Folder(inside);
        for path in ["/../secret.txt", "/a/../../secret.txt", "//etc/passwd.txt", "/./../secret.txt"] {
            let response = assets.answer(path, &HeaderMap::new()).await;
            let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
            assert!(!body.starts_with(b"secret") && !body.starts_with(b"root"), "{path}");
        }
        for page in ["/flows", "/map", "/json"] {
            let response = assets.answer(page, &HeaderMap::new()).await;
            assert_eq!(axum::body::to_bytes(response.into_body(), 1024).await.unwrap().as_ref(), b"page", "{page}");
        }
        assert_eq!(assets.answer("/assets/gone-00000000.js", &HeaderMap::new()).await.status(), StatusCode::NOT_FOUND);
    }
}
