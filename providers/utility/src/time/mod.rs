//! `hashicorp/time` 0.x: points in time that stay, and pauses.

mod functions;
mod offset;
mod point;
mod rotating;
mod sleep;
mod r#static;

use stead_sdk::{Dialer, Native, ProviderFactory};

pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::local("time")
        .only_in_state()
        .resource::<offset::TimeOffset>()
        .resource::<rotating::TimeRotating>()
        .resource::<r#static::TimeStatic>()
        .resource::<sleep::TimeSleep>()
        .function(
            "rfc3339_parse",
            functions::rfc3339_parse(),
            functions::parse_rfc3339,
        )
        .function(
            "unix_timestamp_parse",
            functions::unix_timestamp_parse(),
            functions::parse_unix,
        )
        .function(
            "duration_parse",
            functions::duration_parse(),
            functions::parse_duration,
        )
        .build(dialer)
}
