//! `tls_self_signed_cert`: a certificate that its own key signs.

use std::net::IpAddr;
use std::time::Duration;

use jiff::{Timestamp, ToSpan as _, Unit};
use num_bigint::BigUint;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use stead_sdk::value::{Diagnostics, Path, Sensitive, Value};
use stead_sdk::{Block, Error, PlanDraft, Resource};

use crate::generated::{Generated, at_least, generated, invalid};
use crate::tls::key::{Key, armoured};

/// A certificate that its own key signs.
#[derive(Clone, Debug, Resource)]
#[resource(name = "tls_self_signed_cert")]
pub(crate) struct SelfSignedCert {
    /// The key as PEM: RSA of 2048 bits or more, ECDSA on P256 or P384, or ED25519.
    #[attr(required, sensitive, replace)]
    private_key_pem: Sensitive<String>,
    /// Hours from now until it expires.
    #[attr(required, replace)]
    validity_period_hours: i64,
    /// What the key may be used for, such as `digital_signature` or `server_auth`.
    #[attr(required, replace)]
    allowed_uses: Vec<String>,
    /// Host names that it stands for.
    #[attr(optional, replace)]
    dns_names: Option<Vec<String>>,
    /// Addresses that it stands for.
    #[attr(optional, replace)]
    ip_addresses: Option<Vec<String>>,
    /// URIs that it stands for.
    #[attr(optional, replace)]
    uris: Option<Vec<String>>,
    /// A new one is made this many hours before it expires.
    #[attr(optional, computed, default = 0)]
    early_renewal_hours: i64,
    /// Whether it may sign other certificates.
    #[attr(optional, computed, default = false, replace)]
    is_ca_certificate: bool,
    /// How many authorities may stand below it: any number when negative.
    #[attr(optional, computed, default = -1, replace)]
    max_path_length: i64,
    #[attr(optional, computed, default = false, replace)]
    set_subject_key_id: bool,
    #[attr(optional, computed, default = false, replace)]
    set_authority_key_id: bool,
    /// Whose it is.
    #[attr(block(list), replace)]
    subject: Vec<Subject>,
    /// `RSA`, `ECDSA` or `ED25519`.
    #[attr(computed)]
    key_algorithm: String,
    /// The certificate as PEM.
    #[attr(computed)]
    cert_pem: String,
    /// Whether it is so old that the next apply makes a new one.
    #[attr(computed, default = false)]
    ready_for_renewal: bool,
    /// In RFC 3339.
    #[attr(computed)]
    validity_start_time: String,
    /// In RFC 3339.
    #[attr(computed)]
    validity_end_time: String,
    /// The serial number.
    #[attr(computed)]
    id: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
struct Subject {
    #[attr(optional)]
    common_name: Option<String>,
    #[attr(optional)]
    organization: Option<String>,
    #[attr(optional)]
    organizational_unit: Option<String>,
    #[attr(optional)]
    street_address: Option<Vec<String>>,
    #[attr(optional)]
    locality: Option<String>,
    #[attr(optional)]
    province: Option<String>,
    #[attr(optional)]
    country: Option<String>,
    #[attr(optional)]
    postal_code: Option<String>,
    #[attr(optional)]
    serial_number: Option<String>,
    #[attr(optional)]
    email_address: Option<String>,
}

generated!(SelfSignedCert);

/// Names of the key's uses (RFC 5280, section 4.2.1.3), as the published provider writes them.
const USES: [(&str, KeyUsagePurpose); 9] = [
    ("digital_signature", KeyUsagePurpose::DigitalSignature),
    ("content_commitment", KeyUsagePurpose::ContentCommitment),
    ("key_encipherment", KeyUsagePurpose::KeyEncipherment),
    ("data_encipherment", KeyUsagePurpose::DataEncipherment),
    ("key_agreement", KeyUsagePurpose::KeyAgreement),
    ("cert_signing", KeyUsagePurpose::KeyCertSign),
    ("crl_signing", KeyUsagePurpose::CrlSign),
    ("encipher_only", KeyUsagePurpose::EncipherOnly),
    ("decipher_only", KeyUsagePurpose::DecipherOnly),
];

/// The extended ones (section 4.2.1.12).
const EXTENDED_USES: [(&str, ExtendedKeyUsagePurpose); 7] = [
    ("any_extended", ExtendedKeyUsagePurpose::Any),
    ("server_auth", ExtendedKeyUsagePurpose::ServerAuth),
    ("client_auth", ExtendedKeyUsagePurpose::ClientAuth),
    ("code_signing", ExtendedKeyUsagePurpose::CodeSigning),
    ("email_protection", ExtendedKeyUsagePurpose::EmailProtection),
    ("timestamping", ExtendedKeyUsagePurpose::TimeStamping),
    ("ocsp_signing", ExtendedKeyUsagePurpose::OcspSigning),
];

/// `emailAddress` of PKCS #9.
const EMAIL: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 1];

fn known_use(name: &str) -> bool {
    USES.iter().any(|(n, _)| *n == name) || EXTENDED_USES.iter().any(|(n, _)| *n == name)
}

fn wrong(attribute: &'static str, why: impl Into<String>) -> Error {
    Error::new("make the certificate", why).attribute(attribute)
}

fn ia5(attribute: &'static str, text: &str) -> Result<Ia5String, Error> {
    Ia5String::try_from(text).map_err(|_| wrong(attribute, format!("{text:?} is not ASCII")))
}

impl Subject {
    fn name(&self) -> DistinguishedName {
        let mut name = DistinguishedName::new();
        let custom = |last: u64| DnType::CustomDnType(vec![2, 5, 4, last]);
        let parts = [
            (DnType::CountryName, &self.country),
            (DnType::StateOrProvinceName, &self.province),
            (DnType::LocalityName, &self.locality),
            (custom(17), &self.postal_code),
            (DnType::OrganizationName, &self.organization),
            (DnType::OrganizationalUnitName, &self.organizational_unit),
            (DnType::CommonName, &self.common_name),
            (custom(5), &self.serial_number),
            (DnType::CustomDnType(EMAIL.to_vec()), &self.email_address),
        ];
        for (kind, value) in parts {
            if let Some(value) = value {
                name.push(kind, value.as_str());
            }
        }
        if let Some(lines) = self
            .street_address
            .as_ref()
            .filter(|lines| !lines.is_empty())
        {
            name.push(custom(9), lines.join(", "));
        }
        name
    }
}

impl SelfSignedCert {
    fn alternative_names(&self) -> Result<Vec<SanType>, Error> {
        let mut all = Vec::new();
        for name in self.dns_names.iter().flatten() {
            all.push(SanType::DnsName(ia5("dns_names", name)?));
        }
        for address in self.ip_addresses.iter().flatten() {
            let parsed: IpAddr = address
                .parse()
                .map_err(|_| wrong("ip_addresses", format!("{address:?} is no IP address")))?;
            all.push(SanType::IpAddress(parsed));
        }
        for uri in self.uris.iter().flatten() {
            all.push(SanType::URI(ia5("uris", uri)?));
        }
        Ok(all)
    }

    fn parameters(
        &self,
        start: Timestamp,
        end: Timestamp,
        serial: &[u8],
    ) -> Result<CertificateParams, Error> {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let at = |time: Timestamp| {
            epoch + Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0))
        };
        let mut params = CertificateParams::default();
        params.not_before = at(start);
        params.not_after = at(end);
        params.serial_number = Some(SerialNumber::from_slice(serial));
        params.subject_alt_names = self.alternative_names()?;
        params.distinguished_name = self.subject.first().map(Subject::name).unwrap_or_default();
        params.is_ca = match (self.is_ca_certificate, self.set_subject_key_id) {
            (true, _) => IsCa::Ca(match self.max_path_length {
                ..0 => BasicConstraints::Unconstrained,
                length => BasicConstraints::Constrained(
                    u8::try_from(length)
                        .map_err(|_| wrong("max_path_length", "more than 255 is not possible"))?,
                ),
            }),
            (false, true) => IsCa::ExplicitNoCa,
            (false, false) => IsCa::NoCa,
        };
        params.use_authority_key_identifier_extension = self.set_authority_key_id;
        let wanted = |name: &str| self.allowed_uses.iter().any(|u| u == name);
        params.key_usages = USES
            .iter()
            .filter(|(n, _)| wanted(n))
            .map(|(_, u)| *u)
            .collect();
        params.extended_key_usages = EXTENDED_USES
            .iter()
            .filter(|(n, _)| wanted(n))
            .map(|(_, u)| u.clone())
            .collect();
        Ok(params)
    }
}

impl Generated for SelfSignedCert {
    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        at_least(config, "validity_period_hours", 0, &mut found);
        at_least(config, "early_renewal_hours", 0, &mut found);
        let subjects = config
            .get("subject")
            .and_then(|v| v.as_sequence().map(<[Value]>::len));
        if subjects.is_some_and(|n| n > 1) {
            found.push(invalid("subject", "There may be one `subject` only."));
        }
        let uses = config.get("allowed_uses").filter(|v| v.is_known());
        for name in uses
            .iter()
            .flat_map(|v| v.as_sequence().into_iter().flatten())
        {
            if let Some(name) = name.as_str().filter(|n| !known_use(n)) {
                found.push(invalid(
                    "allowed_uses",
                    format!("There is no use {name:?} of a certificate."),
                ));
            }
        }
        found
    }

    /// One that is about to expire is replaced.
    fn plan(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
        let text = |v: &Value| v.as_str().map(str::to_owned);
        let end = plan
            .prior()
            .get("validity_end_time")
            .and_then(|v| text(&v)?.parse::<Timestamp>().ok());
        let hours = plan
            .attribute("early_renewal_hours")
            .and_then(|v| v.as_i64())
            .unwrap_or(0);
        let due = end.is_some_and(|end| {
            end.checked_sub(hours.saturating_mul(60).minutes())
                .is_ok_and(|renew| renew <= Timestamp::now())
        });
        if due {
            let path = Path::root().attr("ready_for_renewal");
            plan.set_unknown(&path)?;
            plan.replace(path);
        }
        Ok(())
    }

    fn generate(self) -> Result<Self, Error> {
        let key = Key::parse(self.private_key_pem.expose_secret())
            .ok_or_else(|| wrong("private_key_pem", "the key is in no form that stead reads"))?;
        let pair = KeyPair::from_pem(key.pkcs8()?.expose_secret()).map_err(|_| {
            wrong(
                "private_key_pem",
                "stead cannot sign with a key of this kind",
            )
            .remedy("Use RSA of 2048 to 4096 bits, ECDSA on P256 or P384, or ED25519.")
        })?;
        let start = Timestamp::now()
            .round(Unit::Second)
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let end = start
            .checked_add(self.validity_period_hours.hours())
            .map_err(|e| wrong("validity_period_hours", e.to_string()))?;
        // Positive, as RFC 5280 wants it.
        let mut serial: [u8; 16] = rand::random();
        serial[0] &= 0x7f;
        let certificate = self
            .parameters(start, end, &serial)?
            .self_signed(&pair)
            .map_err(|e| Error::new("sign the certificate", e.to_string()))?;
        Ok(SelfSignedCert {
            key_algorithm: key.algorithm().to_owned(),
            cert_pem: armoured("CERTIFICATE", certificate.der(), 64),
            ready_for_renewal: false,
            validity_start_time: start.to_string(),
            validity_end_time: end.to_string(),
            id: BigUint::from_bytes_be(&serial).to_string(),
            ..self
        })
    }
}
