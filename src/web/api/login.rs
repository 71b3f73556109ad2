//! `GET /me`, `POST /login`, `/logout` and `/setup`, `PUT /me/password`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::account::{self, AccountError, Holder, Session, SessionKey};
use crate::audit;
use crate::domain::audit::{AUDIT_TEXT_CHARS_MAX, AuditAct, AuditEvent};
use crate::domain::id::CompoundId;
use crate::domain::right::Action;
use crate::domain::role::{Actor, ActorName, Role};
use crate::linkage::envelope::clean;
use crate::supervise::blocking;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::may;
use crate::web::extract::Body;
use crate::web::front::Caller;
use crate::web::gate;
use crate::web::looks::{self, Grounds, Look};
use crate::web::principal::{Principal, SESSION_COOKIE, session_of};
use crate::web::problem::Problem;

/// Who is logged in, and what the page needs to begin.
#[derive(Debug, Serialize)]
pub(crate) struct Me {
    name: ActorName,
    role: Role,
    /// The buildings the account is limited to; `null`: everywhere.
    buildings: Option<Vec<String>>,
    /// For the header `X-Stairgate-Csrf`; `null` for a program.
    csrf: Option<String>,
    /// When the session ends, if it asks nothing more; `null` for a program.
    expires_at: Option<WallTime>,
    /// The gateway's clock.
    time: WallTime,
    compound: Compound,
    may: Vec<&'static str>,
}

/// Which compound this is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Compound {
    id: CompoundId,
    name: String,
    /// Its IANA name: pages show times in it.
    time_zone: String,
}

/// A name and its password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginBody {
    name: String,
    password: String,
}

/// The link's token, and what it is used for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetupBody {
    token: String,
    /// Only for the first admin; an invited account has its name.
    name: Option<String>,
    password: String,
}

/// Another password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordBody {
    current: String,
    new: String,
}

/// Where a log-in comes from: a page of ours, or a program.
pub(crate) struct Visitor {
    caller: Caller,
    /// The session that the browser has still.
    had: Option<SessionKey>,
}

impl FromRequestParts<Api> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Visitor, Problem> {
        let caller = gate::caller(api, parts);
        gate::our_page(api, caller, &parts.headers)?;
        Ok(Visitor {
            caller,
            had: session_of(&parts.headers),
        })
    }
}

pub(crate) async fn me(
    State(api): State<Api>,
    principal: Result<Principal, Problem>,
) -> Result<Json<Me>, Problem> {
    match principal {
        Ok(principal) => Ok(Json(me_of(&api, &principal))),
        Err(_) if !api.accounts.is_set_up() => {
            let detail = "nobody can log in yet: open the link that the gateway printed at its start, \
                          or make one with `stairgate user invite NAME --role admin`";
            let status = StatusCode::UNAUTHORIZED;
            Err(Problem::new(status, "setup-needed", detail))
        }
        Err(problem) => Err(problem),
    }
}

fn me_of(api: &Api, principal: &Principal) -> Me {
    let expires_at = principal.session().and_then(|key| api.sessions.find(key));
    let buildings = principal.scope().buildings();
    let actions = Action::ALL.into_iter();
    Me {
        name: principal.actor.name.clone(),
        role: principal.actor.role,
        buildings: buildings.map(|buildings| buildings.iter().cloned().collect()),
        csrf: principal.csrf(),
        expires_at: expires_at.map(|session| session.expires_at),
        time: api.roster.moment().at,
        compound: Compound {
            id: api.compound.0.clone(),
            name: api.compound.1.clone(),
            time_zone: api.roster.time_zone().name().to_owned(),
        },
        may: actions
            .filter(|action| may(principal, *action))
            .map(Action::as_str)
            .collect(),
    }
}

pub(crate) async fn login(
    State(api): State<Api>,
    visitor: Visitor,
    Body(body): Body<LoginBody>,
) -> Result<Response, Problem> {
    throttle(&api, &visitor, &body.name)?;
    let name = body.name.clone();
    match check(&api, body.name, body.password).await? {
        Some(holder) => {
            api.throttle.give_back(&name, visitor.caller.from);
            begin(&api, &visitor, holder, "").await
        }
        None => {
            warn!(name = %clean(&name, NAME_CHARS_SHOWN), from = ?visitor.caller.from, "log-in refused");
            refused(&api, &visitor, &name, "wrong name or password").await?;
            let detail = "the name or the password is wrong";
            let status = StatusCode::UNAUTHORIZED;
            Err(Problem::new(status, "wrong-login", detail))
        }
    }
}

/// Longest name that is shown of who could not log in: a person may have typed the password there.
const NAME_CHARS_SHOWN: usize = 32;

/// Takes one attempt. What is refused here is not recorded, so that guessing cannot fill the audit: the
/// attempts that led here are.
fn throttle(api: &Api, visitor: &Visitor, name: &str) -> Result<(), Problem> {
    api.throttle
        .take(name, visitor.caller.from)
        .map_err(too_many)
}

fn too_many(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + 1;
    let detail = format!("too many attempts; try again in {seconds} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", detail).retry_after(seconds)
}

/// Whose name and password that is. A few at a time: each takes 19 MiB and a processor.
async fn check(api: &Api, name: String, password: String) -> Result<Option<Holder>, Problem> {
    let Ok(turn) = Arc::clone(&api.hashing).acquire_owned().await else {
        return Ok(None);
    };
    let accounts = api.accounts.clone();
    let known = blocking("check a password", move || {
        let _turn = turn;
        accounts.log_in(&name, &password)
    });
    Ok(known.await?)
}

/// Begins a session: 200 as `GET /me`, with the cookie.
async fn begin(
    api: &Api,
    visitor: &Visitor,
    holder: Holder,
    detail: &str,
) -> Result<Response, Problem> {
    if let Some(had) = visitor.had {
        api.sessions.end(had).await?;
    }
    let actor = holder.actor.clone();
    record(
        api,
        visitor,
        AuditAct::Login,
        Some(actor.clone()),
        actor.name.as_str(),
        detail,
    )
    .await?;
    let token = api.sessions.begin(&actor.name, visitor.caller.from).await?;
    info!(account = %actor.name, from = ?visitor.caller.from, "logged in");
    let key = SessionKey::of(token.reveal());
    let session: Option<Session> = api.sessions.find(key);
    let Some(session) = session else {
        let detail = "the account was changed while you logged in; try again";
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "wrong-login",
            detail,
        ));
    };
    let principal = Principal::of_session(api, session.holder, key, visitor.caller.from);
    let cookie = cookie(token.reveal(), visitor.caller.is_https, None)?;
    Ok((cookie, Json(me_of(api, &principal))).into_response())
}

/// The session's cookie: not for scripts, not for requests that other pages cause, gone with the browser.
fn cookie(token: &str, is_https: bool, age_s: Option<u64>) -> Result<HeaderMap, Problem> {
    let secure = if is_https { "; Secure" } else { "" };
    let age = age_s.map(|s| format!("; Max-Age={s}")).unwrap_or_default();
    let text = format!("{SESSION_COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/{secure}{age}");
    let value = HeaderValue::from_str(&text).map_err(|err| Problem::internal(&err))?;
    Ok(HeaderMap::from_iter([(header::SET_COOKIE, value)]))
}

pub(crate) async fn logout(
    State(api): State<Api>,
    principal: Principal,
) -> Result<Response, Problem> {
    let Some(key) = principal.session() else {
        let detail = "a token has no session; `stairgate user remove` takes it away";
        return Err(Problem::bad_request(detail));
    };
    let name = principal.actor.name.to_string();
    let look = Look {
        act: AuditAct::Logout,
        target: name,
        place: None,
        detail: String::new(),
    };
    looks::record(&api, &principal, look, Grounds::default()).await?;
    api.sessions.end(key).await?;
    Ok((StatusCode::NO_CONTENT, cookie("", false, Some(0))?).into_response())
}

pub(crate) async fn password(
    State(api): State<Api>,
    visitor: Visitor,
    principal: Principal,
    Body(body): Body<PasswordBody>,
) -> Result<StatusCode, Problem> {
    let Some(key) = principal.session() else {
        return Err(Problem::bad_request("log in to change your password"));
    };
    let name = principal.actor.name.clone();
    throttle(&api, &visitor, name.as_str())?;
    if check(&api, name.to_string(), body.current).await?.is_none() {
        refused(&api, &visitor, name.as_str(), "wrong current password").await?;
        let detail = "the current password is wrong";
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "wrong-login",
            detail,
        ));
    }
    api.throttle.give_back(name.as_str(), visitor.caller.from);
    let now = api.roster.moment().at;
    let (accounts, new) = (api.accounts.clone(), body.new);
    let target = name.to_string();
    let work = move || account::set_password(accounts.path(), &name, &new, now);
    blocking("set a password", work).await??;
    // This session goes on; all others of the account end.
    api.sessions.prove(key).await?;
    api.accounts.look_now();
    looks::changed(
        &api,
        &principal,
        format!("account {target}"),
        None,
        "password",
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn setup(
    State(api): State<Api>,
    visitor: Visitor,
    Body(body): Body<SetupBody>,
) -> Result<Response, Problem> {
    // A link is 256 random bits; the limit is on the work that each attempt makes.
    throttle(&api, &visitor, "")?;
    let name = body.name.as_deref().map(ActorName::new).transpose();
    let name = name.map_err(|err| Problem::bad_request(format!("name: {err}")))?;
    let now = api.roster.moment().at;
    let (accounts, token, password) = (api.accounts.clone(), body.token, body.password);
    let work =
        move || account::accept_invite(accounts.path(), &token, name.as_ref(), &password, now);
    let owner = match blocking("accept a link", work).await? {
        Ok(owner) => owner,
        Err(err @ AccountError::NoInvite) => {
            refused(&api, &visitor, "", "unknown link").await?;
            return Err(err.into());
        }
        Err(err) => return Err(err.into()),
    };
    api.throttle.give_back("", visitor.caller.from);
    api.accounts.look_now();
    let Some(holder) = api.accounts.holder_named(&owner) else {
        return Err(AccountError::NoInvite.into());
    };
    begin(&api, &visitor, holder, "password set by a link").await
}

async fn refused(api: &Api, visitor: &Visitor, name: &str, why: &str) -> Result<(), Problem> {
    let name = clean(name, NAME_CHARS_SHOWN);
    record(api, visitor, AuditAct::LoginFailed, None, &name, why).await
}

async fn record(
    api: &Api,
    visitor: &Visitor,
    act: AuditAct,
    by: Option<Actor>,
    target: &str,
    detail: &str,
) -> Result<(), Problem> {
    let event = AuditEvent {
        at: api.roster.moment().at,
        by,
        from: visitor.caller.from,
        act,
        target: clean(target, AUDIT_TEXT_CHARS_MAX),
        place: None,
        detail: detail.to_owned(),
        reason: None,
        case: None,
    };
    audit::append(&api.store, event).await?;
    Ok(())
}

impl From<AccountError> for Problem {
    fn from(err: AccountError) -> Problem {
        let (status, kind) = match &err {
            AccountError::Unknown(_) => (StatusCode::NOT_FOUND, "not-found"),
            AccountError::Exists(_) => (StatusCode::CONFLICT, "account-exists"),
            AccountError::LastAdmin(_) => (StatusCode::CONFLICT, "last-admin"),
            AccountError::TooManyTokens(_)
            | AccountError::TooManyAccounts
            | AccountError::TooManyTold => (StatusCode::CONFLICT, "too-many"),
            AccountError::OtherRole { .. } => (StatusCode::CONFLICT, "other-role"),
            AccountError::Scope(_) => (StatusCode::BAD_REQUEST, "bad-buildings"),
            AccountError::Password(_) => (StatusCode::BAD_REQUEST, "weak-password"),
            AccountError::NoInvite => (StatusCode::NOT_FOUND, "no-invite"),
            AccountError::NameNeeded => (StatusCode::BAD_REQUEST, "name-needed"),
            AccountError::Io { .. }
            | AccountError::Malformed { .. }
            | AccountError::TooNew { .. }
            | AccountError::Random => return Problem::internal(&err),
        };
        Problem::new(status, kind, err.to_string())
    }
}
