//! The configs of a tree, each read once: what recipients are called, and who should be able to open a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sops_rs::config::{Config, ConfigError, Matched, Strictness};
use sops_rs::recipient::{Recipient, RecipientKind};

use crate::cli::context::Context;
use crate::cli::creation::{bad_config, find, load, normal, relative, shown};
use crate::cli::report::Failure;

/// Configs by their paths.
pub(super) struct Roster<'a> {
    /// The config that was named with `--config`.
    named: Option<&'a Path>,
    configs: HashMap<PathBuf, Config>,
    /// Which config governs a folder.
    places: HashMap<PathBuf, Option<(PathBuf, Strictness)>>,
    /// What recipients are called, by config: a file has as many as people, and so has the config.
    names: HashMap<PathBuf, HashMap<(RecipientKind, String), Option<String>>>,
}

impl<'a> Roster<'a> {
    pub(super) fn new(named: Option<&'a Path>) -> Self {
        Self {
            named,
            configs: HashMap::new(),
            places: HashMap::new(),
            names: HashMap::new(),
        }
    }

    /// The path of the config that governs a file, and how it is read; `None` if there is none.
    fn path(&mut self, context: &Context, file: &Path) -> Option<(PathBuf, Strictness)> {
        let file = normal(&context.resolve(file));
        let folder = file.parent().unwrap_or(&file).to_owned();
        let found = || find(context, self.named, &file);
        self.places.entry(folder).or_insert_with(found).clone()
    }

    /// The config that governs a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn config(
        &mut self,
        context: &mut Context,
        file: &Path,
    ) -> Result<Option<&Config>, Failure> {
        let Some((path, strictness)) = self.path(context, file) else {
            return Ok(None);
        };
        if !self.configs.contains_key(&path) {
            let config = load(context, &path, strictness)?;
            self.configs.insert(path.clone(), config);
        }
        Ok(self.configs.get(&path))
    }

    /// The rule for a file; `None` if there is none.
    ///
    /// # Errors
    /// The config, or the rule, is wrong.
    pub(super) fn rule(
        &mut self,
        context: &mut Context,
        file: &Path,
    ) -> Result<Option<Matched>, Failure> {
        let Some((path, _)) = self.path(context, file) else {
            return Ok(None);
        };
        let tested = relative(&normal(&context.resolve(file)), path.parent());
        let name = shown(context, &path);
        let config = self.config(context, file)?;
        match config.map(|config| config.rule_for(&tested)) {
            None | Some(Err(ConfigError::NoMatch { .. } | ConfigError::NoCreationRules)) => {
                Ok(None)
            }
            Some(Ok(matched)) => Ok(Some(matched)),
            Some(Err(error)) => Err(bad_config(&name, &error)),
        }
    }

    /// What a recipient of a file is called; `None` if the config has no name for it.
    ///
    /// # Errors
    /// The config cannot be read.
    pub(super) fn name(
        &mut self,
        context: &mut Context,
        file: &Path,
        recipient: &Recipient,
    ) -> Result<Option<String>, Failure> {
        let Some((path, _)) = self.path(context, file) else {
            return Ok(None);
        };
        let key = (recipient.kind(), recipient.identity());
        if let Some(name) = self.names.get(&path).and_then(|names| names.get(&key)) {
            return Ok(name.clone());
        }
        let config = self.config(context, file)?;
        let name = config.and_then(|config| config.name_of(recipient).map(str::to_owned));
        let names = self.names.entry(path).or_default();
        names.insert(key, name.clone());
        Ok(name)
    }
}
