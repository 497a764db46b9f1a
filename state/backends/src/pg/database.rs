//! Sessions with the database: how they are opened, what is made at the first, and what is tried again.

use std::time::Duration;

use stead_sdk::retry::jitter;
use stead_sdk::{Dialer, TlsOptions};
use stead_state::BackendError;
use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Client, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conn::{Conn, Encryption, Host};

/// For one statement, its answer included.
const DEADLINE: Duration = Duration::from_secs(120);
/// How often what may pass is tried.
const TRIES: u32 = 5;

/// The database and the names in it.
pub(super) struct Database {
    pub(super) dialer: Dialer,
    pub(super) conn: Conn,
    pub(super) schema: String,
    pub(super) create_schema: bool,
    pub(super) create_tables: bool,
    pub(super) create_index: bool,
    /// For what needs no lock; opened at the first need and again when it is lost.
    pub(super) session: Mutex<Option<Session>>,
    /// Schema and tables are there.
    pub(super) prepared: OnceCell<()>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("place", &self.place())
            .finish_non_exhaustive()
    }
}

/// A connection. What it holds goes when it is dropped.
pub(super) struct Session {
    client: Client,
    /// Of the server's process for it.
    pub(super) pid: i32,
}

impl Session {
    pub(super) async fn query(
        &self,
        sql: &str,
        arguments: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Trouble> {
        in_time(self.client.query(sql, arguments)).await
    }

    pub(super) fn is_lost(&self) -> bool {
        self.client.is_closed()
    }
}

async fn in_time<T>(
    asking: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(DEADLINE, asking).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Trouble::Late),
    }
}

/// Why a statement was not answered as it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{}", said(.0))]
    Database(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Connection(#[from] stead_sdk::Error),
    #[error("could not connect to {0}: {1}")]
    Socket(String, std::io::Error),
    #[error("no answer within {} seconds", DEADLINE.as_secs())]
    Late,
}

impl Trouble {
    fn code(&self) -> Option<&SqlState> {
        match self {
            Trouble::Database(error) => error.code(),
            _ => None,
        }
    }

    /// The session is no more, and what it held.
    pub(super) fn ends_session(&self) -> bool {
        match self {
            Trouble::Database(error) => match error.code() {
                // 08: connection exceptions; 57P: the server or an administrator ends it.
                Some(code) => ["08", "57P"]
                    .iter()
                    .any(|class| code.code().starts_with(class)),
                None => {
                    let source = std::error::Error::source(error);
                    error.is_closed() || source.is_some_and(|source| source.is::<std::io::Error>())
                }
            },
            Trouble::Connection(error) => error.is_transient(),
            Trouble::Socket(..) => true,
            Trouble::Late => false,
        }
    }

    /// Trying again over a new connection may help.
    pub(super) fn may_pass(&self) -> bool {
        // 53300: too many clients; 40: lost against another transaction.
        let busy = |code: &SqlState| {
            code == &SqlState::TOO_MANY_CONNECTIONS || code.code().starts_with("40")
        };
        self.ends_session() || self.code().is_some_and(busy)
    }

    /// Another session made the same thing at the same time.
    fn is_made_already(&self) -> bool {
        let made = [
            SqlState::UNIQUE_VIOLATION,
            SqlState::DUPLICATE_TABLE,
            SqlState::DUPLICATE_SCHEMA,
            SqlState::DUPLICATE_OBJECT,
        ];
        self.code().is_some_and(|code| made.contains(code))
    }

    fn hint(&self) -> Option<String> {
        let code = self.code()?;
        let text = match code {
            &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "Check user and password: `conn_str`, PGUSER, PGPASSWORD, and the server's pg_hba.conf."
            }
            &SqlState::INVALID_CATALOG_NAME => {
                "Create the database, or name another one in `conn_str`."
            }
            &SqlState::INSUFFICIENT_PRIVILEGE => {
                "Grant the user CREATE on the database and on the schema \"public\", or create schema and tables yourself and set \
                 `skip_schema_creation`, `skip_table_creation` and `skip_index_creation`."
            }
            &SqlState::UNDEFINED_TABLE => "Create the tables, or leave `skip_table_creation` out.",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// The server's words, or what happened to the connection.
fn said(error: &tokio_postgres::Error) -> String {
    let Some(answer) = error.as_db_error() else {
        let source = std::error::Error::source(error).map(|source| format!(": {source}"));
        return format!("{error}{}", source.unwrap_or_default());
    };
    let detail = answer
        .detail()
        .map(|detail| format!(" {detail}"))
        .unwrap_or_default();
    format!(
        "{} (SQLSTATE {}).{detail}",
        answer.message(),
        answer.code().code()
    )
}

/// The times between tries: each three times the last, less up to a half by chance.
pub(super) struct Pauses {
    next: Duration,
    left: u32,
}

impl Pauses {
    pub(super) fn new() -> Pauses {
        Pauses {
            next: Duration::from_millis(100),
            left: TRIES - 1,
        }
    }

    /// Waits for the next try; `false` when there is none.
    pub(super) async fn wait(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        tokio::time::sleep(jitter(self.next)).await;
        self.next *= 3;
        true
    }
}

impl Database {
    /// Host, port and database, for people.
    pub(super) fn place(&self) -> String {
        match &self.conn.host {
            Host::Tcp { name, port } => format!("{name}:{port}/{}", self.conn.database),
            Host::Socket(path) => format!("{}/{}", path.display(), self.conn.database),
        }
    }

    pub(super) fn states(&self) -> String {
        format!("{}.states", quoted(&self.schema))
    }

    /// Our own table, beside the reference's.
    pub(super) fn beside(&self) -> String {
        format!("{}.stead_beside", quoted(&self.schema))
    }

    /// One statement that may be done twice, over the common session.
    pub(super) async fn query(
        &self,
        what: &str,
        sql: &str,
        arguments: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, BackendError> {
        let mut slot = self.session.lock().await;
        let mut pauses = Pauses::new();
        loop {
            let session = match slot.take().filter(|session| !session.is_lost()) {
                Some(session) => Ok(session),
                None => self.connect().await,
            };
            let answer = match session {
                Ok(session) => slot.insert(session).query(sql, arguments).await,
                Err(trouble) => Err(trouble),
            };
            let trouble = match answer {
                Ok(rows) => return Ok(rows),
                Err(trouble) => trouble,
            };
            if !trouble.may_pass() || !pauses.wait().await {
                return Err(self.failure(what, &trouble));
            }
            *slot = None;
        }
    }

    /// A session of one's own, such as a lock needs. Tried again while the trouble may pass.
    pub(super) async fn own_session(&self, what: &str) -> Result<Session, BackendError> {
        let mut pauses = Pauses::new();
        loop {
            match self.connect().await {
                Ok(session) => return Ok(session),
                Err(trouble) if !trouble.may_pass() || !pauses.wait().await => {
                    return Err(self.failure(what, &trouble));
                }
                Err(_) => {}
            }
        }
    }

    pub(super) fn failure(&self, what: &str, trouble: &Trouble) -> BackendError {
        let error = BackendError::failed(
            format!("{what} in the database {}", self.place()),
            trouble.to_string(),
        );
        match trouble.hint() {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// A column of an answer.
    pub(super) fn column<'a, T: FromSql<'a>>(
        &self,
        what: &str,
        row: &'a Row,
        column: usize,
    ) -> Result<T, BackendError> {
        row.try_get(column)
            .map_err(|error| self.failure(what, &error.into()))
    }

    /// Connects, and makes what is missing the first time.
    async fn connect(&self) -> Result<Session, Trouble> {
        let client = self.open().await?;
        let row = in_time(client.query_one("SELECT pg_backend_pid()", &[])).await?;
        let session = Session {
            pid: row.try_get(0)?,
            client,
        };
        self.prepared
            .get_or_try_init(|| self.prepare(&session))
            .await?;
        Ok(session)
    }

    async fn open(&self) -> Result<Client, Trouble> {
        let opening = async {
            match &self.conn.host {
                Host::Tcp { name, port } => {
                    let stream = self.dialer.tcp(name, *port).await?;
                    self.greet(stream, name).await
                }
                Host::Socket(path) => {
                    let stream = tokio::net::UnixStream::connect(path).await;
                    let stream =
                        stream.map_err(|e| Trouble::Socket(path.display().to_string(), e))?;
                    self.greet(stream, "localhost").await
                }
            }
        };
        let limit = self.conn.connect_timeout.unwrap_or(Duration::from_secs(30));
        let timed_out = || {
            let said = format!("no answer within {} seconds", limit.as_secs());
            stead_sdk::Error::transient(format!("connect to {}", self.place()), said)
        };
        tokio::time::timeout(limit, opening)
            .await
            .map_err(|_| timed_out())?
    }

    async fn greet<S>(&self, stream: S, name: &str) -> Result<Client, Trouble>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let mut config = tokio_postgres::Config::new();
        config
            .user(&self.conn.user)
            .dbname(&self.conn.database)
            .application_name(&self.conn.application_name);
        if let Some(password) = &self.conn.password {
            config.password(password.expose_secret());
        }
        if !self.conn.options.is_empty() {
            config.options(&self.conn.options);
        }
        let (mode, tls): (SslMode, Option<&TlsOptions>) = match &self.conn.encryption {
            Encryption::Never => (SslMode::Disable, None),
            Encryption::Prefer(options) => (SslMode::Prefer, Some(options)),
            Encryption::Always(options) => (SslMode::Require, Some(options)),
        };
        config.ssl_mode(mode);
        match tls {
            None => {
                let (client, connection) = config.connect_raw(stream, NoTls).await?;
                tokio::spawn(async move { log_end(connection.await) });
                Ok(client)
            }
            Some(options) => {
                let mut maker =
                    MakeRustlsConnect::new((*self.dialer.client_config(options)?).clone());
                let tls = match MakeTlsConnect::<S>::make_tls_connect(&mut maker, name) {
                    Ok(tls) => tls,
                    Err(never) => match never {},
                };
                let (client, connection) = config.connect_raw(stream, tls).await?;
                tokio::spawn(async move { log_end(connection.await) });
                Ok(client)
            }
        }
    }

    /// Makes schema, sequence, tables and index as the reference does, and our own table.
    async fn prepare(&self, session: &Session) -> Result<(), Trouble> {
        let schema = quoted(&self.schema);
        if self.create_schema {
            // Asked first: who may not create one needs no right when it is there.
            let asked = "SELECT 1 FROM information_schema.schemata WHERE schema_name = $1";
            if session.query(asked, &[&self.schema]).await?.is_empty() {
                make(session, &format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
            }
        }
        if self.create_tables {
            make(
                session,
                "CREATE SEQUENCE IF NOT EXISTS public.global_states_id_seq AS bigint",
            )
            .await?;
            let states = format!(
                "CREATE TABLE IF NOT EXISTS {} (id bigint NOT NULL DEFAULT nextval('public.global_states_id_seq') PRIMARY KEY, \
                 name text UNIQUE, data text)",
                self.states()
            );
            make(session, &states).await?;
            let beside = format!(
                "CREATE TABLE IF NOT EXISTS {} (workspace text NOT NULL, name text NOT NULL, content bytea NOT NULL, \
                 PRIMARY KEY (workspace, name))",
                self.beside()
            );
            make(session, &beside).await?;
        }
        if self.create_index {
            let index = format!(
                "CREATE UNIQUE INDEX IF NOT EXISTS states_by_name ON {} (name)",
                self.states()
            );
            make(session, &index).await?;
        }
        Ok(())
    }
}

/// `IF NOT EXISTS` does not help against another session that makes it at the same moment.
async fn make(session: &Session, sql: &str) -> Result<(), Trouble> {
    match session.query(sql, &[]).await {
        Err(trouble) if !trouble.is_made_already() => Err(trouble),
        _ => Ok(()),
    }
}

fn log_end(end: Result<(), tokio_postgres::Error>) {
    if let Err(error) = end {
        tracing::debug!(%error, "the connection to PostgreSQL ended");
    }
}

/// A name as SQL wants it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
