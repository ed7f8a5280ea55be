//! The command line program. Everything is in [`cli`]; the library does the work.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
