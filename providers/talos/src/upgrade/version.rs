//! Versions of Talos and Kubernetes, and the way from one to another: never past a minor version.

use std::fmt;

use stead_sdk::Error;

/// A version as a tag has it: `v1.13.9`, `v1.14.0-rc.1`. Equal when all of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    /// Without the dash; empty for a release.
    prerelease: String,
}

impl Version {
    /// Reads `v1.2.3` or `1.2.3`, each with an optional pre-release.
    pub(crate) fn parse(text: &str) -> Option<Version> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (numbers, prerelease) = match text.split_once('-') {
            Some((_, "")) => return None,
            Some((numbers, prerelease)) => (numbers, prerelease),
            None => (text, ""),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let mut parts = numbers.split('.').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u64>().ok()).flatten()
        });
        let version = Version {
            major: parts.next()??,
            minor: parts.next()??,
            patch: parts.next()??,
            prerelease: prerelease.to_owned(),
        };
        (parts.next().is_none() && prerelease.chars().all(fits)).then_some(version)
    }

    /// Order by the numbers alone: pre-releases count as their release.
    pub(crate) fn numbers(&self) -> (u64, u64, u64) {
        (self.major, self.minor, self.patch)
    }

    fn line(&self) -> String {
        format!("v{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)?;
        match self.prerelease.as_str() {
            "" => Ok(()),
            prerelease => write!(f, "-{prerelease}"),
        }
    }
}

/// Whether one can go from a version of `what` (Talos, Kubernetes) to another in one step.
///
/// # Errors
/// When a minor version would be skipped, forwards or backwards; the remedy names the next one. Kubernetes never goes back a minor
/// version: the API server may have written what the older one cannot read.
pub(crate) fn step(what: &str, from: &Version, to: &Version) -> Result<(), Error> {
    let asked = || format!("go from {what} {from} to {to}");
    if from.major != to.major {
        return Err(Error::new(asked(), "that is another major version"));
    }
    let next = |minor: u64| format!("v{}.{minor}", from.major);
    if to.minor > from.minor + 1 {
        let next = next(from.minor + 1);
        let said = format!(
            "minor versions are taken one at a time: {next} comes after {}",
            from.line()
        );
        return Err(Error::new(asked(), said).remedy(format!(
            "Go to the latest {next} first, then on from there."
        )));
    }
    if to.minor < from.minor && what == "Kubernetes" {
        let said = "Kubernetes does not go back a minor version: what it has stored may be unreadable for the older one";
        return Err(Error::new(asked(), said).remedy("Restore etcd from a snapshot instead."));
    }
    if to.minor + 1 < from.minor {
        let said = format!(
            "minor versions are taken one at a time: {} comes before {}",
            next(from.minor - 1),
            from.line()
        );
        return Err(
            Error::new(asked(), said).remedy(format!("Go back to {} first.", next(from.minor - 1)))
        );
    }
    Ok(())
}

/// How far the Kubernetes that a release of Talos runs may be from the release: Talos 1.13 has 1.31 to 1.36.
const OLDEST: u64 = 18;
const NEWEST: u64 = 23;

/// Whether a release of Talos runs a version of Kubernetes.
///
/// # Errors
/// When it does not; the remedy says what would be needed.
pub(crate) fn fits(talos: &Version, kubernetes: &Version) -> Result<(), Error> {
    if talos.major != 1 || kubernetes.major != 1 {
        return Ok(());
    }
    let (oldest, newest) = (talos.minor + OLDEST, talos.minor + NEWEST);
    if (oldest..=newest).contains(&kubernetes.minor) {
        return Ok(());
    }
    let error = Error::new(
        format!("run Kubernetes {kubernetes} on Talos {talos}"),
        format!("Talos {} runs v1.{oldest} to v1.{newest}", talos.line()),
    );
    Err(if kubernetes.minor > newest {
        error.remedy("Bring the nodes to a later release of Talos first.")
    } else {
        error.remedy("Choose a later version of Kubernetes.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_are_read_and_written() {
        assert_eq!(v("1.13.9").to_string(), "v1.13.9");
        assert_eq!(v("v1.14.0-rc.1").to_string(), "v1.14.0-rc.1");
        assert_ne!(v("v1.14.0-rc.1"), v("v1.14.0"));
        for bad in [
            "",
            "v1",
            "1.2",
            "v1.2.3.4",
            "latest",
            "v1.2.x",
            "v1.2.3-",
            "v+1.2.3",
            "1.2.3-a b",
        ] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_minor_version_is_skipped_and_the_next_one_is_named() {
        step("Talos", &v("v1.12.11"), &v("v1.13.9")).unwrap();
        step("Talos", &v("v1.13.9"), &v("v1.13.1")).unwrap();
        step("Talos", &v("v1.13.9"), &v("v1.12.11")).unwrap();
        let error = step("Talos", &v("v1.11.2"), &v("v1.13.9")).unwrap_err();
        assert!(
            error.advice().unwrap().contains("latest v1.12 first"),
            "{error}"
        );
        let error = step("Talos", &v("v1.14.0"), &v("v1.12.11")).unwrap_err();
        assert!(error.advice().unwrap().contains("v1.13 first"), "{error}");
        assert!(step("Talos", &v("v1.14.0"), &v("v2.0.0")).is_err());
        assert!(step("Kubernetes", &v("v1.36.1"), &v("v1.35.4")).is_err());
        step("Kubernetes", &v("v1.36.3"), &v("v1.36.1")).unwrap();
    }

    #[test]
    fn what_kubernetes_a_talos_runs() {
        for good in ["v1.31.0", "v1.36.3"] {
            fits(&v("v1.13.9"), &v(good)).unwrap();
        }
        let error = fits(&v("v1.13.9"), &v("v1.37.0")).unwrap_err();
        assert!(error.advice().unwrap().contains("later release of Talos"));
        assert!(fits(&v("v1.13.9"), &v("v1.30.0")).is_err());
    }
}
