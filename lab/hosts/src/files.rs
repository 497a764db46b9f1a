//! What is on a new host's disk.

use std::collections::BTreeMap;

use stead_lab_core::files::{self, File};

/// A freshly installed Ubuntu.
pub(crate) fn installed(hostname: &str, user: &str) -> BTreeMap<String, File> {
    let mut files = files::installed();
    for path in ["/snap", "/var/snap"] {
        files.insert(path.to_owned(), File::directory());
    }
    files.insert(format!("/home/{user}"), File::folder(user, 0o750));
    let release = "PRETTY_NAME=\"Ubuntu 24.04.3 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nVERSION=\"24.04.3 LTS (Noble Numbat)\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\nHOME_URL=\"https://www.ubuntu.com/\"\nSUPPORT_URL=\"https://help.ubuntu.com/\"\nUBUNTU_CODENAME=noble\n";
    files.insert("/etc/os-release".to_owned(), File::text(release));
    files.insert(
        "/etc/hostname".to_owned(),
        File::text(format!("{hostname}\n")),
    );
    files.insert(
        "/etc/hosts".to_owned(),
        File::text(format!("127.0.0.1 localhost\n127.0.1.1 {hostname}\n")),
    );
    files
}
