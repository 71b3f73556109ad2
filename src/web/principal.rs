//! Who asks: the account behind a request's credential, from where, and whether it still may.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Api;
use super::gate::caller;
use super::problem::Problem;
use crate::account::{Accounts, Holder, SessionKey, Sessions, TokenDigest};
use crate::domain::place::Place;
use crate::domain::right::{Places, Scope};
use crate::domain::role::Actor;
use crate::roster::Roster;

/// Longest `Authorization` header looked at, in bytes; our tokens have 74.
const AUTHORIZATION_BYTES_MAX: usize = 512;
/// Longest `Cookie` header looked at, in bytes: a proxy's own cookies may be beside ours.
const COOKIE_BYTES_MAX: usize = 8_192;
/// The cookie of a session.
pub(super) const SESSION_COOKIE: &str = "stairgate_session";
/// How often a stream looks whether its account still may: with the look at the accounts file every
/// second, it ends well within the 5 s that are promised.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Who asks. A handler that takes this answers 401 to everyone else; what the account may do is asked of
/// [`super::access::authorise`].
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// The account and its role.
    pub(crate) actor: Actor,
    /// Where it asks from, as far as that is known.
    pub(crate) from: Option<IpAddr>,
    scope: Scope,
    credential: Credential,
    accounts: Accounts,
    sessions: Sessions,
    roster: Roster,
}

/// What proves who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credential {
    /// A program's bearer token.
    Token(TokenDigest),
    /// The cookie of a person's session.
    Session(SessionKey),
}

impl Principal {
    /// Where the account may do what its role may.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Is that place within the account's scope?
    pub(crate) fn is_within(&self, place: &Place) -> bool {
        match place {
            Place::Compound => self.scope.has_compound(),
            // A stairwell that is no longer configured is in no building.
            Place::Stairwell(id) => {
                self.scope.is_everywhere()
                    || self
                        .roster
                        .stairwell(id)
                        .is_some_and(|stairwell| self.scope.has_building(&stairwell.building))
            }
        }
    }

    /// The places within its scope, as the site is configured now.
    pub(crate) fn places(&self) -> Places {
        if self.scope.is_everywhere() {
            return Places::ALL;
        }
        let stairwells = self.roster.stairwells().into_iter();
        let within = stairwells
            .filter(|stairwell| self.scope.has_building(&stairwell.building))
            .map(|stairwell| Place::Stairwell(stairwell.id));
        let gates = self.scope.has_compound().then_some(Place::Compound);
        Places::only(within.chain(gates).collect())
    }

    /// Resolves soon after the right to ask is taken away or changed: the token, the role, the buildings or
    /// what is configured of them, the account. A stream ends then; who still may opens another.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn revoked(&self) {
        let places = self.places();
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            if !self.still_may() || self.places() != places {
                return;
            }
        }
    }

    /// Is it a person at the console, and no program?
    pub(crate) fn is_person(&self) -> bool {
        self.session().is_some()
    }

    /// The session, if it is one.
    pub(crate) fn session(&self) -> Option<SessionKey> {
        match self.credential {
            Credential::Session(key) => Some(key),
            Credential::Token(_) => None,
        }
    }

    /// The word that a page of ours sends with every change; a program needs none.
    pub(crate) fn csrf(&self) -> Option<String> {
        self.session().map(|key| key.csrf())
    }

    /// Tells the credentials of one account apart.
    pub(crate) fn credential_id(&self) -> String {
        match self.credential {
            Credential::Session(key) => format!("session {}", key.id()),
            Credential::Token(_) => format!("token of {}", self.actor.name),
        }
    }

    fn still_may(&self) -> bool {
        let now = match self.credential {
            Credential::Token(digest) => self.accounts.holder_by(digest),
            Credential::Session(key) => self.sessions.find(key).map(|session| session.holder),
        };
        now.is_some_and(|now| now.actor == self.actor && now.scope == self.scope)
    }
}

impl FromRequestParts<Api> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Principal, Problem> {
        match parts.extensions.get::<Principal>() {
            Some(principal) => Ok(principal.clone()),
            None => Principal::find(parts, api),
        }
    }
}

impl Principal {
    /// Who has just logged in.
    pub(super) fn of_session(
        api: &Api,
        holder: Holder,
        session: SessionKey,
        from: Option<IpAddr>,
    ) -> Principal {
        Principal::new(api, holder, Credential::Session(session), from)
    }

    fn new(api: &Api, holder: Holder, credential: Credential, from: Option<IpAddr>) -> Principal {
        Principal {
            actor: holder.actor,
            from,
            scope: holder.scope,
            credential,
            accounts: api.accounts.clone(),
            sessions: api.sessions.clone(),
            roster: api.roster.clone(),
        }
    }

    /// Who asks: by a bearer token if one is sent, else by the session's cookie.
    ///
    /// # Errors
    /// 401 `unauthorized`.
    pub(super) fn find(parts: &Parts, api: &Api) -> Result<Principal, Problem> {
        let found = match parts.headers.get(header::AUTHORIZATION) {
            Some(sent) => by_token(sent, api),
            None => by_cookie(&parts.headers, api),
        };
        let Some((holder, credential)) = found else {
            let detail = "log in, or send `Authorization: Bearer …` with a token of this gateway; \
                          `stairgate user token NAME --role ROLE` makes one";
            let status = StatusCode::UNAUTHORIZED;
            return Err(Problem::new(status, "unauthorized", detail));
        };
        let from = caller(api, parts).from;
        Ok(Principal::new(api, holder, credential, from))
    }
}

fn by_token(sent: &HeaderValue, api: &Api) -> Option<(Holder, Credential)> {
    if sent.len() > AUTHORIZATION_BYTES_MAX {
        return None;
    }
    let token = TokenDigest::of(bearer_token(sent.to_str().ok()?)?);
    Some((api.accounts.holder_by(token)?, Credential::Token(token)))
}

fn by_cookie(headers: &HeaderMap, api: &Api) -> Option<(Holder, Credential)> {
    let key = session_of(headers)?;
    let session = api.sessions.find(key)?;
    Some((session.holder, Credential::Session(key)))
}

/// The session that the cookie names, whether there is one or not.
pub(super) fn session_of(headers: &HeaderMap) -> Option<SessionKey> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let texts = cookies.filter(|value| value.len() <= COOKIE_BYTES_MAX);
    let mut pairs = texts
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    let token = pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == SESSION_COOKIE).then_some(value)
    });
    token.map(SessionKey::of)
}

/// The token of a `Bearer` authorization; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_the_cookie_of_that_name() {
        let of = |texts: &[&str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(header::COOKIE, text.parse().unwrap());
            }
            session_of(&headers)
        };
        let key = Some(SessionKey::of("abc"));
        assert_eq!(of(&["stairgate_session=abc"]), key);
        assert_eq!(of(&["a=b; stairgate_session=abc; c=d"]), key);
        assert_eq!(of(&["a=b", "stairgate_session=abc"]), key);
        assert_eq!(of(&["xstairgate_session=abc"]), None);
        assert_eq!(
            of(&[&format!("stairgate_session={}", "a".repeat(9_000))]),
            None
        );
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn only_a_bearer_token_counts() {
        assert_eq!(bearer_token("Bearer abc"), Some("abc"));
        assert_eq!(bearer_token("bearer  abc"), Some("abc"));
        for other in ["abc", "Basic abc", "Bearerabc", ""] {
            assert_eq!(bearer_token(other), None, "{other}");
        }
    }
}
