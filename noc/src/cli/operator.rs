//! `muster-noc operator`: the people who sign in.

use super::{FolderArg, Output, answer};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use muster_noc::{NewOperator, Noc, OpenSession, Operator, OrganisationId, Role, RoleAt};
use muster_protocol::text::printable;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Read};
use zeroize::Zeroizing;

#[derive(Subcommand)]
pub(super) enum OperatorCommand {
    /// Add an operator. The password is asked for, or read from standard input.
    Add {
        #[command(flatten)]
        folder: FolderArg,
        /// What they sign in with. An organisation's handle is added to it.
        #[arg(long)]
        login: String,
        /// What they are called. Default: the sign-in name.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        role: RoleArgs,
        #[command(flatten)]
        output: Output,
    },
    /// List the operators.
    List {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
    /// Replace somebody's roles by one.
    Role {
        #[command(flatten)]
        folder: FolderArg,
        /// What they sign in with, whole.
        login: String,
        #[command(flatten)]
        role: RoleArgs,
    },
    /// Set somebody's password, asked for or read from standard input. Their sessions and API tokens end.
    Password {
        #[command(flatten)]
        folder: FolderArg,
        /// What they sign in with, whole.
        login: String,
    },
    /// Keep somebody out. Their sessions and API tokens end.
    Disable {
        #[command(flatten)]
        folder: FolderArg,
        /// What they sign in with, whole.
        login: String,
    },
    /// List who is signed in.
    Sessions {
        #[command(flatten)]
        folder: FolderArg,
        /// Only people of this organisation, by handle.
        #[arg(long)]
        organisation: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// End a session. Whoever it is of can sign in again: `disable` keeps somebody out.
    SignOut {
        #[command(flatten)]
        folder: FolderArg,
        /// The session's number, as `operator sessions` lists it.
        session: u32,
    },
    /// Let somebody sign in again.
    Enable {
        #[command(flatten)]
        folder: FolderArg,
        /// What they sign in with, whole.
        login: String,
    },
}

#[derive(Args)]
pub(super) struct RoleArgs {
    /// What they may do.
    #[arg(long, value_enum)]
    role: RoleArg,
    /// Their organisation, by handle. Without it they are people of the NOC itself, and the role holds everywhere.
    #[arg(long)]
    organisation: Option<String>,
    /// A site of it, by name or number, instead of the whole organisation. May be given several times.
    #[arg(long, requires = "organisation")]
    site: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleArg {
    /// Sees.
    Viewer,
    /// Changes appliances, invites and revokes consoles, acknowledges alerts.
    Operator,
    /// Changes policies, operators and roles, and reads the audit log.
    Administrator,
}

impl OperatorCommand {
    pub(super) fn run(self) -> Result<()> {
        match self {
            OperatorCommand::Add { folder, login, name, role, output } => {
                let noc = Noc::open(&folder.dir)?;
                let (organisation, roles) = role.roles(&noc)?;
                let name = name.unwrap_or_else(|| login.clone());
                let new = NewOperator { organisation, login, name, roles };
                let added = noc.add_operator(new, password()?)?;
                answer(output, &added, |added| println!("{} may sign in.", printable(&added.login)))
            }
            OperatorCommand::List { folder, output } => {
                answer(output, &Noc::open(&folder.dir)?.operators()?, |all| all.iter().for_each(print))
            }
            OperatorCommand::Role { folder, login, role } => {
                let noc = Noc::open(&folder.dir)?;
                let (_, roles) = role.roles(&noc)?;
                print(&noc.set_roles(&login, roles)?);
                Ok(())
            }
            OperatorCommand::Password { folder, login } => {
                let changed = Noc::open(&folder.dir)?.set_password(&login, password()?)?;
                println!("{} has another password, and is signed out everywhere.", printable(&changed.login));
                Ok(())
            }
            OperatorCommand::Disable { folder, login } => {
                print(&Noc::open(&folder.dir)?.disable_operator(&login, true)?);
                Ok(())
            }
            OperatorCommand::Sessions { folder, organisation: of, output } => {
                let noc = Noc::open(&folder.dir)?;
                let of = of.as_deref().map(|handle| organisation(&noc, handle)).transpose()?;
                answer(output, &noc.sessions(of)?, |all| all.iter().for_each(print_session))
            }
            OperatorCommand::SignOut { folder, session } => {
                let operator = Noc::open(&folder.dir)?.end_session(session)?;
                println!("Session {session} of {} has ended.", printable(&operator.login));
                Ok(())
            }
            OperatorCommand::Enable { folder, login } => {
                print(&Noc::open(&folder.dir)?.disable_operator(&login, false)?);
                Ok(())
            }
        }
    }
}

impl RoleArgs {
    fn roles(&self, noc: &Noc) -> Result<(Option<OrganisationId>, Vec<RoleAt>)> {
        let role = match self.role {
            RoleArg::Viewer => Role::Viewer,
            RoleArg::Operator => Role::Operator,
            RoleArg::Administrator => Role::Administrator,
        };
        let organisation = self.organisation.as_deref().map(|handle| organisation(noc, handle)).transpose()?;
        if self.site.is_empty() {
            return Ok((organisation, vec![RoleAt { organisation, site: None, role }]));
        }
        let mut roles = Vec::new();
        for name in &self.site {
            let sites = noc.sites_of(organisation)?;
            let site = super::site::find(&sites, name)?.id;
            roles.push(RoleAt { organisation, site: Some(site), role });
        }
        Ok((organisation, roles))
    }
}

/// An organisation by its handle.
pub(super) fn organisation(noc: &Noc, handle: &str) -> Result<OrganisationId> {
    let found = noc.organisations()?.into_iter().find(|known| known.handle == handle);
    match found {
        Some(found) => Ok(found.id),
        None => bail!("there is no organisation `{handle}`: list them with `muster-noc organisation list`"),
    }
}

fn print(operator: &Operator) {
    let roles: Vec<String> = operator.roles.iter().map(role_text).collect();
    let state = if operator.disabled.is_some() { "disabled" } else { "enabled" };
    println!(
        "{}  {}  {state}  {}  {}",
        operator.id,
        printable(&operator.login),
        roles.join(", "),
        printable(&operator.name)
    );
}

fn print_session(OpenSession { session, login }: &OpenSession) {
    println!(
        "{}  {}  from {}  used {}  {}",
        session.id,
        printable(login),
        printable(&session.address),
        session.used,
        printable(&session.program)
    );
}

fn role_text(at: &RoleAt) -> String {
    let place = match (at.organisation, at.site) {
        (None, _) => "everywhere".to_owned(),
        (Some(organisation), None) => format!("organisation {organisation}"),
        (Some(organisation), Some(site)) => format!("organisation {organisation} site {site}"),
    };
    format!("{:?} {place}", at.role)
}

/// A password, never from the argument list, which everybody on the machine can read.
pub(super) fn password() -> Result<Zeroizing<String>> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let mut text = Zeroizing::new(String::new());
        stdin.lock().take(4096).read_to_string(&mut text).context("standard input could not be read")?;
        return Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    let (first, second) = (asked("Password: ")?, asked("Again: ")?);
    if *first != *second {
        bail!("the two passwords differ: try again");
    }
    Ok(first)
}

/// One line from the terminal, unseen.
fn asked(prompt: &str) -> Result<Zeroizing<String>> {
    eprint!("{prompt}");
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).context("the terminal cannot be asked for a password")?;
    let mut unseen = before.clone();
    unseen.local_flags.remove(LocalFlags::ECHO);
    unseen.local_flags.insert(LocalFlags::ECHONL);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &unseen).context("the terminal cannot be asked for a password")?;
    let mut line = Zeroizing::new(String::new());
    let read = stdin.lock().read_line(&mut line);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &before).context("the terminal could not be restored: run `stty echo`")?;
    read.context("the password could not be read")?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}
