//! The allocator's settings.
//!
//! glibc gives every thread that meets another at the allocator an arena of its own, up to eight a
//! core, and an arena keeps what was freed in it. A run hands its arrays from thread to thread, so
//! that each arena keeps what others need: with two a core the canonical job's peak is a tenth to a
//! fifth lower (330 to 365 MB where it was 360 to 410 on two cores) and no slower.

/// Arenas a core.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: usize = 2;

/// Bounds the allocator's arenas, unless the environment sets them. To be called before any thread
/// is started.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "no crate offers mallopt as a safe function")]
pub(crate) fn bound_arenas() {
    let is_set = |name| std::env::var_os(name).is_some();
    if is_set("MALLOC_ARENA_MAX") || is_set("GLIBC_TUNABLES") {
        return;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let arenas = i32::try_from(cores.saturating_mul(ARENAS)).unwrap_or(i32::MAX);
    // SAFETY: mallopt takes two integers, and sets the second for the first; no thread runs yet that
    // could allocate meanwhile. A refusal leaves the default, which is as correct.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, arenas);
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn bound_arenas() {}
