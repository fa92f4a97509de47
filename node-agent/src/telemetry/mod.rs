//! What the agent tells of itself: logs, metrics and the endpoints that serve them.
//!
//! An [`Event`] is logged and counted in one place, so that the log and the metrics cannot disagree.

mod events;
mod http;
mod metrics;

pub use events::Event;
pub use http::{Endpoint, EndpointError, Health};
pub use metrics::{Metrics, Series};
