//! For authors of guardrails: implement [`Guardrail`] for a type and name it in [`guardrail!`].
//!
//! ```ignore
//! struct NoWeekends;
//! impl faultline_guest::Guardrail for NoWeekends { /* … */ }
//! faultline_guest::guardrail!(NoWeekends);
//! ```
//! Build it for `wasm32-unknown-unknown`, where nothing can be imported, and make a component of it.

#[path = "../../../../api/src/duration.rs"]
mod duration;
mod findings;
#[path = "../../../../api/src/glob.rs"]
mod glob;
mod globs;
pub mod settings;

pub use duration::{DurationError, GoDuration};
pub use findings::{faults, finding, is_among, listed, tighten};
pub use glob::glob;
pub use globs::Globs;
pub use settings::Object;

/// The bindings of the WIT world, as generated.
#[expect(missing_docs, reason = "generated from wit/guardrail.wit, whose comments carry over only in part")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "guardrail",
        pub_export_macro: true,
        default_bindings_module: "faultline_guest::bindings",
    });
}

pub use bindings::exports::faultline::guardrail::policy::{
    self, Admission, Description, Experiment, Failtype, Fault, Finding, Inputs, Limit, Mode, Moment,
    Response, Review, Tightening, Timestamp, Totals,
};

/// A guardrail, written against typed settings.
pub trait Guardrail {
    /// What its settings decode to.
    type Settings;

    /// What it says of itself.
    fn describe() -> Description;

    /// Reads the settings. Problems are noted in `settings`, all of them; fields that are not asked for are one.
    /// `None` only where a problem was noted.
    fn settings(settings: &mut Object<'_>) -> Option<Self::Settings>;

    /// Answers.
    ///
    /// # Errors
    /// Why no answer can be given; the experiment is then undecided.
    fn evaluate(settings: &Self::Settings, review: &Review) -> Result<Response, String>;
}

/// Exports a [`Guardrail`] as the module's own.
#[macro_export]
macro_rules! guardrail {
    ($guardrail:ident) => {
        /// What the module exports.
        struct Exported;

        impl $crate::policy::Guest for Exported {
            fn describe() -> $crate::Description {
                <$guardrail as $crate::Guardrail>::describe()
            }

            fn validate_settings(settings: String) -> Result<(), Vec<String>> {
                $crate::settings::read(&settings, <$guardrail as $crate::Guardrail>::settings).map(|_| ())
            }

            fn evaluate(settings: String, review: $crate::Review) -> Result<$crate::Response, String> {
                let settings = $crate::settings::read(&settings, <$guardrail as $crate::Guardrail>::settings)
                    .map_err(|problems| problems.join("; "))?;
                <$guardrail as $crate::Guardrail>::evaluate(&settings, &review)
            }
        }

        $crate::bindings::export!(Exported with_types_in $crate::bindings);
    };
}
