//! The file of accounts, and what opens by what is in it.

use super::*;
use crate::account::manage::TOKEN_PREFIX;

fn name(text: &str) -> ActorName {
    ActorName::new(text).unwrap()
}

fn now() -> WallTime {
    WallTime::from_unix_ms(1_800_000_000_000)
}

fn new_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.json");
    (folder, path)
}

#[tokio::test(start_paused = true)]
async fn a_token_names_its_account_until_it_is_taken_away() {
    let (_folder, path) = new_file();
    let accounts = Accounts::at(&path);
    assert_eq!(accounts.holder_of("stairgate_00"), None);

    let token = make_token(&path, &name("li.wei"), Role::DutyOfficer, now()).unwrap();
    tokio::time::advance(LOOK_AGAIN).await;
    let actor = accounts.holder_of(token.reveal()).unwrap().actor;
    assert_eq!(
        (actor.name.as_str(), actor.role),
        ("li.wei", Role::DutyOfficer)
    );

    set_role(&path, &name("li.wei"), Role::Auditor).unwrap();
    tokio::time::advance(LOOK_AGAIN).await;
    assert_eq!(
        accounts.holder_of(token.reveal()).unwrap().actor.role,
        Role::Auditor
    );

    remove(&path, &name("li.wei")).unwrap();
    tokio::time::advance(LOOK_AGAIN).await;
    assert_eq!(accounts.holder_of(token.reveal()), None);
    assert!(matches!(
        remove(&path, &name("li.wei")),
        Err(AccountError::Unknown(_))
    ));
}

#[test]
fn the_file_holds_no_token() {
    let (_folder, path) = new_file();
    let token = make_token(&path, &name("hall"), Role::Admin, now()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let random = token.reveal().strip_prefix(TOKEN_PREFIX).unwrap();
    assert_eq!(random.len(), 64);
    assert!(text.contains("hall") && !text.contains(random));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_lets_nobody_in_and_is_not_overwritten() {
    let (_folder, path) = new_file();
    let token = make_token(&path, &name("hall"), Role::Admin, now()).unwrap();
    let accounts = Accounts::at(&path);
    assert!(accounts.holder_of(token.reveal()).is_some());
    std::fs::write(&path, "{\"version\":1,").unwrap();
    tokio::time::advance(LOOK_AGAIN).await;
    assert_eq!(accounts.holder_of(token.reveal()), None);
    let err = make_token(&path, &name("hall"), Role::Admin, now()).unwrap_err();
    assert!(matches!(err, AccountError::Malformed { .. }), "{err}");
    std::fs::write(&path, "{\"version\":3,\"accounts\":{}}").unwrap();
    let err = list(&path).unwrap_err();
    assert!(
        matches!(err, AccountError::TooNew { found: 3, .. }),
        "{err}"
    );
}

#[test]
fn a_role_is_changed_on_purpose_only_and_tokens_are_bounded() {
    let (_folder, path) = new_file();
    let hall = name("hall");
    for _ in 0..TOKENS_MAX {
        make_token(&path, &hall, Role::Admin, now()).unwrap();
    }
    let err = make_token(&path, &hall, Role::Admin, now()).unwrap_err();
    assert!(matches!(err, AccountError::TooManyTokens(_)), "{err}");
    let err = make_token(&path, &hall, Role::Auditor, now()).unwrap_err();
    assert!(matches!(err, AccountError::OtherRole { .. }), "{err}");
    let listed = list(&path).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].tokens_made_at.len(), TOKENS_MAX);
}

#[test]
fn commands_at_the_same_time_undo_nothing() {
    let (_folder, path) = new_file();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let path = &path;
            scope.spawn(move || {
                make_token(path, &name(&format!("p{n}")), Role::Auditor, now()).unwrap();
            });
        }
    });
    assert_eq!(list(&path).unwrap().len(), 8);
}

const PASSWORD: &str = "correct horse battery";

#[test]
fn a_file_of_tokens_only_is_still_read() {
    let (_folder, path) = new_file();
    let token = "stairgate_0123";
    let sha256 = hex::encode(digest(token));
    let text = format!(
        "{{\"version\":1,\"accounts\":{{\"hall\":{{\"role\":\"duty-officer\",\"tokens\":\
         [{{\"sha256\":\"{sha256}\",\"made_at\":\"2026-11-25T00:00:00Z\"}}]}}}}}}"
    );
    std::fs::write(&path, text).unwrap();
    let accounts = Accounts::at(&path);
    let holder = accounts.holder_of(token).unwrap();
    assert_eq!(holder.actor.role, Role::DutyOfficer);
    assert!(holder.scope.is_everywhere() && !accounts.is_set_up());
    set_password(&path, &name("hall"), PASSWORD, now()).unwrap();
    accounts.look_now();
    assert!(accounts.is_set_up() && accounts.holder_of(token).is_some());
}

#[test]
fn a_password_opens_its_account_and_no_other() {
    let (_folder, path) = new_file();
    let accounts = Accounts::at(&path);
    for who in ["li", "wang"] {
        add(&path, &name(who), Role::DutyOfficer, None).unwrap();
    }
    assert!(matches!(
        add(&path, &name("li"), Role::Admin, None),
        Err(AccountError::Exists(_))
    ));
    let weak = set_password(&path, &name("li"), "short", now());
    assert!(matches!(
        weak,
        Err(AccountError::Password(PasswordError::Short))
    ));
    set_password(&path, &name("li"), PASSWORD, now()).unwrap();
    accounts.look_now();
    assert_eq!(
        accounts.log_in("li", PASSWORD).unwrap().actor.name,
        name("li")
    );
    for (who, password) in [
        ("li", "correct horse battery!"),
        ("wang", PASSWORD),
        ("nobody", PASSWORD),
        ("Li Wei", PASSWORD),
        ("li", ""),
    ] {
        assert_eq!(accounts.log_in(who, password), None, "{who}");
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("horse"));
}

#[test]
fn a_link_is_good_once_for_a_day_and_for_its_account() {
    let (_folder, path) = new_file();
    let later = now().plus(INVITE_LIFE);
    add(&path, &name("li"), Role::DutyOfficer, None).unwrap();
    let first = make_invite(&path, &name("li"), now()).unwrap();
    let link = make_invite(&path, &name("li"), now()).unwrap();
    let accept = |link: &str, password: &str, at| accept_invite(&path, link, None, password, at);
    for (link, at) in [(first.reveal(), now()), (link.reveal(), later), ("", now())] {
        let refused = accept(link, PASSWORD, at);
        assert!(
            matches!(refused, Err(AccountError::NoInvite)),
            "{refused:?}"
        );
    }
    let weak = accept(link.reveal(), "short", now());
    assert!(matches!(weak, Err(AccountError::Password(_))), "{weak:?}");
    assert_eq!(accept(link.reveal(), PASSWORD, now()).unwrap(), name("li"));
    let again = accept(link.reveal(), PASSWORD, now());
    assert!(matches!(again, Err(AccountError::NoInvite)), "{again:?}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(link.reveal()));
}

#[test]
fn the_first_admin_is_set_up_once_under_a_new_name() {
    let (_folder, path) = new_file();
    make_token(&path, &name("hall"), Role::DutyOfficer, now()).unwrap();
    let link = make_setup(&path, now()).unwrap().unwrap();
    let accept = |who: Option<&str>| {
        let who = who.map(name);
        accept_invite(&path, link.reveal(), who.as_ref(), PASSWORD, now())
    };
    assert!(matches!(accept(None), Err(AccountError::NameNeeded)));
    let taken = accept(Some("hall"));
    assert!(matches!(taken, Err(AccountError::Exists(_))), "{taken:?}");
    assert_eq!(accept(Some("chen")).unwrap(), name("chen"));
    assert!(matches!(accept(Some("eve")), Err(AccountError::NoInvite)));
    assert!(make_setup(&path, now()).unwrap().is_none());
    let listed = list(&path).unwrap();
    let chen = listed.iter().find(|one| one.name == name("chen")).unwrap();
    assert!(chen.role == Role::Admin && chen.has_password);
}

#[test]
fn the_last_admin_cannot_lock_everybody_out() {
    let (_folder, path) = new_file();
    for who in ["chen", "li"] {
        add(&path, &name(who), Role::Admin, None).unwrap();
    }
    set_password(&path, &name("chen"), PASSWORD, now()).unwrap();
    let demoted = set_rights(&path, &name("chen"), Role::Auditor, None);
    assert!(matches!(demoted, Err(AccountError::LastAdmin(_))));
    let limited = set_rights(
        &path,
        &name("chen"),
        Role::Admin,
        Some(["3".to_owned()].into()),
    );
    assert!(matches!(limited, Err(AccountError::LastAdmin(_))));
    let gone = remove_unless_last(&path, &name("chen"));
    assert!(matches!(gone, Err(AccountError::LastAdmin(_))));
    set_password(&path, &name("li"), PASSWORD, now()).unwrap();
    remove_unless_last(&path, &name("chen")).unwrap();
    let nowhere = set_rights(&path, &name("li"), Role::Admin, Some(BTreeSet::new()));
    assert!(matches!(nowhere, Err(AccountError::Scope(_))));
}
