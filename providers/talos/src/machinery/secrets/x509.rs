//! Issues X.509 certificates with the bytes Go's crypto/x509 would write.
//!
//! Written out here because the issuer's name must be copied as it is, empty or not, and the
//! deterministic certificates must match the Talos provider's byte for byte.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::CryptoRng;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use super::der::{self, bit_string, object, oid, sequence, tagged};
use super::keys::{ED25519_LABEL, KeyPair, pem, unpem};
use super::{CertificateAndKey, SecretsError, random};

/// Validity of a certificate authority.
const AUTHORITY_TTL: Duration = Duration::from_secs(87_600 * 3600);
const CERTIFICATE_LABEL: &str = "CERTIFICATE";

/// A subject: organizations in one set, then the common name.
#[derive(Default)]
pub(super) struct Name<'a> {
    pub(super) organizations: &'a [&'a str],
    pub(super) common_name: Option<&'a str>,
}

impl Name<'_> {
    fn encode(&self) -> Vec<u8> {
        let attribute = |id: &[u8], value: &str| sequence(&[&object(id), &der::text(value)]);
        let mut organizations: Vec<_> = self
            .organizations
            .iter()
            .map(|o| attribute(oid::ORGANIZATION, o))
            .collect();
        // DER orders the members of a set.
        organizations.sort();
        let mut sets = Vec::new();
        if !organizations.is_empty() {
            sets.extend(tagged(der::SET, &organizations.concat()));
        }
        if let Some(name) = self.common_name {
            sets.extend(tagged(der::SET, &attribute(oid::COMMON_NAME, name)));
        }
        tagged(der::SEQUENCE, &sets)
    }
}

/// What a client certificate may be used for beside client authentication.
#[derive(Clone, Copy)]
pub(super) enum Usage {
    Signature,
    SignatureAndEncipherment,
}

/// A certificate authority ready to sign.
pub(super) struct Authority {
    key: KeyPair,
    subject: Vec<u8>,
    key_id: Vec<u8>,
}

impl Authority {
    pub(super) fn load(pair: &CertificateAndKey) -> Result<Self, SecretsError> {
        let body = certificate_body(&pair.cert)?;
        let parsed = parse(&body)?;
        let key = KeyPair::from_pem(pair.key.expose())?;
        if parsed.tbs_certificate.subject_pki.raw != key.public_key_info() {
            return Err(SecretsError::Key(
                "the key does not belong to the certificate".to_owned(),
            ));
        }
        let key_id = parsed
            .extensions()
            .iter()
            .find_map(|e| match e.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            });
        let subject = parsed.tbs_certificate.subject.as_raw().to_vec();
        Ok(Self {
            key,
            subject,
            key_id: key_id.unwrap_or_default(),
        })
    }

    /// Signs a client certificate; `serial` is taken as it is.
    pub(super) fn client_certificate(
        &self,
        subject: &Name<'_>,
        public: &KeyPair,
        usage: Usage,
        serial: &[u8; 16],
        not_before: i64,
        not_after: i64,
    ) -> Result<String, SecretsError> {
        let usage_bits: &[u8] = match usage {
            Usage::Signature => &[0x07, 0x80],
            Usage::SignatureAndEncipherment => &[0x05, 0xa0],
        };
        let mut extensions = extension(oid::KEY_USAGE, true, &tagged(0x03, usage_bits));
        extensions.extend(extension(
            oid::EXT_KEY_USAGE,
            false,
            &sequence(&[&object(oid::CLIENT_AUTH)]),
        ));
        if !self.key_id.is_empty() {
            extensions.extend(extension(
                oid::AUTHORITY_KEY_ID,
                false,
                &sequence(&[&tagged(0x80, &self.key_id)]),
            ));
        }
        sign(
            &self.key,
            &self.subject,
            &subject.encode(),
            public,
            &extensions,
            serial,
            not_before,
            not_after,
        )
    }

    /// A fresh key of the authority's own kind.
    pub(super) fn sibling_key<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> KeyPair {
        match self.key {
            KeyPair::Ed25519(_) => KeyPair::generate_ed25519(rng),
            KeyPair::P256(_) => KeyPair::P256(super::keys::P256Key::generate(rng)),
        }
    }
}

/// Makes a self-signed authority valid for ten years.
pub(super) fn self_signed_authority<R: CryptoRng + ?Sized>(
    organizations: &[&str],
    key: &KeyPair,
    rng: &mut R,
    now: SystemTime,
) -> Result<CertificateAndKey, SecretsError> {
    let name = Name {
        organizations,
        common_name: None,
    }
    .encode();
    let mut extensions = extension(oid::KEY_USAGE, true, &tagged(0x03, &[0x02, 0x84]));
    let usages = sequence(&[&object(oid::SERVER_AUTH), &object(oid::CLIENT_AUTH)]);
    extensions.extend(extension(oid::EXT_KEY_USAGE, false, &usages));
    extensions.extend(extension(
        oid::BASIC_CONSTRAINTS,
        true,
        &sequence(&[&tagged(0x01, &[0xff])]),
    ));
    let key_id = random::<20, R>(rng);
    extensions.extend(extension(
        oid::SUBJECT_KEY_ID,
        false,
        &tagged(der::OCTET_STRING, &key_id),
    ));
    let serial = random::<16, R>(rng);
    let (from, until) = (
        unix(now)?,
        unix(now.checked_add(AUTHORITY_TTL).ok_or(SecretsError::Time)?)?,
    );
    let cert = sign(key, &name, &name, key, &extensions, &serial, from, until)?;
    Ok(CertificateAndKey {
        cert,
        key: key.to_pem(ED25519_LABEL),
    })
}

fn sign(
    signer: &KeyPair,
    issuer: &[u8],
    subject: &[u8],
    public: &KeyPair,
    extensions: &[u8],
    serial: &[u8; 16],
    not_before: i64,
    not_after: i64,
) -> Result<String, SecretsError> {
    let algorithm = signer.signature_algorithm();
    let from = der::time(not_before).ok_or(SecretsError::Time)?;
    let until = der::time(not_after).ok_or(SecretsError::Time)?;
    let body = sequence(&[
        &tagged(0xa0, &der::unsigned(&[2])),
        &der::unsigned(serial),
        &algorithm,
        issuer,
        &sequence(&[&from, &until]),
        subject,
        &public.public_key_info(),
        &tagged(0xa3, &tagged(der::SEQUENCE, extensions)),
    ]);
    let signature = bit_string(&signer.sign(&body));
    Ok(pem(
        CERTIFICATE_LABEL,
        &sequence(&[&body, &algorithm, &signature]),
    ))
}

fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: Vec<u8> = if critical {
        tagged(0x01, &[0xff])
    } else {
        Vec::new()
    };
    sequence(&[&object(id), &critical, &tagged(der::OCTET_STRING, value)])
}

/// Seconds since 1970.
pub(super) fn unix(time: SystemTime) -> Result<i64, SecretsError> {
    let elapsed = time
        .duration_since(UNIX_EPOCH)
        .map_err(|_| SecretsError::Time)?;
    i64::try_from(elapsed.as_secs()).map_err(|_| SecretsError::Time)
}

pub(super) fn certificate_body(text: &str) -> Result<Vec<u8>, SecretsError> {
    match unpem(text) {
        Some((label, body)) if label == CERTIFICATE_LABEL => Ok(body),
        _ => Err(SecretsError::Certificate(
            "failed to parse PEM block".to_owned(),
        )),
    }
}

pub(super) fn parse(body: &[u8]) -> Result<X509Certificate<'_>, SecretsError> {
    X509Certificate::from_der(body)
        .map(|(_, c)| c)
        .map_err(|e| SecretsError::Certificate(e.to_string()))
}
