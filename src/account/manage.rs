//! Changes of the accounts file: by commands, also while the gateway runs, and by the API.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tracing::info;

use super::book::{self, AccountsFile, InviteLine, Line, PasswordLine, TokenLine, Told};
use super::password::{self, check_password};
use super::{ACCOUNTS_MAX, Account, AccountError, TOKENS_MAX, digest, random};
use crate::domain::right::Scope;
use crate::domain::role::{ActorName, Role};
use crate::domain::secret::Secret;
use crate::time::WallTime;

/// With this every token begins, so that one that leaks is recognised.
pub(super) const TOKEN_PREFIX: &str = "stairgate_";
/// Random bytes in a token, a link, a session.
pub(super) const RANDOM_BYTES: usize = 32;
/// How long a link for setting up an account is good.
pub const INVITE_LIFE: Duration = Duration::from_secs(24 * 3_600);

/// Makes a token for the account `name`, and the account itself when it is new. This is the only
/// moment at which the token can be seen.
///
/// # Errors
/// [`AccountError`]; an account of another role is left as it is.
pub fn make_token<'p>(
    file: impl Into<AccountsFile<'p>>,
    name: &ActorName,
    role: Role,
    now: WallTime,
) -> Result<Secret, AccountError> {
    let token = format!("{TOKEN_PREFIX}{}", hex::encode(random::<RANDOM_BYTES>()?));
    file.into()
        .change(name, format!("token made, as {role}"), |book| {
            let is_full = book.accounts.len() >= ACCOUNTS_MAX && !book.accounts.contains_key(name);
            if is_full {
                return Err(AccountError::TooManyAccounts);
            }
            let line = book.accounts.entry(name.clone());
            let line = line.or_insert_with(|| Line::new(role, None));
            if line.role != role {
                return Err(AccountError::OtherRole {
                    name: name.clone(),
                    is: line.role,
                    asked: role,
                });
            }
            if line.tokens.len() >= TOKENS_MAX {
                return Err(AccountError::TooManyTokens(name.clone()));
            }
            line.tokens.push(TokenLine {
                sha256: hex::encode(digest(&token)),
                made_at: now,
            });
            Ok(())
        })?;
    info!(account = %name, %role, "token made");
    Ok(Secret::new(token))
}

/// Makes an account that can be used once it has a password or a token.
///
/// # Errors
/// [`AccountError::Exists`], [`AccountError::TooManyAccounts`], [`AccountError::Scope`], and what the file
/// can be.
pub fn add<'p>(
    file: impl Into<AccountsFile<'p>>,
    name: &ActorName,
    role: Role,
    buildings: Option<BTreeSet<String>>,
) -> Result<(), AccountError> {
    Scope::of(buildings.clone()).map_err(AccountError::Scope)?;
    file.into().change(
        name,
        format!("made as {role}{}", within(buildings.as_ref())),
        |book| {
            if book.accounts.contains_key(name) {
                return Err(AccountError::Exists(name.clone()));
            }
            if book.accounts.len() >= ACCOUNTS_MAX {
                return Err(AccountError::TooManyAccounts);
            }
            book.accounts
                .insert(name.clone(), Line::new(role, buildings));
            Ok(())
        },
    )
}

/// Gives the account another role; its tokens, password and buildings stay.
///
/// # Errors
/// [`AccountError::Unknown`], [`AccountError::LastAdmin`] and what the file can be.
pub fn set_role<'p>(
    file: impl Into<AccountsFile<'p>>,
    name: &ActorName,
    role: Role,
) -> Result<(), AccountError> {
    file.into().change(name, format!("now {role}"), |book| {
        let line = book.accounts.get_mut(name);
        line.ok_or_else(|| AccountError::Unknown(name.clone()))?
            .role = role;
        Ok(())
    })
}

/// Gives the account another role and other buildings, from the API: the last admin who can log in keeps
/// the role, since nobody could give it back there.
///
/// # Errors
/// [`AccountError::Unknown`], [`AccountError::LastAdmin`], [`AccountError::Scope`] and what the file can be.
pub fn set_rights<'p>(
    file: impl Into<AccountsFile<'p>>,
    name: &ActorName,
    role: Role,
    buildings: Option<BTreeSet<String>>,
) -> Result<(), AccountError> {
    Scope::of(buildings.clone()).map_err(AccountError::Scope)?;
    file.into().change(
        name,
        format!("now {role}{}", within(buildings.as_ref())),
        |book| {
            let stays_admin = role == Role::Admin && buildings.is_none();
            let is_last = is_last_admin(book, name);
            let line = book.accounts.get_mut(name);
            let line = line.ok_or_else(|| AccountError::Unknown(name.clone()))?;
            if is_last && !stays_admin {
                return Err(AccountError::LastAdmin(name.clone()));
            }
            (line.role, line.buildings) = (role, buildings);
            Ok(())
        },
    )
}

/// Limits the account to some buildings, or to none.
///
/// # Errors
/// [`AccountError::Unknown`], [`AccountError::Scope`] and what the file can be.
pub fn set_buildings<'p>(
    file: impl Into<AccountsFile<'p>>,
    name: &ActorName,
    buildings: Option<BTreeSet<String>>,
) -> Result<(), AccountError> {
    Scope::of(buildings.clone()).map_err(AccountError::Scope)?;
    file.into().change(
        name,
        match &buildings {
            Some(_) => format!("now{}", within(buildings.as_ref())),
            None => "now everywhere".to_owned(),
        },
        |book| {
            let line = book.accounts.get_mut(name);
            line.ok_or_else(|| AccountError::Unknown(name.clone()))?
                .buildings = buildings;
            Ok(())
        },
    )
}

/// Removes the account with its password and all its tokens.
///
/// # Errors
/// [`AccountError::Unknown`] and what the file can be.
pub fn remove<'p>(file: impl Into<AccountsFile<'p>>, name: &ActorName) -> Result<(), AccountError> {
    file.into().change(name, "removed", |book| {
        let gone = book.accounts.remove(name);
        gone.map(drop)
            .ok_or_else(|| AccountError::Unknown(name.clone()))
    })
}

/// The same from the API: the last admin who can log in stays.
///
/// # Errors
/// [`AccountError::LastAdmin`], besides those of [`remove`].
pub fn remove_unless_last<'p>(
    file: impl Into<AccountsFile<'p>>,
    name: &ActorName,
) -> Result<(), AccountError> {
    file.into().change(name, "removed", |book| {
        if is_last_admin(book, name) {
            return Err(AccountError::LastAdmin(name.clone()));
        }
        let gone = book.accounts.remove(name);
        gone.map(drop)
            .ok_or_else(|| AccountError::Unknown(name.clone()))
    })
}

fn is_last_admin(book: &book::Book, name: &ActorName) -> bool {
    let can = |line: &Line| {
        line.role == Role::Admin && line.buildings.is_none() && line.password.is_some()
    };
    let others = book.accounts.iter().filter(|(other, _)| *other != name);
    book.accounts.get(name).is_some_and(can) && !others.into_iter().any(|(_, line)| can(line))
}

/// Sets the account's password; its sessions end, an open link is good no more. Blocks for the hash.
///
/// # Errors
/// [`AccountError::Unknown`], [`AccountError::Password`] and what the file can be.
pub fn set_password<'p>(
    file: impl Into<AccountsFile<'p>>,
    name: &ActorName,
    new: &str,
    now: WallTime,
) -> Result<(), AccountError> {
    let line = password_line(name, new, now)?;
    file.into().change(name, "password set", |book| {
        let account = book.accounts.get_mut(name);
        let account = account.ok_or_else(|| AccountError::Unknown(name.clone()))?;
        (account.password, account.invite) = (Some(line), None);
        book.setup = None;
        Ok(())
    })
}

fn password_line(name: &ActorName, new: &str, now: WallTime) -> Result<PasswordLine, AccountError> {
    check_password(new, name.as_str()).map_err(AccountError::Password)?;
    Ok(PasswordLine {
        argon2: password::hash(new)?,
        set_at: now,
    })
}

/// Makes a link for the account, by which its owner sets a password, once; an earlier one is good no more.
/// Returns the token in it.
///
/// # Errors
/// [`AccountError::Unknown`] and what the file can be.
pub fn make_invite<'p>(
    file: impl Into<AccountsFile<'p>>,
    name: &ActorName,
    now: WallTime,
) -> Result<Secret, AccountError> {
    let (token, line) = new_invite(now)?;
    file.into()
        .change(name, "a link to set a password made", |book| {
            let account = book.accounts.get_mut(name);
            let account = account.ok_or_else(|| AccountError::Unknown(name.clone()))?;
            account.invite = Some(line);
            Ok(())
        })?;
    Ok(token)
}

/// Makes the link by which the first admin is set up, unless somebody has a password already; an earlier
/// one is good no more. Returns the token in it.
///
/// # Errors
/// What the file can be.
pub fn make_setup(path: &Path, now: WallTime) -> Result<Option<Secret>, AccountError> {
    if book::read(path)?.has_password() {
        return Ok(None);
    }
    let (token, line) = new_invite(now)?;
    book::change(path, |book| {
        book.setup = Some(line);
        Ok(())
    })?;
    Ok(Some(token))
}

fn new_invite(now: WallTime) -> Result<(Secret, InviteLine), AccountError> {
    let token = hex::encode(random::<RANDOM_BYTES>()?);
    let line = InviteLine {
        sha256: hex::encode(digest(&token)),
        expires_at: now.plus(INVITE_LIFE),
    };
    Ok((Secret::new(token), line))
}

/// Uses a link: sets the password of its account, or makes the first admin as `name`. Returns whose it is.
/// Blocks for the hash.
///
/// # Errors
/// [`AccountError::NoInvite`] when the link is unknown, used or too old; [`AccountError::NameNeeded`];
/// [`AccountError::Password`]; what the file can be. Then it can be used again.
pub fn accept_invite(
    path: &Path,
    token: &str,
    name: Option<&ActorName>,
    new: &str,
    now: WallTime,
) -> Result<ActorName, AccountError> {
    let sha256 = hex::encode(digest(token));
    let is_good = |invite: &Option<InviteLine>| {
        let invite = invite.as_ref();
        invite.is_some_and(|invite| invite.sha256 == sha256 && invite.expires_at > now)
    };
    // Before the hash, which takes its time: whose link it is.
    let book = book::read(path)?;
    let invited = book.accounts.iter().find(|(_, line)| is_good(&line.invite));
    let invited = invited.map(|(name, _)| name.clone());
    let owner = match (invited, name) {
        (Some(owner), _) => owner,
        (None, _) if !is_good(&book.setup) => return Err(AccountError::NoInvite),
        (None, Some(name)) => name.clone(),
        (None, None) => return Err(AccountError::NameNeeded),
    };
    let line = password_line(&owner, new, now)?;
    let name = owner.clone();
    book::change(path, |book| {
        let is_first = is_good(&book.setup) && !book.has_password();
        let invited = book.accounts.get_mut(&owner);
        match invited.filter(|account| is_good(&account.invite)) {
            Some(account) => (account.password, account.invite) = (Some(line), None),
            None if is_first => {
                // A program's account keeps its rights, and so do its tokens.
                if book.accounts.contains_key(&owner) {
                    return Err(AccountError::Exists(owner));
                }
                let mut account = Line::new(Role::Admin, None);
                account.password = Some(line);
                book.accounts.insert(owner.clone(), account);
            }
            None => return Err(AccountError::NoInvite),
        }
        book.setup = None;
        Ok(())
    })?;
    info!(account = %name, "password set by a link");
    Ok(name)
}

/// Takes what commands did off the file, once it stands in the audit.
///
/// # Errors
/// What the file can be.
pub fn forget_told(path: &Path, told: &[Told]) -> Result<(), AccountError> {
    book::change(path, |book| {
        book.told.retain(|one| !told.contains(one));
        Ok(())
    })
}

/// Where an account may, for the audit: nothing for everywhere.
pub fn within(buildings: Option<&BTreeSet<String>>) -> String {
    let Some(buildings) = buildings else {
        return String::new();
    };
    let names: Vec<&str> = buildings.iter().map(String::as_str).collect();
    format!(" in {}", names.join(", "))
}

/// Every account, by name.
///
/// # Errors
/// [`AccountError`] when the file cannot be read.
pub fn list(path: &Path) -> Result<Vec<Account>, AccountError> {
    let book = book::read(path)?;
    let accounts = book.accounts.into_iter().map(|(name, line)| Account {
        name,
        role: line.role,
        buildings: line.buildings,
        has_password: line.password.is_some(),
        tokens_made_at: line.tokens.into_iter().map(|token| token.made_at).collect(),
    });
    Ok(accounts.collect())
}
