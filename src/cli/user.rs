//! `user`: accounts of people and programs. Works while the gateway runs.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Read as _};
use std::path::Path;

use clap::Subcommand;

use super::printer::Printer;
use super::{ConfigArg, Exit, failed, load_config};
use crate::account::{self, AccountError, AccountsFile, PASSWORD_BYTES_MAX};
use crate::config::Config;
use crate::domain::role::{ActorName, Role};
use crate::domain::secret::Secret;
use crate::time::Clock;

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make an account for a person, and print the link by which they set their password, once, within a day.
    #[command(after_help = "\
Examples:
  stairgate user add li.wei --role duty-officer
  stairgate user add li.wei --role duty-officer --building 3 --building compound")]
    Add {
        /// The account: 1 to 32 of a-z 0-9 - _ .
        name: ActorName,
        /// duty-officer, property-manager, installer, auditor or admin.
        #[arg(long)]
        role: Role,
        /// Limit the account to this building (repeat it; `compound`: the gates). Default: everywhere.
        #[arg(long = "building", value_name = "NAME")]
        buildings: Vec<String>,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Print a new link for setting the password, once, within a day; makes the account when --role is
    /// given and it is new.
    #[command(after_help = "Example:\n  stairgate user invite li.wei --role admin")]
    Invite {
        /// The account.
        name: ActorName,
        /// Of an account that is to be made.
        #[arg(long)]
        role: Option<Role>,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Set the password to the first line of standard input; all sessions of the account end.
    #[command(after_help = "Example:\n  stairgate user passwd li.wei < new-password")]
    Passwd {
        /// The account.
        name: ActorName,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Make a token for a program or a person, and the account when it is new; prints it, once.
    #[command(
        after_help = "Example:\n  stairgate user token hall-screen --role duty-officer > hall.token"
    )]
    Token {
        /// The account: 1 to 32 of a-z 0-9 - _ .
        name: ActorName,
        /// duty-officer, property-manager, installer, auditor or admin.
        #[arg(long)]
        role: Role,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Give an account another role; its password, tokens and buildings stay.
    #[command(after_help = "Example:\n  stairgate user role li.wei auditor")]
    Role {
        /// The account.
        name: ActorName,
        /// duty-officer, property-manager, installer, auditor or admin.
        role: Role,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Limit an account to some buildings, or to none.
    #[command(after_help = "\
Examples:
  stairgate user scope li.wei 3 5 compound
  stairgate user scope li.wei")]
    Scope {
        /// The account.
        name: ActorName,
        /// The buildings; `compound`: the gates. None: everywhere.
        buildings: Vec<String>,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Remove an account with its password and all its tokens; open connections end within seconds.
    #[command(after_help = "Example:\n  stairgate user remove li.wei")]
    Remove {
        /// The account.
        name: ActorName,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Every account with its role, its buildings, whether it has a password, and the days its tokens were
    /// made.
    #[command(after_help = "Example:\n  stairgate user list --config gateway.toml")]
    List {
        #[command(flatten)]
        config: ConfigArg,
    },
}

pub(super) fn user(command: &UserCommand, printer: &Printer) -> Exit {
    let (UserCommand::Add { config, .. }
    | UserCommand::Invite { config, .. }
    | UserCommand::Passwd { config, .. }
    | UserCommand::Token { config, .. }
    | UserCommand::Role { config, .. }
    | UserCommand::Scope { config, .. }
    | UserCommand::Remove { config, .. }
    | UserCommand::List { config }) = command;
    let config = match load_config(&config.config, printer) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match run(command, &config, printer) {
        Ok(()) => Exit::Done,
        Err(err) => failed(printer, &err),
    }
}

/// Why a command about accounts failed.
#[derive(Debug, thiserror::Error)]
enum UserError {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("read the password from standard input")]
    Input(#[source] std::io::Error),
}

fn run(command: &UserCommand, config: &Config, printer: &Printer) -> Result<(), UserError> {
    let path = config.web.accounts_file.as_path();
    let now = Clock::system().now();
    let file = AccountsFile::by_command(path, now);
    match command {
        UserCommand::Add {
            name,
            role,
            buildings,
            ..
        } => {
            account::add(file, name, *role, set_of(buildings))?;
            print_link(config, &account::make_invite(file, name, now)?, printer);
        }
        UserCommand::Invite { name, role, .. } => {
            if let Some(role) = role {
                make_if_new(config, file, name, *role)?;
            }
            print_link(config, &account::make_invite(file, name, now)?, printer);
        }
        UserCommand::Passwd { name, .. } => {
            let password = read_password()?;
            account::set_password(file, name, password.reveal(), now)?;
        }
        UserCommand::Token { name, role, .. } => {
            let token = account::make_token(file, name, *role, now)?;
            printer.out(token.reveal());
        }
        UserCommand::Role { name, role, .. } => account::set_role(file, name, *role)?,
        UserCommand::Scope {
            name, buildings, ..
        } => account::set_buildings(file, name, set_of(buildings))?,
        UserCommand::Remove { name, .. } => account::remove(file, name)?,
        UserCommand::List { .. } => list(path, printer)?,
    }
    Ok(())
}

fn set_of(buildings: &[String]) -> Option<BTreeSet<String>> {
    (!buildings.is_empty()).then(|| buildings.iter().cloned().collect())
}

fn make_if_new(
    config: &Config,
    file: AccountsFile<'_>,
    name: &ActorName,
    role: Role,
) -> Result<(), AccountError> {
    match account::add(file, name, role, None) {
        Err(AccountError::Exists(name)) => {
            let accounts = account::list(&config.web.accounts_file)?;
            let is = accounts.into_iter().find(|one| one.name == name);
            match is.map(|one| one.role) {
                Some(is) if is != role => Err(AccountError::OtherRole {
                    name,
                    is,
                    asked: role,
                }),
                Some(_) | None => Ok(()),
            }
        }
        other => other,
    }
}

fn print_link(config: &Config, token: &Secret, printer: &Printer) {
    let base = match &config.web.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => {
            let scheme = if config.web.tls.is_some() {
                "https"
            } else {
                "http"
            };
            format!("{scheme}://{}", config.web.listen)
        }
    };
    printer.out(&format!("{base}/#/setup/{}", token.reveal()));
}

/// The first line of standard input.
fn read_password() -> Result<Secret, UserError> {
    let mut line = String::new();
    let stdin = std::io::stdin().lock().take(2 * PASSWORD_BYTES_MAX as u64);
    std::io::BufReader::new(stdin)
        .read_line(&mut line)
        .map_err(UserError::Input)?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

fn list(file: &Path, printer: &Printer) -> Result<(), AccountError> {
    for account in account::list(file)? {
        let made: Vec<String> = account
            .tokens_made_at
            .iter()
            .map(|at| at.to_string().chars().take(10).collect())
            .collect();
        let password = if account.has_password {
            "password"
        } else {
            "-"
        };
        let buildings = match &account.buildings {
            Some(buildings) => buildings.iter().cloned().collect::<Vec<_>>().join(","),
            None => "everywhere".to_owned(),
        };
        printer.out(&format!(
            "{:<32}  {:<16}  {password:<8}  {buildings:<16}  {}",
            account.name,
            account.role,
            made.join(" ")
        ));
    }
    Ok(())
}
