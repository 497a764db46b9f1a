//! Property strings: `local-lvm:vm-100-disk-0,size=8G`, `virtio=BC:24:11:00:00:01,bridge=vmbr0`.

use std::collections::BTreeMap;

use super::spec::Spec;

/// A parsed property string; keys are the canonical ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    pairs: BTreeMap<String, String>,
}

impl Properties {
    /// Splits and resolves aliases; the values are not checked yet.
    pub(crate) fn parse(keys: &BTreeMap<String, Spec>, text: &str) -> Result<Properties, String> {
        let mut found = Properties::default();
        for part in text.split(',').filter(|p| !p.trim().is_empty()) {
            match part.split_once('=') {
                Some((key, value)) if !value.is_empty() => found.take(keys, key, value)?,
                Some(("", _)) | Some((_, "")) => {
                    return Err("missing key in comma-separated list property\n".into());
                }
                _ => found.take_default(keys, part)?,
            }
        }
        Ok(found)
    }

    fn take(
        &mut self,
        keys: &BTreeMap<String, Spec>,
        key: &str,
        value: &str,
    ) -> Result<(), String> {
        let duplicate = || format!("duplicate key in comma-separated list property: {key}\n");
        let spec = keys
            .get(key)
            .ok_or_else(|| format!("invalid key in comma-separated list property: {key}\n"))?;
        if let Some(bearer) = &spec.key_alias
            && self.pairs.insert(bearer.clone(), key.to_owned()).is_some()
        {
            return Err(duplicate());
        }
        let canonical = spec.alias.as_deref().unwrap_or(key);
        if self
            .pairs
            .insert(canonical.to_owned(), value.to_owned())
            .is_some()
        {
            return Err(duplicate());
        }
        Ok(())
    }

    fn take_default(&mut self, keys: &BTreeMap<String, Spec>, value: &str) -> Result<(), String> {
        let Some((key, _)) = keys.iter().find(|(_, spec)| spec.default_key()) else {
            return Err("value without key, but schema does not define a default key\n".into());
        };
        match self.pairs.insert(key.clone(), value.to_owned()) {
            None => Ok(()),
            Some(_) => Err(format!(
                "duplicate key in comma-separated list property: {key}\n"
            )),
        }
    }

    /// The text as PVE prints it: the default key's value alone and first, then what is
    /// required, then the others, by name.
    pub(crate) fn print(&self, keys: &BTreeMap<String, Spec>) -> String {
        let mut rest = self.pairs.clone();
        let mut parts = Vec::new();
        // A key alias (`virtio=MAC`) joins the value of one key with that of another.
        let joined = keys
            .values()
            .find_map(|spec| Some((spec.key_alias.as_ref()?, spec.alias.as_ref()?)));
        let joined = joined
            .and_then(|(bearer, value)| Some((self.get(bearer)?, self.get(value)?, bearer, value)));
        let default = keys
            .iter()
            .find(|(_, spec)| spec.default_key())
            .map(|(key, _)| key);
        if let Some((name, value, bearer_key, value_key)) = joined {
            parts.push(format!("{name}={value}"));
            rest.remove(bearer_key);
            rest.remove(value_key);
        } else if let Some(value) = default.and_then(|key| rest.remove(key)) {
            parts.push(value);
        }
        // What must be there comes first.
        let required = |key: &str| keys.get(key).is_some_and(|spec| !spec.optional());
        let (first, others): (Vec<_>, Vec<_>) = rest.iter().partition(|(key, _)| required(key));
        let all = first.into_iter().chain(others);
        parts.extend(all.map(|(key, value)| format!("{key}={value}")));
        parts.join(",")
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.pairs.get(key).map(String::as_str)
    }

    pub(crate) fn set(&mut self, key: &str, value: impl Into<String>) {
        self.pairs.insert(key.to_owned(), value.into());
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<String> {
        self.pairs.remove(key)
    }

    pub(crate) fn owned(&self) -> BTreeMap<String, String> {
        self.pairs.clone()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// The value of a key in a property string that was checked before.
pub(crate) fn plain<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split(',')
        .filter_map(|part| part.split_once('='))
        .find_map(|(name, value)| (name == key).then_some(value))
}

/// What PVE takes for true and false.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}
