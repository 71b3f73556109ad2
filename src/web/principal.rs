//! Who asks: the account behind a request's bearer token, and what its role may do.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};

use super::Api;
use super::problem::Problem;
use crate::domain::role::{Actor, Role};

/// Longest `Authorization` header looked at, in bytes; our tokens have 74.
const AUTHORIZATION_BYTES_MAX: usize = 512;

/// Who asks. A handler that takes this answers 401 to everyone else.
#[derive(Clone, Debug)]
pub(crate) struct Principal(pub(crate) Actor);

impl Principal {
    /// Refuses with 403 unless the account has one of `roles`; an admin has them all.
    pub(crate) fn require(&self, roles: &[Role]) -> Result<(), Problem> {
        if self.0.role == Role::Admin || roles.contains(&self.0.role) {
            return Ok(());
        }
        let needed: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let detail = format!(
            "{} is {}, and this needs {} or admin",
            self.0.name,
            self.0.role,
            needed.join(", ")
        );
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
    }
}

impl FromRequestParts<Api> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Principal, Problem> {
        let sent = parts.headers.get(header::AUTHORIZATION);
        let token = sent
            .filter(|value| value.len() <= AUTHORIZATION_BYTES_MAX)
            .and_then(|value| value.to_str().ok())
            .and_then(bearer_token);
        let actor = token.and_then(|token| api.accounts.actor_of(token));
        actor.map(Principal).ok_or_else(|| {
            let detail = "send `Authorization: Bearer …` with a token of this gateway; \
                          `stairgate user token NAME --role ROLE` makes one";
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
        })
    }
}

/// Who asks, if they say so: for what anyone on this machine may read, but names are not for anyone.
#[derive(Clone, Debug)]
pub(crate) struct Visitor(pub(crate) Option<Principal>);

impl Visitor {
    /// May the names of persons be shown?
    pub(crate) fn sees_names(&self) -> bool {
        let roles = [Role::PropertyManager, Role::Auditor];
        self.0
            .as_ref()
            .is_some_and(|who| who.require(&roles).is_ok())
    }
}

impl FromRequestParts<Api> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Visitor, Problem> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(Visitor(None));
        }
        Principal::from_request_parts(parts, api)
            .await
            .map(|who| Visitor(Some(who)))
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
    use crate::domain::role::ActorName;

    #[test]
    fn only_a_bearer_token_counts() {
        assert_eq!(bearer_token("Bearer abc"), Some("abc"));
        assert_eq!(bearer_token("bearer  abc"), Some("abc"));
        for other in ["abc", "Basic abc", "Bearerabc", ""] {
            assert_eq!(bearer_token(other), None, "{other}");
        }
    }

    #[test]
    fn a_role_may_what_it_is_for_and_admin_everything() {
        let with = |role| {
            Principal(Actor {
                name: ActorName::new("a").unwrap(),
                role,
            })
        };
        for role in Role::ALL {
            let is_allowed = with(role).require(&[Role::DutyOfficer]).is_ok();
            let expected = matches!(role, Role::DutyOfficer | Role::Admin);
            assert_eq!(is_allowed, expected, "{role}");
        }
    }
}
