//! `user`: accounts of people and programs, and their tokens. Works while the gateway runs.

use std::path::Path;

use clap::Subcommand;

use super::printer::Printer;
use super::{ConfigArg, Exit, failed, load_config};
use crate::account::{self, AccountError};
use crate::domain::role::{ActorName, Role};
use crate::time::Clock;

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
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
    /// Give an account another role; its tokens stay good.
    #[command(after_help = "Example:\n  stairgate user role li.wei auditor")]
    Role {
        /// The account.
        name: ActorName,
        /// duty-officer, property-manager, installer, auditor or admin.
        role: Role,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Remove an account and all its tokens; open connections end within seconds.
    #[command(after_help = "Example:\n  stairgate user remove li.wei")]
    Remove {
        /// The account.
        name: ActorName,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Every account with its role and the days its tokens were made.
    #[command(after_help = "Example:\n  stairgate user list --config gateway.toml")]
    List {
        #[command(flatten)]
        config: ConfigArg,
    },
}

pub(super) fn user(command: &UserCommand, printer: &Printer) -> Exit {
    let (UserCommand::Token { config, .. }
    | UserCommand::Role { config, .. }
    | UserCommand::Remove { config, .. }
    | UserCommand::List { config }) = command;
    let config = match load_config(&config.config, printer) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match run(command, &config.web.accounts_file, printer) {
        Ok(()) => Exit::Done,
        Err(err) => failed(printer, &err),
    }
}

fn run(command: &UserCommand, file: &Path, printer: &Printer) -> Result<(), AccountError> {
    match command {
        UserCommand::Token { name, role, .. } => {
            let token = account::make_token(file, name, *role, Clock::system().now())?;
            printer.out(token.reveal());
            Ok(())
        }
        UserCommand::Role { name, role, .. } => account::set_role(file, name, *role),
        UserCommand::Remove { name, .. } => account::remove(file, name),
        UserCommand::List { .. } => {
            for account in account::list(file)? {
                let made: Vec<String> = account
                    .tokens_made_at
                    .iter()
                    .map(|at| at.to_string().chars().take(10).collect())
                    .collect();
                printer.out(&format!(
                    "{:<32}  {:<16}  {}",
                    account.name,
                    account.role,
                    made.join(" ")
                ));
            }
            Ok(())
        }
    }
}
