//! The kernels a machine can boot, and how each is come by.

mod build;
mod edits;
mod elf;
mod recipe;
mod source;
mod stock;
mod store;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use build::BuildError;
pub(crate) use build::headers;
pub use source::SourceError;
pub use stock::StockError;
pub use store::{Cached, cached, remove};

use crate::cache::Cache;
use crate::packages::PackageError;
use crate::progress::Progress;

/// Which kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KernelId {
    /// Linux 6.1 with everything that injects: plain and quick.
    V6_1,
    /// Linux 6.12, the same features, otherwise like production: ORC, PREEMPT_DYNAMIC, mitigations.
    V6_12,
    /// Linux 6.12 as distributions have it that leave fault injection out but for its foundation: the hooks of slab
    /// and page allocations are gone, and the compiler's clone of one of them is called where it is not.
    NoFail,
    /// Debian's own 6.1 image, which cannot inject.
    Stock,
    /// An image of your own, with what init needs built in.
    Path(PathBuf),
}

/// A kernel that can be booted.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Which one it is.
    pub id: KernelId,
    /// The bzImage.
    pub image: PathBuf,
    /// Its configuration, where known.
    pub config: Option<PathBuf>,
    /// Its symbol table, where known.
    pub system_map: Option<PathBuf>,
    /// The types of vmlinux as raw BTF, where known.
    pub btf: Option<PathBuf>,
    /// Modules that init has to load, in this order.
    pub modules: Vec<PathBuf>,
    /// Modules that init leaves alone, which tests load from `/lib/modules`.
    pub loadable: Vec<PathBuf>,
}

/// Why a kernel is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Tools are missing.
    #[error(transparent)]
    Packages(#[from] PackageError),
    /// The source is not to be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Debian's image is not to be had.
    #[error(transparent)]
    Stock(#[from] StockError),
    /// The cache cannot be used.
    #[error("cannot use the cache")]
    Cache(#[from] std::io::Error),
    /// There is no such file.
    #[error("there is no kernel image at {}", .0.display())]
    NoImage(PathBuf),
}

/// A name that is no kernel's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kernel `{0}`: it is 6.1, 6.12, nofail, stock, or a path with a slash")]
pub struct UnknownKernel(String);

impl KernelId {
    /// The kernels the lab builds itself.
    pub const BUILT: [Self; 3] = [Self::V6_1, Self::V6_12, Self::NoFail];

    /// The version of its source, where the lab builds it.
    const fn version(&self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 | Self::NoFail => "6.12",
            Self::Stock | Self::Path(_) => "",
        }
    }
}

impl FromStr for KernelId {
    type Err = UnknownKernel;

    fn from_str(text: &str) -> Result<Self, UnknownKernel> {
        match text {
            "6.1" => Ok(Self::V6_1),
            "6.12" => Ok(Self::V6_12),
            "nofail" => Ok(Self::NoFail),
            "stock" => Ok(Self::Stock),
            path if path.contains('/') => Ok(Self::Path(path.into())),
            other => Err(UnknownKernel(other.into())),
        }
    }
}

impl fmt::Display for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V6_1 => f.write_str("6.1"),
            Self::V6_12 => f.write_str("6.12"),
            Self::NoFail => f.write_str("nofail"),
            Self::Stock => f.write_str("stock"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// Takes a kernel from the cache, or builds or downloads it once. Nobody else builds it meanwhile.
///
/// # Errors
/// When tools or the source are missing and cannot be installed, or the build fails.
pub fn kernel(id: &KernelId, progress: &Progress) -> Result<Kernel, KernelError> {
    if let KernelId::Path(image) = id {
        return own_image(image.clone());
    }
    let cache = Cache::from_env();
    if let Some(kernel) = find(&cache, id)? {
        return Ok(kernel);
    }
    let waiting = || progress.note(&format!("another process is getting kernel {id}; waiting for it"));
    let held = cache.lock(&format!("kernel-{id}"), waiting)?;
    // It may have been finished while this process waited.
    if let Some(kernel) = find(&cache, id)? {
        return Ok(kernel);
    }
    match id {
        KernelId::Stock => Ok(stock::download(&cache, &held, progress)?),
        _ => build::build(id, &cache, &held, progress),
    }
}

/// Builds a kernel from the newest source there is, although the cache holds one.
///
/// # Errors
/// As [`kernel`].
pub fn refresh(id: &KernelId, progress: &Progress) -> Result<Kernel, KernelError> {
    let cache = Cache::from_env();
    let waiting = || progress.note(&format!("another process is getting kernel {id}; waiting for it"));
    let held = cache.lock(&format!("kernel-{id}"), waiting)?;
    match id {
        KernelId::Path(image) => own_image(image.clone()),
        KernelId::Stock => Ok(stock::download(&cache, &held, progress)?),
        _ => build::build(id, &cache, &held, progress),
    }
}

fn find(cache: &Cache, id: &KernelId) -> Result<Option<Kernel>, KernelError> {
    let Some(recipe) = recipe::of(id) else { return Ok(None) };
    let found = store::cached(cache)?.into_iter().find(|entry| entry.fits(&recipe));
    found.map(|entry| store::open(id, &entry).map_err(KernelError::from)).transpose()
}

fn own_image(image: PathBuf) -> Result<Kernel, KernelError> {
    if !image.is_file() {
        return Err(KernelError::NoImage(image));
    }
    let id = KernelId::Path(image.clone());
    let (modules, loadable) = (Vec::new(), Vec::new());
    Ok(Kernel { id, image, config: None, system_map: None, btf: None, modules, loadable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_named_by_its_version_by_stock_or_by_a_path() {
        for name in ["6.1", "6.12", "nofail", "stock", "./bzImage"] {
            assert_eq!(name.parse::<KernelId>().unwrap().to_string(), name);
        }
        assert!("6.2".parse::<KernelId>().is_err());
    }

    #[test]
    fn an_image_that_is_not_there_is_named() {
        let error = kernel(&KernelId::Path("/no/such/image".into()), &Progress::silent()).unwrap_err();
        assert_eq!(error.to_string(), "there is no kernel image at /no/such/image");
    }
}
