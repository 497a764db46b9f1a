//! `hashicorp/time` 0.x: points in time that stay, and pauses.

mod offset;
mod point;
mod rotating;
mod sleep;
mod r#static;

use stead_sdk::{Dialer, Native, ProviderFactory};

pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::local("time")
        .resource::<offset::TimeOffset>()
        .resource::<rotating::TimeRotating>()
        .resource::<r#static::TimeStatic>()
        .resource::<sleep::TimeSleep>()
        .build(dialer)
}
