//! CPU time of single threads, out of `/proc`: of the load generator's own, and of the compilers inside a JVM.
//!
//! What a whole process used is `Process::cpu_seconds`.

use std::fs;

/// Names of the JVM's compiler threads, as far as the kernel keeps them (15 bytes).
const COMPILERS: [&str; 2] = ["C1 CompilerThre", "C2 CompilerThre"];
/// A tick of `/proc/…/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU-seconds of the calling thread so far.
pub fn of_this_thread() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let on_cpu_ns = text.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok());
    on_cpu_ns.unwrap_or(0.0) / 1e9
}

/// CPU-seconds of the just-in-time compilers of a process so far; nothing for a process that has none. A compiler thread
/// that ended (the JVM ends idle ones) is no longer counted.
pub fn of_compilers(process_id: u32) -> f64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process_id}/task")) else { return 0.0 };
    let stats =
        tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    stats.filter_map(|stat| of_compiler(&stat)).sum()
}

/// CPU-seconds in one line of `stat`, if it is a compiler's.
fn of_compiler(stat: &str) -> Option<f64> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = tail.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    COMPILERS.contains(&name).then_some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

/// The calling thread's sleeps end as exactly as the kernel can (usually they may be 50 µs late). Best effort.
pub fn sleep_exactly() {
    let Ok(link) = fs::read_link("/proc/thread-self") else { return };
    if let Some(thread_id) = link.file_name() {
        let _ = fs::write(format!("/proc/{}/timerslack_ns", thread_id.to_string_lossy()), "1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_threads_of_the_compilers_count() {
        let stat = |name: &str| format!("7 ({name}) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20");
        assert_eq!(of_compiler(&stat("C2 CompilerThre")), Some(2.0));
        assert_eq!(of_compiler(&stat("data-plane (0)")), None);
    }

    #[test]
    fn a_thread_that_works_uses_cpu_time() {
        let before = of_this_thread();
        let mut sum = 0_u64;
        while of_this_thread() <= before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
    }
}
