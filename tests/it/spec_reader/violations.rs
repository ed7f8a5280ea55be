//! What a layout-preserving writer must not do (spec 12, 14), and the byte searches of deployment tools that its output
//! must satisfy (Flux's markers, the greps of helm-secrets). Needs no key.

use super::token::{START, Token};
use super::tree::{Entry, Node, Value, What, aad, walk};
use super::{Format, json, lines, metadata, time, toml, yaml};

/// Every rule that the sealed `text` breaks, as a sentence each; none for a file in order.
pub(crate) fn violations(text: &str, format: Format) -> Vec<String> {
    let mut check = Check {
        text,
        format,
        found: Vec::new(),
    };
    if let Err(error) = check.run() {
        check.found.push(format!("cannot be read: {error}"));
    }
    check.found
}

struct Check<'a> {
    text: &'a str,
    format: Format,
    found: Vec<String>,
}

impl Check<'_> {
    fn run(&mut self) -> Result<(), String> {
        let documents = match self.format {
            Format::Yaml => {
                let stream = yaml::parse(self.text)?;
                self.found.extend(stream.faults.iter().cloned());
                self.yaml_metadata(&stream.metadata);
                self.yaml_detectors(stream.flow_roots.first() == Some(&true));
                stream.documents
            }
            Format::Json | Format::Binary => vec![json::parse(self.text)?],
            Format::Dotenv => vec![lines::dotenv(self.text)?],
            Format::Ini => vec![lines::ini(self.text)?],
            Format::Toml => vec![toml::parse(self.text)?],
        };
        self.tokens(&documents);
        match self.format {
            Format::Yaml | Format::Json | Format::Binary => self.nested(&documents),
            Format::Toml => {
                for metadata in documents.iter().filter_map(|document| document.get("sops")) {
                    self.schema(metadata, true);
                }
            }
            Format::Dotenv => self.dotenv(documents.first().map_or(&[], Node::entries))?,
            Format::Ini => self.ini(documents.first().map_or(&[], Node::entries))?,
        }
        self.detectors();
        Ok(())
    }

    fn add(&mut self, text: impl Into<String>) {
        self.found.push(text.into());
    }

    fn want(&mut self, holds: bool, text: &str) {
        if !holds {
            self.add(text);
        }
    }

    // ---- tokens, everywhere ----

    fn tokens(&mut self, documents: &[Node]) {
        for step in walk(documents) {
            let here = aad(&step.path);
            match step.what {
                What::Leaf(Value::Str(bytes)) => {
                    let text = String::from_utf8_lossy(bytes);
                    if text.starts_with(START) {
                        self.token(&text, &here, step.in_list, false);
                    }
                }
                What::Comment(remark) => {
                    let text = remark.text.trim_start();
                    if text.starts_with(START) {
                        self.want(text == remark.text, "a blank before a comment token");
                        self.token(text, &here, step.in_list, true);
                    }
                }
                _ => {}
            }
        }
    }

    fn token(&mut self, text: &str, here: &str, in_list: bool, comment: bool) {
        let Some(token) = Token::parse(text) else {
            return self.add(format!("a token that does not parse at {here}"));
        };
        for fault in token.faults(self.format == Format::Yaml) {
            self.add(format!("{fault} at {here}"));
        }
        match (comment, token.kind == "comment") {
            (true, false) => self.add(format!("a comment token of another type at {here}")),
            (false, true) if in_list => {
                self.add(format!("a comment token as a list item at {here}"));
            }
            (false, true) => self.add(format!("a comment token as a value at {here}")),
            _ => {}
        }
    }

    // ---- where the metadata stands ----

    fn nested(&mut self, documents: &[Node]) {
        let first = documents.first().and_then(|document| document.get("sops"));
        for document in documents {
            let keyed = || {
                document
                    .entries()
                    .iter()
                    .filter(|entry| entry.key.is_some())
            };
            let count = keyed()
                .filter(|entry| entry.key.as_deref() == Some("sops"))
                .count();
            self.want(count == 1, "not exactly one sops entry in a document");
            let last = keyed().next_back().and_then(|entry| entry.key.as_deref());
            self.want(
                last == Some("sops"),
                "sops is not the last entry of a document",
            );
            self.want(
                document.get("sops") == first,
                "sops entries differ between documents",
            );
        }
        if let Some(metadata) = first {
            self.schema(metadata, true);
            self.want(is_sorted(metadata), "metadata keys are not sorted");
        }
        if self.format == Format::Binary {
            let entries = documents.first().map_or(&[][..], Node::entries);
            let keys: Vec<_> = entries
                .iter()
                .filter_map(|entry| entry.key.as_deref())
                .collect();
            self.want(
                keys == ["data", "sops"],
                "a binary envelope with other members",
            );
        }
    }

    fn dotenv(&mut self, entries: &[Entry]) -> Result<(), String> {
        let flat = super::flat_lines(entries, "sops_");
        let first = entries
            .iter()
            .position(|e| e.key.as_deref().is_some_and(|k| k.starts_with("sops_")));
        let behind = entries.len() - first.unwrap_or(entries.len());
        self.want(
            behind == flat.len(),
            "sops_ lines do not stand together at the end",
        );
        let in_block = |line: &&str| line.starts_with("sops_") && line.contains('\r');
        self.want(
            !self.text.split('\n').any(|line| in_block(&line)),
            "CR in a sops_ line",
        );
        self.flat(&flat)
    }

    fn ini(&mut self, sections: &[Entry]) -> Result<(), String> {
        let last = sections.last().and_then(|section| section.key.as_deref());
        self.want(last == Some("sops"), "[sops] is not the last section");
        let named = sections
            .iter()
            .filter(|section| section.key.as_deref() == Some("sops"));
        self.want(named.count() == 1, "not exactly one [sops] section");
        let block = self
            .text
            .rsplit_once("[sops]")
            .map_or("", |(_, block)| block);
        self.want(
            !block.contains(['"', '`', '#', ';']),
            "quotes or comment marks below [sops]",
        );
        let entries = sections
            .last()
            .map_or(&[][..], |section| section.node.entries());
        for comment in sections.iter().flat_map(|section| section.node.entries()) {
            if let Node::Comment(remark) = &comment.node
                && remark.text.matches(START).count() > 1
            {
                self.add("several comment tokens in one INI comment");
            }
        }
        self.flat(&super::flat_lines(entries, ""))
    }

    fn flat(&mut self, flat: &[(String, String)]) -> Result<(), String> {
        let tree = metadata::unflatten(flat)?;
        self.want(is_sorted(&tree), "metadata keys are not sorted");
        self.want(
            flat.iter().all(|(_, value)| !value.is_empty()),
            "an empty metadata value",
        );
        self.want(
            flat.iter().all(|(_, value)| !value.contains('\r')),
            "CR in the metadata",
        );
        self.schema(&tree, false);
        Ok(())
    }

    // ---- what the metadata says (spec 5.1) ----

    fn schema(&mut self, metadata: &Node, nested: bool) {
        if let Err(error) = metadata::Metadata::parse(metadata) {
            return self.add(format!("metadata: {error}"));
        }
        let text =
            |node: &Node, key: &str| node.get(key).and_then(Node::as_text).unwrap_or_default();
        self.instant(&text(metadata, "lastmodified"), "lastmodified");
        let version = text(metadata, "version");
        let numbers: Vec<u32> = version
            .split('.')
            .filter_map(|part| part.parse().ok())
            .collect();
        self.want(
            numbers.len() == 3 && numbers >= vec![3, 3, 0],
            "version below 3.3.0",
        );
        match Token::parse(&text(metadata, "mac")) {
            Some(token) => {
                self.want(token.kind == "str", "the MAC token is not a string");
                let faults = token.faults(false);
                self.found
                    .extend(faults.iter().map(|fault| format!("{fault} in the MAC")));
            }
            None => self.add("the MAC is not a token"),
        }
        match metadata.get("key_groups") {
            Some(groups) => {
                self.want(groups.entries().len() > 1, "key_groups for a single group");
                for group in groups.entries() {
                    if nested {
                        let both = ["age", "hc_vault"]
                            .iter()
                            .all(|key| group.node.get(key).is_some());
                        self.want(both, "a key group without its age or hc_vault list");
                    }
                    self.group(&group.node);
                }
                let top = KEY_LISTS
                    .iter()
                    .any(|(kind, _)| metadata.get(kind).is_some());
                self.want(!top, "a top-level key list hides key_groups");
            }
            None => self.group(metadata),
        }
    }

    fn group(&mut self, group: &Node) {
        for (kind, fields) in KEY_LISTS {
            for entry in group.get(kind).map_or(&[][..], Node::entries) {
                for field in fields {
                    if entry.node.get(field).is_none() {
                        self.add(format!("a {kind} entry without {field}"));
                    }
                }
                if let Some(created) = entry.node.get("created_at").and_then(Node::as_text) {
                    self.want(kind != "age", "created_at on an age key");
                    self.instant(&created, "created_at");
                }
                let enc = entry
                    .node
                    .get("enc")
                    .and_then(Node::as_text)
                    .unwrap_or_default();
                if kind == "age" {
                    let ended = enc.ends_with("-----END AGE ENCRYPTED FILE-----\n");
                    self.want(ended, "an age file without its final newline");
                }
            }
        }
    }

    fn instant(&mut self, text: &str, name: &str) {
        let canonical = time::rfc3339(text).map(|fields| fields.text(false));
        if canonical.as_deref() != Some(text) || !text.ends_with('Z') {
            self.add(format!("{name} is not UTC in whole seconds"));
        }
    }

    /// Spec 5.2: what looks like another YAML type must be quoted.
    fn yaml_metadata(&mut self, scalars: &[(String, Value)]) {
        for (path, value) in scalars {
            let wanted = match path.as_str() {
                "sops:mac_only_encrypted" => "bool",
                "sops:shamir_threshold" => "int",
                _ => "str",
            };
            if value.word() != wanted {
                self.add(format!(
                    "{path} is a {} where a {wanted} belongs",
                    value.word()
                ));
            }
        }
    }

    // ---- the byte searches of others ----

    fn yaml_detectors(&mut self, flow_root: bool) {
        if flow_root {
            let quoted = self.text.contains("\"mac\": \"ENC[");
            return self.want(quoted, "Flux does not find `\"mac\": \"ENC[`");
        }
        self.want(
            self.text.contains("mac: ENC["),
            "Flux does not find `mac: ENC[`",
        );
        let alone = |line: &str| {
            line.trim_start()
                .strip_prefix("sops:")
                .is_some_and(|s| s.trim().is_empty())
        };
        let found = self.text.lines().any(alone);
        self.want(found, "helm-secrets does not find a line `sops:`");
    }

    fn detectors(&mut self) {
        let marker = match self.format {
            Format::Yaml => "",
            Format::Json | Format::Binary => "\"mac\": \"ENC[",
            Format::Dotenv => "sops_mac=ENC[",
            Format::Ini | Format::Toml => "[sops]",
        };
        if !self.text.contains(marker) {
            self.add(format!("Flux does not find `{marker}`"));
        }
        let mac_line = |line: &str| {
            line.split_once("mac")
                .is_some_and(|(_, l)| l.contains(",type:str]"))
        };
        let found = self.text.lines().any(mac_line);
        self.want(found, "helm-secrets does not find `mac.*,type:str]`");
        if self.format == Format::Binary && !self.text.contains("\"data\": \"\"") {
            let found = self.text.contains("\"data\": \"ENC");
            self.want(found, "helm-secrets does not find `\"data\": \"ENC`");
        }
    }
}

/// Key lists and the fields that each entry has.
const KEY_LISTS: [(&str, &[&str]); 7] = [
    ("age", &["enc", "recipient"]),
    (
        "azure_kv",
        &["created_at", "enc", "name", "vault_url", "version"],
    ),
    ("gcp_kms", &["created_at", "enc", "resource_id"]),
    (
        "hc_vault",
        &[
            "created_at",
            "enc",
            "engine_path",
            "key_name",
            "vault_address",
        ],
    ),
    ("hckms", &["created_at", "enc", "key_id"]),
    ("kms", &["arn", "aws_profile", "created_at", "enc"]),
    ("pgp", &["created_at", "enc", "fp"]),
];

/// Whether the keys of every mapping are in byte order, and the items of unflattened lists in index order.
fn is_sorted(node: &Node) -> bool {
    let entries = node.entries();
    let keys: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry.key.as_deref())
        .collect();
    let here = match node {
        Node::Map(_) => keys.is_sorted(),
        _ => keys
            .iter()
            .enumerate()
            .all(|(index, key)| *key == index.to_string()),
    };
    here && entries.iter().all(|entry| is_sorted(&entry.node))
}
