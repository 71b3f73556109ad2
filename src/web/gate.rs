//! The layer before every route that needs an account: who asks, and whether a page of ours made them ask.
//!
//! A browser sends the session's cookie whoever made it ask. Three things keep others from using that: the
//! cookie is `SameSite=Strict`; an `Origin` that is not ours is refused, and a WebSocket must have one; and
//! what changes something needs the session's own word in [`CSRF`], which no other page can read.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Api;
use super::front::Caller;
use super::listener::Line;
use super::principal::Principal;
use super::problem::Problem;

/// The header with the word that `GET /me` gave.
const CSRF: &str = "x-stairgate-csrf";

/// Lets on only who is known, and only when a page of ours or a program asks. A handler cannot forget it.
///
/// # Errors
/// 401 `unauthorized`; 403 `foreign-origin` and `csrf`.
pub(super) async fn known(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = caller(&api, &parts);
    let page = our_page(&api, caller, &parts.headers)?;
    let principal = Principal::find(&parts, &api)?;
    if let Some(csrf) = principal.csrf() {
        if page.is_none() && parts.headers.contains_key(header::UPGRADE) {
            return Err(foreign("a WebSocket of a browser says which page opens it"));
        }
        let sent = parts.headers.get(CSRF).map(|value| value.as_bytes());
        if !is_safe(&parts.method) && sent != Some(csrf.as_bytes()) {
            let detail = "send the `csrf` of GET /api/v1/me in the header X-Stairgate-Csrf";
            return Err(Problem::new(StatusCode::FORBIDDEN, "csrf", detail));
        }
    }
    parts.extensions.insert(principal);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Who asks.
pub(super) fn caller(api: &Api, parts: &axum::http::request::Parts) -> Caller {
    api.front
        .caller(parts.extensions.get::<Line>(), &parts.headers)
}

/// Refuses what a page of others asks; whether a page of ours says that it asks.
///
/// # Errors
/// 403 `foreign-origin`.
pub(super) fn our_page(
    api: &Api,
    caller: Caller,
    headers: &HeaderMap,
) -> Result<Option<()>, Problem> {
    match api.front.is_our_page(caller, headers) {
        Some(true) => Ok(Some(())),
        None => Ok(None),
        Some(false) => Err(foreign("this is asked by a page that is not ours")),
    }
}

fn foreign(why: &str) -> Problem {
    let detail = format!("{why}; behind a proxy set web.public_url and web.trusted_proxies");
    Problem::new(StatusCode::FORBIDDEN, "foreign-origin", detail)
}

fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}
