//! Data on standard output.

use std::io::{self, Write as _};

use clap::ValueEnum;
use serde::Serialize;

use super::CliError;

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// For people.
    #[default]
    Text,
    /// For people with a wide terminal: runs with what was counted, nodes with what stands in the way.
    Wide,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
}

impl ListFormat {
    /// The same without its width.
    pub(super) const fn format(self) -> Format {
        match self {
            Self::Text | Self::Wide => Format::Text,
            Self::Json => Format::Json,
            Self::Yaml => Format::Yaml,
        }
    }
}

/// Prints `value`, as `text` where that is wanted.
pub(super) fn print<T: Serialize>(
    value: &T,
    format: Format,
    text: impl FnOnce(&T) -> String,
) -> Result<(), CliError> {
    match format {
        Format::Text => print_text(&text(value)),
        Format::Json => print_text(&(serde_json::to_string_pretty(value)? + "\n")),
        Format::Yaml => print_text(&serde_saphyr::to_string(value)?),
    }
}

/// Prints text; colours are stripped where standard output is not a terminal. A reader that has gone, as `head`
/// goes, is no error.
pub(super) fn print_text(text: &str) -> Result<(), CliError> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
