//! References of installer images: which release of Talos, by which schematic of the Image Factory.

use stead_sdk::Error;

use super::version::Version;

/// An image such as `factory.talos.dev/metal-installer/ID:v1.13.9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installer {
    /// As it is configured.
    reference: String,
    /// Without tag and digest.
    repository: String,
    version: Version,
}

impl Installer {
    /// Reads a reference, which has to name a release by its tag.
    ///
    /// # Errors
    /// When it is not one, or leaves open which release it is.
    pub(crate) fn parse(image: &str) -> Result<Installer, Error> {
        let error = |said: String| {
            Error::new("read `image`", said)
                .remedy(
                    "Write it as `factory.talos.dev/metal-installer/SCHEMATIC:v1.13.9`, as `data.talos_image_factory_urls` gives it.",
                )
                .attribute("image")
        };
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if image.is_empty() || image.contains(odd) {
            return Err(error(format!("{image:?} is not the name of an image")));
        }
        let name = image.split('@').next().unwrap_or_default();
        // A colon before the last slash belongs to the port of the registry.
        let tag = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        let Some((repository, tag)) = tag else {
            return Err(error(format!(
                "{image:?} has no tag: it says of no release which one it is"
            )));
        };
        let version = Version::parse(tag)
            .ok_or_else(|| error(format!("the tag {tag:?} is not a release such as v1.13.9")))?;
        Ok(Installer {
            reference: image.to_owned(),
            repository: repository.to_owned(),
            version,
        })
    }

    pub(crate) fn version(&self) -> &Version {
        &self.version
    }

    /// The schematic, when the image comes from an Image Factory.
    pub(crate) fn schematic(&self) -> Option<&str> {
        let last = self.repository.rsplit('/').next()?;
        let is_id =
            last.len() == 64 && last.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_id.then_some(last)
    }

    /// Whether a system that runs is the one in this image. Of images that no factory made nothing but the release can be told.
    pub(crate) fn is(&self, version: &str, schematic: Option<&str>) -> bool {
        Version::parse(version).as_ref() == Some(&self.version)
            && self.schematic().is_none_or(|id| schematic == Some(id))
    }

    /// This image as it would be written for the system that runs; itself when that is the one in it.
    pub(crate) fn running(&self, version: &str, schematic: Option<&str>) -> String {
        if self.is(version, schematic) {
            return self.to_string();
        }
        let repository = match (self.schematic(), schematic) {
            (Some(own), Some(id)) if own != id => {
                let path = self.repository.strip_suffix(own).unwrap_or_default();
                format!("{path}{id}")
            }
            _ => self.repository.clone(),
        };
        format!("{repository}:{version}")
    }
}

impl std::fmt::Display for Installer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
    const B: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

    #[test]
    fn references_name_release_and_schematic() {
        let factory =
            Installer::parse(&format!("factory.talos.dev/metal-installer/{A}:v1.13.9")).unwrap();
        assert_eq!(factory.version().to_string(), "v1.13.9");
        assert_eq!(factory.schematic(), Some(A));
        let own =
            Installer::parse("registry.lab:5000/talos/installer:v1.14.0-rc.1@sha256:00").unwrap();
        assert_eq!(own.schematic(), None);
        assert_eq!(own.version().to_string(), "v1.14.0-rc.1");
        assert_eq!(
            own.to_string(),
            "registry.lab:5000/talos/installer:v1.14.0-rc.1@sha256:00"
        );
        for bad in [
            "",
            "a b:v1.2.3",
            "registry.lab:5000/installer",
            "installer@sha256:00",
            "installer:latest",
        ] {
            assert!(Installer::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_runs_is_told_by_release_and_schematic() {
        let wanted =
            Installer::parse(&format!("factory.talos.dev/metal-installer/{A}:v1.13.9")).unwrap();
        assert!(wanted.is("v1.13.9", Some(A)));
        assert!(!wanted.is("v1.13.9", Some(B)) && !wanted.is("v1.13.9", None));
        assert!(!wanted.is("v1.13.8", Some(A)));
        assert_eq!(wanted.running("v1.13.9", Some(A)), wanted.to_string());
        assert_eq!(
            wanted.running("v1.12.1", Some(B)),
            format!("factory.talos.dev/metal-installer/{B}:v1.12.1")
        );
        let plain = Installer::parse("ghcr.io/siderolabs/installer:v1.13.9").unwrap();
        assert!(plain.is("v1.13.9", Some(A)) && plain.is("v1.13.9", None));
    }
}
