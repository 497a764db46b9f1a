//! `hashicorp/random` 3.x: values that are drawn once and kept.

mod id;
mod integer;
mod pet;
mod string;
mod uuid;
mod words;

pub(crate) use id::hex;
use stead_sdk::{Dialer, Native, ProviderFactory};

pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::local("random")
        .only_in_state()
        .resource::<string::RandomString>()
        .resource::<string::RandomPassword>()
        .resource::<id::RandomId>()
        .resource::<id::RandomBytes>()
        .resource::<integer::RandomInteger>()
        .resource::<integer::RandomShuffle>()
        .resource::<pet::RandomPet>()
        .resource::<uuid::RandomUuid>()
        .resource::<uuid::RandomUuid4>()
        .ephemeral::<string::EphemeralPassword>()
        .build(dialer)
}
