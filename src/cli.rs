//! The command line: what was typed becomes a command, and its outcome an exit code.
//!
//! One file per command below `cli/`. This is the only part of the project that knows the environment, the terminal,
//! editors, exit codes and prose; it reaches the library through its public API alone.

#[cfg(feature = "keyservice")]
mod agent;
mod args;
#[cfg(feature = "azure")]
mod azure;
mod changing;
mod classic;
mod completion;
mod context;
mod converting;
mod creation;
mod decrypt;
mod diff;
mod doctor;
mod edit;
mod editor;
mod encrypt;
mod entropy;
mod exit;
mod explain;
mod filestatus;
#[cfg(feature = "gcp")]
mod gcp;
mod generate;
mod get;
mod git;
mod gpg;
mod groups;
mod help;
mod identities;
mod init;
mod io;
mod keys;
#[cfg(feature = "keyservice")]
mod keyservice;
mod man;
mod many;
mod merge;
mod pointing;
mod private;
mod progress;
mod rekeying;
mod report;
mod repository;
mod rotate;
mod sealed;
mod services;
mod set;
#[cfg(feature = "keyservice")]
mod socket;
mod target;
mod tree;
mod unset;
mod updatekeys;
#[cfg(feature = "vault")]
mod vault;
mod versions;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use args::AnywhereArgs;
use context::Context;
use exit::Exit;
use report::{Failure, escaped};

/// The version of SOPS that scripts may take this program for when it is called by that name.
const SOPS_VERSION: &str = "3.13.2";

/// Keeps secrets in git: encrypts the values in YAML, JSON, dotenv, INI and TOML files, and leaves all else as it is
#[derive(Parser, Debug)]
#[command(
    name = "sops-rs",
    version,
    disable_version_flag = true,
    args_override_self = true
)]
#[command(help_template = help::template())]
#[command(after_help = "Examples:
  sops-rs init                                # an identity for you, a config for this repository
  sops-rs encrypt --in-place secrets.yaml     # its values; `sops-rs edit` changes them
  sops-rs git install                         # git diffs and merges it as if it were plain
  sops-rs keys add carol age1…                # somebody else may open it, too
  sops-rs help encrypt                        # every command has examples")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    common: CommonArgs,
}

/// What may stand before any verb.
#[derive(Args, Debug)]
struct CommonArgs {
    /// Config file with the rules; the default is the nearest `.sops-rs.yaml` or `.sops.yaml`
    #[arg(long, value_name = "FILE", global = true)]
    #[arg(env = "SOPS_CONFIG", hide_env_values = true)]
    #[arg(value_parser = OsStringValueParser::new().map(PathBuf::from))]
    config: Option<PathBuf>,
    /// Accepted because SOPS has it; means nothing here, where no file is ever laid out anew
    #[arg(long, value_name = "N", hide = true)]
    indent: Option<usize>,
    #[command(flatten)]
    anywhere: AnywhereArgs,
    /// Print the version
    #[arg(short = 'v', short_alias = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// The same command line for `git` alone: git runs two of its verbs for every version of a file, and all other verbs with
/// their options would cost more than the work.
#[derive(Parser, Debug)]
#[command(
    name = "sops-rs",
    version,
    disable_version_flag = true,
    args_override_self = true
)]
struct GitCli {
    #[command(subcommand)]
    verb: GitVerb,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Subcommand, Debug)]
enum GitVerb {
    Git(git::Git),
}

/// What was typed. Whatever is wrong with it is said of the whole command line.
fn parse(context: &mut Context, arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let is = |index: usize, words: &[&str]| {
        let found = arguments.get(index).and_then(|argument| argument.to_str());
        found.is_some_and(|found| words.contains(&found))
    };
    let is_callback = is(1, &["git"]) && is(2, &["textconv", "merge-driver"]);
    let alone = is_callback.then(|| GitCli::try_parse_from(&arguments));
    if let Some(Ok(GitCli { verb, common })) = alone {
        let GitVerb::Git(git) = verb;
        let verb = Verb::Git(git);
        return Ok(Cli { verb, common });
    }
    let command = Cli::command();
    let exists = |name: &OsStr| context.resolve(Path::new(name)).symlink_metadata().is_ok();
    let line = classic::translate(&command, arguments, exists);
    for warning in &line.warnings {
        context.warn(warning);
    }
    let mut command = line.prepare(command, context.program)?;
    let mut matches = command.try_get_matches_from_mut(line.words)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

#[derive(Subcommand, Debug)]
enum Verb {
    Init(init::Init),
    Encrypt(Box<encrypt::Encrypt>),
    Decrypt(decrypt::Decrypt),
    Edit(Box<edit::Edit>),
    Get(get::Get),
    Set(Box<set::Set>),
    Unset(Box<unset::Unset>),
    Rotate(Box<rotate::Rotate>),
    Updatekeys(updatekeys::Updatekeys),
    Groups(groups::Groups),
    Filestatus(filestatus::Filestatus),
    Git(git::Git),
    Diff(diff::Diff),
    Doctor(doctor::Doctor),
    Merge(Box<merge::Merge>),
    Mergetool(merge::Mergetool),
    Keys(keys::Keys),
    #[cfg(feature = "keyservice")]
    Keyservice(keyservice::Keyservice),
    #[cfg(feature = "keyservice")]
    Agent(agent::Agent),
    Completion(completion::Completion),
    Explain(explain::Explain),
    Man(man::Man),
}

/// Runs the program with the arguments, environment and streams of the process.
pub(crate) fn run() -> ExitCode {
    private::harden_process();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let mut context = Context::of_process(program_name(arguments.first()));
    report::report_panics(context.program, context.colour());
    let exit = catch_unwind(AssertUnwindSafe(|| run_with(&mut context, arguments)));
    exit.unwrap_or(Exit::BUG).into()
}

/// `sops` for a link of that name, so that messages name what the user typed.
fn program_name(argument: Option<&OsString>) -> &'static str {
    let stem = argument.and_then(|path| Path::new(path).file_stem());
    if stem == Some(OsStr::new("sops")) {
        "sops"
    } else {
        "sops-rs"
    }
}

fn run_with(context: &mut Context, arguments: Vec<OsString>) -> Exit {
    let deceiving = arguments
        .iter()
        .any(|argument| matches!(escaped(&argument.to_string_lossy()), Cow::Owned(_)));
    let outcome = match parse(context, arguments) {
        Ok(cli) => dispatch(context, cli),
        Err(error) => answer(context, &error, deceiving),
    };
    outcome.unwrap_or_else(|failure| {
        context.fail(&failure);
        failure.exit
    })
}

fn dispatch(context: &mut Context, cli: Cli) -> Result<Exit, Failure> {
    let config = cli.common.config.as_deref();
    match cli.verb {
        Verb::Init(arguments) => init::run(context, &arguments, config),
        Verb::Encrypt(arguments) => encrypt::run(
            context,
            &arguments.with_earlier(cli.common.anywhere),
            config,
        ),
        Verb::Decrypt(arguments) => decrypt::run(context, &arguments),
        Verb::Edit(arguments) => edit::run(
            context,
            &arguments.with_earlier(cli.common.anywhere),
            config,
        ),
        Verb::Get(arguments) => get::run(context, &arguments),
        Verb::Set(arguments) => set::run(context, &arguments),
        Verb::Unset(arguments) => unset::run(context, &arguments),
        Verb::Rotate(arguments) => rotate::run(context, &arguments, config),
        Verb::Updatekeys(arguments) => updatekeys::run(context, &arguments, config),
        Verb::Groups(arguments) => groups::run(context, &arguments, config),
        Verb::Filestatus(arguments) => filestatus::run(context, &arguments),
        Verb::Diff(arguments) => diff::run(context, &arguments),
        Verb::Doctor(arguments) => doctor::run(context, &arguments, config),
        Verb::Git(arguments) => git::run(context, &arguments, config),
        Verb::Merge(arguments) => merge::run(context, &arguments, config),
        Verb::Keys(arguments) => keys::run(context, &arguments, config),
        Verb::Mergetool(arguments) => merge::run_all(context, &arguments, config),
        #[cfg(feature = "keyservice")]
        Verb::Keyservice(arguments) => keyservice::run(context, &arguments),
        #[cfg(feature = "keyservice")]
        Verb::Agent(arguments) => agent::run(context, &arguments),
        Verb::Explain(arguments) => explain::run(context, &arguments, config),
        Verb::Completion(arguments) => completion::run(context, &arguments),
        Verb::Man(arguments) => man::run(context, &arguments),
    }
}

/// What clap has to say: help, the version, or that the arguments are wrong. It quotes them, so they may not be
/// `deceiving` if its colours are to stay.
fn answer(context: &mut Context, error: &clap::Error, deceiving: bool) -> Result<Exit, Failure> {
    let text = error.render();
    let text = match (deceiving, context.colour()) {
        (false, true) => text.ansi().to_string(),
        (false, false) => text.to_string(),
        (true, _) => {
            let text = text.to_string();
            text.lines()
                .map(|line| format!("{}\n", escaped(line)))
                .collect()
        }
    };
    match error.kind() {
        ErrorKind::DisplayHelp => context.print(error.render().to_string().as_bytes())?,
        ErrorKind::DisplayVersion => context.print(version(context.program).as_bytes())?,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            context.print_error(text.as_bytes());
            return Ok(Exit::NoFile);
        }
        kind => {
            context.print_error(format!("{}: {text}", context.program).as_bytes());
            return Ok(match kind {
                ErrorKind::ArgumentConflict => Exit::Conflict,
                ErrorKind::MissingRequiredArgument => Exit::NoFile,
                _ => Exit::Failed,
            });
        }
    }
    Ok(Exit::Success)
}

fn version(program: &str) -> String {
    let own = concat!("sops-rs ", env!("CARGO_PKG_VERSION"), "\n");
    if program == "sops" {
        format!("sops {SOPS_VERSION}\n{own}")
    } else {
        own.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::context::testing::context;
    use super::exit::Exit;
    use super::{Cli, program_name, run_with, version};

    /// Runs a command line: exit code, stdout, stderr.
    fn run(line: &str) -> (Exit, String, String) {
        let (mut context, stdout, stderr) = context(Path::new("/"), &[], b"");
        let exit = run_with(&mut context, line.split(' ').map(OsString::from).collect());
        (exit, stdout.take(), stderr.take())
    }

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_and_version_are_data() {
        assert_eq!(
            run("sops-rs --version"),
            (Exit::Success, "sops-rs 0.1.0\n".into(), String::new())
        );
        assert_eq!(run("sops-rs -v").1, "sops-rs 0.1.0\n");
        let (exit, stdout, stderr) = run("sops-rs --help");
        assert_eq!((exit, stderr.as_str()), (Exit::Success, ""));
        assert!(stdout.contains("Usage: sops-rs"), "{stdout}");
    }

    #[test]
    fn the_name_sops_gives_its_version_first() {
        let name = program_name(Some(&"/usr/bin/sops".into()));
        assert_eq!(version(name), "sops 3.13.2\nsops-rs 0.1.0\n");
        assert_eq!(program_name(Some(&"/usr/bin/git-sops".into())), "sops-rs");
        assert_eq!(program_name(None), "sops-rs");
    }

    #[test]
    fn wrong_usage_ends_with_one_and_nothing_on_stdout() {
        let (exit, stdout, stderr) = run("sops-rs init --absent");
        assert_eq!((exit, stdout.as_str()), (Exit::Failed, ""));
        assert!(
            stderr.starts_with("sops-rs: error: unexpected argument '--absent'"),
            "{stderr}"
        );
        assert_eq!(run("sops-rs nonsense").0, Exit::Failed);
    }
}
