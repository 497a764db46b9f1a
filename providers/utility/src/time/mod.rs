//! `hashicorp/time` 0.x: points in time that stay, and pauses.

mod sleep;
mod r#static;

use stead_sdk::{Dialer, Native, ProviderFactory};

pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::local("time")
        .resource::<r#static::TimeStatic>()
        .resource::<sleep::TimeSleep>()
        .build(dialer)
}
