//! Tickets, anti-forgery tokens and API tokens: who is it that calls?

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha512};

use super::{Access, Caller, hash};
use crate::error::ApiError;
use crate::now;

/// How long a ticket is good for, in seconds.
const TICKET_LIFE: u64 = 7200;

impl Access {
    /// `user` and `password` (or a ticket that is still good, in place of the password).
    pub(crate) fn log_in(&self, user: &str, password: &str) -> Result<(String, String), ApiError> {
        let refused = || ApiError::unauthorized("authentication failure");
        if self.refused(user).is_some() {
            return Err(refused());
        }
        // root@pam can make tickets for others.
        let by_ticket = password.starts_with("PVE:")
            && self
                .ticket_user(password)
                .is_some_and(|of| of == user || of == "root@pam");
        if !by_ticket && !self.is_password(user, password) {
            return Err(refused());
        }
        Ok((self.ticket(user, now()), self.csrf(user, now())))
    }

    /// Who calls; `None` when nobody says.
    pub(crate) fn caller(
        &self,
        verb: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<Caller>, ApiError> {
        let header = |name| {
            headers
                .get(name)
                .and_then(|v: &axum::http::HeaderValue| v.to_str().ok())
        };
        if let Some(token) = header(AUTHORIZATION).and_then(|v| v.strip_prefix("PVEAPIToken=")) {
            return self.by_token(token).map(Some);
        }
        let bearer = header(AUTHORIZATION).and_then(|v| v.strip_prefix("PVEAuthCookie="));
        let cookies = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(';'));
        let cookie = cookies
            .filter_map(|c| c.trim().strip_prefix("PVEAuthCookie="))
            .next();
        let Some(ticket) = cookie.or(bearer) else {
            return Ok(None);
        };
        let ticket = crate::http::percent_decoded(ticket);
        let user = self
            .ticket_user(&ticket)
            .ok_or_else(|| ApiError::unauthorized("permission denied - invalid PVE ticket"))?;
        if verb != Method::GET {
            let given = headers
                .get("CSRFPreventionToken")
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default();
            self.check_csrf(&user, given)?;
        }
        Ok(Some(Caller { user, token: None }))
    }

    fn by_token(&self, text: &str) -> Result<Caller, ApiError> {
        let malformed = || ApiError::unauthorized("no tokenid specified");
        let (id, secret) = text
            .split_once('=')
            .or_else(|| text.split_once(':'))
            .ok_or_else(malformed)?;
        let (user, token) = id.split_once('!').ok_or_else(malformed)?;
        if let Some(text) = self.refused(user) {
            return Err(ApiError::unauthorized(&text));
        }
        let missing =
            || ApiError::unauthorized(&format!("no such token '{token}' for user '{user}'"));
        let found = self.users.get(user).and_then(|u| u.tokens.get(token));
        let found = found.ok_or_else(missing)?;
        if found.expire != 0 && found.expire < now() {
            let text = format!("token '{token}' access expired");
            return Err(ApiError::unauthorized(&text));
        }
        if found.secret != hash(&self.key, secret) {
            return Err(ApiError::unauthorized("invalid token value!"));
        }
        Ok(Caller {
            user: user.into(),
            token: Some(token.into()),
        })
    }

    fn ticket(&self, user: &str, time: u64) -> String {
        let plain = format!("PVE:{user}:{time:08X}");
        format!("{plain}::{}", self.signature(&plain))
    }

    fn ticket_user(&self, ticket: &str) -> Option<String> {
        let (plain, signature) = ticket.split_once("::")?;
        let mut parts = plain.splitn(3, ':');
        let (_, user, time) = (parts.next()?, parts.next()?, parts.next()?);
        let time = u64::from_str_radix(time, 16).ok()?;
        let fresh = now().checked_sub(time).is_some_and(|age| age < TICKET_LIFE);
        let known = self.refused(user).is_none();
        (fresh && known && signature == self.signature(plain)).then(|| user.to_owned())
    }

    fn csrf(&self, user: &str, time: u64) -> String {
        format!(
            "{time:08X}:{}",
            self.signature(&format!("{time:08X}:{user}"))
        )
    }

    fn check_csrf(&self, user: &str, given: &str) -> Result<(), ApiError> {
        let time = given
            .split_once(':')
            .and_then(|(time, _)| u64::from_str_radix(time, 16).ok());
        let good = time
            .is_some_and(|t| now().saturating_sub(t) < TICKET_LIFE && given == self.csrf(user, t));
        if good {
            Ok(())
        } else {
            Err(ApiError::unauthorized(
                "Permission denied - invalid csrf token",
            ))
        }
    }

    fn signature(&self, text: &str) -> String {
        let mut hasher = Sha512::new();
        hasher.update(self.key);
        hasher.update(text.as_bytes());
        hasher.update(self.key);
        STANDARD.encode(hasher.finalize())
    }
}
