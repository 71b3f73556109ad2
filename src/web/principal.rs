//! Who asks: the account behind a request's credential, from where, and whether it still may.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Api;
use super::listener::Line;
use super::problem::Problem;
use crate::account::{Accounts, Holder, TokenDigest};
use crate::domain::place::Place;
use crate::domain::right::{Places, Scope};
use crate::domain::role::Actor;
use crate::roster::Roster;

/// Longest `Authorization` header looked at, in bytes; our tokens have 74.
const AUTHORIZATION_BYTES_MAX: usize = 512;
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
    roster: Roster,
}

/// What proves who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credential {
    /// A program's bearer token.
    Token(TokenDigest),
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

    fn still_may(&self) -> bool {
        let now = match self.credential {
            Credential::Token(digest) => self.accounts.holder_by(digest),
        };
        now.is_some_and(|now| now.actor == self.actor && now.scope == self.scope)
    }

    fn new(api: &Api, parts: &Parts, holder: Holder, credential: Credential) -> Principal {
        Principal {
            actor: holder.actor,
            from: parts.extensions.get::<Line>().map(|line| line.peer.ip()),
            scope: holder.scope,
            credential,
            accounts: api.accounts.clone(),
            roster: api.roster.clone(),
        }
    }
}

/// Lets nobody on who is not known: the layer before every route but the few that are for anyone, so that
/// a handler cannot forget it.
pub(super) async fn known(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let principal = Principal::find(&parts, &api)?;
    parts.extensions.insert(principal);
    Ok(next.run(Request::from_parts(parts, body)).await)
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
    fn find(parts: &Parts, api: &Api) -> Result<Principal, Problem> {
        let sent = parts.headers.get(header::AUTHORIZATION);
        let token = sent
            .filter(|value| value.len() <= AUTHORIZATION_BYTES_MAX)
            .and_then(|value| value.to_str().ok())
            .and_then(bearer_token)
            .map(TokenDigest::of);
        let holder = token.and_then(|token| Some((api.accounts.holder_by(token)?, token)));
        let Some((holder, token)) = holder else {
            let detail = "send `Authorization: Bearer …` with a token of this gateway; \
                          `stairgate user token NAME --role ROLE` makes one";
            let status = StatusCode::UNAUTHORIZED;
            return Err(Problem::new(status, "unauthorized", detail));
        };
        Ok(Principal::new(api, parts, holder, Credential::Token(token)))
    }
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
    fn only_a_bearer_token_counts() {
        assert_eq!(bearer_token("Bearer abc"), Some("abc"));
        assert_eq!(bearer_token("bearer  abc"), Some("abc"));
        for other in ["abc", "Basic abc", "Bearerabc", ""] {
            assert_eq!(bearer_token(other), None, "{other}");
        }
    }
}
