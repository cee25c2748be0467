//! Golden suite `losses`: losses and gradients of every training phase, and traces of whole iterations.
//!
//! A JSON file with `cases` holds single phases, one with `log` a trace. Weights, inputs and results are in the
//! safetensors file of the same name. The networks always use their stored noise.

use std::collections::VecDeque;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use augment::{AugPipe, AugmentPipe, Augmentation, BatchShape};
use candle_core::{DType, Device, Tensor};
use networks::{
    Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, Parameters, Precision,
};
use rng::RandomState;
use serde_json::Value;
use training::{
    DeferredScalars, Draws, Gradients, IterationInput, Learner, LearnerOptions, LossConfig,
    LossContext, Losses, MicroBatch, Networks, Noise, OptimizerConfig, Phase, StyleMixing,
    TrainedNetwork,
};

use super::files::{json_files, numbers};
use super::tensors::{Tensors, device};
use super::{CaseResult, Results};

/// The largest error of a gradient, relative to the largest value of its tensor. NVIDIA's own f32 results differ by
/// 4.6e-5 from each other.
const GRADIENT: f64 = 3e-4;
/// The relative L2 error of all gradients of a network together.
const GRADIENTS_L2: f64 = 1e-4;
/// The relative error of losses, scores and penalties in a single phase.
const LOSS: f64 = 1e-5;
/// The relative error of losses, scores and penalties along a trace.
const TRACE_LOSS: f64 = 1e-4;
/// The relative L2 error of the change of all weights along a trace.
const UPDATE_L2: f64 = 2e-3;
/// The largest absolute error of a weight along a trace.
const WEIGHT: f64 = 2e-4;
/// The relative L2 error of a tensor of Adam's second moments.
const MOMENT: f64 = 1e-3;

/// Runs every case of every file in `dir`.
///
/// # Errors
/// When a file cannot be read or has an unexpected structure.
pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    for (path, root) in json_files(dir)? {
        if root.get("cases").is_none() && root.get("log").is_none() {
            continue;
        }
        let file = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut push = |case: &str, worst: f64, tolerance: f64| {
            results.push(CaseResult {
                suite: "losses".to_owned(),
                case: format!("{file}.{case}"),
                worst,
                tolerance,
            });
        };
        let tensors = Tensors::beside(&path)?.with_context(|| format!("'{file}': no tensors"))?;
        let golden = Golden {
            root: &root,
            tensors,
        };
        let done = match root.get("log") {
            Some(_) => golden.trace(&mut push),
            None => golden.phases(&mut push),
        };
        done.with_context(|| format!("'{}'", path.display()))?;
    }
    Ok(())
}

type Push<'a> = dyn FnMut(&str, f64, f64) + 'a;

struct Golden<'a> {
    root: &'a Value,
    tensors: Tensors,
}

impl Golden<'_> {
    fn weights(&self, prefix: &str) -> Result<Vec<(String, Tensor)>> {
        let names = self.tensors.names_after(prefix).into_iter();
        names
            .map(|name| {
                let tensor = self.tensors.need(&format!("{prefix}{name}"))?;
                Ok((name.to_owned(), tensor.clone()))
            })
            .collect()
    }

    fn networks(&self, prefix: &str) -> Result<(Generator, Discriminator)> {
        let g = GeneratorConfig::from_kwargs(&self.root["G_kwargs"])?;
        let d = DiscriminatorConfig::from_kwargs(&self.root["D_kwargs"])?;
        let device = device();
        let (g_weights, d_weights) = (
            self.weights(&format!("{prefix}G."))?,
            self.weights(&format!("{prefix}D."))?,
        );
        Ok((
            Generator::from_tensors(&g, g_weights, DType::F32, device)?
                .with_precision(Precision::Full),
            Discriminator::from_tensors(&d, d_weights, DType::F32, device)?
                .with_precision(Precision::Full),
        ))
    }

    /// The labels of this name; `None` if they have width 0, as for unconditional networks.
    fn labels(&self, name: &str) -> Result<Option<Tensor>> {
        let labels = self.tensors.need(name)?;
        Ok((labels.dim(1)? > 0).then(|| labels.clone()))
    }

    fn phases(&self, push: &mut Push<'_>) -> Result<()> {
        let batch = MicroBatch {
            real_img: self.tensors.need("real_img")?.clone(),
            real_c: self.labels("real_c")?,
            gen_z: self.tensors.need("gen_z")?.clone(),
            gen_c: self.labels("gen_c")?,
        };
        for (name, case) in self.root["cases"].as_object().context("no cases")? {
            let (g, d) = self.networks("")?;
            let networks = Networks::new(&g, &d)?;
            let phase = case["phase"].as_str().unwrap_or_default();
            let gain = case["gain"].as_f64().context("no gain")?;
            let phase = Phase::named(phase, gain as usize).context("an unknown phase")?;
            let mut losses = Losses {
                config: loss_config(&case["loss_kwargs"])?,
                pl_mean: case["pl_mean_before"].as_f64().unwrap_or(0.0) as f32,
            };
            let mut draws = Recorded::new(case)?;
            draws.take_round(&self.tensors, name, case)?;
            let parameters = match phase.trains {
                TrainedNetwork::Generator => networks.g.parameters(),
                TrainedNetwork::Discriminator => networks.d.parameters(),
            };
            let mut gradients = Gradients::of(parameters);
            let mut reports = Vec::new();
            let mut scalars = DeferredScalars::default();
            losses
                .accumulate(
                    &phase,
                    &mut LossContext {
                        networks: &networks,
                        batch: &batch,
                        gain,
                        draws: &mut draws,
                        grads: &mut gradients,
                        scalars: &mut scalars,
                    },
                )
                .with_context(|| name.clone())?;
            scalars
                .send()?
                .report(&mut |name, values| reports.push((name.to_owned(), values.to_vec())))?;

            let (largest, l2) = self.gradient_errors(name, parameters, &gradients)?;
            push(&format!("{name}.grad"), largest, GRADIENT);
            push(&format!("{name}.grad_l2"), l2, GRADIENTS_L2);
            push(
                &format!("{name}.stats"),
                self.stat_error(name, &reports)?,
                LOSS,
            );
            let want = self.tensors.need(&format!("{name}.pl_mean_after"))?;
            let want = f64::from(want.to_scalar::<f32>()?);
            let error = (f64::from(losses.pl_mean) - want).abs() / want.abs().max(1e-6);
            push(&format!("{name}.pl_mean"), error, LOSS);
            let want = self.tensors.need(&format!("{name}.w_avg_after"))?;
            let got = g.mapping.w_avg().context("no w_avg")?;
            push(
                &format!("{name}.w_avg"),
                largest_relative(&got, want)?,
                LOSS,
            );
        }
        Ok(())
    }

    /// The largest relative error of a gradient, and the relative L2 error of all gradients together.
    fn gradient_errors(
        &self,
        case: &str,
        parameters: &Parameters,
        gradients: &Gradients,
    ) -> Result<(f64, f64)> {
        let prefix = format!("{case}.grad.");
        let (mut largest, mut squares, mut norm) = (0f64, 0.0, 0.0);
        let mut seen = 0;
        for ((name, var), gradient) in parameters.trainable().zip(gradients.iter()) {
            let want = self.tensors.get(&format!("{prefix}{name}"));
            let zeros = var.zeros_like()?.detach();
            seen += usize::from(want.is_some());
            let (got, want) = (gradient.unwrap_or(&zeros), want.unwrap_or(&zeros));
            largest = worse(largest, largest_relative(got, want)?);
            squares += square_sum(&(got - want)?)?;
            norm += square_sum(want)?;
        }
        ensure!(
            seen == self.tensors.names_after(&prefix).len(),
            "{case}: gradients of parameters that do not exist"
        );
        Ok((largest, (squares / norm).sqrt()))
    }

    fn stat_error(&self, case: &str, reports: &[(String, Vec<f32>)]) -> Result<f64> {
        let prefix = format!("{case}.stat.");
        let names = self.tensors.names_after(&prefix);
        ensure!(!names.is_empty(), "{case}: no statistics");
        let mut worst: f64 = 0.0;
        for key in names {
            let (name, index) = key.rsplit_once('.').context("a name without an index")?;
            let mut same = reports.iter().filter(|(n, _)| n == name);
            let (_, got) = same
                .nth(index.parse()?)
                .with_context(|| format!("{case}: '{key}' was not reported"))?;
            let want = self
                .tensors
                .need(&format!("{prefix}{key}"))?
                .flatten_all()?;
            let got = Tensor::from_slice(got, got.len(), want.device())?;
            worst = worse(worst, largest_relative(&got, &want)?);
        }
        Ok(worst)
    }

    fn trace(&self, push: &mut Push<'_>) -> Result<()> {
        let (g, d) = self.networks("init.")?;
        let g_ema = g.deep_copy()?;
        let root = self.root;
        let opt = &root["opt"];
        let interval = |key: &str| opt[key].as_u64().context("no interval");
        let adam = OptimizerConfig {
            lr: opt["lr"].as_f64().context("no lr")?,
            betas: numbers(&opt["betas"])?
                .try_into()
                .map_err(|_| anyhow::anyhow!("two betas"))?,
            eps: opt["eps"].as_f64().context("no eps")?,
        };
        let phases = [
            ("Gmain", 1),
            ("Greg", interval("G_reg_interval")?),
            ("Dmain", 1),
            ("Dreg", interval("D_reg_interval")?),
        ];
        let phases = phases.map(|(name, interval)| Phase::named(name, interval as usize));
        let batch_size = root["batch"].as_u64().context("no batch")? as usize;
        let options = LearnerOptions {
            batch_size,
            batch_gpu: root["batch_gpu"].as_u64().context("no batch_gpu")? as usize,
            phases: phases.into_iter().flatten().collect(),
            g_optimizer: adam,
            d_optimizer: adam,
            loss: loss_config(&root["loss"])?,
            ema_kimg: root["ema_kimg"].as_f64().context("no ema_kimg")?,
            ema_rampup: root["ema_rampup"].as_f64(),
        };
        let mut learner = Learner::new(options, &g, &d, g_ema)?;
        learner.cur_nimg = root["start_nimg"].as_u64().unwrap_or(0);
        let mut draws = Recorded::new(root)?;
        let (mut loss, mut beta, mut pl_mean, mut sums) = (0f64, 0f64, 0f64, 0f64);
        for row in root["log"].as_array().context("no log")? {
            let it = row["it"].as_u64().context("no it")?;
            let mut want = Vec::new();
            for phase in row["phases"].as_array().context("no phases")? {
                let name = phase["name"].as_str().unwrap_or_default();
                for (i, round) in phase["rounds"].as_array().into_iter().flatten().enumerate() {
                    draws.take_round(&self.tensors, &format!("it{it}.{name}.r{i}"), round)?;
                    for (name, value) in round["stats"].as_object().into_iter().flatten() {
                        want.push((name.clone(), numbers(value)?));
                    }
                }
            }
            let input = IterationInput {
                real_img: self.tensors.need(&format!("it{it}.real_img"))?.clone(),
                real_c: self.labels(&format!("it{it}.real_c"))?,
                gen_z: self.tensors.need(&format!("it{it}.all_gen_z"))?.clone(),
                gen_c: self.labels(&format!("it{it}.all_gen_c"))?,
            };
            beta = worse(beta, difference(learner.ema_beta(), &row["ema_beta"])?);
            let mut got = Vec::new();
            learner
                .iterate(&input, &mut draws)?
                .report(&mut |name, values| {
                    if !name.contains("/signs/") {
                        got.push((name.to_owned(), values.to_vec()));
                    }
                })?;
            loss = worse(loss, log_error(&got, &want)?);
            let scale = row["pl_mean"]
                .as_f64()
                .context("no pl_mean")?
                .abs()
                .max(1e-6);
            let error = difference(f64::from(learner.losses.pl_mean), &row["pl_mean"])?;
            pl_mean = worse(pl_mean, error / scale);
            ensure!(
                row["cur_nimg"].as_u64() == Some(learner.cur_nimg),
                "cur_nimg differs"
            );
            sums = worse(
                sums,
                self.checksum_error(&row["checksums_sum_sumsq"], &g, &d)?,
            );
            for (key, parameters) in [
                ("G", g.parameters()),
                ("D", d.parameters()),
                ("G_ema", learner.g_ema.parameters()),
            ] {
                let prefix = format!("after{it}.{key}.");
                if !self.tensors.names_after(&prefix).is_empty() {
                    let init = key.trim_end_matches("_ema");
                    let (l2, largest) = self.update_error(&prefix, init, parameters)?;
                    push(&format!("after{it}.{key}.update_l2"), l2, UPDATE_L2);
                    push(&format!("after{it}.{key}.largest"), largest, WEIGHT);
                }
            }
            for (key, adam) in [("G", &learner.g_adam), ("D", &learner.d_adam)] {
                let prefix = format!("after{it}.adam.{key}.");
                if !self.tensors.names_after(&prefix).is_empty() {
                    let mut worst = 0f64;
                    for name in self.tensors.names_after(&prefix) {
                        let mut moments = adam.tensors();
                        let (_, got) = moments
                            .find(|(n, _)| n == name)
                            .with_context(|| format!("no moment '{name}'"))?;
                        let want = self.tensors.need(&format!("{prefix}{name}"))?;
                        let error = square_sum(&(got - want)?)?.sqrt();
                        worst = worse(worst, error / square_sum(want)?.sqrt().max(1e-12));
                    }
                    push(&format!("after{it}.adam.{key}"), worst, MOMENT);
                }
            }
        }
        push("losses", loss, TRACE_LOSS);
        push("ema_beta", beta, 1e-12);
        push("pl_mean", pl_mean, LOSS);
        push("sums_of_squares", sums, 1e-3);
        Ok(())
    }

    /// The relative L2 error of the change of all weights since the start, and the largest absolute error of a weight.
    fn update_error(
        &self,
        prefix: &str,
        init: &str,
        parameters: &Parameters,
    ) -> Result<(f64, f64)> {
        let (mut squares, mut norm, mut largest) = (0.0, 0.0, 0f64);
        for name in self.tensors.names_after(prefix) {
            let want = self.tensors.need(&format!("{prefix}{name}"))?;
            let start = self.tensors.need(&format!("init.{init}.{name}"))?;
            let got = parameters
                .get(name)
                .with_context(|| format!("no parameter '{name}'"))?
                .as_detached_tensor();
            let error = (got - want)?;
            squares += square_sum(&error)?;
            norm += square_sum(&(want - start)?)?;
            largest = worse(
                largest,
                f64::from(error.abs()?.max_all()?.to_scalar::<f32>()?),
            );
        }
        Ok(((squares / norm).sqrt(), largest))
    }

    /// The largest relative error among the tensors' sums of squares.
    fn checksum_error(&self, sums: &Value, g: &Generator, d: &Discriminator) -> Result<f64> {
        let mut worst = 0f64;
        for (key, want) in sums.as_object().into_iter().flatten() {
            let (network, name) = key.split_once('.').context("a name without a network")?;
            let parameters = match network {
                "G" => g.parameters(),
                "D" => d.parameters(),
                _ => continue,
            };
            let var = parameters
                .get(name)
                .with_context(|| format!("no '{key}'"))?;
            let want = want[1].as_f64().context("no sum of squares")?;
            let got = square_sum(&var.as_detached_tensor())?;
            worst = worse(worst, (got - want).abs() / want.abs().max(1e-3));
        }
        Ok(worst)
    }
}

/// Random draws for training that come from a recording.
struct Recorded {
    cutoffs: VecDeque<usize>,
    z: VecDeque<Tensor>,
    path_noise: VecDeque<Tensor>,
    pipe: Option<(AugmentPipe, f64)>,
}

impl Recorded {
    fn new(case: &Value) -> Result<Self> {
        let pipe = match (case["augpipe"].as_object(), case["aug_percentile"].as_f64()) {
            (Some(strengths), Some(percentile)) => {
                let mut list = strengths
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"));
                let mut text = list.next().unwrap_or_default();
                list.for_each(|item| text += &format!(",{item}"));
                Some((AugmentPipe::from(text.parse::<AugPipe>()?), percentile))
            }
            _ => None,
        };
        Ok(Self {
            cutoffs: VecDeque::new(),
            z: VecDeque::new(),
            path_noise: VecDeque::new(),
            pipe,
        })
    }

    /// Adds the draws of one micro-batch: cutoffs from its JSON, and tensors whose names start with `name`.
    fn take_round(&mut self, tensors: &Tensors, name: &str, round: &Value) -> Result<()> {
        let cutoffs = numbers(&round["cutoffs"])?;
        for (i, cutoff) in cutoffs.into_iter().enumerate() {
            self.cutoffs.push_back(cutoff as usize);
            let z = tensors.need(&format!("{name}.mix_z.{i}"))?;
            self.z.push_back(z.clone());
        }
        let noise = tensors.get(&format!("{name}.pl_noise_unscaled"));
        self.path_noise.extend(noise.cloned());
        Ok(())
    }
}

fn missing(what: &str) -> training::Error {
    candle_core::Error::msg(format!("the recording has no {what} left")).into()
}

impl Draws for Recorded {
    fn style_mixing(&mut self, z: &Tensor, _: usize) -> training::Result<Option<StyleMixing>> {
        let Some(cutoff) = self.cutoffs.pop_front() else {
            return Ok(None);
        };
        let mixing = StyleMixing {
            z: self.z.pop_front().ok_or_else(|| missing("latents"))?,
            cutoff,
        };
        if mixing.z.dims() != z.dims() {
            return Err(missing("latents of this shape"));
        }
        Ok(Some(mixing))
    }

    fn noise(&mut self) -> Noise {
        Noise::Const
    }

    fn path_noise(&mut self, shape: &[usize]) -> training::Result<Tensor> {
        let noise = self.path_noise.pop_front();
        noise
            .filter(|noise| noise.dims() == shape)
            .ok_or_else(|| missing("path noise of this shape"))
    }

    fn augmentation(&mut self, shape: BatchShape) -> training::Result<Option<Augmentation>> {
        let Some((pipe, percentile)) = &self.pipe else {
            return Ok(None);
        };
        // Only the noise transform needs random numbers, and no recorded case uses it.
        let params = pipe.at_percentile(&mut RandomState::new(0), *percentile, shape)?;
        Ok(Some(Augmentation::new(params)?))
    }
}

fn loss_config(kwargs: &Value) -> Result<LossConfig> {
    // NVIDIA's default of `r1_gamma`.
    let mut config = LossConfig::new(10.0);
    for (key, value) in kwargs.as_object().into_iter().flatten() {
        let value = value
            .as_f64()
            .with_context(|| format!("'{key}' is no number"))?;
        match key.as_str() {
            "style_mixing_prob" => config.style_mixing_prob = value,
            "r1_gamma" => config.r1_gamma = value,
            "pl_weight" => config.pl_weight = value,
            "pl_batch_shrink" => config.pl_batch_shrink = value as usize,
            "pl_decay" => config.pl_decay = value,
            other => anyhow::bail!("unknown setting '{other}' of the loss"),
        }
    }
    Ok(config)
}

/// The largest relative error among the means of reported values; the reported names must be equal.
fn log_error(got: &[(String, Vec<f32>)], want: &[(String, Vec<f64>)]) -> Result<f64> {
    let names = |list: Vec<&String>| list.into_iter().cloned().collect::<Vec<_>>();
    let (ours, theirs) = (
        names(got.iter().map(|(name, _)| name).collect()),
        names(want.iter().map(|(name, _)| name).collect()),
    );
    let mut sorted = (ours.clone(), theirs.clone());
    sorted.0.sort();
    sorted.1.sort();
    ensure!(
        sorted.0 == sorted.1,
        "reported {ours:?} instead of {theirs:?}"
    );
    let mut worst = 0f64;
    for name in &theirs {
        let ours = got.iter().filter(|(n, _)| n == name);
        let theirs = want.iter().filter(|(n, _)| n == name);
        for ((_, got), (_, want)) in ours.zip(theirs) {
            let mean = got.iter().map(|&v| f64::from(v)).sum::<f64>() / got.len() as f64;
            let expected = want.iter().sum::<f64>() / want.len() as f64;
            worst = worse(worst, (mean - expected).abs() / expected.abs().max(1e-2));
        }
    }
    Ok(worst)
}

/// The larger of two errors; a NaN in `b` gives infinity.
fn worse(a: f64, b: f64) -> f64 {
    if b.is_nan() { f64::INFINITY } else { a.max(b) }
}

fn difference(got: f64, want: &Value) -> Result<f64> {
    Ok((got - want.as_f64().context("no number")?).abs())
}

fn largest_relative(got: &Tensor, want: &Tensor) -> Result<f64> {
    let largest = f64::from(want.abs()?.max_all()?.to_scalar::<f32>()?);
    let error = f64::from((got - want)?.abs()?.max_all()?.to_scalar::<f32>()?);
    Ok(match (error, largest) {
        (0.0, _) => 0.0,
        // The floor is for gradients that are zero up to rounding.
        (error, largest) => error / largest.max(1e-6),
    })
}

fn square_sum(x: &Tensor) -> Result<f64> {
    let x = x.to_device(&Device::Cpu)?;
    Ok(x.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar()?)
}
