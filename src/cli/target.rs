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
    /// [`Exit::Conflict`] if what is no file shall be replaced (spec 9.4).
    pub(crate) fn new(
        context: &Context,
        input: &Input,
        output: &OutputArgs,
    ) -> Result<Self, Failure> {
        let stdout = ["-", "/dev/stdout"].map(Path::new);
        match (input, &output.output) {
            (_, Some(path)) if stdout.contains(&path.as_path()) => Ok(Self::Stdout),
            (_, Some(path)) => Ok(Self::File(path.clone())),
            (_, None) if !output.in_place => Ok(Self::Stdout),
            (input, None) => {
                let path = match input {
                    Input::File(path) => path.as_path(),
                    Input::Stdin => Path::new("-"),
                };
                io::refuse_stream(context, path)
                    .map_err(|failure| failure.hint("name a file, or leave out `--in-place`"))?;
                Ok(Self::File(path.to_owned()))
            }
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

/// The path that rules and formats go by: the override, else the file; `None` for standard input without a name.
pub(crate) fn known_path(args: &InputArgs) -> Option<&Path> {
    let file = args.file.as_deref().filter(|path| *path != "-");
    args.filename_override.as_deref().or(file)
}

/// The format of the input: what `--input-type` says, else what the name says.
pub(crate) fn input_format(input: &InputArgs) -> Format {
    input
        .input_type
        .unwrap_or_else(|| known_format(input).unwrap_or(Format::Binary))
}

/// The format of the output for an input in `format` if nobody says another: what the name says. A name that says nothing,
/// which SOPS takes for binary, leaves it that of the input; and bytes under the name of a TOML file, which SOPS takes for
/// binary, too, stay bytes.
pub(crate) fn output_format(input: &InputArgs, format: Format) -> Format {
    match (known_format(input), format) {
        (None | Some(Format::Toml), Format::Binary) => Format::Binary,
        (known, format) => known.unwrap_or(format),
    }
}

/// The format that the suffix of the name stands for.
fn known_format(input: &InputArgs) -> Option<Format> {
    let format = Format::of_path(&known_path(input)?.to_string_lossy());
    Some(format).filter(|format| *format != Format::Binary)
}

/// The one format of a file that is changed and not converted: what `--input-type` says, else what the name says; of a name
/// that says nothing, what `--output-type` says. `change` says what is done to the file.
///
/// # Errors
/// [`Exit::Conflict`] if the output shall have another.
pub(crate) fn same_format(
    input: &InputArgs,
    output_type: Option<Format>,
    change: &str,
) -> Result<Format, Failure> {
    let known = input.input_type.or_else(|| known_format(input));
    match (known, output_type) {
        (Some(format), Some(other)) if other != format => Err(Failure::new(
            Exit::Conflict,
            format!(
                "a file cannot be converted from {} to {} {change}",
                format.name(),
                other.name()
            ),
        )
        .hint("leave out --output-type; `encrypt` and `decrypt` convert")),
        (known, other) => Ok(known.or(other).unwrap_or(Format::Binary)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sops_rs::format::Format;

    use super::super::context::testing::context;
    use super::{
        Exit, Input, InputArgs, OutputArgs, Target, input_format, output_format, same_format,
    };

    fn output(in_place: bool, output: Option<&str>) -> OutputArgs {
        OutputArgs {
            in_place,
            output: output.map(Into::into),
        }
    }

    #[test]
    fn the_result_goes_to_standard_output_unless_told() {
        let file = Input::File("f".into());
        let (context, ..) = context(Path::new("/"), &[], b"");
        assert_eq!(
            Target::new(&context, &file, &output(false, None)).unwrap(),
            Target::Stdout
        );
        assert_eq!(
            Target::new(&context, &file, &output(true, None)).unwrap(),
            Target::File("f".into())
        );
        assert_eq!(
            Target::new(&context, &Input::Stdin, &output(false, Some("o"))).unwrap(),
            Target::File("o".into())
        );
        for stdout in ["-", "/dev/stdout"] {
            let target = Target::new(&context, &file, &output(false, Some(stdout)));
            assert_eq!(target.unwrap(), Target::Stdout);
        }
        let failure = Target::new(&context, &Input::Stdin, &output(true, None)).unwrap_err();
        assert_eq!(failure.exit, Exit::Conflict);
    }

    #[test]
    fn formats_come_from_the_options_then_from_the_name() {
        let (yaml, json) = (Some(Format::Yaml), Some(Format::Json));
        let binary = Some(Format::Binary);
        for (file, input_type, name, expected) in [
            (Some("a.yaml"), None, None, ("yaml", "yaml")),
            (Some("a.yaml"), json, None, ("json", "yaml")),
            (Some("a"), yaml, None, ("yaml", "yaml")),
            (Some("a.yaml"), binary, None, ("binary", "yaml")),
            (Some("a.toml"), binary, None, ("binary", "binary")),
            (Some("a.toml"), yaml, None, ("yaml", "toml")),
            (Some("a.yaml"), None, Some("x.ini"), ("ini", "ini")),
            (Some("-"), None, Some("x.ini"), ("ini", "ini")),
            (Some("-"), json, Some("x.ini"), ("json", "ini")),
            (None, json, None, ("json", "json")),
            (None, None, None, ("binary", "binary")),
        ] {
            let input = InputArgs {
                file: file.map(Into::into),
                input_type,
                filename_override: name.map(Into::into),
            };
            let format = input_format(&input);
            let formats = (format.name(), output_format(&input, format).name());
            assert_eq!(formats, expected, "{file:?} {name:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_converted_has_one_format() {
        let format = |input_type, output_type| {
            let input = InputArgs {
                file: Some("a.yaml".into()),
                input_type,
                filename_override: None,
            };
            same_format(&input, output_type, "so").map_err(|failure| failure.exit)
        };
        let json = Some(Format::Json);
        assert_eq!(format(None, None), Ok(Format::Yaml));
        assert_eq!(format(json, json), Ok(Format::Json));
        assert_eq!(format(None, json), Err(Exit::Conflict));
    }
}
