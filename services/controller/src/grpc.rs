//! What the controller serves to people: the admin API. Other roles reach it through the adapters of `ottla_api`.

pub mod admin;
