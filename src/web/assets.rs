//! The console's files: the page, its scripts and styles, as `make console` leaves them in
//! `target/console`. A release has them in the program; a debug build reads them from the disk, so that
//! a rebuilt console is there at the next reload. Without them a page says how to build them.
//!
//! Not here: what the console shows (`src/web/console`), and who may see what (the API asks that; the
//! files themselves hold nothing of anyone).

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

use super::problem::Problem;

/// The page that every other path of the console leads to.
const INDEX: &str = "index.html";
/// Files below it are named by a hash of what is in them, so they never change.
const HASHED: &str = "assets/";
/// A year, the longest that RFC 9111 makes sense of.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Ask again each time; the `ETag` makes that cheap.
const ASK_AGAIN: &str = "no-cache";

/// What a page of ours may load and do: its own scripts, styles, pictures and video, its own API, and
/// nothing of anyone else. Ant Design writes styles into the page, hence `unsafe-inline` for these alone;
/// Media Source Extensions and thumbnails come as `blob:`.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; \
    connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// What a browser may not be asked for in our name.
pub(super) const PERMISSIONS_POLICY: &str = "accelerometer=(), camera=(), display-capture=(), \
    geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=(), \
    autoplay=(self), fullscreen=(self)";

/// Shown at `/` while there is no console.
const NOT_BUILT: &str = "<!doctype html>
<html lang=\"zh-CN\"><meta charset=\"utf-8\"><title>stairgate</title>
<h1>stairgate</h1>
<p>网关正在运行，但此程序不含控制台。请在源码目录执行 <code>make console</code>，然后刷新本页（发布版需重新编译）。</p>
<p lang=\"en\">The gateway runs, but this program has no console in it. Run <code>make console</code> in the
source folder, then reload this page (a release must be built again).</p>
<p><a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a> · <a href=\"/healthz\">/healthz</a></p>
</html>
";

/// What was built.
#[derive(rust_embed::RustEmbed)]
#[folder = "target/console/"]
#[allow_missing = true]
struct Built;

/// One file.
struct File {
    bytes: Cow<'static, [u8]>,
    sha256: [u8; 32],
}

/// Answers what no route answers: a file of the console, or its page for whoever wants HTML.
pub(super) async fn serve(request: Request) -> Response {
    let find = |path: &str| {
        let file = Built::get(path)?;
        Some(File {
            sha256: file.metadata.sha256_hash(),
            bytes: file.data,
        })
    };
    answer(
        request.method(),
        request.uri().path(),
        request.headers(),
        find,
    )
}

/// The answer to a path that is no route.
fn answer(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    find: impl Fn(&str) -> Option<File>,
) -> Response {
    let name = path.trim_start_matches('/');
    let is_read = method == Method::GET || method == Method::HEAD;
    if !is_read || name == "api" || name.starts_with("api/") {
        return Problem::not_found("no such path; see /api/v1/openapi.json").into_response();
    }
    let name = if name.is_empty() { INDEX } else { name };
    if is_plain(name) && content_type(name).is_some() && find(name).is_some() {
        return file(name, headers, find);
    }
    if !accepts(headers, header::ACCEPT, "text/html") && name != INDEX {
        return Problem::not_found("no such path; see /api/v1/openapi.json").into_response();
    }
    if find(INDEX).is_some() {
        return file(INDEX, headers, find);
    }
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (StatusCode::SERVICE_UNAVAILABLE, kind, NOT_BUILT).into_response()
}

/// Is it a relative path without anything clever in it?
fn is_plain(name: &str) -> bool {
    let is_plain_part = |part: &str| !part.is_empty() && !part.starts_with('.');
    name.split('/').all(is_plain_part)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
}

/// The file of `name`, compressed as `headers` allow and as it lies beside it.
fn file(name: &str, headers: &HeaderMap, find: impl Fn(&str) -> Option<File>) -> Response {
    let compressed = [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(coding, _)| accepts(headers, header::ACCEPT_ENCODING, coding))
        .find_map(|(coding, suffix)| Some((Some(coding), find(&format!("{name}{suffix}"))?)));
    let Some((coding, file)) = compressed.or_else(|| Some((None, find(name)?))) else {
        return Problem::not_found("no such file of the console").into_response();
    };
    let tag = format!("\"{}\"", hex::encode(file.sha256));
    let is_known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = match file.bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Response::new(Body::from(body))
    };
    let set = response.headers_mut();
    let kind = content_type(name).unwrap_or("application/octet-stream");
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    set.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let cache = if name.starts_with(HASHED) {
        FOR_EVER
    } else {
        ASK_AGAIN
    };
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        set.insert(header::ETAG, tag);
    }
    if let Some(coding) = coding {
        set.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

/// Does the list in the header `name` have `wanted`, not with weight 0 (RFC 9110, 12.4.2)?
fn accepts(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    let is_wanted = |item: &str| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts
            .next()
            .is_some_and(|it| it.eq_ignore_ascii_case(wanted));
        let is_refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
            weight.is_some_and(|q| q <= 0.0)
        });
        is_named && !is_refused
    };
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(is_wanted)
}

/// What the files of a console are; `None`: none of its files ends like this.
fn content_type(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    Some(match end {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "wav" => "audio/wav",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(path: &str) -> Option<File> {
        let text: &'static str = match path {
            "index.html" => "<p>index",
            "assets/app-1f.js" => "plain",
            "assets/app-1f.js.br" => "brotli",
            "assets/app-1f.js.gz" => "gzip",
            "robots.txt" => "none",
            ".secret.txt" | "assets/../x.js" => "never",
            _ => return None,
        };
        let mut sha256 = [0; 32];
        sha256[0] = u8::try_from(text.len()).unwrap();
        Some(File {
            bytes: Cow::Borrowed(text.as_bytes()),
            sha256,
        })
    }

    fn ask(path: &str, headers: &[(header::HeaderName, &'static str)]) -> Response {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.clone(), HeaderValue::from_static(value));
        }
        answer(&Method::GET, path, &map, built)
    }

    fn head<'a>(response: &'a Response, name: &str) -> &'a str {
        let value = response.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn a_hashed_file_is_kept_for_ever_and_the_page_asked_for_again() {
        let response = ask("/assets/app-1f.js", &[]);
        assert_eq!(response.status(), 200);
        assert_eq!(head(&response, "cache-control"), FOR_EVER);
        assert_eq!(
            head(&response, "content-type"),
            "text/javascript; charset=utf-8"
        );
        let response = ask("/", &[]);
        assert_eq!(head(&response, "cache-control"), ASK_AGAIN);
        let tag = head(&response, "etag").to_owned();
        let again = ask("/", &[(header::IF_NONE_MATCH, tag.leak())]);
        assert_eq!(again.status(), 304);
        assert_eq!(ask("/", &[(header::IF_NONE_MATCH, "\"00\"")]).status(), 200);
    }

    #[test]
    fn a_file_comes_compressed_as_the_browser_can_read_it() {
        let coding = |accept| {
            let response = ask("/assets/app-1f.js", &[(header::ACCEPT_ENCODING, accept)]);
            assert_eq!(head(&response, "vary"), "accept-encoding");
            head(&response, "content-encoding").to_owned()
        };
        assert_eq!(coding("gzip, deflate, br"), "br");
        assert_eq!(coding("gzip, br;q=0"), "gzip");
        assert_eq!(coding("identity"), "");
    }

    #[test]
    fn whoever_wants_html_gets_the_page_and_a_program_gets_a_problem() {
        let html = [(header::ACCEPT, "text/html,application/xhtml+xml;q=0.9")];
        for path in ["/", "/wall", "/%2e%2e/etc/passwd", "/assets/gone.js"] {
            let response = ask(path, &html);
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(head(&response, "content-type"), "text/html; charset=utf-8");
        }
        for path in ["/wall", "/assets/gone.js", "/api/v1/wall", "/api"] {
            assert_eq!(ask(path, &[]).status(), 404, "{path}");
        }
        assert_eq!(ask("/api/v1/wall", &html).status(), 404);
        let post = answer(&Method::POST, "/", &HeaderMap::new(), built);
        assert_eq!(post.status(), 404);
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        for path in [
            "/.secret.txt",
            "/assets/../x.js",
            "/assets//app-1f.js",
            "/..%2frobots.txt",
        ] {
            assert_eq!(ask(path, &[]).status(), 404, "{path}");
        }
        assert_eq!(ask("/robots.txt", &[]).status(), 200);
    }

    #[test]
    fn without_a_console_a_page_says_how_to_build_it() {
        let response = answer(&Method::GET, "/", &HeaderMap::new(), |_| None);
        assert_eq!(response.status(), 503);
        assert!(NOT_BUILT.contains("make console"));
    }
}
