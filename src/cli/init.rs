//! `init`: an identity for the user and a config for the repository, where there are none.
//!
//! Never overwrites anything: run again, it says what is there. Knows the form of the two files; what a rule means is
//! the library's business.

use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::keys::age::{IdentityType, NewIdentity, check_recipient, generate};
use sops_rs::secret::Plain;
use sops_rs::value::timestamp;

use super::context::Context;
use super::entropy::Entropy;
use super::exit::Exit;
use super::identities::holds_key;
use super::io::{self, Input, Privacy};
use super::report::{Failure, escaped};

/// Make an age identity for you and a config for this repository
///
/// The identity goes to the place where SOPS looks for it, unless there is one or the environment names another. The
/// config, `.sops-rs.yaml`, goes to the top of the git repository and says who can open which files. What exists is
/// never changed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs init
  sops-rs init --recipient age1…    # also for a colleague or a server")]
pub(crate) struct Init {
    /// Someone else who shall be able to open the files; may be repeated
    #[arg(short, long = "recipient", value_name = "RECIPIENT")]
    recipients: Vec<String>,
    /// Make an identity that is safe from quantum computers too; others need age 1.3 or SOPS 3.12
    #[arg(long)]
    pq: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Init {
    fn kind(&self) -> IdentityType {
        if self.pq {
            IdentityType::PostQuantum
        } else {
            IdentityType::Classic
        }
    }
}

/// Variables that name an identity (spec 10.2). The first two can be read without running a program.
const SOURCES: [&str; 5] = [
    "SOPS_AGE_KEY",
    "SOPS_AGE_KEY_FILE",
    "SOPS_AGE_KEY_CMD",
    "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
    "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
];

/// Runs the command.
///
/// # Errors
/// [`Failure`] if a recipient is none, there is no home directory, or a file cannot be written.
pub(crate) fn run(
    context: &mut Context,
    args: &Init,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let others: Vec<String> = args
        .recipients
        .iter()
        .map(|text| text.trim().to_owned())
        .collect();
    others.iter().try_for_each(|text| check(text))?;
    let owner = find_owner(context)?;
    let existing_config = find_config(context, config);
    if !args.yes && !confirm(context, &owner, existing_config.as_ref().err())? {
        return Err(Failure::new(Exit::Failed, "nothing was done"));
    }

    let recipient = provide_identity(context, owner, args.kind())?;
    match existing_config {
        Ok(path) => keep_config(context, &path, recipient.as_deref())?,
        Err(path) => create_config(context, &path, recipient.as_deref(), &others)?,
    }
    Ok(Exit::Success)
}

/// Where the user's identity is, or will be.
enum Owner {
    /// There is one; its recipient, if that can be told without asking anybody.
    Existing {
        place: String,
        recipient: Option<String>,
    },
    /// There is none, and this is where it belongs.
    Missing { path: PathBuf },
}

/// Asks before anything is made, if there is somebody to ask.
fn confirm(
    context: &mut Context,
    owner: &Owner,
    new_config: Option<&PathBuf>,
) -> Result<bool, Failure> {
    let new_identity = match owner {
        Owner::Missing { path } => Some(path),
        Owner::Existing { .. } => None,
    };
    let paths: Vec<_> = new_identity
        .into_iter()
        .chain(new_config)
        .map(|path| shown(path))
        .collect();
    if !context.interactive || paths.is_empty() {
        return Ok(true);
    }
    let answer = context.ask(&format!("create {}? [Y/n] ", paths.join(" and ")))?;
    Ok(matches!(answer.as_deref(), Some("" | "y" | "Y" | "yes")))
}

/// A path as it can be printed: the names of folders may come from strangers.
fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy()).into_owned()
}

fn find_owner(context: &mut Context) -> Result<Owner, Failure> {
    if let Some(name) = SOURCES
        .into_iter()
        .find(|name| context.variable(name).is_some())
    {
        let value = context.variable(name).unwrap_or_default().to_owned();
        let recipient = match name {
            "SOPS_AGE_KEY" => value.to_str().and_then(recipient_of),
            "SOPS_AGE_KEY_FILE" if holds_key(&value) => {
                let message =
                    "SOPS_AGE_KEY_FILE holds a key, not the path of a file; use SOPS_AGE_KEY";
                return Err(Failure::new(Exit::Failed, message));
            }
            "SOPS_AGE_KEY_FILE" => {
                let bytes = io::read(context, &Input::File(PathBuf::from(value)))?;
                str::from_utf8(&bytes).ok().and_then(recipient_of)
            }
            _ => None,
        };
        return Ok(Owner::Existing {
            place: name.to_owned(),
            recipient,
        });
    }
    let Some(config_dir) = context.config_dir() else {
        return Err(Failure::new(
            Exit::Failed,
            "there is no home directory to keep an identity in",
        )
        .hint("set HOME, or name an identity with SOPS_AGE_KEY_FILE"));
    };
    let path = config_dir.join("sops/age/keys.txt");
    if path.symlink_metadata().is_err() {
        return Ok(Owner::Missing { path });
    }
    let bytes = io::read(context, &Input::File(path.clone()))?;
    let recipient = str::from_utf8(&bytes).ok().and_then(recipient_of);
    Ok(Owner::Existing {
        place: shown(&path),
        recipient,
    })
}

/// The recipient of the first identity in a key file. Identities of plugins do not tell it; the comment above them does.
fn recipient_of(keys: &str) -> Option<String> {
    let derived = keys.split_whitespace().find_map(|word| {
        word.parse::<age::x25519::Identity>()
            .ok()
            .map(|identity| identity.to_public().to_string())
    });
    derived.or_else(|| {
        keys.lines().find_map(|line| {
            let (label, recipient) = line.strip_prefix('#')?.split_once(':')?;
            let label = label.trim().to_ascii_lowercase();
            let recipient = recipient.trim();
            let told = matches!(label.as_str(), "public key" | "recipient");
            Some(recipient.to_owned()).filter(|text| told && check_recipient(text).is_ok())
        })
    })
}

/// Makes the identity if there is none. The recipient, if it is known.
fn provide_identity(
    context: &mut Context,
    owner: Owner,
    kind: IdentityType,
) -> Result<Option<String>, Failure> {
    match owner {
        Owner::Existing { place, recipient } => {
            let mut text = format!("kept     identity  {place}\n");
            if let Some(recipient) = &recipient {
                let _ = writeln!(text, "                   {recipient}");
            }
            context.print(text.as_bytes())?;
            Ok(recipient)
        }
        Owner::Missing { path } => {
            let created = timestamp(context.now().as_second());
            let mut random = Entropy::new(&mut context.random);
            let NewIdentity { file, recipient } = generate(kind, &created, &mut random);
            random.check()?;
            create_identity(&path, &file)?;
            let text = format!(
                "created  identity  {}\n                   {recipient}\n\
                 Keep a copy of that file in a safe place: without it your secrets are lost.\n",
                shown(&path)
            );
            context.print(text.as_bytes())?;
            Ok(Some(recipient))
        }
    }
}

/// Writes a key file where only the user can read it.
fn create_identity(path: &Path, file: &Plain<'_>) -> Result<(), Failure> {
    if let Some(directory) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| {
                let message = format!(
                    "cannot create the directory `{}`: {error}",
                    shown(directory)
                );
                Failure::new(Exit::CannotWrite, message)
            })?;
    }
    io::create(path, file.expose().as_bytes(), Privacy::Private)
}

/// The config of this repository: `Ok` if it exists, `Err` with the path where it belongs if not.
fn find_config(context: &Context, named: Option<&Path>) -> Result<PathBuf, PathBuf> {
    let exists = |path: &PathBuf| path.symlink_metadata().is_ok();
    if let Some(named) = named {
        let path = context.resolve(named);
        return if exists(&path) { Ok(path) } else { Err(path) };
    }
    let here = context.working_dir();
    let top = here
        .ancestors()
        .find(|dir| exists(&dir.join(".git")))
        .unwrap_or(here);
    let ours = top.join(".sops-rs.yaml");
    [ours.clone(), top.join(".sops.yaml")]
        .into_iter()
        .find(exists)
        .ok_or(ours)
}

fn keep_config(context: &mut Context, path: &Path, recipient: Option<&str>) -> Result<(), Failure> {
    context.print(format!("kept     config    {}\n", shown(path)).as_bytes())?;
    let bytes = io::read(context, &Input::File(path.to_owned()))?;
    let Some(recipient) = recipient else {
        return Ok(());
    };
    let named = str::from_utf8(&bytes).is_ok_and(|text| text.contains(recipient));
    let next = if named {
        next(path)
    } else {
        "next: have your recipient added to the config by someone who can open the files\n"
            .to_owned()
    };
    context.print(next.as_bytes())
}

/// What to do with a config: make a file, and have git know it.
fn next(config: &Path) -> String {
    let in_git = config
        .ancestors()
        .any(|folder| folder.join(".git").symlink_metadata().is_ok());
    let then = if in_git {
        "then: sops-rs git install   so that git diffs and merges it as if it were plain\n"
    } else {
        ""
    };
    format!("next: sops-rs edit secrets/example.yaml\n{then}")
}

fn create_config(
    context: &mut Context,
    path: &Path,
    own: Option<&str>,
    others: &[String],
) -> Result<(), Failure> {
    if own.is_none() && others.is_empty() {
        return Err(Failure::new(
            Exit::Failed,
            "the recipient of your identity cannot be told",
        )
        .detail("it is in a program, a plugin, an SSH key or a file with a passphrase")
        .hint("name it with `--recipient`"));
    }
    io::create(
        path,
        config_text(&user(context), own, others).as_bytes(),
        Privacy::Public,
    )?;
    let text = format!("created  config    {}\n{}", shown(path), next(path));
    context.print(text.as_bytes())
}

/// The user's name, as far as it is fit for a comment.
fn user(context: &Context) -> String {
    let name = context
        .variable("USER")
        .or_else(|| context.variable("LOGNAME"));
    let name = name.unwrap_or_default().to_string_lossy();
    let fit = |c: &char| c.is_alphanumeric() || "._-".contains(*c);
    Some(name.chars().filter(fit).take(64).collect::<String>())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "you".to_owned())
}

fn config_text(user: &str, own: Option<&str>, others: &[String]) -> String {
    let mut text = "\
# Who can open which files of this repository. sops-rs reads this file; SOPS itself
# reads `.sops.yaml`, which has the same form.
#
# The first rule whose path_regex matches decides. It is matched against the path of
# the file, seen from here, with `/` between folders.
creation_rules:
  # All files in folders named `secrets`, and files such as `db.secret.yaml` or
  # `prod.enc.env` anywhere.
  - path_regex: '(^|/)secrets/|\\.(secret|enc)\\.(ya?ml|json|env|ini|toml)$'
    # To seal only some of the values, for example in Kubernetes manifests:
    # encrypted_regex: '^(data|stringData)$'
    age: &owners
"
    .to_owned();
    if let Some(own) = own {
        let _ = writeln!(text, "      # {user}\n      - {}", quoted(own));
    }
    for other in others.iter().filter(|&other| Some(other.as_str()) != own) {
        let _ = writeln!(text, "      # who is this?\n      - {}", quoted(other));
    }
    text.push_str(ANY_OTHER);
    text
}

/// The last rule of a new config.
const ANY_OTHER: &str = "
  # Any other file that you name, such as `sops-rs encrypt -i values.yaml`.
  - path_regex: '.*'
    age: *owners
";

/// The text as a YAML scalar: bare if it is a single word of age's alphabet.
fn quoted(recipient: &str) -> String {
    if recipient
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        recipient.to_owned()
    } else {
        format!("'{}'", recipient.replace('\'', "''"))
    }
}

/// Whether somebody can be reached by this recipient.
fn check(text: &str) -> Result<(), Failure> {
    check_recipient(text).map_err(|error| {
        Failure::new(
            Exit::Failed,
            match text.get(..4) {
                // A slip of the hand: it is a secret.
                Some("AGE-") => {
                    "an identity is given as a recipient: keep it to yourself".to_owned()
                }
                _ => format!("`{text}` cannot be a recipient: {error}"),
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use tempfile::TempDir;

    use super::super::context::testing::context;
    use super::{ANY_OTHER, Exit, Failure, Init, check, config_text, run as init};

    const SECRET: &str =
        "AGE-SECRET-KEY-1QYPQXPQ9QCRSSZG2PVXQ6RS0ZQG3YYC5Z5TPWXQERGD3C8G7RUSQGPQYEE";
    const RECIPIENT: &str = "age1q73he0q5yzfu3d64msd3p6rvksnrwjk3d2598mgtmlqt9wrdr37q2vrn72";
    const OTHER: &str = "age1v2yxy5rncmvrnca08sq3nefhjpm7en0zvg6tejd47ptezsvfdphsj728gf";
    const PLUGIN: &str = "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t";

    /// A repository with a folder `sub`, and a home.
    fn surroundings() -> TempDir {
        let root = TempDir::new().unwrap();
        fs::create_dir_all(root.path().join("repo/.git")).unwrap();
        fs::create_dir_all(root.path().join("repo/sub")).unwrap();
        root
    }

    fn run(root: &TempDir, variables: &[(&str, &str)], others: &[&str]) -> Result<String, Failure> {
        let home = root.path().join("home");
        let mut all = vec![("HOME", home.to_str().unwrap()), ("USER", "ann\n - evil")];
        all.extend(variables);
        let (mut context, stdout, stderr) = context(&root.path().join("repo/sub"), &all, b"");
        let recipients = others.iter().map(ToString::to_string).collect();
        let arguments = Init {
            recipients,
            pq: false,
            yes: true,
        };
        let exit = init(&mut context, &arguments, None)?;
        assert_eq!((exit, stderr.take().as_str()), (Exit::Success, ""));
        Ok(stdout.take().replace(root.path().to_str().unwrap(), ""))
    }

    #[cfg(target_os = "linux")]
    const KEYS: &str = "home/.config/sops/age/keys.txt";
    #[cfg(target_os = "macos")]
    const KEYS: &str = "home/Library/Application Support/sops/age/keys.txt";

    fn read(root: &TempDir, path: &str) -> String {
        fs::read_to_string(root.path().join(path)).unwrap()
    }

    #[test]
    fn a_new_user_gets_an_identity_and_a_config() {
        let root = surroundings();
        let said = run(&root, &[], &[]).unwrap();
        assert_eq!(
            said,
            format!(
                "created  identity  /{KEYS}\n                   {RECIPIENT}\n\
                 Keep a copy of that file in a safe place: without it your secrets are lost.\n\
                 created  config    /repo/.sops-rs.yaml\nnext: sops-rs edit secrets/example.yaml\n\
                 then: sops-rs git install   so that git diffs and merges it as if it were plain\n"
            )
        );
        assert_eq!(
            read(&root, KEYS),
            format!("# created: 2023-11-14T22:13:20Z\n# public key: {RECIPIENT}\n{SECRET}\n")
        );
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let keys = root.path().join(KEYS);
        assert_eq!((mode(&keys), mode(keys.parent().unwrap())), (0o600, 0o700));
        let config = read(&root, "repo/.sops-rs.yaml");
        assert!(
            config.ends_with(&format!(
                "      # ann-evil\n      - {RECIPIENT}\n{ANY_OTHER}"
            )),
            "{config}"
        );
    }

    #[test]
    fn the_second_time_nothing_changes() {
        let root = surroundings();
        run(&root, &[], &[]).unwrap();
        let before = (read(&root, KEYS), read(&root, "repo/.sops-rs.yaml"));
        let said = run(&root, &[], &[]).unwrap();
        assert_eq!(
            said,
            format!(
                "kept     identity  /{KEYS}\n                   {RECIPIENT}\n\
                 kept     config    /repo/.sops-rs.yaml\nnext: sops-rs edit secrets/example.yaml\n\
                 then: sops-rs git install   so that git diffs and merges it as if it were plain\n"
            )
        );
        assert_eq!(
            (read(&root, KEYS), read(&root, "repo/.sops-rs.yaml")),
            before
        );
    }

    #[test]
    fn an_identity_from_the_environment_is_used() {
        let root = surroundings();
        let said = run(&root, &[("SOPS_AGE_KEY", SECRET)], &[OTHER]).unwrap();
        assert!(
            said.starts_with("kept     identity  SOPS_AGE_KEY\n"),
            "{said}"
        );
        assert!(!said.contains("SECRET-KEY"));
        assert!(!root.path().join("home").exists());
        let config = read(&root, "repo/.sops-rs.yaml");
        assert!(
            config.contains(RECIPIENT) && config.contains(OTHER),
            "{config}"
        );
    }

    #[test]
    fn an_identity_that_does_not_tell_its_recipient_needs_one_named() {
        let root = surroundings();
        let command = [("SOPS_AGE_KEY_CMD", "pass show age")];
        let failure = run(&root, &command, &[]).unwrap_err();
        assert_eq!(
            failure.message,
            "the recipient of your identity cannot be told"
        );
        assert!(!root.path().join("repo/.sops-rs.yaml").exists());
        run(&root, &command, &[OTHER]).unwrap();
        assert!(read(&root, "repo/.sops-rs.yaml").ends_with(&format!("- {OTHER}\n{ANY_OTHER}")));
    }

    #[test]
    fn the_config_of_sops_is_kept() {
        let root = surroundings();
        let config = root.path().join("repo/.sops.yaml");
        super::io::create(&config, b"creation_rules: []\n", super::Privacy::Public).unwrap();
        let said = run(&root, &[], &[]).unwrap();
        assert!(said.contains("kept     config    /repo/.sops.yaml\nnext: have your recipient"));
        assert!(!root.path().join("repo/.sops-rs.yaml").exists());
        assert_eq!(read(&root, "repo/.sops.yaml"), "creation_rules: []\n");
    }

    #[test]
    fn a_plugin_identity_tells_its_recipient_in_a_comment() {
        let keys = format!("# Recipient: {PLUGIN}\nAGE-PLUGIN-YUBIKEY-1XYZ\n");
        assert_eq!(super::recipient_of(&keys).as_deref(), Some(PLUGIN));
        assert_eq!(super::recipient_of(SECRET).as_deref(), Some(RECIPIENT));
        assert_eq!(super::recipient_of(&format!("# created: {PLUGIN}")), None);
    }

    #[test]
    fn a_recipient_with_a_typing_error_is_refused() {
        assert!(check(RECIPIENT).is_ok());
        assert!(check(PLUGIN).is_ok());
        for bad in [
            "",
            "age",
            &RECIPIENT.replace("73he", "73hf"),
            "age1a, age1b",
            "ssh-ed25519 x",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let root = surroundings();
        assert_eq!(run(&root, &[], &["age1x"]).unwrap_err().exit, Exit::Failed);
        assert!(
            !root.path().join("home").exists(),
            "nothing is made before all is checked"
        );
    }

    #[test]
    fn the_config_is_yaml_whatever_the_recipient() {
        #[derive(serde::Deserialize)]
        struct Config {
            creation_rules: Vec<Rule>,
        }
        #[derive(serde::Deserialize)]
        struct Rule {
            path_regex: String,
            age: Vec<String>,
        }
        let others = ["ssh-ed25519 AAAA it's: me".to_owned()];
        let config: Config =
            yaml_serde::from_str(&config_text("ann", Some(RECIPIENT), &others)).unwrap();
        let rule = &config.creation_rules[0];
        assert_eq!(rule.age, [RECIPIENT, "ssh-ed25519 AAAA it's: me"]);
        let regex = regex::Regex::new(&rule.path_regex).unwrap();
        for path in [
            "secrets/a.txt",
            "k8s/secrets/b",
            "db.secret.yaml",
            "a/prod.enc.env",
        ] {
            assert!(regex.is_match(path), "{path}");
        }
        for path in ["my-secrets/a", "deploy.yaml", "secrets", "x.enc.txt"] {
            assert!(!regex.is_match(path), "{path}");
        }
        let any = &config.creation_rules[1];
        assert_eq!(any.age, rule.age);
        let regex = regex::Regex::new(&any.path_regex).unwrap();
        assert!(regex.is_match("values.yaml"));
    }

    #[test]
    fn a_person_is_asked_first() {
        let root = surroundings();
        let home = root.path().join("home");
        let variables = [("HOME", home.to_str().unwrap())];
        let (mut context, stdout, stderr) =
            context(&root.path().join("repo"), &variables, b"n\n\n");
        context.interactive = true;
        let args = Init {
            recipients: Vec::new(),
            pq: false,
            yes: false,
        };
        let failure = init(&mut context, &args, None).unwrap_err();
        assert_eq!(
            (failure.exit, failure.message.as_str()),
            (Exit::Failed, "nothing was done")
        );
        assert!(stderr.take().ends_with("/repo/.sops-rs.yaml? [Y/n] "));
        assert!(!home.exists());
        assert_eq!(stdout.take(), "");
        init(&mut context, &args, None).unwrap();
        assert!(home.exists() && root.path().join("repo/.sops-rs.yaml").exists());
    }
}
