//! The compiler: from call chains to BPF instructions.
#![forbid(unsafe_code)]
