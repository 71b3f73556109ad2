//! Who may what: every route, with the roles that may and where. A route without a row fails the test, and
//! so does a row without a route.

use serde_json::{Value, json};

/// Where an account limited to some buildings may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// What is asked for is in building 3.
    Building,
    /// Rows of other places are left out.
    Rows,
    /// It is of the compound as one: not for who is limited.
    Whole,
    /// It is of the account itself.
    Own,
    /// No account is needed.
    Anyone,
}

/// One route.
pub(super) struct Row {
    pub(super) method: &'static str,
    /// As `openapi.json` has it, behind `/api/v1`.
    pub(super) path: &'static str,
    /// What to ask: ids of things in building 3, which need not be there.
    pub(super) asked: String,
    /// The first letters of the roles that may: duty officer, property manager, installer, auditor. An admin
    /// always may.
    pub(super) roles: &'static str,
    pub(super) at: At,
    pub(super) body: Option<Value>,
}

/// Things that are in building 3.
pub(super) struct Things {
    pub(super) entry: String,
    pub(super) alert: String,
    pub(super) card: String,
}

fn row(
    method: &'static str,
    path: &'static str,
    asked: impl Into<String>,
    (roles, at): (&'static str, At),
) -> Row {
    Row {
        method,
        path,
        asked: asked.into(),
        roles,
        at,
        body: None,
    }
}

impl Row {
    fn with(mut self, body: Value) -> Row {
        self.body = Some(body);
        self
    }
}

/// Everything, in the order of the router.
pub(super) fn rows(things: &Things) -> Vec<Row> {
    let mut rows = duty(things);
    rows.extend(office(things));
    rows.extend(site());
    rows.extend(installer());
    rows.extend(accounts());
    rows
}

#[expect(clippy::too_many_lines, reason = "a table: one row for each route")]
fn duty(things: &Things) -> Vec<Row> {
    let (entry, alert) = (&things.entry, &things.alert);
    let step = |path, name: &str, roles| {
        let asked = format!("/alerts/{alert}/{name}");
        row("post", path, asked, (roles, At::Building)).with(Value::Null)
    };
    let clip = |path, name: &str| {
        let asked = format!("/entries/{entry}/{name}?reason=test");
        row("get", path, asked, ("dpa", At::Building))
    };
    vec![
        row("get", "/entries", "/entries", ("dpa", At::Rows)),
        row(
            "get",
            "/entries/{id}",
            format!("/entries/{entry}"),
            ("dpa", At::Building),
        ),
        clip("/entries/{id}/clip.mp4", "clip.mp4"),
        clip("/entries/{id}/thumbnail.jpg", "thumbnail.jpg"),
        clip("/entries/{id}/manifest.json", "manifest.json"),
        row("get", "/alerts", "/alerts", ("dpia", At::Rows)),
        row(
            "get",
            "/alerts/stream",
            "/alerts/stream",
            ("dpia", At::Rows),
        ),
        row(
            "get",
            "/alerts/{id}",
            format!("/alerts/{alert}"),
            ("dpia", At::Building),
        ),
        step("/alerts/{id}/acknowledge", "acknowledge", "d"),
        step("/alerts/{id}/dispatch", "dispatch", "d"),
        step("/alerts/{id}/accept", "accept", "dp"),
        step("/alerts/{id}/resolve", "resolve", "dp"),
        step("/alerts/{id}/verify", "verify", "d"),
        step("/alerts/{id}/close", "close", "d"),
        step("/alerts/{id}/reopen", "reopen", "d"),
        step("/alerts/{id}/cancel", "cancel", "d"),
        row(
            "post",
            "/alerts/{id}/pictures",
            format!("/alerts/{alert}/pictures?when=before"),
            ("dp", At::Building),
        ),
        row(
            "get",
            "/alerts/{id}/pictures/{sha256}",
            format!("/alerts/{alert}/pictures/{}", "0".repeat(64)),
            ("dpa", At::Building),
        ),
        row("get", "/statistics", "/statistics", ("da", At::Rows)),
        row(
            "get",
            "/statistics.xlsx",
            "/statistics.xlsx",
            ("da", At::Rows),
        ),
        row(
            "get",
            "/alerts/{id}/trail",
            format!("/alerts/{alert}/trail"),
            ("dpa", At::Building),
        ),
        row("get", "/figures/hours", "/figures/hours", ("da", At::Rows)),
        row(
            "get",
            "/figures/cameras",
            "/figures/cameras",
            ("dpia", At::Rows),
        ),
        row(
            "get",
            "/figures/storage",
            "/figures/storage",
            ("dpia", At::Rows),
        ),
        row("get", "/live", "/live", ("di", At::Rows)),
        row(
            "get",
            "/cameras/{id}/picture.jpg",
            "/cameras/b03-u2-in/picture.jpg",
            ("di", At::Building),
        ),
        row(
            "get",
            "/statistics/handover",
            "/statistics/handover",
            ("da", At::Rows),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table: one row for each route")]
fn office(things: &Things) -> Vec<Row> {
    let card = &things.card;
    let home = json!({
        "place": "b03-u2", "number": "301", "area_m2": "94.30", "tenure": "rented",
    });
    let holder = json!({"name": "Test Person", "relation": "tenant"});
    let why = json!({"why": "test"});
    let of_card = |path, name: &str| {
        let asked = format!("/cards/{card}{name}");
        row("post", path, asked, ("p", At::Building)).with(why.clone())
    };
    vec![
        row("get", "/dwellings", "/dwellings", ("pa", At::Rows)),
        row(
            "get",
            "/dwellings/{id}",
            "/dwellings/d1",
            ("pa", At::Building),
        ),
        row(
            "put",
            "/dwellings/{id}",
            "/dwellings/d1",
            ("p", At::Building),
        )
        .with(home),
        row(
            "get",
            "/dwellings/{id}/history",
            "/dwellings/d1/history",
            ("pa", At::Building),
        ),
        row(
            "get",
            "/dwellings/{id}/cardholders",
            "/dwellings/d1/cardholders?reason=test",
            ("dpa", At::Building),
        ),
        row(
            "post",
            "/dwellings/{id}/cardholders",
            "/dwellings/d1/cardholders",
            ("p", At::Building),
        )
        .with(holder.clone()),
        row(
            "put",
            "/dwellings/{id}/cardholders/{holder}",
            "/dwellings/d1/cardholders/nobody",
            ("p", At::Building),
        )
        .with(holder),
        row(
            "delete",
            "/dwellings/{id}/cardholders/{holder}",
            "/dwellings/d1/cardholders/nobody",
            ("p", At::Building),
        ),
        row("get", "/cards", "/cards", ("pa", At::Rows)),
        row("post", "/cards", "/cards", ("p", At::Building))
            .with(json!({"card": "04A1B2C3D4", "holder": "h1"})),
        row(
            "get",
            "/cards/{id}",
            format!("/cards/{card}"),
            ("pa", At::Building),
        ),
        row(
            "put",
            "/cards/{id}",
            format!("/cards/{card}"),
            ("p", At::Building),
        )
        .with(json!({})),
        row(
            "post",
            "/doors/{id}/next-card",
            "/doors/b03-u2-door/next-card?wait_s=1",
            ("p", At::Building),
        ),
        of_card("/cards/{id}/lost", "/lost"),
        of_card("/cards/{id}/found", "/found"),
        of_card("/cards/{id}/revoke", "/revoke"),
        row(
            "post",
            "/roster/import",
            "/roster/import?dry_run=true",
            ("p", At::Whole),
        ),
        row("get", "/roster/export", "/roster/export", ("p", At::Whole)),
        row(
            "get",
            "/roster/report.xlsx",
            "/roster/report.xlsx",
            ("pa", At::Whole),
        ),
        row(
            "get",
            "/roster/template.xlsx",
            "/roster/template.xlsx",
            ("dpia", At::Own),
        ),
    ]
}

fn site() -> Vec<Row> {
    vec![
        row("get", "/deliveries", "/deliveries", ("dia", At::Whole)),
        row(
            "post",
            "/deliveries/retry",
            "/deliveries/retry",
            ("di", At::Whole),
        ),
        row(
            "post",
            "/deliveries/{id}/retry",
            format!("/deliveries/{}.police/retry", "0".repeat(32)),
            ("di", At::Whole),
        ),
        row("get", "/cameras", "/cameras", ("dpia", At::Rows)),
        row("get", "/doors", "/doors", ("dpia", At::Rows)),
        row("get", "/places", "/places", ("dpia", At::Rows)),
        row("get", "/linkages", "/linkages", ("dpia", At::Rows)),
    ]
}

fn installer() -> Vec<Row> {
    let only = ("i", At::Whole);
    let stale = || json!({ "version": "of no file" });
    vec![
        row("get", "/site", "/site", only),
        row("put", "/site", "/site", only).with(stale()),
        row("post", "/site/check", "/site/check", only).with(stale()),
        row("post", "/site/probe", "/site/probe", only).with(json!({})),
        row("get", "/site/missing", "/site/missing", only),
        row("get", "/site/template.xlsx", "/site/template.xlsx", only),
        row("post", "/site/spreadsheet", "/site/spreadsheet", only),
        row("post", "/linkages/{id}/probe", "/linkages/none/probe", only),
        row("get", "/health", "/health", ("dpia", At::Rows)),
    ]
}

fn accounts() -> Vec<Row> {
    vec![
        row("get", "/me", "/me", ("dpia", At::Own)),
        row("post", "/login", "/login", ("dpia", At::Anyone))
            .with(json!({"name": "nobody", "password": "wrong"})),
        row("post", "/setup", "/setup", ("dpia", At::Anyone))
            .with(json!({"token": "wrong", "password": "correct horse battery"})),
        row("post", "/logout", "/logout", ("dpia", At::Own)),
        row("put", "/me/password", "/me/password", ("dpia", At::Own))
            .with(json!({"current": "x", "new": "y"})),
        row("get", "/accounts", "/accounts", ("a", At::Whole)),
        row("post", "/accounts", "/accounts", ("", At::Whole))
            .with(json!({"name": "new", "role": "auditor"})),
        row("put", "/accounts/{name}", "/accounts/none", ("", At::Whole))
            .with(json!({"role": "auditor"})),
        row(
            "delete",
            "/accounts/{name}",
            "/accounts/none",
            ("", At::Whole),
        ),
        row(
            "post",
            "/accounts/{name}/invite",
            "/accounts/none/invite",
            ("", At::Whole),
        ),
        row("get", "/sessions", "/sessions", ("dpia", At::Own)),
        row(
            "delete",
            "/sessions/{id}",
            "/sessions/none",
            ("dpia", At::Own),
        ),
        row("get", "/audit", "/audit", ("a", At::Whole)),
        row(
            "get",
            "/audit/export.csv",
            "/audit/export.csv",
            ("a", At::Whole),
        ),
        row(
            "get",
            "/openapi.json",
            "/openapi.json",
            ("dpia", At::Anyone),
        ),
    ]
}
