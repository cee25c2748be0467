//! `cargo bench -p dedup`: time of a search among 1 M and 5 M hashes, as CPU seconds over all threads and wall seconds.
//!
//! Hashes are random, but one in ten is an earlier hash with 0 to 12 bit flips. `--quick` runs 1 M only.

use dedup::{Match, SearchOptions, kernel_name, search};
use std::time::Instant;

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    println!(
        "kernel {}, {} threads",
        kernel_name(),
        std::thread::available_parallelism().map_or(1, usize::from)
    );

    // First check exactness: compare with brute force on 60 000 hashes.
    let hashes = planted(60_000);
    for radius in [4, 8, 10] {
        let found = search(
            &hashes,
            SearchOptions {
                radius,
                max_matches: u32::MAX,
            },
        )
        .expect("radius in range");
        assert_eq!(found.pairs, brute(&hashes, radius), "radius {radius}");
        println!(
            "exact at radius {radius:2}: {} pairs among {} hashes, as by brute force",
            found.pairs.len(),
            hashes.len()
        );
    }

    println!(
        "{:>10} {:>7} {:>10} {:>8} {:>8}",
        "hashes", "radius", "pairs", "CPU s", "wall s"
    );
    let sizes: &[usize] = if quick {
        &[1_000_000]
    } else {
        &[1_000_000, 5_000_000]
    };
    for &n in sizes {
        let hashes = planted(n);
        for radius in [4, 6, 8, 10] {
            let (cpu, wall) = (cpu_seconds(), Instant::now());
            let found = search(
                &hashes,
                SearchOptions {
                    radius,
                    ..SearchOptions::default()
                },
            )
            .expect("radius in range");
            println!(
                "{n:>10} {radius:>7} {:>10} {:>8.2} {:>8.2}",
                found.pairs.len(),
                cpu_seconds() - cpu,
                wall.elapsed().as_secs_f64()
            );
        }
    }
}

fn planted(n: usize) -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    let mut hashes: Vec<u64> = Vec::with_capacity(n);
    for i in 0..n {
        let mut hash = next();
        if i > 0 && hash.is_multiple_of(10) {
            hash = hashes[next() as usize % i];
            for _ in 0..next() % 13 {
                hash ^= 1 << (next() % 64);
            }
        }
        hashes.push(hash);
    }
    hashes
}

fn brute(hashes: &[u64], radius: u32) -> Vec<Match> {
    let mut pairs = Vec::new();
    for (a, x) in hashes.iter().enumerate() {
        for (b, y) in hashes.iter().enumerate().skip(a + 1) {
            let distance = (x ^ y).count_ones();
            if distance <= radius {
                pairs.push(Match {
                    a: a as u32,
                    b: b as u32,
                    distance,
                });
            }
        }
    }
    pairs
}

/// User plus system time of this process so far, in seconds.
fn cpu_seconds() -> f64 {
    // SAFETY: `rusage` is plain old data that getrusage fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
