//! The engine's settings: everything that bounds a module or makes it deterministic.

use std::path::Path;

use wasmtime::{Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// What a module may use. Each is generous next to what the built-in guests need.
pub mod limits {
    use std::time::Duration;

    /// Units of fuel per call, about one per instruction: the bound that holds alike on every machine. Some tens of
    /// milliseconds; the built-in guests use less than a thousandth of it.
    pub const FUEL: u64 = 50_000_000;

    /// Wall-clock time per call. Only a machine that is far too busy reaches it before the fuel is gone.
    pub const DEADLINE: Duration = Duration::from_millis(200);

    /// How finely [`DEADLINE`] is kept.
    pub const TICK: Duration = Duration::from_millis(20);

    /// [`DEADLINE`] in ticks. One more, since the first may be due at once.
    pub const DEADLINE_TICKS: u64 = DEADLINE.as_millis() as u64 / TICK.as_millis() as u64 + 1;

    /// Bytes of linear memory per call.
    pub const MEMORY: usize = 16 << 20;

    /// Bytes of a module.
    pub const MODULE: usize = 4 << 20;

    /// Bytes that one answer may hand to the host.
    pub const ANSWER: usize = 256 << 10;

    /// Entries of each table.
    pub const TABLE: usize = 10_000;

    /// Calls at the same time; more wait. Each reserves address space, not memory.
    pub const PARALLEL: u32 = 16;

    /// Compiled modules in memory.
    pub const MODULES: usize = 32;

    /// Settings per module whose validation is remembered.
    pub const SETTINGS: usize = 64;
}

/// Core instances, memories and tables that one component may be made of: itself and its adapters.
const PARTS: u32 = 8;

/// Bytes at the start of each memory that are wiped rather than unmapped after a call, which is quicker for a few
/// pages.
const KEPT_BYTES: usize = 128 << 10;

/// An engine that runs modules within [`limits`].
///
/// # Errors
/// The platform refuses: too little address space, or a compilation cache that cannot be used.
pub(crate) fn engine(compilation_cache: Option<&Path>) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    deterministic(&mut config);
    config.consume_fuel(true).epoch_interruption(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    if let Some(directory) = compilation_cache {
        let mut cache = CacheConfig::new();
        cache.with_directory(directory);
        config.cache(Some(Cache::new(cache)?));
    }
    Engine::new(&config)
}

/// Nothing whose result could depend on the machine, and nothing that guardrails have no use for.
fn deterministic(config: &mut Config) {
    config.cranelift_nan_canonicalization(true);
    config.wasm_relaxed_simd(false);
    config.wasm_features(wasmtime::WasmFeatures::THREADS, false);
    config.wasm_memory64(false).wasm_multi_memory(false);
    config.concurrency_support(false);
    // Addresses in a message would differ from build to build.
    config.wasm_backtrace_max_frames(None);
}

/// Room for [`limits::PARALLEL`] calls.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits::PARALLEL)
        .total_core_instances(limits::PARALLEL * PARTS)
        .total_memories(limits::PARALLEL)
        .total_tables(limits::PARALLEL * PARTS)
        .max_core_instances_per_component(PARTS)
        .max_memories_per_component(1)
        .max_tables_per_component(PARTS)
        .max_memory_size(limits::MEMORY)
        .table_elements(limits::TABLE)
        .linear_memory_keep_resident(KEPT_BYTES);
    pool
}
