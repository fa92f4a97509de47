//! When: durations, lifetimes, and later cron and windows.
#![forbid(unsafe_code)]
