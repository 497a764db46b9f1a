//! `tls_private_key`, and the data source `tls_public_key`.

use serde_json::Value as Json;
use sha1::{Digest, Sha1};
use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{Context, DataSource, Error, Resource, async_trait};

use crate::generated::{Generated, generated, invalid};
use crate::random::hex;
use crate::tls::key::{Key, Kind, armoured};

/// Sizes of RSA keys that are made: smaller ones are broken, larger ones take minutes.
const RSA_BITS: std::ops::RangeInclusive<i64> = 1024..=8192;

/// A private key in the forms that programs want.
#[derive(Clone, Debug, Resource)]
#[resource(name = "tls_private_key", version = 1)]
pub(crate) struct PrivateKey {
    /// RSA, ECDSA or ED25519.
    #[attr(required, replace)]
    algorithm: String,
    /// The size of an RSA key.
    #[attr(optional, computed, default = 2048, replace)]
    rsa_bits: i64,
    /// The curve of an ECDSA key: P224, P256, P384 or P521.
    #[attr(optional, computed, default = "P224", replace)]
    ecdsa_curve: String,
    /// The private key as PEM: PKCS#1 for RSA, SEC 1 for ECDSA, PKCS#8 for ED25519.
    #[attr(computed, sensitive)]
    private_key_pem: Sensitive<String>,
    /// The private key in OpenSSH's form; empty for P224.
    #[attr(computed, sensitive)]
    private_key_openssh: Sensitive<String>,
    /// The private key in PKCS#8 PEM.
    #[attr(computed, sensitive)]
    private_key_pem_pkcs8: Sensitive<String>,
    /// The public key as PEM.
    #[attr(computed)]
    public_key_pem: String,
    /// The public key as a line of `authorized_keys`; empty for P224.
    #[attr(computed)]
    public_key_openssh: String,
    /// The public key's MD5 fingerprint as OpenSSH prints it; empty for P224.
    #[attr(computed)]
    public_key_fingerprint_md5: String,
    /// The public key's SHA-256 fingerprint as OpenSSH prints it; empty for P224.
    #[attr(computed)]
    public_key_fingerprint_sha256: String,
    /// The SHA-1 of the public key, hexadecimal.
    #[attr(computed)]
    id: String,
}

generated!(PrivateKey);

/// A public key from its private key.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "tls_public_key")]
pub(crate) struct PublicKey {
    /// The private key as PEM.
    #[attr(optional, sensitive)]
    private_key_pem: Option<Sensitive<String>>,
    /// The private key in OpenSSH's form.
    #[attr(optional, sensitive, unsupported)]
    private_key_openssh: Option<Sensitive<String>>,
    /// RSA, ECDSA or ED25519.
    #[attr(computed)]
    algorithm: String,
    /// The public key as PEM.
    #[attr(computed)]
    public_key_pem: String,
    /// The public key as a line of `authorized_keys`; empty for P224.
    #[attr(computed)]
    public_key_openssh: String,
    /// The public key's MD5 fingerprint as OpenSSH prints it; empty for P224.
    #[attr(computed)]
    public_key_fingerprint_md5: String,
    /// The public key's SHA-256 fingerprint as OpenSSH prints it; empty for P224.
    #[attr(computed)]
    public_key_fingerprint_sha256: String,
    /// The SHA-1 of the public key, hexadecimal.
    #[attr(computed)]
    id: String,
}

/// What follows from a public key.
struct Public {
    id: String,
    pem: String,
    openssh: String,
    md5: String,
    sha256: String,
}

impl Public {
    fn of(key: &Key) -> Result<Public, Error> {
        let der = key.public_der()?;
        let ssh = key.ssh_public();
        let text = |form: fn(&crate::tls::openssh::PublicKey) -> String| {
            ssh.as_ref().map(form).unwrap_or_default()
        };
        Ok(Public {
            id: hex(&Sha1::digest(&der)),
            pem: armoured("PUBLIC KEY", &der, 64),
            openssh: text(crate::tls::openssh::PublicKey::authorized_key),
            md5: text(crate::tls::openssh::PublicKey::fingerprint_md5),
            sha256: text(crate::tls::openssh::PublicKey::fingerprint_sha256),
        })
    }
}

impl PrivateKey {
    fn kind(&self) -> Result<Kind, Error> {
        let unknown = |what: &str, name: &str| {
            Err(Error::new(
                "generate a key",
                format!("there is no {what} {name:?}"),
            ))
        };
        match (self.algorithm.as_str(), self.ecdsa_curve.as_str()) {
            ("RSA", _) => Ok(Kind::Rsa(usize::try_from(self.rsa_bits).unwrap_or(0))),
            ("ED25519", _) => Ok(Kind::Ed25519),
            ("ECDSA", "P224") => Ok(Kind::P224),
            ("ECDSA", "P256") => Ok(Kind::P256),
            ("ECDSA", "P384") => Ok(Kind::P384),
            ("ECDSA", "P521") => Ok(Kind::P521),
            ("ECDSA", curve) => unknown("curve", curve),
            (algorithm, _) => unknown("algorithm", algorithm),
        }
    }
}

impl Generated for PrivateKey {
    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let text = |name: &str| config.get(name).and_then(|v| v.as_str().map(str::to_owned));
        for (name, allowed) in [
            ("algorithm", ["RSA", "ECDSA", "ED25519"].as_slice()),
            ("ecdsa_curve", &["P224", "P256", "P384", "P521"]),
        ] {
            if let Some(given) = text(name).filter(|given| !allowed.contains(&given.as_str())) {
                found.push(invalid(
                    name,
                    format!(
                        "`{name}` must be one of {}, not {given:?}.",
                        allowed.join(", ")
                    ),
                ));
            }
        }
        if let Some(bits) = config.get("rsa_bits").and_then(|v| v.as_i64())
            && !RSA_BITS.contains(&bits)
        {
            let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
            found.push(invalid(
                "rsa_bits",
                format!("`rsa_bits` must be between {least} and {most}, not {bits}."),
            ));
        }
        found
    }

    fn generate(self) -> Result<Self, Error> {
        let key = Key::generate(self.kind()?)?;
        let public = Public::of(&key)?;
        Ok(PrivateKey {
            private_key_pem: key.pem()?,
            private_key_openssh: key.openssh(),
            private_key_pem_pkcs8: key.pkcs8()?,
            public_key_pem: public.pem,
            public_key_openssh: public.openssh,
            public_key_fingerprint_md5: public.md5,
            public_key_fingerprint_sha256: public.sha256,
            id: public.id,
            ..self
        })
    }

    /// Version 0 lacked the forms that came later; they follow from the key.
    fn upgrade(_version: u64, mut attributes: Json) -> Result<Json, Error> {
        let pem = attributes
            .get("private_key_pem")
            .and_then(Json::as_str)
            .unwrap_or_default();
        let unreadable = || {
            Error::new(
                "upgrade the tls_private_key in the state",
                "its key is in no form that stead reads",
            )
        };
        let key = Key::parse(pem).ok_or_else(unreadable)?;
        let public = Public::of(&key)?;
        let later = [
            ("private_key_openssh", key.openssh().into_secret()),
            ("private_key_pem_pkcs8", key.pkcs8()?.into_secret()),
            ("public_key_fingerprint_sha256", public.sha256),
        ];
        if let Some(members) = attributes.as_object_mut() {
            for (name, value) in later {
                if members
                    .get(name)
                    .is_none_or(|v| v.as_str().is_none_or(str::is_empty))
                {
                    members.insert(name.to_owned(), Json::String(value));
                }
            }
        }
        Ok(attributes)
    }
}

#[async_trait]
impl DataSource for PublicKey {
    type Client = ();

    fn validate(config: &Value) -> Diagnostics {
        if config.get("private_key_pem").is_none_or(|v| v.is_null()) {
            return invalid("private_key_pem", "`private_key_pem` must be set.").into();
        }
        Diagnostics::new()
    }

    async fn read(_client: &(), config: Self, _cx: &Context) -> Result<Self, Error> {
        let pem = config
            .private_key_pem
            .as_ref()
            .map(|p| p.expose_secret().as_str())
            .unwrap_or_default();
        let unreadable = || {
            Error::new("read the private key", "it is in no form that stead reads")
                .remedy("Give an RSA, ECDSA or ED25519 key as PEM, not encrypted.")
                .attribute("private_key_pem")
        };
        let key = Key::parse(pem).ok_or_else(unreadable)?;
        let public = Public::of(&key)?;
        Ok(PublicKey {
            algorithm: key.algorithm().to_owned(),
            public_key_pem: public.pem,
            public_key_openssh: public.openssh,
            public_key_fingerprint_md5: public.md5,
            public_key_fingerprint_sha256: public.sha256,
            id: public.id,
            ..config
        })
    }
}
