//! The nouns users write and read.
#![forbid(unsafe_code)]
