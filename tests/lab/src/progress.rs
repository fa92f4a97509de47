//! What slow work is doing, on standard error: what, how far, and how long it took last time.

use std::fs;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::clock;

/// Between two lines of progress where there is no terminal to draw on, such as in CI.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// Shows steps and remembers how long each took.
#[derive(Debug, Clone)]
pub struct Progress {
    times: Option<PathBuf>,
    shown: bool,
}

/// How long a step took, and of how many units it consisted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Took {
    /// Wall time.
    seconds: f64,
    /// Lines, files, tests: whatever the step counts.
    units: u64,
}

impl Progress {
    /// Progress on standard error, with times kept in the cache.
    #[must_use]
    pub fn stderr(cache: &Cache) -> Self {
        // Without a folder for them the times are not kept, which costs an estimate and nothing else.
        Self { times: cache.folder("times").ok(), shown: true }
    }

    /// Shows nothing and keeps nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self { times: None, shown: false }
    }

    /// One line that stays.
    pub fn note(&self, text: &str) {
        if self.shown {
            anstream::eprintln!("{}·{} {text}", dimmed(), dimmed().render_reset());
        }
    }

    /// Begins a step. `name` is the key its time is kept under; `what` is shown.
    #[must_use]
    pub fn step(&self, name: &str, what: &str) -> Step {
        let file = self.times.as_ref().map(|folder| folder.join(format!("{name}.json")));
        let last = file.as_ref().and_then(|file| fs::read(file).ok());
        let last: Option<Took> = last.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let began = clock::now();
        let step = Step {
            what: what.into(),
            file,
            last,
            began,
            units: 0,
            bar: None,
            line_at: began,
            shown: self.shown,
        };
        step.begin()
    }
}

/// A step under way. Call [`Step::done`] when it succeeded; dropped without, nothing is recorded.
#[derive(Debug)]
pub struct Step {
    what: String,
    file: Option<PathBuf>,
    last: Option<Took>,
    began: Instant,
    units: u64,
    bar: Option<ProgressBar>,
    line_at: Instant,
    shown: bool,
}

impl Step {
    /// One unit of the work is done.
    pub fn tick(&mut self) {
        self.units += 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
        } else if self.shown && self.line_at.elapsed() >= LINE_INTERVAL {
            self.line_at = clock::now();
            let share = self.last.filter(|last| last.units > 0).map(|last| 100 * self.units / last.units);
            let share = share.map_or(String::new(), |percent| format!(", about {}%", percent.min(99)));
            anstream::eprintln!("  {}: {}{share}", self.what, clock::spoken(self.began.elapsed()));
        }
    }

    /// The step succeeded: shows and records how long it took.
    pub fn done(mut self) -> Duration {
        let elapsed = self.began.elapsed();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.shown {
            anstream::eprintln!(
                "{}✓{} {} ({})",
                green(),
                green().render_reset(),
                self.what,
                clock::spoken(elapsed)
            );
        }
        let took = Took { seconds: elapsed.as_secs_f64(), units: self.units };
        if let (Some(file), Ok(bytes)) = (&self.file, serde_json::to_vec(&took)) {
            let _ = fs::write(file, bytes);
        }
        elapsed
    }

    fn begin(mut self) -> Self {
        if !self.shown {
            return self;
        }
        let last = self.last.map(|last| clock::spoken(Duration::from_secs_f64(last.seconds)));
        let last = last.map_or(String::new(), |last| format!(" (last time: {last})"));
        if std::io::stderr().is_terminal() {
            self.bar = Some(self.draw(&last));
        } else {
            anstream::eprintln!("  {}{last}…", self.what);
        }
        self
    }

    fn draw(&self, last: &str) -> ProgressBar {
        let units = self.last.map_or(0, |last| last.units);
        let (bar, template) = match units {
            0 => (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}"),
            units => (ProgressBar::new(units), "{spinner} {msg} [{bar:30}] {percent}% {elapsed}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(format!("{}{last}", self.what));
        bar.enable_steady_tick(Duration::from_millis(150));
        bar
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn green() -> anstyle::Style {
    anstyle::AnsiColor::Green.on_default()
}

fn dimmed() -> anstyle::Style {
    anstyle::Style::new().dimmed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_is_done_leaves_its_time_and_one_that_failed_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let progress = Progress { times: Some(folder.path().into()), shown: false };
        let mut step = progress.step("kernel", "building");
        step.tick();
        step.tick();
        step.done();
        drop(progress.step("broken", "building"));
        let kept: Took =
            serde_json::from_slice(&fs::read(folder.path().join("kernel.json")).unwrap()).unwrap();
        assert_eq!(kept.units, 2);
        assert!(!folder.path().join("broken.json").exists());
        assert_eq!(progress.step("kernel", "building").last.map(|last| last.units), Some(2));
    }
}
