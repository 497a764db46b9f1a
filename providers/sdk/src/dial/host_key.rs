//! Which key of a host is believed, and which of its keys it is asked to show.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use ssh2::{CheckResult, KnownHostFileKind, KnownHostKeyFormat, MethodType, Session};

use crate::dial::HostKeyPolicy;
use crate::{Error, ErrorKind};

/// Asks the host for a key of a kind that is known of it, as OpenSSH does. A host has several keys; if it showed one of another kind than
/// the known one, it would look as if its key had changed.
pub(super) fn prefer_known(session: &Session, host: &str, port: u16, policy: &HostKeyPolicy) {
    let kinds = match policy {
        HostKeyPolicy::Key(line) => line.split_whitespace().map(str::to_owned).collect(),
        HostKeyPolicy::KnownHosts(file) | HostKeyPolicy::AcceptNew(file) => {
            known_kinds(session, file, host, port)
        }
        HostKeyPolicy::Pinned(_) | HostKeyPolicy::Unchecked => Vec::new(),
    };
    let is_known = |method: &&str| kinds.iter().any(|kind| kind == kind_of(method));
    let Ok(methods) = session.supported_algs(MethodType::HostKey) else {
        return;
    };
    let (mut first, rest): (Vec<&str>, Vec<&str>) = methods.into_iter().partition(is_known);
    if first.is_empty() {
        return;
    }
    first.extend(rest);
    // These are the methods that the library itself has named.
    let _ = session.method_pref(MethodType::HostKey, &first.join(","));
}

/// The kind of key that a signature method works with: RSA keys have several.
fn kind_of(method: &str) -> &str {
    match method {
        "rsa-sha2-256" | "rsa-sha2-512" => "ssh-rsa",
        other => other,
    }
}

/// The kinds of the keys that the file has for the host. Its names may be hashed, so the library is asked of each key.
fn known_kinds(session: &Session, file: &Path, host: &str, port: u16) -> Vec<String> {
    let Ok(text) = std::fs::read_to_string(file) else {
        return Vec::new();
    };
    let Ok(mut known) = session.known_hosts() else {
        return Vec::new();
    };
    if known.read_file(file, KnownHostFileKind::OpenSSH).is_err() {
        return Vec::new();
    }
    let kind = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, key) = (words.next()?, words.next()?);
        let key = STANDARD.decode(key).ok()?;
        let is_known = matches!(known.check_port(host, port, &key), CheckResult::Match);
        is_known.then(|| kind.to_owned())
    };
    text.lines().filter_map(kind).collect()
}

/// Compares the key that the host shows with the known one.
pub(super) fn check(
    session: &Session,
    host: &str,
    port: u16,
    policy: &HostKeyPolicy,
    asked: &str,
) -> Result<(), Error> {
    let Some((key, kind)) = session.host_key() else {
        return Err(Error::new(asked, "the server shows no host key"));
    };
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(key)));
    let refused = |why: String| Error::of_kind(ErrorKind::Denied, asked, why);
    let changed = || {
        refused(format!("the host's key is not the known one; it shows {fingerprint}")).remedy(
            "If the host was reinstalled, remove its old key (`ssh-keygen -R HOST`) after comparing the new one on the \
             host itself. Otherwise someone may be in between.",
        )
    };
    let (file, accept_new) = match policy {
        HostKeyPolicy::Pinned(pin) => {
            return if pin.trim_end_matches('=') == fingerprint {
                Ok(())
            } else {
                Err(changed())
            };
        }
        HostKeyPolicy::Key(line) => {
            let wanted = line
                .split_whitespace()
                .find_map(|word| STANDARD.decode(word).ok().filter(|k| k.len() > 16));
            return if wanted.as_deref() == Some(key) {
                Ok(())
            } else {
                Err(changed())
            };
        }
        HostKeyPolicy::Unchecked => return Ok(()),
        HostKeyPolicy::KnownHosts(file) => (file, false),
        HostKeyPolicy::AcceptNew(file) => (file, true),
    };
    let unusable = |e: ssh2::Error| Error::new(asked, format!("{}: {e}", file.display()));
    let mut known = session.known_hosts().map_err(unusable)?;
    if file.exists() {
        known
            .read_file(file, KnownHostFileKind::OpenSSH)
            .map_err(unusable)?;
    }
    match known.check_port(host, port, key) {
        CheckResult::Match => Ok(()),
        CheckResult::Mismatch => Err(changed()),
        CheckResult::NotFound if accept_new => {
            let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
            known.add(&name, key, "added by stead", KnownHostKeyFormat::from(kind)).map_err(unusable)?;
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|e| Error::new(asked, format!("{}: {e}", folder.display())))?;
            }
            known.write_file(file, KnownHostFileKind::OpenSSH).map_err(unusable)
        }
        CheckResult::NotFound => Err(refused(format!(
            "{} does not know the host; it shows the key {fingerprint}",
            file.display()
        ))
        .remedy("Add the host with `ssh-keyscan`, after comparing the key on the host itself, or pin this fingerprint.")),
        CheckResult::Failure => Err(refused(format!("the host's key could not be checked against {}", file.display()))),
    }
}
