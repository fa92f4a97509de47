//! The stages together, in worlds without IO.

mod caching;
mod golden;
mod guardrails;
mod lifecycle;
mod loss;
mod properties;
mod registries;
mod selection;
mod sources;
