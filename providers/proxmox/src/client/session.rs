//! Who we are: an API token, a ticket, or a password that buys tickets.

use std::time::{Duration, Instant};

use stead_sdk::Error;
use stead_sdk::value::Sensitive;

use crate::client::{Client, answer, params};

/// Tickets live for two hours; they are renewed well before.
const RENEW_AFTER: Duration = Duration::from_secs(3600);

pub(crate) enum Credentials {
    Token(Sensitive<String>),
    Ticket {
        ticket: Sensitive<String>,
        csrf: Sensitive<String>,
    },
    Password {
        username: String,
        password: Sensitive<String>,
    },
}

#[derive(Clone)]
struct Ticket {
    ticket: Sensitive<String>,
    csrf: Sensitive<String>,
    since: Instant,
}

pub(crate) struct Session {
    credentials: Credentials,
    bought: tokio::sync::Mutex<Option<Ticket>>,
}

impl Session {
    pub(crate) fn new(credentials: Credentials) -> Session {
        Session {
            credentials,
            bought: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        match &self.credentials {
            Credentials::Token(_) => false,
            // `PVE:root@pam:4EEC61E2::…`
            Credentials::Ticket { ticket, .. } => {
                ticket.expose_secret().split(':').nth(1) == Some("root@pam")
            }
            Credentials::Password { username, .. } => username == "root@pam",
        }
    }

    /// Forgets a bought ticket, as the server refuses it; whether another can be bought.
    pub(crate) async fn forget(&self) -> bool {
        self.bought.lock().await.take().is_some()
    }

    /// Adds what proves who we are.
    pub(crate) async fn sign(
        &self,
        request: reqwest::RequestBuilder,
        client: &Client,
    ) -> Result<reqwest::RequestBuilder, Error> {
        let with = |ticket: &Sensitive<String>,
                    csrf: &Sensitive<String>,
                    request: reqwest::RequestBuilder| {
            request
                .header(
                    "Cookie",
                    format!("PVEAuthCookie={}", ticket.expose_secret()),
                )
                .header("CSRFPreventionToken", csrf.expose_secret().as_str())
        };
        Ok(match &self.credentials {
            Credentials::Token(token) => request.header(
                "Authorization",
                format!("PVEAPIToken={}", token.expose_secret()),
            ),
            Credentials::Ticket { ticket, csrf } => with(ticket, csrf, request),
            Credentials::Password { username, password } => {
                let mut bought = self.bought.lock().await;
                if let Some(ticket) = bought.as_ref().filter(|t| t.since.elapsed() < RENEW_AFTER) {
                    return Ok(with(&ticket.ticket, &ticket.csrf, request));
                }
                let ticket = buy(username, password, client).await?;
                let signed = with(&ticket.ticket, &ticket.csrf, request);
                *bought = Some(ticket);
                signed
            }
        })
    }
}

async fn buy(
    username: &str,
    password: &Sensitive<String>,
    client: &Client,
) -> Result<Ticket, Error> {
    let asked = format!("log in as {username} (POST /access/ticket)");
    let form = params([
        ("username", username.to_owned()),
        ("password", password.expose_secret().clone()),
    ]);
    let data = client
        .exchange_unsigned(&asked, "/access/ticket", &form)
        .await
        .map_err(|e| match e.status() {
            Some(401) => e.remedy("Check user name, realm and password."),
            _ => e,
        })?;
    if answer::flag(&data, "NeedTFA") == Some(true) {
        return Err(Error::unsupported(
            asked,
            "the user has a second factor, and stead cannot ask for it",
        )
        .remedy("Use an API token: `pveum user token add USER@REALM NAME`."));
    }
    let secret = |key: &str| {
        answer::text(&data, key)
            .map(Sensitive::new)
            .ok_or_else(|| Error::new(asked.clone(), format!("the answer has no `{key}`")))
    };
    Ok(Ticket {
        ticket: secret("ticket")?,
        csrf: secret("CSRFPreventionToken")?,
        since: Instant::now(),
    })
}
