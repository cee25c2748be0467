//! Our side of the benchmarks, with the same cases as `dev/bench/peers/torch_peer.py`. Training cycles run on any
//! device, all other cases on the CPU.

use std::io::BufRead;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor, Var};
use networks::{
    Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, MappingConfig, MappingOptions,
    Precision, SynthesisOptions,
};
use ops::device::DeviceName;
use ops::{Conv2dOptions, Dual, Filter, ModulatedConv2dOptions, UpFirDn2dOptions, Value};
use rng::RandomState;
use training::{
    Iteration, IterationInput, Learner, LearnerOptions, LossConfig, OptimizerConfig, Phase,
    RunDraws,
};

type Work = Box<dyn FnMut() -> Result<()>>;

/// The group size of the minibatch standard deviation. Where a batch is split, the images per micro-batch are used.
const MBSTD_GROUP: usize = 4;

/// Answers each line `<case> <seconds>` of standard input with a line of JSON, until the input ends.
///
/// # Errors
/// When a case is unknown or fails, or the device does not exist.
pub fn serve(device: DeviceName) -> Result<()> {
    let device = device.open()?;
    let mut made: Option<(String, Work)> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (case, seconds) = line
            .split_once(' ')
            .with_context(|| format!("'{line}' is no case with seconds"))?;
        let before = peak_mb(&device)?;
        if made.as_ref().is_none_or(|(name, _)| name != case) {
            made = Some((case.to_string(), make(case, &device)?));
        }
        let Some((_, work)) = &mut made else { continue };
        let ms = measure(work, seconds.parse()?, &device)?;
        cli::outln!(
            "{}",
            serde_json::json!({ "case": case, "ms": ms, "peak_mb": peak_mb(&device)? - before })
        );
    }
    Ok(())
}

fn measure(work: &mut Work, seconds: f64, device: &Device) -> Result<f64> {
    let mut work = || -> Result<()> {
        work()?;
        Ok(device.synchronize()?)
    };
    work()?;
    let (mut times, start) = (Vec::new(), Instant::now());
    while times.len() < 3 || start.elapsed().as_secs_f64() < seconds {
        let one = Instant::now();
        work()?;
        times.push(one.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// The peak memory of this process on the device, in MiB; 0 where the system does not report it.
fn peak_mb(device: &Device) -> Result<f64> {
    let bytes = match device {
        Device::Cpu => cli::peak_resident_bytes(),
        gpu => ops::device::peak_memory(gpu)?,
    };
    Ok(bytes.map_or(0.0, |bytes| bytes as f64 / f64::from(1 << 20)))
}

/// Discards the value of a successful result.
fn done<T>(result: candle_core::Result<T>) -> Result<()> {
    result?;
    Ok(())
}

fn randn(shape: impl Into<candle_core::Shape>) -> Result<Tensor> {
    Ok(Tensor::randn(0f32, 1.0, shape, &Device::Cpu)?)
}

fn make(case: &str, device: &Device) -> Result<Work> {
    let parts: Vec<&str> = case.split(':').collect();
    let numbers: Vec<usize> = parts.iter().filter_map(|part| part.parse().ok()).collect();
    match (parts[0], numbers.as_slice()) {
        ("conv", &[n, c, h]) => convolution(parts[1], n, c, h),
        ("upfirdn", &[n, c, h]) => upfirdn(parts[1], parts[parts.len() - 1] == "both", n, c, h),
        ("modulated", &[n, c, h]) => modulated(parts[parts.len() - 1] == "both", n, c, h),
        ("d_step" | "g_step" | "r1_step", &[res, base, most, batch]) => {
            step(parts[0], res, base, most, batch)
        }
        ("cycle", &[res, base, most, batch]) => cycle(
            &Training {
                res,
                base,
                most,
                batch,
                batch_gpu: batch,
                layers: 2,
            },
            device,
        ),
        ("cycle", &[res, base, most, batch, batch_gpu, layers]) => cycle(
            &Training {
                res,
                base,
                most,
                batch,
                batch_gpu,
                layers,
            },
            device,
        ),
        ("generate", &[res, base, most, layers, batch]) => generate(res, base, most, layers, batch),
        _ => bail!("no case is called '{case}'"),
    }
}

fn convolution(kind: &str, n: usize, c: usize, h: usize) -> Result<Work> {
    let (x, w, dy) = (
        randn((n, c, h, h))?,
        randn((c, c, 3, 3))?,
        randn((n, c, h, h))?,
    );
    let options = Conv2dOptions {
        padding: 1,
        ..Default::default()
    };
    Ok(match kind {
        "forward" => Box::new(move || done(ops::conv2d(&x, &w, &options))),
        "input" => Box::new(move || done(ops::conv_transpose2d(&dy, &w, &options))),
        "weight" => Box::new(move || done(ops::conv2d_weight_gradient(&x, &dy, (3, 3), &options))),
        _ => bail!("no convolution is called '{kind}'"),
    })
}

/// A case that runs forward and backward pass of `f` at `x`, with a fixed random gradient of the result.
fn forward_backward(x: Tensor, f: impl Fn(&Dual) -> Result<Dual> + 'static) -> Result<Work> {
    let x = Var::from_tensor(&x)?;
    let x = Dual::from(x.as_tensor());
    let dy = randn(f(&x)?.primal.shape())?;
    Ok(Box::new(move || done(f(&x)?.primal.backward_from(&dy))))
}

fn upfirdn(kind: &str, both: bool, n: usize, c: usize, h: usize) -> Result<Work> {
    let filter = Filter::resample();
    let options = match kind {
        "blur" => UpFirDn2dOptions {
            padding: [2; 4],
            ..Default::default()
        },
        "down" => UpFirDn2dOptions {
            down: [2; 2],
            padding: [1; 4],
            ..Default::default()
        },
        "up" => UpFirDn2dOptions {
            up: [2; 2],
            padding: [2, 1, 2, 1],
            gain: 4.0,
            ..Default::default()
        },
        _ => bail!("no resampling is called '{kind}'"),
    };
    let x = randn((n, c, h, h))?;
    if both {
        return forward_backward(x, move |x| Ok(x.upfirdn2d(&filter, &options)?));
    }
    Ok(Box::new(move || {
        done(ops::upfirdn2d(&x, &filter, &options))
    }))
}

fn modulated(both: bool, n: usize, c: usize, h: usize) -> Result<Work> {
    let (x, w, s) = (
        randn((n, c, h, h))?,
        Var::from_tensor(&randn((c, c, 3, 3))?)?,
        Var::from_tensor(&randn((n, c))?)?,
    );
    let options = ModulatedConv2dOptions {
        padding: [1; 4],
        ..Default::default()
    };
    if both {
        return forward_backward(x, move |x| {
            let (w, s) = (w.as_tensor().into(), s.as_tensor().into());
            Ok(x.modulated_conv2d(&w, &s, None, &options)?)
        });
    }
    Ok(Box::new(move || {
        done(ops::modulated_conv2d(
            &x,
            &w.detach(),
            &s.detach(),
            None,
            &options,
        ))
    }))
}

fn discriminator(
    res: usize,
    base: usize,
    most: usize,
    mbstd_group: usize,
    device: &Device,
) -> Result<Discriminator> {
    let config = DiscriminatorConfig {
        channel_base: base,
        channel_max: most,
        conv_clamp: Some(256.0),
        mbstd_group_size: Some(mbstd_group),
        ..DiscriminatorConfig::new(res, 3)
    };
    Ok(Discriminator::new(
        &config,
        &mut RandomState::new(0),
        device,
    )?)
}

fn generator(
    res: usize,
    base: usize,
    most: usize,
    layers: usize,
    device: &Device,
) -> Result<Generator> {
    let mapping = MappingConfig {
        num_layers: layers,
        ..MappingConfig::new(512)
    };
    let config = GeneratorConfig {
        channel_base: base,
        channel_max: most,
        conv_clamp: Some(256.0),
        mapping,
        ..GeneratorConfig::new(res, 3)
    };
    Ok(Generator::new(&config, &mut RandomState::new(1), device)?)
}

/// `mean(log(1 + exp(x)))`, the mean of softplus.
fn softplus_mean(x: &Value) -> Result<Value> {
    let options = ops::BiasActOptions {
        activation: ops::Activation::Softplus,
        ..Default::default()
    };
    let sum = x.bias_act(None, &options)?.sum_all()?;
    Ok(sum.scale(1.0 / x.elem_count() as f64)?)
}

fn step(kind: &str, res: usize, base: usize, most: usize, batch: usize) -> Result<Work> {
    let d = discriminator(res, base, most, MBSTD_GROUP, &Device::Cpu)?;
    let (real, fake) = (randn((batch, 3, res, res))?, randn((batch, 3, res, res))?);
    let seen = d.detached()?;
    if kind == "d_step" {
        return Ok(Box::new(move || {
            let _transforms = ops::weight_cache::scope();
            let logits = d.forward_dual(&(&fake).into(), None)?.primal;
            softplus_mean(&logits)?.backward()?;
            let logits = d.forward_dual(&(&real).into(), None)?.primal;
            softplus_mean(&logits.neg()?)?.backward()?;
            Ok(())
        }));
    }
    if kind == "r1_step" {
        return Ok(Box::new(move || {
            let _transforms = ops::weight_cache::scope();
            let x = Var::from_tensor(&real)?;
            let logits = seen.forward_dual(&x.as_tensor().into(), None)?.primal;
            let mut grads = logits.sum_all()?.backward()?;
            let v = grads.remove(&x).context("no gradient of the image")?;
            let logits = d.forward_dual(&Dual::new(&real, v)?, None)?;
            // The gradient of |g|^2 / 2 is that of the directional derivative along g, held constant.
            let slope = logits.tangent_or_zeros()?.sum_all()?;
            slope.scale(1.0 / batch as f64)?.backward()?;
            Ok(())
        }));
    }
    let g = generator(res, base, most, 2, &Device::Cpu)?;
    let z = randn((batch, 512))?;
    let mut random = RandomState::new(2);
    Ok(Box::new(move || {
        let _transforms = ops::weight_cache::scope();
        let z = Dual::from(&z);
        let ws = g
            .mapping
            .forward_dual(&z, None, &MappingOptions::default())?;
        let noise = SynthesisOptions::random(&mut random);
        let img = g.synthesis.forward_dual(&ws, noise)?;
        let logits = seen.forward_dual(&img, None)?.primal;
        softplus_mean(&logits.neg()?)?.backward()?;
        Ok(())
    }))
}

/// The sizes of networks and batches in a training cycle.
struct Training {
    res: usize,
    base: usize,
    most: usize,
    batch: usize,
    batch_gpu: usize,
    layers: usize,
}

/// A case of 16 training iterations: every phase at its interval, both Adam optimizers and the moving average, but no
/// loading of data and no augmentation.
fn cycle(training: &Training, device: &Device) -> Result<Work> {
    let &Training {
        res,
        base,
        most,
        batch,
        batch_gpu,
        layers,
    } = training;
    let precision = Precision::of(device);
    let g = generator(res, base, most, layers, device)?.with_precision(precision);
    let group = if batch_gpu == batch {
        MBSTD_GROUP
    } else {
        batch_gpu
    };
    let d = discriminator(res, base, most, group, device)?.with_precision(precision);
    let phases = [("Gmain", 1), ("Greg", 4), ("Dmain", 1), ("Dreg", 16)];
    let options = LearnerOptions {
        batch_size: batch,
        batch_gpu,
        phases: phases
            .into_iter()
            .filter_map(|(name, interval)| Phase::named(name, interval))
            .collect(),
        g_optimizer: OptimizerConfig::new(0.0025),
        d_optimizer: OptimizerConfig::new(0.0025),
        loss: LossConfig::new(0.1),
        ema_kimg: 5.0,
        ema_rampup: None,
    };
    let g_ema = g.deep_copy()?;
    let mut learner = Learner::new(options, &g, &d, g_ema)?;
    let mut draws = RunDraws::new(0, 0.9, None, device);
    let device = device.clone();
    Ok(Box::new(move || {
        // As in a training run, the statistics of an iteration are read while the next one is computed.
        let mut before: Option<Iteration> = None;
        for _ in 0..16 {
            let input = IterationInput {
                real_img: Tensor::randn(0f32, 1.0, (batch, 3, res, res), &device)?,
                real_c: None,
                gen_z: Tensor::randn(0f32, 1.0, (4 * batch, 512), &device)?,
                gen_c: None,
            };
            let iteration = learner.iterate(&input, &mut draws)?;
            if let Some(before) = before.replace(iteration) {
                before.report(&mut |_, _| {})?;
            }
        }
        if let Some(last) = before {
            last.report(&mut |_, _| {})?;
        }
        Ok(())
    }))
}

fn generate(res: usize, base: usize, most: usize, layers: usize, batch: usize) -> Result<Work> {
    let g = generator(res, base, most, layers, &Device::Cpu)?.detached()?;
    let z = randn((batch, 512))?;
    let mut random = RandomState::new(2);
    Ok(Box::new(move || {
        g.forward(
            &z,
            None,
            &MappingOptions::default(),
            SynthesisOptions::random(&mut random),
        )
        .map(drop)?;
        Ok(())
    }))
}
