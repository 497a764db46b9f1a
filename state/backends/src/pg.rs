//! The backend `pg`: a state is a row of a table of PostgreSQL, its lock an advisory lock of a session.

mod conn;
mod database;
mod lock;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::{Block as _, Dialer, ProviderConfig, settings};
use stead_state::{Backend, BackendError, Store};

use crate::Kind;
use database::Database;
use store::Row;

pub(crate) const KIND: Kind = Kind {
    name: "pg",
    schema: Settings::block,
    open,
};

/// Stores the state in a PostgreSQL database.
#[derive(Clone, Debug, ProviderConfig)]
struct Settings {
    /// A `postgres://` URL, or `key=value` pairs. What it does not say comes from the `PG…` variables.
    #[attr(optional, env = "PG_CONN_STR")]
    conn_str: Option<Sensitive<String>>,
    /// The schema that holds the tables; `terraform_remote_state` when left out.
    #[attr(optional, env = "PG_SCHEMA_NAME")]
    schema_name: Option<String>,
    /// Do not create the schema.
    #[attr(optional, env = "PG_SKIP_SCHEMA_CREATION")]
    skip_schema_creation: Option<bool>,
    /// Do not create the tables. Then nothing lies beside the state, and nobody knows who has a lock.
    #[attr(optional, env = "PG_SKIP_TABLE_CREATION")]
    skip_table_creation: Option<bool>,
    /// Do not create the index.
    #[attr(optional, env = "PG_SKIP_INDEX_CREATION")]
    skip_index_creation: Option<bool>,
}

fn open(config: &Value, dialer: &Dialer) -> Result<Arc<dyn Backend>, Diagnostics> {
    let given: Settings = settings("the backend \"pg\"", config, dialer.environment())?;
    let text = given.conn_str.unwrap_or_default();
    let conn = conn::parse(text.expose_secret(), dialer.environment()).map_err(|problem| {
        let diagnostic = Diagnostic::error("Invalid connection string", problem);
        Diagnostics::from(diagnostic.attribute(Path::root().attr("conn_str")))
    })?;
    let schema = given
        .schema_name
        .unwrap_or_else(|| "terraform_remote_state".to_owned());
    let skip = |flag: Option<bool>| flag == Some(true);
    let database = Database {
        dialer: dialer.clone(),
        conn,
        schema,
        create_schema: !skip(given.skip_schema_creation),
        create_tables: !skip(given.skip_table_creation),
        create_index: !skip(given.skip_index_creation),
        session: tokio::sync::Mutex::new(None),
        prepared: tokio::sync::OnceCell::new(),
    };
    Ok(Arc::new(Postgres(Arc::new(database))))
}

#[derive(Debug)]
struct Postgres(Arc<Database>);

#[async_trait]
impl Backend for Postgres {
    async fn workspaces(&self) -> Result<Vec<String>, BackendError> {
        let what = "list the workspaces";
        let query = format!(
            "SELECT name FROM {} WHERE name != 'default'",
            self.0.states()
        );
        let rows = self.0.query(what, &query, &[]).await?;
        let names = rows.iter().map(|row| self.0.column(what, row, 0));
        let mut names: Vec<String> = names.collect::<Result<_, _>>()?;
        names.sort();
        names.insert(0, "default".to_owned());
        Ok(names)
    }

    async fn delete(&self, workspace: &str, _force: bool) -> Result<(), BackendError> {
        if matches!(workspace, "default" | "") {
            return Err(BackendError::failed(
                format!("delete the workspace \"{workspace}\""),
                "can't delete default state",
            ));
        }
        let row = Row::new(&self.0, workspace);
        row.remove().await
    }

    fn store(&self, workspace: &str) -> Result<Arc<dyn Store>, BackendError> {
        Ok(Arc::new(Row::new(&self.0, workspace)))
    }
}
