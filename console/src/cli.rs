//! The `muster` command line: the engine without a window.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some appliances failed.

mod applet;
mod args;
mod claims;
mod configure;
mod decode;
mod discover;
mod jobs;
mod queue;
mod status;
mod table;
mod wait;

use crate::applet_folder::FolderError;
use crate::engine::{Engine, EngineError, Options};
use crate::files;
use crate::noc_client::operators::OperatorError;
use crate::problem::{Explain, problem};
use crate::view::ProblemView;
use args::{AlertsCommand, Args, Command};
use clap::Parser;
use std::ffi::OsString;
use std::io::Write;

/// Where a command writes.
pub struct Streams<'a> {
    /// Results.
    pub out: &'a mut (dyn Write + Send),
    /// Progress and errors.
    pub err: &'a mut (dyn Write + Send),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// Failed; nothing or not everything was done.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Done, but some appliances failed.
    SomeFailed = 3,
}

/// Runs one command line (with the program's name first).
pub async fn run(args: impl IntoIterator<Item = OsString>, streams: &mut Streams<'_>) -> Exit {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let text = error.render();
            let wanted = !error.use_stderr();
            let _ = if wanted { write!(streams.out, "{text}") } else { write!(streams.err, "{text}") };
            return if wanted { Exit::Success } else { Exit::Usage };
        }
    };
    let json = args.json;
    match command(args, streams).await {
        Ok(exit) => exit,
        Err(error) => {
            let _ = tell(&error.problem(), json, streams.err);
            Exit::Failure
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Faults(#[from] muster_applet::Faults),
    #[error(transparent)]
    Folder(FolderError),
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error("the output cannot be written")]
    Output(#[from] std::io::Error),
    #[error("{}", .0.message)]
    Other(ProblemView),
}

impl From<FolderError> for CommandError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Faulty(faults) => CommandError::Faults(faults),
            other => CommandError::Folder(other),
        }
    }
}

impl CommandError {
    fn other(code: &str, message: impl Into<String>, remedy: &str) -> CommandError {
        CommandError::Other(problem(code, message, remedy))
    }

    fn problem(&self) -> ProblemView {
        match self {
            CommandError::Engine(error) => error.problem(),
            CommandError::Output(error) => {
                problem("output_failed", format!("the output cannot be written: {error}"), "Check where it goes.")
            }
            CommandError::Faults(faults) => {
                problem("applet_faulty", faults.to_string(), "Mend it; `muster applet check` shows all of it.")
            }
            CommandError::Folder(error) => error.problem(),
            CommandError::Operator(error) => error.problem(),
            CommandError::Other(problem) => problem.clone(),
        }
    }
}

async fn command(args: Args, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    // Needs no data folder, so it comes before one is looked for.
    if let Command::Decode(decode) = &args.command {
        return decode::decode(args.json, decode, streams);
    }
    if let Command::Applet { command } = args.command {
        return applet::applet(args.json, command, streams).await;
    }
    let context = Context { json: args.json, options: options(&args)? };
    match args.command {
        Command::Join { invite } => join(&context, &invite, streams).await,
        Command::Discover => discover::discover(&context, streams).await,
        Command::Plan(plan) => configure::plan(&context, &plan, streams).await,
        Command::Configure(configure) => configure::configure(&context, &configure, streams).await,
        Command::Status => status::status(&context, streams).await,
        Command::Alerts { all, command: None } => status::alerts(&context, all, streams).await,
        Command::Alerts { command: Some(AlertsCommand::Ack { alert, note }), .. } => {
            status::acknowledge(&context, alert, &note, streams).await
        }
        Command::Run => queue::run(&context, streams).await,
        Command::Queue => queue::queue(&context, streams).await,
        Command::Job { command } => jobs::job(&context, command, streams).await,
        Command::Decode(decode) => decode::decode(context.json, &decode, streams),
        Command::Applet { command } => applet::applet(context.json, command, streams).await,
    }
}

/// What all commands share.
pub(crate) struct Context {
    json: bool,
    options: Options,
}

impl Context {
    /// An engine that configures; the only one of its data folder.
    async fn working(&self) -> Result<Engine, CommandError> {
        Ok(Engine::start(self.options.clone()).await?)
    }

    /// An engine that only looks, also while a window is open.
    async fn looking(&self) -> Result<Engine, CommandError> {
        Ok(Engine::start(Options { run_jobs: false, ..self.options.clone() }).await?)
    }

    /// An engine that only asks the NOC.
    async fn asking(&self) -> Result<Engine, CommandError> {
        let options = Options { run_jobs: false, lan: false, targets: Vec::new(), ..self.options.clone() };
        Ok(Engine::start(options).await?)
    }
}

fn options(args: &Args) -> Result<Options, CommandError> {
    let folder = args.data_dir.clone().or_else(files::default_data_folder).ok_or_else(|| {
        CommandError::other("no_data_folder", "neither HOME nor XDG_DATA_HOME is set", "Set one, or use --data-dir.")
    })?;
    Ok(Options { targets: args.target.clone(), lan: !args.no_lan, ..Options::new(folder) })
}

async fn join(context: &Context, invite: &str, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let invite = match invite {
        "-" => {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut std::io::stdin().lock(), &mut text)?;
            text
        }
        invite => invite.to_owned(),
    };
    let engine = Engine::start(Options { lan: false, targets: Vec::new(), ..context.options.clone() }).await?;
    engine.join(&invite).await?;
    let noc = wait::noc(&engine).await;
    let sites = engine.sites();
    engine.shutdown().await;
    if context.json {
        write_json(streams.out, &serde_json::json!({ "noc": noc, "sites": sites }))?;
    } else {
        writeln!(streams.out, "Joined. Sites of this console:")?;
        table::sites(streams.out, &sites)?;
    }
    Ok(Exit::Success)
}

fn tell(problem: &ProblemView, json: bool, err: &mut dyn Write) -> std::io::Result<()> {
    if json {
        return write_json(err, &serde_json::json!({ "problem": problem }));
    }
    writeln!(err, "Error {}: {}", problem.code, table::printable(&problem.message))?;
    writeln!(err, "{}", table::printable(&problem.remedy))
}

fn write_json(out: &mut dyn Write, value: &impl serde::Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

#[cfg(test)]
mod tests;
