//! The configs of a tree, each read once: what recipients are called, and who should be able to open a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sops_rs::config::{Config, ConfigError, Matched, Strictness};
use sops_rs::recipient::Recipient;

use crate::cli::context::Context;
use crate::cli::creation::{bad_config, find, load, normal, relative, shown};
use crate::cli::report::Failure;

/// Configs by their paths.
pub(super) struct Roster<'a> {
    /// The config that was named with `--config`.
    named: Option<&'a Path>,
    configs: HashMap<PathBuf, Config>,
}

impl<'a> Roster<'a> {
    pub(super) fn new(named: Option<&'a Path>) -> Self {
        Self {
            named,
            configs: HashMap::new(),
        }
    }

    /// The path of the config that governs a file, and how it is read; `None` if there is none.
    pub(super) fn path(&self, context: &Context, file: &Path) -> Option<(PathBuf, Strictness)> {
        find(context, self.named, &normal(&context.resolve(file)))
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
        let config = self.config(context, file)?;
        Ok(config.and_then(|config| config.name_of(recipient).map(str::to_owned)))
    }
}
