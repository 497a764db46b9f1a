//! The files of a simulated machine that someone logs in to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A file or a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct File {
    pub directory: bool,
    pub owner: String,
    pub mode: u32,
    #[serde(with = "bytes")]
    pub content: Vec<u8>,
    /// Bytes of which only the number is known: the lab does not keep images.
    #[serde(skip_serializing_if = "is_zero")]
    pub unkept: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl File {
    /// A directory of root's, open to all.
    pub fn directory() -> File {
        File::folder("root", 0o755)
    }

    /// A directory.
    pub fn folder(owner: &str, mode: u32) -> File {
        File {
            directory: true,
            owner: owner.to_owned(),
            mode,
            ..File::default()
        }
    }

    /// A file of root's that all may read.
    pub fn text(content: impl Into<Vec<u8>>) -> File {
        File {
            owner: "root".to_owned(),
            mode: 0o644,
            content: content.into(),
            ..File::default()
        }
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.unkept.saturating_add(self.content.len() as u64)
    }
}

/// The directories of every installed machine.
pub fn installed() -> BTreeMap<String, File> {
    let open = "/ /dev /etc /home /mnt /opt /run /usr /usr/bin /usr/sbin /var /var/lib /var/log";
    let open = open.split(' ').map(|path| (path, 0o755));
    let others = [("/root", 0o700), ("/tmp", 0o1777), ("/var/tmp", 0o1777)];
    open.chain(others)
        .map(|(path, mode)| (path.to_owned(), File::folder("root", mode)))
        .collect()
}

/// Why a path cannot be used, as `strerror` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    NoEntry,
    Denied,
    IsDirectory,
    NotDirectory,
    Exists,
    NotEmpty,
    /// Of an image the lab only knows the size.
    Unkept,
}

impl Problem {
    pub fn text(self) -> &'static str {
        match self {
            Problem::NoEntry => "No such file or directory",
            Problem::Denied => "Permission denied",
            Problem::IsDirectory => "Is a directory",
            Problem::NotDirectory => "Not a directory",
            Problem::Exists => "File exists",
            Problem::NotEmpty => "Directory not empty",
            Problem::Unkept => "the lab keeps no bytes of images",
        }
    }
}

/// An absolute path without `.`, `..` and doubled slashes.
pub fn absolute(cwd: &str, path: &str) -> String {
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
pub struct Files<'a> {
    pub files: &'a mut BTreeMap<String, File>,
    /// `root` may do everything.
    pub user: &'a str,
    /// Permission bits that new files and directories do not get.
    pub umask: u32,
}

impl Files<'_> {
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    fn permitted(&self, file: &File, bit: u32) -> bool {
        let shift = if file.owner == self.user { 6 } else { 0 };
        self.user == "root" || file.mode & (bit << shift) != 0
    }

    pub fn read(&self, path: &str) -> Result<Vec<u8>, Problem> {
        if path == "/dev/null" {
            return Ok(Vec::new());
        }
        match self.readable(path)? {
            file if file.directory => Err(Problem::IsDirectory),
            file if file.unkept > 0 => Err(Problem::Unkept),
            file => Ok(file.content.clone()),
        }
    }

    /// What the user may read.
    pub fn readable(&self, path: &str) -> Result<&File, Problem> {
        let file = self.files.get(path).ok_or(Problem::NoEntry)?;
        if !self.reachable(path) || !self.permitted(file, 4) {
            return Err(Problem::Denied);
        }
        Ok(file)
    }

    /// Copies a file, also one of which only the size is known.
    pub fn copy(&mut self, from: &str, to: &str) -> Result<(), Problem> {
        let file = self.readable(from)?.clone();
        if file.directory {
            return Err(Problem::IsDirectory);
        }
        self.write(to, &file.content, false)?;
        if let Some(copy) = self.files.get_mut(to) {
            copy.unkept = file.unkept;
        }
        Ok(())
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

    pub fn write(&mut self, path: &str, content: &[u8], append: bool) -> Result<(), Problem> {
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
            file.unkept = 0;
            file.content.clear();
        }
        file.content.extend_from_slice(content);
        Ok(())
    }

    pub fn make_directory(&mut self, path: &str, parents: bool, mode: u32) -> Result<(), Problem> {
        match self.files.get(path) {
            Some(found) if found.directory && parents => return Ok(()),
            Some(_) => return Err(Problem::Exists),
            None => {}
        }
        if parents && path != "/" {
            self.make_directory(parent(path), true, 0o755)?;
        }
        self.may_change(path)?;
        self.files
            .insert(path.to_owned(), File::folder(self.user, mode & !self.umask));
        Ok(())
    }

    pub fn remove(&mut self, path: &str, recursive: bool) -> Result<(), Problem> {
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

    pub fn remove_directory(&mut self, path: &str) -> Result<(), Problem> {
        let file = self.files.get(path).ok_or(Problem::NoEntry)?;
        if !file.directory {
            return Err(Problem::NotDirectory);
        }
        if !self.names(path).is_empty() {
            return Err(Problem::NotEmpty);
        }
        self.remove(path, true)
    }

    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Problem> {
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

    pub fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), Problem> {
        let user = self.user;
        let file = self.files.get_mut(path).ok_or(Problem::NoEntry)?;
        if user != "root" && file.owner != user {
            return Err(Problem::Denied);
        }
        file.mode = mode;
        Ok(())
    }

    pub fn set_owner(&mut self, path: &str, owner: &str, recursive: bool) -> Result<(), Problem> {
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
    pub fn names(&self, directory: &str) -> Vec<String> {
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

/// Bytes as base64, so that documents stay readable and small.
pub mod bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_change_their_own_and_root_changes_all() {
        let mut files = installed();
        files.insert("/home/ubuntu".to_owned(), File::folder("ubuntu", 0o750));
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
    fn images_are_copied_but_not_read() {
        let mut files = installed();
        let image = File {
            unkept: 4096,
            ..File::text("")
        };
        files.insert("/tmp/a.img".to_owned(), image);
        let mut root = Files {
            files: &mut files,
            user: "root",
            umask: 0o022,
        };
        assert_eq!(root.read("/tmp/a.img"), Err(Problem::Unkept));
        assert_eq!(root.copy("/tmp/a.img", "/tmp/b.img"), Ok(()));
        assert_eq!(root.get("/tmp/b.img").unwrap().size(), 4096);
        assert_eq!(root.write("/tmp/b.img", b"x", false), Ok(()));
        assert_eq!(root.read("/tmp/b.img").unwrap(), b"x");
    }

    #[test]
    fn paths_are_made_absolute() {
        assert_eq!(absolute("/home/u", "a/../b"), "/home/u/b");
        assert_eq!(absolute("/home/u", "/x//y/."), "/x/y");
        assert_eq!(absolute("/", "../.."), "/");
    }
}
