//! `cargo xtask bench`: our speed compared with PyTorch's, measured alternately in one run and written to
//! BENCHMARKS.md.

use anyhow::{Result, bail};
use ops::device::DeviceName;

use crate::peer::{self, Worker};
use crate::table::{Row, Section};

/// The cases to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// Ops, steps and small training cycles, on the CPU
    Ops,
    /// Training cycles of NVIDIA's presets, on a device
    Training,
}

/// The arguments of `cargo xtask bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct SpeedArgs {
    /// What to measure: ops and steps on the CPU, or whole training cycles on a device
    suite: Suite,
    /// Where training cycles run: cpu, cuda or cuda:N
    #[arg(long, default_value = "cuda:0")]
    device: DeviceName,
    /// Seconds for one measurement of one side
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// How often the two sides take turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Thread counts, for ops
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    thread_counts: Vec<usize>,
    /// Only cases whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
    /// Python with the packages of dev/bench/peers/requirements-torch.txt
    #[arg(long, default_value = "python3")]
    python: String,
    /// Write the table to BENCHMARKS.md
    #[arg(long)]
    write: bool,
}

/// The name of a group, the goal for its ratio (PyTorch's time divided by ours), and its cases.
type Group = (&'static str, f64, &'static [&'static str]);

const OPS_GROUPS: &[Group] = &[
    (
        "convolution 3x3",
        1.4,
        &[
            "conv:forward:8:128:64",
            "conv:input:8:128:64",
            "conv:weight:8:128:64",
            "conv:forward:8:512:16",
            "conv:input:8:512:16",
            "conv:weight:8:512:16",
            "conv:forward:8:64:128",
            "conv:input:8:64:128",
            "conv:weight:8:64:128",
            "conv:forward:4:32:256",
            "conv:input:4:32:256",
            "conv:weight:4:32:256",
        ],
    ),
    (
        "upfirdn2d",
        2.0,
        &[
            "upfirdn:blur:4:128:64:forward",
            "upfirdn:blur:4:128:64:both",
            "upfirdn:down:4:128:64:forward",
            "upfirdn:down:4:128:64:both",
            "upfirdn:up:4:128:64:forward",
            "upfirdn:up:4:128:64:both",
        ],
    ),
    (
        "modulated convolution",
        1.4,
        &[
            "modulated:4:128:64:forward",
            "modulated:4:128:64:both",
            "modulated:4:64:128:forward",
            "modulated:4:64:128:both",
        ],
    ),
    ("D step, 64 px", 1.3, &["d_step:64:16384:128:16"]),
    ("D step, 128 px", 1.3, &["d_step:128:16384:128:8"]),
    ("G step, 64 px", 1.3, &["g_step:64:16384:128:16"]),
    ("G step, 128 px", 1.3, &["g_step:128:16384:128:8"]),
    ("R1 step, 64 px", 1.3, &["r1_step:64:16384:128:16"]),
    (
        "16 training iterations, 64 px",
        1.3,
        &["cycle:64:4096:64:16"],
    ),
    (
        "G of paper512, images",
        1.5,
        &["generate:512:32768:512:8:2"],
    ),
];

/// Training cycles, as `cycle:` with image side, channel base, most channels, batch, images per micro-batch, and layers
/// of the mapping network.
const TRAINING_GROUPS: &[Group] = &[
    ("auto, 256 px", 1.0, &["cycle:256:16384:512:16:16:2"]),
    ("auto, 512 px", 1.0, &["cycle:512:32768:512:8:8:2"]),
    ("paper256", 1.0, &["cycle:256:16384:512:64:8:8"]),
    ("paper512", 1.0, &["cycle:512:32768:512:64:8:8"]),
];

/// The cases of the suite `ops` whose peak memory is compared.
const MEMORY_CASES: &[&str] = &[
    "r1_step:64:16384:128:16",
    "r1_step:128:16384:128:8",
    "cycle:64:4096:64:16",
];

/// Measures every case against PyTorch, prints the tables, and writes them with `--write`.
///
/// # Errors
/// When one of the sides fails.
pub fn run(args: &SpeedArgs) -> Result<()> {
    if !peer::has_torch(&args.python) {
        cli::outln!(
            "skipped: '{}' has no torch. Install dev/bench/peers/requirements-torch.txt and name that Python with --python.",
            args.python
        );
        return Ok(());
    }
    let (device, groups, thread_counts) = match args.suite {
        Suite::Ops => (DeviceName::Cpu, OPS_GROUPS, args.thread_counts.clone()),
        Suite::Training => (args.device, TRAINING_GROUPS, vec![cores()]),
    };
    let is_asked = |case: &&&str| case.contains(&args.filter);
    let mut rows = Vec::new();
    for &threads in &thread_counts {
        let mut ours = Worker::ours(threads, device)?;
        let mut peer = Worker::torch(&args.python, threads, device)?;
        for (group, goal, cases) in groups {
            for case in cases.iter().filter(is_asked) {
                let mut rounds = Vec::new();
                for _ in 0..args.rounds.max(1) {
                    let a = ours.measure(case, args.seconds)?;
                    let b = peer.measure(case, args.seconds)?;
                    rounds.push((a.ms, b.ms));
                }
                let row = Row::from_rounds(group, *goal, case, threads, &rounds);
                cli::outln!("{row}");
                rows.push(row);
            }
        }
    }
    if rows.is_empty() {
        bail!("no case contains '{}'", args.filter);
    }
    let memory_cases: Vec<&str> = match args.suite {
        Suite::Ops => MEMORY_CASES.to_vec(),
        Suite::Training => groups
            .iter()
            .flat_map(|(_, _, cases)| *cases)
            .copied()
            .collect(),
    };
    let mut memory = Vec::new();
    for case in memory_cases.iter().filter(|case| is_asked(case)) {
        // A new process for each case and side, as the peak of a process never falls.
        let a = Worker::ours(1, device)?.measure(case, 0.1)?;
        let b = Worker::torch(&args.python, 1, device)?.measure(case, 0.1)?;
        cli::outln!(
            "{case}: peak memory {:.0} MB, torch {:.0} MB",
            a.peak_mb,
            b.peak_mb
        );
        memory.push((case.to_string(), a.peak_mb, b.peak_mb));
    }
    let version = peer::torch_version(&args.python);
    let section = Section::new(
        &rows,
        &memory,
        &version,
        args.rounds.max(1),
        &card_name(device)?,
    );
    cli::outln!("{}", section.summary());
    if args.write {
        let name = match args.suite {
            Suite::Ops => "ops",
            Suite::Training => "training",
        };
        section.write("BENCHMARKS.md", name)?;
    }
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The name of the GPU with a comma, as a prefix for the name of the CPU; empty for the CPU.
fn card_name(device: DeviceName) -> Result<String> {
    let report = ops::device::inspect(&device.open()?)?;
    Ok(report.map_or_else(String::new, |gpu| format!("{}, ", gpu.name)))
}
