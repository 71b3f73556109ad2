//! Who calls: the account behind the token in a call's metadata.

use tonic::{Request, Status};

use crate::account::{Accounts, Holder};
use crate::domain::role::{Actor, Role};

/// Longest `authorization` looked at, in bytes; our tokens have 74.
const AUTHORIZATION_BYTES_MAX: usize = 512;

/// Who calls, and how to see whether they still may.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) actor: Actor,
    accounts: Accounts,
    token: String,
}

impl Caller {
    /// The account of `request`.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` without a good token, `PERMISSION_DENIED` when the account is limited to some
    /// buildings.
    pub(super) fn of<T>(request: &Request<T>, accounts: &Accounts) -> Result<Caller, Status> {
        let value = request.metadata().get("authorization");
        let token = value
            .filter(|value| value.len() <= AUTHORIZATION_BYTES_MAX)
            .and_then(|value| value.to_str().ok())
            .and_then(bearer_token);
        let found = token.and_then(|token| Some((accounts.holder_of(token)?, token)));
        let Some((holder, token)) = found else {
            return Err(Status::unauthenticated(
                "send `authorization: Bearer …` with a token of this gateway; \
                 `stairgate user token NAME --role ROLE` makes one",
            ));
        };
        Ok(Caller {
            actor: everywhere(holder)?,
            accounts: accounts.clone(),
            token: token.to_owned(),
        })
    }

    /// Refuses unless the account has one of `roles`; an admin has them all.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub(super) fn require(&self, roles: &[Role]) -> Result<(), Status> {
        if self.actor.role == Role::Admin || roles.contains(&self.actor.role) {
            return Ok(());
        }
        let needed: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        Err(Status::permission_denied(format!(
            "{} is {}, and this needs {} or admin",
            self.actor.name,
            self.actor.role,
            needed.join(", ")
        )))
    }

    /// The same as the accounts are now: a token or a role may have been taken away since.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the token is good no more, `PERMISSION_DENIED` when the account is limited
    /// to some buildings.
    pub(super) fn again(&self) -> Result<Caller, Status> {
        match self.accounts.holder_of(&self.token) {
            Some(holder) => Ok(Caller {
                actor: everywhere(holder)?,
                ..self.clone()
            }),
            None => Err(Status::unauthenticated("the token is good no more")),
        }
    }
}

/// The feed is of the whole compound, so who is limited to some buildings is refused.
fn everywhere(holder: Holder) -> Result<Actor, Status> {
    if holder.scope.is_everywhere() {
        return Ok(holder.actor);
    }
    Err(Status::permission_denied(format!(
        "{} is limited to some buildings, and this feed is of all",
        holder.actor.name
    )))
}

/// The token of a `Bearer` authorization; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}
