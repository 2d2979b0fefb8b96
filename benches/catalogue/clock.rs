//! Criterion over the catalogue: only the batches themselves are timed.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};

use crate::catalogue;

/// Times the scenarios of these areas, as the command line asks.
// A benchmark is where a clock belongs.
#[allow(clippy::disallowed_methods)]
pub fn time(areas: &[&str]) {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for scenario in catalogue::all().iter().filter(|own| areas.contains(&own.area())) {
        let mut work = None;
        let (group, name) = scenario.name.rsplit_once('/').unwrap_or(("", &scenario.name));
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(scenario.packets as u64));
        group.bench_function(name, |bencher| {
            let work = work.get_or_insert_with(|| (scenario.make)());
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    work.prepare();
                    let start = Instant::now();
                    work.run();
                    spent += start.elapsed();
                    work.settle();
                }
                spent
            });
        });
        group.finish();
    }
}
