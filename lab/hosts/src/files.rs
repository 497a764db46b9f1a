//! The virtual file system of a host.

use std::collections::BTreeMap;

use crate::state::File;

/// Why a path cannot be used, as `strerror` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    NoEntry,
    Denied,
    IsDirectory,
    NotDirectory,
    Exists,
    NotEmpty,
}

impl Problem {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Problem::NoEntry => "No such file or directory",
            Problem::Denied => "Permission denied",
            Problem::IsDirectory => "Is a directory",
            Problem::NotDirectory => "Not a directory",
            Problem::Exists => "File exists",
            Problem::NotEmpty => "Directory not empty",
        }
    }
}

/// An absolute path without `.`, `..` and doubled slashes.
pub(crate) fn absolute(cwd: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let base = if path.starts_with('/') { "" } else { cwd };
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

/// Files of one host as one user sees them.
pub(crate) struct Files<'a> {
    pub files: &'a mut BTreeMap<String, File>,
    /// `root` may do everything.
    pub user: &'a str,
    /// Permission bits that new files and directories do not get.
    pub umask: u32,
}

impl Files<'_> {
    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    fn permitted(&self, file: &File, bit: u32) -> bool {
        let shift = if file.owner == self.user { 6 } else { 0 };
        self.user == "root" || file.mode & (bit << shift) != 0
    }

    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>, Problem> {
        let file = self.files.get(path).ok_or(Problem::NoEntry)?;
        if file.directory {
            return Err(Problem::IsDirectory);
        }
        if !self.reachable(path) || !self.permitted(file, 4) {
            return Err(Problem::Denied);
        }
        Ok(file.content.clone())
    }

    /// Whether every directory above lets the user through.
    fn reachable(&self, path: &str) -> bool {
        let mut at = parent(path);
        loop {
            if !self.files.get(at).is_none_or(|d| self.permitted(d, 1)) {
                return false;
            }
            if at == "/" {
                return true;
            }
            at = parent(at);
        }
    }

    /// Whether the user may add to and remove from the directory that holds this path.
    fn may_change(&self, path: &str) -> Result<(), Problem> {
        let directory = self.files.get(parent(path)).ok_or(Problem::NoEntry)?;
        if !directory.directory {
            return Err(Problem::NotDirectory);
        }
        if !self.reachable(path) || !self.permitted(directory, 2) {
            return Err(Problem::Denied);
        }
        Ok(())
    }

    pub(crate) fn write(
        &mut self,
        path: &str,
        content: &[u8],
        append: bool,
    ) -> Result<(), Problem> {
        if path == "/dev/null" {
            return Ok(());
        }
        match self.files.get(path) {
            Some(file) if file.directory => return Err(Problem::IsDirectory),
            Some(file) if !self.reachable(path) || !self.permitted(file, 2) => {
                return Err(Problem::Denied);
            }
            Some(_) => {}
            None => self.may_change(path)?,
        }
        let (owner, mode) = (self.user.to_owned(), 0o666 & !self.umask);
        let file = self.files.entry(path.to_owned()).or_insert_with(|| File {
            mode,
            owner,
            ..File::default()
        });
        if !append {
            file.content.clear();
        }
        file.content.extend_from_slice(content);
        Ok(())
    }

    pub(crate) fn make_directory(
        &mut self,
        path: &str,
        parents: bool,
        mode: u32,
    ) -> Result<(), Problem> {
        match self.files.get(path) {
            Some(found) if found.directory && parents => return Ok(()),
            Some(_) => return Err(Problem::Exists),
            None => {}
        }
        if parents && path != "/" {
            self.make_directory(parent(path), true, 0o755)?;
        }
        self.may_change(path)?;
        self.files.insert(
            path.to_owned(),
            File {
                directory: true,
                owner: self.user.to_owned(),
                mode: mode & !self.umask,
                content: Vec::new(),
            },
        );
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &str, recursive: bool) -> Result<(), Problem> {
        let file = self.files.get(path).ok_or(Problem::NoEntry)?;
        if file.directory && !recursive {
            return Err(Problem::IsDirectory);
        }
        self.may_change(path)?;
        let below = format!("{path}/");
        self.files
            .retain(|p, _| p != path && !p.starts_with(&below));
        Ok(())
    }

    pub(crate) fn remove_directory(&mut self, path: &str) -> Result<(), Problem> {
        let file = self.files.get(path).ok_or(Problem::NoEntry)?;
        if !file.directory {
            return Err(Problem::NotDirectory);
        }
        if !self.names(path).is_empty() {
            return Err(Problem::NotEmpty);
        }
        self.remove(path, true)
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), Problem> {
        if !self.files.contains_key(from) {
            return Err(Problem::NoEntry);
        }
        self.may_change(from)?;
        self.may_change(to)?;
        let below = format!("{from}/");
        let moved: Vec<String> = self
            .files
            .keys()
            .filter(|p| *p == from || p.starts_with(&below))
            .cloned()
            .collect();
        for old in moved {
            if let Some(file) = self.files.remove(&old) {
                self.files.insert(
                    format!("{to}{}", old.get(from.len()..).unwrap_or_default()),
                    file,
                );
            }
        }
        Ok(())
    }

    pub(crate) fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), Problem> {
        let user = self.user;
        let file = self.files.get_mut(path).ok_or(Problem::NoEntry)?;
        if user != "root" && file.owner != user {
            return Err(Problem::Denied);
        }
        file.mode = mode;
        Ok(())
    }

    pub(crate) fn set_owner(
        &mut self,
        path: &str,
        owner: &str,
        recursive: bool,
    ) -> Result<(), Problem> {
        if !self.files.contains_key(path) {
            return Err(Problem::NoEntry);
        }
        if self.user != "root" {
            return Err(Problem::Denied);
        }
        let below = format!("{path}/");
        for (_, file) in self
            .files
            .iter_mut()
            .filter(|(p, _)| *p == path || (recursive && p.starts_with(&below)))
        {
            owner.clone_into(&mut file.owner);
        }
        Ok(())
    }

    /// Names in a directory.
    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let prefix = if directory == "/" {
            "/".to_owned()
        } else {
            format!("{directory}/")
        };
        let below = self.files.keys().filter_map(|p| p.strip_prefix(&prefix));
        below
            .filter(|n| !n.is_empty() && !n.contains('/'))
            .map(str::to_owned)
            .collect()
    }
}

/// A freshly installed Ubuntu.
pub(crate) fn installed(hostname: &str, user: &str) -> BTreeMap<String, File> {
    let mut files = BTreeMap::new();
    let directory = |owner: &str, mode: u32| File {
        directory: true,
        owner: owner.to_owned(),
        mode,
        content: Vec::new(),
    };
    for path in [
        "/",
        "/etc",
        "/home",
        "/root",
        "/var",
        "/var/lib",
        "/var/snap",
        "/usr",
        "/usr/bin",
        "/opt",
        "/snap",
        "/run",
        "/dev",
    ] {
        files.insert(
            path.to_owned(),
            directory("root", if path == "/root" { 0o700 } else { 0o755 }),
        );
    }
    files.insert("/tmp".to_owned(), directory("root", 0o1777));
    files.insert(format!("/home/{user}"), directory(user, 0o750));
    let release = "PRETTY_NAME=\"Ubuntu 24.04.3 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nVERSION=\"24.04.3 LTS (Noble Numbat)\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\nHOME_URL=\"https://www.ubuntu.com/\"\nSUPPORT_URL=\"https://help.ubuntu.com/\"\nUBUNTU_CODENAME=noble\n";
    let text = |content: String| File {
        directory: false,
        owner: "root".to_owned(),
        mode: 0o644,
        content: content.into_bytes(),
    };
    files.insert("/etc/os-release".to_owned(), text(release.to_owned()));
    files.insert("/etc/hostname".to_owned(), text(format!("{hostname}\n")));
    files.insert(
        "/etc/hosts".to_owned(),
        text(format!("127.0.0.1 localhost\n127.0.1.1 {hostname}\n")),
    );
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_change_their_own_and_root_changes_all() {
        let mut files = installed("mk8s-1", "ubuntu");
        let mut ubuntu = Files {
            files: &mut files,
            user: "ubuntu",
            umask: 0o022,
        };
        assert_eq!(
            ubuntu.write("/etc/microk8s.yaml", b"x", false),
            Err(Problem::Denied)
        );
        assert_eq!(ubuntu.write("/home/ubuntu/a", b"x", false), Ok(()));
        assert_eq!(
            ubuntu.write("/nowhere/a", b"x", false),
            Err(Problem::NoEntry)
        );
        let mut root = Files {
            files: &mut files,
            user: "root",
            umask: 0o022,
        };
        assert_eq!(root.make_directory("/root/snap/x", true, 0o755), Ok(()));
        assert_eq!(root.write("/root/snap/x/f", b"1", false), Ok(()));
        assert_eq!(root.write("/root/snap/x/f", b"2", true), Ok(()));
        assert_eq!(root.read("/root/snap/x/f").unwrap(), b"12");
        let ubuntu = Files {
            files: &mut files,
            user: "ubuntu",
            umask: 0o022,
        };
        assert_eq!(ubuntu.read("/root/snap/x/f"), Err(Problem::Denied));
    }

    #[test]
    fn paths_are_made_absolute() {
        assert_eq!(absolute("/home/u", "a/../b"), "/home/u/b");
        assert_eq!(absolute("/home/u", "/x//y/."), "/x/y");
        assert_eq!(absolute("/", "../.."), "/");
    }
}
