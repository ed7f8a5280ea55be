//! Where a result goes: decided before anything is done, so that contradictions are found first.

use std::path::{Path, PathBuf};

use sops_rs::format::Format;

use super::args::{InputArgs, OutputArgs};
use super::context::Context;
use super::exit::Exit;
use super::io::{self, Input, Privacy};
use super::report::Failure;

/// Where a result goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Standard output.
    Stdout,
    /// A file, the input or another.
    File(PathBuf),
}

impl Target {
    /// What the options mean for this input.
    ///
    /// # Errors
    /// [`Exit::Conflict`] if standard input shall be replaced (spec 9.4).
    pub(crate) fn new(input: &Input, output: &OutputArgs) -> Result<Self, Failure> {
        match (input, &output.output) {
            (_, Some(path)) => Ok(Self::File(path.clone())),
            (_, None) if !output.in_place => Ok(Self::Stdout),
            (Input::File(path), None) => Ok(Self::File(path.clone())),
            (Input::Stdin, None) => Err(Failure::new(
                Exit::Conflict,
                "standard input cannot be replaced",
            )
            .hint("name a file, or leave out `--in-place`")),
        }
    }

    /// The name for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdout => "standard output".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Puts the result there.
    ///
    /// # Errors
    /// [`Exit::CannotWrite`].
    pub(crate) fn write(
        &self,
        context: &mut Context,
        bytes: &[u8],
        privacy: Privacy,
    ) -> Result<(), Failure> {
        match self {
            Self::Stdout => context.print(bytes),
            Self::File(path) => io::replace(context, path, bytes, privacy),
        }
    }
}

/// The path that rules and formats go by: the override, else the file; `None` for standard input alone.
pub(crate) fn known_path(args: &InputArgs) -> Option<&Path> {
    args.filename_override
        .as_deref()
        .or(match args.file.as_deref() {
            Some(path) if path != Path::new("-") && path != Path::new("/dev/stdin") => Some(path),
            _ => None,
        })
}

/// The one format of input and output: what `--input-type` says, else what the name says. SOPS takes the output's from
/// the name even when `--input-type` is given, and then converts; who says what the input is means the output too.
///
/// # Errors
/// [`Exit::Conflict`] if the two are asked to differ: a conversion.
pub(crate) fn same_format(
    input: &InputArgs,
    output_type: Option<Format>,
) -> Result<Format, Failure> {
    let of_path = || {
        known_path(input).map_or(Format::Binary, |path| {
            Format::of_path(&path.to_string_lossy())
        })
    };
    let format = input.input_type.unwrap_or_else(of_path);
    match output_type {
        Some(other) if other != format => Err(Failure::new(
            Exit::Conflict,
            format!(
                "a file cannot be converted from {} to {} by this version",
                format.name(),
                other.name()
            ),
        )
        .hint("give --input-type and --output-type the same format")),
        _ => Ok(format),
    }
}

#[cfg(test)]
mod tests {
    use sops_rs::format::Format;

    use super::{Exit, Input, InputArgs, OutputArgs, Target, same_format};

    fn output(in_place: bool, output: Option<&str>) -> OutputArgs {
        OutputArgs {
            in_place,
            output: output.map(Into::into),
            output_type: None,
        }
    }

    #[test]
    fn the_result_goes_to_standard_output_unless_told() {
        let file = Input::File("f".into());
        assert_eq!(
            Target::new(&file, &output(false, None)).unwrap(),
            Target::Stdout
        );
        assert_eq!(
            Target::new(&file, &output(true, None)).unwrap(),
            Target::File("f".into())
        );
        assert_eq!(
            Target::new(&Input::Stdin, &output(false, Some("o"))).unwrap(),
            Target::File("o".into())
        );
        let failure = Target::new(&Input::Stdin, &output(true, None)).unwrap_err();
        assert_eq!(failure.exit, Exit::Conflict);
    }

    #[test]
    fn the_format_comes_from_the_options_then_from_the_name() {
        let input = |file: Option<&str>, input_type, name: Option<&str>| InputArgs {
            file: file.map(Into::into),
            input_type,
            filename_override: name.map(Into::into),
        };
        let format = |input: InputArgs, output| same_format(&input, output).map_err(|f| f.exit);
        let (yaml, json) = (Some(Format::Yaml), Some(Format::Json));
        assert_eq!(
            format(input(Some("a.yaml"), None, None), None),
            Ok(Format::Yaml)
        );
        assert_eq!(
            format(input(Some("a.yaml"), json, None), None),
            Ok(Format::Json)
        );
        assert_eq!(format(input(Some("a"), yaml, None), yaml), Ok(Format::Yaml));
        assert_eq!(
            format(input(Some("-"), None, Some("x.ini")), None),
            Ok(Format::Ini)
        );
        assert_eq!(format(input(None, None, None), None), Ok(Format::Binary));
        assert_eq!(
            format(input(Some("a.yaml"), None, None), json),
            Err(Exit::Conflict)
        );
    }
}
