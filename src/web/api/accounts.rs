//! `GET` and `POST /accounts`, `PUT` and `DELETE /accounts/{name}`, `POST /accounts/{name}/invite`;
//! `GET /sessions`, `DELETE /sessions/{id}`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::account::{self, Account, SessionView, within};
use crate::domain::audit::AuditAct;
use crate::domain::role::{ActorName, Role};
use crate::supervise::blocking;
use crate::time::WallTime;
use crate::web::Api;
use crate::web::access::{Action, authorise, may};
use crate::web::extract::{Asked, Body, Id, Nothing};
use crate::web::looks::{self, Grounds, Look};
use crate::web::page::Page;
use crate::web::principal::Principal;
use crate::web::problem::Problem;

/// An account as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct AccountView {
    name: ActorName,
    role: Role,
    buildings: Option<BTreeSet<String>>,
    has_password: bool,
    n_sessions: usize,
    n_tokens: usize,
    last_login_at: Option<WallTime>,
}

/// An account that was just made, or whose link was made anew.
#[derive(Debug, Serialize)]
pub(crate) struct InvitedView {
    #[serde(flatten)]
    account: AccountView,
    /// The token of the link; shown once.
    invite: String,
    /// The link, behind the gateway's address.
    invite_path: String,
}

/// A session as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct ShownSession {
    id: String,
    name: ActorName,
    made_at: WallTime,
    seen_at: WallTime,
    expires_at: WallTime,
    from: Option<IpAddr>,
    /// Is it the one that asks?
    own: bool,
}

/// An account to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBody {
    name: String,
    role: Role,
    buildings: Option<BTreeSet<String>>,
}

/// Other rights of an account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RightsBody {
    role: Role,
    buildings: Option<BTreeSet<String>>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Page<AccountView>>, Problem> {
    authorise(&principal, Action::SeeAccounts, None)?;
    let path = api.accounts.path().to_owned();
    let accounts = blocking("list accounts", move || account::list(&path)).await??;
    let n_sessions = n_sessions(&api);
    let views = accounts.into_iter().map(|one| view(&api, one, &n_sessions));
    // Bounded by the file, so one page holds all.
    Ok(Json(Page {
        items: views.collect(),
        next_cursor: None,
    }))
}

fn n_sessions(api: &Api) -> BTreeMap<ActorName, usize> {
    let mut counted = BTreeMap::new();
    for session in api.sessions.list(None) {
        *counted.entry(session.name).or_default() += 1;
    }
    counted
}

fn view(api: &Api, account: Account, n_sessions: &BTreeMap<ActorName, usize>) -> AccountView {
    AccountView {
        role: account.role,
        buildings: account.buildings,
        has_password: account.has_password,
        n_sessions: n_sessions.get(&account.name).copied().unwrap_or(0),
        n_tokens: account.tokens_made_at.len(),
        last_login_at: api.sessions.last_log_in(&account.name),
        name: account.name,
    }
}

async fn view_of(api: &Api, name: &ActorName) -> Result<AccountView, Problem> {
    let path = api.accounts.path().to_owned();
    let accounts = blocking("list accounts", move || account::list(&path)).await??;
    let found = accounts.into_iter().find(|one| one.name == *name);
    let found = found.ok_or_else(|| Problem::not_found("no such account"))?;
    Ok(view(api, found, &n_sessions(api)))
}

pub(crate) async fn add(
    State(api): State<Api>,
    principal: Principal,
    Body(body): Body<NewBody>,
) -> Result<(StatusCode, Json<InvitedView>), Problem> {
    authorise(&principal, Action::ManageAccounts, None)?;
    let name = name(&body.name)?;
    let detail = format!("made as {}{}", body.role, within(body.buildings.as_ref()));
    let (path, new) = (api.accounts.path().to_owned(), name.clone());
    let work = move || account::add(&path, &new, body.role, body.buildings);
    blocking("make an account", work).await??;
    api.accounts.look_now();
    changed(&api, &principal, &name, &detail).await?;
    let invited = invite_to(&api, &name).await?;
    Ok((StatusCode::CREATED, Json(invited)))
}

pub(crate) async fn put(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
    Body(body): Body<RightsBody>,
) -> Result<Json<AccountView>, Problem> {
    authorise(&principal, Action::ManageAccounts, None)?;
    let name = name(&id)?;
    let detail = format!("now {}{}", body.role, within(body.buildings.as_ref()));
    let (path, whose) = (api.accounts.path().to_owned(), name.clone());
    let work = move || account::set_rights(&path, &whose, body.role, body.buildings);
    blocking("change an account", work).await??;
    api.accounts.look_now();
    changed(&api, &principal, &name, &detail).await?;
    view_of(&api, &name).await.map(Json)
}

pub(crate) async fn invite(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
) -> Result<Json<InvitedView>, Problem> {
    authorise(&principal, Action::ManageAccounts, None)?;
    let name = name(&id)?;
    let invited = invite_to(&api, &name).await?;
    changed(&api, &principal, &name, "a link to set a password made").await?;
    Ok(Json(invited))
}

async fn invite_to(api: &Api, name: &ActorName) -> Result<InvitedView, Problem> {
    let now = api.roster.moment().at;
    let (path, whose) = (api.accounts.path().to_owned(), name.clone());
    let work = move || account::make_invite(&path, &whose, now);
    let invite = blocking("make a link", work).await??;
    Ok(InvitedView {
        account: view_of(api, name).await?,
        invite_path: format!("/#/setup/{}", invite.reveal()),
        invite: invite.reveal().to_owned(),
    })
}

pub(crate) async fn remove(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    authorise(&principal, Action::ManageAccounts, None)?;
    let name = name(&id)?;
    let (path, whose) = (api.accounts.path().to_owned(), name.clone());
    let work = move || account::remove_unless_last(&path, &whose);
    blocking("remove an account", work).await??;
    api.accounts.look_now();
    changed(&api, &principal, &name, "removed").await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn sessions(
    State(api): State<Api>,
    principal: Principal,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Page<ShownSession>>, Problem> {
    let sees_all = may(&principal, Action::SeeAccounts);
    let of = (!sees_all).then_some(&principal.actor.name);
    let own = principal.session().map(|key| key.id());
    let listed = api.sessions.list(of).into_iter();
    let items = listed.map(|session| ShownSession::new(session, own.as_deref()));
    // Bounded by the sessions there may be, so one page holds all.
    Ok(Json(Page {
        items: items.collect(),
        next_cursor: None,
    }))
}

impl ShownSession {
    fn new(session: SessionView, own: Option<&str>) -> ShownSession {
        ShownSession {
            own: own == Some(session.id.as_str()),
            id: session.id,
            name: session.name,
            made_at: session.made_at,
            seen_at: session.seen_at,
            expires_at: session.expires_at,
            from: session.from,
        }
    }
}

pub(crate) async fn end_session(
    State(api): State<Api>,
    principal: Principal,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    let ends_all = may(&principal, Action::ManageAccounts);
    let of = (!ends_all).then_some(&principal.actor.name);
    let Some(whose) = api.sessions.end_by_id(&id, of).await? else {
        return Err(Problem::not_found("no such session"));
    };
    let look = Look {
        act: AuditAct::Logout,
        target: whose.to_string(),
        place: None,
        detail: format!("session {id} ended"),
    };
    looks::record(&api, &principal, look, Grounds::default()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn name(text: &str) -> Result<ActorName, Problem> {
    ActorName::new(text).map_err(|err| Problem::bad_request(format!("name: {err}")))
}

async fn changed(
    api: &Api,
    principal: &Principal,
    name: &ActorName,
    detail: &str,
) -> Result<(), Problem> {
    looks::changed(api, principal, format!("account {name}"), None, detail).await
}
