//! The options that several commands share, as they are typed. Each is defined here once.
//!
//! Knows the spelling of spec 9.4 and the environment variables of spec 9.3 that stand for an option; decides nothing.
//! Lists are split at commas; blanks around an element and empty elements mean nothing.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
use clap::{ArgAction, Args};
use sops_rs::format::Format;
use sops_rs::format::emit::OutputFormat;
#[cfg(feature = "keyservice")]
use sops_rs::keys::remote::{Address, BadAddress};

/// What to read, and as what.
#[derive(Args, Debug)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// The file; `-` or nothing reads standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Format of the input; the default is what the file name says
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub(crate) input_type: Option<Format>,
    /// Name that rules and formats go by, in place of the file's own
    #[arg(long, value_name = "PATH")]
    pub(crate) filename_override: Option<PathBuf>,
}

impl InputArgs {
    /// A file that goes by its own name.
    pub(crate) fn of_file(file: &Path, input_type: Option<Format>) -> Self {
        Self {
            file: Some(file.to_owned()),
            input_type,
            filename_override: None,
        }
    }
}

/// Where the result goes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Replace the file by the result
    #[arg(short, long)]
    pub(crate) in_place: bool,
    /// Write the result to this file, in place of standard output
    #[arg(long, value_name = "FILE", conflicts_with = "in_place")]
    pub(crate) output: Option<PathBuf>,
}

/// For whom a new data key is wrapped. Any of these takes the place of the keys in the config.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Recipients")]
pub(crate) struct KeyArgs {
    /// age recipients: `age1…`, `ssh-ed25519 …`
    #[arg(short, long, value_name = "RECIPIENTS", value_delimiter = ',')]
    #[arg(env = "SOPS_AGE_RECIPIENTS", hide_env_values = true)]
    pub(crate) age: Vec<String>,
    /// Fingerprints of OpenPGP keys
    #[arg(short, long, value_name = "FINGERPRINTS", value_delimiter = ',')]
    #[arg(env = "SOPS_PGP_FP", hide_env_values = true)]
    pub(crate) pgp: Vec<String>,
    /// ARNs of AWS KMS keys, each with `+ROLE` behind it if a role has to be assumed
    #[arg(short, long, value_name = "ARNS", value_delimiter = ',')]
    #[arg(env = "SOPS_KMS_ARN", hide_env_values = true)]
    pub(crate) kms: Vec<String>,
    /// Profile of the AWS config that the KMS keys are used with
    #[arg(long, value_name = "PROFILE")]
    pub(crate) aws_profile: Option<String>,
    /// AWS KMS encryption context, as `KEY:VALUE` pairs
    #[arg(long, value_name = "PAIRS")]
    pub(crate) encryption_context: Option<String>,
    /// Resource ids of Google Cloud KMS keys
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    #[arg(env = "SOPS_GCP_KMS_IDS", hide_env_values = true)]
    pub(crate) gcp_kms: Vec<String>,
    /// HuaweiCloud KMS keys, as `REGION:UUID`
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    #[arg(env = "SOPS_HUAWEICLOUD_KMS_IDS", hide_env_values = true)]
    pub(crate) hckms: Vec<String>,
    /// URLs of Azure Key Vault keys
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    #[arg(env = "SOPS_AZURE_KEYVAULT_URLS", hide_env_values = true)]
    pub(crate) azure_kv: Vec<String>,
    /// URIs of HashiCorp Vault or `OpenBao` transit keys
    #[arg(long, value_name = "URIS", value_delimiter = ',')]
    #[arg(env = "SOPS_VAULT_URIS", hide_env_values = true)]
    pub(crate) hc_vault_transit: Vec<String>,
    /// Number of key groups that are needed to open the file
    #[arg(long, value_name = "N")]
    pub(crate) shamir_secret_sharing_threshold: Option<usize>,
}

impl KeyArgs {
    /// Whether any recipient was named.
    pub(crate) fn names_any(&self) -> bool {
        let lists = [
            &self.age,
            &self.pgp,
            &self.kms,
            &self.gcp_kms,
            &self.hckms,
            &self.azure_kv,
            &self.hc_vault_transit,
        ];
        lists.iter().any(|list| !list.is_empty())
    }
}

/// Which values are sealed; without any of these the config decides.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Selection (one of them at most)")]
pub(crate) struct SelectionArgs {
    /// Leave values in clear whose key ends so
    #[arg(long, value_name = "SUFFIX")]
    pub(crate) unencrypted_suffix: Option<String>,
    /// Seal only values whose key ends so
    #[arg(long, value_name = "SUFFIX")]
    pub(crate) encrypted_suffix: Option<String>,
    /// Leave values in clear whose key matches
    #[arg(long, value_name = "REGEX")]
    pub(crate) unencrypted_regex: Option<String>,
    /// Seal only values whose key matches
    #[arg(long, value_name = "REGEX")]
    pub(crate) encrypted_regex: Option<String>,
    #[command(flatten)]
    pub(crate) anywhere: AnywhereArgs,
    /// Accept a file in which the rules find nothing to seal
    #[arg(long)]
    pub(crate) allow_clear: bool,
}

/// Selection options that SOPS reads before the command; here they may stand behind it, too.
#[derive(Args, Debug, Default)]
pub(crate) struct AnywhereArgs {
    /// Leave values in clear that have a comment which matches
    #[arg(long, value_name = "REGEX")]
    pub(crate) unencrypted_comment_regex: Option<String>,
    /// Seal only values that have a comment which matches
    #[arg(long, value_name = "REGEX")]
    pub(crate) encrypted_comment_regex: Option<String>,
    /// Authenticate sealed values only, so that others may be changed without the key
    #[arg(long)]
    pub(crate) mac_only_encrypted: bool,
}

impl AnywhereArgs {
    /// What was given behind the command; for what was not, what was given `before` it.
    pub(crate) fn or(self, before: Self) -> Self {
        Self {
            unencrypted_comment_regex: self
                .unencrypted_comment_regex
                .or(before.unencrypted_comment_regex),
            encrypted_comment_regex: self
                .encrypted_comment_regex
                .or(before.encrypted_comment_regex),
            mac_only_encrypted: self.mac_only_encrypted || before.mac_only_encrypted,
        }
    }
}

/// How the data key of a sealed file is opened.
#[derive(Args, Debug)]
#[command(next_help_heading = "Opening")]
pub(crate) struct IdentityArgs {
    /// Kinds of keys in the order in which they are tried
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    #[arg(env = "SOPS_DECRYPTION_ORDER", hide_env_values = true)]
    pub(crate) decryption_order: Vec<String>,
    #[command(flatten)]
    pub(crate) services: KeyServiceArgs,
}

/// Who wraps and unwraps data keys.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Key services")]
pub(crate) struct KeyServiceArgs {
    /// Key service to ask after this program itself: `tcp://HOST:PORT` or `unix:///PATH`
    #[arg(long, value_name = "URI", value_delimiter = ',', value_parser = address)]
    #[arg(env = "SOPS_KEYSERVICE", hide_env_values = true)]
    keyservice: Vec<MaybeAddress>,
    /// Whether this program itself may use keys
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        default_missing_value = "true"
    )]
    #[arg(num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    #[arg(value_parser = switch, hide_default_value = true, hide_possible_values = true)]
    #[arg(env = "SOPS_ENABLE_LOCAL_KEYSERVICE", hide_env_values = true)]
    pub(crate) enable_local_keyservice: bool,
}

impl KeyServiceArgs {
    /// This program itself and no other service.
    #[cfg(any(test, feature = "keyservice"))]
    pub(crate) fn local() -> Self {
        Self {
            keyservice: Vec::new(),
            enable_local_keyservice: true,
        }
    }

    /// The key services to ask, in this order.
    #[cfg(feature = "keyservice")]
    pub(crate) fn remotes(&self) -> impl Iterator<Item = &Address> {
        self.keyservice
            .iter()
            .flat_map(|MaybeAddress(address)| address)
    }
}

/// One element of a list of key services; `None` if it is empty.
#[cfg(feature = "keyservice")]
#[derive(Clone, Debug)]
struct MaybeAddress(Option<Address>);

/// An empty element of a list of key services: in this build there can be no other.
#[cfg(not(feature = "keyservice"))]
#[derive(Clone, Debug)]
struct MaybeAddress;

/// What dotenv is called, too.
const ENV: &str = "env";

/// Takes one of the names of formats and nothing else.
pub(crate) fn format() -> impl clap::builder::TypedValueParser<Value = Format> {
    PossibleValuesParser::new(names()).try_map(|name| named(&name).ok_or("not a format"))
}

/// Takes the name of a format, or of something else that content can be written as.
pub(crate) fn output_format() -> impl clap::builder::TypedValueParser<Value = OutputFormat> {
    let shell = OutputFormat::Shell.name();
    PossibleValuesParser::new(names().chain([PossibleValue::new(shell)])).try_map(move |name| {
        if name == shell {
            return Ok(OutputFormat::Shell);
        }
        named(&name).map(OutputFormat::File).ok_or("not a format")
    })
}

fn names() -> impl Iterator<Item = PossibleValue> {
    Format::ALL.into_iter().map(|format| {
        let name = PossibleValue::new(format.name());
        match format {
            Format::Dotenv => name.alias(ENV),
            _ => name,
        }
    })
}

fn named(name: &str) -> Option<Format> {
    if name == ENV {
        return Some(Format::Dotenv);
    }
    Format::from_name(name)
}

/// Reads the words that Go's `ParseBool` knows; nothing means the default.
pub(crate) fn switch(word: &str) -> Result<bool, &'static str> {
    match word {
        "" | "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err("neither true nor false"),
    }
}

/// Reads the address of a key service; nothing is none.
#[cfg(feature = "keyservice")]
fn address(uri: &str) -> Result<MaybeAddress, BadAddress> {
    let uri = uri.trim();
    let address = (!uri.is_empty()).then(|| uri.parse()).transpose()?;
    Ok(MaybeAddress(address))
}

/// Refuses what would otherwise be ignored without a word.
#[cfg(not(feature = "keyservice"))]
fn address(uri: &str) -> Result<MaybeAddress, &'static str> {
    if uri.trim().is_empty() {
        Ok(MaybeAddress)
    } else {
        Err("this program was built without the feature `keyservice`")
    }
}

#[cfg(test)]
mod tests {
    use clap::{Parser, error::ErrorKind};
    use sops_rs::format::Format;

    use super::{AnywhereArgs, IdentityArgs, InputArgs, KeyArgs, OutputArgs, SelectionArgs};

    /// A command with all of the shared options.
    #[derive(Parser, Debug)]
    struct All {
        #[command(flatten)]
        input: InputArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        keys: KeyArgs,
        #[command(flatten)]
        selection: SelectionArgs,
        #[command(flatten)]
        identity: IdentityArgs,
    }

    fn parse(line: &str) -> Result<All, clap::Error> {
        All::try_parse_from(["x"].into_iter().chain(line.split(' ')))
    }

    #[test]
    fn options_may_stand_before_and_behind_the_file() {
        let all = parse("-i --input-type yaml f --mac-only-encrypted").unwrap();
        assert_eq!(all.input.file, Some("f".into()));
        assert_eq!(all.input.input_type, Some(Format::Yaml));
        assert!(all.output.in_place && all.selection.anywhere.mac_only_encrypted);
    }

    #[test]
    fn lists_are_split_at_commas() {
        let all = parse("--age age1a,age1b -a age1c --pgp A,B").unwrap();
        assert_eq!(all.keys.age, ["age1a", "age1b", "age1c"]);
        assert_eq!(all.keys.pgp, ["A", "B"]);
    }

    #[test]
    fn a_format_has_one_of_six_names() {
        let error = parse("--input-type yml f").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        assert!(
            error
                .to_string()
                .contains("yaml, json, dotenv, ini, toml, binary"),
            "{error}"
        );
    }

    #[test]
    fn in_place_and_output_contradict_each_other() {
        assert_eq!(
            parse("-i --output o f").unwrap_err().kind(),
            ErrorKind::ArgumentConflict
        );
    }

    #[cfg(feature = "keyservice")]
    #[test]
    fn key_services_have_addresses_and_the_local_one_is_a_switch() {
        let error = parse("--keyservice localhost:5000 f").unwrap_err();
        assert!(error.to_string().contains("`tcp://HOST:PORT`"), "{error}");
        let all = parse("--keyservice tcp://a:1,,unix:///b --keyservice tcp://c:2 f").unwrap();
        let services = all.identity.services;
        let remotes: Vec<String> = services.remotes().map(ToString::to_string).collect();
        assert_eq!(remotes, ["tcp://a:1", "unix:///b", "tcp://c:2"]);
        assert!(services.enable_local_keyservice);
        let all = parse("--enable-local-keyservice=false f").unwrap();
        assert!(!all.identity.services.enable_local_keyservice);
        let all = parse("--enable-local-keyservice f").unwrap();
        assert!(all.identity.services.enable_local_keyservice);
    }

    #[test]
    fn what_stands_behind_the_command_wins() {
        let regex = |text: &str| AnywhereArgs {
            encrypted_comment_regex: Some(text.to_owned()),
            ..AnywhereArgs::default()
        };
        let before = AnywhereArgs {
            mac_only_encrypted: true,
            ..regex("before")
        };
        let both = regex("behind").or(before);
        assert_eq!(both.encrypted_comment_regex.as_deref(), Some("behind"));
        assert!(both.mac_only_encrypted);
    }
}
