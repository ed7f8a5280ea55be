//! The schema of spec 8.2, section by section.

use crate::selection::RuleKind;
use crate::tree::Tree;

use super::field::{Field, Reader};
use super::keys::{self, RULE_FIELDS};
use super::names::Names;
use super::{
    Config, ConfigError, CreationRule, Destination, DestinationRule, JsonIndent, Stores,
    Strictness, Warning,
};

/// The most rules a list may have: each has a regular expression, which may take milliseconds to compile.
const MAX_RULES: usize = 2_000;
/// Mount of Vault's key-value store if the rule names none.
const DEFAULT_MOUNT: &str = "secret/";

/// Reads the schema from `tree`, which is what `text` holds.
pub(super) fn read(
    text: &str,
    tree: &Tree,
    strictness: Strictness,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    let mut reader = Reader {
        strictness,
        warnings: Vec::new(),
    };
    let root = Field::root(tree);
    let known = [
        "recipients",
        "creation_rules",
        "destination_rules",
        "stores",
    ];
    reader.mapping(&root, &known)?;
    let mut names = Names::read(&root.get("recipients"))?;
    names.note_labels(text);
    let creation_rules = root.get("creation_rules");
    let config = Config {
        creation_rules: if creation_rules.is_null() {
            None
        } else {
            Some(read_all(&mut reader, &creation_rules, |reader, rule| {
                read_creation_rule(reader, &names, rule)
            })?)
        },
        destination_rules: read_all(
            &mut reader,
            &root.get("destination_rules"),
            |reader, rule| read_destination_rule(reader, &names, rule),
        )?,
        stores: read_stores(&mut reader, &root.get("stores"))?,
        names,
    };
    Ok((config, reader.warnings))
}

fn read_all<T>(
    reader: &mut Reader,
    list: &Field<'_>,
    read: impl Fn(&mut Reader, &Field<'_>) -> Result<T, ConfigError>,
) -> Result<Vec<T>, ConfigError> {
    let items = list.items()?;
    if items.len() > MAX_RULES {
        return Err(ConfigError::Type {
            field: list.path.clone(),
            expected: "a list of at most 2,000 rules",
        });
    }
    items.iter().map(|item| read(reader, item)).collect()
}

fn read_creation_rule(
    reader: &mut Reader,
    names: &Names,
    rule: &Field<'_>,
) -> Result<CreationRule, ConfigError> {
    let mut known = vec!["path_regex", "shamir_threshold", "mac_only_encrypted"];
    known.extend(RULE_FIELDS);
    known.extend(RuleKind::ALL.map(RuleKind::name));
    reader.mapping(rule, &known)?;
    let mut selection = Vec::new();
    for kind in RuleKind::ALL {
        let text = rule.get(kind.name()).text()?;
        if !text.is_empty() {
            selection.push((kind, text));
        }
    }
    Ok(CreationRule {
        path_regex: rule.get("path_regex").text()?,
        groups: keys::read_groups(reader, names, rule)?,
        shamir_threshold: rule.get("shamir_threshold").count()?,
        selection,
        mac_only_encrypted: rule.get("mac_only_encrypted").flag()?,
    })
}

fn read_destination_rule(
    reader: &mut Reader,
    names: &Names,
    rule: &Field<'_>,
) -> Result<DestinationRule, ConfigError> {
    let known = [
        "path_regex",
        "s3_bucket",
        "s3_prefix",
        "gcs_bucket",
        "gcs_prefix",
        "vault_path",
        "vault_address",
        "vault_kv_mount_name",
        "vault_kv_version",
        "omit_extensions",
        "recreation_rule",
    ];
    reader.mapping(rule, &known)?;
    let recreation = rule.get("recreation_rule");
    Ok(DestinationRule {
        path_regex: rule.get("path_regex").text()?,
        destinations: read_destinations(rule)?,
        omit_extensions: rule.get("omit_extensions").flag()?,
        recreation_rule: if recreation.is_null() {
            None
        } else {
            Some(read_creation_rule(reader, names, &recreation)?)
        },
    })
}

fn read_destinations(rule: &Field<'_>) -> Result<Vec<Destination>, ConfigError> {
    let text = |name: &str| rule.get(name).text();
    let mut destinations = Vec::new();
    let (bucket, prefix) = (text("s3_bucket")?, text("s3_prefix")?);
    if !bucket.is_empty() {
        destinations.push(Destination::S3 { bucket, prefix });
    }
    let (bucket, prefix) = (text("gcs_bucket")?, text("gcs_prefix")?);
    if !bucket.is_empty() {
        destinations.push(Destination::Gcs { bucket, prefix });
    }
    let (path, address) = (text("vault_path")?, text("vault_address")?);
    let mount = Some(text("vault_kv_mount_name")?).filter(|mount| !mount.is_empty());
    // Any other version means the second (spec 8.4).
    let version = if rule.get("vault_kv_version").number()? == Some(1) {
        1
    } else {
        2
    };
    if !path.is_empty() {
        let mount = mount.unwrap_or_else(|| DEFAULT_MOUNT.to_owned());
        destinations.push(Destination::Vault {
            path,
            address,
            mount,
            version,
        });
    }
    Ok(destinations)
}

fn read_stores(reader: &mut Reader, stores: &Field<'_>) -> Result<Stores, ConfigError> {
    reader.mapping(stores, &["yaml", "json", "json_binary", "dotenv", "ini"])?;
    for name in ["yaml", "json", "json_binary"] {
        reader.mapping(&stores.get(name), &["indent"])?;
    }
    for name in ["dotenv", "ini"] {
        reader.mapping(&stores.get(name), &[])?;
    }
    let default = Stores::default();
    let yaml_indent = match stores.get("yaml").get("indent").count()? {
        0 => default.yaml_indent,
        indent => indent,
    };
    Ok(Stores {
        yaml_indent,
        json_indent: read_json_indent(&stores.get("json"))?,
        json_binary_indent: read_json_indent(&stores.get("json_binary"))?,
    })
}

fn read_json_indent(store: &Field<'_>) -> Result<JsonIndent, ConfigError> {
    let indent = store.get("indent");
    match indent.number()? {
        None | Some(-1) => Ok(JsonIndent::Tab),
        Some(_) => indent.count().map(JsonIndent::Blanks),
    }
}
