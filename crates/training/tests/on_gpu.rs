//! Compares a run on a GPU with the same run on the CPU: every reported scalar, step by step. Run with `--ignored`
//! (docs/gpu.md).

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;
use common::{SIDE, open, tiny_config};
use ops::device::DeviceName;
use train_settings::{AugmentMode, Overrides};
use training::{Event, Hooks, Outcome, Progress, Start, TrainConfig, Trainer, TrainingState, run};

/// Tolerances above this value are for half precision.
const HALF_PRECISION: f64 = 1e-3;

/// The first GPU.
fn gpu() -> Device {
    let device = DeviceName::Cuda(0).open();
    device.unwrap_or_else(|error| panic!("a GPU is needed: {error}"))
}

fn config(data: &Path, overrides: &Overrides) -> TrainConfig {
    let overrides = Overrides {
        batch: Some(4),
        cbase: Some(64),
        cmax: Some(8),
        mirror: Some(true),
        grid: Some([2, 1]),
        metrics: Some(Vec::new()),
        // No training state is written before the end.
        state_every: Some(1000),
        ..overrides.clone()
    };
    let mut config = tiny_config(data, &overrides);
    // Every step is a tick, so that its statistics are reported.
    config.kimg_per_tick = 0;
    config
}

/// The means of the scalars that one step reported, by name.
type Means = BTreeMap<String, f64>;

/// Hooks that record the means of each step, and stop the run after some steps.
struct Steps {
    left: usize,
    stop: Arc<AtomicBool>,
    means: Vec<Means>,
}

impl Hooks for Steps {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Step { .. } => {
                self.left -= 1;
                self.stop.store(self.left == 0, Ordering::Relaxed);
            }
            Event::Tick { means, .. } => {
                let is_comparable = |name: &str| {
                    !name.starts_with("Timing/")
                        && !name.starts_with("Resources/")
                        && !name.starts_with("Progress/")
                };
                let means = means.iter().filter(|(name, _)| is_comparable(name));
                self.means
                    .push(means.map(|(k, v)| (k.clone(), *v)).collect());
            }
            Event::Warning(text) => panic!("{text}"),
            _ => {}
        }
    }
}

/// Makes `n` steps of a run in the folder `dir` and returns what each of them reported. A training state is saved at
/// the end.
fn steps(dir: &Path, trainer: &mut Trainer, progress: Option<Progress>, n: usize) -> Vec<Means> {
    let mut hooks = Steps {
        left: n,
        stop: Arc::default(),
        means: Vec::new(),
    };
    let stop = hooks.stop.clone();
    std::fs::create_dir_all(dir).unwrap();
    let dir = run_folder::RunFolder::open(dir).unwrap();
    let outcome = run(&dir, trainer, progress, &mut hooks, &stop).unwrap();
    assert_eq!(outcome, Outcome::Stopped);
    assert_eq!(hooks.means.len(), n);
    hooks.means
}

fn new_trainer(config: &TrainConfig, device: &Device) -> Trainer {
    let start = Start::fresh(config, device).unwrap();
    Trainer::new(config, open(config), start, device).unwrap()
}

/// The reports of five steps. All phases run in the first step, and path length regularization again in the fifth.
fn trained(config: &TrainConfig, device: &Device) -> Vec<Means> {
    let dir = tempfile::tempdir().unwrap();
    steps(dir.path(), &mut new_trainer(config, device), None, 5)
}

/// Relative difference of `a` and `b`; absolute values of `b` below 0.1 count as 0.1.
fn difference(a: f64, b: f64) -> f64 {
    let difference = (a - b).abs() / b.abs().max(0.1);
    match difference.is_nan() {
        true => f64::INFINITY,
        false => difference,
    }
}

/// Compares the reports step by step. `tolerances` holds that of the first step, in which both runs have the same
/// weights, and that of the later ones. Adam's first steps have the same size however small the gradient, so rounding
/// differences grow from the second phase of the first step on. With f16 their growth depends on the random numbers: on
/// the CPU alone, f16 differs from f32 by 3e-4 to 1e-2 in the first step, over 20 sequences of noise.
fn compare(what: &str, found: &[Means], expected: &[Means], tolerances: [f64; 2]) {
    let mut largest = [0f64; 2];
    for (step, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>(),
            "{what}"
        );
        for (name, expected) in expected {
            // The signs of logits near zero can flip.
            if name.starts_with("Loss/signs/") && tolerances[0] > HALF_PRECISION {
                continue;
            }
            let distance = difference(found[name], *expected);
            let late = usize::from(step > 0);
            largest[late] = largest[late].max(distance);
            assert!(
                distance <= tolerances[late],
                "{what}, step {step}: {name} is {}, on the CPU {expected}",
                found[name]
            );
        }
    }
    eprintln!("{what}: largest differences {largest:?} of {tolerances:?}");
}

fn with_data(test: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("faces.zip");
    test_support::faces::write_faces(&data, SIDE, false);
    test(&data);
}

fn plain() -> Overrides {
    Overrides {
        aug: Some(AugmentMode::Noaug),
        ..Overrides::default()
    }
}

fn augmented() -> Overrides {
    Overrides {
        aug: Some(AugmentMode::Fixed),
        p: Some(0.7),
        augpipe: Some("bgcfnc".into()),
        ..Overrides::default()
    }
}

#[test]
#[ignore = "needs a GPU"]
fn in_f32_every_statistic_is_that_of_the_cpu() {
    let gpu = gpu();
    with_data(|data| {
        for (what, overrides) in [("plain", plain()), ("augmented", augmented())] {
            let fp32 = Some(true);
            let config = config(data, &Overrides { fp32, ..overrides });
            let expected = trained(&config, &Device::Cpu);
            compare(what, &trained(&config, &gpu), &expected, [2e-5, 1e-3]);
        }
    });
}

#[test]
#[ignore = "needs a GPU"]
fn in_half_precision_statistics_are_near_those_of_the_cpu() {
    let gpu = gpu();
    with_data(|data| {
        for (what, bf16, tolerances) in [("f16", false, [1e-2, 5e-2]), ("bf16", true, [8e-2, 0.3])]
        {
            let bf16 = Some(bf16);
            let config = config(
                data,
                &Overrides {
                    bf16,
                    ..augmented()
                },
            );
            let expected = trained(&config, &Device::Cpu);
            compare(what, &trained(&config, &gpu), &expected, tolerances);
        }
    });
}

#[test]
#[ignore = "needs a GPU"]
fn a_run_that_began_on_a_gpu_resumes_there_and_on_the_cpu() {
    let gpu = gpu();
    with_data(|data| {
        let overrides = Overrides {
            fp32: Some(true),
            augpipe: Some("bgcfnc".into()),
            ..Overrides::default()
        };
        let mut config = config(data, &overrides);
        // The augmentation probability changes in every fourth step; the first step after resuming is one of these.
        (config.ada_kimg, config.augment_p) = (1, 0.5);
        let dir = tempfile::tempdir().unwrap();
        let (began, whole) = (dir.path().join("began"), dir.path().join("whole"));
        let mut trainer = new_trainer(&config, &gpu);
        steps(&began, &mut trainer, None, 3);
        let expected = steps(&whole, &mut trainer, None, 2);
        assert_ne!(trainer.p(), 0.5);
        for (what, device) in [("GPU", &gpu), ("CPU", &Device::Cpu)] {
            let state = TrainingState::latest(&began, device, |e| panic!("{e}")).unwrap();
            let (mut resumed, progress) = state.resume(&config, open(&config), device).unwrap();
            let copy = dir.path().join(what);
            copied(&began, &copy);
            let found = steps(&copy, &mut resumed, Some(progress), 2);
            compare(what, &found, &expected, [2e-5, 1e-3]);
            assert_eq!(resumed.p(), trainer.p(), "{what}");
        }
    });
}

/// Copies the folder of a run.
fn copied(run: &Path, copy: &Path) {
    std::fs::create_dir(copy).unwrap();
    for entry in std::fs::read_dir(run).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
}

/// The counters of the emulated GPU: launches, copies to the device, copies from it, and stalls; `None` for a real GPU.
fn counts() -> Option<[u64; 4]> {
    // SAFETY: the driver is loaded already, and stays; the function has this signature (`emulated-gpu/src/counts.rs`).
    unsafe {
        let driver = libc::dlopen(c"libcuda.so.1".as_ptr(), libc::RTLD_NOW);
        assert!(!driver.is_null());
        let found = libc::dlsym(driver, c"emulated_gpu_counts".as_ptr());
        if found.is_null() {
            eprintln!("skipped: a real GPU does not count its work");
            return None;
        }
        let read: extern "C" fn(&mut [u64; 4]) = std::mem::transmute(found);
        let mut counts = [0; 4];
        read(&mut counts);
        Some(counts)
    }
}

#[test]
#[ignore = "needs a GPU"]
fn a_gpu_waits_for_the_host_once_in_four_steps_and_for_adaptation() {
    // The measurement runs in a process of its own, because other tests use the GPU, too.
    if std::env::var_os(ALONE).is_none() {
        let this = std::env::current_exe().unwrap();
        let name = "a_gpu_waits_for_the_host_once_in_four_steps_and_for_adaptation";
        let mut command = std::process::Command::new(this);
        let status = command
            .args([name, "--exact", "--nocapture", "--ignored"])
            .env(ALONE, "1");
        assert!(status.status().unwrap().success());
        return;
    }
    let gpu = gpu();
    with_data(|data| {
        let overrides = Overrides {
            augpipe: Some("bgcfnc".into()),
            ..Overrides::default()
        };
        let mut config = config(data, &overrides);
        config.augment_p = 0.5;
        let mut trainer = new_trainer(&config, &gpu);
        // After these steps the convolution algorithms are chosen and all memory is allocated.
        for _ in 0..4 {
            trainer.step().unwrap();
        }
        for steps in 0..4 {
            let Some(before) = counts() else { return };
            trainer.step().unwrap();
            let after = counts().unwrap();
            let [launches, uploads, downloads, stalls]: [u64; 4] =
                std::array::from_fn(|i| after[i] - before[i]);
            eprintln!(
                "step {steps}: {launches} launches, {uploads} uploads, {downloads} downloads, {stalls} stalls"
            );
            // The path lengths of the first step, and after the last step the reports from which p is adapted.
            let expected = [1, 0, 0, 1][steps];
            assert_eq!(stalls, expected, "step {steps}");
            assert_eq!(downloads, 1 + u64::from(steps == 0), "step {steps}");
            // Images, latents, noise keys and draws of augmentation are uploaded; the shapes of views are on the device
            // already.
            assert!(uploads < 90, "step {steps}: {uploads} uploads");
        }
    });
}

/// Environment variable that is set for a test that must be the only user of the GPU.
const ALONE: &str = "KAOGAN_TEST_ALONE";
