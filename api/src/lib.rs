//! The nouns that users write and read.
//!
//! Documents come in as bytes and leave as validated types with the spans they came from, together with every
//! diagnostic of the file ([`decode()`]). States, reasons and conditions are closed sets, each in one file, so that
//! the log, the metrics and the documentation cannot disagree. Nothing here does IO or reads a clock.
#![forbid(unsafe_code)]

pub mod decode;
pub mod diagnostic;
pub mod duration;
pub mod effective;
pub mod experiment;
mod glob;
pub mod guardrail;
pub mod identity;
pub mod module;
pub mod predicate;
pub mod run;
pub mod selector;
pub mod tightening;
pub mod yaml;

pub use decode::{Broken, Content, Document, FileDocuments, FramePlace, PredicatePlace, Skipped, decode};
pub use diagnostic::{Code, Diagnostic, LineColumn, Lines, Severity, Span, line_col, render};
pub use duration::GoDuration;
pub use effective::{EffectiveValue, effective_values};
pub use experiment::{CallChain, Experiment, Fault, Frame, Mode, Percent, Predicate};
pub use glob::glob;
pub use guardrail::{Guardrail, GuardrailMode};
pub use identity::{ExperimentId, Kind, Place};
pub use module::{ModuleRef, OciReference};
pub use run::{Reason, RunState};
pub use selector::Selector;
pub use tightening::Tightening;
