//! The processor's time stamp counter, for counting ticks in measurements.
#![allow(unsafe_code)]

/// Ticks of the time stamp counter; on other architectures, nanoseconds of the monotonic clock.
#[inline(always)]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: RDTSC exists on every x86-64 processor and touches no memory.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    crate::io::clock::now().0
}
