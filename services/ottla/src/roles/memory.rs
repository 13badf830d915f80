//! What the C library does with memory that is freed.
//!
//! Invariant: only a process that moves records over gRPC keeps more of it than by default.

use ottla_runtime::config::Roles;

/// Blocks up to this size come out of memory that the process keeps, bytes: longer than any frame.
const KEPT_BLOCK_BYTES: usize = 8 << 20;

/// Where gateway and storage node are apart, every record passes through buffers of some hundred kilobytes. The C library gives
/// each of these back to the system and takes the next one with a page fault for every four kilobytes, which cost a third of
/// what a consumer cost. It keeps them once it has seen a larger block freed (`M_MMAP_THRESHOLD` in mallopt(3)). This block is
/// never touched, so it costs no memory itself; what is kept costs some megabytes, which a process with both roles does not
/// need to spend.
pub(super) fn keep_buffers_where_records_pass(roles: Roles) {
    if roles.storage != roles.gateway {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT_BLOCK_BYTES)));
    }
}
