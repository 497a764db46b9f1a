//! Who we are: an API token, a ticket, or a password that buys tickets.

use std::time::{Duration, Instant};

use serde_json::Value as Json;
use stead_sdk::Error;
use stead_sdk::value::Sensitive;

use crate::client::{Client, Params, answer, params};

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
        /// Of a second factor: good for one login.
        otp: Option<Sensitive<String>>,
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
        self.caller() == Some("root@pam")
    }

    /// `USER@REALM`, or `USER@REALM!TOKEN`; nothing of the secret.
    pub(crate) fn caller(&self) -> Option<&str> {
        match &self.credentials {
            Credentials::Token(token) => token.expose_secret().split_once('=').map(|(id, _)| id),
            // `PVE:root@pam:4EEC61E2::…`
            Credentials::Ticket { ticket, .. } => ticket.expose_secret().split(':').nth(1),
            Credentials::Password { username, .. } => Some(username),
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
            Credentials::Password {
                username,
                password,
                otp,
            } => {
                let mut bought = self.bought.lock().await;
                if let Some(ticket) = bought.as_ref().filter(|t| t.since.elapsed() < RENEW_AFTER) {
                    return Ok(with(&ticket.ticket, &ticket.csrf, request));
                }
                // A ticket buys the next one, without the second factor.
                let ticket = match (&*bought, otp) {
                    (Some(old), Some(_)) => buy(username, &old.ticket, None, client).await?,
                    _ => buy(username, password, otp.as_ref(), client).await?,
                };
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
    otp: Option<&Sensitive<String>>,
    client: &Client,
) -> Result<Ticket, Error> {
    let asked = format!("log in as {username} (POST /access/ticket)");
    let first = params([
        ("username", username.to_owned()),
        ("password", password.expose_secret().clone()),
    ]);
    let refused = |error: Error| match error.status() {
        Some(401) => error.remedy("Check user name, realm and password."),
        _ => error,
    };
    let ask = |form: Params| {
        let asked = &asked;
        async move {
            let answer = client.exchange_unsigned(asked, "/access/ticket", &form);
            answer.await.map_err(refused)
        }
    };
    let secret = |data: &Json, key: &str| {
        answer::text(data, key)
            .map(Sensitive::new)
            .ok_or_else(|| Error::new(asked.clone(), format!("the answer has no `{key}`")))
    };
    let mut data = ask(first).await?;
    if answer::flag(&data, "NeedTFA") == Some(true) {
        let Some(otp) = otp else {
            let said = "the user has a second factor, and no one-time password is configured";
            return Err(Error::new(asked, said).remedy(
                "Use an API token (`pveum user token add USER@REALM NAME`), or set `otp`.",
            ));
        };
        // The ticket of the first step is the challenge of the second.
        let challenge = secret(&data, "ticket")?;
        let second = params([
            ("username", username.to_owned()),
            ("password", format!("totp:{}", otp.expose_secret())),
            ("tfa-challenge", challenge.expose_secret().clone()),
        ]);
        data = ask(second).await?;
    }
    Ok(Ticket {
        ticket: secret(&data, "ticket")?,
        csrf: secret(&data, "CSRFPreventionToken")?,
        since: Instant::now(),
    })
}
