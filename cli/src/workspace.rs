//! Which workspace is selected.

use std::path::PathBuf;

use crate::error::{CommandError, Result};

/// The workspace that is always there.
pub(crate) const DEFAULT: &str = "default";

/// The selected workspace, and whether `TF_WORKSPACE` selects it.
pub(crate) struct Selected {
    pub(crate) name: String,
    pub(crate) by_environment: bool,
}

/// What `TF_WORKSPACE` or the last `workspace select` says.
pub(crate) fn selected() -> Result<Selected> {
    if let Ok(name) = std::env::var("TF_WORKSPACE")
        && !name.is_empty()
    {
        return Ok(Selected {
            name,
            by_environment: true,
        });
    }
    let noted = match std::fs::read_to_string(note()) {
        Ok(noted) => noted,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        // Another workspace than the selected one would be worked on.
        Err(error) => {
            return Err(CommandError::new(
                "Selected workspace can't be read",
                format!(
                    "The file {} says which workspace is selected, and reading it failed: {error}. Make it readable, or select the workspace again with `stead workspace select`.",
                    note().display()
                ),
            ));
        }
    };
    let name = match noted.trim() {
        "" => DEFAULT,
        name => name,
    };
    Ok(Selected {
        name: name.to_owned(),
        by_environment: false,
    })
}

/// The name of the selected workspace, refused where it cannot be one.
pub(crate) fn current() -> Result<String> {
    let selected = selected()?;
    if selected.by_environment && !is_valid(&selected.name) {
        return Err(CommandError::new(
            "Invalid workspace name",
            format!(
                "Invalid workspace name set using TF_WORKSPACE: {:?}. The name must contain only URL safe characters, and no path separators.",
                selected.name
            ),
        ));
    }
    Ok(selected.name)
}

/// Notes the selection for the commands that follow.
pub(crate) fn select(name: &str) -> Result<()> {
    std::fs::create_dir_all(data_folder())?;
    std::fs::write(note(), name)?;
    Ok(())
}

/// Where commands keep what they know of this folder: `.terraform`, or `TF_DATA_DIR`.
pub(crate) fn data_folder() -> PathBuf {
    std::env::var_os("TF_DATA_DIR")
        .filter(|dir| !dir.is_empty())
        .map_or_else(|| PathBuf::from(".terraform"), PathBuf::from)
}

fn note() -> PathBuf {
    data_folder().join("environment")
}

/// Names that stand in a URL's path as they are, and name a folder of their own.
pub(crate) fn is_valid(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.~$&+=:@".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn names_are_those_of_a_path_in_a_url() {
        for name in ["a", "prod-1", "a.b~c", "x:y@z", "$&+="] {
            assert!(is_valid(name), "{name}");
        }
        for name in [
            "a/b", "a b", "ä", "a%b", "a?b", "a#b", "..", "", "a,b", "a;b", "a*b",
        ] {
            assert!(!is_valid(name), "{name}");
        }
    }
}
