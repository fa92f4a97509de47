//! The dashboard has the types that Grafana publishes for dashboards and for the panels in it.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use faultline_lab::Cache;

use crate::{dashboard, skip};

/// Mistakes that the types must find: what stands in the dashboard, and what is put in its place.
const MISTAKES: [(&str, &str); 4] = [
    ("\"mergeValues\"", "\"mergeValue\""),
    ("\"stepAfter\"", "\"stepAftr\""),
    ("\"showLegend\": true,", ""),
    ("\"type\": \"timeseries\"", "\"type\": \"somebodys-plugin\""),
];

/// A copy of the dashboards and of their check, outside the checkout, with its packages installed.
struct Checker {
    dashboards: PathBuf,
    _folder: tempfile::TempDir,
}

impl Checker {
    fn install() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let dashboards = folder.path().join("dashboards");
        fs::create_dir_all(dashboards.join("check"))?;
        let check = dashboard::folder().join("check");
        for file in ["package.json", "package-lock.json", "tsconfig.json", "literals.js", "expected.ts"] {
            fs::copy(check.join(file), dashboards.join("check").join(file))?;
        }
        let cache = Cache::from_env().folder("npm")?;
        let checker = Self { dashboards, _folder: folder };
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--cache"];
        checker.npm(Command::new("npm").args(install).arg(cache))?;
        Ok(checker)
    }

    /// Checks dashboards, each with the name of its file.
    fn check(&self, dashboards: &[(String, String)]) -> io::Result<()> {
        for (name, dashboard) in dashboards {
            fs::write(self.dashboards.join(format!("{name}.json")), dashboard)?;
        }
        self.npm(Command::new("npm").args(["run", "check"]))
    }

    fn npm(&self, command: &mut Command) -> io::Result<()> {
        let output = command.current_dir(self.dashboards.join("check")).output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(io::Error::other(String::from_utf8_lossy(&said).into_owned()))
    }
}

#[test]
fn the_dashboard_has_grafanas_types_and_mistakes_are_found() {
    let in_path =
        |name| env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|p| is_file(&p.join(name)));
    if !in_path("npm") {
        return skip("npm is not installed, so the dashboard's types are not checked");
    }
    let checker = Checker::install().expect("npm ci");
    let dashboard = fs::read_to_string(dashboard::folder().join("faultline.json")).unwrap();
    let mistaken = |(number, (right, wrong)): (usize, &(&str, &str))| {
        assert!(dashboard.contains(right), "{right}");
        (format!("mistake-{number}"), dashboard.replacen(right, wrong, 1))
    };
    let mistakes: Vec<_> = MISTAKES.iter().enumerate().map(mistaken).collect();
    checker.check(&[("faultline".into(), dashboard.clone())]).expect("the dashboard as it is");
    let said = checker.check(&mistakes).expect_err("mistakes are found").to_string();
    for (name, _) in mistakes {
        assert!(said.contains(&format!("literals/{name}.ts(")), "{name} is found: {said}");
    }
    assert!(!said.contains("literals/faultline.ts("), "{said}");
}

fn is_file(path: &Path) -> bool {
    path.is_file()
}
