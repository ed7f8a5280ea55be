//! `man`: the manual pages, one for the program and one for every verb.
//!
//! Generated from what `--help` says. Knows how a page is laid out; knows nothing of what the verbs do.

use std::io;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, roman};

use super::Cli;
use super::context::Context;
use super::exit::Exit;
use super::io::{Privacy, make_parents, replace};
use super::report::Failure;

/// Print the manual page, or write all pages to a directory
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs man | man -l -
  sops-rs man --output-dir ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Write a page for the program and for each of its commands to this directory
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// [`Exit::CannotWrite`].
pub(crate) fn run(context: &mut Context, arguments: &Man) -> Result<Exit, Failure> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let Some(folder) = &arguments.output_dir else {
        context.print(&page(program)?)?;
        return Ok(Exit::Success);
    };
    let mut open = vec![program];
    while let Some(command) = open.pop() {
        let visible = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        open.extend(visible.cloned());
        let name = Page::new(command.clone()).get_filename();
        let path = folder.join(name);
        make_parents(context, &path)?;
        replace(context, &path, &page(command)?, Privacy::Public)?;
    }
    Ok(Exit::Success)
}

/// The page of one command, in roff. `command` was built, so that it knows what it is called.
fn page(command: Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let written = write_page(command, &mut text);
    written
        .map_err(|error| Failure::new(Exit::CannotWrite, format!("no page was made: {error}")))?;
    Ok(text)
}

fn write_page(command: Command, text: &mut Vec<u8>) -> io::Result<()> {
    let examples = command.get_after_help().map(ToString::to_string);
    let verbs = command.get_subcommands().any(|verb| !verb.is_hide_set());
    let page = Page::new(command).source(concat!("sops-rs ", env!("CARGO_PKG_VERSION")));
    page.render_title(text)?;
    page.render_name_section(text)?;
    page.render_synopsis_section(text)?;
    page.render_description_section(text)?;
    page.render_options_section(text)?;
    if verbs {
        page.render_subcommands_section(text)?;
    }
    if let Some(examples) = examples {
        write_examples(&examples, text)?;
    }
    Ok(())
}

/// The examples, line by line as `--help` has them.
fn write_examples(help: &str, text: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in help.lines().filter(|line| line.starts_with("  ")) {
        roff.text([roman(line.trim_start())]);
    }
    roff.control("fi", []);
    roff.to_writer(text)
}
