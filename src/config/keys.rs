//! The recipients of a creation rule: flat fields, or key groups (spec 8.2).
//!
//! What is not of the right type is an error of the config; a string that names no recipient is kept as an error of its
//! rule, because other rules are still good.

use std::collections::HashSet;

use crate::recipient::{BadRecipient, Recipient, RecipientKind, split_list};

use super::field::{Field, Reader, TextOrItems};
use super::names::Names;
use super::{ConfigError, Warning};

/// The recipients of one group, or what is wrong with the first that is none.
pub(super) type Group = Result<Vec<Recipient>, ConfigError>;

/// The fields of a rule that hold recipients; `key_groups` hides the others.
pub(super) const RULE_FIELDS: [&str; 10] = [
    "key_groups",
    "recipients",
    "age",
    "pgp",
    "kms",
    "aws_profile",
    "gcp_kms",
    "hckms",
    "azure_keyvault",
    "hc_vault_transit_uri",
];

const GROUP_FIELDS: [&str; 9] = [
    "merge",
    "recipients",
    "age",
    "pgp",
    "kms",
    "gcp_kms",
    "hckms",
    "azure_keyvault",
    "hc_vault",
];

/// Which kind is read, and how; `Unknown` stands for any.
type Reads = (RecipientKind, fn(&str) -> Result<Recipient, BadRecipient>);

const ANY: Reads = (RecipientKind::Unknown, Recipient::parse);
const AGE: Reads = (RecipientKind::Age, Recipient::parse_age);
const PGP: Reads = (RecipientKind::Pgp, Recipient::parse_pgp);
const KMS: Reads = (RecipientKind::Kms, Recipient::parse_kms);
const GCP: Reads = (RecipientKind::GcpKms, Recipient::parse_gcp_kms);
const AZURE: Reads = (RecipientKind::AzureKv, Recipient::parse_azure);
const VAULT: Reads = (RecipientKind::Vault, Recipient::parse_vault);

/// Recipients in the making.
struct Keys<'a> {
    names: &'a Names,
    found: Vec<Recipient>,
    bad: Option<ConfigError>,
}

impl<'a> Keys<'a> {
    fn new(names: &'a Names) -> Self {
        Self {
            names,
            found: Vec::new(),
            bad: None,
        }
    }

    fn add(&mut self, field: &Field<'_>, parsed: Result<Recipient, BadRecipient>) {
        match parsed {
            Ok(recipient) => self.found.push(recipient),
            Err(source) => {
                let bad = ConfigError::Recipient {
                    field: field.path.clone(),
                    source,
                };
                self.bad.get_or_insert(bad);
            }
        }
    }

    /// One recipient, or a name for some. Where one kind is written, a name must mean keys of that kind.
    fn add_text(&mut self, field: &Field<'_>, text: &str, (kind, parse): Reads) {
        let Some(named) = self.names.get(text) else {
            return self.add(field, parse(text));
        };
        for recipient in named {
            let found = recipient.kind();
            let fits = kind == RecipientKind::Unknown || kind == found;
            if fits {
                self.found.push(recipient.clone());
            } else {
                let bad = ConfigError::OtherKind {
                    field: field.path.clone(),
                    name: text.to_owned(),
                    kind: found,
                };
                self.bad.get_or_insert(bad);
            }
        }
    }

    /// A comma-separated string, or a list of such strings (spec 8.3).
    fn add_texts(&mut self, field: &Field<'_>, reads: Reads) -> Result<(), ConfigError> {
        match field.text_or_items()? {
            TextOrItems::Text(text) => {
                for item in split_list(text) {
                    self.add_text(field, item, reads);
                }
            }
            TextOrItems::Items(items) => {
                for item in items {
                    let text = item.string()?;
                    if text.trim().is_empty() {
                        self.add(&item, reads.1(""));
                    }
                    for part in split_list(text) {
                        self.add_text(&item, part, reads);
                    }
                }
            }
        }
        Ok(())
    }

    /// The first of each recipient stays (spec 6.5).
    fn finish(self) -> Group {
        if let Some(bad) = self.bad {
            return Err(bad);
        }
        let mut seen = HashSet::new();
        let mut found = self.found;
        found.retain(|recipient| seen.insert((recipient.kind(), recipient.identity())));
        Ok(found)
    }
}

/// The groups of a rule: its key groups, else one group of its flat fields.
pub(super) fn read_groups(
    reader: &mut Reader,
    names: &Names,
    rule: &Field<'_>,
) -> Result<Vec<Group>, ConfigError> {
    let key_groups = rule.get("key_groups").items()?;
    if key_groups.is_empty() {
        return Ok(vec![read_flat(names, rule)?]);
    }
    if RULE_FIELDS
        .iter()
        .skip(1)
        .any(|name| !rule.get(name).is_null())
    {
        reader.warnings.push(Warning::HiddenKeys {
            field: rule.path.clone(),
        });
    }
    let mut groups = Vec::new();
    for group in &key_groups {
        let mut keys = Keys::new(names);
        read_group(reader, group, &mut keys)?;
        groups.push(keys.finish());
    }
    Ok(groups)
}

fn read_flat(names: &Names, rule: &Field<'_>) -> Result<Group, ConfigError> {
    let mut keys = Keys::new(names);
    keys.add_texts(&rule.get("recipients"), ANY)?;
    keys.add_texts(&rule.get("age"), AGE)?;
    keys.add_texts(&rule.get("pgp"), PGP)?;
    let from = keys.found.len();
    keys.add_texts(&rule.get("kms"), KMS)?;
    let profile = rule.get("aws_profile").text()?;
    for recipient in keys.found.iter_mut().skip(from) {
        if let Recipient::Kms { aws_profile, .. } = recipient {
            aws_profile.clone_from(&profile);
        }
    }
    keys.add_texts(&rule.get("gcp_kms"), GCP)?;
    for item in rule.get("hckms").items()? {
        let parsed = Recipient::parse_hckms(item.string()?);
        keys.add(&item, parsed);
    }
    keys.add_texts(&rule.get("azure_keyvault"), AZURE)?;
    keys.add_texts(&rule.get("hc_vault_transit_uri"), VAULT)?;
    Ok(keys.finish())
}

/// Reads a key group; those it merges come first. YAML readers bound the nesting.
fn read_group(
    reader: &mut Reader,
    group: &Field<'_>,
    keys: &mut Keys<'_>,
) -> Result<(), ConfigError> {
    reader.mapping(group, &GROUP_FIELDS)?;
    for merged in group.get("merge").items()? {
        read_group(reader, &merged, keys)?;
    }
    keys.add_texts(&group.get("recipients"), ANY)?;
    keys.add_texts(&group.get("age"), AGE)?;
    keys.add_texts(&group.get("pgp"), PGP)?;
    for entry in group.get("kms").items()? {
        reader.mapping(&entry, &["arn", "role", "context", "aws_profile"])?;
        let parsed = read_kms(&entry)?;
        keys.add(&entry, parsed);
    }
    for entry in group.get("gcp_kms").items()? {
        reader.mapping(&entry, &["resource_id"])?;
        keys.add(
            &entry,
            Recipient::parse_gcp_kms(&entry.get("resource_id").text()?),
        );
    }
    for entry in group.get("hckms").items()? {
        reader.mapping(&entry, &["key_id"])?;
        keys.add(&entry, Recipient::parse_hckms(&entry.get("key_id").text()?));
    }
    for entry in group.get("azure_keyvault").items()? {
        reader.mapping(&entry, &["vaultUrl", "key", "version"])?;
        let parsed = read_azure(&entry)?;
        keys.add(&entry, parsed);
    }
    keys.add_texts(&group.get("hc_vault"), VAULT)
}

fn read_kms(entry: &Field<'_>) -> Result<Result<Recipient, BadRecipient>, ConfigError> {
    let (text, own_role) = (entry.get("arn").text()?, entry.get("role").text()?);
    let own_context = entry.get("context").pairs()?;
    let own_profile = entry.get("aws_profile").text()?;
    let parsed = Recipient::parse_kms(&text).map(|parsed| match parsed {
        Recipient::Kms { arn, role, .. } => Recipient::Kms {
            arn,
            role: if own_role.is_empty() { role } else { own_role },
            context: own_context,
            aws_profile: own_profile,
        },
        other => other,
    });
    Ok(parsed)
}

fn read_azure(entry: &Field<'_>) -> Result<Result<Recipient, BadRecipient>, ConfigError> {
    let vault_url = entry
        .get("vaultUrl")
        .text()?
        .trim_end_matches('/')
        .to_owned();
    let (name, version) = (entry.get("key").text()?, entry.get("version").text()?);
    let valid = |part: &str| !part.contains('/');
    if !vault_url.starts_with("https://") || name.is_empty() || !valid(&name) || !valid(&version) {
        let reason = "`vaultUrl` must begin with `https://`, and `key` must be a name";
        return Ok(Err(BadRecipient {
            kind: RecipientKind::AzureKv,
            reason,
        }));
    }
    Ok(Ok(Recipient::AzureKv {
        vault_url,
        name,
        version,
    }))
}
