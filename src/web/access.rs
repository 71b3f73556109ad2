//! The one place that decides whether somebody may: for REST, streams, clips, pictures, exports and
//! WebSockets alike. What each role may is `domain::right`; this asks it, with the place.

use axum::http::StatusCode;

use super::principal::Principal;
use super::problem::Problem;
use crate::domain::place::Place;
pub(crate) use crate::domain::right::Action;

/// May `principal` do `action`, at `place`?
///
/// Without a place: may it do so anywhere? The caller then leaves out rows whose place is not
/// [`Principal::is_within`]. An action of the whole compound is refused to an account that is limited to
/// some buildings.
///
/// # Errors
/// 403, with what is missing.
pub(crate) fn authorise(
    principal: &Principal,
    action: Action,
    place: Option<&Place>,
) -> Result<(), Problem> {
    let actor = &principal.actor;
    let forbidden = |detail| Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    if !actor.role.may(action) {
        let needed: Vec<&str> = action.roles().iter().map(|role| role.as_str()).collect();
        let or = if needed.is_empty() { "" } else { " or " };
        return forbidden(format!(
            "{} is {}, and this ({}) needs {}{or}admin",
            actor.name,
            actor.role,
            action.as_str(),
            needed.join(", ")
        ));
    }
    let is_limited = !principal.scope().is_everywhere();
    if is_limited && action.is_of_whole_compound() {
        return forbidden(format!(
            "{} is limited to some buildings, and this ({}) is of the whole compound",
            actor.name,
            action.as_str()
        ));
    }
    match place {
        Some(place) if is_limited && !principal.is_within(place) => forbidden(format!(
            "{} is limited to other buildings than that of {place}",
            actor.name
        )),
        Some(_) | None => Ok(()),
    }
}

/// Whether [`authorise`] would agree.
pub(crate) fn may(principal: &Principal, action: Action) -> bool {
    authorise(principal, action, None).is_ok()
}
