//! Building a kernel: unpack, configure, check that every option held, make, keep the few files that
//! matter. The tree is removed afterwards.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::available_parallelism;
use std::time::Duration;

use super::elf;
use super::recipe::{self, Recipe};
use super::source;
use super::store::{self, Meta};
use super::{Kernel, KernelError, KernelId};
use crate::cache::{Cache, Lock};
use crate::packages::{self, Purpose};
use crate::progress::Progress;

/// Lines of the log that an error shows.
const TAIL_LINES: usize = 40;

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// kconfig dropped options.
    #[error("Linux {kernel} does not take these options as asked:\n  {}", lost.join("\n  "))]
    Lost {
        /// Which kernel.
        kernel: String,
        /// The options.
        lost: Vec<String>,
    },
    /// A step failed.
    #[error("{what} failed; the whole log is {}, and ends:\n{tail}", log.display())]
    Step {
        /// What it was.
        what: String,
        /// Everything it said.
        log: PathBuf,
        /// The end of that.
        tail: String,
    },
    /// A file could not be read or written.
    #[error("cannot build in {}", folder.display())]
    Io {
        /// The work folder.
        folder: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

struct Build<'a> {
    id: &'a KernelId,
    tree: PathBuf,
    log: PathBuf,
    progress: &'a Progress,
}

/// Builds a kernel and puts it into the cache, under the lock `held` that is this kernel's.
pub(crate) fn build(
    id: &KernelId,
    cache: &Cache,
    held: &Lock,
    progress: &Progress,
) -> Result<Kernel, KernelError> {
    let Some(recipe) = recipe::of(id) else { return Err(KernelError::NoImage(PathBuf::new())) };
    packages::ensure(&[Purpose::Build], progress)?;
    let work = cache.work(&id.to_string(), held)?;
    let source = source::obtain(id, cache, work.path(), progress)?;
    let key = recipe::key(&recipe, &source.version);
    let build =
        Build { id, tree: work.path().join("tree"), log: cache.new_log(&format!("build-{id}"))?, progress };
    let made = build.make(&source.tarball, &recipe);
    let fail = |source| BuildError::Io { folder: work.path().to_path_buf(), source };
    let (finished, took) = match made {
        Ok(took) => (build.gather(work.path()).map_err(fail)?, took),
        Err(MakeError::Build(error)) => return Err(error.into()),
        Err(MakeError::Io(error)) => return Err(fail(error).into()),
    };
    let meta = Meta {
        kernel: id.to_string(),
        release: fs::read_to_string(build.tree.join("include/config/kernel.release"))
            .map_err(fail)?
            .trim()
            .into(),
        source: source.version,
        recipe: recipe.digest,
        seconds: took.as_secs(),
    };
    let entry = store::adopt(cache, &finished, &key, meta)?;
    Ok(store::open(id, &entry)?)
}

/// Puts the headers of a kernel where tools look for them: below lib/modules/RELEASE/build of the root `into`. The release
/// is that of the source as it is today, which a kernel in the cache may be older than.
pub(crate) fn headers(
    id: &KernelId,
    cache: &Cache,
    held: &Lock,
    into: &Path,
    progress: &Progress,
) -> Result<(), KernelError> {
    let Some(recipe) = recipe::of(id) else { return Err(KernelError::NoImage(PathBuf::new())) };
    packages::ensure(&[Purpose::Build], progress)?;
    let work = cache.work(&id.to_string(), held)?;
    let source = source::obtain(id, cache, work.path(), progress)?;
    let build =
        Build { id, tree: work.path().join("tree"), log: cache.new_log(&format!("headers-{id}"))?, progress };
    match build.prepare(&source.tarball, &recipe).and_then(|()| Ok(build.gather_headers(into)?)) {
        Ok(()) => Ok(()),
        Err(MakeError::Build(error)) => Err(error.into()),
        Err(MakeError::Io(source)) => {
            Err(BuildError::Io { folder: work.path().to_path_buf(), source }.into())
        }
    }
}

enum MakeError {
    Build(BuildError),
    Io(io::Error),
}

impl From<io::Error> for MakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Build<'_> {
    fn make(&self, tarball: &Path, recipe: &Recipe) -> Result<Duration, MakeError> {
        self.configure(tarball, recipe)?;
        let jobs = format!("-j{}", available_parallelism()?);
        self.step(
            "build",
            &format!("building Linux {}", self.id),
            self.kbuild(&[&jobs, "bzImage", "modules"]),
        )
    }

    fn prepare(&self, tarball: &Path, recipe: &Recipe) -> Result<(), MakeError> {
        self.configure(tarball, recipe)?;
        let what = format!("generating the headers of Linux {}", self.id);
        self.step("headers", &what, self.kbuild(&["prepare"])).map(drop)
    }

    fn configure(&self, tarball: &Path, recipe: &Recipe) -> Result<(), MakeError> {
        fs::create_dir(&self.tree)?;
        let mut unpack = Command::new("tar");
        unpack.arg("-xf").arg(tarball).args(["--strip-components=1", "-C"]).arg(&self.tree);
        self.step("unpack", &format!("unpacking Linux {}", self.id), unpack)?;
        for edit in recipe.edits {
            edit.apply(&self.tree)?;
        }
        fs::write(self.tree.join("faultline.config"), &recipe.config)?;
        self.step(
            "config",
            &format!("configuring Linux {}", self.id),
            self.kbuild(&["allnoconfig", "KCONFIG_ALLCONFIG=faultline.config"]),
        )?;
        let lost = recipe::lost(&recipe.config, &fs::read_to_string(self.tree.join(".config"))?);
        if !lost.is_empty() {
            return Err(MakeError::Build(BuildError::Lost { kernel: self.id.to_string(), lost }));
        }
        Ok(())
    }

    fn kbuild(&self, arguments: &[&str]) -> Command {
        let mut make = Command::new("make");
        make.args(arguments).current_dir(&self.tree);
        // What a caller's own make or locale would change.
        make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env_remove("KCONFIG_CONFIG").env("LC_ALL", "C");
        make.envs([("KBUILD_BUILD_USER", "faultline"), ("KBUILD_BUILD_HOST", "lab")]);
        make
    }

    /// Runs a command with its output in the log; each line is a unit of progress.
    fn step(&self, name: &str, what: &str, mut command: Command) -> Result<Duration, MakeError> {
        let mut log = File::options().append(true).open(&self.log)?;
        let mut step = self.progress.step(&format!("{name}-{}", self.id), what);
        let errors = log.try_clone()?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn()?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let mut line = line?;
                line.push(b'\n');
                log.write_all(&line)?;
                step.tick();
            }
        }
        if child.wait()?.success() {
            return Ok(step.done());
        }
        let tail = packages::tail(&fs::read(&self.log)?, TAIL_LINES);
        Err(MakeError::Build(BuildError::Step { what: what.into(), log: self.log.clone(), tail }))
    }

    /// The few files that are kept.
    fn gather(&self, work: &Path) -> io::Result<PathBuf> {
        let finished = work.join("finished");
        fs::create_dir(&finished)?;
        let kept = [
            ("arch/x86/boot/bzImage", store::IMAGE),
            ("System.map", store::SYSTEM_MAP),
            (".config", store::CONFIG),
        ];
        for (made, name) in kept {
            fs::copy(self.tree.join(made), finished.join(name))?;
        }
        let btf = elf::section(&mut File::open(self.tree.join("vmlinux"))?, ".BTF")?;
        fs::write(finished.join(store::BTF), btf)?;
        self.gather_modules(&finished)?;
        Ok(finished)
    }

    /// What was built as modules, without its debug information: each boot carries it.
    fn gather_modules(&self, finished: &Path) -> io::Result<()> {
        let order = fs::read_to_string(self.tree.join("modules.order"))?;
        let folder = finished.join(store::LOADABLE);
        fs::create_dir(&folder)?;
        // Up to 6.2 the list names modules, since then the objects they are made of.
        for module in order.lines().map(|line| self.tree.join(line).with_extension("ko")) {
            let name = module.file_name().unwrap_or_default();
            let mut strip = Command::new("strip");
            let status = strip.arg("--strip-debug").arg("-o").arg(folder.join(name)).arg(&module).status()?;
            if !status.success() {
                return Err(io::Error::other(format!("strip: {status}")));
            }
        }
        Ok(())
    }

    fn gather_headers(&self, root: &Path) -> io::Result<()> {
        let release = fs::read_to_string(self.tree.join("include/config/kernel.release"))?;
        let build = root.join("lib/modules").join(release.trim()).join("build");
        for folder in ["include", "arch/x86/include"] {
            let to = build.join(folder);
            fs::create_dir_all(&to)?;
            let status = Command::new("cp").arg("-rT").arg(self.tree.join(folder)).arg(&to).status()?;
            if !status.success() {
                return Err(io::Error::other(format!("cp: {status}")));
            }
        }
        Ok(())
    }
}
