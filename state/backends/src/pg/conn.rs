//! Connection strings as the reference's driver reads them: a URL or `key=value` pairs, over the `PG…` variables, over the defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use stead_sdk::value::Sensitive;
use stead_sdk::{ClientIdentity, Environment, Roots, TlsOptions};

/// Where the database is and how one gets in.
#[derive(Clone, Debug)]
pub(super) struct Conn {
    pub(super) host: Host,
    pub(super) user: String,
    pub(super) password: Option<Sensitive<String>>,
    pub(super) database: String,
    pub(super) encryption: Encryption,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) application_name: String,
    /// Run-time parameters, in the form of the server's command line.
    pub(super) options: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Tcp { name: String, port: u16 },
    Socket(PathBuf),
}

#[derive(Clone, Debug)]
pub(super) enum Encryption {
    Never,
    /// If the server can.
    Prefer(TlsOptions),
    Always(TlsOptions),
}

/// What is wrong with a connection string; no text holds a value of it.
pub(super) type Problem = String;

/// The variables that stand for keys.
const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGOPTIONS", "options"),
    ("PGAPPNAME", "application_name"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGCLIENTENCODING", "client_encoding"),
    ("PGDATESTYLE", "datestyle"),
    ("PGTZ", "timezone"),
    ("PGGEQO", "geqo"),
];

/// Variables of `libpq` that change where one lands; the reference's driver refuses them too.
const REFUSED_VARIABLES: &[&str] = &[
    "PGHOSTADDR",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGREALM",
    "PGREQUIRESSL",
    "PGSSLCRL",
    "PGSSLSNI",
    "PGREQUIREPEER",
    "PGKRBSRVNAME",
    "PGGSSLIB",
    "PGSYSCONFDIR",
    "PGLOCALEDIR",
];

/// Keys that would be taken for run-time parameters.
const REFUSED_KEYS: &[&str] = &[
    "hostaddr",
    "service",
    "sslcrl",
    "sslpassword",
    "sslinline",
    "sslsni",
    "requirepeer",
    "krbsrvname",
    "krbspn",
    "gssencmode",
    "sslnegotiation",
    "channel_binding",
    "target_session_attrs",
];

pub(super) fn parse(text: &str, environment: &Environment) -> Result<Conn, Problem> {
    if let Some(name) = REFUSED_VARIABLES
        .iter()
        .find(|name| environment.get(name).is_some())
    {
        return Err(format!(
            "The environment variable {name} is not supported. Unset it, and say it in `conn_str`."
        ));
    }
    let mut keys: Keys = VARIABLES
        .iter()
        .filter_map(|(variable, key)| {
            Some(((*key).to_owned(), environment.get(variable)?.to_owned()))
        })
        .collect();
    let text = text.trim();
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        from_url(text, &mut keys)?;
    } else {
        from_pairs(text, &mut keys)?;
    }
    if let Some(name) = REFUSED_KEYS.iter().find(|name| keys.contains_key(**name)) {
        return Err(format!("`{name}` is not supported yet. Leave it out."));
    }
    conn(keys, environment)
}

type Keys = BTreeMap<String, String>;

fn from_url(text: &str, keys: &mut Keys) -> Result<(), Problem> {
    let url = Url::parse(text).map_err(|e| format!("It is not a URL: {e}."))?;
    let decode = |part: &str| -> Result<String, Problem> {
        let decoded = percent_decode_str(part)
            .decode_utf8()
            .map_err(|_| "It holds bytes that are no text.".to_owned())?;
        Ok(decoded.into_owned())
    };
    let mut set = |key: &str, part: &str| -> Result<(), Problem> {
        if !part.is_empty() {
            keys.insert(key.to_owned(), decode(part)?);
        }
        Ok(())
    };
    set("user", url.username())?;
    set("password", url.password().unwrap_or_default())?;
    set(
        "host",
        url.host_str()
            .unwrap_or_default()
            .trim_start_matches('[')
            .trim_end_matches(']'),
    )?;
    set("dbname", url.path().trim_start_matches('/'))?;
    if let Some(port) = url.port() {
        set("port", &port.to_string())?;
    }
    keys.extend(
        url.query_pairs()
            .map(|(key, value)| (key.into_owned(), value.into_owned())),
    );
    Ok(())
}

/// `key=value` with blanks between pairs; a value may stand in single quotes, and a backslash takes the next character as it is.
fn from_pairs(text: &str, keys: &mut Keys) -> Result<(), Problem> {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else {
            return Err("A key is not followed by \"=\".".to_owned());
        };
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err("A key is not followed by \"=\".".to_owned());
        }
        let (value, after) = pair_value(after.trim_start())?;
        keys.insert(key.to_owned(), value);
        rest = after.trim_start();
    }
    Ok(())
}

fn pair_value(text: &str) -> Result<(String, &str), Problem> {
    let quoted = text.strip_prefix('\'');
    let body = quoted.unwrap_or(text);
    let mut value = String::new();
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some((_, escaped)) => value.push(escaped),
                None => return Err("It ends with a backslash.".to_owned()),
            },
            '\'' if quoted.is_some() => return Ok((value, body.get(at + 1..).unwrap_or_default())),
            blank if blank.is_whitespace() && quoted.is_none() => {
                return Ok((value, body.get(at..).unwrap_or_default()));
            }
            other => value.push(other),
        }
    }
    if quoted.is_some() {
        return Err("A quote is not closed.".to_owned());
    }
    Ok((value, ""))
}

fn conn(mut keys: Keys, environment: &Environment) -> Result<Conn, Problem> {
    let mut take = |name: &str| keys.remove(name).filter(|value| !value.is_empty());
    let host = take("host").unwrap_or_else(|| "localhost".to_owned());
    if host.contains(',') {
        return Err("Several hosts are not supported yet. Name one.".to_owned());
    }
    let port = take("port")
        .map_or(Ok(5432), |port| port.parse())
        .map_err(|_| "`port` is a number from 1 to 65535.".to_owned())?;
    let user = take("user").or_else(|| environment.first(&["USER", "LOGNAME"]).map(str::to_owned));
    let user = user.ok_or_else(|| "`user` is missing.".to_owned())?;
    let database = take("dbname").unwrap_or_else(|| user.clone());
    let passfile = take("passfile")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(environment.get("HOME")?).join(".pgpass")));
    let password = take("password")
        .or_else(|| from_passfile(&passfile?, [&host, &port.to_string(), &database, &user]));
    let connect_timeout = match take("connect_timeout").map(|text| text.parse::<u64>()) {
        None | Some(Ok(0)) => None,
        Some(Ok(seconds)) => Some(Duration::from_secs(seconds)),
        Some(Err(_)) => return Err("`connect_timeout` is a number of seconds.".to_owned()),
    };
    let fallback = take("fallback_application_name").unwrap_or_else(|| "stead".to_owned());
    let application_name = take("application_name").unwrap_or(fallback);
    if take("client_encoding")
        .is_some_and(|text| !matches!(&*text.to_ascii_lowercase(), "utf8" | "utf-8" | "unicode"))
    {
        return Err("`client_encoding` must be UTF8 when it is given.".to_owned());
    }
    let tls = Tls {
        mode: take("sslmode"),
        root: take("sslrootcert"),
        certificate: take("sslcert"),
        key: take("sslkey"),
    };
    let mut options = take("options").unwrap_or_default();
    // What is left are run-time parameters of the server.
    for (name, value) in &keys {
        let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
        options.push_str(&format!(" -c {name}={value}"));
    }
    let (host, encryption) = if host.starts_with('/') {
        (
            Host::Socket(PathBuf::from(host).join(format!(".s.PGSQL.{port}"))),
            Encryption::Never,
        )
    } else {
        (Host::Tcp { name: host, port }, tls.encryption(environment)?)
    };
    Ok(Conn {
        host,
        user,
        password: password.map(Sensitive::new),
        database,
        encryption,
        connect_timeout,
        application_name,
        options: options.trim().to_owned(),
    })
}

/// The TLS keys as they were given.
struct Tls {
    mode: Option<String>,
    root: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Tls {
    /// `require` encrypts and believes any certificate, unless an authority is given: then it is `verify-ca`. It is the default.
    fn encryption(self, environment: &Environment) -> Result<Encryption, Problem> {
        let mode = self.mode.as_deref().unwrap_or("require");
        let roots = match self.root.as_deref() {
            None | Some("system") => None,
            Some(file) => Some(Roots::Only(read(file, "sslrootcert")?)),
        };
        let believed = roots.is_none();
        let plain = TlsOptions {
            roots: roots.unwrap_or_default(),
            identity: identity(self.certificate, self.key, environment)?,
            ..TlsOptions::default()
        };
        let insecure = TlsOptions {
            insecure: true,
            ..plain.clone()
        };
        let any_name = TlsOptions {
            any_name: true,
            ..plain.clone()
        };
        match mode {
            "disable" => Ok(Encryption::Never),
            "prefer" => Ok(Encryption::Prefer(insecure)),
            "require" if believed => Ok(Encryption::Always(insecure)),
            "require" | "verify-ca" => Ok(Encryption::Always(any_name)),
            "verify-full" => Ok(Encryption::Always(plain)),
            _ => Err(
                "`sslmode` must be disable, prefer, require, verify-ca or verify-full.".to_owned(),
            ),
        }
    }
}

/// Our certificate: the files that are named, or those in `~/.postgresql` when both are there.
fn identity(
    certificate: Option<String>,
    key: Option<String>,
    environment: &Environment,
) -> Result<Option<ClientIdentity>, Problem> {
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => {
            let Some(home) = environment.get("HOME") else {
                return Ok(None);
            };
            let file = |name: &str| format!("{home}/.postgresql/postgresql.{name}");
            let (certificate, key) = (file("crt"), file("key"));
            if !PathBuf::from(&certificate).is_file() || !PathBuf::from(&key).is_file() {
                return Ok(None);
            }
            (certificate, key)
        }
        _ => return Err("`sslcert` and `sslkey` belong together: set both or none.".to_owned()),
    };
    Ok(Some(ClientIdentity {
        certificates: read(&certificate, "sslcert")?,
        key: Sensitive::new(read(&key, "sslkey")?),
    }))
}

fn read(file: &str, key: &str) -> Result<String, Problem> {
    std::fs::read_to_string(file)
        .map_err(|e| format!("The file {file} of `{key}` cannot be read: {e}."))
}

/// `HOST:PORT:DATABASE:USER:PASSWORD` a line, where `*` stands for anything. Not read when others can read it, as everywhere.
fn from_passfile(file: &std::path::Path, wanted: [&str; 4]) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(file).ok()?;
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(file = %file.display(), "not read: others than its owner can read it");
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let fields = fields(line)?;
        let (password, place) = fields.split_last()?;
        let fits = place.len() == 4
            && place
                .iter()
                .zip(wanted)
                .all(|(field, wanted)| field == "*" || field == wanted);
        fits.then(|| password.clone())
    })
}

/// The fields of a line of the password file: a backslash takes the next character as it is.
fn fields(line: &str) -> Option<Vec<String>> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let next = match character {
            ':' => {
                fields.push(String::new());
                continue;
            }
            '\\' => characters.next()?,
            other => other,
        };
        fields.last_mut()?.push(next);
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, variables: &[(&str, &str)]) -> Result<Conn, Problem> {
        parse(text, &variables.iter().map(|(k, v)| (*k, *v)).collect())
    }

    fn tcp(name: &str, port: u16) -> Host {
        Host::Tcp {
            name: name.to_owned(),
            port,
        }
    }

    #[test]
    fn urls_and_pairs_say_the_same() {
        let url = "postgres://al%20ice:s%40cret@db.lan:5433/states?sslmode=disable&application_name=x&search_path=a%20b";
        let pairs = r"user='al ice' password=s@cret  host = db.lan port=5433 dbname=states sslmode=disable application_name=x search_path='a b'";
        for text in [url, pairs] {
            let conn = parsed(text, &[]).unwrap();
            assert_eq!(conn.host, tcp("db.lan", 5433));
            assert_eq!(
                (conn.user.as_str(), conn.database.as_str()),
                ("al ice", "states")
            );
            assert_eq!(conn.password.clone().unwrap().expose_secret(), "s@cret");
            assert_eq!(
                (conn.application_name.as_str(), conn.options.as_str()),
                ("x", r"-c search_path=a\ b")
            );
            assert!(matches!(conn.encryption, Encryption::Never));
            assert!(!format!("{conn:?}").contains("cret"));
        }
    }

    #[test]
    fn quotes_and_backslashes() {
        let conn = parsed(r"user=u password='it\'s \\ a ''b' host=h", &[]);
        assert_eq!(conn.unwrap_err(), "A key is not followed by \"=\".");
        let conn = parsed(r"user=u password='it\'s \\ a' dbname=a\ b", &[]).unwrap();
        assert_eq!(conn.password.unwrap().expose_secret(), r"it's \ a");
        assert_eq!(conn.database, "a b");
        for broken in ["user", "user='x", r"user=x\", "=x", "a b=c"] {
            parsed(broken, &[]).unwrap_err();
        }
    }

    #[test]
    fn variables_fill_in() {
        let variables = [
            ("PGHOST", "db"),
            ("PGPORT", "6000"),
            ("PGUSER", "u"),
            ("PGSSLMODE", "disable"),
            ("PGPASSWORD", "p"),
        ];
        let conn = parsed("", &variables).unwrap();
        assert_eq!(conn.host, tcp("db", 6000));
        assert_eq!(conn.database, "u", "the database is called after the user");
        let conn = parsed("postgres://other/", &variables).unwrap();
        assert_eq!(conn.host, tcp("other", 6000));
        let conn = parsed("", &[("USER", "me")]).unwrap();
        assert_eq!(
            (conn.host, conn.user.as_str()),
            (tcp("localhost", 5432), "me")
        );
        assert!(
            parsed("user=u", &[("PGSERVICE", "x")])
                .unwrap_err()
                .contains("PGSERVICE")
        );
        assert!(
            parsed("user=u service=x", &[])
                .unwrap_err()
                .contains("service")
        );
        assert!(
            parsed("user=u host=a,b", &[])
                .unwrap_err()
                .contains("Several hosts")
        );
    }

    #[test]
    fn a_folder_is_a_socket() {
        let conn = parsed(
            "user=u host=/run/postgresql port=5433 sslmode=verify-full",
            &[],
        )
        .unwrap();
        assert_eq!(
            conn.host,
            Host::Socket("/run/postgresql/.s.PGSQL.5433".into())
        );
        assert!(matches!(conn.encryption, Encryption::Never));
    }

    #[test]
    fn modes_of_encryption() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.crt");
        std::fs::write(&root, "a certificate").unwrap();
        let options = |text: &str| match parsed(&format!("user=u {text}"), &[]).unwrap().encryption
        {
            Encryption::Always(options) => options,
            other => panic!("{other:?}"),
        };
        assert!(options("").insecure, "require is the default");
        assert!(options("sslmode=require").insecure);
        let with_root = options(&format!("sslmode=require sslrootcert={}", root.display()));
        assert!(!with_root.insecure && with_root.any_name);
        assert_eq!(with_root.roots, Roots::Only("a certificate".to_owned()));
        let full = options(&format!(
            "sslmode=verify-full sslrootcert={}",
            root.display()
        ));
        assert!(!full.insecure && !full.any_name);
        assert_eq!(options("sslmode=verify-full").roots, Roots::System);
        assert!(
            parsed("user=u sslmode=allow", &[])
                .unwrap_err()
                .contains("sslmode")
        );
        assert!(
            parsed("user=u sslrootcert=/nowhere", &[])
                .unwrap_err()
                .contains("/nowhere")
        );
        assert!(
            parsed("user=u sslcert=/nowhere", &[])
                .unwrap_err()
                .contains("belong together")
        );
    }

    #[test]
    fn the_password_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pass");
        std::fs::write(
            &file,
            "# a comment:*:*:*:no\nother:*:*:*:no\ndb:5432:*:u:a\\:b\n*:*:*:*:any\n",
        )
        .unwrap();
        let path = file.display().to_string();
        let password = |host: &str| {
            let conn = parsed(&format!("user=u host={host}"), &[("PGPASSFILE", &path)]).unwrap();
            conn.password.map(Sensitive::into_secret)
        };
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(password("db"), None, "others can read it");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password("db").as_deref(), Some("a:b"));
        assert_eq!(password("elsewhere").as_deref(), Some("any"));
    }
}
